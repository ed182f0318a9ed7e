"""The web application: all doors over one ``Service``, the live stream, and the control room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cocket import __version__
from cocket.access.desk import AccessDesk
from cocket.core.config import Settings
from cocket.core.errors import BadSetting, CocketError
from cocket.customs import shapes
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.web import docs_page, metrics, models, models_access, models_file, models_gates, problems
from cocket.web.audited import Audited
from cocket.web.bodies import Intake
from cocket.web.control_room import ControlRoom
from cocket.web.rights.door import Guard, declared_refusals
from cocket.web.rights.engine import Policies
from cocket.web.routes import (
    accounts,
    alerts,
    audit,
    cases,
    clean_trip,
    codes,
    commands,
    documents,
    frames,
    gates,
    grants,
    live,
    movement_file,
    movements,
    observations,
    own_account,
    persons,
    reference,
    retention,
    scans,
    seals,
    stamps,
    system,
    transports,
)
from cocket.web.routes import sign_in as signing_in
from cocket.web.sign_in import SignIn
from cocket.web.stream import Streams
from cocket.web.tracking import Tracked

BASE: Final = "/api/v1"

_OBSERVATIONS: Final = f"{BASE}/observations"

_DESCRIPTION: Final = """
Cocket joins what devices at the border and along the supply chain observe to the customs file that it concerns,
and says within a second what changed and how much it matters.

Times are RFC 3339; answers give UTC with `Z`. Units stand in the names: `speed_mps`, `temp_c`. Unknown is null, never
0. Errors are `application/problem+json` (RFC 9457). Lists are pages: `next` is the cursor of the following page.
"""

_TAGS: Final = (
    ("observations", "What devices say: sent here, durable when answered."),
    ("frames", "Frames of device protocols: the same as `cocket decode`, into the pipeline."),
    ("commands", "What devices are asked to do: who, why, who approved, what they answered."),
    ("quarantine", "Rows that broke a rule, with their bytes; to be looked at and sent again."),
    ("documents", "Customs' own messages, in; the canonical model and the original, out."),
    ("movements", "Transits: declared, found, followed; what happened to them, step by step."),
    ("feed", "The status feed: every event, in the order of recording."),
    ("enquiries", "Arrivals that are overdue."),
    ("seals", "The seal stock."),
    ("guarantees", "The guarantee ledger."),
    ("bindings", "Which device was on which equipment for which movement, and when."),
    ("zones", "Areas that mean something: GeoJSON polygons."),
    ("corridors", "Authorised routes: GeoJSON lines with a half-width."),
    ("offices", "Customs offices."),
    ("devices", "E-seals, trackers, sensors, readers."),
    ("codes", "Codes on papers: signed, good for one use, checked without a network."),
    ("keys", "What signs them: the public keys, rotation, revocation."),
    ("scans", "Codes that were read: accepted once, or refused with the reasons."),
    ("stamps", "Excise stamps: ranges, what happened to them, and the public's checks."),
    ("gates", "What plate readers at barriers saw, and whether they opened."),
    ("transports", "A vehicle and a phone in its cab, and the movements that they carry."),
    ("trips", "Links on which a trader follows a trip."),
    ("cases", "All that waits for somebody on a movement, and who is sent."),
    ("alerts", "What the machine found, and what people did about it."),
    ("grants", "What partner authorities may see, for what purpose, and until when."),
    ("rules", "Thresholds, and who changed them."),
    ("changes", "Who changed what reference data."),
    ("audit", "Who read personal data, and who changed what."),
    ("retention", "How long what is kept, why, and the proofs of what was dropped."),
    ("persons", "What is held on a person."),
    ("live", "Server-sent events."),
    ("sign-in", "Name and password, a second factor, one-time links, the OpenID Connect provider."),
    ("account", "One's own account: who asks, password, second factor, sessions, tokens."),
    ("accounts", "Everybody's accounts, for the owner."),
    ("system", "Health and figures."),
    ("demo", "Only while the server runs a demo."),
)

_REQUEST_MODELS: Final[tuple[type[BaseModel], ...]] = (
    shapes.Zone,
    shapes.Corridor,
    shapes.Office,
    shapes.Device,
    shapes.Movement,
    shapes.Binding,
    shapes.BindingEnd,
    models.AlertAct,
    models.Track,
    observations.Replay,
    commands.NewCommand,
    commands.Person,
    models_file.MovementAct,
    models_file.NewSeal,
    models_file.SealAct,
    models_file.NewGuarantee,
    models_file.GuaranteeAct,
    codes.NewCode,
    codes.ReasonGiven,
    scans.NewScan,
    stamps.NewStampRange,
    stamps.StampHappening,
    stamps.NewStampCheck,
    models_gates.NewGate,
    models_gates.NewArrival,
    models_gates.NewTransport,
    models_gates.NewPosition,
    models_gates.NewLink,
    models_gates.NewUnit,
    models_gates.NewDispatch,
    grants.NewGrant,
    system.RulesDocument,
    *models_access.REQUESTS,
    problems.Problem,
)

_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_HTTPS_ONLY: Final = "max-age=31536000; includeSubDomains"
_NOTHING: Final = "default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


class _Headers:
    """Sets what every answer carries, and tells of each request (``web.tracking``). A page that needs more has its own
    content-security-policy.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        tracked = Tracked(scope)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                tracked.status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", _NOTHING)
                headers["x-request-id"] = tracked.request_id
                if tracked.traceparent:
                    headers["traceparent"] = tracked.traceparent
                if scope["path"].startswith("/api/"):
                    headers.setdefault("cache-control", "no-store")
                if scope["scheme"] == "https":
                    headers.setdefault("strict-transport-security", _HTTPS_ONLY)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            tracked.status = tracked.status or 500
            raise
        finally:
            tracked.ended(self._service.figures)


class _ShortWay:
    """Takes bodies of observations past the router.

    The router's way costs half a millisecond a request, as much as reading a thousand rows; the short way calls the same
    function and answers errors with the same problems.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["path"] == _OBSERVATIONS
            and scope["method"] == "POST"
            and not scope["query_string"]
        ):
            await self._observations(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _observations(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await observations.send(Request(scope, receive), self._service)
        except CocketError as error:
            response = problems.of_error(error)
        except HTTPException as error:
            response = problems.problem(error.status_code, error.detail)
        await response(scope, receive, send)


def create_app(
    service: Service,
    settings: Settings,
    gateway: Gateway,
    *,
    demo: bool = False,
    access: AccessDesk | None = None,
) -> FastAPI:
    """The application over a running service and its gateway; ``demo`` opens ``PUT /demo`` and says so in /health.

    ``access`` is the desk where people sign in; without one the settings must not ask for sign-in.
    """
    if settings.access.sign_in and access is None:
        raise BadSetting("access.sign_in is set, and no desk to sign in at was opened")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.streams.open()
        yield
        app.state.streams.close()

    policies = Policies(Path(settings.access.policies) if settings.access.policies else None)
    app = FastAPI(
        title="Cocket",
        version=__version__,
        description=_DESCRIPTION,
        openapi_tags=[{"name": name, "description": text} for name, text in _TAGS],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.service = service
    app.state.gateway = gateway
    app.state.access = access
    app.state.demo = demo
    app.state.demo_story = None
    app.state.intake = Intake(settings.http.max_body_bytes)
    app.state.max_rows = settings.http.max_rows
    app.state.streams = Streams(service)
    problems.install(app)
    routers = [
        observations,
        frames,
        reference,
        commands,
        movements,
        documents,
        movement_file,
        clean_trip,
        seals,
        codes,
        scans,
        stamps,
        gates,
        transports,
        cases,
        alerts,
        grants,
        audit,
        retention,
        persons,
        live,
        system,
        signing_in,
        own_account,
        accounts,
    ]
    for part in routers:
        app.include_router(part.router, prefix=BASE)
    app.include_router(signing_in.provider_router, prefix=BASE)
    if demo:
        app.include_router(system.demo_router, prefix=BASE)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    _add_pages(app, service, gateway)
    # The last added is the first asked: headers, then who asks, then what is recorded of it, then what they may, then the short way.
    app.add_middleware(_ShortWay, service=service)
    app.add_middleware(Guard, service=service, policies=policies)
    app.add_middleware(Audited, service=service)
    app.add_middleware(SignIn, settings=settings.access, desk=access)
    app.add_middleware(_Headers, service=service)
    app.router.default = ControlRoom(settings.map.tiles)
    return app


def _add_pages(app: FastAPI, service: Service, gateway: Gateway) -> None:
    @app.get("/api/openapi.json", include_in_schema=False)
    def openapi() -> Response:
        from cocket.web.answers import Json

        return Json(app.openapi())

    @app.get("/api/docs", include_in_schema=False)
    def docs() -> Response:
        return docs_page.response(app.openapi())

    @app.get("/metrics", include_in_schema=False)
    def prometheus() -> Response:
        return Response(metrics.text(service, gateway, app.state.streams), media_type=metrics.CONTENT_TYPE)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with the shapes of the bodies that we read ourselves."""
    if app.openapi_schema is None:
        schema = FastAPI.openapi(app)
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        _, definitions = models_json_schema(
            [(m, "validation") for m in _REQUEST_MODELS], ref_template="#/components/schemas/{model}"
        )
        for name, definition in definitions["$defs"].items():
            components.setdefault(name, definition)
        components["NewObservation"] = observations.observation_schema()
        for operations in schema["paths"].values():
            for operation in operations.values():
                for answer in operation["responses"].values():
                    if answer["description"] == "Successful Response":  # FastAPI's own words
                        answer["description"] = "Done"
        declared_refusals(schema["paths"])
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        app.openapi_schema = schema
    return app.openapi_schema
