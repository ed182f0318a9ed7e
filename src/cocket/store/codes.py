"""Codes on papers, their one use, and the scans: who read what, where, and what came of it.

Methods that take a connection are part of their caller's transaction (``writing``); a use is one row whose key is the
code, so that two gates cannot both have it. Any thread may call.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.errors import NotFound
from cocket.store.code_tables import code_uses, codes, scans
from cocket.store.database import Database
from cocket.store.sight import Sight
from cocket.store.texts import kept

Row = dict[str, Any]

_first = scans.alias("first_scan")
_USE: Final = (
    code_uses.c.scan_id.label("use_id"),
    _first.c.at_us.label("used_us"),
    _first.c.gate.label("used_gate"),
    _first.c.by.label("used_by"),
)
CODE: Final = sa.select(codes, *_USE).select_from(
    codes.outerjoin(code_uses, code_uses.c.code_id == codes.c.id).outerjoin(
        _first, _first.c.id == code_uses.c.scan_id
    )
)
"""A code with its use; ``use_id`` is null while there is none."""
_SCAN: Final = sa.select(scans, *_USE).select_from(
    scans.outerjoin(code_uses, code_uses.c.code_id == scans.c.code_id).outerjoin(
        _first, _first.c.id == code_uses.c.scan_id
    )
)
"""A scan with the use of its code, which may be itself, another one, or none."""


class CodeStore:
    """The codes and scans in ``db`` (``cocket.sqlite``)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """One transaction: on the disk when the block ends, undone if it raises."""
        return self._db.write()

    # codes

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """One consistent view."""
        return self._db.read()

    def add(self, connection: sa.Connection, row: Mapping[str, Any]) -> int:
        """A new code; gives its id."""
        return _inserted(connection.execute(codes.insert().values(row)))

    def get(self, code_id: int) -> Row:
        """One code; ``NotFound`` if there is none of that id."""
        with self._db.read() as connection:
            row = self.code(connection, code_id)
        if row is None:
            raise NotFound(f"there is no code {code_id}")
        return row

    def code(self, connection: sa.Connection, code_id: int) -> Row | None:
        """One code as this transaction sees it."""
        return _one(connection, CODE.where(codes.c.id == code_id))

    def by_number(self, number: int) -> Row | None:
        """The code with this number, which its short code stands for."""
        with self._db.read() as connection:
            return _one(connection, CODE.where(codes.c.number == number))

    def of(self, connection: sa.Connection, mrn: str, purpose: str) -> list[Row]:
        """The codes of one step of a declaration that are not void."""
        query = CODE.where(codes.c.mrn == mrn, codes.c.purpose == purpose, codes.c.void_us.is_(None))
        return [dict(r) for r in connection.execute(query.order_by(codes.c.id)).mappings()]

    def page(
        self, mrn: str | None, limit: int, before: int | None, sight: Sight | None = None
    ) -> tuple[list[Row], int | None]:
        """Newest first, and the id behind which the next page begins; of movements that ``sight`` shows, if one is given."""
        query = CODE.order_by(codes.c.id.desc()).limit(limit + 1)
        if mrn is not None:
            query = query.where(codes.c.mrn == mrn)
        if before is not None:
            query = query.where(codes.c.id < before)
        if sight is not None:
            query = query.where(codes.c.mrn.in_(sight.movements()))
        return self._page(query, limit)

    def void(self, connection: sa.Connection, code_id: int, *, by: str, reason: str, at_us: int) -> None:
        """Make a code void."""
        connection.execute(
            codes.update()
            .where(codes.c.id == code_id, codes.c.void_us.is_(None))
            .values(void_us=at_us, void_by=by, void_reason=reason)
        )

    # scans

    def use(self, connection: sa.Connection, code_id: int, scan_id: int) -> None:
        """Use a code up. A second use breaks the table's key, whatever was asked before."""
        connection.execute(code_uses.insert().values(code_id=code_id, scan_id=scan_id))

    def add_scan(self, connection: sa.Connection, row: Mapping[str, Any]) -> int:
        """A scan; gives its id."""
        return _inserted(connection.execute(scans.insert().values({**row, "text": kept(row["text"])})))

    def conclude(self, connection: sa.Connection, scan_id: int, **values: Any) -> None:
        """What came of a scan, in the transaction that added it."""
        connection.execute(scans.update().where(scans.c.id == scan_id).values(**values))

    def scan(self, connection: sa.Connection, scan_id: int) -> Row:
        """One scan as this transaction sees it."""
        row = _one(connection, _SCAN.where(scans.c.id == scan_id))
        assert row is not None
        return row

    def scans(
        self, limit: int, before: int | None, *, mrn: str | None, code_id: int | None, gate: str | None
    ) -> tuple[list[Row], int | None]:
        """Newest first, and the id behind which the next page begins."""
        query = _SCAN.order_by(scans.c.id.desc()).limit(limit + 1)
        for column, value in ((scans.c.mrn, mrn), (scans.c.code_id, code_id), (scans.c.gate, gate)):
            if value is not None:
                query = query.where(column == value)
        if before is not None:
            query = query.where(scans.c.id < before)
        return self._page(query, limit)

    def _page(self, query: sa.Select[Any], limit: int) -> tuple[list[Row], int | None]:
        with self._db.read() as connection:
            rows = [dict(r) for r in connection.execute(query).mappings()]
        return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None


def _one(connection: sa.Connection, query: sa.Select[Any]) -> Row | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _inserted(done: sa.CursorResult[Any]) -> int:
    return int((done.inserted_primary_key or (0,))[0])
