"""Is the battery running out?

Below ``below_pct`` raises it at once, and so does the device's own alarm in a report that states no percentage;
``clear_pct`` or more, or charging, ends it; in between nothing changes.
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
    battery, charging, alarm = frame.get("battery_pct"), frame.get("charging"), frame.get("battery_low")
    if battery is None and alarm is None and (charging is None or not frame.live):
        return None
    level = np.empty(frame.n, np.int8)
    name = "low-battery"
    # writable, or the kernel is compiled once more
    battery = _NONE if battery is None else np.require(battery, None, "W")
    raised = _low(
        battery,
        _NO_NEWS if charging is None else np.require(charging, None, "W"),
        _NO_NEWS if alarm is None else np.require(alarm, None, "W"),
        frame.param(name, "below_pct"),
        frame.param(name, "clear_pct"),
        frame.profile,
        level,
    )
    return Levels(level, battery) if raised or frame.live else None


@njit(cache=True, nogil=True)
def _low(
    battery: Array, charging: Array, alarm: Array, below: Array, clear: Array, profile: Array, level: Array
) -> bool:
    raised = False
    for i in range(len(level)):
        level[i] = -1
        pct = battery[i] if len(battery) else np.nan
        if len(charging) and charging[i] == 1:
            level[i] = 0
        elif pct < below[profile[i]] or (np.isnan(pct) and len(alarm) and alarm[i] == 1):
            level[i] = 1
            raised = True
        elif pct >= clear[profile[i]]:
            level[i] = 0
    return raised


def _says(f: Facts) -> str:
    battery = f"The battery of seal {f.device_id} on {f.equipment_id}"
    return f"{battery} is low, says the seal." if f.peak is None else f"{battery} is down to {f.peak:.0f} %."


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
