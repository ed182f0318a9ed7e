"""A movement as it stands, or as it was known at a moment: state, seals, guarantee, custody, incidents, deadlines, documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cocket.core.clock import parse_rfc3339, rfc3339
from cocket.core.config import Customs
from cocket.core.errors import NotFound
from cocket.customs.machines.movement import MOVEMENT
from cocket.customs.machines.seal import SEAL
from cocket.customs.reference import shown
from cocket.customs.transit import terms
from cocket.customs.transit.desk import TransitDesk
from cocket.customs.transit.recording import Step, fold, since
from cocket.store.customs_documents import DocumentStore, Kept
from cocket.store.file_events import Event, Subject

DECLARED: Final = (("arrived_at", "arrived"), ("departed_at", "departed"))
"""Of a movement of which only dates were declared: what they say of its state, the latest first."""


class MovementView:
    """Reads what the desks wrote; any thread may call."""

    def __init__(self, desk: TransitDesk, documents: DocumentStore, settings: Customs) -> None:
        self._desk = desk
        self._documents = documents
        self._settings = settings

    def states(self, docs: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str | None]]:
        """(state, since) of each movement, by MRN; ``docs`` are their declarations."""
        found = {s.subject: s for s in self._desk.book.subjects("movement", ids=docs)}
        return {mrn: _standing(found.get(mrn), doc) for mrn, doc in docs.items()}

    def whole(self, mrn: str, known_us: int | None = None) -> dict[str, Any]:
        """Everything the file holds on a movement. ``NotFound`` if it is not known, or was not then."""
        reference = self._desk.reference
        stored = (
            reference.get("movement", mrn)
            if known_us is None
            else reference.as_known("movement", mrn, known_us)
        )
        if stored is None:
            then = "" if known_us is None else f" that was known at {rfc3339(known_us)}"
            raise NotFound(f"there is no movement {mrn!r}{then}")
        steps = fold(MOVEMENT, self._desk.book.of_movement(mrn, "movement", known_us))
        state, began = _declared(stored.doc)
        if steps:
            state, began_us = steps[-1].to_state, since(steps)
            began = None if began_us is None else rfc3339(began_us)
        events = [s.event for s in steps]
        return {
            **shown("movement", stored),
            "state": state,
            "since": began,
            "allowed": list(MOVEMENT.allowed(state)),
            "sensitive": self._desk.sensitive(stored.doc),
            "custody": _custody(stored.doc, events),
            "seals": self._seals(mrn, known_us),
            "guarantee": _guarantee(self._desk.book.of_movement(mrn, "guarantee", known_us)),
            "incidents": _incidents(steps),
            "deadlines": self._deadlines(mrn, state, steps, stored.doc, known_us),
            "documents": [document_brief(d) for d in self._documents.of_movement(mrn, known_us)],
            "waiver": _waiver(events),
        }

    def events(self, mrn: str, known_us: int | None = None) -> list[dict[str, Any]]:
        """A movement's events in order of event time, with the states around each."""
        if self._desk.reference.get("movement", mrn) is None:
            raise NotFound(f"there is no movement {mrn!r}")
        return [
            event_shown(s) for s in fold(MOVEMENT, self._desk.book.of_movement(mrn, "movement", known_us))
        ]

    def _seals(self, mrn: str, known_us: int | None) -> list[dict[str, Any]]:
        book = self._desk.book
        ids = list(dict.fromkeys(e.subject for e in book.of_movement(mrn, "seal", known_us)))
        found = []
        for seal_id in ids:
            with book.db.read() as connection:
                events = book.events(connection, "seal", seal_id, known_us=known_us)
                subject = book.subject(connection, "seal", seal_id)
            initial = None if subject is None else subject.summary.get("initial")
            mine = [s for s in fold(SEAL, events, initial) if s.event.mrn == mrn]
            fitted = next((s for s in reversed(mine) if s.event.event == "assign"), None)
            found.append(
                {
                    "id": seal_id,
                    "equipment_id": None if fitted is None else fitted.event.details.get("equipment_id"),
                    "kind": "mechanical" if subject is None else subject.summary.get("kind", "mechanical"),
                    "state": mine[-1].to_state,
                    "since": rfc3339(mine[-1].event.at_us),
                }
            )
        return found

    def _deadlines(
        self, mrn: str, state: str, steps: list[Step], doc: Mapping[str, Any], known_us: int | None
    ) -> list[dict[str, Any]]:
        if not steps:
            return []
        if known_us is None:
            due = self._desk.book.deadlines([mrn]).get(mrn, [])
        else:
            limit = doc.get("limit_at")
            terms_of = terms.due(
                state, since(steps) or 0, None if limit is None else parse_rfc3339(limit), self._settings
            )
            due = sorted(terms_of.items(), key=lambda e: e[1])
        return [{"event": event, "due_at": rfc3339(at)} for event, at in due]

    def enquiries(
        self, state: str | None, limit: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Movements whose arrival is overdue or that are enquired about, by MRN, with their deadlines."""
        states = ("overdue", "enquiry", "alternative-proof", "debt", "recovery")
        found = self._desk.book.subjects(
            "movement", states=states if state is None else (state,), limit=limit + 1, cursor=cursor
        )
        due = self._desk.book.deadlines([s.subject for s in found])
        rows = []
        for subject in found[:limit]:
            stored = self._desk.reference.get("movement", subject.subject)
            doc = {} if stored is None else stored.doc
            rows.append(
                {
                    "mrn": subject.subject,
                    "state": subject.state,
                    "since": rfc3339(subject.since_us),
                    "limit_at": doc.get("limit_at"),
                    "holder": doc.get("holder"),
                    "departure_office": doc.get("departure_office"),
                    "destination_office": doc.get("destination_office"),
                    "deadlines": [
                        {"event": event, "due_at": rfc3339(at)} for event, at in due.get(subject.subject, [])
                    ],
                }
            )
        return rows, found[limit - 1].subject if len(found) > limit else None


def event_shown(step: Step) -> dict[str, Any]:
    """An event as answers show it."""
    event = step.event
    return {
        "seq": event.seq,
        "event": event.event,
        "from_state": step.from_state,
        "to_state": step.to_state,
        "at": rfc3339(event.at_us),
        "recorded_at": rfc3339(event.recorded_us),
        "by": event.by,
        "office": event.office,
        "reason": event.reason,
        "details": dict(event.details),
        "document": event.document_id,
        "passed_over": step.passed_over,
    }


def document_brief(kept: Kept) -> dict[str, Any]:
    """A document in a list."""
    return {
        "id": kept.id,
        "kind": kept.kind,
        "function": kept.function,
        "reference": kept.reference,
        "mrn": kept.mrn,
        "received_at": rfc3339(kept.received_us),
        "by": kept.by,
        "name": kept.name or None,
        "size": kept.size,
        "sha256": kept.sha256.hex(),
        "flags": kept.flags,
    }


def _standing(subject: Subject | None, doc: Mapping[str, Any]) -> tuple[str, str | None]:
    return _declared(doc) if subject is None else (subject.state, rfc3339(subject.since_us))


def _declared(doc: Mapping[str, Any]) -> tuple[str, str | None]:
    for name, state in DECLARED:
        if doc.get(name) is not None:
            return state, doc[name]
    return MOVEMENT.initial, None


def _custody(doc: Mapping[str, Any], events: Sequence[Event]) -> dict[str, Any] | None:
    for event in reversed(events):
        if event.event == "hand-over":
            to = event.details
            return {
                "office": to.get("to"),
                "country": to.get("country"),
                "authority": to.get("authority"),
                "since": rfc3339(event.at_us),
            }
        if event.event == "arrive":
            office = event.office or doc.get("destination_office")
            return {"office": office, "country": None, "authority": None, "since": rfc3339(event.at_us)}
    office = doc.get("departure_office")
    return None if office is None else {"office": office, "country": None, "authority": None, "since": None}


def _guarantee(events: Sequence[Event]) -> dict[str, Any] | None:
    if not events:
        return None
    states = {"reserve": "reserved", "release": "released", "call": "called"}
    last = events[-1]
    amounts = next(e.details for e in reversed(events) if e.details.get("amount"))
    return {
        "grn": last.subject.partition("/")[0],
        "amount": amounts["amount"],
        "currency": amounts["currency"],
        "state": states[last.event],
        "since": rfc3339(last.at_us),
    }


def _incidents(steps: Sequence[Step]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for step in steps:
        event = step.event
        if event.event == "report-incident":
            known = {k: v for k, v in event.details.items() if k != "implied"}
            found.append(
                {
                    **known,
                    "seq": event.seq,
                    "kind": event.details.get("kind", "other"),
                    "at": rfc3339(event.at_us),
                    "by": event.by,
                    "office": event.office,
                    "text": event.reason or event.details.get("text"),
                    "open": True,
                    "answers": [],
                }
            )
        elif found and event.event in {"answer", "appeal", "tranship", "reseal"} and found[-1]["open"]:
            found[-1]["answers"].append(event_shown(step))
        elif found and step.from_state == "incident" != step.to_state:
            found[-1]["open"] = False
    return found


def _waiver(events: Sequence[Event]) -> dict[str, Any] | None:
    for event in reversed(events):
        if event.event == "waive-seal":
            return {"by": event.by, "reason": event.reason, "at": rfc3339(event.at_us)}
    return None
