"""Wialon IPS 1.1, 2.0 and 2.1: lines ``#L#…``, ``#SD#…``, ``#D#…``, ``#B#…``, ``#P#``, ``#M#…``, over TCP and UDP.

Document: Gurtam, "Wialon IPS communication protocol" 1.1 and 2.1. Version 2 ends packets with a checksum: CRC-16/ARC of the
message up to and with the separator before it. A compressed packet is 0xFF, its length (two bytes, little-endian) and
a zlib stream of packets.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Final

import fastcrc

from cocket.core.framing import lines
from cocket.core.protocol import Cut, Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.units import KMH
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

SHORT: Final = Columns("date", "time", "lat", "ns", "lon", "ew", "speed", "course", "altitude", "satellites")
"""``date`` ddmmyy and ``time`` hhmmss in UTC (2.1: with a fraction), ``lat`` ddmm.mmmm, ``lon`` dddmm.mmmm, ``speed`` km/h; NA where unknown."""

DATA: Final = Columns(*SHORT.names, "hdop", "inputs", "outputs", "analogue", "ibutton", "params")
"""``params``: ``name:type:value`` between commas; type 1 whole number, 2 number, 3 text."""

PARAMS: Final[Mapping[str, str]] = {
    "sos": "sos",
    "bat": "battery_pct",
    "temp": "temp_c",
    "pwr_int": "battery_v",
}
"""Parameters whose meaning all devices share: the alarm button, charge, temperature, voltage of the own battery."""

NO_FIX: Final[Row] = {"lat_deg": 0.0, "lon_deg": 0.0, "fix_valid": False}
"""A report with a time and NA coordinates: at that time there was no fix; it stands as 0, 0, not valid. Without a time it is
no more than a message of sensors."""

_LEAST_SATELLITES: Final = 3
_COMPRESSED: Final = 0xFF
_MOST_INFLATED: Final = 1 << 20
_PACKET: Final = re.compile(r"([^#]*)#([A-Z]{1,3})#(.*)", re.DOTALL)
_FILE: Final = re.compile(rb"[^#\r\n]{0,64}#(?:I#(\d{1,6});|T#[^;\r\n]{0,16};(\d{1,6});)")
_CHECKSUM: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]{1,4}")
_TIME: Final = re.compile(r"(\d{6})(?:\.(\d{1,9}))?")
_PARAM: Final = re.compile(r"([^:]+):[123]:(.*)")
_BLANK: Final = re.compile(rb"[^\r\n]")
_SILENT: Final = frozenset({"I", "IT", "T", "AM", "AUS", "AUC"})


def _split(buffer: bytes, at: int) -> Cut:
    """Lines; behind the line of a picture or file its bytes; a compressed packet by its length."""
    first = _BLANK.search(buffer, at)
    if first is not None and buffer[first.start()] == _COMPRESSED:
        start = first.start()
        if len(buffer) < start + 3:
            return (start, start) if start > at else None
        end = start + 3 + int.from_bytes(buffer[start + 1 : start + 3], "little")
        return (start, end) if len(buffer) >= end else None
    cut = lines(buffer, at)
    if cut is None or cut[0] == cut[1]:
        return cut
    start, end = cut
    file = _FILE.match(buffer, start, end)
    if file is not None:
        end += 2 + int(file[1] or file[2])
        return (start, end) if len(buffer) >= end else None
    return cut


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One line, or a compressed packet of several. The first fault is told when all that can be read has been."""
    if frame[:1] != b"\xff":
        _packet(frame, session, reading)
        return
    try:
        inflated = zlib.decompressobj().decompress(frame[3:], _MOST_INFLATED)
    except zlib.error as error:
        raise Undecodable("malformed", f"a compressed packet that is none: {error}") from None
    fault: Undecodable | None = None
    for line in inflated.split(b"\n"):
        if line.strip():
            try:
                _packet(line, session, reading)
            except Undecodable as error:
                fault = fault or error
    if fault is not None:
        raise fault


def _packet(line: bytes, session: Session, reading: Reading) -> None:
    text = line.split(b"\r", 1)[0].decode("utf-8", "replace").strip()
    packet = _PACKET.fullmatch(text)
    if packet is None:
        raise Undecodable("no-frame", "a packet is #type#message")
    before, kind, message = packet.groups()
    if before:  # UDP: version;device or device
        names = before.split(";")
        session.device_id = names[1] if "." in names[0] and len(names) > 1 else names[0]
    if kind == "L":
        _login(message, session, reading)
    elif kind in {"SD", "D"}:
        _data(kind, message, reading)
    elif kind == "B":
        _black_box(message, reading)
    elif kind == "P":
        reading.replies.append(b"#AP#\r\n")
    elif kind == "M":
        _checked(message, message.rpartition(";")[2] if ";" in message else "")
        reading.replies.append(b"#AM#1\r\n")
    elif kind not in _SILENT:
        raise Undecodable("unknown-type", f"a packet of type {kind!r} is not known")


def _checked(message: str, checksum: str) -> None:
    """Refuse a message whose checksum, its last part, is wrong. An empty one is none."""
    if checksum and _CHECKSUM.fullmatch(checksum):
        told = int(checksum, 16)
        found = fastcrc.crc16.arc(message[: -len(checksum)].encode())
        if told != found:
            raise Undecodable("checksum", f"the packet says {told:04X}, its bytes give {found:04X}")


def _login(message: str, session: Session, reading: Reading) -> None:
    """``device;password``, from version 2 on ``version;device;password;checksum``; NA is no password."""
    parts = message.split(";")
    if "." in parts[0] and len(parts) > 2:
        _checked(message, parts[3] if len(parts) > 3 else "")
        parts = parts[1:]
    if not parts[0]:
        raise Undecodable("malformed", "a login without a device")
    session.device_id = parts[0]
    password = parts[1] if len(parts) > 1 else ""
    session.secret = password[:128] if password not in {"", "NA"} else None
    reading.replies.append(b"#AL#1\r\n")


def _data(kind: str, message: str, reading: Reading) -> None:
    layout = DATA if kind == "D" else SHORT
    parts = message.split(";")
    answer = f"#A{kind}#".encode()
    if len(parts) < len(layout.names):
        reading.replies.append(answer + b"-1\r\n")
    reading.rows.append(_row(layout, parts))
    if len(parts) > len(layout.names):
        _checked(message, parts[-1])
    reading.replies.append(answer + b"1\r\n")


def _black_box(message: str, reading: Reading) -> None:
    """Reports that waited, each short or whole, between bars; from version 2 on the last part is the checksum.

    The answer is how many could be read; one that cannot costs none of the others.
    """
    reports = message.split("|")
    checksum = reports.pop() if ";" not in reports[-1] else ""
    fault: Undecodable | None = None
    for report in reports:
        parts = report.split(";")
        layout = DATA if len(parts) >= len(DATA.names) else SHORT
        try:
            reading.rows.append(_row(layout, parts) | {"delayed": True})
        except Undecodable as error:
            fault = fault or error
    _checked(message, checksum)
    reading.replies.append(b"#AB#%d\r\n" % len(reading.rows))
    if fault is not None:
        raise fault


def _row(layout: Columns, parts: list[str]) -> Row:
    m = layout.read(["" if part == "NA" else part for part in parts])
    satellites = digits(m["satellites"]) if "satellites" in m else None
    row: Row = {"observed_us": _time(m)}
    if "lat" in m and "lon" in m:
        row |= {
            "lat_deg": degrees_minutes(m["lat"], m["ns"]),
            "lon_deg": degrees_minutes(m["lon"], m["ew"]),
            "fix_valid": satellites is not None and satellites >= _LEAST_SATELLITES,
            "speed_mps": decimal(m["speed"]) * KMH if "speed" in m else None,
            "course_deg": decimal(m["course"]) if "course" in m else None,
            "altitude_m": decimal(m["altitude"]) if "altitude" in m else None,
        }
        row["fix_source"] = "gnss"
    elif row["observed_us"] is not None:
        row |= NO_FIX
    if "ibutton" in m:
        row["card_id"] = m["ibutton"][:64]
    row["satellites"] = satellites
    row["hdop"] = (decimal(m["hdop"]) or None) if "hdop" in m else None
    for param in m.get("params", "").split(","):
        _param(param, row)
    return row


def _time(m: Parts) -> int | None:
    """UTC µs; None where the date or the time is NA, and the server's own time is meant."""
    time = _TIME.fullmatch(m.get("time", ""))
    if "date" not in m or time is None:
        return None
    d, t = digits(m["date"]), int(time[1])
    us = utc_us(d % 100, d // 100 % 100, d // 10000, t // 10000, t // 100 % 100, t % 100)
    return us if us is None or time[2] is None else us + int(time[2][:6].ljust(6, "0"))


def _param(text: str, row: Row) -> None:
    param = _PARAM.fullmatch(text)
    column = PARAMS.get(param[1].lower()) if param is not None else None
    if param is None or column is None:
        return
    try:
        value = decimal(param[2].strip().removesuffix("%"))
    except Undecodable:
        return
    if column != "sos":
        row[column] = value
    elif value == 1:
        row["sos"] = True


def _report(row: Row, _sequence: int) -> bytes:
    t = utc_parts(row["observed_us"])
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    said = {"sos": 1 if row.get("sos") else None} | {c: row.get(c) for c in PARAMS.values() if c != "sos"}
    params = [f"{name}:2:{said[c]:.2f}" for name, c in PARAMS.items() if said[c] is not None and c != "sos"]
    if said["sos"]:
        params.append("SOS:1:1")
    fix = {
        "date": f"{t:%d%m%y}",
        "time": f"{t:%H%M%S}",
        "lat": in_degrees_minutes(lat, 2),
        "ns": "N" if lat >= 0 else "S",
        "lon": in_degrees_minutes(lon, 3),
        "ew": "E" if lon >= 0 else "W",
        "speed": f"{row.get('speed_mps', 0.0) / KMH:.0f}",
        "course": f"{row.get('course_deg', 0.0):.0f}",
        "altitude": f"{row.get('altitude_m', 0.0):.0f}",
        "satellites": str(row.get("satellites", 9 if row.get("fix_valid", True) else 0)),
        "params": ",".join(params),
    }
    return f"#D#{';'.join(part or 'NA' for part in DATA.write(fix))}\r\n".encode()


PROTOCOL: Final = Protocol(
    name="wialon",
    title="Wialon IPS trackers and converters",
    document="Gurtam, Wialon IPS 1.1, 2.0 and 2.1",
    family="tracker",
    decode=decode,
    split=_split,
    text=True,
    doors=("tcp", "udp"),
    port=5039,
    starts=re.compile(rb"#L#[^#\r\n]{1,200}[\r\n]|#(?:P|SD?|D|B|M)#"),
    max_frame=1 << 16,
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
                "satellites",
                "battery_pct",
                "battery_v",
                "temp_c",
                "sos",
            }
        ),
        hello=lambda device_id: f"#L#{device_id};NA\r\n".encode(),
    ),
)
