"""One real server through a full disk, a read-only one, a slow one and a clock that jumps; and the ends of its patience with
partners: a stalled body, a silent line, a stream that nobody reads. It lives, says what is wrong, and goes on by itself.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.faults.history import History, track
from tests.faults.machine import NDJSON, Machine, free_port, until
from tests.faults.preload import Faulty

from cocket.core.clock import US, parse_rfc3339, rfc3339

MRN = "26ENDURES"
START_US = parse_rfc3339("2026-11-01T06:00:00Z")
DAY_US = 86_400 * US


class Endurance:
    """The server, what suffers it, and what was sent."""

    def __init__(self, place: Path) -> None:
        self.history = History()
        self.sent = 0
        self._lock = threading.Lock()
        self.faulty = Faulty(place, place / "data")
        settings = place / "settings.toml"
        settings.write_text("[gateway]\nframe_s = 1.0\nidle_s = 600.0\n[ingest]\nqueue_rows = 5000\n")
        self.door = free_port()
        self.mute = socket.create_server(
            ("127.0.0.1", 0)
        )  # a partner that takes the call and never says anything
        (place / "in").mkdir()
        self.place = place
        self.machine = Machine(
            place / "data",
            doors=[
                f"tcp:{self.door}=jt701",
                f"connect:127.0.0.1:{self.mute.getsockname()[1]}=aivdm",
                f"connect:127.0.0.1:{free_port()}=aivdm",
                f"folder:{place / 'in'}=aivdm",
            ],
            options=["--settings", str(settings)],
            env=self.faulty.env,
        ).start()
        with self.machine.client() as client:
            client.put(f"/movements/{MRN}", json={}).raise_for_status()
            bound = {"device_id": "E1", "equipment_id": "BOX", "mrn": MRN, "from": rfc3339(START_US)}
            client.post("/bindings", json=bound).raise_for_status()

    def send(self, n: int = 20) -> Any:
        """A body of new observations; its answer."""
        with self._lock:
            first, self.sent = self.sent, self.sent + n
        rows = [("E1", START_US + (first + i) * US) for i in range(n)]
        body = b"\n".join(
            msgspec.json.encode({"device_id": d, "observed_at": rfc3339(t), "battery_pct": 50})
            for d, t in rows
        )
        sent = self.history.send("http", rows)
        with self.machine.client() as client:
            answer = client.post("/observations", content=body, headers=NDJSON)
        self.history.ended(sent, "ok" if answer.status_code == 200 else "no")
        return answer

    def check(self) -> None:
        with self.machine.client() as client:
            until(lambda: client.get("/stats").json()["lag_observations"] == 0, "all is detected")
            self.history.check_observations("http", track(client, MRN))

    def health(self) -> dict[str, Any]:
        with self.machine.client() as client:
            found: dict[str, Any] = client.get("/health").raise_for_status().json()
            return found


@pytest.fixture(scope="module")
def endurance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endurance]:
    endurance = Endurance(tmp_path_factory.mktemp("endures"))
    with endurance.machine:
        yield endurance
        endurance.faulty.heal()
        endurance.check()
        assert endurance.machine.stop() == 0
        endurance.machine.start()
        endurance.check()


@pytest.mark.parametrize(
    ("error", "said"),
    [(errno.ENOSPC, "full"), (errno.EROFS, "disk"), (errno.EIO, "disk fails")],
    ids=["full", "read-only", "failing"],
)
def test_a_disk_that_refuses(endurance: Endurance, error: int, said: str) -> None:
    assert endurance.send().status_code == 200
    endurance.faulty.fail("write", 1, error, lasting=True)
    for _ in range(3):
        answer = endurance.send()
        assert answer.status_code == 503, answer.text
        assert said in answer.json()["detail"]
        assert "send it again" in answer.json()["detail"]
    assert endurance.machine.alive
    with endurance.machine.client() as client:  # reading goes on
        client.get("/alerts").raise_for_status()
        refused = client.put("/movements/26OTHER", json={})
        assert refused.status_code == 503, refused.text
    endurance.faulty.heal()
    assert endurance.send().status_code == 200
    until(lambda: endurance.health()["status"] == "ok", "it is well again")
    endurance.check()


def test_a_slow_disk(endurance: Endurance) -> None:
    endurance.faulty.slow(400)
    for _ in range(3):
        assert endurance.send().status_code == 200
    assert endurance.health()["status"] == "ok", "health does not wait for the disk"
    endurance.faulty.heal()
    endurance.check()


@pytest.mark.parametrize("jump", [DAY_US, -DAY_US], ids=["forward", "back"])
def test_a_clock_that_jumps(endurance: Endurance, jump: int) -> None:
    before = parse_rfc3339(endurance.health()["now"])
    endurance.faulty.clock(jump)
    assert endurance.send().status_code == 200
    now = parse_rfc3339(endurance.health()["now"])
    assert before <= now < before + DAY_US // 2, "the jump is not followed"
    endurance.faulty.heal()
    assert parse_rfc3339(endurance.health()["now"]) >= now
    endurance.check()


def test_a_frame_that_does_not_end_is_cut(endurance: Endurance) -> None:
    with socket.create_connection(("127.0.0.1", endurance.door), 10) as line:
        line.settimeout(60)
        line.sendall(b"$\x70\x00")
        assert line.recv(100) == b"", "the line is closed by the server"
    assert endurance.send().status_code == 200


def test_stalled_requests_do_not_hold_up_others(endurance: Endurance) -> None:
    stalled = []
    try:
        for _ in range(200):
            line = socket.create_connection(("127.0.0.1", endurance.machine.port), 10)
            line.sendall(b"POST /api/v1/observations HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n")
            stalled.append(line)
        assert endurance.send().status_code == 200
    finally:
        for line in stalled:
            line.close()


def test_streams_that_nobody_reads(endurance: Endurance) -> None:
    ask = b"GET /api/v1/stream?topics=alerts,positions,stats HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    deaf = []
    try:
        for _ in range(50):
            line = socket.create_connection(("127.0.0.1", endurance.machine.port), 10)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            line.sendall(ask)
            deaf.append(line)
        for _ in range(3):
            assert endurance.send().status_code == 200
    finally:
        for line in deaf:
            line.close()


def test_more_than_it_can_take_is_turned_away(endurance: Endurance) -> None:
    """Memory is bounded: a flood is answered 429 with Retry-After, and what was answered 200 is there."""
    before = endurance.machine.rss_bytes
    endurance.faulty.slow(300)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: endurance.send(2000), range(64)))
    endurance.faulty.heal()
    turned_away = [a for a in answers if a.status_code == 429]
    assert turned_away
    assert all(int(a.headers["retry-after"]) >= 1 for a in turned_away)
    assert {a.status_code for a in answers} <= {200, 429}
    assert endurance.machine.rss_bytes - before < 400 << 20
    endurance.check()


def test_partners_that_never_answer(endurance: Endurance) -> None:
    """One takes our call and says nothing, one is not there, and a folder goes away and comes back: nothing else waits."""
    assert endurance.send().status_code == 200
    moved = (endurance.place / "in").rename(endurance.place / "away")
    with endurance.machine.client() as client:

        def events() -> dict[str, int]:
            found: dict[str, int] = client.get("/gateway").raise_for_status().json()["events"]
            return found

        until(lambda: events().get("folder-failed"), "the folder is missed")
        until(lambda: events().get("call-failed", 0) >= 2, "the partner is called again")
        assert "door-stopped" not in events()
        moved.rename(endurance.place / "in")
        (endurance.place / "in" / "x.txt").write_bytes(b"!AIVDM,1,1,,A,14eG;o@034o8sd<L9i:a;WF>062D,0*7D\n")
        until(lambda: events().get("file-done"), "the folder is read again")
