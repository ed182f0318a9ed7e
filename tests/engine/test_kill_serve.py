"""The real server, killed while it takes bodies over HTTP: what it answered 200 to is there, and so is every alert."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from cocket.core.clock import rfc3339
from cocket.engine.service import Service

from . import feed

NDJSON = {"content-type": "application/x-ndjson"}


def _serve(data: Path) -> tuple[subprocess.Popen[str], str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "cocket", "serve", "--data", str(data), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    url = child.stdout.readline().strip()
    assert url.startswith("http://"), "the server did not say where it listens"
    return child, url + "/api/v1"


def test_kill_9_over_http(tmp_path: Path) -> None:
    expected = feed.oracle(tmp_path / "oracle")
    data = tmp_path / "data"
    with Service.open(data, feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
    rng = random.Random(7)
    todo = feed.bodies()
    for life in range(4):
        child, url = _serve(data)
        try:
            share = todo if life == 3 else todo[: rng.randrange(3, 9)]
            for body in share:
                httpx.post(f"{url}/observations", content=body, headers=NDJSON, timeout=60).raise_for_status()
            todo = todo[len(share) :]
            if life == 3:
                _compare(url, expected)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()


def _compare(url: str, expected: list[tuple[object, ...]]) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:
        end = time.monotonic() + 60
        found: list[tuple[object, ...]] = []
        wanted = sorted((r[0], r[1], r[2], rfc3339(r[5]), r[6] and rfc3339(r[6]), r[7]) for r in expected)
        while time.monotonic() < end:
            stats = client.get("/stats").json()
            items = client.get("/alerts", params={"limit": 500, "superseded": False}).json()["items"]
            found = sorted(
                (a["id"], a["code"], a["severity"], a["began_at"], a["ended_at"], a["count"]) for a in items
            )
            if not stats["lag_observations"] and found == wanted:
                break
            time.sleep(0.1)
        assert found == wanted
        assert stats["observations"] == len(feed.rows())
