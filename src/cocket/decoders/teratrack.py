"""TeraTrack: locks that report in JSON over TCP, with misspelt keys, and locks beneath them (``Slave``).

Document: TeraTrack lock upload messages as its devices send them; keys as they are spelt on the wire.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from cocket.core import jsontext as js
from cocket.core.framing import by_start
from cocket.core.protocol import Cut, Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.units import KMH
from cocket.core.wire import utc_parts

STATED: Final = {"LockRope": "rope_inserted", "LockStatus": "locked", "LockCutOff": "rope_cut"}
"""Keys whose 0 says as much as their 1."""

ALARMS: Final = {
    "IllegalCard": "card_refused",
    "PasswordError": "wrong_password",
    "LowPower": "battery_low",
    "LockStuck": "motor_stuck",
}
BENEATH: Final = {"SLockCutOff": "rope_cut", "SUnCoverBack": "casing_open", "SLockStuck": "motor_stuck"}
"""Alarms of a lock beneath; they count as this one's, and ``reader_id`` names it."""

TAMPERED: Final = ("SealTampered", "SealTempered")
"""Both spellings are met: somebody tampers with the seal; kept as a vibration alarm."""

_ASU: Final = 31


def _split(buffer: bytes, at: int) -> Cut:
    """From the first brace to the one that closes it, braces in strings left out."""
    depth, quoted, i = 0, False, at
    for found in _MARKS.finditer(buffer, at):
        mark, i = found[0], found.end()
        if quoted:
            quoted = mark != b'"'
        elif mark == b'"':
            quoted = True
        elif mark == b"{":
            depth += 1
        elif mark == b"}":
            depth -= 1
            if depth == 0:
                return at, i
    return None


_MARKS: Final = re.compile(rb'\\.|["{}]')


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One JSON object."""
    doc = js.load(frame)
    if not isinstance(doc, dict):
        raise Undecodable("no-frame", "a report is a JSON object")
    session.device_id = js.text(doc, "MDeviceID") or js.text(doc, "IMEI")
    if session.device_id is None:
        raise Undecodable("missing", "MDeviceID: the lock has no name")
    row: Row = {"observed_us": js.moment(doc, "DateTime"), "fix_source": "gnss", **_place(doc)}
    speed, mileage = js.number(doc, "Speed"), js.number(doc, "Mileage")
    row["speed_mps"] = None if speed is None else speed * KMH
    row["odometer_m"] = None if mileage is None else mileage * 1000
    for key, column in STATED.items():
        row[column] = _flag(doc, key)
    row |= {column: True for key, column in ALARMS.items() if _flag(doc, key)}
    if any(_flag(doc, key) for key in TAMPERED):
        row["vibration"] = True
    opened, cover = _flag(doc, "UnCoverBack"), _flag(doc, "CoverStatus")
    if opened is not None or cover is not None:
        row["casing_open"] = bool(opened) or cover is False
    card = js.text(doc, "CardNo")
    row["card_id"] = card if card and card.strip("0") else None
    row["battery_pct"] = js.number(doc, "Power")
    gsm = js.number(doc, "GSM")
    row["gsm_signal"] = round(gsm * 100 / _ASU) if gsm is not None and 0 <= gsm <= _ASU else None
    row["sequence"] = js.whole(doc, "Index")
    _beneath(doc, row)
    if "lat_deg" not in row:
        del row["fix_source"]
    reading.rows.append(row)


def _flag(doc: Any, key: str, *path: str | int) -> bool | None:
    value = js.text(doc, *path, key)
    return None if value not in {"0", "1"} else value == "1"


def _place(doc: Any) -> Row:
    """The sign of a coordinate may stand in the number, in the state (0: south, west), or in both."""
    lat, lon = js.number(doc, "Latitude"), js.number(doc, "Longitude")
    if lat is None or lon is None:
        return {}
    south, west = _flag(doc, "LatitudeState") is False, _flag(doc, "LongitudeState") is False
    return {"lat_deg": -abs(lat) if south else lat, "lon_deg": -abs(lon) if west else lon, "fix_valid": True}


def _beneath(doc: Any, row: Row) -> None:
    for n in range(len(js.each(doc, "Slave"))):
        alarms = [column for key, column in BENEATH.items() if _flag(doc, key, "Slave", n)]
        if alarms:
            row |= dict.fromkeys(alarms, True)
            row["reader_id"] = js.text(doc, "Slave", n, "SDeviceId")


def _report(row: Row, sequence: int) -> bytes:
    lat, lon = row.get("lat_deg", 0.0), row.get("lon_deg", 0.0)
    bit = {True: "1", False: "0", None: "0"}
    doc = {
        "MDeviceID": row["device_id"],
        "DeviceType": "1",
        "DateTime": utc_parts(row["observed_us"]).strftime("%Y-%m-%d %H:%M:%S"),
        "Latitude": f"{lat:.6f}",
        "Longitude": f"{lon:.6f}",
        "LatitudeState": "0" if lat < 0 else "1",
        "LongitudeState": "0" if lon < 0 else "1",
        "Speed": f"{row.get('speed_mps', 0.0) / KMH:.0f}",
        "Mileage": f"{row.get('odometer_m', 0.0) / 1000:.0f}",
        **{key: bit[row.get(column)] for key, column in (STATED | ALARMS).items()},
        "UnCoverBack": bit[row.get("casing_open")],
        "CoverStatus": "0" if row.get("casing_open") else "1",
        "Power": f"{row.get('battery_pct', 0):.0f}",
        "Index": str(sequence),
        "Slave": [],
    }
    return json.dumps(doc, separators=(",", ":")).encode()


PROTOCOL: Final = Protocol(
    name="teratrack",
    title="TeraTrack locks (JSON)",
    document="TeraTrack lock upload messages",
    family="seal",
    decode=decode,
    split=by_start({b"{": _split}),
    text=True,
    doors=("tcp", "http"),
    port=5246,
    starts=re.compile(rb'\{\s*"MDeviceID"'),
    max_frame=8192,
    simulation=Simulation(
        report=_report,
        carries=frozenset(
            {
                "observed_us",
                "lat_deg",
                "lon_deg",
                "speed_mps",
                "locked",
                "rope_cut",
                "rope_inserted",
                "casing_open",
                "battery_pct",
                "card_refused",
                "wrong_password",
                "motor_stuck",
                "battery_low",
            }
        ),
        device_id=lambda n: f"{22_000_000_000 + n:012d}",
    ),
)
