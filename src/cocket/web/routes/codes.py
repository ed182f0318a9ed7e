"""Codes on papers: issued, shown, printed, made void; and the keys that sign them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cocket.core.clock import parse_rfc3339
from cocket.customs.codes import render
from cocket.customs.shapes import EQUIPMENT_PATTERN, Id, Moment, Mrn
from cocket.engine.service import Service
from cocket.web import answers, models_codes
from cocket.web.asking import Asked, Asks, By, Cursor, Limit, NumberPath, Text, known_query, number_cursor
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.problems import declared

router = APIRouter(dependencies=[Depends(known_query)])

_EXAMPLE = {
    "purpose": "transit",
    "mrn": "26NL0004327A1B2C35",
    "equipment_id": "MSKU9070323",
    "valid_to": "2127-01-31T00:00:00Z",
}
_WRITE = (400, 404, 408, 409, 413, 415, 422, 429)
Kid = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="a key's id")]


class NewCode(BaseModel):
    """What a code is for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    purpose: models_codes.Purpose
    mrn: Mrn
    equipment_id: Annotated[
        str | None, Field(pattern=EQUIPMENT_PATTERN, min_length=1, max_length=64, examples=["MSKU9070323"])
    ] = None
    gate: Annotated[Id | None, Field(description="the only gate at which it is accepted; null: any")] = None
    valid_from: Annotated[Moment | None, Field(description="null: now")] = None
    valid_to: Annotated[Moment | None, Field(description="null: as long as the settings say")] = None


class ReasonGiven(BaseModel):
    """Why it is done."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(min_length=1, max_length=500, examples=["the paper was lost"])]


def picture(media_type: str, what: str) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that answers with a file."""
    schema = {"type": "string"} if "svg" in media_type else {"type": "string", "format": "binary"}
    return {200: {"description": what, "content": {media_type: {"schema": schema}}}}


def _us(moment: str | None) -> int | None:
    return None if moment is None else parse_rfc3339(moment)


@router.post(
    "/codes",
    tags=["codes"],
    status_code=201,
    summary="Issue a code",
    response_model=models_codes.CodeAnswer,
    responses=declared(400, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content("NewCode", example=_EXAMPLE),
)
def issue(service: Asked, body: JsonBody, by: By) -> Response:
    """Signed, and good for one use. There is one live code for each purpose, MRN and equipment."""
    wanted = validated(NewCode, parsed(body))
    code = service.codes.issue(
        wanted.purpose,
        wanted.mrn,
        by=by,
        equipment_id=wanted.equipment_id,
        gate=wanted.gate,
        valid_from_us=_us(wanted.valid_from),
        valid_to_us=_us(wanted.valid_to),
    )
    return answers.Json(code, 201)


@router.get(
    "/codes",
    tags=["codes"],
    summary="Codes",
    response_model=models_codes.CodePage,
    responses=declared(400, 422),
)
def codes(
    service: Asked, asks: Asks, mrn: Text = None, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Newest first, with their state and their use."""
    items, following = service.codes.page(mrn, limit, number_cursor(cursor), asks.sight)
    return answers.page(items, None if following is None else str(following))


@router.get(
    "/codes/{number}",
    tags=["codes"],
    summary="One code",
    response_model=models_codes.CodeAnswer,
    responses=declared(404, 422),
)
def code(service: Asked, number: NumberPath) -> Response:
    """One code with its text, state and use."""
    return answers.Json(service.codes.get(number))


@router.post(
    "/codes/{number}/void",
    tags=["codes"],
    summary="Make a code void",
    response_model=models_codes.CodeAnswer,
    responses=declared(*_WRITE),
    openapi_extra=json_content("ReasonGiven", example={"reason": "the paper was lost"}),
)
def void(service: Asked, number: NumberPath, body: JsonBody, by: By) -> Response:
    """It is refused from then on. One that was used stays used."""
    wanted = validated(ReasonGiven, parsed(body))
    return answers.Json(service.codes.void(number, by=by, reason=wanted.reason))


@router.get(
    "/codes/{number}/qr.svg",
    tags=["codes"],
    summary="Its QR code, SVG",
    response_model=None,
    responses={**picture("image/svg+xml", "2.5 cm with its quiet zone"), **declared(404, 422)},
)
def qr_svg(service: Asked, number: NumberPath) -> Response:
    """Print it at its own size of 2.5 cm, or larger."""
    return Response(render.qr_svg(service.codes.get(number)["text"]), media_type="image/svg+xml")


@router.get(
    "/codes/{number}/qr.png",
    tags=["codes"],
    summary="Its QR code, PNG",
    response_model=None,
    responses={
        **picture("image/png", "one bit a pixel; its resolution makes it 2.5 cm"),
        **declared(404, 422),
    },
)
def qr_png(service: Asked, number: NumberPath) -> Response:
    """For forms that take no SVG."""
    return Response(render.qr_png(service.codes.get(number)["text"]), media_type="image/png")


@router.get(
    "/codes/{number}/barcode.svg",
    tags=["codes"],
    summary="Its short code as Code 128, SVG",
    response_model=None,
    responses={**picture("image/svg+xml", "with quiet zones"), **declared(404, 422)},
)
def barcode_svg(service: Asked, number: NumberPath) -> Response:
    """For scanners that read lines only."""
    return Response(render.bars_svg(_plain(service, number)), media_type="image/svg+xml")


@router.get(
    "/codes/{number}/barcode.png",
    tags=["codes"],
    summary="Its short code as Code 128, PNG",
    response_model=None,
    responses={**picture("image/png", "with quiet zones"), **declared(404, 422)},
)
def barcode_png(service: Asked, number: NumberPath) -> Response:
    """For scanners that read lines only, and forms that take no SVG."""
    return Response(render.bars_png(_plain(service, number)), media_type="image/png")


@router.get(
    "/codes/{number}/label.pdf",
    tags=["codes"],
    summary="A label with all of it, PDF",
    response_model=None,
    responses={**picture("application/pdf", "62 × 54 mm"), **declared(404, 422)},
)
def label_pdf(service: Asked, number: NumberPath) -> Response:
    """QR code of 2.5 cm, words, short code and bars, on a label for the common 62 mm roll."""
    found = service.codes.get(number)
    lines = [found["purpose"].upper(), found["mrn"]]
    lines += [found[name] for name in ("equipment_id", "gate") if found[name] is not None]
    lines.append(f"until {found['valid_to']}")
    label = render.Label(found["text"], tuple(lines), found["short"].replace("-", ""))
    return Response(render.label_pdf(label), media_type="application/pdf")


def _plain(service: Service, number: int) -> str:
    short: str = service.codes.get(number)["short"]
    return short.replace("-", "")


@router.get("/keys", tags=["keys"], summary="The public keys", response_model=models_codes.Jwks)
def keys(service: Asked) -> Response:
    """A JWK set of all keys there ever were, newest first: what `cocket verify-code --keys` takes."""
    return answers.Json({"keys": service.keys.jwks()})


@router.post(
    "/keys/rotate",
    tags=["keys"],
    status_code=201,
    summary="Sign with a new key",
    response_model=models_codes.Jwk,
    responses=declared(400, 408, 413, 415, 422, 429),
    openapi_extra=json_content("ReasonGiven", example={"reason": "a new year"}),
)
def rotate(service: Asked, body: JsonBody, by: By) -> Response:
    """What the old key signed stays good; the old private key is deleted. The answer is the new key."""
    wanted = validated(ReasonGiven, parsed(body))
    return answers.Json(service.keys.rotate(by=by, reason=wanted.reason), 201)


@router.post(
    "/keys/{kid}/revoke",
    tags=["keys"],
    summary="Refuse all that a key signed",
    response_model=models_codes.Jwk,
    responses=declared(*_WRITE),
    openapi_extra=json_content("ReasonGiven", example={"reason": "the server was stolen"}),
)
def revoke(service: Asked, kid: Kid, body: JsonBody, by: By) -> Response:
    """For a key that somebody else may have. If it is the current one, a new one takes its place at once."""
    wanted = validated(ReasonGiven, parsed(body))
    return answers.Json(service.keys.revoke(kid, by=by, reason=wanted.reason))
