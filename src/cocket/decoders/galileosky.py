"""Galileosky trackers: packets of tags, the first ones with the device's identity, archives with many records, pictures.

Document: Galileosky, protocol of data exchange with the server (tags and their lengths), revision of 2023.
"""

from __future__ import annotations

import re
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
from cocket.core.wire import Cursor, Record, i16, i32, raw, u8, u16, u32

DATA, ANSWER, PICTURE, COMPRESSED = 0x01, 0x02, 0x07, 0x08

TIME: Final = Record("<", u32("s"))
PLACE: Final = Record("<", u8("state"), i32("lat_deg", 1e-6), i32("lon_deg", 1e-6))
"""``state``: low half byte satellites, high half byte 0 where the position is right."""
MOTION: Final = Record("<", u16("kmh", 0.1), u16("course_deg", 0.1))
ALTITUDE: Final = Record("<", i16("m"))
HDOP: Final = Record("<", u8("hdop", 0.1))
STATUS: Final = Record("<", u16("bits"))
VOLTS: Final = Record("<", u16("v", 0.001))
NUMBER: Final = Record("<", u16("n"))
KEY: Final = Record("<", u32("key"))
METRES: Final = Record("<", u32("m"))
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

IGNITION_BIT: Final = 9
IMEI, DEVICE, INDEX = 0x03, 0x04, 0x10
COMMAND_NUMBER, COMMAND_TEXT = 0xE0, 0xE1


def _lengths() -> dict[int, int]:
    """Bytes of each tag; those with a length of their own are not here."""
    out: dict[int, int] = {}
    for n, ranges in {
        1: "01-02 35 43 88-8f a0-af c4-d2 d5 5e",
        2: "04 10 21 34 40-42 45-46 48-49 50-59 60-62 70-77 b0-b9 d6-da",
        3: "5d 63-6f 80-87",
        4: "20 33 44 47 5a 90 c0-c3 d3-d4 db-df e0 e2-e9 f0-f9",
        9: "30",
        15: "03",
        7: "5b",
        68: "5c",
    }.items():
        for part in ranges.split():
            first, _, last = part.partition("-")
            out.update(dict.fromkeys(range(int(first, 16), int(last or first, 16) + 1), n))
    return out


LENGTHS: Final = _lengths()
COUNTED: Final = frozenset({0xE1, 0xEA})
"""Tags whose first byte is their length; 0xFE (extended) has two bytes of it."""
EXTENDED: Final = 0xFE


def _split(buffer: bytes, at: int) -> Cut:
    """``01`` and ``08`` have an archive flag in the highest bit of their length."""
    if len(buffer) < at + 3:
        return None
    size = (int.from_bytes(buffer[at + 1 : at + 3], "little") & 0x7FFF) + 5
    return (at, at + size) if len(buffer) >= at + size else None


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One packet."""
    kind = frame[0] if frame else 0
    if kind not in {DATA, PICTURE, COMPRESSED}:
        raise Undecodable("no-frame", "a packet begins with 01, 07 or 08")
    size = int.from_bytes(frame[1:3], "little") & 0x7FFF
    if len(frame) != size + 5:
        raise Undecodable("truncated", f"the packet says {size + 5} bytes, it has {len(frame)}")
    checksum = int.from_bytes(frame[-2:], "little")
    right = crc16.modbus(frame[:-2]) == checksum
    if kind == COMPRESSED:
        raise Undecodable(
            "unknown-type", "compressed packets are not read; switch compression off in the device"
        )
    if kind == DATA:
        _records(Cursor(frame, 3, len(frame) - 2), session, reading)
    if not right:
        raise Undecodable(
            "checksum", f"the packet sums to {crc16.modbus(frame[:-2]):04x}, it says {checksum:04x}"
        )
    answer = PICTURE if kind == PICTURE else ANSWER
    reading.replies.append(bytes([answer]) + frame[-2:])


def _records(cursor: Cursor, session: Session, reading: Reading) -> None:
    """Records follow one another without a mark: a tag that comes again begins the next."""
    row: Row = {}
    seen: set[int] = set()
    while cursor.left:
        tag = cursor.uint(1)
        if tag in seen:
            _keep(row, reading)
            row, seen = {}, set()
        seen.add(tag)
        if tag == EXTENDED:
            cursor.take(cursor.uint(2, "little"))
            continue
        size = cursor.uint(1) if tag in COUNTED else LENGTHS.get(tag)
        if size is None:
            _keep(row, reading)
            raise Undecodable("unknown-tag", f"tag {tag:02x} is not known, and so not its length")
        _tag(tag, cursor.take(size), row, session, reading)
    _keep(row, reading)


def _keep(row: Row, reading: Reading) -> None:
    if "lat_deg" in row and "observed_us" in row:
        reading.rows.append(row)


def _tag(tag: int, data: bytes, row: Row, session: Session, reading: Reading) -> None:
    if tag == IMEI:
        session.device_id = data.decode("ascii").strip("\0 ")
    elif tag == INDEX:
        row["sequence"] = NUMBER.read(data)["n"]
    elif tag == 0x20:
        row["observed_us"] = TIME.read(data)["s"] * 1_000_000
    elif tag == 0x30:
        place = PLACE.read(data)
        state = place.pop("state")
        row |= place | {"fix_valid": state >> 4 == 0, "fix_source": "gnss", "satellites": state & 0x0F}
    elif tag == 0x33:
        motion = MOTION.read(data)
        row |= {"speed_mps": motion["kmh"] * KMH, "course_deg": motion["course_deg"]}
    elif tag == 0x34:
        row["altitude_m"] = ALTITUDE.read(data)["m"]
    elif tag == 0x35:
        row |= HDOP.read(data)
    elif tag == 0x40:
        row["ignition"] = STATUS.read(data)["bits"] >> IGNITION_BIT & 1 == 1
    elif tag == 0x41:
        row["external_power"] = VOLTS.read(data)["v"] > 1.0
    elif tag == 0x42:
        row["battery_v"] = VOLTS.read(data)["v"]
    elif tag == 0x90:
        key = KEY.read(data)["key"]
        row["card_id"] = str(key) if key else None
    elif tag == 0xD4:
        row["odometer_m"] = float(METRES.read(data)["m"])
    elif tag == COMMAND_TEXT:
        reading.results.append(Result("", good=True, text=data.decode("cp1251", "replace")[:200]))


def _report(row: Row, sequence: int) -> bytes:
    volts = round(row.get("battery_v", 4.0) * 1000)
    satellites = min(15, row.get("satellites", 9))
    state = satellites | (0 if row.get("fix_valid", True) else 0x20)
    body = b"".join(
        (
            b"\x03" + str(row["device_id"]).rjust(15, "0").encode(),
            b"\x04\x00\x00",
            b"\x10" + NUMBER.write({"n": sequence & 0xFFFF}),
            b"\x20" + TIME.write({"s": row["observed_us"] // 1_000_000}),
            b"\x30"
            + PLACE.write({"state": state, "lat_deg": row.get("lat_deg"), "lon_deg": row.get("lon_deg")}),
            b"\x33"
            + MOTION.write(
                {"kmh": row.get("speed_mps", 0.0) / KMH, "course_deg": row.get("course_deg", 0.0)}
            ),
            b"\x34" + ALTITUDE.write({"m": row.get("altitude_m", 0)}),
            b"\x40" + STATUS.write({"bits": bool(row.get("ignition")) << IGNITION_BIT}),
            b"\x42" + VOLTS.write({"v": volts / 1000}),
            b"\xd4" + METRES.write({"m": row.get("odometer_m", 0.0)}),
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
    starts=re.compile(rb"\x01..[\x01-\x04]", re.DOTALL),
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
