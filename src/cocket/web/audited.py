"""What goes into the audit, and when: around every route of the API.

A change is recorded as begun before it is let through, on the disk, and its outcome after it, before long: who is killed
between the two has left the first. A read of personal data is recorded with its answer, on the disk before the answer leaves. Where
the audit cannot be written, nothing is changed and nothing personal told (503).

Not recorded is what devices say (observations, frames, phones' positions): it is in the log with its source, is nobody's doing,
and comes a million times as often. Who signs in or fails to is recorded by the sign-in itself; what somebody known was refused
(403) is recorded.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cocket.core import logs
from cocket.core.errors import CocketError
from cocket.core.person import told_by_hash
from cocket.core.principal import STRANGER, UNSIGNED, Principal
from cocket.engine.service import Service
from cocket.store.audit import Entry
from cocket.web import problems
from cocket.web.rights.table import Lookup, Right, named

BASE: Final = "/api/v1"
_READS: Final = ("GET", "HEAD", "OPTIONS")
_BODY_BYTES: Final = 65_536
"""Bodies up to this size are looked at for who is said to do it."""

_SAID_BY_DEVICES: Final = frozenset({"observation:send", "transport:report"})
_NAMES: Final = frozenset(
    {"mrn", "device_id", "equipment_id", "gate", "plate", "id", "kind", "holder", "code", "unit"}
)
"""Query parameters that say what is asked for, not how much of it."""
_TOLD_BY_HASH: Final = frozenset({"token", "plate", "name", "phone", "eori", "email", "account", "text"})
"""What must not stand in the audit in clear: a secret, or what names a person. Its SHA-256 does."""


def is_change(right: Right) -> bool:
    """Whether it is a change that somebody answers for. The public's checks of stamps are kept without who asked."""
    return right.method not in _READS and right.action not in {"", *_SAID_BY_DEVICES}


def is_personal_read(right: Right) -> bool:
    """Whether its answer tells of people."""
    return right.method in _READS and right.personal


class Audited:
    """Between sign-in, which says who asks (``request.state.principal``), and the routes."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self.auditing = service.auditing
        self.clock = service.clock
        self._all_reads = service.settings.audit.reads == "all"
        self._rights = Lookup()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through with what it leaves behind."""
        right = None
        if scope["type"] == "http" and scope["path"].startswith(BASE):
            right = self._rights.find(scope["method"], scope["path"])
        who: Principal = scope.get("state", {}).get("principal", UNSIGNED)
        if (
            right is None or who is STRANGER
        ):  # no route, or nobody: it is turned away, and a flood of it fills no audit
            await self.app(scope, receive, send)
            return
        if is_change(right):
            await _Recorder(self, scope, who, right).change(receive, send)
        elif is_personal_read(right) and (self._all_reads or who is not UNSIGNED):
            await _Recorder(self, scope, who, right).read(receive, send)
        else:
            await self.app(scope, receive, send)


class _Recorder:
    """The entries of one request."""

    def __init__(self, door: Audited, scope: Scope, who: Principal, right: Right) -> None:
        self._door = door
        self._scope = scope
        self._who = who
        self._right = right
        headers = {k: v for k, v in scope["headers"] if k in {b"x-purpose", b"content-type"}}
        self._purpose = _plain(headers.get(b"x-purpose"))
        self._is_json = headers.get(b"content-type", b"").partition(b";")[0].endswith(b"json")
        self._request_id = str(logs.fact("request_id") or secrets.token_hex(8))
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        self._said_by = query.get("by", "")[:128] or None
        self._subject = {
            name: told_by_hash(name, value) if name in _TOLD_BY_HASH else value[:128]
            for name, value in query.items()
            if name in _NAMES or name in _TOLD_BY_HASH
        }
        self._subject |= {
            name: told_by_hash(name, value) if name == "token" else value[:128]
            for name, value in named(right, scope["path"]).items()
        }
        self._body = bytearray()

    def _entry(self, status: int | None) -> Entry:
        return Entry(
            at_us=self._door.clock.now_us(),
            who=self._who.id,
            kind=self._who.kind,
            roles=tuple(sorted(self._who.roles)),
            said_by=self._said_by or self._body_by(),
            action=self._right.action,
            method=self._right.method,
            route=self._right.path,
            subject=self._subject,
            purpose=self._purpose,
            status=status,
            request_id=self._request_id,
        )

    def _body_by(self) -> str | None:
        try:
            given = json.loads(self._body) if self._body else None
        except (ValueError, RecursionError):
            return None  # the route says what is wrong with it
        by = given.get("by") if isinstance(given, dict) else None
        return by[:128] if isinstance(by, str) else None

    def _reading(self, receive: Receive) -> Receive:
        async def receiving() -> Message:
            message = await receive()
            if self._is_json and message["type"] == "http.request" and len(self._body) < _BODY_BYTES:
                self._body += message.get("body", b"")[:_BODY_BYTES]
            return message

        return receiving

    async def change(self, receive: Receive, send: Send) -> None:
        """Begun, on the disk; then the change; then its outcome."""
        status: int | None = None

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._door.auditing.submit(self._entry(status))
            await send(message)

        if not await self._durable(None, receive, send):
            return
        try:
            await self._door.app(self._scope, self._reading(receive), sending)
        except Exception:
            if status is None:
                self._door.auditing.submit(self._entry(500))
            raise

    async def read(self, receive: Receive, send: Send) -> None:
        """The answer waits until it is recorded that it is given."""
        refused = False

        async def sending(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = not await self._durable(message["status"], receive, send)
            if not refused:
                await send(message)

        await self._door.app(self._scope, receive, sending)

    async def _durable(self, status: int | None, receive: Receive, send: Send) -> bool:
        """Record and wait for the disk; False when that cannot be, which was answered."""
        try:
            await asyncio.wrap_future(self._door.auditing.submit(self._entry(status)))
        except CocketError as error:
            await problems.of_error(error)(self._scope, receive, send)
            return False
        return True


def _plain(raw: bytes | None) -> str | None:
    """A header as text, if it is printable and no longer than 200 characters."""
    text = "" if raw is None else raw.decode("latin-1").strip()
    return text if text and len(text) <= 200 and text.isprintable() else None
