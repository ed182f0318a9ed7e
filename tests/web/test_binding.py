"""Where the door may listen, who is believed about whom, and what foreign pages cannot do, without sign-in."""

import os
import subprocess
import sys

import httpx
import pytest

from cocket.core.config import Access, Http, Settings
from cocket.core.errors import BadSetting
from cocket.web import binding
from cocket.web.peer import Peers

PROXIED = Settings(access=Access(sign_in=True, trusted_proxies=("10.0.0.1",)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_sign_in(host) -> None:
    binding.check(Settings(), host)
    binding.check(Settings(), host, demo=True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.7", "2001:db8::1"])
def test_elsewhere_sign_in_and_a_shut_envelope_are_wanted(host) -> None:
    with pytest.raises(BadSetting, match=r"access\.sign_in = true"):
        binding.check(Settings(), host)
    with pytest.raises(BadSetting, match=r"http\.tls_certificate"):
        binding.check(Settings(access=Access(sign_in=True)), host)
    binding.check(PROXIED, host)
    binding.check(Settings(access=Access(sign_in=True), http=Http(tls_certificate="c.pem")), host)
    with pytest.raises(BadSetting, match="demo"):
        binding.check(Settings(), host, demo=True)
    with pytest.raises(BadSetting, match="demo"):
        binding.check(PROXIED, host, demo=True)


def test_a_name_that_means_nothing_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"no address of this machine"):
        binding.check(Settings(), "no-such-host.invalid")


def test_the_command_refuses_at_once(tmp_path) -> None:
    command = [sys.executable, "-m", "cocket", "serve", "--data", str(tmp_path / "d"), "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert done.returncode == 2
    assert "access.sign_in = true" in done.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("client", "fields", "expected"),
    [
        ("192.0.2.9", {"x-forwarded-for": "10.9.9.9", "x-forwarded-proto": "https"}, ("192.0.2.9", "http")),
        ("10.0.0.1", {"x-forwarded-for": "192.0.2.9", "x-forwarded-proto": "https"}, ("192.0.2.9", "https")),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6, 192.0.2.9, 10.0.0.1"}, ("192.0.2.9", "http")),
        ("10.0.0.1", {}, ("10.0.0.1", "http")),
    ],
    ids=["anybody", "proxy", "forged-first-hop", "silent-proxy"],
)
def test_only_a_trusted_proxy_is_believed(client, fields, expected) -> None:
    raw = [(k.encode(), v.encode()) for k, v in fields.items()]
    peer = Peers(PROXIED.access).of({"type": "http", "client": (client, 1), "scheme": "http", "headers": raw})
    assert (peer.address, peer.scheme) == expected


def test_a_wrong_proxy_is_named() -> None:
    with pytest.raises(BadSetting, match="'ten'"):
        Peers(Access(trusted_proxies=("ten",)))


@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_a_foreign_page_changes_nothing(door, fields) -> None:
    """Over the short way as over the router."""
    for path, kind in (("/observations", "application/x-ndjson"), ("/bindings", "application/json")):
        answer = door.http.post(path, content=b"{}", headers={"content-type": kind, **fields})
        problem = door.is_problem(answer, 403)
        assert "own pages" in problem["detail"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_its_own_page_does(door) -> None:
    fields = {"origin": door.url, "sec-fetch-site": "same-origin"}
    assert door.http.put(f"/movements/{door.name('MRN')}", json={}, headers=fields).status_code == 201


def test_no_foreign_name_can_be_lent_to_it(door) -> None:
    """DNS rebinding: the page's own name leads to loopback, so that its origin is the same."""
    answer = httpx.get(f"{door.url}/api/v1/health", headers={"host": "evil.example"})
    door.is_problem(answer, 403)
    for host in ("localhost:8460", "[::1]:8460", "x", "127.0.0.1"):
        assert httpx.get(f"{door.url}/api/v1/health", headers={"host": host}).status_code == 200
