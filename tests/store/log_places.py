"""Places that a log can be in, each opened, closed, killed and harmed in its own way; for the contract suite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from cocket.core.batch import Batch, Texts
from cocket.store import tables
from cocket.store.database import Database
from cocket.store.log import Log, prepare
from cocket.store.log_jetstream import JetStreamLog
from cocket.store.log_sqlite import SqliteLog
from cocket.store.nats_connection import NatsConnection
from cocket.store.nats_servers import NatsCluster
from cocket.store.quarantine import Quarantined

T0 = 1_790_000_000_000_000


def numbered(first: int, n: int = 10) -> Batch:
    """Observations with ``sequence`` first, first + 1, …"""
    return Batch(
        n,
        {
            "device_id": Texts(np.arange(n, dtype=np.int32) % 3, ["a", "b", "c"]),
            "observed_us": T0 + np.arange(first, first + n) * 1000,
            "sequence": np.arange(first, first + n),
        },
    )


def refused(row: int, raw: bytes = b'{"lat_deg": 91}\xff', received_us: int = 5) -> Quarantined:
    return Quarantined(received_us, "http", row, "lat_deg", "range", "91 is above 90", raw)


def sequences(log: Log, after: int = 0) -> list[int]:
    """Every row's ``sequence`` in the log, in order; the offsets are without a gap."""
    found: list[int] = []
    while entries := log.read(after):
        assert [e.offset for e in entries] == list(range(after + 1, after + 1 + len(entries))) or after == 0
        after = entries[-1].offset
        for entry in entries:
            assert entry.n == (0 if entry.batch is None else entry.batch.n)
            if entry.batch is not None:
                found += entry.batch.filled("sequence").tolist()
    return found


class Place:
    """A place for one log. ``open`` may be called again after ``close``, or without it, as after a kill."""

    def __init__(self, folder: Path, database: Path | str) -> None:
        self.folder = folder
        self.where = database
        self.opened: list[Database] = []

    def database(self) -> Database:
        db = Database(self.where, "log", tables.log_metadata)
        self.opened.append(db)
        return db

    def compacted(self, offset: int) -> None:
        """Say that the history holds the log up to ``offset``."""
        db = self.database()
        with db.write() as connection:
            connection.execute(sa.update(tables.totals).values(compacted_offset=offset))

    def open(self) -> Log:
        raise NotImplementedError

    def close(self) -> None:
        for db in self.opened:
            db.close()
        self.opened.clear()

    def harm(self, batch: Batch) -> None:
        """Flip a bit in the entry that holds ``batch``, on the disk, while nobody has it open."""
        raise NotImplementedError


class SqlitePlace(Place):
    def open(self) -> Log:
        return SqliteLog(self.database())

    def harm(self, batch: Batch) -> None:
        whole = prepare(batch).blob.to_pybytes()
        flipped = bytearray(whole)
        flipped[len(flipped) // 2] ^= 1
        with sqlite3.connect(self.folder / "log.sqlite") as other:
            assert other.execute("update entries set blob = ? where blob = ?", (flipped, whole)).rowcount == 1


class JetStreamPlace(Place):
    def __init__(
        self, folder: Path, database: Path | str, cluster: NatsCluster, site: str, timeout_s: float = 30.0
    ) -> None:
        super().__init__(folder, database)
        self.cluster = cluster
        self.site = site
        self.timeout_s = timeout_s
        self.connections: list[NatsConnection] = []

    @property
    def stream(self) -> str:
        return f"COCKET_{self.site}_0"

    def open(self) -> JetStreamLog:
        connection = NatsConnection(self.cluster.url, timeout_s=self.timeout_s)
        self.connections.append(connection)
        return JetStreamLog(connection, self.database(), site=self.site, replicas=self.cluster.replicas)

    def close(self) -> None:
        super().close()
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    def blocks(self, node: int) -> Iterator[Path]:
        store = self.cluster.nodes[node].folder / "store"
        return (path for path in store.rglob("*.blk") if path.parent.parent.name == self.stream)

    def harm(self, batch: Batch) -> None:
        """On one node only, which is started again."""
        node = self.cluster.nodes[-1]
        node.stop()
        flip(self.blocks(-1), prepare(batch).blob.to_pybytes())
        node.start()
        self.cluster.wait_ready()


def flip(files: Iterator[Path], piece: bytes) -> None:
    """Flip one bit in the middle of ``piece``, in whichever file holds it."""
    for path in files:
        at = path.read_bytes().find(piece)
        if at >= 0:
            at += len(piece) // 2
            with path.open("r+b") as file:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1]))
            return
    raise AssertionError("the bytes stand in no file")
