"""Says of every request who asks, before anything else looks at it: ``request.state.principal``.

It authenticates and nothing more; what somebody may do is the policies' to say. Requests that a foreign page makes a
browser send are turned away here (OWASP, Cross-Site Request Forgery Prevention: fetch metadata, then Origin).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from cocket.core.config import Access
from cocket.core.errors import CocketError, Forbidden
from cocket.core.principal import STRANGER, UNSIGNED, Principal
from cocket.web import problems
from cocket.web.peer import Peer, Peers

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class SignIn:
    """ASGI middleware. Sets ``state.principal`` and ``state.peer`` of every HTTP request."""

    def __init__(self, app: ASGIApp, settings: Access) -> None:
        self._app = app
        self._settings = settings
        self._peers = Peers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Know who asks, then let the others work; answer 401 or 403 with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        peer = self._peers.of(scope)
        headers = Headers(scope=scope)
        try:
            self._own_page(scope, headers, peer)
            principal = await self._principal(headers, peer)
        except CocketError as error:
            await problems.of_error(error)(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["principal"], state["peer"] = principal, peer
        await self._app(scope, receive, send)

    async def _principal(self, headers: Headers, peer: Peer) -> Principal:  # noqa: ARG002 - sessions follow
        return STRANGER if self._settings.sign_in else UNSIGNED

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
