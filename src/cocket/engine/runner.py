"""From the log to alerts: one detector thread.

It reads the log in the order of its offsets, joins each observation to its journey, runs the detectors, and writes
alerts and offset in one transaction. After a crash it does the same from the last checkpoint on: recovery is the
ordinary way. Journeys that late data or a changed declaration concern are run again from their whole history, in
passes, so that a device that uploads a day at once costs one pass and not a thousand.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Array, Batch, concat
from cocket.core.clock import Clock
from cocket.core.config import Detect
from cocket.core.detector import Detector
from cocket.core.errors import CocketError, DataDamaged
from cocket.core.keys import observation_keys
from cocket.core.schema import NULL_INT
from cocket.engine.checkpoint import Checkpoint
from cocket.engine.devices import Devices
from cocket.engine.hub import Hub
from cocket.engine.ingest import DEVICE, Committed
from cocket.engine.live import LiveMap
from cocket.engine.supersede import no_longer
from cocket.engine.untimed import Untimed
from cocket.engine.world import World
from cocket.journeys.detection import Detection
from cocket.store.folder import DataFolder

_MOST_JOURNEYS = 2_000
"""Journeys run again in one pass; bounds the memory that their histories take."""

_RETRY_S = 1.0
"""Seconds before another try when the disk refuses."""

_FLUSH_S = 1.0
"""Seconds between two writes of mere counts while observations keep coming; at once when none wait."""

log = logging.getLogger(__name__)


class Runner:
    """The detector thread and all it keeps in memory. ``committed``, ``reference_changed`` and the figures may be
    called from any thread; ``emit_tick`` is called on its own when a timer is due.
    """

    def __init__(
        self,
        folder: DataFolder,
        clock: Clock,
        settings: Detect,
        hub: Hub,
        detectors: Sequence[Detector],
        emit_tick: Callable[[int], None],
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._settings = settings
        self._hub = hub
        self._emit_tick = emit_tick
        self._wake = threading.Condition()
        self._waiting: deque[Committed] = deque()
        self._rows_waiting = 0
        self._from_log = True
        self._stopping = False
        self._reference_stale = False
        self._taking = False
        self._thread = threading.Thread(target=self._run, name="cocket-detector", daemon=True)
        self.failure: BaseException | None = None
        self.live = LiveMap()
        hub.subscribe(self.live.on_alerts)
        self.devices = Devices()
        self._untimed = Untimed(detectors)
        self._dirty: dict[int, str] = {}
        self._late_rows = 0
        self._tick_us: int | None = None
        self._offset = 0
        self._last_offset = 0
        self._lag = 0
        self._checkpoint = Checkpoint(folder, settings)
        self._flushed_at = 0.0
        self._counts_stale = False
        self._next_pass = 0.0
        self._next_tick = 0.0
        self._detectors = detectors
        self._recover()

    # what others ask

    def start(self) -> None:
        """Begin to detect."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step under way, write a checkpoint, end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def committed(self, entry: Committed) -> None:
        """Something new is in the log."""
        rows = 0 if entry.batch is None else entry.batch.n
        with self._wake:
            self._last_offset = entry.offset
            self._lag += rows
            if not self._from_log:
                self._waiting.append(entry)
                self._rows_waiting += rows
                if self._rows_waiting > 8 * self._settings.batch_rows:
                    self._waiting.clear()  # it is all in the log: read it from there, at our own pace
                    self._rows_waiting = 0
                    self._from_log = True
            self._wake.notify()

    def reference_changed(self) -> None:
        """Something declared was changed and is stored."""
        with self._wake:
            self._reference_stale = True
            self._wake.notify()

    @property
    def lag(self) -> int:
        """What is stored and not yet detected: observations, journeys that wait to be run again, and one each for
        declarations to be taken in and counts to be written. 0 means that every alert stands as it will."""
        with self._wake:
            waits = max(self._late_rows, len(self._dirty))
            return self._lag + waits + self._reference_stale + self._taking + self._counts_stale

    @property
    def offset(self) -> int:
        """How far the log has been processed."""
        return self._offset

    @property
    def journeys(self) -> int:
        """How many journeys there are."""
        return self._world.table.n

    @property
    def state_bytes(self) -> int:
        """Memory of the detectors' state."""
        return self._detection.nbytes()

    # start

    def _recover(self) -> None:
        """From the last checkpoint, or from nothing; the log behind it is then read in the ordinary way."""
        folder = self._folder
        restored = self._checkpoint.load()
        world = self._world = World(self._detectors)
        self.devices.load(restored.devices, world.device_of)
        world.load(folder.reference, restored.journeys)
        self._detection = Detection(self._detectors, world.rules, world.table)
        self._offset = restored.offset
        self._tick_us = restored.tick_us
        self._dirty = {j: why for j, why in restored.dirty.items() if j < world.table.n}
        if restored.detection is not None:
            try:
                self._detection.load(restored.detection)
            except DataDamaged as error:
                log.warning("%s; every journey is run again from history", error)
                restored.anew = True
        if restored.anew:
            self._dirty = dict.fromkeys(range(world.table.n), "the state of all journeys was made anew")
        self._untimed.load(restored.untimed)
        self.live.reset()
        self._tell_live(0)
        self._take_changes(world.version if restored.version is None else restored.version)
        self._see_positions(np.arange(world.table.n))
        self.live.on_alerts(folder.alerts.open_events())
        with self._wake:
            self._waiting.clear()
            self._rows_waiting = 0
            self._from_log = True
            self._last_offset = folder.log.last_offset()
            self._lag = folder.log.rows_after(self._offset)

    # the loop

    def _run(self) -> None:
        ready = True
        while True:
            try:
                if not ready:
                    self._recover()
                    ready, self.failure = True, None
                if not self._turn():
                    self._save()
                    return
            except CocketError as error:  # the disk or the database refuses: begin again from the checkpoint
                log.exception("the detectors had to begin again")
                ready, self.failure = False, error
                with self._wake:
                    self._wake.wait_for(lambda: self._stopping, _RETRY_S)
                    if self._stopping:
                        return
            except BaseException as error:
                self.failure = error  # ours to mend: said by /health, and the log keeps what comes meanwhile
                raise

    def _turn(self) -> bool:
        """One step of whatever is due first; False to end."""
        now = time.monotonic()
        with self._wake:
            if not (
                self._waiting
                or self._from_log
                or self._reference_stale
                or self._stopping
                or self._counts_stale
            ):
                self._wake.wait(self._pause(now))
            stopping, self._taking, self._reference_stale = self._stopping, self._reference_stale, False
            reading = self._from_log
        if stopping:
            return False
        if self._taking:
            self._take_changes(self._world.version)
            self._taking = False
        entries = self._read() if reading else self._take()
        if entries:
            self._step(entries)
        now = time.monotonic()
        if now >= self._next_tick and not reading:
            self._next_tick = now + self._settings.tick_s
            self._tick()
        if self._dirty and now >= self._next_pass and self._offset >= self._folder.alerts.offset():
            self._pass()
        if self._counts_stale and (not entries or now >= self._flushed_at + _FLUSH_S):
            self._flush(now)
        if self._checkpoint.due():
            self._save()
        return True

    def _pause(self, now: float) -> float:
        until = self._next_tick
        if self._dirty:
            until = min(until, self._next_pass)
        return max(0.0, until - now)

    def _take(self) -> list[Committed]:
        taken: list[Committed] = []
        rows = 0
        with self._wake:
            while self._waiting and rows < self._settings.batch_rows:
                entry = self._waiting.popleft()
                taken.append(entry)
                rows += 0 if entry.batch is None else entry.batch.n
            self._rows_waiting -= rows if self._rows_waiting else 0
        return taken

    def _read(self) -> list[Committed]:
        """From the log itself: at start, and after falling behind."""
        entries = self._folder.log.read(self._offset, self._settings.batch_rows)
        if not entries:
            with self._wake:
                if self._offset >= self._last_offset:
                    self._from_log = False
        return [
            Committed(e.offset, e.batch, None if e.batch is None else observation_keys(e.batch), e.tick_us)
            for e in entries
        ]

    # one step

    def _step(self, entries: Sequence[Committed]) -> None:
        changes: list[AlertChange] = []
        run: list[Committed] = []
        for entry in entries:
            if entry.tick_us is None:
                run.append(entry)
                continue
            changes += self._observe(run)
            run = []
            changes += self._pass_time(entry.tick_us)
        changes += self._observe(run)
        self._write(changes, entries[-1].offset)
        rows = sum(0 if e.batch is None else e.batch.n for e in entries)
        self._checkpoint.count(rows)
        with self._wake:
            self._lag -= rows

    def _observe(self, entries: Sequence[Committed]) -> list[AlertChange]:
        if not entries:
            return []
        batch = concat([e.batch for e in entries if e.batch is not None])
        keys = np.concatenate([e.keys for e in entries if e.keys is not None])
        device, journey = self._join(batch)
        self.devices.update(batch, device)
        order = self._detection.order(journey, batch.filled("observed_us"), batch.array("sequence"), keys)
        if len(order.late):
            self._mark_late(order.late, journey)
        events = self._detection.run(
            batch, order.rows, journey, keys, self._world.zones, self._world.corridors
        )
        self._counts_stale = True
        self._show(batch, order.rows, journey)
        raised_us = self._clock.now_us()
        changes = self._detection.changes(events, raised_us)
        return changes + self._untimed.found(batch, keys, device, self._world, raised_us)

    def _join(self, batch: Batch) -> tuple[Array, Array]:
        """(device number, journey) by row; the journey is -1 where the time cannot be trusted."""
        texts = batch.texts("device_id")
        assert texts is not None
        device = self._world.numbers(texts.values)[texts.codes]
        trusted = batch.filled("time_quality") == DEVICE
        asked = device if trusted.all() else np.where(trusted, device, np.int32(-1))
        return device, self._world.journeys(asked, batch.filled("observed_us"))

    def _mark_late(self, late: Array, journey: Array) -> None:
        with self._wake:
            for j in late.tolist():
                self._dirty.setdefault(j, "late data changed what is known of this journey")
            self._late_rows += int(np.isin(journey, late).sum())

    def _show(self, batch: Batch, rows: Array | None, journey: Array) -> None:
        lat, lon = batch.array("lat_deg"), batch.array("lon_deg")
        if lat is None or lon is None:
            return
        fixed = ~np.isnan(lat) & ~np.isnan(lon) & (batch.filled("fix_valid") != 0)
        at = np.flatnonzero(fixed & (journey >= 0)) if rows is None else rows[fixed[rows]]
        course, speed = batch.array("course_deg"), batch.array("speed_mps")
        self.live.update(
            journey[at],
            batch.filled("observed_us")[at],
            lat[at],
            lon[at],
            None if course is None else course[at],
            None if speed is None else speed[at],
        )

    def _pass_time(self, tick_us: int) -> list[AlertChange]:
        self._tick_us = tick_us if self._tick_us is None else max(self._tick_us, tick_us)
        self._counts_stale = True
        return self._detection.changes(self._detection.tick(self._tick_us), self._clock.now_us())

    def _tick(self) -> None:
        """Put a tick into the log if a journey waits for this time to have passed."""
        due = self._detection.state["due_us"][: self._world.table.n]
        now = self._clock.now_us()
        if len(due) and due.min() <= now:
            self._emit_tick(now)

    def _write(self, changes: Sequence[AlertChange], offset: int) -> None:
        if changes:
            self._hub.publish(self._folder.alerts.apply(changes, offset, at_us=self._clock.now_us()))
        self._offset = offset

    def _flush(self, now: float) -> None:
        """Write alerts of which only the count or the worst value moved. Not while the log is read again after a
        crash: what is stored is further then.
        """
        if self._offset < self._folder.alerts.offset():
            return
        self._flushed_at = now
        self._counts_stale = False
        changes = self._detection.changes(self._detection.flush(), self._clock.now_us())
        if changes:
            events = self._folder.alerts.apply(changes, self._offset, at_us=self._clock.now_us())
            self._hub.publish(events)

    # running journeys again

    def _pass(self) -> None:
        """Run journeys afresh that late data or a changed declaration concern, and settle what that changes."""
        began = time.monotonic()
        with self._wake:
            chosen = dict(list(self._dirty.items())[:_MOST_JOURNEYS])
        js = np.array(sorted(chosen), np.int64)
        changes = self._again(js)
        changes += no_longer(
            self._folder.alerts.of_journeys([self._world.table.key(j) for j in js.tolist()]),
            changes,
            {self._world.table.key(j): why for j, why in chosen.items()},
        )
        events = self._folder.alerts.apply(changes, None, at_us=self._clock.now_us())
        with self._wake:
            for j in chosen:
                self._dirty.pop(j, None)
            if not self._dirty:
                self._late_rows = 0
        self._see_positions(js)
        self._hub.publish(events)
        took = time.monotonic() - began
        self._next_pass = began + took + max(self._settings.rerun_s, took)

    def _again(self, js: Array) -> list[AlertChange]:
        table = self._world.table
        wanted = [(table.device_id[j], int(table.from_us[j]), int(table.to_us[j])) for j in js.tolist()]
        found = self._folder.history.find(wanted, upto_offset=self._offset)
        journey = self._join(found.batch)[1] if found.batch.n else np.empty(0, np.int32)
        return self._detection.rerun(
            js,
            found.batch,
            journey,
            found.keys,
            self._world.zones,
            self._world.corridors,
            self._tick_us,
            self._clock.now_us(),
        )

    def _take_changes(self, after: int) -> None:
        """Take in what was declared since version ``after``, and mark the journeys with a history that it concerns."""
        n = self._world.table.n
        rules = self._world.rules
        concerned: dict[int, str] = {}
        while changes := self._folder.reference.changes(after, 1000):
            concerned |= self._world.apply(changes)
            after = changes[-1].version
        if self._world.rules is not rules:
            self._detection.rules = self._world.rules
            self._detection.admit()
        else:
            self._detection.admit(np.array(sorted({*concerned, *range(n, self._world.table.n)}), np.int64))
        self._tell_live(n)
        with self._wake:
            for j, why in concerned.items():
                if j < n:
                    self.live.end(j, int(self._world.table.to_us[j]))
                if self._has_history(j):
                    self._dirty.setdefault(j, why)

    def _has_history(self, j: int) -> bool:
        if self._detection.state["clock_us"][j] != NULL_INT:
            return True
        table = self._world.table
        return self.devices.heard_since(table.device_id[j], int(table.from_us[j]))

    def _tell_live(self, first: int) -> None:
        table = self._world.table
        self.live.add(
            [
                (table.key(j), table.mrn[j], table.device_id[j], int(table.to_us[j]))
                for j in range(first, table.n)
            ]
        )

    def _see_positions(self, js: Array) -> None:
        state = self._detection.state[js]
        fixed = state["fix_us"] != NULL_INT
        self.live.update(
            js[fixed], state["fix_us"][fixed], state["fix_lat"][fixed], state["fix_lon"][fixed], None, None
        )

    # checkpoints

    def _save(self) -> None:
        """Write alerts, state and offset in one transaction, from which a restart goes on."""
        if self._offset < self._folder.alerts.offset():
            return
        now = self._clock.now_us()
        changes = self._detection.changes(self._detection.flush(), now)
        try:
            events = self._checkpoint.save(
                changes,
                now_us=now,
                offset=self._offset,
                version=self._world.version,
                journeys=self._world.table.n,
                detection=self._detection.dump(),
                devices=self.devices.dump(),
                untimed=self._untimed.dump(),
                tick_us=self._tick_us,
                dirty=self._dirty,
            )
        except CocketError:
            log.exception("the checkpoint could not be written; the log keeps what a restart needs")
            return
        self._hub.publish(events)
