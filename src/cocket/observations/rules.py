"""The rules of one observation at a door, applied exactly: the slow and certain way.

The fast ways in ``columns`` (JSON) and ``readers`` (Arrow) hand over every row that they do not take at once;
what is said here is the law. Rules, by the name that a reject carries:

========================  ==========================================================================
``invalid-json``          the line is no JSON, or a number in it is beyond what JSON readers take
``invalid-utf8``          the bytes are no UTF-8
``not-an-object``         JSON, but no object
``duplicate-key``         one name twice in an object
``unknown-field``         no column of that name; the nearest name is given
``server-set``            a column that only the server may set
``required``              device_id or the time is missing
``type``                  a value of the wrong kind (text for a number, 1 for true …)
``not-finite``            NaN, Infinity, or a number too large for a double
``range``                 outside the column's limits
``length``                longer than the column's limit
``empty-text``            "" where unknown is null
``charset``               a device_id with characters that cannot stand in an address
``values``                none of the values that the column knows
``rfc3339``               a time that is no RFC 3339 date-time with an offset
``both-times``            observed_at and observed_us in one row
``lat-lon-pair``          one of lat_deg and lon_deg without the other
========================  ==========================================================================
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Any, Final

from cocket.core.batch import DTYPES, NULLS, Array, Batch, ColumnData, Texts
from cocket.core.clock import parse_rfc3339
from cocket.core.doors import Reject
from cocket.core.errors import Fault
from cocket.core.schema import BY_NAME, COLUMNS, Column, Kind

DEVICE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~+@-]*")
"""What a device_id may look like: it stands in addresses (``/devices/{id}``)."""

DOOR_COLUMNS: Final = tuple(c for c in COLUMNS if c.door)
_USUAL: Final = {
    "latitude": "lat_deg",
    "lat": "lat_deg",
    "longitude": "lon_deg",
    "lon": "lon_deg",
    "lng": "lon_deg",
    "speed": "speed_mps",
    "heading": "course_deg",
    "altitude": "altitude_m",
    "time": "observed_at",
    "timestamp": "observed_at",
    "device": "device_id",
    "id": "device_id",
    "battery": "battery_pct",
    "temperature": "temp_c",
    "humidity": "humidity_pct",
}
"""What others call some columns: hints for a name that is none."""

_NEAREST: Final[dict[str, str | None]] = {}
_MOST_NAMES: Final = 4096
_LONGEST_NAME: Final = 32

DOOR_NAMES: Final = (*(c.name for c in DOOR_COLUMNS), "observed_at")

MIN_US: Final = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z: RFC 3339 knows nothing earlier."""
MAX_US: Final = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z: nor later."""


class _Broken(Exception):
    """Carries the fault out of a row."""

    def __init__(self, path: str, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = Fault(path, rule, detail)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Broken(name, "duplicate-key", f"{name} stands twice in one row; which one holds?")
            seen.add(name)
    return out


def _no_constant(text: str) -> Any:
    raise _Broken("", "not-finite", f"{text} is no JSON number; write null if the value is unknown")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)


def read_row(raw: bytes) -> dict[str, Any] | Fault:
    """One row of JSON to plain checked values by column name (times in µs, nulls left out), or its fault."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return Fault("", "invalid-utf8", f"byte {error.start} of the row is no UTF-8: {error.reason}")
    try:
        value = _DECODER.decode(text.strip(" \t\r\n"))
    except _Broken as broken:
        return broken.fault
    except RecursionError:
        return Fault("", "invalid-json", "nested too deeply")
    except ValueError as error:
        return Fault("", "invalid-json", f"no JSON: {error}"[:300])
    return check_row(value)


def check_row(row: Any) -> dict[str, Any] | Fault:
    """Check one decoded row against the schema; see ``read_row``."""
    if not isinstance(row, dict):
        return Fault("", "not-an-object", f"a row is a JSON object, this is {_kind_of(row)}")
    try:
        return _checked(row)
    except _Broken as broken:
        return broken.fault


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in row.items():
        column = BY_NAME.get(name)
        if name == "observed_at":
            if value is None:
                continue
            if row.get("observed_us") is not None:
                raise _Broken(name, "both-times", "give observed_at or observed_us, not both")
            out["observed_us"] = _time(value)
        elif column is None:
            raise _Broken(name[:64], "unknown-field", unknown_field(name))
        elif not column.door:
            raise _Broken(name, "server-set", f"{name} is set by the server; leave it out")
        elif value is not None:
            out[name] = _value(column, value)
    for name, shown in (("device_id", "device_id"), ("observed_us", "observed_at")):
        if name not in out:
            raise _Broken(shown, "required", f"{shown} is missing: {BY_NAME[name].doc}")
    if ("lat_deg" in out) != ("lon_deg" in out):
        have, lack = ("lat_deg", "lon_deg") if "lat_deg" in out else ("lon_deg", "lat_deg")
        raise _Broken(lack, "lat-lon-pair", f"{have} is given without {lack}; a position is both or neither")
    return out


def unknown_field(name: str) -> str:
    """The sentence for a name that is no column, with the nearest name that is."""
    near = _nearest(name[:_LONGEST_NAME])
    hint = f"; did you mean {near!r}?" if near else "; /api/docs lists the fields"
    return f"{name[:64]!r} is no field of an observation{hint}"


def _nearest(name: str) -> str | None:
    """The column that was meant, if any; told of some thousand names at most, for comparing takes half a millisecond."""
    if name not in _NEAREST:
        if len(_NEAREST) >= _MOST_NAMES:
            return None
        near = get_close_matches(name.lower(), [*DOOR_NAMES, *_USUAL], 1, 0.6)
        _NEAREST[name] = _USUAL.get(near[0], near[0]) if near else None
    return _NEAREST[name]


def _time(value: Any) -> int:
    if not isinstance(value, str):
        raise _Broken("observed_at", "type", f"a time is text in RFC 3339, this is {_kind_of(value)}")
    try:
        moment = parse_rfc3339(value)
    except ValueError as error:
        raise _Broken("observed_at", "rfc3339", str(error)) from error
    if not MIN_US <= moment <= MAX_US:
        raise _Broken("observed_at", "rfc3339", f"{value[:40]!r} lies outside the years 1 to 9999")
    return moment


def _value(column: Column, value: Any) -> Any:
    if column.kind is Kind.TEXT:
        return _text(column, value)
    if column.kind is Kind.ENUM:
        if not isinstance(value, str):
            raise _Broken(column.name, "type", f"{column.name} is text, this is {_kind_of(value)}")
        if value not in column.values:
            raise _Broken(
                column.name,
                "values",
                f"{value[:40]!r} is none of {', '.join(column.values)}",
            )
        return value
    if column.kind is Kind.BOOL:
        if not isinstance(value, bool):
            raise _Broken(
                column.name, "type", f"{column.name} is true, false or null, this is {_kind_of(value)}"
            )
        return value
    return _number(column, value)


def _text(column: Column, value: Any) -> str:
    if not isinstance(value, str):
        raise _Broken(column.name, "type", f"{column.name} is text, this is {_kind_of(value)}")
    fault = text_fault(column, value)
    if fault is not None:
        raise _Broken(fault.path, fault.rule, fault.detail)
    return value


def text_fault(column: Column, value: str) -> Fault | None:
    """What is wrong with a text as this column's value, or None."""
    name = column.name
    if not value:
        return Fault(name, "empty-text", f"{name} is empty; leave it out or write null if it is unknown")
    if len(value) > column.max_len:
        return Fault(
            name, "length", f"{name} has {len(value)} characters, at most {column.max_len} are taken"
        )
    if name == "device_id" and not DEVICE_ID.fullmatch(value):
        return Fault(
            name,
            "charset",
            f"{value!r}: a device_id begins with a letter or digit (ASCII) and goes on with these or . _ : ~ + @ -",
        )
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        return Fault(name, "invalid-utf8", f"{name} holds half a surrogate pair, which is no character")
    return None


def _number(column: Column, value: Any) -> int | float:
    name = column.name
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Broken(name, "type", f"{name} is a number, this is {_kind_of(value)}")
    if isinstance(value, float) and not -1.8e308 < value < 1.8e308:
        raise _Broken(name, "not-finite", f"{name} is too large for a number")
    if column.kind in (Kind.INT, Kind.TIME) and value != int(value):
        raise _Broken(name, "type", f"{name} is a whole number, this is {value}")
    lo, hi = limits(column)
    if not lo <= value <= hi:
        unit = f" {column.unit}" if column.unit else ""
        shown = f"{value:g}" if isinstance(value, float) or abs(value) < 1 << 62 else "the number"
        raise _Broken(name, "range", f"{shown}{unit} is outside {lo:g} to {hi:g}{unit}")
    return float(value) if column.kind is Kind.FLOAT else int(value)


def limits(column: Column) -> tuple[float, float]:
    """The inclusive range of a number or time column."""
    if column.kind is Kind.TIME:
        return MIN_US, MAX_US
    lo = -float("inf") if column.lo is None else column.lo
    hi = float("inf") if column.hi is None else column.hi
    return lo, hi


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "an array"}
    return names.get(type(value), "an object")


def reject(row: int, fault: Fault, raw: bytes) -> Reject:
    """The reject of a row for its fault."""
    return Reject(row, fault.path, fault.rule, fault.detail, raw)


def batch_of(rows: list[dict[str, Any]]) -> Batch:
    """Checked rows (as ``read_row`` gives them) as columns."""
    import numpy as np

    columns: dict[str, ColumnData] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        column = BY_NAME[name]
        values = [row.get(name) for row in rows]
        if column.kind is Kind.TEXT:
            columns[name] = Texts.of(values)
            continue
        if column.kind is Kind.ENUM:
            values = [None if v is None else column.values.index(v) for v in values]
        null = NULLS[column.kind]
        data: Array = np.array([null if v is None else v for v in values], DTYPES[column.kind])
        columns[name] = data
    return Batch(len(rows), columns)
