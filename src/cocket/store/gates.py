"""Gates, arrivals, exits, transports, trip links, response units, and what is joined at a barrier.

Methods that take a connection are part of their caller's transaction (``writing``). Every change of a gate, transport or unit
leaves its row in ``changes``. Any thread may call.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.errors import NotFound
from cocket.store.bindings import Binding
from cocket.store.changes import Book
from cocket.store.code_tables import codes
from cocket.store.codes import CODE, Row
from cocket.store.database import Database
from cocket.store.file_tables import customs_documents, document_subjects, file_events
from cocket.store.gate_tables import (
    gate_arrivals,
    gate_exits,
    gates,
    transport_mrns,
    transport_passages,
    transports,
    trip_links,
    unit_dispatches,
    units,
)
from cocket.store.tables import bindings

MOST_JOINED: Final = 200
"""Documents of one vehicle or container that are looked at before the barrier: the newest."""

_SUBJECTS: Final = {"gate": gates, "transport": transports, "unit": units}


@dataclass(frozen=True, slots=True)
class Named:
    """A document that names what stands at the barrier."""

    id: str
    kind: str
    reference: str | None
    mrn: str | None


def _among(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """Whether a column is one of ``:ids``."""
    return column.in_(sa.bindparam("ids", expanding=True))


def _named(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    c = customs_documents.c
    return (
        sa.select(c.id, c.kind, c.reference, c.mrn).where(condition).order_by(c.seq.desc()).limit(MOST_JOINED)
    )


# What is asked of every vehicle at a barrier is put together once: that costs more than the asking.
_ONE: Final = {
    kind: table.select().where(table.c.id == sa.bindparam("subject")) for kind, table in _SUBJECTS.items()
}
_NAMING: Final = _named(
    customs_documents.c.id.in_(
        sa.select(document_subjects.c.document_id).where(
            document_subjects.c.kind == sa.bindparam("kind"), _among(document_subjects.c.id)
        )
    )
)
_OF_MRNS: Final = _named(_among(customs_documents.c.mrn))
_NAMES_IN: Final = (
    sa.select(document_subjects.c.document_id, document_subjects.c.id)
    .where(document_subjects.c.kind == sa.bindparam("kind"), _among(document_subjects.c.document_id))
    .order_by(document_subjects.c.id)
)
_TRANSPORTS: Final = transports.select().order_by(transports.c.changed_us.desc()).limit(MOST_JOINED)
_OF_PLATE: Final = _TRANSPORTS.where(transports.c.plate_key == sa.bindparam("plate_key"))
_CARRYING: Final = _TRANSPORTS.where(
    transports.c.id.in_(sa.select(transport_mrns.c.transport_id).where(_among(transport_mrns.c.mrn)))
)
_COVERING: Final = (
    bindings.select()
    .where(
        bindings.c.from_us <= sa.bindparam("at_us"),
        sa.or_(bindings.c.to_us.is_(None), bindings.c.to_us > sa.bindparam("at_us")),
    )
    .order_by(bindings.c.id)
)
_BOUND_TO: Final = _COVERING.where(_among(bindings.c.equipment_id))
_BOUND_FOR: Final = _COVERING.where(_among(bindings.c.mrn))
_PASSES: Final = CODE.where(codes.c.purpose.in_(sa.bindparam("purposes", expanding=True)))
_PASSES_OF: Final = _PASSES.where(_among(codes.c.mrn))
_PASSES_FOR: Final = _PASSES.where(_among(codes.c.equipment_id))
_EXITS: Final = gate_exits.select().where(gate_exits.c.mrn == sa.bindparam("mrn")).order_by(gate_exits.c.id)
_CONTROLS: Final = (
    sa.select(file_events.c.event, file_events.c.details)
    .where(
        file_events.c.machine == "movement",
        file_events.c.subject == sa.bindparam("mrn"),
        file_events.c.event.in_(("decide-control", "release", "examine")),
    )
    .order_by(file_events.c.at_us, file_events.c.seq)
)


class GateStore:
    """In ``db`` (``cocket.sqlite``)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """One transaction: on the disk when the block ends, undone if it raises."""
        return self._db.write()

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """One consistent view."""
        return self._db.read()

    # gates, transports, units

    def put(
        self, connection: sa.Connection, kind: str, row: Mapping[str, Any], *, by: str, at_us: int
    ) -> bool:
        """Keep a gate, transport or unit, new or anew; gives whether it is new. The same again changes nothing."""
        table = _SUBJECTS[kind]
        old = self.one(connection, kind, row["id"])
        before = None if old is None else {k: v for k, v in old.items() if not k.startswith("changed_")}
        if before == dict(row):
            return False
        values = {**row, "changed_us": at_us, "changed_by": by}
        connection.execute(table.delete().where(table.c.id == row["id"]))
        connection.execute(table.insert().values(values))
        if kind == "transport":
            connection.execute(transport_mrns.delete().where(transport_mrns.c.transport_id == row["id"]))
            if row["mrns"]:
                connection.execute(
                    transport_mrns.insert(), [{"mrn": m, "transport_id": row["id"]} for m in row["mrns"]]
                )
        book = Book(connection, by=by, at_us=at_us)
        book.add(kind, row["id"], before, dict(row))
        book.close()
        return old is None

    def one(self, connection: sa.Connection, kind: str, subject: str) -> Row | None:
        """A gate, transport or unit; None if there is none of that id."""
        row = connection.execute(_ONE[kind], {"subject": subject}).mappings().first()
        return None if row is None else dict(row)

    def get(self, kind: str, subject: str) -> Row:
        """As ``one``; ``NotFound`` if there is none."""
        with self._db.read() as connection:
            found = self.one(connection, kind, subject)
        if found is None:
            raise NotFound(f"there is no {kind} {subject!r}")
        return found

    def page(self, kind: str, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
        """By id, and the id behind which the next page begins."""
        table = _SUBJECTS[kind]
        query = table.select().order_by(table.c.id).limit(limit + 1)
        if cursor is not None:
            query = query.where(table.c.id > cursor)
        with self._db.read() as connection:
            rows = [dict(r) for r in connection.execute(query).mappings()]
        return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None

    def on_duty(self) -> list[Row]:
        """Every unit that is on duty."""
        with self._db.read() as connection:
            return [dict(r) for r in connection.execute(units.select().where(units.c.on_duty)).mappings()]

    # arrivals and exits

    def add_arrival(self, connection: sa.Connection, row: Mapping[str, Any]) -> int:
        """An arrival with its decision; gives its id."""
        return _inserted(connection.execute(gate_arrivals.insert().values(row)))

    def set_body(self, connection: sa.Connection, arrival_id: int, decision: str, body: Any) -> None:
        """What came of an arrival, in the transaction that added it."""
        connection.execute(
            gate_arrivals.update()
            .where(gate_arrivals.c.id == arrival_id)
            .values(decision=decision, body=body)
        )

    def arrivals(
        self, gate: str, limit: int, before: int | None, decision: str | None
    ) -> tuple[list[Row], int | None]:
        """A gate's arrivals, newest first, and the id behind which the next page begins."""
        query = (
            gate_arrivals.select()
            .where(gate_arrivals.c.gate == gate)
            .order_by(gate_arrivals.c.id.desc())
            .limit(limit + 1)
        )
        if decision is not None:
            query = query.where(gate_arrivals.c.decision == decision)
        if before is not None:
            query = query.where(gate_arrivals.c.id < before)
        with self._db.read() as connection:
            rows = [dict(r) for r in connection.execute(query).mappings()]
        return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None

    def add_exit(self, connection: sa.Connection, row: Mapping[str, Any]) -> None:
        """An exit read. A second one at the same gate breaks the table's key, whatever was asked before."""
        connection.execute(gate_exits.insert().values(row))

    def exits(self, connection: sa.Connection, mrn: str) -> list[Row]:
        """A movement's exit reads at gates, oldest first."""
        return [dict(r) for r in connection.execute(_EXITS, {"mrn": mrn}).mappings()]

    # what is joined

    def naming(self, connection: sa.Connection, kind: str, ids: Collection[str]) -> list[Named]:
        """Documents that name one of ``ids`` as ``kind``, the newest first."""
        if not ids:
            return []
        return [Named(*row) for row in connection.execute(_NAMING, {"kind": kind, "ids": list(ids)})]

    def of_mrns(self, connection: sa.Connection, mrns: Collection[str]) -> list[Named]:
        """Documents of some movements or declarations, the newest first."""
        if not mrns:
            return []
        return [Named(*row) for row in connection.execute(_OF_MRNS, {"ids": list(mrns)})]

    def names_in(
        self, connection: sa.Connection, kind: str, documents: Collection[str]
    ) -> list[tuple[str, str]]:
        """(document, id) of what documents name as ``kind``."""
        if not documents:
            return []
        rows = connection.execute(_NAMES_IN, {"kind": kind, "ids": list(documents)})
        return [(document, named) for document, named in rows]

    def transports_by(
        self, connection: sa.Connection, *, plate_key: str | None = None, mrns: Collection[str] = ()
    ) -> list[Row]:
        """Transports of a plate, or of some movements, the latest change first."""
        if plate_key is not None:
            rows = connection.execute(_OF_PLATE, {"plate_key": plate_key})
        else:
            rows = connection.execute(_CARRYING, {"ids": list(mrns)})
        return [dict(r) for r in rows.mappings()]

    def bound(
        self,
        connection: sa.Connection,
        at_us: int,
        *,
        equipment: Collection[str] = (),
        mrns: Collection[str] = (),
    ) -> list[Binding]:
        """Bindings that cover a moment, of some equipment or some movements."""
        query, ids = (_BOUND_TO, equipment) if equipment else (_BOUND_FOR, mrns)
        if not ids:
            return []
        return [Binding(*row) for row in connection.execute(query, {"at_us": at_us, "ids": list(ids)})]

    def codes_for(
        self,
        connection: sa.Connection,
        purposes: Collection[str],
        mrns: Collection[str],
        equipment: Collection[str],
    ) -> list[Row]:
        """Codes of some purposes, of some movements or for some equipment, void ones too, with their use."""
        found: dict[int, Row] = {}
        for query, ids in ((_PASSES_OF, mrns), (_PASSES_FOR, equipment)):
            if ids:
                rows = connection.execute(query, {"purposes": list(purposes), "ids": list(ids)})
                found |= {row["id"]: dict(row) for row in rows.mappings()}
        return [found[i] for i in sorted(found)]

    def control_steps(self, connection: sa.Connection, mrn: str) -> list[Row]:
        """A movement's decisions on control and examinations, in the order of event time."""
        return [dict(r) for r in connection.execute(_CONTROLS, {"mrn": mrn}).mappings()]

    def phones(self, connection: sa.Connection) -> set[str]:
        """The devices that transports carry as phones."""
        rows = connection.execute(
            sa.select(transports.c.device_id).where(transports.c.device_id.is_not(None))
        )
        return {row[0] for row in rows}

    # passages of transports

    def passages(self, connection: sa.Connection, transport_id: str) -> list[Row]:
        """What a transport activated and confirmed."""
        query = transport_passages.select().where(transport_passages.c.transport_id == transport_id)
        return [
            dict(r) for r in connection.execute(query.order_by(transport_passages.c.event_seq)).mappings()
        ]

    def add_passage(self, connection: sa.Connection, row: Mapping[str, Any]) -> None:
        """A declaration was activated or confirmed. A second time breaks the table's key."""
        connection.execute(transport_passages.insert().values(row))

    # trip links

    def add_link(self, row: Mapping[str, Any]) -> None:
        """A new link."""
        with self._db.write() as connection:
            connection.execute(trip_links.insert().values(row))

    def link(self, digest: bytes) -> Row | None:
        """The link of a token's hash."""
        with self._db.read() as connection:
            row = (
                connection.execute(trip_links.select().where(trip_links.c.hash == digest)).mappings().first()
            )
        return None if row is None else dict(row)

    def links(self, mrn: str) -> list[Row]:
        """A movement's links, oldest first."""
        query = trip_links.select().where(trip_links.c.mrn == mrn)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(trip_links.c.created_us, trip_links.c.hash)).mappings()
            return [dict(r) for r in rows]

    def revoke(self, digest: bytes, *, by: str, at_us: int) -> None:
        """End a link before its time; one that is revoked stays as it was."""
        with self._db.write() as connection:
            connection.execute(
                trip_links.update()
                .where(trip_links.c.hash == digest, trip_links.c.revoked_us.is_(None))
                .values(revoked_us=at_us, revoked_by=by)
            )

    # dispatches

    def add_dispatch(self, row: Mapping[str, Any]) -> int:
        """A unit was sent; gives the dispatch's id."""
        with self._db.write() as connection:
            return _inserted(connection.execute(unit_dispatches.insert().values(row)))

    def dispatches(self, mrn: str) -> list[Row]:
        """Units that were sent to a movement, oldest first."""
        query = unit_dispatches.select().where(unit_dispatches.c.mrn == mrn)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(unit_dispatches.c.id)).mappings()
            return [dict(r) for r in rows]


def ids_of(rows: Iterable[Mapping[str, Any]], name: str) -> Sequence[str]:
    """The values of one column, each once, in their order."""
    return list(dict.fromkeys(row[name] for row in rows if row[name] is not None))


def _inserted(done: sa.CursorResult[Any]) -> int:
    return int((done.inserted_primary_key or (0,))[0])
