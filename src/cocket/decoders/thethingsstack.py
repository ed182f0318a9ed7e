"""LoRaWAN sensors behind The Things Stack (The Things Network): messages of its webhooks and MQTT server.

Document: The Things Stack 3, "Data formats" (JSON): ``uplink_message``, ``uplink_normalized``, ``location_solved``; joins,
downlinks and the like give no row. What a payload formatter decoded is read by its names (``core.sensorwords``). The
time is that at which the network received the frame, for LoRaWAN frames carry none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from cocket.core.clock import rfc3339
from cocket.core.framing import lines
from cocket.core.jsontext import each, get, load, moment, number, text, whole
from cocket.core.lorawan import CARRIES, codec_values, place
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.sensorwords import sensed

SOURCES: Final[Mapping[str, str]] = {
    "SOURCE_GPS": "gnss",
    "SOURCE_REGISTRY": "manual",
    "SOURCE_WIFI_RSSI_GEOLOCATION": "wifi",
    "SOURCE_BT_RSSI_GEOLOCATION": "beacon",
    "SOURCE_LORA_RSSI_GEOLOCATION": "cell",
    "SOURCE_LORA_TDOA_GEOLOCATION": "cell",
}
"""``source`` of a location (LocationSource)."""

SILENT: Final = frozenset(
    {
        "join_accept",
        "downlink_ack",
        "downlink_nack",
        "downlink_sent",
        "downlink_failed",
        "downlink_queued",
        "downlink_queue_invalidated",
        "service_data",
    }
)
_ORDER: Final = ("SOURCE_GPS", "SOURCE_WIFI_RSSI_GEOLOCATION", "SOURCE_COMBINED_GEOLOCATION")
"""Of several locations of a device the better one."""


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One message."""
    doc = load(frame)
    ids = get(doc, "end_device_ids")
    eui = text(ids, "dev_eui")
    session.device_id = eui.lower() if eui else text(ids, "device_id") or session.device_id
    row: Row = {"device_id": session.device_id}
    if isinstance(get(doc, "uplink_message"), dict):
        row |= _uplink(doc, get(doc, "uplink_message"))
    elif isinstance(get(doc, "uplink_normalized"), dict):
        row |= _uplink(doc, get(doc, "uplink_normalized"))
    elif isinstance(get(doc, "location_solved"), dict):
        row["observed_us"] = moment(doc, "received_at")
        row |= place(get(doc, "location_solved", "location"), SOURCES)
    elif isinstance(doc, dict) and SILENT & set(doc):
        return
    else:
        raise Undecodable("unknown-type", "no message of The Things Stack: uplink_message is missing")
    reading.rows.append(row)


def _uplink(doc: Any, up: Any) -> Row:
    row: Row = {
        "observed_us": moment(up, "received_at") or moment(doc, "received_at"),
        "sequence": whole(up, "f_cnt") or 0,
        "battery_pct": number(up, "last_battery_percentage", "value"),
    }
    gateways = [g for g in each(up, "rx_metadata") if isinstance(g, dict)]
    best = max(gateways, key=lambda g: number(g, "rssi") or -999.0, default=None)
    if best is not None:
        row |= {"rssi_dbm": number(best, "rssi"), "reader_id": text(best, "gateway_ids", "gateway_id")}
    for name in ("decoded_payload", "normalized_payload"):
        found = get(up, name)
        for part in found if isinstance(found, list) else [found]:
            if isinstance(part, dict):
                row |= {k: v for k, v in sensed(part).items() if row.get(k) is None}
    if "lat_deg" in row:
        row["fix_source"] = "gnss"
        return row
    own = get(up, "locations")
    places = [p for p in own.values() if isinstance(p, dict)] if isinstance(own, dict) else []
    places.sort(key=lambda p: _rank(text(p, "source")))
    if places:
        row |= place(places[0], SOURCES)
    elif best is not None and isinstance(get(best, "location"), dict):
        near = place(get(best, "location"), SOURCES)
        if near["lat_deg"] is not None:
            row |= {
                "lat_deg": near["lat_deg"],
                "lon_deg": near["lon_deg"],
                "fix_source": "cell",
                "fix_valid": False,
            }
    return row


def _rank(source: str | None) -> int:
    return _ORDER.index(source) if source in _ORDER else len(_ORDER) + (source == "SOURCE_REGISTRY")


def _report(row: Row, sequence: int) -> bytes:
    at = rfc3339(row["observed_us"])
    message = {
        "end_device_ids": {
            "device_id": f"eui-{row['device_id']}",
            "application_ids": {"application_id": "cocket"},
            "dev_eui": str(row["device_id"]).upper(),
        },
        "received_at": at,
        "uplink_message": {
            "f_port": 1,
            "f_cnt": sequence,
            "decoded_payload": codec_values(row),
            "rx_metadata": [{"gateway_ids": {"gateway_id": "gate-1"}, "rssi": -60, "snr": 8.5}],
            "received_at": at,
        },
    }
    return json.dumps(message).encode()


PROTOCOL: Final = Protocol(
    name="thethingsstack",
    title="LoRaWAN sensors behind The Things Stack",
    document="The Things Stack 3, data formats (JSON)",
    family="sensor",
    decode=decode,
    split=lines,
    text=True,
    doors=("mqtt", "http"),
    max_frame=262_144,
    simulation=Simulation(
        report=_report,
        carries=CARRIES,
        device_id=lambda n: f"{0x70B3D57ED0000000 + n:016x}",
    ),
)
