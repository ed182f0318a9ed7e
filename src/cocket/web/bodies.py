"""Reading request bodies: bounded, decompressed, and JSON without guesses."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from cocket.core.errors import Busy, Malformed, Refused, TooLarge
from cocket.customs.shapes import faults_of

Model = TypeVar("Model", bound=BaseModel)

JSON_TYPES: Final = ("application/json", "application/geo+json")
_TIMEOUT_S: Final = 120
_SHARE: Final = 8
"""All bodies in flight together may hold so many times what one may."""


class Intake:
    """Counts the bytes of all bodies in flight, so that memory is bounded however many clients send at once."""

    def __init__(self, max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self.capacity = _SHARE * max_body_bytes
        self.held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body, decompressed; its bytes count as held until the context ends.

        Raises ``TooLarge`` over the limit for one body, ``Busy`` when all together hold too much; 408 for a
        body that does not arrive in time, 415 for an unknown encoding.
        """
        holding = _Holding(self)
        try:
            yield await self._receive(request, holding)
        finally:
            self.held -= holding.n

    async def _receive(self, request: Request, holding: _Holding) -> bytes:
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise HTTPException(415, f"content-encoding {encoding!r} is not taken; send it plain or as gzip")
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self.max_body_bytes:
            raise self._too_large(int(length))
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                async for chunk in request.stream():
                    holding.take(len(chunk))
                    if holding.n > self.max_body_bytes:
                        raise self._too_large(holding.n)
                    chunks.append(chunk)
        except TimeoutError:
            raise HTTPException(408, f"the body did not arrive within {_TIMEOUT_S} s") from None
        except ClientDisconnect:
            raise HTTPException(400, "the client left before its body was complete") from None
        body = b"".join(chunks)
        if encoding in {"gzip", "x-gzip"}:
            body = self._gunzip(body)
            holding.take(len(body))
        return body

    def _too_large(self, n: int) -> TooLarge:
        return TooLarge(
            f"the body has {n} bytes or more, at most {self.max_body_bytes} are taken; send it in parts"
        )

    def _gunzip(self, body: bytes) -> bytes:
        out: list[bytes] = []
        total = 0
        while body:
            member = zlib.decompressobj(31)
            try:
                out.append(member.decompress(body, self.max_body_bytes - total + 1))
            except zlib.error as error:
                raise Malformed(f"the body is no gzip: {error}") from error
            total += len(out[-1])
            if total > self.max_body_bytes:
                raise TooLarge(
                    f"the body grows over {self.max_body_bytes} bytes after decompression; send it in parts"
                )
            if not member.eof:
                raise Malformed("the gzip body is cut off before its end")
            body = member.unused_data
        return b"".join(out)


class _Holding:
    """What one body holds of an intake."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.n = 0

    def take(self, n: int) -> None:
        """Hold ``n`` bytes more, or raise ``Busy``."""
        if self._intake.held + n > self._intake.capacity:
            raise Busy("too many bodies are being received at once; try again", retry_after_s=1)
        self._intake.held += n
        self.n += n


def content_type(request: Request) -> str:
    """The media type without parameters, lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _json_body(request: Request) -> AsyncIterator[bytes]:
    given = content_type(request)
    if given not in JSON_TYPES:
        said = f"{given!r} is not taken" if given else "no content-type was given"
        raise HTTPException(415, f"{said}; send application/json")
    intake: Intake = request.app.state.intake
    async with intake.body(request) as body:
        yield body


JsonBody = Annotated[bytes, Depends(_json_body)]
"""The bytes of a JSON body; ``parsed`` makes values of them, in a worker thread if they may be many."""


async def _any_body(request: Request) -> AsyncIterator[bytes]:
    intake: Intake = request.app.state.intake
    async with intake.body(request) as body:
        yield body


AnyBody = Annotated[bytes, Depends(_any_body)]
"""The bytes of a body of any type."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {name[:64]!r} stands twice in one object; which one holds?")
            seen.add(name)
    return out


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def parsed(body: bytes) -> Any:
    """JSON values as RFC 8259 has them: no name twice, no NaN, no half characters. ``Malformed`` says where not."""
    try:
        value = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_constant)
        if b"\\ud" in body or b"\\uD" in body:
            json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise Malformed(f"the body is no UTF-8: {error.reason}") from error
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    except ValueError as error:
        raise Malformed(f"the body is no JSON: {error}") from error
    return value


def validated(model: type[Model], value: Any) -> Model:
    """The value as this model; ``Refused`` with every fault if it is none."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = faults_of(error)
        raise Refused(f"{faults[0].path or '/'}: {faults[0].detail}", faults) from None


def json_content(schema: str, *, many: bool = False, example: Any = None) -> dict[str, Any]:
    """``openapi_extra`` for a route that takes a JSON body of a component schema."""
    ref: dict[str, Any] = {"$ref": f"#/components/schemas/{schema}"}
    media: dict[str, Any] = {"schema": {"type": "array", "items": ref} if many else ref}
    if example is not None:
        media["example"] = example
    return {"requestBody": {"required": True, "content": {"application/json": media}}}
