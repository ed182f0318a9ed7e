"""The book of the customs file: events of movements, seals and guarantees, and where each subject stands.

Events are only added. Readers of a past moment fold the events that were recorded by then; the present stands ready in
``file_subjects``. Every method that takes a connection is part of its caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from cocket.store.database import Database
from cocket.store.file_tables import (
    deadlines,
    evidence,
    file_events,
    file_refusals,
    file_subjects,
    waiting_effects,
)
from cocket.store.sight import Sight

_CHUNK: Final = 500
CLEAN_TRIP: Final = "clean-trip report"
"""As ``ground`` of a discharge: nobody had to examine anything."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as recorded; ``from_state`` and ``to_state`` as known then. ``seq`` 0: not yet."""

    machine: str
    subject: str
    event: str
    at_us: int
    recorded_us: int
    by: str
    mrn: str | None = None
    office: str | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    document_id: str | None = None
    seq: int = 0
    from_state: str = ""
    to_state: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Where a movement, seal or guarantee entry stands. ``summary``: what its machine keeps with the state."""

    machine: str
    subject: str
    state: str
    since_us: int
    last_us: int
    mrn: str | None
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Departures:
    """How many movements left, how many of them sensitive, and of these under an armed seal or a waiver; how discharges went.

    ``automatic``: those whose ground was the clean-trip report.
    """

    departures: int
    sensitive: int
    armed: int
    waived: int
    automatic: int
    mean_discharge_s: int | None


class FileBook:
    """Events, subjects and deadlines in ``db`` (``cocket.sqlite``); any thread may call."""

    def __init__(self, db: Database) -> None:
        self.db = db

    # events

    def add(self, connection: sa.Connection, event: Event) -> int:
        """Record one event; gives its number. Numbers have no gaps and grow in the order of recording."""
        seq = (connection.execute(sa.select(sa.func.max(file_events.c.seq))).scalar() or 0) + 1
        connection.execute(file_events.insert(), {**_row(event), "seq": seq})
        return seq

    def events(
        self,
        connection: sa.Connection,
        machine: str,
        subject: str,
        *,
        known_us: int | None = None,
    ) -> list[Event]:
        """A subject's events in order of event time (and of recording, where that is the same), as known at a moment."""
        query = (
            file_events.select()
            .where(file_events.c.machine == machine, file_events.c.subject == subject)
            .order_by(file_events.c.at_us, file_events.c.seq)
        )
        if known_us is not None:
            query = query.where(file_events.c.recorded_us <= known_us)
        return list(_events(connection, query))

    @staticmethod
    def read_events(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Event]:
        """The events that a query of the table gives, one at a time."""
        return _events(connection, query)

    def of_movement(
        self,
        mrn: str,
        machine: str,
        known_us: int | None = None,
        *,
        connection: sa.Connection | None = None,
    ) -> list[Event]:
        """The events of another machine that concern a movement, in order of event time; in a transaction, if one is given."""
        query = (
            file_events.select()
            .where(file_events.c.machine == machine, file_events.c.mrn == mrn)
            .order_by(file_events.c.at_us, file_events.c.seq)
        )
        if known_us is not None:
            query = query.where(file_events.c.recorded_us <= known_us)
        if connection is not None:
            return list(_events(connection, query))
        with self.db.read() as reading:
            return list(_events(reading, query))

    def after(self, seq: int, limit: int, mrn: str | None = None, sight: Sight | None = None) -> list[Event]:
        """Events behind a number, in the order of recording: the feed; of movements that ``sight`` shows, if one is given."""
        query = file_events.select().where(file_events.c.seq > seq).order_by(file_events.c.seq).limit(limit)
        if mrn is not None:
            query = query.where(file_events.c.mrn == mrn)
        if sight is not None:
            query = query.where(file_events.c.mrn.in_(sight.movements()))
        with self.db.read() as connection:
            return list(_events(connection, query))

    # subjects

    def subject(self, connection: sa.Connection, machine: str, subject: str) -> Subject | None:
        """Where one stands; None if nothing happened to it yet."""
        query = file_subjects.select().where(
            file_subjects.c.machine == machine, file_subjects.c.subject == subject
        )
        row = connection.execute(query).first()
        return None if row is None else Subject(*row)

    def put_subject(self, connection: sa.Connection, subject: Subject) -> None:
        """Where it stands from now on."""
        connection.execute(
            file_subjects.delete().where(
                file_subjects.c.machine == subject.machine, file_subjects.c.subject == subject.subject
            )
        )
        connection.execute(
            file_subjects.insert(),
            {
                "machine": subject.machine,
                "subject": subject.subject,
                "state": subject.state,
                "since_us": subject.since_us,
                "last_us": subject.last_us,
                "mrn": subject.mrn,
                "summary": subject.summary,
            },
        )

    def subjects(
        self,
        machine: str,
        *,
        ids: Collection[str] | None = None,
        states: Sequence[str] = (),
        mrn: str | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> list[Subject]:
        """Subjects of a machine by id. ``q``: part of the id."""
        query = (
            file_subjects.select().where(file_subjects.c.machine == machine).order_by(file_subjects.c.subject)
        )
        if states:
            query = query.where(file_subjects.c.state.in_(states))
        if mrn is not None:
            query = query.where(file_subjects.c.mrn == mrn)
        if q is not None:
            query = query.where(file_subjects.c.subject.icontains(q, autoescape=True))
        if cursor is not None:
            query = query.where(file_subjects.c.subject > cursor)
        if limit is not None:
            query = query.limit(limit)
        with self.db.read() as connection:
            if ids is None:
                return [Subject(*row) for row in connection.execute(query)]
            wanted = list(ids)
            return [
                Subject(*row)
                for i in range(0, len(wanted), _CHUNK)
                for row in connection.execute(
                    query.where(file_subjects.c.subject.in_(wanted[i : i + _CHUNK]))
                )
            ]

    def subjects_in(self, connection: sa.Connection, machine: str, mrn: str) -> list[Subject]:
        """A movement's subjects of a machine, as part of the caller's transaction."""
        query = (
            file_subjects.select()
            .where(file_subjects.c.machine == machine, file_subjects.c.mrn == mrn)
            .order_by(file_subjects.c.subject)
        )
        return [Subject(*row) for row in connection.execute(query)]

    def counts(self, machine: str) -> dict[str, int]:
        """How many subjects of a machine are in each state."""
        query = (
            sa.select(file_subjects.c.state, sa.func.count())
            .where(file_subjects.c.machine == machine)
            .group_by(file_subjects.c.state)
        )
        with self.db.read() as connection:
            return {state: n for state, n in connection.execute(query)}  # noqa: C416 - rows are no pairs to mypy

    # what waits

    def set_deadlines(self, connection: sa.Connection, mrn: str, due: Mapping[str, int]) -> None:
        """What a movement has to expect from now on, instead of what it had."""
        connection.execute(deadlines.delete().where(deadlines.c.mrn == mrn))
        if due:
            connection.execute(
                deadlines.insert(), [{"mrn": mrn, "event": e, "due_us": t} for e, t in due.items()]
            )

    def deadlines(self, mrns: Collection[str]) -> dict[str, list[tuple[str, int]]]:
        """(event, due) of each movement, the nearest first."""
        found: dict[str, list[tuple[str, int]]] = {}
        wanted = list(mrns)
        with self.db.read() as connection:
            for i in range(0, len(wanted), _CHUNK):
                query = (
                    deadlines.select()
                    .where(deadlines.c.mrn.in_(wanted[i : i + _CHUNK]))
                    .order_by(deadlines.c.due_us)
                )
                for row in connection.execute(query):
                    found.setdefault(row.mrn, []).append((row.event, row.due_us))
        return found

    def deadlines_in(self, connection: sa.Connection, mrn: str) -> set[tuple[str, int]]:
        """(event, due) of a movement, as part of the caller's transaction."""
        query = sa.select(deadlines.c.event, deadlines.c.due_us).where(deadlines.c.mrn == mrn)
        return {(row.event, row.due_us) for row in connection.execute(query)}

    def drop_deadline(self, connection: sa.Connection, mrn: str, event: str) -> None:
        """It has passed and records nothing."""
        connection.execute(deadlines.delete().where(deadlines.c.mrn == mrn, deadlines.c.event == event))

    def due(self, until_us: int, limit: int = 500) -> list[tuple[str, str, int]]:
        """(mrn, event, due) that are due, the oldest first."""
        query = (
            deadlines.select().where(deadlines.c.due_us <= until_us).order_by(deadlines.c.due_us).limit(limit)
        )
        with self.db.read() as connection:
            return [(row.mrn, row.event, row.due_us) for row in connection.execute(query)]

    def wait(
        self, connection: sa.Connection, reference: str, document_id: str, event: str, at_us: int, body: Any
    ) -> None:
        """Keep what a document says until it can be recorded."""
        connection.execute(
            waiting_effects.insert(),
            {
                "reference": reference,
                "document_id": document_id,
                "event": event,
                "at_us": at_us,
                "body": body,
            },
        )

    def waiting(self, connection: sa.Connection, reference: str) -> list[dict[str, Any]]:
        """What waits under a reference, by event time."""
        query = (
            waiting_effects.select()
            .where(waiting_effects.c.reference == reference)
            .order_by(waiting_effects.c.at_us, waiting_effects.c.id)
        )
        return [dict(row) for row in connection.execute(query).mappings()]

    def waited_for(self, references: Collection[str]) -> list[str]:
        """Those of ``references`` under which something waits."""
        found: list[str] = []
        wanted = list(references)
        with self.db.read() as connection:
            if connection.execute(sa.select(waiting_effects.c.id).limit(1)).first() is None:
                return found
            for i in range(0, len(wanted), _CHUNK):
                query = (
                    sa.select(waiting_effects.c.reference)
                    .distinct()
                    .where(waiting_effects.c.reference.in_(wanted[i : i + _CHUNK]))
                )
                found += connection.execute(query).scalars()
        return found

    def waits_no_more(self, connection: sa.Connection, number: int) -> None:
        """It was recorded."""
        connection.execute(waiting_effects.delete().where(waiting_effects.c.id == number))

    # refusals

    def refuse(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Remember what was tried and refused, in a transaction of its own: the one that was refused is undone."""
        if rows:
            with self.db.write() as connection:
                connection.execute(file_refusals.insert(), [dict(r) for r in rows])

    def departures(self) -> Departures:
        """Sums over all departures and discharges, for the KPIs."""
        e = file_events.c
        covered = e.details["coverage"]
        departed = sa.select(
            sa.func.count(),
            *(
                sa.func.coalesce(sa.func.sum(sa.case((sa.and_(*conditions), 1), else_=0)), 0)
                for conditions in (
                    (covered["sensitive"].as_boolean(),),
                    (covered["sensitive"].as_boolean(), covered["armed"].as_boolean()),
                    (covered["sensitive"].as_boolean(), covered["waived"].as_boolean()),
                )
            ),
        ).where(e.machine == "movement", e.event == "depart")
        begin, end = file_events.alias("begin"), file_events.alias("end")
        ended = (
            sa.select(
                sa.func.avg(end.c.at_us - begin.c.at_us),
                sa.func.coalesce(
                    sa.func.sum(sa.case((end.c.details["ground"].as_string() == CLEAN_TRIP, 1), else_=0)), 0
                ),
            )
            .select_from(end)
            .join(
                begin,
                sa.and_(
                    begin.c.machine == "movement", begin.c.subject == end.c.subject, begin.c.event == "depart"
                ),
            )
            .where(end.c.machine == "movement", end.c.event == "discharge")
        )
        with self.db.read() as connection:
            n, sensitive, armed, waived = connection.execute(departed).one()
            mean_us, automatic = connection.execute(ended).one()
        # PostgreSQL's sums and means are decimals
        return Departures(
            n,
            int(sensitive),
            int(armed),
            int(waived),
            int(automatic),
            None if mean_us is None else round(float(mean_us) / 1e6),
        )

    def refusals(self, rule: str) -> int:
        """How many movements were refused something by a rule."""
        query = sa.select(sa.func.count(sa.distinct(file_refusals.c.mrn))).where(file_refusals.c.rule == rule)
        with self.db.read() as connection:
            return int(connection.execute(query).scalar_one())

    # evidence

    def add_evidence(self, row: Mapping[str, Any]) -> None:
        """Keep a photo or paper; the same again changes nothing."""
        with self.db.write() as connection:
            known = connection.execute(sa.select(evidence.c.id).where(evidence.c.id == row["id"])).first()
            if known is None:
                connection.execute(evidence.insert(), dict(row))

    def evidence(self, mrn: str, evidence_id: str | None = None) -> list[dict[str, Any]]:
        """Photos and papers of a movement: one whole, or all without their bytes."""
        columns = [c for c in evidence.c if evidence_id is not None or c.name != "body"]
        query = sa.select(*columns).where(evidence.c.mrn == mrn).order_by(evidence.c.received_us)
        if evidence_id is not None:
            query = query.where(evidence.c.id == evidence_id)
        with self.db.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _row(event: Event) -> dict[str, Any]:
    return {
        "machine": event.machine,
        "subject": event.subject,
        "mrn": event.mrn,
        "event": event.event,
        "from_state": event.from_state,
        "to_state": event.to_state,
        "at_us": event.at_us,
        "recorded_us": event.recorded_us,
        "by": event.by,
        "office": event.office,
        "reason": event.reason,
        "details": dict(event.details),
        "document_id": event.document_id,
    }


def _events(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Event]:
    for row in connection.execute(query):
        yield Event(
            row.machine,
            row.subject,
            row.event,
            row.at_us,
            row.recorded_us,
            row.by,
            row.mrn,
            row.office,
            row.reason,
            row.details,
            row.document_id,
            row.seq,
            row.from_state,
            row.to_state,
        )
