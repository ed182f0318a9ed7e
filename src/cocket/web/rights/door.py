"""The one place where rights are enforced: before any route, between who asks and what answers.

A request without a row in the table is refused, as is one that no policy permits (401 for who has not signed in, RFC 9110, 15.5.2;
403 in words for who has). Who sees only a part is told 404 of a thing outside it, in the words of one that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cocket.core.errors import NotFound, NotSignedIn
from cocket.core.principal import UNSIGNED, Principal
from cocket.engine.service import Service
from cocket.store.sight import Sight
from cocket.web import problems
from cocket.web.rights.asker import Asker, sight_of
from cocket.web.rights.engine import Policies, Wanted
from cocket.web.rights.outside import kept_to_parts, public
from cocket.web.rights.table import Lookup, Right, named

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Guard:
    """ASGI middleware. Reads ``state.principal``, sets ``state.asker``."""

    def __init__(self, app: ASGIApp, service: Service, policies: Policies) -> None:
        self._app = app
        self._service = service
        self._policies = policies
        self._lookup = Lookup()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it in, or answer with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        who: Principal = state.get("principal", UNSIGNED)
        if who is UNSIGNED:
            state["asker"] = Asker(who, self._policies, self._service)
            await self._app(scope, receive, send)
            return
        right = self._lookup.find(scope["method"], scope["path"])
        refusal = None
        asker = Asker(who, self._policies, self._service)
        if right is None:
            refusal = self._unknown(scope, who)
        elif not right.public:
            purpose = _purpose(scope)
            now_us = self._service.clock.now_us()
            asker = Asker(who, self._policies, self._service, purpose, sight_of(who, right.resource, now_us))
            refusal = self._refusal(right, asker, now_us)
            if refusal is None and asker.sight is not None:
                refusal = await run_in_threadpool(self._hidden, right, scope["path"], asker.sight)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        state["asker"] = asker
        if right is not None and (
            (asker.outside and right.rows not in {"", "own"}) or (_nobody(who) and right.resource == "key")
        ):
            send = _Publishing(send, asker)
        await self._app(scope, receive, send)

    def _unknown(self, scope: Scope, who: Principal) -> Response | None:
        path = scope["path"]
        if path != "/api" and not path.startswith("/api/"):
            return None  # the control room's files
        if _nobody(who):
            return _unsigned()
        known = [m for m in _METHODS if self._lookup.find(m, path) is not None]
        if known:
            detail = f"{path} knows {', '.join(known)}, not {scope['method']}"
            return problems.problem(405, detail, None, {"Allow": ", ".join(known)})
        return problems.problem(404, f"there is nothing at {path}; /api/docs lists what there is")

    def _refusal(self, right: Right, asker: Asker, now_us: int) -> Response | None:
        if _nobody(asker.who):
            return _unsigned()
        wanted = Wanted(right.action, right.resource, right.personal, purpose=asker.purpose)
        decision = self._policies.decide(asker.who, wanted, now_us)
        if not decision.allowed:
            return problems.problem(
                403, decision.words(asker.who, wanted), None, None, {"action": right.action}
            )
        if asker.sight is not None and not right.rows:
            detail = f"{right.method} {right.path} is not for who sees a part of the movements only"
            return problems.problem(403, detail, None, None, {"action": right.action})
        return None

    def _hidden(self, right: Right, path: str, sight: Sight) -> Response | None:
        """404 for a thing that is not there for them."""
        if right.rows in {"", "own", "list"}:
            return None
        names = named(right, path)
        key = names.get("mrn") or next(iter(names.values()))
        if self._shows(right, key, sight):
            return None
        return problems.of_error(NotFound(f"there is no {right.rows} {key!r}"))

    def _shows(self, right: Right, key: str, sight: Sight) -> bool:
        folder = self._service.folder
        if right.rows == "alert":
            return folder.sights.alert(sight, key)
        mrn: str | None = key
        try:
            if right.rows == "document":
                mrn = folder.documents.get(key).mrn
            elif right.rows in {"code", "binding"}:
                if not (key.isascii() and key.isdecimal() and len(key) < 19):
                    return False
                code = right.rows == "code"
                mrn = (
                    self._service.codes.get(int(key))["mrn"]
                    if code
                    else self._service.reference.binding(int(key)).mrn
                )
        except NotFound:
            return False
        return mrn is not None and mrn in folder.sights.seen(sight, [mrn])


class _Publishing:
    """Holds an answer in JSON back until it is whole, and sends what of it is for people outside."""

    def __init__(self, send: Send, asker: Asker) -> None:
        self._send = send
        self._asker = asker
        self._start: Message | None = None
        self._parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = Headers(raw=message["headers"]).get("content-type", "")
            if message["status"] < 400 and kind.partition(";")[0] == "application/json":
                self._start = message
                return
        elif self._start is not None and message["type"] == "http.response.body":
            self._parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = await run_in_threadpool(self._made_public, b"".join(self._parts))
            MutableHeaders(raw=self._start["headers"])["content-length"] = str(len(body))
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": body})
            return
        await self._send(message)

    def _made_public(self, body: bytes) -> bytes:
        value = kept_to_parts(msgspec.json.decode(body), self._asker)
        return msgspec.json.encode(public(value, self._asker.who.id))


def _purpose(scope: Scope) -> str:
    """The first word of what the request says that it is for: ``investigation: case 12``."""
    said = Headers(scope=scope).get("x-purpose", "").split()
    return said[0].rstrip(":,;").lower() if said else "duty"


def _nobody(who: Principal) -> bool:
    return who.kind == "nobody" and not who.roles


def _unsigned() -> Response:
    return problems.of_error(NotSignedIn("sign in, or send a token: Authorization: Bearer …"))


def declared_refusals(operations: Mapping[str, Mapping[str, Any]]) -> None:
    """Add the two refusals to every operation of an OpenAPI document's paths that is not public."""
    lookup = Lookup()
    for path, methods in operations.items():
        for method, operation in methods.items():
            right = lookup.find(method.upper(), path)
            if right is not None and not right.public:
                for status, answer in problems.declared(401, 403).items():
                    operation["responses"].setdefault(str(status), answer)
