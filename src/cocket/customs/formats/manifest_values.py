"""Values of manifests' cells as people write them: numbers with either decimal mark, masses in kg, lb and t, days, and identifiers.

``mark`` is the file's decimal mark, "" where the file leaves it open. A ``ValueError`` says why a cell is no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from cocket.customs.formats import values
from cocket.customs.formats.manifest_columns import UNIT_WORDS, plain, unit

NOTHING: Final = frozenset({"-", "–", "—", "n/a", "na", "nil"})
"""How people write that a cell says nothing."""


def proven(cell: str) -> str:
    """The decimal mark that a number alone proves: what stands last of two marks, or stands before other than three digits."""
    digits = re.sub(r"[\s'’]", "", cell)
    digits = re.match(r"[+-]?[\d.,]*", digits)[0]  # type: ignore[index]
    last = max(digits.rfind(","), digits.rfind("."))
    if last < 0:
        return ""
    mark = digits[last]
    other = "." if mark == "," else ","
    if other in digits:
        return mark
    if digits.count(mark) > 1:
        return other
    return mark if len(digits) - last - 1 != 3 or digits.lstrip("+-")[:last].lstrip("0") == "" else ""


def exact(cell: str, mark: str) -> str | None:
    """A number in the file's way of writing, as exact decimal text; None for a dash."""
    digits = re.sub(r"[\s'’]", "", cell)
    if digits.lower() in NOTHING:
        return None
    if "," in digits or "." in digits:
        own = proven(digits) or mark
        if not own:
            raise ValueError("can be read in two ways; write it without a mark between thousands")
        other = "." if own == "," else ","
        if own != mark and mark:
            raise ValueError("has another decimal mark than the other numbers")
        if not re.fullmatch(rf"[+-]?(\d+|\d{{1,3}}(\{other}\d{{3}})+)?(\{own}\d*)?", digits):
            raise ValueError("is no number")
        digits = digits.replace(other, "").replace(own, ".")
    return values.amount(digits)


KG: Final = {"kg": Decimal(1), "lb": Decimal("0.45359237"), "t": Decimal(1000)}


def mass(mark: str, in_unit: str) -> Callable[[str, str], float | None]:
    """Kilograms of a cell in a unit; one that stands in the cell or beside it comes before its column's."""

    def convert(cell: str, own_unit: str) -> float | None:
        if not cell:
            return None
        found = re.fullmatch(r"(.*?)\s*([A-Za-z]+)", cell)
        written = in_unit
        if found and plain(found[2]) in UNIT_WORDS:
            cell, written = found[1], unit(found[2]) or in_unit
        elif own_unit:
            known = unit(own_unit)
            if known is None:
                raise ValueError(f"its unit {own_unit[:20]!r} is not known; known are kg, lb and t")
            written = known
        found_exact = exact(cell, mark)
        if found_exact is None:
            return None
        if found_exact.startswith("-"):
            raise ValueError("is less than nothing")
        return float(Decimal(found_exact) * KG[written])

    return convert


def count(cell: str) -> int | None:
    """A number of packages; marks between thousands are allowed, decimals are not."""
    digits = re.sub(r"[\s'’]", "", cell)
    if digits.lower() in NOTHING:
        return None
    if re.fullmatch(r"\d{1,3}([.,]\d{3})+", digits):
        digits = re.sub(r"[.,]", "", digits)
    if not re.fullmatch(r"\d{1,12}([.,]0*)?", digits):
        raise ValueError("is no number of packages")
    return int(re.split(r"[.,]", digits)[0])


def locode(cell: str) -> str | None:
    """A UN/LOCODE, with or without a space in it."""
    found = "".join(cell.split())
    return found if re.fullmatch(r"[A-Z]{2}[A-Z2-9]{3}", found) else None


def name(cell: str) -> str | None:
    """What is no UN/LOCODE, in words."""
    return None if locode(cell) else words(cell)


def words(cell: str) -> str:
    """Words with one space between them."""
    return " ".join(cell.split())


def hs(cell: str) -> str:
    """A commodity code without its points."""
    return hs_digits(cell) if hs_digits(cell).isdigit() else words(cell)


def hs_digits(cell: str) -> str:
    """A spreadsheet drops a leading zero: an odd number of digits gets it back."""
    digits = re.sub(r"[\s.]", "", cell)
    return f"0{digits}" if digits.isdigit() and len(digits) in {3, 5, 7, 9} else digits


def container_id(cell: str) -> str:
    """A container's number without the spaces and the dash that it is often written with; of other names the words."""
    joined = re.sub(r"[\s-]", "", cell.upper())
    return joined if re.fullmatch(r"[A-Z]{4}\d{6,7}", joined) else words(cell)


def moment(cell: str) -> str:
    """A day or time: ISO, or day and month where only one reading makes a date."""
    found = re.fullmatch(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?:[ T](\d{1,2}:\d{2}))?", cell)
    if found:
        one, two = int(found[1]), int(found[2])
        if one <= 12 and two <= 12 and one != two and "/" in cell:
            raise ValueError("can be read in two ways; write YYYY-MM-DD")
        day, month = (two, one) if two > 12 else (one, two)
        cell = f"{found[3]}-{month:02d}-{day:02d}" + (f"T{found[4]:0>5}" if found[4] else "")
    cell = cell.replace(" ", "T", 1) if re.match(r"\d{4}-\d{2}-\d{2} \d", cell) else cell
    if "T" not in cell:
        return values.day(cell)
    return values.moment(f"{cell}:00" if re.fullmatch(r".*T\d{2}:\d{2}", cell) else cell)


def un(cell: str) -> str | None:
    """Four digits, with or without UN before them."""
    digits = re.sub(r"^\s*UN\s*", "", cell, flags=re.IGNORECASE).strip()
    if digits.lower() in NOTHING:
        return None
    return f"{digits:0>4}" if digits.isdigit() else digits


def imo(cell: str) -> str:
    """A ship's number, with or without IMO before it."""
    return re.sub(r"^\s*IMO\s*", "", cell, flags=re.IGNORECASE).strip()
