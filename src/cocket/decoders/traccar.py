"""What a Traccar server forwards: positions and events as JSON. Devices whose protocol we do not read arrive this way.

Document: Traccar, "Position Forwarding" and "Event Forwarding" (``forward.type``/``event.forward.type`` = json), with the
fields of its models ``Position``, ``Event`` and ``Device`` (version 6). Speed is in knots, distances in metres, times in
ISO 8601. A position that is marked ``outdated`` is the last one known, repeated under a newer report: it is not taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from cocket.core.clock import rfc3339
from cocket.core.framing import lines
from cocket.core.jsontext import MOST_BYTES, get, load, moment, number, text, truth
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.units import KNOT

ALARMS: Final[Mapping[str, tuple[str, bool]]] = {
    "sos": ("sos", True),
    "vibration": ("vibration", True),
    "shock": ("vibration", True),
    "lowBattery": ("battery_low", True),
    "door": ("door_open", True),
    "lock": ("locked", True),
    "unlock": ("locked", False),
    "geofenceEnter": ("fence_entered", True),
    "geofenceExit": ("fence_left", True),
    "powerCut": ("external_power", False),
    "powerRestored": ("external_power", True),
    "jamming": ("jamming", True),
    "tampering": ("casing_open", True),
}
"""Words of ``attributes.alarm`` (several are joined by commas) to what they say."""

EVENTS: Final[Mapping[str, tuple[str, bool]]] = {
    "ignitionOn": ("ignition", True),
    "ignitionOff": ("ignition", False),
}
"""Events that say more than the position they come with. Geofences are the server's own, so they are not told."""

NUMBERS: Final[Mapping[str, str]] = {
    "batteryLevel": "battery_pct",
    "battery": "battery_v",
    "hdop": "hdop",
    "odometer": "odometer_m",
    "temp1": "temp_c",
    "humidity": "humidity_pct",
}
"""Attributes that are numbers in our units."""

FLAGS: Final[Mapping[str, str]] = {
    "ignition": "ignition",
    "charge": "charging",
    "door": "door_open",
    "lock": "locked",
    "archive": "delayed",
}
"""Attributes that are true or false."""

WHOLES: Final[Mapping[str, str]] = {"sat": "satellites", "index": "sequence"}


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One forwarded position or event."""
    doc = load(frame)
    position, event = get(doc, "position"), get(doc, "event")
    if not isinstance(position, dict) and not isinstance(event, dict):
        raise Undecodable("unknown-type", "neither a position nor an event of a Traccar server")
    session.device_id = text(doc, "device", "uniqueId") or session.device_id
    row: Row = {"device_id": session.device_id}
    if isinstance(position, dict):
        row |= _fix(position)
        reading.rows.append(row)
        row |= _rest(position)
    if isinstance(event, dict):
        said = _event(event)
        if said and not reading.rows:
            reading.rows.append(row)
            row["observed_us"] = moment(event, "eventTime")
        row |= said
    if not row.keys() - {"device_id", "observed_us"}:
        reading.rows.clear()


def _fix(position: dict[str, Any]) -> Row:
    if truth(position, "outdated"):
        return {"observed_us": moment(position, "deviceTime")}
    return {
        "observed_us": moment(position, "fixTime") or moment(position, "deviceTime"),
        "lat_deg": number(position, "latitude"),
        "lon_deg": number(position, "longitude"),
        "fix_valid": truth(position, "valid"),
    }


def _rest(position: dict[str, Any]) -> Row:
    attributes = get(position, "attributes")
    row = _attributes(attributes) if isinstance(attributes, dict) else {}
    if not truth(position, "outdated"):
        speed = number(position, "speed")
        row |= {
            "speed_mps": None if speed is None else speed * KNOT,
            "course_deg": number(position, "course"),
            "altitude_m": number(position, "altitude"),
        }
    return row


def _attributes(attributes: Mapping[str, Any]) -> Row:
    """Attributes differ from decoder to decoder of Traccar: one of an unusual type is passed over."""
    row: Row = {}
    for name, value in attributes.items():
        if isinstance(value, bool):
            if name in FLAGS:
                row[FLAGS[name]] = value
        elif isinstance(value, (int, float)):
            if name in NUMBERS:
                row[NUMBERS[name]] = float(value)
            elif name in WHOLES and isinstance(value, int) and 0 <= value < 1 << 62:
                row[WHOLES[name]] = value
    if attributes.get("approximate") is True:
        row["fix_source"] = "cell"
    if row.get("delayed") is False:
        del row["delayed"]
    return row | _alarms(attributes.get("alarm"))


def _alarms(words: Any) -> Row:
    if not isinstance(words, str):
        return {}
    return dict(ALARMS[w] for w in map(str.strip, words.split(",")) if w in ALARMS)


def _event(event: dict[str, Any]) -> Row:
    kind = text(event, "type") or ""
    if kind == "alarm":
        return _alarms(get(event, "attributes", "alarm"))
    return dict([EVENTS[kind]]) if kind in EVENTS else {}


def _report(row: Row, sequence: int) -> bytes:
    at = rfc3339(row["observed_us"]).removesuffix("Z") + ".000+00:00"
    attributes: dict[str, Any] = {
        name: row[column]
        for name, column in (*NUMBERS.items(), *FLAGS.items(), *WHOLES.items())
        if row.get(column) is not None
    }
    attributes.setdefault("index", sequence)
    attributes["alarm"] = ",".join(
        word for word, (column, state) in ALARMS.items() if row.get(column) is state
    )
    position = {
        "id": sequence,
        "attributes": attributes,
        "deviceId": 1,
        "protocol": "gt06",
        "serverTime": at,
        "deviceTime": at,
        "fixTime": at,
        "outdated": "lat_deg" not in row,
        "valid": row.get("fix_valid", True),
        "latitude": row.get("lat_deg", 0.0),
        "longitude": row.get("lon_deg", 0.0),
        "altitude": row.get("altitude_m", 0.0),
        "speed": row.get("speed_mps", 0.0) / KNOT,
        "course": row.get("course_deg", 0.0),
        "accuracy": 0.0,
    }
    device = {"id": 1, "uniqueId": str(row["device_id"]), "name": str(row["device_id"]), "status": "online"}
    return json.dumps({"position": position, "device": device}).encode()


PROTOCOL: Final = Protocol(
    name="traccar",
    title="Traccar server, forwarded positions and events",
    document="Traccar 6, position and event forwarding (JSON)",
    family="tracker",
    decode=decode,
    split=lines,
    text=True,
    doors=("http", "mqtt"),
    max_frame=MOST_BYTES,
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
                "fix_valid",
                "satellites",
                "odometer_m",
                "battery_pct",
                "battery_v",
                "temp_c",
                "humidity_pct",
                "door_open",
                "locked",
                "casing_open",
                "vibration",
                "jamming",
                "sos",
                "ignition",
                "charging",
                "external_power",
            }
        ),
    ),
)
