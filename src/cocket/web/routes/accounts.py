"""Accounts, for the owner: who may sign in, in which roles, at which offices, for whom."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from cocket.access.accounts import NAME_PATTERN
from cocket.store.access import Row
from cocket.web import answers, models_access
from cocket.web.asking import known_query
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.doors_in import SHUT, Desk, Owner
from cocket.web.problems import declared

router = APIRouter(prefix="/accounts", tags=["accounts"], dependencies=[Depends(known_query)])

_READ: Final = declared(401, 403, 409, 422)
_WRITE: Final = declared(400, 401, 403, 404, 408, 409, 413, 415, 422, 429)
NamePath = Annotated[str, Path(pattern=NAME_PATTERN, max_length=64)]


@router.get("", summary="Accounts", response_model=models_access.AccountPage, responses=_READ)
def accounts(desk: Desk, who: Owner) -> Response:  # noqa: ARG001 - asked for, so that it is the owner
    """All, by name."""
    return answers.page([_shown(row) for row in desk.accounts.all()], None)


@router.post(
    "",
    status_code=201,
    summary="Make an account",
    response_model=models_access.NewAccountAnswer,
    responses=_WRITE,
    dependencies=[SHUT],
    openapi_extra=json_content(
        "NewAccount", example={"name": "amina", "roles": ["gate-officer"], "offices": ["KEMBA"]}
    ),
)
def make(desk: Desk, who: Owner, body: JsonBody) -> Response:
    """Without a password: its holder chooses one by the link in the answer, so that nobody else ever knows it."""
    given = validated(models_access.NewAccount, parsed(body))
    with desk.changing():
        row, secret = desk.accounts.make(
            given.name,
            by=who.id,
            full_name=given.full_name,
            roles=given.roles,
            offices=given.offices,
            holder=given.holder,
            authority=given.authority,
        )
    return answers.Json({**_shown(row), "link": _link(desk, secret)}, 201)


@router.get(
    "/{name}",
    summary="One account",
    response_model=models_access.AccountAnswer,
    responses=declared(401, 403, 404, 409, 422),
)
def one(desk: Desk, who: Owner, name: NamePath) -> Response:  # noqa: ARG001 - as above
    """Roles, offices, whom it acts for."""
    return answers.Json(_shown(desk.accounts.one(name)))


@router.patch(
    "/{name}",
    summary="Change an account",
    response_model=models_access.AccountAnswer,
    responses=_WRITE,
    openapi_extra=json_content("AccountChange", example={"roles": ["supervisor"], "disabled": False}),
)
def change(desk: Desk, who: Owner, name: NamePath, body: JsonBody) -> Response:
    """What is named changes, at once, in open sessions and tokens too. The only owner stays owner."""
    given = validated(models_access.AccountChange, parsed(body))
    values = {k: v for k, v in given.model_dump().items() if k in given.model_fields_set}
    for field in ("full_name", "roles", "offices", "disabled"):
        if values.get(field, ...) is None:
            del values[field]
    with desk.changing():
        return answers.Json(_shown(desk.accounts.change(name, values, by=who.id)))


@router.post(
    "/{name}/reset",
    summary="Reset an account's password, and its second factor",
    response_model=models_access.NewAccountAnswer,
    responses=_WRITE,
    dependencies=[SHUT],
    openapi_extra=json_content("Reset", example={"second_factor": False}),
)
def reset(desk: Desk, who: Owner, name: NamePath, body: JsonBody) -> Response:
    """They are taken away and all sessions end; the link in the answer is the way back in."""
    given = validated(models_access.Reset, parsed(body))
    with desk.changing():
        secret = desk.accounts.reset(name, by=who.id, second_factor=given.second_factor)
    return answers.Json({**_shown(desk.accounts.one(name)), "link": _link(desk, secret)})


def _link(desk: Any, secret: str) -> str:
    return f"{desk.settings.origin.rstrip('/')}/welcome#{secret}"


def _shown(row: Row) -> dict[str, Any]:
    return {
        "name": row["id"],
        "full_name": row["full_name"],
        "roles": row["roles"],
        "offices": row["offices"],
        "holder": row["holder"],
        "authority": row["authority"],
        "disabled": row["disabled"],
        "provider": row["issuer"],
        "has_password": row["password"] is not None,
        "has_totp": row["totp"] is not None,
        "made_at": answers.moment(row["created_us"]),
        "made_by": row["created_by"],
        "changed_at": answers.moment(row["changed_us"]),
        "changed_by": row["changed_by"],
        "seen_at": answers.moment(row.get("seen_us")),
    }
