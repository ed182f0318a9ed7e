"""Does it drive too fast?

Faster than the limit (the corridor's, else ``limit_mps``) by more than ``over_share``, for ``hold_s``; the first
report at or below that ends it. A speed that comes with a disowned fix says nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import Frame

_NO_NEWS = np.empty(0, np.int8)


def _levels(frame: Frame, _state: Any) -> Levels | None:
    speed, valid = frame.get("speed_mps"), frame.get("fix_valid")
    if speed is None:
        return None
    level = np.empty(frame.n, np.int8)
    name = "speeding"
    raised = _fast(
        frame.journey,
        speed,
        _NO_NEWS if valid is None else valid,
        frame.table.speed_limit_mps,
        frame.param(name, "limit_mps"),
        frame.param(name, "over_share"),
        frame.profile,
        level,
    )
    if not (raised or frame.live):
        return None
    hold_us = np.minimum(frame.param(name, "hold_s") * 1e6, 4e18).astype(np.int64)
    return Levels(level, speed, dwell_us=hold_us[frame.profile])


@njit(cache=True, nogil=True)
def _fast(
    journey: Array,
    speed: Array,
    valid: Array,
    own_limit: Array,
    limit: Array,
    over: Array,
    profile: Array,
    level: Array,
) -> bool:
    raised = False
    for i in range(len(level)):
        level[i] = -1
        v = speed[i]
        if np.isnan(v) or (len(valid) and valid[i] == 0):
            continue
        p = profile[i]
        most = own_limit[journey[i]]
        if np.isnan(most):
            most = limit[p]
        level[i] = v > most * (1.0 + over[p])
        if level[i] == 1:
            raised = True
    return raised


def _threshold(f: Facts) -> float:
    own = f.own("speed_limit_mps")
    return (f.param("limit_mps") if own is None else own) * (1.0 + f.param("over_share"))


def _says(f: Facts) -> str:
    return f"{f.equipment_id} drove up to {(f.peak or 0.0) * 3.6:.0f} km/h; {_threshold(f) * 3.6:.0f} km/h is the most."


DETECTOR = Detector(
    name="speeding",
    question="Does it drive too fast?",
    severities=("info",),
    says=_says,
    params=(
        Param("limit_mps", 25.0, "m/s", "the limit where the corridor names none"),
        Param("over_share", 0.1, "", "how far above the limit is tolerated, as a share"),
        Param("hold_s", 60.0, "s", "for how long"),
    ),
    levels=_levels,
    unit="m/s",
    threshold=_threshold,
)
