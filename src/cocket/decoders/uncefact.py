"""Notifications of smart container devices, with the data elements of UN/CEFACT's smart container standard, as JSON.

Document: UN/CEFACT, "Business Requirements Specification: Smart Containers" 1.0 (2019): the device, the container, the event, the
position, and what the sensors measured. It says what is exchanged and not how, so the names here follow the JSON naming
rules of UN/CEFACT (lower camel case of the core component library; a value may be ``{"content": …, "unitCode": …}``), and
those that are usual beside them; they are compared without case and separators. Units are codes of UN/ECE Recommendation 20.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from cocket.core.clock import rfc3339
from cocket.core.framing import lines
from cocket.core.jsontext import MOST_BYTES, load, moment, number
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.schema import BY_NAME, Kind
from cocket.core.sensorwords import one
from cocket.core.units import KMH, KNOT

ENVELOPES: Final = ("notifications", "devicenotifications", "events", "messages")
DEVICE: Final = (
    "deviceid",
    "smartdeviceid",
    "deviceidentifier",
    "deviceidentification",
    "device",
    "smartdevice",
)
CONTAINER: Final = (
    "containerid",
    "containernumber",
    "containeridentification",
    "equipmentid",
    "equipmentreference",
    "transportequipmentid",
    "transportequipment",
    "utilizedtransportequipment",
    "container",
    "equipment",
)
NAMES: Final = (
    "id",
    "identification",
    "identifier",
    "deviceid",
    "content",
    "value",
    "number",
    "serialnumber",
)
TIMES: Final = (
    "occurrencedatetime",
    "actualoccurrencedatetime",
    "eventdatetime",
    "recordeddatetime",
    "measurementdatetime",
    "datetime",
    "timestamp",
    "notificationdatetime",
)
PLACES: Final = (
    "geographicalcoordinate",
    "specifiedgeographicalcoordinate",
    "geolocation",
    "geocoordinates",
    "geocoordinate",
    "position",
    "location",
    "occurrencelocation",
)
EVENT: Final = ("eventtype", "eventtypecode", "eventcode", "triggerevent", "typecode")
SENSORS: Final = (
    "sensors",
    "sensor",
    "attachedsensor",
    "sensorreadings",
    "measurements",
    "sensormeasurements",
)
KIND: Final = ("sensortype", "sensortypecode", "typecode", "type", "name")
VALUE: Final = (
    "value",
    "measure",
    "valuemeasure",
    "measuredvalue",
    "content",
    "state",
    "status",
    "indicator",
)
UNIT: Final = ("unitcode", "unit")

EVENTS: Final[Mapping[str, tuple[str, bool]]] = {
    "dooropen": ("door_open", True),
    "dooropened": ("door_open", True),
    "doorclose": ("door_open", False),
    "doorclosed": ("door_open", False),
    "shock": ("vibration", True),
    "shockdetected": ("vibration", True),
    "geofenceentry": ("fence_entered", True),
    "geofencein": ("fence_entered", True),
    "geofenceexit": ("fence_left", True),
    "geofenceout": ("fence_left", True),
    "batterylow": ("battery_low", True),
    "lowbattery": ("battery_low", True),
    "tamper": ("casing_open", True),
    "tampering": ("casing_open", True),
    "powerlost": ("external_power", False),
    "poweroff": ("external_power", False),
    "powerrestored": ("external_power", True),
    "poweron": ("external_power", True),
}
"""What happened, without case and separators."""

MEASURED: Final[Mapping[str, str]] = {
    "temperature": "temp_c",
    "internaltemperature": "temp_c",
    "cargotemperature": "temp_c",
    "returnairtemperature": "temp_c",
    "supplyairtemperature": "temp_supply_c",
    "ambienttemperature": "temp_ambient_c",
    "externaltemperature": "temp_ambient_c",
    "setpointtemperature": "temp_set_c",
    "temperaturesetpoint": "temp_set_c",
    "humidity": "humidity_pct",
    "relativehumidity": "humidity_pct",
    "light": "light_lux",
    "illuminance": "light_lux",
    "shock": "shock_g",
    "impact": "shock_g",
    "acceleration": "shock_g",
    "oxygen": "o2_pct",
    "o2": "o2_pct",
    "carbondioxide": "co2_pct",
    "co2": "co2_pct",
    "batterylevel": "battery_pct",
    "batterycharge": "battery_pct",
    "batteryvoltage": "battery_v",
    "speed": "speed_mps",
    "heading": "course_deg",
    "course": "course_deg",
    "altitude": "altitude_m",
}
"""Kinds of sensors, and measures of a notification, to columns of numbers."""

UNITS: Final[Mapping[str, tuple[str, float, float]]] = {
    "CEL": ("°C", 1, 0),
    "FAH": ("°C", 5 / 9, -160 / 9),
    "KEL": ("°C", 1, -273.15),
    "P1": ("%", 1, 0),
    "59": ("%", 0.0001, 0),
    "VLT": ("V", 1, 0),
    "2Z": ("V", 0.001, 0),
    "LUX": ("lx", 1, 0),
    "K40": ("g", 1, 0),
    "MSK": ("g", 1 / 9.80665, 0),
    "MTS": ("m/s", 1, 0),
    "KMH": ("m/s", KMH, 0),
    "KNT": ("m/s", KNOT, 0),
    "MTR": ("m", 1, 0),
    "DD": ("°", 1, 0),
}
"""Recommendation 20: the code's unit in our columns, factor and offset to it. Without a code the column's own unit is meant."""

STATES: Final = {
    "door": "door_open",
    "doorstatus": "door_open",
    "lock": "locked",
    "lockstatus": "locked",
    "power": "external_power",
    "externalpower": "external_power",
    "tamper": "casing_open",
}
_MOST: Final = 200
_SEPARATORS: Final = re.compile(r"[\W_]+")


def _plain(doc: Any) -> dict[str, Any]:
    """An object with its names in small letters without separators; of two that become one the first counts."""
    out: dict[str, Any] = {}
    if isinstance(doc, dict):
        for name, value in list(doc.items())[:_MOST]:
            if value is not None:
                out.setdefault(_word(name), value)
    return out


def _word(text: str) -> str:
    return _SEPARATORS.sub("", text[:64].lower())


def _first(doc: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((doc[n] for n in names if n in doc), None)


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One notification, an array of them, or an envelope with an array."""
    doc = load(frame)
    found = _first(_plain(doc), ENVELOPES)
    notes = doc if isinstance(doc, list) else found if isinstance(found, list) else [doc]
    for note in notes:
        _note(_plain(note), session, reading)


def _note(note: dict[str, Any], session: Session, reading: Reading) -> None:
    device, container = _name(_first(note, DEVICE)), _name(_first(note, CONTAINER))
    at = _first(note, TIMES)
    row: Row = {"device_id": device or container or session.device_id, "equipment_id": container}
    if row["device_id"] is None or (at is None and _first(note, (*PLACES, *SENSORS, *EVENT)) is None):
        raise Undecodable(
            "unknown-type", "no notification: a device or container, and a time, place or measure are wanted"
        )
    session.device_id = row["device_id"]
    row["observed_us"] = moment({"dateTime": _content(at)}, "dateTime")
    row |= _place(note)
    reading.rows.append(row)
    event = _content(_first(note, EVENT))
    if isinstance(event, str) and _word(event) in EVENTS:
        column, state = EVENTS[_word(event)]
        row[column] = state
    for group in (note, _plain(note.get("device")), _plain(note.get("smartdevice"))):
        for name, value in group.items():
            _measure(name, value, None, row)
    sensors = _first(note, SENSORS)
    if isinstance(sensors, dict):
        for name, value in _plain(sensors).items():
            _measure(name, value, None, row)
    for sensor in sensors[:_MOST] if isinstance(sensors, list) else ():
        s = _plain(sensor)
        kind, unit = _content(_first(s, KIND)), _content(_first(s, UNIT))
        if isinstance(kind, str):
            _measure(_word(kind), _first(s, VALUE), unit, row)


def _content(value: Any) -> Any:
    """What a value says that may be wrapped: ``{"content": …}``, or the first of an array."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = _first(_plain(value), ("content", "value"))
    return None if isinstance(value, (dict, list)) else value


def _name(value: Any) -> str | None:
    if isinstance(value, list):
        value = value[0] if value else None
    for _ in range(3):
        if isinstance(value, dict):
            value = _first(_plain(value), NAMES)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62:
        value = str(value)
    return value.strip()[:64] or None if isinstance(value, str) else None


def _place(note: dict[str, Any]) -> Row:
    where = note
    for _ in range(2):
        inner = _first(where, PLACES)
        if isinstance(inner, dict):
            where = _plain(inner)
    lat = _content(_first(where, ("latitude", "latitudemeasure", "lat")))
    lon = _content(_first(where, ("longitude", "longitudemeasure", "lon", "lng")))
    row: Row = {
        "lat_deg": number({"latitude": lat}, "latitude"),
        "lon_deg": number({"longitude": lon}, "longitude"),
    }
    _measure("altitude", _first(where, ("altitude", "altitudemeasure")), None, row)
    return row if row["lat_deg"] is not None and row["lon_deg"] is not None else {}


def _measure(name: str, value: Any, unit: Any, row: Row) -> None:
    """One measure or state. Of an unusual type or unit it is passed over: sensors differ, and one must not cost the rest."""
    if value is None:
        return
    word = name.removesuffix("measure").removesuffix("sensor")
    if isinstance(value, dict):
        unit = unit or _content(_first(_plain(value), UNIT))
    inner = _content(value)
    if word in STATES:
        one(STATES[word], inner, row)
        return
    column = MEASURED.get(word)
    if column is None or column in row or isinstance(inner, bool) or BY_NAME[column].kind is not Kind.FLOAT:
        return
    try:
        found = number({"": inner}, "")
    except Undecodable:
        return
    if found is None:
        return
    if unit is not None:
        code = UNITS.get(str(unit).upper())
        if code is None or code[0] != BY_NAME[column].unit:
            return
        found = found * code[1] + code[2]
    row[column] = found


def _report(row: Row, sequence: int) -> bytes:
    sensors = [
        {"sensorType": kind, "value": row[column], "unitCode": code}
        for kind, column, code in (
            ("Temperature", "temp_c", "CEL"),
            ("Relative Humidity", "humidity_pct", "P1"),
            ("Light", "light_lux", "LUX"),
            ("Shock", "shock_g", "K40"),
            ("Battery Level", "battery_pct", "P1"),
            ("Battery Voltage", "battery_v", "VLT"),
        )
        if row.get(column) is not None
    ]
    if row.get("door_open") is not None:
        sensors.append({"sensorType": "Door", "value": "open" if row["door_open"] else "closed"})
    note: dict[str, Any] = {
        "id": f"{row['device_id']}-{sequence}",
        "deviceId": row["device_id"],
        "occurrenceDateTime": rfc3339(row["observed_us"]),
        "sensors": sensors,
    }
    if row.get("equipment_id") is not None:
        note["transportEquipment"] = {"id": {"content": row["equipment_id"], "schemeId": "ISO6346"}}
    if row.get("speed_mps") is not None:
        note["speedMeasure"] = {"content": row["speed_mps"], "unitCode": "MTS"}
    if "lat_deg" in row:
        note["geographicalCoordinate"] = {
            "latitudeMeasure": {"content": row["lat_deg"], "unitCode": "DD"},
            "longitudeMeasure": {"content": row["lon_deg"], "unitCode": "DD"},
        }
    return json.dumps(note).encode()


PROTOCOL: Final = Protocol(
    name="uncefact",
    title="UN/CEFACT smart container notifications",
    document="UN/CEFACT BRS Smart Containers 1.0 (2019); UN/ECE Recommendation 20",
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
                "speed_mps",
                "equipment_id",
                "temp_c",
                "humidity_pct",
                "light_lux",
                "shock_g",
                "battery_pct",
                "battery_v",
                "door_open",
            }
        ),
    ),
)
