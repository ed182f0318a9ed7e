"""How tables of observations come and go in PostgreSQL: days made, moved into Parquet files, merged, forgotten.

A table is ``hot`` (a partition of ``observations``), then ``moving`` (detached: nobody writes to it, everybody reads
it), then ``moved`` (its files count in its stead, in the same transaction), then dropped. Each step is one transaction,
and files are in their place, durable and verified, before they are registered: a stop between any two leaves every row
in exactly one place, and the next ``compact`` goes on from there. What a stop leaves besides is a file that nothing
names (``PgHistory.strays``).

Only detaching needs ``observations`` alone; it waits for readers and writers half a second at most, then lets them
pass and is tried again by the next ``compact``.
"""

# ruff: noqa: S608 - only names of our own and integers are written into SQL; texts go as parameters

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pg8000
import sqlalchemy as sa

from cocket.core.errors import Busy, CocketError, DataDamaged
from cocket.core.schema import BY_NAME
from cocket.store.copy_format import stored_text, told_text
from cocket.store.copying import UNDEFINED_TABLE, Gone, ask_spans, copied, spans_sql
from cocket.store.database import Database
from cocket.store.history_places import Place
from cocket.store.observation_files import FileList, packed
from cocket.store.observation_tables import DAY_US, REST, observation_periods
from cocket.store.parquet import FileWriter, HistoryFile
from cocket.store.postgresql_dialect import sqlstate
from cocket.store.rows import Rows, in_order, join
from cocket.store.spans import Spans

SLAB_ROWS: Final = 1_000_000
"""Rows that are held in memory at once."""

FILE_SLABS: Final = 8
"""Most slabs in one file."""

FAN: Final = 8
TOP_LEVEL: Final = 4
PATIENCE_MS: Final = 30_000
"""How long forgetting waits for moving to end."""

_MOVER: Final = 0x636F636B_01
_MAKER: Final = 0x636F636B_02
"""Advisory locks: of the one process that moves, and of the one transaction that makes days."""

_LOCK_NOT_AVAILABLE: Final = "55P03"


class Mover:
    """The compactor's side of ``PgHistory``. New files go to ``place``, written aside in ``folder``."""

    def __init__(self, folder: Path, db: Database, files: FileList, place: Place) -> None:
        self._folder = folder
        self._db = db
        self._files = files
        self._place = place

    @contextmanager
    def _alone(self, *, wait: bool = False) -> Iterator[bool]:
        """Whether no other process or thread is moving anything; none begins before the block ends.

        With ``wait`` it is always so: ``Busy`` if the others have not ended after ``PATIENCE_MS``.
        """
        session = self._db.engine.raw_connection()
        session.detach()
        cursor: Any = session.cursor()
        try:
            free = self._locked(cursor, wait=wait)
            if free:
                for path in self._folder.glob("*.tmp"):
                    path.unlink(missing_ok=True)
            yield free
        finally:
            with suppress(pg8000.Error, OSError):  # then the session is gone, and the lock with it
                cursor.execute("SELECT pg_advisory_unlock_all()")
            session.close()

    @staticmethod
    def _locked(cursor: Any, *, wait: bool) -> bool:
        if not wait:
            cursor.execute(f"SELECT pg_try_advisory_lock({_MOVER})")
            return bool(cursor.fetchone()[0])
        cursor.execute(f"SET lock_timeout = {PATIENCE_MS}")
        try:
            cursor.execute(f"SELECT pg_advisory_lock({_MOVER})")
        except pg8000.Error as error:
            if sqlstate(error) != _LOCK_NOT_AVAILABLE:
                raise
            raise Busy(
                "observations are being moved to files; try again when that is done", retry_after_s=60
            ) from error
        return True

    @contextmanager
    def _writing(self, wait_ms: int = 0) -> Iterator[sa.Connection]:
        """A transaction of no partition's, which waits for a lock ``wait_ms`` at most (0: as long as it takes)."""
        with self._db.write(lock=None) as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {wait_ms}")
            yield connection

    # days

    def make_day(self, connection: sa.Connection, day: int) -> None:
        """Make the partition of a day (days since 1970), unless it is there; rows of that day that waited in the rest go in."""
        low, high = day * DAY_US, (day + 1) * DAY_US
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MAKER})
        periods = observation_periods.c
        there = sa.select(periods.name).where(periods.state == "hot", periods.from_us == low)
        if connection.execute(there).first() is not None:
            return
        name = self._new_table(connection, str(np.datetime64(day, "D")))
        # attaching needs the rest alone anyway: nothing may come in between the move and the attaching
        connection.exec_driver_sql(f"LOCK TABLE {REST} IN ACCESS EXCLUSIVE MODE")
        connection.exec_driver_sql(
            f"WITH taken AS (DELETE FROM {REST} WHERE observed_us >= {low} AND observed_us < {high} RETURNING *) "
            f"INSERT INTO {name} SELECT * FROM taken"
        )
        connection.exec_driver_sql(
            f"ALTER TABLE observations ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})"
        )
        connection.execute(
            observation_periods.insert().values(name=name, from_us=low, to_us=high, state="hot")
        )

    @staticmethod
    def _new_table(connection: sa.Connection, of: str) -> str:
        number = connection.execute(sa.text("SELECT nextval('observation_numbers')")).scalar_one()
        name = f"observations_{''.join(c for c in of if c.isalnum())}_{number}"
        connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE observations INCLUDING DEFAULTS)")
        return name

    # moving

    def compact(self, now_us: int, hot_us: int) -> int:
        """Move what is older than ``hot_us`` into files, and make the next days' partitions; returns the rows moved."""
        with self._alone() as free:
            if not free:
                return 0
            self._make_next_days(now_us)
            for name in self._named("hot", now_us - hot_us):
                self._detach(name)
            self._detach_rest(now_us - hot_us)
            moved = sum(self._move(name) for name in self._named("moving"))
            for name in self._named("moved"):
                self._drop(name)
            return moved

    def _make_next_days(self, now_us: int) -> None:
        """Ahead of need and without making anybody wait long, so that a writer hardly ever has to."""
        for day in (now_us // DAY_US, now_us // DAY_US + 1):
            with self._unless_busy(), self._writing(500) as connection:
                self.make_day(connection, day)

    def _named(self, state: str, before_us: int | None = None) -> list[str]:
        periods = observation_periods.c
        query = sa.select(periods.name).where(periods.state == state).order_by(periods.from_us, periods.name)
        if before_us is not None:
            query = query.where(periods.to_us <= before_us)
        with self._db.read() as connection:
            return list(connection.execute(query).scalars())

    @staticmethod
    @contextmanager
    def _unless_busy() -> Iterator[None]:
        """Pass over a step whose lock others hold: it is for later."""
        try:
            yield
        except (sa.exc.DBAPIError, CocketError) as error:
            cause = error if isinstance(error, sa.exc.DBAPIError) else error.__cause__
            if not isinstance(cause, sa.exc.DBAPIError) or sqlstate(cause.orig) != _LOCK_NOT_AVAILABLE:
                raise

    def _set_state(self, connection: sa.Connection, name: str, old: str, new: str) -> bool:
        """Step on; False if another process has."""
        periods = observation_periods.c
        changed = connection.execute(
            observation_periods.update().where(periods.name == name, periods.state == old).values(state=new)
        )
        return changed.rowcount == 1

    def _detach(self, name: str) -> None:
        with self._unless_busy(), self._writing(500) as connection:
            if self._set_state(connection, name, "hot", "moving"):
                connection.exec_driver_sql(f"ALTER TABLE observations DETACH PARTITION {name}")

    def _detach_rest(self, before_us: int) -> None:
        """Take what was received before out of the rest, once a day's worth has gathered."""
        age = "COALESCE(received_us, observed_us)"
        with self._writing() as connection:
            old = connection.exec_driver_sql(
                f"SELECT 1 FROM {REST} WHERE {age} < {int(before_us - DAY_US)} LIMIT 1"
            )
            if old.first() is None:
                return
            self._db.patient(connection)
            name = self._new_table(connection, "late")
            connection.exec_driver_sql(
                f"WITH taken AS (DELETE FROM {REST} WHERE {age} < {int(before_us)} RETURNING *) "
                f"INSERT INTO {name} SELECT * FROM taken"
            )
            connection.exec_driver_sql(f"CREATE INDEX ON {name} (device_id, observed_us)")
            connection.execute(observation_periods.insert().values(name=name, state="moving"))

    def _move(self, name: str) -> int:
        with self._db.read() as connection:
            self._db.patient(connection)
            columns, expected = self._filled(connection, name)
            devices = self._devices(connection, name)
        new: list[HistoryFile] = []
        waiting = list(slabs_of(devices))
        while waiting:
            parts, waiting = waiting[:FILE_SLABS], waiting[FILE_SLABS:]
            file = self._write((self._slab(name, columns, part) for part in parts), columns, None)
            if file is not None:
                new.append(file)
        written = sum(f.facts.rows for f in new)
        if written != expected:
            self._remove(new)
            raise DataDamaged(
                f"table {name} of observations holds {expected} rows, but {written} could be read by their devices; "
                f"its index may be damaged: REINDEX TABLE {name}"
            )
        if not self._register(name, new):
            self._remove(new)
            return 0
        return written

    @staticmethod
    def _filled(connection: sa.Connection, name: str) -> tuple[list[str], int]:
        """The columns that any row fills, and the number of rows."""
        counts = ", ".join(f'count("{column}")' for column in BY_NAME)
        found = connection.exec_driver_sql(f"SELECT count(*), {counts} FROM {name}").one()
        return [column for column, n in zip(BY_NAME, found[1:], strict=True) if n], int(found[0])

    @staticmethod
    def _devices(
        connection: sa.Connection, name: str, where: str = "WHERE true", of: AbstractSet[str] | None = None
    ) -> list[tuple[str, int]]:
        """Devices and how many rows each has; ``of``: of these alone."""
        given = {} if of is None else {"names": [stored_text(d) for d in sorted(of)]}
        if of is not None:
            where += ' AND device_id COLLATE "C" = ANY(CAST(:names AS text[]))'
        query = f"SELECT device_id, count(*) FROM {name} {where} GROUP BY device_id"
        try:
            found = connection.execute(sa.text(query), given).all()
        except sa.exc.DBAPIError as error:
            if sqlstate(error.orig) == UNDEFINED_TABLE:
                raise Gone from error
            raise
        return sorted((told_text(device), int(n)) for device, n in found)

    def _slab(
        self, name: str, columns: Sequence[str], devices: Sequence[str], before_us: int = 2**63 - 1
    ) -> Rows:
        with self._db.read() as connection:
            connection.exec_driver_sql("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
            return self._rows_of(connection, name, columns, devices, (-(2**63), before_us))

    @staticmethod
    def _rows_of(
        connection: sa.Connection,
        name: str,
        columns: Sequence[str],
        devices: Sequence[str],
        within: tuple[int, int],
    ) -> Rows:
        spans = Spans.of([(device, *within) for device in devices])
        ask_spans(connection, spans)
        parts = [
            Rows(rows.batch, rows.keys, packed(partitions, rows.offsets))
            for rows, partitions in copied(connection, spans_sql(name, columns, spans), columns)
        ]
        return in_order(join(parts))

    def slabs_of_table(
        self, connection: sa.Connection, name: str, from_us: int, to_us: int
    ) -> Iterator[Rows]:
        """All rows of a table with event time in [from, to), as the transaction sees it, some at a time; offsets are ``packed``."""
        where = f"WHERE observed_us >= {int(from_us)} AND observed_us < {int(to_us)}"
        for devices in slabs_of(self._devices(connection, name, where)):
            yield self._rows_of(connection, name, list(BY_NAME), devices, (from_us, to_us))

    def _write(self, parts: Iterable[Rows], columns: Sequence[str], level: int | None) -> HistoryFile | None:
        """Write a file and bring it to its place. It does not count yet. None without rows."""
        with self._db.write(lock=None) as connection:
            number = int(connection.execute(sa.text("SELECT nextval('observation_numbers')")).scalar_one())
        name = f"{number:08d}.parquet"
        aside = self._folder / f"{number:08d}.tmp"
        facts = FileWriter(aside, columns).write_all(parts)
        if facts is None:
            return None
        self._place.put(aside, name, facts)
        return self._place.file(name, number, _level(facts.rows) if level is None else level, facts)

    def _register(self, name: str, new: Sequence[HistoryFile]) -> bool:
        """The files count in the table's stead; False if another process was first."""
        with self._writing() as connection:
            if not self._set_state(connection, name, "moving", "moved"):
                return False
            self._files.register(connection, self._place, new)
            return True

    def _drop(self, name: str) -> None:
        """Drop a table that files stand for. Readers that began before wait for nothing: it is tried again."""
        with self._unless_busy(), self._writing(500) as connection:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
            connection.execute(observation_periods.delete().where(observation_periods.c.name == name))

    def _remove(self, files: Sequence[HistoryFile]) -> None:
        for file in files:
            self._place.remove(file.path.name)


def slabs_of(devices: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    """Devices in order, as many at a time as fill a slab."""
    slab: list[str] = []
    held = 0
    for device, n in devices:
        if slab and held + n > SLAB_ROWS:
            yield slab
            slab, held = [], 0
        slab.append(device)
        held += n
    if slab:
        yield slab


def _level(rows: int) -> int:
    """Files of about one size are of one level: below a slab 0, then eight times as many rows for each."""
    level = 0
    while rows >= SLAB_ROWS * FAN**level and level < TOP_LEVEL:
        level += 1
    return level
