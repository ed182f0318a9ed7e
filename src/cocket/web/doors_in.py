"""What the routes of signing in share: the desk, who asks, and the cookie."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.responses import Response

from cocket.access.desk import AccessDesk
from cocket.access.sessions import Session, Whence
from cocket.core.errors import Conflict, Forbidden, NotSignedIn
from cocket.core.principal import Principal
from cocket.web.peer import Peer
from cocket.web.sign_in import cookie_name, shown_cookie

_AGENT: Final = 200


async def _desk(request: Request) -> AccessDesk:
    desk: AccessDesk | None = request.app.state.access
    if desk is None:
        raise Conflict("nobody signs in here: access.sign_in is not set")
    return desk


async def _peer(request: Request) -> Peer:
    peer: Peer = request.state.peer
    return peer


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


async def _whence(request: Request) -> Whence:
    return Whence(request.state.peer.address, request.headers.get("user-agent", "")[:_AGENT])


async def _session(request: Request) -> Session:
    session: Session | None = request.state.session
    if session is None:
        raise NotSignedIn("sign in first, with a browser's session")
    return session


async def _somebody(request: Request) -> Principal:
    principal: Principal = request.state.principal
    if principal.kind == "nobody" and principal.proved == "none" and not principal.roles:
        raise NotSignedIn("sign in first")
    return principal


async def _owner(request: Request) -> Principal:
    principal = await _somebody(request)
    if "owner" not in principal.roles:
        raise Forbidden("accounts are the owner's to keep")
    return principal


async def _shut(request: Request) -> None:
    """Passwords do not cross a network in clear."""
    peer: Peer = request.state.peer
    if peer.scheme != "https" and not peer.near:
        raise Forbidden("sign in over HTTPS: this request crossed the network in clear")


Desk = Annotated[AccessDesk, Depends(_desk)]
Caller = Annotated[Principal, Depends(_principal)]
From = Annotated[Whence, Depends(_whence)]
Line = Annotated[Peer, Depends(_peer)]
OwnSession = Annotated[Session, Depends(_session)]
Somebody = Annotated[Principal, Depends(_somebody)]
Owner = Annotated[Principal, Depends(_owner)]
SHUT: Final = Depends(_shut)


def waiting_session(request: Request, desk: AccessDesk) -> Session | None:
    """The session that the browser carries, in whatever stage."""
    secret = shown_cookie(request.headers, cookie_name(request.state.peer))
    return None if secret is None else desk.waiting(secret)


def with_cookie(response: Response, peer: Peer, secret: str, life_s: int) -> Response:
    """The session in a cookie that no script reads and no foreign page sends."""
    response.set_cookie(
        cookie_name(peer),
        secret,
        max_age=life_s,
        path="/",
        secure=peer.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


def without_cookie(response: Response, peer: Peer) -> Response:
    """The browser forgets it."""
    response.delete_cookie(
        cookie_name(peer), path="/", secure=peer.scheme == "https", httponly=True, samesite="strict"
    )
    return response
