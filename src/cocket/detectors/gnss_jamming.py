"""Is satellite positioning lost while the network is alive?

Reports that say there is no valid fix, sent at once (not kept back for want of a network), for ``hold_s``: it began
with the first of them. A valid fix ends it. While it is not yet raised, a pause of more than ``max_gap_s`` between
such reports begins the count anew: then the network was not alive either.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import Frame
from cocket.core.words import span

_STATE = np.dtype([("since_us", np.int64), ("last_us", np.int64), ("lost", np.int8)], align=True)


def _levels(frame: Frame, state: Any) -> Levels | None:
    valid, delayed = frame.get("fix_valid"), frame.get("delayed")
    if not frame.live and (valid is None or not (valid == 0).any()):
        return None
    null = np.full(frame.n, -1, np.int8) if valid is None or delayed is None else frame.timer
    level = np.empty(frame.n, np.int8)
    name = "gnss-jamming"
    hold_s = frame.param(name, "hold_s")
    hold_us = np.minimum(hold_s * 1e6, 4e18).astype(np.int64)
    gap_us = np.minimum(frame.param(name, "max_gap_s") * 1e6, 4e18).astype(np.int64)
    _lost(
        frame.journey,
        frame.t,
        frame.timer,
        frame.has_fix,
        null if valid is None else valid,
        null if delayed is None else delayed,
        hold_us,
        gap_us,
        frame.profile,
        state,
        level,
    )
    return Levels(level, dwell_us=hold_us[frame.profile], elapsed=True)


@njit(cache=True, nogil=True)
def _lost(
    journey: Array,
    t: Array,
    timer: Array,
    has_fix: Array,
    valid: Array,
    delayed: Array,
    hold_us: Array,
    gap_us: Array,
    profile: Array,
    state: Array,
    level: Array,
) -> None:
    for i in range(len(journey)):
        level[i] = -1
        if timer[i]:
            continue
        s = state[journey[i]]
        if valid[i] == 1 or has_fix[i]:
            level[i] = 0
            s.lost = 0
        elif valid[i] == 0 and delayed[i] != 1:
            level[i] = 1
            p = profile[i]
            if not s.lost:
                s.since_us = t[i]
            elif t[i] - s.last_us > gap_us[p] and s.last_us - s.since_us < hold_us[p]:
                level[i] = 3
                s.since_us = t[i]
            s.lost = 1
            s.last_us = t[i]


def _says(f: Facts) -> str:
    return (
        f"Seal {f.device_id} on {f.equipment_id} had no satellite position for {span(f.peak or 0.0)} "
        "while its reports kept coming."
    )


DETECTOR = Detector(
    name="gnss-jamming",
    question="Is satellite positioning lost while the network is alive?",
    severities=("high",),
    says=_says,
    params=(
        Param("hold_s", 120.0, "s", "how long it must be lost"),
        Param("max_gap_s", 600.0, "s", "a longer pause between reports begins the count anew"),
    ),
    levels=_levels,
    state=_STATE,
    unit="s",
    threshold=lambda f: f.param("hold_s"),
)
