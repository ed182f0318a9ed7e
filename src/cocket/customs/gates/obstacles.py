"""What stands against a movement on its way: not released, a control that was ordered, an open incident, open alerts.

Asked at gates and when a phone activates its declarations, within their transactions. The alerts are those of the alert
machine; nothing is kept here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.alerts import SEVERITIES
from cocket.core.clock import rfc3339
from cocket.core.config import Gates
from cocket.core.errors import Fault
from cocket.customs.machines.movement import AT_DESTINATION, FINAL, MOVEMENT, ON_THE_WAY
from cocket.customs.transit.desk import TransitDesk
from cocket.customs.transit.view import DECLARED
from cocket.store.alerts import AlertStore
from cocket.store.gates import GateStore

RELEASED: Final = ("released", *ON_THE_WAY, *AT_DESTINATION)
"""States of a movement that customs has let go."""
CLEARABLE: Final = ("control-decided", "sealed", "armed")
"""States in which nothing is missing but the release."""
_CONTROLS: Final = ("examination", "scan")
"""Controls that the vehicle has to come to the desk for."""


class Obstacles:
    """Reads only; any thread may call. ``seal_alerts``: codes that stop a movement until somebody closed them, ended or not."""

    def __init__(
        self,
        store: GateStore,
        alerts: AlertStore,
        desk: TransitDesk,
        settings: Gates,
        seal_alerts: Collection[str],
    ) -> None:
        self._store = store
        self._alerts = alerts
        self._desk = desk
        self._least = SEVERITIES.index(settings.alert_severity)
        self._seal_alerts = frozenset(seal_alerts)

    def state(self, connection: sa.Connection, mrn: str) -> str | None:
        """Where a movement stands; None if there is no such movement."""
        subject = self._desk.book.subject(connection, "movement", mrn)
        if subject is not None:
            return subject.state
        stored = self._desk.reference.read(connection, "movement", mrn)
        if stored is None:
            return None
        return next((state for name, state in DECLARED if stored.doc.get(name)), MOVEMENT.initial)

    def of(self, connection: sa.Connection, mrn: str, state: str | None) -> list[Fault]:
        """Everything against a movement in this state, the state first."""
        found = []
        if state is None:
            found.append(Fault("/mrn", "movement-unknown", f"there is no movement {mrn}"))
        elif state == "incident":
            found.append(
                Fault("/mrn", "open-incident", f"movement {mrn} has an incident that is not resolved")
            )
        elif state in FINAL:
            found.append(Fault("/mrn", "already-left", f"movement {mrn} is {state}: it is over"))
        elif state not in RELEASED:
            found.append(
                Fault("/mrn", "movement-not-released", f"movement {mrn} is {state}: it is not released")
            )
        control = None if state is None else self.control(connection, mrn)
        return found + ([] if control is None else [control]) + self.alerts(connection, mrn)

    def control(self, connection: sa.Connection, mrn: str) -> Fault | None:
        """An examination or scan that was ordered, and of which no satisfactory result is recorded since."""
        ordered = None
        for step in self._store.control_steps(connection, mrn):
            details: Mapping[str, Any] = step["details"]
            if step["event"] == "decide-control":
                ordered = details.get("control") if details.get("control") in _CONTROLS else None
            elif details.get("result") == "satisfactory":
                ordered = None
        if ordered is None:
            return None
        detail = f"for movement {mrn} {ordered} was ordered, and no satisfactory result is recorded"
        return Fault("/mrn", "control-ordered", detail)

    def cleared(self, connection: sa.Connection, mrn: str) -> bool:
        """Whether it was decided that no control is wanted: the risk is cleared, and only the release is missing."""
        decided = [s for s in self._store.control_steps(connection, mrn) if s["event"] == "decide-control"]
        return bool(decided) and decided[-1]["details"].get("control") == "none"

    def alerts(self, connection: sa.Connection, mrn: str) -> list[Fault]:
        """Open alerts of a movement that stop it, the worst first."""
        rank = SEVERITIES.index
        stopping = [
            a
            for a in self._alerts.open_on(mrn, connection)
            if a["code"] in self._seal_alerts
            or (a["ended_us"] is None and rank(a["severity"]) >= self._least)
        ]
        return [
            Fault(
                "/mrn",
                "open-alert",
                f"alert {a['code']} ({a['severity']}) of {rfc3339(a['began_us'])} on movement {mrn} is {a['state']}",
            )
            for a in sorted(stopping, key=lambda a: (-rank(a["severity"]), a["began_us"]))
        ]
