"""GT06 trackers (Concox, Jimi and many who copy them): frames that begin with xx, or with yy where they are long.

Documents: Concox, "GPS Tracker Communication Protocol" (GT06N, GT06F, JM-VL03, JM-LL301); makers' variants as public
material has them (AZ735, BENWAY, GK310, JC400, LW4G, NT, S5, SeeWorld, SL4X, VXT01, WeTrust, X1). A frame is ``xx``
length u8, or ``yy`` length u16; kind u8, body, running number u16, CRC-ITU (X.25), CR LF. Several variants share a kind
and are told apart by the length, as nothing in them names the maker. Times stand in the zone that the login names,
else in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastcrc import crc16

from cocket.core.protocol import (
    Command,
    Cut,
    Protocol,
    Reading,
    Result,
    Row,
    Session,
    Simulation,
    Undecodable,
    whole,
)
from cocket.core.units import KMH
from cocket.core.wire import (
    Bits,
    Cursor,
    Record,
    decimal,
    i16,
    i32,
    raw,
    u8,
    u16,
    u32,
    utc_parts,
    utc_us,
)

_DEGREE: Final = 1 / 1_800_000

FIX: Final = Record(
    ">", raw("time", 6), u8("satellites"), u32("lat", _DEGREE), u32("lon", _DEGREE),
    u8("speed_mps", KMH), u16("flags"),
)  # fmt: skip
"""``time`` yy mm dd hh mm ss; the upper half of ``satellites`` counts bytes; ``flags`` ends with the course, 10 bits."""
ALARM_FIX: Final = Record(">", raw("time", 6), u32("lat", _DEGREE), u32("lon", _DEGREE), u16("flags"))
CAMERA_FIX: Final = Record(
    ">", raw("time", 6), u8("satellites"), u32("lat", _DEGREE), u32("lon", _DEGREE),
    u16("flags"), u16("speed_mps", KMH),
)  # fmt: skip
MODULE_FIX: Final = Record(
    ">", u32("time_s"), u8("satellites"), i16("altitude_m"), u32("lat", _DEGREE), u32("lon", _DEGREE),
    u8("speed_mps", KMH), u16("flags"),
)  # fmt: skip
FLAGS: Final = Bits(north=10, west=11, valid=12, has_ignition=14, ignition=15)
_COURSE: Final = 0x3FF

STATE: Final = Bits(armed=0, ignition=1, charging=2, cut=7)
"""Terminal information; bits 3 to 5 are ``STATE_ALARMS``."""
STATE_ALARMS: Final[Mapping[int, Row]] = {
    1: {"vibration": True},
    2: {"external_power": False},
    3: {"battery_low": True},
    4: {"sos": True},
}

ALARMS: Final[Mapping[int, Row]] = {
    0x01: {"sos": True},
    0x02: {"external_power": False},
    0x03: {"vibration": True},
    0x04: {"fence_entered": True},
    0x05: {"fence_left": True},
    0x09: {"vibration": True},
    0x0E: {"battery_low": True},
    0x0F: {"battery_low": True},
    0x13: {"casing_open": True},
    0x14: {"door_open": True},
    0x17: {"jamming": True},
    0x18: {"casing_open": True},
    0x19: {"battery_low": True},
    0x25: {"casing_open": True},
    0xFE: {"ignition": True},
    0xFF: {"ignition": False},
}
"""The alarm's byte: SOS, power cut, shock, zones, low batteries, taken apart, door, false base station, cover, light."""

CAMERA_ALARMS: Final[Mapping[int, Row]] = {
    0x01: {"sos": True},
    0x80: {"vibration": True},
    0x88: {"external_power": False},
}
MODULE_EVENTS: Final[Mapping[int, Row]] = {
    0x10: {"door_open": True},
    0x14: {"fence_entered": True},
    0x15: {"fence_left": True},
    0x1A: {"battery_low": True},
    0x20: {"vibration": True},
    0x21: {"external_power": False},
    0x23: {"casing_open": True},
}

TAG: Final = Record(
    ">", raw("id", 6), u16("mv"), u8("pct"), i16("temp_c", 0.1), u16("humidity_pct", 0.1), u8("state")
)
CLIMATE: Final = Record(">", i32("temp_c", 0.1), i32("humidity_pct", 0.1))

_ANSWERED: Final = frozenset(
    {*range(0x10, 0x1B), 0x1E, *range(0x22, 0x2A), 0x2C, 0x2D, 0x2E, 0x31, 0x32, 0x33}
)
ANSWERED: Final = _ANSWERED | {0x36, 0x37, 0x40, 0x61, 0x65, 0x66, 0x95} | frozenset(range(0xA0, 0xA8))
"""Short frames that get an answer of their kind and number."""
QUIET: Final = frozenset(
    {
        0x08,
        0x14,
        0x17,
        0x18,
        0x1F,
        0x24,
        0x28,
        0x2A,
        0x2C,
        0x2E,
        0x33,
        0x34,
        0x35,
        0x36,
        0x41,
        0x65,
        0x66,
        0x69,
    }
    | {0x80, 0x81, 0x82, 0x83, 0x84, 0x8A, 0x97, 0x9B, 0xA1, 0xA2, 0xA7, 0xF1, 0xF2, 0xF3, 0xFD}
)
"""Mobile cells, Wi-Fi, phone numbers, photographs, buses: they carry no observation for us."""
_SCAN_KINDS: Final = frozenset({0x17, 0x69})

_START: Final = re.compile(rb"xx|yy")
_PLACE: Final = re.compile(
    r"Current position!Lat:([NS])(\d+\.\d+),Lon:([EW])(\d+\.\d+),Course:(\d+\.\d+),Speed:(\d+\.\d+),"
    r"DateTime:(\d{4})-(\d\d)-(\d\d) +(\d\d):(\d\d):(\d\d)"
)
_BAD: Final = re.compile(r"\b(err|error|fail|failed|invalid|unknown)\b", re.IGNORECASE)


class _Message:
    """A frame taken apart. ``size`` is its length as it says itself; ``serial`` is None where it has no number."""

    __slots__ = ("body", "kind", "reading", "serial", "session", "size", "whole")

    def __init__(self, frame: bytes, session: Session, reading: Reading) -> None:
        self.session, self.reading = session, reading
        head = 3 if frame[0] == 0x78 else 4
        if len(frame) < head + 3:
            raise Undecodable("truncated", f"a frame has at least {head + 3} bytes, this one {len(frame)}")
        self.size = int.from_bytes(frame[2:head], "big")
        self.kind = frame[head]
        end = head + self.size
        self.serial: int | None = None
        self.whole = False
        if self.size >= 5 and end <= len(frame) <= end + 2:
            self.body = frame[head + 1 : end - 4]
            self.serial = int.from_bytes(frame[end - 4 : end - 2], "big")
            self.whole = frame[end:] == b"\r\n" and (
                crc16.ibm_sdlc(frame[2 : end - 2]) == int.from_bytes(frame[end - 2 : end], "big")
            )
        else:
            self.body = frame[head + 1 :].removesuffix(b"\r\n")

    def answer(self, kind: int, *, long: bool = False) -> None:
        if self.whole and self.serial is not None:
            self.reading.replies.append(_wrap(kind, b"", self.serial, long=long))

    def add(self, row: Row) -> None:
        if self.serial is not None:
            row["sequence"] = self.serial
        self.reading.rows.append(row)


def _wrap(kind: int, content: bytes, serial: int, *, long: bool = False) -> bytes:
    size = len(content) + 5
    inner = size.to_bytes(2 if long else 1, "big") + bytes([kind]) + content + serial.to_bytes(2, "big")
    return (b"yy" if long else b"xx") + inner + crc16.ibm_sdlc(inner).to_bytes(2, "big") + b"\r\n"


def _split(buffer: bytes, at: int) -> Cut:
    """By the length; where CR LF does not stand there, up to the first CR LF."""
    start = _START.search(buffer, at)
    if start is None:
        upto = len(buffer) - (buffer[-1] in b"xy")
        return (upto, upto) if upto > at else None
    first = start.start()
    if first > at:
        return first, first
    head = at + (3 if buffer[at] == 0x78 else 4)
    if len(buffer) < head:
        return None
    end = head + int.from_bytes(buffer[at + 2 : head], "big") + 2
    if len(buffer) < end:
        return None
    if buffer[end - 2 : end] == b"\r\n":
        return at, end
    found = buffer.find(b"\r\n", head)
    if found < 0:
        return (at + 2, at + 2) if len(buffer) - at > _MOST else None
    return at, found + 2


_MOST: Final = 2048


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One frame. A wrong CRC or length is told, and what can be read is read, but not answered."""
    if frame[:2] not in {b"xx", b"yy"}:
        raise Undecodable("no-frame", "a frame begins with 0x7878 or 0x7979")
    m = _Message(frame, session, reading)
    short = frame[0] == 0x78
    if not m.whole and short and m.kind in _SCAN_KINDS and _scan(frame):
        reading.replies.append(b"xx\0" + frame[3:10] + b"\r\n")
        return
    if m.kind == 1 and short:
        if not m.whole:
            raise Undecodable("checksum", "the login's CRC or length is wrong")
        _login(m)
        return
    if short and m.kind in ANSWERED:
        m.answer(m.kind)
    read = (SHORT if short else LONG).get(m.kind)
    if not m.body:
        pass  # an answer, or a request; and some servers' own frames that come back
    elif read is not None:
        read(m)
    elif m.kind not in QUIET and m.whole:
        raise Undecodable("unknown-type", f"a message 0x{m.kind:02x} is not known")
    if not m.whole and m.size > 1:
        raise Undecodable("checksum", "the CRC or the length is wrong; what could be read was read")


def _scan(frame: bytes) -> bool:
    """Wi-Fi and cells around: the length's byte counts the access points, there is neither a number nor a CRC."""
    cells = 10 + 7 * frame[2]
    return len(frame) > cells and len(frame) == cells + 1 + 3 + 5 * frame[cells] + 2


def _login(m: _Message) -> None:
    """0x01: IMEI, model u16, zone: hours and minutes as one number, 12 bits, and a bit for west."""
    cursor = Cursor(m.body)
    imei = cursor.take(8).hex()
    if not imei.isdigit():
        raise Undecodable("malformed", f"{imei!r} is no IMEI")
    m.session.device_id = imei[1:]
    m.session.memory.pop("east", None)
    if cursor.left >= 4:
        cursor.take(2)
        zone = cursor.uint(2)
        hours, minutes = divmod(zone >> 4, 100)
        if hours <= 14 and minutes < 60:
            m.session.memory["east"] = (-1 if zone & 8 else 1) * (60 * hours + minutes)
    m.answer(1)


def _time(m: _Message, time: bytes) -> int | None:
    t = time
    return utc_us(t[0], t[1], t[2], t[3], t[4], t[5], m.session.memory.get("east", 0))


def _fix(m: _Message, cursor: Cursor, record: Record = FIX) -> Row:
    fix = cursor.record(record)
    flags, course = FLAGS.read(fix["flags"]), fix["flags"] & _COURSE
    row: Row = {
        "observed_us": fix["time_s"] * 1_000_000 if "time_s" in fix else _time(m, fix["time"]),
        "lat_deg": fix["lat"] if flags["north"] else -fix["lat"],
        "lon_deg": -fix["lon"] if flags["west"] else fix["lon"],
        "fix_valid": flags["valid"],
        "speed_mps": fix.get("speed_mps"),
        "course_deg": course if course <= 360 else None,
        "altitude_m": fix.get("altitude_m"),
    }
    if "satellites" in fix:
        row["satellites"] = fix["satellites"] if record is MODULE_FIX else fix["satellites"] & 15
    if flags["has_ignition"]:
        row["ignition"] = flags["ignition"]
    return row


def _cell(cursor: Cursor, area: int = 2, cell: int = 3, network: int = 1) -> None:
    """Passes over a mobile cell: country u16, whose highest bit makes the network two bytes, area, cell."""
    country = cursor.uint(2)
    cursor.take((2 if country & 0x8000 else network) + area + cell)


def _counted_cell(cursor: Cursor, tail: int) -> None:
    """Passes over a cell with a length in front, which counts itself with some makers and does not with others."""
    size = cursor.uint(1)
    if size == 0:
        empty = cursor.data[cursor.at + 9 : cursor.at + 45]
        if len(empty) == 36 and not any(empty):
            cursor.take(45)
        return
    cursor.take(size if size < 9 or cursor.left - size == tail else size - 1)


def _state(cursor: Cursor, row: Row) -> None:
    state = cursor.uint(1)
    bits = STATE.read(state)
    row |= {"ignition": bits["ignition"], "charging": bits["charging"]}
    row |= STATE_ALARMS.get(state >> 3 & 7, {})


def _battery(level: int) -> float | None:
    """Six steps, or per cent."""
    return level * 100 / 6 if level <= 6 else float(level) if level <= 100 else None


def _signal(level: int) -> int | None:
    """Four steps."""
    return level * 25 if level <= 4 else None


def _levels(cursor: Cursor, row: Row) -> None:
    """Battery, signal, alarm."""
    row["battery_pct"] = _battery(cursor.uint(1))
    row["gsm_signal"] = _signal(cursor.uint(1))
    if cursor.left:
        row |= ALARMS.get(cursor.uint(1), {})


def _upload(cursor: Cursor, row: Row) -> None:
    """Ignition, why it is sent, and 1 if it was kept."""
    row["ignition"] = cursor.uint(1) > 0
    cursor.take(1)
    if cursor.uint(1) > 0:
        row["delayed"] = True


def _modules(cursor: Cursor, row: Row) -> None:
    """Values with number u16 and length u8: 0x18 volts, 0x2E metres, 0x6A battery."""
    while cursor.left >= 3:
        number, size = cursor.uint(2), cursor.uint(1)
        value = int.from_bytes(cursor.take(size), "big")
        if number == 0x18 and size == 2:
            row["battery_v"] = value / 100
        elif number == 0x2E and size == 4:
            row["odometer_m"] = value
        elif number == 0x6A and size == 1:
            row["battery_pct"] = _battery(value)


def _named(m: _Message, at: int) -> bool:
    """Whether an IMEI stands where a time would (some makers repeat it in every message)."""
    digits = m.body[at : at + 8].hex()
    return len(digits) == 16 and digits[0] == "0" and digits.isdigit() and m.body[at + 1] > 0x12


def _fixed(m: _Message) -> None:
    """0x10, 0x1A, 0x1E: a fix, and what is of no use here."""
    m.add(_fix(m, Cursor(m.body)))


def _with_cell(m: _Message) -> None:
    """0x11, 0x12, 0x17 with a tag, 0x22, 0x25, 0x2D, 0x31, 0x37, 0xA0: fix, cell, and what the maker adds."""
    cursor = Cursor(m.body)
    if m.kind == 0x17 and len(m.body) != 0x23:
        return
    if m.kind in {0x22, 0x25} and _named(m, 1):
        _with_source(m, cursor)
        return
    if m.kind == 0x12 and _named(m, 0):
        cursor.take(8)
    row = _fix(m, cursor)
    m.add(row)
    if cursor.left < 8:
        return
    wide = m.kind == 0x31 and len(m.body) == 0x25
    if m.kind == 0x11 or wide:
        _cell(cursor, cell=4, network=2)
    elif m.kind == 0xA0:
        _cell(cursor, area=4, cell=8)
    elif m.kind == 0x25 or (m.kind == 0x22 and len(m.body) == 0x2A):
        _cell(cursor, cell=4)
    else:
        _cell(cursor)
    ADDED.get((m.kind, cursor.left), _added)(m, cursor, row)


def _added(m: _Message, cursor: Cursor, row: Row) -> None:
    if m.kind == 0x37 and cursor.left >= 3:
        _upload(cursor, row)
        _modules(cursor, row)
    elif cursor.left in {3, 7} or (m.kind in {0x22, 0x2D, 0x31} and cursor.left > 3):
        _upload(cursor, row)
    if cursor.left == 4:
        row["odometer_m"] = cursor.uint(4)


def _benway(_m: _Message, cursor: Cursor, row: Row) -> None:
    """Ignition in bit 15; with bit 12 a temperature of nine bits, bit 9 for below zero."""
    mask = cursor.uint(2)
    row["ignition"] = mask & 0x8000 != 0
    if mask & 0x1000:
        row["temp_c"] = (mask & 0x1FF) * (-1.0 if mask & 0x200 else 1.0)


def _vxt01(_m: _Message, cursor: Cursor, row: Row) -> None:
    _state(cursor, row)


def _s5(_m: _Message, cursor: Cursor, row: Row) -> None:
    """State, the vehicle's volts u16, signal, alarm, oil u16, temperature with a sign bit, tens of metres u32."""
    _state(cursor, row)
    cursor.take(2)
    row["gsm_signal"] = _signal(cursor.uint(1))
    row |= ALARMS.get(cursor.uint(1), {})
    cursor.take(2)
    temperature = cursor.uint(1)
    row["temp_c"] = float(-(temperature & 0x7F) if temperature & 0x80 else temperature)
    row["odometer_m"] = cursor.uint(4) * 10


def _seeworld(_m: _Message, cursor: Cursor, row: Row) -> None:
    """Upload, metres u32, time u32, temperature u16 with a sign bit and humidity u16 in hundredths."""
    _upload(cursor, row)
    row["odometer_m"] = cursor.uint(4)
    cursor.take(4)
    temperature = cursor.uint(2)
    row["temp_c"] = (-(temperature & 0x7FFF) if temperature & 0x8000 else temperature) / 100
    row["humidity_pct"] = cursor.uint(2) / 100


def _sl4x(_m: _Message, cursor: Cursor, row: Row) -> None:
    """Upload, metres u32, height."""
    _upload(cursor, row)
    row["odometer_m"] = cursor.uint(4)
    row["altitude_m"] = cursor.int(2)


def _wetrust(_m: _Message, cursor: Cursor, row: Row) -> None:
    row["odometer_m"] = cursor.uint(4)


def _tag(_m: _Message, cursor: Cursor, row: Row) -> None:
    row |= {"code": cursor.take(8).hex(), "symbology": "rfid"}


ADDED: Final[Mapping[tuple[int, int], Callable[[_Message, Cursor, Row], None]]] = {
    (0x12, 2): _benway,
    (0x12, 5): _vxt01,
    (0x12, 10): _wetrust,
    (0x12, 12): _s5,
    (0x17, 9): _tag,
    (0x22, 15): _seeworld,
    (0x31, 9): _sl4x,
}
"""What stands behind fix and cell, by kind and number of bytes."""


def _with_source(m: _Message, cursor: Cursor) -> None:
    """0x22 and 0x25 of NT11 and others: source u8, IMEI, time, fix, cell, state, volts u16, battery in tenths of volts."""
    cursor.take(15)
    row = _fix(m, cursor)
    m.add(row)
    _counted_cell(cursor, 13 if m.kind == 0x22 else cursor.left - 1 - m.body[cursor.at])
    _state(cursor, row)
    cursor.take(2)
    row["battery_v"] = cursor.uint(1) / 10
    row["gsm_signal"] = _signal(cursor.uint(1))
    row |= ALARMS.get(cursor.uint(1), {})


def _with_state(m: _Message) -> None:
    """0x16, 0x26, 0x27, 0x32, 0xA4: fix, cell with its length, state, battery, signal, alarm, language, zone."""
    cursor = Cursor(m.body)
    row = _fix(m, cursor)
    m.add(row)
    if m.kind == 0x16 and len(m.body) == 31:
        _cell(cursor)
        _state(cursor, row)
        row["battery_pct"], row["gsm_signal"] = _battery(cursor.uint(1)), _signal(cursor.uint(1))
        return
    if not cursor.left:
        return
    high = m.kind == 0x32 and len(m.body) == 36
    _counted_cell(cursor, 6 if m.kind in {0x27, 0xA4} else 7 if high else 5)
    _state(cursor, row)
    _levels(cursor, row)
    if high:
        cursor.take(1)
        row["altitude_m"] = cursor.int(2)


def _a2(m: _Message) -> None:
    """0xA2 of LW4G: fix, wide cell, network u8, state, volts u16, battery, signal, alarm, language, metres u32."""
    if len(m.body) != 0x3B:
        return
    cursor = Cursor(m.body)
    row = _fix(m, cursor)
    m.add(row)
    _cell(cursor, area=4, cell=8)
    cursor.take(1)
    _state(cursor, row)
    cursor.take(2)
    _levels(cursor, row)
    cursor.take(1)
    row["odometer_m"] = cursor.uint(4)


def _a3(m: _Message) -> None:
    """0xA3: a zone's alarm of GK310 (fix, zone u8, wide cell, state), or the state of two makers' trackers."""
    cursor = Cursor(m.body)
    if len(m.body) == 7:
        row: Row = {}
        _state(cursor, row)
    elif len(m.body) == 19:
        row = {"battery_pct": _battery(m.body[13])}
    else:
        row = _fix(m, cursor)
        m.add(row)
        cursor.take(1)
        _cell(cursor, area=4, cell=8)
        _state(cursor, row)
        _levels(cursor, row)
        return
    m.add(row)


def _heartbeat(m: _Message) -> None:
    """0x13: state, battery, signal, alarm, language; two makers' longer ones with temperature."""
    cursor, row = Cursor(m.body), Row()
    if len(m.body) == 16:
        row["battery_pct"] = _battery(m.body[5]) if m.body[5] > 6 else float(m.body[5])
        value = int.from_bytes(m.body[14:16], "big")
        row["temp_c"] = (value & 0x7FFF) * (0.1 if value & 0x8000 else -0.1)
    elif len(m.body) == 14:
        _state(cursor, row)
        signal = cursor.uint(2)
        row["satellites"] = (signal >> 10 & 31) + (signal >> 5 & 31)
        row |= ALARMS.get(cursor.uint(1), {})
        cursor.take(1)
        row["battery_pct"] = _battery(cursor.uint(1))
        if cursor.uint(1) == 4:
            cursor.take(5)
            row["temp_c"] = cursor.int(2) / 10
    else:
        _state(cursor, row)
        _levels(cursor, row)
    m.add(row)


def _heartbeat_2(m: _Message) -> None:
    """0x23: state, and volts u16, signal, language if they are there."""
    cursor, row = Cursor(m.body), Row()
    _state(cursor, row)
    if cursor.left >= 2:
        row["battery_v"] = cursor.uint(2) / 100
    if cursor.left:
        row["gsm_signal"] = _signal(cursor.uint(1))
    m.add(row)


def _state_36(m: _Message) -> None:
    """0x36: as 0x13, then values with number and length. Others call a photograph's parts so, which are longer."""
    if len(m.body) < 5:
        return
    cursor, row = Cursor(m.body), Row()
    _state(cursor, row)
    _levels(cursor, row)
    cursor.take(1)
    _modules(cursor, row)
    m.add(row)


def _cell_state(m: _Message) -> None:
    """0x19 and 0xA5: cell, state, battery, signal, alarm. 0x19 of more than 17 bytes holds many cells."""
    if m.kind == 0x19 and len(m.body) >= 18:
        return
    cursor, row = Cursor(m.body), Row()
    if m.kind == 0xA5:
        _cell(cursor, area=4, cell=8)
    else:
        _cell(cursor)
    _state(cursor, row)
    _levels(cursor, row)
    m.add(row)


def _mini(m: _Message) -> None:
    """0x24 of SR411: fix, cell, ignition, the vehicle's volts u16, battery's u16. Others send mobile cells so."""
    if len(m.body) != 41:
        return
    cursor = Cursor(m.body)
    row = _fix(m, cursor)
    m.add(row)
    _cell(cursor)
    row["ignition"] = cursor.uint(1) > 0
    cursor.take(2)
    row["battery_v"] = cursor.uint(2) / 100


def _x1(m: _Message) -> None:
    """0x34 of X1: data u32, fix, and much that has no unit. SL4X sends mobile cells so."""
    if len(m.body) < 40 or len(m.body) == 50:
        return
    m.add(_fix(m, Cursor(m.body, 4)))


def _ibutton(m: _Message) -> None:
    """0x61: IMEI, fix, cell, the key's number 6 bytes."""
    cursor = Cursor(m.body, 8)
    row = _fix(m, cursor)
    m.add(row)
    _cell(cursor, cell=4)
    row |= {"code": cursor.take(6).hex(), "symbology": "ibutton"}


def _bms(m: _Message) -> None:
    """0x40: a battery's own electronics: number 8 bytes, Unix time, charge %, …, mV."""
    cursor = Cursor(m.body, 8)
    row: Row = {"observed_us": cursor.uint(4) * 1_000_000, "battery_pct": _percent(cursor.uint(1))}
    cursor.take(10)
    row["battery_v"] = cursor.uint(2) / 1000
    m.add(row)


def _percent(value: int) -> float | None:
    return float(value) if value <= 100 else None


def _camera(m: _Message) -> None:
    """0x95: alarms of cameras: fix without speed, or time alone; event u8, data u16, file names."""
    cursor = Cursor(m.body)
    if m.body[:2] == b"\xff\xff":
        cursor.take(3)
        row = _fix(m, cursor, CAMERA_FIX)
        cursor.take(2)
        row |= CAMERA_ALARMS.get(cursor.uint(1), {})
    elif len(m.body) > 9:
        row = _fix(m, cursor, ALARM_FIX)
        row |= CAMERA_ALARMS.get(cursor.uint(1), {})
    else:
        row = {"observed_us": _time(m, cursor.take(6))}
        event = cursor.uint(1)
        if event == 1 or event not in CAMERA_ALARMS:
            return
        row |= CAMERA_ALARMS[event]
    m.add(row)


def _spoken(m: _Message) -> None:
    """0x15: length u8, the four bytes that the command had, text."""
    cursor = Cursor(m.body)
    size = cursor.uint(1)
    if size >= 4:
        _result(m, cursor.take(4), cursor.take(size - 4).decode("ascii", "replace"))


def _result(m: _Message, flag: bytes, text: str) -> None:
    command = flag.decode("ascii") if flag.isdigit() else ""
    text = text.strip("\0\r\n ")
    m.reading.results.append(Result(command, not _BAD.search(text), text[:200]))


def _spoken_long(m: _Message) -> None:
    """0x21: the four bytes that the command had, 1 for ASCII and 2 for UTF-16, text; which can be a position."""
    cursor = Cursor(m.body)
    flag, encoding = cursor.take(4), cursor.uint(1)
    text = cursor.rest().decode("ascii" if encoding == 1 else "utf-16-be", "replace")
    found = _PLACE.match(text)
    if found is None:
        _result(m, flag, text)
        return
    date = [int(found[i]) for i in range(7, 13)]
    course = decimal(found[5])
    m.add(
        {
            "observed_us": utc_us(date[0], date[1], date[2], date[3], date[4], date[5]),
            "lat_deg": decimal(found[2]) * (-1 if found[1] == "S" else 1),
            "lon_deg": decimal(found[4]) * (-1 if found[3] == "W" else 1),
            "fix_valid": True,
            "course_deg": course if course <= 360 else None,
            "speed_mps": decimal(found[6]) * KMH,
        }
    )


def _info(m: _Message) -> None:
    """0x94: part u8, then its data: doors, the terminal's numbers, tags that were read, climate."""
    cursor = Cursor(m.body)
    part = cursor.uint(1)
    if part == 0x05:
        row: Row = {}
        if cursor.left >= 7:
            row["observed_us"] = _time(m, cursor.take(6))
        m.add(row | {"door_open": cursor.uint(1) & 1 == 1})
    elif part == 0x0A and m.session.device_id is None and m.whole:
        imei = cursor.take(8).hex()
        m.session.device_id = imei[1:] if imei.isdigit() else None
    elif part == 0x1B:
        data = cursor.rest()
        text = data.decode("ascii", "replace").strip()
        code = text.removeprefix("RFID:") if data[:1].isalpha() else data[2:6].hex()
        if (code and text.isprintable()) or len(data) >= 6:
            m.add({"code": code[:64], "symbology": "rfid"})
    elif part == 0x1E:
        m.add(cursor.record(CLIMATE))


def _az735(m: _Message) -> None:
    """0x32 and 0x33: time, length of the fix (0 if there is none: then 0, 0, not valid, as this family has it), the fix."""
    if len(m.body) < 7:
        raise Undecodable("truncated", f"time and length are wanted, there are {len(m.body)} bytes")
    if m.body[6]:
        m.add(_fix(m, Cursor(m.body[:6] + m.body[7:])))
    else:
        time = _time(m, m.body[:6])
        m.add({"observed_us": time, "lat_deg": 0.0, "lon_deg": 0.0, "fix_valid": False})
    m.answer(m.kind, long=True)


def _bus(m: _Message) -> None:
    """0x8C: time, ignition, then the vehicle's bus in text."""
    cursor = Cursor(m.body)
    m.add({"observed_us": _time(m, cursor.take(6)), "ignition": cursor.uint(1) > 0})


def _modular(m: _Message) -> None:
    """0x70: modules with number u16 and length u16."""
    cursor, row = Cursor(m.body), Row()
    m.answer(m.kind)
    while cursor.left >= 4:
        number, size = cursor.uint(2), cursor.uint(2)
        data = cursor.take(size)
        if number == 0x2C and size == 4:
            row.setdefault("observed_us", int.from_bytes(data, "big") * 1_000_000)
        elif number == 0x33:
            row |= {k: v for k, v in _fix(m, Cursor(data), MODULE_FIX).items() if v is not None}
        elif number in MODULES:
            row |= MODULES[number](data)
    if row.keys() - {"observed_us"}:
        m.add(row)


def _tag_7f(data: bytes) -> Row:
    tag = TAG.read(data)
    return {"reader_id": tag["id"].hex(), "temp_c": tag["temp_c"], "humidity_pct": tag["humidity_pct"]}


MODULES: Final[Mapping[int, Callable[[bytes], Row]]] = {
    0x09: lambda data: {"satellites": data[0]},
    0x18: lambda data: {"battery_v": int.from_bytes(data[:2], "big") / 100},
    0x28: lambda data: {"hdop": data[0] / 10},
    0x2A: lambda data: {"door_open": data[0] & 15 > 0, "casing_open": data[0] >> 4 > 0},
    0x34: lambda data: MODULE_EVENTS.get(data[0], {}),
    0x7F: _tag_7f,
}


def _with_network(m: _Message) -> None:
    """0x38: fix, why it is sent, 1 if it was kept, kind of network, a cell as wide as that needs, its signal, modules."""
    cursor = Cursor(m.body)
    row = _fix(m, cursor)
    m.add(row)
    cursor.take(1)
    if cursor.uint(1) > 0:
        row["delayed"] = True
    if cursor.uint(1) >= 3:
        _cell(cursor, area=4, cell=10)
    else:
        _cell(cursor, cell=4)
    _modules(cursor, row)


SHORT: Final[Mapping[int, Callable[[_Message], None]]] = {
    **dict.fromkeys((0x10, 0x1A, 0x1E), _fixed),
    **dict.fromkeys((0x11, 0x12, 0x17, 0x22, 0x25, 0x2D, 0x31, 0x37, 0xA0), _with_cell),
    **dict.fromkeys((0x16, 0x26, 0x27, 0x32, 0xA4), _with_state),
    **dict.fromkeys((0x19, 0xA5), _cell_state),
    0x13: _heartbeat,
    0x15: _spoken,
    0x23: _heartbeat_2,
    0x24: _mini,
    0x34: _x1,
    0x36: _state_36,
    0x40: _bms,
    0x61: _ibutton,
    0x94: lambda _m: None,
    0x95: _camera,
    0xA2: _a2,
    0xA3: _a3,
}
LONG: Final[Mapping[int, Callable[[_Message], None]]] = {
    0x21: _spoken_long,
    0x32: _az735,
    0x33: _az735,
    0x38: _with_network,
    0x70: _modular,
    0x8C: _bus,
    0x94: _info,
}


def _report(row: Row, sequence: int) -> bytes:
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    t = utc_parts(row["observed_us"])
    flags = FLAGS.write({"valid": row.get("fix_valid", True), "north": lat >= 0, "west": lon < 0})
    fix = FIX.write(
        {
            "time": bytes([t.year % 100, t.month, t.day, t.hour, t.minute, t.second]),
            "satellites": 0xC0 | min(15, row.get("satellites", 0)),
            "lat": abs(lat),
            "lon": abs(lon),
            "speed_mps": min(row.get("speed_mps", 0.0), 255 * KMH),
            "flags": flags | round(row.get("course_deg", 0.0)),
        }
    )
    battery, signal = row.get("battery_pct"), row.get("gsm_signal")
    tail = (
        STATE.write({"ignition": row.get("ignition"), "charging": row.get("charging")})
        | (8 if row.get("vibration") else 0),
        0xFF if battery is None else round(battery * 6 / 100),
        0xFF if signal is None else round(signal / 25),
        1 if row.get("sos") else 0,
        2,
    )
    return _wrap(0x16, fix + b"\x09" + bytes(8) + bytes(tail), sequence & 0xFFFF)


def _sent(text: str, sequence: int) -> bytes:
    """0x80: length, four bytes that come back with the answer, text."""
    content = f"{sequence % 10_000:04d}{text}".encode("ascii")
    return _wrap(0x80, bytes([len(content)]) + content, sequence & 0xFFFF)


def _say(_device_id: str, parameters: Mapping[str, Any], sequence: int) -> bytes:
    text = parameters.get("text")
    if not isinstance(text, str) or not text.isascii() or not 1 <= len(text) <= 200:
        raise Undecodable("parameter", "text: up to 200 characters of ASCII")
    return _sent(text, sequence)


def _interval(_device_id: str, parameters: Mapping[str, Any], sequence: int) -> bytes:
    seconds = whole(parameters, "seconds", 5, 18_000)
    return _sent(f"TIMER,{seconds},{seconds}#", sequence)


PROTOCOL: Final = Protocol(
    name="gt06",
    title="GT06 trackers (Concox, Jimi, and their many variants)",
    document="Concox GPS Tracker Communication Protocol (GT06N/F/E V1.1.8, JM-VL03, JM-LL301)",
    family="tracker",
    decode=decode,
    split=_split,
    doors=("tcp", "udp"),
    port=5023,
    starts=re.compile(
        rb"xx[\x05-\xff][\x01\x10-\x1a\x1e\x22-\x2e\x31-\x37\x95\xa0-\xa7]|yy[\x00-\x0f].[\x21\x32\x33\x38\x70\x8c\x94]",
        re.DOTALL,
    ),
    max_frame=8192,
    simulation=Simulation(
        report=_report,
        hello=lambda device_id: _wrap(1, bytes.fromhex(device_id.rjust(16, "0")), 1),
        carries=frozenset(
            {"observed_us", "lat_deg", "lon_deg", "speed_mps", "course_deg", "fix_valid", "satellites"}
            | {"ignition", "charging", "vibration", "sos", "battery_pct", "gsm_signal"}
        ),
        resolution={"battery_pct": 9.0, "gsm_signal": 13.0},
    ),
    commands={
        "locate": Command(lambda _d, _p, s: _sent("WHERE#", s), "report where it is"),
        "interval": Command(_interval, "seconds between reports", {"seconds": "5 to 18000"}),
        "engine-stop": Command(lambda _d, _p, s: _sent("RELAY,1#", s), "cut fuel or power by the relay"),
        "engine-resume": Command(lambda _d, _p, s: _sent("RELAY,0#", s), "give fuel or power back"),
        "text": Command(_say, "a command in the maker's words", {"text": "for example STATUS#"}),
    },
    sequence_bits=16,
)
