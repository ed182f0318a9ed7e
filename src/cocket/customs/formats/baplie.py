"""BAPLIE, the bayplan: every cell of a vessel that is occupied, with the equipment in it, its ports, masses, temperatures and dangerous goods.

Two structures: versions 1.5 to 2.2 (D.95B, D.00B; SMDG15 to SMDG22), where a cell (LOC+147) carries all, and 3 (D.13B; SMDG30 on), where
its equipment does. Cells are ISO 9711-1's bay, row and tier. Canonical: one consignment for each cell, with its carrier and references.
``RFF+BM:1``, which version 2 asks for without a meaning, is kept raw.
"""

from __future__ import annotations

from typing import Final

from cocket.customs.formats import edifact_rules as r
from cocket.customs.formats.edifact_codes import CELL
from cocket.customs.formats.edifact_syntax import Message, Segment
from cocket.customs.formats.edifact_tree import Group, Names
from cocket.customs.formats.mapping import Known, Leaf, Many, Rule, Within

_CELL: Final = frozenset({CELL})
_HEAD: Final = (
    Group("SG1", "RFF", "DTM"),
    Group("SG2", "NAD", "DTM", (Group("SG3", "CTA", "COM"),)),
)
STRUCTURE: Final = Group(
    "BAPLIE",
    "UNH",
    "BGM DTM CNT UNT",
    (
        *_HEAD,
        Group("SG4", "TDT", "LOC DTM RFF FTX"),
        Group(
            "SG5",
            "LOC",
            "GID GDS FTX MEA DIM TMP RNG LOC RFF SEL HAN",
            (
                Group("SG6", "EQD", "EQA NAD RFF"),
                Group("SG7", "DGS", "FTX"),
            ),
            only=_CELL,
        ),
    ),
    need=("BGM", "SG4", "UNT"),
)
STRUCTURE_3: Final = Group(
    "BAPLIE",
    "UNH",
    "BGM DTM UNS CNT UNT",
    (
        *_HEAD,
        Group("SG4", "TDT", "RFF FTX DTM", (Group("SG5", "LOC", "DTM"),)),
        Group(
            "SG6",
            "LOC",
            "FTX RFF GID",
            (
                Group(
                    "SG7",
                    "EQD",
                    "NAD MEA HAN DIM RFF GDS FTX SEL",
                    (
                        Group("SG8", "LOC", "TSR TDT"),
                        Group("SG9", "TMP", "RNG DTM"),
                        Group("SG10", "EQA", "NAD"),
                        Group("SG11", "DGS", "ATT MEA FTX", (Group("SG12", "CTA", "COM"),)),
                    ),
                ),
            ),
            only=_CELL,
        ),
    ),
    need=("BGM", "SG4", "UNT"),
)


def _reference(segment: Segment) -> str:
    return "RFF-" if segment.value(0, 0) == "BM" and segment.value(0, 1) == "1" else "RFF"


KNOWN: Final[Names] = {**r.KNOWN, "RFF": _reference}


def structure(message: Message) -> Group:
    """Version 3 where the directory is D.13B or later, or the SMDG's number says so."""
    header = message.segments[0]
    release, guide = header.value(1, 2), header.value(1, 4)
    if guide.startswith("SMDG") and guide[4:5].isdigit():
        return STRUCTURE_3 if guide[4] >= "3" else STRUCTURE
    return STRUCTURE_3 if release[:2].isdigit() and 13 <= int(release[:2]) < 90 else STRUCTURE


def _voyage(call: str) -> tuple[Rule, ...]:
    return (
        *r.header("BAPLIE"),
        r.papers("SG1/RFF", "references"),
        r.party_group("SG2", "SG3"),
        *r.means("SG4/TDT"),
        r.papers("SG4/RFF", "references"),
        *r.places(f"{call}/LOC"),
        *r.when("arrives_at", "132", source=f"{call}/DTM"),
        *r.when("arrived_at", "178", source=f"{call}/DTM"),
        *r.when("departs_at", "133", "136", source=f"{call}/DTM"),
        *r.notes("SG4/FTX", "SG4/FTX+AAA"),
        r.total("equipment_total", "16"),
    )


_PLACEHOLDER: Final = "a placeholder that the message asks for"

_RULES_2: Final[tuple[Rule, ...]] = (
    *_voyage("SG4"),
    Many(
        "consignments",
        "SG5",
        (
            r.papers("RFF"),
            r.papers("SG6/RFF"),
            Many("parties", "SG6/NAD", r.PARTY),
            *r.notes(),
            Known("RFF-/C506.1153", _PLACEHOLDER),
            Known("RFF-/C506.1154", _PLACEHOLDER),
            Many(
                "equipment",
                ".",
                (
                    Within("SG6/EQD", r.EQUIPMENT),
                    Leaf("position", "LOC+147/C517.3225"),
                    *r.MASSES,
                    r.SEALS,
                    *r.MEASURES,
                    *r.TEMPERATURES,
                    *r.places(),
                    r.dangerous_group("SG7"),
                ),
            ),
        ),
    ),
)
_RULES_3: Final[tuple[Rule, ...]] = (
    *_voyage("SG4/SG5"),
    *r.when("arrives_at", "132", source="SG4/DTM"),
    *r.when("departs_at", "133", "136", source="SG4/DTM"),
    Many(
        "consignments",
        "SG6",
        (
            r.papers("RFF"),
            r.papers("SG7/RFF"),
            Many("parties", "SG7/NAD", r.PARTY),
            *r.means("SG7/SG8/TDT"),
            *r.notes(),
            *r.notes("SG7/FTX", "SG7/FTX+AAA"),
            Many(
                "equipment",
                ".",
                (
                    Leaf("position", "LOC+147/C517.3225"),
                    Within("SG7/EQD", r.EQUIPMENT),
                    Within("SG7", (*r.MASSES, r.SEALS, *r.MEASURES, *r.places("SG8/LOC"))),
                    Within("SG7/SG9", r.TEMPERATURES),
                    r.dangerous_group("SG7/SG11"),
                ),
            ),
        ),
    ),
)
CONSTANT: Final = {"procedure": "stowage"}


def rules(group: Group) -> tuple[Rule, ...]:
    """The table for one of the two structures."""
    return _RULES_3 if group is STRUCTURE_3 else _RULES_2
