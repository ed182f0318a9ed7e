"""The door for frames of device protocols over HTTP: webhooks, gateways of makers, and files of captured frames."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cocket.core.errors import Fault, Malformed, NotFound, TooLarge
from cocket.core.framing import Stream
from cocket.core.protocol import Protocol
from cocket.gateway.gateway import Gateway
from cocket.gateway.handing import Handed
from cocket.observations.frames import bytes_of_line, line_answer
from cocket.web import answers, models
from cocket.web.asking import Asked, Gate, known_query
from cocket.web.bodies import Intake, content_type
from cocket.web.problems import declared
from cocket.web.tracking import traced

router = APIRouter(tags=["frames"])

_LINES: Final = ("text/plain", "application/x-ndjson", "application/ndjson")
_STREAM: Final = "application/octet-stream"
_WHOLE: Final = (
    "application/json",
    "application/xml",
    "text/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "image/png",
    "image/jpeg",
    "image/bmp",
    "image/webp",
)
_OWN_QUERY: Final = frozenset({"text", "device_id"})
_TAKEN: Final = (*_LINES, _STREAM, *_WHOLE)

Name = Annotated[
    str,
    Path(
        max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$", description="a protocol, as GET /protocols names it"
    ),
]
DeviceQuery = Annotated[
    str | None,
    Query(max_length=64, min_length=1, description="who speaks, where the frames themselves do not say so"),
]
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {
                "schema": {
                    "type": "string",
                    "description": "a frame a line: hexadecimal bytes, or text with text=true",
                },
                "example": "2480413009781914002706102107544354193631006213423b00000000006c070000000000"
                "2064f91ea0671d000f0f0f6e",
            },
            "application/octet-stream": {
                "schema": {
                    "type": "string",
                    "format": "binary",
                    "description": "a stream of frames, as on a connection",
                }
            },
            "application/json": {
                "schema": {"description": "one document, as a webhook sends it"},
                "example": {},
            },
            "application/xml": {"schema": {"type": "string", "description": "one document"}},
        },
    }
}


def frames_of_body(
    protocol: Protocol, body: bytes, media_type: str, *, text: bool, most: int
) -> list[bytes | Fault]:
    """The frames that a body holds. 415 for a type that is not taken, ``TooLarge`` for too many."""
    if media_type in _LINES:
        as_text = text or media_type != "text/plain"
        lines = body.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        if lines and not lines[-1].strip():
            lines.pop()
        _bounded(len(lines), most)
        return [bytes_of_line(line, text=as_text) for line in lines]
    if media_type == _STREAM:
        stream = Stream(protocol)
        pieces = [*stream.feed(body), *stream.end()]
        _bounded(len(pieces), most)
        if len(pieces) == 1 and pieces[0].noise == "incomplete-frame":
            return [body]  # without the mark between frames: the decoder says what it thinks of it
        return [
            Fault("", p.noise, f"bytes that are no frame of {protocol.name}") if p.noise else p.data
            for p in pieces
        ]
    if media_type in _WHOLE:
        return [body]
    raise _not_taken(media_type)


def _not_taken(media_type: str) -> HTTPException:
    said = f"{media_type!r} is not taken" if media_type else "no content-type was given"
    return HTTPException(415, f"{said}; send {', '.join(_TAKEN)}")


def _bounded(n: int, most: int) -> None:
    if n > most:
        raise TooLarge(f"the body holds {n} frames, this door takes {most} at once; send it in parts")


async def _hand_in(
    request: Request,
    service: Asked,
    gateway: Gateway,
    protocol: Protocol,
    frames: list[bytes | Fault],
    device_id: str | None,
) -> Response:
    if not frames:
        raise Malformed("the body holds no frame")
    address = request.client.host if request.client else ""
    began = time.monotonic()
    with traced(request, service, began) as mark:
        handed: Handed = await asyncio.wrap_future(
            gateway.call(gateway.handing.judge(protocol, frames, device_id, address))
        )
        decoded = handed.decoded()
        decoded.taken_s, decoded.mark = began, mark
        receipt = await asyncio.wrap_future(service.submit(decoded))
    gateway.handing.settled(handed)
    return answers.Json(
        {
            "accepted": receipt.accepted,
            "duplicates": receipt.duplicates,
            "rejected": receipt.rejected,
            "rejects": [
                {"row": r.row, "field": r.field, "rule": r.rule, "detail": r.detail} for r in receipt.rejects
            ],
            "frames": [line_answer(i, reading) for i, reading in enumerate(handed.readings)],
        }
    )


@router.post(
    "/frames/{protocol}",
    summary="Send frames of a device protocol",
    response_model=models.FramesAnswer,
    responses=declared(400, 404, 408, 413, 415, 422, 429, 503),
    openapi_extra=_BODY,
)
async def send_frames(
    request: Request,
    service: Asked,
    gateway: Gate,
    protocol: Name,
    *,
    text: Annotated[
        bool, Query(description="lines of text/plain are frames of text, not hexadecimal")
    ] = False,
    device_id: DeviceQuery = None,
) -> Response:
    """Frames as `cocket decode` takes them, into the pipeline; or one document of a webhook. Answered once all is durable.

    `frames` tells what was read from each, in order; `rejects` names what waits in the quarantine, with the number of
    its frame: what cannot be read, and what comes from a device that is not registered. A device that reports in the
    query of a POST without a body, as some phones do, is taken as well.
    """
    length = request.headers.get("content-length", "0")
    if (
        length == "0"
        and "transfer-encoding" not in request.headers
        and set(request.query_params) - _OWN_QUERY
    ):
        return await send_query(request, service, gateway, protocol)
    await known_query(request)
    if content_type(request) not in _TAKEN:
        raise _not_taken(content_type(request))
    named = gateway.protocol(protocol)
    intake: Intake = request.app.state.intake
    async with intake.body(request) as body:
        frames = frames_of_body(
            named, body, content_type(request), text=text, most=request.app.state.max_rows
        )
        return await _hand_in(request, service, gateway, named, frames, device_id)


@router.get(
    "/frames/{protocol}",
    summary="Send one report in the address",
    response_model=models.FramesAnswer,
    responses=declared(400, 404, 422, 429, 503),
)
async def send_query(request: Request, service: Asked, gateway: Gate, protocol: Name) -> Response:
    """For devices that report in a query string, as OsmAnd does: the query is the frame."""
    named = gateway.protocol(protocol)
    if not named.text or "http" not in named.doors:
        raise NotFound(f"{named.name} does not report in a query string; POST its frames")
    query: bytes = request.scope["query_string"]
    if not query:
        raise Malformed("the address has no query; a report looks like ?id=…&lat=…&lon=…&timestamp=…")
    return await _hand_in(request, service, gateway, named, [query], None)


@router.get(
    "/protocols",
    summary="The protocols that are understood",
    response_model=models.Protocols,
    dependencies=[Depends(known_query)],
)
def list_protocols(gateway: Gate) -> Response:
    """Those that come with Cocket, and the mappings of the settings' folder."""
    two = gateway.settings.two_persons
    return answers.Json({"items": [_shown(p, two) for p in gateway.protocols()]})


def _shown(p: Protocol, two_persons: Collection[str]) -> dict[str, Any]:
    return {
        "name": p.name,
        "title": p.title,
        "document": p.document,
        "family": p.family,
        "text": p.text,
        "doors": list(p.doors),
        "port": p.port or None,
        "commands": {
            name: {
                "doc": command.doc,
                "parameters": dict(command.parameters),
                "two_persons": name in two_persons,
            }
            for name, command in p.commands.items()
        },
    }


@router.get(
    "/gateway",
    summary="Doors, connections and what they bring",
    response_model=models.GatewayStats,
    dependencies=[Depends(known_query)],
)
def gateway_stats(gateway: Gate) -> Response:
    """Where it listens, who is connected, frames by protocol and outcome, why connections were closed."""
    return answers.Json(gateway.stats())
