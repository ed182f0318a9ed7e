"""The live stream: server-sent events (WHATWG HTML, section 9.2) of alerts, positions and figures.

Alert events are numbered by the store without a gap. The last of them are kept in one ring that all clients read, each
at its own place; a client that falls behind the ring, or comes back with ``Last-Event-ID``, reads on from the store. So
nothing is kept per client but its place, and a slow one costs nobody anything; one that takes no byte for
``STUCK_S`` is cut off, and comes back where it was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cocket.core import tracing
from cocket.engine.service import Service
from cocket.store.alerts import AlertEvent
from cocket.web import answers
from cocket.web.rights.asker import Asker
from cocket.web.rights.outside import public
from cocket.web.routes.system import stats_of

RING: Final = 4096
"""Alert events kept in memory for all clients together."""
TOO_OLD: Final = 20_000
"""A client further behind than this reads the list anew: it gets a ``reset``."""
GAP_S: Final = 0.5
"""How long an event waits for the one numbered before it."""
PING_S: Final = 15.0
STUCK_S: Final = 30.0
PERIOD_S: Final = 1.0
"""Positions and figures are sent so often."""

_encode = msgspec.json.Encoder().encode


def event(name: str, data: Any, seq: int | None = None) -> bytes:
    """One event as bytes."""
    number = b"" if seq is None else b"id: %d\n" % seq
    return number + b"event: " + name.encode() + b"\ndata: " + _encode(data) + b"\n\n"


Box = tuple[float, float, float, float]
"""West, south, east, north."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants to hear. ``after`` is its Last-Event-ID, None to begin now."""

    topics: frozenset[str]
    after: int | None
    bbox: Box | None
    zoom: float
    asker: Asker | None = None

    @property
    def partial(self) -> bool:
        """Whether it is kept to what somebody may see who sees only a part."""
        return self.asker is not None and self.asker.sight is not None


class Streams:
    """The ring of alert events, and who listens. Lives on the event loop."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.clients = 0
        self.closing = False
        self.last = 0
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=RING)
        self._early: dict[int, dict[str, Any]] = {}
        self._news = asyncio.Event()
        self._gap: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: Any = None
        self._stats: tuple[float, bytes] = (-1.0, b"")

    def open(self) -> None:
        """Begin to listen; call it on the event loop."""
        self._loop = loop = asyncio.get_running_loop()
        self.closing = False

        def listener(events: Sequence[AlertEvent]) -> None:
            loop.call_soon_threadsafe(self._publish, list(events), tracing.here.get())

        self._leave = self.service.hub.subscribe(listener)
        self.last = self.service.folder.alerts.last_event_seq()

    def end(self) -> None:
        """End every stream at once; may be called from a signal handler or another thread."""
        self.closing = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """End every stream and listen no more."""
        self.end()
        if self._leave is not None:
            self._leave()
            self._leave = None

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _publish(self, events: list[AlertEvent], mark: tracing.Mark | None) -> None:
        if mark is None:
            self._arrive(events)
            return
        with self.service.tracing.span("stream.publish", [mark], events=len(events), clients=self.clients):
            self._arrive(events)

    def _arrive(self, events: list[AlertEvent]) -> None:
        """Take events in the order of their numbers, however threads overtook each other on the way here."""
        for seq, alert in events:
            if seq > self.last:
                self._early[seq] = alert
        self._flush()
        if self._early and self._gap is None and self._loop is not None:
            self._gap = self._loop.call_later(GAP_S, self._skip)

    def _skip(self) -> None:
        """The number that is waited for was never told; clients fetch it from the store."""
        self._gap = None
        if self._early:
            self._ring.clear()
            self.last = min(self._early) - 1
            self._flush()
            if self._early and self._loop is not None:
                self._gap = self._loop.call_later(GAP_S, self._skip)

    def _flush(self) -> None:
        moved = False
        while (alert := self._early.pop(self.last + 1, None)) is not None:
            self.last += 1
            self._ring.append((self.last, event("alert", answers.alert(alert), self.last)))
            moved = True
        if moved:
            self._wake()

    async def alerts_after(self, seq: int) -> tuple[bytes, int]:
        """Encoded events behind ``seq`` (some thousands at most), and the number of the last of them."""
        if seq >= self.last:
            return b"", seq
        if self._ring and self._ring[0][0] <= seq + 1:
            behind = self.last - seq
            parts = [self._ring[i][1] for i in range(len(self._ring) - behind, len(self._ring))]
            return b"".join(parts), self.last
        found = await run_in_threadpool(self.service.folder.alerts.events_after, seq, 1000)
        if not found:
            return b"", self.last
        return b"".join(event("alert", answers.alert(a), n) for n, a in found), found[-1].seq

    async def alerts_seen(self, seq: int, asker: Asker) -> tuple[bytes, int]:
        """The same for who sees a part: from the store, which leaves the rest out. The ring is everybody's and is not read."""
        newest = self.last
        if seq >= newest:
            return b"", seq
        found = await run_in_threadpool(self.service.folder.alerts.events_after, seq, 1000, asker.looking())
        shown = [(n, answers.alert(a)) for n, a in found]
        if asker.outside:
            shown = [(n, public(a, asker.who.id)) for n, a in shown]
        last = found[-1].seq if found else newest
        return b"".join(event("alert", a, n) for n, a in shown), last if len(found) == 1000 else max(
            last, newest
        )

    async def positions_seen(
        self, asked: Asked, asker: Asker, before: list[Any] | None
    ) -> tuple[bytes, list[Any]]:
        """Where the movements are that somebody sees, all of them whenever one moved; nothing if none did."""
        objects = await run_in_threadpool(_objects_seen, self.service, asker, asked.bbox)
        if objects == before:
            return b"", objects
        data = {
            "now": answers.moment(self.service.clock.now_us()),
            "mode": "objects",
            "total_in_view": len(objects),
            "full": True,
            "objects": objects,
        }
        return event("positions", data), objects

    async def stats(self) -> bytes:
        """The figures as an event, asked once for all clients within a period."""
        now = asyncio.get_running_loop().time()
        if now - self._stats[0] >= 0.9 * PERIOD_S:
            self._stats = (now, self._stats[1])
            figures = await run_in_threadpool(stats_of, self.service)
            self._stats = (now, event("stats", figures))
        return self._stats[1]

    async def positions(self, asked: Asked, since: int) -> tuple[bytes, int]:
        """What moved in the window since the revision ``since``; nothing if nothing did."""
        live = await run_in_threadpool(self.service.live, asked.bbox, asked.zoom, since)
        data: dict[str, Any] = {
            "now": answers.moment(self.service.clock.now_us()),
            "mode": live.mode,
            "total_in_view": live.total_in_view,
        }
        if live.mode == "objects":
            if since and not live.full and not live.objects:
                return b"", live.revision
            data |= {"full": live.full, "objects": live.objects}
        else:
            data["clusters"] = live.clusters
        return event("positions", data), live.revision

    async def news(self, timeout_s: float) -> None:
        """Wait for an alert event, the end of all streams, or the time to be over."""
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except TimeoutError:
            return


class EventStream(Response):
    """The answer that does not end: events as they come, comments when none do."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, asked: Asked) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._streams = streams
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send until the client leaves, takes nothing any more, or the server ends."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._streams.clients += 1
        talking = asyncio.create_task(self._talk(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({talking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams.clients -= 1
            for task in (talking, leaving):
                task.cancel()
            results = await asyncio.gather(talking, leaving, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, (TimeoutError, OSError)):
                raise result

    async def _talk(self, send: Send) -> None:
        streams, asked = self._streams, self._asked

        async def say(chunk: bytes, more: bool = True) -> None:
            async with asyncio.timeout(STUCK_S):
                await send({"type": "http.response.body", "body": chunk, "more_body": more})

        loop = asyncio.get_running_loop()
        place = streams.last if asked.after is None else asked.after
        await say(b"retry: 1000\n: open\n\n")
        newest = max(streams.last, streams.service.folder.alerts.last_event_seq())
        if "alerts" in asked.topics and not newest - TOO_OLD <= place <= newest:
            reason = "that event is not known here" if place > newest else "that event is long past"
            place = streams.last
            await say(event("reset", {"reason": f"{reason}; read GET /api/v1/alerts anew"}, place))
        revision = 0
        seen: list[Any] | None = None
        due = spoke = loop.time()
        periodic = not asked.topics.isdisjoint({"positions", "stats"})
        while not streams.closing:
            chunk = b""
            if "alerts" in asked.topics:
                if asked.partial and asked.asker is not None:
                    chunk, place = await streams.alerts_seen(place, asked.asker)
                else:
                    chunk, place = await streams.alerts_after(place)
            if periodic and loop.time() >= due:
                due = max(due + PERIOD_S, loop.time())
                if "positions" in asked.topics and asked.partial and asked.asker is not None:
                    moved, seen = await streams.positions_seen(asked, asked.asker, seen)
                    chunk += moved
                elif "positions" in asked.topics:
                    moved, revision = await streams.positions(asked, revision)
                    chunk += moved
                if "stats" in asked.topics:
                    chunk += await streams.stats()
            if not chunk and loop.time() - spoke >= PING_S:
                chunk = b": ping\n\n"
            if chunk:
                spoke = loop.time()
                await say(chunk)
                continue
            until = min(spoke + PING_S, due) if periodic else spoke + PING_S
            if "alerts" in asked.topics and place < streams.last:
                continue
            await streams.news(max(0.0, until - loop.time()))
        await say(b": the server ends\n\n", more=False)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_COLOURS: Final = {"warn": "warn", "high": "high", "critical": "critical"}


def _objects_seen(service: Service, asker: Asker, bbox: Box | None) -> list[Any]:
    """As ``Live.objects`` has them: the last place of each device that is bound to a movement which somebody sees."""
    sight = asker.looking()
    assert sight is not None
    mrns = sorted(service.folder.sights.all(sight.of("track")))
    bindings = [b for found in service.folder.reference.bindings_of(mrns).values() for b in found]
    worst = service.folder.alerts.open_of(sorted(asker.seen(mrns, "alert")))
    brief = service.brief(list({b.device_id for b in bindings}))
    objects = []
    for b in bindings:
        row = brief.get(b.device_id)
        if row is None or row["lat_deg"] is None or not _within(row["lat_deg"], row["lon_deg"], bbox):
            continue
        if row["observed_us"] < b.from_us or (b.to_us is not None and row["observed_us"] >= b.to_us):
            continue
        colour = _COLOURS.get(worst.get(b.mrn, (0, ""))[1], "normal")
        place = (row["lat_deg"], row["lon_deg"], row["course_deg"], row["speed_mps"])
        objects.append((b.mrn, b.device_id, *place, colour, row["observed_us"] // 1000))
    return objects


def _within(lat: float, lon: float, bbox: Box | None) -> bool:
    if bbox is None:
        return True
    west, south, east, north = bbox
    across = west <= lon <= east if west <= east else lon >= west or lon <= east
    return south <= lat <= north and across
