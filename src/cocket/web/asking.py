"""What routes ask of a request beside its body: the service, who asks, pages, times; and that nothing is misspelt."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from fastapi.routing import APIRoute

from cocket.core.errors import Fault, Malformed, Refused
from cocket.customs.shapes import ID_PATTERN, Moment
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.web.rights.asker import Asker


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def known_query(request: Request) -> None:
    """Refuse a query parameter that the route does not know: a misspelt filter must not answer with everything."""
    route = request.scope.get("route")
    if not request.scope.get("query_string") or not isinstance(route, APIRoute):
        return
    names = [str(p.alias) for p in _query_params(route.dependant)]
    for given in request.query_params:
        if given not in names:
            near = get_close_matches(given, names, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it knows {', '.join(names) or 'none'}"
            detail = f"{given[:64]!r} is no query parameter here{hint}"
            raise Refused(detail, [Fault(f"query/{given[:64]}", "unknown-parameter", detail)])


def _query_params(dependant: Any) -> list[Any]:
    found = list(dependant.query_params)
    for inner in dependant.dependencies:
        found += _query_params(inner)
    return found


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


async def _asker(request: Request) -> Asker:
    asker: Asker = request.state.asker
    return asker


_SAID = Query(
    min_length=1,
    max_length=128,
    description="who does it; kept with the change. Where people sign in it is they, whatever is said here",
)


async def _by(request: Request, by: Annotated[str, _SAID] = "api") -> str:
    return (await _asker(request)).by(by)


async def _phone_by(request: Request, by: Annotated[str, _SAID] = "phone") -> str:
    return (await _asker(request)).by(by)


def number_cursor(cursor: str | None) -> int | None:
    """The number that a cursor of a numbered list is; ``Malformed`` if it is none."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise Malformed(f"{cursor!r} is no cursor of this list")
    return int(cursor)


Asked = Annotated[Service, Depends(_service)]
Gate = Annotated[Gateway, Depends(_gateway)]
Limit = Annotated[int, Query(ge=1, le=1000, description="most items on a page")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]
By = Annotated[str, Depends(_by)]
PhoneBy = Annotated[str, Depends(_phone_by)]
Asks = Annotated[Asker, Depends(_asker)]
At = Annotated[Moment | None, Query(description="RFC 3339")]
IdPath = Annotated[str, Path(pattern=ID_PATTERN, max_length=64)]
NumberPath = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = Annotated[str | None, Query(min_length=1, max_length=128)]
