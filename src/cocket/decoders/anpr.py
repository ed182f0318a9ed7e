"""Plate readers' webhooks: Rekor Scout (OpenALPR) and Plate Recognizer (Stream, Snapshot, ParkPow), as JSON.

Documents: OpenALPR/Rekor Scout webhooks (``alpr_group``, ``alpr_results``, ``alpr_alert``; confidence in %, times in epoch
ms) and Plate Recognizer, "Webhooks and outputs" (``hook`` and ``data``; scores from 0 to 1). Plate Recognizer posts a multipart form:
either the whole form is taken, or the content of its field ``json``.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeAlias

from cocket.core.framing import lines
from cocket.core.jsontext import each, get, load, moment, named, number, text
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.wire import utc_parts

Path: TypeAlias = "tuple[str | int, ...]"

_JSON_FIELD: Final = re.compile(rb'name="?json"?[^\r\n]*\r?\n', re.IGNORECASE)
_UNKNOWN_PLACE: Final = -1.0


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One document, or a form that holds one."""
    doc = load(_field(frame) if frame.startswith(b"--") else frame)
    if not isinstance(doc, dict):
        raise Undecodable("malformed", "$: a webhook's message is an object")
    kind = text(doc, "data_type")
    if kind == "alpr_group":
        _group(doc, (), session, reading)
    elif kind == "alpr_alert":
        _group(doc, ("group",), session, reading)
    elif kind == "alpr_results":
        _results(doc, session, reading)
    elif kind is None:
        _recognitions(doc, session, reading)


def _field(frame: bytes) -> bytes:
    """The content of the field ``json`` of a multipart form (RFC 7578)."""
    mark = frame[: frame.find(b"\n")].rstrip(b"\r")
    field = _JSON_FIELD.search(frame)
    if field is None or len(mark) < 3:
        raise Undecodable("missing", "the form has no field json")
    head = re.compile(rb"(?:[^\r\n]+\r?\n)*+\r?\n").match(frame, field.end())
    start = field.end() if head is None else head.end()
    end = frame.find(mark, start)
    return frame[start : None if end < 0 else end].strip()


def _group(doc: dict[str, Any], at: Path, session: Session, reading: Reading) -> None:
    """Rekor Scout's reads of one vehicle as it passes, with the best of them."""
    session.device_id = text(doc, *at, "agent_uid") or text(doc, "agent_uid") or session.device_id
    plate = text(doc, *at, "best_plate_number") or text(doc, *at, "best_plate", "plate")
    if plate is None:
        raise Undecodable("missing", f"{named((*at, 'best_plate_number'))}: the group has no plate")
    score = number(doc, *at, "best_confidence")
    if score is None:
        score = number(doc, *at, "best_plate", "confidence")
    row = _row(session, plate, None if score is None else score / 100, text(doc, *at, "camera_id"))
    row["observed_us"] = moment(doc, *at, "epoch_start") or moment(doc, *at, "epoch_end")
    lat, lon = number(doc, *at, "gps_latitude"), number(doc, *at, "gps_longitude")
    if lat is not None and lon is not None and (lat, lon) != (_UNKNOWN_PLACE, _UNKNOWN_PLACE):
        row |= {"lat_deg": lat, "lon_deg": lon}
    reading.rows.append(row)


def _results(doc: dict[str, Any], session: Session, reading: Reading) -> None:
    """Rekor Scout's reads of one picture."""
    session.device_id = text(doc, "agent_uid") or session.device_id
    at_us, camera = moment(doc, "epoch_time"), text(doc, "camera_id")
    missing: Undecodable | None = None
    for i in range(len(each(doc, "results"))):
        plate = text(doc, "results", i, "plate")
        if plate is None:
            missing = Undecodable("missing", f"$.results[{i}].plate: the result has no plate")
            continue
        score = number(doc, "results", i, "confidence")
        row = _row(session, plate, None if score is None else score / 100, camera)
        reading.rows.append(row | {"observed_us": at_us})
    if missing is not None:
        raise missing


def _recognitions(doc: dict[str, Any], session: Session, reading: Reading) -> None:
    """Plate Recognizer's reads of one picture or vehicle; a vehicle without a plate is no read."""
    at: Path = ("data",) if isinstance(doc.get("data"), dict) else ()
    if not isinstance(get(doc, *at, "results"), list):
        if "hook" in doc:
            return
        raise Undecodable(
            "unknown-type", "$: neither a webhook of Rekor's (data_type) nor of Plate Recognizer's (results)"
        )
    camera = text(doc, *at, "camera_id")
    session.device_id = session.device_id or text(doc, "hook", "id") or camera
    at_us = moment(doc, *at, "timestamp") or moment(doc, *at, "timestamp_local")
    for i in range(len(each(doc, *at, "results"))):
        one: Path = (*at, "results", i)
        value: Path = (*one, "plate")
        score: Path = (*one, "score")
        if isinstance(get(doc, *value), dict):  # vehicles first: plate.props.plate[0].value
            first: Path = (*value, "props", "plate", 0)
            value, score = (*first, "value"), (*first, "score")
        plate = text(doc, *value)
        if plate is not None:
            reading.rows.append(_row(session, plate, number(doc, *score), camera) | {"observed_us": at_us})


def _row(session: Session, plate: str, confidence: float | None, camera: str | None) -> Row:
    return {
        "device_id": session.device_id,
        "code": plate.upper(),
        "symbology": "plate",
        "confidence": confidence,
        "reader_id": camera,
    }


def _report(row: Row, sequence: int) -> bytes:
    plate = str(row.get("code", f"COC{sequence:03d}"))
    result: dict[str, Any] = {"plate": plate.lower(), "region": {"code": "", "score": 0}, "dscore": 0.9}
    if row.get("confidence") is not None:
        result["score"] = row["confidence"]
    camera = row.get("reader_id", row["device_id"])
    at = utc_parts(row["observed_us"]).isoformat()
    data = {"camera_id": camera, "timestamp": at, "results": [result]}
    hook = {"id": row["device_id"], "event": "recognition", "target": "http://cocket"}
    return json.dumps({"hook": hook, "data": data}).encode()


PROTOCOL: Final = Protocol(
    name="anpr",
    title="Plate readers (Rekor Scout, Plate Recognizer)",
    document="OpenALPR/Rekor Scout webhooks; Plate Recognizer, webhooks and outputs",
    family="reader",
    decode=decode,
    split=lines,
    text=True,
    doors=("http", "mqtt"),
    max_frame=8 << 20,
    simulation=Simulation(
        report=_report,
        carries=frozenset({"observed_us", "code", "confidence", "reader_id"}),
        device_id=lambda n: f"gate-{n}",
    ),
)
