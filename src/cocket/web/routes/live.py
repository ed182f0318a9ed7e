"""The door of the live stream."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response

from cocket.core.errors import Fault, Forbidden, Refused
from cocket.web.asking import Asks, known_query
from cocket.web.problems import declared
from cocket.web.stream import Asked, EventStream, Streams

router = APIRouter(tags=["live"], dependencies=[Depends(known_query)])

TOPICS = ("alerts", "positions", "stats")
_TOPICS_PATTERN = r"^(alerts|positions|stats)(,(alerts|positions|stats))*$"
_NUMBER = r"-?[0-9]{1,3}(\.[0-9]{1,15})?"
_BOX_PATTERN = rf"^{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}$"


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    west, south, east, north = (float(part) for part in text.split(","))
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        detail = (
            f"bbox {text!r} is no west,south,east,north in degrees (west > east crosses the antimeridian)"
        )
        raise Refused(detail, [Fault("query/bbox", "range", detail)])
    return west, south, east, north


_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events until the client leaves: `alert` (data: an Alert; id: its number), `reset` (read "
        "GET /alerts anew), `positions`, `stats`; comments while nothing happens.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/stream",
    summary="Live: alerts, positions, figures",
    response_model=None,
    responses={**_EVENTS, **declared(422)},
)
async def stream(
    request: Request,
    asks: Asks,
    topics: Annotated[
        str, Query(pattern=_TOPICS_PATTERN, description="alerts, positions, stats, joined by commas")
    ] = "alerts",
    bbox: Annotated[
        str | None, Query(pattern=_BOX_PATTERN, description="map window for positions: west,south,east,north")
    ] = None,
    zoom: Annotated[float, Query(ge=0, le=24, description="web map zoom, for clusters")] = 10,
    last_event_id: Annotated[
        int | None,
        Query(ge=0, le=2**63 - 1, description="resume alerts behind this event; so does Last-Event-ID"),
    ] = None,
    resume: Annotated[
        str | None, Header(alias="Last-Event-ID", description="resume alerts behind this event")
    ] = None,
) -> Response:
    """Server-sent events. Alerts come at once, each numbered; positions and figures once a second.

    `positions` carries objects while at most some thousands are in the window (`full` replaces all, else only what
    changed), else clusters: `[lat, lon, count, worst state]`.
    """
    after = last_event_id
    if resume is not None and resume.isascii() and resume.isdigit() and len(resume) < 19:
        after = int(resume)
    wanted = frozenset(topics.split(","))
    if "stats" in wanted:
        asks.may("system:read", "system")
        if asks.sight is not None:
            raise Forbidden("figures are of all movements; ask for alerts and positions")
    streams: Streams = request.app.state.streams
    return EventStream(streams, Asked(wanted, after, _box(bbox), zoom, asks))
