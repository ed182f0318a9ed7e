"""Sends the small corridor of ``tests/engine/feed`` to a site while it is disturbed, and compares with one undisturbed machine."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpx
from tests.engine import feed

TRACED = "TRACED"
"""Movements of tests beside the feed."""

FIELDS = ("id", "code", "severity", "mrn", "device_id", "count", "subject")
_NDJSON = {"content-type": "application/x-ndjson"}


class Client:
    """Of a site's web door. What is refused for now is sent again, as a device would."""

    def __init__(self, url: str, patience_s: float = 90) -> None:
        self.patience_s = patience_s
        self.http = httpx.Client(base_url=f"{url}/api/v1", timeout=60)
        self.refused = 0

    def until(self, method: str, path: str, **more: Any) -> Any:
        """The answer to a request, sent until it is taken."""
        end = time.monotonic() + self.patience_s
        while True:
            try:
                answer = self.http.request(method, path, **more)
                if answer.is_success:
                    return answer.json()
                said = answer.text
                assert answer.status_code in {429, 503}, said
            except httpx.TransportError as error:
                said = str(error)
            self.refused += 1
            assert time.monotonic() < end, said
            time.sleep(0.1)

    def send(self, body: bytes) -> dict[str, Any]:
        """One body of observations."""
        return self.until("POST", "/observations", content=body, headers=_NDJSON)

    def settled(self, seconds: float = 120) -> None:
        """Until everything stored is detected, several times in a row: ticks and re-runs follow on their own."""
        end = time.monotonic() + seconds
        still = 0
        while still < 5:
            stats = self.until("GET", "/stats")
            still = still + 1 if stats["lag_observations"] == 0 else 0
            assert time.monotonic() < end, stats
            time.sleep(0.1)

    def pages(self, path: str, **params: Any) -> Iterable[dict[str, Any]]:
        """Every item of a list."""
        cursor = None
        while True:
            page = self.until("GET", path, params={**params, **({"cursor": cursor} if cursor else {})})
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return

    def alerts(self) -> list[tuple[Any, ...]]:
        """The alerts of the feed's movements that hold."""
        items = self.pages("/alerts", superseded="false", limit=200)
        return sorted(
            (tuple(a.get(f) for f in FIELDS) for a in items if not (a["mrn"] or "").startswith(TRACED)),
            key=str,
        )


def declare(client: Client) -> None:
    """The corridor, the zone, the movements and the bindings of the feed, over HTTP."""
    client.until("PUT", "/corridors/north", json=feed.CORRIDOR)
    client.until("PUT", "/zones/quarry", json=feed.ZONE)
    for k in range(feed.TRUCKS):
        client.until("PUT", f"/movements/MRN{k:02d}", json=feed.movement())
        client.until("POST", "/bindings", json=feed.binding(k))


def sent(
    client: Client,
    bodies: list[bytes],
    senders: int = 4,
    pace_s: float = 0.0,
    until: threading.Event | None = None,
) -> int:
    """Send bodies from several threads at once, and then again and again ``until`` told; how many observations were acknowledged."""
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for body in bodies:
        waiting.put(body)
    acknowledged: list[int] = []
    failures: list[BaseException] = []

    rng = random.Random(3)

    def work() -> None:
        try:
            while True:
                try:
                    body = waiting.get_nowait()
                except queue.Empty:
                    if until is None or until.is_set():
                        return
                    body = rng.choice(bodies)
                receipt = client.send(body)
                time.sleep(pace_s)
                acknowledged.append(receipt["accepted"] + receipt["duplicates"])
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    return sum(acknowledged)


def stored(client: Client) -> dict[int, int]:
    """How many observations history shows of each truck; in the order of time, and none twice."""
    found = {}
    for k in range(feed.TRUCKS):
        track = client.until("GET", f"/movements/MRN{k:02d}/track", params={"max_points": 100_000})
        properties = track["features"][0]["properties"]
        times = properties["columns"]["observed_at"]
        assert times == sorted(times)
        assert len(times) == len(set(times))
        found[k] = properties["rows"]
    return found
