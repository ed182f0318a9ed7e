"""The detectors at work on the log: join, run, write, run again. No thread of its own and no queue.

Everything here follows from the log, the reference data and the last checkpoint; ``engine.runner`` says when what is
done. Journeys that late data or a changed declaration concern are run again from their whole history, in passes, so
that a device that uploads a day at once costs one pass and not a thousand.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Array, Batch, concat
from cocket.core.clock import US, Clock
from cocket.core.config import Detect
from cocket.core.detector import Detector
from cocket.core.errors import DataDamaged
from cocket.core.journeys import JourneyTable
from cocket.core.schema import NULL_INT
from cocket.engine import isolating
from cocket.engine.aside import Aside
from cocket.engine.checkpoint import Checkpoint, Restored
from cocket.engine.conduct import CONDUCT, Conduct
from cocket.engine.declared import Declarations
from cocket.engine.devices import Devices
from cocket.engine.hub import Hub
from cocket.engine.ingest import Committed
from cocket.engine.isolating import Past, Poison, poison
from cocket.engine.live import LiveMap
from cocket.engine.newest import newest_of_each
from cocket.engine.supersede import no_longer
from cocket.engine.untimed import UNTIMED, Untimed
from cocket.engine.world import World
from cocket.journeys.detection import Detection
from cocket.store.alerts import AlertEvent
from cocket.store.folder import LineStores
from cocket.store.log import Log

_MOST_JOURNEYS = 2_000
"""Journeys run again in one pass; bounds the memory that their histories take."""

_SET_BACK_US = 60 * US
"""A tick so much before the one before it is of a clock that was set back."""

_MEND_S = 30.0
"""Seconds until journeys are tried again whose history could not be read."""

log = logging.getLogger(__name__)


class Detecting:
    """All that detection keeps in memory, and its steps. One thread calls the steps; the figures, ``live`` and
    ``devices`` may be asked from any.
    """

    def __init__(
        self,
        folder: LineStores,
        clock: Clock,
        settings: Detect,
        hub: Hub,
        detectors: Sequence[Detector],
        mine: Callable[[str], bool] | None = None,
        declarations: Declarations | None = None,
    ) -> None:
        self._folder = folder
        self._declarations = declarations or Declarations(folder.reference, detectors)
        self._clock = clock
        self._hub = hub
        self._detectors = detectors
        self._mine = mine
        self.live = LiveMap()
        self._leave = hub.subscribe(self.live.on_alerts)
        self.devices = Devices()
        self._untimed = Untimed(detectors)
        self._conduct = Conduct()
        self._checkpoint = Checkpoint(folder, settings)
        self.aside = Aside()
        self._dirty: dict[int, str] = {}
        self._blocked: dict[int, str] = {}
        self._blocked_until = 0.0
        self.blocked_for = ""
        """Why journeys that are to be run again cannot be; empty when none has to wait."""
        self._owed: dict[str, AlertChange] = {}
        self._late_rows = 0
        self._tick_us: int | None = None
        self.offset = 0
        self.counts_stale = False
        self.recover()

    # figures

    @property
    def to_run_again(self) -> int:
        """Late observations that wait for their journeys to be run again; at least one for each such journey."""
        return max(self._late_rows, len(self._dirty) + len(self._blocked))

    @property
    def can_run_again(self) -> bool:
        """Whether a journey waits to be run again whose history can be read, or may be by now."""
        return bool(self._dirty) or (bool(self._blocked) and time.monotonic() >= self._blocked_until)

    def runs_again(self, mrn: str) -> bool:
        """Whether a journey of this movement waits to be run again. May be asked from any thread."""
        table = self._world.table
        return any(table.mrn[j] == mrn for j in (*list(self._dirty), *list(self._blocked)))

    @property
    def behind(self) -> bool:
        """The log is being read again after a crash: what is stored is further than this."""
        return self.offset < self._folder.alerts.offset()

    @property
    def version(self) -> int:
        """The last change of what is declared that was taken in."""
        return self._world.version

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
        aside = self.aside.numbers(self._world.table)
        if len(aside):
            due = np.delete(due, aside)
        now = self._clock.now_us()
        if self._set_back(now):
            return now
        return now if len(due) and due.min() <= now else None

    def _set_back(self, now_us: int) -> bool:
        """Whether the last tick was of a clock that was ahead: what follows from it does not hold."""
        return self._tick_us is not None and now_us < self._tick_us - _SET_BACK_US

    # start

    def recover(self) -> None:
        """From the last checkpoint, or from nothing; the log behind it is then read in the ordinary way."""
        self._owed = {}
        self._blocked, self.blocked_for = {}, ""
        self._standing_from = 0
        restored = self._checkpoint.load()
        self.restore(restored)
        if restored.lost:
            self._after_loss()

    def restore(self, restored: Restored) -> None:
        """Everything in memory, from a checkpoint or from what ``capture`` gave."""
        folder = self._folder
        world = self._world = World(self._detectors, self._mine)
        self.devices.load(restored.devices, world.device_of)
        world.load(*self._declarations.now(), restored.journeys)
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
        if self.aside.load(restored.aside):
            self.try_again("it is tried again by this version")
        self.live.reset()
        self._tell_live(0)
        self.take_changes(world.version if restored.version is None else restored.version)
        self._see_positions(np.arange(world.table.n))
        self.live.on_alerts(folder.alerts.open_events())

    def _after_loss(self) -> None:
        """What no journey's new run brings back: alerts that stand beside the journeys, and what was last heard."""
        alerts = self._folder.alerts
        self._untimed.alerts.load_stored(alerts.standing(UNTIMED))
        self._conduct.alerts.load_stored(alerts.standing(CONDUCT))
        self._standing_from = alerts.offset()
        for batch in newest_of_each(self._folder.history, self._mine):
            device, _ = self._world.join(batch)
            self.devices.update(batch, device)

    def capture(self) -> tuple[Restored, list[AlertChange]]:
        """All state as it is, for ``restore``; and the changes of counts, which it holds as handed out."""
        counts = self._detection.changes(self._detection.flush(), self._clock.now_us())
        return Restored(
            offset=self.offset,
            version=self._world.version,
            journeys=self._world.table.n,
            detection=self._detection.dump(),
            devices=self.devices.dump(),
            untimed=self._untimed.alerts.dump(),
            conduct=self._conduct.alerts.dump(),
            aside=self.aside.dump(),
            tick_us=self._tick_us,
            dirty=dict(self._dirty),
        ), counts

    # what finding a poison row needs (``engine.isolating``)

    @property
    def log(self) -> Log:
        """Where what is set aside is kept."""
        return self._folder.log

    @property
    def table(self) -> JourneyTable:
        """The journeys."""
        return self._world.table

    @property
    def journeys(self) -> int:
        """How many journeys there are."""
        return self._world.table.n

    def now_us(self) -> int:
        """Our clock."""
        return self._clock.now_us()

    def step_carefully(self, entries: Sequence[Committed]) -> None:
        """As ``step``, entry by entry; what a detector raises on is set aside."""
        for entry in entries:
            changes = (
                isolating.observe(self, entry)
                if entry.tick_us is None
                else isolating.pass_time(self, entry.tick_us)
            )
            if (
                self.offset < self._folder.alerts.offset()
            ):  # stored is further: the counts are told when we are there
                self._owed |= {c.id: c for c in changes}
            self._write(changes, [entry])
        self._checkpoint.soon()

    def try_again(self, why: str) -> None:
        """Let the detectors see what was set aside, and run its journeys again."""
        rows, journeys = self.aside.release()
        self._folder.log.tried_again()
        world = self._world
        if rows:
            device = world.numbers([row.device_id for row in rows])
            js = world.journeys(device, np.array([row.observed_us for row in rows], np.int64))
            self._dirty |= dict.fromkeys((int(j) for j in js if j >= 0), why)
        if journeys:
            self._dirty |= {j: why for j in range(world.table.n) if world.table.key(j) in journeys}
        self._checkpoint.soon()

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
            changes += self.observe(run)
            run = []
            changes += self.pass_time(entry.tick_us)
        changes += self.observe(run)
        self._write(changes, entries)
        rows = sum(0 if e.batch is None else e.batch.n for e in entries)
        self._checkpoint.count(rows)

    def observe(self, entries: Sequence[Committed]) -> list[AlertChange]:
        """What the rows of these entries change."""
        if not entries:
            return []
        if entries[0].offset <= self._standing_from < entries[-1].offset:
            known = [e for e in entries if e.offset <= self._standing_from]
            return self.observe(known) + self.observe(entries[len(known) :])
        batch, keys = self.aside.without(
            concat([e.batch for e in entries if e.batch is not None]),
            np.concatenate([e.keys for e in entries if e.keys is not None]),
        )
        if not batch.n:
            return []
        device, journey = self._world.join(batch)
        aside = self.aside.numbers(self._world.table)
        if len(aside):
            journey = np.where(np.isin(journey, aside), np.int32(-1), journey)
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
        if entries[-1].offset <= self._standing_from:  # counted already, in what was stored
            return changes
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

    def pass_time(self, tick_us: int, js: Array | None = None) -> list[AlertChange]:
        """What a tick changes (in the journeys ``js``; None: in all). One that lies before the last says that our clock was
        wrong and was set right: every journey is run again, up to this one.
        """
        if self._set_back(tick_us):
            self._tick_us = tick_us
            why = "our clock had been ahead and was set back"
            self._dirty |= {j: why for j in range(self._world.table.n) if self._has_history(j)}
            return []
        self._tick_us = tick_us if self._tick_us is None else max(self._tick_us, tick_us)
        self.counts_stale = True
        aside = self.aside.numbers(self._world.table)
        if len(aside):
            js = np.setdiff1d(np.arange(self._world.table.n) if js is None else js, aside)
        return self._detection.changes(self._detection.tick(self._tick_us, js), self._clock.now_us())

    def leave(self) -> None:
        """Listen to the hub no more: it may live longer than this line."""
        self._leave()

    def _tell(self, events: Sequence[AlertEvent]) -> None:
        self._hub.publish(events)

    def _write(self, changes: Sequence[AlertChange], entries: Sequence[Committed]) -> None:
        offset = entries[-1].offset
        keep = self._folder.keeping([(e.offset, e.batch, e.keys) for e in entries if e.batch is not None])
        if changes or keep is not None:
            if self._owed and not self.behind:
                for change in changes:
                    self._owed.pop(change.id, None)
            self._tell(self._folder.alerts.apply(changes, offset, at_us=self._clock.now_us(), also=keep))
        self.offset = offset

    def flush(self) -> None:
        """Write alerts of which only the count or the worst value moved. Not while the log is read again after a
        crash: what is stored is further then.
        """
        if self.behind:
            return
        owed, self._owed = self._owed, {}
        changes = [
            *owed.values(),
            *self._detection.changes(self._detection.flush(), self._clock.now_us()),
        ]
        if changes:
            events = self._folder.alerts.apply(changes, self.offset, at_us=self._clock.now_us())
            self._tell(events)
        self.counts_stale = False

    # running journeys again

    def run_again(self) -> None:
        """Run journeys afresh that late data or a changed declaration concern, and settle what that changes.

        Those whose history is damaged have to wait, and the others do not: ``blocked_for`` says why.
        """
        if self._blocked and time.monotonic() >= self._blocked_until:
            self._dirty = {**self._blocked, **self._dirty}
            self._blocked, self.blocked_for = {}, ""
        aside = set(self.aside.numbers(self._world.table).tolist())
        chosen = {j: why for j, why in list(self._dirty.items())[:_MOST_JOURNEYS] if j not in aside}
        for j in aside & self._dirty.keys():
            del self._dirty[j]
        changes, done = self._again(np.array(sorted(chosen), np.int64), chosen) if chosen else ([], chosen)
        changes += no_longer(
            self._folder.alerts.of_journeys([self._world.table.key(j) for j in done]),
            changes,
            {self._world.table.key(j): why for j, why in done.items()},
        )
        events = self._folder.alerts.apply(changes, None, at_us=self._clock.now_us())
        for j in chosen:
            self._dirty.pop(j, None)
        if not self._dirty and not self._blocked:
            self._late_rows = 0
        self._see_positions(np.array(sorted(done), np.int64))
        self._tell(events)

    def _again(self, js: Array, chosen: dict[int, str]) -> tuple[list[AlertChange], dict[int, str]]:
        """The changes of the journeys ``js``, and those of them that did run."""
        try:
            past = self._past(js)
            with poison():
                return self._rerun(js, past), {j: chosen[j] for j in js.tolist()}
        except DataDamaged as error:
            if len(js) == 1:
                self._block(int(js[0]), chosen[int(js[0])], error)
                return [], {}
        except Poison:
            if len(js) == 1:
                changes = isolating.rerun(self, int(js[0]), past)
                self._checkpoint.soon()
                aside = self.aside.numbers(self._world.table)
                return changes, {j: chosen[j] for j in js.tolist() if j not in aside}
        half = len(js) // 2
        first, ran = self._again(js[:half], chosen)
        second, ran_too = self._again(js[half:], chosen)
        return first + second, ran | ran_too

    def _block(self, j: int, why: str, error: DataDamaged) -> None:
        if self.blocked_for != str(error):
            log.error("journeys that are to be run again have to wait: %s", error)
        self._blocked[j] = why
        self._blocked_until = time.monotonic() + _MEND_S
        self.blocked_for = str(error)

    def _past(self, js: Array) -> Past:
        found = self._folder.history.find(self._world.spans(js), upto_offset=self.offset)
        if self.aside.rows:
            kept = ~np.isin(found.keys, np.array(list(self.aside.rows), np.uint64))
            found = found.take(np.flatnonzero(kept))
        return Past(found.batch, found.keys, found.offsets)

    def rerun_of(self, j: int, past: Past) -> list[AlertChange]:
        """One journey's new run over these rows."""
        return self._rerun(np.array([j], np.int64), past)

    def _rerun(self, js: Array, past: Past) -> list[AlertChange]:
        return self._detection.rerun(
            js,
            past.batch,
            self._world.join(past.batch)[1],
            past.keys,
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
            self._checkpoint.count(len(changes))
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
        owed, self._owed = self._owed, {}
        changes = [*owed.values(), *self._detection.changes(self._detection.flush(), now)]
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
            aside=self.aside.dump(),
            tick_us=self._tick_us,
            dirty={**self._blocked, **self._dirty},
        )
        self._tell(events)
