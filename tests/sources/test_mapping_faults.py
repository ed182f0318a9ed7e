"""Wrong mappings of messages: every error names file, line and key, and nothing but ``BadSetting`` comes out."""

from __future__ import annotations

import contextlib
import random

import pytest

from cocket.core.errors import BadSetting
from cocket.core.protocol import Session
from cocket.observations.frames import read_frame
from cocket.sources.checking import places
from cocket.sources.mapping import load, parse, shipped
from cocket.sources.messages import as_protocol
from cocket.sources.replay import replay

JSON = """\
title = "T"

[message]
format = "json"
each = "a[*].b"

[time]
from = "at"
format = "%Y-%m-%d %H:%M"
zone = "Europe/Paris"

[only]
from = "^.kind"
is = ["r"]

[columns]
device_id = { from_topic = "s/{device}/#", prefix = "x-" }

[columns.temp_c]
from = 'd."odd key"[0]'
unit = "F"
scale = 0.1
nulls = [
    "255",  # a list over several lines
    "[x]",
]

[columns.door_open]
from = "door"
map = { OPEN = true, SHUT = false }

[columns."lat_deg"]
from = "y"

[columns.lon_deg]
from = "x"
required = true
"""

BINARY = """\
[message]
format = "binary"
sequence_bits = 8
doors = ["tcp", "udp"]
[frame]
start = "AA 55"
size = 20
max = 100
[checksum]
algorithm = "crc16.modbus"
at = -2
order = "little"
[time]
at = 2
type = "u32"
format = "epoch-s"
[columns.device_id]
at = 6
type = "bcd"
length = 4
digits = 7
[columns.temp_c]
at = 10
type = "i16"
order = "little"
bits = "0..11"
[columns.battery_v]
at = 14
type = "f32"
"""

CSV = """\
[message]
format = "csv"
names = ["id", "at", "t"]
delimiter = ";"
[time]
from = "at"
[columns.device_id]
from = "id"
[columns.temp_c]
from = "t"
"""

TEXT = """\
[message]
format = "text"
pattern = '(?P<id>.+) (?P<t>\\d+)'
[frame]
end = ";"
[checksum]
algorithm = "xor8"
[time]
format = "received"
[columns.device_id]
from = "id"
[columns.temp_c]
from = "t"
"""

WRONG = [
    # the document
    (JSON, 'title = "T"', "title = 5", 1, ["title", "text in quotes"]),
    (JSON, 'title = "T"', 'tittle = "T"', 1, ["tittle", "title", "message"]),
    (JSON, "[time]", "[thyme]", 7, ["thyme", "is not known here"]),
    (JSON, 'title = "T"', "title = 'T", 1, []),
    (JSON, 'zone = "Europe/Paris"', 'zone = "Europe/Paris"\nzone = "UTC"', 11, []),
    (JSON, "[message]", '[file]\nformat = "ndjson"\n[message]', 5, ["message", "[file]", "contradict"]),
    (TEXT, "[message]\nformat", "[file]\nformat", 6, ["checksum", "no [message]"]),
    # [message]
    (JSON, 'format = "json"', 'format = "xml"', 4, ["message.format", "'xml'", "json, csv, text, binary"]),
    (JSON, 'format = "json"', "", 3, ["message.format", "is missing"]),
    (JSON, 'format = "json"', "format = 5", 4, ["message.format", "text in quotes"]),
    (JSON, 'each = "a[*].b"', 'names = ["a"]', 5, ["message.names", "not known here", "each"]),
    (JSON, 'each = "a[*].b"', 'each = "a[*]b"', 5, ["message.each", "points"]),
    (JSON, 'each = "a[*].b"', 'each = "^.a"', 5, ["message.each", "^"]),
    (JSON, 'each = "a[*].b"', "each = 3", 5, ["message.each"]),
    (BINARY, "sequence_bits = 8", "sequence_bits = 99", 3, ["message.sequence_bits", "0 to 62"]),
    (BINARY, "sequence_bits = 8", 'family = "toaster"', 3, ["message.family", "sensor"]),
    (BINARY, "sequence_bits = 8", "port = -1", 3, ["message.port", "0 to 65535"]),
    (BINARY, '["tcp", "udp"]', '["tcp", "smoke"]', 4, ["message.doors", "'smoke'", "mqtt"]),
    (BINARY, '["tcp", "udp"]', '"tcp"', 4, ["message.doors", "list of texts"]),
    (BINARY, '[frame]\nstart = "AA 55"\nsize = 20\nmax = 100\n', "", 4, ["message.doors", "[frame]"]),
    (JSON, "[message]", '[message]\ndoors = ["tcp"]', 4, ["message.doors", "topic"]),
    (CSV, 'names = ["id", "at", "t"]', "", 1, ["message.names", "must name"]),
    (CSV, 'names = ["id", "at", "t"]', 'names = ["id", "at", "at"]', 3, ["message.names", "once"]),
    (CSV, 'delimiter = ";"', 'delimiter = "--"', 4, ["message.delimiter", "one character"]),
    (CSV, 'delimiter = ";"', "delimiter = '\"'", 4, ["message.delimiter"]),
    (TEXT, "(?P<id>.+)", "(?P<id>.+", 3, ["message.pattern", "RE2"]),
    (TEXT, "(?P<id>.+)", "(?P<id>(.+))", 3, ["message.pattern", "name every group"]),
    (TEXT, "(?P<id>.+)", "(?=x)(?P<id>.+)", 3, ["message.pattern", "RE2"]),
    (TEXT, "(?P<t>", "(?P<id>", 3, ["message.pattern", "once"]),
    (TEXT, "(?P<id>.+) (?P<t>\\d+)", "x" * 1001, 3, ["message.pattern", "1001"]),
    (TEXT, "pattern", "patern", 3, ["message.patern", "pattern"]),
    # [frame] and [checksum]
    (BINARY, 'start = "AA 55"', 'start = "AA 5"', 6, ["frame.start", "hexadecimal"]),
    (BINARY, 'start = "AA 55"', 'start = ""', 6, ["frame.start", "1 to 64"]),
    (BINARY, "size = 20", "", 5, ["frame", "size", "length", "end"]),
    (BINARY, "size = 20", 'size = 20\nend = "0A"', 5, ["frame", "one of"]),
    (BINARY, "size = 20", "size = 0", 7, ["frame.size"]),
    (BINARY, "size = 20", "size = 200", 8, ["frame.max", "less than frame.size"]),
    (BINARY, "size = 20", "length = 2", 7, ["frame.length", "table"]),
    (BINARY, "size = 20", "length = { at = 2 }", 7, ["frame.length.type"]),
    (BINARY, "size = 20", 'length = { at = 2, type = "i16" }', 7, ["frame.length.type", "u16"]),
    (BINARY, "size = 20", 'length = { at = -2, type = "u16" }', 7, ["frame.length.at"]),
    (BINARY, "size = 20", 'length = { at = 2, type = "u8", plus = 1 }', 7, ["frame.length.plus", "add"]),
    (BINARY, "max = 100", "max = true", 8, ["frame.max", "whole number"]),
    (BINARY, '"crc16.modbus"', '"crc16.modbuss"', 10, ["checksum.algorithm", "crc16.modbus", "crc16.kermit"]),
    (BINARY, '"crc16.modbus"', '"md5"', 10, ["checksum.algorithm", "xor8", "crc32.iso_hdlc"]),
    (BINARY, "at = -2", "at = -1", 11, ["checksum.at", "2 bytes"]),
    (BINARY, 'order = "little"\n[time]', 'order = "middle"\n[time]', 12, ["checksum.order", "big, little"]),
    (TEXT, 'algorithm = "xor8"', 'algorithm = "xor8"\nat = -1', 8, ["checksum.at", "2 bytes"]),
    (TEXT, 'algorithm = "xor8"', 'written = "hex"', 6, ["checksum.algorithm", "is missing"]),
    (JSON, "[only]", '[checksum]\nalgorithm = "xor8"\n[only]', 12, ["checksum", "JSON"]),
    # [only]
    (JSON, 'from = "^.kind"', "", 12, ["only.from", "is missing"]),
    (JSON, 'from = "^.kind"', 'from = "^^^.kind"', 13, ["only.from", "2 level(s)"]),
    (JSON, 'is = ["r"]', "is = []", 14, ["only.is", "must list"]),
    (JSON, 'is = ["r"]', "are = []", 14, ["only.are", "is"]),
    # [time]
    (JSON, 'from = "at"', "", 7, ["time.from", "is missing", "received"]),
    (JSON, 'from = "at"', 'column = "at"', 8, ["time.column", "from"]),
    (JSON, 'from = "at"', 'from = ""', 8, ["time.from", "empty"]),
    (JSON, 'from = "at"', 'from = ["at", 5]', 8, ["time.from", "text in quotes"]),
    (JSON, 'from = "at"', 'from = ["at"]', 8, ["time.from", "two places"]),
    (JSON, 'format = "%Y-%m-%d %H:%M"', 'format = "ISO"', 9, ["time.format", "iso", "received"]),
    (JSON, 'format = "%Y-%m-%d %H:%M"', 'format = "%Y-%m-%d %Q"', 9, ["time.format", "strptime"]),
    (JSON, 'format = "%Y-%m-%d %H:%M"', 'format = "%H:%M"', 9, ["time.format", "date = 2026-01-31"]),
    (JSON, 'format = "%Y-%m-%d %H:%M"', 'format = "received"', 8, ["time.from", "contradicts"]),
    (JSON, 'zone = "Europe/Paris"', 'zone = "+02:00"', 10, ["time.zone", "Asia/Shanghai"]),
    (JSON, 'zone = "Europe/Paris"', "nulls = [0]", 10, ["time.nulls", "texts"]),
    (JSON, 'zone = "Europe/Paris"', "date = 2026-01-01", 10, ["time.date", "contradicts"]),
    (TEXT, 'format = "received"', 'format = "received"\nzone = "UTC"', 8, ["time", "nothing else"]),
    (BINARY, 'type = "u32"\nformat = "epoch-s"', 'type = "u32"', 15, ["time.type", "epoch-s"]),
    (BINARY, 'type = "u32"', 'type = "hex"\nlength = 4', 15, ["time.type", "1970"]),
    (BINARY, "at = 2\n", "", 13, ["time.at", "is missing"]),
    # [columns]
    (JSON, "device_id =", "reader_id =", 16, ["columns", "lacks device_id"]),
    (JSON, 'device_id = { from_topic = "s/{device}/#", prefix = "x-" }', "", 16, ["columns", "lacks device_id"]),
    (JSON, '"s/{device}/#"', '"s/+/#"', 17, ["columns.device_id.from_topic", "{device}"]),
    (JSON, '"s/{device}/#"', '"s/{device}/a#"', 17, ["columns.device_id.from_topic"]),
    (JSON, '"s/{device}/#"', '"#/{device}"', 17, ["columns.device_id.from_topic"]),
    (JSON, '"s/{device}/#"', '"s/{device}/x+"', 17, ["columns.device_id.from_topic"]),
    (JSON, '"s/{device}/#"', '"{device}/{device}"', 17, ["columns.device_id.from_topic"]),
    (JSON, '{ from_topic = "s/{device}/#", prefix = "x-" }', '{ prefix = "x-" }', 17, ["columns.device_id", "from"]),
    (JSON, '{ from_topic = "s/{device}/#"', '{ from = "a", from_topic = "s/{device}/#"', 17, ["device_id", "either"]),
    (JSON, "[columns.temp_c]", "[columns.temp_f]", 19, ["columns.temp_f", "temp_c"]),
    (JSON, "[columns.temp_c]", "[columns.received_us]", 19, ["columns.received_us", "can fill"]),
    (JSON, """from = 'd."odd key"[0]'""", """from = 'd."odd key[0]'""", 20, ["columns.temp_c.from", "breaks at"]),
    (JSON, """from = 'd."odd key"[0]'""", 'from = "d[*].t"', 20, ["columns.temp_c.from", "[0]"]),
    (JSON, """from = 'd."odd key"[0]'""", 'from = "d..t"', 20, ["columns.temp_c.from", "breaks at"]),
    (JSON, """from = 'd."odd key"[0]'""", 'from = "^d"', 20, ["columns.temp_c.from", "^.d"]),
    (JSON, """from = 'd."odd key"[0]'""", 'from = "d."', 20, ["columns.temp_c.from", "its end"]),
    (JSON, """from = 'd."odd key"[0]'""", "from = 0", 20, ["columns.temp_c.from", "text in quotes"]),
    (JSON, 'unit = "F"', 'unit = "Fahrenheit"', 21, ["columns.temp_c.unit", "°C, C, K, F"]),
    (JSON, "scale = 0.1", 'scale = "0.1"', 22, ["columns.temp_c.scale", "a number"]),
    (JSON, "scale = 0.1", "scale = 0", 22, ["columns.temp_c.scale", "is 0"]),
    (JSON, "scale = 0.1", "scale = nan", 22, ["columns.temp_c.scale", "finite"]),
    (JSON, "scale = 0.1", "scale = 1" + "0" * 400, 22, ["columns.temp_c.scale", "finite"]),
    (JSON, '"255",  #', "255,  #", 23, ["columns.temp_c.nulls", "texts"]),
    (JSON, "map = { OPEN = true", 'map = { OPEN = "yes"', 30, ["columns.door_open.map.OPEN", "true or false"]),
    (JSON, "map = { OPEN = true, SHUT = false }", "map = {}", 30, ["columns.door_open.map", "OPEN"]),
    (JSON, "map = { OPEN = true, SHUT = false }", "map = 1", 30, ["columns.door_open.map", "table"]),
    (JSON, "map = {", 'true = ["x"]\nmap = {', 30, ["columns.door_open.true", "contradict"]),
    (JSON, "map = {", "scale = 2\nmap = {", 30, ["columns.door_open.scale"]),
    (JSON, '[columns."lat_deg"]', "[columns.altitude_m]", 35, ["columns.lon_deg", "without lat_deg"]),
    (JSON, "required = true", "required = 1", 37, ["columns.lon_deg.required", "true or false"]),
    (JSON, "required = true", "prefix = 'x'", 37, ["columns.lon_deg.prefix", "text columns"]),
    (JSON, "required = true", "at = 5", 37, ["columns.lon_deg.at", "from"]),
    (JSON, 'from = "door"\nmap', "value = true\nmap", 30, ["columns.door_open.map", "value has none"]),
    (JSON, 'from = "y"', "value = 95", 33, ["columns.lat_deg.value", "-90 to 90"]),
    (JSON, 'from = "y"', 'value = "north"', 33, ["columns.lat_deg.value", "a number"]),
    (CSV, 'from = "t"', 'from = "temp"', 10, ["columns.temp_c.from", "message.names", "id, at, t"]),
    (CSV, 'from = "at"', 'from = "when"', 6, ["time.from", "message.names"]),
    (TEXT, 'from = "t"', 'from = "temp"', 13, ["columns.temp_c.from", "no group", "id, t"]),
    (BINARY, "at = 10\n", 'from = "x"\n', 23, ["columns.temp_c.from", "at"]),
    (BINARY, "at = 10\n", "", 22, ["columns.temp_c", "either at"]),
    (BINARY, 'type = "i16"', "", 22, ["columns.temp_c.type", "is missing"]),
    (BINARY, 'type = "i16"', 'type = "int"', 24, ["columns.temp_c.type", "i16"]),
    (BINARY, 'type = "i16"', 'type = "i16"\nlength = 2', 25, ["columns.temp_c.length", "leave it out"]),
    (BINARY, 'type = "i16"', 'type = "hex"\nlength = 2', 26 + 1, ["columns.temp_c.bits", "whole numbers"]),
    (BINARY, "length = 4", "", 17, ["columns.device_id.length", "is missing"]),
    (BINARY, "length = 4", "length = 0", 20, ["columns.device_id.length", "1 to 512"]),
    (BINARY, "digits = 7", "digits = 9", 21, ["columns.device_id.digits", "1 to 8"]),
    (BINARY, 'type = "bcd"', 'type = "ascii"', 21, ["columns.device_id.digits", "bcd"]),
    (BINARY, 'bits = "0..11"', 'bits = "11..0"', 26, ["columns.temp_c.bits", "0 to 15"]),
    (BINARY, 'bits = "0..11"', 'bits = "16"', 26, ["columns.temp_c.bits", "0 to 15"]),
    (BINARY, 'bits = "0..11"', 'bits = "a"', 26, ["columns.temp_c.bits", '"3..5"']),
    (BINARY, 'bits = "0..11"', "bits = 5", 26, ["columns.temp_c.bits", "text in quotes"]),
    (BINARY, "at = 14", "at = 17", 28, ["columns.battery_v.at", "frame.size is 20"]),
    (BINARY, "at = 14", "at = -3", 28, ["columns.battery_v.at", "4 bytes"]),
    (BINARY, "at = 14", "at = -21", 28, ["columns.battery_v.at", "frame.size is 20"]),
    (BINARY, "at = 14", "at = 14.0", 28, ["columns.battery_v.at", "whole number"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("good", "old", "new", "line", "words"), WRONG, ids=[f"{i}-{w[2][:30]!r}" for i, w in enumerate(WRONG)]
)
def test_errors_name_file_line_and_key(good, old, new, line, words):
    assert old in good
    with pytest.raises(BadSetting) as e:
        parse(good.replace(old, new, 1), "m.toml")
    text = str(e.value)
    assert text.startswith("m.toml")
    assert f"line {line}:" in text or f"line {line}," in text, text
    for word in words:
        assert word in text, text


@pytest.mark.parametrize("good", [JSON, BINARY, CSV, TEXT])
def test_the_right_ones_are_taken(good):
    assert parse(good, "m.toml").message is not None


def test_constants_alone_are_no_mapping():
    with pytest.raises(BadSetting, match="takes nothing from the message"):
        parse(
            '[message]\nformat = "json"\n[time]\nformat = "received"\n[columns]\ndevice_id.value = "x"\n', "m"
        )


def test_places_of_keys():
    text = """\
a.b = 1
"c d" = '''
[not.a.table]
x = 1
'''
[t]
k = [
  "[u]", # ]
  [1, 2],
]
'q' = { in = 1 }
[[l]]
[ t . "v w" ]
z = "[" # [
y = \"\"\"x\"\"\"
"""
    assert places(text) == {
        ("a",): 1,
        ("a", "b"): 1,
        ("c d",): 2,
        ("t",): 6,
        ("t", "k"): 7,
        ("t", "q"): 11,
        ("l",): 12,
        ("t", "v w"): 13,
        ("t", "v w", "z"): 14,
        ("t", "v w", "y"): 15,
    }


def test_no_text_takes_the_loader_down():
    rng = random.Random(3)
    good = [JSON, BINARY, CSV, TEXT]
    for name in shipped():
        load(name)
    bits = ['"', "'", "[", "]", "{", "}", "=", "\n", ".", "-1", "nan", "true", "1e9", '"^"', '"."', "[]", "{}", '""', "1979-05-27", "#"]  # fmt: skip
    read = 0
    for _ in range(4000):
        text = rng.choice(good)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(text))
            act = rng.randrange(3)
            if act == 0:
                text = text[:at] + rng.choice(bits) + text[at + rng.randrange(3) :]
            elif act == 1:
                lines = text.split("\n")
                del lines[rng.randrange(len(lines))]
                text = "\n".join(lines)
            else:
                lines = text.split("\n")
                i = rng.randrange(len(lines))
                lines[i] = lines[i].split("=")[0] + "= " + rng.choice(bits)
                text = "\n".join(lines)
            text = text or "x"
        with contextlib.suppress(BadSetting):
            p = as_protocol(parse(text, "m.toml"))
            for frame in (
                b"",
                b"{}",
                b'{"a":[{"b":[{"at":1,"d":{"odd key":[5]}}]}]}',
                b"a;b;1",
                b"x 5;",
                bytes(20),
            ):
                read_frame(p, frame, Session())
            read += 1
    assert read > 200


def test_a_mapping_of_messages_is_not_replayed(tmp_path, capsys):
    file = tmp_path / "messages.ndjson"
    file.write_text("{}\n")
    assert replay(file, mapping="example-door-sensor") == 2
    assert "cocket decode --mapping example-door-sensor" in capsys.readouterr().err
