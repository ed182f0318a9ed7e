"""The case of a movement: all that waits for somebody on it, and the response unit that is nearest.

A case is derived: its alerts are those of the alert machine, and it is open as long as one of them is neither closed nor
superseded. Alerts of severity info are left out, for nobody is sent out for them. Sending a unit moves each alert that may be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final

from cocket.core.alerts import SEVERITIES
from cocket.core.clock import Clock, rfc3339
from cocket.core.errors import Conflict, Fault, NotFound, Refused
from cocket.core.geo import distance_m
from cocket.customs.gates.verdict import Position
from cocket.customs.machines.alert import ACKNOWLEDGED, ALERT, DISPATCHED, RAISED, Act, act_on
from cocket.engine.hub import Hub
from cocket.store.alerts import AlertStore
from cocket.store.codes import Row
from cocket.store.gates import GateStore
from cocket.store.reference import Reference

_NEAREST: Final = 5
_LEAST: Final = SEVERITIES.index("warn")
_TRIES: Final = 5


class Cases:
    """Response units and cases; any thread may call. ``last`` gives the latest position of a movement."""

    def __init__(
        self,
        store: GateStore,
        alerts: AlertStore,
        reference: Reference,
        hub: Hub,
        last: Callable[[str], Position | None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._alerts = alerts
        self._reference = reference
        self._hub = hub
        self._last = last
        self._clock = clock

    # units

    def put_unit(self, unit: str, doc: Mapping[str, Any], *, by: str) -> tuple[dict[str, Any], bool]:
        """Keep a unit; the answer and whether it is new."""
        row = {k: doc.get(k) for k in ("name", "phone", "lat_deg", "lon_deg", "on_duty")}
        with self._store.writing() as connection:
            new = self._store.put(connection, "unit", {"id": unit, **row}, by=by, at_us=self._clock.now_us())
        return _unit_shown(self._store.get("unit", unit)), new

    def units(self, limit: int, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Units by id."""
        rows, following = self._store.page("unit", limit, cursor)
        return [_unit_shown(r) for r in rows], following

    # cases

    def case(self, mrn: str) -> dict[str, Any]:
        """The case of a movement; without alerts it is empty. ``alerts`` are rows of the store, the worst first. ``NotFound`` without
        the movement.
        """
        if self._reference.get("movement", mrn) is None:
            raise NotFound(f"there is no movement {mrn!r}")
        alerts = self._open(mrn)
        near = self._near(mrn, alerts) if alerts else []
        return {
            "id": blake2b(f"case\0{mrn}".encode(), digest_size=8).hexdigest(),
            "mrn": mrn,
            "opened_at": rfc3339(min(a["raised_us"] for a in alerts)) if alerts else None,
            "worst": alerts[0]["severity"] if alerts else None,
            "alerts": alerts,
            "unit": {k: near[0][k] for k in ("id", "name", "distance_m")} if near else None,
            "units": near[:_NEAREST],
            "dispatches": [_dispatch_shown(d) for d in self._store.dispatches(mrn)],
        }

    def dispatch(self, mrn: str, unit_id: str, note: str | None, *, by: str) -> dict[str, Any]:
        """Send a unit: each alert of the case that may is acknowledged and gets ``unit-dispatched``, by this person.

        ``Conflict`` without an open case, or for a unit that is off duty; ``Refused`` for one that nobody knows.
        """
        case = self.case(mrn)
        with self._store.reading() as connection:
            unit = self._store.one(connection, "unit", unit_id)
        if unit is None:
            detail = f"/unit_id: there is no unit {unit_id!r}; PUT it first"
            raise Refused(detail, [Fault("/unit_id", "unknown-reference", detail)])
        if not unit["on_duty"]:
            detail = f"unit {unit_id} is off duty"
            raise Conflict(detail, [Fault("/unit_id", "off-duty", detail)])
        if not case["alerts"]:
            detail = f"movement {mrn} has no open case: nothing waits there"
            raise Conflict(detail, [Fault("", "no-open-case", detail)])
        words = f"{unit['name']} sent" + (f": {note}" if note else "")
        moved = [step for alert in case["alerts"] for step in self._send(alert["id"], by, words)]
        place = self._place(mrn, case["alerts"])
        row = {
            "mrn": mrn,
            "unit_id": unit_id,
            "unit_name": unit["name"],
            "by": by,
            "at_us": self._clock.now_us(),
            "note": note,
            "distance_m": None if place is None else _away_m(unit, place),
            "alerts": moved,
        }
        self._store.add_dispatch(row)
        return _dispatch_shown(row)

    def _open(self, mrn: str) -> list[Row]:
        rank = SEVERITIES.index
        found = [a for a in self._alerts.open_on(mrn) if rank(a["severity"]) >= _LEAST]
        return sorted(found, key=lambda a: (-rank(a["severity"]), -a["raised_us"], a["id"]))

    def _place(self, mrn: str, alerts: list[Row]) -> tuple[float, float] | None:
        """Where the latest alert with a position was; else where the movement was last."""
        placed = [a for a in alerts if a["lat_deg"] is not None and a["lon_deg"] is not None]
        if placed:
            latest = max(placed, key=lambda a: (a["last_us"], a["raised_us"]))
            return latest["lat_deg"], latest["lon_deg"]
        position = self._last(mrn)
        return None if position is None else (position.lat_deg, position.lon_deg)

    def _near(self, mrn: str, alerts: list[Row]) -> list[dict[str, Any]]:
        """Units on duty with their distance, the nearest first."""
        place = self._place(mrn, alerts)
        if place is None:
            return []
        found = [
            {
                "id": u["id"],
                "name": u["name"],
                "phone": u["phone"],
                "lat_deg": u["lat_deg"],
                "lon_deg": u["lon_deg"],
                "distance_m": _away_m(u, place),
            }
            for u in self._store.on_duty()
        ]
        return sorted(found, key=lambda u: (u["distance_m"], u["id"]))

    def _send(self, alert_id: str, by: str, note: str) -> list[dict[str, str]]:
        """Move one alert as far as it may go; gives its steps. Somebody who acts meanwhile is let go first."""
        steps = []
        for _ in range(_TRIES):
            alert = self._alerts.get(alert_id)
            if alert is None or alert["superseded_us"] is not None:
                break
            state = alert["state"]
            to = ACKNOWLEDGED if state == RAISED else DISPATCHED
            if to not in ALERT.allowed(state):
                break
            try:
                act = Act(to, by, note=note, version=alert["version"])
                event = act_on(self._alerts, alert_id, act, self._clock.now_us())
            except Conflict:
                continue
            self._hub.publish([event])
            steps.append({"id": alert_id, "from": state, "to": to})
        return steps


def _away_m(unit: Mapping[str, Any], place: tuple[float, float]) -> float:
    return round(float(distance_m(place[0], place[1], unit["lat_deg"], unit["lon_deg"])), 1)


def _unit_shown(row: Row) -> dict[str, Any]:
    return {
        **{k: row[k] for k in ("id", "name", "phone", "lat_deg", "lon_deg", "on_duty")},
        "changed_at": rfc3339(row["changed_us"]),
        "changed_by": row["changed_by"],
    }


def _dispatch_shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "unit_id": row["unit_id"],
        "unit_name": row["unit_name"],
        "by": row["by"],
        "at": rfc3339(row["at_us"]),
        "note": row["note"],
        "distance_m": row["distance_m"],
        "alerts": row["alerts"],
    }
