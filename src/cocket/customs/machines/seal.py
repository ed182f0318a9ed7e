"""The seal: from stock to its return, on one open movement at a time.

Both e-seals and mechanical seals (ISO 17712); a mechanical seal is never armed and never returns.
"""

from __future__ import annotations

from typing import Final

from cocket.customs.machines.table import STAY, Machine, Transition

ON_MOVEMENT: Final = ("assigned", "armed", "alarm")
"""States in which a seal belongs to a movement, and to no other."""

STATES: Final = (
    "stock",
    "type-approved",
    "assigned",
    "armed",
    "alarm",
    "disarmed",
    "returned",
    "charged",
    "lost",
    "stolen",
    "quarantined",
)

SEAL: Final = Machine(
    "seal",
    STATES,
    "stock",
    (),
    (
        Transition("approve", ("stock",), "type-approved", "its type is approved for this use"),
        Transition(
            "assign",
            ("type-approved", "charged"),
            "assigned",
            "bound to an equipment and a movement",
        ),
        Transition("arm", ("assigned",), "armed", "it passed its self-test"),
        Transition("alarm", ("assigned", "armed"), "alarm", "cut, opened or tampered with"),
        Transition("clear", ("alarm",), "armed", "the alarm was false or is dealt with"),
        Transition("disarm", ("armed", "alarm"), "disarmed", "opened by one who may"),
        Transition("unassign", ("assigned",), "type-approved", "taken off before it was armed"),
        Transition("return", ("disarmed",), "returned", "back at an office"),
        Transition("charge", ("returned",), "charged", "charged and fit for the next movement"),
        Transition(
            "lose",
            ("type-approved", "assigned", "armed", "alarm", "disarmed", "returned", "charged"),
            "lost",
            "nobody knows where it is",
        ),
        Transition(
            "steal",
            ("stock", "type-approved", "assigned", "armed", "alarm", "disarmed", "returned", "charged"),
            "stolen",
            "it is known to be stolen",
        ),
        Transition("find", ("lost", "stolen"), "quarantined", "it turned up and has to be looked at"),
        Transition(
            "quarantine",
            ("stock", "type-approved", "disarmed", "returned", "charged"),
            "quarantined",
            "not to be used until it is looked at",
        ),
        Transition("release-quarantine", ("quarantined",), "returned", "looked at and found good"),
        Transition("note", STATES, STAY, "a remark"),
    ),
)
