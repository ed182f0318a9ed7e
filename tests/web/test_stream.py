"""The live stream: order, resume, reset, end; over a real server, and its ring by itself."""

import asyncio
import contextlib
import json
import threading

import httpx
import pytest

from cocket.store.alerts import AlertEvent
from cocket.web.stream import Asked, EventStream, Streams


def events(answer):
    """(event, id, data) of each event of a stream; comments are passed over."""
    name, number, data = None, None, None
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("id: "):
            number = int(line[4:])
        elif line.startswith("data: "):
            data = json.loads(line[6:])
        elif not line and name:
            yield name, number, data
            name, number, data = None, None, None


@contextlib.contextmanager
def streaming(door, headers=None, **params):
    url = f"{door.url}/api/v1/stream"
    with httpx.stream("GET", url, params=params, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer)


def test_a_new_alert_and_an_act_come_at_once(door) -> None:
    with streaming(door, topics="alerts") as found:
        door.until(lambda: door.service.hub._listeners != ())
        made = threading.Thread(target=door.cut)
        made.start()
        name, first, data = next(found)
        made.join()
        assert (name, data["code"], data["state"]) == ("alert", "seal-cut", "raised")
        door.http.patch(f"/alerts/{data['id']}", json={"state": "acknowledged", "by": "jo"})
        name, second, data = next(found)
        assert (name, data["state"], data["acknowledged_by"]) == ("alert", "acknowledged", "jo")
        assert second > first


def test_resume_tells_everything_after(door) -> None:
    before = door.service.folder.alerts.last_event_seq()
    alerts = [door.cut() for _ in range(3)]
    for how in ({"last_event_id": before}, {"headers": {"Last-Event-ID": str(before)}}):
        with streaming(door, topics="alerts", **how) as found:
            heard = [next(found) for _ in range(3)]
        assert [data["id"] for _, _, data in heard] == [a["id"] for a in alerts]
        assert [n for _, n, _ in heard] == [before + 1, before + 2, before + 3]


def test_an_id_that_is_not_ours_is_reset(door) -> None:
    with streaming(door, topics="alerts", last_event_id=10**15) as found:
        name, number, data = next(found)
    assert name == "reset"
    assert "GET /api/v1/alerts" in data["reason"]
    assert number == door.service.folder.alerts.last_event_seq()


def test_positions_and_stats(door) -> None:
    mrn, device = door.bound()
    door.observe(
        {"device_id": device, "observed_at": door.at(-2), "lat_deg": -45.5, "lon_deg": 170.5, "speed_mps": 3}
    )
    door.settled()
    with streaming(door, topics="positions,stats", bbox="170,-46,171,-45", zoom=12) as found:
        name, number, data = next(found)
        assert (name, number, data["mode"], data["full"], data["total_in_view"]) == (
            "positions",
            None,
            "objects",
            True,
            1,
        )
        (thing,) = data["objects"]
        assert thing[:4] == [mrn, device, -45.5, 170.5]
        name, _, data = next(found)
        assert name == "stats"
        assert data["observations"] >= 1
        door.observe({"device_id": device, "observed_at": door.at(-1), "lat_deg": -45.6, "lon_deg": 170.6})
        for name, _, data in found:
            if name == "positions" and data["objects"] and data["objects"][0][2] == -45.6:
                assert data["full"] is False
                break


@pytest.mark.parametrize(
    "params",
    [
        {"topics": "all"},
        {"topics": ""},
        {"bbox": "1,2,3"},
        {"bbox": "0,10,1,-10"},
        {"bbox": "a,b,c,d"},
        {"zoom": 99},
        {"last_event_id": -1},
    ],
)
def test_what_is_no_question(door, params) -> None:
    door.is_problem(door.http.get("/stream", params=params), 422)


class FakeAlerts:
    """Alerts by number, as the store keeps them."""

    def __init__(self) -> None:
        self.rows: dict[int, dict] = {}

    def add(self, *numbers: int) -> list[AlertEvent]:
        made = [AlertEvent(n, alert(n)) for n in numbers]
        self.rows |= dict(made)
        return made

    def events_after(self, seq: int, limit: int = 1000) -> list[AlertEvent]:
        return [AlertEvent(n, a) for n, a in sorted(self.rows.items()) if n > seq][:limit]

    def last_event_seq(self) -> int:
        return max(self.rows, default=0)


def alert(n: int) -> dict:
    names = (
        "superseded_us superseded_reason severity mrn equipment_id device_id subject ended_us triage cause acknowledged_by lat_deg lon_deg "
        "says value peak unit threshold corridor"
    )
    return {**dict.fromkeys(names.split()), "id": str(n), "code": "c", "began_us": 0, "raised_us": 0, "late": False, "count": 1,
            "state": "raised", "version": 1}  # fmt: skip


class FakeService:
    def __init__(self) -> None:
        self.listeners: list = []
        self.hub = self
        self.folder = self
        self.alerts = FakeAlerts()

    def subscribe(self, listener):
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def publish(self, made) -> None:
        for listener in self.listeners:
            listener(made)


async def listen(streams: Streams, after: int | None, upto: int) -> list[int]:
    """The numbers that a client hears until ``upto``."""
    heard: list[int] = []
    done = asyncio.Event()

    async def send(message) -> None:
        lines = message.get("body", b"").split(b"\n")
        heard.extend(int(line[4:]) for line in lines if line.startswith(b"id: "))
        if heard and heard[-1] >= upto:
            done.set()

    async def receive():
        await done.wait()
        return {"type": "http.disconnect"}

    asked = Asked(frozenset({"alerts"}), after, None, 10)
    await asyncio.wait_for(EventStream(streams, asked)({"type": "http"}, receive, send), 20)
    return heard


def test_numbers_come_in_order_however_threads_overtake_each_other() -> None:
    async def run() -> None:
        service = FakeService()
        streams = Streams(service)
        streams.open()
        hearing = asyncio.create_task(listen(streams, 0, 6))
        a, b, c, d, e, f = service.alerts.add(1, 2, 3, 4, 5, 6)
        for batch in ([b, c], [a], [f], [e], [d]):
            service.publish(batch)
        assert await hearing == [1, 2, 3, 4, 5, 6]
        streams.close()

    asyncio.run(run())


def test_a_number_never_told_is_fetched_from_the_store() -> None:
    async def run() -> None:
        service = FakeService()
        streams = Streams(service)
        streams.open()
        hearing = asyncio.create_task(listen(streams, 0, 3))
        made = service.alerts.add(1, 2, 3)
        service.publish([made[0]])
        service.publish([made[2]])
        assert await hearing == [1, 2, 3]
        streams.close()

    asyncio.run(run())


def test_a_client_behind_the_ring_reads_on_from_the_store() -> None:
    async def run() -> None:
        service = FakeService()
        service.alerts.add(*range(1, 3001))
        streams = Streams(service)
        streams.open()
        hearing = asyncio.create_task(listen(streams, 10, 9000))
        await asyncio.sleep(0)
        for start in range(3001, 9001, 500):
            service.publish(service.alerts.add(*range(start, start + 500)))
        assert await hearing == list(range(11, 9001))
        assert len(streams._ring) <= 4096
        streams.close()

    asyncio.run(run())


def test_a_stuck_client_is_cut_off(monkeypatch) -> None:
    monkeypatch.setattr("cocket.web.stream.STUCK_S", 0.05)

    async def run() -> None:
        service = FakeService()
        streams = Streams(service)
        streams.open()

        async def send(message) -> None:
            if message["type"] == "http.response.body":
                await asyncio.sleep(3600)

        async def receive():
            await asyncio.sleep(3600)

        asked = Asked(frozenset({"alerts"}), None, None, 10)
        await asyncio.wait_for(EventStream(streams, asked)({"type": "http"}, receive, send), 10)
        assert streams.clients == 0
        streams.close()

    asyncio.run(run())


def test_a_quiet_stream_pings(monkeypatch) -> None:
    monkeypatch.setattr("cocket.web.stream.PING_S", 0.05)

    async def run() -> None:
        service = FakeService()
        streams = Streams(service)
        streams.open()
        pinged = asyncio.Event()

        async def send(message) -> None:
            if b"ping" in message.get("body", b""):
                pinged.set()

        async def receive():
            await pinged.wait()
            return {"type": "http.disconnect"}

        asked = Asked(frozenset({"alerts"}), None, None, 10)
        await asyncio.wait_for(EventStream(streams, asked)({"type": "http"}, receive, send), 10)
        streams.close()

    asyncio.run(run())
