"""Bindings: which device was on which equipment for which movement, from when to when, and who bound it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from cocket.core.clock import rfc3339
from cocket.core.errors import CocketError, Conflict, Fault, Malformed, NotFound, Refused
from cocket.store.changes import Book
from cocket.store.database import Database
from cocket.store.tables import bindings, documents

_CHUNK: Final = 500
_FOREVER: Final = 2**63 - 1


class Binding(NamedTuple):
    """A device on an equipment for a movement over [from, to); ``to_us`` None while it lasts."""

    id: int
    device_id: str
    equipment_id: str
    mrn: str
    from_us: int
    to_us: int | None
    by: str


@dataclass(frozen=True, slots=True)
class NewBinding:
    """A binding that is asked for."""

    device_id: str
    equipment_id: str
    mrn: str
    from_us: int
    to_us: int | None
    by: str


class Bindings:
    """The bindings in ``db``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add_binding(
        self,
        device_id: str,
        equipment_id: str,
        mrn: str,
        from_us: int,
        to_us: int | None,
        by: str,
        at_us: int,
    ) -> int:
        """Bind, and return the binding's id. Registers a device not yet known, in the same transaction.

        ``Conflict`` names a binding of the same device that overlaps; ``Refused`` an unknown movement, or an end
        that is not after the beginning.
        """
        result = self.add_bindings([NewBinding(device_id, equipment_id, mrn, from_us, to_us, by)], at_us)[0]
        if isinstance(result, CocketError):
            raise result
        return result

    def add_bindings(self, wanted: Sequence[NewBinding], at_us: int) -> list[int | CocketError]:
        """Bind each in turn, in one transaction; for each its id, or why not (the others are still bound)."""
        with self._db.write() as connection:
            return self.bind(connection, wanted, at_us)

    def bind(
        self, connection: sa.Connection, wanted: Sequence[NewBinding], at_us: int
    ) -> list[int | CocketError]:
        """As ``add_bindings``, as part of the caller's transaction."""
        results: list[int | CocketError] = []
        spans = _spans(connection, {w.device_id for w in wanted})
        movements = _known(connection, "movement", {w.mrn for w in wanted})
        next_id = (connection.execute(sa.select(sa.func.max(bindings.c.id))).scalar() or 0) + 1
        rows: list[dict[str, Any]] = []
        for new in wanted:
            problem = _problem(new, movements, spans[new.device_id])
            if problem is not None:
                results.append(problem)
                continue
            binding = Binding(
                next_id + len(rows),
                new.device_id,
                new.equipment_id,
                new.mrn,
                new.from_us,
                new.to_us,
                new.by,
            )
            spans[new.device_id].append(binding)
            rows.append(binding._asdict())
            results.append(binding.id)
        if rows:
            connection.execute(bindings.insert(), rows)
            _book(connection, rows, at_us)
        return results

    def end_binding(self, binding_id: int, to_us: int | None, *, by: str, at_us: int) -> Binding:
        """Set when a binding ends (None: open again). Errors as ``add_binding``; ``NotFound`` without one."""
        with self._db.write() as connection:
            return self.unbind(connection, binding_id, to_us, by=by, at_us=at_us)

    def unbind(
        self, connection: sa.Connection, binding_id: int, to_us: int | None, *, by: str, at_us: int
    ) -> Binding:
        """As ``end_binding``, as part of the caller's transaction."""
        old = _one(connection, binding_id)
        if old is None:
            raise NotFound(f"there is no binding {binding_id}")
        others = [b for b in _spans(connection, {old.device_id})[old.device_id] if b.id != old.id]
        wanted = NewBinding(old.device_id, old.equipment_id, old.mrn, old.from_us, to_us, by)
        problem = _problem(wanted, {old.mrn}, others)
        if problem is not None:
            raise problem
        new = old._replace(to_us=to_us)
        if new != old:
            connection.execute(bindings.update().where(bindings.c.id == binding_id).values(to_us=to_us))
            book = Book(connection, by=by, at_us=at_us)
            book.add("binding", str(binding_id), old._asdict(), new._asdict())
            book.close()
        return new

    def get_binding(self, binding_id: int) -> Binding | None:
        """One binding; None if there is none of that id."""
        with self._db.read() as connection:
            return _one(connection, binding_id)

    def bindings(self) -> list[Binding]:
        """Every binding, by id."""
        with self._db.read() as connection:
            return [Binding(*row) for row in connection.execute(bindings.select().order_by(bindings.c.id))]

    def bindings_of(self, mrns: Sequence[str]) -> dict[str, list[Binding]]:
        """By movement, its bindings by id; movements without one are absent."""
        found: dict[str, list[Binding]] = {}
        with self._db.read() as connection:
            for i in range(0, len(mrns), _CHUNK):
                query = bindings.select().where(bindings.c.mrn.in_(mrns[i : i + _CHUNK]))
                for row in connection.execute(query.order_by(bindings.c.id)):
                    found.setdefault(row.mrn, []).append(Binding(*row))
        return found

    def bindings_in(self, connection: sa.Connection, mrn: str) -> list[Binding]:
        """A movement's bindings, as part of the caller's transaction."""
        query = bindings.select().where(bindings.c.mrn == mrn).order_by(bindings.c.id)
        return [Binding(*row) for row in connection.execute(query)]

    def bindings_page(
        self,
        limit: int,
        cursor: str | None = None,
        *,
        mrn: str | None = None,
        device_id: str | None = None,
        sight: Any = None,
    ) -> tuple[list[Binding], str | None]:
        """Bindings by id, and the cursor of the next page (None at the end); of movements that a ``Sight`` shows, if one is given. ``Malformed`` on a bad cursor."""
        query = bindings.select().order_by(bindings.c.id).limit(limit + 1)
        if cursor is not None:
            if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
                raise Malformed(f"{cursor!r} is no cursor of this list")
            query = query.where(bindings.c.id > int(cursor))
        if mrn is not None:
            query = query.where(bindings.c.mrn == mrn)
        if device_id is not None:
            query = query.where(bindings.c.device_id == device_id)
        if sight is not None:
            query = query.where(bindings.c.mrn.in_(sight.movements()))
        with self._db.read() as connection:
            rows = [Binding(*row) for row in connection.execute(query)]
        return rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None

    def device_at(self, device_id: str, at_us: int) -> Binding | None:
        """The binding of a device that covers a moment; None if it was free."""
        query = bindings.select().where(
            bindings.c.device_id == device_id,
            bindings.c.from_us <= at_us,
            sa.or_(bindings.c.to_us.is_(None), bindings.c.to_us > at_us),
        )
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else Binding(*row)


def _one(connection: sa.Connection, binding_id: int) -> Binding | None:
    row = connection.execute(bindings.select().where(bindings.c.id == binding_id)).first()
    return None if row is None else Binding(*row)


def _spans(connection: sa.Connection, devices: set[str]) -> defaultdict[str, list[Binding]]:
    found: defaultdict[str, list[Binding]] = defaultdict(list)
    wanted = list(devices)
    for i in range(0, len(wanted), _CHUNK):
        for row in connection.execute(
            bindings.select().where(bindings.c.device_id.in_(wanted[i : i + _CHUNK]))
        ):
            found[row.device_id].append(Binding(*row))
    return found


def _known(connection: sa.Connection, kind: str, ids: set[str]) -> set[str]:
    found: set[str] = set()
    wanted = list(ids)
    for i in range(0, len(wanted), _CHUNK):
        query = sa.select(documents.c.id).where(
            documents.c.kind == kind, documents.c.id.in_(wanted[i : i + _CHUNK])
        )
        found.update(connection.execute(query).scalars())
    return found


def _problem(new: NewBinding, movements: set[str], others: Sequence[Binding]) -> CocketError | None:
    if new.mrn not in movements:
        detail = f"movement {new.mrn!r} is not known; PUT it first"
        return Refused(detail, [Fault("mrn", "unknown-reference", detail)])
    if new.to_us is not None and new.to_us <= new.from_us:
        detail = f"the binding ends at {rfc3339(new.to_us)}, not after it begins at {rfc3339(new.from_us)}"
        return Refused(detail, [Fault("to", "order", detail)])
    for other in others:
        if new.from_us < (_FOREVER if other.to_us is None else other.to_us) and other.from_us < (
            _FOREVER if new.to_us is None else new.to_us
        ):
            until = "an end not yet set" if other.to_us is None else rfc3339(other.to_us)
            return Conflict(
                f"device {new.device_id!r} is bound to equipment {other.equipment_id!r} and movement {other.mrn!r} from "
                f"{rfc3339(other.from_us)} until {until} (binding {other.id}); end that binding first",
                [Fault("device_id", "overlap", f"binding {other.id}")],
            )
    return None


def _book(connection: sa.Connection, rows: Sequence[dict[str, Any]], at_us: int) -> None:
    known = _known(connection, "device", {r["device_id"] for r in rows})
    devices = []
    for who in dict.fromkeys(r["by"] for r in rows):
        book = Book(connection, by=who, at_us=at_us)
        for row in rows:
            if row["by"] != who:
                continue
            if row["device_id"] not in known:
                known.add(row["device_id"])
                version = book.add("device", row["device_id"], None, {})
                devices.append(
                    {
                        "kind": "device",
                        "id": row["device_id"],
                        "doc": {},
                        "version": version,
                        "changed_at_us": at_us,
                        "changed_by": who,
                    }
                )
            book.add("binding", str(row["id"]), None, row)
        book.close()
    if devices:
        connection.execute(documents.insert(), devices)
