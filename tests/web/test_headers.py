"""Every page and every answer says what a browser may do with it: no foreign code, no framing, no guessing, no camera but where codes are read."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from cocket.core.clock import WallClock
from cocket.core.config import Settings
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.web.app import create_app
from cocket.web.control_room import STATIC
from cocket.web.rights.table import RIGHTS

PAGES = (
    "/",
    "/map",
    "/movements",
    "/movements/26NL1",
    "/scan",
    "/trip/abc",
    "/stamp",
    "/desk",
    "/owner",
    "/api/docs",
)


@pytest.fixture(scope="module")
def browsers(tmp_path_factory):
    """The same application over plain HTTP, and over TLS."""
    with (
        Service.open(tmp_path_factory.mktemp("headers") / "d", WallClock(), Settings()) as service,
        Gateway(service) as gateway,
    ):
        app = create_app(service, Settings(), gateway)
        with TestClient(app, base_url="http://localhost") as plain:
            yield plain, TestClient(app, base_url="https://localhost")


def paths() -> list[str]:
    reads = [re.sub(r"\{\w+\}", "1", r.path) for r in RIGHTS if r.method == "GET" and "/stream" not in r.path]
    files = (
        [f"/{f.relative_to(STATIC).as_posix()}" for f in STATIC.rglob("*") if f.is_file()]
        if STATIC.is_dir()
        else []
    )
    return [*PAGES, *reads, *files, "/api/v1/none", "/assets/none.js", "/..%2f..%2fetc/passwd"]


def directives(answer) -> dict[str, list[str]]:
    policy = answer.headers["content-security-policy"]
    return {part.split()[0]: part.split()[1:] for part in policy.split(";") if part.strip()}


def test_every_answer_carries_what_keeps_a_browser_safe(browsers) -> None:
    plain, tls = browsers
    asked = paths()
    assert len(asked) > 80
    for path in asked:
        answer = plain.get(path, follow_redirects=False)
        headers = answer.headers
        rules = directives(answer)
        assert rules["default-src"] == ["'none'"], path
        assert rules["object-src"] == rules["base-uri"] == ["'none'"], path
        assert rules["frame-ancestors"] == ["'none'"], path
        for name, sources in rules.items():
            assert "'unsafe-eval'" not in sources, path
            assert "*" not in sources, path
            if name != "style-src-attr":
                assert "'unsafe-inline'" not in sources, (path, name)
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert headers["x-frame-options"] == "DENY", path
        assert headers["cross-origin-opener-policy"] == "same-origin", path
        assert headers["cross-origin-resource-policy"] == "same-origin", path
        assert "server" not in headers, path
        camera = re.search(r"camera=\(([^)]*)\)", headers["permissions-policy"])[1]
        assert camera == (
            "" if path.startswith("/api") or "/assets/" in path or answer.status_code >= 400 else camera
        )
        assert camera in {"", "self"}, path
        assert "strict-transport-security" not in headers, (
            "over plain HTTP it would be ignored (RFC 6797, 7.2)"
        )
        if path.startswith("/api/"):
            assert headers["cache-control"] == "no-store", path
    for path in (*PAGES, "/api/v1/health", "/api/v1/none"):
        assert tls.get(path).headers["strict-transport-security"] == "max-age=31536000; includeSubDomains", (
            path
        )


def test_no_page_has_a_script_or_a_handler_in_it(browsers) -> None:
    plain, _ = browsers
    for path in PAGES:
        page = plain.get(path).text
        scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL | re.IGNORECASE)
        assert all("src=" in attributes and not body.strip() for attributes, body in scripts), path
        assert not re.search(r"<[^>]+\son\w+\s*=", page), path
        assert "javascript:" not in page, path


def test_a_refused_change_carries_them_too(browsers) -> None:
    plain, _ = browsers
    for answer in (
        plain.put("/api/v1/movements/x", content=b"{", headers={"content-type": "application/json"}),
        plain.post("/api/v1/observations", content=b"x", headers={"content-type": "text/plain"}),
        plain.get("/api/v1/health", headers={"host": "evil.example"}),
    ):
        assert answer.status_code >= 400
        assert directives(answer)["default-src"] == ["'none'"]
        assert answer.headers["x-content-type-options"] == "nosniff"
