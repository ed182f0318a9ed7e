"""Response units, and the case of a movement."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from cocket.web import answers, models_gates
from cocket.web.asking import Asked, By, Cursor, IdPath, Limit, known_query
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.problems import declared

router = APIRouter(tags=["cases"], dependencies=[Depends(known_query)])

_UNIT: Final = {
    "name": "Malaba 2",
    "phone": "+254 700 000 000",
    "lat_deg": 0.6353,
    "lon_deg": 34.2583,
    "on_duty": True,
}
_WRITTEN: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": models_gates.UnitAnswer, "description": "Replaced; this is what is kept"},
    201: {"model": models_gates.UnitAnswer, "description": "Created; this is what is kept"},
}


@router.put(
    "/units/{id}",
    summary="Keep a response unit",
    response_model=None,
    responses={**_WRITTEN, **declared(400, 408, 413, 415, 422, 429)},
    openapi_extra=json_content("NewUnit", example=_UNIT),
)
def put_unit(
    service: Asked,
    id: IdPath,  # noqa: A002 - the contract's name
    body: JsonBody,
    by: By,
) -> Response:
    """Who it is, where it is now, and whether it is on duty."""
    given = validated(models_gates.NewUnit, parsed(body))
    doc, new = service.gatehouse.cases.put_unit(id, given.model_dump(), by=by)
    return answers.Json(doc, 201 if new else 200)


@router.get("/units", summary="Response units", response_model=models_gates.UnitPage, responses=declared(422))
def units(service: Asked, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """By id, with who changed each last."""
    return answers.page(*service.gatehouse.cases.units(limit, cursor))


@router.get(
    "/movements/{mrn}/case",
    summary="The case of a movement",
    response_model=models_gates.CaseAnswer,
    responses=declared(404, 422),
)
def case(service: Asked, mrn: IdPath) -> Response:
    """All its open alerts in one, the nearest unit on duty by distance from the latest of them, and who was sent already."""
    found = service.gatehouse.cases.case(mrn)
    return answers.Json({**found, "alerts": [answers.alert(a) for a in found["alerts"]]})


@router.post(
    "/movements/{mrn}/case/dispatch",
    status_code=201,
    summary="Send a response unit",
    response_model=models_gates.DispatchAnswer,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content("NewDispatch", example={"unit_id": "MALABA-2", "note": "rope cut at km 12"}),
)
def dispatch(service: Asked, mrn: IdPath, body: JsonBody, by: By) -> Response:
    """Each alert of the case that may be moved is acknowledged and becomes unit-dispatched, by this person; the rest stays as it is."""
    given = validated(models_gates.NewDispatch, parsed(body))
    return answers.Json(service.gatehouse.cases.dispatch(mrn, given.unit_id, given.note, by=by), 201)
