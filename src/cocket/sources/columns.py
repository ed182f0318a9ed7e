"""Reads what a mapping says of values: ``[time]`` and ``[columns.*]``, for files and for messages alike."""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from cocket.core.schema import BY_NAME, Column, Kind
from cocket.sources.checking import Checker, Path
from cocket.sources.layout import FIELD_KEYS, source
from cocket.sources.model import TIME_WORDS, Constant, Field, Message, Rule, Time
from cocket.sources.units import UNITS

_VALUE_KEYS: Final = frozenset(
    {"value", "prefix", "unit", "scale", "offset", "nulls", "true", "false", "map", "add_if_negative"}
)
_INSTEAD_OF_MAP: Final = ("unit", "scale", "offset", "true", "false", "add_if_negative")
_KINDS: Final[dict[Kind, Any]] = {Kind.FLOAT: (int, float), Kind.INT: int, Kind.BOOL: bool}
_WORDS: Final = {
    Kind.TEXT: "a text",
    Kind.ENUM: "a text",
    Kind.INT: "a whole number",
    Kind.FLOAT: "a number",
    Kind.BOOL: "true or false",
}
_SHORT: Final = (("%F", "%Y-%m-%d"), ("%D", "%m/%d/%y"), ("%T", "%H:%M:%S"), ("%R", "%H:%M"))
"""What C's strptime knows and Python's does not."""
_PROBE: Final = datetime(2026, 11, 22, 13, 14, 15, 160_000, tzinfo=UTC)


def time(check: Checker, of: Message | None) -> Time:
    """``[time]``; ``of`` is None for files."""
    table, at = check.table("time", needed=True), ("time",)
    keys = {"format", "zone", "date"}
    if of is None:
        check.known(table, at, keys | {"column", "from"})
    else:
        check.known(
            table, at, keys | {"nulls", "required"} | (FIELD_KEYS if of.format == "binary" else {"from"})
        )
    form: str = check.value(table, ("time", "format"), str, "iso")
    for short, long in _SHORT:
        form = form.replace(short, long)
    if of is None and "column" in table and "from" in table:
        check.fail(("time", "from"), "and time.column are the same; give one of them")
    binary = of is not None and of.format == "binary"
    key = "at" if binary else "column" if of is None and "from" not in table else "from"
    given = table.get(key)
    names = given if isinstance(given, list) else [given]
    if len(names) > 1 and not binary and not form.startswith("epoch-") and form != "received":
        places = [source(check, at, {key: name}, of, key) for name in names]
    elif isinstance(given, list) and not binary:
        check.fail(
            ("time", key),
            f"is a list, which is for a date and a time of day in two places; format is {form!r}",
        )
    else:
        places = [source(check, at, table, of, key)]
    place, *more = places
    if form == "received":
        if of is None:
            check.fail(
                ("time", "format"), "is 'received', which is for live messages; a file needs its times"
            )
        if place is not None:
            check.fail(
                ("time", key), "contradicts time.format 'received', which says that the message has no time"
            )
        if len(table) > 1:
            check.fail(("time",), "has format 'received' and takes nothing else then")
        return Time(None, form)
    if place is None:
        hint = "" if of is None else '; of a message that carries no time say format = "received"'
        check.fail(("time", key), f"is missing; it says where the time stands{hint}")
    _time_format(check, table, form, of)
    if isinstance(place, Field):
        _timely(check, place, form)
    return Time(
        place,
        form,
        _zone(check, table),
        check.value(table, ("time", "date"), date, None),
        tuple(check.texts(table, ("time", "nulls"))),
        check.value(table, ("time", "required"), bool, False),
        tuple(m for m in more if isinstance(m, str)),
    )


def _time_format(check: Checker, table: Dict[str, Any], form: str, of: Message | None) -> None:
    path = ("time", "format")
    if form not in TIME_WORDS and "%" not in form:
        words = [w for w in TIME_WORDS if of is not None or w != "received"]
        check.fail(path, f"is {form!r}; it can be {', '.join(words)}, or a strptime format")
    dated = form in TIME_WORDS or re.search(r"%[dDjFcxs]", form)
    if not dated and "date" not in table:
        check.fail(path, f"{form!r} has no day in it: give time.date, as date = 2026-01-31")
    if dated and "date" in table:
        check.fail(("time", "date"), f"contradicts time.format {form!r}, which has a day of its own")
    if of is not None and form not in TIME_WORDS:
        try:
            datetime.strptime(_PROBE.strftime(form), form)  # noqa: DTZ007 - only whether it can be read
        except (ValueError, re.error) as e:
            check.fail(path, f"is {form!r}, which Python's strptime does not read ({e})")


def _timely(check: Checker, place: Field, form: str) -> None:
    epoch = form.startswith("epoch-")
    if epoch and place.kind in {"two-digit", "hex"}:
        check.fail(
            ("time", "type"),
            f"does not go with format {form!r}, which counts from 1970; take a number or bcd",
        )
    if not epoch and place.kind in {"uint", "int", "float"}:
        check.fail(
            ("time", "type"),
            f"is a number; format {form!r} reads text: take bcd, two-digit or ascii, or epoch-s",
        )


def _zone(check: Checker, table: Dict[str, Any]) -> str:
    zone: str = check.value(table, ("time", "zone"), str, "UTC")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as e:
        check.fail(
            ("time", "zone"), f"is {zone!r}, which is no time zone; write it as Asia/Shanghai or UTC ({e})"
        )
    return zone


def rules(check: Checker, of: Message | None) -> tuple[Rule, ...]:
    """``[columns.*]``; ``of`` is None for files."""
    columns = check.table("columns", needed=True)
    if "device_id" not in columns:
        check.fail(("columns",), "lacks device_id: an observation needs the device that made it")
    found = [_rule(check, target, spec, of) for target, spec in columns.items()]
    if of is not None:
        for have, lack in (("lat_deg", "lon_deg"), ("lon_deg", "lat_deg")):
            if have in columns and lack not in columns:
                check.fail(("columns", have), f"is without {lack}; a position is both or neither")
        if all(r.source is None for r in found) and not any(_by_topic(r) for r in found):
            check.fail(("columns",), "takes nothing from the message; all are constants")
    return tuple(found)


def _by_topic(rule: Rule) -> bool:
    return rule.source is None and rule.value is None


def _rule(check: Checker, target: str, spec: Any, of: Message | None) -> Rule:
    at = ("columns", target)
    column = BY_NAME.get(target)
    if column is None or not column.door or column.kind is Kind.TIME:
        allowed = ", ".join(n for n, c in BY_NAME.items() if c.door and c.kind is not Kind.TIME)
        check.fail(at, f"is no column that a mapping can fill; there are: {allowed}")
    if not isinstance(spec, dict):
        check.fail(at, 'must be a table, as { from = "speed", unit = "km/h" }')
    binary = of is not None and of.format == "binary"
    own = FIELD_KEYS if binary else {"from"}
    if of is not None:
        own = own | {"required"} | ({"from_topic"} if target == "device_id" else set())
    check.known(spec, at, _VALUE_KEYS | own)
    key = "at" if binary else "from"
    given = [k for k in (key, "value", "from_topic") if k in spec]
    if len(given) != 1:
        what = "its place" if binary else "a column of the file" if of is None else "a name in the message"
        topic = " or from_topic" if "from_topic" in own else ""
        check.fail(at, f"needs either {key} ({what}) or value (a constant){topic}")
    if given != [key] and of is not None:
        for k in (_VALUE_KEYS | own) - {"value", "from_topic", "prefix"}:
            if k in spec:
                check.fail(
                    (*at, k), f"says how to read a value, and {given[0]} has none to be read; leave it out"
                )
    if spec.get("prefix") and column.kind is not Kind.TEXT:
        check.fail((*at, "prefix"), f"is for text columns; {target} is {column.kind.value}")
    if given == ["value"] and spec.get("prefix") and of is not None:
        check.fail((*at, "prefix"), "is not put before a constant; write it into value")
    factor, offset = _scale(check, at, column, spec)
    defaults = Rule(column, None)
    place = source(check, at, spec, of)
    if isinstance(place, Field) and column.kind in {Kind.FLOAT, Kind.INT} and place.kind == "hex":
        check.fail(
            (*at, "type"),
            f"is hex, which gives text; {target} is a number: take u8 … i64, f32, f64, bcd or ascii",
        )
    return Rule(
        column,
        place,
        _constant(check, at, column, spec),
        check.value(spec, (*at, "prefix"), str, ""),
        factor,
        offset,
        tuple(check.texts(spec, (*at, "nulls"))),
        check.number(spec, (*at, "add_if_negative"), 0.0),
        tuple(check.texts(spec, (*at, "true"))) or defaults.true,
        tuple(check.texts(spec, (*at, "false"))) or defaults.false,
        _map(check, at, column, spec),
        check.value(spec, (*at, "required"), bool, False),
    )


def _constant(check: Checker, at: Path, column: Column, spec: Dict[str, Any]) -> Constant:
    value: Constant = check.value(spec, (*at, "value"), _KINDS.get(column.kind, str), None)
    if value is not None:
        _allowed(check, (*at, "value"), column, value)
    return value


def _allowed(check: Checker, path: Path, column: Column, value: Constant) -> None:
    if column.kind is Kind.ENUM and value not in column.values:
        check.fail(path, f"is {value!r}; it can be {', '.join(column.values)}")
    if column.kind in {Kind.FLOAT, Kind.INT} and isinstance(value, (int, float)):
        lo, hi = column.lo, column.hi
        if (lo is not None and not value >= lo) or (hi is not None and not value <= hi):
            check.fail(path, f"is {value}; {column.name} takes {lo:g} to {hi:g} {column.unit}".rstrip())
    if column.kind is Kind.TEXT and not 0 < len(str(value)) <= column.max_len:
        check.fail(path, f"has {len(str(value))} characters; {column.name} takes 1 to {column.max_len}")


def _map(check: Checker, at: Path, column: Column, spec: Dict[str, Any]) -> Dict[str, Constant] | None:
    if "map" not in spec:
        return None
    table = spec["map"]
    if not isinstance(table, dict) or not table:
        check.fail(
            (*at, "map"), 'must be a table of what stands there and what it means, as { "OPEN" = true }'
        )
    for key in _INSTEAD_OF_MAP:
        if key in spec:
            check.fail((*at, key), "and map contradict: map gives every value as it is in the schema")
    kind = _KINDS.get(column.kind, str)
    for text, value in table.items():
        path = (*at, "map", text)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            check.fail(path, f"is {value!r}; {column.name} takes {_WORDS[column.kind]}")
        _allowed(check, path, column, value)
    return dict(table)


def _scale(check: Checker, at: Path, column: Column, spec: Dict[str, Any]) -> tuple[float, float]:
    """(factor, offset) of ``unit`` after ``scale`` and ``offset``: ours = (raw * scale + offset) in that unit."""
    for key in ("scale", "offset", "unit"):
        if key in spec and column.kind not in {Kind.FLOAT, Kind.INT}:
            check.fail((*at, key), f"is for numbers; {column.name} is {column.kind.value}")
    scale = check.number(spec, (*at, "scale"), 1.0)
    offset = check.number(spec, (*at, "offset"), 0.0)
    if scale == 0:
        check.fail((*at, "scale"), "is 0, which leaves nothing of the number")
    unit = check.value(spec, (*at, "unit"), str, None)
    if unit is None:
        return scale, offset
    known = UNITS.get(column.unit, {})
    if unit not in known:
        check.fail((*at, "unit"), f"is {unit!r}; {column.name} takes {', '.join(known) or 'no unit'}")
    factor, zero = known[unit]
    return scale * factor, offset * factor + zero
