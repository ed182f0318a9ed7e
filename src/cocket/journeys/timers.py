"""Timers: the rows that time itself writes.

A silence, a limit date, an arrival and the end of a binding fall due at a moment that is known beforehand. Where
observations carry a journey past such a moment, and where a tick does, the timer becomes a row of the frame at
exactly that moment; so it does not matter which of the two came first. An observation at the very moment still
counts as before it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.frame import ARRIVED, ENDED, OVERSTAY_LIMIT, OVERSTAY_WARN, SILENCE
from cocket.core.journeys import NEVER
from cocket.core.schema import NULL_INT

_LAST_SEQ: Final = 2**63 - 1
_LAST_KEY: Final = np.uint64(2**64 - 1)


@njit(cache=True, nogil=True)
def _next_fixed(stage: Any, when: Any) -> Any:
    """(moment, kind) of the next timer that does not depend on observations."""
    moment, kind = NEVER, ENDED
    if not stage & (1 << OVERSTAY_WARN) and when.warn_us < moment:
        moment, kind = when.warn_us, OVERSTAY_WARN
    if not stage & (1 << OVERSTAY_LIMIT) and when.limit_us < moment:
        moment, kind = when.limit_us, OVERSTAY_LIMIT
    if not stage & (1 << ARRIVED) and when.arrived_us < moment:
        moment, kind = when.arrived_us, ARRIVED
    if not stage & (1 << ENDED) and when.end_us < moment:
        moment, kind = when.end_us, ENDED
    return moment, kind


@njit(cache=True, nogil=True)
def retime(js: Array, state: Array, times: Array) -> None:
    """Set the next timer of each journey in ``js`` from its times and from what has fired."""
    for j in js:
        s = state[j]
        s.fixed_us, _ = _next_fixed(s.stage, times[j])
        s.silent_us = NEVER
        if s.last_us != NULL_INT and not s.stage & (1 << SILENCE):
            s.silent_us = _silent_at(s.last_us, times[j])
        s.due_us = min(s.fixed_us, s.silent_us)


@njit(cache=True, nogil=True)
def _silent_at(last_us: Any, when: Any) -> Any:
    """When silence after an observation falls due; never at or beyond the binding's end."""
    if last_us > NEVER - when.gap_us or last_us + when.gap_us >= when.end_us:
        return NEVER
    return last_us + when.gap_us


@njit(cache=True, nogil=True)
def _fire(j: Any, state: Array, times: Array) -> Any:
    """(moment, kind) of the journey's next timer, which is hereby past."""
    s = state[j]
    moment = s.due_us
    if s.silent_us == moment:
        kind = SILENCE
        s.silent_us = NEVER
    else:
        _, kind = _next_fixed(s.stage, times[j])
    s.stage |= 1 << kind
    s.fixed_us, _ = _next_fixed(s.stage, times[j])
    if kind == ENDED:
        s.fixed_us = NEVER
        s.silent_us = NEVER
    s.due_us = min(s.fixed_us, s.silent_us)
    s.clock_us = moment
    s.clock_seq = _LAST_SEQ
    s.clock_key = _LAST_KEY
    return moment, kind


@njit(cache=True, nogil=True)
def plan(
    rows: Array,
    journey: Array,
    t: Array,
    seq: Array,
    key: Array,
    state: Array,
    times: Array,
    out_row: Array,
    out_journey: Array,
    out_t: Array,
    out_key: Array,
    out_timer: Array,
) -> tuple[int, int]:
    """Lay out a frame: the batch's ``rows`` in order and, before each, the timers it passes. Moves the clocks.

    An empty ``rows`` means all rows of the batch as they stand, an empty ``seq`` that it has no sequence. Gives
    the number of frame rows and the bits of the timer kinds. Room is needed for six rows an observation: itself, a
    silence and each fixed timer.
    """
    n = 0
    kinds = 0
    many = len(rows)
    for i in range(many or len(journey)):
        r = rows[i] if many else i
        j = journey[r]
        s = state[j]
        now = t[r]
        while s.due_us < now:
            last_key = s.last_key
            moment, kind = _fire(j, state, times)
            out_row[n] = -1
            out_journey[n] = j
            out_t[n] = moment
            out_key[n] = last_key
            out_timer[n] = kind
            kinds |= 1 << kind
            n += 1
        out_row[n] = r
        out_journey[n] = j
        out_t[n] = now
        out_key[n] = key[r]
        out_timer[n] = 0
        n += 1
        s.clock_us = now
        s.clock_seq = seq[r] if len(seq) else NULL_INT
        s.clock_key = key[r]
        s.last_us = now
        s.last_key = key[r]
        s.stage &= ~(1 << SILENCE)
        s.silent_us = _silent_at(now, times[j])
        s.due_us = min(s.fixed_us, s.silent_us)
    return n, kinds


@njit(cache=True, nogil=True)
def plan_tick(
    now_us: int,
    js: Array,
    state: Array,
    times: Array,
    out_journey: Array,
    out_t: Array,
    out_key: Array,
    out_timer: Array,
) -> tuple[int, int]:
    """As ``plan`` for a tick: every timer of ``js`` due by ``now_us``. Room is needed for five rows a journey."""
    n = 0
    kinds = 0
    for j in js:
        while state[j].due_us <= now_us:
            if state[j].due_us == NEVER:
                break
            last_key = state[j].last_key
            moment, kind = _fire(j, state, times)
            out_journey[n] = j
            out_t[n] = moment
            out_key[n] = last_key
            out_timer[n] = kind
            kinds |= 1 << kind
            n += 1
    return n, kinds


@njit(cache=True, nogil=True)
def sort_out(
    journey: Array, t: Array, seq: Array, key: Array, state: Array, previous: Array, mark: Array
) -> tuple[int, int, int]:
    """Mark journeys: bit 1 a row is no later than the journey's clock, bit 2 its rows are out of order here.

    ``previous`` (all -1) and ``mark`` (all 0) are scratch by journey; ``previous`` is left clean again. Gives how
    many rows are unbound, and whether any journey has bit 1, bit 2.
    """
    unbound = 0
    late = 0
    mixed = 0
    has_seq = len(seq) > 0
    for i in range(len(journey)):
        j = journey[i]
        if j < 0:
            unbound += 1
            continue
        p = previous[j]
        q = seq[i] if has_seq else NULL_INT
        if p >= 0:
            pt, pq, pk = t[p], (seq[p] if has_seq else NULL_INT), key[p]
        else:
            pt, pq, pk = state[j].clock_us, state[j].clock_seq, state[j].clock_key
        if t[i] < pt or (t[i] == pt and (q < pq or (q == pq and key[i] <= pk))):
            if p < 0:
                mark[j] |= 1
                late = 1
                previous[j] = i
                continue
            mark[j] |= 2
            mixed = 1
            s = state[j]
            if t[i] < s.clock_us or (
                t[i] == s.clock_us and (q < s.clock_seq or (q == s.clock_seq and key[i] <= s.clock_key))
            ):
                mark[j] |= 1
                late = 1
        else:
            previous[j] = i
    for i in range(len(journey)):
        if journey[i] >= 0:
            previous[journey[i]] = -1
    return unbound, late, mixed
