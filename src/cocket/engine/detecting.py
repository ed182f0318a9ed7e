"""The detectors at work on the log: join, run, write, run again. No thread of its own and no queue.

Everything here follows from the log, the reference data and the last checkpoint; ``engine.runner`` says when what is
done. Journeys that late data or a changed declaration concern are run again from their whole history, in passes, so
that a device that uploads a day at once costs one pass and not a thousand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Array, Batch, concat
from cocket.core.clock import Clock
from cocket.core.config import Detect
from cocket.core.detector import Detector
from cocket.core.errors import DataDamaged
from cocket.core.schema import NULL_INT
from cocket.engine.checkpoint import Checkpoint
from cocket.engine.conduct import Conduct
from cocket.engine.devices import Devices
from cocket.engine.hub import Hub
from cocket.engine.ingest import Committed
from cocket.engine.live import LiveMap
from cocket.engine.supersede import no_longer
from cocket.engine.untimed import Untimed
from cocket.engine.world import World
from cocket.journeys.detection import Detection
from cocket.store.folder import DataFolder

_MOST_JOURNEYS = 2_000
"""Journeys run again in one pass; bounds the memory that their histories take."""

log = logging.getLogger(__name__)


class Detecting:
    """All that detection keeps in memory, and its steps. One thread calls the steps; the figures, ``live`` and
    ``devices`` may be asked from any.
    """

    def __init__(
        self,
        folder: DataFolder,
        clock: Clock,
        settings: Detect,
        hub: Hub,
        detectors: Sequence[Detector],
        mine: Callable[[str], bool] | None = None,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._hub = hub
        self._detectors = detectors
        self._mine = mine
        self.live = LiveMap()
        hub.subscribe(self.live.on_alerts)
        self.devices = Devices()
        self._untimed = Untimed(detectors)
        self._conduct = Conduct()
        self._checkpoint = Checkpoint(folder, settings)
        self._dirty: dict[int, str] = {}
        self._late_rows = 0
        self._tick_us: int | None = None
        self.offset = 0
        self.counts_stale = False
        self.recover()

    # figures

    @property
    def to_run_again(self) -> int:
        """Late observations that wait for their journeys to be run again; at least one for each such journey."""
        return max(self._late_rows, len(self._dirty))

    def runs_again(self, mrn: str) -> bool:
        """Whether a journey of this movement waits to be run again. May be asked from any thread."""
        table = self._world.table
        return any(table.mrn[j] == mrn for j in list(self._dirty))

    @property
    def behind(self) -> bool:
        """The log is being read again after a crash: what is stored is further than this."""
        return self.offset < self._folder.alerts.offset()

    @property
    def state_bytes(self) -> int:
        """Memory of the detectors' state."""
        return self._detection.nbytes()

    def checkpoint_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return self._checkpoint.due()

    def timer_due(self) -> int | None:
        """The time now, if some journey waits for it to have passed; None otherwise."""
        due = self._detection.state["due_us"][: self._world.table.n]
        now = self._clock.now_us()
        return now if len(due) and due.min() <= now else None

    # start

    def recover(self) -> None:
        """From the last checkpoint, or from nothing; the log behind it is then read in the ordinary way."""
        folder = self._folder
        restored = self._checkpoint.load()
        world = self._world = World(self._detectors, self._mine)
        self.devices.load(restored.devices, world.device_of)
        world.load(folder.reference, restored.journeys)
        self._detection = Detection(self._detectors, world.rules, world.table)
        self.offset = restored.offset
        self._tick_us = restored.tick_us
        self._late_rows = 0
        self._dirty = {j: why for j, why in restored.dirty.items() if j < world.table.n}
        if restored.detection is not None:
            try:
                self._detection.load(restored.detection)
            except DataDamaged as error:
                log.warning("%s; every journey is run again from history", error)
                restored.anew = True
        if restored.anew:
            self._dirty = dict.fromkeys(range(world.table.n), "the state of all journeys was made anew")
        self._untimed.alerts.load(restored.untimed)
        self._conduct.alerts.load(restored.conduct)
        self.live.reset()
        self._tell_live(0)
        self.take_changes(world.version if restored.version is None else restored.version)
        self._see_positions(np.arange(world.table.n))
        self.live.on_alerts(folder.alerts.open_events())

    # one step

    def step(self, entries: Sequence[Committed]) -> None:
        """Detect what the next entries of the log hold, and book it with the offset of the last."""
        changes: list[AlertChange] = []
        run: list[Committed] = []
        for entry in entries:
            if entry.tick_us is None:
                if entry.batch is not None:
                    run.append(entry)
                continue
            changes += self._observe(run)
            run = []
            changes += self._pass_time(entry.tick_us)
        changes += self._observe(run)
        self._write(changes, entries[-1].offset)
        rows = sum(0 if e.batch is None else e.batch.n for e in entries)
        self._checkpoint.count(rows)

    def _observe(self, entries: Sequence[Committed]) -> list[AlertChange]:
        if not entries:
            return []
        batch = concat([e.batch for e in entries if e.batch is not None])
        keys = np.concatenate([e.keys for e in entries if e.keys is not None])
        device, journey = self._world.join(batch)
        self.devices.update(batch, device)
        order = self._detection.order(journey, batch.filled("observed_us"), batch.array("sequence"), keys)
        if len(order.late):
            self._mark_late(order.late, journey)
        events = self._detection.run(
            batch, order.rows, journey, keys, self._world.zones, self._world.corridors
        )
        self.counts_stale = True
        self._show(batch, order.rows, journey)
        raised_us = self._clock.now_us()
        changes = self._detection.changes(events, raised_us)
        changes += self._conduct.found(batch, keys, device, self._world, raised_us)
        return changes + self._untimed.found(batch, keys, device, self._world, raised_us)

    def _mark_late(self, late: Array, journey: Array) -> None:
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
        self.counts_stale = True
        return self._detection.changes(self._detection.tick(self._tick_us), self._clock.now_us())

    def _write(self, changes: Sequence[AlertChange], offset: int) -> None:
        if changes:
            self._hub.publish(self._folder.alerts.apply(changes, offset, at_us=self._clock.now_us()))
        self.offset = offset

    def flush(self) -> None:
        """Write alerts of which only the count or the worst value moved. Not while the log is read again after a
        crash: what is stored is further then.
        """
        if self.behind:
            return
        self.counts_stale = False
        changes = self._detection.changes(self._detection.flush(), self._clock.now_us())
        if changes:
            events = self._folder.alerts.apply(changes, self.offset, at_us=self._clock.now_us())
            self._hub.publish(events)

    # running journeys again

    def run_again(self) -> None:
        """Run journeys afresh that late data or a changed declaration concern, and settle what that changes."""
        chosen = dict(list(self._dirty.items())[:_MOST_JOURNEYS])
        js = np.array(sorted(chosen), np.int64)
        changes = self._again(js)
        changes += no_longer(
            self._folder.alerts.of_journeys([self._world.table.key(j) for j in js.tolist()]),
            changes,
            {self._world.table.key(j): why for j, why in chosen.items()},
        )
        events = self._folder.alerts.apply(changes, None, at_us=self._clock.now_us())
        for j in chosen:
            del self._dirty[j]
        if not self._dirty:
            self._late_rows = 0
        self._see_positions(js)
        self._hub.publish(events)

    def _again(self, js: Array) -> list[AlertChange]:
        found = self._folder.history.find(self._world.spans(js), upto_offset=self.offset)
        return self._detection.rerun(
            js,
            found.batch,
            self._world.join(found.batch)[1],
            found.keys,
            self._world.zones,
            self._world.corridors,
            self._tick_us,
            self._clock.now_us(),
        )

    def take_changes(self, after: int | None = None) -> None:
        """Take in what was declared since version ``after`` (None: since the last time), and mark the journeys with
        a history that it concerns.
        """
        after = self._world.version if after is None else after
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

    def save(self) -> None:
        """Write alerts, state and offset in one transaction, from which a restart goes on."""
        if self.behind:
            return
        now = self._clock.now_us()
        changes = self._detection.changes(self._detection.flush(), now)
        events = self._checkpoint.save(
            changes,
            now_us=now,
            offset=self.offset,
            version=self._world.version,
            journeys=self._world.table.n,
            detection=self._detection.dump(),
            devices=self.devices.dump(),
            untimed=self._untimed.alerts.dump(),
            conduct=self._conduct.alerts.dump(),
            tick_us=self._tick_us,
            dirty=self._dirty,
        )
        self._hub.publish(events)
