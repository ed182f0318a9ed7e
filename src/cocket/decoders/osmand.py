"""OsmAnd's live tracking and the Traccar client apps: a query string, or the apps' newer JSON body.

Document: OsmAnd, "Online tracking" (the address with lat, lon, timestamp …), in the form that Traccar's "OsmAnd protocol"
page gives it (id, speed in knots, batt, charge, alarm …); the JSON is that of the Traccar client 9 (background
geolocation: speed in m/s, battery level from 0 to 1, -1 where unknown). The frame is the query string, with or without
what stands before its ``?``, or the JSON body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from cocket.core.framing import lines
from cocket.core.jsontext import get, load, moment, number, text, truth
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.units import KNOT
from cocket.core.wire import utc_parts

NUMBERS: Final[Mapping[str, str]] = {
    "bearing": "course_deg",
    "heading": "course_deg",
    "altitude": "altitude_m",
    "hdop": "hdop",
    "batt": "battery_pct",
    "odometer": "odometer_m",
}
FLAGS: Final[Mapping[str, str]] = {"charge": "charging", "ignition": "ignition"}
ALARMS: Final[Mapping[str, tuple[str, bool]]] = {
    "sos": ("sos", True),
    "lowBattery": ("battery_low", True),
    "vibration": ("vibration", True),
    "tampering": ("casing_open", True),
    "jamming": ("jamming", True),
    "powerCut": ("external_power", False),
    "powerRestored": ("external_power", True),
    "geofenceEnter": ("fence_entered", True),
    "geofenceExit": ("fence_left", True),
}
"""Words of ``alarm``, as Traccar has them."""

_MOST_FIELDS: Final = 128
_LOST_PLUS: Final = re.compile(r" (?=\d\d:?\d\d$)")
"""A plus sign of a zone that was not escaped comes as a blank."""


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One report, or a JSON body with several."""
    if frame.lstrip()[:1] in {b"{", b"["}:
        _json(load(frame), session, reading)
    else:
        _query(frame.decode(), session, reading)


def _query(frame: str, session: Session, reading: Reading) -> None:
    line = frame.strip().partition(" HTTP/")[0]
    pairs = parse_qsl(line.rpartition("?")[2], keep_blank_values=False, max_num_fields=_MOST_FIELDS)
    q = {name: value for name, value in reversed(pairs)}  # noqa: C416 (the first of a name counts)
    if not q:
        raise Undecodable("malformed", "no query string: id=…&lat=…&lon=… is wanted")
    session.device_id = text(q, "id") or text(q, "deviceid") or session.device_id
    lat, lon = number(q, "lat"), number(q, "lon")
    if "location" in q:
        first, comma, second = q["location"].partition(",")
        if not comma:
            raise Undecodable("malformed", "location: two numbers with a comma between them are wanted")
        lat, lon = number({"location": first}, "location"), number({"location": second}, "location")
    if "timestamp" in q and "T" in q["timestamp"]:
        q["timestamp"] = _LOST_PLUS.sub("+", q["timestamp"].strip())
    row: Row = {"device_id": session.device_id, "observed_us": moment(q, "timestamp")}
    if lat is not None and lon is not None:
        row |= {"lat_deg": lat, "lon_deg": lon, "fix_valid": True}
        reading.rows.append(row)
        valid = truth(q, "valid")
        row["fix_valid"] = valid is not False
    said = _alarm(q.get("alarm"))
    speed = number(q, "speed")
    if speed is not None and speed >= 0:
        said["speed_mps"] = speed * KNOT
    for name, column in NUMBERS.items():
        value = number(q, name)
        if value is not None and (value >= 0 or name == "altitude"):
            said[column] = value
    for name, column in FLAGS.items():
        if name in q:
            said[column] = truth(q, name)
    row |= said
    if said and not reading.rows:
        reading.rows.append(row)


def _alarm(word: Any) -> Row:
    return dict([ALARMS[word]]) if isinstance(word, str) and word in ALARMS else {}


def _json(doc: Any, session: Session, reading: Reading) -> None:
    found = get(doc, "location")
    locations = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in locations) or not locations:
        raise Undecodable("unknown-type", "$.location: an object is wanted")
    session.device_id = text(doc, "device_id") or session.device_id
    for location in locations:
        row: Row = {
            "device_id": session.device_id,
            "observed_us": moment(location, "timestamp"),
            "lat_deg": number(location, "coords", "latitude"),
            "lon_deg": number(location, "coords", "longitude"),
        }
        if row["lat_deg"] is None or row["lon_deg"] is None:
            raise Undecodable("missing", "$.location.coords: latitude and longitude are wanted")
        row["fix_valid"] = True
        reading.rows.append(row)
        if truth(location, "mock"):
            row["fix_valid"] = False
        row |= _alarm(get(location, "extras", "alarm") or get(location, "alarm"))
        level = number(location, "battery", "level")
        row |= {
            "speed_mps": _known(number(location, "coords", "speed")),
            "course_deg": _known(number(location, "coords", "heading")),
            "altitude_m": number(location, "coords", "altitude"),
            "odometer_m": number(location, "odometer"),
            "battery_pct": None if level is None or level < 0 else level * 100,
            "charging": truth(location, "battery", "is_charging"),
        }


def _known(value: float | None) -> float | None:
    return None if value is None or value < 0 else value


def _report(row: Row, _sequence: int) -> bytes:
    q: dict[str, Any] = {
        "id": row["device_id"],
        "timestamp": utc_parts(row["observed_us"]).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    if "lat_deg" in row:
        q |= {"lat": row["lat_deg"], "lon": row["lon_deg"], "valid": str(row.get("fix_valid", True)).lower()}
    if row.get("speed_mps") is not None:
        q["speed"] = row["speed_mps"] / KNOT
    q |= {
        name: row[column]
        for name, column in NUMBERS.items()
        if row.get(column) is not None and name != "heading"
    }
    q |= {name: str(row[column]).lower() for name, column in FLAGS.items() if row.get(column) is not None}
    if row.get("sos"):
        q["alarm"] = "sos"
    return urlencode(q).encode()


PROTOCOL: Final = Protocol(
    name="osmand",
    title="OsmAnd and Traccar client apps",
    document="OsmAnd online tracking; Traccar, OsmAnd protocol; Traccar client 9 (JSON)",
    family="tracker",
    decode=decode,
    split=lines,
    text=True,
    doors=("http",),
    port=5055,
    max_frame=65_536,
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
                "battery_pct",
                "charging",
                "ignition",
                "odometer_m",
                "sos",
            }
        ),
    ),
)
