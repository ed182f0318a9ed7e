"""The compiled way and the rules agree: a row it takes, they take, with the same values."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cocket.core.errors import Fault
from cocket.core.schema import Kind
from cocket.observations import numbers
from cocket.observations.columns import parse
from cocket.observations.rules import DOOR_COLUMNS, batch_of, read_row

GOOD = {"device_id": "SEAL-1", "observed_at": "2026-11-22T08:30:00Z"}


def take(lines: list[bytes]):
    body = b"\n".join(lines)
    ends = np.cumsum([len(line) + 1 for line in lines]) - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    return parse(np.frombuffer(body, np.uint8), starts, ends)


def agree(lines: list[bytes]) -> int:
    batch, right = take(lines)
    for i, line in enumerate(lines):
        row = read_row(line)
        if right[i]:
            assert not isinstance(row, Fault), (line, row)
            assert batch.row(i) == row, line
    return int(right.sum())


def numbers_of(column):
    lo = -1e12 if column.lo is None else column.lo
    hi = 1e12 if column.hi is None else column.hi
    return st.one_of(
        st.floats(lo, hi), st.integers(math.ceil(lo), math.floor(hi)), st.floats(), st.integers()
    )


def values_of(column):
    fitting = {
        Kind.TEXT: st.text(max_size=column.max_len + 2),
        Kind.ENUM: st.sampled_from([*column.values, "other"]),
        Kind.BOOL: st.booleans(),
        Kind.INT: numbers_of(column),
        Kind.FLOAT: numbers_of(column),
        Kind.TIME: st.integers(-(2**60), 2**60),
    }[column.kind]
    odd = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just([]), st.just({}))
    return st.one_of(fitting, fitting, fitting, fitting, fitting, odd)


times = st.one_of(
    st.datetimes(timezones=st.timezones() | st.just(__import__("datetime").UTC)).map(lambda d: d.isoformat()),
    st.datetimes().map(lambda d: d.isoformat() + "Z"),
    st.from_regex(
        r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})\Z"
    ),
)
rows = st.fixed_dictionaries(
    {"device_id": st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:~+@-]{0,20}\Z")},
    optional={"observed_at": times, "surprise": st.integers()}
    | {c.name: values_of(c) for c in DOOR_COLUMNS if c.name != "device_id"},
)
layouts = st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :\r ")])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(rows, layouts, st.booleans()), min_size=1, max_size=6))
@example([({"device_id": "a", "observed_us": 253402300800000000}, (",", ":"), False)])
@example([({**GOOD, "lat_deg": -0.0, "lon_deg": 5e-324}, (",", ":"), False)])
def test_rows_agree(given_rows) -> None:
    agree(
        [
            json.dumps(r, separators=s, ensure_ascii=a).encode("utf-8", "surrogatepass")
            for r, s, a in given_rows
        ]
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_broken_bytes_agree(data) -> None:
    line = bytearray(
        json.dumps({**GOOD, "lat_deg": 22.5, "lon_deg": 114.25, "locked": True, "sequence": 7}).encode()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(line) - 1))
        with_ = data.draw(st.sampled_from(b'",:{}[]0123456789.eE+-tfn\\ \t\xff\xc3\xa9a'))
        how = data.draw(st.integers(0, 2))
        if how == 0:
            line[at] = with_
        elif how == 1:
            line.insert(at, with_)
        elif len(line) > 1:
            del line[at]
    agree([bytes(line), json.dumps(GOOD).encode()])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
def test_any_bytes(lines) -> None:
    agree(lines)


@pytest.mark.parametrize(
    "fields",
    [
        {"lat_deg": 22.531700000000001, "lon_deg": 113.94801234567891},
        {"speed_mps": 0, "course_deg": 360, "sequence": 2**62},
        {"sequence": 88.0, "gsm_signal": 7},
        {"code": "粤B12345", "symbology": "plate", "confidence": 0.5},
        {"fix_source": "cell", "fix_valid": False, "card_id": None, "delayed": True},
        {"observed_at": "2024-02-29T23:59:59.123456789+05:30"},
    ],
)
def test_ordinary_rows_take_the_fast_way(fields) -> None:
    assert agree([json.dumps({**GOOD, **fields}, ensure_ascii=False).encode()]) == 1


def test_every_column_is_filled() -> None:
    row = dict(GOOD)
    for c in DOOR_COLUMNS:
        value = {Kind.TEXT: "x", Kind.BOOL: True, Kind.INT: 5, Kind.FLOAT: 0.5}.get(c.kind)
        if value is not None and c.name not in row:
            row[c.name] = value
    row["fix_source"] = "gnss"
    row["nav_status"] = "moored"
    batch, right = take([json.dumps(row).encode()])
    assert right.all()
    assert set(batch.columns) == {c.name for c in DOOR_COLUMNS}


@settings(max_examples=600, deadline=None)
@given(st.integers(2**53, 2**64 - 1), st.integers(-30, 0))
def test_numbers_are_the_nearest_doubles(mantissa, power) -> None:
    bits = numbers.lemire_bits(np.uint64(mantissa), power, numbers.POWERS)
    if bits:
        assert np.array([bits], np.uint64).view(np.float64)[0] == float(f"{mantissa}e{power}")


def test_half_way_numbers_are_not_guessed() -> None:
    # 2**53 + 1 lies exactly between two doubles
    body = json.dumps({**GOOD, "temp_c": 0.5})[:-1] + ', "battery_v": 9007199254740993e0}'
    assert isinstance(read_row(body.encode()), Fault)
    for text in ("900.7199254740993", "0.9007199254740993", "899.99999999999997726"):
        batch, right = take([(json.dumps(GOOD)[:-1] + f', "battery_v": {text}}}').encode()])
        assert not right[0] or batch.columns["battery_v"][0] == float(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, max_size=5))
def test_batch_of_checked_rows(given_rows) -> None:
    checked = [
        r
        for r in (read_row(json.dumps(g).encode("utf-8", "surrogatepass")) for g in given_rows)
        if not isinstance(r, Fault)
    ]
    batch = batch_of(checked)
    assert [batch.row(i) for i in range(batch.n)] == checked


def test_crafted_hash_collisions_do_not_matter() -> None:
    lines = [
        json.dumps({**GOOD, "device_id": f"d{i}", "code": "x" * (i % 300 + 1)}).encode() for i in range(3000)
    ]
    assert agree(lines) == 3000


def test_the_file_says_what_is_checked() -> None:
    text = Path(parse.__code__.co_filename).with_name("rules.py").read_text()
    head = text.split('"""')[1]
    import re

    used = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', text.split('"""', 2)[2])) | {
        "required",
        "type",
        "range",
        "length",
        "charset",
        "values",
        "rfc3339",
    }
    assert not {rule for rule in used if f"``{rule}``" not in head} - {"lat-lon"}
