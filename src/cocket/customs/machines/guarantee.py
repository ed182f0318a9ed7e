"""The guarantee, for one movement: reserved, then released or called.

The amount of the whole is the ledger's business (``customs.transit.guarantees``): reserved and called together never exceed it.
"""

from __future__ import annotations

from typing import Final

from cocket.customs.machines.table import Machine, Transition

STATES: Final = ("available", "reserved", "released", "called")

GUARANTEE: Final = Machine(
    "guarantee",
    STATES,
    "available",
    ("released", "called"),
    (
        Transition("reserve", ("available",), "reserved", "the movement's amount is set aside"),
        Transition(
            "release", ("reserved",), "released", "the movement is discharged, cancelled or not released"
        ),
        Transition("call", ("reserved",), "called", "the guarantor pays; what was not needed is free again"),
    ),
)
