"""Foreign rows into observations, column by column, by a mapping.

What cannot be read as the mapping says (a number that is none, a time of no day) is not thrown away and not
guessed: such a row is handed on as one NDJSON line with the offending text in place, so that the door it is
sent to rejects it by its own rule and keeps it in quarantine. Rows in = rows of the batch + unread rows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cocket.core.batch import Array
from cocket.core.schema import Kind, arrow_type
from cocket.sources.model import Mapping, Rule, Time
from cocket.sources.values import NUMBER, sentinels

Strings: TypeAlias = "pa.Array"


@dataclass(slots=True)
class Converted:
    """``batch`` in the schema's names and types, ``rows`` its row numbers in the file; ``unread`` NDJSON lines."""

    batch: pa.RecordBatch
    rows: Array
    unread: list[tuple[int, bytes]] = field(default_factory=list)


def convert(table: pa.Table, mapping: Mapping, first_row: int) -> Converted:
    """Map one chunk of a file; ``first_row`` is the number of its first row. About 1 µs a row."""
    n = table.num_rows
    columns: dict[str, pa.Array] = {}
    unreadable: dict[str, tuple[pa.Array, Array]] = {}
    bad = np.zeros(n, bool)

    times = _column(table, str(mapping.time.source))
    for name in mapping.time.more:
        times = pc.binary_join_element_wise(
            times.cast(pa.string()), _column(table, name).cast(pa.string()), pa.scalar(" ")
        )
    columns["observed_us"], broken = _times(times, mapping.time)
    unreadable["observed_at"] = times, broken
    bad |= broken | _nulls(columns["observed_us"])
    for rule in mapping.rules:
        name = rule.target.name
        if rule.source is None:
            columns[name] = pa.repeat(pa.scalar(rule.value, arrow_type(name)), n)
            continue
        source = _column(table, str(rule.source))
        columns[name], broken = _values(source, rule)
        unreadable[name] = source, broken
        bad |= broken
        if rule.target.required:
            bad |= _nulls(columns[name])

    rows = np.arange(first_row, first_row + n)
    unread: list[tuple[int, bytes]] = []
    if bad.any():
        unread = [(first_row + i, _as_line(columns, unreadable, i)) for i in np.flatnonzero(bad).tolist()]
        keep = pa.array(~bad)
        columns = {k: v.filter(keep) for k, v in columns.items()}
        rows = rows[~bad]
    batch = pa.RecordBatch.from_arrays(
        [v.dictionary_encode() if pa.types.is_string(v.type) else v for v in columns.values()],
        names=list(columns),
    )
    return Converted(batch, rows, unread)


def _column(table: pa.Table, name: str) -> pa.Array:
    data = table.column(name)
    data = data.combine_chunks() if data.num_chunks != 1 else data.chunk(0)
    return data.cast(pa.string()) if pa.types.is_large_string(data.type) else data


def _nulls(data: pa.Array) -> Array:
    mask: Array = data.is_null().to_numpy(zero_copy_only=False)
    return mask


def _values(source: pa.Array, rule: Rule) -> tuple[pa.Array, Array]:
    """The column in the schema's type, and which rows could not be read."""
    kind = rule.target.kind
    if rule.map is None and kind in (Kind.FLOAT, Kind.INT):
        return _numbers(source, rule)
    text = _blank_to_null(source.cast(pa.string()), rule.nulls)
    none = np.zeros(len(text), bool)
    if rule.map is not None:
        place = pc.index_in(text, pa.array(rule.map, pa.string()))
        bad = pc.and_(text.is_valid(), place.is_null()).to_numpy(zero_copy_only=False)
        return pa.array(rule.map.values(), arrow_type(rule.target.name)).take(place), bad
    if kind is Kind.TEXT:
        if rule.prefix:
            text = pc.binary_join_element_wise(pa.scalar(rule.prefix), text, pa.scalar(""))
        return text, none
    if kind is Kind.ENUM:
        known = pc.is_in(text, pa.array(rule.target.values))
        bad = pc.and_(text.is_valid(), pc.invert(known)).to_numpy(zero_copy_only=False)
        return pc.if_else(known, text, pa.scalar(None, pa.string())), bad
    if pa.types.is_boolean(source.type):
        return source, none
    true, false = pc.is_in(text, pa.array(rule.true)), pc.is_in(text, pa.array(rule.false))
    known = pc.or_(true, false)
    bad = pc.and_(text.is_valid(), pc.invert(known)).to_numpy(zero_copy_only=False)
    return pc.if_else(known, true, pa.scalar(None, pa.bool_())), bad


def _blank_to_null(text: Strings, nulls: tuple[str, ...]) -> Strings:
    text = pc.utf8_trim_whitespace(text)
    unknown = pc.is_in(text, pa.array(["", *nulls]))
    return pc.if_else(unknown, pa.scalar(None, pa.string()), text)


def _numbers(source: pa.Array, rule: Rule) -> tuple[pa.Array, Array]:
    bad = np.zeros(len(source), bool)
    if pa.types.is_string(source.type):
        text = _blank_to_null(source, rule.nulls)
        try:
            data = text.cast(pa.float64())
        except pa.ArrowInvalid:
            fits = pc.match_substring_regex(text, f"^{NUMBER}$")
            bad = pc.and_kleene(text.is_valid(), pc.invert(fits)).to_numpy(zero_copy_only=False)
            data = pc.if_else(fits, text, pa.scalar(None, pa.string())).cast(pa.float64())
    else:
        data = source.cast(pa.float64())
    values = np.array(data.fill_null(np.nan).to_numpy(zero_copy_only=False))  # a copy: it is written to
    unknown = sentinels(rule.nulls)
    if unknown:
        values[np.isin(values, list(unknown))] = np.nan
    if rule.add_if_negative:
        below = values < 0
        values[below] = np.round(values[below] + rule.add_if_negative, 6)
    values = values * rule.factor + rule.offset
    if rule.target.kind is Kind.INT:
        if rule.scaled:
            values = np.rint(values)
        broken = ~np.isnan(values) & ((values != np.floor(values)) | (np.abs(values) >= 2**53))
        bad |= broken
        whole = np.where(np.isnan(values) | broken, 0, values).astype(np.int64)
        return pa.array(whole, mask=np.isnan(values) | broken), bad
    infinite = np.isinf(values)
    bad |= infinite
    return pa.array(np.where(infinite, np.nan, values), from_pandas=True), bad


def _times(source: pa.Array, time: Time) -> tuple[pa.Array, Array]:
    """UTC timestamps in microseconds, and which rows could not be read."""
    utc = pa.timestamp("us", tz="UTC")
    none = np.zeros(len(source), bool)
    if pa.types.is_timestamp(source.type):
        if source.type.tz is None:
            source = _local(source.cast(pa.timestamp("us"), safe=False), time.zone)
        return source.cast(utc, safe=False), none
    if time.format.startswith("epoch-"):
        scale = {"epoch-s": 1_000_000, "epoch-ms": 1_000, "epoch-us": 1}[time.format]
        if pa.types.is_integer(source.type):
            return pc.multiply(source.cast(pa.int64()), scale).cast(utc), none
        text = _blank_to_null(source.cast(pa.string()), ())
        fits = pc.match_substring_regex(text, r"^-?[0-9]{1,17}(\.[0-9]+)?$")
        bad = pc.and_kleene(text.is_valid(), pc.invert(fits)).to_numpy(zero_copy_only=False)
        number = pc.if_else(fits, text, pa.scalar(None, pa.string())).cast(pa.float64())
        return pc.round(pc.multiply(number, float(scale))).cast(pa.int64()).cast(utc), bad
    text = _blank_to_null(source.cast(pa.string()), ())
    parsed = _iso(text, time.zone) if time.format == "iso" else _strptime(text, time)
    bad = pc.and_(text.is_valid(), parsed.is_null()).to_numpy(zero_copy_only=False)
    return parsed, bad


def _strptime(text: Strings, time: Time) -> pa.Array:
    form = time.format
    if time.date is not None:
        form = "%Y-%m-%d " + form
        text = pc.binary_join_element_wise(pa.scalar(f"{time.date:%Y-%m-%d} "), text, pa.scalar(""))
    parsed = pc.strptime(text, format=form, unit="us", error_is_null=True)
    if time.date is None:
        parsed = _of_a_calendar(text, parsed, form)
    return parsed.cast(pa.timestamp("us", tz="UTC")) if "%z" in form else _local(parsed, time.zone)


def _of_a_calendar(text: Strings, parsed: pa.Array, form: str) -> pa.Array:
    """Null in place of what C's strptime takes for a day of the next month (30 February for 2 March)."""
    early = np.flatnonzero(
        pc.fill_null(pc.less_equal(pc.day(parsed), 3), False).to_numpy(zero_copy_only=False)
    )
    try:
        again = pc.strftime(parsed.take(pa.array(early)).cast(pa.timestamp("s"), safe=False), form)
        same = pc.equal(again, text.take(pa.array(early))).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        same = np.zeros(len(early), bool)
    none = np.zeros(len(text), bool)
    for i in early[~same].tolist():
        try:
            datetime.strptime(text[i].as_py(), form)  # noqa: DTZ007 - only whether there is such a day
        except ValueError as error:
            none[i] = "range for month" in str(error) or "does not match" in str(error)
    return pc.if_else(pa.array(none), pa.scalar(None, parsed.type), parsed) if none.any() else parsed


def _iso(text: Strings, zone: str) -> pa.Array:
    """RFC 3339 with an offset, or without one and then in ``zone``; null where it is neither."""
    offset = pc.fill_null(pc.match_substring_regex(text, r"(Z|[+-][0-9]{2}:?[0-9]{2})$"), False)
    dated = pc.match_substring_regex(
        text,
        r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
        r"(Z|[+-][0-9]{2}:?[0-9]{2})?$",
    )
    if pc.any(pc.match_substring_regex(text, r"\.[0-9]{7}")).as_py():  # we keep microseconds
        text = pc.replace_substring_regex(text, r"(\.[0-9]{6})[0-9]+", r"\1")
    missing = pa.scalar(None, pa.string())
    local = pc.if_else(pc.and_(dated, pc.invert(offset)), text, missing)
    fixed = pc.if_else(pc.and_(dated, offset), text, missing)
    utc = pa.timestamp("us", tz="UTC")
    return pc.coalesce(
        _lenient(fixed, utc).cast(utc),
        _local(_lenient(local, pa.timestamp("us")), zone),
    )


def _lenient(text: Strings, kind: pa.DataType) -> pa.Array:
    """Cast text to a timestamp; a day that no calendar has (31 February) becomes null."""
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        out = []
        for item in text:
            try:
                out.append(item.cast(kind).as_py())
            except pa.ArrowInvalid:
                out.append(None)
        return pa.array(out, kind)


def _local(naive: pa.Array, zone: str) -> pa.Array:
    """An hour that a change of clocks repeats is taken as its first, one that it skips as just before."""
    placed = pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="earliest")
    return placed.cast(pa.timestamp("us", tz="UTC"))


def _as_line(columns: dict[str, pa.Array], unreadable: dict[str, tuple[pa.Array, Array]], i: int) -> bytes:
    row: dict[str, Any] = {}
    for name, data in columns.items():
        value = data[i].as_py()
        if name == "observed_us":
            if value is not None:
                row["observed_at"] = value.isoformat().replace("+00:00", "Z")
        elif value is not None:
            row[name] = value
    for name, (source, broken) in unreadable.items():
        if broken[i]:  # what the file said, so that the door can say what is wrong with it
            row[name] = str(source[i].as_py())
    return json.dumps(row, ensure_ascii=False).encode()
