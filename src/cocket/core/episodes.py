"""From levels to alerts: the one kernel that all detectors share.

An episode is one condition of one journey: pending until it has lasted its dwell, then open (an alert), then
closed, or cooling for as long as it may still fold. Episodes live in one sparse pool, because at any time most
journeys have none; what is dense is one int32 per detector and journey. Everything here depends on event time and
row order alone, so the same rows in the same order give the same alerts however they were split.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.schema import NULL_INT

EPISODE: Final = np.dtype(
    [
        ("began_us", np.int64),
        ("began_key", np.uint64),
        ("raised_us", np.int64),
        ("raised_key", np.uint64),
        ("last_us", np.int64),
        ("last_key", np.uint64),
        ("peak_us", np.int64),
        ("peak_key", np.uint64),
        ("ended_us", np.int64),
        ("lat", np.float64),
        ("lon", np.float64),
        ("value", np.float64),
        ("peak", np.float64),
        ("count", np.int32),
        ("journey", np.int32),
        ("subject", np.int32),
        ("next", np.int32),
        ("kinds", np.int32),
        ("detector", np.uint8),
        ("level", np.int8),
        ("state", np.int8),
        ("dirty", np.int8),
    ],
    align=True,
)
"""128 bytes. ``subject`` is a zone's number (-1 none) and ``next`` the journey's next zone record."""

FREE, PENDING, OPEN, COOLING, MEMBER = range(5)
"""What a record is; ``MEMBER``: the journey is inside a zone that nobody watches for staying."""

_TOP, _OUT = 0, 1
_ZERO_KEY = np.uint64(0)


class Pool:
    """The records, those that are free, how many each detector holds (``live``), and the records to hand out."""

    def __init__(self, detectors: int) -> None:
        self.records: Array = np.zeros(0, EPISODE)
        self.free: Array = np.zeros(0, np.int32)
        self.meta: Array = np.zeros(2, np.int64)
        self.live: Array = np.zeros(detectors, np.int64)
        self.out: Array = np.zeros(64, EPISODE)
        self.reserve(64)

    def reserve(self, wanted: int) -> None:
        """At least ``wanted`` free records."""
        top = int(self.meta[_TOP])
        if top >= wanted:
            return
        have = len(self.records)
        room = max(2 * have, have + wanted - top, 64)
        records = np.zeros(room, EPISODE)
        records[:have] = self.records
        free = np.zeros(room, np.int32)
        free[:top] = self.free[:top]
        free[top : top + room - have] = np.arange(room - 1, have - 1, -1, dtype=np.int32)
        self.records, self.free = records, free
        self.meta[_TOP] = top + room - have

    def room(self, wanted: int) -> None:
        """At least ``wanted`` places for records to hand out."""
        used = int(self.meta[_OUT])
        if len(self.out) - used < wanted:
            out = np.zeros(max(2 * len(self.out), used + wanted), EPISODE)
            out[:used] = self.out[:used]
            self.out = out

    def grow(self) -> None:
        """More of both than there is."""
        self.reserve(int(self.meta[_TOP]) + max(64, len(self.records) // 2))
        self.room(len(self.out) - int(self.meta[_OUT]) + len(self.out))

    def taken(self) -> Array:
        """The records handed out since the last call, in row order."""
        used = int(self.meta[_OUT])
        self.meta[_OUT] = 0
        return self.out[:used].copy()

    def flush(self) -> None:
        """Hand out every alert of which only count, last or peak changed since it was handed out."""
        wanted = int(np.count_nonzero(self.records["dirty"]))
        if wanted:
            self.room(wanted)
            _flush(self.records, self.meta, self.out)

    def load(self, records: Array) -> None:
        """Take over ``records`` as they were dumped; what is free is found again."""
        self.records = records
        free = np.flatnonzero(records["state"] == FREE).astype(np.int32)[::-1]
        self.free = np.zeros(len(records), np.int32)
        self.free[: len(free)] = free
        self.meta[:] = (len(free), 0)
        used = records["detector"][records["state"] != FREE]
        self.live[:] = np.bincount(used, minlength=len(self.live))[: len(self.live)]


@njit(cache=True, nogil=True)
def take_record(free: Array, meta: Array) -> int:
    """Index of a free record; the caller has seen to it that there is one."""
    meta[_TOP] -= 1
    return int(free[meta[_TOP]])


@njit(cache=True, nogil=True)
def give_record(records: Array, free: Array, meta: Array, slot: int) -> None:
    """Free a record."""
    records[slot].state = FREE
    records[slot].dirty = 0
    free[meta[_TOP]] = slot
    meta[_TOP] += 1


@njit(cache=True, nogil=True)
def hand_out(records: Array, meta: Array, out: Array, slot: int) -> None:
    """Copy a record to those handed out."""
    records[slot].dirty = 0
    out[meta[_OUT]] = records[slot]
    meta[_OUT] += 1


@njit(cache=True, nogil=True)
def begin(
    records: Array, slot: int, det: int, j: int, t: Any, key: Any, lat: Any, lon: Any, value: Any
) -> None:
    """A record as it is when its condition is first seen: pending, counted once."""
    r = records[slot]
    r.began_us = t
    r.began_key = key
    r.raised_us = NULL_INT
    r.raised_key = _ZERO_KEY
    r.last_us = t
    r.last_key = key
    r.peak_us = t
    r.peak_key = key
    r.ended_us = NULL_INT
    r.lat = lat
    r.lon = lon
    r.value = value
    r.peak = value
    r.count = 1
    r.journey = j
    r.subject = -1
    r.next = -1
    r.kinds = 0
    r.detector = det
    r.level = 1
    r.state = PENDING
    r.dirty = 0


@njit(cache=True, nogil=True)
def affirm(records: Array, slot: int, t: Any, key: Any, value: Any, least: Any) -> None:
    """The condition was seen once more."""
    r = records[slot]
    r.count += 1
    r.last_us = t
    r.last_key = key
    if value == value and (  # noqa: PLR0124 - not NaN
        r.peak != r.peak or (value < r.peak if least else value > r.peak)
    ):
        r.peak = value
        r.peak_us = t
        r.peak_key = key


@njit(cache=True, nogil=True)
def step(
    start: int,
    det: int,
    journey: Array,
    t: Array,
    key: Array,
    lat: Array,
    lon: Array,
    level: Array,
    value: Array,
    elapsed: Any,
    least: Any,
    dwell_us: Array,
    fold_us: Array,
    enabled: Array,
    profile: Array,
    slots: Array,
    records: Array,
    free: Array,
    meta: Array,
    live: Array,
    out: Array,
) -> int:
    """Move the episodes of detector ``det`` through rows ``start``…; the row at which room ran out, or the end.

    ``value`` and ``dwell_us`` hold one element for all rows or one a row (an empty ``value``: none);
    ``fold_us`` and ``enabled`` one a profile. ``elapsed``: the value is the seconds since the episode began.
    ``least``: the peak is the smallest value.
    """
    n = len(journey)
    many_dwells = len(dwell_us) > 1
    valued = len(value) > 0
    for i in range(start, n):
        lev = level[i]
        if lev < 0:
            continue
        j = journey[i]
        slot = slots[j]
        if slot < 0 and lev == 0:
            continue
        p = profile[i]
        if enabled[p] == 0:
            continue
        if meta[_TOP] < 1 or len(out) - meta[_OUT] < 2:
            return i
        now = t[i]
        if slot >= 0 and (lev == 0 or lev == 3):  # noqa: PLR1714 - compiled
            state = records[slot].state
            if state == OPEN:
                records[slot].ended_us = now
                hand_out(records, meta, out, slot)
                if lev == 0 and fold_us[p] > 0:
                    records[slot].state = COOLING
                    continue
            elif state == COOLING and lev == 0:
                continue
            give_record(records, free, meta, slot)
            live[det] -= 1
            slots[j] = -1
            slot = np.int32(-1)
            if lev == 0:
                continue
        if slot >= 0 and records[slot].state == COOLING and now - records[slot].ended_us > fold_us[p]:
            give_record(records, free, meta, slot)
            live[det] -= 1
            slots[j] = -1
            slot = np.int32(-1)
        v = value[i] if valued else np.nan
        wanted = np.int8(2) if lev == 2 else np.int8(1)
        dwell = dwell_us[i] if many_dwells else dwell_us[0]
        if slot < 0:
            slot = np.int32(take_record(free, meta))
            live[det] += 1
            slots[j] = slot
            begin(records, slot, det, j, now, key[i], lat[i], lon[i], 0.0 if elapsed else v)
        else:
            if elapsed:
                v = (now - records[slot].began_us) * 1e-6
            affirm(records, slot, now, key[i], v, least)
        r = records[slot]
        if r.state == PENDING:
            r.level = max(r.level, wanted)
            if now - r.began_us >= dwell:
                r.state = OPEN
                r.raised_us = now
                r.raised_key = key[i]
                r.value = 0.0 if elapsed and now == r.began_us else v
                hand_out(records, meta, out, slot)
        elif r.state == COOLING or wanted > r.level:
            r.state = OPEN
            r.ended_us = NULL_INT
            r.level = max(r.level, wanted)
            hand_out(records, meta, out, slot)
        else:
            r.dirty = 1
    return n


@njit(cache=True, nogil=True)
def _close_journey(
    j: int,
    t: Any,
    slots: Array,
    heads: Array,
    records: Array,
    free: Array,
    meta: Array,
    live: Array,
    out: Array,
) -> None:
    """The binding is over: what is open ends at ``t``, all else is forgotten. Needs room for all its records."""
    for det in range(len(slots)):
        slot = slots[det, j]
        if slot >= 0:
            if records[slot].state == OPEN:
                records[slot].ended_us = t
                hand_out(records, meta, out, slot)
            elif records[slot].dirty:
                hand_out(records, meta, out, slot)
            give_record(records, free, meta, slot)
            live[det] -= 1
            slots[det, j] = -1
    slot = heads[j]
    while slot >= 0:
        following = records[slot].next
        if records[slot].state == OPEN:
            records[slot].ended_us = t
            hand_out(records, meta, out, slot)
        live[records[slot].detector] -= 1
        give_record(records, free, meta, slot)
        slot = following
    heads[j] = -1


@njit(cache=True, nogil=True)
def held(js: Array, slots: Array, heads: Array, records: Array) -> int:
    """How many records the journeys ``js`` hold."""
    total = 0
    for j in js:
        for det in range(len(slots)):
            if slots[det, j] >= 0:
                total += 1
        slot = heads[j]
        while slot >= 0:
            total += 1
            slot = records[slot].next
    return total


@njit(cache=True, nogil=True)
def _drop_journey(
    j: int, slots: Array, heads: Array, records: Array, free: Array, meta: Array, live: Array
) -> None:
    """Forget all records of a journey without a word."""
    for det in range(len(slots)):
        slot = slots[det, j]
        if slot >= 0:
            give_record(records, free, meta, slot)
            live[det] -= 1
            slots[det, j] = -1
    slot = heads[j]
    while slot >= 0:
        following = records[slot].next
        live[records[slot].detector] -= 1
        give_record(records, free, meta, slot)
        slot = following
    heads[j] = -1


@njit(cache=True, nogil=True)
def _move_journey(
    source: int,
    j: int,
    from_slots: Array,
    from_heads: Array,
    from_records: Array,
    slots: Array,
    heads: Array,
    records: Array,
    free: Array,
    meta: Array,
    live: Array,
) -> None:
    """Copy all records of journey ``source`` of another pool to journey ``j`` here. Needs room for them."""
    for det in range(len(slots)):
        slot = from_slots[det, source]
        if slot >= 0:
            mine = take_record(free, meta)
            records[mine] = from_records[slot]
            records[mine].journey = j
            live[det] += 1
            slots[det, j] = mine
    slot = from_heads[source]
    last = -1
    while slot >= 0:
        mine = take_record(free, meta)
        records[mine] = from_records[slot]
        records[mine].journey = j
        records[mine].next = -1
        live[records[mine].detector] += 1
        if last < 0:
            heads[j] = mine
        else:
            records[last].next = mine
        last = mine
        slot = from_records[slot].next


@njit(cache=True, nogil=True)
def _flush(records: Array, meta: Array, out: Array) -> None:
    for slot in range(len(records)):
        if records[slot].dirty:
            hand_out(records, meta, out, slot)


@njit(cache=True, nogil=True)
def close_journeys(
    js: Array,
    when: Array,
    slots: Array,
    heads: Array,
    records: Array,
    free: Array,
    meta: Array,
    live: Array,
    out: Array,
) -> None:
    """The bindings of ``js`` are over: what is open ends at ``when``, all else is forgotten. Needs room to hand out."""
    for i in range(len(js)):
        _close_journey(js[i], when[i], slots, heads, records, free, meta, live, out)


@njit(cache=True, nogil=True)
def adopt_journeys(
    js: Array,
    from_slots: Array,
    from_heads: Array,
    from_records: Array,
    slots: Array,
    heads: Array,
    records: Array,
    free: Array,
    meta: Array,
    live: Array,
) -> None:
    """Journeys ``js`` give up their records for those of journeys 0, 1, … of another pool. Needs free records."""
    for i in range(len(js)):
        _drop_journey(js[i], slots, heads, records, free, meta, live)
        _move_journey(i, js[i], from_slots, from_heads, from_records, slots, heads, records, free, meta, live)
