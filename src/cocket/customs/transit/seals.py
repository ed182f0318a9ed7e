"""The seal stock: e-seals and mechanical seals from stock to return, each on one open movement at a time.

An e-seal is a device under the same id: its bindings, and the ``state`` of its device document, change in the same transaction
as its machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.clock import Clock, rfc3339
from cocket.core.errors import CocketError, Conflict, Fault, NotFound, Refused
from cocket.customs.machines.seal import ON_MOVEMENT, SEAL, STATES
from cocket.customs.transit.recording import Step, fold, record
from cocket.store.bindings import NewBinding
from cocket.store.file_events import Event, FileBook, Subject
from cocket.store.reference import Reference

E_SEAL, MECHANICAL = "e-seal", "mechanical"
_FREE: Final = ("type-approved", "charged")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A seal that is put on: which, and on what."""

    id: str
    equipment_id: str


class SealDesk:
    """The seals; any thread may call."""

    def __init__(self, book: FileBook, reference: Reference, clock: Clock) -> None:
        self._book = book
        self._reference = reference
        self._clock = clock

    # the stock

    def put(self, seal_id: str, doc: Mapping[str, Any], *, by: str) -> tuple[dict[str, Any], bool]:
        """Take a seal into stock, or change what is known of it; one with a type approval is type-approved."""
        now = self._clock.now_us()
        facts = {k: doc.get(k) for k in ("kind", "maker", "model", "type_approval")}
        facts["kind"] = facts["kind"] or (E_SEAL if self._reference.get("device", seal_id) else MECHANICAL)
        with self._book.db.write() as connection:
            known = self._book.subject(connection, "seal", seal_id)
            subject = known or Subject(
                "seal", seal_id, self._initial(connection, seal_id), now, now, None, {}
            )
            self._book.put_subject(
                connection,
                Subject(
                    "seal",
                    seal_id,
                    subject.state,
                    subject.since_us,
                    subject.last_us,
                    subject.mrn,
                    {**subject.summary, **facts, "initial": subject.summary.get("initial", subject.state)},
                ),
            )
            if subject.state == "stock" and facts["type_approval"]:
                self._record(connection, seal_id, "approve", by=by, at_us=now, reason="type approval given")
        return self.shown(seal_id), known is None

    def shown(self, seal_id: str) -> dict[str, Any]:
        """A seal with its history; ``NotFound`` if nobody knows it."""
        with self._book.db.read() as connection:
            subject = self._book.subject(connection, "seal", seal_id)
            events = self._book.events(connection, "seal", seal_id)
        device = self._reference.get("device", seal_id)
        if subject is None:
            if device is None or not _is_seal(device.doc):
                raise NotFound(f"there is no seal {seal_id!r}")
            return self._device_shown(seal_id, device.doc, device.changed_at_us)
        steps = fold(SEAL, events, subject.summary.get("initial"))
        history = [
            {
                "seq": s.event.seq,
                "event": s.event.event,
                "from_state": s.from_state,
                "to_state": s.to_state,
                "at": rfc3339(s.event.at_us),
                "recorded_at": rfc3339(s.event.recorded_us),
                "by": s.event.by,
                "mrn": s.event.mrn,
                "reason": s.event.reason,
                "details": s.event.details,
            }
            for s in steps
        ]
        return {**seal_shown(subject, device=device is not None), "history": history}

    def page(
        self, q: str | None, state: str | None, limit: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Seals by id."""
        found = self._book.subjects(
            "seal", states=() if state is None else (state,), q=q, limit=limit + 1, cursor=cursor
        )
        devices = self._reference.exists("device", [s.subject for s in found])
        rows = [seal_shown(s, device=s.subject in devices) for s in found[:limit]]
        return rows, found[limit - 1].subject if len(found) > limit else None

    def summary(self) -> dict[str, int]:
        """How many seals are in each state."""
        return {**dict.fromkeys(STATES, 0), **self._book.counts("seal")}

    def act(self, seal_id: str, doc: Mapping[str, Any], *, by: str) -> dict[str, Any]:
        """One event from a person. What belongs to a movement (``assign``, ``arm``) is done there."""
        event = str(doc["event"])
        if event in {"assign", "arm", "unassign"}:
            detail = f"a seal is {event}ed by its movement: POST it to /movements/{{mrn}}/events"
            raise Refused(detail, [Fault("/event", "by-movement", detail)])
        with self._book.db.write() as connection:
            if self._known(connection, seal_id) is None:
                raise NotFound(f"there is no seal {seal_id!r}")
            self._record(
                connection,
                seal_id,
                event,
                by=by,
                at_us=doc.get("at_us") or self._clock.now_us(),
                reason=doc.get("reason"),
            )
        return self.shown(seal_id)

    def alarmed(self, seal_id: str, mrn: str, code: str, at_us: int) -> bool:
        """A seal alert was raised: the seal of that movement is in alarm, if it was assigned or armed. Whether it changed."""
        with self._book.db.write() as connection:
            seal = self._book.subject(connection, "seal", seal_id)
            if seal is None or seal.mrn != mrn or seal.state not in {"assigned", "armed"}:
                return False
            self._record(
                connection,
                seal_id,
                "alarm",
                by="detectors",
                at_us=max(at_us, seal.last_us),
                mrn=mrn,
                reason=code,
            )
        return True

    # parts of a movement's transaction

    def on(self, connection: sa.Connection, mrn: str) -> list[Subject]:
        """The seals that are on a movement now."""
        return [s for s in self._book.subjects_in(connection, "seal", mrn) if s.state in ON_MOVEMENT]

    def assign(
        self,
        connection: sa.Connection,
        mrn: str,
        seals: Sequence[Fitted],
        *,
        by: str,
        at_us: int,
        document_id: str | None = None,
    ) -> None:
        """Bind seals to a movement. ``Conflict`` names the movement that a seal is still on, or why it may not be used."""
        for i, fitted in enumerate(seals):
            path = f"/seals/{i}/id"
            known = self._known(connection, fitted.id)
            if known is None:
                known = self._arrived(connection, fitted.id, by=by, at_us=at_us)
            if known.state in ON_MOVEMENT:
                detail = f"seal {fitted.id} is on movement {known.mrn} ({known.state}); it must come off there first"
                raise Conflict(detail, [Fault(path, "seal-bound", detail)])
            if known.state not in _FREE:
                detail = f"seal {fitted.id} is {known.state!r}; only one that is {' or '.join(_FREE)} may be put on"
                raise Conflict(detail, [Fault(path, "seal-not-free", detail)])
            self._record(
                connection,
                fitted.id,
                "assign",
                by=by,
                at_us=max(at_us, known.last_us),
                mrn=mrn,
                details={"equipment_id": fitted.equipment_id},
                summary={"equipment_id": fitted.equipment_id},
                document_id=document_id,
            )
            if known.summary.get("kind") == E_SEAL and not self._is_bound(connection, mrn, fitted, at_us):
                wanted = NewBinding(fitted.id, fitted.equipment_id, mrn, at_us, None, by)
                bound = self._reference.bind(connection, [wanted], self._clock.now_us())[0]
                if isinstance(bound, CocketError):
                    bound.faults = [Fault(path, "seal-bound", bound.detail)]
                    raise bound

    def arm(self, connection: sa.Connection, mrn: str, *, by: str, at_us: int) -> list[str]:
        """Arm the movement's e-seals; gives their ids."""
        armed = []
        for seal in self.on(connection, mrn):
            if seal.summary.get("kind") == E_SEAL and seal.state == "assigned":
                self._record(connection, seal.subject, "arm", by=by, at_us=max(at_us, seal.last_us), mrn=mrn)
                armed.append(seal.subject)
        return armed

    def take_off(
        self,
        connection: sa.Connection,
        mrn: str,
        *,
        by: str,
        at_us: int,
        only: Sequence[str] | None = None,
        reason: str | None = None,
    ) -> list[str]:
        """Take seals off a movement (all, or ``only`` these) and end their bindings; gives their ids."""
        taken = []
        for seal in self.on(connection, mrn):
            if only is not None and seal.subject not in only:
                continue
            at = max(at_us, seal.last_us)
            event = "unassign" if seal.state == "assigned" else "disarm"
            self._record(
                connection, seal.subject, event, by=by, at_us=at, mrn=mrn, reason=reason, leaves=True
            )
            taken.append(seal.subject)
        for binding in self._reference.bindings_in(connection, mrn):
            if binding.to_us is None and (only is None or binding.device_id in only):
                end = max(at_us, binding.from_us + 1)
                self._reference.unbind(connection, binding.id, end, by=by, at_us=self._clock.now_us())
        return taken

    def found(
        self,
        connection: sa.Connection,
        mrn: str,
        seal_id: str,
        event: str,
        *,
        by: str,
        at_us: int,
        reason: str,
    ) -> None:
        """What was found of one seal of a movement: ``alarm`` (broken), ``lose`` (missing)."""
        seal = self._book.subject(connection, "seal", seal_id)
        if seal is None or seal.mrn != mrn:
            detail = f"seal {seal_id} is not on movement {mrn}"
            raise Refused(detail, [Fault("/seals", "unknown-reference", detail)])
        if seal.state == "alarm" and event == "alarm":
            return
        self._record(
            connection,
            seal_id,
            event,
            by=by,
            at_us=max(at_us, seal.last_us),
            mrn=mrn,
            reason=reason,
            leaves=event == "lose",
        )

    # how

    def _is_bound(self, connection: sa.Connection, mrn: str, fitted: Fitted, at_us: int) -> bool:
        """Whether somebody bound the device to this equipment and movement already (POST /bindings)."""
        return any(
            b.device_id == fitted.id
            and b.equipment_id == fitted.equipment_id
            and b.from_us <= at_us
            and (b.to_us is None or at_us < b.to_us)
            for b in self._reference.bindings_in(connection, mrn)
        )

    def _known(self, connection: sa.Connection, seal_id: str) -> Subject | None:
        found = self._book.subject(connection, "seal", seal_id)
        if found is not None:
            return found
        device = self._reference.read(connection, "device", seal_id)
        if device is None:
            return None
        now = self._clock.now_us()
        state = self._initial(connection, seal_id)
        subject = Subject("seal", seal_id, state, now, 0, None, {"kind": E_SEAL, "initial": state})
        self._book.put_subject(connection, subject)
        return subject

    def _initial(self, connection: sa.Connection, seal_id: str) -> str:
        """Where a seal that the stock did not know begins: as its device document says, or else as fit for use if it is a device."""
        device = self._reference.read(connection, "device", seal_id)
        if device is None:
            return SEAL.initial
        state: str = device.doc.get("state") or "type-approved"
        return "type-approved" if state in ON_MOVEMENT else state

    def _arrived(self, connection: sa.Connection, seal_id: str, *, by: str, at_us: int) -> Subject:
        """A mechanical seal that the stock never heard of: it came with its declaration."""
        details = {"implied": True}
        step = self._record(
            connection,
            seal_id,
            "approve",
            by=by,
            at_us=at_us,
            details=details,
            summary={"kind": MECHANICAL, "initial": SEAL.initial},
        )
        return Subject("seal", seal_id, step.to_state, at_us, at_us, None, {"kind": MECHANICAL})

    def _record(
        self,
        connection: sa.Connection,
        seal_id: str,
        event: str,
        *,
        by: str,
        at_us: int,
        mrn: str | None = None,
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
        summary: Mapping[str, Any] | None = None,
        document_id: str | None = None,
        leaves: bool = False,
    ) -> Step:
        known = self._book.subject(connection, "seal", seal_id)
        movement = mrn if mrn is not None or known is None else known.mrn
        entry = Event(
            "seal",
            seal_id,
            event,
            at_us,
            self._clock.now_us(),
            by,
            mrn=movement,
            reason=reason,
            details=details or {},
            document_id=document_id,
        )
        target = SEAL.after(SEAL.initial if known is None else known.state, event, f"{seal_id}")
        step = record(
            self._book,
            connection,
            entry,
            summary=summary,
            mrn=movement if target in ON_MOVEMENT and not leaves else None,
        )
        device = self._reference.read(connection, "device", seal_id)
        if device is not None and device.doc.get("state") != step.to_state:
            doc = {**device.doc, "state": step.to_state}
            self._reference.write(connection, "device", [(seal_id, doc)], by=by, at_us=self._clock.now_us())
        return step

    def _device_shown(self, seal_id: str, doc: Mapping[str, Any], since_us: int) -> dict[str, Any]:
        state = doc.get("state") or "type-approved"
        subject = Subject("seal", seal_id, state, since_us, since_us, None, {"kind": E_SEAL})
        return {**seal_shown(subject, device=True), "history": []}


def seal_shown(seal: Subject, *, device: bool) -> dict[str, Any]:
    """A seal as answers show it."""
    return {
        "id": seal.subject,
        "kind": seal.summary.get("kind", MECHANICAL),
        "maker": seal.summary.get("maker"),
        "model": seal.summary.get("model"),
        "type_approval": seal.summary.get("type_approval"),
        "state": seal.state,
        "since": rfc3339(seal.since_us),
        "mrn": seal.mrn,
        "equipment_id": seal.summary.get("equipment_id") if seal.mrn else None,
        "device": device,
        "allowed": [e for e in SEAL.allowed(seal.state) if e not in {"assign", "arm", "unassign"}],
    }


def _is_seal(doc: Mapping[str, Any]) -> bool:
    return doc.get("class") in {E_SEAL, "e-lock"} or doc.get("state") is not None
