"""Castel (Sinocastel) OBD and PT trackers: the SC protocol (versions 3 and 4), the CC protocol, and MPIP.

Documents: Sinocastel, "SC communication protocol" 1.x (STAT, alarms, the tagged parts of 0x401F), "CC communication
protocol", "MPIP-620 protocol". Numbers are little-endian but for the message's type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fastcrc import crc16

from cocket.core.framing import by_start, counted
from cocket.core.protocol import Command, Protocol, Reading, Result, Row, Session, Simulation, Undecodable
from cocket.core.wire import Bits, Cursor, Record, i16, pad, u8, u16, u32, utc_parts, utc_us

PLACE: Final = Record(
    "<", u8("day"), u8("month"), u8("year"), u8("hour"), u8("minute"), u8("second"),
    u32("lat", 1 / 3_600_000), u32("lon", 1 / 3_600_000), u16("cm_s"), u16("course_deg", 0.1), u8("flags"),
)  # fmt: skip
PLACE_FLAGS: Final = Bits(east=0, north=1, fix_2d=2, fix_3d=3)
"""The high half byte is the number of satellites."""

STAT: Final = Record(
    "<",
    u32("on_s"),
    u32("time_s"),
    u32("odometer_m"),
    u32("trip_m"),
    u32("fuel"),
    u16("fuel_now"),
    u32("state"),
    pad(8),
)
"""What every SC message begins with: when the engine was started, the time, the way, the fuel, and the state."""
STATE: Final = Bits(ignition=18)
CC_REST: Final = Record("<", u32("state"), u8("battery"), u32("odometer_m"), pad(3))

SC: Final = frozenset({3, 4})
LOGIN, LOGOUT, HEARTBEAT = 0x1001, 0x1002, 0x1003
GPS, GPS_INDEXED, ALARM, FUEL, NOW = 0x4001, 0x401F, 0x4007, 0x400E, 0xB001
SLEEP, AGPS = 0x4009, 0x5101
STATS: Final = frozenset({0x4002, 0x4003, 0x4005, 0x4006, 0x4008, 0x400B})
SILENT: Final = frozenset(
    {0x4004, 0x5102, 0x5105, 0x5106, 0x5107, 0x8001, 0x8206, 0x9001, 0x9003, 0xA001, 0xB002, 0xC001, 0xC007}
)
"""Engine data that are supported, settings, and a server's own answers that come back."""
ANSWER: Final = 0xA002
BEFORE: Final = {GPS: 1, GPS_INDEXED: 5, ALARM: 4, NOW: 2}
"""Bytes between the message's type and its STAT."""

CC_LOGIN, CC_HEARTBEAT = 0x4001, 0x4206
MPIP_TIMED, MPIP_LOGIN, MPIP_MANY = 0x2001, 0x4001, 0x4204
MPIP_ONE: Final = frozenset({0x4201, 0x4202, 0x4206})
_MANY: Final = 8
_MANY_REST: Final = 31

ALARM_ITEM: Final = Record("<", u8("sounds"), u8("kind"), u16("value"), u16("threshold"))
ALARMS: Final[Mapping[int, Row]] = {
    0x02: {"battery_low": True},
    0x09: {"external_power": True},
    0x0E: {"external_power": False},
    0x10: {"sos": True},
    0x11: {"vibration": True},
    0x16: {"ignition": True},
    0x17: {"ignition": False},
    0x1C: {"vibration": True},
}
"""Low supply, plugged in, pulled out, emergency, crash, ignition on and off, vibration. The others are of driving and of the
engine (0x0D is a tired driver, no emergency)."""

TAG: Final = Record("<", u16("tag"), u16("size"))
TAG_ALARMS, TAG_TEMPERATURE, TAG_BATTERY = 0x0007, 0x0011, 0x0021
TEMPERATURE: Final = Record("<", i16("temp_c", 0.1))
BATTERY: Final = Record("<", u16("battery_v", 0.01))

CC_VERSION, CC_PETROL = 0x01, 0x4583


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One message."""
    obd = frame[:2] == b"@@"
    if not obd and frame[:2] != b"$$":
        raise Undecodable("no-frame", "a message begins with @@ or $$")
    size = int.from_bytes(frame[2:4], "little")
    if size < 27 or len(frame) < size:
        raise Undecodable("truncated", f"the message says {size} bytes, it has {len(frame)}")
    cursor = Cursor(frame, 4, size - 4)
    version = cursor.uint(1) if obd else -1
    name = cursor.take(20)
    session.device_id = name.split(b"\0")[0].decode("ascii", "replace").strip() or None
    kind = cursor.uint(2)
    right = crc16.ibm_sdlc(frame[: size - 4]) == int.from_bytes(frame[size - 4 : size - 2], "little")
    replies: list[bytes] = []
    if version in SC:
        _sc(kind, cursor, reading, replies, version, name)
    elif obd:
        _cc(kind, cursor, reading, replies, version, name)
    else:
        _mpip(kind, cursor, reading, replies, name)
    if not right:
        raise Undecodable("checksum", "the message's CRC is wrong")
    reading.replies += replies


def _place(cursor: Cursor) -> Row:
    p = cursor.record(PLACE)
    flags = PLACE_FLAGS.read(p["flags"])
    return {
        "observed_us": utc_us(p["year"], p["month"], p["day"], p["hour"], p["minute"], p["second"]),
        "lat_deg": p["lat"] if flags["north"] else -p["lat"],
        "lon_deg": p["lon"] if flags["east"] else -p["lon"],
        "fix_valid": flags["fix_2d"] or flags["fix_3d"],
        "fix_source": "gnss",
        "speed_mps": p["cm_s"] / 100,
        "course_deg": p["course_deg"] if p["course_deg"] <= 360 else None,
        "satellites": p["flags"] >> 4,
    }


def _sc(kind: int, cursor: Cursor, reading: Reading, replies: list[bytes], version: int, name: bytes) -> None:
    if kind == HEARTBEAT:
        replies.append(_message(version, name, 0x9003))
    elif kind in {LOGIN, LOGOUT, GPS, GPS_INDEXED, ALARM, FUEL, NOW}:
        before = cursor.take(BEFORE.get(kind, 0))
        stat = cursor.record(STAT)
        rows = [_place(cursor) for _ in range(cursor.uint(1))]
        for row in rows:
            row["odometer_m"] = float(stat["odometer_m"])
            row["ignition"] = STATE.read(stat["state"])["ignition"]
            if kind in {GPS, GPS_INDEXED} and before[0] == 1:
                row["delayed"] = True
        reading.rows += rows
        if kind == ALARM:
            replies.append(_message(version, name, 0xC007, before))
            placeless: Row = {}
            _alarms(cursor, rows or [placeless])
            if placeless.keys() - {"ignition"}:
                reading.rows.append({**_stat(stat), **placeless})
        elif kind == GPS_INDEXED:
            _tags(cursor, rows)
        elif kind == LOGIN:
            time = stat["time_s"].to_bytes(4, "little")
            replies.append(_message(version, name, 0x9001, b"\xff\xff\xff\xff\0\0" + time))
    elif kind == SLEEP:
        cursor.take(4)
        reading.rows.append(_place(cursor))
    elif kind == AGPS:
        reading.rows.append(_place(cursor))
    elif kind in STATS:
        reading.rows.append(_stat(cursor.record(STAT)))
    elif kind == ANSWER:
        _answer(cursor, reading)
    elif kind not in SILENT:
        raise Undecodable("unknown-type", f"a message {kind:04x} is not known")


def _stat(stat: Mapping[str, Any]) -> Row:
    return {
        "observed_us": stat["time_s"] * 1_000_000 or None,
        "odometer_m": float(stat["odometer_m"]),
        "ignition": STATE.read(stat["state"])["ignition"],
    }


def _alarms(cursor: Cursor, rows: list[Row]) -> None:
    """Alarms that sound, into every row of the message; one that ends says nothing but what its column states."""
    for _ in range(cursor.uint(1)):
        item = cursor.record(ALARM_ITEM)
        if item["sounds"]:
            _say(rows, ALARMS.get(item["kind"], {}))


def _tags(cursor: Cursor, rows: list[Row]) -> None:
    """The tagged parts behind the positions of 0x401F."""
    while cursor.left >= TAG.size:
        head = cursor.record(TAG)
        part = Cursor(cursor.take(head["size"]))
        if head["tag"] == TAG_ALARMS:
            part.take(4)
            _alarms(part, rows)
        elif head["tag"] == TAG_TEMPERATURE:
            _say(rows, part.record(TEMPERATURE))
        elif head["tag"] == TAG_BATTERY:
            _say(rows, part.record(BATTERY))


def _say(rows: list[Row], said: Mapping[str, Any]) -> None:
    for row in rows:
        row.update(said)


def _answer(cursor: Cursor, reading: Reading) -> None:
    """Settings that were asked for: those that failed by their tags, then those that are told, each with its text."""
    cursor.take(4)
    for _ in range(cursor.uint(1)):
        reading.results.append(Result("query", good=False, text=f"{cursor.uint(2, 'little'):04x}"))
    for _ in range(cursor.uint(1)):
        tag, size = cursor.uint(2, "little"), cursor.uint(2, "little")
        told = cursor.take(size).decode("ascii", "replace").strip("\0 ")
        reading.results.append(Result("query", good=True, text=f"{tag:04x}={told}"[:200]))


def _cc(kind: int, cursor: Cursor, reading: Reading, replies: list[bytes], version: int, name: bytes) -> None:
    if kind == CC_HEARTBEAT:
        delayed = cursor.uint(1) == 1
        for _ in range(cursor.uint(1)):
            row = _place(cursor) | _cc_rest(cursor)
            cursor.take(min(4, cursor.left))
            if delayed:
                row["delayed"] = True
            reading.rows.append(row)
        replies.append(_message(version, name, 0x8206))
    elif kind == CC_LOGIN:
        reading.rows.append(_place(cursor) | _cc_rest(cursor))
        replies.append(_message(version, name, 0x8001))
    elif kind not in SILENT and kind >> 8 not in {0x45, 0x85}:
        raise Undecodable("unknown-type", f"a message {kind:04x} is not known")


def _cc_rest(cursor: Cursor) -> Row:
    rest = cursor.record(CC_REST)
    return {"odometer_m": float(rest["odometer_m"])}


def _mpip(kind: int, cursor: Cursor, reading: Reading, replies: list[bytes], name: bytes) -> None:
    if kind == MPIP_LOGIN:
        reading.rows.append(_place(cursor))
        replies.append(_message(-1, name, MPIP_LOGIN))
    elif kind == MPIP_TIMED:
        cursor.take(9)
        reading.rows.append(_place(cursor))
        replies.append(_message(-1, name, 0x1001, bytes(4) + b"\xff" * 8))
    elif kind in MPIP_ONE:
        reading.rows.append(_place(cursor))
    elif kind == MPIP_MANY:
        for _ in range(_MANY):
            reading.rows.append(_place(cursor))
            cursor.take(_MANY_REST)
    else:
        raise Undecodable("unknown-type", f"a message {kind:04x} is not known")


def _message(version: int, name: bytes, kind: int, data: bytes = b"") -> bytes:
    mark = b"@@" if version >= 0 else b"$$"
    middle = (bytes([version]) if version >= 0 else b"") + name + kind.to_bytes(2, "big") + data
    head = mark + (len(middle) + 8).to_bytes(2, "little") + middle
    return head + crc16.ibm_sdlc(head).to_bytes(2, "little") + b"\r\n"


def _report(row: Row, sequence: int) -> bytes:
    at = utc_parts(row["observed_us"])
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    flags = PLACE_FLAGS.write({"east": lon >= 0, "north": lat >= 0, "fix_3d": row.get("fix_valid", True)})
    place = PLACE.write(
        {
            "day": at.day, "month": at.month, "year": at.year - 2000, "hour": at.hour, "minute": at.minute,
            "second": at.second, "lat": abs(lat), "lon": abs(lon), "cm_s": row.get("speed_mps", 0.0) * 100,
            "course_deg": row.get("course_deg", 0.0), "flags": flags | min(15, row.get("satellites", 9)) << 4,
        }
    )  # fmt: skip
    stat = STAT.write(
        {
            "time_s": row["observed_us"] // 1_000_000,
            "odometer_m": row.get("odometer_m", 0.0),
            "state": STATE.write(row),
        }
    )
    body = stat + b"\x01" + place
    name = _name(str(row["device_id"]))
    sounding = [k for k, said in ALARMS.items() if k in _SIMULATED and said.items() <= row.items()]
    if not sounding:
        return _message(4, name, GPS, bytes([bool(row.get("delayed"))]) + body + b"\0")
    items = b"".join(ALARM_ITEM.write({"sounds": 1, "kind": k}) for k in sounding)
    return _message(4, name, ALARM, sequence.to_bytes(4, "little") + body + bytes([len(sounding)]) + items)


_SIMULATED: Final = frozenset({0x02, 0x09, 0x0E, 0x10, 0x1C})


def _name(device_id: str) -> bytes:
    return device_id.encode("ascii", "replace")[:20].ljust(20, b"\0")


def _petrol(cut: bool) -> Command:
    def build(device_id: str, _parameters: Mapping[str, Any], _sequence: int) -> bytes:
        return _message(CC_VERSION, _name(device_id), CC_PETROL, bytes([cut]))

    return Command(build, "cut off the fuel (CC devices)" if cut else "give the fuel back (CC devices)")


PROTOCOL: Final = Protocol(
    name="castel",
    title="Castel OBD and vehicle trackers (SC, CC, MPIP)",
    document="Sinocastel SC and CC communication protocols; MPIP-620",
    family="tracker",
    decode=decode,
    split=by_start(
        {
            b"@@": counted(b"@@", 2, 2, add=0, order="little"),
            b"$$": counted(b"$$", 2, 2, add=0, order="little"),
        }
    ),
    doors=("tcp", "udp"),
    port=5086,
    starts=re.compile(rb"(?:@@|\$\$)[\x1b-\xff][\x00-\x07]", re.DOTALL),
    max_frame=2048,
    simulation=Simulation(
        report=_report,
        carries=frozenset(
            {
                "observed_us",
                "lat_deg",
                "lon_deg",
                "speed_mps",
                "course_deg",
                "fix_valid",
                "satellites",
                "ignition",
                "odometer_m",
                "external_power",
                "battery_low",
                "sos",
                "vibration",
            }
        ),
        hello=lambda device_id: _message(4, _name(device_id), LOGIN, bytes(STAT.size + 1)),
        resolution={"course_deg": 0.1, "speed_mps": 0.01},
    ),
    commands={"output-on": _petrol(cut=True), "output-off": _petrol(cut=False)},
)
