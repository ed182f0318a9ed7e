"""T55: trackers that send plain NMEA 0183 sentences, with lines of their own that say who they are.

Documents: NMEA 0183 (RMC, GGA, GLL, RMA); the makers' lines $PGID, $GPFID, $DEVID, $PCPTI, $IMEI, $GPTXT, $GPIOP, $TRCCR, $ID, $CONNECT
and QZE (Maxon, CradlePoint, Westermo, Trac, and others).
"""

from __future__ import annotations

import re
from functools import reduce
from operator import xor
from typing import Final

from cocket.core.framing import lines
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
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

RMC: Final = Columns("time", "valid", "lat", "ns", "lon", "ew", "speed", "course", "date")
GGA: Final = Columns("time", "lat", "ns", "lon", "ew", "quality", "satellites", "hdop", "altitude")
GLL: Final = Columns("lat", "ns", "lon", "ew", "time", "valid")
RMA: Final = Columns("valid", "lat", "ns", "lon", "ew", "_", "_", "speed", "course")
RMC_MORE: Final = Columns("satellites", "imei", "ignition", "fuel", "battery")
TRCCR: Final = Columns("time", "valid", "lat", "lon", "speed", "course", "altitude", "battery")
QZE: Final = Columns("imei", "event", "date", "time", "lat", "lon", "speed", "course", "valid", "ignition")
GPIOP: Final = Columns("_", "_", "_", "_", "_", "_", "power", "battery")

SENTENCE: Final = re.compile(r"\$([A-Z]{2,10})[,=]?([^*]*)(?:\*\s*(.*))?", re.DOTALL)
NAMES: Final = {"PGID": ",", "DEVID": ",", "PCPTI": ",", "IMEI": "=", "GPFID": ",", "CONNECT": ","}
"""Sentences that say who speaks, in their first field."""

_TALKERS: Final = re.compile(r"(G[PNLABQI]|BD|QZ)(RMC|GGA|GLL|RMA)")
_PASSED: Final = frozenset({"VTG", "GSA", "GSV", "ZDA", "GNS", "GST", "HDT", "TXT"})
_DAY_US: Final = 86_400_000_000
_WEAKEST_DBM, _STRONGEST_DBM = -113, -51


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One line: a sentence, perhaps with the device's name before it, or the name alone."""
    text = frame.decode("ascii", "replace").strip("\r\n\0 ")
    name, dollar, rest = text.partition("$")
    if text.startswith("QZE,"):
        _qze(text[4:].split(","), session, reading)
    elif not dollar:
        _alone(text, session)
    else:
        if name:
            parts = [p for p in re.split(r"[/,]", name) if p]
            session.device_id = parts[-1] if parts else None
        _sentence("$" + rest, session, reading)


def _alone(text: str, session: Session) -> None:
    """``IMEI 351467108700000``, or a number without a word."""
    found = re.fullmatch(r"(?:IMEI[ :=]?)?([0-9A-F]{8,20})", text)
    if found is None:
        raise Undecodable("no-frame", "a line is a sentence ($…), or the name of a device")
    session.device_id = found[1]


def _sentence(text: str, session: Session, reading: Reading) -> None:
    found = SENTENCE.fullmatch(text)
    if found is None:
        raise Undecodable("no-frame", "a sentence is $NAME,…*hh")
    kind, body, after = found[1], found[2], (found[3] or "").strip()
    parts = body.split(",")
    nmea = _TALKERS.fullmatch(kind)
    if nmea is not None:
        row = {"RMC": _rmc, "GGA": _gga, "GLL": _gll, "RMA": _rma}[nmea[2]](parts, session)
        if nmea[2] == "RMC" and "," in after:
            _more(after.split(",")[1:], row, session)
        reading.rows.append(row)
    elif kind in NAMES:
        session.device_id = parts[0].lstrip("=").strip() or None
    elif kind == "GPTXT" and parts[0] == "NET":
        _net(parts, session, reading)
    elif kind == "GPIOP":
        m = GPIOP.read(parts)
        reading.rows.append({"external_power": decimal(m["power"]) > 1.0, "battery_v": decimal(m["battery"])})
    elif kind == "TRCCR":
        reading.rows.append(_trccr(parts))
    elif kind == "ID":
        reading.rows.append(_id(parts, session))
    elif kind[2:] not in _PASSED and kind not in {"PMTK", "PUBX", "GPRMB"}:
        raise Undecodable("unknown-type", f"a sentence ${kind[:12]} is not known")
    _sum(text, found)


def _sum(text: str, found: re.Match[str]) -> None:
    """A checksum that is there has to be right; many of these devices send none, or half of one."""
    said = re.match(r"[0-9A-Fa-f]{2}(?![0-9A-Fa-f])", (found[3] or "").strip())
    covered = text[1:].partition("*")[0].encode("ascii", "replace")
    if said is not None and reduce(xor, covered, 0) != int(said[0], 16):
        raise Undecodable(
            "checksum", f"the sentence sums to {reduce(xor, covered, 0):02X}, it says {said[0]}"
        )


def _clock(text: str) -> tuple[int, int, int]:
    t = digits(text.partition(".")[0].ljust(6, "0")[:6])
    return t // 10000, t // 100 % 100, t % 100


def _at(time: str, session: Session) -> int | None:
    """A time of day on the day that the connection last named, or the next; None while it has named none."""
    day = session.memory.get("day")
    if day is None:
        return None
    h, m, s = _clock(time)
    at = int(day) // _DAY_US * _DAY_US + (h * 3600 + m * 60 + s) * 1_000_000
    return at + _DAY_US if at < int(day) - _DAY_US // 2 else at


def _place(m: Parts) -> Row:
    """The position; nothing where a receiver without a fix leaves it empty."""
    if "lat" not in m and "lon" not in m:
        return {}
    return {
        "lat_deg": degrees_minutes(m["lat"], m["ns"]),
        "lon_deg": degrees_minutes(m["lon"], m["ew"]),
        "fix_source": "gnss",
    }


def _rmc(parts: list[str], session: Session) -> Row:
    m = RMC.read(parts)
    d = digits(m["date"])
    row = _place(m)
    row["observed_us"] = utc_us(d % 100, d // 100 % 100, d // 10000, *_clock(m["time"]))
    if row["observed_us"] is not None:
        session.memory["day"] = row["observed_us"]
    return row | {
        "fix_valid": m["valid"] == "A",
        "speed_mps": decimal(m.get("speed", "0")) * KNOT,
        "course_deg": decimal(m["course"]) if "course" in m else None,
    }


def _more(parts: list[str], row: Row, session: Session) -> None:
    """What some devices hang behind the checksum: satellites, IMEI, ignition, fuel, battery."""
    parts = (parts + [""] * 5)[:5]
    m = RMC_MORE.read(parts)
    if not re.fullmatch(r"\d{5,20}", m.get("imei", "")):
        return
    session.device_id = m["imei"]
    row |= {
        "satellites": digits(m["satellites"]) if "satellites" in m else None,
        "ignition": m.get("ignition") == "1",
    }


def _gga(parts: list[str], session: Session) -> Row:
    m = GGA.read(parts)
    satellites = m.get("satellites", "").strip()
    return _place(m) | {
        "observed_us": _at(m["time"], session) if "time" in m else None,
        "fix_valid": m.get("quality", "0") != "0",
        "satellites": digits(satellites) if satellites else None,
        "hdop": decimal(m["hdop"]) if "hdop" in m else None,
        "altitude_m": decimal(m["altitude"]) if "altitude" in m else None,
    }


def _gll(parts: list[str], session: Session) -> Row:
    m = GLL.read(parts)
    return _place(m) | {
        "observed_us": _at(m["time"], session) if "time" in m else None,
        "fix_valid": m.get("valid") == "A",
    }


def _rma(parts: list[str], _session: Session) -> Row:
    m = RMA.read(parts)
    return _place(m) | {
        "fix_valid": m["valid"] == "A",
        "speed_mps": decimal(m.get("speed", "0")) * KNOT,
        "course_deg": decimal(m["course"]) if "course" in m else None,
    }


def _net(parts: list[str], session: Session, reading: Reading) -> None:
    """``NET,<device>,<operator>,<dBm>,<network>``."""
    session.device_id = parts[1] if len(parts) > 1 and parts[1] else session.device_id
    if len(parts) > 3:
        share = (decimal(parts[3]) - _WEAKEST_DBM) / (_STRONGEST_DBM - _WEAKEST_DBM)
        reading.rows.append({"gsm_signal": round(100 * min(1.0, max(0.0, share)))})


def _trccr(parts: list[str]) -> Row:
    m = TRCCR.read(parts)
    t = m["time"].partition(".")[0]
    if len(t) != 14:
        raise Undecodable("malformed", f"{t[:20]!r} is no time of 14 digits")
    return {
        "observed_us": utc_us(digits(t[:4]), digits(t[4:6]), digits(t[6:8]), *_clock(t[8:])),
        "lat_deg": decimal(m["lat"]),
        "lon_deg": decimal(m["lon"]),
        "fix_valid": m["valid"] == "A",
        "fix_source": "gnss",
        "speed_mps": decimal(m["speed"]) * KNOT,
        "course_deg": decimal(m["course"]),
        "altitude_m": decimal(m["altitude"]),
    }


def _id(parts: list[str], session: Session) -> Row:
    """``<imei>,…,GPSEX,A,D,ddmmyy,T,hhmmss,…,La,lat,N,Lo,lon,E,…``: words, each before what it names."""
    session.device_id = parts[0] or None
    named = {
        w: parts[i + 1 : i + 3] for i, w in enumerate(parts) if w in {"GPSEX", "D", "T", "La", "Lo", "S"}
    }
    lat, lon = named.get("La", []), named.get("Lo", [])
    if len(lat) < 2 or len(lon) < 2 or not named.get("D") or not named.get("T"):
        raise Undecodable("truncated", "day, time, La and Lo are wanted")
    d = digits(named["D"][0])
    return {
        "observed_us": utc_us(d % 100, d // 100 % 100, d // 10000, *_clock(named["T"][0])),
        "lat_deg": decimal(lat[0]) * (-1 if lat[1] == "S" else 1),
        "lon_deg": decimal(lon[0]) * (-1 if lon[1] == "W" else 1),
        "fix_valid": named.get("GPSEX", [""])[0] == "A",
        "fix_source": "gnss",
    }


def _qze(parts: list[str], session: Session, reading: Reading) -> None:
    m = QZE.read(parts)
    session.device_id = m["imei"]
    d = m["date"]
    reading.rows.append(
        {
            "observed_us": utc_us(digits(d[4:]), digits(d[2:4]), digits(d[:2]), *_clock(m["time"])),
            "lat_deg": decimal(m["lat"]),
            "lon_deg": decimal(m["lon"]),
            "fix_valid": m["valid"] == "A",
            "fix_source": "gnss",
            "speed_mps": decimal(m["speed"]) * KMH,
            "course_deg": decimal(m["course"]),
            "ignition": m["ignition"] == "1",
        }
    )


def _report(row: Row, _sequence: int) -> bytes:
    at = utc_parts(row["observed_us"])
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    body = RMC.write(
        {
            "time": at.strftime("%H%M%S.000"),
            "valid": "A" if row.get("fix_valid", True) else "V",
            "lat": in_degrees_minutes(lat, 2, 5),
            "ns": "S" if lat < 0 else "N",
            "lon": in_degrees_minutes(lon, 3, 5),
            "ew": "W" if lon < 0 else "E",
            "speed": f"{row.get('speed_mps', 0.0) / KNOT:.2f}",
            "course": f"{row.get('course_deg', 0.0):.1f}",
            "date": at.strftime("%d%m%y"),
        }
    )
    sentence = f"GPRMC,{','.join(body)},,"
    return f"${sentence}*{reduce(xor, sentence.encode()):02X}\r\n".encode()


PROTOCOL: Final = Protocol(
    name="t55",
    title="Trackers and routers that send NMEA (T55)",
    document="NMEA 0183; the makers' own sentences",
    family="tracker",
    decode=decode,
    split=lines,
    text=True,
    doors=("tcp", "udp"),
    port=5005,
    starts=re.compile(
        rb"\$(?:PGID|GPFID|DEVID|PCPTI|IMEI|GPTXT|GPIOP|TRCCR|ID|CONNECT|G[PN](?:RMC|GGA|GLL|RMA))[,=]|QZE,\d{15},|IMEI \d"
    ),
    max_frame=1024,
    simulation=Simulation(
        report=_report,
        hello=lambda device_id: f"$PGID,{device_id}\r\n".encode(),
        carries=frozenset({"observed_us", "lat_deg", "lon_deg", "speed_mps", "course_deg", "fix_valid"}),
    ),
)
