"""`cocket verify` of the customs file: states against the fold of their events, ledgers against their entries, bytes against hashes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cocket.core.errors import CocketError, ImpossibleTransition
from cocket.customs.transit.recording import MACHINES, fold
from cocket.store import tables
from cocket.store.audit import AuditStore
from cocket.store.audit_tables import retention_done
from cocket.store.customs_documents import DocumentStore
from cocket.store.database import Database
from cocket.store.doctor import Finding
from cocket.store.file_events import FileBook, Subject
from cocket.store.file_tables import customs_documents, evidence, file_events, file_subjects, guarantees


def verify(path: Path) -> list[Finding]:
    """Everything that the customs file could tell wrongly; works beside the process that has the folder open."""
    main = path / "cocket.sqlite"
    if not main.exists():
        return []  # told by the store's own check
    try:
        db = Database(main, "main", tables.main_metadata, read_only=True)
    except CocketError:
        return []  # told there, too
    try:
        return verify_tables(db)
    finally:
        db.close()


def verify_tables(db: Database) -> list[Finding]:
    """As ``verify``, of the tables in ``db``."""
    try:
        return [Finding("damage", str(db.path), what) for what in _wrong(db)]
    except (CocketError, sa.exc.SQLAlchemyError) as error:
        return [Finding("damage", str(db.path), str(error))]


def _wrong(db: Database) -> Iterator[str]:
    with db.read() as connection:  # one view: whoever writes meanwhile is not seen by halves
        subjects = {(s.machine, s.subject): s for s in _subjects(connection)}
        yield from _states(connection, subjects)
        yield from _ledgers(connection, subjects)
    yield from _bytes(db)
    yield from AuditStore(db).check().wrong


def _subjects(connection: sa.Connection) -> Iterator[Subject]:
    return (Subject(*row) for row in connection.execute(file_subjects.select()))


def _states(connection: sa.Connection, subjects: dict[tuple[str, str], Subject]) -> Iterator[str]:
    seen = set()
    order = (file_events.c.machine, file_events.c.subject, file_events.c.at_us, file_events.c.seq)
    events = FileBook.read_events(connection, file_events.select().order_by(*order))
    last = 0
    for (name, subject), mine in groupby(events, lambda e: (e.machine, e.subject)):
        seen.add((name, subject))
        told = subjects.get((name, subject))
        initial = None if told is None else told.summary.get("initial")
        found = list(mine)
        last = max(last, *(e.seq for e in found))
        try:
            state = fold(MACHINES[name], found, initial)[-1].to_state
        except (ImpossibleTransition, KeyError) as error:
            yield f"the events of {name} {subject} cannot have happened: {error}"
            continue
        if told is None or told.state != state:
            yield f"{name} {subject} is said to be {told and told.state!r}, its events say {state!r}"
    for (name, subject), told in subjects.items():
        if (name, subject) not in seen and told.summary.get("initial", MACHINES[name].initial) != told.state:
            yield f"{name} {subject} is said to be {told.state!r}, and nothing ever happened to it"
    count = connection.execute(sa.select(sa.func.count()).select_from(file_events)).scalar_one()
    if count != last:
        yield f"{last - count} events are missing: the last is number {last}, there are {count}"


def _ledgers(connection: sa.Connection, subjects: dict[tuple[str, str], Subject]) -> Iterator[str]:
    sums: dict[tuple[str, str], Decimal] = {}
    for (name, subject), entry in subjects.items():
        if name == "guarantee":
            key = (subject.partition("/")[0], entry.state)
            sums[key] = sums.get(key, Decimal(0)) + Decimal(entry.summary.get("amount", "0"))
    for head in connection.execute(guarantees.select()):
        for name in ("reserved", "called"):
            wanted = sums.get((head.grn, name), Decimal(0))
            if Decimal(getattr(head, name)) != wanted:
                yield f"guarantee {head.grn} says {getattr(head, name)} {name}, its entries say {wanted}"
        if Decimal(head.reserved) + Decimal(head.called) > Decimal(head.amount):
            yield f"guarantee {head.grn} is over-reserved: {head.reserved} + {head.called} of {head.amount}"


def _bytes(db: Database) -> Iterator[str]:
    store = DocumentStore(db)
    with db.read() as connection:
        hashes: list[Any] = list(
            connection.execute(sa.select(customs_documents.c.id, customs_documents.c.sha256))
        )
        done = set(connection.execute(sa.select(retention_done.c.kind, retention_done.c.id)).tuples())
    for document_id, digest in hashes:
        if ("document", document_id) in done:  # its bytes were dropped when its term was over
            continue
        try:
            good = sha256(store.original(document_id)).digest() == digest
            store.body(document_id)
        except (CocketError, OSError, ValueError) as error:
            yield f"document {document_id} cannot be read: {error}"
            continue
        if not good:
            yield f"document {document_id} does not match its SHA-256"
    with db.read() as connection:
        for row in connection.execute(sa.select(evidence.c.id, evidence.c.sha256, evidence.c.body)):
            if ("evidence", row.id) not in done and sha256(row.body).digest() != row.sha256:
                yield f"evidence {row.id} does not match its SHA-256"
