"""LoRaWAN sensors behind a ChirpStack network server: its integration events as JSON.

Document: ChirpStack 4, "Event types" (up, status, join, ack, txack, log, location, integration), and the JSON of version 3
(``devEUI`` in base64 or hexadecimal, ``objectJSON``). The kind of event is told by its fields, since only the topic or the
query names it. What a codec decoded (``object``) is read by its names (``core.sensorwords``).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from cocket.core.clock import rfc3339
from cocket.core.framing import lines
from cocket.core.jsontext import each, get, load, moment, number, text, truth, whole
from cocket.core.lorawan import CARRIES, codec_values, place
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.sensorwords import sensed

SOURCES: Final[Mapping[str, str]] = {
    "GPS": "gnss",
    "CONFIG": "manual",
    "GEO_RESOLVER_TDOA": "cell",
    "GEO_RESOLVER_RSSI": "cell",
    "GEO_RESOLVER_GNSS": "gnss",
    "GEO_RESOLVER_WIFI": "wifi",
}
"""``location.source`` (common.proto, LocationSource)."""

UP: Final = frozenset({"fCnt", "object", "objectJSON", "rxInfo"})
STATUS: Final = frozenset({"margin", "batteryLevel", "externalPowerSource", "batteryLevelUnavailable"})
SILENT: Final = frozenset(
    {"devAddr", "acknowledged", "queueItemId", "level", "code", "description", "integrationName"}
)
"""Fields of join, ack, txack, log and integration events."""

_EUI: Final = re.compile(r"[0-9a-fA-F]{16}")
_GATEWAY_EUI: Final = re.compile(r"[0-9a-fA-F]{1,32}")


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One event."""
    doc = load(frame)
    names = set(doc) if isinstance(doc, dict) else set()
    eui = text(doc, "deviceInfo", "devEui") or text(doc, "devEui") or text(doc, "devEUI")
    if eui is None:
        raise Undecodable("unknown-type", "no ChirpStack event: it names no device (deviceInfo.devEui)")
    session.device_id = _eui(eui)
    row: Row = {"device_id": session.device_id}
    if names & UP and "acknowledged" not in names:
        row |= _uplink(doc)
    elif "location" in names:
        row["observed_us"] = _time(doc)
        row |= place(get(doc, "location"), SOURCES)
    elif names & STATUS:
        row["observed_us"] = _time(doc)
        external, unavailable = truth(doc, "externalPowerSource"), truth(doc, "batteryLevelUnavailable")
        row["external_power"] = external
        if not external and not unavailable:
            row["battery_pct"] = number(doc, "batteryLevel")
    elif names & SILENT:
        return
    else:
        raise Undecodable("unknown-type", f"no event that is known: {', '.join(sorted(names)[:8])[:120]}")
    reading.rows.append(row)


def _eui(value: str) -> str:
    """A DevEUI as 16 hexadecimal digits in small letters, whether it came so or in base64."""
    if not _EUI.fullmatch(value):
        try:
            packed = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            packed = b""
        if len(packed) == 8:
            return packed.hex()
    return value.lower()


def _time(doc: Any) -> int | None:
    found = moment(doc, "time")
    if found is None:
        found = moment(doc, "rxInfo", 0, "time") or moment(doc, "publishedAt")
    return found


def _uplink(doc: Any) -> Row:
    row: Row = {"observed_us": _time(doc), "sequence": whole(doc, "fCnt")}
    gateways = [g for g in each(doc, "rxInfo") if isinstance(g, dict)]
    best = max(gateways, key=lambda g: number(g, "rssi") or -999.0, default=None)
    if best is not None:
        row["rssi_dbm"] = number(best, "rssi")
        gateway = text(best, "gatewayId") or text(best, "gatewayID")
        if gateway is not None and _GATEWAY_EUI.fullmatch(gateway):
            row["reader_id"] = gateway
    decoded = get(doc, "object")
    as_text = get(doc, "objectJSON")
    if decoded is None and isinstance(as_text, str) and as_text.strip():
        decoded = load(as_text.encode())
    if isinstance(decoded, dict):
        row |= sensed(decoded)
    if "lat_deg" in row:
        row["fix_source"] = "gnss"
    elif best is not None and isinstance(get(best, "location"), dict):
        near = place(get(best, "location"), SOURCES)
        if near.get("lat_deg") or near.get("lon_deg"):
            row |= {
                "lat_deg": near["lat_deg"],
                "lon_deg": near["lon_deg"],
                "fix_source": "cell",
                "fix_valid": False,
            }
    return row


def _report(row: Row, sequence: int) -> bytes:
    at = rfc3339(row["observed_us"])
    event = {
        "deduplicationId": f"{row['device_id']}-{sequence}",
        "time": at,
        "deviceInfo": {"tenantName": "cocket", "devEui": row["device_id"], "tags": {}},
        "devAddr": "00189440",
        "fCnt": sequence,
        "fPort": 1,
        "object": codec_values(row),
        "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -57, "snr": 10.0}],
    }
    return json.dumps(event).encode()


PROTOCOL: Final = Protocol(
    name="chirpstack",
    title="LoRaWAN sensors behind ChirpStack",
    document="ChirpStack 4 (and 3), event types, JSON",
    family="sensor",
    decode=decode,
    split=lines,
    text=True,
    doors=("mqtt", "http"),
    max_frame=262_144,
    simulation=Simulation(
        report=_report,
        carries=CARRIES,
        device_id=lambda n: f"{0xA81758FFFE000000 + n:016x}",
    ),
)
