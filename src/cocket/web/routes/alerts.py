"""Alerts: reading them, acting on them, and the observations that prove them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from cocket.core.batch import Batch
from cocket.core.clock import parse_rfc3339
from cocket.core.errors import NotFound
from cocket.core.keys import key_text
from cocket.customs.machines.alert import Act, act_on
from cocket.engine.service import Service
from cocket.web import answers, models
from cocket.web.asking import Asked, Asks, At, Cursor, Limit, Text, known_query
from cocket.web.bodies import JsonBody, json_content, parsed, validated
from cocket.web.problems import declared

router = APIRouter(tags=["alerts"], dependencies=[Depends(known_query)])

AlertId = Annotated[str, Path(min_length=1, max_length=64, description="the alert's id")]
_BITS64: Final = 0xFFFFFFFFFFFFFFFF


@router.get("/alerts", summary="Alerts", response_model=models.AlertPage, responses=declared(400, 422))
def alerts(
    service: Asked,
    asks: Asks,
    limit: Limit = 100,
    cursor: Cursor = None,
    code: Annotated[list[str] | None, Query(description="may repeat", max_length=50)] = None,
    severity: Annotated[list[models.Severity] | None, Query(description="may repeat")] = None,
    state: Annotated[list[models.AlertState] | None, Query(description="may repeat")] = None,
    mrn: Text = None,
    device_id: Text = None,
    equipment_id: Text = None,
    since: At = None,
    until: At = None,
    open: Annotated[  # noqa: A002 - the contract's name
        bool | None, Query(description="true: not ended, not superseded, not closed")
    ] = None,
    superseded: bool | None = None,
    order: Annotated[
        Literal["newest", "urgent"], Query(description="raised last first, or worst first")
    ] = "newest",
) -> Response:
    """Filters join with and; `since` and `until` (exclusive) are of the time raised."""
    filters: dict[str, Any] = {
        "code": code,
        "severity": severity,
        "state": state,
        "mrn": mrn,
        "device_id": device_id,
        "equipment_id": equipment_id,
        "since_us": None if since is None else parse_rfc3339(since),
        "until_us": None if until is None else parse_rfc3339(until),
        "open": open,
        "superseded": superseded,
        "sight": asks.sight,
    }
    given = {name: value for name, value in filters.items() if value is not None}
    rows, following = service.folder.alerts.page(given, cursor, limit, order)
    return answers.page([answers.alert(row) for row in rows], following)


@router.get(
    "/alerts/{alert_id}",
    summary="One alert",
    response_model=models.AlertDetail,
    responses=declared(404, 422),
)
def alert(service: Asked, alert_id: AlertId) -> Response:
    """With what people did, and the observations that prove it: where it began, was raised, was worst, and last."""
    row = service.folder.alerts.get(alert_id)
    if row is None:
        raise NotFound(f"there is no alert {alert_id!r}")
    return answers.Json(_detail(service, row))


@router.patch(
    "/alerts/{alert_id}",
    summary="Act on an alert",
    response_model=models.AlertDetail,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429),
    openapi_extra=json_content("AlertAct", example={"state": "acknowledged", "by": "amina", "version": 1}),
)
def act(service: Asked, asks: Asks, alert_id: AlertId, body: JsonBody) -> Response:
    """Step by step: raised → acknowledged → triaged → driver-contacted → unit-dispatched → on-scene → closed.

    Steps may be left out on the way forward, but the first is to acknowledge. An impossible step and a stale `version`
    are 409; closing without a cause, and triage without its finding, are 422.
    """
    asked = validated(models.AlertAct, parsed(body))
    wanted = Act(asked.state, asks.by(asked.by), asked.triage, asked.cause, asked.note, asked.version)
    event = act_on(service.folder.alerts, alert_id, wanted, service.clock.now_us())
    service.hub.publish([event])
    row = service.folder.alerts.get(alert_id)
    assert row is not None
    return answers.Json(_detail(service, row))


def _detail(service: Service, row: dict[str, Any]) -> dict[str, Any]:
    history = [
        {"at": answers.moment(h["at_us"])}
        | {k: h[k] for k in ("by", "from", "to", "note", "cause", "triage")}
        for h in row["history"]
    ]
    return {
        **answers.alert(row),
        "history": history,
        "evidence": _evidence(service, row),
        "trace_id": service.folder.alert_traces.of(row["id"]),
    }


def _evidence(service: Service, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The observations by their keys, in the order of event time; each once, with what it shows."""
    roles: dict[int, list[str]] = {}
    for role, name in (("began", "began"), ("raised", "raised"), ("worst", "peak"), ("last", "last")):
        key = row.get(f"{name}_key")
        if key:
            roles.setdefault(int(key) & _BITS64, []).append(role)
    named = ("began_us", "raised_event_us", "peak_us", "last_us")
    times = {int(row[name]) for name in named if row.get(name) is not None}
    spans = sorted((row["device_id"], t, t + 1) for t in times)
    found = service.folder.history.find(spans)
    missing = set(roles) - {int(k) for k in found.keys.tolist()}
    items = _proofs(found.batch, found.keys.tolist(), roles)
    if missing:  # a timer's alert is proved by the observation before it
        began = row["began_us"]
        wide = service.folder.history.find([(row["device_id"], began - _LOOK_BACK_US, began + 1)])
        items = _proofs(wide.batch, wide.keys.tolist(), {k: roles[k] for k in missing}) + items
    return items


_LOOK_BACK_US: Final = 7 * 86_400 * 1_000_000


def _proofs(batch: Batch, keys: list[int], roles: dict[int, list[str]]) -> list[dict[str, Any]]:
    items = []
    for i, key in enumerate(keys):
        if int(key) in roles:
            seen = answers.observation(batch.row(i))
            items.append({"roles": roles[int(key)], "key": key_text(int(key)), "observation": seen})
    return items
