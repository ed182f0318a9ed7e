"""Is it inside a zone where it must not be?

Raised at the first valid fix inside a zone of these kinds, the very first fix of the journey included; ends at the
first valid fix outside it. Each zone has its own alert.
"""

from __future__ import annotations

from cocket.core.detector import Detector, Facts, Param


def _says(f: Facts) -> str:
    return f"{f.equipment_id} entered the restricted zone {f.zone}."


DETECTOR = Detector(
    name="restricted-zone",
    question="Is it inside a zone where it must not be?",
    severities=("high",),
    says=_says,
    params=(Param("kinds", ("restricted",), "", "zones that it must not enter", "kinds"),),
    zone="stay",
)
