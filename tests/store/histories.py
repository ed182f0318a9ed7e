"""A history under test: the same few operations over every engine, and a plain list beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cocket.core.batch import Batch
from cocket.core.keys import observation_keys
from cocket.store.database import Database
from cocket.store.folder import DataFolder
from cocket.store.history_contract import HistoryStore
from cocket.store.log import Entry
from cocket.store.observation_tables import observation_metadata
from cocket.store.observations import PgHistory

T0 = 1_790_000_000_000_000
HOUR = 3_600_000_000
DAY = 24 * HOUR
EVER = 2**62


class SetClock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.us = T0

    def now_us(self) -> int:
        return self.us


@dataclass
class Case:
    """``history`` and all that it was given: (partition, offset, plain row, key)."""

    history: HistoryStore
    clock: SetClock
    append: Callable[[Batch, int], int]
    reopen: Callable[[], HistoryStore]
    given: list[tuple[int, int, dict[str, Any], int]] = field(default_factory=list)

    def take(self, batch: Batch, partition: int = 0) -> None:
        """Receive a batch now."""
        batch.columns["received_us"] = np.full(batch.n, self.clock.us)
        offset = self.append(batch, partition)
        for i, key in enumerate(observation_keys(batch).tolist()):
            self.given.append((partition, offset, batch.row(i), key))

    def expected(self, wanted, limit=None) -> list[tuple[Any, ...]]:
        """(device, time, sequence, key, whole row) of what a span covers, in order."""
        found = []
        for partition, offset, row, key in self.given:
            if isinstance(limit, dict) and offset > limit.get(partition, EVER):
                continue
            if isinstance(limit, int) and offset > limit:
                continue
            if any(d == row["device_id"] and a <= row["observed_us"] < b for d, a, b in wanted):
                found.append(
                    (row["device_id"], row["observed_us"], row.get("sequence", -1), key, offset, repr(row))
                )
        return sorted(found)

    def check(self, wanted=None, limit=None) -> None:
        """The history says what the list says, whole rows, in order."""
        if wanted is None:
            wanted = [(d, -EVER, EVER) for d in {row["device_id"] for _, _, row, _ in self.given}]
        assert told(self.history.find(wanted, upto_offset=limit)) == self.expected(wanted, limit)

    def expire(self, before_us: int, whole: bool, of: set[str] | None = None) -> None:
        """Forget what is older: all of it, or what says that it is not locked, of some devices alone."""
        self.given = [
            g
            for g in self.given
            if max(g[2]["observed_us"], g[2].get("received_us", -EVER)) >= before_us
            or not (whole or g[2].get("locked") is False)
            or not (of is None or g[2]["device_id"] in of)
        ]


def told(rows) -> list[tuple[Any, ...]]:
    plain = map(rows.batch.row, range(rows.batch.n))
    return [
        (row["device_id"], row["observed_us"], row.get("sequence", -1), key, offset, repr(row))
        for row, key, offset in zip(plain, rows.keys.tolist(), rows.offsets.tolist(), strict=True)
    ]


def folder_case(path: Path) -> tuple[Case, Callable[[], None]]:
    """Tail in memory, files behind it."""
    opened = [DataFolder.open(path)]
    clock = SetClock()

    def append(batch: Batch, _partition: int) -> int:
        return opened[-1].log.append(batch, received_us=clock.us)

    def reopen() -> HistoryStore:
        opened[-1].close()
        opened.append(DataFolder.open(path))
        return opened[-1].history

    return Case(opened[0].history, clock, append, reopen), lambda: opened[-1].close()  # noqa: PLW0108 - the last one


def pg_case(path: Path, url: str, **options: Any) -> tuple[Case, Callable[[], None]]:
    """PostgreSQL, files behind it in the folder or in a bucket."""
    db = Database(url, "observations", observation_metadata)
    empty(db)
    clock = SetClock()
    held = [PgHistory(path, db, clock, hot_days=3, **options)]
    last: dict[int, int] = {}

    def append(batch: Batch, partition: int) -> int:
        offset = last.get(partition, 0) + (batch.n > 0)
        if batch.n:
            last[partition] = offset
            entry = Entry(offset, "observations", batch, None, clock.us, batch.n)
            held[-1].remember(entry, partition=partition)
        return offset

    def reopen() -> HistoryStore:
        held.append(PgHistory(path, db, clock, hot_days=3, **options))
        return held[-1]

    return Case(held[0], clock, append, reopen), db.close


def empty(db: Database) -> None:
    """As after the migration."""
    with db.write() as connection:
        tables = connection.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^observations_' "
            "AND relname <> 'observations_rest'"
        ).scalars()
        for name in [*tables]:
            connection.exec_driver_sql(f"DROP TABLE {name}")
        connection.exec_driver_sql(
            "TRUNCATE observations, observation_offsets, observation_periods, observation_files"
        )


def moto() -> Iterator[str]:
    """A local S3 server, and in it the bucket ``cocket``."""
    from urllib.request import Request, urlopen

    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    signed = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, "
        "SignedHeaders=host, Signature=0"
    }
    with urlopen(Request(f"{address}/cocket", method="PUT", headers=signed)) as answer:
        assert answer.status == 200
    yield address
    server.stop()
