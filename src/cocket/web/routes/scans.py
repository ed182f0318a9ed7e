"""Scans of codes: by phones, hand scanners, gates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cocket.core.clock import parse_rfc3339
from cocket.core.errors import Fault, Refused
from cocket.customs.codes.scans import MOST_CHARACTERS, Read
from cocket.customs.shapes import By as Person
from cocket.customs.shapes import Id, Moment
from cocket.web import answers, models_codes
from cocket.web.asking import Asked, Asks, By, Cursor, Limit, Text, known_query, number_cursor
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.problems import declared

router = APIRouter(tags=["scans"], dependencies=[Depends(known_query)])

Latitude = Annotated[float | None, Field(ge=-90, le=90, description="WGS 84")]
Longitude = Annotated[float | None, Field(ge=-180, le=180, description="WGS 84")]


class NewScan(BaseModel):
    """What was read, where, and by whom."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    code: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MOST_CHARACTERS,
            description="as the scanner sent it: text of the QR code or short code; line ends, symbology identifiers and "
            "small letters are forgiven",
            examples=["]Q3CKT1:…", "0123-4567-89ABC"],
        ),
    ]
    gate: Id | None = None
    office: Id | None = None
    by: Annotated[Person | None, Field(description="null: as `by` in the address")] = None
    at: Annotated[Moment | None, Field(description="when it was read; null: now")] = None
    lat_deg: Latitude = None
    lon_deg: Longitude = None


def place_of(lat: float | None, lon: float | None) -> tuple[float, float] | None:
    """Latitude and longitude, or neither; ``Refused`` for half a position."""
    if lat is None and lon is None:
        return None
    if lat is None or lon is None:
        missing = "lat_deg" if lat is None else "lon_deg"
        detail = f"/{missing}: a position is lat_deg and lon_deg, or neither"
        raise Refused(detail, [Fault(f"/{missing}", "required", detail)])
    return lat, lon


@router.post(
    "/scans",
    status_code=201,
    summary="Scan a code",
    response_model=models_codes.ScanAnswer,
    responses=declared(400, 408, 413, 415, 422, 429),
    openapi_extra=json_content(
        "NewScan", example={"code": "0123-4567-89ABC", "gate": "LOWU-1", "by": "amina"}
    ),
)
def scan(service: Asked, asks: Asks, body: JsonBody, by: By) -> Response:
    """Accepted once, or refused with every reason; either is kept. Of two gates the second is told the first use."""
    given = validated(NewScan, parsed(body))
    office = asks.office(given.office)
    if office is not None:
        asks.may("scan:make", "scan", office=office)
    read = Read(
        text=given.code,
        by=asks.by(given.by or by),
        gate=given.gate,
        office=office,
        at_us=None if given.at is None else parse_rfc3339(given.at),
        place=place_of(given.lat_deg, given.lon_deg),
    )
    return answers.Json(service.scans.scan(read), 201)


@router.get("/scans", summary="Scans", response_model=models_codes.ScanPage, responses=declared(400, 422))
def scans(
    service: Asked,
    mrn: Text = None,
    code_id: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    gate: Text = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Newest first, refused ones too."""
    items, following = service.scans.page(limit, number_cursor(cursor), mrn=mrn, code_id=code_id, gate=gate)
    return answers.page(items, None if following is None else str(following))
