"""What documents do to movements: what they say (``says``) is recorded, and a declaration makes its movement.

The messages come from the system that decides (NCTS, ASYCUDA, a national one); Cocket follows. Steps that a message implies are
recorded as implied. What comes out of order waits and is told; nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.clock import Clock
from cocket.core.errors import Conflict, ImpossibleTransition
from cocket.customs.machines.movement import MOVEMENT
from cocket.customs.shapes import ID_PATTERN
from cocket.customs.transit.desk import TransitDesk
from cocket.customs.transit.recording import Step
from cocket.customs.transit.says import (
    ARRIVALS,
    DECLARES,
    MAKES,
    REMARKS,
    consignment_of,
    seal_places,
    seals_of,
    target_of,
    wanted_of,
)
from cocket.customs.transit.steps import Wanted
from cocket.store.customs_documents import DocumentStore, Kept

_ID: Final = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")
_MOST_ID: Final = 35


class Effects:
    """Does what documents say; always within the document's own transaction."""

    def __init__(self, desk: TransitDesk, documents: DocumentStore, clock: Clock) -> None:
        self._desk = desk
        self._documents = documents
        self._clock = clock

    def of(
        self, connection: sa.Connection, kept: Kept, value: Mapping[str, Any]
    ) -> tuple[str | None, list[dict[str, Any]], list[str]]:
        """(movement, effects, flags) of a new document. A ``Conflict`` means that it contradicts what is known."""
        mrn = kept.mrn if kept.mrn is not None and _ID.match(kept.mrn) and len(kept.mrn) <= 64 else None
        if mrn is None and kept.lrn is not None:
            mrn = self._documents.mrn_of(connection, kept.lrn)
        if value.get("procedure") != "transit" and not kept.kind.startswith("cc"):
            return (mrn if mrn and self._known(connection, mrn) else None), [], []
        makes = kept.kind in MAKES or (value.get("function") == "original" and not kept.kind.startswith("cc"))
        if mrn is not None and (makes or self._known(connection, mrn)):
            if kept.lrn is not None:
                self._adopt(connection, kept.lrn, mrn)
            if makes or kept.kind in DECLARES:
                self._declare(connection, mrn, value, kept)
        return self._record(connection, mrn, kept, value)

    def known(self, mrn: str) -> bool:
        """Whether there is such a movement."""
        return self._desk.reference.get("movement", mrn) is not None

    # how

    def _known(self, connection: sa.Connection, mrn: str) -> bool:
        return self._desk.reference.read(connection, "movement", mrn) is not None

    def _adopt(self, connection: sa.Connection, lrn: str, mrn: str) -> None:
        """What was declared and what waited under the declarant's reference goes on under the MRN."""
        for kept in self._documents.with_lrn(connection, lrn):
            if kept.kind in DECLARES and kept.mrn is None:
                self._declare(connection, mrn, self._documents.body_in(connection, kept.id).value, kept)
        self._documents.set_mrn(connection, lrn, mrn)
        book = self._desk.book
        for row in book.waiting(connection, lrn):
            book.wait(connection, mrn, row["document_id"], row["event"], row["at_us"], row["body"])
            book.waits_no_more(connection, row["id"])

    def _record(
        self, connection: sa.Connection, mrn: str | None, kept: Kept, value: Mapping[str, Any]
    ) -> tuple[str | None, list[dict[str, Any]], list[str]]:
        wanted = wanted_of(kept, value, self._clock.now_us())
        if wanted is None:
            return mrn, [], []
        known = mrn is not None and self._known(connection, mrn)
        if mrn is None or not known:
            reference = mrn or kept.lrn
            if reference is None:
                return None, [], []
            self._wait(connection, reference, kept, wanted)
            flag = [] if kept.kind == "cc015c" else [f"movement-unknown:{reference}"]
            said = "it has no MRN yet" if mrn is None else "its movement is not known yet"
            return None, [_told(wanted.event, "waiting", said)], flag
        self._desk.begin(connection, mrn)
        self._desk.settle(connection, mrn)
        effects: list[dict[str, Any]] = []
        flags: list[str] = []
        try:
            with connection.begin_nested():
                effects = self._do(connection, mrn, kept, value, wanted)
        except ImpossibleTransition as error:
            effects, flags = self._cannot(connection, mrn, kept, wanted, error)
        self._desk.settle(connection, mrn)
        return mrn, effects, flags

    def _do(
        self, connection: sa.Connection, mrn: str, kept: Kept, value: Mapping[str, Any], wanted: Wanted
    ) -> list[dict[str, Any]]:
        if kept.kind in REMARKS:
            self._desk.record(connection, mrn, replace(wanted, event="note"))
            return [_told("note", "noted", f"{kept.kind.upper()} is kept beside the movement")]
        if kept.kind == "cc044c":
            return self._unloading(connection, mrn, value, wanted)
        target = target_of(kept.kind, value)
        if target is None:
            steps = [self._desk.record(connection, mrn, self._in_time(connection, mrn, wanted))]
            if kept.kind == "cc182c":
                steps += self._incident(connection, mrn, value, wanted)
            return [_told(s.event.event, "done", f"{s.from_state} → {s.to_state}") for s in steps]
        state = self._state(connection, mrn)
        if kept.kind in ARRIVALS and _before_release(state):
            MOVEMENT.after(state, "discharge" if target == "discharged" else "arrive", mrn)
        if target == "discharged" and state == "alternative-proof":
            steps = [self._desk.record(connection, mrn, replace(wanted, event="accept-proof"))]
        elif target == "released" and _before_release(state) and (seals := seals_of(value)):
            steps = (
                self._desk.reach(connection, mrn, "control-decided", wanted)
                if state not in {"control-decided", "sealed", "armed"}
                else []
            )
            if state not in {"sealed", "armed"}:
                sealing = replace(wanted, event="seal", details={"seals": seals}, reason=None)
                steps.append(self._sealed(connection, mrn, value, sealing))
            steps += self._desk.reach(connection, mrn, target, wanted)
        elif _already(state, target):
            self._desk.record(connection, mrn, replace(self._in_time(connection, mrn, wanted), event="note"))
            return [_told("note", "noted", f"the movement is {state} already")]
        else:
            steps = self._desk.reach(connection, mrn, target, wanted)
        return [_told(s.event.event, "done", f"{s.from_state} → {s.to_state}") for s in steps]

    def _cannot(
        self, connection: sa.Connection, mrn: str, kept: Kept, wanted: Wanted, error: ImpossibleTransition
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Out of order, or too late: it is told, kept, and done when its turn comes."""
        self._wait(connection, mrn, kept, wanted)
        return (
            [_told(wanted.event, "waiting", error.detail)],
            [f"out-of-order:{wanted.event}:{error.state}"],
        )

    def _wait(self, connection: sa.Connection, reference: str, kept: Kept, wanted: Wanted) -> None:
        body = {
            "by": wanted.by,
            "office": wanted.office,
            "reason": wanted.reason,
            "details": dict(wanted.details),
        }
        self._desk.book.wait(connection, reference, kept.id, wanted.event, wanted.at_us, body)

    def _in_time(self, connection: sa.Connection, mrn: str, wanted: Wanted) -> Wanted:
        subject = self._desk.book.subject(connection, "movement", mrn)
        return wanted if subject is None else replace(wanted, at_us=max(wanted.at_us, subject.last_us))

    def _incident(
        self, connection: sa.Connection, mrn: str, value: Mapping[str, Any], wanted: Wanted
    ) -> list[Any]:
        """New seals of an incident replace those of the equipment that it names."""
        seals = [
            {"id": seal["id"], "equipment_id": equipment.get("id") or "goods"}
            for incident in value.get("incidents", ())
            for equipment in incident.get("equipment", ())
            for seal in equipment.get("seals", ())
        ]
        if not seals:
            return []
        equipment = {s["equipment_id"] for s in seals}
        old = [
            s.subject
            for s in self._desk.seals.on(connection, mrn)
            if s.summary.get("equipment_id") in equipment and s.subject not in {n["id"] for n in seals}
        ]
        seals = [s for s in seals if s["id"] not in {o.subject for o in self._desk.seals.on(connection, mrn)}]
        if not seals:
            return []
        details = {"seals": seals, "replaces": old, "message": "cc182c"}
        return [self._sealed(connection, mrn, value, replace(wanted, event="reseal", details=details))]

    def _sealed(self, connection: sa.Connection, mrn: str, value: Mapping[str, Any], wanted: Wanted) -> Step:
        """Put seals on; what is refused of one is refused where the document names it."""
        try:
            return self._desk.record(connection, mrn, self._in_time(connection, mrn, wanted))
        except Conflict as error:
            places = dict(seal_places(value))
            ids = {f"/seals/{i}/id": seal["id"] for i, seal in enumerate(wanted.details["seals"])}
            error.faults = [replace(f, path=places.get(ids.get(f.path, ""), f.path)) for f in error.faults]
            raise

    def _unloading(
        self, connection: sa.Connection, mrn: str, value: Mapping[str, Any], wanted: Wanted
    ) -> list[dict[str, Any]]:
        """Unloading remarks: the state of the seals, the unloading, and what differs."""
        told = value.get("unloading") or {}
        steps = []
        state = self._state(connection, mrn)
        if told.get("seals_ok") is not None and state == "arrived":
            result = "intact" if told["seals_ok"] else "broken"
            details = {"result": result, "message": "cc044c"}
            steps.append(
                self._desk.record(
                    connection,
                    mrn,
                    self._in_time(connection, mrn, replace(wanted, event="verify-seals", details=details)),
                )
            )
        steps.append(
            self._desk.record(
                connection, mrn, self._in_time(connection, mrn, replace(wanted, event="unload"))
            )
        )
        if told.get("conform") is False:
            differs = replace(
                wanted, event="report-discrepancies", reason=told.get("remark") or wanted.reason
            )
            steps.append(self._desk.record(connection, mrn, self._in_time(connection, mrn, differs)))
        return [_told(s.event.event, "done", f"{s.from_state} → {s.to_state}") for s in steps]

    def _state(self, connection: sa.Connection, mrn: str) -> str:
        subject = self._desk.book.subject(connection, "movement", mrn)
        return MOVEMENT.initial if subject is None else subject.state

    def _declare(self, connection: sa.Connection, mrn: str, value: Mapping[str, Any], kept: Kept) -> None:
        """Make or complete the movement's declaration from a document; what somebody set by hand stays."""
        reference = self._desk.reference
        stored = reference.read(connection, "movement", mrn)
        doc = {} if stored is None else dict(stored.doc)
        offices: dict[str, dict[str, Any]] = {}
        for office in value.get("offices", ()):
            office_id = office.get("id")
            if not office_id or not _ID.match(office_id) or len(office_id) > 64:
                continue
            known = {"name": office.get("name") or office_id}
            if re.match("[A-Z]{2}", office_id):
                known["country"] = office_id[:2]
            offices[office_id] = known
            field = {"departure": "departure_office", "destination": "destination_office"}.get(office["role"])
            if field is not None:
                doc[field] = office_id
        now = self._clock.now_us()
        new = [(i, d) for i, d in offices.items() if reference.read(connection, "office", i) is None]
        if new:
            reference.write(connection, "office", new, by=kept.by, at_us=now)
        if value.get("limit_at"):
            doc["limit_at"] = value["limit_at"]
        holder = next((p for p in value.get("parties", ()) if p.get("role") == "holder"), None)
        if holder is not None:
            doc["holder"] = holder.get("name") or holder.get("id")
            doc.pop("holder_id", None)
            if holder.get("id") and len(holder["id"]) <= _MOST_ID:
                doc["holder_id"] = holder["id"]
        countries = dict.fromkeys(
            [
                *doc.get("countries", ()),
                *value.get("countries", ()),
                *(o["country"] for o in offices.values() if "country" in o),
            ]
        )
        if countries:
            doc["countries"] = list(countries)
        consignments = [consignment_of(c) for c in value.get("consignments", ())]
        if any(consignments):
            doc["consignments"] = [c for c in consignments if c]
        reference.write(connection, "movement", [(mrn, doc)], by=kept.by, at_us=now)


def _before_release(state: str) -> bool:
    return state in {
        "draft",
        "lodged",
        "accepted",
        "guarantee-reserved",
        "control-decided",
        "sealed",
        "armed",
    }


def _already(state: str, target: str) -> bool:
    order = (
        "draft",
        "lodged",
        "accepted",
        "guarantee-reserved",
        "control-decided",
        "released",
        "departed",
        "en-route",
        "arrived",
        "unloaded",
        "discharged",
    )
    beside = {
        "sealed": "control-decided",
        "armed": "control-decided",
        "seal-verified": "arrived",
        "unsealed": "arrived",
    }
    here = beside.get(state, state)
    return here in order and order.index(here) >= order.index(target)


def _told(event: str, outcome: str, detail: str) -> dict[str, Any]:
    return {"machine": "movement", "event": event, "outcome": outcome, "detail": detail}
