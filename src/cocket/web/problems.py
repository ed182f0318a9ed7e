"""Every error of every route as RFC 9457 ``application/problem+json``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cocket.core import logs
from cocket.core.errors import (
    BadSetting,
    Busy,
    CocketError,
    Conflict,
    DataDamaged,
    Fault,
    Forbidden,
    Malformed,
    NotFound,
    NotSignedIn,
    Refused,
    TooLarge,
    Unavailable,
)

MEDIA_TYPE: Final = "application/problem+json"

_STATUS: Final[tuple[tuple[type[CocketError], int], ...]] = (
    (Refused, 422),
    (Malformed, 400),
    (NotSignedIn, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooLarge, 413),
    (BadSetting, 422),
    (Busy, 429),
    (Unavailable, 503),
    (DataDamaged, 500),
    (CocketError, 500),
)


_CHALLENGE: Final = 'Bearer realm="Cocket"'
"""What a program may show (RFC 6750, 3); a browser signs in at ``/sign-in`` and shows a cookie."""


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="names the kind of problem", examples=["urn:cocket:problem:conflict"])
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str = Field(description="what was wrong, where, and what to do, in a sentence")
    errors: list[ProblemError] | None = Field(None, description="each broken rule with its place")
    state: str | None = Field(None, description="of a refused event: the state that the machine is in")
    event: str | None = Field(None, description="and the event that was refused")
    allowed: list[str] | None = Field(None, description="and those that its table allows there")
    request_id: str | None = Field(
        None, description="the request's `X-Request-Id`, as the server's log has it"
    )


class ProblemError(BaseModel):
    """One broken rule."""

    path: str = Field(description="JSON pointer or name of what is wrong", examples=["/properties/kind"])
    rule: str = Field(examples=["required"])
    detail: str


_MEANING: Final = {
    400: "It cannot be read at all.",
    401: "Nobody has signed in, or what was shown is not good (any more).",
    403: "Whoever asks has no right to it.",
    404: "Nothing of that name is known.",
    405: "The address does not know this method.",
    408: "The body did not arrive in time.",
    409: "It contradicts what is there: an overlap, a reference, an impossible step, a stale version.",
    413: "More bytes or rows than this door takes at once.",
    415: "The body's type or encoding is none that this address takes.",
    422: "It can be read, and breaks a rule; `errors` says which and where.",
    503: "It cannot work for now, as the detail says; nothing was taken.",
    429: "Over capacity for now; try again after `Retry-After` seconds.",
}


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route for these problems."""
    out: dict[int | str, dict[str, Any]] = {}
    for status in sorted(statuses):
        out[status] = {
            "description": _MEANING[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status == 429:
            out[status]["headers"] = {
                "Retry-After": {
                    "description": "seconds to wait",
                    "required": True,
                    "schema": {"type": "integer", "minimum": 1},
                }
            }
    return out


def problem(
    status: int,
    detail: str,
    faults: list[Fault] | None = None,
    headers: dict[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """One problem as a response."""
    title = HTTPStatus(status).phrase
    body: dict[str, Any] = {
        "type": "urn:cocket:problem:" + title.lower().replace(" ", "-"),
        "title": title,
        "status": status,
        "detail": detail,
    }
    asked = logs.fact("request_id")
    if asked is not None:
        body["request_id"] = asked
    if faults:
        body["errors"] = [{"path": f.path, "rule": f.rule, "detail": f.detail} for f in faults]
    return Response(_encoded(body | dict(members or {})), status, headers, MEDIA_TYPE)


def _encoded(body: dict[str, Any]) -> bytes:
    """As JSON, whatever was sent: a half surrogate that is quoted back becomes a question mark."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return msgspec.json.encode(_mended(body))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {k: _mended(v) for k, v in value.items()}
    return [_mended(v) for v in value] if isinstance(value, list) else value


def of_error(error: CocketError) -> Response:
    """The problem that an error of ours is."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    headers = {"Retry-After": str(max(1, error.retry_after_s))} if isinstance(error, Busy) else None
    if status == 401:
        headers = {"WWW-Authenticate": _CHALLENGE}
    members = None
    if isinstance(error, Conflict) and error.state:
        members = {"state": error.state, "event": error.event, "allowed": list(error.allowed)}
    return problem(status, error.detail, error.faults, headers, members)


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem."""

    async def ours(_: Request, error: Exception) -> Response:
        assert isinstance(error, CocketError)
        return of_error(error)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [
            Fault(
                "/".join(str(p) for p in e["loc"]),
                str(e["type"]).replace("_", "-"),
                str(e["msg"]).removeprefix("Value error, "),
            )
            for e in error.errors()
        ]
        return problem(422, f"{faults[0].path}: {faults[0].detail}", faults)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        detail = str(error.detail)
        if error.status_code == 405:
            allowed = sorted(_methods(app, request))
            headers = {"Allow": ", ".join(allowed)}
            detail = f"{request.url.path} knows {', '.join(allowed)}, not {request.method}"
        elif error.status_code == 404 and detail == "Not Found":
            detail = f"there is nothing at {request.url.path}; /api/docs lists what there is"
        return problem(error.status_code, detail, None, headers)

    async def broken(_: Request, error: Exception) -> Response:
        asked = logs.fact("request_id")  # the front's headers are not on the answer to what broke it
        return problem(
            500,
            f"a fault of ours, {type(error).__name__}; the server's log has the place where it happened",
            headers=None if asked is None else {"X-Request-Id": asked},
        )

    app.add_exception_handler(CocketError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, broken)


def _methods(app: FastAPI, request: Request) -> set[str]:
    """All methods that the address knows, over every operation whose path matches it."""
    found: set[str] = set()
    for path, operations in app.openapi()["paths"].items():
        pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{\w+\}", path))
        if re.fullmatch(pattern, request.url.path):
            found |= {method.upper() for method in operations}
    return found or {"GET"}  # the pages that are no operations are only read
