"""Was the seal opened while it was armed?

Armed: it was seen locked, with the rope not reported out, since the journey began. Opened: the lock is open or the
rope is out. It is raised at once unless the last known position is in a zone of the permitted kinds; an unknown
position is in none. Opening it in a permitted zone disarms it, until it is locked again. The lock's own alarm, that an
opening was not permitted, raises it at once in any zone, armed or not, and counts as armed from then on. Ends when it
is locked and the alarm does not sound. EAEU code 02.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import Frame

_STATE = np.dtype([("armed", np.int8)])


def _levels(frame: Frame, state: Any) -> Levels | None:
    columns = [frame.get(name) for name in ("locked", "rope_inserted", "unlock_alarm")]
    if all(c is None for c in columns):
        return None
    null = np.full(frame.n, -1, np.int8)
    # writable, or the kernel is compiled once more
    locked, rope, alarm = (null if c is None else np.require(c, None, "W") for c in columns)
    permitted = frame.param("seal-opened", "permitted_kinds")
    level = np.empty(frame.n, np.int8)
    raised = _opened(
        frame.journey,
        locked,
        rope,
        alarm,
        frame.in_kinds,
        permitted,
        frame.profile,
        state,
        level,
    )
    return Levels(level) if raised or frame.live else None


@njit(cache=True, nogil=True)
def _opened(
    journey: Array,
    locked: Array,
    rope: Array,
    alarm: Array,
    in_kinds: Array,
    permitted: Array,
    profile: Array,
    state: Array,
    level: Array,
) -> bool:
    raised = False
    for i in range(len(journey)):
        s = state[journey[i]]
        level[i] = -1
        if alarm[i] == 1:
            s.armed = 1
            level[i] = 1
            raised = True
        elif locked[i] == 1 and rope[i] != 0:
            s.armed = 1
            level[i] = 0
        elif (locked[i] == 0 or rope[i] == 0) and s.armed == 1:
            if in_kinds[i] & permitted[profile[i]]:
                s.armed = 0
            else:
                level[i] = 1
                raised = True
    return raised


def _says(f: Facts) -> str:
    return f"Seal {f.device_id} on {f.equipment_id} was opened while armed, and this was not permitted."


DETECTOR = Detector(
    name="seal-opened",
    question="Was the seal opened while it was armed?",
    severities=("critical",),
    says=_says,
    params=(
        Param(
            "permitted_kinds",
            ("unlock-permitted", "destination"),
            "",
            "zones where it may be opened",
            "kinds",
        ),
    ),
    levels=_levels,
    state=_STATE,
    flag="unlock_alarm",
)
