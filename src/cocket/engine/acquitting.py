"""What an accepted scan does to its movement: acquittal of an arrived transit, release and departure by the steps of a declaration.

Acquittal by a code is automatic discharge, so its ground is the clean-trip report; what a person may still do by hand after an
examination, a scan may not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.errors import Fault, Refused
from cocket.customs.machines.movement import AT_DESTINATION, MOVEMENT
from cocket.customs.transit.desk import TransitDesk
from cocket.customs.transit.steps import Wanted
from cocket.engine.customs_clock import SEAL_ALERTS
from cocket.store.alerts import AlertStore

_STEPS: Final = {"release": "release", "exit": "depart"}
"""Steps of a declaration that move a movement, where its machine allows it."""


class Acquittal:
    """The customs file as scans see it (``customs.codes.scans.Acquitting``). ``exit_read``: whether a gate saw the movement out."""

    def __init__(
        self, transit: TransitDesk, alerts: AlertStore, exit_read: Callable[[str], bool], *, needs_exit: bool
    ) -> None:
        self._transit = transit
        self._alerts = alerts
        self._exit_read = exit_read
        self._needs_exit = needs_exit

    def refusals(self, mrn: str, at_us: int) -> list[Fault]:
        """Why it may not be acquitted now: not arrived, an open seal alert, no exit read, a trip that was not clean."""
        with self._transit.book.db.read() as connection:
            subject = self._transit.book.subject(connection, "movement", mrn)
            known = self._transit.reference.read(connection, "movement", mrn)
        if known is None:
            return [Fault("/code", "no-movement", f"movement {mrn} is not known here")]
        state = MOVEMENT.initial if subject is None else subject.state
        if state not in AT_DESTINATION or not MOVEMENT.allowed(state).count("discharge"):
            return [
                Fault(
                    "/code", "not-arrived", f"movement {mrn} is {state!r}; it is acquitted after its arrival"
                )
            ]
        faults = self._seal_alerts(mrn)
        if self._needs_exit and not self._exit_read(mrn):
            faults.append(Fault("/code", "no-exit-read", f"no gate has read movement {mrn} on its exit"))
        clean = self._transit.checks.clean_trip(mrn, at_us)
        return faults + [Fault("/code", f.rule, f.detail) for f in clean]

    def acquit(
        self, connection: sa.Connection, mrn: str, scan_id: int, at_us: int, by: str, office: str | None
    ) -> list[dict[str, Any]]:
        """Discharge the movement and release its guarantee, in the scan's own transaction."""
        faults = self._seal_alerts(mrn, connection)  # one may have been raised since ``refusals`` was asked
        if faults:
            raise Refused(faults[0].detail, faults)
        subject = self._transit.book.subject(connection, "movement", mrn)
        at = at_us if subject is None else max(at_us, subject.last_us)
        details = {"automatic": True, "scan": scan_id}
        wanted = Wanted("discharge", at, by, office, "acquitted by its code", details, proved=True)
        return self._told(self._transit.record(connection, mrn, wanted), "discharge")

    def passed(
        self,
        connection: sa.Connection,
        purpose: str,
        mrn: str,
        equipment_id: str | None,
        scan_id: int,
        at_us: int,
        by: str,
        office: str | None,
        gate: str | None,
    ) -> list[dict[str, Any]]:
        """Record the step on the movement, where there is one and its machine knows the step."""
        if self._transit.reference.read(connection, "movement", mrn) is None:
            return []
        event = _STEPS.get(purpose)
        subject = self._transit.book.subject(connection, "movement", mrn)
        state = MOVEMENT.initial if subject is None else subject.state
        if event is None or event not in MOVEMENT.allowed(state):
            event = "note"
        at = at_us if subject is None else max(at_us, subject.last_us)
        details = {"scan": scan_id, "purpose": purpose, "equipment_id": equipment_id, "gate": gate}
        wanted = Wanted(
            event, at, by, office, f"{purpose} was scanned", {k: v for k, v in details.items() if v}
        )
        return self._told(self._transit.record(connection, mrn, wanted), event)

    def state(self, connection: sa.Connection, mrn: str) -> str | None:
        """The movement's state as this transaction sees it."""
        subject = self._transit.book.subject(connection, "movement", mrn)
        return None if subject is None else subject.state

    def _seal_alerts(self, mrn: str, connection: sa.Connection | None = None) -> list[Fault]:
        return [
            Fault("/code", "open-seal-alert", f"alert {a['id']} ({a['code']}) is {a['state']}, not closed")
            for a in self._alerts.open_on(mrn, connection)
            if a["code"] in SEAL_ALERTS
        ]

    @staticmethod
    def _told(step: Any, event: str) -> list[dict[str, Any]]:
        return [
            {
                "machine": "movement",
                "event": event,
                "outcome": "noted" if event == "note" else "done",
                "detail": f"{step.from_state} → {step.to_state}",
            }
        ]
