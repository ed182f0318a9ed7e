"""Bodies: every row in is a row out or a reject with its bytes."""

import datetime as dt
import json
import signal
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.core.errors import Malformed, TooLarge
from cocket.observations import arrow
from cocket.observations.readers import read_arrow, read_json, read_ndjson

AT = "2026-11-22T08:30:00Z"


def line(**fields) -> bytes:
    return json.dumps({"device_id": "A", "observed_at": AT, **fields}).encode()


def rules(decoded) -> list[tuple[int, str, str]]:
    return [(r.row, r.field, r.rule) for r in decoded.rejects]


BAD = [
    (line(lat=1.0), "lat", "unknown-field"),
    (line(received_us=5), "received_us", "server-set"),
    (line(time_quality="device"), "time_quality", "server-set"),
    (b'{"device_id":"A","device_id":"A","observed_at":"2026-11-22T08:30:00Z"}', "device_id", "duplicate-key"),
    (line(temp_c=float("nan")), "", "not-finite"),
    (line(temp_c=float("inf")), "", "not-finite"),
    (line()[:-1] + b', "temp_c": 1e999}', "temp_c", "not-finite"),
    (line(sequence=88.5), "sequence", "type"),
    (line(sequence=True), "sequence", "type"),
    (line(temp_c="21"), "temp_c", "type"),
    (line(locked=1), "locked", "type"),
    (line(locked="true"), "locked", "type"),
    (line(card_id=12), "card_id", "type"),
    (line(card_id=""), "card_id", "empty-text"),
    (line(card_id="x" * 65), "card_id", "length"),
    (line(fix_source="radar"), "fix_source", "values"),
    (line(lat_deg=22.5), "lon_deg", "lat-lon-pair"),
    (line(lon_deg=22.5), "lat_deg", "lat-lon-pair"),
    (line(lat_deg=91, lon_deg=181), "lat_deg", "range"),
    (line(lat_deg=22, lon_deg=181), "lon_deg", "range"),
    (line(battery_pct=101), "battery_pct", "range"),
    (line(battery_pct=-1), "battery_pct", "range"),
    (line(speed_mps=1e300), "speed_mps", "range"),
    (line(sequence=10**400), "sequence", "range"),
    (line(sequence=-1), "sequence", "range"),
    (line(observed_at="2026-11-22T08:30:00"), "observed_at", "rfc3339"),
    (line(observed_at="2026-11-22"), "observed_at", "rfc3339"),
    (line(observed_at="2026-02-30T08:30:00Z"), "observed_at", "rfc3339"),
    (line(observed_at="yesterday"), "observed_at", "rfc3339"),
    (line(observed_at=1700000000), "observed_at", "type"),
    (line(observed_us=1700000000), "observed_at", "both-times"),
    (b'{"observed_at":"2026-11-22T08:30:00Z"}', "device_id", "required"),
    (b'{"device_id":null,"observed_at":"2026-11-22T08:30:00Z"}', "device_id", "required"),
    (b'{"device_id":"A"}', "observed_at", "required"),
    (b'{"device_id":"A","observed_at":null}', "observed_at", "required"),
    (line(device_id="../x"), "device_id", "charset"),
    (line(device_id="a b"), "device_id", "charset"),
    (line(device_id=""), "device_id", "empty-text"),
    (line(device_id="x" * 65), "device_id", "length"),
    (b'{"device_id":"A\\ud800","observed_at":"2026-11-22T08:30:00Z"}', "device_id", "charset"),
    (b"[1,2]", "", "not-an-object"),
    (b"17", "", "not-an-object"),
    (b"null", "", "not-an-object"),
    (b"{}", "device_id", "required"),
]


@pytest.mark.parametrize(("raw", "field", "rule"), BAD, ids=[f"{r}-{i}" for i, (_, _, r) in enumerate(BAD)])
def test_each_rule(raw, field, rule) -> None:
    decoded = read_ndjson(line() + b"\n" + raw + b"\n" + line(sequence=2))
    assert rules(decoded) == [(1, field, rule)]
    assert decoded.rejects[0].raw == raw
    assert decoded.rejects[0].detail
    assert decoded.rows.tolist() == [0, 2]
    assert decoded.batch.n == 2
    if b"NaN" not in raw and b"Infinity" not in raw and b"1e999" not in raw and b"ud800" not in raw:
        assert rules(read_json(b"[" + raw + b"]")) == [(0, field, rule)]


@pytest.mark.parametrize(
    "raw", [b'{"device_id": "A', b"{'a': 1}", b'{"device_id":"A",}', b"nonsense", b"[" * 100_000]
)
def test_no_json_in_one_line(raw) -> None:
    decoded = read_ndjson(line() + b"\n" + raw)
    assert rules(decoded) == [(1, "", "invalid-json")]


def test_invalid_utf8_in_one_line() -> None:
    raw = line()[:-1] + b', "card_id": "\xff\xfe"}'
    decoded = read_ndjson(raw + b"\n" + line())
    assert rules(decoded) == [(0, "", "invalid-utf8")]
    assert decoded.rejects[0].raw == raw


def test_nearest_name_is_told() -> None:
    assert "'lat_deg'" in read_ndjson(line(latdeg=5)).rejects[0].detail


def test_layouts_of_lines() -> None:
    body = (
        b"\xef\xbb\xbf"
        + line()
        + b"\r\n\r\n  \n"
        + line(lat=1)
        + b"\r\n"
        + b" " * 9
        + b"\n"
        + line(sequence=1)
        + b"\r\n"
    )
    decoded = read_ndjson(body)
    assert decoded.rows.tolist() == [0, 2]
    assert [r.row for r in decoded.rejects] == [1]
    assert decoded.rejects[0].raw == line(lat=1)


def test_slow_rows_keep_their_place_and_value() -> None:
    lines = [
        line(sequence=i, code="é\u20ac" if i % 3 else "a\\b", observed_at=AT if i % 2 else AT.lower())
        for i in range(50)
    ]
    decoded = read_ndjson(b"\n".join(lines))
    assert not decoded.rejects
    assert decoded.batch.columns["sequence"].tolist() == list(range(50))
    assert decoded.batch.row(0)["code"] == "a\\b"
    assert decoded.batch.row(49)["code"] == "é\u20ac"


@pytest.mark.parametrize("body", [b"", b" \r\n\n", b"\xef\xbb\xbf", b"hello", b"\xff\xff\n\x00", b"PAR1"])
def test_nothing_to_read(body) -> None:
    with pytest.raises(Malformed):
        read_ndjson(body)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"17", b"[", b'[{"device_id":"A"},]', b'[{"a":NaN}]', b"\xff", b"[" * 50_000]
)
def test_no_json_array(body) -> None:
    with pytest.raises(Malformed):
        read_json(body)


def test_an_empty_array_is_no_row() -> None:
    decoded = read_json(b"[]")
    assert decoded.batch.n == 0
    assert not decoded.rejects


def test_too_many_rows() -> None:
    body = b"\n".join([line()] * 11)
    assert read_ndjson(body, max_rows=11).batch.n == 11
    with pytest.raises(TooLarge):
        read_ndjson(body, max_rows=10)
    with pytest.raises(TooLarge):
        read_json(b"[" + b",".join([line()] * 11) + b"]", max_rows=10)
    with pytest.raises(TooLarge):
        read_arrow(stream({"device_id": ["a"] * 11, "observed_us": [1] * 11}), max_rows=10)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.just(line()), st.sampled_from([b[0] for b in BAD]), st.binary(max_size=20))),
    st.binary(max_size=5),
)
def test_rows_in_are_rows_out(lines, tail) -> None:
    body = b"\n".join(lines) + tail
    try:
        decoded = read_ndjson(body)
    except Malformed:
        return
    numbers = sorted([*decoded.rows.tolist(), *(r.row for r in decoded.rejects)])
    assert numbers == list(range(len(numbers)))
    rows_in = [x for x in body.split(b"\n") if x.strip(b" \t\r\n")]
    assert len(numbers) == len(rows_in) or body.startswith(b"\xef\xbb\xbf")


def test_a_flood_of_blank_lines_is_refused_before_it_costs_memory() -> None:
    assert read_ndjson(line() + b"\n" * 20, max_rows=10).batch.n == 1
    with pytest.raises(TooLarge):
        read_ndjson(line() + b"\n" * 30, max_rows=10)


def test_names_that_no_one_meant_cost_little() -> None:
    body = b"\n".join(line(**{f"x{i}": 1}) for i in range(6000))
    decoded = read_ndjson(body)
    assert {r.rule for r in decoded.rejects} == {"unknown-field"}
    assert len(decoded.rejects) == 6000


def stream(columns: dict, compression=None) -> bytes:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)
    ) as writer:
        writer.write_table(table, max_chunksize=7)
    return sink.getvalue().to_pybytes()


def when(n: int) -> pa.Array:
    return pa.array(
        [dt.datetime(2026, 11, 22, 8, 30, i, tzinfo=dt.UTC) for i in range(n)], pa.timestamp("ms", "UTC")
    )


@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_arrow_equals_json(compression) -> None:
    n = 20
    body = stream(
        {
            "device_id": pa.array([f"D{i % 3}" for i in range(n)]).dictionary_encode(),
            "observed_at": when(n),
            "lat_deg": pa.array(np.linspace(0, 9, n), pa.float64()),
            "lon_deg": pa.array(np.linspace(0, 9, n), pa.float64()),
            "speed_mps": pa.array([None if i % 2 else i for i in range(n)], pa.int32()),
            "locked": pa.array([None if i % 3 else True for i in range(n)]),
            "sequence": pa.array(range(n), pa.uint64()),
            "fix_source": ["gnss", None] * (n // 2),
            "card_id": pa.array(["x", None] * (n // 2), pa.large_string()),
        },
        compression,
    )
    decoded = read_arrow(body)
    assert not decoded.rejects
    rows = []
    for i in range(n):
        row = decoded.batch.row(i)
        row["observed_at"] = f"2026-11-22T08:30:{i:02d}Z"
        assert row.pop("observed_us") % 1_000_000 == 0
        rows.append(row)
    again = read_json(json.dumps(rows).encode())
    assert [again.batch.row(i) for i in range(n)] == [decoded.batch.row(i) for i in range(n)]


def test_arrow_rejects_row_by_row() -> None:
    body = stream(
        {
            "device_id": ["a", None, "b c", "d", "e", "f", "g", "h", "i"],
            "observed_us": pa.array([1, 1, 1, None, 1, 1, 1, 1, 1], pa.timestamp("us", "UTC")),
            "lat_deg": [1.0, 1, 1, 1, 91, None, float("inf"), 1, float("nan")],
            "lon_deg": [1.0, 1, 1, 1, 1, 1, 1, 1, None],
            "sequence": pa.array([1, 1, 1, 1, 1, 1, 1, 2**64 - 1, 1], pa.uint64()),
        }
    )
    decoded = read_arrow(body)
    assert rules(decoded) == [
        (1, "device_id", "required"),
        (2, "device_id", "charset"),
        (3, "observed_at", "required"),
        (4, "lat_deg", "range"),
        (5, "lat_deg", "lat-lon-pair"),
        (6, "lat_deg", "not-finite"),
        (7, "sequence", "range"),
    ]
    assert decoded.rows.tolist() == [0, 8]
    assert json.loads(decoded.rejects[3].raw)["lat_deg"] == 91
    again = read_ndjson(decoded.rejects[3].raw)  # the raw bytes can be put right and sent again
    assert rules(again) == [(0, "lat_deg", "range")]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"device_id": ["a"], "observed_us": [1], "latdeg": [1.0]}, "lat_deg"),
        ({"device_id": ["a"], "observed_us": [1], "received_us": [1]}, "server"),
        ({"device_id": ["a"], "observed_at": ["2026-11-22T08:30:00Z"]}, "timestamp"),
        ({"device_id": [5], "observed_us": [1]}, "string"),
        ({"device_id": ["a"], "observed_us": [1], "locked": [1]}, "bool"),
        ({"device_id": ["a"], "observed_us": [1], "temp_c": ["warm"]}, "double"),
        ({"device_id": ["a"], "observed_us": pa.array([1], pa.timestamp("us"))}, "time zone"),
        ({"device_id": ["a"], "observed_us": [1], "observed_at": when(1)}, "not both"),
    ],
)
def test_arrow_schema_is_checked(columns, told) -> None:
    with pytest.raises(Malformed, match=told):
        read_arrow(stream(columns))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_arrow_never_crashes(data) -> None:
    body = bytearray(
        stream(
            {"device_id": ["a", "b"], "observed_us": [1, 2], "code": ["é", None]},
            data.draw(st.sampled_from([None, "zstd"])),
        )
    )
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = read_arrow(bytes(body[: data.draw(st.integers(0, len(body)))]))
    except (Malformed, TooLarge):
        return
    assert decoded.batch.n + len(decoded.rejects) <= 2


def test_a_compressed_bomb_is_refused() -> None:
    body = stream(pa.table({"device_id": ["a" * 1000] * 4000, "observed_us": [1] * 4000}), "zstd")
    assert len(body) < 600_000
    assert arrow.read_arrow(body, max_rows=4000, max_bytes=8_000_000).rejects[0].rule == "length"
    with pytest.raises(TooLarge, match="grow"):
        arrow.read_arrow(body, max_rows=4000, max_bytes=1_000_000)


def test_arrow_lengths_below_zero_are_refused() -> None:
    """A message's body of -304 bytes sent the count of compressed buffers round for ever; -57 rows were no error of ours."""

    def enough(*_: object) -> None:
        raise AssertionError("the reader goes round and round")

    body = stream({"device_id": ["a", "b"], "observed_us": [1, 2], "lat_deg": [1.0, None]})
    refused = 0
    before = signal.signal(signal.SIGALRM, enough)
    signal.alarm(300)
    try:
        for at in range(0, len(body) - 8, 4):
            for value in (-1, -57, -(1 << 62), *range(-len(body) // 8 * 8, 0, 8)):
                changed = bytearray(body)
                struct.pack_into("<q", changed, at, value)
                try:
                    assert read_arrow(bytes(changed)).batch.n <= 2
                except (Malformed, TooLarge):
                    refused += 1
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert refused > 1000
