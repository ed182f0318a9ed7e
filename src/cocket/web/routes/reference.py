"""Reference data: zones, corridors, offices, devices; and the log of who changed what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.responses import Response

from cocket.core.errors import Fault, Refused
from cocket.customs.reference import Bulk, binding_shown, shown
from cocket.web import answers, models
from cocket.web.asking import Asked, By, Cursor, IdPath, Limit, Text, known_query
from cocket.web.bodies import JsonBody, json_content, parsed
from cocket.web.problems import declared

router = APIRouter(dependencies=[Depends(known_query)])

_SQUARE = [[[114.10, 22.52], [114.13, 22.52], [114.13, 22.54], [114.10, 22.54], [114.10, 22.52]]]
_EXAMPLES: dict[str, dict[str, Any]] = {
    "zone": {
        "type": "Feature",
        "id": "LOWU",
        "properties": {"kind": "restricted", "name": "Lo Wu depot"},
        "geometry": {"type": "Polygon", "coordinates": _SQUARE},
    },
    "corridor": {
        "type": "Feature",
        "id": "SZ-1",
        "properties": {"half_width_m": 150, "name": "Futian to Shenzhen Bay"},
        "geometry": {"type": "LineString", "coordinates": [[114.07, 22.52], [114.0, 22.53], [113.95, 22.50]]},
    },
    "office": {"id": "CN5301", "name": "Huanggang", "country": "CN", "lat_deg": 22.519, "lon_deg": 114.0745},
    "device": {"id": "SEAL-001", "class": "e-seal", "report_interval_s": 60},
}
_MAX_ROWS = 100_000


def rows_of(value: Any) -> list[Any]:
    """A JSON array of documents."""
    if not isinstance(value, list):
        _not("an array of documents is wanted")
    if len(value) > _MAX_ROWS:
        _not(f"{len(value)} documents; send at most {_MAX_ROWS} at once")
    return value  # type: ignore[no-any-return]


def _features(value: Any) -> list[Any]:
    """The features of a FeatureCollection, each carrying its id."""
    if not isinstance(value, dict) or value.get("type") != "FeatureCollection":
        _not("a GeoJSON FeatureCollection is wanted, each feature with its id")
    return rows_of(value.get("features"))


def _not(detail: str) -> None:
    raise Refused(detail, [Fault("", "type", detail)])


def bulk_answer(bulk: Bulk) -> answers.Json:
    """What became of many documents."""
    return answers.Json(
        {
            "accepted": bulk.accepted,
            "rejected": len(bulk.rejects),
            "rejects": [
                {"row": r.row, "field": r.field, "rule": r.rule, "detail": r.detail} for r in bulk.rejects
            ],
            "ids": bulk.ids,
        }
    )


def collection_content(schema: str) -> dict[str, Any]:
    """``openapi_extra`` for a FeatureCollection of a component schema."""
    content: dict[str, Any] = json_content(schema)["requestBody"]["content"]["application/json"]
    feature = {"allOf": [content["schema"], {"required": ["id"], "properties": {"id": {"type": "string"}}}]}
    collection = {
        "type": "object",
        "required": ["type", "features"],
        "properties": {
            "type": {"const": "FeatureCollection"},
            "features": {"type": "array", "items": feature},
        },
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": collection}}}}


def add_documents(
    kind: str,
    path: str,
    one: type[BaseModel],
    many: type[BaseModel],
    read_rows: Callable[[Any], list[Any]],
) -> None:
    """The five routes of one kind of document."""
    name = kind.capitalize()
    a = "an" if kind == "office" else "a"
    tags: list[Any] = [path.strip("/")]
    geo = kind in {"zone", "corridor"}
    extra = json_content(name, example=_EXAMPLES[kind])
    bulk_extra = collection_content(name) if geo else json_content(name, many=True, example=[_EXAMPLES[kind]])

    def put(service: Asked, id: IdPath, body: JsonBody, by: By) -> Response:  # noqa: A002 - the contract's name
        doc, new = service.reference.put(kind, id, parsed(body), by=by)
        service.reference_changed()
        return answers.Json(doc, 201 if new else 200)

    def get(service: Asked, id: IdPath) -> Response:  # noqa: A002
        return answers.Json(service.reference.get(kind, id))

    def delete(service: Asked, id: IdPath, by: By) -> Response:  # noqa: A002
        service.reference.delete(kind, id, by=by)
        service.reference_changed()
        return Response(status_code=204)

    def page(service: Asked, limit: Limit = 100, cursor: Cursor = None, q: Text = None) -> Response:
        stored, following = service.reference.store.page(kind, limit, cursor, {"q": q})
        items = [shown(kind, s) for s in stored]
        if geo:
            return answers.Json({"type": "FeatureCollection", "features": items, "next": following})
        return answers.page(items, following)

    def bulk(service: Asked, body: JsonBody, by: By) -> Response:
        found = service.reference.put_many(kind, read_rows(parsed(body)), by=by)
        service.reference_changed()
        return bulk_answer(found)

    written: dict[int | str, dict[str, Any]] = {
        200: {"model": one, "description": "Replaced; this is what is kept"},
        201: {"model": one, "description": "Created; this is what is kept"},
    }
    router.put(
        f"{path}/{{id}}",
        tags=tags,
        name=f"put_{kind}",
        summary=f"Keep {a} {kind}",
        description=f"Create or replace one {kind}. What breaks a rule is refused with every reason and its place.",
        response_model=None,
        responses={**written, **declared(400, 408, 413, 415, 422, 429)},
        openapi_extra=extra,
    )(put)
    router.get(
        f"{path}/{{id}}",
        tags=tags,
        name=f"get_{kind}",
        summary=f"One {kind}",
        description=f"The {kind} as it is kept, with who changed it last.",
        response_model=one,
        responses=declared(404, 422),
    )(get)
    router.delete(
        f"{path}/{{id}}",
        tags=tags,
        name=f"delete_{kind}",
        summary=f"Delete {a} {kind}",
        description="Refused with 409, naming who, while something refers to it.",
        status_code=204,
        response_model=None,
        responses=declared(404, 409, 422),
    )(delete)
    router.get(
        path,
        tags=tags,
        name=f"list_{kind}s",
        summary=f"All {path.strip('/')}",
        description="By id; `q` finds parts of ids.",
        response_model=many,
        responses=declared(422),
    )(page)
    router.post(
        path,
        tags=tags,
        name=f"bulk_{kind}s",
        summary=f"Keep many {path.strip('/')}",
        description="Each carries its id. The good ones are kept, each other is named with its fault.",
        response_model=models.BulkAnswer,
        responses=declared(400, 408, 413, 415, 422, 429),
        openapi_extra=bulk_extra,
    )(bulk)


add_documents("zone", "/zones", models.ZoneAnswer, models.ZoneCollection, _features)
add_documents("corridor", "/corridors", models.CorridorAnswer, models.CorridorCollection, _features)
add_documents("office", "/offices", models.OfficeAnswer, models.OfficePage, rows_of)
add_documents("device", "/devices", models.DeviceAnswer, models.DevicePage, rows_of)


@router.get(
    "/devices/{id}/last",
    tags=["devices"],
    summary="What a device said last",
    response_model=models.DeviceLast,
    responses=declared(404, 422),
)
def device_last(service: Asked, id: IdPath) -> Response:  # noqa: A002
    """Its newest observation by event time, whole, and its binding at this time; 404 for a device never heard of."""
    row = service.last(id)
    if row is None:
        service.reference.get("device", id)
    binding = service.reference.store.device_at(id, service.clock.now_us())
    return answers.Json(
        {
            "device_id": id,
            "observation": None if row is None else answers.observation(row),
            "binding": None if binding is None else binding_shown(binding),
            "received_at": None if row is None else answers.moment(row.get("received_us")),
        }
    )


@router.get(
    "/changes",
    tags=["changes"],
    summary="Who changed what",
    response_model=models.ChangePage,
    responses=declared(422),
)
def changes(
    service: Asked,
    limit: Limit = 100,
    cursor: Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the page before")] = 0,
) -> Response:
    """Every change of reference data, bindings and rules, oldest first, with what was there before and after."""
    found = service.reference.store.changes(cursor, limit + 1)
    items = [
        {
            "version": c.version,
            "at": answers.moment(c.at_us),
            "by": c.by,
            "kind": c.kind,
            "id": c.id,
            "before": c.before,
            "after": c.after,
        }
        for c in found[:limit]
    ]
    return answers.page(items, str(found[limit - 1].version) if len(found) > limit else None)
