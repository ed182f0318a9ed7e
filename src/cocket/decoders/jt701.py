"""JT701 family of e-seals (Jointech; Traccar calls it Jt600): binary and text frames, P45 unlock reports, WLNET sub-devices.

Document: Jointech, "JT701 protocol" (frames ``$``, ``(…,P45,…)``, ``(…,WLNET,…)``), and the older JT600 text
messages U01, U02, U03, U06 and W01 that its locks still send. The bits of the lock status follow the maker's table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from cocket.core.framing import by_start
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
from cocket.core.units import KMH, KNOT, MPH
from cocket.core.wire import (
    Bits,
    Columns,
    Cursor,
    Record,
    bcd,
    decimal,
    degrees_minutes,
    digits,
    pad,
    raw,
    u8,
    u16,
    u32,
    utc_parts,
    utc_us,
)

STATUS: Final = Bits(
    lbs=0,
    fence_entered=1,
    fence_left=2,
    rope_cut=3,
    vibration=4,
    wants_answer=5,
    rope_inserted=6,
    locked=7,
    unlock_alarm=8,
    wrong_password=9,
    card_refused=10,
    battery_low=11,
    cover_opened=12,
    cover_closed=13,
    motor_stuck=14,
)
"""The lock's status, 16 bits, big-endian (the maker's table; bit 15 is not used)."""

_FLAGS: Final = ("fence_entered", "fence_left", "rope_cut", "vibration", "rope_inserted", "locked")
_ALARMS: Final = ("unlock_alarm", "wrong_password", "card_refused", "battery_low", "motor_stuck")

FIX: Final = Record(
    ">", bcd("time", 6), bcd("lat", 4), raw("lon_flags", 5), raw("speed", 1), u8("course_deg", 2)
)
"""``time`` ddmmyyhhmmss, ``lat`` ddmmmmmm (1e-4 minutes), ``lon_flags`` nine digits dddmmmmmm and the flags' half byte."""

FIX_FLAGS: Final = Bits(valid=0, north=1, east=2)

LOCK: Final = Record(
    ">",
    u32("odometer_km"),
    u8("satellites"),
    u32("vehicle"),
    u16("status"),
    u8("battery_pct", null=None),
    u16("cell"),
    u16("area"),
    u8("signal"),
)
_CHARGING: Final = 0xFF
_FENCE_VERSIONS: Final = (0x17, 0x19)

TRACKER_1: Final = Record(
    ">", u8("satellites"), u8("power_pct"), pad(1), u16("altitude_m"), u16("cell"), u16("area"), u8("signal")
)
TRACKER_2: Final = Record(
    ">", u8("fuel_high"), u8("state"), u8("power"), u8("warning"), pad(1), u32("odometer_km"), u8("fuel")
)
TRACKER_2_STATE: Final = Bits(ignition=0, door_open=6)
TRACKER_2_POWER: Final = Bits(charging=0, sos=2)

SENSOR: Final = Record(
    ">",
    bcd("time", 6),
    bcd("id", 5),
    u8("event"),
    u16("battery_v", 0.01),
    u8("battery_pct"),
    u8("rssi_dbm", -1),
    pad(1),
)
SENSOR_CLIMATE: Final = Record(">", u16("temp_c", 0.1), u8("humidity_pct"))

U01: Final = Columns(
    "date", "time", "valid", "lat", "ns", "lon", "ew", "speed", "course", "satellites", "battery", "status",
    "cell", "area", "signal", "odometer_km", "serial",
)  # fmt: skip
W01: Final = Columns(
    "lon",
    "ew",
    "lat",
    "ns",
    "valid",
    "date",
    "time",
    "speed",
    "course",
    "power",
    "gnss_signal",
    "signal",
    "alert",
)
P45: Final = Columns(
    "date", "time", "lat", "ns", "lon", "ew", "valid", "speed", "course", "source", "verified", "card",
    "password_verified", "wrong_passwords", "index",
)  # fmt: skip

UNLOCKED_BY: Final = {
    "1": "card",
    "2": "card",
    "3": "card",
    "4": "password",
    "5": "remote",
    "6": "sms",
    "7": "bluetooth",
    "8": "key",
}
"""P45: what gave the order to unlock."""

_PASSWORDS_BEFORE_ALARM: Final = 5
_WLNET: Final = re.compile(rb"\((\d+),\d+,(\d+),WLNET,(\d+),(\d+),")


def _split(buffer: bytes, at: int) -> Cut:
    """``$`` frames carry their length; ``(`` frames end with ``)``, but for WLNET, whose body is binary."""
    if buffer[at] == 0x24:
        long = len(buffer) > at + 1 and buffer[at + 1] >> 4 >= 7
        head = at + (8 if long else 7)
        if len(buffer) < head + 2:
            return None
        end = head + 2 + int.from_bytes(buffer[head : head + 2], "big") + (not long)
        return (at, end) if len(buffer) >= end else None
    body = _WLNET.match(buffer, at)
    if body is not None:
        least = body.end() + FIX.size + SENSOR.size
        end = buffer.find(b")", least)
    else:
        end = buffer.find(b")", at)
    return None if end < 0 else (at, end + 1)


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One frame: any of the above."""
    if frame[:1] == b"$":
        _binary(frame, session, reading)
    elif frame[:1] == b"(":
        wlnet = _WLNET.match(frame)
        if wlnet is not None:
            _wlnet(frame, wlnet, session, reading)
        else:
            _text(frame, session, reading)
    else:
        raise Undecodable("no-frame", "a frame begins with $ or (")


def _fix(cursor: Cursor) -> Row:
    fix = cursor.record(FIX)
    lon_flags = fix["lon_flags"].hex()
    flags = FIX_FLAGS.read(int(lon_flags[9], 16))
    lat, lon = _angle(fix["lat"]), _angle(lon_flags[:9])
    t = fix["time"]
    tens, units = divmod(fix["speed"][0], 16)
    return {
        "observed_us": _time(t[:6], t[6:]),
        "lat_deg": lat if flags["north"] else -lat,
        "lon_deg": lon if flags["east"] else -lon,
        "fix_valid": flags["valid"],
        "fix_source": "gnss",
        "speed_mps": (tens * 10 + units) * KNOT,
        "course_deg": fix["course_deg"] if fix["course_deg"] <= 360 else None,
    }


def _angle(text: str) -> float:
    degrees, minutes = divmod(digits(text), 1_000_000)
    return degrees + minutes / 600_000


def _time(date: str, time: str) -> int | None:
    """Ddmmyy and hhmmss, UTC."""
    d, t = digits(date), digits(time)
    return utc_us(d % 100, d // 100 % 100, d // 10000, t // 10000, t // 100 % 100, t % 100)


def _binary(frame: bytes, session: Session, reading: Reading) -> None:
    cursor = Cursor(frame, 1)
    long = frame[1] >> 4 >= 7
    session.device_id = str(digits(cursor.take(5).hex()))
    version = cursor.uint(1) if long else 0
    kind = cursor.uint(1) >> 4
    size = cursor.uint(2) + (not long)  # only a long frame counts its index
    if size != cursor.left:
        raise Undecodable("length", f"the frame says that {size} bytes follow its head, {cursor.left} do")
    answer = False
    while cursor.left > 1:
        row = _fix(cursor)
        if long:
            answer |= _lock(cursor, row)
            if version in _FENCE_VERSIONS:
                cursor.take(cursor.left - 1)  # zone number and spare bytes
        elif kind == 1:
            extra = cursor.record(TRACKER_1)
            row |= {
                "satellites": extra["satellites"],
                "altitude_m": extra["altitude_m"],
                "battery_pct": min(extra["power_pct"], 100),
            }
        elif kind == 2:
            _tracker_2(cursor.record(TRACKER_2), row)
        elif kind == 3:
            packed = cursor.take(10)
            row |= {
                "odometer_m": (int.from_bytes(packed[4:7], "big") & 0xFFFFF) * 1000.0,
                "ignition": packed[9] & 1 == 1,
            }
        else:
            raise Undecodable("unknown-type", f"a report of kind {kind} is not known")
        reading.rows.append(row)
    index = cursor.uint(1)
    if len(reading.rows) == 1 and long:
        reading.rows[0]["sequence"] = index
    if answer:
        reading.replies.append(b"(P35)" if version < 0x19 else b"(P69,0,%d)" % index)


def _lock(cursor: Cursor, row: Row) -> bool:
    """The lock's part of a report, by the maker's table; gives whether an answer is wanted."""
    lock = cursor.record(LOCK)
    status = STATUS.read(lock["status"])
    row |= {name: status[name] for name in _FLAGS}
    row |= {name: True for name in _ALARMS if status[name]}
    if status["cover_opened"] or status["cover_closed"]:
        row["casing_open"] = status["cover_opened"]
    if status["lbs"]:
        row["fix_source"] = "cell"
    if lock["battery_pct"] == _CHARGING:
        row["charging"] = True
    else:
        row["battery_pct"] = lock["battery_pct"]
    row["satellites"] = lock["satellites"]
    row["odometer_m"] = lock["odometer_km"] * 1000.0
    row["gsm_signal"] = _signal(lock["signal"])
    return status["wants_answer"]


def _signal(asu: int) -> int | None:
    """Mobile signal in per cent of 0 to 31 (3GPP TS 27.007, +CSQ); 99 is not known."""
    return round(asu * 100 / 31) if asu <= 31 else None


def _tracker_2(extra: Mapping[str, Any], row: Row) -> None:
    row |= TRACKER_2_STATE.read(extra["state"])
    power = TRACKER_2_POWER.read(extra["power"])
    row["charging"] = power["charging"]
    if power["sos"]:
        row["sos"] = True
    row["odometer_m"] = extra["odometer_km"] * 1000.0


def _wlnet(frame: bytes, head: re.Match[bytes], session: Session, reading: Reading) -> None:
    """A sub-device that speaks by radio through the seal: the seal's fix, and the sub-device's reading as a row of its own."""
    session.device_id = str(int(head[1]))
    cursor = Cursor(frame, head.end(), len(frame) - 1)
    fix = _fix(cursor)
    sensor = cursor.record(SENSOR)
    at = sensor["time"]
    if cursor.left >= SENSOR_CLIMATE.size:
        sensor |= cursor.record(SENSOR_CLIMATE)
    row = fix | {
        "sequence": int(head[2]),
        "temp_c": sensor.get("temp_c"),
        "humidity_pct": sensor.get("humidity_pct"),
        "reader_id": f"{session.device_id}/{digits(sensor['id'])}",
        "rssi_dbm": sensor["rssi_dbm"],
    }
    if row["observed_us"] is None:
        row["observed_us"] = _time(at[:6], at[6:])
    reading.rows.append(row)
    reading.replies.append(b"(P69,0,%d)" % int(head[2]))


def _text(frame: bytes, session: Session, reading: Reading) -> None:
    parts = frame.decode("ascii").strip().removeprefix("(").removesuffix(")").split(",")
    if len(parts) < 2:
        raise Undecodable("truncated", "a text frame is (device,type,…)")
    session.device_id = str(digits(parts[0]))
    kind, body = parts[1], parts[2:]
    if kind == "P45":
        _p45(body, reading)
    elif kind == "W01":
        _w01(body, reading)
    elif re.fullmatch(r"U0[1236]", kind):
        _u01(kind, body, reading)
    elif re.fullmatch(r"[SP]\d\d", kind):
        text = ",".join(body)
        reading.results.append(Result(kind, not re.match(r"(0|FAIL|ERR)\b", text, re.IGNORECASE), text[:200]))
    elif kind not in {"U04", "@JT"} and "U09" not in parts:
        raise Undecodable("unknown-type", f"a message {kind[:16]!r} is not known")


def _u01(kind: str, body: list[str], reading: Reading) -> None:
    if not re.fullmatch(r"\d{6}", body[0]):
        body = body[1:]  # U06 begins with the number of its alarm
    m = U01.read(body)
    row = _text_fix(m, m["valid"] == "T")
    row |= {
        "speed_mps": decimal(m["speed"]) * MPH,
        "satellites": digits(m["satellites"]),
        "battery_pct": min(decimal(m["battery"].removesuffix("%")), 100.0),
        "gsm_signal": _signal(digits(m["signal"])),
        "odometer_m": decimal(m["odometer_km"]) * 1000,
        "sequence": digits(m["serial"]),
    }
    reading.rows.append(row)
    reading.replies.append(b"(S20)" if kind == "U06" else b"(S39)")


def _w01(body: list[str], reading: Reading) -> None:
    m = W01.read(body)
    row = _text_fix(m, m["valid"] == "A", minutes=True)
    row |= {
        "speed_mps": decimal(m["speed"]) * KMH,
        "battery_pct": min(decimal(m["power"]), 100.0),
        "gsm_signal": _signal(digits(m["signal"])),
    }
    reading.rows.append(row)


def _p45(body: list[str], reading: Reading) -> None:
    """An event at the lock: who opened it, or tried to."""
    m = P45.read(body)
    row = _text_fix(m, m["valid"] == "A")
    row["speed_mps"] = decimal(m["speed"]) * MPH
    if m["card"].strip("0"):
        row["card_id"] = m["card"]
    if m["verified"] == "1":
        row["unlock_method"] = UNLOCKED_BY.get(m["source"], f"source-{m['source'][:8]}")
    elif "card_id" in row:
        row["card_refused"] = True
    if digits(m["wrong_passwords"]) > _PASSWORDS_BEFORE_ALARM:
        row["wrong_password"] = True
    row["sequence"] = digits(m["index"])
    reading.rows.append(row)
    reading.replies.append(b"(P69,0,%d)" % digits(m["index"]))


def _text_fix(m: Mapping[str, str], valid: bool, *, minutes: bool = False) -> Row:
    def angle(value: str, hemisphere: str) -> float:
        if minutes:
            return degrees_minutes(value, hemisphere)
        return -decimal(value) if hemisphere in "SW" else decimal(value)

    return {
        "observed_us": _time(m["date"], m["time"]),
        "lat_deg": angle(m["lat"], m["ns"]),
        "lon_deg": angle(m["lon"], m["ew"]),
        "fix_valid": valid,
        "fix_source": "gnss",
        "course_deg": decimal(m["course"]),
    }


def _report(row: Row, sequence: int) -> bytes:
    t = utc_parts(row["observed_us"])
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    flags = FIX_FLAGS.write({"valid": row.get("fix_valid", True), "north": lat >= 0, "east": lon >= 0})
    tens, units = divmod(min(99, round(row.get("speed_mps", 0.0) / KNOT)), 10)
    fix = FIX.write(
        {
            "time": t.strftime("%d%m%y%H%M%S"),
            "lat": _in_minutes(lat, 8),
            "lon_flags": bytes.fromhex(f"{_in_minutes(lon, 9)}{flags:x}"),
            "speed": bytes([tens * 16 + units]),
            "course_deg": row.get("course_deg", 0.0),
        }
    )
    status = {name: row.get(name) for name in (*_FLAGS, *_ALARMS)}
    opened = row.get("casing_open")
    status |= {"cover_opened": opened, "cover_closed": opened is False, "wants_answer": True}
    battery = _CHARGING if row.get("charging") else round(row.get("battery_pct", 0.0))
    lock = LOCK.write(
        {
            "odometer_km": row.get("odometer_m", 0.0) / 1000,
            "satellites": row.get("satellites", 0),
            "status": STATUS.write(status),
            "battery_pct": battery,
            "signal": 99 if row.get("gsm_signal") is None else row["gsm_signal"] * 31 / 100,
        }
    )
    body = fix + lock + bytes(4)
    head = bytes.fromhex(str(row["device_id"]).rjust(10, "0")) + bytes([0x19, 0x11])
    return b"$" + head + (len(body) + 1).to_bytes(2, "big") + body + bytes([sequence & 0xFF])


def _in_minutes(degrees: float, width: int) -> str:
    whole, minutes = divmod(round(abs(degrees) * 600_000), 600_000)
    return f"{whole * 1_000_000 + minutes:0{width}d}"


def _unlock(_device_id: str, parameters: Mapping[str, Any], _sequence: int) -> bytes:
    password = str(parameters.get("password", ""))
    if not re.fullmatch(r"\d{6}", password):
        raise Undecodable("parameter", "password: the lock's password has six digits")
    return f"(P43,{password})".encode()


def _interval(_device_id: str, parameters: Mapping[str, Any], _sequence: int) -> bytes:
    seconds = whole(parameters, "seconds", 5, 36_000)
    return f"(P04,1,{seconds},{max(1, seconds // 60)})".encode()


PROTOCOL: Final = Protocol(
    name="jt701",
    title="JT701 e-seals (Jointech; JT600 frames too)",
    document="Jointech JT701 protocol; lock status by the maker's table",
    family="seal",
    decode=decode,
    split=by_start({b"$": _split, b"(": _split}),
    doors=("tcp", "udp"),
    port=5014,
    starts=re.compile(rb"\$[\x10-\x99]|\(\d+,(U0|W01|P45|@JT|\d+,)"),
    max_frame=8192,
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
                "locked",
                "rope_cut",
                "rope_inserted",
                "casing_open",
                "battery_pct",
                "motor_stuck",
                "wrong_password",
                "card_refused",
                "unlock_alarm",
                "vibration",
                "satellites",
            }
        ),
        resolution={"course_deg": 2.0},
        device_id=lambda n: str(8_000_000_000 + n),
    ),
    commands={
        "unlock": Command(_unlock, "open the lock", {"password": "the lock's password, six digits"}),
        "interval": Command(_interval, "seconds between reports", {"seconds": "5 to 36000"}),
    },
)
