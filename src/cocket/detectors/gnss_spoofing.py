"""Is the satellite position false?

Two valid fixes one after the other lie more than ``min_m`` apart and farther than ``max_kmh`` would carry it between
them; or a position by the cell network lies more than ``cell_m`` from a valid fix at most ``cell_age_s`` old. An
ordinary step from fix to fix, or a cell position that agrees, ends it; a return within ``fold_s`` is the same alert,
so that jumping there and back is one. The value is how far it jumped or disagreed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import Frame
from cocket.core.geo import distance_m
from cocket.core.schema import FIX_SOURCES, NULL_INT
from cocket.core.words import metres

_MOST_M_PER_DEG = 111_700.0
"""No degree of latitude or longitude is longer: most steps need no trigonometry."""

_CELL = FIX_SOURCES.index("cell")
_NO_SOURCE = np.empty(0, np.int8)
_NOWHERE = np.empty(0, np.float64)


def _levels(frame: Frame, _state: Any) -> Levels | None:
    lat, lon, source = frame.get("lat_deg"), frame.get("lon_deg"), frame.get("fix_source")
    if lat is None or lon is None:
        return None
    level, value = np.empty(frame.n, np.int8), np.empty(frame.n, np.float64)
    name = "gnss-spoofing"
    raised = _false(
        frame.t,
        frame.has_fix,
        frame.from_lat,
        frame.from_lon,
        frame.from_us,
        frame.fix_lat,
        frame.fix_lon,
        frame.fix_us,
        lat,
        lon,
        _NO_SOURCE if source is None else source,
        frame.param(name, "max_kmh") / 3.6,
        frame.param(name, "min_m"),
        frame.param(name, "cell_m"),
        frame.param(name, "cell_age_s"),
        frame.profile,
        level,
        value,
    )
    return Levels(level, value) if raised or frame.live else None


@njit(cache=True, nogil=True)
def _false(
    t: Array,
    has_fix: Array,
    from_lat: Array,
    from_lon: Array,
    from_us: Array,
    fix_lat: Array,
    fix_lon: Array,
    fix_us: Array,
    lat: Array,
    lon: Array,
    source: Array,
    max_mps: Array,
    min_m: Array,
    cell_m: Array,
    cell_age_s: Array,
    profile: Array,
    level: Array,
    value: Array,
) -> bool:
    raised = False
    for i in range(len(t)):
        level[i] = -1
        value[i] = np.nan
        p = profile[i]
        if has_fix[i]:
            if from_us[i] == NULL_INT:
                continue
            level[i] = 0
            degrees = abs(fix_lat[i] - from_lat[i]) + abs(fix_lon[i] - from_lon[i])
            possible = max(min_m[p], max_mps[p] * ((t[i] - from_us[i]) * 1e-6))
            if degrees * _MOST_M_PER_DEG > possible:
                value[i] = distance_m(from_lat[i], from_lon[i], fix_lat[i], fix_lon[i])
                level[i] = value[i] > possible
        elif (
            len(source)
            and source[i] == _CELL
            and fix_us[i] != NULL_INT
            and (t[i] - fix_us[i]) * 1e-6 <= cell_age_s[p]
            and -90.0 <= lat[i] <= 90.0
            and -180.0 <= lon[i] <= 180.0
        ):
            value[i] = distance_m(fix_lat[i], fix_lon[i], lat[i], lon[i])
            level[i] = value[i] > cell_m[p]
        if level[i] == 1:
            raised = True
    return raised


def _says(f: Facts) -> str:
    return (
        f"The position of seal {f.device_id} on {f.equipment_id} jumped or disagreed by {metres(f.peak or 0.0)}, "
        "farther than it can have moved."
    )


DETECTOR = Detector(
    name="gnss-spoofing",
    question="Is the satellite position false?",
    severities=("high",),
    says=_says,
    params=(
        Param("max_kmh", 150.0, "km/h", "faster from fix to fix than it can be"),
        Param("min_m", 500.0, "m", "shorter jumps are noise"),
        Param("cell_m", 5000.0, "m", "how far the cell position may lie from the fix"),
        Param("cell_age_s", 120.0, "s", "how old the fix may be for that"),
        Param("fold_s", 1800.0, "s", "a condition that returns within this time goes on as the same alert"),
    ),
    levels=_levels,
    unit="m",
)
