"""The transit desk: events of movements, what each needs, and what it does to seals, guarantees and declarations.

One transaction holds the event, its effects and where everything stands then. A refusal names the rule, and is remembered.
What a step needs from outside (the e-seals' self-test, the clean-trip report) comes from ``Checks``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from cocket.core.clock import Clock, parse_rfc3339, rfc3339
from cocket.core.config import Customs
from cocket.core.errors import CocketError, Conflict, Fault, ImpossibleTransition, NotFound
from cocket.core.schema import TIME_AHEAD_US
from cocket.customs.machines.movement import MAIN_LINE, MOVEMENT
from cocket.customs.transit import terms
from cocket.customs.transit.guarantees import GuaranteeDesk
from cocket.customs.transit.recording import BY_CLOCK, Step, record
from cocket.customs.transit.seals import SealDesk
from cocket.customs.transit.steps import Checks, Steps, Wanted, refused
from cocket.store.file_events import Event, FileBook
from cocket.store.reference import Reference


class TransitDesk:
    """Movements and their machine; any thread may call."""

    def __init__(
        self,
        book: FileBook,
        reference: Reference,
        seals: SealDesk,
        guarantees: GuaranteeDesk,
        clock: Clock,
        settings: Customs,
    ) -> None:
        self.book = book
        self.reference = reference
        self.seals = seals
        self.guarantees = guarantees
        self._steps = Steps(book, reference, seals, guarantees, clock, settings)
        self._clock = clock
        self._settings = settings

    @property
    def checks(self) -> Checks:
        """What is asked of the rest of the house."""
        return self._steps.checks

    def sensitive(self, doc: Mapping[str, Any]) -> bool:
        """Whether a movement may leave only with an armed seal."""
        return self._steps.sensitive(doc)

    # from outside

    def wanted(self, doc: Mapping[str, Any], *, by: str) -> Wanted:
        """An event as a person sends it; ``Refused`` where it is none."""
        event = doc.get("event")
        if not isinstance(event, str) or not event:
            raise refused("/event", "required", f"say which event: {', '.join(MOVEMENT.events)}")
        now = self._clock.now_us()
        at_us = now if doc.get("at") is None else parse_rfc3339(str(doc["at"]))
        if at_us > now + TIME_AHEAD_US:
            raise refused("/at", "in-the-future", f"{doc['at']} has not come yet; it is {rfc3339(now)}")
        details = {k: v for k, v in doc.items() if k not in {"event", "at", "by", "office", "reason"}}
        return Wanted(event, at_us, doc.get("by") or by, doc.get("office"), doc.get("reason"), details)

    def act(self, mrn: str, wanted: Sequence[Wanted]) -> list[Step]:
        """Record events in their order, all or none. What is refused is remembered with who tried it."""
        done: list[Step] = []
        try:
            with self.book.db.write() as connection:
                for i, one in enumerate(wanted):
                    try:
                        done.append(self.record(connection, mrn, one))
                    except CocketError as error:
                        if isinstance(error, Conflict) and not error.state:
                            now = self.book.subject(connection, "movement", mrn)
                            error.state = MOVEMENT.initial if now is None else now.state
                            error.event, error.allowed = one.event, MOVEMENT.allowed(error.state)
                        if len(wanted) > 1:
                            error.faults = [replace(f, path=f"/{i}{f.path}") for f in error.faults]
                        raise
                self.settle(connection, mrn)
        except Conflict as error:
            refused = wanted[len(done)]
            self.book.refuse(
                [
                    {
                        "mrn": mrn,
                        "event": refused.event[:64],
                        "rule": f.rule,
                        "detail": f.detail,
                        "at_us": refused.at_us,
                        "recorded_us": self._clock.now_us(),
                        "by": refused.by,
                        "office": refused.office,
                    }
                    for f in error.faults[:1]
                ]
            )
            raise
        return done

    # within a transaction

    def record(self, connection: sa.Connection, mrn: str, wanted: Wanted) -> Step:
        """One event with its effects, as part of the caller's transaction."""
        stored = self.reference.read(connection, "movement", mrn)
        if stored is None:
            raise NotFound(
                f"there is no movement {mrn!r}; send its declaration, or PUT /movements/{mrn} first"
            )
        if wanted.event != "lodge":
            self.begin(connection, mrn)
        subject = self.book.subject(connection, "movement", mrn)
        state = MOVEMENT.initial if subject is None else subject.state
        if subject is None or wanted.at_us >= subject.last_us:
            MOVEMENT.after(state, wanted.event, mrn)
        details = dict(wanted.details)
        if wanted.implied:
            details["implied"] = True
        details |= self._steps.take(connection, mrn, stored, wanted)
        step = self._book(connection, mrn, replace(wanted, details=details))
        now = self.book.subject(connection, "movement", mrn)
        after = self.reference.read(connection, "movement", mrn)
        assert now is not None
        assert after is not None
        limit = after.doc.get("limit_at")
        due = terms.due(
            now.state, now.since_us, None if limit is None else parse_rfc3339(limit), self._settings
        )
        self.book.set_deadlines(connection, mrn, due)
        return step

    def reach(self, connection: sa.Connection, mrn: str, target: str, wanted: Wanted) -> list[Step]:
        """Record the steps of the main line that another system's message implies, up to ``target``.

        ``ImpossibleTransition`` if no way leads there.
        """
        subject = self.book.subject(connection, "movement", mrn)
        state = MOVEMENT.initial if subject is None else subject.state
        way = MOVEMENT.way(state, target, MAIN_LINE)
        if way is None:
            MOVEMENT.after(state, wanted.event, mrn)
            raise ImpossibleTransition(
                f"movement {mrn} is {state!r}; no way leads from there to {target!r}",
                [Fault("/event", "impossible-transition", f"{state} does not lead to {target}")],
                state,
                wanted.event,
                MOVEMENT.allowed(state),
            )
        at_us = wanted.at_us if subject is None else max(wanted.at_us, subject.last_us)
        return [
            self.record(
                connection,
                mrn,
                replace(
                    wanted,
                    event=event,
                    at_us=at_us,
                    implied=True,
                    details=wanted.details if event == way[-1] else {},
                ),
            )
            for event in way
        ]

    def settle(self, connection: sa.Connection, reference: str) -> list[Step]:
        """Record what documents said and could not be recorded until now."""
        done = []
        for row in self.book.waiting(connection, reference):
            body = row["body"]
            wanted = Wanted(
                row["event"],
                row["at_us"],
                body["by"],
                body.get("office"),
                body.get("reason"),
                body.get("details", {}),
                row["document_id"],
                implied=True,
            )
            subject = self.book.subject(connection, "movement", reference)
            state = MOVEMENT.initial if subject is None else subject.state
            if wanted.event not in MOVEMENT.allowed(state):
                continue
            if subject is not None:
                wanted = replace(wanted, at_us=max(wanted.at_us, subject.last_us))
            done.append(self.record(connection, reference, wanted))
            self.book.waits_no_more(connection, row["id"])
        return done

    # what each event needs and does

    def declared(self, mrns: Sequence[str]) -> None:
        """Movements were declared: what documents said of them before is recorded now, if it can be."""
        for mrn in self.book.waited_for(mrns):
            with self.book.db.write() as connection:
                if self.reference.read(connection, "movement", mrn) is not None:
                    self.begin(connection, mrn)
                    self.settle(connection, mrn)

    def begin(self, connection: sa.Connection, mrn: str) -> None:
        """A movement that was declared as under way, and of which nothing was recorded yet, begins there, not as a draft."""
        if self.book.subject(connection, "movement", mrn) is not None:
            return
        stored = self.reference.read(connection, "movement", mrn)
        for name, target in (("departed_at", "departed"), ("arrived_at", "arrived")):
            declared = None if stored is None else stored.doc.get(name)
            if stored is None or declared is None:
                return
            by = Wanted(
                "", parse_rfc3339(declared), stored.changed_by, details={"implied": True}, implied=True
            )
            subject = self.book.subject(connection, "movement", mrn)
            way = (
                MOVEMENT.way(MOVEMENT.initial if subject is None else subject.state, target, MAIN_LINE) or []
            )
            for event in way:
                self._book(connection, mrn, replace(by, event=event))

    def _book(self, connection: sa.Connection, mrn: str, wanted: Wanted) -> Step:
        event = Event(
            "movement",
            mrn,
            wanted.event,
            wanted.at_us,
            self._clock.now_us(),
            wanted.by,
            mrn=mrn,
            office=wanted.office,
            reason=wanted.reason,
            details=wanted.details,
            document_id=wanted.document_id,
        )
        return record(self.book, connection, event, mrn=mrn)

    # the clock

    def fall_due(self) -> int:
        """Record what has fallen due by now, each at the moment when it did; gives how many."""
        done = 0
        for mrn, event, due_us in self.book.due(self._clock.now_us()):
            with self.book.db.write() as connection:
                subject = self.book.subject(connection, "movement", mrn)
                if (event, due_us) not in self.book.deadlines_in(connection, mrn):
                    continue  # somebody was quicker
                if event not in terms.BY_ITSELF or subject is None:
                    self.book.drop_deadline(connection, mrn, event)
                    continue
                wanted = Wanted(event, max(due_us, subject.last_us), BY_CLOCK, reason="the term is over")
                self.record(connection, mrn, wanted)
                done += 1
        return done
