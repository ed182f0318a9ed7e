"""The audit: who read personal data and who changed what, and the head to note elsewhere."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cocket.core.clock import parse_rfc3339
from cocket.store.audit import shown
from cocket.web import answers, models
from cocket.web.asking import Asked, At, Cursor, Limit, Text, known_query, number_cursor
from cocket.web.problems import declared

router = APIRouter(tags=["audit"], dependencies=[Depends(known_query)])

_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class AuditEntry(BaseModel):
    """One entry, with all that its hash covers."""

    model_config = ConfigDict(extra="forbid")

    seq: Annotated[int, Field(description="its number; none is left out")]
    at: models.Time
    principal: Annotated[str, Field(description="who asked", examples=["amina"])]
    kind: Annotated[str, Field(description="person, token, device, authority, nobody")]
    roles: list[str]
    said_by: Annotated[str | None, Field(description="who the request said it was for")]
    action: Annotated[str, Field(examples=["movement:declare"])]
    method: str
    route: Annotated[str, Field(examples=["/api/v1/movements/{mrn}"])]
    subject: Annotated[
        dict[str, str], Field(description="ids of what it is about; secrets and what names people by hash")
    ]
    purpose: Annotated[str | None, Field(description="what the request said in `X-Purpose`")]
    status: Annotated[
        int | None,
        Field(
            description="the answer's status; null: a change was begun, its outcome is a later entry of the request"
        ),
    ]
    request_id: str
    previous: _Hash
    hash: _Hash


AuditPage = models.page_of(AuditEntry, "AuditPage")


class AuditHead(BaseModel):
    """The last entry."""

    model_config = ConfigDict(extra="forbid")

    seq: Annotated[int, Field(description="0: there is none yet")]
    hash: _Hash
    at: models.Time


@router.get("/audit", summary="The audit", response_model=AuditPage, responses=declared(400, 422, 429, 503))
def entries(
    service: Asked,
    limit: Limit = 100,
    cursor: Cursor = None,
    principal: Text = None,
    subject: Annotated[
        str | None, Query(min_length=1, max_length=128, description="one id, whatever it is of")
    ] = None,
    action: Text = None,
    since: At = None,
    until: At = None,
) -> Response:
    """Newest first, for auditors. Filters join with and; `until` is exclusive. A change has two entries of one `request_id`: that it
    was begun, and its outcome.
    """
    service.auditing.settle()
    rows, following = service.folder.audit.page(
        who=principal,
        subject=subject,
        action=action,
        since_us=None if since is None else parse_rfc3339(since),
        until_us=None if until is None else parse_rfc3339(until),
        limit=limit,
        before=number_cursor(cursor),
    )
    return answers.page([shown(r) for r in rows], None if following is None else str(following))


@router.get(
    "/audit/head", summary="The audit's head", response_model=AuditHead, responses=declared(422, 429, 503)
)
def head(service: Asked) -> Response:
    """Number and hash of the last entry. Noted where this server's administrators cannot write, it proves later by
    `cocket audit check --head` that nothing up to it was altered or taken away.
    """
    found = service.auditing.settle()
    body: dict[str, Any] = {
        "seq": found.seq,
        "hash": found.hash.hex(),
        "at": answers.moment(service.clock.now_us()),
    }
    return answers.Json(body)
