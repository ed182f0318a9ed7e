"""The conformance kit on itself: a good simulator passes, and each fault that it looks for is found."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.conftest import now_us, seal_frame

from cocket.checks.conform import Times, conform

TIMES = Times(listen_s=2.5, wait_s=4.0, away_s=3.0)
SEAL = "8000000001"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def report_of(tmp_path: Path, device: Callable[[int], None], times: Times = TIMES) -> dict[str, Any]:
    port = free_port()
    thread = threading.Thread(target=device, args=(port,), daemon=True)
    thread.start()
    code = conform("jt701", "127.0.0.1", port, times, tmp_path / "r", as_json=False)
    report = json.loads((tmp_path / "r.json").read_text())
    assert code == (0 if report["approved"] else 1)
    page = (tmp_path / "r.html").read_text()
    assert all(line["asks"] in page for line in report["checks"])
    return {line["name"]: line for line in report["checks"]} | {"report": report}


@contextmanager
def calling(port: int) -> Iterator[socket.socket]:
    for _ in range(200):
        try:
            s = socket.create_connection(("127.0.0.1", port), 5)
        except OSError:
            time.sleep(0.02)
        else:
            with s:
                s.settimeout(5)
                yield s
            return
    raise AssertionError("nobody listens")


def simulator(*extra: str) -> Callable[[int], None]:
    def run(port: int) -> None:
        time.sleep(0.3)
        subprocess.run(
            [sys.executable, "-m", "cocket", "simulate", "jt701", "--to", f"127.0.0.1:{port}", "--interval", "0.5",
             "--for", "14", "--answer", "1", *extra],
            check=False, capture_output=True,
        )  # fmt: skip

    return run


def test_a_good_device_may_be_approved(tmp_path: Path) -> None:
    got = report_of(tmp_path, simulator("--lock-events", "0.4"))
    assert {
        n: line["verdict"] for n, line in got.items() if n != "report" and line["verdict"] != "passed"
    } == {}
    assert got["report"]["approved"]
    assert got["report"]["device_id"] == "8000000000"
    assert got["resending"]["proof"]


def test_a_lock_that_nobody_works_is_not_shown(tmp_path: Path) -> None:
    got = report_of(tmp_path, simulator())
    assert got["lock-events"]["verdict"] == "not-shown"
    assert "work the lock" in got["lock-events"]["found"]
    assert not got["report"]["approved"]


def test_a_clock_in_another_time_zone_fails(tmp_path: Path) -> None:
    def device(port: int) -> None:
        with calling(port) as s:
            for i in range(4):
                s.sendall(seal_frame(SEAL, i, observed_us=now_us() + 8 * 3600 * 1_000_000 + i * 1_000_000))
                s.recv(100)

    got = report_of(tmp_path, device, Times(1.0, 0.5, 0.5))
    assert got["time"]["verdict"] == "failed"
    assert "time zone" in got["time"]["found"]
    assert got["re-upload"]["verdict"] == "failed"


def test_noise_and_a_device_that_does_not_send_again_fail(tmp_path: Path) -> None:
    def device(port: int) -> None:
        with calling(port) as s:
            end = time.monotonic() + 3
            i = 0
            try:
                while time.monotonic() < end:
                    s.sendall(b"\x00\xff\xfe" + seal_frame(SEAL, i, observed_us=now_us() + i * 1_000_000))
                    i += 1
                    time.sleep(0.2)
            except OSError:
                return

    got = report_of(tmp_path, device, Times(1.0, 1.0, 0.5))
    assert got["framing"]["verdict"] == "failed"
    assert got["resending"]["verdict"] == "failed"
    assert got["resending"]["proof"]


def test_silence(tmp_path: Path) -> None:
    got = report_of(tmp_path, lambda _port: None, Times(0.2, 0.2, 0.2))
    assert got["connects"]["verdict"] == "failed"
    assert "pointed" in got["connects"]["found"]


@pytest.mark.parametrize(
    ("name", "said"), [("jt70", "did you mean 'jt701'"), ("osmand", "not spoken over TCP")]
)
def test_what_cannot_be_driven(name: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cocket", "conform", name, "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
