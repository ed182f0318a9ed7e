"""Grants to partner authorities: made, listed, revoked."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cocket.core.clock import parse_rfc3339
from cocket.core.errors import Fault, Refused
from cocket.customs.shapes import Moment
from cocket.store.grants import PARTS, Grant
from cocket.web import answers
from cocket.web.asking import Asked, By, Cursor, Limit, NumberPath, Text, known_query, number_cursor
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.models import Time
from cocket.web.problems import declared

router = APIRouter(tags=["grants"], dependencies=[Depends(known_query)])

Part = Literal["movement", "track", "document", "evidence", "alert", "code", "clean-trip"]
What = Literal["corridor", "office", "country", "movement"]
_NAME: Final = r"^[^\x00-\x1f\x7f]+$"
_EXAMPLE: Final = {
    "authority": "Uganda Revenue Authority",
    "what": "country",
    "subject": "UG",
    "parts": ["movement", "track", "alert"],
    "purpose": "transit through Malaba, agreement of 2026",
    "to": "2027-12-31T00:00:00Z",
}


class NewGrant(BaseModel):
    """What an authority may see. A country is that of a movement's route; an office, that of departure or destination."""

    model_config = ConfigDict(extra="forbid")

    authority: Annotated[str, Field(min_length=1, max_length=128, pattern=_NAME)]
    what: What
    subject: Annotated[
        str, Field(min_length=1, max_length=64, pattern=_NAME, description="its id; of a movement the MRN")
    ]
    parts: Annotated[
        list[Part], Field(min_length=1, max_length=len(PARTS), description="of the movements' file")
    ]
    purpose: Annotated[str, Field(min_length=3, max_length=500, pattern=_NAME)]
    from_: Annotated[Moment | None, Field(alias="from", description="null: now")] = None
    to: Annotated[Moment, Field(description="until then, at the latest")]


class GrantAnswer(BaseModel):
    """A grant as it stands."""

    id: int
    authority: str
    what: What
    subject: str
    parts: list[Part]
    purpose: str
    from_: Annotated[Time, Field(alias="from")]
    to: Time
    by: str
    at: Time
    state: Literal["coming", "good", "over", "revoked"]
    revoked_at: Time | None
    revoked_by: str | None


class GrantPage(BaseModel):
    """A page of grants."""

    items: list[GrantAnswer]
    next: str | None


def _shown(grant: Grant, now_us: int) -> dict[str, Any]:
    state = "good"
    if grant.revoked_us is not None:
        state = "revoked"
    elif now_us >= grant.to_us:
        state = "over"
    elif now_us < grant.from_us:
        state = "coming"
    return {
        "id": grant.id,
        "authority": grant.authority,
        "what": grant.what,
        "subject": grant.subject,
        "parts": grant.parts,
        "purpose": grant.purpose,
        "from": answers.moment(grant.from_us),
        "to": answers.moment(grant.to_us),
        "by": grant.by,
        "at": answers.moment(grant.at_us),
        "state": state,
        "revoked_at": answers.moment(grant.revoked_us),
        "revoked_by": grant.revoked_by,
    }


@router.post(
    "/grants",
    status_code=201,
    summary="Grant a partner authority to see something",
    response_model=GrantAnswer,
    responses=declared(400, 408, 413, 415, 422, 429),
    openapi_extra=json_content("NewGrant", example=_EXAMPLE),
)
def grant(service: Asked, body: JsonBody, by: By) -> Response:
    """It holds from the next request on, and ends by itself. It is not changed: revoke it, and make another."""
    given = validated(NewGrant, parsed(body))
    now = service.clock.now_us()
    from_us = now if given.from_ is None else parse_rfc3339(given.from_)
    to_us = parse_rfc3339(given.to)
    if to_us <= max(from_us, now):
        detail = f"it would end at {given.to}, which is not after its beginning and now"
        raise Refused(detail, [Fault("/to", "range", detail)])
    if given.what == "country" and not (
        len(given.subject) == 2 and given.subject.isascii() and given.subject.isupper()
    ):
        detail = f"{given.subject!r} is no country; two capital letters as in ISO 3166-1 are wanted"
        raise Refused(detail, [Fault("/subject", "pattern", detail)])
    row = {
        "authority": given.authority,
        "what": given.what,
        "subject": given.subject,
        "parts": list(dict.fromkeys(given.parts)),
        "purpose": given.purpose,
        "from_us": from_us,
        "to_us": to_us,
        "by": by,
        "at_us": now,
    }
    return answers.Json(_shown(service.folder.grants.add(row), now), 201)


@router.get("/grants", summary="Grants", response_model=GrantPage, responses=declared(400, 422))
def grants(service: Asked, limit: Limit = 100, cursor: Cursor = None, authority: Text = None) -> Response:
    """Newest first, those that are over and revoked too; of one authority if named."""
    found, following = service.folder.grants.page(authority, limit, number_cursor(cursor))
    now = service.clock.now_us()
    return answers.page([_shown(g, now) for g in found], None if following is None else str(following))


@router.delete(
    "/grants/{number}",
    summary="Revoke a grant",
    response_model=GrantAnswer,
    responses=declared(404, 409, 422),
)
def revoke(service: Asked, number: NumberPath, by: By) -> Response:
    """From the next request on nothing is seen by it. It stays in the list."""
    now = service.clock.now_us()
    return answers.Json(_shown(service.folder.grants.revoke(number, by=by, at_us=now), now))
