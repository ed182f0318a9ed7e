"""Commands to devices: asked for, approved, followed."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cocket.core.errors import Forbidden
from cocket.web import answers, models
from cocket.web.asking import (
    Asks,
    By,
    Cursor,
    Gate,
    IdPath,
    Limit,
    NumberPath,
    Text,
    known_query,
    number_cursor,
)
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.problems import declared

router = APIRouter(tags=["commands"], dependencies=[Depends(known_query)])

_EXAMPLE = {
    "command": "unlock",
    "parameters": {"password": "888888"},
    "reason": "arrived at the destination office",
}


MASK: Final = "••••••"
"""In place of what opens a lock: that one was given may be seen, by nobody which."""
_SECRET: Final = frozenset({"password"})


class NewCommand(BaseModel):
    """What the device should do, and why."""

    model_config = ConfigDict(extra="forbid")

    command: Annotated[str, Field(min_length=1, max_length=64, examples=["unlock"])]
    parameters: Annotated[dict[str, Any], Field(description="as GET /protocols describes them")] = {}
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Person(BaseModel):
    """Nothing else is to be said: who it is stands in `by`."""

    model_config = ConfigDict(extra="forbid")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "device_id": row["device_id"],
        "command": row["command"],
        "parameters": {k: MASK if k in _SECRET else v for k, v in row["parameters"].items()},
        "reason": row["reason"],
        "by": row["by"],
        "at": answers.moment(row["at_us"]),
        "state": row["state"],
        "approved_by": row["approved_by"],
        "approved_at": answers.moment(row["approved_us"]),
        "sent_at": answers.moment(row["sent_us"]),
        "answered_at": answers.moment(row["answered_us"]),
        "answer": row["answer"],
        "expires_at": answers.moment(row["expires_us"]),
    }


@router.post(
    "/devices/{id}/commands",
    status_code=201,
    summary="Ask a device to do something",
    response_model=models.Command,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content("NewCommand", example=_EXAMPLE),
)
def ask(gateway: Gate, asks: Asks, id: IdPath, body: JsonBody, by: By) -> Response:  # noqa: A002 - the contract's name
    """It is delivered when the device next speaks. Unlocking waits until a second person has approved it; where people sign in, the first
    has to be a person too, for a program's token is somebody's.
    """
    wanted = validated(NewCommand, parsed(body))
    if asks.signed and wanted.command in gateway.settings.two_persons and asks.who.kind != "person":
        raise Forbidden(
            f"{wanted.command} takes two persons, and {asks.who.id} is none; somebody who signs in has to ask"
        )
    row = gateway.commands.request(id, wanted.command, wanted.parameters, by=by, reason=wanted.reason)
    return answers.Json(_shown(row), 201)


@router.get(
    "/commands",
    summary="Commands to devices",
    response_model=models.CommandPage,
    responses=declared(400, 422),
)
def commands(
    gateway: Gate,
    limit: Limit = 100,
    cursor: Cursor = None,
    device_id: Text = None,
    state: Annotated[
        str | None, Query(pattern="^(awaiting-approval|queued|sent|done|failed|expired|cancelled)$")
    ] = None,
) -> Response:
    """Newest first, with who asked, who approved, when it was sent and what the device answered. Passwords are not shown."""
    rows, following = gateway.commands.store.page(device_id, state, limit, number_cursor(cursor))
    return answers.page([_shown(row) for row in rows], None if following is None else str(following))


@router.get(
    "/commands/{number}", summary="One command", response_model=models.Command, responses=declared(404, 422)
)
def command(gateway: Gate, number: NumberPath) -> Response:
    """One command with every step of it."""
    return answers.Json(_shown(gateway.commands.store.get(number)))


@router.post(
    "/commands/{number}/approve",
    summary="Approve a command",
    response_model=models.Command,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content("Person", example={}),
)
def approve(gateway: Gate, number: NumberPath, body: JsonBody, by: By) -> Response:
    """By another person than the one who asked; then it is sent when the device next speaks."""
    validated(Person, parsed(body) if body.strip() else {})
    return answers.Json(_shown(gateway.commands.approve(number, by=by)))


@router.post(
    "/commands/{number}/cancel",
    summary="Take a command back",
    response_model=models.Command,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content("Person", example={}),
)
def cancel(gateway: Gate, number: NumberPath, body: JsonBody, by: By) -> Response:
    """Possible until it was sent."""
    validated(Person, parsed(body) if body.strip() else {})
    return answers.Json(_shown(gateway.commands.cancel(number, by=by)))
