"""Observations in PostgreSQL: writing by COPY, tracks out of millions of rows, bytes on disk, the move to Parquet."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from bench.disk import stamped
from bench.measure import Section, percentile, timed
from bench.world import World
from cocket.core.batch import Array, Batch
from cocket.core.clock import US
from cocket.store.copy_format import copied_columns, stored_text
from cocket.store.database import Database
from cocket.store.log import Entry
from cocket.store.observation_tables import observation_metadata
from cocket.store.observations import PgHistory
from cocket.store.servers import PostgresServer

GROUP = 20_000


class _Later:
    """A clock that stands where it is put."""

    us = 0

    def now_us(self) -> int:
        return self.us


def history_postgresql(_place: Path, *, quick: bool) -> Section:
    section = Section(
        "history-postgresql", "How fast do observations go into PostgreSQL, and come out of it?"
    )
    # not below the bench's own folder: under root the server runs as another user
    folder = Path(tempfile.mkdtemp(prefix="cocket-bench-pg-"))
    folder.chmod(0o755)
    server = PostgresServer(folder / "server", options={"shared_buffers": "512MB", "max_wal_size": "4GB"})
    try:
        server.start()
        url = server.create_database("bench")
        db = Database(url, "observations", observation_metadata)
        clock = _Later()
        _measured(section, db, PgHistory(folder / "history", db, clock), clock, quick=quick)
        db.close()
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return section


def _measured(section: Section, db: Database, history: PgHistory, clock: _Later, *, quick: bool) -> None:
    rows = 300_000 if quick else 4_000_000
    world = World.ending_now(20_000, 1000, rows // 20_000)
    clock.us = world.start_us
    groups = [_group(world, a) for a in range(0, rows, GROUP)]
    narrow = [(_narrow(batch), keys) for batch, keys in groups[:10]]
    history.remember(Entry(1, "observations", narrow[0][0], None, world.start_us, GROUP), partition=9)
    _ways(section, db, history, narrow, world)
    _empty(db, history)
    spent = 0.0
    with timed() as watch:
        for offset, (batch, keys) in enumerate(groups, 1):
            entry = Entry(offset, "observations", batch, None, world.start_us, GROUP)
            with db.write(lock=None) as connection:
                backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
                before = _cpu_s(backend) + process_time()
                history.write(connection, 0, [(entry, keys)])
                spent += _cpu_s(backend) + process_time() - before
    wide = len(groups[0][0].columns)
    section.add(f"COPY, {wide} columns, groups of {GROUP:,}, committed", rows / watch.s, "obs/s")
    section.add("the same, processor time of client and server", spent / rows * 1e6, "s/million")
    with db.read() as connection:
        heap, index = connection.exec_driver_sql(
            "SELECT sum(pg_table_size(relid)), sum(pg_indexes_size(relid)) FROM pg_partition_tree('observations')"
        ).one()
    section.add("in PostgreSQL, rows", float(heap) / rows, "bytes/obs")
    section.add("in PostgreSQL, indexes", float(index) / rows, "bytes/obs")
    per_device = rows // world.movements
    _tracks(section, history, world, per_device, "PostgreSQL")
    clock.us = world.start_us + 40 * 86_400 * US
    with timed() as watch:
        moved = history.compact()
    assert moved == rows, moved
    section.add("moved to Parquet", rows / watch.s, "obs/s")
    size = sum(f.facts.size for f in history.files)
    section.add(
        "in Parquet", size / rows, "bytes/obs", than=("in PostgreSQL, all", float(heap + index) / rows)
    )
    _tracks(section, history, world, per_device, "Parquet")
    section.sizes = {"observations": rows, "devices": world.movements, "files": len(history.files)}
    section.remarks.append(
        "One server on this machine's disk, fsync on, each group one transaction. The ways of writing are measured in "
        "turn, group by group, into the same table, each in a transaction that is committed. A track is all columns of "
        "one device, sorted."
    )


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _group(world: World, start: int) -> tuple[Batch, Array]:
    """Devices in no order, as they come in."""
    at = start + np.random.default_rng(start).permutation(GROUP)
    return stamped(world.rows(at % world.movements, at // world.movements))


def _narrow(batch: Batch) -> Batch:
    names = ("device_id", "observed_us", "received_us", "lat_deg", "lon_deg", "speed_mps")
    return Batch(batch.n, {name: batch.columns[name] for name in names})


def _empty(db: Database, history: PgHistory) -> None:
    with db.write(lock=None) as connection:
        connection.exec_driver_sql("TRUNCATE observations, observation_offsets")
    assert history.files == ()


def _ways(
    section: Section, db: Database, history: PgHistory, groups: list[tuple[Batch, Array]], world: World
) -> None:
    """Binary COPY, text COPY and INSERT of the same rows, in turn."""
    part = 500  # INSERT is slow; its rate does not hang on the size of the group
    spent = {"binary": 0.0, "text": 0.0, "insert": 0.0}
    names = copied_columns(groups[0][0])
    columns = ", ".join(f'"{n}"' for n in names)
    marks = ", ".join(["%s"] * len(names))

    def binary(offset: int, batch: Batch, keys: Array) -> None:
        history.remember(
            Entry(offset, "observations", batch, None, world.start_us, batch.n), keys, partition=9
        )

    def text(offset: int, batch: Batch, keys: Array) -> None:
        out = io.StringIO()
        csv.writer(out).writerows(_values(batch, keys, offset))
        with db.write(lock=None) as connection:
            cursor: Any = connection.connection.dbapi_connection.cursor()  # type: ignore[union-attr]
            body = io.BytesIO(out.getvalue().encode())
            cursor.execute(f"COPY observations ({columns}) FROM STDIN (FORMAT csv)", stream=body)

    def insert(offset: int, batch: Batch, keys: Array) -> None:
        some = slice(0, part)
        with db.write(lock=None) as connection:
            cursor: Any = connection.connection.dbapi_connection.cursor()  # type: ignore[union-attr]
            cursor.executemany(
                f"INSERT INTO observations ({columns}) VALUES ({marks})",
                _values(batch.take(some), keys[some], offset),
            )

    ways: dict[str, Callable[[int, Batch, Array], None]] = {"binary": binary, "text": text, "insert": insert}
    for offset, (batch, keys) in enumerate(groups, 2):
        for name, way in ways.items():
            with timed() as watch:
                way(offset, batch, keys)
            spent[name] += watch.s
    total = len(groups) * GROUP
    inserted = ("INSERT, executemany", len(groups) * part / spent["insert"])
    fields = len(names) - 3
    section.add(
        f"COPY binary, {fields} columns", total / spent["binary"], "obs/s", than=inserted, at_least=20
    )
    section.add(
        f"COPY binary, {fields} columns",
        total / spent["binary"],
        "obs/s",
        than=("COPY csv of the same rows", total / spent["text"]),
    )


def _values(batch: Batch, keys: Array, offset: int) -> list[tuple[Any, ...]]:
    columns: list[list[Any]] = []
    for name in copied_columns(batch)[:-3]:
        data = batch.columns[name]
        if name == "device_id":
            columns.append([stored_text(t) for t in data.to_list()])  # type: ignore[union-attr]
        else:
            columns.append([None if v != v else v for v in data.tolist()])  # type: ignore[union-attr]  # noqa: PLR0124
    n = batch.n
    return list(zip(*columns, [9] * n, [offset] * n, keys.view(np.int64).tolist(), strict=True))


def _tracks(section: Section, history: PgHistory, world: World, rows: int, where: str) -> None:
    some = np.random.default_rng(3).choice(world.movements, 210, replace=False).tolist()
    took = []
    for turn, one in enumerate(some):
        began = perf_counter()
        found = history.find([(world.device(one), -(2**62), 2**62)])
        if turn >= 10:
            took.append((perf_counter() - began) * 1e3)
        assert found.batch.n == rows
    section.add(f"track of {rows} rows out of {where}, p50", percentile(took, 0.5), "ms")
    section.add(f"track of {rows} rows out of {where}, p99", percentile(took, 0.99), "ms", value_at_most=100)
    many = [(world.device(i), -(2**62), 2**62) for i in range(0, world.movements, 10)]
    with timed() as watch:
        found = history.find(many)
    section.add(f"{len(many):,} tracks at once out of {where}", found.batch.n / watch.s, "obs/s")
