"""IFTSTA, the international multimodal status report: what happened to a consignment or equipment, when and where.

Structure: UN directories D.95B to D.13B. Canonical: one status for each STS, with the equipment that it or its consignment names (several
leave it open) and the consignment's reference; consignments with their references and equipment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cocket.customs.formats import edifact_rules as r
from cocket.customs.formats.edifact_codes import TRANSPORT_DOCUMENTS
from cocket.customs.formats.edifact_tree import Group
from cocket.customs.formats.edifact_values import whole, words
from cocket.customs.formats.mapping import Each, Gather, Join, Leaf, Many, Node, Part, Rule, Within

_EQUIPMENT: Final = Group("SG8", "EQD", "MEA DIM SEL RFF TPL TMD", (Group("SG9", "EQA", "SEL"),))
_GOODS: Final = Group(
    "SG10",
    "GID",
    "HAN SGP DGS FTX",
    (
        Group("SG11", "MEA", "EQN"),
        Group("SG12", "DIM", "EQN"),
        Group("SG13", "PCI", "GIN"),
    ),
)
STRUCTURE: Final = Group(
    "IFTSTA",
    "UNH",
    "BGM DTM TSR LOC FTX CNT UNT",
    (
        Group("SG1", "NAD", "", (Group("SG2", "CTA", "COM"),)),
        Group("SG3", "RFF", "DTM"),
        Group(
            "SG4",
            "CNI",
            "LOC CNT",
            (
                Group(
                    "SG5",
                    "STS",
                    "RFF DTM DOC FTX NAD LOC PCI",
                    (
                        Group("SG6", "TDT", "DTM RFF", (Group("SG7", "LOC", "DTM"),)),
                        _EQUIPMENT,
                        _GOODS,
                    ),
                ),
                _EQUIPMENT,
                _GOODS,
            ),
            need=("SG5",),
        ),
    ),
    need=("BGM", "SG4", "UNT"),
)


def _only(nodes: Sequence[Node]) -> str | None:
    """An identifier that stands alone."""
    return nodes[0].text if len(nodes) == 1 else None


def _own_code(category: str, code: str, more: str) -> str | None:
    """A carrier's own status, which some write into the category (``STS+1:D2:21``)."""
    return f"{category}:{code}:{more}".rstrip(":") if code else None


_ITEM: Final[tuple[Rule, ...]] = (
    Leaf("number", "GID/1496", whole),
    *(
        Many("packages", "GID", (Leaf("quantity", f"{c}.7224", whole), Leaf("kind", f"{c}.7065")))
        for c in r.many("C213", 3)
    ),
    Within("SG11", r.MASSES),
    Leaf("equipment_ids", "SGP/C237.8260", append=True),
    Many("dangerous_goods", "DGS", r.DANGEROUS),
    Join("description", tuple(f"FTX+AAA/{name}" for name in r.TEXT), words),
    *r.notes("FTX"),
)


def _here(below: str) -> tuple[Rule, ...]:
    return (
        Many(
            "equipment",
            f"{below}SG8",
            (Within("EQD", r.EQUIPMENT), *r.MASSES, *r.MEASURES, r.SEALS),
        ),
        Many("items", f"{below}SG10", _ITEM),
        r.papers(f"{below}SG8/RFF"),
    )


_STATUS: Final[tuple[Rule, ...]] = (
    Leaf("equipment_id", "RFF[C506.1153=EQ]/C506.1154"),
    Gather("equipment_id", "SG8/EQD/C237.8260", _only),
    *(Leaf("reference", f"RFF[C506.1153={q}]/C506.1154") for q in (*TRANSPORT_DOCUMENTS, "BN")),
    Leaf("code", "STS/C555.4405"),
    Within("STS[!C555.4405]", (Join("code", ("C601.9015", "C601.1131", "C601.3055"), _own_code),)),
    Join(
        "text",
        ("STS/C555.4404", *(f"STS/{c}.9012" for c in r.many("C556", 5))),
        words,
    ),
    *r.when("at", "334", "7", "203", "78", "178", "186", "136", "133", "132"),
    Part("place", "LOC", r.PLACE),
)
RULES: Final[tuple[Rule, ...]] = (
    *r.header("IFTSTA"),
    r.party_group("SG1", "SG2"),
    r.papers("SG3/RFF", "references"),
    *r.places("LOC"),
    *r.notes(),
    Many(
        "consignments",
        "SG4",
        (
            Leaf("number", "CNI/1490", whole),
            Leaf("reference", "CNI/C503.1004"),
            *(Leaf("reference", f"SG5/RFF[C506.1153={q}]/C506.1154") for q in TRANSPORT_DOCUMENTS),
            *r.places("LOC", "SG5/SG6/SG7/LOC"),
            r.papers("SG5/RFF"),
            Many("parties", "SG5/NAD", r.PARTY),
            *r.means("SG5/SG6/TDT"),
            *r.notes("SG5/FTX", "SG5/FTX+AAA"),
            *_here(""),
            *_here("SG5/"),
        ),
    ),
    Each(
        "statuses",
        "SG4",
        "SG5",
        (Leaf("reference", "CNI/C503.1004"), Gather("equipment_id", "SG8/EQD/C237.8260", _only)),
        _STATUS,
    ),
)
CONSTANT: Final = {"procedure": "status"}
