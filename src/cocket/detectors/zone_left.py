"""Did it leave a zone?

A moment: the first valid fix outside a zone of these kinds that it was inside of at the fix before. The end of
``restricted-zone`` says it for restricted zones.
"""

from __future__ import annotations

from cocket.core.detector import Detector, Facts, Param


def _says(f: Facts) -> str:
    return f"{f.equipment_id} left zone {f.zone}."


DETECTOR = Detector(
    name="zone-left",
    question="Did it leave a zone?",
    severities=("info",),
    says=_says,
    params=(
        Param(
            "kinds",
            ("departure", "destination", "approved-stop", "unlock-permitted", "dead-zone", "office"),
            "",
            "zones that are told of",
            "kinds",
        ),
    ),
    zone="leave",
)
