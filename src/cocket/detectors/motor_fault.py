"""Is the lock's motor stuck?

True raises it at once, false ends it, null says nothing.
"""

from __future__ import annotations

from cocket.core.detector import Detector, Facts, flag_levels


def _says(f: Facts) -> str:
    return f"The motor of seal {f.device_id} on {f.equipment_id} is stuck."


DETECTOR = Detector(
    name="motor-fault",
    question="Is the lock's motor stuck?",
    severities=("high",),
    says=_says,
    levels=flag_levels("motor_stuck"),
    flag="motor_stuck",
)
