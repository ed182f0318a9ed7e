"""The log as a table of SQLite: for one machine, and what the data folder holds by itself.

Entry, quarantine and sums are written in one transaction. A group without observations makes no entry.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa

from cocket.core.batch import Array, Batch
from cocket.core.errors import DataDamaged
from cocket.store.database import Database
from cocket.store.log import Entry, Follower, Prepared, Totals, checksum, decode, prepare
from cocket.store.quarantine import Quarantine, Quarantined
from cocket.store.tables import entries, quarantine, totals


class SqliteLog(Quarantine):
    """The log in ``db`` (``log.sqlite``): ``cocket.store.log.Log``, for one machine."""

    def __init__(self, db: Database, follow: Follower | None = None) -> None:
        super().__init__(db)
        self._lock = threading.RLock()
        self._follow = follow
        self._unsure: tuple[Entry, Array | None] | None = None
        self._last, self._totals = self._read_totals()

    def follow(self, follow: Follower) -> None:
        """Set who is told of each new entry."""
        self._follow = follow

    def append(
        self,
        batch: Batch | Prepared | None,
        *,
        received_us: int,
        duplicates: int = 0,
        rejects: Sequence[Quarantined] = (),
        keys: Array | None = None,
    ) -> int:
        """Make a group of observations durable, with its rejects and sums, and return its offset.

        When it returns, all of it is on the disk. When it raises, nothing of it is, or (a failure after the
        commit) all of it is: the caller acknowledges nothing, the client sends again, and the rows fold as
        duplicates if they did reach the disk. Without observations no entry is made, the sums are booked, and the
        last offset is returned. ``keys`` are ``observation_keys(batch)``, if the caller has them. Encoding is most
        of the work: a caller with a core to spare does it beforehand, by ``prepare``, while another group is
        being written.
        """
        prepared = prepare(batch, keys) if isinstance(batch, Batch) else batch
        return self._write(prepared, received_us, duplicates, rejects)

    def append_tick(self, tick_us: int) -> int:
        """Make the passing of time durable: nothing else happened up to ``tick_us``. Returns its offset."""
        return self._write(None, tick_us, 0, (), tick_us=tick_us)

    def _write(
        self,
        prepared: Prepared | None,
        received_us: int,
        duplicates: int,
        rejects: Sequence[Quarantined],
        tick_us: int | None = None,
    ) -> int:
        with self._lock:
            self.settle()
            if prepared is not None and not prepared.batch.n:
                prepared = None
            batch = None if prepared is None else prepared.batch
            n = 0 if batch is None else batch.n
            blob = b"" if prepared is None else prepared.blob
            size = 0 if prepared is None else prepared.size
            keys = None if prepared is None else prepared.keys
            adds = prepared is not None or tick_us is not None
            offset = self._last + adds
            kind: Literal["observations", "tick"] = "observations" if tick_us is None else "tick"
            entry = Entry(offset, kind, batch, tick_us, received_us, n)
            new = Totals(
                self._totals.observations + n,
                self._totals.duplicates + duplicates,
                self._totals.rejected + len(rejects),
            )
            self._unsure = (entry, keys)
            try:
                with self._db.write() as connection:
                    if adds:
                        connection.execute(
                            _INSERT,
                            {
                                "offset": offset,
                                "kind": kind,
                                "received_us": received_us,
                                "tick_us": tick_us,
                                "n": n,
                                "size": size,
                                "checksum": checksum(offset, kind, received_us, tick_us, n, size, blob),
                                "blob": blob,
                            },
                        )
                    if rejects:
                        connection.execute(quarantine.insert(), [q.values() for q in rejects])
                    connection.execute(
                        _BOOK,
                        {
                            "o": offset,
                            "n": new.observations,
                            "d": new.duplicates,
                            "r": new.rejected,
                        },
                    )
            except BaseException:
                self.settle()
                raise
            self._unsure = None
            self._last, self._totals = offset, new
            if adds and self._follow is not None:
                self._follow(entry, keys)
            return offset

    def settle(self) -> None:
        """After a write that failed: find out what of it is there. Nothing to do otherwise.

        A commit can fail and yet be kept; then the followers must know of it, or a repeat would be stored twice.
        """
        with self._lock:
            if self._unsure is None:
                return
            entry, keys = self._unsure
            before = self._last
            self._last, self._totals = self._read_totals()
            self._unsure = None
            if self._last > before and self._follow is not None:
                self._follow(entry, keys)

    def read(self, after: int, max_rows: int = 20_000) -> list[Entry]:
        """The entries behind offset ``after``, in order, up to about ``max_rows`` observations (one entry at least).

        Each is checked against its checksum; ``DataDamaged`` names the offset, also of one that is missing between
        two others. What was trimmed is left out: the caller sees by the first offset.
        """
        found: list[Entry] = []
        rows = 0
        with self._db.read() as connection:
            result = connection.execute(_READ, {"after": after})
            while rows < max_rows and len(found) < max_rows:
                row = result.fetchone()
                if row is None:
                    break
                if found and row.offset != found[-1].offset + 1:
                    raise DataDamaged(
                        f"log entries {found[-1].offset + 1} to {row.offset - 1} are missing in {self._db.path}; "
                        "restore the folder from a copy"
                    )
                found.append(self._entry(row))
                rows += found[-1].n
            result.close()
        return found

    def _entry(self, row: Any) -> Entry:
        offset, kind, received_us, tick_us, n, size, stored, blob = row
        where = f"log entry at offset {offset} in {self._db.path}"
        if checksum(offset, kind, received_us, tick_us, n, size, blob) != stored:
            raise DataDamaged(f"{where} does not match its checksum; restore the folder from a copy")
        batch = decode(blob, size, where) if kind == "observations" else None
        if batch is not None and batch.n != n:
            raise DataDamaged(f"{where} holds {batch.n} observations where {n} were written")
        return Entry(offset, kind, batch, tick_us, received_us, n)

    def last_offset(self) -> int:
        """The newest offset; 0 when nothing was ever appended."""
        return self._last

    def first_offset(self) -> int:
        """The oldest offset not trimmed; ``last_offset() + 1`` when none is left."""
        with self._db.read() as connection:
            first = connection.execute(sa.select(sa.func.min(entries.c.offset))).scalar()
        return self._last + 1 if first is None else int(first)

    def rows_after(self, offset: int) -> int:
        """How many observations stand behind ``offset``."""
        query = sa.select(sa.func.coalesce(sa.func.sum(entries.c.n), 0)).where(entries.c.offset > offset)
        with self._db.read() as connection:
            return int(connection.execute(query).scalar_one())

    def totals(self) -> Totals:
        """The running sums, from memory; trimming does not touch them."""
        return self._totals

    def _read_totals(self) -> tuple[int, Totals]:
        with self._db.read() as connection:
            row = connection.execute(totals.select()).one()
        return row.last_offset, Totals(row.observations, row.duplicates, row.rejected)

    def trim(self, upto: int) -> None:
        """Forget the entries up to and with ``upto``.

        ``upto`` must be behind both the history (``History.compacted_offset``, checked here) and the detectors'
        snapshot (``AlertStore.snapshot_offset``, which the caller knows: it passes the smaller).
        """
        with self._db.write() as connection:
            compacted = connection.execute(sa.select(totals.c.compacted_offset)).scalar_one()
            if upto > compacted:
                raise ValueError(
                    f"history holds the log up to {compacted}; trimming to {upto} would lose the rest"
                )
            connection.execute(entries.delete().where(entries.c.offset <= upto))

    def damage(self) -> list[str]:
        """Read every entry and say which do not match their checksums, and which offsets are missing."""
        found: list[str] = []
        with self._db.read() as connection:
            compacted = connection.execute(sa.select(totals.c.compacted_offset)).scalar_one()
            expected: int | None = None
            for row in connection.execution_options(yield_per=16).execute(_READ, {"after": 0}):
                if expected is not None and row.offset != expected:
                    found.append(f"log entries {expected} to {row.offset - 1} are missing in {self._db.path}")
                elif expected is None and row.offset > compacted + 1:
                    found.append(
                        f"log entries {compacted + 1} to {row.offset - 1} are missing in {self._db.path}"
                    )
                expected = row.offset + 1
                try:
                    self._entry(row)
                except DataDamaged as error:
                    found.append(error.detail)
            if (expected or compacted + 1) <= self._last:
                found.append(
                    f"log entries {expected or compacted + 1} to {self._last} are missing in {self._db.path}"
                )
        return found


_INSERT = entries.insert()
_BOOK = totals.update().values(
    last_offset=sa.bindparam("o"),
    observations=sa.bindparam("n"),
    duplicates=sa.bindparam("d"),
    rejected=sa.bindparam("r"),
)
_READ = (
    sa.select(
        entries.c.offset,
        entries.c.kind,
        entries.c.received_us,
        entries.c.tick_us,
        entries.c.n,
        entries.c.size,
        entries.c.checksum,
        entries.c.blob,
    )
    .where(entries.c.offset > sa.bindparam("after"))
    .order_by(entries.c.offset)
)
