"""Retention: what is past its term is dropped or made anonymous, kind by kind, and each run leaves its proof.

Each kind first chooses what its term is over for and what a need holds back, then does it; a dry run ends between the two. All of a run
that is in the main tables is one transaction, with the row of ``retention_runs`` and an audit entry of the same digest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.ids import equipment_key, plate_key
from cocket.store import anonymous
from cocket.store.access_tables import sign_in_attempts
from cocket.store.audit import Entry, append, cut
from cocket.store.audit_tables import audit, audit_head, retention_done, retention_runs
from cocket.store.code_tables import scans, stamp_checks
from cocket.store.database import Database
from cocket.store.file_tables import (
    customs_documents,
    document_subjects,
    evidence,
    file_events,
    file_subjects,
)
from cocket.store.gate_tables import gate_arrivals, gate_exits
from cocket.store.needs import Needs, needs
from cocket.store.tables import documents

_CHUNK: Final = 500
DONE: Final = "retention:run"
"""The action of a run's audit entry."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of data with its term. ``days`` 0: kept for ever. ``what``: dropped, or made anonymous."""

    name: str
    days: float
    what: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a kind's term is over for (ids), and how much a need holds back."""

    ids: tuple[str, ...]
    held: int


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one kind in a run."""

    kind: Kind
    before_us: int
    ids: tuple[str, ...]
    n: int
    held: int

    def shown(self) -> dict[str, Any]:
        """As it stands in the proof."""
        return {"kind": self.kind.name, "what": self.kind.what, "n": self.n, "held": self.held}


def digest(done: Iterable[Done]) -> bytes:
    """SHA-256 over the sorted ids of what was dropped, as lines ``kind TAB id``, and the counts of what has no ids."""
    lines = [f"{d.kind.name}\t{i}" for d in done for i in d.ids]
    lines += [f"{d.kind.name}\t#{d.n}" for d in done if not d.ids]
    return sha256("\n".join(sorted(lines)).encode()).digest()


class RetentionStore:
    """The main tables' part, in ``db``; one run at a time. ``final``: the states in which a movement is over."""

    def __init__(self, db: Database, final: tuple[str, ...]) -> None:
        self._db = db
        self._final = final

    def needs(self) -> Needs:
        """What must be left alone now."""
        with self._db.read() as connection:
            return needs(connection, self._final)

    def choose(self, kinds: Iterable[Kind], now_us: int) -> list[Done]:
        """What a run would do, without doing it."""
        with self._db.read() as connection:
            return [d for d, _ in self._chosen(connection, kinds, now_us)]

    def run(
        self, kinds: Iterable[Kind], now_us: int, *, besides: Iterable[Done], entry: Entry, began_us: int
    ) -> tuple[int, bytes]:
        """Do it, with its proof, in one transaction; the run's number and digest. ``besides`` was done elsewhere already.

        The run counts as ended only after ``ended``: until then its bytes may still be in the files.
        """
        with self._db.write() as connection:
            everything = list(besides)
            for done, apply in self._chosen(connection, kinds, now_us):
                apply(connection, done.ids)
                everything.append(done)
            proof = digest(everything)
            values: dict[str, Any] = {
                "began_us": began_us,
                "ended_us": 0,
                "by": entry.who,
                "terms": json.dumps({d.kind.name: d.kind.days for d in everything}),
                "counts": json.dumps([d.shown() for d in everything]),
                "digest": proof,
                "audit_seq": 0,
            }
            made = connection.execute(retention_runs.insert().values(values))
            number = int((made.inserted_primary_key or (0,))[0])
            for done in everything:
                if done.kind.name == "audit" and done.n:
                    cut(connection, done.before_us, _about(entry, number, proof))
            head = append(connection, [_about(entry, number, proof)])
            here = retention_runs.c.id == number
            connection.execute(retention_runs.update().where(here).values(audit_seq=head.seq))
        return number, proof

    def ended(self, at_us: int) -> None:
        """The files were written anew: what the runs so far dropped is gone."""
        with self._db.write() as connection:
            connection.execute(
                retention_runs.update().where(retention_runs.c.ended_us == 0).values(ended_us=at_us)
            )

    def last(self) -> sa.Row[Any] | None:
        """The latest run."""
        query = retention_runs.select().order_by(retention_runs.c.id.desc()).limit(1)
        with self._db.read() as connection:
            return connection.execute(query).first()

    def page(self, limit: int, before: int | None) -> tuple[list[dict[str, Any]], int | None]:
        """Runs, newest first, each with whether its audit entry says the same."""
        query = retention_runs.select().order_by(retention_runs.c.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(retention_runs.c.id < before)
        with self._db.read() as connection:
            rows = [dict(r) for r in connection.execute(query).mappings()]
            for row in rows:
                row["agrees"] = _agrees(connection, row)
        return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None

    def _chosen(
        self, connection: sa.Connection, kinds: Iterable[Kind], now_us: int
    ) -> Iterator[tuple[Done, Callable[[sa.Connection, tuple[str, ...]], None]]]:
        held = needs(connection, self._final)
        for kind in kinds:
            before = now_us - round(kind.days * 86_400_000_000)
            choose, apply = _KINDS[kind.name]
            found = choose(connection, before, held, self._final) if kind.days else Chosen((), 0)

            def do(
                to: sa.Connection,
                ids: tuple[str, ...],
                apply: Callable[[sa.Connection, tuple[str, ...], int], None] = apply,
            ) -> None:
                apply(to, ids, now_us)

            yield Done(kind, before, found.ids, len(found.ids), found.held), do


def _about(entry: Entry, number: int, proof: bytes) -> Entry:
    from dataclasses import replace

    return replace(entry, action=DONE, subject={"run": str(number), "digest": proof.hex()}, status=200)


def _agrees(connection: sa.Connection, row: dict[str, Any]) -> bool | None:
    """Whether the run's entry says the same digest; None: that entry was cut off since."""
    found = connection.execute(audit.select().where(audit.c.seq == row["audit_seq"])).first()
    if found is None:
        cut_seq = connection.execute(sa.select(audit_head.c.cut_seq)).scalar_one()
        return None if row["audit_seq"] <= cut_seq else False
    subject = json.loads(found.subject)
    return bool(found.action == DONE and subject == {"run": str(row["id"]), "digest": row["digest"].hex()})


# plate reads


def _plate_reads(connection: sa.Connection, before: int, held: Needs, _final: tuple[str, ...]) -> Chosen:
    c = gate_arrivals.c
    query = sa.select(c.id, c.plate, c.container_ids, c.body).where(
        c.recorded_us < before, c.id.not_in(sa.select(gate_exits.c.arrival_id))
    )
    ids, kept = [], 0
    for number, plate, containers, body in connection.execute(query):
        if body.get("movements"):
            continue
        needed = (plate and plate_key(plate) in held.plates) or any(
            equipment_key(e) in held.equipment for e in containers
        )
        kept += bool(needed)
        if not needed:
            ids.append(str(number))
    return Chosen(tuple(ids), kept)


def _drop_plate_reads(connection: sa.Connection, ids: tuple[str, ...], _now: int) -> None:
    for some in _parts(ids):
        connection.execute(gate_arrivals.delete().where(gate_arrivals.c.id.in_([int(i) for i in some])))


# scans


def _scan_positions(connection: sa.Connection, before: int, held: Needs, _final: tuple[str, ...]) -> Chosen:
    query = sa.select(scans.c.id, scans.c.mrn).where(
        scans.c.recorded_us < before, scans.c.lat_deg.is_not(None)
    )
    return _split(connection.execute(query), held.mrns)


def _drop_scan_positions(connection: sa.Connection, ids: tuple[str, ...], _now: int) -> None:
    for some in _parts(ids):
        here = scans.c.id.in_([int(i) for i in some])
        connection.execute(scans.update().where(here).values(lat_deg=None, lon_deg=None))


def _stamp_checks(connection: sa.Connection, before: int, _held: Needs, _final: tuple[str, ...]) -> Chosen:
    query = sa.select(stamp_checks.c.id).where(stamp_checks.c.at_us <= before)
    return Chosen(tuple(str(row[0]) for row in connection.execute(query)), 0)


def _drop_stamp_checks(connection: sa.Connection, ids: tuple[str, ...], _now: int) -> None:
    for some in _parts(ids):
        connection.execute(stamp_checks.delete().where(stamp_checks.c.id.in_([int(i) for i in some])))


def _attempts(connection: sa.Connection, before: int, _held: Needs, _final: tuple[str, ...]) -> Chosen:
    c = sign_in_attempts.c
    query = sa.select(c.id).where(c.at_us < before)
    return Chosen(tuple(str(row[0]) for row in connection.execute(query)), 0)


def _drop_attempts(connection: sa.Connection, ids: tuple[str, ...], _now: int) -> None:
    for some in _parts(ids):
        connection.execute(sign_in_attempts.delete().where(sign_in_attempts.c.id.in_([int(i) for i in some])))


# movements that are over


def _over(connection: sa.Connection, before: int, final: tuple[str, ...]) -> set[str]:
    """Movements that are over and of which nothing was recorded since."""
    f, e, d = file_subjects.c, file_events.c, documents.c
    ended = {
        row[0]
        for row in connection.execute(sa.select(f.subject).where(f.machine == "movement", f.state.in_(final)))
    } | {
        row[0]
        for row in connection.execute(sa.select(d.id).where(d.kind == "movement", d.is_open.is_(False)))
    }
    young = {
        row[0]
        for row in connection.execute(sa.select(e.mrn).where(e.recorded_us >= before, e.mrn.is_not(None)))
    } | {
        row[0]
        for row in connection.execute(sa.select(d.id).where(d.kind == "movement", d.changed_at_us >= before))
    }
    return ended - young


def _movements(connection: sa.Connection, before: int, held: Needs, final: tuple[str, ...]) -> Chosen:
    over = _over(connection, before, final)
    t = retention_done.c
    done = {row[0] for row in connection.execute(sa.select(t.id).where(t.kind == "movement"))}
    left = over - done
    return Chosen(tuple(sorted(left - held.mrns)), len(left & held.mrns))


def _make_anonymous(connection: sa.Connection, ids: tuple[str, ...], now: int) -> None:
    for mrn in ids:
        anonymous.movement(connection, mrn, now)
    gone = set(ids)
    c = gate_arrivals.c
    if gone:
        for number, body, containers in connection.execute(sa.select(c.id, c.body, c.container_ids)).all():
            if gone & set(body.get("movements") or ()):
                values = {"plate": None, "device_id": None, "container_ids": containers, "by": "anonymous"}
                clean = anonymous.without_people(body)
                connection.execute(gate_arrivals.update().where(c.id == number).values(**values, body=clean))


def _documents(connection: sa.Connection, before: int, held: Needs, _final: tuple[str, ...]) -> Chosen:
    """Those of no movement that is known: they would otherwise be kept for ever."""
    c, t, s = customs_documents.c, retention_done.c, document_subjects.c
    movements = sa.union(
        sa.select(file_subjects.c.subject).where(file_subjects.c.machine == "movement"),
        sa.select(documents.c.id).where(documents.c.kind == "movement"),
    )
    query = sa.select(c.id).where(
        c.received_us < before,
        sa.or_(c.mrn.is_(None), c.mrn.not_in(movements)),
        c.id.not_in(sa.select(t.id).where(t.kind == "document")),
    )
    left = [row[0] for row in connection.execute(query)]
    needed = {
        number
        for number, kind, thing in connection.execute(
            sa.select(s.document_id, s.kind, s.id).where(s.kind.in_(("plate", "equipment")))
        )
        if (plate_key(thing) in held.plates if kind == "plate" else equipment_key(thing) in held.equipment)
    }
    return Chosen(tuple(i for i in left if i not in needed), sum(i in needed for i in left))


def _empty_documents(connection: sa.Connection, ids: tuple[str, ...], now: int) -> None:
    for number in ids:
        anonymous.document(connection, number, now)


def _evidence(connection: sa.Connection, before: int, held: Needs, final: tuple[str, ...]) -> Chosen:
    over = _over(connection, before, final)
    query = sa.select(evidence.c.id, evidence.c.mrn).where(
        evidence.c.received_us < before,
        evidence.c.id.not_in(sa.select(retention_done.c.id).where(retention_done.c.kind == "evidence")),
    )
    return _split((row for row in connection.execute(query) if row[1] in over), held.mrns)


def _drop_evidence(connection: sa.Connection, ids: tuple[str, ...], now: int) -> None:
    for number in ids:
        anonymous.one_evidence(connection, number, now)


# the audit


def _audit(connection: sa.Connection, before: int, _held: Needs, _final: tuple[str, ...]) -> Chosen:
    head = connection.execute(sa.select(audit_head.c.seq)).scalar_one()
    query = sa.select(audit.c.seq).where(audit.c.at_us < before, audit.c.seq < head).order_by(audit.c.seq)
    first = connection.execute(
        sa.select(sa.func.min(audit.c.seq)).where(sa.or_(audit.c.at_us >= before, audit.c.seq == head))
    ).scalar()
    return Chosen(tuple(str(s) for (s,) in connection.execute(query) if first is None or s < first), 0)


def _cut_later(_connection: sa.Connection, _ids: tuple[str, ...], _now: int) -> None:
    """The cut names the run, so ``run`` makes it when the run has its number."""


def _split(rows: Iterable[Any], held: frozenset[str]) -> Chosen:
    free, kept = [], 0
    for number, mrn in rows:
        if mrn in held:
            kept += 1
        else:
            free.append(str(number))
    return Chosen(tuple(free), kept)


def _parts(ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for i in range(0, len(ids), _CHUNK):
        yield ids[i : i + _CHUNK]


_Choose = Callable[[sa.Connection, int, Needs, tuple[str, ...]], Chosen]
_Apply = Callable[[sa.Connection, tuple[str, ...], int], None]
_KINDS: Final[dict[str, tuple[_Choose, _Apply]]] = {
    "plate-reads": (_plate_reads, _drop_plate_reads),
    "scan-positions": (_scan_positions, _drop_scan_positions),
    "stamp-checks": (_stamp_checks, _drop_stamp_checks),
    "sign-in-attempts": (_attempts, _drop_attempts),
    "evidence": (_evidence, _drop_evidence),
    "movements": (_movements, _make_anonymous),
    "documents": (_documents, _empty_documents),
    "audit": (_audit, _cut_later),
}
