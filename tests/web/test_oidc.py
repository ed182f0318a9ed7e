"""Signing in with OpenID Connect: against a certified provider of another house, and against one that lies."""

import base64
import hmac
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import util
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from tests.web.conftest import Door, listening
from tests.web.people import CHEAP, Hands, Office

from cocket.access.oidc import Provider, own_page
from cocket.core.clock import WallClock
from cocket.core.config import Access, Settings
from cocket.core.errors import BadSetting
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.web.server import server

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "oidc_provider"
SECRET = "a secret + of / the client"
PEOPLE = {
    "amina-1": {
        "name": "Amina K.",
        "preferred_username": "amina",
        "groups": ["gate", "choir"],
        "offices": ["KEMBA"],
    },
    "juma-2": {"name": "Juma", "preferred_username": "juma", "groups": ["choir"], "offices": ["KEMBA"]},
    "root-3": {"name": "Root", "preferred_username": "token:x", "groups": ["it"], "offices": ["KEMBA"]},
    "boss-4": {"name": "Boss", "preferred_username": "boss", "groups": ["it"], "offices": ["KEMBA"]},
    "homeless-5": {"name": "H", "preferred_username": "homeless", "groups": ["gate"]},
}
ROLES = {"gate": "gate-officer", "it": "owner"}
PAGE = {"accept": "text/html"}


def _node() -> tuple[str, list[str]]:
    spec = util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    build = util.module_from_spec(spec)
    spec.loader.exec_module(build)
    if not (HERE / "node_modules" / "oidc-provider").is_dir():
        try:
            build.npm(HERE, "ci", "--ignore-scripts")
        except subprocess.CalledProcessError:
            shutil.rmtree(HERE / "node_modules", ignore_errors=True)
            pytest.skip(
                "the provider of these tests cannot be installed: npm ci in tests/oidc_provider failed"
            )
    return str(build._tools()[0])


@contextmanager
def provider_of_another_house(callback: str, alg: str) -> Iterator[str]:
    said = json.dumps({"callback": callback, "secret": SECRET, "alg": alg, "people": PEOPLE})
    process = subprocess.Popen(
        [_node(), str(HERE / "provider.mjs"), said],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def house(folder: Path, open_provider, **access) -> Iterator[Office]:
    """A server whose people sign in with the provider that ``open_provider(callback)`` opens; its address has to be known first."""
    sock = listening("127.0.0.1", 0)
    origin = f"http://127.0.0.1:{sock.getsockname()[1]}"
    secret = folder / "secret"
    secret.write_text(SECRET + "\n")
    with open_provider(f"{origin}/api/v1/oidc/callback") as issuer:
        settings = Settings(
            access=Access(
                sign_in=True,
                origin=origin,
                oidc_issuer=issuer,
                oidc_client_id="cocket",
                oidc_client_secret_file=str(secret),
                oidc_name_claim="preferred_username",
                oidc_roles=ROLES,
                oidc_offices_claim="offices",
                **CHEAP,
                **access,
            )
        )
        clock = Hands()
        with Service.open(folder / "data", WallClock(), settings) as service, Gateway(service) as gateway:
            here = server(service, settings, sock, gateway, access_clock=clock)
            thread = threading.Thread(target=here.run, kwargs={"sockets": [sock]})
            thread.start()
            try:
                while not here.started:
                    assert thread.is_alive()
                    time.sleep(0.01)
                with httpx.Client(base_url=f"{origin}/api/v1", timeout=60) as client:
                    app = here.config.app
                    yield Office(Door(origin, client, service, app.state.intake, app.state.access), clock)
            finally:
                here.handle_exit(2, None)
                thread.join(30)


@pytest.fixture(scope="module", params=["RS256", "ES256"])
def here(request, tmp_path_factory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("oidc")
    with house(folder, lambda callback: provider_of_another_house(callback, request.param)) as found:
        yield found


def _to_callback(http: httpx.Client, start: str, login: str) -> str:
    """As a person with a browser: the provider's pages, its form for the name, its form for the consent. Gives the way back."""
    url = start
    for _ in range(20):
        answer = http.get(url)
        if answer.is_redirect:
            url = urljoin(str(answer.url), answer.headers["location"])
        else:
            action = re.search(r'<form[^>]*action="([^"]+)"', answer.text)[1]
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)[1]
            fields = {"prompt": prompt} | ({"login": login, "password": "x"} if prompt == "login" else {})
            answer = http.post(urljoin(str(answer.url), action), data=fields)
            url = urljoin(str(answer.url), answer.headers["location"])
        if "/oidc/callback" in url:
            return url
    raise AssertionError("the provider did not send the browser back")


def test_whoever_the_provider_knows_comes_in_with_the_roles_it_says(here: Office) -> None:
    browser = here.client()
    assert browser.get("/sign-in").json()["provider"] is True
    back = _to_callback(browser, f"{here.door.url}/api/v1/oidc/start?onward=/movements", "amina-1")
    answer = browser.get(back, headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/movements")
    me = browser.get("/me").json()
    assert (me["id"], me["full_name"], me["roles"], me["offices"]) == (
        "amina",
        "Amina K.",
        ["gate-officer"],
        ["KEMBA"],
    )
    assert me["provider"] == here.door.access.settings.oidc_issuer
    again = browser.get(back, headers=PAGE)
    assert again.headers["location"] == "/sign-in?refused=state", "the way back is good once"
    change = browser.put("/me/password", json={"old": "a", "new": "b"}, headers={"x-cocket": "1"})
    here.door.is_problem(change, 409)
    assert here.browser("amina").sign_in("").status_code in {401, 422}, "there is no password to sign in with"


@pytest.mark.parametrize(
    ("login", "rule"), [("juma-2", "no-role"), ("root-3", "bad-name"), ("homeless-5", "no-office")]
)
def test_who_has_no_role_office_or_name_is_refused_in_words(here: Office, login, rule) -> None:
    browser = here.client()
    back = _to_callback(browser, f"{here.door.url}/api/v1/oidc/start", login)
    if rule == "no-role":
        problem = here.door.is_problem(browser.get(back), 403)
        assert "no role that counts here" in problem["detail"]
    else:
        assert browser.get(back, headers=PAGE).headers["location"] == f"/sign-in?refused={rule}"
    assert browser.get("/me").status_code == 401


def test_another_s_name_is_not_taken_over(here: Office) -> None:
    here.founded()
    browser = here.client()
    back = _to_callback(browser, f"{here.door.url}/api/v1/oidc/start", "boss-4")
    assert browser.get(back, headers=PAGE).headers["location"] == "/sign-in?refused=name-taken"


def test_who_is_disabled_here_stays_out(here: Office) -> None:
    first = here.client()
    first.get(_to_callback(first, f"{here.door.url}/api/v1/oidc/start", "amina-1"), headers=PAGE)
    here.founded().http.patch("/accounts/amina", json={"disabled": True})
    assert first.get("/me").status_code == 401
    second = here.client()
    back = _to_callback(second, f"{here.door.url}/api/v1/oidc/start", "amina-1")
    assert second.get(back, headers=PAGE).headers["location"] == "/sign-in?refused=disabled"
    here.founded().http.patch("/accounts/amina", json={"disabled": False})


def test_an_answer_is_good_only_in_the_browser_that_asked(here: Office) -> None:
    """A victim who is sent an attacker's answer does not sign in as the attacker."""
    attacker, victim = here.client(), here.client()
    back = _to_callback(attacker, f"{here.door.url}/api/v1/oidc/start", "amina-1")
    assert victim.get(back, headers=PAGE).headers["location"] == "/sign-in?refused=state"
    victim.get("/oidc/start")
    assert victim.get(back, headers=PAGE).headers["location"] == "/sign-in?refused=state"
    assert victim.get("/me").status_code == 401


# a provider that lies


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _part(value: dict) -> str:
    return _base64(json.dumps(value).encode())


class Liar:
    """Speaks the protocol as far as a client sees it; ``lie`` says what is wrong with it."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self.other = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self.lie = ""
        self.nonce = ""
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def _say(self, value: object) -> None:
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                if self.path.startswith("/.well-known"):
                    names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "jwks"}
                    self._say({"issuer": liar.issuer, **{k: f"{liar.issuer}/{v}" for k, v in names.items()}})
                else:
                    self._say({"keys": [liar.key.as_dict(private=False)]})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self._say({"access_token": "x", "token_type": "bearer", "id_token": liar.id_token()})

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def id_token(self) -> str:
        now = WallClock().now_us() // 1_000_000
        claims = {
            "iss": self.issuer,
            "aud": "cocket",
            "sub": "amina-1",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
        }
        claims |= {"preferred_username": "amina", "groups": ["gate"], "offices": ["KEMBA"]}
        claims |= {
            "iss": {"iss": "https://elsewhere.example"},
            "aud": {"aud": "another-client"},
            "azp": {"aud": ["cocket", "other"], "azp": "other"},
            "exp": {"iat": now - 900, "exp": now - 600},
            "future": {"iat": now + 3600, "exp": now + 7200},
            "nonce": {"nonce": "n" * 43},
        }.get(self.lie, {})
        for missing in ("exp", "nonce", "sub", "iss", "aud"):
            if self.lie == f"no-{missing}":
                del claims[missing]
        header = {"alg": "RS256", "kid": "1"}
        if self.lie == "signature":
            return jwt.encode(header, claims, self.other)
        if self.lie == "public-key-as-secret":
            said = f"{_part({'alg': 'HS256', 'kid': '1'})}.{_part(claims)}"
            made = hmac.digest(self.key.as_pem(private=False), said.encode(), "sha256")
            return f"{said}.{_base64(made)}"
        if self.lie == "unsigned":
            return f"{_part({'alg': 'none', 'kid': '1'})}.{_part(claims)}."
        if self.lie == "own-key":
            mine = ECKey.generate_key("P-256")
            return jwt.encode({"alg": "ES256", "jwk": mine.as_dict(private=False)}, claims, mine)
        if self.lie == "garbage":
            return "not.a.token"
        return jwt.encode(header, claims, self.key)


@pytest.fixture(scope="module")
def lied_to(tmp_path_factory) -> Iterator[tuple[Office, Liar]]:
    liar = Liar()

    @contextmanager
    def opened(_callback: str) -> Iterator[str]:
        yield liar.issuer

    with house(tmp_path_factory.mktemp("lied"), opened) as found:
        yield found, liar
    liar.close()


@pytest.mark.parametrize(
    "lie",
    ["", "iss", "aud", "azp", "exp", "future", "nonce", "no-exp", "no-nonce", "no-sub", "no-iss", "no-aud",
     "signature", "public-key-as-secret", "unsigned", "own-key", "garbage"],
)  # fmt: skip
def test_an_id_token_that_does_not_hold_is_refused(lied_to, lie) -> None:
    office, liar = lied_to
    browser = office.client()
    asked = parse_qs(urlsplit(browser.get("/oidc/start").headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    assert "openid" in asked["scope"][0].split()
    liar.lie, liar.nonce = lie, asked["nonce"][0]
    answer = browser.get("/oidc/callback", params={"code": "c", "state": asked["state"][0]})
    if lie == "":
        assert answer.status_code == 303
        assert browser.get("/me").json()["id"] == "amina"
    else:
        office.door.is_problem(answer, 403)
        assert browser.get("/me").status_code == 401
        liar.lie = ""


@pytest.mark.parametrize(
    "answer", [{"state": "x"}, {}, {"iss": "https://elsewhere.example"}, {"error": "access_denied"}]
)
def test_an_answer_that_does_not_fit_is_refused(lied_to, answer) -> None:
    office, _ = lied_to
    browser = office.client()
    asked = parse_qs(urlsplit(browser.get("/oidc/start").headers["location"]).query)
    given = ({"state": asked["state"][0]} if answer else {}) | {"code": "c"} | answer
    office.door.is_problem(browser.get("/oidc/callback", params=given), 403)


@pytest.mark.parametrize(
    ("onward", "page"),
    [
        ("/movements?known=x", "/movements?known=x"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\nb", "/"),
        ("/api/v1/oidc/start", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_to_no_other_site(onward, page) -> None:
    assert own_page(onward) == page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"oidc_issuer": "http://login.example"}, "https"),
        ({"oidc_client_id": ""}, "oidc_client_id"),
        ({"origin": ""}, "access.origin"),
        ({"oidc_roles": {"a": "king"}}, "no role"),
        ({"oidc_roles": {}}, "nobody"),
        ({"oidc_client_secret_file": "/nowhere"}, "cannot be read"),
    ],
)
def test_settings_that_cannot_work_are_refused(change, words) -> None:
    good = {
        "oidc_issuer": "https://login.example",
        "oidc_client_id": "cocket",
        "origin": "https://cocket.example",
        "oidc_roles": ROLES,
    }
    Provider(Access(**good), WallClock())
    with pytest.raises(BadSetting, match=words):
        Provider(Access(**{**good, **change}), WallClock())
