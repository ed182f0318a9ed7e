"""The gate desk: what stands before a barrier is joined and judged, and the barrier opens, holds, or sends to the desk.

A decision and what follows from it are one transaction: a pass is used once and a movement leaves once, whatever two gates read at
the same moment. Every arrival is kept with its decision and reasons. On the way in, a port wants a container pass. On the way out
of a border or exit gate, plate and position must both identify the vehicle; its movements are released or risk-cleared, and then
the exit read is recorded on each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cocket.core.clock import Clock, rfc3339
from cocket.core.config import Gates
from cocket.core.errors import CocketError, Conflict, Fault, NotFound, Refused
from cocket.core.schema import TIME_AHEAD_US
from cocket.customs.codes.scans import ScanDesk
from cocket.customs.gates import passes as gate_passes
from cocket.customs.gates.joins import join
from cocket.customs.gates.obstacles import CLEARABLE, Obstacles
from cocket.customs.gates.verdict import EXIT, HOLD, OPEN, Arrival, Judge, Places, Verdict, decision, looks
from cocket.customs.machines.movement import AT_DESTINATION
from cocket.customs.transit.desk import TransitDesk
from cocket.customs.transit.steps import Wanted
from cocket.store.codes import Row
from cocket.store.gates import GateStore


@dataclass(frozen=True, slots=True)
class ExitRead:
    """When and where a movement was read on its way out; ``gate`` null: an exit code was scanned where no gate was named."""

    at_us: int | None
    gate: str | None


class GateDesk:
    """Gates and their decisions; any thread may call."""

    def __init__(
        self,
        store: GateStore,
        transit: TransitDesk,
        scans: ScanDesk,
        obstacles: Obstacles,
        places: Places,
        clock: Clock,
        settings: Gates,
    ) -> None:
        self.store = store
        self._transit = transit
        self._scans = scans
        self._obstacles = obstacles
        self._judge = Judge(store, obstacles, places, settings)
        self._clock = clock

    # gates

    def put(self, gate: str, doc: Mapping[str, Any], *, by: str) -> tuple[dict[str, Any], bool]:
        """Keep a gate; the answer and whether it is new. ``Refused`` for an office that is not known."""
        row = {k: doc.get(k) for k in ("name", "office", "kind", "lat_deg", "lon_deg", "radius_m")}
        with self.store.writing() as connection:
            office = row["office"]
            if office is not None and self._transit.reference.read(connection, "office", office) is None:
                detail = f"/office: office {office!r} is not known; PUT it first"
                raise Refused(detail, [Fault("/office", "unknown-reference", detail)])
            new = self.store.put(connection, "gate", {"id": gate, **row}, by=by, at_us=self._clock.now_us())
        return self.gate(gate), new

    def gate(self, gate: str) -> dict[str, Any]:
        """A gate as it is shown; ``NotFound`` if there is none."""
        return _gate_shown(self.store.get("gate", gate))

    def gates(self, limit: int, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Gates by id."""
        rows, following = self.store.page("gate", limit, cursor)
        return [_gate_shown(r) for r in rows], following

    def arrivals(
        self, gate: str, limit: int, before: int | None, decision: str | None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """A gate's arrivals, newest first."""
        self.store.get("gate", gate)
        rows, following = self.store.arrivals(gate, limit, before, decision)
        return [_arrival_shown(r) for r in rows], following

    def exit_read(self, mrn: str) -> ExitRead | None:
        """How a movement was read on its way out: by a gate after its departure, or by a scan of its exit code."""
        with self.store.reading() as connection:
            for row in self.store.exits(connection, mrn):
                if row["event"] != "depart":
                    return ExitRead(row["at_us"], row["gate"])
            used = [c for c in self._scans.store.of(connection, mrn, "exit") if c["use_id"] is not None]
        return ExitRead(used[0]["used_us"], used[0]["used_gate"]) if used else None

    # a decision

    def arrive(self, gate_id: str, arrival: Arrival, *, by: str) -> dict[str, Any]:
        """Decide on one arrival; it is on the disk, with what followed, when this returns. ``Refused`` only for a time ahead of ours."""
        gate = self.store.get("gate", gate_id)
        now = self._clock.now_us()
        at = now if arrival.at_us is None else arrival.at_us
        if at > now + TIME_AHEAD_US:
            detail = f"/at: {rfc3339(at)} has not come yet; it is {rfc3339(now)}"
            raise Refused(detail, [Fault("/at", "in-the-future", detail)])
        plate = arrival.plate if self._judge.readable(arrival) else None
        with self.store.reading() as connection:
            joined = join(
                self.store,
                connection,
                plate,
                arrival.container_ids,
                at,
                self._obstacles.state,
                devices=looks(gate, arrival),
            )
        seen = self._judge.seen(gate, arrival, joined, at)
        refused: list[dict[str, Any]] = []
        with self.store.writing() as connection:
            row = _arrival_row(gate, arrival, at, now, by)
            arrival_id = self.store.add_arrival(connection, row)
            verdict = Verdict(joined)
            self._judge.judge(connection, gate, arrival, at, seen, verdict)
            if not verdict.faults:
                refused = self._act(connection, gate, arrival_id, at, now, by, verdict)
            decided = decision(arrival.direction, verdict.faults)
            body = _body(verdict, now, opened=decided == OPEN)
            self.store.set_body(connection, arrival_id, decided, body)
        self._transit.book.refuse(refused)
        return _arrival_shown({**row, "id": arrival_id, "decision": decided, "body": body})

    # what follows

    def _act(
        self,
        connection: sa.Connection,
        gate: Row,
        arrival_id: int,
        at: int,
        now: int,
        by: str,
        verdict: Verdict,
    ) -> list[dict[str, Any]]:
        """Use the passes and record the exit; if any of it is refused, nothing happened. Gives the refusals to remember."""
        mrn, wanted = "", Wanted("note", at, by, gate["office"])
        try:
            with connection.begin_nested():
                before = dict(verdict.joined.states)
                verdict.effects = gate_passes.use(
                    self._scans,
                    connection,
                    verdict.passes.chosen,
                    gate=gate["id"],
                    office=gate["office"],
                    by=by,
                    at_us=at,
                    now_us=now,
                )
                for mrn in verdict.leaving:
                    last = "depart"
                    if self._obstacles.state(connection, mrn) == before[mrn]:
                        for wanted in self._steps(
                            connection, gate, mrn, before[mrn], arrival_id, at, by, verdict
                        ):
                            step = self._transit.record(connection, mrn, wanted)
                            verdict.effects.append(
                                _told(mrn, step.event.event, step.from_state, step.to_state)
                            )
                            last = wanted.event
                        self._transit.settle(connection, mrn)
                    self.store.add_exit(
                        connection,
                        {
                            "mrn": mrn,
                            "gate": gate["id"],
                            "kind": gate["kind"],
                            "office": gate["office"],
                            "at_us": at,
                            "event": last,
                            "arrival_id": arrival_id,
                        },
                    )
        except (Refused, Conflict, NotFound) as error:
            verdict.effects = []
            verdict.faults = _as_reasons(error)
            if not isinstance(error, Conflict) or not mrn:
                return []
            return [
                {
                    "mrn": mrn,
                    "event": wanted.event,
                    "rule": verdict.faults[0].rule,
                    "detail": verdict.faults[0].detail,
                    "at_us": at,
                    "recorded_us": now,
                    "by": by,
                    "office": gate["office"],
                }
            ]
        return []

    def _steps(
        self,
        connection: sa.Connection,
        gate: Row,
        mrn: str,
        state: str,
        arrival_id: int,
        at: int,
        by: str,
        verdict: Verdict,
    ) -> list[Wanted]:
        """What the exit read means in this state; the last one is the read itself."""
        subject = self._transit.book.subject(connection, "movement", mrn)
        at = at if subject is None else max(at, subject.last_us)
        read = {"exit_read": {"gate": gate["id"], "arrival": arrival_id, "plate": verdict.joined.plate_key}}
        if verdict.near is not None:
            read["exit_read"] |= verdict.near
        before: list[str] = []
        details: dict[str, Any] = read
        if state in CLEARABLE:
            before, event = ["release"], "depart"
        elif state == "released":
            event = "depart"
        elif state in AT_DESTINATION:
            event = "note"
        elif gate["kind"] == EXIT and self._is_destination(connection, mrn, gate):
            event = "arrive"
        else:
            before, event = (["proceed"] if state == "border-handover" else []), "hand-over"
            details = {**read, "to": gate["office"] or gate["id"]}
        reason = f"read on its way out at gate {gate['id']}"
        office = gate["office"]
        return [
            *(Wanted(e, at, by, office, reason) for e in before),
            Wanted(event, at, by, office, reason, details),
        ]

    def _is_destination(self, connection: sa.Connection, mrn: str, gate: Row) -> bool:
        stored = self._transit.reference.read(connection, "movement", mrn)
        destination = None if stored is None else stored.doc.get("destination_office")
        return destination is None or gate["office"] in {None, destination}


def _as_reasons(error: CocketError) -> list[Fault]:
    return error.faults or [Fault("/movements", "refused", error.detail)]


def _told(mrn: str, event: str, before: str, after: str) -> dict[str, Any]:
    outcome = "noted" if event == "note" else "done"
    return {
        "machine": "movement",
        "event": event,
        "outcome": outcome,
        "detail": f"movement {mrn}: {before} → {after}",
    }


def _arrival_row(gate: Row, arrival: Arrival, at: int, now: int, by: str) -> dict[str, Any]:
    return {
        "gate": gate["id"],
        "direction": arrival.direction,
        "at_us": at,
        "recorded_us": now,
        "by": by,
        "plate": arrival.plate,
        "plate_confidence": arrival.plate_confidence,
        "container_ids": list(arrival.container_ids),
        "device_id": arrival.device_id,
        "decision": HOLD,
        "body": {},
    }


def _body(verdict: Verdict, now: int, *, opened: bool) -> dict[str, Any]:
    joined = verdict.joined
    return {
        "reasons": [{"rule": f.rule, "detail": f.detail} for f in verdict.faults],
        "movements": sorted(joined.open) or sorted(joined.states),
        "declarations": [{"id": d.id, "kind": d.kind, "reference": d.reference} for d in joined.declarations],
        "bookings": joined.bookings,
        "passes": gate_passes.shown(verdict.passes, now, used=opened),
        "position": verdict.near,
        "effects": verdict.effects,
    }


def _arrival_shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "gate": row["gate"],
        "direction": row["direction"],
        "at": rfc3339(row["at_us"]),
        "recorded_at": rfc3339(row["recorded_us"]),
        "by": row["by"],
        "plate": row["plate"],
        "plate_confidence": row["plate_confidence"],
        "container_ids": row["container_ids"],
        "device_id": row["device_id"],
        "decision": row["decision"],
        "signal": "green" if row["decision"] == OPEN else "red",
        **row["body"],
    }


def _gate_shown(row: Row) -> dict[str, Any]:
    return {
        **{k: row[k] for k in ("id", "name", "office", "kind", "lat_deg", "lon_deg", "radius_m")},
        "changed_at": rfc3339(row["changed_us"]),
        "changed_by": row["changed_by"],
    }
