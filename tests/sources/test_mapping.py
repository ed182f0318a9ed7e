"""Mapping files: checked when loaded, every error names file, line and key."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from cocket.core.errors import BadSetting
from cocket.sources import mapping
from cocket.sources.convert import convert
from cocket.sources.rows import parts

GOOD = """\
[file]
header = false
names = ["who", "when", "v"]
[time]
column = "when"
format = "%H:%M:%S"
date = 2026-03-01
zone = "Europe/Paris"
[columns.device_id]
from = "who"
prefix = "x-"
[columns.speed_mps]
from = "v"
unit = "kn"
nulls = ["102.3"]
[columns.fix_source]
value = "gnss"
"""


def test_shipped_mappings_load():
    assert {"shenzhen-taxis", "nyharbor-ais"} <= set(mapping.shipped())
    for name in mapping.shipped():
        assert mapping.load(name).rules


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('unit = "kn"', 'unit = "furlongs"', ["m.toml, line 14", "columns.speed_mps.unit", "km/h"]),
        ('column = "when"', 'column = "wen"', ["m.toml, line 3", "file.names", "'wen'"]),
        ("date = 2026-03-01\n", "", ["m.toml, line 6", "time.format", "date"]),
        ('zone = "Europe/Paris"', 'zone = "Europe/Pariss"', ["line 8", "time.zone", "Pariss"]),
        ("[columns.speed_mps]", "[columns.speed_kmh]", ["line 12", "columns.speed_kmh", "speed_mps"]),
        ("[columns.device_id]", "[columns.reader_id]", ["columns", "lacks device_id"]),
        ('value = "gnss"', 'value = "gps"', ["line 17", "columns.fix_source.value", "gnss"]),
        ('from = "v"', "", ["columns.speed_mps", "from"]),
        ("header = false", "header = true", ["line 2", "file.header"]),
        ('nulls = ["102.3"]', "nulls = [102.3]", ["line 15", "nulls", "texts"]),
        ('nulls = ["102.3"]', "nils = []", ["line 15", "columns.speed_mps.nils", "nulls"]),
        ("[file]", "[file", ["m.toml", "line 1"]),
    ],
)
def test_errors_name_file_line_and_key(old, new, words):
    assert old in GOOD
    with pytest.raises(BadSetting) as e:
        mapping.parse(GOOD.replace(old, new), "m.toml")
    for word in words:
        assert word in str(e.value)


def test_unknown_mapping_names_the_shipped_ones(tmp_path):
    with pytest.raises(BadSetting, match="shenzhen-taxis"):
        mapping.load(tmp_path / "none.toml")


def test_columns_units_zone_nulls_and_constants():
    table = pa.table({"who": ["1", "2"], "when": ["00:30:00", "12:00:00"], "v": ["10", "102.3"]})
    done = convert(table, mapping.parse(GOOD, "m"), 5)
    assert done.unread == []
    assert done.rows.tolist() == [5, 6]
    rows = done.batch.to_pylist()
    assert rows[0]["observed_us"] == datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    assert rows[0]["device_id"] == "x-1"
    assert rows[0]["speed_mps"] == pytest.approx(5.14444, abs=1e-4)
    assert rows[1]["speed_mps"] is None
    assert rows[1]["fix_source"] == "gnss"


def test_unreadable_rows_are_handed_on_with_their_text():
    table = pa.table(
        {"who": ["1", "2", "", "4"], "when": ["25:00:00", "12:00:00"] * 2, "v": ["1", "fast"] * 2}
    )
    done = convert(table, mapping.parse(GOOD, "m"), 0)
    assert done.batch.num_rows == 0
    assert [row for row, _ in done.unread] == [0, 1, 2, 3]
    lines = [line.decode() for _, line in done.unread]
    assert '"observed_at": "25:00:00"' in lines[0]
    assert '"speed_mps": "fast"' in lines[1]
    assert "device_id" not in lines[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05.5", datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-02-31T00:00:00", None),
        ("2026-13-01T00:00:00", None),
        ("soon", None),
    ],
)
def test_iso_times(text, expected):
    doc = '[time]\ncolumn = "t"\n[columns.device_id]\nfrom = "d"\n'
    done = convert(pa.table({"t": [text], "d": ["a"]}), mapping.parse(doc, "m"), 0)
    if expected is None:
        assert len(done.unread) == 1
        assert text in done.unread[0][1].decode()
    else:
        assert done.batch.column("observed_us")[0].as_py() == expected


@pytest.mark.parametrize(
    ("form", "value", "us"),
    [("epoch-s", "1767323045.25", 1767323045250000), ("epoch-ms", 1767323045250, 1767323045250000)],
)
def test_epoch_times(form, value, us):
    doc = f'[time]\ncolumn = "t"\nformat = "{form}"\n[columns.device_id]\nfrom = "d"\n'
    done = convert(pa.table({"t": [value], "d": ["a"]}), mapping.parse(doc, "m"), 0)
    assert done.batch.column("observed_us").cast(pa.int64())[0].as_py() == us


def test_truth_and_whole_numbers():
    doc = (
        '[time]\ncolumn = "t"\n[columns.device_id]\nfrom = "d"\n[columns.locked]\nfrom = "l"\n'
        'true = ["closed"]\nfalse = ["open"]\n[columns.sequence]\nfrom = "s"\n'
    )
    t = "2026-01-01T00:00:00Z"
    table = pa.table(
        {"t": [t] * 4, "d": ["a"] * 4, "l": ["closed", "open", "", "ajar"], "s": ["1", "2.5", "3", "4"]}
    )
    done = convert(table, mapping.parse(doc, "m"), 0)
    assert done.batch.column("locked").to_pylist() == [True, None]
    assert [row for row, _ in done.unread] == [1, 3]
    assert '"sequence": "2.5"' in done.unread[0][1].decode()
    assert '"locked": "ajar"' in done.unread[1][1].decode()


def test_signed_angles_are_unwrapped():
    ais = mapping.load("nyharbor-ais")
    row = {"BaseDateTime": "2020-06-30T00:00:00", "MMSI": "1", "LAT": "40", "LON": "-74", "SOG": "102.3"}
    table = pa.table({k: [v] * 3 for k, v in row.items()} | {"COG": ["-60.6", "-49.6", "12.5"]})
    done = convert(table, ais, 0)
    assert done.batch.column("course_deg").to_pylist() == [349.0, None, 12.5]
    assert done.batch.column("speed_mps").to_pylist() == [None] * 3


def test_a_file_takes_what_messages_take(tmp_path):
    """Paths into nested NDJSON, maps, scales, a date and a time in two columns: one language."""
    text = """\
[time]
from = ["day", "at.clock"]
format = "%F %T"
zone = "Europe/Paris"
[columns.device_id]
from = "id"
[columns.door_open]
from = "door"
map = { OPEN = true, SHUT = false }
[columns.temp_c]
from = "probes[0].t"
scale = 0.1
unit = "F"
[columns.code]
from = "a.b"
"""
    file = tmp_path / "rows.ndjson"
    file.write_text(
        '{"id": 1, "day": "2026-11-22", "at": {"clock": "09:45:00"}, "door": "OPEN", "probes": [{"t": 410}], "a.b": "x"}\n'
        '{"id": 2, "day": "2026-11-22", "at": 5, "door": "SHUT", "a": {"b": "y"}}\n'
        '{"id": 3, "day": "2026-11-22", "at": {"clock": "09:45:00"}, "door": "AJAR", "probes": []}\n'
        '{"id": 4, "day": "2026-11-22", "at": {"clock": "09:45:00"}, "door": "SHUT", "a": {"b": "y"}}\n'
    )
    good, bad = parts(file, mapping.parse(text, "m"), 100)
    first, second = good.batch.to_pylist()
    assert first == {
        "observed_us": datetime(2026, 11, 22, 8, 45, tzinfo=UTC),
        "device_id": "1",
        "door_open": True,
        "temp_c": pytest.approx(5),
        "code": "x",
    }
    assert (second["device_id"], second["temp_c"], second["code"]) == ("4", None, "y")
    assert bad.rows.tolist() == [1, 2]
    assert b'"door_open": "AJAR"' in bad.lines[1]


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M:%S", "%d/%m/%Y %T", "%d/%m/%y %H:%M:%S"])
def test_a_day_that_no_calendar_has_is_not_taken_for_another(form):
    doc = f'[time]\ncolumn = "t"\nformat = "{form}"\n[columns.device_id]\nvalue = "d"\n'
    years = "26" if "%y" in form else "2026"
    texts = [
        f"{day}/{years} 10:00:00" for day in ("31/02", "30/02", "29/02", "01/03", "2/3", "31/04", "28/02")
    ]
    done = convert(pa.table({"t": texts}), mapping.parse(doc, "m"), 0)
    assert done.rows.tolist() == [3, 4, 6]
    assert texts[0] in done.unread[0][1].decode()


def test_a_blank_beside_what_is_no_number():
    table = pa.table({"who": ["1", "2"], "when": ["12:00:00"] * 2, "v": ["", "fast"]})
    done = convert(table, mapping.parse(GOOD, "m"), 0)
    assert done.batch.column("speed_mps").to_pylist() == [None]
    assert [row for row, _ in done.unread] == [1]
