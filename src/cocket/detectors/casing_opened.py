"""Is the device's own casing open?

True raises it at once, false ends it, null says nothing.
"""

from __future__ import annotations

from cocket.core.detector import Detector, Facts, flag_levels


def _says(f: Facts) -> str:
    return f"The casing of seal {f.device_id} on {f.equipment_id} was opened."


DETECTOR = Detector(
    name="casing-opened",
    question="Is the device's own casing open?",
    severities=("critical",),
    says=_says,
    levels=flag_levels("casing_open"),
    flag="casing_open",
)
