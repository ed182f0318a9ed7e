"""Signing in and out: by password and code, by a one-time link, by the OpenID Connect provider."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from cocket.access.entry import Entered
from cocket.access.oidc import Declined, Journey, Provider
from cocket.core.errors import CocketError, Conflict, NotSignedIn
from cocket.core.principal import Principal
from cocket.engine.service import Service
from cocket.store.audit import Entry
from cocket.web import answers, models_access
from cocket.web.asking import Asked, known_query
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.doors_in import (
    SHUT,
    Caller,
    Desk,
    From,
    Line,
    OwnSession,
    waiting_session,
    with_cookie,
    without_cookie,
)
from cocket.web.peer import Peer
from cocket.web.problems import declared
from cocket.web.sign_in import cookie_name, shown_cookie

router = APIRouter(tags=["sign-in"], dependencies=[Depends(known_query)])
provider_router = APIRouter(tags=["sign-in"])
"""The provider adds parameters of its own to its answer, so unknown ones are no mistake there."""

_SECRET: Final = "0" * 43
_PROBLEMS: Final = declared(400, 401, 403, 408, 409, 413, 415, 422, 429)
_JOURNEY_S: Final = 600
_TELLS_PAGES: Final = "text/html"


@router.get(
    "/sign-in", summary="How to sign in here", response_model=models_access.Ways, responses=declared(422)
)
def ways(request: Request, caller: Caller) -> Response:
    """What a page for signing in shows. Where nobody has to sign in, nobody can."""
    desk = request.app.state.access
    return answers.Json(
        {
            "sign_in": desk is not None,
            "signed_in": caller.proved != "none",
            "password": desk is not None and desk.settings.local_accounts,
            "provider": desk is not None and desk.provider is not None,
        }
    )


@router.post(
    "/sign-in",
    summary="Sign in with name and password",
    response_model=models_access.SignInAnswer,
    responses=_PROBLEMS,
    dependencies=[SHUT],
    openapi_extra=json_content("NewSignIn", example={"name": "amina", "password": "four words nobody joins"}),
)
def sign_in(
    request: Request, service: Asked, desk: Desk, peer: Line, whence: From, body: JsonBody
) -> Response:
    """The session is a cookie that scripts cannot read. `needs` is `code` where the account has a second factor."""
    given = validated(models_access.NewSignIn, parsed(body))
    if not desk.settings.local_accounts:
        raise Conflict("accounts of Cocket's own do not sign in here; use the provider")
    with _Noted(service, request, "password") as note, desk.changing():
        before = waiting_session(request, desk)
        entered = desk.entry.by_password(given.name, given.password.get_secret_value(), whence, before)
        note.who = entered.account
    return _entered(desk, peer, entered)


@router.post(
    "/sign-in/totp",
    summary="Show the second factor",
    response_model=models_access.SignInAnswer,
    responses=_PROBLEMS,
    dependencies=[SHUT],
    openapi_extra=json_content("CodeGiven", example={"code": "492039"}),
)
def second_factor(
    request: Request, service: Asked, desk: Desk, peer: Line, whence: From, body: JsonBody
) -> Response:
    """Within ten minutes of the password. A code of the app, or a recovery code; each is good once."""
    given = validated(models_access.CodeGiven, parsed(body))
    with _Noted(service, request, "code") as note, desk.changing():
        waiting = waiting_session(request, desk)
        if waiting is not None:
            note.about = waiting.account["id"]
        entered = desk.entry.by_code(waiting, given.code.get_secret_value(), whence)
        note.who = entered.account
    return _entered(desk, peer, entered)


@router.post(
    "/sign-out",
    status_code=204,
    summary="Sign out",
    response_model=None,
    responses=_PROBLEMS,
    openapi_extra=json_content("NewSignOut", example={"everywhere": False}),
)
def sign_out(
    request: Request, service: Asked, desk: Desk, peer: Line, session: OwnSession, body: JsonBody
) -> Response:
    """The session ends at once, here and for its streams; with `everywhere` all sessions of the account do."""
    given = validated(models_access.NewSignOut, parsed(body))
    with _Noted(service, request, "out") as note, desk.changing():
        note.who = session.account["id"]
        desk.sessions.end(session, everywhere=given.everywhere)
    return without_cookie(Response(status_code=204), peer)


@router.post(
    "/owner-link",
    summary="Become the owner by the link from the console",
    response_model=models_access.SignInAnswer,
    responses=_PROBLEMS,
    dependencies=[SHUT],
    openapi_extra=json_content(
        "OwnerLinkUse", example={"token": _SECRET, "name": "amina", "password": "four words nobody joins"}
    ),
)
def owner_link(
    request: Request, service: Asked, desk: Desk, peer: Line, whence: From, body: JsonBody
) -> Response:
    """Once, within an hour of being printed. `cocket owner-link` makes another."""
    given = validated(models_access.OwnerLinkUse, parsed(body))
    with _Noted(service, request, "owner-link") as note, desk.changing():
        entered = desk.entry.by_owner_link(
            given.token.get_secret_value(), given.name, given.password.get_secret_value(), whence
        )
        note.who = entered.account
    return _entered(desk, peer, entered)


@router.post(
    "/account-link/look",
    summary="Whose link it is",
    response_model=models_access.AccountLinkAnswer,
    responses=_PROBLEMS,
    dependencies=[SHUT],
    openapi_extra=json_content("LinkLook", example={"token": _SECRET}),
)
def look_at_link(desk: Desk, body: JsonBody) -> Response:
    """For the page on which somebody chooses a password. The link stays good."""
    given = validated(models_access.LinkLook, parsed(body))
    row = desk.accounts.link_account(given.token.get_secret_value())
    return answers.Json({"name": row["id"], "full_name": row["full_name"]})


@router.post(
    "/account-link",
    summary="Choose a password by a link",
    response_model=models_access.SignInAnswer,
    responses=_PROBLEMS,
    dependencies=[SHUT],
    openapi_extra=json_content(
        "AccountLinkUse", example={"token": _SECRET, "password": "four words nobody joins"}
    ),
)
def account_link(
    request: Request, service: Asked, desk: Desk, peer: Line, whence: From, body: JsonBody
) -> Response:
    """Once, within a week of being made. It signs in, too."""
    given = validated(models_access.AccountLinkUse, parsed(body))
    with _Noted(service, request, "account-link") as note, desk.changing():
        entered = desk.entry.by_account_link(
            given.token.get_secret_value(), given.password.get_secret_value(), whence
        )
        note.who = entered.account
    return _entered(desk, peer, entered)


@provider_router.get(
    "/oidc/start",
    status_code=303,
    summary="Sign in with the provider",
    response_model=None,
    responses={303: {"description": "To the provider"}, **declared(409, 422, 503)},
)
def to_provider(
    desk: Desk,
    peer: Line,
    onward: Annotated[str, Query(max_length=500, description="the page to come back to")] = "/",
) -> Response:
    """The browser is sent to the OpenID Connect provider of the settings, and comes back to GET /oidc/callback."""
    url, journey = _provider(desk.provider).begin(onward)
    response = RedirectResponse(url, 303)
    response.set_cookie(
        _journey_cookie(peer),
        journey.text(),
        max_age=_JOURNEY_S,
        path="/",
        secure=peer.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


@provider_router.get(
    "/oidc/callback",
    status_code=303,
    summary="Back from the provider",
    response_model=None,
    responses={
        303: {"description": "Signed in, or to the page that says why not"},
        **declared(403, 409, 422, 503),
    },
)
def from_provider(request: Request, service: Asked, desk: Desk, peer: Line, whence: From) -> Response:
    """The provider's answer is checked and its roles are taken over; who has none of ours is refused, in words."""
    provider = _provider(desk.provider)
    journey = Journey.of(shown_cookie(request.headers, _journey_cookie(peer)) or "")
    response: Response
    try:
        with _Noted(service, request, "provider") as note, desk.changing():
            known = provider.finish(journey, dict(request.query_params))
            note.about = known.name
            entered = desk.by_provider(known, whence)
            note.who = entered.account
    except CocketError as error:
        if _TELLS_PAGES not in request.headers.get("accept", ""):
            raise
        rule = error.faults[0].rule if isinstance(error, Declined) else "provider"
        response = RedirectResponse(f"/sign-in?refused={rule}", 303)
    else:
        response = RedirectResponse("/" if journey is None else journey.onward, 303)
        with_cookie(response, peer, entered.secret, desk.settings.session_s)
    response.delete_cookie(
        _journey_cookie(peer), path="/", secure=peer.scheme == "https", httponly=True, samesite="lax"
    )
    return response


def _provider(provider: Provider | None) -> Provider:
    if provider is None:
        raise Conflict("no provider is set: access.oidc_issuer is empty")
    return provider


def _journey_cookie(peer: Peer) -> str:
    return cookie_name(peer) + "-oidc"


def _entered(desk: Any, peer: Peer, entered: Entered) -> Response:
    whole = entered.stage == "open"
    body = {"signed_in": whole, "needs": None if whole else "code", "name": entered.account}
    return with_cookie(answers.Json(body), peer, entered.secret, desk.settings.session_s)


class _Noted:
    """Around a sign-in: leaves what came of it in the audit. Locked-out tries are counted, not recorded: they are many."""

    def __init__(self, service: Service, request: Request, way: str) -> None:
        self._service = service
        self._request = request
        self._way = way
        self.who: str | None = None
        self.about: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _where: object) -> None:
        if error is None or isinstance(error, (NotSignedIn, Declined)):
            status = 200 if error is None else 401 if isinstance(error, NotSignedIn) else 403
            principal: Principal = self._request.state.principal
            subject = {"address": self._request.state.peer.address}
            if self.about is not None:
                subject["account"] = self.about[:64]
            self._service.auditing.submit(
                Entry(
                    at_us=self._service.clock.now_us(),
                    who=self.who or principal.id,
                    kind="person" if self.who else principal.kind,
                    roles=tuple(sorted(principal.roles)),
                    said_by=None,
                    action=f"sign-in:{self._way}",
                    method=self._request.method,
                    route=self._request.url.path,
                    subject=subject,
                    purpose=None,
                    status=status,
                    request_id=getattr(self._request.state, "request_id", "") or secrets.token_hex(8),
                )
            )
