"""One history file: Parquet, sorted by device and time, in small row groups, checked on every read.

What is registered of a file holds a BLAKE2b (RFC 7693) of its footer, checked when it is opened, of each column of
each row group, checked before it is decoded, and of all of it, which ``cocket verify`` checks. (Parquet's own page
CRCs leave out the pages' headers: a flipped bit there can empty a dictionary without a word.) The footer's
metadata says which devices and times each row group spans, so that a read touches only the groups it needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cocket.core.batch import DTYPES, NULLS, Array, Batch, ColumnData, Texts
from cocket.core.errors import DataDamaged
from cocket.core.schema import BY_NAME, NULL_INT, Kind
from cocket.store.rows import Rows, in_order, join, only_used

GROUP_ROWS: Final = 8_192
HOUR_US: Final = 3_600_000_000
_MANY_HOURS: Final = 8192
_EXTRA: Final = ("key", "offset")
_GROUPS: Final = b"cocket.groups"
_CHUNK_DIGEST: Final = 8


@dataclass(frozen=True, slots=True)
class Facts:
    """What is registered of a file. Names and meanings as in ``tables.history_files``."""

    rows: int
    size: int
    min_us: int
    max_us: int
    oldest_us: int
    newest_us: int
    hours: bytes
    footer_checksum: bytes
    chunk_checksums: bytes
    checksum: bytes


def ages(batch: Batch) -> Array:
    """When each row's age began: the later of event time and receipt, so that an old upload is not old at once."""
    received = batch.array("received_us")
    observed = batch.filled("observed_us")
    return observed if received is None else np.maximum(observed, received)


class FileWriter:
    """Writes sorted rows to ``path`` row group by row group. ``columns`` are those that any row fills."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = [name for name in BY_NAME if name in set(columns)]
        self._writer: pq.ParquetWriter | None = None
        self._file: Any = None
        self._groups: list[tuple[str, str, int, int]] = []
        self._rows = 0
        self._min = self._oldest = 2**63 - 1
        self._max = self._newest = -(2**63)
        self._hours: set[int] = set()

    def write(self, rows: Rows) -> None:
        """Rows that sort behind all that were written before."""
        observed, age = rows.batch.filled("observed_us"), ages(rows.batch)
        self._rows += rows.batch.n
        self._min, self._max = min(self._min, int(observed.min())), max(self._max, int(observed.max()))
        self._oldest, self._newest = min(self._oldest, int(age.min())), max(self._newest, int(age.max()))
        if len(self._hours) <= _MANY_HOURS:
            self._hours.update(np.unique(observed // HOUR_US).tolist())
        whole = Rows(
            Batch(
                rows.batch.n,
                {
                    name: rows.batch.columns[name]
                    if name in rows.batch.columns
                    else _nulls(name, rows.batch.n)
                    for name in self._columns
                },
            ),
            rows.keys,
            rows.offsets,
        )
        for start in range(0, rows.batch.n, GROUP_ROWS):
            self._write_group(whole.take(slice(start, min(rows.batch.n, start + GROUP_ROWS))))

    def _write_group(self, rows: Rows) -> None:
        record = only_used(rows.batch, always=True).to_arrow()
        record = record.append_column("key", pa.array(rows.keys)).append_column(
            "offset", pa.array(rows.offsets)
        )
        if self._writer is None:
            self._file = self._path.open("wb")
            self._writer = pq.ParquetWriter(
                self._file,
                record.schema,
                compression="zstd",
                compression_level=1,
                write_statistics=["device_id", "observed_us"],
                use_dictionary=[f.name for f in record.schema if pa.types.is_dictionary(f.type)],
            )
        self._writer.write_table(pa.Table.from_batches([record]), row_group_size=GROUP_ROWS)
        device, observed = rows.batch.texts("device_id"), rows.batch.filled("observed_us")
        assert device is not None
        self._groups.append(
            (
                device.row(0) or "",
                device.row(rows.batch.n - 1) or "",
                int(observed.min()),
                int(observed.max()),
            )
        )

    def write_all(self, parts: Iterable[Rows]) -> Facts | None:
        """All of ``parts``, and close; None without rows. If it raises, nothing of the file stays."""
        try:
            for rows in parts:
                if rows.batch.n:
                    self.write(rows)
            return self.close()
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Close and remove what was written so far."""
        if self._file is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def close(self) -> Facts | None:
        """Finish the file and fsync it; None, and no file, if nothing was written."""
        if self._writer is None:
            return None
        self._writer.add_key_value_metadata({_GROUPS.decode(): msgspec.json.encode(self._groups).decode()})
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        hours = np.array(sorted(self._hours) if len(self._hours) <= _MANY_HOURS else [], "<i4")
        return Facts(
            self._rows,
            self._path.stat().st_size,
            self._min,
            self._max,
            self._oldest,
            self._newest,
            hours.tobytes(),
            _footer_checksum(self._path),
            _chunk_checksums(self._path),
            file_checksum(self._path),
        )


def _nulls(name: str, n: int) -> ColumnData:
    kind = BY_NAME[name].kind
    if kind is Kind.TEXT:
        return Texts(np.full(n, -1, np.int32), [])
    return np.full(n, NULLS[kind], DTYPES[kind])


def file_checksum(path: Path) -> bytes:
    """BLAKE2b (RFC 7693), 16 bytes, over the whole file."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


def _footer_checksum(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, size - 8 - length))
        return blake2b(file.read(), digest_size=16).digest()


def _chunk_checksums(path: Path) -> bytes:
    """8 bytes for each column of each row group, group by group."""
    metadata = pq.read_metadata(path)
    digests = []
    with path.open("rb") as file:
        for group in range(metadata.num_row_groups):
            for column in range(metadata.num_columns):
                start, length = chunk_place(metadata, group, column)
                file.seek(start)
                digests.append(blake2b(file.read(length), digest_size=_CHUNK_DIGEST).digest())
    return b"".join(digests)


def chosen_columns(
    metadata: pq.FileMetaData, columns: Sequence[str] | None
) -> tuple[list[str] | None, list[int]]:
    """Names (None: all) and numbers of the columns to read."""
    names = metadata.schema.names
    wanted = None if columns is None else [c for c in (*columns, *_EXTRA) if c in names]
    return wanted, [i for i, name in enumerate(names) if wanted is None or name in wanted]


def chunk_place(metadata: pq.FileMetaData, group: int, column: int) -> tuple[int, int]:
    """Where a column of a row group lies: first byte and length."""
    chunk = metadata.row_group(group).column(column)
    start = chunk.data_page_offset
    if chunk.has_dictionary_page:
        start = min(start, chunk.dictionary_page_offset)
    return start, chunk.total_compressed_size


class HistoryFile:
    """A registered file, open for reading by any number of threads at once."""

    def __init__(self, path: Path, file_id: int, level: int, facts: Facts) -> None:
        self.path = path
        self.where = str(path)
        self.place = ""
        self.file_id = file_id
        self.level = level
        self.facts = facts
        self._hours = frozenset(np.frombuffer(facts.hours, "<i4").tolist())
        self._held: pa.Buffer | None = None
        self._checked = False
        self._opened: tuple[pq.FileMetaData, Array, Array, Array, Array] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HistoryFile) and (other.path, other.file_id) == (self.path, self.file_id)

    def __hash__(self) -> int:
        return hash((self.path, self.file_id))

    def hold(self) -> None:
        """Keep it readable though it be deleted: it is mapped into memory from now on."""
        self._held = pa.memory_map(str(self.path)).read_buffer()

    def check_all(self) -> None:
        """Check the whole file, once in the life of this object: for readers that go past ``read``."""
        if self._checked:
            return
        try:
            found = file_checksum(self.path)
        except FileNotFoundError as error:
            raise DataDamaged(f"history file {self.where} is missing; restore it from a copy") from error
        if found != self.facts.checksum:
            raise DataDamaged(
                f"history file {self.where} does not match its checksum; restore it from a copy"
            )
        self._checked = True

    def has_hours(self, hours: Sequence[int]) -> bool:
        """Whether it may hold observations of any of these hours (event time // one hour)."""
        if not self._hours:
            return any(self.facts.min_us // HOUR_US <= h <= self.facts.max_us // HOUR_US for h in hours)
        return not self._hours.isdisjoint(hours)

    def groups_of(self, devices: Array, from_us: int, to_us: int) -> Array:
        """The row groups that may hold any of ``devices`` (text, sorted) within [from, to)."""
        _, first, last, low, high = self._open()
        begin = np.searchsorted(devices, first, side="left")
        end = np.searchsorted(devices, last, side="right")
        found: Array = np.flatnonzero((end > begin) & (low < to_us) & (high >= from_us))
        return found

    def groups_at(self, from_us: int, to_us: int) -> Array:
        """The row groups that may hold observations within [from, to)."""
        _, _, _, low, high = self._open()
        found: Array = np.flatnonzero((low < to_us) & (high >= from_us))
        return found

    def groups_between(self, low: str, high: str | None) -> Array:
        """The row groups that may hold devices from ``low`` on and before ``high`` (None: to the end)."""
        _, first, last, _, _ = self._open()
        chosen = last >= low
        if high is not None:
            chosen &= first < high
        found: Array = np.flatnonzero(chosen)
        return found

    def groups_to_ask(self, wanted: Callable[[str, int], bool]) -> list[int]:
        """All row groups but those of a single device that ``wanted`` (device, its newest time in the group) turns down."""
        _, first, last, _, high = self._open()
        ends = zip(first.tolist(), last.tolist(), high.tolist(), strict=True)
        return [i for i, (a, b, newest_us) in enumerate(ends) if a != b or wanted(a, newest_us)]

    def columns(self) -> list[str]:
        """The observation columns that it holds."""
        return [n for n in self._open()[0].schema.names if n not in _EXTRA]

    def starts(self) -> list[tuple[str, int]]:
        """The first device and the number of rows of each group."""
        metadata, first, _, _, _ = self._open()
        return [(str(name), metadata.row_group(i).num_rows) for i, name in enumerate(first)]

    def read(self, groups: Sequence[int], columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """These row groups one by one, with ``key`` and ``offset``, checked; ``DataDamaged`` names file and group."""
        if not len(groups):
            return
        metadata = self._open()[0]
        wanted, numbers = chosen_columns(metadata, columns)
        group = -1
        try:
            with (
                self.path.open("rb") if self._held is None else nullcontext() as raw,
                pq.ParquetFile(self._source(), metadata=metadata) as file,
            ):
                for group in groups:
                    self._check_chunks(raw, metadata, group, numbers)
                    table = file.read_row_group(group, columns=wanted, use_threads=False)
                    yield table.combine_chunks().to_batches()[0]
        except (pa.ArrowException, OSError, IndexError) as error:
            raise DataDamaged(
                f"history file {self.where}, row group {group}, is damaged ({error}); restore it from a copy"
            ) from error

    def _check_chunks(self, raw: Any, metadata: pq.FileMetaData, group: int, columns: Sequence[int]) -> None:
        for column in columns:
            start, length = chunk_place(metadata, group, column)
            if self._held is None:
                raw.seek(start)
                body = raw.read(length)
            else:
                body = self._held[start : start + length]
            place = (group * metadata.num_columns + column) * _CHUNK_DIGEST
            stored = self.facts.chunk_checksums[place : place + _CHUNK_DIGEST]
            if blake2b(body, digest_size=_CHUNK_DIGEST).digest() != stored:
                name = metadata.schema.column(column).name
                raise DataDamaged(
                    f"history file {self.where}, row group {group}, column {name!r} (byte {start} on) "
                    "does not match its checksum; restore it from a copy"
                )

    def _source(self) -> Any:
        return self.path if self._held is None else pa.BufferReader(self._held)

    def _footer_checksum(self) -> bytes:
        if self._held is None:
            return _footer_checksum(self.path)
        size = self._held.size
        length = int.from_bytes(self._held[size - 8 : size - 4].to_pybytes(), "little")
        return blake2b(self._held[max(0, size - 8 - length) :], digest_size=16).digest()

    def _open(self) -> tuple[pq.FileMetaData, Array, Array, Array, Array]:
        if self._opened is None:
            try:
                if self._footer_checksum() != self.facts.footer_checksum:
                    raise DataDamaged(
                        f"the footer of history file {self.where} does not match its checksum; restore it from a copy"
                    )
                metadata = pq.read_metadata(self._source())
                groups = msgspec.json.decode(metadata.metadata[_GROUPS], type=list[tuple[str, str, int, int]])
            except FileNotFoundError as error:
                raise DataDamaged(f"history file {self.where} is missing; restore it from a copy") from error
            except (pa.ArrowException, OSError, KeyError, TypeError, msgspec.MsgspecError) as error:
                raise DataDamaged(
                    f"the footer of history file {self.where} is damaged ({error}); restore it from a copy"
                ) from error
            self._opened = (
                metadata,
                np.array([g[0] for g in groups]),
                np.array([g[1] for g in groups]),
                np.array([g[2] for g in groups], np.int64),
                np.array([g[3] for g in groups], np.int64),
            )
        return self._opened


def rows_of(record: pa.RecordBatch) -> Rows:
    """A record batch of ``HistoryFile.read`` as rows."""
    keys = record.column("key").to_numpy(zero_copy_only=False)
    offsets = record.column("offset").to_numpy(zero_copy_only=False)
    names = [n for n in record.schema.names if n not in _EXTRA]
    return Rows(Batch.from_arrow(record.select(names)), keys, offsets)


def slabs(files: Sequence[HistoryFile], max_rows: int) -> Iterator[Rows]:
    """All rows of ``files`` in order, about ``max_rows`` at a time (more where one device has more)."""
    bounds: list[str] = []
    rows = 0
    for first, n in sorted(start for file in files for start in file.starts()):
        if rows >= max_rows and first > (bounds[-1] if bounds else ""):
            bounds.append(first)
            rows = 0
        rows += n
    for low, high in zip(["", *bounds], [*bounds, None], strict=True):
        parts = []
        for file in files:
            for record in file.read(file.groups_between(low, high).tolist(), None):
                device = record.column("device_id")
                within = [low <= v and (high is None or v < high) for v in device.dictionary.to_pylist()]
                chosen = np.array(within, np.bool_)[device.indices.to_numpy()]
                parts.append(rows_of(record if chosen.all() else record.filter(pa.array(chosen))))
        if parts:
            yield in_order(join(parts))


assert NULL_INT < 0  # a row without a received_us takes its age from observed_us alone
