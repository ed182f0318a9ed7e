"""OwnTracks: locations and transitions of the app and of trackers that speak its JSON.

Document: OwnTracks Booklet, "JSON" (``_type`` location, transition, lwt, card …) and "HTTP" (``topic`` in the body); the
triggers of tracking units are those of its Greenwich firmware. ``vel`` is in km/h, ``tst`` in epoch seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from cocket.core.framing import lines
from cocket.core.jsontext import get, load, moment, number, text, truth, whole
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.units import KMH

SILENT: Final = frozenset(
    {
        "lwt",
        "card",
        "waypoint",
        "waypoints",
        "beacon",
        "cmd",
        "configuration",
        "dump",
        "status",
        "steps",
        "request",
    }
)
"""Types that are no observation."""

TRIGGERS: Final[Mapping[str, tuple[str, bool]]] = {
    "9": ("battery_low", True),
    "i": ("ignition", True),
    "I": ("ignition", False),
    "e": ("external_power", False),
    "E": ("external_power", True),
}
"""``t`` of a location from a tracking unit."""

TRANSITIONS: Final = {"enter": "fence_entered", "leave": "fence_left"}
CHARGING: Final = {1: False, 2: True}
"""``bs``: 1 unplugged, 2 charging; 0 is unknown, 3 full."""

_SUFFIXES: Final = frozenset(
    {"event", "waypoint", "waypoints", "info", "dump", "step", "beacon", "status", "cmd"}
)


def device_of(topic: str) -> str:
    """The device of an MQTT topic: ``owntracks/jane/phone/event`` is ``jane-phone``."""
    parts = [p for p in topic.split("/") if p]
    if len(parts) > 1 and parts[0] == "owntracks":
        parts = parts[1:]
    if len(parts) > 1 and parts[-1] in _SUFFIXES:
        parts = parts[:-1]
    return "-".join(parts)


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One message."""
    doc = load(frame)
    kind = text(doc, "_type")
    if kind is None:
        raise Undecodable("malformed", "$._type: an OwnTracks message has a type")
    if kind == "encrypted":
        raise Undecodable("encrypted", "the app encrypts what it sends; its secret is not known here")
    topic = text(doc, "topic")
    if topic is not None:
        session.device_id = device_of(topic)
    elif session.device_id is None:
        session.device_id = text(doc, "tid")
    if kind in SILENT:
        return
    if kind not in {"location", "transition"}:
        raise Undecodable("unknown-type", f"a message of type {kind[:32]!r} is not known")
    row: Row = {
        "device_id": session.device_id,
        "observed_us": moment(doc, "tst"),
        "lat_deg": number(doc, "lat"),
        "lon_deg": number(doc, "lon"),
        "fix_valid": True,
    }
    if row["lat_deg"] is None or row["lon_deg"] is None:
        raise Undecodable("missing", f"a {kind} without lat and lon")
    reading.rows.append(row)
    if kind == "transition":
        event = text(doc, "event")
        if event in TRANSITIONS:
            row[TRANSITIONS[event]] = True
        return
    _location(doc, row)


def _location(doc: Any, row: Row) -> None:
    trigger = get(doc, "t")
    if isinstance(trigger, str) and trigger in TRIGGERS:
        column, state = TRIGGERS[trigger]
        row[column] = state
    speed, course = number(doc, "vel"), number(doc, "cog")
    row |= {
        "speed_mps": None if speed is None or speed < 0 else speed * KMH,
        "course_deg": None if course is None or course < 0 else course,
        "altitude_m": number(doc, "alt"),
    }
    battery, odometer = number(doc, "batt"), number(doc, "odometer")
    row |= {
        "battery_pct": None if battery is None or battery < 0 else battery,
        "charging": CHARGING.get(whole(doc, "bs") or 0),
        "battery_v": number(doc, "ubatt"),
        "odometer_m": None if odometer is None else odometer * 1000,
        "temp_c": number(doc, "temp_c-00"),
    }
    ignition = truth(doc, "ign")
    if ignition is not None:
        row["ignition"] = ignition


def _report(row: Row, _sequence: int) -> bytes:
    seconds, rest = divmod(row["observed_us"], 1_000_000)
    doc: dict[str, Any] = {
        "_type": "location",
        "topic": f"owntracks/{row['device_id']}",
        "tid": str(row["device_id"])[-2:],
        "tst": seconds if not rest else row["observed_us"] / 1e6,
        "lat": row.get("lat_deg", 0.0),
        "lon": row.get("lon_deg", 0.0),
        "acc": 10,
        "conn": "m",
    }
    for name, column, factor in (
        ("vel", "speed_mps", KMH),
        ("cog", "course_deg", 1),
        ("alt", "altitude_m", 1),
        ("batt", "battery_pct", 1),
    ):
        if row.get(column) is not None:
            doc[name] = row[column] / factor
    if row.get("charging") is not None:
        doc["bs"] = 2 if row["charging"] else 1
    if row.get("ignition") is not None:
        doc["ign"] = row["ignition"]
    return json.dumps(doc).encode()


PROTOCOL: Final = Protocol(
    name="owntracks",
    title="OwnTracks app and trackers",
    document="OwnTracks Booklet, JSON",
    family="tracker",
    decode=decode,
    split=lines,
    text=True,
    doors=("mqtt", "http"),
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
                "battery_pct",
                "charging",
                "ignition",
            }
        ),
    ),
)
