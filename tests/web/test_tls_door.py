"""HTTPS at the HTTP door, over real TLS: certificates of partner authorities, and the cookie that only HTTPS has."""

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests import tls_versions
from tests.web.conftest import serving
from tests.web.people import CHEAP, PASSWORD, Hands, office

from cocket.core.clock import WallClock
from cocket.core.config import Access, Http, Settings
from cocket.core.errors import BadSetting
from cocket.web import binding


class Authority:
    """A certificate authority of a test."""

    def __init__(self, folder, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._signed(self.name, self.key, [], authority=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _signed(self, subject, key, names, *, authority=False, days=1):
        from datetime import UTC, datetime

        now = datetime.fromtimestamp(WallClock().now_us() / 1e6, UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self.key, hashes.SHA256())

    def issue(self, common: str, *names, days: int = 1):
        """(certificate file, key file, the certificate in DER)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        certificate = self._signed(subject, key, list(names), days=days)
        paths = self.folder / f"{common}.crt", self.folder / f"{common}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return *map(str, paths), certificate.public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def partners(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "Partners")


@pytest.fixture(scope="module")
def cards(partners):
    """Certificates: known by DNS name, by common name, by fingerprint; one of nobody, one that is over."""
    return {
        "dns": partners.issue("anything", x509.DNSName("customs.neighbour.example")),
        "common": partners.issue("Port Authority"),
        "print": partners.issue("by fingerprint"),
        "nobody": partners.issue("nobody.example", x509.DNSName("nobody.example")),
        "over": partners.issue("Port Authority 2", x509.DNSName("customs.neighbour.example"), days=-1),
    }


@pytest.fixture(scope="module")
def tls(tmp_path_factory, partners, cards) -> Iterator:
    import ipaddress

    folder = tmp_path_factory.mktemp("tls")
    house = Authority(folder, "House")
    certificate, key, _ = house.issue("door", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    with Path(certificate).open("a", encoding="ascii") as chain:
        chain.write(house.file.read_text())
    access = Access(
        sign_in=True,
        authorities={
            "customs.neighbour.example": "NL",
            "Port Authority": "PORT",
            f"sha256:{sha256(cards['print'][2]).hexdigest()}": "KE",
        },
        **CHEAP,
    )
    http = Http(tls_certificate=certificate, tls_key=key, tls_clients=str(partners.file))
    door = serving(folder / "data", Settings(access=access, http=http), access_clock=Hands())
    yield next(door)
    next(door, None)


def _shows(door, card=None) -> httpx.Client:
    context = ssl.create_default_context(cafile=door.access and _chain(door))
    if card is not None:
        context.load_cert_chain(card[0], card[1])
    return httpx.Client(base_url=f"{door.url}/api/v1", verify=context, timeout=60)


def _chain(door) -> str:
    return door.service.settings.http.tls_certificate


def test_no_version_of_tls_that_is_over(tls) -> None:
    url = httpx.URL(tls.url)
    tls_versions.check((url.host, url.port))


def test_the_client_that_asks_for_it_speaks_old_versions(cards) -> None:
    """Else the test before could not fail."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*cards["nobody"][:2])
    tls_versions.limited(server, *tls_versions.OLD)
    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            for _ in tls_versions.OLD:
                server.wrap_socket(door.accept()[0], server_side=True).close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert all(tls_versions.spoken(door.getsockname(), version) for version in tls_versions.OLD)
        thread.join()


@pytest.mark.parametrize(("card", "authority"), [("dns", "NL"), ("common", "PORT"), ("print", "KE")])
def test_a_partner_is_known_by_its_certificate(tls, cards, card, authority) -> None:
    with _shows(tls, cards[card]) as http:
        for _ in range(2):
            me = http.get("/me").json()
        assert (me["id"], me["kind"], me["authority"], me["roles"], me["proved"]) == (
            f"authority:{authority}",
            "authority",
            authority,
            ["partner-authority"],
            "certificate",
        )


def test_a_certificate_that_no_setting_names_is_a_stranger_s(tls, cards) -> None:
    for card in (cards["nobody"], None):
        with _shows(tls, card) as http:
            tls.is_problem(http.get("/me"), 401)


def test_a_certificate_of_another_authority_or_time_opens_nothing(tls, cards, tmp_path) -> None:
    forged = Authority(tmp_path, "Forger").issue("forged", x509.DNSName("customs.neighbour.example"))
    for card in (forged, cards["over"]):
        with (
            _shows(tls, card) as http,
            pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)),
        ):
            http.get("/me")


def test_no_client_says_by_a_field_who_it_is(tls, cards) -> None:
    shown = ":" + base64.b64encode(cards["dns"][2]).decode() + ":"
    with _shows(tls) as http:
        tls.is_problem(http.get("/me", headers={"client-cert": shown}), 401)


def test_over_https_the_cookie_is_bound_to_host_and_https(tls) -> None:
    secret = tls.access.accounts.owner_link(by="test")
    with _shows(tls) as http:
        body = {"token": secret, "name": "boss", "password": PASSWORD}
        answer = http.post("/owner-link", json=body, headers={"origin": tls.url})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-cocket=")
        assert "Secure" in cookie
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert http.get("/me").json()["id"] == "boss"
        value = http.cookies["__Host-cocket"]
    with _shows(tls) as plain:
        tls.is_problem(plain.get("/me", headers={"cookie": f"cocket={value}"}), 401)


def test_a_trusted_proxy_hands_a_certificate_on(tmp_path, cards) -> None:
    """RFC 9440, and only from the proxy that the settings name."""
    shown = ":" + base64.b64encode(cards["dns"][2]).decode() + ":"
    named = {"authorities": {"customs.neighbour.example": "NL"}, "certificate_header": True}
    with office(tmp_path / "a", trusted_proxies=("127.0.0.1",), **named) as here:
        proxy = here.client()
        assert proxy.get("/me", headers={"client-cert": shown}).json()["authority"] == "NL"
        for bad in (shown[1:], ":!!!:", "::", ":" + base64.b64encode(b"no certificate").decode() + ":"):
            here.door.is_problem(proxy.get("/me", headers={"client-cert": bad}), 401)
        here.door.is_problem(proxy.get("/me", headers=[("client-cert", shown), ("client-cert", shown)]), 401)
    with office(tmp_path / "b", trusted_proxies=("192.0.2.1",), **named) as here:
        here.door.is_problem(here.client().get("/me", headers={"client-cert": shown}), 401)


def test_a_certificate_that_cannot_be_used_is_named(tmp_path, cards) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for http, words in (
        (Http(tls_certificate="/nowhere.pem"), "/nowhere.pem"),
        (Http(tls_certificate=str(bad)), "cannot be used"),
        (Http(tls_key=cards["dns"][1]), "tls_certificate beside"),
        (Http(tls_certificate=cards["dns"][0], tls_key=cards["common"][1]), "cannot be used"),
    ):
        with pytest.raises(BadSetting, match=words):
            binding.tls_options(Settings(http=http))
