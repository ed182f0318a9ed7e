"""DCSA Track & Trace events of containers: IOT, REEFER and EQUIPMENT, as a carrier or platform posts them.

Document: DCSA, "Track & Trace" 3.0.0 (POST /events: ``events`` with ``eventClassification``, ``equipmentDetails``,
``iotDetails``, ``reeferDetails``), and what is still in use of before: its drafts with codes (DETC, DRO, ACT), 3.0.0-Beta-1
with IoT and Reefer 1.0.0-Beta-1 (``metadata`` and ``payload``), and the flat events of 2.2. One event is one row; an event that
is planned, estimated or retracted, or tells of a shipment or a means of transport, is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from cocket.core.clock import rfc3339
from cocket.core.framing import lines
from cocket.core.jsontext import MOST_BYTES, each, get, load, moment, number, text, truth
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable

READ: Final = frozenset({"IOT", "REEFER", "EQUIPMENT"})
PASSED: Final = frozenset({"SHIPMENT", "TRANSPORT"})

IOT: Final[Mapping[str, tuple[str, bool]]] = {
    "DOOR_OPENED": ("door_open", True),
    "DOOR_CLOSED": ("door_open", False),
    "GEOFENCE_ENTRY": ("fence_entered", True),
    "GEOFENCE_EXIT": ("fence_left", True),
    "DRO": ("door_open", True),
    "DRC": ("door_open", False),
}
"""``iotEventType`` of 3.0.0, and ``iotEventCode`` of before."""

_FENCES: Final = frozenset({"fence_entered", "fence_left"})

PARAMETERS: Final = {
    "o2Percentage": "o2_pct",
    "co2Percentage": "co2_pct",
    "humidityPercentage": "humidity_pct",
}
"""``measuredParameters`` of 3.0.0."""

MEASUREMENTS: Final = {"o2": "o2_pct", "co2": "co2_pct", "humidity": "humidity_pct"}
"""``measurements`` of the Beta."""

_FAHRENHEIT: Final = frozenset({"FAH", "FAHRENHEIT"})
_PLACES: Final[tuple[tuple[str, ...], ...]] = (
    ("eventLocation", "geoCoordinate"),
    ("eventLocation",),
    ("geoLocation",),
    ("transportCall", "location"),
    ("location",),
)
_EQUIPMENT: Final[tuple[tuple[str, ...], ...]] = (
    ("equipmentDetails", "equipmentReference"),
    ("equipmentReference",),
)


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One event, an array of them, or ``{"events": [...]}``."""
    doc = load(frame)
    if isinstance(doc, list):
        events: list[Any] = doc
    else:
        events = each(doc, "events") if get(doc, "events") is not None else [doc]
    for event in events:
        _event(event, session, reading)


def _event(event: Any, session: Session, reading: Reading) -> None:
    body = get(event, "payload") if isinstance(get(event, "payload"), dict) else event
    if truth(event, "isRetracted") or text(event, "metadata", "retractedEventID"):
        return
    kind = _first(
        event,
        ("eventClassification", "eventType"),
        ("eventClassification", "eventTypeCode"),
        ("metadata", "eventType"),
    ) or text(event, "eventType")
    if kind in PASSED:
        return
    if kind not in READ:
        raise Undecodable("unknown-type", f"an event of type {str(kind)[:32]!r} is not known")
    certainty = _first(
        body,
        ("eventClassification", "eventClassifier"),
        ("eventClassification", "eventClassifierCode"),
        ("eventClassifierCode",),
    )
    if certainty not in {None, "ACTUAL", "ACT"}:
        return
    equipment = _first(body, *_EQUIPMENT)
    session.device_id = equipment or session.device_id
    row: Row = {
        "device_id": equipment,
        "equipment_id": equipment,
        "observed_us": moment(body, "eventDateTime"),
        **_place(body),
    }
    reading.rows.append(row)
    _iot(body, row)
    reefer = get(body, "reeferDetails")
    if isinstance(reefer, dict):
        _reefer(reefer, row)
    elif kind == "REEFER":
        _reefer_beta(body, row)


def _first(doc: Any, *paths: tuple[str, ...]) -> str | None:
    for path in paths:
        found = text(doc, *path)
        if found is not None:
            return found
    return None


def _place(body: Any) -> Row:
    for path in _PLACES:
        lat, lon = number(body, *path, "latitude"), number(body, *path, "longitude")
        if lat is not None and lon is not None:
            return {"lat_deg": lat, "lon_deg": lon}
    return {}


def _iot(body: Any, row: Row) -> None:
    word = _first(
        body, ("eventClassification", "iotEventType"), ("iotDetails", "iotEventCode"), ("iotEventCode",)
    )
    if word is not None and word in IOT:
        column, state = IOT[word]
        by_device = text(body, "iotDetails", "detectionSource") in {None, "DEVICE"}
        if by_device or column not in _FENCES:
            row[column] = state


def _reefer(reefer: Any, row: Row) -> None:
    unit = text(reefer, "temperatureUnit")
    probes = each(reefer, "temperatureProbeMeasurements")
    returned = _air(reefer, "returnAirTemperatureMeasurement")
    if returned is None and probes:
        returned = _first_number(probes[0], "temperatureValue", "temperature")
    row |= {
        "temp_set_c": _celsius(number(reefer, "internalSetpointTemperature"), unit),
        "temp_supply_c": _celsius(_air(reefer, "supplyAirTemperatureMeasurement"), unit),
        "temp_c": _celsius(returned, unit),
        "temp_ambient_c": _celsius(number(reefer, "ambientMeasuredTemperature"), unit),
    }
    row |= {column: number(reefer, "measuredParameters", name) for name, column in PARAMETERS.items()}
    if text(reefer, "powerStatus") == "POWER_ON":
        row["external_power"] = True


def _air(reefer: Any, name: str) -> float | None:
    """The controller's value, else the first sensor's."""
    value = number(reefer, name, "temperatureValue")
    return number(reefer, name, "sensorReadings", 0, "temperatureValue") if value is None else value


def _first_number(doc: Any, *names: str) -> float | None:
    for name in names:
        value = number(doc, name)
        if value is not None:
            return value
    return None


def _reefer_beta(body: Any, row: Row) -> None:
    unit = text(body, "measurements", "temperatureUnit")
    setpoint = "setpoints" if get(body, "setpoints") is not None else "setpoint"
    row |= {
        "temp_c": _celsius(number(body, "measurements", "temperature"), unit),
        "temp_ambient_c": _celsius(number(body, "measurements", "ambientTemperature"), unit),
        "temp_set_c": _celsius(
            number(body, setpoint, "temperature"), text(body, setpoint, "temperatureUnit") or unit
        ),
    }
    row |= {column: number(body, "measurements", name) for name, column in MEASUREMENTS.items()}


def _celsius(value: float | None, unit: str | None) -> float | None:
    if value is None or unit not in _FAHRENHEIT:
        return value
    return (value - 32) / 1.8


def _report(row: Row, sequence: int) -> bytes:
    door = row.get("door_open")
    classification = {"eventType": "REEFER", "eventClassifier": "ACTUAL", "reeferEventType": "MEASURED"}
    if door is not None:
        word = "DOOR_OPENED" if door else "DOOR_CLOSED"
        classification = {"eventType": "IOT", "eventClassifier": "ACTUAL", "iotEventType": word}
    reefer = {
        "temperatureUnit": "CEL",
        "internalSetpointTemperature": row.get("temp_set_c"),
        "supplyAirTemperatureMeasurement": {"temperatureValue": row.get("temp_supply_c")},
        "returnAirTemperatureMeasurement": {"temperatureValue": row.get("temp_c")},
        "ambientMeasuredTemperature": row.get("temp_ambient_c"),
        "measuredParameters": {name: row.get(column) for name, column in PARAMETERS.items()},
    }
    event: dict[str, Any] = {
        "eventID": f"{row['device_id']}-{row['observed_us']}-{sequence}",
        "eventDateTime": rfc3339(row["observed_us"]),
        "eventClassification": classification,
        "equipmentDetails": {"equipmentReference": row["device_id"]},
        "iotDetails": {"detectionSource": "DEVICE"},
        "reeferDetails": reefer,
    }
    if "lat_deg" in row:
        place = {"latitude": f"{row['lat_deg']:.6f}", "longitude": f"{row['lon_deg']:.6f}"}
        event["eventLocation"] = {"geoCoordinate": place}
    return json.dumps({"events": [event]}).encode()


PROTOCOL: Final = Protocol(
    name="dcsa",
    title="DCSA Track & Trace, IoT and reefer events",
    document="DCSA Track & Trace 3.0.0; IoT and Reefer 1.0.0-Beta-1",
    family="sensor",
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
                "door_open",
                "temp_set_c",
                "temp_supply_c",
                "temp_c",
                "temp_ambient_c",
                "o2_pct",
                "co2_pct",
                "humidity_pct",
            }
        ),
        device_id=lambda n: f"MSKU{n:07d}",
    ),
)
