"""Has it left its corridor?

Metres outside the corridor's edge at each valid fix. More than ``warn_m`` warns, more than ``alarm_m`` makes the same
alert high; it ends at the first fix inside the corridor, so that driving along the edge does not flicker. Between
the edge and ``warn_m`` nothing begins and nothing ends. EAEU code 03 uses 50 km.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import Frame
from cocket.core.words import metres


def _levels(frame: Frame, _state: Any) -> Levels | None:
    if frame.off_m is None:
        return None
    level = np.empty(frame.n, np.int8)
    warn, alarm = frame.param("route-deviation", "warn_m"), frame.param("route-deviation", "alarm_m")
    raised = _off(frame.off_m, warn, alarm, frame.profile, level)
    return Levels(level, frame.off_m) if raised or frame.live else None


@njit(cache=True, nogil=True)
def _off(off_m: Array, warn_m: Array, alarm_m: Array, profile: Array, level: Array) -> bool:
    raised = False
    for i in range(len(off_m)):
        off, p = off_m[i], profile[i]
        level[i] = -1
        if off == 0.0:
            level[i] = 0
        elif off > alarm_m[p]:
            level[i] = 2
            raised = True
        elif off > warn_m[p]:
            level[i] = 1
            raised = True
    return raised


def _threshold(f: Facts) -> float:
    return f.param("alarm_m" if f.level == 2 else "warn_m")


def _says(f: Facts) -> str:
    where = f" {f.corridor}" if f.corridor else ""
    return (
        f"{f.equipment_id} left its corridor{where}; it was up to {metres(f.peak or 0.0)} outside its edge."
    )


DETECTOR = Detector(
    name="route-deviation",
    question="Has it left its corridor?",
    severities=("warn", "high"),
    says=_says,
    params=(
        Param("warn_m", 500.0, "m", "outside the corridor's edge: warns"),
        Param("alarm_m", 2000.0, "m", "outside the corridor's edge: alarms"),
    ),
    levels=_levels,
    unit="m",
    threshold=_threshold,
)
