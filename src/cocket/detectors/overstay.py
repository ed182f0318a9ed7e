"""Is it under way for longer than allowed?

Warns when ``warn_share`` of the time from departure (the binding's begin, if unknown) to the limit date has passed,
and makes the same alert high at the limit. It ends when the movement arrives or the binding ends, and is not raised
after either. Time alone raises it: no observation is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cocket.core.clock import rfc3339
from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import ARRIVED, OVERSTAY_LIMIT, OVERSTAY_WARN, Frame

_KINDS = 1 << OVERSTAY_WARN | 1 << OVERSTAY_LIMIT | 1 << ARRIVED
_LEVEL = np.full(8, -1, np.int8)
_LEVEL[[OVERSTAY_WARN, OVERSTAY_LIMIT, ARRIVED]] = (1, 2, 0)


def _levels(frame: Frame, _state: Any) -> Levels | None:
    return Levels(_LEVEL[frame.timer]) if frame.timers & _KINDS else None


def _says(f: Facts) -> str:
    limit = "" if f.limit_us is None else f" of {rfc3339(f.limit_us)}"
    if f.level == 2:
        return f"Movement {f.mrn} has passed its limit{limit} and has not arrived."
    return f"Movement {f.mrn} has used {f.param('warn_share'):.0%} of its time and must arrive by its limit{limit}."


DETECTOR = Detector(
    name="overstay",
    question="Is it under way for longer than allowed?",
    severities=("warn", "high"),
    says=_says,
    params=(Param("warn_share", 0.8, "", "the share of the allowed time at which it warns"),),
    levels=_levels,
)
