"""Did it enter a zone?

A moment: the first valid fix inside a zone of these kinds, the very first fix of the journey included. Entering a
restricted zone is ``restricted-zone`` instead.
"""

from __future__ import annotations

from cocket.core.detector import Detector, Facts, Param


def _says(f: Facts) -> str:
    return f"{f.equipment_id} entered zone {f.zone}."


DETECTOR = Detector(
    name="zone-entered",
    question="Did it enter a zone?",
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
    zone="enter",
)
