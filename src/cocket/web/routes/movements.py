"""Movements, their bindings and their tracks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from cocket.core.clock import parse_rfc3339
from cocket.core.errors import Malformed
from cocket.customs.reference import binding_shown, shown
from cocket.engine.service import Service
from cocket.store.bindings import Binding
from cocket.web import answers, models, models_file, tracks
from cocket.web.asking import Asked, Asks, At, By, Cursor, IdPath, Limit, NumberPath, Text, known_query
from cocket.web.bodies import JsonBody, json_content, parsed
from cocket.web.problems import declared
from cocket.web.routes.reference import bulk_answer, rows_of

router = APIRouter(tags=["movements"], dependencies=[Depends(known_query)])

_EXAMPLE = {
    "corridor": "SZ-1",
    "departed_at": "2026-11-22T08:00:00Z",
    "limit_at": "2026-11-22T20:00:00Z",
    "risk": "medium",
    "consignments": [{"ucr": "6GB123456789012-1", "hs": "851712", "description": "telephones"}],
}
_BINDING = {
    "device_id": "SEAL-001",
    "equipment_id": "MSKU9070323",
    "mrn": "26CN0000000000001X",
    "from": "2026-11-22T08:00:00Z",
    "to": None,
    "by": "amina",
}


_BRIEF = ("lat_deg", "lon_deg", "speed_mps", "course_deg", "locked", "battery_pct")


def _last(service: Service, bindings: Iterable[Binding]) -> dict[int, dict[str, Any]]:
    """Where each binding's device was last, from memory, by binding; only what it said while it was bound counts."""
    wanted = list(bindings)
    brief = service.brief(list({b.device_id for b in wanted}))
    out = {}
    for b in wanted:
        row = brief.get(b.device_id)
        if (
            row is not None
            and b.from_us <= row["observed_us"]
            and (b.to_us is None or row["observed_us"] < b.to_us)
        ):
            place = {"device_id": b.device_id, "observed_at": answers.moment(row["observed_us"])}
            out[b.id] = {**place, **{name: row[name] for name in _BRIEF}}
    return out


def _signed(asks: Asks, given: Any) -> Any:
    """Documents that may name who makes them, in the name of who asks."""
    for row in given if isinstance(given, list) else [given]:
        if asks.signed and isinstance(row, dict) and "by" in row:
            row["by"] = asks.who.id
    return given


def _current(bindings: list[Binding]) -> list[Binding]:
    """Those that still last, or else the one that ended last."""
    lasting = [b for b in bindings if b.to_us is None]
    return lasting or sorted(bindings, key=lambda b: b.to_us or 0)[-1:]


@router.get(
    "/movements",
    summary="Movements",
    response_model=models_file.MovementPage,
    responses=declared(422),
)
def movements(
    service: Asked,
    asks: Asks,
    limit: Limit = 100,
    cursor: Cursor = None,
    q: Annotated[
        str | None, Query(min_length=1, max_length=128, description="part of an MRN, equipment or device")
    ] = None,
    open: Annotated[bool | None, Query(description="true: not yet arrived; false: arrived")] = None,  # noqa: A002
    corridor: Text = None,
    state: Annotated[models_file.MovementState | None, Query(description="of the movement's machine")] = None,
) -> Response:
    """By MRN, each with its state, what is bound to it, its open alerts, and where it was last."""
    filters = {"q": q, "open": open, "corridor": corridor, "state": state, "sight": asks.sight}
    stored, following = service.reference.store.page("movement", limit, cursor, filters)
    mrns = [s.id for s in stored]
    bindings = service.reference.store.bindings_of(mrns)
    alerts = service.folder.alerts.open_of(mrns)
    states = service.file.view.states({s.id: s.doc for s in stored})
    last = _last(service, (b for mine in bindings.values() for b in _current(mine)))
    items = []
    for s in stored:
        mine = bindings.get(s.id, [])
        seen = [last[b.id] for b in _current(mine) if b.id in last]
        count, worst = alerts.get(s.id, (0, None))
        items.append(
            {
                **shown("movement", s),
                "state": states[s.id][0],
                "since": states[s.id][1],
                "equipment": list(dict.fromkeys(b.equipment_id for b in mine)),
                "devices": list(dict.fromkeys(b.device_id for b in mine)),
                "open_alerts": count,
                "worst": worst,
                "last": max(seen, key=lambda p: parse_rfc3339(p["observed_at"]), default=None),
            }
        )
    return answers.page(items, following)


@router.post(
    "/movements",
    summary="Declare many movements",
    response_model=models.BulkAnswer,
    responses=declared(400, 408, 413, 415, 422, 429),
    openapi_extra=json_content("Movement", many=True, example=[{"mrn": "26CN0000000000001X", **_EXAMPLE}]),
)
def bulk_movements(service: Asked, body: JsonBody, by: By) -> Response:
    """Each carries its `mrn`. The good ones are kept, each other is named with its fault."""
    found = service.reference.put_many("movement", rows_of(parsed(body)), by=by)
    service.file.transit.declared([mrn for mrn in found.ids if mrn is not None])
    service.reference_changed()
    return bulk_answer(found)


_WRITTEN: dict[int | str, dict[str, Any]] = {
    200: {"model": models.MovementAnswer, "description": "Replaced; this is what is kept"},
    201: {"model": models.MovementAnswer, "description": "Created; this is what is kept"},
}


@router.put(
    "/movements/{mrn}",
    summary="Declare a movement",
    response_model=None,
    responses={**_WRITTEN, **declared(400, 408, 413, 415, 422, 429)},
    openapi_extra=json_content("Movement", example=_EXAMPLE),
)
def put_movement(service: Asked, mrn: IdPath, body: JsonBody, by: By) -> Response:
    """Create or replace. A corridor or office that is not known is refused; a wrong check digit is flagged."""
    doc, new = service.reference.put("movement", mrn, parsed(body), by=by)
    service.file.transit.declared([mrn])
    service.reference_changed()
    return answers.Json(doc, 201 if new else 200)


@router.get(
    "/movements/{mrn}",
    summary="One movement",
    response_model=models_file.MovementDetail,
    responses=declared(404, 422),
)
def movement(service: Asked, mrn: IdPath, as_known_at: At = None) -> Response:
    """As declared, with its state and file, its bindings, how many alerts are open, and where each device was last.

    `as_known_at` gives declaration, state, seals, guarantee, incidents and documents as they were known at that moment; bindings and
    alerts are those of now.
    """
    known_us = None if as_known_at is None else parse_rfc3339(as_known_at)
    doc = service.file.view.whole(mrn, known_us)
    bindings = service.reference.store.bindings_of([mrn]).get(mrn, [])
    count, worst = service.folder.alerts.open_of([mrn]).get(mrn, (0, None))
    return answers.Json(
        {
            **doc,
            "bindings": [binding_shown(b) for b in bindings],
            "open_alerts": count,
            "worst": worst,
            "last": list(_last(service, bindings).values()),
        }
    )


@router.delete(
    "/movements/{mrn}",
    summary="Delete a movement",
    status_code=204,
    response_model=None,
    responses=declared(404, 409, 422),
)
def delete_movement(service: Asked, mrn: IdPath, by: By) -> Response:
    """Refused with 409, naming them, while bindings refer to it."""
    service.reference.delete("movement", mrn, by=by)
    service.reference_changed()
    return Response(status_code=204)


@router.get(
    "/movements/{mrn}/track",
    summary="The way of a movement",
    response_model=None,
    responses={
        200: {
            "description": "GeoJSON, or an Arrow IPC stream of observations",
            "content": {
                "application/geo+json": {"schema": {"$ref": "#/components/schemas/Track"}},
                "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **declared(404, 422),
    },
)
def track(
    service: Asked,
    mrn: IdPath,
    max_points: Annotated[
        int, Query(ge=2, le=1_000_000, description="thinned to so many per binding")
    ] = 2000,
    format: Literal["geojson", "arrow"] = "geojson",  # noqa: A002 - the contract's name
) -> Response:
    """One Feature per binding, its observations as parallel arrays, in the order of event time.

    Thinned, a track keeps its first and last row, the rows at which a state changes (lock, rope, casing, fix), and of
    equal stretches in between the row that lies farthest from the straight way.
    """
    service.reference.get("movement", mrn)
    bindings = service.reference.store.bindings_of([mrn]).get(mrn, [])
    found = [tracks.read(service.folder.history, b, max_points) for b in bindings]
    if format == "arrow":
        return Response(tracks.arrow(found), media_type="application/vnd.apache.arrow.stream")
    collection = {"type": "FeatureCollection", "features": [tracks.feature(t) for t in found]}
    return answers.Json(collection, media_type="application/geo+json")


@router.post(
    "/bindings",
    tags=["bindings"],
    summary="Bind a device to equipment and movement",
    status_code=201,
    response_model=None,
    responses={
        201: {"model": models.BindingAnswer, "description": "Bound"},
        200: {"model": models.BulkAnswer, "description": "An array was sent: what became of each"},
        **declared(400, 408, 409, 413, 415, 422, 429),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/Binding"},
                            {"type": "array", "items": {"$ref": "#/components/schemas/Binding"}},
                        ]
                    },
                    "example": _BINDING,
                }
            },
        }
    },
)
def bind(service: Asked, asks: Asks, body: JsonBody, by: By) -> Response:
    """One binding, or an array of them. A device not yet known is registered; an unknown movement is refused.

    Bindings of one device may not overlap: 409 names the other. A wrong check digit of a container is flagged.
    """
    given = _signed(asks, parsed(body))
    if isinstance(given, list):
        bulk = service.reference.bind_many(rows_of(given), by=by)
        service.reference_changed()
        return bulk_answer(bulk)
    binding = service.reference.bind(given, by=by)
    service.reference_changed()
    return answers.Json(binding_shown(binding), 201)


@router.get(
    "/bindings",
    tags=["bindings"],
    summary="Bindings",
    response_model=models.BindingPage,
    responses=declared(400, 422),
)
def bindings(
    service: Asked,
    asks: Asks,
    limit: Limit = 100,
    cursor: Cursor = None,
    mrn: Text = None,
    device_id: Text = None,
) -> Response:
    """By number; of one movement or one device if asked."""
    found, following = service.reference.store.bindings_page(
        limit, cursor, mrn=mrn, device_id=device_id, sight=asks.sight
    )
    return answers.page([binding_shown(b) for b in found], following)


@router.get(
    "/bindings/{number}",
    tags=["bindings"],
    summary="One binding",
    response_model=models.BindingAnswer,
    responses=declared(404, 422),
)
def binding(service: Asked, number: NumberPath) -> Response:
    """One binding."""
    return answers.Json(binding_shown(service.reference.binding(number)))


@router.patch(
    "/bindings/{number}",
    tags=["bindings"],
    summary="End a binding",
    response_model=models.BindingAnswer,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content("BindingEnd", example={"to": "2026-11-22T18:00:00Z", "by": "amina"}),
)
def unbind(service: Asked, asks: Asks, number: NumberPath, body: JsonBody, by: By) -> Response:
    """Say when it ends; null opens it again, if the device is free."""
    given = _signed(asks, parsed(body))
    if not isinstance(given, dict):
        raise Malformed("an object with `to` is wanted")
    found = service.reference.unbind(number, given, by=by)
    service.reference_changed()
    return answers.Json(binding_shown(found))
