"""Zones as the detectors see them: which zones a journey is in, and what it means that it entered, stays or left.

A journey's zones are a short list of records in the pool of episodes. At every valid fix the list is compared with
the zones of that fix. A zone of the ``stay`` kinds is an episode for as long as the journey is inside; entering and
leaving one of the other kinds are moments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.episodes import (
    COOLING,
    FREE,
    MEMBER,
    OPEN,
    Pool,
    affirm,
    begin,
    give_record,
    hand_out,
    take_record,
)
from cocket.core.frame import Frame
from cocket.core.schema import NULL_INT


def follow(
    frame: Frame, subject: Array, kind: Array, watched: tuple[Any, ...], heads: Array, pool: Pool
) -> None:
    """Follow all journeys of a frame in and out of zones. ``subject`` and ``kind``: lasting number and kinds by zone
    of the index; ``watched``: number of the detectors that stay, enter and leave, kinds of each by profile, and how
    long staying folds by profile; ``heads``: first record by journey.
    """
    at = 0
    while True:
        at = watch(
            at,
            frame.journey,
            frame.t,
            frame.key,
            frame.has_fix,
            frame.fix_lat,
            frame.fix_lon,
            frame.zone_offsets,
            frame.zones,
            subject,
            kind,
            frame.profile,
            *watched,
            heads,
            pool.records,
            pool.free,
            pool.meta,
            pool.live,
            pool.out,
        )
        if at == frame.n:
            return
        pool.grow()


@njit(cache=True, nogil=True)
def _moment(
    det: Any, j: Any, t: Any, key: Any, lat: Any, lon: Any, subject: Any, meta: Array, out: Array
) -> None:
    """Hand out an alert that begins and ends at one row."""
    at = meta[1]
    begin(out, at, det, j, t, key, lat, lon, np.nan)
    r = out[at]
    r.raised_us = t
    r.raised_key = key
    r.ended_us = t
    r.subject = subject
    r.state = FREE
    meta[1] = at + 1


@njit(cache=True, nogil=True)
def watch(
    start: int,
    journey: Array,
    t: Array,
    key: Array,
    has_fix: Array,
    lat: Array,
    lon: Array,
    offsets: Array,
    zones: Array,
    zone_subject: Array,
    zone_kind: Array,
    profile: Array,
    stay_det: int,
    enter_det: int,
    leave_det: int,
    stay_kinds: Array,
    enter_kinds: Array,
    leave_kinds: Array,
    fold_us: Array,
    heads: Array,
    records: Array,
    free: Array,
    meta: Array,
    live: Array,
    out: Array,
) -> int:
    """Move the zone lists through rows ``start``…; the row at which room ran out, or the end.

    ``zone_subject`` and ``zone_kind`` are by zone of the index, ``*_kinds`` and ``fold_us`` by profile, with no
    kind where the detector is off; ``*_det`` are the detectors' numbers.
    """
    n = len(journey)
    for i in range(start, n):
        if not has_fix[i]:
            continue
        j = journey[i]
        a = offsets[i]
        b = offsets[i + 1]
        if a == b and heads[j] < 0:
            continue
        length = 0
        slot = heads[j]
        while slot >= 0:
            length += 1
            slot = records[slot].next
        if meta[0] < b - a or len(out) - meta[1] < length + 2 * (b - a):
            return i
        now = t[i]
        p = profile[i]
        before = -1
        slot = heads[j]
        while slot >= 0:
            r = records[slot]
            following = r.next
            inside = False
            for k in range(a, b):
                if zone_subject[zones[k]] == r.subject:
                    inside = True
            gone = False
            if r.state == COOLING:
                gone = now - r.ended_us > fold_us[p]
            elif inside:
                if r.state == OPEN:
                    affirm(records, slot, now, key[i], np.nan, False)
                    r.dirty = 1
            else:
                if r.state == OPEN:
                    r.ended_us = now
                    hand_out(records, meta, out, slot)
                if r.kinds & leave_kinds[p]:
                    _moment(leave_det, j, now, key[i], lat[i], lon[i], r.subject, meta, out)
                if r.state == OPEN and fold_us[p] > 0:
                    r.state = COOLING
                else:
                    gone = True
            if gone:
                if before < 0:
                    heads[j] = following
                else:
                    records[before].next = following
                live[stay_det] -= 1
                give_record(records, free, meta, slot)
            else:
                before = slot
            slot = following
        for k in range(a, b):
            z = zones[k]
            subject = zone_subject[z]
            slot = heads[j]
            while slot >= 0 and records[slot].subject != subject:
                slot = records[slot].next
            if slot >= 0 and records[slot].state != COOLING:
                continue
            kind = zone_kind[z]
            if kind & enter_kinds[p]:
                _moment(enter_det, j, now, key[i], lat[i], lon[i], subject, meta, out)
            if slot >= 0:
                affirm(records, slot, now, key[i], np.nan, False)
                records[slot].state = OPEN
                records[slot].ended_us = NULL_INT
                hand_out(records, meta, out, slot)
                continue
            slot = take_record(free, meta)
            begin(records, slot, stay_det, j, now, key[i], lat[i], lon[i], np.nan)
            r = records[slot]
            r.subject = subject
            r.kinds = kind
            r.next = heads[j]
            heads[j] = slot
            live[stay_det] += 1
            if kind & stay_kinds[p]:
                r.state = OPEN
                r.raised_us = now
                r.raised_key = key[i]
                hand_out(records, meta, out, slot)
            else:
                r.state = MEMBER
    return n
