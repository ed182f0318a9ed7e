"""Wialon IPS: text packets with login, short and extended data, black boxes, heartbeats and messages.

Documents: Gurtam, Wialon IPS 1.1, 2.0 and 2.1. From 2.0 on every packet ends with a CRC-16 (ARC), which is asked only of
connections that logged in with version 2.
"""

from __future__ import annotations

import re
from typing import Any, Final

from fastcrc import crc16

from cocket.core.framing import lines
from cocket.core.protocol import Command, Protocol, Reading, Result, Row, Session, Simulation, Undecodable
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
EXTENDED: Final = Columns(*SHORT.names, "hdop", "inputs", "outputs", "adc", "ibutton", "params")
PACKET: Final = re.compile(r"(?:([^#]*);)?([^#;]*)#([A-Z]{1,4})#(.*)", re.DOTALL)
PARAM: Final = re.compile(r"([^:,]{1,64}):([1-3]):(.*)")

NAMED: Final = {
    "bat": "battery_pct",
    "battery": "battery_pct",
    "pwr_ext": "battery_v",
    "temp": "temp_c",
    "odometer": "odometer_m",
}
"""Parameters whose names mean the same in every device that we have seen."""

_LEAST_SATELLITES: Final = 3
_EMPTY: Final = ("NA", "")


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One packet ``[id]#TYPE#body``; with version 2 the body's last field is its CRC."""
    text = frame.decode("utf-8", "replace").strip("\r\n\0 ")
    found = PACKET.fullmatch(text)
    if found is None:
        raise Undecodable("no-frame", "a packet is #TYPE#…")
    _version, own, kind, body = found.groups()
    if own:
        session.device_id = own
    if kind == "L":
        _login(body, session, reading)
        return
    body = _checked(body, kind, session)
    if kind in {"SD", "D"}:
        reading.rows.append(_row(body.split(";"), delayed=False))
        _reply(reading, kind, "1")
    elif kind == "B":
        messages = [m for m in body.split("|") if m.strip()]
        for message in messages:
            reading.rows.append(_row(message.split(";"), delayed=True))
        _reply(reading, kind, str(len(messages)))
    elif kind == "P":
        _reply(reading, "P", "")
    elif kind == "M":
        reading.results.append(Result("", True, body[:200]))
        _reply(reading, "M", "1")
    elif kind in {"I", "QI", "IT", "T", "US", "UC"}:
        _reply(reading, kind, "1" if kind != "I" else "0")
    else:
        raise Undecodable("unknown-type", f"a packet {kind!r} is not known")


def _reply(reading: Reading, kind: str, code: str) -> None:
    reading.replies.append(f"#A{kind}#{code}\r\n".encode())


def _login(body: str, session: Session, reading: Reading) -> None:
    """``id;password`` or ``2.0;id;password;crc``."""
    parts = body.split(";")
    if "." in parts[0] and len(parts) > 1:
        if len(parts) > 3 and parts[3] and not _right(body, parts[3]):
            reading.replies.append(b"#AL#10\r\n")
            raise Undecodable("checksum", "the login's CRC is wrong")
        session.memory["version"] = parts[0][:8]
        parts = parts[1:]
    if not parts[0]:
        raise Undecodable("missing", "the login names no device")
    session.device_id = parts[0]
    session.secret = parts[1] if len(parts) > 1 and parts[1] not in _EMPTY else None
    _reply(reading, "L", "1")


def _right(body: str, checksum: str) -> bool:
    said = checksum.strip().lower().removeprefix("0x")
    if not re.fullmatch(r"[0-9a-f]{1,4}", said):
        return False
    covered = body[: body.rindex(";") + 1]
    return crc16.arc(covered.encode()) == int(said, 16)


def _checked(body: str, kind: str, session: Session) -> str:
    """The body without its CRC, which must be right where the connection speaks version 2."""
    if not str(session.memory.get("version", "")).startswith("2"):
        return body
    head, _, last = body.rpartition("|" if kind == "B" else ";")
    covered = body[: len(body) - len(last)]
    said = last.strip().lower().removeprefix("0x")
    if not re.fullmatch(r"[0-9a-f]{1,4}", said) or crc16.arc(covered.encode()) != int(said, 16):
        raise Undecodable("checksum", "the packet's CRC is wrong")
    return head


def _row(parts: list[str], *, delayed: bool) -> Row:
    wide = len(parts) > len(EXTENDED.names) - 2
    names = EXTENDED if wide else SHORT
    given = ["" if p in _EMPTY else p for p in parts] + [""] * (len(names.names) - len(parts))
    if len(parts) < len(SHORT.names):
        raise Undecodable("truncated", f"{len(SHORT.names)} fields are wanted, there are {len(parts)}")
    m = names.read(given)
    row: Row = {"delayed": True} if delayed else {}
    if "date" in m and "time" in m:
        d, t = digits(m["date"]), digits(m["time"].partition(".")[0])
        row["observed_us"] = utc_us(d % 100, d // 100 % 100, d // 10000, t // 10000, t // 100 % 100, t % 100)
    satellites = digits(m["satellites"]) if "satellites" in m else None
    row["satellites"] = satellites
    if all(name in m for name in ("lat", "ns", "lon", "ew")):
        row |= {
            "lat_deg": degrees_minutes(m["lat"], m["ns"]),
            "lon_deg": degrees_minutes(m["lon"], m["ew"]),
            "fix_valid": satellites is not None and satellites >= _LEAST_SATELLITES,
            "fix_source": "gnss",
            "speed_mps": decimal(m.get("speed", "0")) * KMH,
            "course_deg": decimal(m["course"]) if "course" in m else None,
            "altitude_m": decimal(m["altitude"]) if "altitude" in m else None,
        }
    if "hdop" in m:
        row["hdop"] = decimal(m["hdop"])
    if "ibutton" in m:
        row["card_id"] = m["ibutton"][:64]
    row |= _params(m)
    return row


def _params(m: Parts) -> dict[str, Any]:
    """``name:type:value`` (1 whole, 2 decimal, 3 text), with commas between."""
    out: dict[str, Any] = {}
    for one in m.get("params", "").split(","):
        found = PARAM.fullmatch(one.strip())
        if found is None:
            continue
        name, value = found[1].lower(), found[3].strip()
        if name == "sos" and value in {"1", "1.0"}:
            out["sos"] = True
        elif name in NAMED and re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", value):
            out[NAMED[name]] = float(value)
    return out


def _report(row: Row, _sequence: int) -> bytes:
    at = utc_parts(row["observed_us"])
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    satellites = row.get("satellites", 9)
    if row.get("fix_valid") is False:
        satellites = min(satellites, _LEAST_SATELLITES - 1)
    elif row.get("fix_valid"):
        satellites = max(satellites, _LEAST_SATELLITES)
    battery = f"bat:2:{row['battery_pct']:.1f}" if "battery_pct" in row else "NA"
    body = EXTENDED.write(
        {
            "date": at.strftime("%d%m%y"),
            "time": at.strftime("%H%M%S"),
            "lat": in_degrees_minutes(lat, 2, 5),
            "ns": "S" if lat < 0 else "N",
            "lon": in_degrees_minutes(lon, 3, 5),
            "ew": "W" if lon < 0 else "E",
            "speed": f"{row.get('speed_mps', 0.0) / KMH:.1f}",
            "course": f"{row.get('course_deg', 0.0):.1f}",
            "altitude": f"{row.get('altitude_m', 0.0):.1f}",
            "satellites": str(satellites),
            "hdop": "1.0",
            "inputs": "NA",
            "outputs": "NA",
            "adc": "",
            "ibutton": "NA",
            "params": battery,
        }
    )
    text = ";".join(body) + ";"
    return f"#D#{text}{crc16.arc(text.encode()):04X}\r\n".encode()


def _hello(device_id: str) -> bytes:
    text = f"2.0;{device_id};NA;"
    return f"#L#{text}{crc16.arc(text.encode()):04X}\r\n".encode()


def _message(_device_id: str, parameters: Any, _sequence: int) -> bytes:
    text = str(parameters.get("text", ""))
    if not text or len(text) > 200 or not text.isprintable() or "#" in text:
        raise Undecodable("parameter", "text: 1 to 200 printable characters, none of them #")
    return f"#M#{text}\r\n".encode()


PROTOCOL: Final = Protocol(
    name="wialon",
    title="Wialon IPS",
    document="Gurtam, Wialon IPS 1.1, 2.0, 2.1",
    family="tracker",
    decode=decode,
    split=lines,
    text=True,
    doors=("tcp", "udp"),
    port=5039,
    starts=re.compile(rb"(?:[^#\r\n]{0,40})#(?:L|D|SD|B|P|M)#"),
    max_frame=65_536,
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
                "fix_valid",
                "battery_pct",
            }
        ),
    ),
    commands={
        "message": Command(
            _message,
            "a message to the driver, or a command in the device's own words",
            {"text": "what to say"},
        )
    },
)
