"""Reference data: zones, corridors, offices, devices, movements, rules and bindings, with who changed what.

Every write is one transaction with its row in ``changes`` (before and after), on the disk when it returns; the
number of that row is the version of the reference data. What a document must hold is the business of
``customs``; here only what two documents mean together is kept: bindings of one device do not overlap, and
belong to a movement that is known.

Who may call: anything from any thread. Writers queue on the file's lock; readers wait for nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.errors import Malformed, NotFound
from cocket.store.bindings import Bindings
from cocket.store.changes import Book
from cocket.store.file_tables import file_subjects
from cocket.store.tables import bindings, changes, documents

KINDS: Final = ("zone", "corridor", "office", "device", "movement", "rules")
_CHUNK: Final = 500
_MANY: Final = 10


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it stands: ``version`` is the change that made it so."""

    id: str
    doc: dict[str, Any]
    version: int
    changed_at_us: int
    changed_by: str


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed what, when, from what (None: it was not there) to what (None: deleted)."""

    version: int
    at_us: int
    by: str
    kind: str
    id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Reference(Bindings):
    """The reference data in ``db`` (``cocket.sqlite``)."""

    def put(self, kind: str, doc_id: str, doc: Mapping[str, Any], *, by: str, at_us: int) -> int:
        """Write one document, new or anew; returns the version, which stays where it was if nothing changed."""
        return self.put_many(kind, [(doc_id, doc)], by=by, at_us=at_us)

    def put_many(
        self, kind: str, docs: Sequence[tuple[str, Mapping[str, Any]]], *, by: str, at_us: int
    ) -> int:
        """Write many documents of one kind, all or none; returns the version after them."""
        with self._db.write() as connection:
            return self.write(connection, kind, docs, by=by, at_us=at_us)

    def write(
        self,
        connection: sa.Connection,
        kind: str,
        docs: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        by: str,
        at_us: int,
    ) -> int:
        """As ``put_many``, as part of the caller's transaction."""
        _check_kind(kind)
        latest = {doc_id: dict(doc) for doc_id, doc in docs}
        old = {s.id: s.doc for s in _stored(connection, kind, list(latest))}
        changed = {i: doc for i, doc in latest.items() if old.get(i) != doc}
        book = Book(connection, by=by, at_us=at_us)
        rows = [
            {
                "kind": kind,
                "id": doc_id,
                "doc": doc,
                "version": book.add(kind, doc_id, old.get(doc_id), doc),
                "changed_at_us": at_us,
                "changed_by": by,
                "corridor": doc.get("corridor") if kind == "movement" else None,
                "is_open": doc.get("arrived_at") is None if kind == "movement" else None,
                "holder": doc.get("holder_id") or doc.get("holder") if kind == "movement" else None,
            }
            for doc_id, doc in changed.items()
        ]
        _delete(connection, kind, list(changed))
        if rows:
            connection.execute(documents.insert(), rows)
        return book.close()

    def read(self, connection: sa.Connection, kind: str, doc_id: str) -> Stored | None:
        """As ``get``, as part of the caller's transaction."""
        found = _stored(connection, kind, [doc_id])
        return found[0] if found else None

    def as_known(self, kind: str, doc_id: str, known_us: int) -> Stored | None:
        """The document as it stood at a moment of our clock; None if it was not there then."""
        query = (
            changes.select()
            .where(changes.c.kind == kind, changes.c.id == doc_id, changes.c.at_us <= known_us)
            .order_by(changes.c.version.desc())
            .limit(1)
        )
        with self._db.read() as connection:
            row = connection.execute(query).first()
        if row is None or row.after is None:
            return None
        return Stored(doc_id, row.after, row.version, row.at_us, row.by)

    def delete(self, kind: str, doc_id: str, *, by: str, at_us: int) -> int:
        """Delete one document; ``NotFound`` if there is none. Who still names it is asked by ``referrers``."""
        _check_kind(kind)
        with self._db.write() as connection:
            old = _stored(connection, kind, [doc_id])
            if not old:
                raise NotFound(f"there is no {kind} {doc_id!r}")
            _delete(connection, kind, [doc_id])
            book = Book(connection, by=by, at_us=at_us)
            book.add(kind, doc_id, old[0].doc, None)
            return book.close()

    def get(self, kind: str, doc_id: str) -> Stored | None:
        """One document; None if there is none of that id."""
        _check_kind(kind)
        with self._db.read() as connection:
            found = _stored(connection, kind, [doc_id])
        return found[0] if found else None

    def exists(self, kind: str, ids: Collection[str]) -> set[str]:
        """Which of ``ids`` are known."""
        _check_kind(kind)
        wanted = list(ids)
        found: set[str] = set()
        with self._db.read() as connection:
            for i in range(0, len(wanted), _CHUNK):
                query = sa.select(documents.c.id).where(
                    documents.c.kind == kind, documents.c.id.in_(wanted[i : i + _CHUNK])
                )
                found.update(connection.execute(query).scalars())
        return found

    def all(self, kind: str) -> list[Stored]:
        """Every document of a kind, by id."""
        _check_kind(kind)
        with self._db.read() as connection:
            return list(_rows(connection, documents.select().where(documents.c.kind == kind)))

    def count(self, kind: str) -> int:
        """How many documents of a kind there are."""
        query = sa.select(sa.func.count()).where(documents.c.kind == kind)
        with self._db.read() as connection:
            return int(connection.execute(query).scalar_one())

    def page(
        self,
        kind: str,
        limit: int,
        cursor: str | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> tuple[list[Stored], str | None]:
        """Documents by id, and the cursor of the next page (None at the end).

        Filters of movements: ``q`` (part of the MRN, or of a device or equipment bound to it), ``open`` (has not
        arrived), ``corridor``, ``state`` of its machine, ``sight`` (what somebody may see). ``q`` of other kinds: part of the id. An unknown filter raises ``Malformed``.
        """
        _check_kind(kind)
        query = documents.select().where(documents.c.kind == kind)
        for name, value in (filters or {}).items():
            if value is not None:
                query = query.where(_filter(kind, name, value))
        if cursor is not None:
            query = query.where(documents.c.id > cursor)
        with self._db.read() as connection:
            rows = list(_rows(connection, query.order_by(documents.c.id).limit(limit + 1)))
        return rows[:limit], rows[limit - 1].id if len(rows) > limit else None

    def referrers(self, kind: str, doc_id: str) -> list[str]:
        """Who names this document, ``"movement 26NL…"`` or ``"binding 7"``: ten at most."""
        if kind == "corridor":
            condition: sa.ColumnElement[bool] = documents.c.corridor == doc_id
        elif kind == "office":
            condition = sa.or_(
                *(
                    documents.c.doc[name].as_string() == doc_id
                    for name in ("departure_office", "destination_office")
                )
            )
        elif kind in {"device", "movement"}:
            column = bindings.c.device_id if kind == "device" else bindings.c.mrn
            query = sa.select(bindings.c.id).where(column == doc_id).order_by(bindings.c.id).limit(_MANY)
            with self._db.read() as connection:
                return [f"binding {i}" for i in connection.execute(query).scalars()]
        else:
            return []
        movements = sa.select(documents.c.id).where(documents.c.kind == "movement", condition).limit(_MANY)
        with self._db.read() as connection:
            return [f"movement {i}" for i in connection.execute(movements).scalars()]

    def changes(self, after: int, limit: int = 1000) -> list[Change]:
        """The changes behind version ``after``, oldest first."""
        query = changes.select().where(changes.c.version > after).order_by(changes.c.version).limit(limit)
        with self._db.read() as connection:
            return [Change(*row) for row in connection.execute(query)]

    def version(self) -> int:
        """The number of the last change; 0 before the first."""
        with self._db.read() as connection:
            return int(connection.execute(sa.select(sa.func.max(changes.c.version))).scalar() or 0)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(
            f"{kind!r} is no kind of document; there are {', '.join(KINDS)}, and bindings have their own"
        )


def _filter(kind: str, name: str, value: Any) -> sa.ColumnElement[bool]:
    if name == "q":
        part = documents.c.id.icontains(value, autoescape=True)
        if kind != "movement":
            return part
        bound = sa.select(bindings.c.mrn).where(
            sa.or_(
                bindings.c.device_id.icontains(value, autoescape=True),
                bindings.c.equipment_id.icontains(value, autoescape=True),
            )
        )
        return sa.or_(part, documents.c.id.in_(bound))
    if kind == "movement" and name == "open":
        return documents.c.is_open.is_(bool(value))
    if kind == "movement" and name == "state":
        return _in_state(str(value))
    if kind == "movement" and name == "sight":
        return documents.c.id.in_(value.movements())
    if kind == "movement" and name == "corridor":
        return documents.c.corridor == str(value)
    raise Malformed(f"{name!r} does not filter {kind} documents")


def _in_state(state: str) -> sa.ColumnElement[bool]:
    """Movements in a state of their machine; of those without an event the declared dates speak."""
    mine = sa.and_(file_subjects.c.machine == "movement", file_subjects.c.subject == documents.c.id)
    recorded = sa.exists().where(mine, file_subjects.c.state == state)
    departed, arrived = (documents.c.doc[name].as_string() for name in ("departed_at", "arrived_at"))
    declared = {
        "draft": sa.and_(departed.is_(None), arrived.is_(None)),
        "departed": sa.and_(departed.is_not(None), arrived.is_(None)),
        "arrived": arrived.is_not(None),
    }.get(state)
    if declared is None:
        return recorded
    return sa.or_(recorded, sa.and_(~sa.exists().where(mine), declared))


def _rows(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Stored]:
    for row in connection.execute(query.order_by(documents.c.id)):
        yield Stored(row.id, row.doc, row.version, row.changed_at_us, row.changed_by)


def _stored(connection: sa.Connection, kind: str, ids: Sequence[str]) -> list[Stored]:
    found: list[Stored] = []
    for i in range(0, len(ids), _CHUNK):
        chunk = ids[i : i + _CHUNK]
        found.extend(
            _rows(connection, documents.select().where(documents.c.kind == kind, documents.c.id.in_(chunk)))
        )
    return found


def _delete(connection: sa.Connection, kind: str, ids: Sequence[str]) -> None:
    for i in range(0, len(ids), _CHUNK):
        connection.execute(
            documents.delete().where(documents.c.kind == kind, documents.c.id.in_(ids[i : i + _CHUNK]))
        )
