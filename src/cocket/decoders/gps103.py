"""GPS103 (Coban, Xexun and many others): text frames ``imei:…,keyword,…;`` of TK102/TK103B, GPS103, TK303, GPS306.

Document: Coban, "GPS102, GPS103, GPS104 GPRS data protocol" (messages and commands), with the later fields (altitude, ignition,
door, fuel, temperature), and the form of VT trackers that ends with ``*``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from cocket.core.framing import until
from cocket.core.protocol import Command, Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.units import KMH, KNOT
from cocket.core.wire import (
    Columns,
    Parts,
    decimal,
    degrees_minutes,
    digits,
    in_degrees_minutes,
    utc_parts,
    utc_us,
)

HEAD: Final = Columns("keyword", "local", "owner", "kind")
"""``local`` is the tracker's own clock, yymmddhhmm(ss); ``owner`` a telephone number, an RFID card or the charge; ``kind`` F or L."""

FIX: Final = Columns(
    "utc", "valid", "lat", "ns", "lon", "ew", "speed", "course", "altitude", "ignition", "door",
    "fuel_1", "fuel_2", "temp",
)  # fmt: skip
"""Behind F: ``utc`` hhmmss, ``lat`` ddmm.mmmm, ``lon`` dddmm.mmmm, ``speed`` in knots. Behind L the cell stands in ``lat`` and ``lon``."""

STARRED: Final = Columns(
    "name", "event", "sensor", "sensor_v", "time", "date", "signal", "gps", "lat", "lon", "speed", "course",
    "altitude", "hdop", "satellites", "ignition", "charging",
)  # fmt: skip
"""The form that ends with ``*``: degrees, km/h, ``time`` hhmmss and ``date`` ddmmyy in UTC."""

KEYWORDS: Final[Mapping[str, Row]] = {
    "help me": {"sos": True},
    "low battery": {"battery_low": True},
    "door alarm": {"door_open": True},
    "ac alarm": {"external_power": False},
    "sensor alarm": {"vibration": True},
    "acc on": {"ignition": True},
    "acc off": {"ignition": False},
}
"""What a keyword tells besides the position; the others (tracker, move, speed, stockade, oil …) have no column."""

_SIGNAL_MOST: Final = 31
_HALF_DAY: Final = 12 * 60
_DAY_US: Final = 86_400_000_000
_LOCAL: Final = re.compile(r"(\d\d)/?(\d\d)/?(\d\d) ?(\d\d):?(\d\d)(?:\d\d)?")
_UTC: Final = re.compile(r"(\d\d)(\d\d)(\d\d)(?:\.\d*)?")
_CHARGE: Final = re.compile(r"(\d{1,3})%")
_HEARTBEAT: Final = re.compile(r"\d{10,17}")
_IMEI: Final = re.compile(r"imei:(\d{10,17})")
_SILENT: Final = frozenset({"OBD", "vr"})
_PADDING: Final = [""] * len(FIX.names)


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One frame: login, heartbeat, or a report."""
    text = frame.decode("utf-8", "replace").strip("\r\n\0 ;")
    beat = _HEARTBEAT.match(text)
    if beat is not None:
        session.device_id = beat[0]
        reading.replies.append(b"ON")
        text = text[beat.end() :]
        if not text:
            return
    imei = _IMEI.search(text, 0, 40)
    if imei is None:
        raise Undecodable("no-frame", "neither imei:… nor a heartbeat")
    session.device_id = imei[1]
    parts = text[imei.end() :].split(",")[1:]
    if text.startswith("##"):
        reading.replies.append(b"LOAD")
    elif text.endswith("*"):
        _starred(parts, reading)
    elif parts and parts[0] not in _SILENT:
        _report(parts, imei[1], reading)


def _report(parts: list[str], imei: str, reading: Reading) -> None:
    m = HEAD.read(parts)
    keyword = m.get("keyword", "")
    row: Row = dict(KEYWORDS.get(keyword, {}))
    if keyword.startswith("T:"):
        row["temp_c"] = decimal(keyword[2:])
    if keyword == "rfid":
        row["card_id"] = m.get("owner", "")[:64] or None
    charge = _CHARGE.fullmatch(m.get("owner", ""))
    if charge:
        row["battery_pct"] = decimal(charge[1])
    fields = (parts[4:] + _PADDING)[: len(FIX.names)]
    if fields[2] in {"N", "S"}:  # some firmware writes the hemisphere first
        fields[2:6] = fields[3], fields[2], fields[5], fields[4]
    fix = FIX.read(fields)
    if m["kind"] not in {"F", "L"}:
        raise Undecodable("malformed", f"{m['kind'][:16]!r} is neither F nor L")
    if m["kind"] == "F" and "lat" in fix:
        row = _position(fix, m.get("local", "")) | row
    for column, name in (("ignition", "ignition"), ("door_open", "door")):
        if fix.get(name) in {"0", "1"}:
            row.setdefault(column, fix[name] == "1")
    if row:
        reading.rows.append(row)
    if keyword == "help me":
        reading.replies.append(f"**,imei:{imei},E;".encode())


def _position(fix: Parts, local: str) -> Row:
    row: Row = {
        "observed_us": _moment(local, fix.get("utc", "")),
        "lat_deg": degrees_minutes(fix["lat"], fix.get("ns", "N")),
        "lon_deg": degrees_minutes(fix["lon"], fix.get("ew", "E")),
        "fix_valid": fix["valid"] == "A",
        "speed_mps": decimal(fix.get("speed", "0")) * KNOT,
        "course_deg": decimal(fix["course"]) if "course" in fix else None,
        "altitude_m": decimal(fix["altitude"]) if "altitude" in fix else None,
    }
    if "temp" in fix:
        row["temp_c"] = decimal(fix["temp"])
    return row


def _moment(local: str, utc: str) -> int | None:
    """UTC µs: hours, minutes and seconds in UTC, on the day that the local clock then has there (within half a day of it).

    Without the time in UTC, the local clock's minute counts, as if it were set to UTC.
    """
    here, there = _LOCAL.fullmatch(local), _UTC.fullmatch(utc)
    if here is None:
        return None
    year, month, day, hour, minute = map(int, here.groups())
    if there is None:
        return utc_us(year, month, day, hour, minute, 0)
    us = utc_us(year, month, day, int(there[1]), int(there[2]), int(there[3]))
    if us is None:
        return None
    ahead = (hour - int(there[1])) * 60 + minute - int(there[2])
    if ahead <= -_HALF_DAY:
        return us - _DAY_US
    return us + _DAY_US if ahead > _HALF_DAY else us


def _starred(parts: list[str], reading: Reading) -> None:
    if len(parts) < len(STARRED.names):
        return  # a sign of life
    m = STARRED.read(parts)
    d, t = digits(m["date"]), digits(m["time"])
    signal = digits(m["signal"])
    reading.rows.append(
        {
            "observed_us": utc_us(d % 100, d // 100 % 100, d // 10000, t // 10000, t // 100 % 100, t % 100),
            "lat_deg": decimal(m["lat"]),
            "lon_deg": decimal(m["lon"]),
            "fix_valid": m["gps"] != "0",
            "speed_mps": decimal(m["speed"]) * KMH,
            "course_deg": decimal(m["course"]),
            "altitude_m": decimal(m["altitude"]),
            "hdop": decimal(m["hdop"]),
            "satellites": digits(m["satellites"]),
            "gsm_signal": round(signal * 100 / _SIGNAL_MOST) if signal <= _SIGNAL_MOST else None,
            "ignition": m["ignition"] == "1",
            "charging": m["charging"] == "1",
        }
    )


def _simulate(row: Row, _sequence: int) -> bytes:
    t = utc_parts(row["observed_us"])
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    head = {"keyword": "help me" if row.get("sos") else "tracker", "local": f"{t:%y%m%d%H%M%S}", "kind": "F"}
    fix = {
        "utc": f"{t:%H%M%S}.000",
        "valid": "A" if row.get("fix_valid", True) else "V",
        "lat": in_degrees_minutes(lat, 2),
        "ns": "N" if lat >= 0 else "S",
        "lon": in_degrees_minutes(lon, 3),
        "ew": "E" if lon >= 0 else "W",
        "speed": f"{row.get('speed_mps', 0.0) / KNOT:.2f}",
        "course": f"{row.get('course_deg', 0.0):.2f}",
        "altitude": f"{row.get('altitude_m', 0.0):.1f}",
        "ignition": "1" if row.get("ignition") else "0",
        "door": "1" if row.get("door_open") else "0",
    }
    if row.get("temp_c") is not None:
        fix["temp"] = f"{row['temp_c']:+.0f}"
    return f"imei:{row['device_id']},{','.join(HEAD.write(head) + FIX.write(fix))};".encode()


def _order(content: str) -> Callable[[str, Mapping[str, Any], int], bytes]:
    def build(device_id: str, _parameters: Mapping[str, Any], _sequence: int) -> bytes:
        return f"**,imei:{device_id},{content};".encode()

    return build


def _interval(device_id: str, parameters: Mapping[str, Any], _sequence: int) -> bytes:
    """The tracker counts in two digits of seconds, minutes or hours."""
    seconds = parameters.get("seconds")
    if isinstance(seconds, int):
        for unit, letter in ((1, "s"), (60, "m"), (3600, "h")):
            if 1 <= seconds // unit <= 99 and seconds % unit == 0 and seconds >= 10:
                return f"**,imei:{device_id},C,{seconds // unit:02d}{letter};".encode()
    raise Undecodable("parameter", "seconds: 10 to 99, or whole minutes or hours up to 99 of them")


PROTOCOL: Final = Protocol(
    name="gps103",
    title="GPS103 trackers (Coban, Xexun and others; imei:…)",
    document="Coban GPS102, GPS103, GPS104 GPRS data protocol",
    family="tracker",
    decode=decode,
    split=until(b";", b"*", b"\r", b"\n"),
    text=True,
    doors=("tcp", "udp"),
    port=5001,
    starts=re.compile(rb"(?:##,)?imei:\d{10,17},|\d{15};"),
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
                "ignition",
                "door_open",
                "temp_c",
                "sos",
            }
        ),
        hello=lambda device_id: f"##,imei:{device_id},A;".encode(),
    ),
    commands={
        "position": Command(_order("B"), "report the position now"),
        "interval": Command(
            _interval, "time between reports", {"seconds": "10 to 99, or whole minutes or hours up to 99"}
        ),
        "output-on": Command(_order("J"), "close the relay: the engine is cut off"),
        "output-off": Command(_order("K"), "open the relay again"),
    },
)
