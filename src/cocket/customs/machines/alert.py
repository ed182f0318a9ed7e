"""The alert machine: what people may do with an alert, as one table.

raised → acknowledged → triaged → driver-contacted → unit-dispatched → on-scene → closed. Steps may be left out on
the way forward, but the first is always to acknowledge: somebody has seen it. Closing needs a cause. Nothing
goes back; a closed alert stays closed. The machine's own part (that a condition ended) is not here: it never
moves this state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cocket.core.errors import Conflict, Fault, NotFound, Refused
from cocket.customs.machines.table import Machine, Transition
from cocket.store.alerts import AlertEvent, AlertStore

RAISED, ACKNOWLEDGED, TRIAGED, CONTACTED, DISPATCHED, ON_SCENE, CLOSED = STATES = (
    "raised",
    "acknowledged",
    "triaged",
    "driver-contacted",
    "unit-dispatched",
    "on-scene",
    "closed",
)
TRIAGES: Final = ("false", "technical", "explained", "genuine")

ALERT: Final = Machine(
    "alert",
    STATES,
    RAISED,
    (CLOSED,),
    (
        Transition(ACKNOWLEDGED, (RAISED,), ACKNOWLEDGED, "somebody has seen it"),
        Transition(TRIAGED, (ACKNOWLEDGED,), TRIAGED, "false, technical, explained or genuine"),
        Transition(CONTACTED, (ACKNOWLEDGED, TRIAGED), CONTACTED, "the driver was asked"),
        Transition(
            DISPATCHED, (ACKNOWLEDGED, TRIAGED, CONTACTED), DISPATCHED, "a response unit is on its way"
        ),
        Transition(ON_SCENE, (ACKNOWLEDGED, TRIAGED, CONTACTED, DISPATCHED), ON_SCENE, "the unit is there"),
        Transition(
            CLOSED, (ACKNOWLEDGED, TRIAGED, CONTACTED, DISPATCHED, ON_SCENE), CLOSED, "over, with its cause"
        ),
    ),
)
"""An event is named after the state that it leads to."""


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody wants to do: the state to go to, and what they say about it.

    ``version`` is the alert's version that they saw; None acts on whatever is there now.
    """

    to: str
    by: str
    triage: str | None = None
    cause: str | None = None
    note: str | None = None
    version: int | None = None


def check(alert: dict[str, Any], act: Act) -> None:
    """Raises ``Conflict`` for an impossible step (names state, target and what is allowed), ``Refused`` for a missing word."""
    state = alert["state"]
    if act.version is not None and act.version != alert["version"]:
        raise Conflict(
            f"alert {alert['id']} is at version {alert['version']} and {state!r} now, not at version {act.version}: "
            "somebody acted on it in between; read it again",
            [Fault("/version", "stale", f"now {alert['version']}")],
        )
    allowed = ALERT.allowed(state)
    if act.to not in allowed:
        can = f"from there it can go to {', '.join(allowed)}" if allowed else "from there it goes nowhere"
        raise Conflict(
            f"alert {alert['id']} is {state!r} and cannot become {act.to!r}; {can}",
            [Fault("/state", "impossible-transition", f"{state} -> {act.to}")],
        )
    if act.to == CLOSED and not (act.cause and act.cause.strip()):
        detail = "an alert is closed with its cause; say what it was"
        raise Refused(detail, [Fault("/cause", "required", detail)])
    if act.to == TRIAGED and act.triage is None:
        detail = f"triage is one of {', '.join(TRIAGES)}; say which"
        raise Refused(detail, [Fault("/triage", "required", detail)])


def act_on(store: AlertStore, alert_id: str, act: Act, at_us: int) -> AlertEvent:
    """Do it: check against the alert as it stands, write under its version, so that two people never both win."""
    alert = store.get(alert_id)
    if alert is None:
        raise NotFound(f"there is no alert {alert_id!r}")
    check(alert, act)
    return store.act(
        alert_id,
        expected_version=alert["version"],
        by=act.by,
        at_us=at_us,
        to=act.to,
        note=act.note,
        cause=act.cause,
        triage=act.triage,
        acknowledged_by=act.by if act.to == ACKNOWLEDGED else None,
    )
