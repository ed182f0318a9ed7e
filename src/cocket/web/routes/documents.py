"""Customs documents: any of the known kinds in, the canonical model and the original out."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from cocket.customs.transit.view import document_brief
from cocket.web import answers, models_file
from cocket.web.asking import Asked, Asks, By, Cursor, Limit, Text, known_query, number_cursor
from cocket.web.bodies import AnyBody, content_type
from cocket.web.problems import declared

router = APIRouter(tags=["documents"], dependencies=[Depends(known_query)])

DocumentPath = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="as POST /documents gave it")]

_TYPES: Final = (
    "application/xml",
    "text/csv",
    "application/edifact",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/octet-stream",
)
_EXAMPLE: Final = '<ncts:CC007C PhaseID="NCTS5.0" xmlns:ncts="http://ncts.dgtaxud.ec"><messageSender>TRADER</messageSender>…</ncts:CC007C>'
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            name: {
                "schema": {"type": "string", "format": "binary", "description": "the document's bytes"},
                **({"example": _EXAMPLE} if name == "application/xml" else {}),
            }
            for name in _TYPES
        },
    }
}


@router.post(
    "/documents",
    status_code=201,
    summary="Send a customs document",
    response_model=None,
    responses={
        201: {"model": models_file.DocumentAnswer, "description": "Kept; this is what became of it"},
        200: {"model": models_file.DocumentAnswer, "description": "These bytes came before: the same answer"},
        **declared(400, 408, 413, 415, 422, 429),
    },
    openapi_extra=_BODY,
)
def send(
    service: Asked,
    request: Request,
    body: AnyBody,
    by: By,
    name: Annotated[str, Query(max_length=255, description="the file's name")] = "",
) -> Response:
    """NCTS phase 5, WCO Data Model, ASYCUDA SAD, UN/EDIFACT (CUSCAR, CODECO, COPRAR, IFTSTA, BAPLIE), CSV or Excel manifests.

    The kind is recognised by the bytes. The original is kept with its SHA-256. What is refused is refused with every broken rule and its
    path in the document.
    """
    answer, new = service.file.documents.take(body, media_type=content_type(request), name=name, by=by)
    if new and answer["movement"] is not None:
        service.reference_changed()
    return answers.Json(answer, 201 if new else 200)


@router.get(
    "/documents",
    summary="Customs documents",
    response_model=models_file.DocumentPage,
    responses=declared(400, 422),
)
def documents(
    service: Asked,
    asks: Asks,
    limit: Limit = 100,
    cursor: Cursor = None,
    kind: Text = None,
    mrn: Text = None,
    q: Annotated[
        str | None,
        Query(
            min_length=1, max_length=128, description="part of a reference, equipment, seal, plate or name"
        ),
    ] = None,
) -> Response:
    """Newest first."""
    before = number_cursor(cursor)
    filters = {"kind": kind, "mrn": mrn, "q": q, "sight": asks.sight}
    found, following = service.file.documents.store.page(filters, limit, before)
    return answers.page([document_brief(d) for d in found], None if following is None else str(following))


@router.get(
    "/documents/{id}",
    summary="One document, in canonical form",
    response_model=models_file.Document,
    responses=declared(404, 422),
)
def document(service: Asked, id: DocumentPath) -> Response:  # noqa: A002 - the contract's name
    """What it says, whatever it was written in, and where in it each value stands."""
    return answers.Json(service.file.documents.whole(id))


@router.get(
    "/documents/{id}/original",
    summary="A document's bytes as they came",
    response_model=None,
    responses={
        200: {
            "description": "the bytes, as an attachment",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        **declared(404, 422),
    },
)
def original(service: Asked, id: DocumentPath) -> Response:  # noqa: A002
    """Exactly what was sent; checked against its SHA-256 when it is given."""
    kept, data = service.file.documents.original(id)
    headers = {
        "content-disposition": f'attachment; filename="{kept.id}-{kept.kind}"',
        "etag": f'"{kept.sha256.hex()}"',
    }
    return Response(data, headers=headers, media_type="application/octet-stream")


@router.get(
    "/documents/{id}/report",
    summary="What was read of a document, and what was kept raw",
    response_model=models_file.DocumentReport,
    responses=declared(404, 422),
)
def report(service: Asked, id: DocumentPath) -> Response:  # noqa: A002
    """Every value of the source is in one of the two lists."""
    return answers.Json(service.file.documents.report(id))
