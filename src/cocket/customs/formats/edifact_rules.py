"""What the EDIFACT messages share on their way to the canonical model: parties, places, means of transport, equipment and its seals, masses, times."""

from __future__ import annotations

from typing import Final

from cocket.customs.formats.edifact_codes import (
    CELL,
    COUNTRIES,
    FILLS,
    OFFICES,
    PAPERS,
    PARTIES,
    PLACES,
    SEAL_STATES,
    SEALED_BY,
    STAGES,
    STATUSES,
    TEMPERATURES_OF,
)
from cocket.customs.formats.edifact_tree import ANY, APART, Names
from cocket.customs.formats.edifact_values import (
    decimal,
    dimensions,
    equipment_kind,
    function,
    locode,
    mass,
    means_kind,
    measured,
    moment,
    no_locode,
    prepared,
    stage,
    whole,
    words,
)
from cocket.customs.formats.mapping import Join, Leaf, Many, Part, Rule, Within

KNOWN: Final[Names] = {
    "NAD": PARTIES,
    "TDT": STAGES,
    "FTX": {"AAA": APART, ANY: True},
    "LOC": {
        **PLACES,
        CELL: APART,
        **dict.fromkeys(OFFICES, APART),
        **dict.fromkeys(COUNTRIES, APART),
    },
}


def many(name: str, count: int) -> tuple[str, ...]:
    """The names of a component that repeats in its composite."""
    return (name, *(f"{name}+{n}" for n in range(2, count + 1)))


def when(into: str, *qualifiers: str, source: str = "DTM") -> tuple[Rule, ...]:
    """A time by its qualifier (2005), the first of several that is there."""
    return tuple(
        Within(
            f"{source}[C507.2005={q}]",
            (Join(into, ("C507.2380", "C507.2379", "C507.2005"), moment),),
        )
        for q in qualifiers
    )


TEXT: Final = many("C108.4440", 5)

PARTY: Final[tuple[Rule, ...]] = (
    Leaf("role", "3035", PARTIES.__getitem__),
    Leaf("id", "C082.3039"),
    Join("name", many("C080.3036", 5), words),
    Leaf("name", "C058.3124"),
    Part(
        "address",
        ".",
        (
            Join("street", many("C059.3042", 4), words),
            Join("street", many("C058.3124", 5)[1:], words),
            Leaf("city", "3164"),
            Leaf("region", "C819.3229"),
            Leaf("region", "C819.3228"),
            Leaf("postcode", "3251"),
            Leaf("country", "3207"),
        ),
    ),
)


def party_group(group: str, contacts: str) -> Many:
    """A party that opens a group with contacts."""
    return Many(
        "parties",
        f"{group}[NAD]",
        (
            Within("NAD", PARTY),
            Part(
                "contact",
                contacts,
                (
                    Join("name", ("CTA/C056.3412",), words),
                    Leaf("name", "CTA/C056.3413"),
                    Leaf("phone", "COM[C076.3155=TE]/C076.3148"),
                    Leaf("email", "COM[C076.3155=EM]/C076.3148"),
                ),
            ),
        ),
    )


PLACE: Final[tuple[Rule, ...]] = (
    Leaf("role", "3227", PLACES.__getitem__),
    Leaf("unlocode", "C517.3225", locode),
    Leaf("id", "C517.3225", no_locode),
    Leaf("name", "C517.3224"),
    Leaf("id", "C519.3223"),
    Leaf("name", "C519.3222"),
)


def places(*sources: str) -> tuple[Rule, ...]:
    """Places that are no customs office, no country and no cell."""
    return tuple(Many("places", source, PLACE) for source in sources or ("LOC",))


def offices(source: str = "LOC") -> tuple[Rule, ...]:
    """Customs offices among the locations."""
    rules = (Leaf("id", "C517.3225"), Leaf("name", "C517.3224"))
    return tuple(Many("offices", f"{source}+{q}", rules, {"role": role}) for q, role in OFFICES.items())


def total(into: str, code: str, source: str = "CNT") -> Within:
    """A control total (CNT) that counts."""
    return Within(
        f"{source}[C270.6069={code}]",
        (Join(into, ("C270.6066", "C270.6069"), lambda n, _: whole(n) if n else None),),
    )


def total_mass(into: str, code: str, source: str = "CNT") -> Within:
    """A control total that is a mass; without a unit it is left raw."""

    def convert(value: str, unit: str, given: str) -> float | None:
        return mass(unit, value) if given == code else None

    rule = Join(into, ("C270.6066", "C270.6411", "C270.6069"), convert)
    return Within(f"{source}[C270.6411]", (rule,))


MEANS: Final[tuple[Rule, ...]] = (
    Join("role", ("8051", "C220.8067"), stage),
    Leaf("mode", "C220.8067"),
    Join("kind", ("C220.8067", "C222.1131", "C222.8213"), means_kind),
    Leaf("id", "C222.8213"),
    Leaf("name", "C222.8212"),
    Leaf("nationality", "C222.8453"),
    Leaf("voyage", "8028"),
)
CARRIER: Final[tuple[Rule, ...]] = (Leaf("id", "C040.3127"), Leaf("name", "C040.3128"))


def means(source: str) -> tuple[Rule, ...]:
    """A means of transport (TDT) and its carrier."""
    return (
        Many("transport", source, MEANS),
        Many("parties", source, CARRIER, {"role": "carrier"}),
    )


def papers(source: str, into: str = "documents") -> Many:
    """References (RFF) that say something."""
    return Many(
        into,
        f"{source}[C506.1154]",
        (
            Join(
                "role",
                ("C506.1153", "C506.1154"),
                lambda q, _: PAPERS.get(q, "additional-reference"),
            ),
            Leaf("kind", "C506.1153"),
            Leaf("id", "C506.1154"),
        ),
    )


def notes(*sources: str) -> tuple[Rule, ...]:
    """Free text; a description of goods (AAA) is named apart."""
    rules = (Leaf("kind", "4451"), Leaf("code", "C107.4441"), Join("text", TEXT, words))
    return tuple(Many("notes", source, rules) for source in sources or ("FTX", "FTX+AAA"))


_MASS: Final = ("C174.6314", "C174.6411", "6311", "C502.6313")


def measured_mass(value: str, unit: str, _what: str, _which: str) -> float | None:
    """The mass that a measurement (MEA) gives."""
    return mass(unit, value)


MASSES: Final[tuple[Rule, ...]] = (
    *(
        Within(source, (Join("gross_mass_kg", _MASS, measured_mass),))
        for source in (
            "MEA[C502.6313=VGM]",
            "MEA-[6311=VGM]",
            "MEA[C502.6313=G]",
            "MEA-[6311=WT]",
            "MEA[C502.6313=AET]",
        )
    ),
)
"""Gross mass: verified (SOLAS VI/2), else as declared, else as estimated."""

NET: Final[tuple[Rule, ...]] = tuple(
    Within(f"MEA[C502.6313={q}]", (Join("net_mass_kg", _MASS, measured_mass),)) for q in ("AAL", "AAC", "N")
)
TARE: Final[tuple[Rule, ...]] = (Within("MEA[C502.6313=T]", (Join("tare_mass_kg", _MASS, measured_mass),)),)

MEASURES: Final[tuple[Rule, ...]] = (
    *(
        Many(
            "measures",
            source,
            (
                Join("kind", ("6311", "C502.6313"), measured),
                Leaf("value", "C174.6314", decimal),
                Leaf("unit", "C174.6411"),
            ),
        )
        for source in ("MEA[C502.6313]", "MEA-[6311]")
    ),
    Many(
        "measures",
        "DIM[6145]",
        (
            Leaf("kind", "6145", lambda q: f"dimension-{q}"),
            Join("value", ("C211.6168", "C211.6140", "C211.6008"), dimensions),
            Leaf("unit", "C211.6411"),
        ),
    ),
)

TEMPERATURES: Final[tuple[Rule, ...]] = (
    Many(
        "measures",
        "TMP[6245]",
        (
            Leaf("kind", "6245", lambda q: f"temperature-{TEMPERATURES_OF.get(q, q)}"),
            Leaf("value", "C239.6246", decimal),
            Leaf("unit", "C239.6411"),
        ),
    ),
    *(
        Many(
            "measures",
            f"RNG[{source}]",
            (Leaf("value", source, decimal), Leaf("unit", "C280.6411")),
            {"kind": kind},
        )
        for source, kind in (("C280.6162", "range-minimum"), ("C280.6152", "range-maximum"))
    ),
)

SEALS: Final = Many(
    "seals",
    "SEL[9308]",
    (
        Leaf("id", "9308"),
        Leaf("party", "C215.9303", lambda code: SEALED_BY.get(code, code)),
        Leaf("party", "C215.9302"),
        Leaf("state", "4517", lambda code: SEAL_STATES.get(code, code)),
    ),
)

EQUIPMENT: Final[tuple[Rule, ...]] = (
    Leaf("id", "C237.8260"),
    Join("kind", ("8053", "C224.8155"), equipment_kind),
    Leaf("status", "8249", lambda code: STATUSES.get(code, code)),
    Leaf("fill", "8169", lambda code: FILLS.get(code, code)),
)
"""Of EQD itself."""

DANGEROUS: Final[tuple[Rule, ...]] = (
    Leaf("un", "C234.7124"),
    Leaf("hazard_class", "C205.8351"),
)


def dangerous_group(group: str) -> Many:
    """Dangerous goods that open a group with their description."""
    return Many(
        "dangerous_goods",
        group,
        (
            Within("DGS", DANGEROUS),
            Within("FTX+AAA", (Join("description", TEXT, words),)),
            Within("FTX", (Join("description", TEXT, words),)),
        ),
    )


def header(kind: str) -> tuple[Rule, ...]:
    """What every message begins with: its number, function and time."""
    return (
        Leaf("lrn", "BGM/C106.1004"),
        Leaf("function", "BGM/1225", function),
        Many(
            "references",
            "BGM[C106.1004]",
            (Leaf("id", "C106.1004"), Leaf("kind", "C002.1001")),
            {"role": "message"},
        ),
        *when("issued_at", "137"),
        Part(
            "message",
            "UNH",
            (
                Leaf("kind", "S009.0065"),
                Join("version", ("S009.0052", "S009.0054"), lambda v, r: f"{v}.{r}".strip(".") or None),
                Leaf("agency", "S009.0051"),
                Leaf("customisation", "S009.0057"),
            ),
            {"kind": kind},
        ),
    )


ENVELOPE: Final[tuple[Rule, ...]] = (
    Part(
        "message",
        "UNB",
        (
            Leaf("sender", "S002.0004"),
            Leaf("recipient", "S003.0010"),
            Join("prepared_at", ("S004.0017", "S004.0019"), prepared),
            Leaf("id", "0020"),
        ),
    ),
)
