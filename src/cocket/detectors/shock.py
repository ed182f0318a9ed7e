"""Was it struck?

A report of ``shock_g`` or more. Information only: shock alone is never a reason to send anybody. Reports one after
the other fold into one alert; the first weaker one ends it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cocket.core.detector import Detector, Facts, Levels, Param
from cocket.core.frame import Frame


def _levels(frame: Frame, _state: Any) -> Levels | None:
    shock = frame.get("shock_g")
    if shock is None:
        return None
    hard = shock >= frame.param("shock", "shock_g")[frame.profile]
    if not (frame.live or hard.any()):
        return None
    return Levels(np.where(np.isnan(shock), np.int8(-1), hard.astype(np.int8)), shock)


def _says(f: Facts) -> str:
    return f"{f.equipment_id} was struck with up to {f.peak or 0.0:.1f} g."


DETECTOR = Detector(
    name="shock",
    question="Was it struck?",
    severities=("info",),
    says=_says,
    params=(Param("shock_g", 5.0, "g", "from this on it is told"),),
    levels=_levels,
    unit="g",
    threshold=lambda f: f.param("shock_g"),
)
