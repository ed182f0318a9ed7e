"""The log over NATS JetStream, on one node and in three copies, against SQLite's table: the same groups in turn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.disk import stream_of
from bench.measure import Section, percentile, timed
from bench.world import World
from cocket.store import tables
from cocket.store.database import Database
from cocket.store.log import Log, prepare
from cocket.store.log_jetstream import JetStreamLog
from cocket.store.log_sqlite import SqliteLog
from cocket.store.nats_connection import NatsConnection
from cocket.store.nats_servers import NatsCluster


@contextmanager
def _in_stream(folder: Path, nodes: int) -> Iterator[Log]:
    folder.mkdir()
    cluster = NatsCluster(folder / "nats", nodes)
    cluster.start()
    connection = NatsConnection(cluster.url)
    db = Database(folder / "sums.sqlite", "log", tables.log_metadata)
    try:
        yield JetStreamLog(connection, db, replicas=nodes)
    finally:
        connection.close()
        db.close()
        cluster.stop()


def jetstream(place: Path, *, quick: bool) -> Section:
    section = Section("jetstream", "What does a log in three copies cost, against SQLite's table?")
    world = World.ending_now(20_000, 1000, 100)
    folder = place / "jetstream"
    folder.mkdir()
    db = Database(folder / "log.sqlite", "log", tables.log_metadata, page_size=16_384)
    with _in_stream(folder / "one", 1) as one, _in_stream(folder / "three", 3) as three:
        logs: dict[str, Log] = {
            "SQLite": SqliteLog(db),
            "JetStream, one node": one,
            "JetStream, three copies": three,
        }
        for size, rows in ((1000, 100_000 if quick else 300_000), (10_000, 500_000 if quick else 2_000_000)):
            _append(section, logs, world, size, rows)
        _read(section, logs, 600_000 if quick else 2_300_000)
        for name, path, copies in (("one node", "one", 1), ("three copies", "three", 3)):
            size_bytes = sum(file.stat().st_size for file in (folder / path / "nats").rglob("msgs/*.blk"))
            section.add(
                f"on the disk, {name}",
                size_bytes / logs["SQLite"].totals().observations / copies,
                "bytes/obs/node",
            )
    db.close()
    shutil.rmtree(folder)
    section.remarks.append(
        "Groups are encoded beforehand, and appended one at a time, to each log in turn. Every server writes with sync_interval: always; "
        "all servers share this machine's disk and processors: on three machines the copies are written side by side. "
        "Three copies are written twice on each node, into the Raft log and into the stream."
    )
    return section


def _append(section: Section, logs: dict[str, Log], world: World, size: int, rows: int) -> None:
    took: dict[str, list[float]] = {name: [] for name in logs}
    for batch, keys in stream_of(world, rows, size):
        group = prepare(batch, keys)
        for name, log in logs.items():
            with timed() as watch:
                log.append(group, received_us=world.start_us)
            took[name].append(watch.s)
    base = rows / sum(took["SQLite"])
    for name, times in took.items():
        than = None if name == "SQLite" else ("SQLite", base)
        section.add(f"append, {name}, groups of {size:,}", rows / sum(times), "obs/s", than=than)
        section.add(f"p99 of one append, {name}, groups of {size:,}", percentile(times, 0.99) * 1e3, "ms")


def _read(section: Section, logs: dict[str, Log], rows: int) -> None:
    base = 0.0
    for name, log in logs.items():
        with timed() as watch:
            after = read = 0
            while entries := log.read(after):
                after = entries[-1].offset
                read += sum(entry.n for entry in entries)
        if read != rows:
            raise AssertionError(f"{name} gave {read} observations of {rows}")
        rate = read / watch.s
        section.add(f"read back, {name}", rate, "obs/s", than=("SQLite", base) if base else None)
        base = base or rate
    section.sizes = {"observations": rows}
