"""Making anonymous what is past its term: a movement with its documents, evidence, events and transports.

What stays says what was carried, when, from where to where, and what came of it; what goes says who. Hashes of papers
stay, so that one who kept a copy can still prove that it was this one.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from cocket.store.audit_tables import retention_done
from cocket.store.customs_documents import emptied
from cocket.store.file_tables import (
    customs_documents,
    document_subjects,
    evidence,
    file_events,
    file_refusals,
    file_subjects,
    waiting_effects,
)
from cocket.store.gate_tables import transport_mrns, transports, unit_dispatches
from cocket.store.tables import alert_history, alerts, changes, documents

NAMES_PEOPLE: Final = frozenset(
    {
        "address", "authorised_cards", "by", "city", "contact", "device_id", "driver", "email", "endorsed_by", "endorsed_place",
        "holder", "name", "note", "notes", "operator", "parties", "phone", "plate", "plates", "position", "postcode", "reason",
        "street", "text", "tir_id", "transport",
    }
)  # fmt: skip
"""Names of values that tell of people: parties, means of transport with their plates, free text."""


def without_people(value: Any) -> Any:
    """A copy of a JSON value without what names people, at any depth."""
    if isinstance(value, dict):
        return {k: without_people(v) for k, v in value.items() if k not in NAMES_PEOPLE}
    if isinstance(value, list):
        return [without_people(v) for v in value]
    return value


def movement(connection: sa.Connection, mrn: str, at_us: int) -> None:
    """A movement and all that hangs on it, in the caller's transaction."""
    d, e = documents, file_events
    here = sa.and_(d.c.kind == "movement", d.c.id == mrn)
    _rewrite(connection, d, d.c.doc, [d.c.kind, d.c.id], here)
    connection.execute(d.update().where(here).values(changed_by="anonymous", holder=None))
    _rewrite(connection, e, e.c.details, [e.c.seq], e.c.mrn == mrn)
    connection.execute(e.update().where(e.c.mrn == mrn).values(reason=None, by="anonymous"))
    s = file_subjects
    _rewrite(connection, s, s.c.summary, [s.c.machine, s.c.subject], s.c.mrn == mrn)
    _rewrite(
        connection,
        s,
        s.c.summary,
        [s.c.machine, s.c.subject],
        sa.and_(s.c.machine == "movement", s.c.subject == mrn),
    )
    _changes(connection, "movement", [mrn])
    _transports(connection, mrn)
    waits = customs_documents.c.id == waiting_effects.c.document_id
    connection.execute(
        waiting_effects.delete().where(sa.exists().where(waits, customs_documents.c.mrn == mrn))
    )
    for (number,) in connection.execute(
        sa.select(customs_documents.c.id).where(customs_documents.c.mrn == mrn)
    ).all():
        document(connection, number, at_us)
    h = alert_history
    of_mrn = sa.select(alerts.c.id).where(alerts.c.mrn == mrn)
    connection.execute(h.update().where(h.c.alert_id.in_(of_mrn)).values(note=None, by="anonymous"))
    connection.execute(
        alerts.update().where(alerts.c.mrn == mrn).values(lat_deg=None, lon_deg=None, acknowledged_by=None)
    )
    connection.execute(
        unit_dispatches.update().where(unit_dispatches.c.mrn == mrn).values(note=None, by="anonymous")
    )
    connection.execute(
        file_refusals.update().where(file_refusals.c.mrn == mrn).values(detail="", by="anonymous")
    )
    done(connection, "movement", mrn, at_us)


def one_evidence(connection: sa.Connection, number: str, at_us: int) -> None:
    """A photo or paper: its bytes go, its hash stays."""
    connection.execute(evidence.update().where(evidence.c.id == number).values(body=b"", by="anonymous"))
    done(connection, "evidence", number, at_us)


def done(connection: sa.Connection, kind: str, number: str, at_us: int) -> None:
    """Note that it was made anonymous."""
    t = retention_done
    connection.execute(t.delete().where(t.c.kind == kind, t.c.id == number))
    connection.execute(t.insert().values(kind=kind, id=number, at_us=at_us))


def document(connection: sa.Connection, number: str, at_us: int) -> None:
    """A document: the model without people stays, its bytes, origins and raw values go."""
    query = sa.select(customs_documents.c.read).where(customs_documents.c.id == number)
    values = emptied(connection.execute(query).scalar_one(), without_people)
    connection.execute(
        customs_documents.update()
        .where(customs_documents.c.id == number)
        .values(**values, name="", by="anonymous")
    )
    c = document_subjects.c
    connection.execute(document_subjects.delete().where(c.document_id == number, c.kind == "plate"))
    done(connection, "document", number, at_us)


def _transports(connection: sa.Connection, mrn: str) -> None:
    """Those whose other movements are anonymous too; a vehicle that carries on keeps its plate."""
    carrying = sa.select(transport_mrns.c.transport_id).where(transport_mrns.c.mrn == mrn)
    for (number,) in connection.execute(carrying).all():
        others = sa.select(transport_mrns.c.mrn).where(
            transport_mrns.c.transport_id == number,
            transport_mrns.c.mrn != mrn,
            transport_mrns.c.mrn.not_in(
                sa.select(retention_done.c.id).where(retention_done.c.kind == "movement")
            ),
        )
        if connection.execute(others.limit(1)).first() is None:
            connection.execute(
                transports.update()
                .where(transports.c.id == number)
                .values(plate=None, plate_key=None, device_id=None, changed_by="anonymous")
            )
            _changes(connection, "transport", [number])


def _changes(connection: sa.Connection, kind: str, ids: list[str]) -> None:
    c = changes.c
    query = sa.select(c.version, c.before, c.after).where(c.kind == kind, c.id.in_(ids))
    for version, before, after in connection.execute(query).all():
        connection.execute(
            changes.update()
            .where(c.version == version)
            .values(
                before=_without_plate(without_people(before)),
                after=_without_plate(without_people(after)),
                by="anonymous",
            )
        )


def _without_plate(value: Any) -> Any:
    return {k: v for k, v in value.items() if k != "plate_key"} if isinstance(value, dict) else value


def _rewrite(
    connection: sa.Connection,
    table: sa.Table,
    column: sa.Column[Any],
    key: list[sa.Column[Any]],
    condition: sa.ColumnElement[bool],
) -> None:
    """Take people out of a JSON column."""
    for row in connection.execute(sa.select(*key, column).where(condition)).all():
        clean = without_people(row[-1])
        if msgspec.json.encode(clean) != msgspec.json.encode(row[-1]):
            here = sa.and_(*(k == v for k, v in zip(key, row[:-1], strict=True)))
            connection.execute(table.update().where(here).values({column.name: clean}))
