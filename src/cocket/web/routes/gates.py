"""Gates: what their readers saw, and whether the barrier opens."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from cocket.core.clock import parse_rfc3339
from cocket.customs.gates.verdict import DECISIONS, Arrival
from cocket.web import answers, models_gates
from cocket.web.asking import Asked, Asks, By, Cursor, IdPath, Limit, known_query, number_cursor
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.problems import declared

router = APIRouter(tags=["gates"], dependencies=[Depends(known_query)])

_GATE: Final = {
    "name": "Lo Wu, lane 1",
    "kind": "border",
    "office": None,
    "lat_deg": 22.5317,
    "lon_deg": 114.1146,
    "radius_m": 150,
}
_ARRIVAL: Final = {
    "direction": "in",
    "plate": "KBX 123C",
    "plate_confidence": 0.97,
    "container_ids": ["MSKU9070323"],
}
_WRITTEN: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": models_gates.GateAnswer, "description": "Replaced; this is what is kept"},
    201: {"model": models_gates.GateAnswer, "description": "Created; this is what is kept"},
}


@router.put(
    "/gates/{gate}",
    summary="Keep a gate",
    response_model=None,
    responses={**_WRITTEN, **declared(400, 408, 413, 415, 422, 429)},
    openapi_extra=json_content("NewGate", example=_GATE),
)
def put_gate(service: Asked, gate: IdPath, body: JsonBody, by: By) -> Response:
    """Where a barrier is, of which office, and what it is for."""
    given = validated(models_gates.NewGate, parsed(body))
    doc, new = service.gatehouse.gates.put(gate, given.model_dump(), by=by)
    return answers.Json(doc, 201 if new else 200)


@router.get("/gates", summary="Gates", response_model=models_gates.GatePage, responses=declared(422))
def gates(service: Asked, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """By id, with who changed each last."""
    return answers.page(*service.gatehouse.gates.gates(limit, cursor))


@router.get(
    "/gates/{gate}",
    summary="One gate",
    response_model=models_gates.GateAnswer,
    responses=declared(404, 422),
)
def one_gate(service: Asked, gate: IdPath) -> Response:
    """The gate as it is kept, with who changed it last."""
    return answers.Json(service.gatehouse.gates.gate(gate))


@router.post(
    "/gates/{gate}/arrivals",
    status_code=201,
    summary="A vehicle stands at a gate",
    response_model=models_gates.ArrivalAnswer,
    responses=declared(400, 404, 408, 413, 415, 422, 429),
    openapi_extra=json_content("NewArrival", example=_ARRIVAL),
)
def arrive(service: Asked, asks: Asks, gate: IdPath, body: JsonBody, by: By) -> Response:
    """Declarations, bookings, passes and movements are joined by plate and containers, and the barrier opens, holds, or sends to the
    desk, with every reason. Each arrival is kept. When it opens, passes are used up and the exit is recorded on the movements.
    """
    given = validated(models_gates.NewArrival, parsed(body))
    if asks.who.offices:
        office = service.gatehouse.gates.gate(gate)["office"]
        if office is not None:
            asks.may("gate:pass", "gate", office=office)
    arrival = Arrival(
        given.direction,
        given.plate,
        given.plate_confidence,
        tuple(dict.fromkeys(given.container_ids)),
        given.device_id,
        None if given.at is None else parse_rfc3339(given.at),
    )
    found = service.gatehouse.gates.arrive(gate, arrival, by=by)
    if found["effects"]:
        service.reference_changed()
    return answers.Json(found, 201)


@router.get(
    "/gates/{gate}/arrivals",
    summary="Arrivals at a gate",
    response_model=models_gates.ArrivalPage,
    responses=declared(400, 404, 422),
)
def arrivals(
    service: Asked,
    gate: IdPath,
    limit: Limit = 100,
    cursor: Cursor = None,
    decision: Annotated[str | None, Query(pattern=f"^({'|'.join(DECISIONS)})$")] = None,
) -> Response:
    """Newest first, each with its decision and reasons as they were."""
    before = number_cursor(cursor)
    items, following = service.gatehouse.gates.arrivals(gate, limit, before, decision)
    return answers.page(items, None if following is None else str(following))
