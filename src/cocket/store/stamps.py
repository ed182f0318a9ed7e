"""Excise stamps: ranges, what happened to parts of them, the public's checks, and suspicions.

Methods that take a connection are part of their caller's transaction (``writing``). Any thread may call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa

from cocket.core.errors import NotFound
from cocket.store.code_tables import stamp_checks, stamp_events, stamp_ranges, stamp_suspicions
from cocket.store.database import Database

Row = dict[str, Any]


class StampStore:
    """The stamps in ``db`` (``cocket.sqlite``)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """One transaction: on the disk when the block ends, undone if it raises."""
        return self._db.write()

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """One consistent view."""
        return self._db.read()

    # ranges

    def add_range(self, connection: sa.Connection, row: Mapping[str, Any]) -> int:
        """A new range; gives its id."""
        done = connection.execute(stamp_ranges.insert().values(row))
        return int((done.inserted_primary_key or (0,))[0])

    def last_serial(self, connection: sa.Connection) -> int:
        """The highest serial number issued; 0 before the first."""
        return int(connection.execute(sa.select(sa.func.max(stamp_ranges.c.last))).scalar() or 0)

    def overlapping(self, connection: sa.Connection, first: int, last: int) -> Row | None:
        """A range that shares a serial number with these, if one does."""
        query = (
            stamp_ranges.select()
            .where(stamp_ranges.c.first <= last, stamp_ranges.c.last >= first)
            .order_by(stamp_ranges.c.first)
        )
        return next(_rows(connection, query.limit(1)), None)

    def range(self, connection: sa.Connection, range_id: int) -> Row:
        """One range; ``NotFound`` if there is none of that id."""
        row = next(_rows(connection, stamp_ranges.select().where(stamp_ranges.c.id == range_id)), None)
        if row is None:
            raise NotFound(f"there is no range {range_id} of stamps")
        return row

    def ranges(self, limit: int, before: int | None) -> tuple[list[Row], int | None]:
        """Newest first, and the id behind which the next page begins."""
        query = stamp_ranges.select().order_by(stamp_ranges.c.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(stamp_ranges.c.id < before)
        with self._db.read() as connection:
            return _cut(list(_rows(connection, query)), limit)

    # events

    def add_event(self, connection: sa.Connection, row: Mapping[str, Any]) -> None:
        """Something happened to a part of a range."""
        connection.execute(stamp_events.insert().values(row))

    def events(self, connection: sa.Connection, range_ids: Iterable[int]) -> dict[int, list[Row]]:
        """What happened to these ranges, oldest first."""
        found: dict[int, list[Row]] = {i: [] for i in range_ids}
        query = stamp_events.select().where(stamp_events.c.range_id.in_(found)).order_by(stamp_events.c.id)
        for row in _rows(connection, query):
            found[row["range_id"]].append(row)
        return found

    def newest_event(
        self, connection: sa.Connection, range_id: int, serial: int, names: Iterable[str]
    ) -> Row | None:
        """The newest event of these names over one stamp."""
        query = (
            stamp_events.select()
            .where(
                stamp_events.c.range_id == range_id,
                stamp_events.c.event.in_(list(names)),
                stamp_events.c.first <= serial,
                stamp_events.c.last >= serial,
            )
            .order_by(stamp_events.c.id.desc())
            .limit(1)
        )
        return next(_rows(connection, query), None)

    # checks

    def add_check(self, connection: sa.Connection, row: Mapping[str, Any]) -> int:
        """A check by the public; gives its id."""
        done = connection.execute(stamp_checks.insert().values(row))
        return int((done.inserted_primary_key or (0,))[0])

    def set_verdict(self, connection: sa.Connection, check_id: int, verdict: str) -> None:
        """What came of a check, in the transaction that added it."""
        connection.execute(stamp_checks.update().where(stamp_checks.c.id == check_id).values(verdict=verdict))

    def earlier(self, connection: sa.Connection, serial: int, after_us: int, limit: int) -> list[Row]:
        """The checks of one stamp after a moment that have a position, newest first."""
        query = (
            stamp_checks.select()
            .where(
                stamp_checks.c.serial == serial,
                stamp_checks.c.at_us > after_us,
                stamp_checks.c.lat_deg.is_not(None),
            )
            .order_by(stamp_checks.c.id.desc())
            .limit(limit)
        )
        return list(_rows(connection, query))

    def how_many(self, connection: sa.Connection, serial: int, after_us: int) -> int:
        """How often one stamp was checked after a moment."""
        query = (
            sa.select(sa.func.count())
            .select_from(stamp_checks)
            .where(stamp_checks.c.serial == serial, stamp_checks.c.at_us > after_us)
        )
        return int(connection.execute(query).scalar_one())

    def forget_checks(self, connection: sa.Connection, until_us: int) -> int:
        """Delete checks whose time is over; tells how many."""
        done = connection.execute(stamp_checks.delete().where(stamp_checks.c.at_us <= until_us))
        return int(done.rowcount)

    def checks(
        self, limit: int, before: int | None, *, serial: int | None, verdict: str | None, after_us: int
    ) -> tuple[list[Row], int | None]:
        """Checks after a moment with their suspicions, newest first, and the id behind which the next page begins."""
        query = (
            stamp_checks.select()
            .where(stamp_checks.c.at_us > after_us)
            .order_by(stamp_checks.c.id.desc())
            .limit(limit + 1)
        )
        for column, value in ((stamp_checks.c.serial, serial), (stamp_checks.c.verdict, verdict)):
            if value is not None:
                query = query.where(column == value)
        if before is not None:
            query = query.where(stamp_checks.c.id < before)
        with self._db.read() as connection:
            rows, following = _cut(list(_rows(connection, query)), limit)
            why = stamp_suspicions.select().where(
                stamp_suspicions.c.serial.in_({r["serial"] for r in rows if r["serial"] is not None})
            )
            suspicions = list(_rows(connection, why.order_by(stamp_suspicions.c.id)))
        for row in rows:
            row["suspicions"] = [s for s in suspicions if s["check_id"] == row["id"]]
        return rows, following

    # suspicions

    def suspect(self, connection: sa.Connection, row: Mapping[str, Any]) -> None:
        """A stamp was probably copied."""
        connection.execute(stamp_suspicions.insert().values(row))

    def suspicions(self, connection: sa.Connection, serial: int, after_us: int) -> set[str]:
        """The rules by which one stamp is suspected after a moment."""
        query = sa.select(stamp_suspicions.c.rule).where(
            stamp_suspicions.c.serial == serial, stamp_suspicions.c.at_us > after_us
        )
        return set(connection.execute(query).scalars())


def _rows(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Row]:
    return (dict(row) for row in connection.execute(query).mappings())


def _cut(rows: list[Row], limit: int) -> tuple[list[Row], int | None]:
    return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None
