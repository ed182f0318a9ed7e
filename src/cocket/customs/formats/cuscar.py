"""CUSCAR, the customs cargo report: a vessel's or vehicle's manifest, consignment by consignment.

Structure: UN directories D.95B to D.13B. Canonical: the voyage with its vessel and calls, one consignment for each CNI with the parties,
places and goods of its references (SG8), and the equipment that its goods are stowed in (SGP). Equipment that no goods name
belongs to the only consignment if there is one, else it stands in a consignment of its own, flagged ``equipment-without-consignment``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cocket.customs.formats import edifact_rules as r
from cocket.customs.formats.edifact_codes import TRANSPORT_DOCUMENTS
from cocket.customs.formats.edifact_tree import Group
from cocket.customs.formats.edifact_values import decimal, whole, words
from cocket.customs.formats.mapping import Gather, Join, Leaf, Many, Mapped, Node, Rule, Within
from cocket.customs.formats.moving import move

_GOODS: Final = Group(
    "SG14",
    "GID",
    "PAC HAN FTX MEA MOA SGP DGS PCI CST LOC TMD DIM TMP RNG",
    (
        Group("SG15", "GIS", "DTM DOC PAC MEA"),
        Group("SG15", "GEI", "DTM DOC PAC MEA"),
        Group("SG16", "QTY", "FTX"),
    ),
)
_OF_A_CONSIGNMENT: Final = (
    Group("SG9", "TDT", "LOC DTM MEA", (Group("SG10", "RFF", "TSR"),)),
    Group("SG11", "NAD", "DTM RFF", (Group("SG12", "CTA", "COM"),)),
    Group("SG13", "QTY", "FTX"),
    _GOODS,
)
STRUCTURE: Final = Group(
    "CUSCAR",
    "UNH",
    "BGM DTM LOC QTY FTX GIS GEI CNT UNT",
    (
        Group("SG1", "RFF", "DTM"),
        Group("SG2", "NAD", "DTM", (Group("SG3", "CTA", "COM"),)),
        Group("SG4", "TDT", "LOC DTM"),
        Group("SG5", "EQD", "TSR MEA DIM SEL NAD GIS GEI LOC FTX RFF", (Group("SG6", "TMP", "RNG"),)),
        Group(
            "SG7",
            "CNI",
            "CNT LOC MOA CUX CPI TSR",
            (
                Group("SG8", "RFF", "CNT MOA LOC GIS GEI CUX CPI TSR FTX MEA", _OF_A_CONSIGNMENT),
                *_OF_A_CONSIGNMENT,
            ),
        ),
        Group("SG17", "AUT", "DTM RFF"),
    ),
    need=("BGM", "UNT"),
)


def _described(nodes: Sequence[Node]) -> str | None:
    """The description of goods, which may run over several FTX."""
    lines = [child.text for node in nodes for child in node.children if child.name.startswith("C108.")]
    return words(*lines)


def _paper(source: str) -> Many:
    return Many(
        "documents",
        source,
        (
            Leaf("kind", "C002.1001"),
            Leaf("name", "C002.1000"),
            Leaf("id", "C503.1004"),
        ),
        {"role": "supporting"},
    )


_ITEM: Final[tuple[Rule, ...]] = (
    Leaf("number", "GID/1496", whole),
    *(
        Many("packages", "GID", (Leaf("quantity", f"{c}.7224", whole), Leaf("kind", f"{c}.7065")))
        for c in r.many("C213", 3)
    ),
    Many("packages", "PCI", (Join("marks", r.many("C210.7102", 10), words),)),
    Gather("description", "FTX+AAA", _described),
    *r.notes("FTX"),
    *r.MASSES,
    *r.NET,
    Leaf("hs", "CST/C246.7361"),
    *(
        Many("classifications", f"CST[{c}.7361]", (Leaf("id", f"{c}.7361"), Leaf("kind", f"{c}.1131")))
        for c in r.many("C246", 5)[1:]
    ),
    Leaf("origin", "LOC+27/C517.3225"),
    Leaf("destination", "LOC+28/C517.3225"),
    Leaf("country_of_dispatch", "LOC+35/C517.3225"),
    Many("dangerous_goods", "DGS", r.DANGEROUS),
    Leaf("equipment_ids", "SGP/C237.8260", append=True),
    *(
        Within(f"MOA[C516.5025={q}]", (Leaf(into, "C516.5004", decimal), Leaf(currency, "C516.6345")))
        for q, into, currency in (
            ("66", "value", "currency"),
            ("40", "customs_value", "customs_currency"),
        )
    ),
    _paper("SG15/DOC"),
)


def _details(below: str) -> tuple[Rule, ...]:
    """What CNI's group and its references' groups may both carry."""
    return (
        *r.places(f"{below}LOC"),
        Leaf("country_of_destination", f"{below}LOC+28/C517.3225"),
        Leaf("country_of_dispatch", f"{below}LOC+35/C517.3225"),
        *r.means(f"{below}SG9/TDT"),
        *r.places(f"{below}SG9/LOC"),
        r.party_group(f"{below}SG11", "SG12"),
        r.total("packages_total", "11", f"{below}CNT"),
        r.total_mass("gross_mass_kg", "7", f"{below}CNT"),
        *r.notes(f"{below}FTX", f"{below}FTX+AAA"),
        Many("items", f"{below}SG14", _ITEM),
    )


_CONSIGNMENT: Final[tuple[Rule, ...]] = (
    Leaf("number", "CNI/1490", whole),
    Leaf("reference", "CNI/C503.1004"),
    *(Leaf("reference", f"SG8/RFF[C506.1153={q}]/C506.1154") for q in TRANSPORT_DOCUMENTS),
    r.papers("SG8/RFF"),
    r.papers("SG8/SG9/SG10/RFF"),
    *_details(""),
    *_details("SG8/"),
)
RULES: Final[tuple[Rule, ...]] = (
    *r.header("CUSCAR"),
    *r.when("arrives_at", "132", source="SG4/DTM"),
    *r.when("arrives_at", "132"),
    *r.when("departs_at", "133", "136", "189", source="SG4/DTM"),
    *r.when("arrived_at", "178", source="SG4/DTM"),
    r.papers("SG1/RFF", "references"),
    r.party_group("SG2", "SG3"),
    *r.means("SG4/TDT"),
    *r.places("LOC", "SG4/LOC"),
    *r.offices("LOC"),
    *r.offices("SG4/LOC"),
    *r.notes(),
    r.total("equipment_total", "16"),
    r.total("packages_total", "11"),
    r.total_mass("gross_mass_kg", "7"),
    Many(
        "equipment",
        "SG5",
        (
            Within("EQD", r.EQUIPMENT),
            r.SEALS,
            *r.MASSES,
            *r.TARE,
            *r.MEASURES,
            *r.places(),
            Within("SG6", r.TEMPERATURES),
        ),
    ),
    Many("consignments", "SG7", _CONSIGNMENT),
)
_MOST_COPIES: Final = 200_000
"""Of one equipment in many consignments, seals and measures counted."""

CONSTANT: Final = {"procedure": "manifest"}


def settle(mapped: Mapped) -> list[str]:
    """Marks go to the packages that they are on, and equipment to the consignments whose goods it carries."""
    value: dict[str, Any] = mapped.value
    moved: dict[str, list[str]] = {}
    consignments: list[dict[str, Any]] = value.get("consignments", [])
    carried: dict[str, list[int]] = {}
    for n, consignment in enumerate(consignments):
        for m, item in enumerate(consignment.get("items", ())):
            _mark(item, f"/consignments/{n}/items/{m}/packages", moved)
            for equipment_id in item.get("equipment_ids", ()):
                at = carried.setdefault(equipment_id, [])
                if not at or at[-1] != n:
                    at.append(n)
    equipment: list[dict[str, Any]] = value.pop("equipment", [])
    loose: list[dict[str, Any]] = []
    copies = 0
    flags = []
    for n, one in enumerate(equipment):
        homes = carried.get(one.get("id", ""), [0] if len(consignments) == 1 else [])
        copies += len(homes) * (1 + len(one.get("seals", ())) + len(one.get("measures", ())))
        if copies > _MOST_COPIES and len(homes) > 1:
            homes = homes[:1]
            flags.append(f"equipment-not-in-every-consignment:{one.get('id')}")
        moved[f"/equipment/{n}"] = targets = []
        for home in homes:
            own = consignments[home].setdefault("equipment", [])
            targets.append(f"/consignments/{home}/equipment/{len(own)}")
            own.append(one)
        if not homes:
            targets.append(f"/consignments/{len(consignments)}/equipment/{len(loose)}")
            loose.append(one)
    if loose:
        if consignments:
            flags.append("equipment-without-consignment")
        value.setdefault("consignments", consignments).append({"equipment": loose})
    move(mapped, moved)
    return flags


def _mark(item: dict[str, Any], pointer: str, moved: dict[str, list[str]]) -> None:
    """One kind of packages and one set of marks belong together."""
    packages = item.get("packages", [])
    if len(packages) == 2 and "marks" not in packages[0] and set(packages[1]) == {"marks"}:
        packages[0]["marks"] = packages.pop()["marks"]
        moved[f"{pointer}/1"] = [f"{pointer}/0"]
