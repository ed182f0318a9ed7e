"""CODECO, the container gate-in/gate-out report: which equipment passed a gate, when, with which seals, on which vehicle, for which booking.

Structure: UN directories D.95B to D.13B; header locations without a TDT, as ITIGG's guides have them, are taken too. BGM's document name
(1001) tells the direction: 34 in, 36 out (ITIGG). Canonical: one consignment for each equipment, with its references, parties and
vehicle, and one status ``gate-in`` or ``gate-out`` for each. Goods (GID) are kept raw: the message names them without a shipment.
"""

from __future__ import annotations

from typing import Final

from cocket.customs.formats import edifact_rules as r
from cocket.customs.formats.edifact_tree import Group
from cocket.customs.formats.mapping import Each, Leaf, Many, Part, Rule, Within

STRUCTURE: Final = Group(
    "CODECO",
    "UNH",
    "BGM DTM FTX LOC CNT UNT",
    (
        Group("SG1", "RFF", "DTM"),
        Group("SG2", "TDT", "DTM RFF", (Group("SG3", "LOC", "DTM"),)),
        Group("SG4", "NAD", "", (Group("SG5", "CTA", "COM"),)),
        Group(
            "SG6",
            "GID",
            "HAN FTX PIA MEA DIM TMP RNG SGP",
            (Group("SG7", "DGS", "FTX", (Group("SG8", "CTA", "COM"),)),),
        ),
        Group(
            "SG9",
            "EQD",
            "RFF TMD DTM LOC MEA DIM TMP RNG SEL FTX PCD EQA EQN COD HAN TSR NAD",
            (
                Group("SG10", "DAM", "COD"),
                Group("SG11", "TDT", "DTM RFF", (Group("SG12", "LOC", "DTM"),)),
                Group("SG13", "DGS", "FTX MEA", (Group("SG14", "CTA", "COM"),)),
            ),
        ),
    ),
    need=("BGM", "SG9", "UNT"),
)

_GATE: Final = {"34": "gate-in", "36": "gate-out"}

HEADER: Final[tuple[Rule, ...]] = (
    r.papers("SG1/RFF", "references"),
    *r.when("arrives_at", "132", source="SG2/DTM"),
    *r.when("arrives_at", "132", source="SG2/SG3/DTM"),
    *r.when("departs_at", "133", "136", source="SG2/DTM"),
    *r.when("departs_at", "133", "136", source="SG2/SG3/DTM"),
    *r.means("SG2/TDT"),
    r.papers("SG2/RFF", "references"),
    *r.places("LOC", "SG2/SG3/LOC"),
    r.party_group("SG4", "SG5"),
    *r.notes(),
    r.total("equipment_total", "16"),
)
"""What CODECO and COPRAR say before the equipment."""


def equipment(vehicle: str, dangerous: str) -> tuple[Rule, ...]:
    """One equipment's group as a consignment: its references, parties, vehicle and the equipment itself."""
    return (
        r.papers("RFF"),
        r.papers(f"{vehicle}/RFF"),
        Many("parties", "NAD", r.PARTY),
        *r.means(f"{vehicle}/TDT"),
        Leaf("movement_kind", "TMD/C219.8335"),
        *r.notes(),
        Many(
            "equipment",
            ".",
            (
                Within("EQD", r.EQUIPMENT),
                Leaf("position", "LOC+147/C517.3225"),
                *r.MASSES,
                *r.TARE,
                r.SEALS,
                *r.MEASURES,
                *r.TEMPERATURES,
                *r.places(),
                r.dangerous_group(dangerous),
            ),
        ),
    )


RULES: Final[tuple[Rule, ...]] = (
    *r.header("CODECO"),
    *HEADER,
    Many("consignments", "SG9", equipment("SG11", "SG13")),
    Each(
        "statuses",
        ".",
        "SG9",
        (
            Leaf("code", "BGM/C002.1001", lambda code: _GATE.get(code, code)),
            Part("place", "LOC[3227=165]", r.PLACE),
        ),
        (
            Leaf("equipment_id", "EQD/C237.8260"),
            *r.when("at", "7", "203", "178", "186", "136"),
            Part("place", "LOC[3227=165]", r.PLACE),
            Leaf("reference", "RFF[C506.1153=BN]/C506.1154"),
        ),
    ),
)
CONSTANT: Final = {"procedure": "gate"}
