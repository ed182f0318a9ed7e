"""eSeal: text seals that speak ``##S,eSeal,…,E##``: startup, normal reports, and events of door, lock, shock and fall.

Document: eSeal TCP protocol 3.0 (fields as its devices send them; the order agrees with Traccar's independent reading).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from cocket.core.framing import between
from cocket.core.protocol import Command, Protocol, Reading, Result, Row, Session, Simulation, Undecodable
from cocket.core.units import KMH
from cocket.core.wire import Columns, decimal, digits, utc_parts, utc_us

HEAD: Final = Columns("device_type", "id", "customer", "firmware", "type", "index")
REPORT: Final = Columns(
    "date", "time", "interval", "valid", "place", "course", "speed", "door", "shock", "nfc", "battery_v", "signal_dbm"
)  # fmt: skip
EVENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Event-Door": {},
    "Event-Shock": {"vibration": True},
    "Event-Drop": {"vibration": True},
    "Event-Lock": {"locked": True},
    "Event-RC-Unlock": {"locked": False, "unlock_method": "remote"},
}
"""Type of the message → what it says beside the report that it carries."""

ANSWERED: Final = frozenset({"Startup", "Normal", "Button-Normal", "Termination", *EVENTS})
STARTUP: Final = "180,30,30,16,1"
"""Intervals and thresholds given to a seal at its start: those that devices in the field confirm."""

_PLACE: Final = re.compile(r"(\d{1,3}\.\d+)([NS]) (\d{1,3}\.\d+)([EW])")
_DOOR: Final = {"Open": True, "Close": False}
_WEAKEST_DBM, _STRONGEST_DBM = -113, -51


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One frame: a report, or the seal's word on a command."""
    text = frame.decode("ascii").strip()
    if not (text.startswith("##S,") and text.endswith(",E##")):
        raise Undecodable("no-frame", "a frame is ##S,…,E##")
    parts = text[4:-4].split(",")
    if len(parts) < 5:
        raise Undecodable("truncated", "the head of a frame has five fields and more")
    session.device_id = str(digits(parts[1]))
    kind = parts[4]
    if len(parts) < 6 + len(REPORT.names):
        if kind in ANSWERED:
            raise Undecodable(
                "truncated", f"a {kind} has {6 + len(REPORT.names)} fields, this has {len(parts)}"
            )
        _answer(kind, parts[5:], reading)
        return
    head = HEAD.read(parts)
    row = _report(REPORT.read(parts[6:]))
    row |= {"sequence": digits(head["index"]), **EVENTS.get(kind, {})}
    reading.rows.append(row)
    if kind in ANSWERED:
        extra = f",{STARTUP}" if kind == "Startup" else ""
        reading.replies.append(
            f"##S,{','.join(parts[:4])},{kind} ACK,{head['index']}{extra},E##\r\n".encode()
        )


def _answer(kind: str, rest: list[str], reading: Reading) -> None:
    """``RC-Unlock ACK``, ``Startup OK`` and the like: how a command went."""
    found = re.fullmatch(r"(.+?) (ACK|OK|NAK|FAIL|ERROR)", kind)
    if found is None:
        raise Undecodable("unknown-type", f"a message {kind[:32]!r} is not known")
    if found[1] != "Startup":
        reading.results.append(
            Result(found[1], found[2] in {"ACK", "OK"}, ",".join(x for x in rest if x)[:200])
        )


def _report(m: Mapping[str, str]) -> Row:
    place = _PLACE.fullmatch(m["place"])
    if place is None:
        raise Undecodable("malformed", f"{m['place'][:40]!r} is no place such as 25.708828N 100.372870W")
    d, t = m["date"].split("-"), m["time"].split(":")
    if len(d) != 3 or len(t) != 3:
        raise Undecodable("malformed", "date or time is none")
    dbm = decimal(m["signal_dbm"])
    row: Row = {
        "observed_us": utc_us(*map(digits, d), *map(digits, t)),
        "fix_valid": m["valid"] == "A",
        "fix_source": "gnss",
        "lat_deg": -decimal(place[1]) if place[2] == "S" else decimal(place[1]),
        "lon_deg": -decimal(place[3]) if place[4] == "W" else decimal(place[3]),
        "course_deg": decimal(m["course"]),
        "speed_mps": decimal(m["speed"]) * KMH,
        "shock_g": decimal(m["shock"]),
        "battery_v": decimal(m["battery_v"]),
        "gsm_signal": round(min(100, max(0, (dbm - _WEAKEST_DBM) * 100 / (_STRONGEST_DBM - _WEAKEST_DBM)))),
    }
    if m["door"] in _DOOR:
        row["door_open"] = _DOOR[m["door"]]
    return row


def _write(row: Row, sequence: int) -> bytes:
    at = utc_parts(row["observed_us"])
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    report = {
        "date": at.strftime("%Y-%m-%d"),
        "time": at.strftime("%H:%M:%S"),
        "interval": "15",
        "valid": "A" if row.get("fix_valid", True) else "V",
        "place": f"{abs(lat):.6f}{'S' if lat < 0 else 'N'} {abs(lon):.6f}{'W' if lon < 0 else 'E'}",
        "course": f"{row.get('course_deg', 0):.0f}",
        "speed": f"{row.get('speed_mps', 0.0) / KMH:.0f}",
        "door": "Open" if row.get("door_open") else "Close",
        "shock": f"{row.get('shock_g', 0.0):.2f}",
        "nfc": "0:0:3:0",
        "battery_v": f"{row.get('battery_v', 3.8):.1f}",
        "signal_dbm": "-73",
    }
    kind = "Event-Shock" if row.get("vibration") else "Normal"
    head = HEAD.write(
        {
            "device_type": "eSeal",
            "id": row["device_id"],
            "customer": "256",
            "firmware": "3.0.6",
            "type": kind,
            "index": str(sequence),
        }
    )
    return f"##S,{','.join([*head, *REPORT.write(report)])},E##\r\n".encode()


def _command(name: str) -> Command:
    def build(device_id: str, _parameters: Mapping[str, Any], _sequence: int) -> bytes:
        return f"##S,eSeal,{device_id},256,3.0.8,{name},E##\r\n".encode()

    return Command(build, {"RC-Unlock": "open the seal"}.get(name, "switch the seal off"))


PROTOCOL: Final = Protocol(
    name="eseal",
    title="eSeal seals (##S,eSeal,…)",
    document="eSeal TCP protocol 3.0",
    family="seal",
    decode=decode,
    split=between(b"##S,", b"E##"),
    text=True,
    port=5139,
    starts=re.compile(rb"##S,[^,]{1,20},\d"),
    max_frame=512,
    simulation=Simulation(
        report=_write,
        carries=frozenset(
            {
                "observed_us",
                "lat_deg",
                "lon_deg",
                "speed_mps",
                "course_deg",
                "fix_valid",
                "battery_v",
                "door_open",
                "vibration",
                "shock_g",
            }
        ),
        resolution={"battery_v": 0.06},
        device_id=lambda n: str(1_000_000 + n),
    ),
    commands={
        "unlock": _command("RC-Unlock"),
        "power-off": _command("RC-Power Control,Power OFF"),
    },
    sequence_bits=0,
)
