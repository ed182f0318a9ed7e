"""kill -9 of the real server at random moments, while bodies come over HTTP, devices speak over TCP, papers and events come in
and people work on alerts: what was answered is there, once, in order, and the alerts are exactly the oracle's.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from tests.engine import feed
from tests.faults.history import History, track
from tests.faults.machine import NDJSON, Machine, free_port, until
from tests.gateway.conftest import seal_frame

from cocket.cli import main
from cocket.core.clock import US, parse_rfc3339, rfc3339
from cocket.engine.service import Service

DEVICES = ("7000000001", "7000000002")


class Load:
    """All lanes against one machine, which goes and comes."""

    def __init__(self, machine: Machine, door: int, seed: int) -> None:
        self.machine = machine
        self.door = door
        self.history = History()
        self.stop = threading.Event()
        self.bodies = feed.bodies(seed=1, size=12)
        self.told = threading.Lock()
        self.todo = list(range(len(self.bodies)))
        self.rng = random.Random(seed)
        self.failures: list[BaseException] = []
        lanes: list[Callable[[], None]] = [self.http, self.http, self.papers, self.people]
        lanes += [lambda device=d: self.device(device) for d in DEVICES]  # type: ignore[misc]
        self.threads = [threading.Thread(target=self._lane, args=(lane,)) for lane in lanes]

    def _lane(self, lane: Callable[[], None]) -> None:
        while not self.stop.is_set():
            try:
                lane()
            except (httpx.TransportError, OSError):
                self.stop.wait(0.05)  # killed: what was under way stays open
            except BaseException as error:  # noqa: BLE001 - the test fails on it
                self.failures.append(error)
                return

    def http(self) -> None:
        with self.machine.client() as client:
            while not self.stop.is_set():
                with self.told:
                    n = self.todo.pop(0) if self.todo else self.rng.randrange(len(self.bodies))
                sent = self.history.send("http", _rows(self.bodies[n]))
                try:
                    answer = client.post("/observations", content=self.bodies[n], headers=NDJSON)
                    good = answer.status_code == 200
                    self.history.ended(sent, "ok" if good else "no")
                    assert good or answer.status_code in {429, 503}, answer.text
                except httpx.TransportError:
                    good = False
                    raise
                finally:
                    if not good:
                        with self.told:
                            self.todo.append(n)
                time.sleep(0.003)

    def device(self, name: str) -> None:
        """As a device does: a frame at a time, the same again until it is answered."""
        with socket.create_connection(("127.0.0.1", self.door), 5) as line:
            line.settimeout(5)
            while not self.stop.is_set():
                done = len(self.history.of(name, "ok"))
                at = feed.START_US + done * US
                sent = self.history.send(name, [(name, at)])
                line.sendall(seal_frame(name, done % 60_000 + 1, observed_us=at, rope_cut=done == 20))
                if not line.recv(1024):
                    raise OSError("the line is closed")
                self.history.ended(sent, "ok")

    def papers(self) -> None:
        with self.machine.client() as client:
            while not self.stop.is_set():
                mrn = f"P{len(self.history.of('papers'))}"
                body = f"manifest: {mrn}\nbill of lading,container,description,packages,gross mass kg\nB{mrn},MSKU9070323,tea,1,2\n"
                sent = self.history.send("papers", (mrn, body))
                kept = client.post("/documents", params={"name": "m.csv"}, content=body.encode())
                assert kept.status_code == 201, kept.text
                self.history.ended(sent, "ok")
                self.history.ended(self.history.send("document", (kept.json()["id"], body)), "ok")
                client.put(f"/movements/{mrn}", json={}).raise_for_status()
                for event in ("lodge", "accept"):
                    sent = self.history.send("event", (mrn, event))
                    client.post(f"/movements/{mrn}/events", json={"event": event}).raise_for_status()
                    self.history.ended(sent, "ok")

    def people(self) -> None:
        with self.machine.client() as client:
            while not self.stop.is_set():
                found = (
                    client.get("/alerts", params={"state": "raised", "limit": 5}).raise_for_status().json()
                )
                for alert in found["items"]:
                    sent = self.history.send("people", alert["id"])
                    act = {"state": "acknowledged", "by": "amina"}
                    answer = client.patch(f"/alerts/{alert['id']}", json=act)
                    self.history.ended(sent, "ok" if answer.status_code == 200 else "no")
                self.stop.wait(0.05)


def _rows(body: bytes) -> list[tuple[str, int]]:
    rows = [msgspec.json.decode(line) for line in body.split(b"\n")]
    return [(row["device_id"], parse_rfc3339(row["observed_at"])) for row in rows]


def _prepare(data: Path) -> None:
    with Service.open(data, feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        for name in DEVICES:
            service.reference.put("device", name, {}, by="test")
            service.reference.put("movement", f"M{name}", {}, by="test")
            start = rfc3339(feed.START_US)
            service.reference.bind(
                {"device_id": name, "equipment_id": f"B{name}", "mrn": f"M{name}", "from": start, "to": None},
                by="test",
            )


def _run(tmp_path: Path, kills: int) -> None:
    expected = feed.oracle(tmp_path / "oracle")
    data, door = tmp_path / "data", free_port()
    _prepare(data)
    rng = random.Random(kills)
    with Machine(data, doors=[f"tcp:{door}=jt701"]) as machine:
        machine.start()
        load = Load(machine, door, seed=kills)
        for thread in load.threads:
            thread.start()
        try:
            for _ in range(kills):
                enough = load.history.count() + rng.randrange(20, 120)
                until(lambda n=enough: load.history.count() >= n or load.failures, "more answers")  # type: ignore[misc]
                machine.kill()
                machine.start()
            until(lambda: not load.todo or load.failures, "every body was taken")
            until(lambda: all(len(load.history.of(d, "ok")) > 25 for d in DEVICES) or load.failures, "frames")
        finally:
            load.stop.set()
            for thread in load.threads:
                thread.join()
        assert not load.failures, load.failures
        _check(machine, load, expected)
        assert machine.stop() == 0
    assert main(["verify", "--data", str(data)]) == 0


def _check(machine: Machine, load: Load, expected: list[tuple[object, ...]]) -> None:
    history = load.history
    with machine.client(60) as client:
        for n, body in enumerate(load.bodies):  # those that were under way when it was killed last
            if n in load.todo:
                client.post("/observations", content=body, headers=NDJSON).raise_for_status()
        until(lambda: client.get("/stats").json()["lag_observations"] == 0, "all is detected")
        history.check_observations(
            "http", [row for k in range(feed.TRUCKS) for row in track(client, f"MRN{k:02d}")]
        )
        for name in DEVICES:
            history.check_observations(name, track(client, f"M{name}"))
        wanted = sorted((r[0], r[1], r[2], rfc3339(r[5]), r[6] and rfc3339(r[6]), r[7]) for r in expected)  # type: ignore[arg-type]
        until(lambda: _alerts(client, ours=False) == wanted, "the alerts are the oracle's")
        cut = [a for a in _alerts(client, ours=True) if a[1] == "seal-cut"]
        assert len(cut) == len(DEVICES)
        assert all(a[5] == 1 for a in cut)
        for alert_id in history.of("people", "ok"):
            steps = [(s["to"], s["by"]) for s in client.get(f"/alerts/{alert_id}").json()["history"]]
            assert steps == [("acknowledged", "amina")], alert_id
        for document, body in history.of("document", "ok"):
            assert client.get(f"/documents/{document}/original").content == body.encode()
        for mrn in {m for m, _ in history.of("event", "ok")}:
            kept = [e["event"] for e in client.get(f"/movements/{mrn}/events").json()["items"]]
            told = [event for m, event in history.of("event", "ok") if m == mrn]
            assert kept[: len(told)] == told
            assert len(kept) == len(set(kept)), "nothing twice"


def _alerts(client: httpx.Client, *, ours: bool) -> list[tuple[object, ...]]:
    items, cursor = [], None
    while True:
        query = {"limit": 500, "superseded": False, **({"cursor": cursor} if cursor else {})}
        page = client.get("/alerts", params=query).raise_for_status().json()
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    return sorted(
        (a["id"], a["code"], a["severity"], a["began_at"], a["ended_at"], a["count"])
        for a in items
        if (a["device_id"] in DEVICES) == ours
    )


def test_kill_9_under_mixed_load(tmp_path: Path) -> None:
    _run(tmp_path, 2)


@pytest.mark.soak
def test_kill_9_under_mixed_load_often(tmp_path: Path) -> None:
    _run(tmp_path, 200)
