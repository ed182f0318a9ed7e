"""T55: sentences of NMEA 0183 as trackers and modems send them, and the lines by which they say who they are.

Documents: IEC 61162-1 (RMC, GGA, GLL, RMA), u-blox receiver description (PUBX,00), and the makers' own sentences (GPIOP,
TRCCR, QZE, GPTXT with NET, ID of WMCS units) in the order in which their devices send the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import xor
from typing import Final

from cocket.core.framing import lines
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.units import KMH, KNOT
from cocket.core.wire import (
    Columns,
    decimal,
    degrees_minutes,
    digits,
    in_degrees_minutes,
    utc_parts,
    utc_us,
)

RMC: Final = Columns("time", "valid", "lat", "ns", "lon", "ew", "speed_kn", "course", "date")
RMC_TAIL: Final = Columns("satellites", "id", "ignition", "fuel", "battery")
"""What some trackers send behind the checksum of their RMC."""
GGA: Final = Columns("time", "lat", "ns", "lon", "ew", "quality", "satellites", "hdop", "altitude")
GLL: Final = Columns("lat", "ns", "lon", "ew", "time", "valid")
RMA: Final = Columns("valid", "lat", "ns", "lon", "ew", "_", "_", "speed_kn", "course")
PUBX: Final = Columns(
    "time", "lat", "ns", "lon", "ew", "altitude", "status", "_", "_", "speed_kmh", "course", "_", "_", "hdop",
    "_", "_", "satellites", "id",
)  # fmt: skip
"""``status`` NF: no fix; 2D, 3D, DR and the like are fixes. Receivers have 0 where trackers put their number."""
TRCCR: Final = Columns("moment", "valid", "lat_deg", "lon_deg", "speed_kn", "course", "altitude", "battery")
QZE: Final = Columns(
    "id", "event", "date", "time", "lat_deg", "lon_deg", "speed_kmh", "course", "valid", "ignition"
)
GPIOP: Final = Columns("inputs", "outputs", "_", "_", "_", "_", "supply_v", "battery_v")
GPTXT_NET: Final = Columns("id", "operator", "signal_dbm", "network")

WMCS: Final[Mapping[str, Columns]] = {
    "D": Columns("date"),
    "T": Columns("time"),
    "S": Columns("satellites"),
    "La": Columns("lat_deg", "ns"),
    "Lo": Columns("lon_deg", "ew"),
    "H": Columns("course"),
    "V": Columns("speed_kmh"),
}
"""Marks behind GPSEX, GPSEH, GPSET or GPSED and the validity, each with the fields that follow it."""

_NAMES: Final = (
    "$PGID,",
    "$DEVID,",
    "$PSIWMDID,",
    "$PCPTI,",
    "$CONNECT,",
    "$GPFID,",
    "$IMEI=",
    "$IMEI,",
    "IMEI ",
)
"""Lines by which a device says who it is: its name ends with the next comma or star."""

_SUPPLIED_V: Final = 1.0
_HALF_DAY_US: Final = 43_200_000_000
_WEAKEST_DBM, _STRONGEST_DBM = -113, -51
_CHECKSUM: Final = re.compile(r" ?([0-9A-Fa-f]{2})(?![0-9A-Fa-f])")
_BARE_ID: Final = re.compile(r"[0-9A-F]{4,32}")
_SENTENCE: Final = re.compile(r"\$([A-Z][A-Z0-9]{2,15})(?:[,*]|$)")
_PASSED: Final = re.compile(r"(?:G[A-Z]|BD|QZ)[A-Z]{3}|P[A-Z0-9]{3,}")
"""Receivers' sentences that say nothing for us: satellites, motion, and what a receiver's maker added."""
_STANDARD: Final = re.compile(r"\$(?:G[A-Z]|BD|QZ)(RMC|GGA|GLL),")


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One line: a sentence, with the device's name before it or not, or a name alone."""
    text = frame.decode("ascii", "replace").strip(" \r\n\0")
    prefix, dollar, rest = text.partition("$")
    if prefix and dollar:
        name = prefix.rstrip(",")
        if name.endswith("/"):
            name = name[name.find("/") + 1 : -1]
        session.device_id = name.strip() or session.device_id
        text = dollar + rest
    for start in _NAMES:
        if text.startswith(start):
            _named(re.split(r"[,*]", text[len(start) :], maxsplit=1)[0], session, reading)
            return
    if _BARE_ID.fullmatch(text):
        _named(text, session, reading)
        return
    row = _row(text, session)
    if row is not None:
        if session.device_id is None and "lat_deg" in row:
            session.memory["unnamed"] = dict(row)
        reading.rows.append(row)
    _check(text)


def _named(name: str, session: Session, reading: Reading) -> None:
    """The device says who it is. A position that it sent before it did (Maxon trackers do) is told again under its name."""
    name = name.strip()
    if not name:
        raise Undecodable("missing", "the device's name is empty")
    session.device_id = name
    unnamed: Row | None = session.memory.pop("unnamed", None)
    if unnamed is not None:
        reading.rows.append(unnamed)


def _check(text: str) -> None:
    """A checksum that is there has to be right. Many of these devices send none, or half of one."""
    covered, _, after = text[1:].partition("*")
    said = _CHECKSUM.match(after)
    if said is None:
        return
    found = reduce(xor, covered.rstrip().encode("ascii", "replace"), 0)
    if found != int(said[1], 16):
        raise Undecodable(
            "checksum", f"the sentence sums to {found:02X}, it says {said[1]}; it was read all the same"
        )


def _row(text: str, session: Session) -> Row | None:
    body, _, tail = text.partition("*")
    standard = _STANDARD.match(body)
    if standard is not None:
        fields = body[standard.end() :].split(",")
        if standard[1] == "RMC":
            return _rmc(fields, tail, session)
        return (_gga if standard[1] == "GGA" else _gll)(fields, session)
    start, _, rest = body.partition(",")
    read = _READERS.get(start)
    if read is not None:
        return read(rest.split(","), session)
    found = _SENTENCE.match(text)
    if found is None:
        raise Undecodable("no-frame", "a line is $…, QZE,…, or the name of a device")
    if not _PASSED.fullmatch(found[1]):
        raise Undecodable("unknown-type", f"a sentence ${found[1][:12]} is not known")
    return None


def _rmc(fields: list[str], tail: str, session: Session) -> Row | None:
    m = RMC.read(fields)
    at = _time(m["date"], m["time"]) if "date" in m and "time" in m else None
    if at is not None:
        session.memory["last"] = (session.device_id, at)
    row = _fix(m)
    if row is None:
        return None if at is None else {"observed_us": at, "fix_valid": False}
    row["observed_us"] = at
    extra = tail.split(",")[1:]
    if len(extra) >= len(RMC_TAIL.names) - 1 and extra[1].isdigit():
        more = RMC_TAIL.read([*extra, ""])
        session.device_id = more["id"]
        row["satellites"] = digits(more["satellites"])
        row["ignition"] = more["ignition"] == "1"
    return row


def _gga(fields: list[str], session: Session) -> Row | None:
    m = GGA.read(fields)
    row = _fix(m)
    if row is not None:
        row |= {"fix_valid": m.get("quality", "0") != "0", **_day(m, session)}
    return row


def _gll(fields: list[str], session: Session) -> Row | None:
    m = GLL.read(fields)
    row = _fix(m)
    if row is not None:
        row |= _day(m, session)
    return row


def _rma(fields: list[str], _session: Session) -> Row | None:
    return _fix(RMA.read(fields))


def _pubx(fields: list[str], session: Session) -> Row | None:
    if fields[0] != "00":
        return None
    m = PUBX.read(fields[1:])
    if m.get("id", "0").strip("0"):
        session.device_id = m["id"]
    row = _fix(m)
    if row is not None:
        row |= {"fix_valid": m["status"] != "NF", **_day(m, session)}
    return row


def _trccr(fields: list[str], _session: Session) -> Row | None:
    m = TRCCR.read(fields)
    row = _fix(m)
    if row is not None:
        when = m["moment"]
        row["observed_us"] = _time(when[6:8] + when[4:6] + when[:4], when[8:])
    return row


def _qze(fields: list[str], session: Session) -> Row | None:
    m = QZE.read(fields)
    session.device_id = m["id"]
    row = _fix(m)
    if row is not None:
        row |= {"observed_us": _time(m["date"], m["time"]), "ignition": m["ignition"] == "1"}
    return row


def _gpiop(fields: list[str], _session: Session) -> Row | None:
    m = GPIOP.read(fields)
    return {
        "external_power": decimal(m["supply_v"]) > _SUPPLIED_V,
        "battery_v": decimal(m["battery_v"]),
    }


def _gptxt(fields: list[str], session: Session) -> Row | None:
    if fields[0] != "NET":
        return None
    m = GPTXT_NET.read(fields[1:])
    session.device_id = m["id"]
    share = (decimal(m["signal_dbm"]) - _WEAKEST_DBM) / (_STRONGEST_DBM - _WEAKEST_DBM)
    return {"gsm_signal": round(100 * min(1.0, max(0.0, share)))}


def _wmcs(fields: list[str], session: Session) -> Row | None:
    session.device_id = str(digits(fields[0]))
    at = next((i for i, f in enumerate(fields) if re.fullmatch("GPSE[XHTD]", f)), None)
    if at is None:
        return None
    m = {"valid": fields[at + 1]}
    at += 2
    while at < len(fields):
        columns = WMCS.get(fields[at])
        if columns is not None:
            m |= columns.read(fields[at + 1 :])
            at += len(columns.names)
        at += 1
    m["satellites"] = m.get("satellites", "").partition(":")[2]
    row = _fix(m)
    if row is not None and "date" in m and "time" in m:
        row["observed_us"] = _time(m["date"], m["time"])
    return row


_READERS: Final[Mapping[str, Callable[[list[str], Session], Row | None]]] = {
    "$GPRMA": _rma,
    "$PUBX": _pubx,
    "$TRCCR": _trccr,
    "QZE": _qze,
    "$GPIOP": _gpiop,
    "$GPTXT": _gptxt,
    "$ID": _wmcs,
}


def _fix(m: Mapping[str, str]) -> Row | None:
    """What a sentence says of the position, from whichever of the names it has; None where the place is empty."""
    place = [_place(m, name, hemisphere) for name, hemisphere in (("lat", "ns"), ("lon", "ew"))]
    if None in place:
        return None
    row: Row = {"lat_deg": place[0], "lon_deg": place[1], "fix_source": "gnss"}
    valid = m.get("valid")
    if valid is not None:
        if valid not in {"A", "V"}:
            raise Undecodable("malformed", f"the validity is {valid[:8]!r}, neither A nor V")
        row["fix_valid"] = valid == "A"
    speed = m.get("speed_kn") or m.get("speed_kmh")
    if speed:
        row["speed_mps"] = decimal(speed) * (KNOT if m.get("speed_kn") else KMH)
    for name, column in (("course", "course_deg"), ("altitude", "altitude_m"), ("hdop", "hdop")):
        if m.get(name):
            row[column] = decimal(m[name])
    if m.get("satellites"):
        row["satellites"] = digits(m["satellites"])
    return row


def _place(m: Mapping[str, str], name: str, hemisphere: str) -> float | None:
    """Degrees, from ``dddmm.mmmm`` or, where the field is called so, from decimal degrees."""
    if name in m:
        return degrees_minutes(m[name], m[hemisphere])
    text = m.get(f"{name}_deg")
    if text is None:
        return None
    return -decimal(text) if m.get(hemisphere) in {"S", "W"} else decimal(text)


def _clock(time: str) -> tuple[int, int, int, int]:
    """Hours, minutes, seconds and µs of ``hhmmss`` or ``hhmmss.sss``."""
    whole, _, part = time.partition(".")
    if len(whole) != 6:
        raise Undecodable("malformed", f"{time[:16]!r} is no time hhmmss")
    t = digits(whole)
    return t // 10000, t // 100 % 100, t % 100, digits(part[:6].ljust(6, "0")) if part else 0


def _time(date: str, time: str) -> int | None:
    """UTC µs of ddmmyy or ddmmyyyy, and hhmmss; None where no calendar has them."""
    if len(date) not in {6, 8}:
        raise Undecodable("malformed", f"{date[:16]!r} is no date ddmmyy")
    hour, minute, second, us = _clock(time)
    whole = utc_us(digits(date[4:]), digits(date[2:4]), digits(date[:2]), hour, minute, second)
    return None if whole is None else whole + us


def _day(m: Mapping[str, str], session: Session) -> Row:
    """The time of a sentence that names no day: the one nearest to this device's last sentence that did, if it sent one."""
    if "time" not in m:
        return {}
    hour, minute, second, us = _clock(m["time"])
    who, last = session.memory.get("last", (None, None))
    if last is None or who != session.device_id:
        return {}
    of_day = ((hour * 60 + minute) * 60 + second) * 1_000_000 + us
    at = last + (of_day - last + _HALF_DAY_US) % (2 * _HALF_DAY_US) - _HALF_DAY_US
    session.memory["last"] = (who, at)
    return {"observed_us": at}


def _report(row: Row, _sequence: int) -> bytes:
    at = utc_parts(row["observed_us"])
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    fields = RMC.write(
        {
            "time": at.strftime("%H%M%S"),
            "valid": "A" if row.get("fix_valid", True) else "V",
            "lat": in_degrees_minutes(lat, 2, 5),
            "ns": "S" if lat < 0 else "N",
            "lon": in_degrees_minutes(lon, 3, 5),
            "ew": "W" if lon < 0 else "E",
            "speed_kn": f"{row.get('speed_mps', 0.0) / KNOT:.2f}",
            "course": f"{row.get('course_deg', 0.0):.2f}",
            "date": at.strftime("%d%m%y"),
        }
    )
    body = f"GPRMC,{','.join(fields)},,"
    tail = RMC_TAIL.write(
        {
            "satellites": f"{row.get('satellites', 9):02d}",
            "id": str(row["device_id"]),
            "ignition": "1" if row.get("ignition") else "0",
            "fuel": "0",
            "battery": "0",
        }
    )
    return f"${body}*{reduce(xor, body.encode()):02X},{','.join(tail)}\r\n".encode()


PROTOCOL: Final = Protocol(
    name="t55",
    title="T55 and other trackers and modems that send NMEA sentences",
    document="IEC 61162-1 (NMEA 0183); u-blox PUBX,00; the makers' own sentences",
    family="tracker",
    decode=decode,
    split=lines,
    text=True,
    doors=("tcp", "udp"),
    port=5005,
    starts=re.compile(
        rb"(?:[\w/-]{4,40},?)?\$(?:G[PNL](?:RMC|GGA|GLL|RMA|IOP|FID|TXT,NET),?|TRCCR,|PUBX,00,)"
        rb"|\$(?:PGID|DEVID|PSIWMDID|PCPTI|CONNECT|ID),|\$IMEI|IMEI \d|QZE,\d{15},|[0-9A-F]{12,16}\r?\n"
    ),
    max_frame=1024,
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
            }
        ),
        resolution={"course_deg": 0.01, "speed_mps": 0.01},
    ),
)
