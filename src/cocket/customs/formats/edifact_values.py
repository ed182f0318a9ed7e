"""Values of EDIFACT segments: exact numbers, kilograms, times, and what follows from several codes together. A ``ValueError`` says why something is none."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from cocket.customs.formats import values
from cocket.customs.formats.edifact_codes import FUNCTIONS, STAGES

_KG: Final = {
    "KGM": Decimal(1),
    "KG": Decimal(1),
    "KGS": Decimal(1),
    "TNE": Decimal(1000),
    "GRM": Decimal("0.001"),
    "LBR": Decimal("0.45359237"),
}
_BY_LENGTH: Final = {6: "101", 8: "102", 10: "201", 12: "203", 14: "204"}
"""2379, the form of a time that has none, by its length."""
_TIMES: Final = frozenset({"101", "102", "201", "203", "204", "303", "304"})


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


def moment(value: str, form: str, _qualifier: str) -> str | None:
    """DTM's time as RFC 3339 or its day; without a form, as its length says. Periods and other forms are left raw."""
    form = form or _BY_LENGTH.get(len(value), "")
    if not value or form not in _TIMES:
        return None
    return values.formatted(form, value)


def prepared(day: str, time: str) -> str | None:
    """UNB's date and time (S004)."""
    digits = day + time
    form = _BY_LENGTH.get(len(digits))
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


def function(value: str) -> str:
    """A message function (1225) in the model's words."""
    found = FUNCTIONS.get(value)
    if found is None:
        raise ValueError(f"is no message function (1225) that is known; known are {', '.join(FUNCTIONS)}")
    return found


def stage(stage: str, mode: str) -> str:
    """A main carriage by sea or river is the vessel's."""
    return "vessel" if stage == "20" and mode in {"", "1", "8"} else STAGES[stage]


def means_kind(mode: str, codes: str, identifier: str) -> str | None:
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


def equipment_kind(qualifier: str, size: str) -> str | None:
    """The ISO 6346 size and type code; without one, what the equipment is."""
    return size or qualifier or None


def measured(what: str, which: str) -> str | None:
    """What is measured (6311) and which of it (6313)."""
    return "-".join(part for part in (what, which) if part) or None


def dimensions(*sizes: str) -> str | None:
    """Length, width and height, as far as they are given."""
    return "x".join(decimal(size) for size in sizes if size) or None
