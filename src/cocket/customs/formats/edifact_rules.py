"""What the EDIFACT messages share on their way to the canonical model: parties, places, means of transport, equipment and its seals, masses, times.

Codes are those of the UN code directory (UNCL D.00B) and, for qualifiers in containers' messages, of the SMDG's and ITIGG's guides. A qualifier that is not
listed here has no meaning here: its segment is kept raw and flagged, never guessed at.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from cocket.customs.formats import values
from cocket.customs.formats.edifact_tree import ANY, APART, Names
from cocket.customs.formats.mapping import Join, Leaf, Many, Part, Rule, Within

PARTIES: Final = {
    "AG": "agent",
    "BY": "buyer",
    "CA": "carrier",
    "CB": "broker",
    "CF": "equipment-operator",
    "CM": "customs",
    "CN": "consignee",
    "CZ": "consignor",
    "DP": "delivery",
    "DT": "declarant",
    "EX": "exporter",
    "FW": "forwarder",
    "GO": "owner",
    "IM": "importer",
    "MR": "recipient",
    "MS": "sender",
    "N1": "notify",
    "N2": "notify",
    "NI": "notify",
    "OS": "original-shipper",
    "SE": "seller",
    "SF": "ship-from",
    "ST": "ship-to",
    "TR": "terminal",
    "UC": "ultimate-consignee",
    "WH": "warehouse-keeper",
}
"""3035, party function."""

_PLACES: Final = {
    "5": "departure",
    "7": "delivery",
    "8": "destination",
    "9": "loading",
    "10": "acceptance",
    "11": "unloading",
    "13": "transhipment",
    "14": "goods",
    "18": "warehouse",
    "20": "ultimate-destination",
    "60": "arrival",
    "61": "next-call",
    "65": "final-unloading",
    "76": "original-loading",
    "80": "despatch",
    "83": "delivery",
    "87": "first-arrival",
    "88": "receipt",
    "91": "issue",
    "92": "routing",
    "94": "previous-call",
    "98": "empty-pick-up",
    "99": "empty-return",
    "125": "last-call",
    "152": "next-unloading",
    "153": "call",
    "165": "activity",
    "170": "final-unloading",
    "175": "activity",
}
"""3227, place function, of places that are no customs office, no country and no cell on board."""

OFFICES: Final = {"22": "clearance", "41": "entry", "42": "exit"}
COUNTRIES: Final = {"27": "origin", "28": "country_of_destination", "35": "country_of_dispatch"}
CELL: Final = "147"

_MEANS: Final = {
    "1": "inland",
    "10": "pre-carriage",
    "11": "border",
    "12": "departure",
    "13": "arrival",
    "20": "main-carriage",
    "30": "on-carriage",
}
"""8051, transport stage."""

KNOWN: Final[Names] = {
    "NAD": PARTIES,
    "TDT": _MEANS,
    "FTX": {"AAA": APART, ANY: True},
    "LOC": {
        **_PLACES,
        CELL: APART,
        **dict.fromkeys(OFFICES, APART),
        **dict.fromkeys(COUNTRIES, APART),
    },
}

FUNCTIONS: Final = {
    "1": "cancellation",
    "2": "amendment",
    "3": "amendment",
    "4": "amendment",
    "5": "replacement",
    "6": "notice",
    "7": "notice",
    "9": "original",
    "11": "response",
    "13": "request",
    "20": "amendment",
    "21": "amendment",
    "22": "notice",
    "27": "response",
    "29": "response",
    "31": "notice",
    "33": "amendment",
    "36": "amendment",
    "43": "notice",
    "44": "response",
    "46": "notice",
    "47": "original",
    "54": "original",
}
"""1225, message function."""

_PAPERS: Final = {
    "AAM": "transport",
    "AAS": "transport",
    "AWB": "transport",
    "BH": "transport",
    "BM": "transport",
    "HWB": "transport",
    "MB": "transport",
    "MWB": "transport",
    "BN": "booking",
    "IV": "invoice",
    "MF": "manifest",
}
TRANSPORT_DOCUMENTS: Final = ("BM", "BH", "HWB", "AWB", "AAS", "AAM", "MB", "MWB")
"""1153, the reference of a consignment's own transport document, the likeliest first."""

_FILL: Final = {"4": "empty", "5": "full", "7": "full-mixed", "8": "full-single"}
_STATUS: Final = {
    "1": "continental",
    "2": "export",
    "3": "import",
    "4": "remain-on-board",
    "5": "shifter",
    "6": "transhipment",
}
_SEALED_BY: Final = {
    "AA": "consolidator",
    "AB": "unknown",
    "AC": "quarantine",
    "CA": "carrier",
    "CU": "customs",
    "SH": "shipper",
    "TO": "terminal",
}
_SEAL_STATE: Final = {"1": "intact", "2": "damaged", "3": "missing"}
_TEMPERATURE: Final = {"1": "storage", "2": "transport", "3": "operation"}
_KG: Final = {
    "KGM": Decimal(1),
    "KG": Decimal(1),
    "KGS": Decimal(1),
    "TNE": Decimal(1000),
    "GRM": Decimal("0.001"),
    "LBR": Decimal("0.45359237"),
}
_FORMS: Final = {"": {6: "101", 8: "102", 10: "201", 12: "203", 14: "204"}}
_TIMES: Final = frozenset({"101", "102", "201", "203", "204", "303", "304"})


# --- values


def decimal(value: str) -> str:
    """A number with a comma or a point before its decimals (ISO 9735-1, 10.1), exact."""
    return values.amount(value.replace(",", ".", 1))


def whole(value: str) -> int:
    """A whole number; decimals that are zero are allowed."""
    return values.integer(value.replace(",", ".", 1))


def mass(unit: str, value: str) -> float | None:
    """Kilograms of a mass in KGM, TNE, GRM or LBR (UN/ECE Recommendation 20)."""
    if not value:
        return None
    factor = _KG.get(unit.upper())
    if factor is None:
        raise ValueError(
            f"the unit {unit or '(none)'} of a mass is not known; known are KGM, TNE, GRM and LBR"
        )
    return float(Decimal(decimal(value)) * factor)


def cubic_metres(unit: str, value: str) -> float | None:
    """A volume in MTQ; in another unit it is left raw."""
    return float(decimal(value)) if unit == "MTQ" and value else None


def moment(value: str, form: str, _qualifier: str) -> str | None:
    """DTM's time as RFC 3339 or its day; without a form, as its length says. Periods and other forms are left raw."""
    form = form or _FORMS[""].get(len(value), "")
    if not value or form not in _TIMES:
        return None
    return values.formatted(form, value)


def prepared(day: str, time: str) -> str | None:
    """UNB's date and time (S004)."""
    digits = day + time
    form = _FORMS[""].get(len(digits))
    if not digits.isdigit() or form is None:
        raise ValueError("is no date and time YYMMDD:HHMM or CCYYMMDD:HHMM")
    return values.formatted(form, digits)


def words(*parts: str) -> str | None:
    """Lines of free text as one."""
    return " ".join(" ".join(part.split()) for part in parts if part.strip()) or None


def locode(value: str) -> str | None:
    """A UN/LOCODE."""
    return value if re.fullmatch(r"[A-Z]{2}[A-Z2-9]{3}", value) else None


def no_locode(value: str) -> str | None:
    """What stands in a place's identifier and is no UN/LOCODE."""
    return None if locode(value) else value


def _function(value: str) -> str:
    found = FUNCTIONS.get(value)
    if found is None:
        raise ValueError(f"is no message function (1225) that is known; known are {', '.join(FUNCTIONS)}")
    return found


def _stage(stage: str, mode: str) -> str:
    """A main carriage by sea or river is the vessel's."""
    return "vessel" if stage == "20" and mode in {"", "1", "8"} else _MEANS[stage]


def _means_kind(mode: str, codes: str, identifier: str) -> str | None:
    """What identifies a means, by EU code list CL750: IMO number 10, wagon 20, road vehicle 30; a call sign has none there."""
    if codes == "103":
        return "call-sign"
    if mode == "3":
        return "30"
    if mode == "2":
        return "20"
    if mode in {"", "1"} and (codes in {"146", "11"} or mode) and re.fullmatch(r"(IMO)?\d{7}", identifier):
        return "10"
    return None


def _equipment_kind(qualifier: str, size: str) -> str | None:
    """The ISO 6346 size and type code; without one, what the equipment is."""
    return size or qualifier or None


def _measured(what: str, which: str) -> str | None:
    return "-".join(part for part in (what, which) if part) or None


def _dimensions(*sizes: str) -> str | None:
    return "x".join(decimal(size) for size in sizes if size) or None


# --- rules


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
    Leaf("role", "3227", _PLACES.__getitem__),
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
    Join("role", ("8051", "C220.8067"), _stage),
    Leaf("mode", "C220.8067"),
    Join("kind", ("C220.8067", "C222.1131", "C222.8213"), _means_kind),
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
                lambda q, _: _PAPERS.get(q, "additional-reference"),
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
                Join("kind", ("6311", "C502.6313"), _measured),
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
            Join("value", ("C211.6168", "C211.6140", "C211.6008"), _dimensions),
            Leaf("unit", "C211.6411"),
        ),
    ),
)

TEMPERATURES: Final[tuple[Rule, ...]] = (
    Many(
        "measures",
        "TMP[6245]",
        (
            Leaf("kind", "6245", lambda q: f"temperature-{_TEMPERATURE.get(q, q)}"),
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
        Leaf("party", "C215.9303", lambda code: _SEALED_BY.get(code, code)),
        Leaf("party", "C215.9302"),
        Leaf("state", "4517", lambda code: _SEAL_STATE.get(code, code)),
    ),
)

EQUIPMENT: Final[tuple[Rule, ...]] = (
    Leaf("id", "C237.8260"),
    Join("kind", ("8053", "C224.8155"), _equipment_kind),
    Leaf("status", "8249", lambda code: _STATUS.get(code, code)),
    Leaf("fill", "8169", lambda code: _FILL.get(code, code)),
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
        Leaf("function", "BGM/1225", _function),
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
