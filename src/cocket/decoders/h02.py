"""H02 (HQ) trackers: text ``*HQ,…#`` and binary ``$…`` frames of SinoTrack, LK, Huasuntek, TK and many others.

Document: Shenzhen Huasuntek, "GPS Tracker Platform Communication Protocol" V1.0.5 (fields, terminal status, commands);
the binary form as LK and SinoTrack trackers send it. Every maker has two letters of its own (HQ, TH, XY …).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from cocket.core.framing import between, by_start
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
from cocket.core.units import KNOT
from cocket.core.wire import (
    Bits,
    Columns,
    Parts,
    Record,
    bcd,
    decimal,
    degrees_minutes,
    digits,
    in_degrees_minutes,
    pad,
    u8,
    u32,
    utc_parts,
    utc_us,
)

STATUS: Final = Bits(
    theft=0, robbery=1, door_open=8, acc_off=10, sos=18, on_backup_battery=19, supply_removed=20
)
"""Terminal status, 32 bits in negative logic: a bit that is 0 tells that it is so. Only those whose meaning all firmware shares."""

_ALL: Final = 0xFFFFFFFF

FIX: Final = Columns("time", "valid", "lat", "ns", "lon", "ew", "speed", "course")
"""``time`` hhmmss UTC, ``lat`` ddmm.mmmm, ``lon`` dddmm.mmmm, ``speed`` knots. The date and the status stand further behind."""

LINK: Final = Columns("time", "signal", "satellites", "battery", "steps", "turns", "date", "status")

BINARY: Final = Record(
    ">",
    bcd("time", 3),
    bcd("date", 3),
    bcd("lat", 4),
    u8("battery"),
    bcd("lon_flags", 5),
    bcd("motion", 3),
    u32("status"),
)
"""``lat`` ddmmmmmm (1e-4 minutes), ``lon_flags`` dddmmmmmm and the flags' half byte, ``motion`` speed (knots) and course."""

BINARY_FLAGS: Final = Bits(valid=1, north=2, east=3)

BINARY_TAIL: Final = Record(">", pad(2), u8("signal"), u8("satellites"), pad(12))
"""What follows the status in a frame of 45 bytes: alarm, reserved, signal (0 to 31), satellites, distance, cell, number."""

_SHORT_ID: Final = 5
_LONG_ID: Final = 8
_LONG: Final = 42
_LENGTHS: Final = (32, 45, 46, 48)
"""Sizes of binary frames with the short device number; nothing in the frame tells which it is."""

BATTERY_LEVELS: Final = {1: 0.0, 2: 10.0, 3: 20.0, 4: 60.0, 5: 80.0, 6: 100.0}
"""Binary: per cent of the six levels; from 7 to 100 the byte is the per cent itself."""

ALARMS: Final[Mapping[str, Row]] = {"1": {"sos": True}, "2": {"battery_low": True}}

_SIGNAL_MOST: Final = 31
_DAY: Final = re.compile(r"\d{6}")
_STATUS: Final = re.compile(r"[0-9A-Fa-f]{8}")
_APART: Final = re.compile(r"-?(\d{1,3})-(\d+\.\d+)")
_SILENT: Final = frozenset({"", "XT", "BASE", "BS"})

_B: Final = rb"[\x00-\x09\x10-\x19\x20-\x29\x30-\x39\x40-\x49\x50-\x59\x60-\x69\x70-\x79\x80-\x89\x90-\x99]"
_WHEN: Final = (
    rb"[\x00-\x09\x10-\x19\x20-\x23](?:[\x00-\x09\x10-\x19\x20-\x29\x30-\x39\x40-\x49\x50-\x59]){2}"
    rb"[\x00-\x09\x10-\x19\x20-\x29\x30\x31][\x00-\x09\x10-\x12]" + _B
)
_FIELDS: Final = _B + rb"{4}." + _B + rb"{4}[\x00-\x9f]" + _B + rb"{3}"
_SHORT_HEAD: Final = re.compile(rb"\$" + _B + rb"{5}" + _WHEN + _FIELDS, re.DOTALL)
_LONG_HEAD: Final = re.compile(rb"\$" + _B + rb"{7}." + _WHEN + _FIELDS, re.DOTALL)
_LEAST: Final = 32
_BUSY: Final = 0xB0
"""The status' first byte is hardly ever below this: few of its bits, in negative logic, are 0 at a time."""


def _is_long(data: bytes, at: int) -> bool | None:
    """Whether the device number of the binary frame there has 15 digits; None if no frame begins there."""
    short, long = _SHORT_HEAD.match(data, at), _LONG_HEAD.match(data, at)
    if short and long:
        return data[short.end()] < _BUSY <= data[long.end()] if len(data) > long.end() else False
    return None if short is None and long is None else long is not None


def _binary_cut(buffer: bytes, at: int) -> Cut:
    """A frame ends where the next one begins, or with all that is there, if that is one of the sizes."""
    here = len(buffer) - at
    if here < _LEAST:
        return None
    long = _is_long(buffer, at)
    if long is None:
        return at + 1, at + 1
    if long:
        return (at, at + _LONG) if here >= _LONG else None
    for size in _LENGTHS:
        if here == size or (here > size and _begins(buffer, at + size)):
            return at, at + size
    return (at, at + _LENGTHS[0]) if here > _LENGTHS[-1] else None


def _begins(buffer: bytes, at: int) -> bool:
    if buffer[at] == 0x2A:
        return True
    return buffer[at] == 0x24 and (len(buffer) - at < _LEAST or _is_long(buffer, at) is not None)


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One frame, text or binary."""
    if frame[:1] == b"$":
        _binary(frame, session, reading)
    elif frame[:1] == b"*":
        _text(frame, session, reading)
    else:
        raise Undecodable("no-frame", "a frame begins with * or $")


def _time(date: str, time: str) -> int | None:
    """UTC µs of ddmmyy and hhmmss."""
    d, t = digits(date), digits(time)
    return utc_us(d % 100, d // 100 % 100, d // 10000, t // 10000, t // 100 % 100, t % 100)


def _state(status: int) -> Row:
    said = STATUS.read(~status & _ALL)
    row: Row = {"ignition": not said["acc_off"]}
    if said["theft"]:
        row["vibration"] = True
    if said["robbery"] or said["sos"]:
        row["sos"] = True
    if said["door_open"]:
        row["door_open"] = True
    if said["on_backup_battery"] or said["supply_removed"]:
        row["external_power"] = False
    return row


def _signal(asu: int) -> int | None:
    return round(asu * 100 / _SIGNAL_MOST) if asu <= _SIGNAL_MOST else None


def _binary(frame: bytes, session: Session, reading: Reading) -> None:
    long = _is_long(frame, 0)
    if long is None:
        long = len(frame) == _LONG
    at = 1 + (_LONG_ID if long else _SHORT_ID)
    m = BINARY.read(frame, at)
    session.device_id = frame[1:at].hex()[:15]
    lon_flags = m["lon_flags"]
    flags = BINARY_FLAGS.read(int(lon_flags[9], 16))
    lat, lon = _packed(m["lat"]), _packed(lon_flags[:9])
    motion = digits(m["motion"])
    level = m["battery"]
    row: Row = {
        "observed_us": _time(m["date"], m["time"]),
        "lat_deg": lat if flags["north"] else -lat,
        "lon_deg": lon if flags["east"] else -lon,
        "fix_valid": flags["valid"],
        "speed_mps": motion // 1000 * KNOT,
        "course_deg": float(motion % 1000),
        "battery_pct": BATTERY_LEVELS.get(level, float(level) if 6 < level <= 100 else None),
        **_state(m["status"]),
    }
    if len(frame) == at + BINARY.size + BINARY_TAIL.size:
        tail = BINARY_TAIL.read(frame, at + BINARY.size)
        if tail["signal"] <= _SIGNAL_MOST:
            row["gsm_signal"] = _signal(tail["signal"])
            row["satellites"] = tail["satellites"]
    reading.rows.append(row)


def _packed(text: str) -> float:
    degrees, minutes = divmod(digits(text), 1_000_000)
    return degrees + minutes / 600_000


def _text(frame: bytes, session: Session, reading: Reading) -> None:
    text = frame.decode("utf-8", "replace").strip()[1:].removesuffix("#")
    parts = [part.strip() for part in text.split(",")]
    if len(parts) < 3:
        raise Undecodable("truncated", "a text frame is *maker,device,type,…#")
    _maker, device_id, kind = parts[:3]
    if device_id:
        session.device_id = device_id
    handler = HANDLERS.get(kind)
    if handler is not None:
        handler(parts, reading)
    elif not _fix(parts, reading) and kind not in _SILENT and kind[:1] != "V":
        raise Undecodable("unknown-type", f"a message {kind[:16]!r} is not known")


def _answer(parts: list[str], reading: Reading, us: int | None) -> None:
    """The answer that trackers with acknowledgement wait for; it carries the report's own time."""
    if us is not None and parts[1]:
        when = utc_parts(us).strftime("%Y%m%d%H%M%S")
        reading.replies.append(f"*{parts[0]},{parts[1]},V4,{parts[2]},{when}#".encode())


def _fix(parts: list[str], reading: Reading, *, timed: bool = True) -> bool:
    """A report with a position, found by its hemispheres, for what stands before it varies. False if there is none."""
    for at in range(6 if timed else 5, len(parts) - 4):
        if parts[at] in {"N", "S"} and parts[at + 2] in {"E", "W"}:
            break
    else:
        return False
    time = parts[at - 3] if timed else "000000"
    m = FIX.read([time, *parts[at - 2 : at + 5]])
    if "lat" not in m or "lon" not in m:
        return False
    behind = parts[at + 5 :]
    if len(behind) > 1 and not _DAY.fullmatch(behind[0]) and _DAY.fullmatch(behind[1]):
        del behind[0]  # a battery level of unknown scale
    date = behind[0] if behind else ""
    us = _time(date, m["time"]) if _DAY.fullmatch(date) and "time" in m else None
    row: Row = {
        "observed_us": us,
        "lat_deg": _angle(m["lat"], m["ns"]),
        "lon_deg": _angle(m["lon"], m["ew"]),
        "fix_valid": m.get("valid", "V") != "V",
        "speed_mps": decimal(m.get("speed", "0")) * KNOT,
        "course_deg": decimal(m["course"]) if "course" in m else None,
    }
    _behind(parts[2], behind[1:], row)
    reading.rows.append(row)
    if parts[2] == "V1":
        _answer(parts, reading, us)
    return True


def _angle(text: str, hemisphere: str) -> float:
    """Degrees of ``ddmm.mmmm``, ``ddmmmmmm`` or ``-dd-mm.mmmm``; the hemisphere alone gives the sign."""
    apart = _APART.fullmatch(text)
    if apart:
        found = int(apart[1]) + float(apart[2]) / 60
        return -found if hemisphere in "SW" else found
    return degrees_minutes(text if "." in text else f"{text[:-4]}.{text[-4:]}", hemisphere)


def _behind(kind: str, rest: list[str], row: Row) -> None:
    """The status and what follows it: charge, three cells; cell, charge (VI1, ALRM); or distance, fuel, altitude."""
    status = rest[-1] if kind == "V19" and rest else rest[0] if rest else ""
    if not _STATUS.fullmatch(status):
        return
    row |= _state(int(status, 16))
    n = len(rest)
    charge = ""
    if (kind == "VP1" and n == 2) or (n == 11 and rest[2] == "3"):
        charge = rest[1]
    elif kind in {"VI1", "ALRM"} and n > 6:
        charge = rest[5]
    elif n == 7 and "." in rest[3] and rest[1].isdecimal():
        row["odometer_m"] = decimal(rest[1])
        row["altitude_m"] = decimal(rest[4])
    if charge.isdecimal():
        row["battery_pct"] = 100.0 if int(charge) == 99 else float(charge)


def _vp1(parts: list[str], reading: Reading) -> None:
    """The short report: a date and no time. Midnight stands for it."""
    _fix(parts, reading, timed=False)


def _alarm(parts: list[str], reading: Reading) -> None:
    if not _fix(parts, reading):
        reading.rows.append({})
    reading.rows[-1] |= ALARMS.get(parts[3] if len(parts) > 3 else "", {})
    if not reading.rows[-1]:
        reading.rows.pop()


def _result(parts: list[str], reading: Reading) -> None:
    """An answer to a command: the command, what came of it, the command's time, and a position or none."""
    had = _fix(parts, reading)
    end = len(parts)
    if had:
        end = (
            next(i for i in range(6, len(parts)) if parts[i] in {"N", "S"} and parts[i + 2] in {"E", "W"}) - 3
        )
    said = parts[4:end]
    code = said[0] if said else ""
    failed = code.upper() in {"ERROR", "FAIL"} or (
        len(said) == 2 and re.fullmatch(r"[0-7][0-9A-Fa-f]", code) is not None
    )
    reading.results.append(
        Result(parts[3][:32] if len(parts) > 3 else "V4", not failed, ",".join(said)[:200])
    )


def _sms(parts: list[str], reading: Reading) -> None:
    reading.results.append(Result("SMS", good=True, text=",".join(parts[3:])[:200]))


def _heartbeat(parts: list[str], reading: Reading) -> None:
    if len(parts) > 3 and parts[3].isdecimal():
        reading.rows.append({"battery_pct": decimal(parts[3])})
    reading.replies.append(",".join(["*" + parts[0], parts[1], parts[2]]).encode() + b"#")


def _blind(_parts: list[str], _reading: Reading) -> None:
    raise Undecodable("unknown-type", "BC, points from a blind spot: their times have a day, and no month")


def _link(parts: list[str], reading: Reading) -> None:
    m: Parts = LINK.read(parts[3:])
    reading.rows.append(
        {
            "observed_us": _time(m["date"], m["time"]),
            "gsm_signal": _signal(digits(m["signal"])),
            "satellites": digits(m["satellites"]),
            "battery_pct": decimal(m["battery"]),
            **_state(int(m["status"], 16)),
        }
    )


def _cells(count_at: int, each: int, skip: int) -> Callable[[list[str], Reading], None]:
    """A report of mobile cells: their number at ``count_at``, ``each`` fields a cell, ``skip`` fields before the date."""

    def read(parts: list[str], reading: Reading) -> None:
        at = count_at + 1 + each * digits(parts[count_at]) + skip
        us = _time(parts[at], parts[3])
        reading.rows.append({"observed_us": us, **_state(int(parts[at + 1], 16))})
        if parts[2] == "NBR":
            _answer(parts, reading, us)

    return read


HANDLERS: Final[Mapping[str, Callable[[list[str], Reading], None]]] = {
    "HTBT": _heartbeat,
    "V0": _heartbeat,
    "LINK": _link,
    "NBR": _cells(7, 3, 0),
    "V3": _cells(5, 4, 3),
    "VP1": _vp1,
    "V4": _result,
    "SMS": _sms,
    "ALRM": _alarm,
    "BC": _blind,
}


def _report(row: Row, _sequence: int) -> bytes:
    t = utc_parts(row["observed_us"])
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    fix = {
        "time": t.strftime("%H%M%S"),
        "valid": "A" if row.get("fix_valid", True) else "V",
        "lat": in_degrees_minutes(lat, 2),
        "ns": "N" if lat >= 0 else "S",
        "lon": in_degrees_minutes(lon, 3),
        "ew": "E" if lon >= 0 else "W",
        "speed": f"{row.get('speed_mps', 0.0) / KNOT:06.2f}",
        "course": f"{row.get('course_deg', 0.0):03.0f}",
    }
    said = {
        "theft": row.get("vibration"),
        "sos": row.get("sos"),
        "door_open": row.get("door_open"),
        "acc_off": not row.get("ignition", True),
    }
    status = f"{~STATUS.write(said) & _ALL:08X}"
    return f"*HQ,{row['device_id']},V1,{','.join(FIX.write(fix))},{t:%d%m%y},{status}#".encode()


def _order(content: str) -> Callable[[str, Mapping[str, Any], int], bytes]:
    def build(device_id: str, _parameters: Mapping[str, Any], _sequence: int) -> bytes:
        return f"*HQ,{device_id},{content}#".encode()

    return build


def _interval(device_id: str, parameters: Mapping[str, Any], _sequence: int) -> bytes:
    seconds = whole(parameters, "seconds", 5, 3600)
    return f"*HQ,{device_id},XT,{seconds}#".encode()


PROTOCOL: Final = Protocol(
    name="h02",
    title="H02 trackers (SinoTrack, LK, Huasuntek and others)",
    document="Huasuntek GPS Tracker Platform Communication Protocol V1.0.5",
    family="tracker",
    decode=decode,
    split=by_start({b"*": between(b"*", b"#"), b"$": _binary_cut}),
    doors=("tcp", "udp"),
    port=5013,
    starts=re.compile(
        rb"\*[A-Za-z]{2},\d{0,17},(?:V\d|VP1|VI1|NBR|LINK|HTBT|XT|SMS|ALRM|BASE|BS|#)"
        rb"|\$" + _B + rb"{5}" + _WHEN + _FIELDS + rb"[\xb0-\xff]"
        rb"|\$" + _B + rb"{7}." + _WHEN + _FIELDS + rb"[\xb0-\xff]",
        re.DOTALL,
    ),
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
                "ignition",
                "vibration",
                "sos",
                "door_open",
            }
        ),
    ),
    commands={
        "position": Command(_order("CR"), "report the position now"),
        "interval": Command(_interval, "seconds between reports while driving", {"seconds": "5 to 3600"}),
        "output-on": Command(_order("S20,000000,1,1"), "close the relay: the engine is cut off"),
        "output-off": Command(_order("S20,000000,1,0"), "open the relay again"),
        "reboot": Command(_order("CQ"), "start the tracker anew"),
    },
)
