"""Does it stand still where it should not?

A stop begins at a valid fix that is slow (speed below ``slow_mps`` or unknown), outside the exempt zones; that fix
is its anchor. It goes on while further fixes are slow and within ``radius_m`` of the anchor, and is raised when it
has lasted ``stop_s`` (``hot_stop_s`` in a hot zone). A slow fix farther off begins a new stop there; a fast one, or
one in an exempt zone, ends it. Rows without a valid fix say nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import Frame
from cocket.core.geo import distance_m
from cocket.core.journeys import HOT
from cocket.core.words import span

_STATE = np.dtype([("lat", np.float64), ("lon", np.float64), ("stopped", np.int8)], align=True)
_NO_SPEED = np.empty(0, np.float64)


def _levels(frame: Frame, state: Any) -> Levels | None:
    if not frame.has_fix.any():
        return None
    speed = frame.get("speed_mps")
    level = np.empty(frame.n, np.int8)
    dwell_us = np.zeros(frame.n, np.int64)
    name = "unscheduled-stop"
    begun = _stopped(
        frame.journey,
        frame.has_fix,
        frame.fix_lat,
        frame.fix_lon,
        _NO_SPEED if speed is None else speed,
        frame.in_kinds,
        frame.param(name, "radius_m"),
        frame.param(name, "slow_mps"),
        frame.param(name, "stop_s"),
        frame.param(name, "hot_stop_s"),
        frame.param(name, "exempt_kinds"),
        frame.profile,
        state,
        level,
        dwell_us,
    )
    return Levels(level, dwell_us=dwell_us, elapsed=True) if begun or frame.live else None


@njit(cache=True, nogil=True)
def _stopped(
    journey: Array,
    has_fix: Array,
    lat: Array,
    lon: Array,
    speed: Array,
    in_kinds: Array,
    radius_m: Array,
    slow_mps: Array,
    stop_s: Array,
    hot_stop_s: Array,
    exempt: Array,
    profile: Array,
    state: Array,
    level: Array,
    dwell_us: Array,
) -> bool:
    begun = False
    for i in range(len(journey)):
        level[i] = -1
        if not has_fix[i]:
            continue
        s = state[journey[i]]
        p = profile[i]
        if (len(speed) and speed[i] >= slow_mps[p]) or in_kinds[i] & exempt[p]:
            s.stopped = 0
            level[i] = 0
            continue
        begun = True
        dwell_us[i] = np.int64((hot_stop_s[p] if in_kinds[i] & HOT else stop_s[p]) * 1e6)
        level[i] = 1
        if s.stopped and distance_m(s.lat, s.lon, lat[i], lon[i]) <= radius_m[p]:
            continue
        if s.stopped:
            level[i] = 3
        s.stopped = 1
        s.lat = lat[i]
        s.lon = lon[i]
    return begun


def _says(f: Facts) -> str:
    return f"{f.equipment_id} stood still for {span(f.peak or 0.0)} where no stop is planned."


DETECTOR = Detector(
    name="unscheduled-stop",
    question="Does it stand still where no stop is planned?",
    severities=("warn",),
    says=_says,
    params=(
        Param("stop_s", 900.0, "s", "how long it may stand"),
        Param("hot_stop_s", 300.0, "s", "how long it may stand in a hot zone"),
        Param("radius_m", 150.0, "m", "how far it may move and still stand"),
        Param("slow_mps", 2.8, "m/s", "below this it stands"),
        Param(
            "exempt_kinds",
            ("approved-stop", "departure", "destination", "office"),
            "",
            "zones where it may stand",
            "kinds",
        ),
    ),
    levels=_levels,
    state=_STATE,
    unit="s",
    threshold=lambda f: f.param("stop_s"),
)
