"""Transports with a phone in the cab, and links on which a trader follows a trip."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from cocket.core.clock import parse_rfc3339
from cocket.customs.gates.transports import Fix
from cocket.web import answers, models_gates
from cocket.web.asking import Asked, By, IdPath, PhoneBy, known_query
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.problems import declared

router = APIRouter(tags=["transports"], dependencies=[Depends(known_query)])

_TRANSPORT: Final = {
    "plate": "KBX 123C",
    "device_id": "PHONE-17",
    "mrns": ["26NL0004327A1B2C35"],
    "booking": "BK-4711",
}
_WRITTEN: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": models_gates.TransportAnswer, "description": "Replaced; this is what is kept"},
    201: {"model": models_gates.TransportAnswer, "description": "Created; this is what is kept"},
}
Token = Annotated[str, Path(description="the token of a link")]


@router.put(
    "/transports/{id}",
    summary="Declare a transport",
    response_model=None,
    responses={**_WRITTEN, **declared(400, 408, 413, 415, 422, 429)},
    openapi_extra=json_content("NewTransport", example=_TRANSPORT),
)
def put_transport(
    service: Asked,
    id: IdPath,  # noqa: A002 - the contract's name
    body: JsonBody,
    by: By,
) -> Response:
    """A vehicle and a phone, and the movements that they carry. One that is not known is flagged: it may follow."""
    given = validated(models_gates.NewTransport, parsed(body))
    doc, new = service.gatehouse.transports.put(id, given.model_dump(), by=by)
    return answers.Json(doc, 201 if new else 200)


@router.get(
    "/transports/{id}",
    summary="One transport",
    response_model=models_gates.TransportAnswer,
    responses=declared(404, 422),
)
def one_transport(service: Asked, id: IdPath) -> Response:  # noqa: A002 - the contract's name
    """With what it activated and confirmed, and why a signal was red."""
    return answers.Json(service.gatehouse.transports.shown(id))


@router.post(
    "/transports/{id}/positions",
    summary="Where a transport's phone is",
    response_model=models_gates.PositionAnswer,
    responses=declared(400, 408, 413, 415, 422, 429, 503),
    openapi_extra=json_content("NewPosition", example={"lat_deg": 47.5, "lon_deg": 7.6}),
)
def position(
    service: Asked,
    id: IdPath,  # noqa: A002 - the contract's name
    body: JsonBody,
    by: PhoneBy,
) -> Response:
    """Outside tracking, activation and confirmation zones it is answered and kept nowhere. Inside it is an observation of the phone; in
    an activation zone the linked declarations become binding, and the cab is shown green or red.
    """
    given = validated(models_gates.NewPosition, parsed(body))
    fix = Fix(given.lat_deg, given.lon_deg, None if given.at is None else parse_rfc3339(given.at))
    return answers.Json(service.gatehouse.transports.position(id, fix, by=by))


@router.post(
    "/movements/{mrn}/links",
    tags=["trips"],
    status_code=201,
    summary="Make a link to follow a trip",
    response_model=models_gates.LinkAnswer,
    responses=declared(400, 404, 408, 413, 415, 422, 429),
    openapi_extra=json_content("NewLink", example={"expires_at": "2026-11-24T20:00:00Z"}),
)
def make_link(service: Asked, mrn: IdPath, body: JsonBody, by: By) -> Response:
    """For the trader: whoever has the token sees the trip, until it expires or is revoked. The token is told this once."""
    given = validated(models_gates.NewLink, parsed(body))
    found = service.gatehouse.trips.make(mrn, parse_rfc3339(given.expires_at), by=by)
    return answers.Json(found, 201)


@router.get(
    "/movements/{mrn}/links",
    tags=["trips"],
    summary="Links to a trip",
    response_model=models_gates.LinkPage,
    responses=declared(404, 422),
)
def links(service: Asked, mrn: IdPath) -> Response:
    """Who made them, and how long they are good for; without their tokens."""
    return answers.page(service.gatehouse.trips.links(mrn), None)


@router.delete(
    "/movements/{mrn}/links/{token}",
    tags=["trips"],
    status_code=204,
    summary="Revoke a link to a trip",
    response_model=None,
    responses=declared(404, 422),
)
def revoke_link(service: Asked, mrn: IdPath, token: Token, by: By) -> Response:
    """By its token, or by its id from the list. Again changes nothing."""
    service.gatehouse.trips.revoke(mrn, token, by=by)
    return Response(status_code=204)


@router.get(
    "/trips/{token}",
    tags=["trips"],
    summary="A trip, for whoever has its link",
    response_model=models_gates.TripAnswer,
    responses=declared(404, 422),
)
def trip(service: Asked, token: Token) -> Response:
    """State, dates, places and a rounded position; no number and no name. Unknown, revoked and expired are answered alike."""
    return answers.Json(service.gatehouse.trips.trip(token))
