"""The proving ground of the conformance kit: a listener that one device speaks to, which can answer, keep silent, or be away.

It keeps everything that came, with the time of its coming; what it means is judged by ``checks.checklist``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from cocket.core.clock import Clock
from cocket.core.framing import Stream
from cocket.core.protocol import Protocol, Reading, Row, Session
from cocket.observations.frames import read_frame

Phase: TypeAlias = Literal["listen", "withhold", "away", "return"]
PHASES: Final[tuple[Phase, ...]] = ("listen", "withhold", "away", "return")


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame, or noise (``reading`` None): when (µs), in which phase, on which connection, and whether it was answered."""

    at_us: int
    phase: Phase
    connection: int
    data: bytes
    reading: Reading | None
    answered: bool
    why: str = ""


@dataclass(slots=True)
class Record:
    """All that came. ``away_us``: from when to when there was no server."""

    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    device_id: str | None = None
    withheld: Heard | None = None
    resent: Heard | None = None
    away_us: tuple[int, int] | None = None

    def rows(self, *phases: Phase) -> list[tuple[Heard, Row]]:
        """Every observation of these phases (none given: of all) with the frame it came in."""
        return [
            (h, row)
            for h in self.heard
            if h.reading is not None and (not phases or h.phase in phases)
            for row in h.reading.rows
        ]


class Ground:
    """Listens on ``host:port`` (0 takes a free one) while it is open; ``phase`` says how it behaves."""

    def __init__(self, protocol: Protocol, clock: Clock) -> None:
        self.record = Record()
        self.phase: Phase = "listen"
        self._protocol = protocol
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.news = asyncio.Event()

    async def open(self, host: str, port: int) -> int:
        """Listen; gives the port. Raises ``OSError`` if it cannot."""
        self._server = await asyncio.start_server(self._serve, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        self.hang_up()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def hang_up(self) -> None:
        """End every connection."""
        for writer in list(self._writers):
            writer.close()

    def go_away(self) -> None:
        """From now on whoever calls is turned away at once."""
        now = self._clock.now_us()
        self.phase = "away"
        self.record.away_us = (now, now)
        self.hang_up()

    def come_back(self) -> None:
        """Serve again."""
        assert self.record.away_us is not None
        self.record.away_us = (self.record.away_us[0], self._clock.now_us())
        self.phase = "return"

    def _away(self) -> bool:
        return self.phase == "away"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._away():
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.record.connections += 1
        number, stream, session = self.record.connections, Stream(self._protocol), Session()
        try:
            while data := await reader.read(1 << 16):
                for piece in stream.feed(data):
                    if piece.noise:
                        self._keep(
                            Heard(
                                self._clock.now_us(),
                                self.phase,
                                number,
                                piece.data,
                                None,
                                answered=False,
                                why=piece.noise,
                            )
                        )
                        continue
                    await self._frame(piece.data, session, number, writer)
            for piece in stream.end():
                if not self._away():  # it was we who cut it off
                    self._keep(
                        Heard(
                            self._clock.now_us(),
                            self.phase,
                            number,
                            piece.data,
                            None,
                            answered=False,
                            why=piece.noise,
                        )
                    )
        except (ConnectionError, OSError):
            pass  # the device went away: the next connection tells more
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _frame(self, data: bytes, session: Session, number: int, writer: asyncio.StreamWriter) -> None:
        reading = read_frame(self._protocol, data, session)
        record = self.record
        if session.device_id is not None and record.device_id is None:
            record.device_id = session.device_id
        keep_silent = (
            self.phase == "withhold" and bool(reading.rows and reading.replies) and record.resent is None
        )
        heard = Heard(self._clock.now_us(), self.phase, number, data, reading, answered=not keep_silent)
        if keep_silent:
            if record.withheld is None:
                record.withheld = heard
            elif _same(record.withheld, heard):
                record.resent = heard
                keep_silent = False
        self._keep(heard)
        if not keep_silent:
            for reply in reading.replies:
                writer.write(reply)
            await writer.drain()

    def _keep(self, heard: Heard) -> None:
        self.record.heard.append(heard)
        self.news.set()


def _same(first: Heard, second: Heard) -> bool:
    """Whether two frames say the same of the world, whatever their outer numbering."""
    if first.reading is None or second.reading is None:
        return False
    return [_content(r) for r in first.reading.rows] == [_content(r) for r in second.reading.rows]


def _content(row: Row) -> Row:
    return {k: v for k, v in row.items() if k not in {"delayed", "source"}}
