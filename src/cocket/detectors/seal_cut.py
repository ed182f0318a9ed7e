"""Is the rope or shackle cut?

True raises it at once, false ends it, null says nothing. EAEU code 01.
"""

from __future__ import annotations

from cocket.core.detector import Detector, Facts, flag_levels


def _says(f: Facts) -> str:
    return f"The rope or shackle of seal {f.device_id} on {f.equipment_id} was cut."


DETECTOR = Detector(
    name="seal-cut",
    question="Is the rope or shackle cut?",
    severities=("critical",),
    says=_says,
    levels=flag_levels("rope_cut"),
    flag="rope_cut",
)
