"""Is the battery running out?

Below ``below_pct`` raises it at once; ``clear_pct`` or more, or charging, ends it; in between nothing changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import Frame

_NONE = np.empty(0, np.float64)
_NO_NEWS = np.empty(0, np.int8)


def _levels(frame: Frame, _state: Any) -> Levels | None:
    battery, charging = frame.get("battery_pct"), frame.get("charging")
    if battery is None and (charging is None or not frame.live):
        return None
    level = np.empty(frame.n, np.int8)
    name = "low-battery"
    raised = _low(
        _NONE if battery is None else battery,
        _NO_NEWS if charging is None else charging,
        frame.param(name, "below_pct"),
        frame.param(name, "clear_pct"),
        frame.profile,
        level,
    )
    return Levels(level, battery) if raised or frame.live else None


@njit(cache=True, nogil=True)
def _low(battery: Array, charging: Array, below: Array, clear: Array, profile: Array, level: Array) -> bool:
    raised = False
    for i in range(len(level)):
        level[i] = -1
        if len(charging) and charging[i] == 1:
            level[i] = 0
        elif len(battery):
            if battery[i] < below[profile[i]]:
                level[i] = 1
                raised = True
            elif battery[i] >= clear[profile[i]]:
                level[i] = 0
    return raised


def _says(f: Facts) -> str:
    return f"The battery of seal {f.device_id} on {f.equipment_id} is down to {f.peak or 0.0:.0f} %."


DETECTOR = Detector(
    name="low-battery",
    question="Is the battery running out?",
    severities=("warn",),
    says=_says,
    params=(
        Param("below_pct", 15.0, "%", "below this it warns"),
        Param("clear_pct", 20.0, "%", "from this on it is well again"),
    ),
    levels=_levels,
    unit="%",
    threshold=lambda f: f.param("below_pct"),
    worst="min",
)
