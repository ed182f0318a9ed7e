"""Excise stamps: ranges and their labels for officers, checks for everyone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from cocket.core.clock import parse_rfc3339
from cocket.customs.codes import render
from cocket.customs.codes.scans import MOST_CHARACTERS
from cocket.customs.codes.stamps import MOST_LABELS, MOST_SERIAL, MOST_STAMPS, NewRange
from cocket.customs.shapes import Moment
from cocket.web import answers, models_codes
from cocket.web.asking import Asked, By, Cursor, Limit, NumberPath, known_query, number_cursor
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.problems import declared
from cocket.web.routes.codes import picture
from cocket.web.routes.scans import Latitude, Longitude, place_of

router = APIRouter(tags=["stamps"], dependencies=[Depends(known_query)])

_MOST_PRINTED: Final = 320
"""Labels in one PDF: ten sheets, a few seconds."""
_BLOCK: Final = 500
_WORDS: Final = r"^[^\x00-\x1f\x7f]+$"

Serial = Annotated[int, Field(ge=1, le=MOST_SERIAL)]
SerialQuery = Annotated[int | None, Query(ge=1, le=MOST_SERIAL)]


class NewStampRange(BaseModel):
    """Stamps to be issued."""

    model_config = ConfigDict(extra="forbid", strict=True)

    product: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            pattern=_WORDS,
            description="what the stamps are for; it stands in each of them",
            examples=["Whisky 0.7 l"],
        ),
    ]
    manufacturer: Annotated[
        str, Field(min_length=1, max_length=200, pattern=_WORDS, examples=["Highland Ltd"])
    ]
    first: Annotated[Serial | None, Field(description="null: behind the last ones")] = None
    count: Annotated[int, Field(ge=1, le=MOST_STAMPS)]
    valid_to: Annotated[Moment | None, Field(description="null: they do not run out")] = None


class StampHappening(BaseModel):
    """Something that happened to some stamps of a range, both ends included."""

    model_config = ConfigDict(extra="forbid", strict=True)

    event: Annotated[
        models_codes.StampEvent,
        Field(description="clear: an officer looked at stamps that were suspected, and they are no copies"),
    ]
    first: Serial
    last: Serial
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class NewStampCheck(BaseModel):
    """What somebody read from a stamp, and where, if they say so."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    code: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS, examples=["CKS1:…"])]
    lat_deg: Latitude = None
    lon_deg: Longitude = None


@router.post(
    "/stamps/ranges",
    status_code=201,
    summary="Issue stamps",
    response_model=models_codes.StampRangeWhole,
    responses=declared(400, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content(
        "NewStampRange", example={"product": "Whisky 0.7 l", "manufacturer": "Highland Ltd", "count": 1000}
    ),
)
def issue(service: Asked, body: JsonBody, by: By) -> Response:
    """A range of serial numbers; none of them was issued before. They count as valid once they are activated."""
    wanted = validated(NewStampRange, parsed(body))
    end = None if wanted.valid_to is None else parse_rfc3339(wanted.valid_to)
    new = NewRange(wanted.product, wanted.manufacturer, wanted.count, wanted.first, end)
    return answers.Json(service.stamps.issue(new, by=by), 201)


@router.get(
    "/stamps/ranges",
    summary="Ranges of stamps",
    response_model=models_codes.StampRangePage,
    responses=declared(400, 422),
)
def ranges(service: Asked, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Newest first, each cut into runs of one state."""
    items, following = service.stamps.ranges(limit, number_cursor(cursor))
    return answers.page(items, None if following is None else str(following))


@router.get(
    "/stamps/ranges/{number}",
    summary="One range of stamps",
    response_model=models_codes.StampRangeWhole,
    responses=declared(404, 422),
)
def one_range(service: Asked, number: NumberPath) -> Response:
    """One range with all that happened to it."""
    return answers.Json(service.stamps.range(number))


@router.post(
    "/stamps/ranges/{number}/events",
    status_code=201,
    summary="Activate, void, report stolen or found",
    response_model=models_codes.StampRangeWhole,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content(
        "StampHappening", example={"event": "activate", "first": 1, "last": 500, "reason": "delivered"}
    ),
)
def happened(service: Asked, number: NumberPath, body: JsonBody, by: By) -> Response:
    """Of all stamps from `first` to `last`, or of none: 409 names those to which it cannot happen."""
    given = validated(StampHappening, parsed(body))
    whole = service.stamps.happened(number, given.event, given.first, given.last, reason=given.reason, by=by)
    return answers.Json(whole, 201)


@router.get(
    "/stamps/ranges/{number}/labels.ndjson",
    summary="What to print on stamps, a line each",
    response_model=None,
    responses={
        200: {
            "description": "`serial` and `text` of each stamp",
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        },
        **declared(404, 409, 422),
    },
)
def labels(
    service: Asked, number: NumberPath, first: SerialQuery = None, last: SerialQuery = None
) -> Response:
    """At most 100,000 at once. The same stamp has the same text while the key is the same."""
    found = service.stamps.labels(number, first, last, MOST_LABELS)

    def blocks() -> Iterator[bytes]:
        while block := list(islice(found, _BLOCK)):
            yield b"".join(
                msgspec.json.encode({"serial": stamp.serial, "text": text}) + b"\n" for stamp, text in block
            )

    return StreamingResponse(blocks(), media_type="application/x-ndjson")


@router.get(
    "/stamps/ranges/{number}/labels.pdf",
    summary="Stamps to print, PDF",
    response_model=None,
    responses={**picture("application/pdf", "A4, 32 to a sheet"), **declared(404, 409, 422)},
)
def labels_pdf(
    service: Asked, number: NumberPath, first: SerialQuery = None, last: SerialQuery = None
) -> Response:
    """At most 320 at once, each with a QR code of 2.5 cm, its number and product."""
    found = service.stamps.labels(number, first, last, _MOST_PRINTED)
    sheet = (render.Label(text, (f"No {stamp.serial}", stamp.product)) for stamp, text in found)
    return Response(render.sheet_pdf(sheet), media_type="application/pdf")


@router.post(
    "/stamps/checks",
    status_code=201,
    summary="Is this stamp genuine",
    response_model=models_codes.StampVerdict,
    responses=declared(400, 408, 413, 415, 422, 429),
    openapi_extra=json_content(
        "NewStampCheck", example={"code": "CKS1:6BFOXN", "lat_deg": 3.1, "lon_deg": 101.7}
    ),
)
def check(service: Asked, body: JsonBody) -> Response:
    """For everyone. Tells true from false and nothing else; a position helps to find copies, and is kept rounded."""
    given = validated(NewStampCheck, parsed(body))
    return answers.Json(service.stamps.check(given.code, place_of(given.lat_deg, given.lon_deg)), 201)


@router.get(
    "/stamps/checks",
    summary="What the public checked",
    response_model=models_codes.StampCheckPage,
    responses=declared(400, 422),
)
def checks(
    service: Asked,
    serial: SerialQuery = None,
    verdict: Annotated[models_codes.Verdict | None, Query()] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Newest first, with suspected copies and why. Older ones than the settings let be kept are deleted."""
    items, following = service.stamps.checks(limit, number_cursor(cursor), serial=serial, verdict=verdict)
    return answers.page(items, None if following is None else str(following))
