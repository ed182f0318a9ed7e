"""One value of a message (``values``) and a column of a file (``convert``) are read alike."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cocket.core.protocol import Undecodable
from cocket.sources.convert import convert
from cocket.sources.mapping import parse
from cocket.sources.values import reader, time_reader

AT = "2026-11-22T08:45:00Z"

NUMBERS = [
    "",
    " 7 ",
    "255",
    "511",
    "255.0",
    "-3.5",
    "1e3",
    "+.5",
    "1.",
    "x",
    "1e999",
    "0x1FF",
    "12",
    "1e-3",
    "٣",
]
WORDS = ["", "true", "FALSE", "1", "yes", "gnss", "cell", " t ", "maybe", "none", "7"]
DAYS = ["2026-03-29", "2026-10-25", "2026-06-01", "2026-02-30", "2026-13-01", "26-06-01"]
CLOCKS = [
    "T02:30:00",
    " 01:59:59.999",
    "T03:00",
    "T12:00:00Z",
    "T25:00:00",
    "T02:00:00.1234567+01:00",
    "T02:30:00-0130",
    "",
]
TIMES = [d + c for d in DAYS for c in CLOCKS] + [" 2026-06-01T02:00:00 ", "", "now"]


@pytest.mark.parametrize(
    ("name", "keys", "raws"),
    [
        ("speed_mps", 'unit = "km/h"\nnulls = ["255", "0x1FF"]', NUMBERS),
        ("course_deg", "add_if_negative = 409.6", NUMBERS),
        ("satellites", "", NUMBERS),
        ("gsm_signal", "scale = 3.3\noffset = 1", NUMBERS),
        ("sequence", 'nulls = ["12"]\nscale = 2', NUMBERS),
        ("unlock_method", 'prefix = "p-"\nnulls = ["none"]', WORDS),
        ("locked", 'nulls = ["maybe"]', WORDS),
        ("locked", 'true = ["gnss"]\nfalse = ["cell"]', WORDS),
        ("fix_source", "", WORDS),
        ("rope_cut", 'map = { gnss = true, t = false }\nnulls = ["none"]', WORDS),
        ("battery_pct", 'map = { "1" = 10, yes = 99.5 }', WORDS),
        ("satellites", 'map = { "1" = 10, yes = 99 }', WORDS),
        ("fix_source", 'map = { gnss = "wifi", "7" = "cell" }', WORDS),
        ("observed_us", 'zone = "Europe/Paris"', TIMES),
        ("observed_us", 'format = "%Y-%m-%dT%H:%M:%S"\nzone = "Europe/Paris"', TIMES),
        ("observed_us", 'format = "epoch-s"', NUMBERS[1:]),
        ("observed_us", 'format = "epoch-ms"', ["1795337100123", "-5", "1.5", "2.5"]),
    ],
)
def test_one_value_and_a_column_of_a_file_are_read_alike(name, keys, raws):
    """``values`` and ``convert`` are two ways to the same; the law is that they agree."""
    timed = name == "observed_us"
    head = f'[time]\ncolumn = "v"\n{keys}\n' if timed else '[time]\ncolumn = "at"\n'
    text = (
        head
        + '[columns.device_id]\nfrom = "id"\n'
        + ("" if timed else f'[columns.{name}]\nfrom = "v"\n{keys}\n')
    )
    mapping = parse(text, "m")
    one_of = time_reader(mapping.time) if timed else reader(mapping.rules[1])
    n = len(raws)
    done = convert(pa.table({"at": [AT] * n, "id": ["a"] * n, "v": pa.array(raws, pa.string())}), mapping, 0)
    column = done.batch.column(name)
    kept = dict(
        zip(done.rows.tolist(), (column.cast(pa.int64()) if timed else column).to_pylist(), strict=True)
    )
    assert kept
    for i, raw in enumerate(raws):
        try:
            ours = one_of(raw)
        except Undecodable:
            assert i not in kept, raw
            continue
        if timed and ours is None:
            assert i not in kept, raw
        else:
            assert kept[i] == ours, raw
