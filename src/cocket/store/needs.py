"""What retention must leave alone: the legal hold.

An open enquiry, alert, case or debt keeps what it needs, and so does a movement that is still under way: its documents, plates,
devices and equipment, and the positions of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.ids import equipment_key, plate_key
from cocket.store.file_tables import customs_documents as papers
from cocket.store.file_tables import deadlines, document_subjects, file_subjects
from cocket.store.gate_tables import transport_mrns, transports
from cocket.store.tables import alerts, bindings, documents

_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Needs:
    """What is held: movements, plates and equipment as they are compared, devices."""

    mrns: frozenset[str]
    plates: frozenset[str]
    equipment: frozenset[str]
    devices: frozenset[str]


def needs(connection: sa.Connection, final: tuple[str, ...]) -> Needs:
    """As of this moment. ``final``: the states in which a movement is over."""
    f, a = file_subjects.c, alerts.c
    open_alerts = sa.and_(a.superseded_us.is_(None), a.state != "closed")

    def those(query: sa.Select[Any]) -> set[str]:
        return {row[0] for row in connection.execute(query) if row[0]}

    movements = sa.select(f.subject).where(f.machine == "movement")
    declared = sa.select(documents.c.id).where(documents.c.kind == "movement", documents.c.is_open.is_(True))
    # the file knows better than the declaration whether a movement is over
    mrns = those(declared) - those(movements.where(f.state.in_(final)))
    mrns |= those(movements.where(f.state.not_in(final)))
    mrns |= those(sa.select(f.mrn).where(f.machine == "guarantee", f.state.in_(("reserved", "called"))))
    mrns |= those(sa.select(deadlines.c.mrn))
    mrns |= those(sa.select(a.mrn).where(open_alerts))
    devices = {row[0] for row in connection.execute(sa.select(a.device_id).where(open_alerts))}
    plates: set[str] = set()
    equipment: set[str] = set()
    listed = sorted(mrns)
    for i in range(0, len(listed), _CHUNK):
        some = listed[i : i + _CHUNK]
        bound = sa.select(bindings.c.device_id, bindings.c.equipment_id).where(bindings.c.mrn.in_(some))
        for device, thing in connection.execute(bound):
            devices.add(device)
            equipment.add(equipment_key(thing))
        carrying = (
            sa.select(transports.c.plate_key, transports.c.device_id)
            .join(transport_mrns, transport_mrns.c.transport_id == transports.c.id)
            .where(transport_mrns.c.mrn.in_(some))
        )
        for plate, device in connection.execute(carrying):
            plates |= {plate} - {None}
            devices |= {device} - {None}
        named = (
            sa.select(document_subjects.c.kind, document_subjects.c.id)
            .join(papers, papers.c.id == document_subjects.c.document_id)
            .where(papers.c.mrn.in_(some), document_subjects.c.kind.in_(("plate", "equipment")))
        )
        for kind, thing in connection.execute(named):
            (plates if kind == "plate" else equipment).add(
                plate_key(thing) if kind == "plate" else equipment_key(thing)
            )
    return Needs(frozenset(mrns), frozenset(plates), frozenset(equipment), frozenset(devices))
