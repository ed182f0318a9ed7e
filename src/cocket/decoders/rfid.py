"""RFID readers that post JSON by themselves: Impinj's IoT device interface and Zebra's IoT Connector, over HTTP or MQTT.

Documents: Impinj IoT Device Interface (R700 family; ``tagInventoryEvent`` of its reader events) and Zebra IoT Connector (fixed
readers: ``data`` of a tag event), with Zebra's RFD40/RFD90 MQTT (``data.tagData``). One event, an array of them, or one a line.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Final, TypeAlias

from cocket.core.epc import tag_of, uri
from cocket.core.epcbits import EpcError
from cocket.core.framing import lines
from cocket.core.jsontext import each, get, load, moment, named, number, text
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.wire import utc_parts

Path: TypeAlias = "tuple[str | int, ...]"

_HEX: Final = re.compile(r"(?:0[xX])?((?:[0-9A-Fa-f]{2}){1,64})")
_PC: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]{4}")
_PC_NOT_EPC: Final = 0x0100
"""Bit 17h of a tag's memory: it holds no EPC, the low byte is its application family (TDS 15.2.1)."""

_MOST_EVENTS: Final = 10_000


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One document. An event that cannot be read does not cost the others of its array."""
    doc = load(frame)
    root: Path = ()
    events = [doc]
    if isinstance(doc, list):
        events = doc
    elif isinstance(get(doc, "events"), list):
        root, events = ("events",), each(doc, "events")
    if len(events) > _MOST_EVENTS:
        raise Undecodable("length", f"{len(events)} events at once; at most {_MOST_EVENTS} are read")
    fault: Undecodable | None = None
    for i, event in enumerate(events):
        try:
            _event(doc, root if event is doc else (*root, i), session, reading)
        except Undecodable as error:
            fault = fault or error
    if fault is not None:
        raise fault


def _event(doc: Any, at: Path, session: Session, reading: Reading) -> None:
    event = get(doc, *at)
    if not isinstance(event, dict):
        raise Undecodable("malformed", f"{named(at)}: an event is an object")
    if isinstance(event.get("tagInventoryEvent"), dict):
        reading.rows.append(_impinj(doc, at, session))
        return
    data = event.get("data")
    if isinstance(data, dict) and ("idHex" in data or "tagData" in data):
        if "tagData" not in data:
            reading.rows.append(_zebra(doc, at, (*at, "data"), session))
            return
        for i in range(len(each(doc, *at, "data", "tagData"))):
            reading.rows.append(_zebra(doc, at, (*at, "data", "tagData", i), session))
    elif isinstance(data, list):
        for i in range(len(data)):
            reading.rows.append(_zebra(doc, at, (*at, "data", i), session))
    elif not event.keys() & {"eventType", "type", "hostname"}:
        raise Undecodable("unknown-type", f"{named(at)}: neither an event of Impinj's nor one of Zebra's")


def _impinj(doc: Any, at: Path, session: Session) -> Row:
    """``tagInventoryEvent``: ``peakRssiCdbm`` in 1/100 dBm; ``epc`` is base 64 of the same bits as ``epcHex``."""
    tag: Path = (*at, "tagInventoryEvent")
    session.device_id = text(doc, *at, "hostname") or session.device_id
    code = _bits(doc, *tag, "epcHex")
    if code is None:
        packed = text(doc, *tag, "epc")
        if packed is None:
            raise Undecodable("missing", f"{named((*tag, 'epcHex'))}: the tag has no EPC")
        try:
            code = base64.b64decode(packed.replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            raise Undecodable("malformed", f"{named((*tag, 'epc'))}: {packed[:40]!r} is no base 64") from None
        if not 0 < len(code) <= 64:
            raise Undecodable("malformed", f"{named((*tag, 'epc'))}: an EPC of {len(code)} bytes")
    rssi = number(doc, *tag, "peakRssiCdbm")
    return _row(
        session,
        moment(doc, *tag, "lastSeenTime") or moment(doc, *at, "timestamp"),
        code,
        text(doc, *tag, "antennaPort") or text(doc, *tag, "antennaName"),
        None if rssi is None else rssi / 100,
    )


def _zebra(doc: Any, at: Path, tag: Path, session: Session) -> Row:
    """A tag of ``data``: ``peakRssi`` in dBm; the time is the event's, unless the tag has its own."""
    session.device_id = text(doc, *tag, "hostName") or text(doc, *at, "hostName") or session.device_id
    code = _bits(doc, *tag, "idHex")
    if code is None:
        raise Undecodable("missing", f"{named((*tag, 'idHex'))}: the tag has no EPC")
    bits = text(doc, *tag, "PC")
    if bits is not None and not _PC.fullmatch(bits):
        raise Undecodable("malformed", f"{named((*tag, 'PC'))}: {bits[:12]!r} is no four hexadecimal digits")
    rssi = number(doc, *tag, "peakRssi")
    return _row(
        session,
        moment(doc, *tag, "timestamp") or moment(doc, *at, "timestamp"),
        code,
        text(doc, *tag, "antenna"),
        number(doc, *tag, "rssi") if rssi is None else rssi,
        int(bits, 16) if bits else 0,
    )


def _row(
    session: Session, at_us: int | None, code: bytes, antenna: str | None, rssi: float | None, bits: int = 0
) -> Row:
    return {
        "device_id": session.device_id,
        "observed_us": at_us,
        "code": uri(code, bits & 0xFF if bits & _PC_NOT_EPC else None),
        "symbology": "epc",
        "reader_id": antenna,
        "rssi_dbm": rssi,
    }


def _bits(doc: Any, *path: str | int) -> bytes | None:
    written = text(doc, *path)
    if written is None:
        return None
    found = _HEX.fullmatch(written)
    if found is None:
        raise Undecodable("malformed", f"{named(path)}: {written[:40]!r} is no 1 to 64 bytes in hexadecimal")
    return bytes.fromhex(found[1])


def _report(row: Row, sequence: int) -> bytes:
    try:
        code = tag_of(str(row.get("code")))
    except EpcError:
        code = tag_of(f"urn:epc:id:giai:9521141.{sequence}")
    tag: dict[str, Any] = {"epc": base64.b64encode(code).decode(), "epcHex": code.hex().upper()}
    if row.get("reader_id") is not None:
        tag["antennaName"] = row["reader_id"]
    if row.get("rssi_dbm") is not None:
        tag["peakRssiCdbm"] = round(row["rssi_dbm"] * 100)
    at = utc_parts(row["observed_us"]).isoformat()
    event = {
        "timestamp": at,
        "hostname": row["device_id"],
        "eventType": "tagInventory",
        "tagInventoryEvent": tag,
    }
    return json.dumps(event).encode()


PROTOCOL: Final = Protocol(
    name="rfid",
    title="RFID readers by JSON (Impinj, Zebra)",
    document="Impinj IoT Device Interface; Zebra IoT Connector, tag data events",
    family="reader",
    decode=decode,
    split=lines,
    text=True,
    doors=("mqtt", "http"),
    max_frame=1 << 20,
    simulation=Simulation(
        report=_report,
        carries=frozenset({"observed_us", "reader_id", "rssi_dbm"}),
        device_id=lambda n: f"impinj-{n:06x}",
    ),
)
