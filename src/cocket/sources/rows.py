"""A file's rows in parts that can be sent: CSV, NDJSON and Parquet, read in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cocket.core.batch import Array
from cocket.core.errors import BadSetting
from cocket.core.protocol import Undecodable
from cocket.sources.convert import Converted, convert
from cocket.sources.mapping import identity
from cocket.sources.model import Mapping
from cocket.sources.paths import ABSENT, JsonPath, compile_path, follow

ENDINGS = {
    ".csv": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".parquet": "parquet",
}


@dataclass(slots=True)
class Part:
    """What goes into one body: an Arrow batch, or NDJSON lines; ``rows`` are the row numbers in the file."""

    rows: Array
    batch: pa.RecordBatch | None = None
    lines: tuple[bytes, ...] = ()

    @property
    def n(self) -> int:
        """How many rows it has."""
        return len(self.rows)

    def row(self, i: int) -> int:
        """Row number in the file of the body's row ``i``."""
        return int(self.rows[i])

    def halves(self) -> tuple[Part, Part]:
        """For a server that finds it too large."""
        m = self.n // 2
        if self.batch is not None:
            return Part(self.rows[:m], self.batch.slice(0, m)), Part(self.rows[m:], self.batch.slice(m))
        return Part(self.rows[:m], lines=self.lines[:m]), Part(self.rows[m:], lines=self.lines[m:])


def file_format(file: Path, mapping: Mapping | None) -> str:
    """By the mapping, else by the file's ending. Raises ``BadSetting``, also for a mapping of live messages."""
    if mapping is not None and mapping.message is not None:
        raise BadSetting(
            f"{mapping.name} describes live messages, not a file of rows; read a file of them, one a line, with "
            f"`cocket decode --mapping {mapping.stem} {file}`"
        )
    known = (mapping.format if mapping else None) or ENDINGS.get(file.suffix.lower())
    if known is None:
        raise BadSetting(f"{file}: its ending names no format; it can be .csv, .ndjson or .parquet")
    return known


def count_rows(file: Path) -> int | None:
    """A quick count for the progress bar (a header counts as one too many)."""
    if file.suffix.lower() == ".parquet":
        import pyarrow.parquet as pq

        n: int = pq.read_metadata(file).num_rows
        return n
    with file.open("rb") as f:
        return sum(block.count(b"\n") for block in iter(lambda: f.read(1 << 20), b""))


def parts(file: Path, mapping: Mapping | None, size: int) -> Iterator[Part]:
    """The file in its own order, at most ``size`` rows a part. Raises ``BadSetting`` where it does not fit."""
    form = file_format(file, mapping)
    if form == "ndjson" and mapping is None:
        for first, lines in _lines(file, size):
            kept = [(first + i, line) for i, line in enumerate(lines) if line.strip()]
            if kept:
                yield Part(np.array([i for i, _ in kept]), lines=tuple(line for _, line in kept))
        return
    for chunk in _converted(file, form, mapping, size):
        yield from _as_parts(chunk, size)


def sorted_parts(
    file: Path, mapping: Mapping | None, size: int, speed: float
) -> Iterator[tuple[float, Part]]:
    """The file in order of event time, each part with the second at which it is due; reads it whole first.

    Rows that cannot be read go at the start, with NDJSON given as it is when it has no mapping.
    """
    form = file_format(file, mapping)
    if form == "ndjson" and mapping is None:
        mapping = _ndjson_identity(file)
    chunks = list(_converted(file, form, mapping, 200_000))
    for chunk in chunks:
        if chunk.unread:
            yield 0.0, _unread_part(chunk)
    table = pa.Table.from_batches([c.batch for c in chunks], chunks[0].batch.schema) if chunks else None
    if table is None or table.num_rows == 0:
        return
    rows = np.concatenate([c.rows for c in chunks])
    times = pc.cast(table.column("observed_us"), pa.int64()).to_numpy()
    order = np.argsort(times, kind="stable")
    times, rows = times[order], rows[order]
    batch = table.take(pa.array(order)).combine_chunks().to_batches()[0]
    due = (times - times[0]) / 1e6 / speed
    start = 0
    while start < len(due):
        end = int(min(start + size, np.searchsorted(due, due[start] + 0.5, side="left")))
        end = max(end, start + 1)
        yield float(due[end - 1]), Part(rows[start:end], batch.slice(start, end - start))
        start = end


def _as_parts(chunk: Converted, size: int) -> Iterator[Part]:
    for start in range(0, chunk.batch.num_rows, size):
        yield Part(chunk.rows[start : start + size], chunk.batch.slice(start, size))
    if chunk.unread:
        yield _unread_part(chunk)


def _unread_part(chunk: Converted) -> Part:
    return Part(np.array([i for i, _ in chunk.unread]), lines=tuple(line for _, line in chunk.unread))


def _converted(file: Path, form: str, mapping: Mapping | None, size: int) -> Iterator[Converted]:
    reader = {"csv": _csv, "ndjson": _ndjson, "parquet": _parquet}[form]
    yield from reader(file, mapping, size)


def _fits(file: Path, columns: list[str], mapping: Mapping | None) -> Mapping:
    if mapping is None:
        return identity(columns)
    missing = [c for c in mapping.sources() if c not in columns]
    if missing:
        raise BadSetting(
            f"{file} has no column {', '.join(missing)}, which {mapping.name} reads; it has {', '.join(columns)}"
        )
    return mapping


def _csv(file: Path, mapping: Mapping | None, size: int) -> Iterator[Converted]:
    import pyarrow.csv as pcsv

    names = list(mapping.names) if mapping and mapping.names else None
    delimiter = mapping.delimiter if mapping else ","
    if names is None:
        with file.open(encoding="utf-8-sig") as f:
            header = f.readline().rstrip("\r\n")
        columns = [c.strip().strip('"') for c in header.split(delimiter)]
        if not header:
            return
    else:
        columns = names
    mapping = _fits(file, columns, mapping)
    broken: list[str] = []

    def keep(row: Any) -> str:
        broken.append(f"expected {row.expected_columns} columns, found {row.actual_columns}: {row.text}")
        return "skip"

    try:
        reader = pcsv.open_csv(
            file,
            pcsv.ReadOptions(column_names=names, block_size=1 << 22, use_threads=False),
            pcsv.ParseOptions(delimiter=delimiter, invalid_row_handler=keep),
            pcsv.ConvertOptions(
                column_types={c: pa.string() for c in mapping.sources()},
                include_columns=mapping.sources(),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as e:
        if "Empty" in str(e):
            return
        raise BadSetting(f"{file}: {e}") from e
    row = 0
    for block in reader:
        for start in range(0, block.num_rows, size):
            table = pa.Table.from_batches([block.slice(start, size)])
            yield convert(table, mapping, row)
            row += table.num_rows
    if broken:  # a row of another width has no columns; it goes to quarantine as the text that it was
        lines = [
            (row + i, msgspec.json.encode({"source": mapping.name[:64], "raw_line": text}))
            for i, text in enumerate(broken)
        ]
        empty = convert(pa.table({c: pa.array([], pa.string()) for c in mapping.sources()}), mapping, row)
        yield Converted(empty.batch, empty.rows, lines)


def _parquet(file: Path, mapping: Mapping | None, size: int) -> Iterator[Converted]:
    import pyarrow.parquet as pq

    try:
        source = pq.ParquetFile(file)
    except pa.ArrowInvalid as e:
        raise BadSetting(f"{file}: {e}") from e
    mapping = _fits(file, source.schema_arrow.names, mapping)
    row = 0
    for block in source.iter_batches(size, columns=mapping.sources()):
        yield convert(pa.Table.from_batches([_plain(block)]), mapping, row)
        row += block.num_rows


def _plain(block: pa.RecordBatch) -> pa.RecordBatch:
    """Dictionary columns as their values."""
    return pa.RecordBatch.from_arrays(
        [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in block.columns],
        names=block.schema.names,
    )


def _lines(file: Path, size: int) -> Iterator[tuple[int, list[bytes]]]:
    row = 0
    lines: list[bytes] = []
    with file.open("rb") as f:
        for line in f:
            lines.append(line.rstrip(b"\r\n"))
            if len(lines) == size:
                yield row, lines
                row += len(lines)
                lines = []
    if lines:
        yield row, lines


def _ndjson_identity(file: Path) -> Mapping:
    """The schema's columns that any line of the file names."""
    names: dict[str, None] = {}
    decoder = msgspec.json.Decoder(dict[str, Any])
    for _, lines in _lines(file, 50_000):
        for line in lines:
            try:
                names.update(dict.fromkeys(decoder.decode(line)))
            except msgspec.MsgspecError:
                continue  # found again, and handed on as it is, when the rows are read
    return identity(list(names))


def _ndjson(file: Path, mapping: Mapping | None, size: int) -> Iterator[Converted]:
    assert mapping is not None
    decoder = msgspec.json.Decoder(dict[str, Any])
    wanted = [(c, _path(c)) for c in mapping.sources()]
    for first, lines in _lines(file, size):
        good: list[dict[str, Any]] = []
        numbers: list[int] = []
        unread: list[tuple[int, bytes]] = []
        for i, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                good.append(decoder.decode(line))
                numbers.append(first + i)
            except msgspec.MsgspecError:
                unread.append((first + i, line))
        table = pa.table(
            {c: pa.array([_text(_at(row, c, p)) for row in good], pa.string()) for c, p in wanted}
        )
        chunk = convert(table, mapping, 0)
        rows = np.array(numbers, np.int64)
        unread += [(numbers[i], line) for i, line in chunk.unread]
        yield Converted(chunk.batch, rows[chunk.rows], unread)


def _path(name: str) -> JsonPath | None:
    """A name that is a path into nested objects; None where it is plain."""
    try:
        path = compile_path(name)
    except ValueError:
        return None
    return path if not path.up and len(path.steps) > 1 else None


def _at(row: dict[str, Any], name: str, path: JsonPath | None) -> Any:
    """The member of that very name, else what the path leads to."""
    if path is None or name in row:
        return row.get(name)
    try:
        value = follow(row, path)
    except Undecodable:
        return None
    return None if value is ABSENT else value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
