"""Galileosky trackers: packets of tags, the first ones with the device's identity, archives with many records, pictures,
compressed packets, and the messages that the Iridium network hands over.

Documents: Galileosky, protocol of data exchange with the server (tags, their lengths, extended tags), revision of 2023;
Iridium, Short Burst Data Developers Guide (DirectIP, mobile-originated information elements).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from fastcrc import crc16

from cocket.core.framing import by_start, counted
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
)
from cocket.core.units import KMH
from cocket.core.wire import Bits, Cursor, Record, i8, i16, i32, pad, raw, u8, u16, u32, utc_parts, utc_us

DATA, ANSWER, PICTURE, COMPRESSED = 0x01, 0x02, 0x07, 0x08

PLAIN: Final = {
    0x10: Record("<", u16("sequence")),
    0x11: Record("<", u32("sequence")),
    0x34: Record("<", i16("altitude_m")),
    0x42: Record("<", u16("battery_v", 0.001)),
    0xD4: Record("<", u32("odometer_m")),
}
"""Tags that are one column each."""
CLOCK: Final = Record("<", u32("s"))
PLACE: Final = Record("<", u8("state"), i32("lat_deg", 1e-6), i32("lon_deg", 1e-6))
"""``state``: low half byte satellites, high half byte 0 where the position is right, 2 where it comes from cells."""
FROM_CELLS: Final = 2
MOTION: Final = Record("<", u16("kmh", 0.1), u16("course_deg", 0.1))
STATUS: Final = Record("<", u16("bits"))
STATUS_BITS: Final = Bits(battery_low=5, ignition=9)
"""Of tag 40; ``battery_low``: the internal battery is below 3.7 V."""
JAMMED: Final = 1 << 2 | 1 << 4
"""Of tag 48, the expanded status: the mobile network (bit 2) or the receiver (bit 4) is jammed."""
SUPPLY: Final = Record("<", u16("v", 0.001))
_LEAST_SUPPLY_V: Final = 1.0
THERMOMETER: Final = Record("<", u8("id"), i8("temp_c"))
CLIMATE: Final = Record("<", u8("id"), i8("temp_c"), u8("humidity_pct", 100 / 255))
FINE_THERMOMETER: Final = Record("<", u16("id"), i16("temp_c", 1 / 256))
NO_PROBE: Final = (127, -128)
"""Number and °C of a thermometer that is not there."""
COMMAND: Final = Record(
    "<",
    u8("tag"),
    raw("imei", 15),
    u8("tag4"),
    u16("device"),
    u8("tag_e0"),
    u32("number"),
    u8("tag_e1"),
    u8("size"),
)

IRIDIUM: Final = b"\x01\x00\x1c"
"""What a message of the Iridium network has at byte 3: its first element, 28 bytes about the session."""
IRIDIUM_SESSION: Final = Record(">", pad(4), raw("imei", 15), pad(5), u32("s"))
IRIDIUM_PLACE: Final = Record(
    ">", u8("flags"), u8("lat"), u16("lat_min", 0.001), u8("lon"), u16("lon_min", 0.001), pad(4)
)
IRIDIUM_SIDES: Final = Bits(west=0, south=1)

IMEI, DEVICE, COMMAND_NUMBER, COMMAND_TEXT, EXTENDED = 0x03, 0x04, 0xE0, 0xE1, 0xFE
LEAST_SET: Final = 10
"""Bytes at the beginning of a compressed record: from the highest bit one that is spare, 25 of seconds since the year began,
one that is set where the position is wrong, 22 of longitude, 21 of latitude, one of alarm, nine that are the user's."""


def _lengths(table: dict[int, str]) -> dict[int, int]:
    """Bytes by tag, of "01-02 35" by bytes."""
    out: dict[int, int] = {}
    for n, ranges in table.items():
        for part in ranges.split():
            first, _, last = part.partition("-")
            out.update(dict.fromkeys(range(int(first, 16), int(last or first, 16) + 1), n))
    return out


LENGTHS: Final = _lengths(
    {
        1: "01-02 35-36 43 49 88-8c a0-af c4-d2 d5",
        2: "04 10 21 34 40-42 45-46 48 50-59 60-62 70-7d b0-b9 d6-da",
        3: "5d 63-6f 80-87 fa",
        4: "11 20 33 44 47 5a 90 c0-c3 d3-d4 db-df e0 e2-e9 f0-f9",
        7: "5b",
        8: "fd",
        9: "30",
        15: "03",
        68: "5c",
    }
)
COUNTED: Final = frozenset({COMMAND_TEXT, 0xEA})
"""Tags whose first byte is their length; the extended ones (FE) have two bytes of it."""
EXTENDED_LENGTHS: Final = _lengths(
    {
        1: "85 93 a4-a8 b0-b2 fc",
        2: "81-84",
        3: "d9-fa",
        4: "01-80 86-91 a9 ac",
        6: "ad-ae b4-b6",
        8: "fd-fe",
        12: "ab b3",
        14: "af",
        15: "92",
        20: "94",
    }
)


def _split(buffer: bytes, at: int) -> Cut:
    """``01`` and ``08`` have an archive flag in the highest bit of their length; Iridium's length is big-endian."""
    if len(buffer) < at + 3:
        return None
    size = (int.from_bytes(buffer[at + 1 : at + 3], "little") & 0x7FFF) + 5
    if len(buffer) < at + min(size, 6):
        return None
    if buffer[at] == DATA and buffer[at + 3 : at + 6] == IRIDIUM:
        size = int.from_bytes(buffer[at + 1 : at + 3], "big") + 3
    return (at, at + size) if len(buffer) >= at + size else None


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One packet."""
    kind = frame[0] if frame else 0
    if kind not in {DATA, PICTURE, COMPRESSED}:
        raise Undecodable("no-frame", "a packet begins with 01, 07 or 08")
    if kind == DATA and frame[3:6] == IRIDIUM:
        _iridium(frame, session, reading)
        return
    size = int.from_bytes(frame[1:3], "little") & 0x7FFF
    if len(frame) != size + 5:
        raise Undecodable("truncated", f"the packet says {size + 5} bytes, it has {len(frame)}")
    checksum = int.from_bytes(frame[-2:], "little")
    cursor = Cursor(frame, 3, len(frame) - 2)
    if kind == DATA:
        _records(cursor, session, reading, reading.rows)
    elif kind == COMPRESSED:
        _compressed(cursor, session, reading, reading.rows, session.memory.get("near_us"))
    if crc16.modbus(frame[:-2]) != checksum:
        raise Undecodable(
            "checksum", f"the packet sums to {crc16.modbus(frame[:-2]):04x}, it says {checksum:04x}"
        )
    answer = PICTURE if kind == PICTURE else ANSWER
    reading.replies.append(bytes([answer]) + frame[-2:])


def _records(cursor: Cursor, session: Session, reading: Reading, rows: list[Row]) -> None:
    """Records follow one another without a mark: a tag that comes again begins the next."""
    row: Row = {}
    seen: set[int] = set()
    try:
        while cursor.left:
            tag = cursor.uint(1)
            if tag in seen:
                _keep(row, rows)
                row, seen = {}, set()
            seen.add(tag)
            _tag(tag, _value(cursor, tag), row, session, reading)
    finally:
        _keep(row, rows)


def _keep(row: Row, rows: list[Row]) -> None:
    """A record with a position, or with a time and something to say of it."""
    if "lat_deg" in row or ("observed_us" in row and row.keys() - {"observed_us", "sequence"}):
        rows.append(row)


def _compressed(
    cursor: Cursor, session: Session, reading: Reading, rows: list[Row], near_us: int | None
) -> None:
    """Records that begin with the least set; then how many tags there are, which ones, and their values."""
    while cursor.left:
        bits = int.from_bytes(cursor.take(LEAST_SET), "big")
        row: Row = {
            "observed_us": _in_year(bits >> 54 & 0x1FF_FFFF, near_us),
            "lat_deg": (bits >> 10 & 0x1F_FFFF) * 180 / (1 << 21) - 90,
            "lon_deg": (bits >> 31 & 0x3F_FFFF) * 360 / (1 << 22) - 180,
            "fix_valid": not bits >> 53 & 1,
            "fix_source": "gnss",
        }
        rows.append(row)
        for tag in cursor.take(cursor.uint(1)):
            _tag(tag, _value(cursor, tag), row, session, reading)


def _in_year(seconds: int, near_us: int | None) -> int | None:
    """The moment so many seconds behind a New Year that is nearest to ``near_us``; None where no year is known."""
    if near_us is None:
        return None
    year = utc_parts(near_us).year
    begins = (utc_us(y, 1, 1, 0, 0, 0) for y in (year - 1, year, year + 1))
    return min((b + seconds * 1_000_000 for b in begins if b is not None), key=lambda us: abs(us - near_us))


def _iridium(frame: bytes, session: Session, reading: Reading) -> None:
    """A message as the gateway of the satellites hands it over: session, rough place, and the device's own bytes."""
    size = int.from_bytes(frame[1:3], "big")
    if len(frame) != size + 3:
        raise Undecodable("truncated", f"the message says {size + 3} bytes, it has {len(frame)}")
    cursor, rough, data = Cursor(frame, 3), Row(), b""
    while cursor.left:
        kind, body = cursor.uint(1), cursor.take(cursor.uint(2))
        if kind == 1:
            head = IRIDIUM_SESSION.read(body)
            session.device_id = head["imei"].decode("ascii").strip("\0 ")
            rough["observed_us"] = head["s"] * 1_000_000
        elif kind == 2:
            data = body
        elif kind == 3:
            place = IRIDIUM_PLACE.read(body)
            side = IRIDIUM_SIDES.read(place["flags"])
            lat, lon = place["lat"] + place["lat_min"] / 60, place["lon"] + place["lon_min"] / 60
            rough["lat_deg"] = -lat if side["south"] else lat
            rough["lon_deg"] = -lon if side["west"] else lon
            rough["fix_valid"] = False
    rows: list[Row] = []
    try:
        if _are_tags(data):
            _records(Cursor(data), session, reading, rows)
        else:
            _compressed(Cursor(data), session, reading, rows, rough.get("observed_us"))
    finally:
        if rough and not rows:
            rows.append({})
        reading.rows += [rough | row for row in rows]


def _are_tags(data: bytes) -> bool:
    """Whether bytes are tags from end to end."""
    cursor = Cursor(data)
    try:
        while cursor.left:
            _value(cursor, cursor.uint(1))
    except Undecodable:
        return False
    return True


def _value(cursor: Cursor, tag: int) -> bytes:
    size = LENGTHS.get(tag)
    if size is None:
        if tag == EXTENDED:
            size = cursor.uint(2, "little")
        elif tag in COUNTED:
            size = cursor.uint(1)
        else:
            raise Undecodable("unknown-tag", f"tag {tag:02x} is not known, and so not its length")
    return cursor.take(size)


def _tag(tag: int, data: bytes, row: Row, session: Session, reading: Reading) -> None:
    if tag in PLAIN:
        row |= PLAIN[tag].read(data)
    elif tag in TAGS:
        TAGS[tag](data, row)
    elif tag == 0x20:
        row["observed_us"] = session.memory["near_us"] = CLOCK.read(data)["s"] * 1_000_000
    elif tag == IMEI:
        session.device_id = data.decode("ascii").strip("\0 ")
    elif tag == COMMAND_TEXT:
        reading.results.append(Result("", good=True, text=data.decode("cp1251", "replace")[:200]))


def _place(data: bytes, row: Row) -> None:
    place = PLACE.read(data)
    state = place.pop("state")
    from_cells = state >> 4 == FROM_CELLS
    row |= place | {"fix_valid": state >> 4 == 0, "fix_source": "cell" if from_cells else "gnss"}
    if not from_cells:
        row["satellites"] = state & 0x0F


def _milliseconds(data: bytes, row: Row) -> None:
    if row.get("observed_us") is not None:
        row["observed_us"] += min(int.from_bytes(data, "little"), 999) * 1000


def _motion(data: bytes, row: Row) -> None:
    motion = MOTION.read(data)
    row |= {"speed_mps": motion["kmh"] * KMH, "course_deg": motion["course_deg"]}


def _accuracy(data: bytes, row: Row) -> None:
    """HDOP; of a position from cells it is an error in tens of metres."""
    if row.get("fix_source") != "cell":
        row["hdop"] = data[0] * 0.1


def _status(data: bytes, row: Row) -> None:
    status = STATUS_BITS.read(STATUS.read(data)["bits"])
    row["ignition"] = status["ignition"]
    if status["battery_low"]:
        row["battery_low"] = True


def _supply(data: bytes, row: Row) -> None:
    row["external_power"] = SUPPLY.read(data)["v"] > _LEAST_SUPPLY_V


def _expanded_status(data: bytes, row: Row) -> None:
    if STATUS.read(data)["bits"] & JAMMED:
        row["jamming"] = True


def _key(data: bytes, row: Row) -> None:
    key = int.from_bytes(data, "little")
    if key:
        row.setdefault("card_id", str(key))


def _thermometer(data: bytes, row: Row) -> None:
    """The first probe that is there tells the temperature, and the humidity where it can."""
    probe = (CLIMATE if len(data) == CLIMATE.size else THERMOMETER).read(data)
    if (probe.pop("id"), probe["temp_c"]) != NO_PROBE and "temp_c" not in row:
        row |= probe


def _extended(data: bytes, row: Row) -> None:
    """Tags of two bytes, up to the first that is not known."""
    cursor = Cursor(data)
    while cursor.left >= 2:
        tag = cursor.uint(2, "little")
        size = EXTENDED_LENGTHS.get(tag)
        if size is None:
            return
        value = cursor.take(size)
        if tag in FINE_THERMOMETERS:
            probe = FINE_THERMOMETER.read(value)
            if (probe["id"], probe["temp_c"]) != NO_PROBE:
                row.setdefault("temp_c", probe["temp_c"])
        elif tag in LONG_KEYS:
            _key(value, row)


FINE_THERMOMETERS: Final = range(0x86, 0x8E)
LONG_KEYS: Final = range(0xFD, 0xFF)
TAGS: Final[dict[int, Callable[[bytes, Row], None]]] = {
    0x21: _milliseconds,
    0x30: _place,
    0x33: _motion,
    0x35: _accuracy,
    0x40: _status,
    0x41: _supply,
    0x48: _expanded_status,
    **dict.fromkeys(range(0x70, 0x78), _thermometer),
    **dict.fromkeys(range(0x80, 0x88), _thermometer),
    0x90: _key,
    0xD3: _key,
    EXTENDED: _extended,
}


def _report(row: Row, sequence: int) -> bytes:
    satellites = min(15, row.get("satellites", 9))
    said = {"battery_v": 4.0, "sequence": sequence & 0xFFFF} | row
    motion = {"kmh": row.get("speed_mps", 0.0) / KMH, "course_deg": row.get("course_deg")}
    body = b"".join(
        (
            b"\x03" + str(row["device_id"]).rjust(15, "0").encode(),
            b"\x04\x00\x00",
            b"\x10" + PLAIN[0x10].write(said),
            b"\x20" + CLOCK.write({"s": row["observed_us"] // 1_000_000}),
            b"\x30" + PLACE.write({**row, "state": satellites | (0 if row.get("fix_valid", True) else 0x10)}),
            b"\x33" + MOTION.write(motion),
            b"\x34" + PLAIN[0x34].write(said),
            b"\x40" + STATUS.write({"bits": STATUS_BITS.write(row)}),
            b"\x42" + PLAIN[0x42].write(said),
            b"\x48" + STATUS.write({"bits": JAMMED if row.get("jamming") else 0}),
            b"\xd4" + PLAIN[0xD4].write(said),
        )
    )
    packet = bytes([DATA]) + len(body).to_bytes(2, "little") + body
    return packet + crc16.modbus(packet).to_bytes(2, "little")


def _text(device_id: str, parameters: Any, sequence: int) -> bytes:
    """A command in the device's own words, as an ``E0``/``E1`` packet."""
    text = str(parameters.get("text", ""))
    if not text.isascii() or not 1 <= len(text) <= 200:
        raise Undecodable("parameter", "text: 1 to 200 characters of ASCII")
    head = COMMAND.write(
        {
            "tag": IMEI,
            "imei": device_id.encode("ascii", "replace")[:15].rjust(15, b"0"),
            "tag4": DEVICE,
            "tag_e0": COMMAND_NUMBER,
            "number": sequence,
            "tag_e1": COMMAND_TEXT,
            "size": len(text),
        }
    )
    body = head + text.encode()
    packet = bytes([DATA]) + len(body).to_bytes(2, "little") + body
    return packet + crc16.modbus(packet).to_bytes(2, "little")


PROTOCOL: Final = Protocol(
    name="galileosky",
    title="Galileosky trackers",
    document="Galileosky, protocol of data exchange with the server",
    family="tracker",
    decode=decode,
    split=by_start(
        {
            bytes([DATA]): _split,
            bytes([COMPRESSED]): _split,
            bytes([PICTURE]): counted(bytes([PICTURE]), 1, 2, add=5, order="little"),
        }
    ),
    port=5034,
    starts=re.compile(rb"\x01..(?:\x01\x00\x1c|(?:\x01.)?(?:\x02.)?\x03\d{15})", re.DOTALL),
    max_frame=32_800,
    simulation=Simulation(
        report=_report,
        carries=frozenset(
            {
                "observed_us",
                "lat_deg",
                "lon_deg",
                "speed_mps",
                "course_deg",
                "altitude_m",
                "fix_valid",
                "satellites",
                "ignition",
                "jamming",
                "battery_low",
                "battery_v",
                "odometer_m",
            }
        ),
        resolution={"course_deg": 0.1, "battery_v": 0.001},
    ),
    commands={
        "text": Command(_text, "a command in the device's own words", {"text": "such as status or Out 1,1"})
    },
    sequence_bits=0,
)
