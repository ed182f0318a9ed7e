"""What is carried for each journey from batch to batch, whatever the detectors: its clock, its timers, its last fix."""

from __future__ import annotations

from typing import Final

import numpy as np

from cocket.core.batch import Array
from cocket.core.journeys import NEVER, JourneyTable
from cocket.core.rules import Rules
from cocket.core.schema import NULL_INT

STATE: Final = np.dtype(
    [
        ("clock_us", np.int64),
        ("clock_seq", np.int64),
        ("clock_key", np.uint64),
        ("due_us", np.int64),
        ("silent_us", np.int64),
        ("fixed_us", np.int64),
        ("last_us", np.int64),
        ("last_key", np.uint64),
        ("fix_us", np.int64),
        ("fix_lat", np.float64),
        ("fix_lon", np.float64),
        ("kinds", np.int32),
        ("stage", np.int32),
    ],
    align=True,
)
"""96 bytes a journey. ``clock_*``: the last row seen, (time, sequence, key); a timer counts as later than every
observation of its instant. ``due_us``: the next timer, the earlier of ``silent_us`` and ``fixed_us``. ``last_*``: the
last observation. ``stage``: bits of the fixed timers that have fired."""

TIMES: Final = np.dtype(
    [
        ("gap_us", np.int64),
        ("warn_us", np.int64),
        ("limit_us", np.int64),
        ("arrived_us", np.int64),
        ("end_us", np.int64),
    ],
    align=True,
)
"""When a journey's timers fall due: ``gap_us`` after each observation, the others once; ``NEVER`` if not at all."""


def blank(n: int) -> Array:
    """State of ``n`` journeys of which nothing has been seen."""
    state = np.zeros(n, STATE)
    for name in ("clock_us", "clock_seq", "last_us", "fix_us"):
        state[name] = NULL_INT
    for name in ("due_us", "silent_us", "fixed_us"):
        state[name] = NEVER
    state["fix_lat"] = np.nan
    state["fix_lon"] = np.nan
    return state


def times_of(table: JourneyTable, rules: Rules, js: Array) -> Array:
    """The ``TIMES`` of the journeys ``js`` under these rules."""
    out = np.empty(len(js), TIMES)
    profile = table.profile[js]
    start, end = table.from_us[js], table.to_us[js]
    out["gap_us"] = NEVER
    if "silence" in rules.detectors:
        period = table.period_us[js].astype(np.float64)
        period[table.period_us[js] == NULL_INT] = np.nan
        default_period = rules.values("silence", "period_s")[profile] * 1e6
        gap = rules.values("silence", "missed_periods")[profile] * np.where(
            np.isnan(period), default_period, period
        )
        gap_us = np.minimum(gap, 4e18).astype(np.int64)
        out["gap_us"] = np.where(rules.values("silence", "enabled")[profile] == 0, NEVER, gap_us)
    out["end_us"] = end
    arrived = np.where(table.arrived_us[js] == NULL_INT, NEVER, np.maximum(table.arrived_us[js], start))
    out["arrived_us"] = np.where(arrived < end, arrived, NEVER)
    over = np.minimum(arrived, end)
    out["warn_us"] = out["limit_us"] = NEVER
    if "overstay" not in rules.detectors:
        return out
    known = table.limit_us[js] != NULL_INT
    limit = np.where(known, table.limit_us[js], start)
    departed = np.where(table.departed_us[js] == NULL_INT, start, table.departed_us[js])
    share = rules.values("overstay", "warn_share")[profile]
    warn = departed + ((limit - departed).astype(np.float64) * share).astype(np.int64)
    for name, when in (("warn_us", np.minimum(warn, limit)), ("limit_us", limit)):
        moment = np.maximum(when, start)
        out[name] = np.where(known & (moment < over), moment, NEVER)
    return out
