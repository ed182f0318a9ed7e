"""Meitrack trackers and locks: text reports (AAA) and the binary forms CCC and CCE.

Documents: Meitrack, "GPRS Protocol" 1.7 (MT90, MVT, T series), "T1 & T333 GPRS Protocol" 1.4, "T622 GPRS Protocol" (CCC).
A frame is ``$$``, one character that numbers it, its length from the first comma to its end, the device, a command and its data,
``*``, the sum of all bytes before in two hexadecimal digits, CR LF.

CCE names every value by a number, in four lists: values of one, of two, of four bytes, and of any length; a number of 0xFE
is continued by a second byte. All binary numbers are little-endian.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
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
from cocket.core.units import KMH
from cocket.core.wire import (
    Columns,
    Cursor,
    Record,
    decimal,
    digits,
    i16,
    i32,
    pad,
    u8,
    u16,
    u32,
    utc_parts,
    utc_us,
)

REPORT: Final = Columns(
    "event", "lat", "lon", "time", "valid", "satellites", "signal", "speed", "course", "hdop", "altitude",
    "odometer", "run_time", "cell", "inputs_outputs", "analogue",
)  # fmt: skip
MORE: Final = Columns("event_data", "reserved", "version", "fuel", "temperatures")
"""What may follow; all of it, its end, or nothing."""

CCC_HEAD: Final = Record("<", u16("version"), u16("size"), u32("waiting"))
CCC: Final = Record(
    "<", u8("event"), i32("lat_deg", 1e-6), i32("lon_deg", 1e-6), u32("time"), u8("valid"), u8("satellites"),
    u8("signal"), u16("speed"), u16("course_deg"), u16("hdop", 0.1), i16("altitude_m"), u32("odometer_m"),
    u32("run_time"), pad(8), u16("status"), u16("analogue"), u16("battery_v", 0.01), u16("power"), pad(4),
)  # fmt: skip

EVENTS: Final[Mapping[int, Row]] = {
    1: {"sos": True},
    17: {"battery_low": True},
    20: {"fence_entered": True},
    21: {"fence_left": True},
    22: {"external_power": True},
    23: {"external_power": False},
    44: {"jamming": True},
    78: {"vibration": True},
}
CARD: Final = 37
"""Event: a card or key was read; its number is the event's data."""

BATTERY: Final = ((250, 450, 0.01), (480, 760, 6.0 / 1024), (1500, 2800, 6.6 / 4096))
"""Raw battery voltage: least, most, volts of one. Which scale a model uses is known by the number: one lithium cell has 2.5 to
4.5 V, and the ranges of hundredths (T3xx), 10 bit (MVT340, MVT380) and 12 bit (MVT100, MVT600, T1, T3) do not meet."""

LOCK: Final = {1: False, 2: True}
_SENSORS: Final = range(0x2A, 0x32)
_NOT_MEASURED: Final = 85.0
"""°C: what a DS18B20 says before it has measured."""
_NO_HDOP: Final = 99.9
_2000_US: Final = 946_684_800 * 1_000_000
_ASU_MOST: Final = 31

_HEAD: Final = re.compile(rb"\$\$(.)(\d{2,5}),([^,*]{1,20}),([0-9A-Z]{3})[,*]", re.DOTALL)
_SIZE: Final = re.compile(rb"\$\$.(\d{1,5}),", re.DOTALL)
_SIZE_MOST: Final = 9
_TEMPERATURE: Final = re.compile(r"[0-9A-Fa-f]{6}\Z")


def _split(buffer: bytes, at: int) -> Cut:
    """By the length that a frame gives; if CR LF do not stand there, up to the next CR LF."""
    first = buffer.find(b"$$", at)
    if first < 0:
        upto = max(at, len(buffer) - 1)
        return (upto, upto) if upto > at else None
    head = _SIZE.match(buffer, first)
    if head is None:
        if len(buffer) < first + _SIZE_MOST and b"\r" not in buffer[first:]:
            return (first, first) if first > at else None
        return first + 2, first + 2
    end = head.end() - 1 + int(head[1])
    if len(buffer) < end:
        return (first, first) if first > at else None
    if buffer[end - 2 : end] != b"\r\n":
        found = buffer.find(b"\r\n", first)
        if found < 0:
            return (first, first) if first > at else None
        end = found + 2
    return first, end


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One frame, with or without its CR LF. One whose sum is wrong is read, reported as such, and not answered."""
    head = _HEAD.match(frame)
    star = frame.rfind(b"*")
    if head is None:
        raise Undecodable(
            "no-frame", "a frame begins with $$, a character, its length, the device and a command"
        )
    if star < head.end() - 1 or len(frame) < star + 3:
        raise Undecodable("truncated", "the sum at the frame's end is missing")
    session.device_id = head[3].decode("ascii", "replace")
    kind = head[4].decode()
    flag, imei = head[1], head[3]
    if kind == "CCC":
        _ccc(frame[head.end() : star], reading)
        reading.replies.append(_framed(flag, imei, b"CCC,%d" % len(reading.rows)))
    elif kind == "CCE":
        _cce(frame[head.end() : star], reading)
    elif kind == "AAC":
        reading.replies.append(_framed(flag, imei, b"AAC,1"))
    elif kind != "D00":  # D00 is a part of a picture
        parts = frame[head.end() : star].decode("ascii").split(",")
        if len(parts) >= len(REPORT.names):
            _text(parts, reading)
        else:
            text = ",".join(parts)
            reading.results.append(Result(kind, not text.upper().startswith(("ERR", "FAIL")), text[:200]))
    said = frame[star + 1 : star + 3]
    if int(said, 16) != sum(frame[: star + 1]) & 0xFF:
        reading.replies.clear()
        raise Undecodable(
            "checksum", f"the sum is {sum(frame[: star + 1]) & 0xFF:02X}, the frame says {said!r}"
        )


def _framed(flag: bytes, imei: bytes, content: bytes, mark: bytes = b"@@") -> bytes:
    rest = b"," + imei + b"," + content + b"*"
    text = mark + flag + b"%02d" % (len(rest) + 4) + rest
    return text + b"%02X\r\n" % (sum(text) & 0xFF)


def _signal(asu: int) -> int | None:
    """Mobile signal in per cent of 0 to 31 (3GPP TS 27.007, +CSQ)."""
    return round(asu * 100 / _ASU_MOST) if asu <= _ASU_MOST else None


def _text(parts: list[str], reading: Reading) -> None:
    """AAA, and AFF, which has the number of reports that wait before it."""
    if "." not in parts[1]:
        parts = parts[1:]
    m = REPORT.read(parts)
    t = m["time"]
    if len(t) != 12:
        raise Undecodable("malformed", f"{t[:16]!r} is no time (yymmddhhmmss)")
    event = digits(m["event"])
    row: Row = {
        "observed_us": utc_us(*(digits(t[i : i + 2]) for i in range(0, 12, 2))),
        "lat_deg": decimal(m["lat"]),
        "lon_deg": decimal(m["lon"]),
        "fix_valid": m["valid"] == "A",
        "satellites": digits(m["satellites"]),
        "gsm_signal": _signal(digits(m["signal"])),
        "speed_mps": decimal(m["speed"]) * KMH,
        "course_deg": decimal(m["course"]),
        "hdop": decimal(m["hdop"]) or None,
        "altitude_m": decimal(m["altitude"]),
        "odometer_m": float(digits(m["odometer"])),
        "battery_v": _battery(m["analogue"].split("|")) if "analogue" in m else None,
        **EVENTS.get(event, {}),
    }
    reading.rows.append(row)
    rest = parts[len(REPORT.names) :]
    if event == CARD and rest:
        row["card_id"] = rest[0][:64] or None
    if len(rest) >= len(MORE.names):
        more = MORE.read(rest)
        hundredths = more.get("version", "").isdigit() and int(more["version"]) >= 3
        _sensors(
            {
                int(text[:2], 16): _degrees(text[2:], hundredths=hundredths)
                for text in more.get("temperatures", "").split("|")
                if _TEMPERATURE.match(text)
            },
            row,
            reading,
        )


def _battery(analogue: Sequence[str]) -> float | None:
    """Volts of the tracker's own battery: first of the newer list in decimals, fourth of the older one in hexadecimals."""
    if "." in analogue[0]:
        return decimal(analogue[0])
    if len(analogue) < 4 or not analogue[3]:
        return None
    raw = int(analogue[3], 16)
    return next((raw * scale for least, most, scale in BATTERY if least <= raw <= most), None)


def _degrees(text: str, *, hundredths: bool) -> float:
    """°C: hundredths in two's complement from version 3 on; before, a signed byte and its hundredths."""
    raw = int(text, 16)
    if hundredths:
        return (raw - 0x10000 if raw & 0x8000 else raw) / 100
    whole = (raw >> 8) - 256 if raw & 0x8000 else raw >> 8
    part = (raw & 0xFF) / 100
    return whole - part if whole < 0 else whole + part


def _sensors(degrees: Mapping[int, float], row: Row, reading: Reading) -> None:
    """The first sensor stands in the report's row, each other one in a row of its own, with its number."""
    for number, value in degrees.items():
        if value == _NOT_MEASURED:
            continue
        if "temp_c" not in row:
            row["temp_c"] = value
        else:
            reading.rows.append(
                {"observed_us": row.get("observed_us"), "temp_c": value, "reader_id": str(number)}
            )


def _ccc(body: bytes, reading: Reading) -> None:
    cursor = Cursor(body)
    head = cursor.record(CCC_HEAD)
    if head["size"] < CCC.size:
        raise Undecodable("length", f"a report has at least {CCC.size} bytes, the frame says {head['size']}")
    while cursor.left:
        m = CCC.read(cursor.take(head["size"]))
        reading.rows.append(
            {
                "observed_us": _2000_US + m["time"] * 1_000_000,
                "lat_deg": m["lat_deg"],
                "lon_deg": m["lon_deg"],
                "fix_valid": m["valid"] == 1,
                "satellites": m["satellites"],
                "gsm_signal": _signal(m["signal"]),
                "speed_mps": m["speed"] * KMH,
                "course_deg": m["course_deg"],
                "hdop": m["hdop"] or None,
                "altitude_m": m["altitude_m"],
                "odometer_m": float(m["odometer_m"]),
                "battery_v": m["battery_v"],
                **EVENTS.get(m["event"], {}),
            }
        )


_Put = Callable[[int, Row], None]


def _into(column: str, scale: float = 1) -> _Put:
    def put(value: int, row: Row) -> None:
        row[column] = value * scale

    return put


def _event(value: int, row: Row) -> None:
    row |= EVENTS.get(value, {})


def _lock(value: int, row: Row) -> None:
    row["locked"] = LOCK.get(value)


def _valid(value: int, row: Row) -> None:
    row["fix_valid"] = value > 0


def _asu(value: int, row: Row) -> None:
    row["gsm_signal"] = _signal(value)


def _hdop(value: int, row: Row) -> None:
    row["hdop"] = value / 10 if 0 < value / 10 < _NO_HDOP else None


def _height(value: int, row: Row) -> None:
    row["altitude_m"] = float(value - 0x10000 if value & 0x8000 else value)


def _time(value: int, row: Row) -> None:
    row["observed_us"] = _2000_US + value * 1_000_000


def _angle(column: str) -> _Put:
    def put(value: int, row: Row) -> None:
        row[column] = (value - 2**32 if value & 2**31 else value) / 1e6

    return put


def _card(value: int, row: Row) -> None:
    row["card_id"] = str(value)


LISTS: Final[tuple[Mapping[int, _Put], ...]] = (
    {
        0x01: _event,
        0x05: _valid,
        0x06: _into("satellites"),
        0x07: _asu,
        0x47: _lock,
        0xFE69: _into("battery_pct", 1.0),
    },
    {
        0x08: _into("speed_mps", KMH),
        0x09: _into("course_deg", 1.0),
        0x0A: _hdop,
        0x0B: _height,
        0x19: _into("battery_v", 0.01),
        0x40: _event,
    },
    {
        0x02: _angle("lat_deg"),
        0x03: _angle("lon_deg"),
        0x04: _time,
        0x0C: _into("odometer_m", 1.0),
        0x25: _card,
    },
)
"""CCE: values of one, two and four bytes by their number; others are passed over."""


def _number(cursor: Cursor) -> int:
    number = cursor.uint(1)
    return 0xFE00 | cursor.uint(1) if number == 0xFE else number


def _cce(body: bytes, reading: Reading) -> None:
    cursor = Cursor(body)
    cursor.take(4)  # reports that wait in the tracker
    for _ in range(cursor.uint(2, "little")):
        part = Cursor(cursor.take(cursor.uint(2, "little")))
        part.take(2)  # how many values there are in all
        row: Row = {"fix_valid": False}
        for width, known in zip((1, 2, 4), LISTS, strict=True):
            for _value in range(part.uint(1)):
                put = known.get(_number(part))
                value = part.uint(width, "little")
                if put is not None:
                    put(value, row)
        reading.rows.append(row)
        _any_length(part, row, reading)


def _any_length(part: Cursor, row: Row, reading: Reading) -> None:
    """Values with their own length: temperature sensors, a Bluetooth sensor, levels of up to three batteries."""
    wired: dict[int, float] = {}
    for _ in range(part.uint(1)):
        number = _number(part)
        value = Cursor(part.take(part.uint(1)))
        if number in _SENSORS and value.left >= 3:
            value.take(1)
            wired[number - _SENSORS.start] = value.int(2, "little") / 100
        elif number == 0xFEA8 and value.left >= 2:
            if value.uint(1):
                row["battery_pct"] = float(value.uint(1))
        elif number == 0xFE73:
            value.take(1)
            value.take(value.uint(1))
            address = value.take(6).hex()
            value.take(1)  # the sensor's own battery
            reading.rows.append(
                {
                    "observed_us": row.get("observed_us"),
                    "reader_id": address,
                    "temp_c": value.int(2, "little") / 256,
                    "humidity_pct": value.int(2, "little") / 256,
                }
            )
    _sensors(wired, row, reading)


def _simulate(row: Row, sequence: int) -> bytes:
    values = {
        "event": "1" if row.get("sos") else "35",
        "lat": f"{row.get('lat_deg', 0.0):.6f}",
        "lon": f"{row.get('lon_deg', 0.0):.6f}",
        "time": utc_parts(row["observed_us"]).strftime("%y%m%d%H%M%S"),
        "valid": "A" if row.get("fix_valid", True) else "V",
        "satellites": str(row.get("satellites", 0)),
        "signal": f"{row.get('gsm_signal', 0) * _ASU_MOST / 100:.0f}",
        "speed": f"{row.get('speed_mps', 0.0) / KMH:.1f}",
        "course": f"{row.get('course_deg', 0.0):.0f}",
        "hdop": "1.0",
        "altitude": f"{row.get('altitude_m', 0.0):.0f}",
        "odometer": f"{row.get('odometer_m', 0.0):.0f}",
        "run_time": "0",
        "cell": "0|0|0000|0000",
        "inputs_outputs": "0000",
        "analogue": f"{row.get('battery_v', 0.0):.2f}|12.00|1.92|2.72|2.69",
    }
    content = ",".join(["AAA", *REPORT.write(values), ""]).encode()
    return _framed(_flag(sequence), str(row["device_id"]).encode(), content, b"$$")


def _flag(sequence: int) -> bytes:
    """The character that numbers a frame: A to z."""
    return bytes([0x41 + sequence % 58])


def _order(content: str) -> Any:
    def build(device_id: str, _parameters: Mapping[str, Any], sequence: int) -> bytes:
        return _framed(_flag(sequence), device_id.encode(), content.encode())

    return build


def _interval(device_id: str, parameters: Mapping[str, Any], sequence: int) -> bytes:
    seconds = whole(parameters, "seconds", 10, 655_350)
    return _framed(_flag(sequence), device_id.encode(), b"A12,%d" % (seconds // 10))


PROTOCOL: Final = Protocol(
    name="meitrack",
    title="Meitrack trackers and locks (AAA, CCC, CCE)",
    document="Meitrack GPRS Protocol 1.7; T1 & T333 GPRS Protocol 1.4; T622 GPRS Protocol",
    family="tracker",
    decode=decode,
    split=_split,
    text=True,
    doors=("tcp", "udp"),
    port=5020,
    starts=re.compile(rb"\$\$.\d{2,5},\d{10,16},[A-F][0-9A-F]{2}[,*]", re.DOTALL),
    max_frame=8192,
    simulation=Simulation(
        report=_simulate,
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
                "gsm_signal",
                "odometer_m",
                "battery_v",
                "sos",
            }
        ),
        resolution={"battery_v": 0.01, "gsm_signal": 2.0},
    ),
    commands={
        "position": Command(_order("A10"), "report the position now"),
        "interval": Command(
            _interval, "seconds between reports", {"seconds": "10 to 655350, in steps of ten"}
        ),
        "output-on": Command(_order("C01,0,12222"), "switch output 1 on, whatever the speed"),
        "output-off": Command(_order("C01,0,02222"), "switch output 1 off"),
    },
)
