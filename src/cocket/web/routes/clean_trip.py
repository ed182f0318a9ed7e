"""A movement's clean-trip report, as JSON and as PDF, and its evidence pack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response, StreamingResponse

from cocket.customs.trip.pdf import trip_pdf
from cocket.web import answers, models_trip
from cocket.web.asking import Asked, IdPath, known_query
from cocket.web.evidence_pack import evidence_pack
from cocket.web.problems import declared

router = APIRouter(tags=["movements"], dependencies=[Depends(known_query)])

_CHUNK: Final = 1 << 18


def _file(media_type: str, what: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"description": what, "content": content}}


@router.get(
    "/movements/{mrn}/clean-trip",
    summary="The clean-trip report of a movement",
    response_model=models_trip.CleanTrip,
    responses=declared(404, 422),
)
def clean_trip(service: Asked, mrn: IdPath) -> Response:
    """Made now, from the observations of the movement's bindings, its alerts and its events. The only ground for an automatic discharge;
    what speaks against it is named. Before the arrival it tells how the trip goes so far.
    """
    return answers.Json(service.clean_trips.report(mrn).shown())


@router.get(
    "/movements/{mrn}/clean-trip.pdf",
    summary="The clean-trip report, printed",
    response_model=None,
    responses={**_file("application/pdf", "A4"), **declared(404, 422)},
)
def clean_trip_pdf(
    service: Asked,
    mrn: IdPath,
    lang: Annotated[Literal["en", "fr"], Query(description="the language of the page")] = "en",
) -> Response:
    """The same report on paper, in English or French."""
    body = trip_pdf(service.clean_trips.report(mrn), lang)
    headers = {"content-disposition": f'inline; filename="clean-trip-{_safe(mrn)}.{lang}.pdf"'}
    return Response(body, headers=headers, media_type="application/pdf")


@router.get(
    "/movements/{mrn}/evidence-pack.zip",
    summary="All that is held on a movement, signed",
    response_model=None,
    responses={**_file("application/zip", "the pack, as an attachment"), **declared(404, 422)},
)
def pack(service: Asked, mrn: IdPath) -> Response:
    """Documents, events, seals, alerts with their history, observations (Parquet and CSV), photos and papers, the report; and a manifest
    with the SHA-256 of each, signed with the current key. `cocket verify-pack` checks it; the README in it tells how to without us.
    """
    file, size = evidence_pack(service, mrn)
    headers = {
        "content-disposition": f'attachment; filename="evidence-{_safe(mrn)}.zip"',
        "content-length": str(size),
    }
    return StreamingResponse(_parts(file), headers=headers, media_type="application/zip")


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while part := file.read(_CHUNK):
            yield part


def _safe(mrn: str) -> str:
    """As part of a file's name: what some systems do not take there becomes a hyphen."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in mrn)
