"""History: every observation, sorted by device and time, in Parquet files and, for the newest, in memory.

The compactor turns log entries into files (written aside, fsynced, renamed, the folder fsynced, and only then
registered, together with how far the log is compacted); files of one size are merged eight to one. A file that is
not registered does not count, so a kill at any point leaves what was, or what was to be.

Who may call: ``find``, ``rows``, ``hour_keys`` and ``sql`` from any thread at any time, without waiting for the
others; ``compact``, ``merge`` and ``expire`` from any thread, one at a time (they queue); ``remember`` is the log's.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from cocket.core.batch import Array, Batch
from cocket.core.errors import DataDamaged
from cocket.core.keys import observation_keys
from cocket.store.database import Database
from cocket.store.history_contract import Chosen
from cocket.store.history_places import fsync_folder as _fsync_folder
from cocket.store.log import Entry, Log
from cocket.store.parquet import HOUR_US, Facts, FileWriter, HistoryFile, ages, rows_of, slabs
from cocket.store.rows import NOTHING, Rows, as_table, in_order, join_of_devices, only_used
from cocket.store.spans import Spans
from cocket.store.tables import history_files, totals
from cocket.store.tail import Piece, Tail

FILE_ROWS: Final = 1_000_000
"""Rows of one compaction step, and of one slab while merging: what is held in memory at once."""

TAIL_ROWS: Final = 2_000_000
"""Above this the log is compacted before its rest is read into memory at the start."""

_FAN: Final = 8
_TOP_LEVEL: Final = 4


@dataclass(frozen=True, slots=True)
class _View:
    """What there was at one moment: files, and the tail behind them."""

    files: tuple[HistoryFile, ...]
    compacted: int


class History:
    """The history in ``folder``, registered in ``db`` (``log.sqlite``), of the observations in ``log``."""

    moves_by_age = False
    """Rows move to files when there are many of them."""

    def __init__(self, folder: Path, db: Database, log: Log, *, read_only: bool = False) -> None:
        self.folder = folder
        self._db = db
        self._log = log
        self._swap = threading.Lock()
        self._work = threading.Lock()
        self._pins: Counter[Path] = Counter()
        self._gone: set[Path] = set()
        self.tail = Tail()
        self._read_only = read_only
        if not read_only:
            folder.mkdir(exist_ok=True)
            for path in folder.glob("*.tmp"):
                path.unlink()
        self._view = _held(db, folder) if read_only else _View(*registered(db, folder))
        named = [int(p.stem) for p in folder.glob("*.parquet") if p.stem.isdigit()]
        self._next_id = max([f.file_id for f in self._view.files] + named, default=0) + 1
        while not self._recover():
            self._view = _held(db, folder)

    def _recover(self) -> bool:
        """Bring the rest of the log into memory; what memory should not hold is compacted on the way.

        False if another process, the folder's owner, has trimmed the log meanwhile: look again.
        """
        self.tail = Tail()
        self.tail.last_offset = after = self.compacted_offset
        while entries := self._log.read(after):
            if entries[0].offset != after + 1:
                if self._read_only and registered(self._db, self.folder)[1] > after:
                    return False
                raise DataDamaged(
                    f"log entries {after + 1} to {entries[0].offset - 1} are missing in {self._db.path}; "
                    "restore the folder from a copy"
                )
            for entry in entries:
                self.remember(entry)
            after = entries[-1].offset
            if self.tail.rows > TAIL_ROWS and not self._read_only:
                self.compact(after)
        if after < self._log.last_offset():
            if self._read_only and registered(self._db, self.folder)[1] > after:
                return False
            raise DataDamaged(
                f"the log in {self._db.path} ends at {after}, but {self._log.last_offset()} were written; "
                "restore the folder from a copy"
            )
        return True

    def remember(self, entry: Entry, keys: Array | None = None) -> None:
        """Take a log entry into the tail. ``Log.append`` does it; once more changes nothing."""
        if entry.offset <= self.tail.last_offset:
            return
        if entry.batch is not None and keys is None:
            keys = observation_keys(entry.batch)
        self.tail.add(entry.batch, keys, entry.offset)

    @property
    def compacted_offset(self) -> int:
        """The files hold the log up to and with this offset."""
        return self._view.compacted

    @property
    def files(self) -> tuple[HistoryFile, ...]:
        """The files that count."""
        return self._view.files

    # reading

    @contextmanager
    def _pinned(
        self, upto_offset: int | None = None
    ) -> Iterator[tuple[_View, list[Piece], list[str], dict[str, int]]]:
        """Files and tail as of one moment; no file of it is deleted meanwhile."""
        with self._swap:
            view = self._view
            pieces, devices, codes = self.tail.pieces(view.compacted, upto_offset)
            self._pins.update(f.path for f in view.files)
        try:
            yield view, pieces, devices, codes
        finally:
            with self._swap:
                self._pins.subtract(f.path for f in view.files)
                self._sweep()

    def _sweep(self) -> None:
        for path in [p for p in self._gone if self._pins[p] <= 0]:
            path.unlink(missing_ok=True)
            self._gone.discard(path)
            del self._pins[path]

    def find(
        self,
        wanted: Sequence[tuple[str, int, int]],
        *,
        columns: Sequence[str] | None = None,
        upto_offset: int | None = None,
    ) -> Rows:
        """Every observation of the spans (device, from, to), event time in [from, to), as the log stood at ``upto_offset``.

        Sorted by device, event time, sequence (null first), key; spans may overlap, a row comes once. ``columns``
        limits what is read (device, event time and sequence always are). Damage raises ``DataDamaged``.
        """
        if not wanted:
            return NOTHING
        spans = Spans.of(wanted)
        if columns is not None:
            columns = list(dict.fromkeys(("device_id", "observed_us", "sequence", *columns)))
        parts: list[tuple[Rows, Array]] = []
        with self._pinned(upto_offset) as (view, pieces, devices, codes):
            for file in view.files:
                groups = file.groups_of(spans.devices, spans.min_us, spans.max_us)
                parts.extend(from_file(file, groups, spans, columns, upto_offset))
            known = spans.table(codes, len(devices))
            for piece in pieces:
                chosen = spans.choose(known, piece.device, piece.observed_us)
                if len(chosen):
                    taken = piece.take(chosen)
                    parts.append((_without_device(taken, columns), known[taken.device]))
        return in_order(join_of_devices(parts, spans.names))

    def rows(self, wanted: Sequence[tuple[str, int, int]], *, columns: Sequence[str] | None = None) -> Batch:
        """As ``find``, the observations alone."""
        return self.find(wanted, columns=columns).batch

    def hour_keys(self, hours: Sequence[int]) -> tuple[Array, Array]:
        """Event time and key of every stored observation of these hours (event time // one hour)."""
        wanted = np.unique(np.array(hours, np.int64))
        times: list[Array] = []
        keys: list[Array] = []
        with self._pinned() as (view, pieces, _, _):
            for file in view.files:
                if not file.has_hours(hours):
                    continue
                low, high = int(wanted[0]) * HOUR_US, (int(wanted[-1]) + 1) * HOUR_US
                for record in file.read(file.groups_at(low, high).tolist(), ["observed_us"]):
                    observed = record.column("observed_us").cast(pa.int64()).to_numpy()
                    chosen = np.flatnonzero(np.isin(observed // HOUR_US, wanted))
                    times.append(observed[chosen])
                    keys.append(record.column("key").to_numpy()[chosen])
            for piece in pieces:
                chosen = np.flatnonzero(np.isin(piece.observed_us // HOUR_US, wanted))
                times.append(piece.observed_us[chosen])
                keys.append(piece.keys[chosen])
        if not times:
            return np.empty(0, np.int64), np.empty(0, np.uint64)
        return np.concatenate(times), np.concatenate(keys)

    def sql(self, query: str) -> pa.Table:
        """Run a query of DuckDB's SQL over the view ``observations`` (files and tail, with ``key`` and ``offset``).

        Nothing else can be read or written by it. Errors are DuckDB's own; a damaged file raises ``DataDamaged`` (each
        is checked whole before the first query that reads it).
        """
        import duckdb

        with self._pinned() as (view, pieces, devices, _), duckdb.connect() as connection:
            tail = join_of_devices([(_without_device(p, None), p.device) for p in pieces], devices)
            connection.register("tail_rows", as_table(tail))
            sources = ["SELECT * FROM tail_rows"]
            for file in view.files:
                file.check_all()
            if view.files:
                connection.execute("SET VARIABLE files = $1", [[str(f.path) for f in view.files]])
                sources.append("SELECT * FROM read_parquet(getvariable('files'), union_by_name => true)")
            connection.execute(f"CREATE VIEW observations AS {' UNION ALL BY NAME '.join(sources)}")
            connection.execute("SET allowed_directories = [$1]", [str(self.folder)])
            connection.execute("SET enable_external_access = false; SET lock_configuration = true")
            found = connection.sql(query)
            return pa.table({}) if found is None else found.to_arrow_table()

    def newest(
        self, *, trusted: Sequence[str], unless: Sequence[str], of: Callable[[str], bool] | None = None
    ) -> dict[str, int]:
        """Event time of each device's newest observation of those that count, as ``HistoryStore.newest``."""
        from cocket.store.newest import Which

        known = set(self.sql("SELECT * FROM observations LIMIT 0").column_names)
        if not {"device_id", "time_quality"} <= known:
            return {}
        which = Which(tuple(trusted), tuple(u for u in unless if u in known), of or (lambda _: True))
        query = f"SELECT device_id, max(observed_us) FROM observations WHERE {which.sql()} GROUP BY device_id"  # noqa: S608 - names of the schema
        found = self.sql(query)
        at = found.column(1).cast(pa.int64()).to_pylist()
        pairs = zip(found.column(0).to_pylist(), at, strict=True)
        return {name: us for name, us in pairs if which.of(name)}

    # the compactor's side

    def compact(self, upto_offset: int) -> int:
        """Turn the log entries up to and with ``upto_offset`` into files; returns how many rows were written."""
        with self._work:
            rows = 0
            upto_offset = min(upto_offset, self.tail.last_offset)
            while self.compacted_offset < upto_offset:
                rows += self._compact_step(upto_offset)
            return rows

    def _compact_step(self, upto_offset: int) -> int:
        pieces, devices, _ = self.tail.pieces(self.compacted_offset, upto_offset)
        held = np.cumsum([0] + [len(p.keys) for p in pieces])
        if held[-1] > FILE_ROWS:
            # up to the end of an entry: it may go on into the next piece
            upto_offset = int(pieces[int(np.searchsorted(held, FILE_ROWS)) - 1].offsets[-1])
            pieces, devices, _ = self.tail.pieces(self.compacted_offset, upto_offset)
        rows = in_order(join_of_devices([(_without_device(p, None), p.device) for p in pieces], devices))
        self._replace(self._write([rows], list(rows.batch.columns), 0), (), upto_offset)
        self.tail.drop(upto_offset)
        return rows.batch.n

    def merge(self) -> int:
        """Merge eight files of one size into one, as often as there are eight; returns how many rows were rewritten."""
        with self._work:
            rows = 0
            for level in range(_TOP_LEVEL):
                while len(same := [f for f in self.files if f.level == level]) >= _FAN:
                    merged = same[:_FAN]
                    columns = [name for f in merged for name in f.columns()]
                    self._replace(self._write(slabs(merged, FILE_ROWS), columns, level + 1), merged, None)
                    rows += sum(f.facts.rows for f in merged)
            return rows

    def expire(
        self, before_us: int, chosen: Chosen | None = None, devices: AbstractSet[str] | None = None
    ) -> int:
        """Forget every observation whose age began before ``before_us``, or those of them that ``chosen`` marks; returns how many.

        ``devices``: ``chosen`` marks rows of these alone, so that files without them need not be read.
        Age counts from the later of event time and receipt. What the log still holds is kept until it is compacted.
        An expired observation that is sent again counts as new.
        """
        with self._work:
            expired = 0
            for file in self.files:
                if file.facts.oldest_us >= before_us or not may_hold(file, devices):
                    continue
                if chosen is not None and not self._holds(file, before_us, chosen):
                    continue
                young: Iterable[Rows] = ()
                if chosen is not None or file.facts.newest_us >= before_us:
                    young = (kept(r, ~is_old(r, before_us, chosen)) for r in slabs([file], FILE_ROWS))
                new = self._write(young, file.columns(), file.level)
                self._replace(new, [file], None)
                expired += file.facts.rows - (0 if new is None else new.facts.rows)
            return expired

    def old(
        self, before_us: int, chosen: Chosen | None = None, devices: AbstractSet[str] | None = None
    ) -> int:
        """How many observations ``expire`` would forget."""
        return sum(
            int(is_old(rows, before_us, chosen).sum())
            for file in self.files
            if file.facts.oldest_us < before_us and may_hold(file, devices)
            for rows in slabs([file], FILE_ROWS)
        )

    def _holds(self, file: HistoryFile, before_us: int, chosen: Chosen) -> bool:
        return any(is_old(rows, before_us, chosen).any() for rows in slabs([file], FILE_ROWS))

    def _write(self, parts: Iterable[Rows], columns: Sequence[str], level: int) -> HistoryFile | None:
        """Write a file aside, fsync it, give it its name, fsync the folder. It does not count yet. None without rows."""
        file_id, self._next_id = self._next_id, self._next_id + 1
        path = self.folder / f"{file_id:08d}.parquet"
        aside = path.with_suffix(".tmp")
        facts = FileWriter(aside, columns).write_all(parts)
        if facts is None:
            return None
        aside.rename(path)
        _fsync_folder(self.folder)
        return HistoryFile(path, file_id, level, facts)

    def _replace(
        self, new: HistoryFile | None, old: Sequence[HistoryFile], compacted_offset: int | None
    ) -> None:
        """Register ``new`` in place of ``old``, with how far the log is compacted, in one transaction."""
        with self._db.write() as connection:
            if new is not None:
                connection.execute(
                    history_files.insert().values(
                        id=new.file_id, name=new.path.name, level=new.level, **asdict(new.facts)
                    )
                )
            if old:
                connection.execute(
                    history_files.delete().where(history_files.c.id.in_([f.file_id for f in old]))
                )
            if compacted_offset is not None:
                connection.execute(totals.update().values(compacted_offset=compacted_offset))
        with self._swap:
            files = [f for f in self._view.files if f not in old]
            if new is not None:
                files.append(new)
            compacted = self._view.compacted if compacted_offset is None else compacted_offset
            self._view = _View(tuple(files), compacted)
            self._gone.update(f.path for f in old)
            self._sweep()


def may_hold(file: HistoryFile, devices: AbstractSet[str] | None) -> bool:
    """Whether a file may have rows of any of these devices; None: of all there are."""
    if devices is None:
        return True
    return bool(devices) and len(file.groups_of(np.array(sorted(devices)), -(2**63), 2**63 - 1)) > 0


def is_old(rows: Rows, before_us: int, chosen: Chosen | None) -> Array:
    """Which rows are older than ``before_us``, of those that ``chosen`` marks."""
    old = ages(rows.batch) < before_us
    return old if chosen is None or not old.any() else old & chosen(rows.batch)


def kept(rows: Rows, mask: Array) -> Rows:
    """The rows that stay, and no text that only the others used: Parquet writes whole dictionaries."""
    stay = rows.take(mask)
    return Rows(only_used(stay.batch, always=True), stay.keys, stay.offsets)


def registered(db: Database, folder: Path) -> tuple[tuple[HistoryFile, ...], int]:
    """The history files that count, and how far the log is compacted."""
    with db.read() as connection:
        compacted = connection.execute(sa.select(totals.c.compacted_offset)).scalar_one()
        rows = connection.execute(history_files.select().order_by(history_files.c.id)).mappings().all()
    names = [f.name for f in fields(Facts)]
    files = [
        HistoryFile(folder / r["name"], r["id"], r["level"], Facts(**{n: r[n] for n in names})) for r in rows
    ]
    return tuple(files), compacted


def _held(db: Database, folder: Path) -> _View:
    """What there is at this moment, held in such a way that the owner of the folder may delete it meanwhile."""
    while True:
        files, compacted = registered(db, folder)
        try:
            for file in files:
                file.hold()
        except FileNotFoundError:
            if registered(db, folder)[0] != files:  # merged away before it was held
                continue
        return _View(files, compacted)


def from_file(
    file: HistoryFile, groups: Array, spans: Spans, columns: Sequence[str] | None, upto_offset: int | None
) -> Iterator[tuple[Rows, Array]]:
    """Rows of these row groups that lie in the spans, without their device, whose number in ``spans`` stands beside."""
    for record in file.read(groups.tolist(), columns):
        device = record.column("device_id")
        table = spans.table_of(device.dictionary)
        codes = device.indices.to_numpy()
        observed = record.column("observed_us").cast(pa.int64()).to_numpy()
        chosen = spans.choose(table, codes, observed)
        if upto_offset is not None and len(chosen):
            chosen = chosen[record.column("offset").to_numpy()[chosen] <= upto_offset]
        if len(chosen):
            rest = record.drop_columns(["device_id"]).take(pa.array(chosen))
            yield rows_of(rest), table[codes[chosen]]


def _without_device(piece: Piece, columns: Sequence[str] | None) -> Rows:
    chosen = {name: data for name, data in piece.batch.columns.items() if columns is None or name in columns}
    return Rows(Batch(len(piece.keys), chosen), piece.keys, piece.offsets)
