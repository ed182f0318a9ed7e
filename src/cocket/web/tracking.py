"""What is told of each HTTP request: its id, its figures, its line in the log, and its trace where it is an observation's.

The id is the caller's ``X-Request-Id`` if that is short and plain, or is made; it goes back in the answer, stands in
problems and in every line of the log that the request causes.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from starlette.requests import Request
from starlette.types import Scope

from cocket.core import logs
from cocket.core.tracing import Mark, mark_of, trace_id, traceparent
from cocket.engine.figures import OTHER, Figures
from cocket.engine.service import Service

_ID: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_TRACKED: Final = "cocket.tracked"
_BASE: Final = "/api/v1"
"""Under which the routers of the API are; a route knows its path only from there on."""
_OBSERVATIONS: Final = f"{_BASE}/observations"
_ENDLESS: Final = "/stream"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_LEFT: Final = 499

_log: Final = logging.getLogger("cocket.access")


class Tracked:
    """One request on its way; ``status`` is filled in when it is known."""

    __slots__ = ("_began", "_scope", "request_id", "status", "traceparent")

    def __init__(self, scope: Scope) -> None:
        self._began = time.monotonic()
        self._scope = scope
        self.request_id = _given(scope) or os.urandom(8).hex()
        self.status = 0
        self.traceparent = ""
        scope[_TRACKED] = self
        logs.tell(request_id=self.request_id)

    def ended(self, figures: Figures) -> None:
        """The answer is out, or never will be: count it and tell of it."""
        took = time.monotonic() - self._began
        route = _template(self._scope)
        method = self._scope["method"] if self._scope["method"] in _METHODS else OTHER
        status = self.status or _CLIENT_LEFT
        figures.http_requests.labels(method, route, str(status)).inc()
        if not route.endswith(_ENDLESS):
            figures.http_seconds.labels(route).observe(took)
        if _log.isEnabledFor(logging.INFO):
            extra = {"method": method, "route": route, "status": status, "ms": round(took * 1000, 1)}
            _log.info("answered", extra=extra)


def _given(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _ID.fullmatch(value) else None
    return None


def _template(scope: Scope) -> str:
    """The route's template, so that no id becomes a label; what is no route of the API is one of a few words."""
    path = getattr(scope.get("route"), "path", None)
    given: str = scope["path"]
    if given == _OBSERVATIONS:  # taken past the router
        return given
    if isinstance(path, str):
        return path if path.startswith(("/api/", "/metrics")) else f"{_BASE}{path}"
    return "/assets" if given.startswith("/assets/") else OTHER if given.startswith("/api/") else "/"


@contextmanager
def traced(request: Request, service: Service, began_s: float) -> Iterator[Mark | None]:
    """The span ``http.body`` around a body of observations; its mark if it is kept. The answer carries its traceparent."""
    if not service.tracing.on:
        yield None
        return
    tracked: Any = request.scope.get(_TRACKED)
    span = service.tracing.begin(
        "http.body",
        began_s=began_s,
        parent=request.headers.get("traceparent", ""),
        **{"http.route": request.scope["path"], "cocket.request_id": getattr(tracked, "request_id", "")},
    )
    assert span is not None
    mark = mark_of(span)
    if tracked is not None:
        tracked.traceparent = traceparent(span)
    logs.tell(trace_id=trace_id(mark))
    try:
        yield mark
    finally:
        span.end()
