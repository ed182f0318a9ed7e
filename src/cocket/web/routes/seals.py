"""The seal stock and the guarantee ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from cocket.core.clock import parse_rfc3339
from cocket.core.errors import Fault, Refused
from cocket.web import answers, models_file
from cocket.web.asking import Asked, By, Cursor, Limit, Text, known_query
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.problems import declared

router = APIRouter(dependencies=[Depends(known_query)])

Grn = Annotated[
    str,
    Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64, description="guarantee reference number"),
]
SealPath = Annotated[str, Path(pattern=r"^[^\x00-\x1f\x7f/]+$", max_length=64)]


@router.get(
    "/seals", tags=["seals"], summary="Seals", response_model=models_file.SealPage, responses=declared(422)
)
def seals(
    service: Asked,
    limit: Limit = 100,
    cursor: Cursor = None,
    q: Text = None,
    state: Annotated[models_file.SealState | None, Query(description="of the seal's machine")] = None,
) -> Response:
    """By id, each with its state and the movement that it is on."""
    rows, following = service.file.seals.page(q, state, limit, cursor)
    return answers.page(rows, following)


@router.get(
    "/seal-stock",
    tags=["seals"],
    summary="How many seals are in each state",
    response_model=models_file.SealSummary,
)
def summary(service: Asked) -> Response:
    """The stock at a glance."""
    return answers.Json({"by_state": service.file.seals.summary()})


@router.put(
    "/seals/{id}",
    tags=["seals"],
    summary="Take a seal into stock",
    response_model=None,
    responses={
        200: {"model": models_file.SealDetail, "description": "Changed; this is what is kept"},
        201: {"model": models_file.SealDetail, "description": "In stock now"},
        **declared(400, 408, 413, 415, 422, 429),
    },
    openapi_extra=json_content(
        "NewSeal", example={"kind": "mechanical", "maker": "Tyden", "type_approval": "ISO 17712:2013 H"}
    ),
)
def put_seal(service: Asked, id: SealPath, body: JsonBody, by: By) -> Response:  # noqa: A002
    """One that has a type approval is approved at once. Its state is changed by events, not here."""
    doc = validated(models_file.NewSeal, parsed(body))
    shown, new = service.file.seals.put(id, doc.model_dump(), by=by)
    service.reference_changed()
    return answers.Json(shown, 201 if new else 200)


@router.get(
    "/seals/{id}",
    tags=["seals"],
    summary="One seal",
    response_model=models_file.SealDetail,
    responses=declared(404, 422),
)
def seal(service: Asked, id: SealPath) -> Response:  # noqa: A002 - the contract's name
    """Where it is in its life, on which movement, and what happened to it."""
    return answers.Json(service.file.seals.shown(id))


@router.post(
    "/seals/{id}/events",
    tags=["seals"],
    status_code=201,
    summary="Record what happened to a seal",
    response_model=models_file.SealDetail,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content(
        "SealAct", example={"event": "return", "reason": "back from the destination office"}
    ),
)
def act_on_seal(service: Asked, id: SealPath, body: JsonBody, by: By) -> Response:  # noqa: A002
    """What is impossible is refused with the state, the event and what is allowed."""
    act = validated(models_file.SealAct, parsed(body))
    doc = act.model_dump()
    if act.at is not None:
        doc["at_us"] = parse_rfc3339(act.at)
        if doc["at_us"] > service.clock.now_us():
            detail = f"{act.at} has not come yet"
            raise Refused(detail, [Fault("/at", "in-the-future", detail)])
    shown = service.file.seals.act(id, doc, by=by)
    service.reference_changed()
    return answers.Json(shown, 201)


@router.get(
    "/guarantees",
    tags=["guarantees"],
    summary="Guarantees",
    response_model=models_file.GuaranteePage,
    responses=declared(422),
)
def guarantees(service: Asked, limit: Limit = 100, cursor: Cursor = None, q: Text = None) -> Response:
    """By GRN: amount, reserved, called, available."""
    rows, following = service.file.guarantees.page(q, limit, cursor)
    return answers.page(rows, following)


@router.put(
    "/guarantees/{grn}",
    tags=["guarantees"],
    summary="Register a guarantee",
    response_model=None,
    responses={
        200: {"model": models_file.GuaranteeDetail, "description": "Changed; this is what is kept"},
        201: {"model": models_file.GuaranteeDetail, "description": "Registered"},
        **declared(400, 408, 409, 413, 415, 422, 429),
    },
    openapi_extra=json_content(
        "NewGuarantee", example={"holder": "Transports Dupont SA", "amount": "50000.00", "currency": "EUR"}
    ),
)
def put_guarantee(service: Asked, grn: Grn, body: JsonBody, by: By) -> Response:
    """Refused if less would be left than is reserved and called."""
    doc = validated(models_file.NewGuarantee, parsed(body))
    shown, new = service.file.guarantees.put(grn, doc.model_dump(), by=by)
    return answers.Json(shown, 201 if new else 200)


@router.get(
    "/guarantees/{grn}",
    tags=["guarantees"],
    summary="One guarantee",
    response_model=models_file.GuaranteeDetail,
    responses=declared(404, 422),
)
def guarantee(service: Asked, grn: Grn) -> Response:
    """With what is reserved, released and called for each movement."""
    return answers.Json(service.file.guarantees.shown(grn))


@router.post(
    "/guarantees/{grn}/events",
    tags=["guarantees"],
    status_code=201,
    summary="Reserve, release or call for a movement",
    response_model=models_file.GuaranteeEntryAnswer,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content(
        "GuaranteeAct",
        example={"event": "reserve", "mrn": "26NL0004327A1B2C35", "amount": "1250.00", "currency": "EUR"},
    ),
)
def act_on_guarantee(service: Asked, grn: Grn, body: JsonBody, by: By) -> Response:
    """Reserved and called together never exceed the amount: what is too much is refused, and what is available named."""
    act = validated(models_file.GuaranteeAct, parsed(body))
    service.reference.get("movement", act.mrn)
    return answers.Json(service.file.guarantees.act(grn, act.model_dump(), by=by), 201)
