"""A line of the log is one line, whatever was sent; it says which request it is of, and no body or secret."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.web.conftest import NDJSON, Door

from cocket.core import logs


def line(formatter: logging.Formatter, message: str, *args: object, **extra: object) -> str:
    record = logging.LogRecord("cocket.test", logging.WARNING, "x.py", 1, message, args, None)
    record.__dict__.update(extra)
    return formatter.format(record)


HOSTILE = [
    "two\nlines\r\nand {}",
    '"},{"level":"error"',
    "\x1b[2J\x1b]0;owned\x07",
    "\u2028\u2029\x85",
    "\u202egnihtyna",
    "null\x00byte",
    "\ud83d half",
    "x" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_in_its_line(text: str) -> None:
    for formatter in (logs.Json(), logs.Text()):
        shown = line(formatter, "the device said %s", text, device=text, request_id=text)
        assert len(shown.splitlines()) == 1
        assert shown.isprintable()
        assert len(shown) < 60_000
    found = json.loads(line(logs.Json(), "the device said %s", text))
    assert set(found) == {"time", "level", "logger", "message"}
    assert found["level"] == "warning"


@given(st.text(st.characters()))
def test_any_text_is_one_object(text: str) -> None:
    shown = line(logs.Json(), "%s", text, connection=7)
    assert len(shown.splitlines()) == 1
    found = json.loads(shown)
    assert found["connection"] == 7
    assert "\x1b" not in found["message"]
    assert "\n" not in found["message"]


def test_an_error_has_its_place_in_the_same_line() -> None:
    try:
        int("a\nb\x1b[31m")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "it broke", (), sys.exc_info())
    shown = logs.Json().format(record)
    assert len(shown.splitlines()) == 1
    found = json.loads(shown)
    assert found["error"] == "ValueError"
    assert "test_logs.py" in found["where"]
    plain = logs.Text().format(record)
    assert "\x1b" not in plain
    assert all(text.startswith("    ") for text in plain.splitlines()[1:])


def test_facts_of_the_moment() -> None:
    with logs.told(request_id="r1"):
        with logs.told(connection=3, device="SEAL-1"):
            found = json.loads(line(logs.Json(), "x"))
        assert (found["request_id"], found["connection"], found["device"]) == ("r1", 3, "SEAL-1")
        assert "connection" not in json.loads(line(logs.Json(), "x"))
    assert "request_id" not in json.loads(line(logs.Json(), "x"))


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """What the server of this process writes, as JSON lines."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.Json())
    logger = logging.getLogger("cocket")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield out
    logger.setLevel(before)
    logger.removeHandler(handler)


def lines(out: io.StringIO, logger: str) -> list[dict]:
    return [found for text in out.getvalue().splitlines() if (found := json.loads(text))["logger"] == logger]


def test_requests_have_a_line_and_an_id(watched: Door, told: io.StringIO) -> None:
    secret = watched.name("D")
    row = {"device_id": secret, "observed_at": watched.at(-1)}
    mine = watched.http.post(
        "/observations", content=json.dumps(row), headers={**NDJSON, "x-request-id": "req-1.a:b"}
    )
    assert mine.headers["x-request-id"] == "req-1.a:b"
    gone = watched.http.get(f"/alerts/{secret}", params={"token": "hush"})
    assert gone.json()["request_id"] == gone.headers["x-request-id"]
    watched.until(lambda: len(lines(told, "cocket.access")) == 2)
    first, second = lines(told, "cocket.access")
    assert (first["request_id"], first["method"], first["route"], first["status"]) == (
        "req-1.a:b",
        "POST",
        "/api/v1/observations",
        200,
    )
    assert first["trace_id"] == mine.headers["traceparent"][3:35]
    assert second["request_id"] == gone.headers["x-request-id"]
    assert second["route"] == "/api/v1/alerts/{alert_id}"
    assert second["status"] in {404, 422}
    assert second["ms"] >= 0
    for hidden in (secret, "hush"):
        assert hidden not in told.getvalue()


@pytest.mark.parametrize("sent", ["a" * 65, "two words", "a\tb", "", "-x", 'x"y', "é", "a;b", "%0a"])
def test_an_unsafe_request_id_is_not_taken(watched: Door, sent: str) -> None:
    answer = watched.http.get("/health", headers=[("x-request-id", sent.encode())])
    assert answer.headers["x-request-id"] != sent
    assert answer.headers["x-request-id"].isalnum()


def test_a_server_of_its_own_writes_json_lines(tmp_path) -> None:
    settings = tmp_path / "s.toml"
    settings.write_text('[watching]\nlog_format = "json"\nlog_level = "info"\n')
    command = [sys.executable, "-m", "cocket", "serve", "--data", str(tmp_path / "d"), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--settings", str(settings)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/api/v1/nothing/%1b%5b31m%0a").status_code == 404
        process.terminate()
        _, written = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    found = [json.loads(text) for text in written.splitlines()]
    assert {"time", "level", "logger", "message"} <= set(found[0])
    (access,) = [f for f in found if f["logger"] == "cocket.access"]
    assert (access["status"], access["route"]) == (404, "other")
