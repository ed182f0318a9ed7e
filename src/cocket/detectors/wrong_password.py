"""Were too many wrong passwords tried on the lock? The lock itself counts (commonly more than five) and raises its flag.

True raises it at once, false ends it, null says nothing.
"""

from __future__ import annotations

from cocket.core.detector import Detector, Facts, flag_levels


def _says(f: Facts) -> str:
    return f"Too many wrong passwords were tried on seal {f.device_id} on {f.equipment_id}."


DETECTOR = Detector(
    name="wrong-password",
    question="Were too many wrong passwords tried on the lock?",
    severities=("critical",),
    says=_says,
    levels=flag_levels("wrong_password"),
    flag="wrong_password",
)
