"""EGTS: the Russian transport packets of telematics terminals, with identification, positions, state and sensors.

Documents: GOST R 54619-2011 and GOST 33465-2015 (transport level, section 5; services, section 6); order 285 of the
Ministry of Transport of Russia, 2012.
"""

from __future__ import annotations

import re
from typing import Any, Final

from fastcrc import crc8, crc16

from cocket.core.framing import by_start
from cocket.core.protocol import Cut, Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.units import KMH
from cocket.core.wire import Bits, Cursor, Record, raw, u8, u16, u32

HEAD: Final = Record(
    "<",
    u8("version"),
    u8("key"),
    u8("flags"),
    u8("size"),
    u8("encoding"),
    u16("data_size"),
    u16("packet"),
    u8("kind"),
)
RECORD: Final = Record("<", u16("size"), u16("number"), u8("flags"))
RECORD_FLAGS: Final = Bits(object=0, event=1, time=2)
SERVICES: Final = Record("<", u8("from"), u8("to"))
POSITION: Final = Record(
    "<",
    u32("time"),
    u32("lat"),
    u32("lon"),
    u8("flags"),
    u16("speed"),
    u8("course"),
    raw("odometer", 3),
    u8("inputs"),
    u8("source"),
)
POSITION_FLAGS: Final = Bits(valid=0, delayed=3, moving=4, south=5, west=6, altitude=7)
EXTRA_FLAGS: Final = Bits(vdop=0, hdop=1, pdop=2, satellites=3)
STATE: Final = Record(
    "<", u8("mode"), u8("main_v", 0.1), u8("reserve_v", 0.1), u8("internal_v", 0.1), u8("flags")
)
IDENTITY: Final = Record("<", u32("terminal"), u8("flags"))
IDENTITY_FLAGS: Final = Bits(dispatcher=0, imei=1, imsi=2, language=3, network=5, buffer=6, msisdn=7)

_LEAST_MAIN_V: Final = 1.0
SEALED: Final = 0x1C
"""Of the head's flags: encrypted (bits 3 and 4), compressed (bit 2)."""

RESPONSE, APPDATA, SIGNED = 0, 1, 2
AUTH, TELEDATA = 1, 2
RECORD_RESPONSE, TERM_IDENTITY, DISPATCHER_IDENTITY, RESULT_CODE = 0, 1, 5, 9
POS_DATA, EXT_POS_DATA, STATE_DATA = 16, 17, 20

_EPOCH_S: Final = 1_262_304_000
"""2010-01-01, from which EGTS counts."""
_FULL: Final = 0xFFFF_FFFF
SOURCES: Final = {
    10: ("casing_open", True),
    11: ("external_power", False),
    12: ("battery_low", True),
    13: ("sos", True),
}
"""What made the terminal send a position (EGTS_SR_POS_DATA.SRC), where we have a column for it."""


def _split(buffer: bytes, at: int) -> Cut:
    if len(buffer) < at + HEAD.size:
        return None
    head = HEAD.read(buffer, at)
    if head["size"] not in {11, 16}:
        return at + 1, at + 1
    end = at + head["size"] + head["data_size"] + (2 if head["data_size"] else 0)
    return (at, end) if len(buffer) >= end else None


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One packet."""
    head = HEAD.read(frame)
    size, end = head["size"], head["size"] + head["data_size"]
    if head["version"] != 1 or size not in {11, 16}:
        raise Undecodable("no-frame", "a packet begins with version 1 and a head of 11 or 16 bytes")
    if len(frame) < size or crc8.nrsc_5(frame[: size - 1]) != frame[size - 1]:
        raise Undecodable("checksum", "the head's CRC-8 is wrong")
    if len(frame) != end + (2 if head["data_size"] else 0):
        raise Undecodable("truncated", f"the head says {end + 2} bytes, the packet has {len(frame)}")
    data = frame[size:end]
    if data and crc16.ibm_3740(data) != int.from_bytes(frame[end:], "little"):
        raise Undecodable("checksum", "the data's CRC-16 is wrong")
    if head["kind"] == RESPONSE:
        return
    if head["kind"] not in {APPDATA, SIGNED}:
        raise Undecodable("unknown-type", f"a packet of kind {head['kind']} is not known")
    if head["flags"] & SEALED or head["encoding"]:
        raise Undecodable("encrypted", "encrypted and compressed packets are not read")
    cursor = Cursor(data)
    if head["kind"] == SIGNED:
        cursor.take(cursor.uint(2, "little"))
    confirmed: list[tuple[int, int]] = []
    identified = False
    while cursor.left:
        number, service, named = _record(cursor, session, reading)
        confirmed.append((number, service))
        identified |= named
    reading.replies.append(_response(head["packet"], confirmed))
    if identified:
        reading.replies.append(_result(head["packet"]))


def _record(cursor: Cursor, session: Session, reading: Reading) -> tuple[int, int, bool]:
    """One service record; gives its number and service, and whether a terminal or a platform asks in it to be let in."""
    head = cursor.record(RECORD)
    flags = RECORD_FLAGS.read(head["flags"])
    if flags["object"]:
        thing = cursor.uint(4, "little")
        if thing and not session.memory.get("identified"):
            session.device_id = str(thing)
    if flags["event"]:
        cursor.take(4)
    if flags["time"]:
        cursor.take(4)
    service = cursor.record(SERVICES)["from"]
    body = Cursor(cursor.take(head["size"]))
    named, row = False, None
    while body.left >= 3:
        kind = body.uint(1)
        data = body.take(body.uint(2, "little"))
        if kind == TERM_IDENTITY and service == AUTH:
            _identity(Cursor(data), session)
            named = True
        elif kind == DISPATCHER_IDENTITY and service == AUTH:
            named = True  # a platform, which passes on many: each record names its object
        elif service != TELEDATA:
            continue  # the same numbers mean something else there
        elif kind == POS_DATA:
            row = _position(data)
            row["device_id"] = session.device_id
            reading.rows.append(row)
        elif kind == EXT_POS_DATA and row is not None:
            _extra(Cursor(data), row)
        elif kind == STATE_DATA and row is not None:
            state = STATE.read(data)
            row["battery_v"] = state["internal_v"] or None
            row.setdefault("external_power", state["main_v"] > _LEAST_MAIN_V)
    return head["number"], service, named


def _identity(cursor: Cursor, session: Session) -> None:
    """The IMEI, else the number given by the platform, else the IMSI."""
    head = cursor.record(IDENTITY)
    flags = IDENTITY_FLAGS.read(head["flags"])
    name = str(head["terminal"]) if head["terminal"] else None
    if flags["dispatcher"]:
        cursor.take(2)
    if flags["imei"]:
        name = cursor.take(15).decode("ascii", "replace").strip("\0 ") or name
    if flags["imsi"]:
        name = name or cursor.take(16).decode("ascii", "replace").strip("\0 ") or None
    session.device_id = name
    session.memory["identified"] = name is not None


def _position(data: bytes) -> Row:
    position = POSITION.read(data)
    flags = POSITION_FLAGS.read(position["flags"])
    speed = position["speed"]
    row: Row = {
        "observed_us": (position["time"] + _EPOCH_S) * 1_000_000,
        "odometer_m": int.from_bytes(position["odometer"], "little") * 100.0 or None,
    }
    if flags["delayed"]:
        row["delayed"] = True
    if position["source"] in SOURCES:
        column, said = SOURCES[position["source"]]
        row[column] = said
    if not flags["valid"]:
        return row  # the coordinates are then those of the last time that there were any
    lat, lon = position["lat"] * 90 / _FULL, position["lon"] * 180 / _FULL
    row |= {
        "lat_deg": -lat if flags["south"] else lat,
        "lon_deg": -lon if flags["west"] else lon,
        "fix_valid": True,
        "fix_source": "gnss",
        "speed_mps": (speed & 0x3FFF) * 0.1 * KMH,
        "course_deg": min(position["course"] + (256 if speed & 0x8000 else 0), 360),
    }
    if flags["altitude"] and len(data) >= POSITION.size + 3:
        altitude = int.from_bytes(data[POSITION.size : POSITION.size + 3], "little")
        row["altitude_m"] = -altitude if speed & 0x4000 else altitude
    return row


def _extra(cursor: Cursor, row: Row) -> None:
    flags = EXTRA_FLAGS.read(cursor.uint(1))
    if flags["vdop"]:
        cursor.take(2)
    if flags["hdop"]:
        row["hdop"] = cursor.uint(2, "little") * 0.01
    if flags["pdop"]:
        cursor.take(2)
    if flags["satellites"]:
        row["satellites"] = cursor.uint(1)


def _packet(kind: int, number: int, data: bytes) -> bytes:
    head = HEAD.write({"version": 1, "size": 11, "data_size": len(data), "packet": number, "kind": kind})
    return head + bytes([crc8.nrsc_5(head)]) + data + crc16.ibm_3740(data).to_bytes(2, "little")


def _service(number: int, service: int, kind: int, data: bytes, thing: int | None = None) -> bytes:
    body = bytes([kind]) + len(data).to_bytes(2, "little") + data
    head = RECORD.write({"size": len(body), "number": number, "flags": 0 if thing is None else 1})
    named = b"" if thing is None else thing.to_bytes(4, "little")
    return head + named + SERVICES.write({"from": service, "to": service}) + body


def _response(packet: int, confirmed: list[tuple[int, int]]) -> bytes:
    """EGTS_PT_RESPONSE: the packet was processed, and so was each record."""
    data = packet.to_bytes(2, "little") + b"\0"
    for i, (number, service) in enumerate(confirmed):
        data += _service(i, service, RECORD_RESPONSE, number.to_bytes(2, "little") + b"\0")
    return _packet(RESPONSE, packet, data)


def _result(packet: int) -> bytes:
    """EGTS_SR_RESULT_CODE: the terminal is let in."""
    return _packet(APPDATA, packet, _service(0, AUTH, RESULT_CODE, b"\0"))


def _report(row: Row, sequence: int) -> bytes:
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    flags: dict[str, Any] = {"valid": True, "south": lat < 0, "west": lon < 0, "altitude": True}
    course = round(row.get("course_deg", 0.0))
    altitude = round(row.get("altitude_m", 0))
    speed = min(round(row.get("speed_mps", 0.0) / KMH * 10), 0x3FFF)
    data = POSITION.write(
        {
            "time": row["observed_us"] // 1_000_000 - _EPOCH_S,
            "lat": abs(lat) * _FULL / 90,
            "lon": abs(lon) * _FULL / 180,
            "flags": POSITION_FLAGS.write(flags),
            "speed": speed | (0x8000 if course > 255 else 0) | (0x4000 if altitude < 0 else 0),
            "course": course & 0xFF,
            "odometer": min(round(row.get("odometer_m", 0.0) / 100), 0xFF_FFFF).to_bytes(3, "little"),
            "source": next((n for n, (column, said) in SOURCES.items() if row.get(column) is said), 0),
        }
    ) + abs(altitude).to_bytes(3, "little")
    number = sequence & 0xFFFF
    return _packet(APPDATA, number, _service(number, TELEDATA, POS_DATA, data))


def _hello(device_id: str) -> bytes:
    data = IDENTITY.write({"terminal": 0, "flags": IDENTITY_FLAGS.write({"imei": True})})
    imei = device_id.encode("ascii", "replace")[:15].rjust(15, b"0")
    return _packet(APPDATA, 0, _service(0, AUTH, TERM_IDENTITY, data + imei))


PROTOCOL: Final = Protocol(
    name="egts",
    title="EGTS terminals (ERA-GLONASS, order 285)",
    document="GOST 33465-2015; GOST R 54619-2011",
    family="tracker",
    decode=decode,
    split=by_start({b"\x01": _split}),
    port=5164,
    starts=re.compile(rb"\x01\x00[\x00-\x3f][\x0b\x10]\x00.{4}[\x00-\x02]", re.DOTALL),
    max_frame=65_560,
    simulation=Simulation(
        report=_report,
        hello=_hello,
        carries=frozenset(
            {
                "observed_us",
                "lat_deg",
                "lon_deg",
                "speed_mps",
                "course_deg",
                "altitude_m",
                "odometer_m",
                "sos",
            }
        ),
        resolution={"odometer_m": 51.0},
    ),
)
