"""History in PostgreSQL: recent observations in a table partitioned by day, older ones in Parquet files behind.

A worker writes what it took from its log by ``write``, inside the transaction that also keeps what it made of it, by
one binary COPY whose body is built from columns. Days (UTC) of event time within ``hot_days`` of receipt have a
partition each; whatever else (late data, absurd times) goes to ``observations_rest``. ``compact`` moves what is older
than ``hot_days`` to files (``store.observation_moves``).

A reader (REPEATABLE READ, as ``Database.read`` is) locks ``observations`` against detaching before it takes its snapshot, so that the partitions that it finds
are those of its snapshot; files and tables that vanish under it afterwards make it look again.

A partition's ``observation_offsets`` row is locked while it is written, so
two writers of one partition queue, and an entry that is there already is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from cocket.core.batch import Array, Batch
from cocket.core.clock import Clock
from cocket.core.errors import DataDamaged, Unavailable
from cocket.core.keys import observation_keys
from cocket.core.schema import BY_NAME
from cocket.store.copying import Gone, ask_spans, copied, copied_keys, copy_in, counted, spans_sql
from cocket.store.database import Database
from cocket.store.finding import Finding
from cocket.store.history import from_file
from cocket.store.history_contract import Chosen, Limit, Span
from cocket.store.history_places import Address, Bucket, Folder, Place
from cocket.store.log import Entry
from cocket.store.newest import Which, add_from_tables, better_in_file
from cocket.store.observation_files import FileList, unpacked, within
from cocket.store.observation_sql import answer, laid_out
from cocket.store.observation_tables import DAY_US, observation_offsets, observation_periods
from cocket.store.observation_upkeep import Upkeep
from cocket.store.parquet import HOUR_US, HistoryFile
from cocket.store.rows import NOTHING, Rows, in_order, join, join_of_devices
from cocket.store.spans import Spans

_TRIES: Final = 6
_FETCHES: Final = 8
_EVER: Final = 2**63 - 1
_FIRST_US: Final = -(2**63 - 2)
_LAST_US: Final = 2**63 - 2
T = TypeVar("T")


class PgHistory:
    """The history in ``db`` (branch ``observations``, PostgreSQL), with its files in ``folder`` or, if ``objects`` is given, there.

    ``folder`` is where files are written aside in any case. ``hot_days``: how long observations stay in PostgreSQL.
    ``clock`` says how old they are.
    """

    def __init__(
        self,
        folder: Path,
        db: Database,
        clock: Clock,
        *,
        hot_days: int = 14,
        objects: str = "",
        access_key: str = "",
        secret_key: str = "",
    ) -> None:
        self.folder = folder
        self._db = db
        self._clock = clock
        self._hot_us = hot_days * DAY_US
        self._keys = (access_key, secret_key)
        self._address = Address.of(objects) if objects else None
        self._places: dict[str, Place] = {"": Folder(folder)}
        folder.mkdir(parents=True, exist_ok=True)
        self.place = self._place_of(self._address.place if self._address else "")
        self._files = FileList(self._place_of)
        self._mover = Upkeep(folder, db, self._files, self.place)
        self._days: set[int] = set()

    def _place_of(self, name: str) -> Place:
        """Where files of a place lie; buckets of other settings are asked at the endpoint of these."""
        if name not in self._places:
            own = self._address or Address("", "", "", "")
            other = Address.of(name)
            address = Address(other.bucket, other.prefix, own.endpoint, own.region)
            self._places[name] = Bucket(address, access_key=self._keys[0], secret_key=self._keys[1])
        return self._places[name]

    # writing

    def write(
        self, connection: sa.Connection, partition: int, entries: Sequence[tuple[Entry, Array | None]]
    ) -> int:
        """Take in entries of a partition's log, in order, as part of the caller's transaction; returns how many rows.

        Entries up to the offset that is stored are left out. ``keys`` are ``observation_keys`` of each batch, if the
        caller has them. Call it once in a transaction, with all entries: partitions are made before rows go in.
        After the commit any process sees them.
        """
        stored = self._lock_offset(connection, partition)
        fresh = [(entry, keys) for entry, keys in entries if entry.offset > stored]
        if not fresh:
            return 0
        offsets = [entry.offset for entry, _ in fresh]
        if offsets != sorted(set(offsets)):
            raise AssertionError(
                f"log entries of partition {partition} come in the order {offsets}, not by offset"
            )
        parts: list[Rows] = []
        newest = -_EVER
        for entry, keys in fresh:
            if entry.batch is not None and entry.batch.n:
                known = observation_keys(entry.batch) if keys is None else keys
                parts.append(Rows(entry.batch, known, np.full(entry.batch.n, entry.offset, np.int64)))
                newest = max(newest, _received(entry))
        rows = join(parts)
        if rows.batch.n:
            self._make_days(connection, rows.batch.filled("observed_us"), newest)
            # by device, so that neighbours in the B-tree are written together
            copy_in(connection, "observations", in_order(rows), partition)
        connection.execute(
            observation_offsets.update()
            .where(observation_offsets.c.partition == partition)
            .values(offset=offsets[-1])
        )
        return rows.batch.n

    @staticmethod
    def _lock_offset(connection: sa.Connection, partition: int) -> int:
        query = (
            sa.select(observation_offsets.c.offset)
            .where(observation_offsets.c.partition == partition)
            .with_for_update()
        )
        stored = connection.execute(query).scalar_one_or_none()
        if stored is None:
            connection.execute(
                sa.text(
                    'INSERT INTO observation_offsets (partition, "offset") VALUES (:p, 0) ON CONFLICT DO NOTHING'
                ),
                {"p": partition},
            )
            stored = connection.execute(query).scalar_one()
        return int(stored)

    def _make_days(self, connection: sa.Connection, observed_us: Array, newest_us: int) -> None:
        """Partitions for the days of these rows, as far as they lie about the time of receipt: nobody else can make more."""
        days = np.unique(observed_us // DAY_US)
        days = days[(days >= (newest_us - self._hot_us) // DAY_US) & (days <= newest_us // DAY_US + 1)]
        wanted = set(days.tolist())
        if wanted <= self._days:
            return
        hot = observation_periods.c
        known = connection.execute(sa.select(hot.from_us).where(hot.state == "hot", hot.from_us.is_not(None)))
        self._days = {us // DAY_US for us in known.scalars()}
        for day in sorted(wanted - self._days):
            self._mover.make_day(connection, day)

    def remember(self, entry: Entry, keys: Array | None = None, *, partition: int = 0) -> None:
        """Take in one entry in a transaction of its own."""
        with self._db.write(lock=None) as connection:
            self.write(connection, partition, [(entry, keys)])

    def stored_offset(self, partition: int) -> int:
        """How far a partition's log is written here; 0 if nothing is."""
        with self._db.read() as connection:
            query = sa.select(observation_offsets.c.offset).where(
                observation_offsets.c.partition == partition
            )
            return int(connection.execute(query).scalar_one_or_none() or 0)

    @property
    def compacted_offset(self) -> int:
        """Up to and with this offset every log that was ever written here is kept; with one partition, its offset."""
        with self._db.read() as connection:
            lowest = connection.execute(sa.select(sa.func.min(observation_offsets.c.offset))).scalar_one()
            return int(lowest or 0)

    def roughly(self) -> int:
        """About how many rows the tables hold, as the server last estimated it."""
        with self._db.read() as connection:
            rows = "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0) FROM pg_class c WHERE c.relname LIKE 'observations\\_%%' AND c.relkind = 'r'"
            return int(connection.exec_driver_sql(rows).scalar_one())

    def held(self) -> tuple[int, dict[int, int]]:
        """How many observations are held, and up to which offset those of each partition's log, as of one moment."""
        return self._again(self._held)

    def _held(self) -> tuple[int, dict[int, int]]:
        with self._looking() as (connection, tables, files):
            self._db.patient(connection)
            rows = sum(counted(connection, name) for name in tables)
            upto = {p: int(o) for p, o in connection.execute(observation_offsets.select())}
        return rows + sum(f.facts.rows for f in files), upto

    @property
    def files(self) -> tuple[HistoryFile, ...]:
        """The files that count."""
        with self._db.read() as connection:
            return tuple(self._files.and_moving(connection)[1])

    # reading

    @contextmanager
    def _looking(
        self, from_us: int | None = None, to_us: int | None = None
    ) -> Iterator[tuple[sa.Connection, list[str], list[HistoryFile]]]:
        """A snapshot, the tables that hold observations in it, and the files that may hold any of [from, to)."""
        with self._db.read() as connection:
            # every statement costs a turn of the network: one for all that answer nothing
            connection.exec_driver_sql(
                "LOCK TABLE observations IN ACCESS SHARE MODE; SET LOCAL jit = off; "
                "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
            )
            moving, files = self._files.and_moving(connection, from_us, to_us)
            yield connection, ["observations", *moving], files

    def _again(self, look: Callable[[], T]) -> T:
        for _ in range(_TRIES - 1):
            try:
                return look()
            except Gone:
                continue
        try:
            return look()
        except Gone as error:
            raise Unavailable(
                "the history was being moved faster than it could be read; try again"
            ) from error

    def find(
        self,
        wanted: Sequence[Span],
        *,
        columns: Sequence[str] | None = None,
        upto_offset: Limit = None,
    ) -> Rows:
        """Every observation of the spans (device, from, to), event time in [from, to), as the log stood at ``upto_offset``.

        Sorted by device, event time, sequence (null first), key; spans may overlap, a row comes once. ``columns``
        limits what is read (device, event time and sequence always are). Damage raises ``DataDamaged``.
        """
        if not wanted:
            return NOTHING
        if columns is None:
            chosen = list(BY_NAME)
        else:
            chosen = list(dict.fromkeys(("device_id", "observed_us", "sequence", *columns)))
        spans = Spans.of(wanted)
        return self._again(
            lambda: self._find(spans, chosen, None if columns is None else chosen, upto_offset)
        )

    def _find(self, spans: Spans, hot: Sequence[str], cold: Sequence[str] | None, limit: Limit) -> Rows:
        parts: list[tuple[Rows, Array]] = []
        with self._looking(spans.min_us, spans.max_us) as (connection, tables, files):
            ask_spans(connection, spans)
            for table in tables:
                for rows, partitions in copied(connection, spans_sql(table, hot, spans), hot):
                    device = rows.batch.texts("device_id")
                    assert device is not None
                    codes = spans.table_of(pa.array(device.values, pa.string()))[device.codes]
                    rest = {k: v for k, v in rows.batch.columns.items() if k != "device_id"}
                    bare = Rows(Batch(rows.batch.n, rest), rows.keys, rows.offsets)
                    keep = within(limit, partitions, rows.offsets)
                    parts.append((bare, codes) if keep.all() else (bare.take(keep), codes[keep]))
        for rows, codes in self._from_files(files, lambda f: _of_spans(f, spans, cold)):
            partitions, offsets = unpacked(rows.offsets)
            keep = within(limit, partitions, offsets)
            clean = Rows(rows.batch, rows.keys, offsets)
            parts.append((clean, codes) if keep.all() else (clean.take(keep), codes[keep]))
        return in_order(join_of_devices(parts, spans.names))

    def _reading(self, file: HistoryFile, read: Callable[[HistoryFile], Iterator[T]]) -> list[T]:
        """Read a file; if it does not count any more, ``Gone``."""
        try:
            return list(read(file))
        except DataDamaged as error:
            with self._db.read() as connection:
                if self._files.counts(connection, file.file_id):
                    raise
            raise Gone from error

    def _from_files(
        self, files: Sequence[HistoryFile], read: Callable[[HistoryFile], Iterator[T]]
    ) -> Iterator[T]:
        """What ``read`` gives of each file, in order; several objects are fetched at once, for each takes its time to come."""
        if sum(f.place != "" for f in files) < 2:
            for file in files:
                yield from self._reading(file, read)
            return
        with ThreadPoolExecutor(min(_FETCHES, len(files)), "cocket-history") as pool:
            for found in pool.map(lambda file: self._reading(file, read), files):
                yield from found

    def rows(self, wanted: Sequence[Span], *, columns: Sequence[str] | None = None) -> Batch:
        """As ``find``, the observations alone."""
        return self.find(wanted, columns=columns).batch

    def hour_keys(self, hours: Sequence[int], *, partition: int | None = None) -> tuple[Array, Array]:
        """Event time and key of every stored observation of these hours (event time // one hour), of one log or of all."""
        wanted = np.unique(np.array(hours, np.int64))
        if not len(wanted):
            return np.empty(0, np.int64), np.empty(0, np.uint64)
        return self._again(lambda: self._hour_keys(wanted, partition))

    def _hour_keys(self, wanted: Array, partition: int | None) -> tuple[Array, Array]:
        runs = np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1)
        ranges = [(int(run[0]) * HOUR_US, (int(run[-1]) + 1) * HOUR_US) for run in runs]
        times: list[Array] = [np.empty(0, np.int64)]
        keys: list[Array] = [np.empty(0, np.uint64)]
        low, high = ranges[0][0], ranges[-1][1]
        where = " OR ".join(f"(o.observed_us >= {a} AND o.observed_us < {b})" for a, b in ranges)
        if partition is not None:
            where = f"({where}) AND o.partition = {int(partition)}"
        with self._looking(low, high) as (connection, tables, files):
            for table in tables:
                observed, found = copied_keys(connection, table, where)
                times.append(observed)
                keys.append(found)
        files = [f for f in files if f.has_hours(wanted.tolist())]
        for observed, found in self._from_files(files, lambda f: _of_hours(f, wanted, low, high, partition)):
            times.append(observed)
            keys.append(found)
        return np.concatenate(times), np.concatenate(keys)

    def sql(self, query: str, *, from_us: int | None = None, to_us: int | None = None) -> pa.Table:
        """Run a query of DuckDB's SQL over the view ``observations`` (with ``key``, ``partition``, ``offset``), event time in [from, to).

        What is in PostgreSQL or in a bucket is first written to the system's temporary folder: name the time, where there
        is much. Nothing else can be read or written by the query. Errors are DuckDB's own.
        """
        low = _FIRST_US if from_us is None else max(from_us, _FIRST_US)
        high = _LAST_US if to_us is None else min(to_us, _LAST_US)
        return self._again(lambda: self._sql(query, low, high))

    def _sql(self, query: str, low: int, high: int) -> pa.Table:
        import duckdb

        with self._looking(low, high) as (connection, tables, files):
            slabs = (
                rows for table in tables for rows in self._mover.slabs_of_table(connection, table, low, high)
            )
            try:
                with laid_out(slabs, files, self._place_of) as paths:
                    return answer(query, paths, low, high)
            except (DataDamaged, duckdb.IOException) as error:
                with self._db.read() as now:
                    if all(self._files.counts(now, file.file_id) for file in files):
                        raise
                raise Gone from error

    def newest(
        self, *, trusted: Sequence[str], unless: Sequence[str], of: Callable[[str], bool] | None = None
    ) -> dict[str, int]:
        """Event time of each device's newest observation of those that count, as ``HistoryStore.newest``. ``store.newest`` tells how."""
        which = Which(tuple(trusted), tuple(unless), of or (lambda _: True))
        return self._again(lambda: self._newest(which))

    def _newest(self, which: Which) -> dict[str, int]:
        found: dict[str, int] = {}
        with self._looking() as (connection, tables, files):
            self._db.patient(connection)
            add_from_tables(connection, tables[1:], which, found)
        for file in sorted(files, key=lambda f: f.facts.max_us, reverse=True):
            for better in self._reading(file, lambda f: iter([better_in_file(f, which, found)])):
                found.update(better)
        return found

    # the compactor's side

    def compact(self, upto_offset: int = 0) -> int:
        """Move observations that are older than ``hot_days`` to files; returns how many rows were written.

        ``upto_offset`` needs no heed: files keep each row's log and offset. Another process at it: nothing is done.
        """
        del upto_offset
        return self._mover.compact(self._clock.now_us(), self._hot_us)

    def merge(self) -> int:
        """Merge eight files of one size into one, as often as there are eight; returns how many rows were rewritten."""
        return self._mover.merge()

    def expire(
        self, before_us: int, chosen: Chosen | None = None, devices: AbstractSet[str] | None = None
    ) -> int:
        """Forget every observation whose age began before ``before_us``, or those of them that ``chosen`` marks; returns how many.

        ``devices``: ``chosen`` marks rows of these alone, so that others need not be read.
        Age counts from the later of event time and receipt. An expired observation that is sent again counts as new.
        ``Busy`` while another process moves observations for longer than half a minute.
        """
        return self._mover.expire(before_us, chosen, devices)

    def old(
        self, before_us: int, chosen: Chosen | None = None, devices: AbstractSet[str] | None = None
    ) -> int:
        """How many observations ``expire`` would forget."""
        return self._mover.old(before_us, chosen, devices)

    def strays(self) -> list[str]:
        """Files in the place that are not registered: left by a stop. They do not count, and nothing deletes them."""
        there = self.place.names()  # before the list: what is registered meanwhile is no stray
        with self._db.read() as connection:
            known = {name for place, name in self._files.places(connection) if place == self.place.name}
        return [name for name in there if name not in known]

    def findings(self, *, deep: bool) -> Iterator[Finding]:
        """What is wrong with the files: missing, of another size, with ``deep`` every byte; and which do not count."""
        for file in self.files:
            place = self._place_of(file.place)
            size = place.size(file.path.name)
            wrong = None
            if size != file.facts.size:
                wrong = "is missing" if size is None else f"has {size} bytes, {file.facts.size} were written"
            elif deep:
                try:
                    place.file(file.path.name, file.file_id, file.level, file.facts).check_all()
                except DataDamaged as error:
                    wrong = str(error)
            if wrong is None:
                continue
            with self._db.read() as connection:
                counts = self._files.counts(connection, file.file_id)
            if counts:  # it may have been merged away while it was looked at
                yield Finding("damage", file.where, f"{wrong}; {file.facts.rows} observations are in it")
        for name in self.strays():
            yield Finding(
                "note",
                f"{self.place.name or self.folder}/{name}",
                "does not count (left by a stop while writing, or registered after the backup that the database is of)",
                "delete it once you know that it was the first",
            )


def _received(entry: Entry) -> int:
    assert entry.batch is not None
    received = entry.batch.array("received_us")
    return entry.received_us if received is None else max(entry.received_us, int(received.max()))


def _of_spans(file: HistoryFile, spans: Spans, columns: Sequence[str] | None) -> Iterator[tuple[Rows, Array]]:
    groups = file.groups_of(spans.devices, spans.min_us, spans.max_us)
    yield from from_file(file, groups, spans, columns, None)


def _of_hours(
    file: HistoryFile, wanted: Array, low: int, high: int, partition: int | None
) -> Iterator[tuple[Array, Array]]:
    for record in file.read(file.groups_at(low, high).tolist(), ["observed_us"]):
        observed = record.column("observed_us").cast(pa.int64()).to_numpy()
        chosen = np.isin(observed // HOUR_US, wanted)
        if partition is not None:
            chosen &= unpacked(record.column("offset").to_numpy())[0] == partition
        yield observed[chosen], record.column("key").to_numpy()[chosen]
