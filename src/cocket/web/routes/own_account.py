"""One's own account: who one is, the password, the second factor, sessions, tokens."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from cocket.access import totp
from cocket.core.clock import parse_rfc3339
from cocket.store.access import Row
from cocket.web import answers, models_access
from cocket.web.asking import IdPath, known_query
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.doors_in import (
    SHUT,
    Caller,
    Desk,
    From,
    Line,
    OwnSession,
    Somebody,
    with_cookie,
    without_cookie,
)
from cocket.web.problems import declared

router = APIRouter(tags=["account"], dependencies=[Depends(known_query)])

_READ: Final = declared(401, 409, 422)
_WRITE: Final = declared(400, 401, 403, 404, 408, 409, 413, 415, 422, 429)
_GIVEN: Final = {"password": "four words nobody joins"}
SessionPath = Annotated[str, Path(pattern=r"^[0-9a-f]{20}$")]


@router.get("/me", summary="Who asks", response_model=models_access.Me, responses=declared(401, 422))
def me(request: Request, who: Somebody) -> Response:
    """Name, roles and offices of whoever shows this session, token or certificate. Where nobody signs in, it is nobody."""
    desk = request.app.state.access
    session = request.state.session
    row: Row | None = None if session is None else session.account
    own = [] if row is None else row["roles"]
    return answers.Json(
        {
            "id": who.id,
            "kind": who.kind,
            "full_name": "" if row is None else row["full_name"],
            "roles": sorted(who.roles),
            "offices": sorted(who.offices),
            "holder": who.holder,
            "authority": who.authority,
            "scopes": sorted(who.scopes),
            "proved": who.proved,
            "second_factor": who.second_factor,
            "sign_in": desk is not None,
            "provider": None if row is None else row["issuer"],
            "has_totp": row is not None and row["totp"] is not None,
            "recovery_codes": 0 if row is None else desk.entry.recovery_left(row["id"]),
            "needs_second_factor": bool(set(own) - who.roles),
        }
    )


@router.put(
    "/me/password",
    summary="Choose another password",
    response_model=models_access.SignInAnswer,
    responses=_WRITE,
    dependencies=[SHUT],
    openapi_extra=json_content(
        "NewPassword", example={"old": "four words nobody joins", "new": "five others that nobody knows"}
    ),
)
def change_password(desk: Desk, peer: Line, whence: From, session: OwnSession, body: JsonBody) -> Response:
    """All other sessions of the account end; this one goes on with a new cookie."""
    given = validated(models_access.NewPassword, parsed(body))
    with desk.changing():
        entered = desk.entry.change_password(
            session, given.old.get_secret_value(), given.new.get_secret_value(), whence
        )
    shown = answers.Json({"signed_in": True, "needs": None, "name": entered.account})
    return with_cookie(shown, peer, entered.secret, desk.settings.session_s)


@router.post(
    "/me/totp",
    summary="Begin a second factor",
    response_model=models_access.TotpAnswer,
    responses=_WRITE,
    dependencies=[SHUT],
    openapi_extra=json_content("PasswordGiven", example=_GIVEN),
)
def begin_totp(desk: Desk, whence: From, session: OwnSession, body: JsonBody) -> Response:
    """A secret for an authenticator app (RFC 6238). It counts once PUT shows a code of it."""
    given = validated(models_access.PasswordGiven, parsed(body))
    with desk.changing():
        secret = desk.entry.begin_totp(session, given.password.get_secret_value(), whence)
    uri = totp.uri(secret, session.account["id"])
    return answers.Json({"secret": secret, "uri": uri, "qr_svg": totp.picture(uri)})


@router.put(
    "/me/totp",
    summary="Turn the second factor on",
    response_model=models_access.RecoveryCodes,
    responses=_WRITE,
    dependencies=[SHUT],
    openapi_extra=json_content("CodeGiven", example={"code": "492039"}),
)
def confirm_totp(desk: Desk, peer: Line, whence: From, session: OwnSession, body: JsonBody) -> Response:
    """With a code of the app. All other sessions end; the recovery codes are shown this once."""
    given = validated(models_access.CodeGiven, parsed(body))
    with desk.changing():
        entered, codes = desk.entry.confirm_totp(session, given.code.get_secret_value(), whence)
    return with_cookie(answers.Json({"codes": codes}), peer, entered.secret, desk.settings.session_s)


@router.post(
    "/me/totp/off",
    status_code=204,
    summary="Turn the second factor off",
    response_model=None,
    responses=_WRITE,
    dependencies=[SHUT],
    openapi_extra=json_content("PasswordGiven", example=_GIVEN),
)
def drop_totp(desk: Desk, whence: From, session: OwnSession, body: JsonBody) -> Response:
    """Wants the password, and a session that was opened with the second factor."""
    given = validated(models_access.PasswordGiven, parsed(body))
    with desk.changing():
        desk.entry.drop_totp(session, given.password.get_secret_value(), whence)
    return Response(status_code=204)


@router.get(
    "/sessions", summary="One's own sessions", response_model=models_access.SessionPage, responses=_READ
)
def sessions(desk: Desk, session: OwnSession) -> Response:
    """Those that are open, newest first: from where, with what, until when."""
    items = [
        {
            "id": row["id"],
            "this": row["id"] == session.id,
            "opened_at": answers.moment(row["created_us"]),
            "seen_at": answers.moment(row["seen_us"]),
            "ends_at": answers.moment(row["expires_us"]),
            "address": row["address"],
            "agent": row["agent"],
            "second_factor": row["second_factor"],
        }
        for row in desk.sessions.of(session.account["id"])
    ]
    return answers.page(items, None)


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    summary="End one of one's own sessions",
    response_model=None,
    responses=declared(401, 403, 404, 409, 422),
)
def end_session(desk: Desk, peer: Line, session: OwnSession, session_id: SessionPath) -> Response:
    """At once, with its streams."""
    with desk.changing():
        desk.sessions.end_by_id(session.account["id"], session_id)
    response = Response(status_code=204)
    return without_cookie(response, peer) if session_id == session.id else response


@router.get("/tokens", summary="Tokens of programs", response_model=models_access.TokenPage, responses=_READ)
def tokens(desk: Desk, who: Somebody) -> Response:
    """One's own, also those that are good no more; everybody's for the owner. Without their secrets, which are kept nowhere."""
    return answers.page([_token(desk, row) for row in desk.tokens.all(who)], None)


@router.post(
    "/tokens",
    status_code=201,
    summary="Make a token for a program",
    response_model=models_access.NewTokenAnswer,
    responses=_WRITE,
    dependencies=[SHUT],
    openapi_extra=json_content(
        "NewToken",
        example={"id": "scanner-7", "expires_at": "2027-01-31T00:00:00Z", "scopes": ["scan:make"]},
    ),
)
def make_token(desk: Desk, who: Caller, session: OwnSession, body: JsonBody) -> Response:
    """It acts for an account, with some of its roles, for some actions if `scopes` names them, until it ends. By a session only: a
    token makes no tokens.
    """
    given = validated(models_access.NewToken, parsed(body))
    account = given.account or session.account["id"]
    with desk.changing():
        secret, row = desk.tokens.make(
            who,
            account,
            given.id,
            roles=given.roles,
            scopes=given.scopes,
            expires_us=parse_rfc3339(given.expires_at),
        )
    return answers.Json({**_token(desk, row), "token": secret}, 201)


@router.delete(
    "/tokens/{id}",
    status_code=204,
    summary="Revoke a token",
    response_model=None,
    responses=declared(401, 403, 404, 409, 422),
)
def revoke_token(desk: Desk, who: Somebody, id: IdPath) -> Response:  # noqa: A002 - the contract's name
    """It is good for nothing from now on. Again changes nothing. A token may revoke itself."""
    with desk.changing():
        desk.tokens.revoke(who, id)
    return Response(status_code=204)


def _token(desk: Any, row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "account": row["account"],
        "roles": row["roles"],
        "scopes": row["scopes"],
        "made_at": answers.moment(row["created_us"]),
        "made_by": row["created_by"],
        "expires_at": answers.moment(row["expires_us"]),
        "revoked_at": answers.moment(row["revoked_us"]),
        "revoked_by": row["revoked_by"],
        "used_at": answers.moment(row["last_us"]),
        "good": desk.tokens.is_good(row),
    }
