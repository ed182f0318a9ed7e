"""The door for observations, and the quarantine behind it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cocket.core.doors import Decoded, Receipt
from cocket.core.errors import Conflict, Fault, NotFound
from cocket.core.schema import COLUMNS, Kind
from cocket.observations.readers import read_arrow, read_json, read_ndjson
from cocket.observations.rules import batch_of, check_row, read_row, reject
from cocket.store.quarantine import SET_ASIDE
from cocket.web import answers, models
from cocket.web.asking import Asked, Cursor, Gate, Limit, NumberPath, Text, known_query
from cocket.web.bodies import Intake, JsonBody, content_type, json_content, parsed, validated
from cocket.web.problems import declared
from cocket.web.tracking import traced

router = APIRouter(tags=["observations"], dependencies=[Depends(known_query)])

_READERS = {
    "application/x-ndjson": read_ndjson,
    "application/ndjson": read_ndjson,
    "application/json": read_json,
    "application/vnd.apache.arrow.stream": read_arrow,
}
_AT_ONCE = 1 << 19
"""Bodies up to this many bytes are read on the spot; larger ones in a worker thread, for they hold up others."""


def observation_schema() -> dict[str, Any]:
    """The JSON schema of a row as the door takes it."""
    kinds = {
        Kind.TEXT: "string",
        Kind.ENUM: "string",
        Kind.INT: "integer",
        Kind.FLOAT: "number",
        Kind.BOOL: "boolean",
    }
    properties: dict[str, Any] = {}
    for c in COLUMNS:
        if not c.door:
            continue
        unit = f" ({c.unit})" if c.unit and c.kind is not Kind.TIME else ""
        if c.kind is Kind.TIME:
            properties["observed_at"] = {
                "type": "string",
                "format": "date-time",
                "description": "event time, RFC 3339 with an offset",
            }
            continue
        schema: dict[str, Any] = {
            "type": kinds[c.kind] if c.required else [kinds[c.kind], "null"],
            "description": c.doc + unit,
        }
        if c.lo is not None:
            schema["minimum"] = c.lo
        if c.hi is not None:
            schema["maximum"] = c.hi
        if c.values:
            schema["enum"] = [*c.values, None]
        if c.max_len:
            schema |= {"minLength": 1, "maxLength": c.max_len}
        if c.name == "device_id":
            schema["pattern"] = "^[A-Za-z0-9][A-Za-z0-9._:~+@-]*$"
        properties[c.name] = schema
    return {
        "title": "NewObservation",
        "description": "One observation. Unknown is null or left out, never 0. In place of `observed_at`, "
        "`observed_us` gives the time as UTC microseconds since 1970.",
        "type": "object",
        "properties": properties,
        "required": ["device_id", "observed_at"],
        "dependentRequired": {"lat_deg": ["lon_deg"], "lon_deg": ["lat_deg"]},
        "additionalProperties": False,
    }


_EXAMPLE = {
    "device_id": "SEAL-001",
    "observed_at": "2026-11-22T08:30:00Z",
    "lat_deg": 22.5317,
    "lon_deg": 114.1146,
    "speed_mps": 12.5,
    "fix_valid": True,
    "locked": True,
    "rope_inserted": True,
    "rope_cut": False,
    "battery_pct": 88,
    "sequence": 17,
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "one NewObservation as JSON per line"},
                "example": json.dumps(_EXAMPLE),
            },
            "application/json": {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/NewObservation"}},
                "example": [_EXAMPLE],
            },
            "application/vnd.apache.arrow.stream": {
                "schema": {
                    "type": "string",
                    "format": "binary",
                    "description": "Arrow IPC stream with the same column names",
                }
            },
        },
    }
}


def read(body: bytes, media_type: str, max_rows: int) -> Decoded:
    """The rows of a body; 415 for a type that the door does not take."""
    reader = _READERS.get(media_type)
    if reader is None:
        said = f"{media_type!r} is not taken" if media_type else "no content-type was given"
        raise HTTPException(415, f"{said}; send {', '.join(_READERS)}")
    return reader(body, max_rows=max_rows)


def receipt_answer(receipt: Receipt) -> answers.Json:
    """What became of the rows."""
    return answers.Json(
        {
            "accepted": receipt.accepted,
            "duplicates": receipt.duplicates,
            "rejected": receipt.rejected,
            "rejects": [
                {"row": r.row, "field": r.field, "rule": r.rule, "detail": r.detail} for r in receipt.rejects
            ],
        }
    )


@router.post(
    "/observations",
    summary="Send observations",
    response_model=models.ReceiptAnswer,
    responses=declared(400, 408, 413, 415, 422, 429, 503),
    openapi_extra=_BODY,
)
async def send(request: Request, service: Asked) -> Response:
    """NDJSON, a JSON array, or an Arrow IPC stream; gzip is taken. Answered only after the rows are durable.

    Good rows of a bad batch are kept; each other is named in `rejects` and waits in the quarantine with its bytes.
    A row sent twice counts as a duplicate, so sending again after a lost answer is safe.
    """
    began = time.monotonic()
    media_type = content_type(request)
    if media_type not in _READERS:
        read(b"", media_type, 0)
    intake: Intake = request.app.state.intake
    max_rows: int = request.app.state.max_rows
    with traced(request, service, began) as mark:
        async with intake.body(request) as body:
            if len(body) <= _AT_ONCE:
                decoded = read(body, media_type, max_rows)
            else:
                decoded = await run_in_threadpool(read, body, media_type, max_rows)
            decoded.taken_s, decoded.mark = began, mark
            receipt = await asyncio.wrap_future(service.submit(decoded))
    return receipt_answer(receipt)


@router.get(
    "/quarantine",
    tags=["quarantine"],
    summary="Rows that broke a rule",
    response_model=models.QuarantinePage,
    responses=declared(400, 422),
)
def quarantine(
    service: Asked,
    limit: Limit = 100,
    cursor: Cursor = None,
    rule: Text = None,
    state: Annotated[str | None, Query(pattern="^(held|replayed|discarded)$")] = None,
    device_id: Text = None,
) -> Response:
    """Newest first, each with its raw bytes, its source and the rule that it broke."""
    rows, following = service.folder.log.quarantined(limit, cursor, rule, state, device_id)
    return answers.page([answers.quarantined(row) for row in rows], following)


def _held(service: Asked, number: int) -> dict[str, Any]:
    row = service.folder.log.quarantined_row(number)
    if row is None:
        raise NotFound(f"the quarantine holds no row {number}")
    return row


@router.get(
    "/quarantine/{number}",
    tags=["quarantine"],
    summary="One quarantined row",
    response_model=models.Quarantined,
    responses=declared(404, 422),
)
def quarantined(service: Asked, number: NumberPath) -> Response:
    """One row with its raw bytes."""
    return answers.Json(answers.quarantined(_held(service, number)))


class Replay(BaseModel):
    """The row put right; without it the raw bytes are tried again as they are."""

    model_config = ConfigDict(extra="forbid")

    row: dict[str, Any] | None = Field(None, examples=[_EXAMPLE])


@router.post(
    "/quarantine/{number}/replay",
    tags=["quarantine"],
    summary="Send a quarantined row again",
    response_model=models.ReceiptAnswer,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429, 503),
    openapi_extra=json_content("Replay", example={"row": _EXAMPLE}),
)
async def replay(service: Asked, gateway: Gate, number: NumberPath, body: JsonBody) -> Response:
    """As it is, or put right. If it is taken (or is a duplicate) the quarantined row counts as replayed.

    If it breaks a rule again it stays held, and the rule is told; no second quarantined row is made of it. A frame of
    a device is read anew by its protocol, in the name of the device that sent it. A row of the rule `detectors-failed` is
    stored already: the detectors try all such rows again.
    """
    fixed = validated(Replay, parsed(body) if body.strip() else {}).row
    held = await run_in_threadpool(_held, service, number)
    if held["state"] != "held":
        raise Conflict(f"quarantined row {number} is {held['state']} already")
    if held["rule"] == SET_ASIDE:
        return await _try_again(service)
    if held["protocol"] is not None and fixed is None:
        return await _replay_frame(service, gateway, held)
    row = read_row(held["raw"]) if fixed is None else check_row(fixed)
    if isinstance(row, Fault):
        return receipt_answer(Receipt(0, 0, [reject(0, row, held["raw"])]))
    decoded = Decoded(batch_of([row]), np.zeros(1, np.int64), [], f"quarantine/{number}")
    receipt = await asyncio.wrap_future(service.submit(decoded))
    await run_in_threadpool(service.folder.log.settle_quarantined, number, "replayed")
    return receipt_answer(receipt)


async def _try_again(service: Asked) -> Response:
    """What is stored and was set aside: the detectors see it again, all of it. What fails once more is held anew."""
    service.try_again()
    return receipt_answer(Receipt(0, 1, []))


async def _replay_frame(service: Asked, gateway: Gate, held: dict[str, Any]) -> Response:
    protocol = gateway.protocol(held["protocol"])
    work = gateway.handing.judge(protocol, [held["raw"]], held["device_id"], "", f"quarantine/{held['id']}")
    handed = await asyncio.wrap_future(gateway.call(work))
    if handed.rejects:
        return receipt_answer(Receipt(0, 0, handed.rejects))
    receipt = await asyncio.wrap_future(service.submit(handed.decoded()))
    await run_in_threadpool(service.folder.log.settle_quarantined, held["id"], "replayed")
    return receipt_answer(receipt)
