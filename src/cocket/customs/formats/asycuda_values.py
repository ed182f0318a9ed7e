"""Values in the boxes of ASYCUDA's SAD, as national systems write them. ``order``: ``month`` or ``day``, whichever stands first in dates with slashes.

A zero is how an empty box is exported: counts, masses and amounts give None for it. A ``ValueError`` says why something is no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from cocket.customs.formats import values

SLASHED: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})")


def decimal(value: str) -> str:
    """A number with a point or a comma before its decimals. One comma and three digits can be read in two ways and is refused."""
    value = "".join(value.split())
    if "," in value:
        if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+\.\d+", value):
            value = value.replace(",", "")
        elif re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+,\d+", value):
            value = value.replace(".", "").replace(",", ".")
        elif re.fullmatch(r"[+-]?\d{1,3},\d{3}", value):
            raise ValueError(
                "can be read in two ways; write the decimals after a point, and no mark between thousands"
            )
        else:
            value = value.replace(",", ".", 1)
    return values.amount(value)


def mass(value: str) -> float | None:
    """Kilograms."""
    return float(decimal(value)) or None


def count(value: str) -> int | None:
    """A whole number."""
    return values.integer(value) or None


def amount(value: str) -> str | None:
    """An amount that was filled in: zero is an empty box."""
    found = decimal(value)
    return found if float(found) else None


def lines(value: str) -> list[str]:
    """The lines of a box; some exporters write a line end as a backslash and n."""
    return [line for part in re.split(r"\n|\\n", value) if (line := " ".join(part.split()))]


def one_line(value: str) -> str:
    """Words with one space between them."""
    return " ".join(value.split())


def first_line(value: str) -> str | None:
    """The name in a box of name and address."""
    return next(iter(lines(value)), None)


def other_lines(value: str) -> str | None:
    """The address in a box of name and address."""
    return ", ".join(lines(value)[1:]) or None


def day(order: str) -> Callable[[str], str | None]:
    """Reads a day: ISO, with slashes in this order, with dots or dashes the day first. ``0/0/00`` is none."""

    def convert(value: str) -> str | None:
        found = SLASHED.fullmatch(value)
        if found is None:
            found_dotted = re.fullmatch(r"(\d{1,2})[.-](\d{1,2})[.-](\d{4})", value)
            if found_dotted:
                return values.day(f"{found_dotted[3]}-{found_dotted[2]:0>2}-{found_dotted[1]:0>2}")
            return values.moment(value) if "T" in value else values.day(value)
        month, day = (found[1], found[2]) if order == "month" else (found[2], found[1])
        if int(found[1]) == int(found[2]) == 0:
            return None
        year = int(found[3])
        if len(found[3]) == 2:
            year += 1900 if year > 68 else 2000
        return values.day(f"{year:04d}-{month:0>2}-{day:0>2}")

    return convert


def limit(order: str) -> Callable[[str], str | None]:
    """The transit's time limit where it is a day; a number of days is left to the reader of the original."""
    dated = day(order)

    def convert(value: str) -> str | None:
        if value.isdigit():
            return None
        found = dated(value)
        return values.end_of_day(found) if found and "T" not in found else found

    return convert


def mrn(office: str, serial: str, number: str, date: str) -> str | None:
    """Registration as one identifier; None until there is a number."""
    if not number.strip("0 "):
        return None
    year = next((y for y in re.findall(r"\d+", date) if len(y) == 4), "")
    if not year:
        parts = re.findall(r"\d+", date)
        year = f"20{parts[2]}" if len(parts) >= 3 else ""
    found = "-".join(part for part in (office, year, f"{serial}{number}") if part)
    return re.sub(r"[^A-Za-z0-9.-]", "", found).strip("-.") or None


def serial(serial: str, number: str) -> str | None:
    """A number with its series."""
    return f"{serial}{number}" if number.strip("0 ") else None


def words(*parts: str) -> str | None:
    """Several boxes as one text."""
    return " ".join(p for part in parts if (p := one_line(part))) or None


def procedure(transit: str, code: str, flow: str) -> str | None:
    """From box 1: a type of transit document or 8 is transit, 7 warehouse, 1 to 3 export, 4 to 6 import; else the flow says it."""
    if transit or code.startswith("8"):
        return "transit"
    if code[:1] in _GENERAL:
        return _GENERAL[code[:1]]
    return {"I": "import", "E": "export"}.get(flow[:1].upper())


_GENERAL: Final = {
    "1": "export",
    "2": "export",
    "3": "export",
    "4": "import",
    "5": "import",
    "6": "import",
    "7": "warehouse",
}


def previous(*parts: str) -> str | None:
    """Pieces of a reference, with a dash between them."""
    return "-".join(p for p in parts if p) or None


def locode(value: str) -> str | None:
    """A UN/LOCODE."""
    return value if re.fullmatch(r"[A-Z]{2}[A-Z0-9]{3}", value) else None


def no_locode(value: str) -> str | None:
    """A place's code that is no UN/LOCODE."""
    return None if locode(value) else value


def previous_code(*parts: str) -> str | None:
    """Pieces of one code, written together."""
    return "".join("".join(part.split()) for part in parts) or None
