"""Is satellite positioning lost while the network is alive?

Reports that say there is no valid fix, sent at once (not kept back for want of a network), for ``hold_s``: it began
with the first of them. The device's own alarm for jamming raises it at once, kept back or not, with a fix or without.
A valid fix, unless the alarm sounds in the same report, or the device's word that nothing is jammed ends it. While it is
not yet raised, a pause of more than ``max_gap_s`` between such reports begins the count anew: then the network was
not alive either.
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
_NOT, _LOST, _TOLD = range(3)
"""``lost``: no condition, one that must last, one that the device's own alarm has raised."""


def _levels(frame: Frame, state: Any) -> Levels | None:
    columns = [frame.get(name) for name in ("fix_valid", "delayed", "jamming")]
    null = np.full(frame.n, -1, np.int8)
    # writable, or the kernel is compiled once more
    valid, delayed, alarm = (null if c is None else np.require(c, None, "W") for c in columns)
    if not (frame.live or (valid == 0).any() or (alarm == 1).any()):
        return None
    level = np.empty(frame.n, np.int8)
    name = "gnss-jamming"
    hold_s = frame.param(name, "hold_s")
    hold_us = np.minimum(hold_s * 1e6, 4e18).astype(np.int64)
    gap_us = np.minimum(frame.param(name, "max_gap_s") * 1e6, 4e18).astype(np.int64)
    dwell_us = hold_us[frame.profile]
    _lost(
        frame.journey,
        frame.t,
        frame.timer,
        frame.has_fix,
        valid,
        delayed,
        alarm,
        hold_us,
        gap_us,
        frame.profile,
        state,
        level,
        dwell_us,
    )
    return Levels(level, dwell_us=dwell_us, elapsed=True)


@njit(cache=True, nogil=True)
def _lost(
    journey: Array,
    t: Array,
    timer: Array,
    has_fix: Array,
    valid: Array,
    delayed: Array,
    alarm: Array,
    hold_us: Array,
    gap_us: Array,
    profile: Array,
    state: Array,
    level: Array,
    dwell_us: Array,
) -> None:
    for i in range(len(journey)):
        level[i] = -1
        if timer[i]:
            continue
        s = state[journey[i]]
        told = alarm[i] == 1
        if not told and (alarm[i] == 0 or valid[i] == 1 or has_fix[i]):
            level[i] = 0
            s.lost = _NOT
        elif told or (valid[i] == 0 and delayed[i] != 1):
            level[i] = 1
            p = profile[i]
            if s.lost == _NOT:
                s.since_us = t[i]
                s.lost = _LOST
            elif s.lost == _LOST and t[i] - s.last_us > gap_us[p] and s.last_us - s.since_us < hold_us[p]:
                level[i] = 3
                s.since_us = t[i]
            s.last_us = t[i]
            if told:
                s.lost = _TOLD
                dwell_us[i] = 0


def _by_its_own_alarm(f: Facts) -> bool:
    return f.raised_us - f.began_us < f.param("hold_s") * 1e6


def _says(f: Facts) -> str:
    seal = f"Seal {f.device_id} on {f.equipment_id}"
    if _by_its_own_alarm(f):
        return f"{seal} itself tells of jamming."
    return f"{seal} had no satellite position for {span(f.peak or 0.0)} while its reports kept coming."


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
    flag="jamming",
    unit="s",
    threshold=lambda f: None if _by_its_own_alarm(f) else f.param("hold_s"),
)
