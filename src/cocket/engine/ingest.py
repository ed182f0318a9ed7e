"""From the doors to the log: one writer thread, group commit.

Bodies that arrive while one commit is being fsynced wait together and go into the next: that is the group. A
body's receipt is given only after the commit that holds its rows has returned. Duplicates are folded and rejects
are booked in the same transaction, so that rows in = observations + duplicates + rejects at every moment.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

import numpy as np

from cocket.core.batch import Array, Batch, Texts, concat
from cocket.core.clock import Clock
from cocket.core.config import Ingest as IngestSettings
from cocket.core.doors import Decoded, Receipt
from cocket.core.errors import Busy, Unavailable
from cocket.core.keys import observation_keys
from cocket.core.schema import TIME_AHEAD_US, TIME_EPOCH_US, TIME_QUALITIES
from cocket.core.tracing import OFF, Mark, Tracing
from cocket.engine.figures import Figures
from cocket.store.dedupe import Seen
from cocket.store.log import Log
from cocket.store.quarantine import Quarantined

DEVICE, AHEAD, BEFORE_2010, RECEIVED = map(TIME_QUALITIES.index, TIME_QUALITIES)

log = logging.getLogger(__name__)


def time_trusted(batch: Batch) -> Array:
    """Which rows carry a time that a journey's clock may follow: the device's, if plausible, or ours."""
    quality = batch.filled("time_quality")
    trusted: Array = (quality == DEVICE) | (quality == RECEIVED)
    return trusted


REMARKS: Final = ("connected_twice", "moved_impossibly", "sequence_replayed", "identity_changed")
"""Columns by which the gateway remarks on a device's conduct; such a row is not what the device said of the world."""


def on_journeys(batch: Batch) -> Array:
    """Which rows belong to journeys: what devices said themselves, at a time that can be trusted."""
    rows = time_trusted(batch)
    for name in REMARKS:
        flag = batch.array(name)
        if flag is not None:
            rows &= flag != 1
    return rows


@dataclass(slots=True)
class Waiting:
    """A body that waits for the log, and the promise to answer it."""

    decoded: Decoded
    promise: Future[Receipt]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time that passed, on its way into the log."""

    tick_us: int


class _Empty:
    """Nothing waits."""


@dataclass(frozen=True, slots=True)
class Part:
    """Where the rows of one body end among those of its commit, when they were received, and their place in a trace."""

    end: int
    taken_s: float
    mark: Mark | None


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit put into the log: an offset, and its rows with their keys (None for a tick, and where it
    has no rows).

    ``parts`` and ``mark``, the commit's own place in a trace, are known only of what did not have to be read again.
    """

    offset: int
    batch: Batch | None
    keys: Array | None
    tick_us: int | None
    parts: tuple[Part, ...] = ()
    mark: Mark | None = None


class Ingest:
    """The writer. ``submit`` and ``tick`` may be called from any thread; ``committed`` is called on the writer's."""

    def __init__(
        self,
        log: Log,
        seen: Seen,
        clock: Clock,
        settings: IngestSettings,
        committed: Callable[[Committed], None],
        figures: Figures | None = None,
        tracing: Tracing = OFF,
    ) -> None:
        self._log = log
        self._seen = seen
        self._clock = clock
        self._settings = settings
        self._committed = committed
        self._figures = figures or Figures()
        self._tracing = tracing
        self._queue: queue.SimpleQueue[Waiting | Tick | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._rows_waiting = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="cocket-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end. Later submissions are refused."""
        with self._lock:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    @property
    def rows_waiting(self) -> int:
        """Rows taken from the doors and not yet durable."""
        return self._rows_waiting

    def submit(self, decoded: Decoded) -> Future[Receipt]:
        """Queue a body; the future gives its receipt once it is durable. Raises ``Busy`` when too much waits."""
        rows = decoded.batch.n + len(decoded.rejects)
        promise: Future[Receipt] = Future()
        if decoded.taken_s is None:
            decoded.taken_s = time.monotonic()
        promise.set_running_or_notify_cancel()  # a sender that goes away takes nothing back, and must not stop the writer
        with self._lock:
            if self._closed:
                raise Unavailable("Cocket is shutting down; send it again when it is back")
            if self._rows_waiting and self._rows_waiting + rows > self._settings.queue_rows:
                raise Busy(
                    f"{self._rows_waiting} observations wait for the disk; send this body again in a second"
                )
            self._rows_waiting += rows
            self._queue.put(Waiting(decoded, promise))
        return promise

    def tick(self, tick_us: int) -> None:
        """Queue a tick behind what already waits."""
        with self._lock:
            if not self._closed:
                self._queue.put(Tick(tick_us))

    def _run(self) -> None:
        item: Waiting | Tick | _Empty | None = self._queue.get()
        while item is not None:
            if isinstance(item, _Empty):
                item = self._queue.get()
                continue
            if isinstance(item, Tick):
                self._write_tick(item)
                item = self._poll()
                continue
            group = [item]
            rows = item.decoded.batch.n
            item = self._poll()
            while isinstance(item, Waiting) and rows < self._settings.group_rows:
                group.append(item)
                rows += item.decoded.batch.n
                item = self._poll()
            self._write(group)

    def _poll(self) -> Waiting | Tick | _Empty | None:
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return _Empty()

    def _write_tick(self, tick: Tick) -> None:
        try:
            offset = self._log.append_tick(tick.tick_us)
        except Exception as error:  # noqa: BLE001 - the disk refuses: bodies are told so; a later tick says all that this would
            log.warning("a tick could not be written (%s); the next one says it too", error)
            return
        self._committed(Committed(offset, None, None, tick.tick_us))

    def _write(self, group: list[Waiting]) -> None:
        rows = sum(w.decoded.batch.n + len(w.decoded.rejects) for w in group)
        bodies = [w.decoded for w in group]
        began = time.monotonic()
        try:
            before = self._log.last_offset()
            marks = [body.mark for body in bodies]
            with self._tracing.span("ingest.commit", marks, bodies=len(group), rows=rows) as mark:
                done, receipts = self._append(bodies, mark)
        except Exception as error:  # noqa: BLE001 - whatever the disk or the database says, the senders are told
            self._figures.commit_failures.inc()
            self._figures.refused = str(error) or type(error).__name__
            self._seen.rollback()
            failure = Unavailable(f"the log could not be written ({error}); nothing was taken, send it again")
            for waiting in group:
                waiting.promise.set_exception(failure)
        else:
            self._figures.refused = ""
            self._figures.commit_seconds.observe(time.monotonic() - began)
            self._figures.commit_rows.observe(rows)
            if done.offset > before:  # what was refused or repeated may make an entry too
                self._committed(done)
            for waiting, receipt in zip(group, receipts, strict=True):
                waiting.promise.set_result(receipt)
        finally:
            with self._lock:
                self._rows_waiting -= rows

    def _append(self, bodies: list[Decoded], mark: Mark | None) -> tuple[Committed, list[Receipt]]:
        now = self._clock.now_us()
        for body in bodies:
            if body.batch.texts("source") is None:
                body.batch.columns["source"] = Texts.constant(body.source, body.batch.n)
        batch = concat([body.batch for body in bodies])
        observed = batch.filled("observed_us")
        keys = observation_keys(batch)
        repeated = self._seen.fold(observed, keys)
        offset = self._log.append(
            self._kept(batch, observed, repeated, now),
            received_us=now,
            duplicates=int(repeated.sum()),
            rejects=[
                Quarantined(
                    now,
                    r.source or body.source,
                    r.row,
                    r.field,
                    r.rule,
                    r.detail,
                    r.raw,
                    r.protocol,
                    r.device_id,
                )
                for body in bodies
                for r in body.rejects
            ],
            keys=keys[~repeated] if repeated.any() else keys,
        )
        self._seen.commit()
        receipts, parts, at, end = [], [], 0, 0
        for body in bodies:
            twice = int(repeated[at : at + body.batch.n].sum())
            receipts.append(Receipt(body.batch.n - twice, twice, body.rejects))
            at += body.batch.n
            end += body.batch.n - twice
            parts.append(Part(end, body.taken_s or 0.0, body.mark))
        self._figures.took(bodies, repeated)
        self._figures.stored(offset, self._last, now)
        if not self._last.n:
            return Committed(offset, None, None, None), receipts
        kept = keys[~repeated] if repeated.any() else keys
        return Committed(offset, self._last, kept, None, tuple(parts), mark), receipts

    def _kept(self, batch: Batch, observed: Array, repeated: Array, now: int) -> Batch:
        quality = np.full(batch.n, DEVICE, np.int8)
        quality[observed > now + TIME_AHEAD_US] = AHEAD
        quality[observed < TIME_EPOCH_US] = BEFORE_2010
        quality[batch.filled("time_quality") == RECEIVED] = RECEIVED
        batch.columns["received_us"] = np.full(batch.n, now, np.int64)
        batch.columns["time_quality"] = quality
        self._last = batch.take(~repeated) if repeated.any() else batch
        return self._last
