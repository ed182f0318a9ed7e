"""From frames to batches: what arrives on all connections within some milliseconds becomes one body for the log.

One body is under way at a time; what comes meanwhile is the next one, so batches grow with the load. When the log is
too busy or the disk refuses, the body waits here, the doors stop reading, and nothing is acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from cocket.core.doors import Decoded, Receipt, Reject
from cocket.core.errors import Busy, Unavailable
from cocket.core.protocol import Row
from cocket.core.tracing import Mark, mark_of
from cocket.engine.service import Service
from cocket.observations.rules import batch_of

_MOST_ROWS: Final = 10_000
_PRESSED: Final = 20_000
_LONGEST_WAIT_S: Final = 5.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Waiting:
    """What one frame gave; ``done`` is called on the gateway's thread once it is durable."""

    rows: list[Row]
    rejects: list[Reject]
    done: Callable[[], None]
    taken_s: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Collector:
    """``add`` on the gateway's thread; ``run`` is its task. ``pressed``: the doors should not read for now."""

    service: Service
    gather_s: float
    relieved: Callable[[], None]
    rows_waiting: int = 0
    failing: str = ""
    _waiting: list[Waiting] = field(default_factory=list)
    _something: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: bool = False

    @property
    def pressed(self) -> bool:
        """More waits than should."""
        return bool(self.failing) or self.rows_waiting > _PRESSED

    def add(self, rows: list[Row], rejects: list[Reject], done: Callable[[], None]) -> None:
        """Take what a frame gave; frames are done in the order in which they were added."""
        self._waiting.append(Waiting(rows, rejects, done))
        self.rows_waiting += len(rows) + len(rejects)
        self._something.set()

    def close(self) -> None:
        """Write what waits, then end."""
        self._closing = True
        self._something.set()

    async def run(self) -> None:
        """Until closed and empty."""
        while True:
            await self._something.wait()
            if not self._waiting and self._closing:
                return
            if self.rows_waiting < _MOST_ROWS and not self._closing:
                await asyncio.sleep(self.gather_s)
            self._something.clear()
            group, n = [], 0
            while self._waiting and n < _MOST_ROWS:
                taken = self._waiting[: max(1, _MOST_ROWS - n)]
                del self._waiting[: len(taken)]
                group += taken
                n += sum(len(w.rows) + len(w.rejects) for w in taken)
            if self._waiting or self._closing:
                self._something.set()
            if group:
                await self._write(group, n)

    async def _write(self, group: list[Waiting], n: int) -> None:
        rows = [row for w in group for row in w.rows]
        rejects = [reject for w in group for reject in w.rejects]
        if rows or rejects:
            span = (
                self.service.tracing.begin(
                    "gateway.frame",
                    began_s=group[0].taken_s,
                    frames=len(group),
                    rows=len(rows),
                    rejects=len(rejects),
                    doors=sorted({str(row.get("source", "")) for row in rows} | {r.source for r in rejects})[
                        :8
                    ],
                )
                if self.service.tracing.on
                else None
            )
            try:
                await self._durable(rows, rejects, group[0].taken_s, mark_of(span))
            finally:
                if span is not None:
                    span.end()
        was_pressed = self.pressed
        self.rows_waiting -= n
        for waiting in group:
            waiting.done()
        if was_pressed and not self.pressed:
            self.relieved()

    async def _durable(
        self, rows: list[Row], rejects: list[Reject], taken_s: float, mark: Mark | None
    ) -> Receipt:
        pause = 0.05
        while True:
            decoded = Decoded(batch_of(rows), np.arange(len(rows)), rejects, "gateway", taken_s, mark)
            try:
                receipt = await asyncio.wrap_future(self.service.submit(decoded))
            except (Busy, Unavailable) as error:
                if not self.failing:
                    log.warning("devices have to wait: %s", error.detail)
                self.failing = error.detail
                if self._closing:
                    raise
                await asyncio.sleep(pause)
                pause = min(_LONGEST_WAIT_S, pause * 2)
            else:
                if self.failing:
                    self.failing = ""
                    self.relieved()
                return receipt
