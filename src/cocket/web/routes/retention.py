"""Retention: the terms with their purposes, and the runs with their proofs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cocket.engine.retention import shown_run, shown_terms
from cocket.web import answers, models
from cocket.web.asking import Asked, Cursor, Limit, known_query, number_cursor
from cocket.web.problems import declared

router = APIRouter(tags=["retention"], dependencies=[Depends(known_query)])


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Term(_Answer):
    """How long one kind of data is kept, and what for."""

    kind: Annotated[str, Field(examples=["plate-reads"])]
    days: Annotated[float | None, Field(description="null: for ever")]
    what: Annotated[str, Field(description="dropped, or made anonymous")]
    purpose: str


class KindCount(_Answer):
    """What a run did with one kind."""

    kind: str
    what: str
    n: Annotated[int, Field(description="how many were dropped or made anonymous")]
    held: Annotated[int, Field(description="how many an open enquiry, alert, case or debt held back")]


class RetentionRun(_Answer):
    """One run and its proof."""

    id: int
    began_at: models.Time
    ended_at: Annotated[models.Time | None, Field(description="null: the files are not written anew yet")]
    by: str
    days: Annotated[dict[str, float], Field(description="the terms that it went by")]
    counts: list[KindCount]
    digest: Annotated[str, Field(description="SHA-256 over the ids of what was dropped")]
    audit_seq: int
    proved: Annotated[
        bool | None, Field(description="whether its audit entry says the same; null: that one's term is over")
    ]


class RetentionPage(_Answer):
    """The terms, and a page of runs."""

    terms: list[Term]
    items: list[RetentionRun]
    next: str | None


@router.get(
    "/retention", summary="Terms and their proofs", response_model=RetentionPage, responses=declared(400, 422)
)
def retention(service: Asked, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """How long what is kept and why, and every run, newest first, with what it dropped and what a need held back."""
    rows, following = service.retention.store.page(limit, number_cursor(cursor))
    body = {
        "terms": shown_terms(service.settings),
        "items": [shown_run(r) for r in rows],
        "next": None if following is None else str(following),
    }
    return answers.Json(body)
