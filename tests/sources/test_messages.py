"""Mappings of live messages as protocols: what is read, what is not, and what is said of it."""

from __future__ import annotations

import contextlib
import json
import random
import struct

import fastcrc
import pytest

from cocket.core.errors import BadSetting
from cocket.core.framing import Stream
from cocket.core.protocol import Reading, Session, Undecodable
from cocket.core.schema import BY_NAME
from cocket.observations.frames import read_frame, read_line, shown
from cocket.sources.mapping import load, load_folder, parse, shipped
from cocket.sources.messages import as_protocol, device_of_topic, topic_filter
from cocket.sources.units import UNITS

AT = "2026-11-22T08:45:00Z"
AT_US = 1_795_337_100_000_000

JSON = """\
[message]
format = "json"
[time]
from = "at"
[columns.device_id]
from = "id"
"""


def protocol(text: str):
    return as_protocol(parse(text, "m.toml"))


def read(text: str, frame: bytes | str | dict, session: Session | None = None) -> Reading:
    if isinstance(frame, dict):
        frame = json.dumps(frame)
    frame = frame.encode() if isinstance(frame, str) else frame
    return read_frame(protocol(text), frame, session or Session())


def one(text: str, frame: bytes | str | dict, session: Session | None = None) -> dict:
    reading = read(text, frame, session)
    assert reading.fault is None, reading.fault
    (row,) = reading.rows
    return row


def column(name: str, **keys: object) -> str:
    return f"[columns.{name}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items())


# --- JSON


def test_paths_into_a_document():
    text = (
        JSON
        + column("lat_deg", **{"from": "data.position.lat"})
        + column("lon_deg", **{"from": "data.position['lon'][1]".replace("['lon']", ".lon")})
        + column("temp_c", **{"from": 'data."odd.key"[-1].t'})
        + column("code", **{"from": "'a b'.c"})
    )
    row = one(
        text,
        {
            "id": 7,
            "at": AT,
            "data": {"position": {"lat": 48.5, "lon": [0, 2.5]}, "odd.key": [{"t": 1}, {"t": -3}]},
            "a b": {"c": "X"},
        },
    )
    assert row == {
        "device_id": "7",
        "observed_us": AT_US,
        "lat_deg": 48.5,
        "lon_deg": 2.5,
        "temp_c": -3,
        "code": "X",
    }


def test_nested_each_reaches_outwards():
    text = """\
[message]
format = "json"
each = "sites[*].rooms[*].readings"
[time]
from = "^.clock"
format = "epoch-ms"
[columns.device_id]
from = "^^.site"
[columns.temp_c]
from = "."
[columns.code]
from = "^^^.batch"
"""
    document = {
        "batch": "B1",
        "sites": [
            {
                "site": "A",
                "rooms": [{"clock": AT_US // 1000, "readings": [1, 2.5]}, {"clock": 0, "readings": []}],
            },
            {"site": "B", "rooms": [{"clock": 0, "readings": ["hot", None, 3]}, {"clock": 0}]},
            {"site": "C", "rooms": 5},
        ],
    }
    reading = read(text, document)
    assert [(r["device_id"], r.get("temp_c"), r["code"]) for r in reading.rows] == [
        ("A", 1, "B1"),
        ("A", 2.5, "B1"),
        ("B", None, "B1"),
        ("B", None, "B1"),
        ("B", 3, "B1"),
    ]
    assert reading.rows[0]["observed_us"] == AT_US
    assert (reading.fault.rule, reading.fault.detail) == (
        "type",
        "observation 3: temp_c (.): 'hot' is no number",
    )


def test_a_document_that_is_an_array():
    text = JSON.replace("[time]", 'each = "[*]"\n[time]') + column("temp_c", **{"from": "t"})
    rows = read(text, json.dumps([{"id": i, "at": AT, "t": i} for i in range(3)])).rows
    assert [(r["device_id"], r["temp_c"]) for r in rows] == [("0", 0), ("1", 1), ("2", 2)]


def test_each_of_several_devices_leaves_the_session_to_itself():
    text = JSON.replace("[time]", 'each = "hub"\n[time]') + column("temp_c", **{"from": "t"})
    session = Session("hub-1")
    read(text, {"hub": [{"id": "a", "at": AT, "t": 1}, {"id": "b", "at": AT, "t": 2}]}, session)
    assert session.device_id == "hub-1"
    session = Session()
    read(JSON + column("temp_c", **{"from": "t"}), {"id": "a", "at": AT, "t": 1}, session)
    assert session.device_id == "a"


@pytest.mark.parametrize(
    ("frame", "rule", "word"),
    [
        (b"{", "malformed", "JSON"),
        (b"", "malformed", "JSON"),
        (b"\xff\xfe", "malformed", "JSON"),
        (b"5", "malformed", "no object"),
        (b"[" * 100_0, "malformed", "JSON"),
        (b'{"id": 1e999}', "malformed", "JSON"),
        (b'{"at": "' + AT.encode() + b'", "d": {"t": 1}}', "missing", "id"),
        (b'{"id": null, "d": {"t": 1}}', "missing", "which device"),
        (b'{"id": {}, "d": {"t": 1}}', "type", "device_id (id)"),
        (b'{"id": "---", "d": {"t": 1}}', "type", "no letter"),
        (b'{"id": 1, "at": 2, "d": 3}', "malformed", "the time (at)"),
        (b'{"id": 1, "d": [3]}', "type", "temp_c (d.t)"),
        (b'{"id": 1, "d": {"t": "x"}}', "type", "temp_c (d.t): 'x' is no number"),
        (b'{"id": 1, "d": {"t": true}}', "type", "d.t"),
        (b'{"id": 1, "d": {"t": 1' + b"0" * 400 + b"}}", "type", "d.t"),
        (b'{"id": 1, "d": {"t": "1e999"}}', "type", "d.t"),
        (b'{"id": 1, "at": "2026-11-22T08:45:00Z", "D": {"T": 3}}', "missing", "temp_c (d.t)"),
        (b'{"id": 1, "d": {"t": 5000}}', "range", "5000"),
    ],
)
def test_what_is_wrong_is_named(frame, rule, word):
    reading = read(JSON + column("temp_c", **{"from": "d.t"}), frame)
    assert reading.fault.rule == rule
    assert word in reading.fault.detail
    assert all("temp_c" not in row for row in reading.rows)


def test_an_unreadable_value_costs_only_its_column():
    text = JSON + column("rope_cut", **{"from": "cut"}) + column("temp_c", **{"from": "t"})
    reading = read(text, {"id": 1, "at": "yesterday", "cut": True, "t": "hot"})
    assert [shown(r) for r in reading.rows] == [{"device_id": "1", "observed_at": None, "rope_cut": True}]
    assert "the time (at): 'yesterday'" in reading.fault.detail


def test_unknown_is_left_out_and_required_is_not():
    text = (
        JSON + column("temp_c", **{"from": "t", "required": True}) + column("humidity_pct", **{"from": "h"})
    )
    assert one(text, {"id": 1, "at": AT, "t": 2, "h": None}) == {
        "device_id": "1",
        "observed_us": AT_US,
        "temp_c": 2,
    }
    for lacking in ({"id": 1, "at": AT, "h": 5}, {"id": 1, "at": AT, "t": None, "h": 5}):
        reading = read(text, lacking)
        assert not reading.rows
        assert reading.fault.rule == "missing"
        assert "temp_c (t)" in reading.fault.detail
    timed = (JSON + column("temp_c", **{"from": "t"})).replace('from = "at"', 'from = "at"\nrequired = true')
    assert not read(timed, {"id": 1, "t": 2}).rows
    assert not read(timed, {"id": 1, "at": "soon", "t": 2}).rows


def test_a_sign_of_life_is_a_row():
    text = JSON + column("temp_c", **{"from": "t"})
    assert one(text, {"id": 1, "at": AT, "t": None}) == {"device_id": "1", "observed_us": AT_US}
    assert one(JSON, {"id": 1, "at": AT}) == {"device_id": "1", "observed_us": AT_US}


# --- CSV and text

CSV = """\
[message]
format = "csv"
names = ["id", "at", "temp", "door"]
delimiter = "|"
[time]
from = "at"
[columns.device_id]
from = "id"
[columns.temp_c]
from = "temp"
nulls = ["-99.9"]
[columns.door_open]
from = "door"
true = ["O"]
false = ["C"]
"""


def test_lines_of_csv():
    assert one(CSV, f'a|{AT}|" 4.5 "|O\r\n') == {
        "device_id": "a",
        "observed_us": AT_US,
        "temp_c": 4.5,
        "door_open": True,
    }
    reading = read(CSV, f"a|{AT}|-99.90|C\nb|{AT}|1\nc|{AT}||X\n")
    assert [(r["device_id"], r.get("temp_c"), r.get("door_open")) for r in reading.rows] == [
        ("a", None, False),
        ("c", None, None),
    ]
    assert reading.fault.rule == "malformed"
    assert reading.fault.detail == "observation 2: 3 parts; message.names has 4"
    assert read(CSV, "\r\n").fault.rule == "empty"
    assert "O" in read(CSV, f"c|{AT}||X").fault.detail


def test_a_stream_of_lines():
    p = protocol(CSV)
    assert p.text
    pieces = Stream(p).feed(f"a|{AT}|1|O\r\nb|{AT}|2|O\r\nc|".encode())
    assert [x.data[:1] for x in pieces] == [b"a", b"b"]
    assert len(read_line(p, f"a|{AT}|1|O\nb|{AT}|2|O\n".encode(), Session()).rows) == 2


TEXT = """\
[message]
format = "text"
pattern = '''(?P<id>[A-Z]+\\d) T=(?P<t>-?\\d+(?:\\.\\d+)?)C(?: H=(?P<h>\\d+)%)?(?:\\*[0-9A-F]{2})?'''
[frame]
start = "<"
end = ">"
[checksum]
algorithm = "xor8"
from = 1
to = -3
[time]
format = "received"
[columns.device_id]
from = "id"
[columns.temp_c]
from = "t"
[columns.humidity_pct]
from = "h"
"""


def nmea(body: str) -> bytes:
    total = 0
    for byte in body.encode():
        total ^= byte
    return f"<{body}*{total:02X}>".encode()


def test_text_by_a_pattern_with_marks_and_checksum():
    assert one(TEXT, nmea("LAB7 T=-3.5C H=40%")) == {"device_id": "LAB7", "temp_c": -3.5, "humidity_pct": 40}
    assert one(TEXT, nmea("LAB7 T=4C")) == {"device_id": "LAB7", "temp_c": 4}
    assert read(TEXT, nmea("LAB7 T=4C").replace(b"T=4", b"T=5")).fault.rule == "checksum"
    assert read(TEXT, nmea("LAB7 T=C")).fault.rule == "malformed"
    assert read(TEXT, b"<>").fault.rule == "truncated"
    assert read(TEXT, b"<LAB7 T=4C*ZZ>").fault.rule == "checksum"
    frame = nmea("LAB7 T=4C")
    pieces = Stream(protocol(TEXT)).feed(b"noise" + frame + frame)
    assert [x.data for x in pieces if not x.noise] == [frame, frame]


def test_a_pattern_takes_linear_time():
    text = TEXT.replace("(?P<t>-?\\d+(?:\\.\\d+)?)", "(?P<t>(?:\\d+)+)").replace(
        "\n[checksum]", "\nmax = 100000\n[checksum]"
    )
    text = text.split("[checksum]")[0] + "[time]" + text.split("[time]")[1]
    assert read(text, b"<A1 T=" + b"1" * 90_000 + b"!>").fault.rule == "malformed"


# --- binary

BINARY = """\
[message]
format = "binary"
[frame]
start = "7E"
length = { at = 1, type = "u16", order = "little", add = 1 }
[checksum]
algorithm = "crc16.kermit"
from = 1
order = "little"
[time]
at = 3
type = "bcd"
length = 6
format = "%y%m%d%H%M%S"
zone = "Asia/Tokyo"
[columns.device_id]
at = 9
type = "ascii"
length = 6
[columns.temp_c]
at = 15
type = "i16"
order = "little"
bits = "0..11"
scale = 0.1
[columns.door_open]
at = 15
type = "u16"
order = "little"
bits = "15"
[columns.battery_v]
at = -6
type = "f32"
"""


def binary(temp: int, *, door: bool, volts: float = 3.5, name: bytes = b"AB-1\0\0") -> bytes:
    body = bytes.fromhex("261122174500") + name
    body += struct.pack("<H", (temp & 0xFFF) | door << 15) + b"spare" + struct.pack(">f", volts)
    frame = b"\x7e" + (len(body) + 4).to_bytes(2, "little") + body
    return frame + fastcrc.crc16.kermit(frame[1:]).to_bytes(2, "little")


def test_binary_with_bits_length_and_checksum():
    session = Session()
    assert one(BINARY, binary(-55, door=True), session) == {
        "device_id": "AB-1",
        "observed_us": AT_US,
        "temp_c": -5.5,
        "door_open": True,
        "battery_v": 3.5,
    }
    assert session.device_id == "AB-1"
    assert one(BINARY, binary(2047, door=False))["temp_c"] == pytest.approx(204.7)
    assert "battery_v" not in one(BINARY, binary(1, door=False, volts=float("nan")))
    assert read(BINARY, binary(1, door=False, volts=float("inf"))).fault.rule == "type"


def test_binary_refusals():
    good = binary(1, door=False)
    assert read(BINARY, b"\x7f" + good[1:]).fault.rule == "malformed"
    assert read(BINARY, good[:-1]).fault.rule == "length"
    assert read(BINARY, good + b"\0").fault.rule == "length"
    assert read(BINARY, b"\x7e").fault.rule == "truncated"
    assert read(BINARY, b"").fault.rule == "malformed"
    assert read(BINARY, good[:10] + b"X" + good[11:]).fault.rule == "checksum"
    assert read(BINARY, binary(1, door=False, name=b"\0" * 6)).fault.rule == "missing"
    assert read(BINARY, binary(1, door=False, name=b"\xe9abcde")).fault.rule == "type"
    assert read(BINARY, b"\x7e" + b"\0" * 5000).fault.rule == "frame-too-long"
    short = b"\x7e\x04\0" + fastcrc.crc16.kermit(b"\x04\0").to_bytes(2, "little")
    assert read(BINARY, short).fault.rule == "truncated"


def test_binary_frames_out_of_a_stream():
    frames = [binary(i, door=False) for i in range(3)]
    p = protocol(BINARY)
    assert p.starts.match(frames[0])
    assert not p.text
    together = Stream(p).feed(b"\0\1" + b"".join(frames))
    assert [x.data for x in together if not x.noise] == frames
    slow = Stream(p)
    assert [x.data for b in b"".join(frames) for x in slow.feed(bytes([b]))] == frames


@pytest.mark.parametrize(
    ("frame", "sent", "found"),
    [
        ("size = 2", b"\x00\x01\x02\x03\x04", [b"\x00\x01", b"\x02\x03"]),
        (
            'start = "AA BB"\nsize = 3',
            b"\x01\xaa\xbb\x02\x05\xaa\xbb\xaa\xaa",
            [b"\xaa\xbb\x02", b"\xaa\xbb\xaa"],
        ),
        ('end = "0D0A"', b" \0\r\n\r\r\nx", [b" \0\r\n", b"\r\r\n"]),
        ('start = "AA"\nend = "FF"', b"\0\xaa\1\xff\xff\xaa\xff", [b"\xaa\1\xff", b"\xaa\xff"]),
        ('length = { at = 0, type = "u8" }', b"\2\1\1\3\1\1\5", [b"\2\1", b"\1", b"\3\1\1"]),
    ],
)
def test_frames_of_every_kind(frame, sent, found):
    text = f'[message]\nformat = "binary"\n[frame]\n{frame}\n[time]\nformat = "received"\n'
    text += column("device_id", value="x") + column("satellites", at=0, type="u8")
    p = protocol(text)
    assert "tcp" in p.doors
    assert [x.data for x in Stream(p).feed(sent) if not x.noise] == found
    slow = Stream(p)
    assert [x.data for b in sent for x in slow.feed(bytes([b])) if not x.noise] == found


@pytest.mark.parametrize(
    ("keys", "data", "value"),
    [
        ({"type": "u24"}, b"\1\2\3", 0x010203),
        ({"type": "i24", "order": "little"}, b"\xfe\xff\xff", -2),
        ({"type": "u64"}, b"\0" * 7 + b"\5", 5),
        ({"type": "f64", "order": "little"}, struct.pack("<d", 7), 7),
        ({"type": "bcd", "length": 2}, b"\x12\x34", 1234),
        ({"type": "bcd", "length": 2, "order": "little"}, b"\x34\xf2", None),
        ({"type": "bcd", "length": 2, "digits": 3}, b"\x12\x34", 234),
        ({"type": "ascii", "length": 4}, b" 42\0", 42),
        ({"type": "two-digit", "length": 2}, b"\x01\x63", 199),
        ({"type": "two-digit", "length": 1}, b"\x64", None),
        ({"type": "u8", "bits": "2..4"}, b"\x1c", 7),
        ({"type": "i8", "bits": "2..4"}, b"\x1c", -1),
        ({"type": "u16", "nulls": ["0xFFFF"]}, b"\xff\xff", None),
    ],
)
def test_types_of_binary_values(keys, data, value):
    text = '[message]\nformat = "binary"\n[time]\nformat = "received"\n' + column("device_id", value="x")
    reading = read(text + column("odometer_m", at=1, **keys), b"\0" + data)
    assert (reading.rows[0].get("odometer_m") if reading.rows else None) == (
        value if value is None or value >= 0 else None
    )
    if value is not None and value < 0:
        assert reading.fault.rule == "range"
        assert f"{value} m" in reading.fault.detail


def test_identities_in_binary():
    text = '[message]\nformat = "binary"\n[time]\nformat = "received"\n'
    assert (
        one(text + column("device_id", at=0, type="hex", length=3), b"\x0a\xbc\xde")["device_id"] == "0abcde"
    )
    imei = column("device_id", at=0, type="bcd", length=8, digits=15)
    assert one(text + imei, bytes.fromhex("0861234567890123"))["device_id"] == "861234567890123"


def test_only_some_kinds_of_binary_messages():
    text = (
        '[message]\nformat = "binary"\n[only]\nat = 0\ntype = "u8"\nis = ["2"]\n[time]\nformat = "received"\n'
    )
    text += column("device_id", value="x") + column("temp_c", at=1, type="i16")
    assert one(text, b"\2\0\5")["temp_c"] == 5
    for other in (b"\1", b"\1\0\5"):
        assert read(text, other) == Reading()
    assert read(text, b"\2\0").fault.rule == "truncated"
    assert read(text, b"").fault.rule == "truncated"


# --- values


def test_units_of_the_newer_columns():
    cases = [
        ("light_lux", "klx", 1.5, 1500),
        ("light_lux", "fc", 10, 107.639104167),
        ("rssi_dbm", "dBW", -100, -70),
        ("dose_rate_usvh", "mSv/h", 0.002, 2),
        ("dose_rate_usvh", "nSv/h", 120, 0.12),
        ("dose_rate_usvh", "mrem/h", 1, 10),
        ("gamma_cps", "cpm", 90, 1.5),
        ("neutron_cps", "1/min", 3, 0.05),
        ("odometer_m", "km", 12.5, 12500),
        ("odometer_m", "mi", 1, 1609.344),
        ("draught_m", "ft", 10, 3.048),
        ("course_deg", "rad", 3.141592653589793, 180),
        ("co2_pct", "ppm", 400, 0.04),
        ("temp_set_c", "F", 14, -10),
        ("speed_mps", "kn", 36, 18.52),
        ("battery_v", "mV", 3600, 3.6),
    ]
    for name, unit, raw, ours in cases:
        row = one(JSON + column(name, **{"from": "v", "unit": unit}), {"id": 1, "v": raw})
        assert row[name] == pytest.approx(ours, rel=1e-8), (name, unit)


def test_every_unit_is_of_a_column():
    for quantity in UNITS:
        assert any(c.unit == quantity for c in BY_NAME.values())


def test_scale_is_before_the_unit_and_whole_numbers_are_rounded():
    text = JSON + column("temp_c", **{"from": "v", "scale": 0.1, "offset": 32, "unit": "F"})
    assert one(text, {"id": 1, "v": 180})["temp_c"] == pytest.approx(10)
    text = JSON + column("gsm_signal", **{"from": "v", "scale": 100, "offset": 0.2})
    assert one(text, {"id": 1, "v": 0.57})["gsm_signal"] == 57
    text = JSON + column("satellites", **{"from": "v"})
    assert one(text, {"id": 1, "v": "7.0"})["satellites"] == 7
    assert read(text, {"id": 1, "v": 7.5}).fault.rule == "type"
    text = JSON + column("sequence", **{"from": "v"})
    assert one(text, {"id": 1, "v": 2**61 + 1})["sequence"] == 2**61 + 1


def test_maps_of_every_kind():
    def with_map(name: str, table: str) -> str:
        return JSON + f'[columns.{name}]\nfrom = "v"\nmap = {table}\nnulls = ["?"]\n'

    door = with_map("door_open", '{ OPEN = true, SHUT = false, "1" = true, true = true }')
    for raw, value in (("OPEN", True), ("SHUT", False), (1, True), (True, True), (" OPEN ", True)):
        assert one(door, {"id": 1, "v": raw})["door_open"] is value
    assert "door_open" not in one(door, {"id": 1, "v": "?"})
    assert read(door, {"id": 1, "v": "AJAR"}).fault.rule == "values"
    assert read(door, {"id": 1, "v": False}).fault.rule == "values"
    fix = with_map("fix_source", '{ gps = "gnss", lbs = "cell" }')
    assert one(fix, {"id": 1, "v": "lbs"})["fix_source"] == "cell"
    level = with_map("battery_pct", "{ LOW = 10, FULL = 100.0 }")
    assert one(level, {"id": 1, "v": "LOW"})["battery_pct"] == 10
    method = with_map("unlock_method", '{ "3" = "card" }')
    assert one(method, {"id": 1, "v": 3})["unlock_method"] == "card"
    plain = JSON + column("fix_source", **{"from": "v"})
    assert one(plain, {"id": 1, "v": "wifi"})["fix_source"] == "wifi"
    assert read(plain, {"id": 1, "v": "gps"}).fault.rule == "values"


def test_sentinels():
    text = JSON + column("lat_deg", **{"from": "y", "nulls": ["91"]})
    text += column("lon_deg", **{"from": "x", "nulls": ["181.0"]}) + column(
        "course_deg", **{"from": "c", "nulls": ["n/a", "0x1FF"]}
    )
    row = one(text, {"id": 1, "at": AT, "y": 91.0, "x": "181", "c": 511})
    assert row == {"device_id": "1", "observed_us": AT_US}
    assert one(text, {"id": 1, "y": 1, "x": 2, "c": "n/a"}) == {"device_id": "1", "lat_deg": 1, "lon_deg": 2}


# --- times

PARIS = "Europe/Paris"


@pytest.mark.parametrize(
    ("form", "zone", "raw", "iso"),
    [
        ("iso", "UTC", AT, AT),
        ("iso", PARIS, "2026-11-22 09:45", AT),
        ("iso", PARIS, "2026-11-22T09:45:00.1234567", "2026-11-22T08:45:00.123456Z"),
        ("iso", "UTC", "2026-11-22T14:15:00+0530", AT),
        ("iso", PARIS, "2026-07-01T12:00:00", "2026-07-01T10:00:00Z"),
        ("iso", PARIS, "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),  # there twice: the first
        ("iso", PARIS, "2026-03-29T02:30:00", "2026-03-29T00:59:59.999999Z"),  # skipped: just before
        ("iso", "Australia/Lord_Howe", "2026-10-04T02:15:00.5", "2026-10-03T15:29:59.999999Z"),
        ("%d/%m/%y %H:%M:%S", "Asia/Shanghai", "22/11/26 16:45:00", AT),
        ("%Y%m%d%H%M%S.%f", "UTC", "20261122084500.25", "2026-11-22T08:45:00.250000Z"),
        ("%Y-%m-%d %H:%M:%S %z", PARIS, "2026-11-22 10:45:00 +0200", AT),
        ("epoch-s", "UTC", 1795337100, AT),
        ("epoch-s", "UTC", "1795337100.5", "2026-11-22T08:45:00.500000Z"),
        ("epoch-ms", "UTC", 1795337100000, AT),
        ("epoch-us", "UTC", 1795337100000001, "2026-11-22T08:45:00.000001Z"),
        ("iso", "UTC", "2026-02-31T00:00:00Z", None),
        ("iso", "UTC", "2026-13-01", None),
        ("iso", PARIS, "0001-01-01T00:00:00", None),
        ("iso", "UTC", "", "unknown"),
        ("iso", "UTC", None, "unknown"),
        ("iso", "UTC", [], None),
        ("epoch-s", "UTC", "soon", None),
        ("epoch-s", "UTC", True, None),
        ("epoch-s", "UTC", 1e300, None),
        ("epoch-us", "UTC", 10**18, None),
        ("%H:%M", "UTC", "12", None),
    ],
)
def test_times(form, zone, raw, iso):
    more = "date = 2026-01-01\n" if form == "%H:%M" else ""
    text = JSON.replace('from = "at"', f'from = "at"\nformat = "{form}"\nzone = "{zone}"\n{more}')
    reading = read(text + column("temp_c", **{"from": "t"}), {"id": 1, "at": raw, "t": 1})
    (row,) = reading.rows
    assert shown(row)["observed_at"] == (None if iso == "unknown" else iso)
    assert (reading.fault is None) == (iso is not None)


def test_unknown_and_received_times():
    text = JSON.replace('from = "at"', 'from = "at"\nformat = "epoch-s"\nnulls = ["0", "n/a"]') + column(
        "temp_c", **{"from": "t"}
    )
    for raw in (0, "0", "0.0", "n/a"):
        assert one(text, {"id": 1, "at": raw, "t": 1}) == {"device_id": "1", "temp_c": 1}
    text = JSON.replace('from = "at"', 'format = "received"') + column("temp_c", **{"from": "t"})
    assert one(text, {"id": 1, "at": AT, "t": 1}) == {"device_id": "1", "temp_c": 1}


def test_a_date_and_a_time_of_day_in_two_places():
    text = JSON.replace('from = "at"', 'from = ["d", "h"]\nformat = "%Y%m%d %H%M"')
    assert one(text, {"id": 1, "d": 20261122, "h": "0845"})["observed_us"] == AT_US
    assert "observed_us" not in one(text, {"id": 1, "d": None, "h": "0845"})


# --- identity


def test_identity_by_topic():
    mapping = parse(
        JSON.replace('from = "id"', 'from_topic = "sensors/{device}/+/up/#"\nprefix = "s-"')
        + column("temp_c", **{"from": "t"}),
        "m.toml",
    )
    assert topic_filter(mapping) == "sensors/+/+/up/#"
    assert device_of_topic(mapping, "sensors/7/x/up") == "s-7"
    assert device_of_topic(mapping, "sensors/7/x/up/a/b") == "s-7"
    for other in ("sensors/7/up", "sensors//x/up", "Sensors/7/x/up", "sensors/7/x/upper", ""):
        assert device_of_topic(mapping, other) is None
    p = as_protocol(mapping)
    assert "mqtt" in p.doors
    assert "tcp" not in p.doors
    session = Session(device_of_topic(mapping, "sensors/7/x/up"))
    (row,) = read_frame(p, b'{"t": 4}', session).rows
    assert row == {"device_id": "s-7", "temp_c": 4}
    (row,) = read_frame(p, b'{"t": 4}', Session()).rows
    assert row.get("device_id") is None


def test_identity_in_a_part_of_a_level():
    mapping = parse(
        JSON.replace('from = "id"', 'from_topic = "x/dev-{device}.json"') + column("temp_c", **{"from": "t"}),
        "m",
    )
    assert topic_filter(mapping) == "x/+"
    assert device_of_topic(mapping, "x/dev-9.json") == "9"
    assert device_of_topic(mapping, "x/dev-9xjson") is None
    assert topic_filter(parse(JSON, "m")) is None
    assert device_of_topic(parse(JSON, "m"), "x/y") is None


def test_identity_is_always_the_same():
    text = JSON.replace('from = "id"', 'value = "gate-1"') + column("temp_c", **{"from": "t"})
    assert one(text, {"t": 4}, Session("other")) == {"device_id": "gate-1", "temp_c": 4}


# --- the protocol


def test_the_protocol_declares_itself():
    text = 'title = "T"\n' + BINARY.replace(
        'format = "binary"',
        'format = "binary"\nport = 5100\nfamily = "seal"\nsequence_bits = 8\ndoors = ["udp", "tcp"]',
    ).replace("[checksum]", "max = 200\n[checksum]", 1)
    p = as_protocol(parse(text, "/etc/cocket/mappings/my-seal.toml"))
    assert (p.name, p.title, p.port, p.family) == ("my-seal", "T", 5100, "seal")
    assert (p.sequence_bits, p.doors, p.max_frame) == (8, ("udp", "tcp"), 200)
    assert "my-seal.toml" in p.document
    plain = protocol(JSON)
    assert plain.max_frame == 65536
    assert set(plain.doors) == {"tcp", "udp", "mqtt", "http", "file"}
    assert plain.starts is None
    with pytest.raises(BadSetting, match="cocket replay"):
        as_protocol(load("nyharbor-ais"))


def test_shipped_examples_read_their_own_comments():
    mapping = load("example-door-sensor")
    frame = (
        b'{"v": 2, "batt": 3.61, "events": [{"ts": 1795337100000, "contact": "OPEN", "t": 215, "lux": 310},'
        b'{"ts": 1795337160000, "contact": "SHUT", "t": null, "lux": 2, "late": true}]}'
    )
    session = Session(device_of_topic(mapping, "doors/7/state"))
    reading = read_frame(as_protocol(mapping), frame, session)
    assert reading.fault is None
    first, second = reading.rows
    assert first == {
        "device_id": "door-7",
        "observed_us": AT_US,
        "door_open": True,
        "temp_c": 21.5,
        "light_lux": 310,
        "battery_v": 3.61,
    }
    assert (second["door_open"], second["delayed"], "temp_c" in second) == (False, True, False)

    p = as_protocol(load("example-temperature-logger"))
    frame = logger_frame()
    (piece,) = Stream(p).feed(frame)
    reading = read_frame(p, piece.data, Session())
    assert reading.fault is None
    assert reading.rows == [
        {
            "device_id": "861234567890123",
            "observed_us": AT_US,
            "sequence": 7,
            "temp_c": -18.5,
            "door_open": True,
            "external_power": False,
            "gsm_signal": 100,
            "battery_v": 3.61,
            "light_lux": 2.5,
        }
    ]


def logger_frame() -> bytes:
    body = bytes.fromhex("AA551B0861234567890123") + struct.pack(
        ">HIhBBHfB", 7, AT_US // 1_000_000, -1850, 255, 0x51, 3610, 2.5, 0
    )
    return body + fastcrc.crc16.modbus(body).to_bytes(2, "little")


def test_every_shipped_mapping_of_messages_is_marked_as_an_example():
    live = [n for n in shipped() if load(n).message is not None]
    assert len(live) >= 2
    for name in live:
        assert name.startswith("example-")
        assert "xample" in load(name).title


# --- nothing escapes

POOL = [
    (JSON + column("temp_c", **{"from": "d[0].t"}) + column("locked", **{"from": "l"}), [b'{"id":"a","at":"' + AT.encode() + b'","d":[{"t":1.5}],"l":true}']),
    (
        JSON.replace("[time]", 'each = "a[*].b"\n[time]').replace('from = "at"', 'from = "^.at"\nformat = "epoch-s"\nzone = "Europe/Paris"')
        + column("sequence", **{"from": "n", "scale": 3})
        + column("nav_status", **{"from": "s"}),
        [b'{"a":[{"at":1795337100,"b":[{"id":1,"n":2,"s":"moored"},{"id":"x","n":-7}]},{"at":"1","b":null}]}'],
    ),
    (CSV, [f"a|{AT}|1.5|O".encode(), f'"a"|{AT}|-99.9|C\r\nb|{AT}||O'.encode()]),
    (TEXT, [nmea("LAB7 T=4C H=3%")]),
    (TEXT.split("[frame]", 1)[0] + "[time]" + TEXT.split("[time]")[1], [b"LAB7 T=4C", b"LAB7 T=-4.5C H=30%"]),
    (BINARY, [binary(-55, door=True), binary(7, door=False)]),
    (BINARY.split("[frame]", 1)[0] + "[time]" + BINARY.split("[time]")[1], [binary(-55, door=True)]),
    (CSV.replace('from = "at"', 'from = ["at", "temp"]\nformat = "%d%m%y %H%M"\nzone = "Asia/Tokyo"'), [b"a|221126|0845|O"]),
]  # fmt: skip


@pytest.mark.parametrize("which", range(len(POOL) + 2))
def test_no_bytes_raise(which):
    if which < len(POOL):
        text, frames = POOL[which]
        p = protocol(text)
    else:
        p = as_protocol(load(("example-door-sensor", "example-temperature-logger")[which - len(POOL)]))
        frames = [
            logger_frame(),
            b'{"batt": 3.61, "events": [{"ts": 1795337100000, "contact": "OPEN", "t": 215}]}',
        ]
    rng = random.Random(which)
    session = Session("preset")
    rows = 0
    for i in range(20_000):
        if i % 64 == 0:
            session = Session("preset" if i % 128 else None)
        if rng.random() < 0.15:
            frame = rng.randbytes(rng.randrange(200))
        else:
            mutable = bytearray(rng.choice(frames))
            for _ in range(rng.randrange(6)):
                act, at = rng.randrange(5), rng.randrange(len(mutable) + 1)
                if act == 0 and at < len(mutable):
                    mutable[at] = rng.randrange(256)
                elif act == 1:
                    del mutable[at : at + rng.randrange(1, 8)]
                elif act == 2:
                    mutable[at:at] = rng.randbytes(rng.randrange(1, 8))
                elif act == 3:
                    mutable[at:at] = rng.choice(
                        (b"null", b"[]", b"{}", b"1e308", b"-0", b'"\xc3\xa9"', b"9" * 20, b"\0")
                    )
                elif at < len(mutable):
                    mutable[at] ^= 1 << rng.randrange(8)
            frame = bytes(mutable)
        reading = read_frame(p, frame, session)
        assert reading.fault is None or (reading.fault.rule and reading.fault.detail)
        rows += len(reading.rows)
        with contextlib.suppress(Undecodable):
            p.decode(frame, Session(), Reading())
        if i % 16 == 0:
            stream = Stream(p)
            stream.feed(frame + frame)
            stream.end()
    assert rows


def test_long_messages_take_linear_time():
    import sys

    text = (JSON + column("temp_c", **{"from": "t"})).replace(
        "[time]", 'each = "e"\n[frame]\nmax = 1000000\n[time]'
    )
    p = protocol(text)

    def work(n: int) -> int:
        count = 0

        def tick(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(tick)
        try:
            read_frame(p, b'{"e":[' + b",".join([b'{"id":1,"t":"x"}'] * n) + b"]}", Session())
        finally:
            sys.setprofile(None)
        return count

    assert work(400) <= 2.5 * work(200) + 500


# --- a folder


def test_a_folder_of_mappings(tmp_path):
    (tmp_path / "good.toml").write_text(JSON)
    (tmp_path / "files.toml").write_text('[time]\ncolumn = "t"\n[columns.device_id]\nfrom = "d"\n')
    (tmp_path / "bad.toml").write_text(JSON.replace("from", "form"))
    (tmp_path / "broken.toml").write_text("[")
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    (tmp_path / "Not a name.toml").write_text(JSON)
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "big.toml").write_text("#" * 300_000)
    (tmp_path / "notes.txt").write_text("no mapping")
    good, faults = load_folder(tmp_path)
    assert [m.stem for m in good] == ["files", "good"]
    assert [f.rule for f in faults] == ["mapping"] * 6
    told = {f.path.rsplit("/", 1)[1]: f.detail for f in faults}
    assert "bad.toml, line 4: time.form" in told["bad.toml"]
    assert "line 1" in told["broken.toml"]
    assert "UTF-8" in told["latin.toml"]
    assert "rename" in told["Not a name.toml"]
    assert "characters" in told["big.toml"]
    none, (fault,) = load_folder(tmp_path / "missing")
    assert none == []
    assert "missing" in fault.detail
