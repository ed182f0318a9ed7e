"""Half an hour of mixed load with a fault every twenty seconds: nothing lost, nothing doubled, the same alerts, flat memory.

`make soak`. COCKET_SOAK_S makes it shorter or longer (seconds). Load: devices over HTTP, one body after the other from each of several
senders; people who declare and triage; the live stream. Faults: kill -9 and pauses of workers, doors, NATS servers and PostgreSQL.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest
from tests.engine import feed
from tests.production.checker import FIELDS, Client, declare

from cocket.core.clock import US, WallClock, rfc3339
from cocket.engine.service import Service
from cocket.up import Production

SECONDS = float(os.environ.get("COCKET_SOAK_S", "1800"))
FAULT_S = 20.0
ROWS = 8
"""Observations of one body."""


def row(k: int, i: int) -> dict[str, object]:
    """The ``i``-th observation of truck ``k``: a minute each, to and fro in the corridor, with incidents now and then."""
    along = i % 160
    lat = -1.0 + 0.006 * (along if along < 80 else 160 - along)
    away = k % 4 == 3 and i % 97 in range(20, 26)
    still = k % 4 == 2 and i % 131 in range(40, 55)
    return {
        "device_id": f"SEAL{k:02d}",
        "observed_at": rfc3339(feed.START_US + i * 60 * US + k * US),
        "sequence": i,
        "lat_deg": round(lat, 6),
        "lon_deg": 36.0 + (0.05 if away else 0.0),
        "speed_mps": 0.0 if still else 11.0,
        "fix_valid": True,
        "locked": not (k % 6 == 5 and i % 211 in range(100, 103)),
        "rope_inserted": True,
        "rope_cut": k % 5 == 0 and i % 173 in range(60, 64),
        "battery_pct": float(60 - i % 55),
    }


class Senders:
    """One thread a truck: each body is sent until it is acknowledged, then the next. ``sent`` is how far each is."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        self.sent = [0] * feed.TRUCKS
        self.failures: list[BaseException] = []
        self._url = url
        self._stop = stop
        self._threads = [threading.Thread(target=self._work, args=(k,)) for k in range(feed.TRUCKS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        assert not self.failures, self.failures

    def _work(self, k: int) -> None:
        rng = random.Random(k)
        client = Client(self._url, patience_s=300)
        try:
            while not self._stop.is_set():
                first = self.sent[k]
                if k % 7 == 4 and first % 400 == 200:  # out of coverage for a while: silence
                    self.sent[k] = first = first + 45
                rows = [row(k, i) for i in range(first, first + ROWS)]
                if rng.random() < 0.1:
                    rng.shuffle(rows)
                body = b"\n".join(map(msgspec.json.encode, rows))
                receipt = client.send(body)
                assert not receipt["rejected"], receipt
                if rng.random() < 0.05:
                    client.send(body)
                self.sent[k] = first + ROWS
                self._stop.wait(0.25)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            self.failures.append(error)


def _people(url: str, stop: threading.Event, failures: list[BaseException]) -> None:
    """Somebody who acknowledges alerts, declares movements, and looks at pages."""
    client = Client(url, patience_s=300)
    n = 0
    try:
        while not stop.wait(1.0):
            n += 1
            client.until("PUT", f"/movements/OTHER{n % 50:03d}", json={"departed_at": rfc3339(feed.START_US)})
            page = client.until("GET", "/alerts", params={"limit": 5, "state": "raised"})
            for alert in page["items"][:1]:
                with contextlib.suppress(httpx.TransportError):
                    client.http.post(f"/alerts/{alert['id']}/acknowledge", json={}, params={"by": "amina"})
            client.until("GET", "/stats")
    except BaseException as error:  # noqa: BLE001 - told by the test's own thread
        failures.append(error)


def _faults(site: Production, rng: random.Random) -> list[tuple[str, Callable[[], None]]]:
    def kill(pid: int | None) -> None:
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pause(pid: int | None, seconds: float) -> None:
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(pid, signal.SIGCONT)

    return [
        ("a worker is killed", lambda: kill(rng.choice(site.workers).pid)),
        ("all workers are killed", lambda: [kill(w.pid) for w in site.workers] and None),
        (
            "a worker stands still",
            lambda: pause(rng.choice(site.workers).pid, site.wanted.lease_s + rng.random() * 4),
        ),
        ("the doors are killed", lambda: kill(site.web.pid)),
        ("a NATS server is killed", lambda: rng.choice(site.nats.nodes).kill()),
        ("a NATS server stands still", lambda: pause(rng.choice(site.nats.nodes).pid, 3 + rng.random() * 4)),
        ("PostgreSQL is killed", site.postgres.kill),
    ]


def _memory(site: Production) -> dict[str, float]:
    """Resident memory by process number, MB."""
    found = {}
    for pid in (*(w.pid for w in site.workers), site.web.pid):
        with contextlib.suppress(psutil.NoSuchProcess, TypeError):
            found[f"{pid}"] = psutil.Process(pid).memory_info().rss / 1e6
    return found


@pytest.mark.soak
def test_half_an_hour_of_faults(site: Production, tmp_path: Path) -> None:
    rng = random.Random(7)
    client = Client(site.url, patience_s=300)
    declare(client)
    stop = threading.Event()
    senders, failures = Senders(site.url, stop), []
    people = threading.Thread(target=_people, args=(site.url, stop, failures))
    senders.start()
    people.start()
    memory: dict[str, list[float]] = {}
    faults = _faults(site, rng)
    done: list[str] = []
    end = time.monotonic() + SECONDS
    due = time.monotonic() + FAULT_S
    while time.monotonic() < end and not senders.failures and not failures:
        site.look()
        if time.monotonic() >= due:
            name, fault = rng.choice(faults)
            fault()
            done.append(name)
            due = time.monotonic() + FAULT_S
        for pid, mb in _memory(site).items():
            memory.setdefault(pid, []).append(mb)
        time.sleep(0.5)
    stop.set()
    while any(t.is_alive() for t in (*senders._threads, people)):
        site.look()
        time.sleep(0.2)
    senders.join()
    people.join()
    assert not failures, failures
    client.settled(600)
    rows = [row(k, i) for k in range(feed.TRUCKS) for i in _kept(k, senders.sent[k])]
    stats = client.until("GET", "/stats")
    print(f"{len(done)} faults, {len(rows)} observations; {stats}")
    _until_booked(client, len(rows))
    stats = client.until("GET", "/stats")
    assert stats["rejected"] == 0
    assert stats["observations"] == len(rows)
    assert _alerts(client) == _oracle(tmp_path / "one", rows)
    for pid, series in memory.items():
        if (
            len(series) > 240
        ):  # lived two minutes: after the first it may not grow by more than a fifth and 60 MB
            early, late = max(series[120:180]), max(series[-60:])
            assert late < early * 1.2 + 60, (pid, early, late)


def _until_booked(client: Client, rows: int) -> None:
    """The sums follow within a second or two."""
    for _ in range(100):
        if client.until("GET", "/stats")["observations"] >= rows:
            return
        time.sleep(0.1)


def _kept(k: int, sent: int) -> list[int]:
    found, i = [], 0
    while i < sent:
        if k % 7 == 4 and i % 400 == 200:
            i += 45
        found += range(i, i + ROWS)
        i += ROWS
    return found


def _alerts(client: Client) -> list[tuple[Any, ...]]:
    return [a for a in client.alerts() if str(a[FIELDS.index("mrn")]).startswith("MRN")]


def _oracle(folder: Path, rows: list[dict[str, object]]) -> list[tuple[Any, ...]]:
    """What comes of the same observations, once each and in order, in one undisturbed process."""
    rows = sorted(rows, key=lambda r: str(r["observed_at"]))
    with Service.open(folder, WallClock(), feed.SETTINGS) as service:
        feed.declare(service)
        for a in range(0, len(rows), 5000):
            feed.send(service, b"\n".join(map(msgspec.json.encode, rows[a : a + 5000])))
        feed.settle(service)
        found, cursor = [], None
        while True:
            page, cursor = service.folder.alerts.page({"superseded": False}, cursor, 500, "newest")
            found += [tuple(r[f] for f in FIELDS) for r in page]
            if cursor is None:
                return sorted(found, key=str)
