"""Are the goods too warm or too cold for too long?

Outside the range of the movement (else ``min_c`` and ``max_c``, which the rules may give for a goods class) without
a reading inside it, for ``hold_s``: warns; for ``alarm_s``: high. By duration, never by one reading. The value is by
how many degrees. A reading inside the range ends it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import Frame
from cocket.core.words import span

_STATE = np.dtype([("since_us", np.int64), ("outside", np.int8)], align=True)


def _levels(frame: Frame, state: Any) -> Levels | None:
    temp = frame.get("temp_c")
    if temp is None:
        return None
    level, value = np.empty(frame.n, np.int8), np.empty(frame.n, np.float64)
    name = "temperature-excursion"
    raised = _outside(
        frame.journey,
        frame.t,
        temp,
        frame.table.temp_min_c,
        frame.table.temp_max_c,
        frame.param(name, "min_c"),
        frame.param(name, "max_c"),
        frame.param(name, "alarm_s"),
        frame.profile,
        state,
        level,
        value,
    )
    if not (raised or frame.live):
        return None
    hold_us = np.minimum(frame.param(name, "hold_s") * 1e6, 4e18).astype(np.int64)
    return Levels(level, value, dwell_us=hold_us[frame.profile])


@njit(cache=True, nogil=True)
def _outside(
    journey: Array,
    t: Array,
    temp: Array,
    own_min: Array,
    own_max: Array,
    min_c: Array,
    max_c: Array,
    alarm_s: Array,
    profile: Array,
    state: Array,
    level: Array,
    value: Array,
) -> bool:
    raised = False
    for i in range(len(t)):
        level[i] = -1
        value[i] = np.nan
        if np.isnan(temp[i]):
            continue
        j, p = journey[i], profile[i]
        low = own_min[j] if own_min[j] == own_min[j] else min_c[p]
        high = own_max[j] if own_max[j] == own_max[j] else max_c[p]
        s = state[j]
        if temp[i] > high or temp[i] < low:
            value[i] = temp[i] - high if temp[i] > high else low - temp[i]
            if not s.outside:
                s.outside = 1
                s.since_us = t[i]
            level[i] = 2 if (t[i] - s.since_us) * 1e-6 >= alarm_s[p] else 1
            raised = True
        else:
            level[i] = 0
            s.outside = 0
    return raised


def _range(f: Facts) -> str:
    own_low, own_high = f.own("temp_min_c"), f.own("temp_max_c")
    low = f.param("min_c") if own_low is None else own_low
    high = f.param("max_c") if own_high is None else own_high
    if np.isnan(low):
        return f"above {high:g} °C"
    if np.isnan(high):
        return f"below {low:g} °C"
    return f"outside {low:g} to {high:g} °C"


def _says(f: Facts) -> str:
    lasted = span((f.last_us - f.began_us) / 1e6)
    return f"The goods in {f.equipment_id} were {_range(f)} for {lasted}, by up to {f.peak or 0.0:.1f} °C."


DETECTOR = Detector(
    name="temperature-excursion",
    question="Are the goods too warm or too cold for too long?",
    severities=("warn", "high"),
    says=_says,
    params=(
        Param("min_c", None, "°C", "the coldest allowed, where the movement names none", lo=-np.inf),
        Param("max_c", None, "°C", "the warmest allowed, where the movement names none", lo=-np.inf),
        Param("hold_s", 900.0, "s", "outside for this long: warns"),
        Param("alarm_s", 3600.0, "s", "outside for this long: alarms"),
    ),
    levels=_levels,
    state=_STATE,
    unit="°C",
)
