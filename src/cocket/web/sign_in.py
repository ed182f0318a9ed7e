"""Says of every request who asks, before anything else looks at it: ``request.state.principal``.

It authenticates and nothing more; what somebody may do is the policies' to say. Requests that a foreign page makes a
browser send are turned away here (OWASP, Cross-Site Request Forgery Prevention: fetch metadata, then Origin).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cocket.access.desk import AccessDesk, Found
from cocket.core.config import Access
from cocket.core.errors import CocketError, Forbidden, NotSignedIn
from cocket.core.principal import STRANGER, UNSIGNED, Principal
from cocket.web import problems
from cocket.web.peer import Peer, Peers

OWN_HEADER: Final = "x-cocket"
"""The control room sends it with every request. No foreign page can, without being allowed to."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_AGAIN_S: Final = 5.0
"""A stream asks this often whether whoever reads it may still."""


def cookie_name(peer: Peer) -> str:
    """Of the session. Over HTTPS no other host and no plain page can set it (RFC 6265bis, 4.1.3.2)."""
    return "__Host-cocket" if peer.scheme == "https" else "cocket"


class SignIn:
    """ASGI middleware. Sets ``state.principal``, ``state.session`` and ``state.peer`` of every HTTP request."""

    def __init__(self, app: ASGIApp, settings: Access, desk: AccessDesk | None) -> None:
        self._app = app
        self._settings = settings
        self._desk = desk
        self._peers = Peers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Know who asks, then let the others work; answer 401 or 403 with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        peer = self._peers.of(scope)
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["peer"], state["session"] = peer, None
        try:
            self._own_page(scope, headers, peer)
            if self._desk is None:
                state["principal"] = UNSIGNED
                await self._app(scope, receive, send)
                return
            look = self._shown(self._desk, headers, peer)
            found = None if look is None else await run_in_threadpool(look)
            state["principal"] = self._principal(self._desk, headers, peer, found)
            if found is not None and found.session is not None:
                self._meant(scope, headers)
                state["session"] = found.session
        except CocketError as error:
            await problems.of_error(error)(scope, receive, send)
            return
        if look is not None and found is not None and scope["path"].endswith("/stream"):
            send = _while_good(send, look)
        await self._app(scope, receive, send)

    @staticmethod
    def _shown(desk: AccessDesk, headers: Headers, peer: Peer) -> Callable[[], Found | None] | None:
        """How to find out whose token or session was shown; None where neither was."""
        given = headers.get("authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            if scheme.lower() != "bearer":
                raise NotSignedIn("programs show a token: Authorization: Bearer ckt_…")
            return lambda: desk.by_token(token.strip())
        secret = shown_cookie(headers, cookie_name(peer))
        return None if secret is None else lambda: desk.by_session(secret)

    @staticmethod
    def _principal(desk: AccessDesk, headers: Headers, peer: Peer, found: Found | None) -> Principal:
        if found is not None:
            return found.principal
        if "authorization" in headers:
            raise NotSignedIn("this token is unknown, expired or revoked, or its account may not sign in")
        known = None if peer.certificate is None else desk.by_certificate(peer.certificate)
        return known or STRANGER

    def _own_page(self, scope: Scope, headers: Headers, peer: Peer) -> None:
        """Raises ``Forbidden`` for what a foreign page made a browser send."""
        host = headers.get("host", "")
        if not self._settings.sign_in and not _names_no_domain(host):
            raise Forbidden(
                f"nobody signs in here, so it answers only to an address or to localhost, not to {host[:100]!r} "
                "(a foreign page could have lent that name to this machine); set access.sign_in to use a name"
            )
        if scope["method"] in _SAFE:
            return
        fetched = headers.get("sec-fetch-site", "same-origin")
        origin = headers.get("origin")
        own = self._settings.origin or f"{peer.scheme}://{host}"
        if fetched not in {"same-origin", "none"} or (origin is not None and not _same(origin, own)):
            raise Forbidden("a page of another site sent this; Cocket takes changes from its own pages only")

    @staticmethod
    def _meant(scope: Scope, headers: Headers) -> None:
        """Raises ``Forbidden`` for a change by a session that nothing says came from our own page."""
        if scope["method"] in _SAFE or "sec-fetch-site" in headers or "origin" in headers:
            return
        if OWN_HEADER not in headers:
            raise Forbidden(
                f"a change by a session says where it comes from: Sec-Fetch-Site, Origin, or the field {OWN_HEADER}; "
                "programs show a token instead"
            )


def shown_cookie(headers: Headers, name: str) -> str | None:
    """The value of a cookie; None where none or two were sent, of which one might be a stranger's."""
    pairs = [pair for line in headers.getlist("cookie") for pair in line.split(";")]
    if sum(pair.partition("=")[0].strip() == name for pair in pairs) != 1:
        return None
    return cookie_parser("; ".join(pairs)).get(name)


def _while_good(send: Send, look: Callable[[], Found | None]) -> Send:
    """A stream ends when whoever reads it has signed out or may not read it any more."""
    loop = asyncio.get_running_loop()
    checked = loop.time()
    ended = False

    async def sending(message: Message) -> None:
        nonlocal checked, ended
        if not ended and loop.time() - checked >= _AGAIN_S:
            checked = loop.time()
            if await run_in_threadpool(look) is None:
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        if ended:
            raise OSError("whoever read this stream is not signed in any more")
        await send(message)

    return sending


def _same(origin: str, own: str) -> bool:
    """Whether two origins are one (RFC 6454, 5)."""
    return _triple(origin) == _triple(own)


def _triple(origin: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(origin)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", origin, None
    return parts.scheme, parts.hostname or "", port


def _names_no_domain(host: str) -> bool:
    """Whether a Host field holds an address, localhost or a name without a dot, which nobody's name service can lend."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
