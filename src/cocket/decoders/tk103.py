"""TK103 (KX402, TK102, Reachfar and others): text frames in brackets, ``(device BR00 …)`` and ``(device,ZC11,…)``.

Document: "GPRS Communication Protocol" 1.5 of the KX402/TK103 (messages, status, alarms, commands), and the messages
ZC and DW of portable trackers, which set their fields apart by commas. The date is yymmdd, but ddmmyy where a comma
parts the device from the command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from cocket.core.framing import between
from cocket.core.protocol import (
    Command,
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
    Columns,
    decimal,
    degrees_minutes,
    digits,
    in_degrees_minutes,
    utc_parts,
    utc_us,
)

HEAD: Final = re.compile(r"\(?(?:([^,(]{12})|([^,(]{6,20}?))(,?)([A-Z]{2}[0-9A-F]{2})")
"""Device, a comma or none, command."""

FIX: Final = re.compile(
    r"(\d{6}),?([AV]),? *(\d*\.\d+)([NS]),? *(\d*\.\d+)([EW])(?:,([\d. ]{1,12}),|,?([\d. ]{5}))(\d{6}),?"
)
"""Date, validity, latitude (ddmm.mmmm), longitude (dddmm.mmmm), speed (km/h, five characters or between commas), hhmmss UTC."""

STATE: Final = re.compile(
    r"(?:([ \d.]{6})|(\d\d)),?([01])([01])([0-9A-Fa-f])([0-9A-Fa-f])[0-9A-Fa-f][0-9A-Fa-f]{3},?L([0-9A-Fa-f]{1,12})"
)
"""Course, power (0: fed from outside), ignition, two half bytes of inputs, one unused, fuel, and metres in hexadecimal."""

SWITCHES: Final = Bits(sos=1)
SENSORS: Final = Bits(door_open=3)
"""The two half bytes of inputs."""

BATTERY: Final = Columns("date", "time", "level", "battery", "power")
"""ZC20: ddmmyy, hhmmss, level 1 to 6, hundredths of a volt of the battery, tenths of a volt of the supply; 65535 is unknown."""

BATTERY_LEVELS: Final = {"6": 100.0, "5": 80.0, "4": 50.0, "3": 20.0, "2": 10.0}
_UNKNOWN: Final = 0xFFFF

ALARMS: Final[Mapping[str, Row]] = {
    "0": {"external_power": False},
    "2": {"sos": True},
    "3": {"vibration": True},
    "6": {"fence_left": True},
}
"""BO01: power off, button, anti-theft alarm, left the zone; 1 accident, 4 and 5 speed have no column."""

COMMANDS: Final[Mapping[str, Row]] = {
    command: said
    for commands, said in (
        ("ZC12 DW32 DW52", {"battery_low": True}),
        ("ZC13 DW33 DW53", {"external_power": False}),
        ("ZC15 DW35 DW55 ZC29 DW42 DW62", {"ignition": True}),
        ("ZC16 DW36 DW56", {"ignition": False}),
        ("ZC25 DW3E DW5E", {"sos": True}),
        ("ZC26 DW3F DW5F", {"casing_open": True}),
    )
    for command in commands.split()
}
"""What a message tells by its name: ZC of old, DW3 and DW4 with a position, DW5 and DW6 with cells and WLANs instead."""

NO_FIX: Final[Row] = {"lat_deg": 0.0, "lon_deg": 0.0, "fix_valid": False}
"""DW5 and DW6 have no fix; it stands as the other messages write one that they have not: 0, 0, not valid."""

_WITHOUT_FIX: Final = re.compile(r"DW5|DW6")
_SILENT: Final = frozenset({"BP00", "BP05", "BQ86", "BS50", "BS51", "BV00", "BZ00"})
_COURSE: Final = re.compile(r"\d+\.\d+")
_TEMPERATURE: Final = re.compile(r"[+-]\d{3}\.\d$")
_QUOTED: Final = re.compile(r"\$([^$]*)")


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One frame in brackets."""
    text = frame.decode("utf-8", "replace").strip()
    head = HEAD.match(text)
    if head is None:
        raise Undecodable("malformed", "a frame is (device command …)")
    device, command, comma = head[1] or head[2], head[4], bool(head[3])
    session.device_id = device
    body = text[head.end() :].removesuffix(")")
    if command == "ZC20":
        _battery(body, reading)
    elif command == "ZC03":
        said = _QUOTED.search(body)
        reading.results.append(Result(command, good=True, text=(said[1] if said else body)[:200]))
    elif _WITHOUT_FIX.match(command):
        *_, date, time = body.split(",")
        reading.rows.append(
            {"observed_us": _moment(date, time, day_first=True), **NO_FIX, **COMMANDS.get(command, {})}
        )
    else:
        fix = FIX.search(body)
        if fix is not None:
            _position(command, body, fix, reading, day_first=comma or body.startswith(",G,"))
        elif command not in _SILENT:
            raise Undecodable("malformed", f"{command} without a position")
    if comma:
        return
    if command == "BP00":
        reading.replies.append(f"({device}AP01HSO)".encode())
    elif command == "BP05":
        reading.replies.append(f"({device}AP05)".encode())
    elif command == "BO01":
        reading.replies.append(f"({device}AS01{body[:1]})".encode())


def _moment(date: str, time: str, *, day_first: bool) -> int | None:
    """UTC µs of a date and hhmmss.

    Months are counted from the year, also those below 1 and above 12: a clock that was never set says 00, and is then
    known by the year 1999.
    """
    d, t = digits(date), digits(time)
    year, month, day = d // 10000, d // 100 % 100, d % 100
    if day_first:
        year, day = day, year
    years, month = divmod(month - 1, 12)
    year, month = 2000 + year + years, month + 1
    return utc_us(year, month, day, t // 10000, t // 100 % 100, t % 100)


def _position(command: str, body: str, fix: re.Match[str], reading: Reading, *, day_first: bool) -> None:
    date, valid, lat, ns, lon, ew, apart, together, time = fix.groups()
    row: Row = {
        "observed_us": _moment(date, time, day_first=day_first),
        "lat_deg": degrees_minutes(lat, ns),
        "lon_deg": degrees_minutes(lon, ew),
        "fix_valid": valid == "A",
        "speed_mps": decimal(apart or together) * KMH,
    }
    state = STATE.match(body, fix.end())
    if state is not None:
        row["course_deg"] = decimal(state[1] or state[2])
        row["external_power"] = state[3] == "0"
        row["ignition"] = state[4] == "1"
        row |= {k: True for k, v in SWITCHES.read(int(state[5], 16)).items() if v}
        row |= {k: True for k, v in SENSORS.read(int(state[6], 16)).items() if v}
        row["odometer_m"] = float(int(state[7], 16))
    else:
        course = _COURSE.match(body, fix.end())
        if course is not None:
            row["course_deg"] = decimal(course[0])
    temperature = _TEMPERATURE.search(body, fix.end())
    if temperature is not None:
        row["temp_c"] = decimal(temperature[0])
    row |= COMMANDS.get(command, {})
    if command == "BO01":
        row |= ALARMS.get(body[:1], {})
    elif command == "BQ81" and body.startswith(",ALARM,0,"):
        row["battery_low"] = True
    reading.rows.append(row)


def _battery(body: str, reading: Reading) -> None:
    m = BATTERY.read(body.removeprefix(",").split(","))
    volts = digits(m["battery"])
    reading.rows.append(
        {
            "observed_us": _moment(m["date"], m["time"], day_first=True),
            "battery_pct": BATTERY_LEVELS.get(m["level"]),
            "battery_v": volts / 100 if volts != _UNKNOWN else None,
        }
    )


def _report(row: Row, _sequence: int) -> bytes:
    t = utc_parts(row["observed_us"])
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    fix = (
        f"{t:%y%m%d}{'A' if row.get('fix_valid', True) else 'V'}"
        f"{in_degrees_minutes(lat, 2)}{'N' if lat >= 0 else 'S'}"
        f"{in_degrees_minutes(lon, 3)}{'E' if lon >= 0 else 'W'}"
        f"{min(row.get('speed_mps', 0.0) / KMH, 999.9):05.1f}{t:%H%M%S}{row.get('course_deg', 0.0):06.2f}"
    )
    state = (
        f"{row.get('external_power') is False:d}{bool(row.get('ignition')):d}"
        f"{SWITCHES.write(row):X}{SENSORS.write(row):X}0000"
    )
    return f"({row['device_id']}BR00{fix}{state}L{round(row.get('odometer_m', 0.0)):08X})".encode()


def _order(content: str) -> Callable[[str, Mapping[str, Any], int], bytes]:
    def build(device_id: str, _parameters: Mapping[str, Any], _sequence: int) -> bytes:
        return f"({device_id}{content})".encode()

    return build


def _interval(device_id: str, parameters: Mapping[str, Any], _sequence: int) -> bytes:
    """Seconds in four hexadecimal digits; for how long is left open (0000)."""
    seconds = whole(parameters, "seconds", 5, 0xFFFF)
    return f"({device_id}AR00{seconds:04X}0000)".encode()


PROTOCOL: Final = Protocol(
    name="tk103",
    title="TK103 trackers (KX402, TK102, Reachfar and others; in brackets)",
    document="KX402/TK103 GPRS Communication Protocol 1.5; ZC and DW messages of portable trackers",
    family="tracker",
    decode=decode,
    split=between(b"(", b")"),
    text=True,
    doors=("tcp", "udp"),
    port=5002,
    starts=re.compile(rb"\([^,()]{6,20},?(?:B[OPQRSVZ]\d\d|ZC\d\d|DW[3-6][0-9A-F])"),
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
                "external_power",
                "door_open",
                "sos",
                "odometer_m",
            }
        ),
        hello=lambda device_id: f"({device_id}BP00{device_id:0>15}HSO)".encode(),
        device_id=lambda n: f"{13_000_000_000 + n:012d}",
    ),
    commands={
        "position": Command(_order("AP00"), "report the position now"),
        "interval": Command(_interval, "seconds between reports", {"seconds": "5 to 65535"}),
        "output-on": Command(_order("AV011"), "close the relay: the engine is cut off"),
        "output-off": Command(_order("AV010"), "open the relay again"),
        "reboot": Command(_order("AT00"), "start the tracker anew"),
    },
)
