"""Converters of values in customs documents: exact, and loud where a value is none (``ValueError`` says why)."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from cocket.core.clock import parse_rfc3339, rfc3339

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}(\.0*)?")
_DATE_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?")


def integer(value: str) -> int:
    """A whole number."""
    value = value.strip()
    if not _INTEGER.fullmatch(value):
        raise ValueError("is no whole number")
    return int(value.partition(".")[0])


def kilograms(value: str) -> float:
    """A mass in kg."""
    return float(_decimal(value))


def number(value: str) -> float:
    """A plain number."""
    return float(_decimal(value))


def amount(value: str) -> str:
    """An exact decimal as text, as it was written: ``1234.50`` stays ``1234.50``."""
    return format(_decimal(value), "f")


def _decimal(value: str) -> Decimal:
    try:
        found = Decimal(value.strip())
    except InvalidOperation:
        raise ValueError("is no number") from None
    if not found.is_finite() or (found and abs(found.adjusted()) > 30) or math.isinf(float(found)):
        raise ValueError("is no finite number")
    return found


def flag(value: str) -> bool:
    """``1``/``true`` and ``0``/``false``."""
    value = value.strip().lower()
    if value in {"1", "true"}:
        return True
    if value in {"0", "false"}:
        return False
    raise ValueError("is neither 0 nor 1, true nor false")


def day(value: str) -> str:
    """``YYYY-MM-DD``; an offset behind it, which XML allows, is dropped."""
    value = re.sub(r"(Z|[+-]\d{2}:\d{2})$", "", value.strip())
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise ValueError(f"is no day of the calendar ({error})") from None


def moment(value: str) -> str:
    """XML's dateTime as RFC 3339 in UTC; one without an offset is taken as UTC, as the EU's messages mean it."""
    value = value.strip()
    if _DATE_TIME.fullmatch(value):
        value += "Z"
    if "T24:00:00" in value:
        raise ValueError("24:00 is not taken; write 00:00 of the next day")
    return rfc3339(parse_rfc3339(value))


def end_of_day(value: str) -> str:
    """A limit that is given as a day holds to the day's last second, UTC."""
    return f"{day(value)}T23:59:59Z"


def formatted(form: str, value: str) -> str:
    """A date or time in a form of UN/EDIFACT's code list 2379: 102 CCYYMMDD, 203 CCYYMMDDHHMM, 204 with seconds, 303/304 with an offset or zone, 101 YYMMDD, 201 YYMMDDHHMM.

    Days come as ``YYYY-MM-DD``, times as RFC 3339 in UTC; a time without an offset is taken as UTC.
    """
    value = value.strip()
    pattern = _FORMS.get(form)
    if pattern is None:
        raise ValueError(f"form {form!r} of a date is not known")
    body, offset = value, "Z"
    if form in {"303", "304"}:
        found = re.fullmatch(r"(\d{12}(?:\d{2})?)(Z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)?", value)
        if found is None:
            raise ValueError(f"is no time of form {form}")
        body = found[1]
        offset = _offset(found[2] or "Z")
        pattern = "%Y%m%d%H%M%S" if len(body) == 14 else "%Y%m%d%H%M"
    if not body.isdigit() or len(body) != len(_SHAPES[pattern]):
        raise ValueError(f"is no time of form {form}")
    try:
        found_at = datetime.strptime(body, pattern)  # noqa: DTZ007 - the offset is put on below
    except ValueError as error:
        raise ValueError(f"is no time of form {form} ({error})") from None
    if pattern in {"%Y%m%d", "%y%m%d"}:
        return found_at.date().isoformat()
    return rfc3339(parse_rfc3339(found_at.isoformat(timespec="seconds") + offset))


def _offset(text: str) -> str:
    if text in {"Z", "UTC", "GMT"}:
        return "Z"
    digits = text[1:].replace(":", "").ljust(4, "0")
    return f"{text[0]}{digits[:2]}:{digits[2:]}"


_FORMS: Final = {
    "101": "%y%m%d",
    "102": "%Y%m%d",
    "201": "%y%m%d%H%M",
    "203": "%Y%m%d%H%M",
    "204": "%Y%m%d%H%M%S",
    "303": "%Y%m%d%H%M",
    "304": "%Y%m%d%H%M%S",
}
_SHAPES: Final = {
    "%y%m%d": "YYMMDD",
    "%Y%m%d": "CCYYMMDD",
    "%y%m%d%H%M": "YYMMDDHHMM",
    "%Y%m%d%H%M": "CCYYMMDDHHMM",
    "%Y%m%d%H%M%S": "CCYYMMDDHHMMSS",
}
