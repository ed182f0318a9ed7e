"""What one partition of a site keeps: its log in JetStream; history, alerts and state in PostgreSQL, under a fence.

The attributes are those of ``DataFolder`` that a line asks for, so that a line runs on either.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy as sa

from cocket.core.batch import Array, Batch
from cocket.core.errors import Unavailable
from cocket.core.keys import observation_keys
from cocket.store.alert_traces import AlertTraces
from cocket.store.alerts import AlertStore
from cocket.store.database import Database
from cocket.store.dedupe import Seen
from cocket.store.log import Entry
from cocket.store.log_jetstream import JetStreamLog
from cocket.store.observations import PgHistory
from cocket.store.parquet import HOUR_US
from cocket.store.reference import Reference
from cocket.store.tables import totals


class PartitionHistory:
    """The site's history as a line sees it. What one partition has to do for all, partition 0 does."""

    def __init__(self, history: PgHistory, db: Database, partition: int) -> None:
        self._history = history
        self._db = db
        self._runs_moves = partition == 0
        self._kept = sa.select(totals.c.compacted_offset).where(totals.c.id == 1 + partition)
        self.find = history.find
        self.rows = history.rows
        self.newest = history.newest

    moves_by_age = True
    """Days move to files when they are old, not when there are many rows."""

    @property
    def compacted_offset(self) -> int:
        """The observations up to here are in PostgreSQL, and it says so."""
        with self._db.read() as connection:
            return int(connection.execute(self._kept).scalar_one())

    def compact(self, upto_offset: int) -> int:
        """Move old days to files."""
        return self._history.compact(upto_offset) if self._runs_moves else 0

    def merge(self) -> int:
        """Merge small files."""
        return self._history.merge() if self._runs_moves else 0


_CATCH_UP_S: Final = 10.0
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class _Unbooked:
    """An entry of the log that history does not hold yet."""

    offset: int
    hours: Array
    observed_us: Array
    keys: Array


class PartitionStores:
    """Opened by who has the partition's lease.

    ``only_ours``: history's rows carry the partition that they belong to now; not so after a re-partition.
    """

    def __init__(
        self,
        partition: int,
        *,
        db: Database,
        log: JetStreamLog,
        history: PgHistory,
        alerts: AlertStore,
        alert_traces: AlertTraces,
        reference: Reference,
        only_ours: bool,
        seen_bytes: int,
    ) -> None:
        self.partition = partition
        self.log = log
        self.history = PartitionHistory(history, db, partition)
        self._all = history
        self._only_ours = only_ours
        self.alerts = alerts
        self.alert_traces = alert_traces
        self.reference = reference
        self.seen = Seen(self._stored_keys, budget_bytes=seen_bytes)
        self._lock = threading.Lock()
        self._unbooked: deque[_Unbooked] = deque()
        self._catch_up(alerts.offset())
        log.follow(self._note)

    def _catch_up(self, after: int) -> None:
        """Note what is in the log and not in history. A replica that lags may have none of it yet: it is asked again."""
        last, end = self.log.last_offset(), time.monotonic() + _CATCH_UP_S
        while after < last:
            entries = self.log.read(after)
            for entry in entries:
                self._note(entry, None)
                after = entry.offset
            if not entries:
                if time.monotonic() > end:
                    raise Unavailable(
                        f"the log of partition {self.partition} ends at {last}, but gives nothing behind {after}"
                    )
                time.sleep(_POLL_S)

    def unbooked(self, booked: int) -> int:
        """Entries of the log that history does not hold yet, where it holds those up to ``booked``."""
        with self._lock:
            return sum(u.offset > booked for u in self._unbooked)

    def keeping(
        self, entries: Sequence[tuple[int, Batch, Array | None]]
    ) -> Callable[[sa.Connection], None] | None:
        """What writes entries (offset, batch, keys) into history, in the transaction that books their alerts. None: nothing new."""
        booked = self.alerts.offset()
        self._forget(booked)
        fresh = [
            (_entry(offset, batch), keys) for offset, batch, keys in entries if offset > booked and batch.n
        ]
        if not fresh:
            return None

        def keep(connection: sa.Connection) -> None:
            self._all.write(connection, self.partition, fresh)
            own = totals.c.id == 1 + self.partition
            connection.execute(totals.update().where(own).values(compacted_offset=fresh[-1][0].offset))

        return keep

    def _note(self, entry: Entry, keys: Array | None) -> None:
        if entry.batch is None:
            return
        observed = entry.batch.filled("observed_us")
        keys = observation_keys(entry.batch) if keys is None else keys
        with self._lock:  # nothing here may fail: the log has the entry, and will not tell of it again
            self._unbooked.append(_Unbooked(entry.offset, np.unique(observed // HOUR_US), observed, keys))

    def _forget(self, booked: int) -> None:
        """History has everything up to here."""
        with self._lock:
            while self._unbooked and self._unbooked[0].offset <= booked:
                self._unbooked.popleft()

    def _stored_keys(self, hours: Sequence[int]) -> tuple[Array, Array]:
        """Those that history holds, and those that are only in the log. One in both does no harm: they make a set."""
        self.log.settle()
        with self._lock:
            waiting = [u for u in self._unbooked if np.isin(u.hours, hours).any()]
        times, keys = self._all.hour_keys(hours, partition=self.partition if self._only_ours else None)
        return (
            np.concatenate([times, *(u.observed_us for u in waiting)]),
            np.concatenate([keys, *(u.keys for u in waiting)]),
        )

    def close(self) -> None:
        """Let go. What was acknowledged is safe without this."""
        self.log.close()


def _entry(offset: int, batch: Batch) -> Entry:
    return Entry(offset, "observations", batch, None, int(batch.filled("received_us").max()), batch.n)
