"""Detection: frames in, alerts out, with all state of all journeys.

The final alerts are a function of the set of observations, the reference data, the rules and the last tick. Rows in
order run at once; a journey that gets a row no later than what it has seen is run afresh from its whole history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Array, Batch
from cocket.core.detector import Detector, Levels
from cocket.core.episodes import Pool, adopt_journeys, close_journeys, held, step
from cocket.core.frame import ENDED, Frame
from cocket.core.journeys import JourneyTable
from cocket.core.rules import Rules
from cocket.journeys.frame import Corridors, Zones, build, build_tick
from cocket.journeys.snapshot import pack, unpack
from cocket.journeys.state import STATE, TIMES, blank, times_of
from cocket.journeys.telling import tell
from cocket.journeys.timers import retime, sort_out
from cocket.journeys.zonewatch import follow

_NO_SEQ = np.empty(0, np.int64)
_NO_VALUE = np.empty(0, np.float64)


@dataclass(frozen=True, slots=True)
class Order:
    """``rows``: which rows to run, right within each journey (None: all, as they stand); ``late``: the journeys to
    run afresh, whose rows are not among them.
    """

    rows: Array | None
    late: Array


class Detection:
    """All detector state, indexed by journey. One thread at a time; nothing here reads a clock or touches a disk."""

    def __init__(self, detectors: Sequence[Detector], rules: Rules, table: JourneyTable) -> None:
        self.detectors = tuple(detectors)
        self.rules = rules
        self.table = table
        self._room = 0
        self.state: Array = np.zeros(0, STATE)
        self.times: Array = np.zeros(0, TIMES)
        self.hint: Array = np.zeros(0, np.int32)
        self.slots: Array = np.zeros((len(detectors), 0), np.int32)
        self.heads: Array = np.zeros(0, np.int32)
        self.own: list[Array | None] = [
            None if d.state is None else np.zeros(0, d.state) for d in self.detectors
        ]
        self.pool = Pool(len(detectors))
        self.subjects: list[str] = []
        self._subject: dict[str, int] = {}
        self._zones: tuple[Any, Array] = (None, np.zeros(0, np.int32))
        self._previous: Array = np.zeros(0, np.int32)
        self._mark: Array = np.zeros(0, np.int8)
        self._zone_dets = {d.zone: k for k, d in enumerate(self.detectors) if d.zone}
        self._fold: dict[int, tuple[Array, Array]] = {}
        self._watched: tuple[Any, ...] | None = None
        self.admit()

    def admit(self, js: Array | Sequence[int] | None = None) -> None:
        """Take in journeys that are new in the table, or whose content changed (None: all of them).

        A journey that had rows already and whose content changed must be run afresh as well.
        """
        table = self.table
        self._reserve(table.n)
        which = np.arange(table.n) if js is None else np.asarray(js, np.int64)
        if not len(which):
            return
        columns = (table.corridor_id, table.goods, table.device_class)
        if js is not None:
            corridor, goods, device_class = ([column[j] for j in which.tolist()] for column in columns)
            columns = (corridor, goods, device_class)
        table.profile[which] = self.rules.profiles(*columns)
        self.times[which] = times_of(table, self.rules, which)
        retime(which, self.state, self.times)
        self._fold.clear()
        self._watched = None

    def order(self, journey: Array, observed_us: Array, sequence: Array | None, keys: Array) -> Order:
        """Which rows can run at once, in what order, and which journeys are late."""
        seq = _NO_SEQ if sequence is None else sequence
        keys = _writable(keys)
        unbound, late, mixed = sort_out(
            journey, observed_us, seq, keys, self.state, self._previous, self._mark
        )
        if not (unbound or late or mixed):
            return Order(None, np.empty(0, np.int32))
        if unbound == len(journey):
            return Order(np.empty(0, np.int32), np.empty(0, np.int32))
        mark = np.where(journey >= 0, self._mark[journey], np.int8(1))
        rows = np.flatnonzero((mark & 1) == 0)
        late_js = np.unique(journey[(mark & 1 == 1) & (journey >= 0)]) if late else np.empty(0, np.int32)
        if mixed:
            places = np.flatnonzero(mark[rows] & 2)
            mess = rows[places]
            by = [keys[mess], observed_us[mess], journey[mess]]
            if sequence is not None:
                by.insert(1, sequence[mess])
            rows[places] = mess[np.lexsort(by)]
        self._mark[journey[mark > 0]] = 0
        return Order(rows.astype(np.int32), late_js.astype(np.int32))

    def run(
        self,
        batch: Batch,
        rows: Array | None,
        journey: Array,
        keys: Array,
        zones: Zones | None,
        corridors: Corridors | None,
    ) -> Array:
        """Run ``rows`` of a batch (see ``order``; None: all); gives the episodes that opened, changed or ended."""
        frame = build(
            batch,
            rows,
            journey,
            _writable(keys),
            state=self.state,
            times=self.times,
            hint=self.hint,
            table=self.table,
            rules=self.rules,
            zones=zones,
            corridors=corridors,
        )
        return self._detect(frame, zones)

    def tick(self, now_us: int, js: Array | None = None) -> Array:
        """Fire every timer due by ``now_us`` (of the journeys ``js``; None: of all)."""
        due = self.state["due_us"][: self.table.n] if js is None else self.state["due_us"][js]
        at = np.flatnonzero(due <= now_us)
        frame = build_tick(
            now_us,
            at if js is None else js[at],
            state=self.state,
            times=self.times,
            table=self.table,
            rules=self.rules,
        )
        return self.pool.taken() if frame is None else self._detect(frame, None)

    def flush(self) -> Array:
        """The open alerts of which only the count, the last or the peak changed since they were handed out."""
        self.pool.flush()
        return self.pool.taken()

    def changes(self, events: Array, raised_us: int, *, late: bool = False) -> list[AlertChange]:
        """The alerts of these episodes, each once, as it last stood. ``raised_us`` is our clock."""
        return tell(events, self.detectors, self.rules, self.table, self.subjects, raised_us, late=late)

    def rerun(
        self,
        js: Array,
        batch: Batch,
        journey: Array,
        keys: Array,
        zones: Zones | None,
        corridors: Corridors | None,
        tick_us: int | None,
        raised_us: int,
    ) -> list[AlertChange]:
        """Run the journeys ``js`` afresh and take over their state; every alert of them from the start.

        ``batch`` holds all their rows, in any order; rows of other journeys are passed over. ``tick_us`` is the
        last tick. Alerts of these journeys that are stored and not in the answer no longer hold.
        """
        js = np.asarray(js, np.int64)
        local = np.full(self.table.n + 1, -1, np.int32)
        local[js] = np.arange(len(js), dtype=np.int32)
        theirs = np.where(journey >= 0, local[journey], np.int32(-1))
        fresh = Detection(self.detectors, self.rules, self.table.take(js))
        fresh.subjects, fresh._subject = self.subjects, self._subject
        order = fresh.order(theirs, batch.filled("observed_us"), batch.array("sequence"), keys)
        events = [fresh.run(batch, order.rows, theirs, keys, zones, corridors)]
        if tick_us is not None:
            events.append(fresh.tick(tick_us))
        events.append(fresh.flush())
        self._adopt(fresh, js)
        return fresh.changes(np.concatenate(events), raised_us, late=True)

    def nbytes(self) -> int:
        """Bytes of state in use, the pool's included."""
        n = max(1, self._room)
        arrays = [self.state, self.times, self.hint, self.heads, *(a for a in self.own if a is not None)]
        dense = sum(a.nbytes for a in arrays) + self.slots.nbytes + self._previous.nbytes + self._mark.nbytes
        return int(dense / n * self.table.n) + self.pool.records.nbytes + self.pool.free.nbytes

    def dump(self) -> bytes:
        """The whole state; journeys by number. Flush first: what is dumped counts as handed out."""
        n = self.table.n
        own = {d.name: a[:n] for d, a in zip(self.detectors, self.own, strict=True) if a is not None}
        arrays = {
            "state": self.state[:n],
            "hint": self.hint[:n],
            "heads": self.heads[:n],
            "slots": np.ascontiguousarray(self.slots[:, :n]),
            "records": self.pool.records,
            **{f"own {name}": a for name, a in own.items()},
        }
        return pack([d.name for d in self.detectors], self.subjects, arrays)

    def load(self, data: bytes) -> None:
        """Take over a dumped state, for a table with the same journeys in the same order.

        Raises ``DataDamaged`` when it was written for other detectors; then run everything afresh.
        """
        subjects, arrays = unpack(data, [d.name for d in self.detectors], self.table.n, self._shapes())
        n = self.table.n
        self.subjects = subjects
        self._subject = {s: k for k, s in enumerate(subjects)}
        self._zones = (None, self._zones[1])
        self.state[:n] = arrays["state"]
        self.hint[:n] = arrays["hint"]
        self.heads[:n] = arrays["heads"]
        self.slots[:, :n] = arrays["slots"]
        for d, mine in zip(self.detectors, self.own, strict=True):
            if mine is not None:
                mine[:n] = arrays[f"own {d.name}"]
        self.pool.load(arrays["records"])
        retime(np.arange(n), self.state, self.times)

    def _shapes(self) -> dict[str, Array]:
        own = {f"own {d.name}": a for d, a in zip(self.detectors, self.own, strict=True) if a is not None}
        return {
            "state": self.state,
            "hint": self.hint,
            "heads": self.heads,
            "slots": self.slots,
            "records": self.pool.records,
            **own,
        }

    def _detect(self, frame: Frame, zones: Zones | None) -> Array:
        for k, detector in enumerate(self.detectors):
            if detector.levels is not None:
                frame.live = bool(self.pool.live[k])
                levels = detector.levels(frame, self.own[k])
                if levels is not None:
                    self._step(k, frame, levels)
        if self._zone_dets and frame.has_fix.any():
            self._watch(frame, zones)
        if frame.timers >> ENDED & 1:
            self._close(frame)
        return self.pool.taken()

    def _step(self, k: int, frame: Frame, levels: Levels) -> None:
        pool, detector = self.pool, self.detectors[k]
        fold, enabled = self._fold_of(k)
        dwell = levels.dwell_us
        dwells = dwell if isinstance(dwell, np.ndarray) else np.full(1, dwell, np.int64)
        at = 0
        while True:
            at = step(
                at,
                k,
                frame.journey,
                frame.t,
                frame.key,
                frame.fix_lat,
                frame.fix_lon,
                levels.level,
                _NO_VALUE if levels.value is None else levels.value,
                levels.elapsed,
                detector.worst == "min",
                dwells,
                fold,
                enabled,
                frame.profile,
                self.slots[k],
                pool.records,
                pool.free,
                pool.meta,
                pool.live,
                pool.out,
            )
            if at == frame.n:
                return
            pool.grow()

    def _watch(self, frame: Frame, zones: Zones | None) -> None:
        subject, kind = self._subjects_of(zones)
        if self._watched is None:
            self._watched = self._watching()
        follow(frame, subject, kind, self._watched, self.heads, self.pool)

    def _watching(self) -> tuple[Any, ...]:
        """Of the detectors of zones: number of each, kinds of each by profile, how long staying folds by profile."""
        profiles = len(self.rules.values(self.detectors[0].name, "enabled"))
        numbers, kinds = [], []
        for how in ("stay", "enter", "leave"):
            numbers.append(self._zone_dets.get(how, 0))
            name = self.detectors[numbers[-1]].name
            mine = np.zeros(profiles, np.int32)
            if how in self._zone_dets:
                mine = self.rules.values(name, "kinds") * self.rules.values(name, "enabled").astype(np.int32)
            kinds.append(mine)
        stays = "stay" in self._zone_dets
        return *numbers, *kinds, self._fold_of(numbers[0])[0] if stays else np.zeros(profiles, np.int64)

    def _close(self, frame: Frame) -> None:
        ended = frame.timer == ENDED
        js, when = frame.journey[ended].astype(np.int64), frame.t[ended]
        self.pool.room(held(js, self.slots, self.heads, self.pool.records))
        close_journeys(
            js,
            when,
            self.slots,
            self.heads,
            self.pool.records,
            self.pool.free,
            self.pool.meta,
            self.pool.live,
            self.pool.out,
        )

    def _adopt(self, fresh: Detection, js: Array) -> None:
        """Take over the state of ``fresh``'s journeys 0, 1, … as that of ``js``."""
        pool = self.pool
        self.state[js] = fresh.state[: len(js)]
        self.hint[js] = fresh.hint[: len(js)]
        for mine, theirs in zip(self.own, fresh.own, strict=True):
            if mine is not None and theirs is not None:
                mine[js] = theirs[: len(js)]
        pool.reserve(int(held(np.arange(len(js)), fresh.slots, fresh.heads, fresh.pool.records)))
        adopt_journeys(
            js,
            fresh.slots,
            fresh.heads,
            fresh.pool.records,
            self.slots,
            self.heads,
            pool.records,
            pool.free,
            pool.meta,
            pool.live,
        )

    def _fold_of(self, k: int) -> tuple[Array, Array]:
        """(fold time in microseconds, whether it is on) of detector ``k`` by profile."""
        found = self._fold.get(k)
        if found is None:
            name = self.detectors[k].name
            fold = (np.minimum(self.rules.values(name, "fold_s"), 4e12) * 1e6).astype(np.int64)
            found = self._fold[k] = (fold, self.rules.values(name, "enabled"))
        return found

    def _subjects_of(self, zones: Zones | None) -> tuple[Array, Array]:
        """(lasting number, kinds) of each zone of an index."""
        if zones is None:
            return np.zeros(0, np.int32), np.zeros(0, np.int32)
        if self._zones[0] is not zones:
            for name in zones.ids:
                if name not in self._subject:
                    self._subject[name] = len(self.subjects)
                    self.subjects.append(name)
            numbers = np.array([self._subject[name] for name in zones.ids], np.int32)
            self._zones = (zones, numbers)
        return self._zones[1], zones.kinds

    def _reserve(self, n: int) -> None:
        have = self._room
        if n <= have:
            return
        room = self._room = max(n, 2 * have, 16)
        self.state = _grown(self.state, blank(room))
        self.times = _grown(self.times, np.zeros(room, TIMES))
        self.hint = _grown(self.hint, np.zeros(room, np.int32))
        self.heads = _grown(self.heads, np.full(room, -1, np.int32))
        slots = np.full((len(self.detectors), room), -1, np.int32)
        slots[:, :have] = self.slots
        self.slots = slots
        self.own = [None if a is None else _grown(a, np.zeros(room, a.dtype)) for a in self.own]
        self._previous = np.full(room, -1, np.int32)
        self._mark = np.zeros(room, np.int8)


def _writable(keys: Array) -> Array:
    """A kernel is compiled again for an array that may not be written to."""
    return keys if keys.flags.writeable else keys.copy()


def _grown(old: Array, new: Array) -> Array:
    new[: len(old)] = old
    return new
