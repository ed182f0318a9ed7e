"""Did the lock go from locked to unlocked outside the zones where it may?

Locked counts with the rope not reported out. The moment of unlocking raises it at once unless the last known
position is in a zone of the permitted kinds; an unknown position is in none. Each such moment counts; reports that
it is still unlocked do not. Ends when it is locked again, or at the first report from a permitted zone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import Frame

_STATE = np.dtype([("locked", np.int8)])


def _levels(frame: Frame, state: Any) -> Levels | None:
    locked, rope = frame.get("locked"), frame.get("rope_inserted")
    if locked is None and not frame.live:
        return None
    null = np.full(frame.n, -1, np.int8) if locked is None or rope is None else frame.timer
    level = np.empty(frame.n, np.int8)
    raised = _unlocked(
        frame.journey,
        frame.timer,
        null if locked is None else locked,
        null if rope is None else rope,
        frame.in_kinds,
        frame.param("unlock-outside-zone", "permitted_kinds"),
        frame.profile,
        state,
        level,
    )
    return Levels(level) if raised or frame.live else None


@njit(cache=True, nogil=True)
def _unlocked(
    journey: Array,
    timer: Array,
    locked: Array,
    rope: Array,
    in_kinds: Array,
    permitted: Array,
    profile: Array,
    state: Array,
    level: Array,
) -> bool:
    raised = False
    for i in range(len(journey)):
        level[i] = -1
        if timer[i]:
            continue
        s = state[journey[i]]
        inside = in_kinds[i] & permitted[profile[i]] != 0
        if locked[i] == 1:
            s.locked = 0 if rope[i] == 0 else 1
            level[i] = 0
        else:
            if inside:
                level[i] = 0
            elif locked[i] == 0 and s.locked == 1:
                level[i] = 1
                raised = True
            if locked[i] == 0:
                s.locked = 0
    return raised


def _says(f: Facts) -> str:
    return f"Seal {f.device_id} on {f.equipment_id} was unlocked outside the zones where it may be."


DETECTOR = Detector(
    name="unlock-outside-zone",
    question="Was the lock unlocked outside the zones where it may be?",
    severities=("critical",),
    says=_says,
    params=(
        Param(
            "permitted_kinds", ("unlock-permitted", "destination"), "", "zones where it may unlock", "kinds"
        ),
    ),
    levels=_levels,
    state=_STATE,
)
