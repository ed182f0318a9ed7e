"""The frame around the doors: errors, headers, pages, metrics, the end of the server."""

import html
import re
import signal
import subprocess
import sys
import threading

import httpx
import pytest

from cocket.core.errors import BadSetting
from cocket.web.control_room import ControlRoom, content_security_policy
from cocket.web.server import listening


def test_health(door, small) -> None:
    health = door.http.get("/health").json()
    assert (health["status"], health["demo"], health["clock"]) == (
        "ok",
        False,
        {"kind": "wall", "speed": 1.0},
    )
    assert abs(len(health["now"]) - 27) < 8
    assert small.http.get("/health").json()["demo"] is True


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/health", "/api/v1/health/", "/a.js"],
)
def test_unknown_addresses(door, path) -> None:
    assert path in door.is_problem(httpx.get(door.url + path), 404)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/zones/x", "DELETE, GET, PUT"),
        ("DELETE", "/health", "GET"),
        ("PUT", "/observations", "POST"),
        ("TRACE", "/alerts", "GET"),
        ("GET", "/quarantine/1/replay", "POST"),
    ],
)
def test_unknown_methods(door, method, path, allow) -> None:
    answer = door.http.request(method, path)
    door.is_problem(answer, 405)
    assert answer.headers["allow"] == allow


def test_a_fault_of_ours_is_a_problem_too(door, monkeypatch) -> None:
    def broken():
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(door.service, "stats", broken)
    problem = door.is_problem(door.http.get("/stats"), 500)
    assert "secret" not in str(problem)


def test_every_answer_carries_the_headers(door) -> None:
    for path in ("/api/v1/health", "/api/v1/nothing", "/", "/api/docs", "/metrics"):
        headers = httpx.get(door.url + path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"


def test_metrics(door) -> None:
    door.cut()
    door.observe({"device_id": "x"}, {"device_id": door.name("D"), "observed_at": door.at(-1)})
    text = httpx.get(f"{door.url}/metrics").text
    figures = dict(re.findall(r"^(cocket_\S+) (\S+)$", text, re.MULTILINE))
    stats = door.http.get("/stats").json()
    assert float(figures['cocket_rows_total{result="accepted"}']) == stats["observations"]
    assert float(figures['cocket_rows_total{result="rejected"}']) == stats["rejected"] > 0
    assert float(figures['cocket_alerts_total{code="seal-cut"}']) == stats["alerts_by_code"]["seal-cut"]
    assert figures["cocket_detectors_up"] == "1.0"
    assert door.http.get("/metrics").status_code == 200


def test_the_api_page_needs_nothing_from_elsewhere(door) -> None:
    answer = httpx.get(f"{door.url}/api/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script" not in answer.text
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", answer.text)
    document = httpx.get(f"{door.url}/api/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert f"<code>{path}</code>" in answer.text
            assert html.escape(operation["summary"]) in answer.text
            assert operation["description"]


def test_demo_story(door, small) -> None:
    door.is_problem(door.http.get("/demo"), 404)
    door.is_problem(door.http.put("/demo", json={"real": [], "simulated": []}), 405)
    story = {"real": ["positions"], "simulated": ["seals"], "progress": 0.5, "table": None}
    small.is_problem(small.http.get("/demo"), 404)
    assert small.http.put("/demo", json=story).json() == story
    assert small.http.get("/demo").json() == story
    small.is_problem(small.http.put("/demo", json={"real": 5}), 422)
    small.is_problem(small.http.put("/demo", json={**story, "stop_at": "soon"}), 422)


def room(tmp_path, built: bool = True) -> httpx.Client:
    root = tmp_path / "static"
    if built:
        (root / "assets").mkdir(parents=True)
        (root / "index.html").write_text("<title>room</title>")
        (root / "assets" / "a-1.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    return httpx.Client(transport=httpx.ASGITransport(ControlRoom("", root)), base_url="http://x")


def get(client: httpx.Client, path: str) -> httpx.Response:
    import asyncio

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=client._transport, base_url="http://x") as asking:
            return await asking.get(path)

    return asyncio.run(ask())


def test_the_control_room_is_served(tmp_path) -> None:
    client = room(tmp_path)
    for path in ("/", "/movements/26NL0004327A1B2C35", "/alerts"):
        answer = get(client, path)
        assert "room" in answer.text
        assert answer.headers["cache-control"] == "no-cache"
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    asset = get(client, "/assets/a-1.js")
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["content-type"].startswith("text/javascript")
    for path in ("/assets/none.js", "/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt"):
        with pytest.raises(Exception, match="404"):
            assert "secret" not in get(client, path).text


def test_an_unbuilt_control_room_says_how_to_build_it(tmp_path) -> None:
    answer = get(room(tmp_path, built=False), "/")
    assert answer.status_code == 200
    assert "make ui" in answer.text


def test_own_tiles_may_be_loaded() -> None:
    assert "img-src 'self' data: blob: https://*.tile.example" in content_security_policy(
        "https://{s}.tile.example/{z}/{x}/{y}.png"
    )
    assert "tile" not in content_security_policy("")


def test_a_taken_port_is_told() -> None:
    with listening("127.0.0.1", 0) as sock:
        sock.listen()
        with pytest.raises(BadSetting, match="--port"):
            listening("127.0.0.1", sock.getsockname()[1])


def test_sigterm_ends_streams_and_process(tmp_path) -> None:
    command = [sys.executable, "-m", "cocket", "serve", "--data", str(tmp_path / "d"), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        assert httpx.get(f"{url}/api/v1/health").status_code == 200
        with httpx.stream("GET", f"{url}/api/v1/stream", timeout=60) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "retry: 1000"
            threading.Timer(0.2, process.send_signal, [signal.SIGTERM]).start()
            assert ": the server ends" in list(lines)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
