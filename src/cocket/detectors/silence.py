"""Has it stopped reporting?

``missed_periods`` reporting periods without an observation, counted in event time from the last one; the period is
the movement's or device's own report interval, else ``period_s``. It begins at that moment and ends with the next
observation. Where the last known position is in a dead zone it is one severity lower. It is never raised at or
beyond the end of the binding, nor before the first observation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import SILENCE, Frame
from cocket.core.words import span


def _levels(frame: Frame, _state: Any) -> Levels | None:
    if not (frame.live or frame.timers & 1 << SILENCE):
        return None
    level = np.empty(frame.n, np.int8)
    _silent(frame.timer, frame.in_kinds, frame.param("silence", "dead_kinds"), frame.profile, level)
    return Levels(level)


@njit(cache=True, nogil=True)
def _silent(timer: Array, in_kinds: Array, dead: Array, profile: Array, level: Array) -> None:
    for i in range(len(timer)):
        if timer[i] == 0:
            level[i] = 0
        elif timer[i] == SILENCE:
            level[i] = 1 if in_kinds[i] & dead[profile[i]] else 2
        else:
            level[i] = -1


def _says(f: Facts) -> str:
    where = ", last seen in a mapped dead zone" if f.level == 1 else ""
    missed = f"{f.param('missed_periods'):g} reporting periods"
    if f.ended_us is not None:
        return f"Seal {f.device_id} on {f.equipment_id} was silent for {span((f.ended_us - f.began_us) / 1e6)} beyond {missed}{where}."
    return f"Seal {f.device_id} on {f.equipment_id} has missed {missed}{where}."


DETECTOR = Detector(
    name="silence",
    question="Has it stopped reporting?",
    severities=("warn", "high"),
    says=_says,
    params=(
        Param("missed_periods", 2.0, "periods", "how many reports may fail to come", lo=0.1),
        Param(
            "period_s", 300.0, "s", "the reporting period where neither device nor movement names one", lo=1.0
        ),
        Param("dead_kinds", ("dead-zone",), "", "zones where silence is expected", "kinds"),
    ),
    levels=_levels,
)
