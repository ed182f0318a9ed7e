"""Health, figures, rules, and the demo's story."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cocket import __version__
from cocket.core.clock import ReplayClock, parse_rfc3339
from cocket.core.errors import Forbidden, Malformed, NotFound
from cocket.customs.shapes import Moment
from cocket.engine.service import Service
from cocket.web import answers, metrics, models
from cocket.web.asking import Asked, By, known_query
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.problems import declared
from cocket.web.rights.asker import Asker

router = APIRouter(tags=["system"], dependencies=[Depends(known_query)])
demo_router = APIRouter(tags=["demo"], dependencies=[Depends(known_query)])


@router.get("/health", summary="Is it up, and what time has it", response_model=models.Health)
async def health(request: Request, service: Asked) -> Response:
    """Answers 200 once the server can take observations. In a demo `now` is simulated time.

    `degraded` with its reason means that observations are taken and kept, and that the detectors stand still or had to
    leave something out: journeys whose history is damaged, or observations on which they fail. `alarms` are what Cocket
    finds wrong with itself: lag, a growing quarantine, silent sources, disk, clocks, damage. Where people sign in, they and
    `detail` are for those who may see its figures (`system:read`).
    """
    told = _may_see_figures(request.state.asker)
    tiles = service.settings.map.tiles or None
    return answers.Json(
        {
            "status": "ok" if service.failure is None else "degraded",
            "detail": service.failure if told else None,
            "version": __version__,
            "now": answers.moment(service.clock.now_us()),
            "clock": {"kind": service.clock.kind, "speed": service.clock.speed},
            "demo": bool(request.app.state.demo),
            "tiles": tiles,
            "attribution": service.settings.map.attribution or None,
            "alarms": [
                {"code": a.code, "since": answers.moment(a.since_us), "detail": a.detail, "do": a.do}
                for a in (service.alarms.current if told else ())
            ],
        }
    )


def _may_see_figures(asker: Asker) -> bool:
    try:
        asker.may("system:read", "system")
    except Forbidden:
        return False
    return True


def stats_of(service: Service) -> dict[str, Any]:
    """The figures with the time they are of."""
    return {**service.stats(), "now": answers.moment(service.clock.now_us())}


@router.get("/stats", summary="How much, and how far", response_model=models.Stats)
def stats(service: Asked) -> Response:
    """The sum of observations, duplicates and rejected is every row that ever came in."""
    return answers.Json(stats_of(service))


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_model=None,
    responses={
        200: {"content": {metrics.CONTENT_TYPE: {"schema": {"type": "string"}}}, "description": "Text"}
    },
)
def prometheus(request: Request, service: Asked) -> Response:
    """In the text exposition format; also at /metrics."""
    return Response(
        metrics.text(service, request.app.state.gateway, request.app.state.streams),
        media_type=metrics.CONTENT_TYPE,
    )


class RulesDocument(BaseModel):
    """Thresholds: for all journeys, and by corridor, goods and device class. The more special wins."""

    model_config = ConfigDict(extra="forbid")

    defaults: Annotated[
        dict[str, dict[str, Any]],
        Field(description="by detector, its parameters", examples=[{"route-deviation": {"warn_m": 800}}]),
    ] = {}
    corridors: Annotated[
        dict[str, dict[str, dict[str, Any]]], Field(description="by corridor, then as defaults")
    ] = {}
    goods: Annotated[dict[str, dict[str, dict[str, Any]]], Field(description="by class of goods")] = {}
    device_classes: Annotated[dict[str, dict[str, dict[str, Any]]], Field(description="by device class")] = {}


def _rules(service: Service) -> dict[str, Any]:
    document: dict[str, Any] = {"corridors": {}, "goods": {}, "device_classes": {}}
    stored = service.reference.store.get("rules", "rules")
    given = {} if stored is None else stored.doc
    defaults = service.rules_defaults()["defaults"]
    changed = given.get("defaults", {})
    return {
        **document,
        **given,
        "defaults": {name: {**values, **changed.get(name, {})} for name, values in defaults.items()},
    }


@router.get("/rules", tags=["rules"], summary="The rules in force", response_model=RulesDocument)
def rules(service: Asked) -> Response:
    """Every parameter of every detector as it holds, and what was set for corridors, goods and device classes."""
    return answers.Json(_rules(service))


@router.put(
    "/rules",
    tags=["rules"],
    summary="Change the rules",
    response_model=RulesDocument,
    responses=declared(400, 408, 413, 415, 422, 429),
    openapi_extra=json_content("RulesDocument", example={"defaults": {"route-deviation": {"warn_m": 800}}}),
)
def put_rules(service: Asked, body: JsonBody, by: By) -> Response:
    """Replaces what was set before; what is not named goes back to its default. The change is recorded."""
    given = parsed(body)
    validated(RulesDocument, given)
    service.reference.put_rules(given, service.check_rules, by=by)
    service.reference_changed()
    return answers.Json(_rules(service))


class DemoStory(BaseModel):
    """What is real and what is simulated, how far it is, and at the end what was found."""

    model_config = ConfigDict(extra="allow")

    real: list[str]
    simulated: list[str]
    speed: float | None = None
    started_at: models.Time | None = None
    ends_at: models.Time | None = None
    progress: Annotated[float, Field(ge=0, le=1)] = 0
    finished: bool = False
    table: dict[str, Any] | None = None
    incidents: list[dict[str, Any]] | None = None
    stop_at: Annotated[Moment | None, Field(description="where simulated time stands still")] = None


@router.get(
    "/demo", tags=["demo"], summary="The demo's story", response_model=DemoStory, responses=declared(404)
)
async def demo(request: Request) -> Response:
    """404 where the server runs no demo."""
    story = request.app.state.demo_story
    if story is None:
        raise NotFound("this server runs no demo")
    return answers.Json(story)


@demo_router.put(
    "/demo",
    summary="Tell the demo's story",
    response_model=DemoStory,
    responses=declared(400, 408, 413, 415, 422, 429),
    openapi_extra=json_content("DemoStory"),
)
async def put_demo(request: Request, service: Asked, body: JsonBody) -> Response:
    """Only while the server runs as a demo; the demo's director keeps it current.

    Simulated time stands still until it has told the story for the first time, and again at `stop_at`.
    """
    story = parsed(body)
    if not isinstance(story, dict):
        raise Malformed("an object is wanted")
    validated(DemoStory, story)
    request.app.state.demo_story = story
    if isinstance(service.clock, ReplayClock):
        if story.get("stop_at"):
            service.clock.stop_at(parse_rfc3339(story["stop_at"]))
        service.clock.release()
    return answers.Json(story)


@router.get(
    "/site",
    summary="Who does what, past one machine",
    response_model=models.Site,
    responses=declared(404),
)
def site(service: Asked) -> Response:
    """The partitions of the site, each with the worker that has it (null: none at the moment) and how far it is. 404 on one machine."""
    if service.site is None:
        raise NotFound("this Cocket runs on one machine: there are no partitions")
    return answers.Json(service.site.shown())
