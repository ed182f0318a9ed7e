"""DuckDB's SQL over a history in PostgreSQL: what is in tables is laid beside the files for as long as one query takes.

Memory holds a slab at a time, the disk the rest: rows of tables and objects from a bucket are written to the system's folder
for temporary files (TMPDIR), which needs room for them. DuckDB reads these and nothing else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from cocket.store.history_places import Place
from cocket.store.parquet import FileWriter, HistoryFile
from cocket.store.rows import NOTHING, Rows, as_table

_VIEW = (
    'SELECT * REPLACE ("offset" & 281474976710655 AS "offset"), CAST("offset" >> 48 AS INTEGER) AS partition '
    "FROM ({sources}) WHERE epoch_us(observed_us) >= {low} AND epoch_us(observed_us) < {high}"
)


@contextmanager
def laid_out(
    slabs: Iterator[Rows], files: Sequence[HistoryFile], place_of: Callable[[str], Place]
) -> Iterator[list[Path]]:
    """Paths of Parquet files that hold these rows and the rows of these files, checked whole, until the block ends.

    Files that lie in a folder stay where they are; they may be merged away.
    """
    with tempfile.TemporaryDirectory(prefix="cocket-sql-") as given:
        scratch = Path(given)
        paths: list[Path] = []
        for number, rows in enumerate(slabs):
            paths.append(scratch / f"{number}.parquet")
            writer = FileWriter(paths[-1], list(rows.batch.columns))
            writer.write(rows)
            writer.close()
        for file in files:
            local = place_of(file.place).local(file, scratch)
            local.check_all()
            paths.append(local.path)
        yield paths


def answer(query: str, paths: Sequence[Path], low_us: int, high_us: int) -> pa.Table:
    """The query's answer over the view ``observations`` of these files, event time in [low, high)."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("none", as_table(NOTHING))
        sources = ["SELECT * FROM none"]
        if paths:
            connection.execute("SET VARIABLE files = $1", [[str(path) for path in paths]])
            sources.append("SELECT * FROM read_parquet(getvariable('files'), union_by_name => true)")
        view = _VIEW.format(sources=" UNION ALL BY NAME ".join(sources), low=low_us, high=high_us)
        connection.execute(f"CREATE VIEW observations AS {view}")
        folders = sorted({str(path.parent) for path in paths})
        marks = ", ".join(f"${i}" for i in range(1, len(folders) + 1))
        connection.execute(f"SET allowed_directories = [{marks}]", folders)
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        found = connection.sql(query)
        return pa.table({}) if found is None else found.to_arrow_table()
