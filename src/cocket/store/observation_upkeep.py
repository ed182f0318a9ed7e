"""What becomes of a site's files and tables with time: merged, and rid of what is past its term."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Final

import numpy as np
import sqlalchemy as sa

from cocket.core.schema import BY_NAME
from cocket.store.copy_format import stored_text
from cocket.store.history import is_old, kept, may_hold
from cocket.store.history_contract import Chosen
from cocket.store.observation_files import unpacked
from cocket.store.observation_moves import FAN, SLAB_ROWS, TOP_LEVEL, Mover, slabs_of
from cocket.store.observation_tables import REST, observation_periods
from cocket.store.parquet import HistoryFile, slabs
from cocket.store.rows import Rows

# ruff: noqa: S608 - only names of our own and integers are written into SQL; texts go as parameters

_DELETED_AT_ONCE: Final = 5_000


class _OvertakenError(Exception):
    """Another process changed what was to be replaced: nothing of this is kept."""


class Upkeep(Mover):
    """As ``Mover``, and what a site does now and then with what has been moved."""

    def _all(self) -> list[HistoryFile]:
        with self._db.read() as connection:
            return self._files.and_moving(connection)[1]

    def merge(self) -> int:
        """Merge ``FAN`` files of one level into one, as often as there are so many."""
        with self._alone() as free:
            rows = 0
            for level in range(TOP_LEVEL if free else 0):
                while len(same := [f for f in self._all() if f.level == level]) >= FAN:
                    old = same[:FAN]
                    columns = [name for f in old for name in f.columns()]
                    with self._local(old) as files:
                        new = self._write(slabs(files, SLAB_ROWS), columns, level + 1)
                    if not self._replace(old, new):
                        return rows
                    rows += sum(f.facts.rows for f in old)
            return rows

    def expire(self, before_us: int, chosen: Chosen | None, devices: AbstractSet[str] | None = None) -> int:
        """Forget what is older, or of that what ``chosen`` marks, in files and in tables."""
        with self._alone(wait=True):
            expired = sum(
                self._expire_file(f, before_us, chosen) for f in self._all() if may_hold(f, devices)
            )
            for name in self._tables(before_us):
                if chosen is None:
                    expired += self._expire_table(name, before_us)
                    continue
                for rows in self._old_rows(name, before_us, chosen, devices):
                    expired += self._delete(name, rows)
            return expired

    def old(self, before_us: int, chosen: Chosen | None, devices: AbstractSet[str] | None = None) -> int:
        """How many observations ``expire`` would forget."""
        found = 0
        with self._alone(wait=True):
            for file in self._all():
                if file.facts.oldest_us < before_us and may_hold(file, devices):
                    with self._local([file]) as files:
                        parts = slabs(files, SLAB_ROWS)
                        found += sum(int(is_old(rows, before_us, chosen).sum()) for rows in parts)
            for name in self._tables(before_us):
                found += sum(rows.batch.n for rows in self._old_rows(name, before_us, chosen, devices))
        return found

    def _expire_file(self, file: HistoryFile, before_us: int, chosen: Chosen | None) -> int:
        if file.facts.oldest_us >= before_us:
            return 0
        new = None
        with self._local([file]) as files:
            if chosen is not None and not any(
                is_old(rows, before_us, chosen).any() for rows in slabs(files, SLAB_ROWS)
            ):
                return 0
            if chosen is not None or file.facts.newest_us >= before_us:
                stay = (kept(r, ~is_old(r, before_us, chosen)) for r in slabs(files, SLAB_ROWS))
                new = self._write(stay, file.columns(), file.level)
        if not self._replace([file], new):
            return 0
        return file.facts.rows - (0 if new is None else new.facts.rows)

    def _tables(self, before_us: int) -> list[str]:
        """The tables that may hold observations of before, each by itself."""
        periods = observation_periods.c
        query = sa.select(periods.name).where(
            periods.state.in_(("hot", "moving")),
            sa.or_(periods.from_us.is_(None), periods.from_us < before_us),
        )
        with self._db.read() as connection:
            return [REST, *connection.execute(query.order_by(periods.name)).scalars()]

    def _old_rows(
        self, name: str, before_us: int, chosen: Chosen | None, devices: AbstractSet[str] | None
    ) -> Iterator[Rows]:
        """The rows of a table that ``expire`` would forget, some at a time; partition and offset are ``packed``."""
        with self._db.read() as connection:
            there = self._devices(connection, name, f"WHERE observed_us < {int(before_us)}", devices)
        for slab in slabs_of(there):
            rows = self._slab(name, list(BY_NAME), slab, before_us)
            if rows.batch.n:
                yield rows.take(is_old(rows, before_us, chosen))

    def _delete(self, name: str, rows: Rows) -> int:
        gone = 0
        partitions, offsets = unpacked(rows.offsets)
        device = rows.batch.texts("device_id")
        names = [] if device is None else [stored_text(text or "") for text in device.to_list()]
        for start in range(0, rows.batch.n, _DELETED_AT_ONCE):
            part = slice(start, start + _DELETED_AT_ONCE)
            with self._writing() as connection:
                deleted = connection.execute(
                    sa.text(
                        f"DELETE FROM {name} o USING unnest(CAST(:devices AS text[]), CAST(:times AS bigint[]), "
                        "CAST(:partitions AS integer[]), CAST(:offsets AS bigint[]), CAST(:keys AS bigint[])) "
                        "AS s(device, at, partition, at_offset, key) "
                        'WHERE o.device_id = s.device COLLATE "C" AND o.observed_us = s.at AND o.key = s.key '
                        'AND o.partition = s.partition AND o."offset" = s.at_offset'
                    ),
                    {
                        "devices": names[part],
                        "times": rows.batch.filled("observed_us")[part].tolist(),
                        "partitions": partitions[part].tolist(),
                        "offsets": offsets[part].tolist(),
                        "keys": rows.keys[part].view(np.int64).tolist(),
                    },
                )
                gone += deleted.rowcount
        return gone

    def _expire_table(self, name: str, before_us: int) -> int:
        with self._writing() as connection:
            self._db.patient(connection)
            gone = connection.exec_driver_sql(
                f"DELETE FROM {name} WHERE observed_us < {int(before_us)} "
                f"AND COALESCE(received_us, observed_us) < {int(before_us)}"
            )
            return int(gone.rowcount)

    @contextmanager
    def _local(self, files: Sequence[HistoryFile]) -> Iterator[list[HistoryFile]]:
        """The files on the local disk, for reading them whole."""
        held: list[HistoryFile] = []
        try:
            for file in files:
                place = self._files.place_of(file.place)
                held.append(place.local(file, self._folder))
            yield held
        finally:
            for copy, file in zip(held, files, strict=False):
                if copy is not file:
                    copy.path.unlink(missing_ok=True)

    def _replace(self, old: Sequence[HistoryFile], new: HistoryFile | None) -> bool:
        """Let ``new`` count in place of ``old``, then delete these; False if another process changed them."""
        written = [] if new is None else [new]
        try:
            with self._writing() as connection:
                if not self._files.strike(connection, old):
                    raise _OvertakenError  # noqa: TRY301 - undoes the transaction
                self._files.register(connection, self._place, written)
        except _OvertakenError:
            self._remove(written)
            return False
        for file in old:
            self._files.place_of(file.place).remove(file.path.name)
        return True
