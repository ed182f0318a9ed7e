"""JT/T 808, the Chinese standard for vehicle terminals, and the trackers, padlocks and e-seals that extend it.

Documents: JT/T 808-2011, -2013 and -2019 (headers, registration, locations, general replies, escaping, fragments);
makers' extensions of the location's attributes as public material has them: Jointech JT705 (messages 0x5501, 0x5502)
and JT709 (the lock's bits in the location's status, lock events 0x0B), AOVX, BSJ, Jimi, SeeWorld. Times of 0x0200 are
GMT+8 by the standard; times of 0x5501 are UTC.

A frame is escaped on the wire. A frame that is unescaped already is read too: length and check byte decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

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
from cocket.core.units import KMH, KNOT
from cocket.core.wire import (
    Bits,
    Cursor,
    Field,
    Record,
    bcd,
    digits,
    i16,
    pad,
    raw,
    u8,
    u16,
    u32,
    utc_parts,
    utc_us,
)

_EAST_MIN: Final = 480
_SHORT_SERIAL: Final = (0x5501, 0x5502)
_MOST_PARTS: Final = 64
"""Fragments of one message that are kept, each of at most 1023 bytes; one message a session."""

STATUS: Final = Bits(ignition=0, fixed=1, south=2, west=3)
"""0x0200, status word: table 25 of the 2013 standard."""

DOORS: Final = 0b11111 << 13
"""Front, middle and back door, the driver's, and one that the maker chooses: 1 is open."""

LOCK: Final = Bits(lbs=6, casing_open=7, rope_out=20, motor_open=21)
"""The status word's bits as Jointech's JT709 locks use them."""

ALARMS: Final = Bits(
    sos=0, battery_low=7, power_cut=8, vibration=15, tampered=16, dismantled=17, door_open=31
)
"""Table 24; 15 to 17 are the standard's spare bits as most makers use them."""

LOCK_ALARMS: Final = Bits(battery_low=7, casing_open=16, fence_entered=17, fence_left=18)
PADLOCK_ALARMS: Final = Bits(removed=0, casing_open=1, cut=4)
PADLOCKS: Final = frozenset({"G-360P", "G-508P"})

LOCATION: Final = Record(
    ">", u32("status"), u32("lat", 1e-6), u32("lon", 1e-6), i16("altitude_m"),
    u16("speed_mps", KMH / 10), u16("course_deg"), bcd("time", 6),
)  # fmt: skip
"""0x0200, behind the alarms u32."""
TAIL: Final = Record(">", pad(4), u32("odometer_m", 1000), u16("battery_v", 0.1), pad(8))
"""What an early maker sends instead of attributes."""

BINARY: Final = Record(
    ">", bcd("time", 6), bcd("lat", 4), raw("lon_flags", 5), raw("speed", 1), u8("course_deg", 2),
    u8("csq"), u8("satellites"), u32("odometer_m", 1000), u8("battery"), pad(6), u8("product"),
    u16("status"), u16("alarms"),
)  # fmt: skip
"""0x5501 and 0x5502: ddmmyyhhmmss, 1e-4 minutes, knots in two decimal digits; the half byte of flags is as in JT600."""
BINARY_FLAGS: Final = Bits(valid=0, north=1, east=2)
BINARY_STATUS: Final = Bits(casing_open=2, motor_open=4)
BINARY_ALARMS: Final = Bits(battery_low=1, vibration=2, fence_entered=5, fence_left=6)
_LOCK_PRODUCT: Final = 3
_CHARGING: Final = frozenset({0xAA, 0xAB})


def _signal(asu: int) -> int | None:
    """Per cent of 0 to 31 (3GPP TS 27.007, +CSQ); 99 is not known."""
    return round(asu * 100 / 31) if asu <= 31 else None


def _percent(value: int) -> float | None:
    return float(value) if value <= 100 else None


def _signed(value: int) -> float:
    """A sign in the highest bit, and the amount."""
    return -float(value & 0x7FFF) if value & 0x8000 else float(value)


SIGNAL: Final = Field("gsm_signal", "B", _signal, lambda pct: round(pct * 31 / 100), 99)
PERCENT: Final = Field("battery_pct", "B", _percent, round, 0xFF)

ATTRIBUTES: Final[Mapping[tuple[int, int], Record]] = {
    (0x01, 4): Record(">", u32("odometer_m", 100)),
    (0x06, 1): Record(">", PERCENT),
    (0x06, 2): Record(">", Field("temp_c", "H", _signed)),
    (0x30, 1): Record(">", SIGNAL),
    (0x31, 1): Record(">", u8("satellites")),
    (0x56, 2): Record(">", Field("battery_pct", "B", lambda tenths: _percent(tenths * 10)), pad(1)),
    (0x68, 2): Record(">", u16("battery_pct", 0.01)),
    (0x69, 2): Record(">", u16("battery_v", 0.01)),
    (0xAC, 4): Record(">", u32("odometer_m")),
    (0xD4, 1): Record(">", PERCENT),
    (0xD5, 2): Record(">", u16("battery_v", 0.01)),
    (0xE1, 1): Record(">", PERCENT),
    (0xE3, 4): Record(">", pad(2), u16("battery_v", 0.01)),
    (0xE3, 6): Record(">", pad(2), u16("battery_v", 0.01), pad(2)),
    (0xE4, 2): Record(">", Field("charging", "B", lambda v: v == 0), PERCENT),
    (0xE9, 1): Record(">", PERCENT),
    (0xEE, 6): Record(">", SIGNAL, pad(2), u16("battery_v", 0.001), u8("satellites")),
    (0xF7, 2): Record(">", u16("humidity_pct", 0.1)),
    (0xF7, 4): Record(">", u32("battery_v", 0.001)),
    (0xF7, 5): Record(">", u32("battery_v", 0.001), Field("charging", "B", lambda v: v in {2, 3})),
    (0xF7, 6): Record(
        ">", u32("battery_v", 0.001), Field("charging", "B", lambda v: v in {2, 3}), PERCENT
    ),
    (0xFE, 1): Record(">", PERCENT),
}  # fmt: skip
"""Attributes of a location by number and length, whose values are columns as they stand."""

_VERSION: Final = (0xF9, 2)
"""The attribute by which a JT709 lock is known: the version of its protocol."""

_HUB: Final = 0x66
"""Who sends this one, through which locks speak, uses the doors' bits for something else."""

NESTED: Final[Mapping[tuple[int, int], Record]] = {
    (0x002D, 2): Record(">", u16("battery_v", 0.001)),
    (0x00A8, 1): Record(">", PERCENT),
    (0x00E1, 1): Record(">", PERCENT),
}
"""0xEB of BSJ and SeeWorld: attributes inside an attribute."""

JIMI_ALARMS: Final[Mapping[int, Row]] = {
    0x0406: {"vibration": True},
    0x0408: {"fence_entered": True},
    0x0409: {"fence_left": True},
    0x040C: {"door_open": True},
    0x0C01: {"sos": True},
    0x0C03: {"ignition": True},
    0x0C04: {"ignition": False},
    0x0C0E: {"external_power": False},
    0x0C0F: {"battery_low": True},
    0x0C12: {"casing_open": True},
}
"""0xE8 of Jimi's cameras, in attributes of more than three bytes."""

VEHICLE_ALARMS: Final[Mapping[int, Row]] = {
    0x01: {"external_power": True},
    0x02: {"external_power": False},
    0x31: {"door_open": True},
    0x32: {"door_open": True},
}
"""0x0900, kind 0xF0, part 3."""

UNLOCKED_BY_PASSWORD: Final = frozenset({0x01, 0x02, 0x03, 0x05, 0x1E, 0x1F})
CARD_EVENTS: Final = frozenset({0x22, 0x23, 0x2A, 0x2B})
_FAILED: Final = 0xFF

ESCAPES: Final = {
    0x7E: {b"\x7d\x01": b"\x7d", b"\x7d\x02": b"\x7e"},
    0xE7: {b"\xe6\x01": b"\xe6", b"\xe6\x02": b"\xe7", b"\x3e\x01": b"\x3e", b"\x3e\x02": b"\x3d"},
}
"""What stands for what between two delimiters; 0xe7 is some makers' own."""
_ESCAPED: Final = {d: re.compile(b"|".join(map(re.escape, m))) for d, m in ESCAPES.items()}
_TO_ESCAPE: Final = {d: re.compile(b"|".join(map(re.escape, m.values()))) for d, m in ESCAPES.items()}
_AS_ESCAPED: Final = {d: {plain: escaped for escaped, plain in m.items()} for d, m in ESCAPES.items()}
_MARK: Final = re.compile(rb"[\x7e\xe7(]")

QUIET: Final = frozenset(
    {0x0002, 0x0003, 0x0104, 0x0105, 0x0108, 0x0107, 0x0109, 0x0302, 0x0303, 0x0506, 0x0608, 0x0700, 0x0705}
    | {0x0800, 0x0801, 0x0802, 0x0805, 0x0A00, 0x1007, 0x8888}
)
"""Messages that are answered and carry no observation for us."""
UNANSWERED: Final = frozenset({0x0001, 0x0201, 0x0500, 0x1300, 0x2070})
ANSWERS: Final = {0x8103: "interval", 0x8201: "locate", 0x8300: "text", 0x8900: "passthrough"}


class _Message:
    """An unescaped message: its header's fields, its body, and whether its check byte is right."""

    __slots__ = (
        "attributes", "body", "delimiter", "id", "kind", "part", "parts", "serial", "version", "whole",
    )  # fmt: skip

    def __init__(self, frame: bytes) -> None:
        self.delimiter = frame[0]
        inner, self.whole = _inner(frame)
        cursor = Cursor(inner, 0, len(inner) - 1)
        self.kind, self.attributes = cursor.uint(2), cursor.uint(2)
        self.version = cursor.uint(1) if self.attributes & 0x4000 else None
        self.id = cursor.take(_id_size(self.delimiter, self.attributes))
        self.serial = cursor.uint(1 if self.kind in _SHORT_SERIAL else 2)
        self.parts = self.part = 0
        if self.attributes & 0x2000 and self.kind not in _SHORT_SERIAL:
            self.parts, self.part = cursor.uint(2), cursor.uint(2)
        self.body = cursor.rest()

    def encrypted(self) -> bool:
        """Bits 10 to 12 tell of encryption, unless they belong to the length or the message is Jointech's."""
        told = self.attributes & 0x1C00 and self.kind not in _SHORT_SERIAL
        return bool(told) and len(self.body) == self.attributes & 0x3FF

    def reply(self, kind: int, body: bytes) -> bytes:
        return _wrap(self.delimiter, kind, self.version, self.id, self.serial.to_bytes(2, "big"), body)


def _id_size(delimiter: int, attributes: int) -> int:
    return 10 if attributes & 0x4000 else 7 if delimiter == 0xE7 else 6


def _xor(data: bytes) -> int:
    """All bytes, exclusive-or: the number is folded in the middle until one byte is left."""
    n = 1 << max(0, len(data) - 1).bit_length()
    value = int.from_bytes(data, "big")
    while n > 1:
        n >>= 1
        value = value >> 8 * n ^ value & (1 << 8 * n) - 1
    return value


def _fits(inner: bytes, delimiter: int) -> bool:
    """Whether the length is as the header says; some makers use the encryption's bits for long messages."""
    if len(inner) < 5:
        return False
    attributes = int.from_bytes(inner[2:4], "big")
    short = int.from_bytes(inner[:2], "big") in _SHORT_SERIAL
    head = 4 + _id_size(delimiter, attributes) + bool(attributes & 0x4000) + (1 if short else 2)
    head += 4 if attributes & 0x2000 and not short else 0
    return len(inner) - head - 1 in {attributes & 0x3FF, attributes & 0x1FFF}


def _inner(frame: bytes) -> tuple[bytes, bool]:
    """What stands between the delimiters, unescaped if it was escaped, and whether its length and check are right."""
    plain = frame[1:-1]
    pattern, meaning = _ESCAPED[frame[0]], ESCAPES[frame[0]]
    if pattern.search(plain) is None:
        return plain, _xor(plain) == 0 and _fits(plain, frame[0])
    unescaped = pattern.sub(lambda m: meaning[m[0]], plain)
    for candidate in (unescaped, plain):
        if _xor(candidate) == 0 and _fits(candidate, frame[0]):
            return candidate, True
    return (plain if _fits(plain, frame[0]) else unescaped), False


def _wrap(delimiter: int, kind: int, version: int | None, device: bytes, serial: bytes, body: bytes) -> bytes:
    attributes = len(body) | (0x4000 if version is not None else 0)
    inner = kind.to_bytes(2, "big") + attributes.to_bytes(2, "big")
    inner += (b"" if version is None else bytes([version])) + device + serial + body
    inner += bytes([_xor(inner)])
    escaped, mark = _AS_ESCAPED[delimiter], bytes([delimiter])
    return mark + _TO_ESCAPE[delimiter].sub(lambda m: escaped[m[0]], inner) + mark


def _split(buffer: bytes, at: int) -> Cut:
    """From a delimiter to the next; two in a row are an end and a beginning. Text messages stand in brackets."""
    first = buffer[at]
    if first in ESCAPES:
        end = buffer.find(first, at + 1)
        if end == at + 1:
            return at + 1, at + 1
        return None if end < 0 else (at, end + 1)
    if first == 0x28:
        end = buffer.find(b")", at)
        return None if end < 0 else (at, end + 1)
    found = _MARK.search(buffer, at)
    upto = len(buffer) if found is None else found.start()
    return upto, upto


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One frame. A wrong check byte or length is told, and what can be read is read, but not answered."""
    if frame[:1] == b"(":
        _text(frame, session, reading)
        return
    if len(frame) < 3 or frame[0] not in ESCAPES or frame[-1] != frame[0]:
        raise Undecodable("no-frame", "a frame begins and ends with 0x7e, or with 0xe7")
    message = _Message(frame)
    name = _name(message.id)
    if not message.whole and session.device_id not in {None, name}:
        raise Undecodable("checksum", "the check byte or the length is wrong, and another device is named")
    session.device_id = name
    if message.whole:
        _answer(message, session, reading)
        if message.encrypted():
            raise Undecodable("encrypted", "the body is encrypted")
    body = _assembled(message, session) if message.parts else message.body
    if body is not None:
        read = READERS.get(message.kind)
        if read is not None:
            read(message, Cursor(body), session, reading)
        elif message.kind not in QUIET and message.whole:
            raise Undecodable("unknown-type", f"a message 0x{message.kind:04x} is not known")
    if not message.whole:
        raise Undecodable("checksum", "the check byte or the length is wrong; what could be read was read")


def _name(device: bytes) -> str:
    """The terminal's number. Where it is no decimal number, it is the first 14 digits of an IMEI in binary."""
    text = device.hex()
    if not text.isdigit():
        if len(device) != 6:
            return text.lstrip("0")
        text = str(int.from_bytes(device, "big"))
        text += str(_luhn(text))
    return text.lstrip("0") or "0"


def _luhn(text: str) -> int:
    """The check digit of an IMEI (ISO/IEC 7812-1)."""
    doubled = sum(sum(divmod(2 * int(c), 10)) for c in text[::-1][::2])
    return -(doubled + sum(int(c) for c in text[::-1][1::2])) % 10


def _answer(message: _Message, session: Session, reading: Reading) -> None:
    kind = message.kind
    if kind == 0x0100:
        code = (session.device_id or "").encode()
        reading.replies.append(message.reply(0x8100, message.serial.to_bytes(2, "big") + b"\0" + code))
    elif kind in _SHORT_SERIAL:
        if message.attributes & 0x8000:
            body = kind.to_bytes(2, "big") + b"\0"
            reading.replies.append(_wrap(message.delimiter, 0x4401, None, message.id, b"\1", body))
    elif kind not in UNANSWERED:
        refused = kind not in READERS and kind not in QUIET
        result = b"\3" if refused else b"\0"
        reading.replies.append(
            message.reply(0x8001, message.serial.to_bytes(2, "big") + kind.to_bytes(2, "big") + result)
        )


def _assembled(message: _Message, session: Session) -> bytes | None:
    """The whole body of a message in fragments, once all are here. Fragments of one message are kept, no more."""
    if message.kind not in READERS:
        return None
    if not 0 < message.part <= message.parts <= _MOST_PARTS:
        raise Undecodable("length", f"part {message.part} of {message.parts}: 1 to {_MOST_PARTS} are read")
    first = (message.serial - message.part + 1) & 0xFFFF
    key = (message.kind, message.parts, first)
    if session.memory.get("key") != key:
        session.memory["key"], session.memory["parts"] = key, {}
    parts: dict[int, bytes] = session.memory["parts"]
    parts[message.part] = message.body[:4096]
    if len(parts) < message.parts:
        return None
    del session.memory["key"], session.memory["parts"]
    return b"".join(parts[n] for n in range(1, message.parts + 1))


def _register(message: _Message, cursor: Cursor, session: Session, _reading: Reading) -> None:
    """0x0100: only the terminal's model is of use, by which the padlocks are told apart."""
    cursor.take(4)
    maker, model = (11, 30) if message.version is not None else (5, 20)
    cursor.take(min(maker, cursor.left))
    _model(cursor.take(min(model, cursor.left)), session)


def _attributes(_message: _Message, cursor: Cursor, session: Session, _reading: Reading) -> None:
    """0x0107: kind u16, maker 5 bytes, model 20 bytes."""
    cursor.take(min(7, cursor.left))
    _model(cursor.take(min(20, cursor.left)), session)


def _model(text: bytes, session: Session) -> None:
    session.memory["model"] = text.partition(b"\0")[0].strip().decode("ascii", "replace")[:30]


def _authenticate(message: _Message, cursor: Cursor, session: Session, _reading: Reading) -> None:
    code = cursor.take(cursor.uint(1)) if message.version is not None else cursor.rest()
    session.secret = code.rstrip(b"\0").decode("utf-8", "replace")[:128] or None


def _heartbeat(_message: _Message, cursor: Cursor, session: Session, reading: Reading) -> None:
    if cursor.left == 3:
        state = Record(">", PERCENT, SIGNAL).read(cursor.take(2))
        reading.rows.append({"device_id": session.device_id, **state})


def _report(message: _Message, cursor: Cursor, session: Session, reading: Reading) -> None:
    row = _location(cursor, session)
    row["sequence"] = message.serial
    reading.rows.append(row)


def _queried(_message: _Message, cursor: Cursor, session: Session, reading: Reading) -> None:
    """0x0201, the answer to a query, and 0x0500, to a vehicle's control: our number, and a location."""
    cursor.take(2)
    reading.results.append(Result("locate" if _message.kind == 0x0201 else "", good=True))
    reading.rows.append(_location(cursor, session))


def _bulk(message: _Message, cursor: Cursor, session: Session, reading: Reading) -> None:
    """0x0704: number of locations u16, 1 if they were kept while there was no network, then each with its length u16."""
    cursor.take(2)
    kept = cursor.uint(1) > 0
    while cursor.left > 2:
        row = _location(Cursor(cursor.take(cursor.uint(2))), session)
        row["sequence"] = message.serial
        if kept:
            row["delayed"] = True
        reading.rows.append(row)


def _bulk_2(message: _Message, cursor: Cursor, session: Session, reading: Reading) -> None:
    """0x0210: locations, each with its length u8; of 7 bytes only battery and time."""
    if cursor.left == 7:
        state = Record(">", PERCENT, bcd("time", 6)).read(cursor.take(7))
        reading.rows.append({"battery_pct": state["battery_pct"], "observed_us": _time(state["time"])})
        return
    while cursor.left > 2:
        row = _location(Cursor(cursor.take(cursor.uint(1))), session)
        row["sequence"] = message.serial
        reading.rows.append(row)


def _location(cursor: Cursor, session: Session) -> Row:
    alarms, fix = cursor.uint(4), cursor.record(LOCATION)
    status = fix["status"]
    row = _place(fix) | {"ignition": status & 1 == 1}
    tail = cursor.rest()
    attributes = _list(tail)
    if len(tail) == TAIL.size and (tail[0] == 0 or sum(2 + size for _, size in attributes) != len(tail)):
        row |= TAIL.read(tail)
        attributes = {}
    firmware = next((v for (k, _n), v in attributes.items() if k == 0xF2), b"")
    if _VERSION in attributes:
        _lock(alarms, status, row)
    elif not firmware.startswith(b"AOVX"):
        _alarms(alarms, row, session)
        if status & DOORS and not any(number == _HUB for number, _size in attributes):
            row["door_open"] = True
    for (number, size), data in attributes.items():
        record = ATTRIBUTES.get((number, size))
        if record is not None:
            row |= {k: v for k, v in record.read(data).items() if v is not None}
        if number in SPECIAL:
            SPECIAL[number](data, row)
        elif firmware.startswith(b"AOVX") and number in AOVX:
            AOVX[number](data, row)
    return row


def _place(fix: Mapping[str, Any]) -> Row:
    status = STATUS.read(fix["status"])
    return {
        "observed_us": _time(fix["time"]) if "time" in fix else None,
        "lat_deg": -fix["lat"] if status["south"] else fix["lat"],
        "lon_deg": -fix["lon"] if status["west"] else fix["lon"],
        "fix_valid": status["fixed"],
        "altitude_m": fix.get("altitude_m"),
        "speed_mps": fix.get("speed_mps"),
        "course_deg": fix["course_deg"] if fix.get("course_deg", 999) <= 360 else None,
    }


def _time(text: str) -> int | None:
    """Yymmddhhmmss, GMT+8."""
    if not text.isdigit():
        return None
    n = [int(text[i : i + 2]) for i in range(0, 12, 2)]
    return utc_us(n[0], n[1], n[2], n[3], n[4], n[5], _EAST_MIN)


def _list(data: bytes) -> dict[tuple[int, int], bytes]:
    """The attributes by number and length. One that is longer than what is left ends the list."""
    found: dict[tuple[int, int], bytes] = {}
    at = 0
    while at + 2 <= len(data):
        number, size, value = data[at], data[at + 1], at + 2
        at = value + size
        if at > len(data):
            break
        found.setdefault((number, size), data[value:at])
    return found


def _alarms(alarms: int, row: Row, session: Session) -> None:
    if session.memory.get("model") in PADLOCKS:
        padlock = PADLOCK_ALARMS.read(alarms)
        if padlock["removed"] or padlock["cut"]:
            row["unlock_alarm"] = True
        if padlock["casing_open"]:
            row["casing_open"] = True
        return
    rings = ALARMS.read(alarms)
    row |= {name: True for name in ("sos", "battery_low", "vibration", "door_open") if rings[name]}
    if rings["power_cut"]:
        row["external_power"] = False
    if rings["tampered"] or rings["dismantled"]:
        row["casing_open"] = True


def _lock(alarms: int, status: int, row: Row) -> None:
    """A JT709 lock: motor, rope and cover stand in the status word, 1 is open."""
    lock = LOCK.read(status)
    del row["ignition"]
    row |= {
        "locked": not lock["motor_open"],
        "rope_inserted": not lock["rope_out"],
        "casing_open": lock["casing_open"],
        "fix_source": "cell" if lock["lbs"] and not row["fix_valid"] else "gnss",
    }
    row |= {name: True for name, rings in LOCK_ALARMS.read(alarms).items() if rings}


def _event(data: bytes, row: Row) -> None:
    """0x0B: kind u8; a password of six digits or a card u32; the result u8, 0xff is failed."""
    kind = data[0]
    if kind in UNLOCKED_BY_PASSWORD and len(data) >= 8:
        if data[7] != _FAILED:
            row["unlock_method"] = "password"
    elif kind in CARD_EVENTS and len(data) >= 5:
        card = int.from_bytes(data[1:5], "big")
        if card:
            row["card_id"] = f"{card:010d}"
        failed = len(data) > 5 and data[5] == _FAILED
        if kind == 0x22 and not failed:
            row["unlock_method"] = "card"
        elif kind in {0x22, 0x23}:
            row["card_refused"] = True


def _area(data: bytes, row: Row) -> None:
    """0x12: kind u8, area u32, 0 for entered and 1 for left."""
    if len(data) >= 6:
        row["fence_left" if data[5] else "fence_entered"] = True


def _voltage_text(data: bytes, row: Row) -> None:
    """0x33: ``*M00,45,11386…``: hundredths of volts behind the second comma's two digits."""
    if data.startswith(b"*M00") and data[10:13].isdigit():
        row["battery_v"] = int(data[10:13]) / 100


def _temperatures(data: bytes, row: Row) -> None:
    """0x51: eight sensors, tenths, 0xffff where there is none; the first that says something."""
    for i in range(0, len(data) - 1, 2):
        value = int.from_bytes(data[i : i + 2], "big")
        if value != 0xFFFF:
            row.setdefault("temp_c", _signed(value) / 10)


def _lock_event_60(data: bytes, row: Row) -> None:
    """0x60: event u16; 0x61 to 0x66 name a lock (7 bytes) and the card that was held to it, 8 digits."""
    if len(data) == 17 and 0x61 <= int.from_bytes(data[:2], "big") <= 0x66 and data[9:].isalnum():
        row["card_id"] = data[9:].decode("ascii")


def _locks_63(data: bytes, row: Row) -> None:
    """0x63: locks that speak through this one, 11 bytes each: number, mV, "1" if sealed. Open if one is open."""
    if len(data) >= 11:
        row["locked"] = all(data[i + 8] == 0x31 for i in range(0, len(data) - 10, 11))


def _locks_d5(data: bytes, row: Row) -> None:
    """0xD5: number of locks, each 13 bytes: number 5, card 5, battery %, status u16 with bit 5 for open."""
    locks = [data[i : i + 13] for i in range(1, len(data) - 12, 13)]
    if locks and len(locks) == data[0]:
        row["locked"] = not any(lock[12] & 0x20 for lock in locks)
        card = locks[0][5:10].hex()
        if len(locks) == 1 and card.strip("0"):
            row["card_id"] = card


def _charging(data: bytes, row: Row) -> None:
    """0xD4, 0xE1, 0xE9 of one byte: per cent, 0xff while it charges."""
    if data == b"\xff":
        row["charging"] = True


def _bit_alarms(data: bytes, row: Row) -> None:
    """0xE7 of eight bytes: bit 0 vibration, 1 to 3 the alarm button."""
    if len(data) == 8:
        bits = int.from_bytes(data[:2], "big")
        row |= {name: True for name, mask in (("vibration", 1), ("sos", 0b1110)) if bits & mask}


def _climate(data: bytes, row: Row) -> None:
    """0xE6: sensors of 11 bytes: number, address 6, temperature and humidity as whole i8 and 255ths u8; the first."""
    if len(data) >= 11 and len(data) % 11 == 0:
        for name, at in (("temp_c", 7), ("humidity_pct", 9)):
            whole = int.from_bytes(data[at : at + 1], "big", signed=True)
            row[name] = whole + (-data[at + 1] if whole < 0 else data[at + 1]) / 255


def _jimi(data: bytes, row: Row) -> None:
    if len(data) > 3:
        row |= JIMI_ALARMS.get(int.from_bytes(data[:2], "big"), {})


def _nested(data: bytes, row: Row) -> None:
    """0xEB: cells, a time zone, or attributes, each a length u16 (with its number) and a number u16."""
    cells = len(data) > 3 and int.from_bytes(data[:2], "big") > 200 and (len(data) - 3) % 5 == 0
    if cells or (data.isascii() and data.decode().isprintable()):
        return
    cursor = Cursor(data)
    while cursor.left >= 4:
        size, number = cursor.uint(2) - 2, cursor.uint(2)
        if not 0 <= size <= cursor.left:
            return
        value = cursor.take(size)
        record = NESTED.get((number, size))
        if record is not None:
            row |= {k: v for k, v in record.read(value).items() if v is not None}
        elif number == 0x0089 and size == 4 and not value[3] & 1:
            row["external_power"] = False
        elif number == 0x00C5 and size == 4 and not value[3] & 0x40:
            row["vibration"] = True
        elif number == 0x00C6 and size == 1 and value[0] in {3, 4}:
            row["battery_low"] = True


def _card(data: bytes, row: Row) -> None:
    text = data.strip(b"\0 ").decode("ascii", "replace")
    if text.isprintable() and text:
        row["card_id"] = text[:64]


def _user_status(data: bytes, row: Row) -> None:
    if len(data) == 4 and data[3] & 0x08:
        row["vibration"] = True


def _tamper(data: bytes, row: Row) -> None:
    """0xFE, mark 0x7C: list of alarms; number 1, bit 4: taken apart."""
    if data[:1] == b"\x7c" and data[1:3] == b"\x01\x04" and len(data) >= 7 and data[6] & 0x10:
        row["casing_open"] = True


SPECIAL: Final[Mapping[int, Callable[[bytes, Row], None]]] = {
    0x0B: _event,
    0x12: _area,
    0x33: _voltage_text,
    0x51: _temperatures,
    0x60: _lock_event_60,
    0x63: _locks_63,
    0xD0: _user_status,
    0xD4: _charging,
    0xD5: _locks_d5,
    0xE1: _charging,
    0xE6: _climate,
    0xE7: _bit_alarms,
    0xE8: _jimi,
    0xE9: _charging,
    0xEB: _nested,
    0xED: _card,
    0xFE: _tamper,
}


def _aovx_sensors(data: bytes, row: Row) -> None:
    """0xF6: event u8, mask u8; bit 0 light u16, bit 1 temperature i16 in tenths, bit 2 humidity likewise."""
    cursor = Cursor(data, 1)
    mask = cursor.uint(1)
    if mask & 1:
        cursor.take(2)
    for bit, name in ((2, "temp_c"), (4, "humidity_pct")):
        if mask & bit:
            row[name] = cursor.int(2) / 10


def _aovx_fix(data: bytes, row: Row) -> None:
    """0xF9: mask u16; bits 0 and 1 four bytes each, bit 2 HDOP in tenths."""
    mask = int.from_bytes(data[:2], "big")
    at = 2 + 4 * (mask & 1) + 2 * (mask & 2)
    if mask & 4 and len(data) >= at + 2:
        row["hdop"] = int.from_bytes(data[at : at + 2], "big") / 10


AOVX: Final[Mapping[int, Callable[[bytes, Row], None]]] = {0xF6: _aovx_sensors, 0xF9: _aovx_fix}


def _binary(message: _Message, cursor: Cursor, _session: Session, reading: Reading) -> None:
    """0x5501, and 0x5502 for what was kept: the JT705's report, then attributes."""
    m = cursor.record(BINARY)
    lon_flags = m["lon_flags"].hex()
    flags = BINARY_FLAGS.read(int(lon_flags[9], 16))
    lat, lon = _angle(m["lat"]), _angle(lon_flags[:9])
    t = digits(m["time"])
    when = [t // 100**i % 100 for i in range(6)]  # second, minute, hour, year, month, day
    row: Row = {
        "observed_us": utc_us(when[3], when[4], when[5], when[2], when[1], when[0]),
        "lat_deg": lat if flags["north"] else -lat,
        "lon_deg": lon if flags["east"] else -lon,
        "fix_valid": message.kind == 0x5501,
        "speed_mps": ((m["speed"][0] >> 4) * 10 + (m["speed"][0] & 15)) * KNOT,
        "course_deg": m["course_deg"] if m["course_deg"] <= 360 else None,
        "gsm_signal": _signal(m["csq"]),
        "satellites": m["satellites"],
        "odometer_m": m["odometer_m"],
    }
    if message.kind == 0x5502:
        row["delayed"] = True
    if m["battery"] in _CHARGING:
        row["charging"] = True
    else:
        row["battery_pct"] = _percent(m["battery"])
    if m["product"] == _LOCK_PRODUCT:
        lock = BINARY_STATUS.read(m["status"])
        row |= {"locked": not lock["motor_open"], "casing_open": lock["casing_open"]}
        row |= {name: True for name, rings in BINARY_ALARMS.read(m["alarms"]).items() if rings}
    elif m["product"] in {1, 2} and m["alarms"] & 1:
        row["battery_low"] = True
    for (number, size), data in _list(cursor.rest()).items():
        if number == 0x02 and size == 2:
            row["altitude_m"] = int.from_bytes(data, "big", signed=True)
        elif number == 0x0B and data:
            _event(data, row)
    reading.rows.append(row)


def _angle(text: str) -> float:
    degrees, minutes = divmod(digits(text), 1_000_000)
    return degrees + minutes / 600_000


def _identity(_message: _Message, cursor: Cursor, _session: Session, reading: Reading) -> None:
    """0x0702: a card put in (1) or taken out (2); time, whether it was accepted, a name, the card's number 20 bytes."""
    put_in, time = cursor.uint(1) == 1, _time(cursor.take(6).hex())
    if not put_in or not cursor.left:
        return
    row: Row = {"observed_us": time}
    if cursor.uint(1) == 1:
        row["card_refused"] = True
    cursor.take(cursor.uint(1))
    _card(cursor.take(min(20, cursor.left)), row)
    reading.rows.append(row)


def _transparent(message: _Message, cursor: Cursor, session: Session, reading: Reading) -> None:
    """0x0900: kind u8, then whatever the maker puts there."""
    kind = cursor.uint(1)
    if kind == 0xF0:
        _vehicle(cursor, session, reading)
    elif kind == 0xFF:
        time = _time(cursor.take(6).hex())
        fix = cursor.record(RAW_FIX)
        row = {**fix, "observed_us": time, "fix_valid": True}
        if fix["course_deg"] > 360:
            del row["course_deg"]
        reading.rows.append(row)
    elif kind in {0x53, 0x54}:
        row = _place(cursor.record(LOCATION))
        if kind == 0x54:
            _samples(cursor, row)
        row["sequence"] = message.serial
        reading.rows.append(row)


RAW_FIX: Final = Record(
    ">", Field("lat_deg", "i", lambda v: v / 1e6), Field("lon_deg", "i", lambda v: v / 1e6),
    i16("altitude_m"), u16("speed_mps", KMH / 10), u16("course_deg"),
)  # fmt: skip
PLACE: Final = Record(">", u32("status"), u32("lat", 1e-6), u32("lon", 1e-6))


def _samples(cursor: Cursor, row: Row) -> None:
    """0x54: samples of mask u16, time 6 bytes, and what the mask names; the last counts."""
    while cursor.left > 2:
        mask = cursor.uint(2)
        cursor.take(6 + (2 if mask & 1 else 0))
        if mask & 2:
            row["temp_c"], row["humidity_pct"] = cursor.int(2) / 10, cursor.int(2) / 10
        cursor.take((2 if mask & 4 else 0) + (6 if mask & 8 else 0) + (2 if mask & 16 else 0))


def _vehicle(cursor: Cursor, _session: Session, reading: Reading) -> None:
    """0xF0: time, 1 if kept, kind of vehicle, part; parts 1 to 3 end with status and position."""
    time = _time(cursor.take(6).hex())
    kept = cursor.uint(1) > 0
    cursor.take(1)
    part = cursor.uint(1)
    row: Row = {"observed_us": time}
    if kept:
        row["delayed"] = True
    if part in {1, 3}:
        for _ in range(cursor.uint(1)):
            number = cursor.uint(2 if part == 1 else 1)
            value = cursor.take(cursor.uint(1))
            if part == 3:
                row |= VEHICLE_ALARMS.get(number, {})
            elif number in {0x0102, 0x0528, 0x0546} and len(value) == 4:
                row["odometer_m"] = int.from_bytes(value, "big") * 100.0
    elif part == 2:
        for _ in range(cursor.uint(2)):
            cursor.take(4)
            for _ in range(cursor.uint(2)):
                cursor.take(8)
                cursor.take(cursor.uint(2))
    else:
        return
    fix = cursor.record(PLACE)
    place = {k: v for k, v in _place(fix).items() if v is not None}
    reading.rows.append(place | {"ignition": fix["status"] & 1 == 1} | row)


def _general_answer(_message: _Message, cursor: Cursor, _session: Session, reading: Reading) -> None:
    """0x0001: our number, our message, 0 for done."""
    cursor.take(2)
    kind, result = cursor.uint(2), cursor.uint(1)
    reading.results.append(Result(ANSWERS.get(kind, ""), result == 0, f"0x{kind:04x}: {result}"))


def _spoken_answer(message: _Message, cursor: Cursor, _session: Session, reading: Reading) -> None:
    """0x1300 (number u16, UTF-16), 0x6006 (encoding u8, GBK), 0x0701 (length u32, ASCII): what the terminal says."""
    if message.kind == 0x1300:
        cursor.take(2)
        text = cursor.rest().decode("utf-16-be", "replace")
    elif message.kind == 0x6006:
        cursor.take(1)
        text = cursor.rest().decode("gbk", "replace")
    else:
        text = cursor.take(min(cursor.uint(4), cursor.left)).decode("ascii", "replace")
    reading.results.append(Result("text", not _BAD.search(text), text.strip()[:200]))


_BAD: Final = re.compile(r"\b(err|error|fail|failed|invalid)\b", re.IGNORECASE)


def _text(frame: bytes, session: Session, reading: Reading) -> None:
    """``(device,1,001,ELOCK,3,…)``: Jointech's answers. ``BASE,2,TIME`` asks for the time, which we do not give here."""
    parts = frame.decode("ascii").strip().removeprefix("(").removesuffix(")").split(",")
    if len(parts) < 4:
        raise Undecodable("truncated", "a text message is (device,1,number,word,…)")
    session.device_id = str(digits(parts[0]))
    if parts[3] != "BASE":
        text = ",".join(parts[3:])
        reading.results.append(Result(parts[3][:32], not _BAD.search(text), text[:200]))


READERS: Final[Mapping[int, Callable[[_Message, Cursor, Session, Reading], None]]] = {
    0x0001: _general_answer,
    0x0002: _heartbeat,
    0x0100: _register,
    0x0102: _authenticate,
    0x0107: _attributes,
    0x0200: _report,
    0x0201: _queried,
    0x0210: _bulk_2,
    0x0500: _queried,
    0x0701: _spoken_answer,
    0x0702: _identity,
    0x0704: _bulk,
    0x0900: _transparent,
    0x1300: _spoken_answer,
    0x2070: lambda _message, _cursor, _session, _reading: None,
    0x5501: _binary,
    0x5502: _binary,
    0x6006: _spoken_answer,
}


SIMULATED: Final = {
    (0x01, 4): "odometer_m", (0x30, 1): "gsm_signal", (0x31, 1): "satellites", (0xD4, 1): "battery_pct",
    (0xD5, 2): "battery_v", (0xF7, 2): "humidity_pct",
}  # fmt: skip
_CARRIED: Final = (
    "observed_us", "lat_deg", "lon_deg", "altitude_m", "speed_mps", "course_deg", "fix_valid", "locked",
    "rope_inserted", "casing_open", "battery_low", "fence_entered", "fence_left",
)  # fmt: skip


def _simulated(row: Row, sequence: int) -> bytes:
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    status = STATUS.write({"fixed": row.get("fix_valid", True), "south": lat < 0, "west": lon < 0})
    lock = {
        "motor_open": not row.get("locked", True),
        "rope_out": not row.get("rope_inserted", True),
        "casing_open": row.get("casing_open"),
    }
    alarms = {name: row.get(name) for name in LOCK_ALARMS.bits if name != "casing_open"}
    time = utc_parts(row["observed_us"], _EAST_MIN).strftime("%y%m%d%H%M%S")
    word = status | LOCK.write(lock)
    body = LOCK_ALARMS.write(alarms).to_bytes(4, "big")
    body += LOCATION.write({**row, "status": word, "lat": abs(lat), "lon": abs(lon), "time": time})
    for key, column in SIMULATED.items():
        if row.get(column) is not None:
            body += bytes(key) + ATTRIBUTES[key].write(row)
    body += bytes(_VERSION) + b"\0\7"
    serial = (sequence & 0xFFFF).to_bytes(2, "big")
    return _wrap(0x7E, 0x0200, None, _number(str(row["device_id"])), serial, body)


def _hello(device_id: str) -> bytes:
    return _wrap(0x7E, 0x0102, None, _number(device_id), b"\0\0", device_id.encode())


def _number(device_id: str) -> bytes:
    """The terminal's number as it stands in the header: up to 12 digits, or an IMEI in binary without its last digit."""
    if len(device_id) <= 12:
        return bytes.fromhex(f"{digits(device_id):012d}")
    if len(device_id) != 15:
        raise Undecodable("parameter", "version: a number of this length wants version 2019")
    return digits(device_id[:14]).to_bytes(6, "big")


def _sent(kind: int, body: bytes, device_id: str, parameters: Mapping[str, Any], sequence: int) -> bytes:
    version = str(parameters.get("version", "2013"))
    if version not in {"2013", "2019"}:
        raise Undecodable("parameter", "version: 2013 or 2019")
    new = version == "2019"
    device = bytes.fromhex(f"{digits(device_id):020d}") if new else _number(device_id)
    serial = (sequence & 0xFFFF).to_bytes(2, "big")
    return _wrap(0x7E, kind, 1 if new else None, device, serial, body)


def _doors(device_id: str, parameters: Mapping[str, Any], sequence: int, *, close: bool) -> bytes:
    """0x8500: in 2013 a byte whose bit 0 is 1 to lock; in 2019 a list of one control, number 1, 0 to lock."""
    if str(parameters.get("version")) == "2019":
        body = b"\0\1\0\1" + (b"\0" if close else b"\1")
    else:
        body = b"\1" if close else b"\0"
    return _sent(0x8500, body, device_id, parameters, sequence)


def _interval(device_id: str, parameters: Mapping[str, Any], sequence: int) -> bytes:
    """0x8103, parameter 0x0029: seconds between reports."""
    seconds = whole(parameters, "seconds", 1, 86_400)
    body = b"\1\0\0\0\x29\4" + seconds.to_bytes(4, "big")
    return _sent(0x8103, body, device_id, parameters, sequence)


def _say(device_id: str, parameters: Mapping[str, Any], sequence: int) -> bytes:
    """0x8300: flags, then text in GBK."""
    text = parameters.get("text")
    if not isinstance(text, str) or not 1 <= len(text.encode("gbk", "replace")) <= 1000:
        raise Undecodable("parameter", "text: up to 1000 bytes of text")
    return _sent(0x8300, b"\1" + text.encode("gbk", "replace"), device_id, parameters, sequence)


def _passthrough(device_id: str, parameters: Mapping[str, Any], sequence: int) -> bytes:
    """0x8900: kind u8, then bytes that the terminal hands on."""
    kind, data = whole(parameters, "kind", 0, 255), parameters.get("data")
    if not isinstance(data, str) or not re.fullmatch(r"(?:[0-9A-Fa-f]{2}){1,1000}", data):
        raise Undecodable("parameter", "data: up to 1000 bytes as hexadecimal digits")
    return _sent(0x8900, bytes([kind]) + bytes.fromhex(data), device_id, parameters, sequence)


_VERSIONS: Final = {"version": "2013 (the default) or 2019: the standard that the terminal's header follows"}

PROTOCOL: Final = Protocol(
    name="jt808",
    title="JT/T 808 trackers, padlocks and e-seals (also Jointech JT705 and JT709)",
    document="JT/T 808-2013 and -2019; Jointech's lock bits and events; attributes of AOVX, BSJ, Jimi, SeeWorld",
    family="seal",
    decode=decode,
    split=_split,
    doors=("tcp", "udp"),
    port=5015,
    starts=re.compile(
        rb"[\x7e\xe7](\x00[\x01-\x03]|\x01[\x00-\x09]|\x02[\x00\x01\x10]|\x07[\x00-\x05]|[\x08\x09]\x00|\x10\x07"
        rb"|\x55[\x01\x02]|\x60\x06)|\(\d{6,15},1,\d{3},(BASE|ELOCK)"
    ),
    max_frame=8192,
    simulation=Simulation(
        report=_simulated,
        hello=_hello,
        carries=frozenset({*_CARRIED, *SIMULATED.values()}),
        resolution={"gsm_signal": 2.0, "odometer_m": 51.0},
        device_id=lambda n: str(40_000_000_000 + n),
    ),
    commands={
        "lock": Command(lambda d, p, s: _doors(d, p, s, close=True), "lock", _VERSIONS),
        "unlock": Command(lambda d, p, s: _doors(d, p, s, close=False), "unlock", _VERSIONS),
        "locate": Command(lambda d, p, s: _sent(0x8201, b"", d, p, s), "report where it is", _VERSIONS),
        "interval": Command(_interval, "seconds between reports", {"seconds": "1 to 86400", **_VERSIONS}),
        "text": Command(
            _say, "a text, which many terminals read as a command", {"text": "the text", **_VERSIONS}
        ),
        "passthrough": Command(
            _passthrough,
            "bytes to what hangs on the terminal",
            {"kind": "0 to 255", "data": "hex", **_VERSIONS},
        ),
    },
    sequence_bits=16,
)
