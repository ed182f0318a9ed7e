"""What every process of a site has: the tables in PostgreSQL, the history, and a line to the others over NATS.

A command that only reads or keeps the tables needs no servers of NATS: ``SiteTables``.

``Site.path`` is the process's own folder: keys that sign, and files on their way to history. The attributes are those of
``DataFolder`` that doors ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa

from cocket.core.clock import Clock
from cocket.core.config import Settings
from cocket.core.errors import BadSetting
from cocket.engine.site.link import Link
from cocket.store import leases, tables
from cocket.store.alerts import AlertStore
from cocket.store.database import Database
from cocket.store.dedupe import DEFAULT_BUDGET_BYTES
from cocket.store.folder import MainStores
from cocket.store.log import Totals
from cocket.store.log_jetstream import JetStreamLog
from cocket.store.nats_connection import Address, NatsConnection
from cocket.store.observations import PgHistory
from cocket.store.partition import PartitionStores
from cocket.store.quarantine import Quarantine
from cocket.store.tables import totals

_LEAST_SEEN: Final = 32 * 1024 * 1024


class SiteLog(Quarantine):
    """What doors ask of the logs of all partitions: the quarantine, and the sums as they were booked."""

    def totals(self) -> Totals:
        """Rows since the site was made; up to a second behind."""
        columns = (totals.c.observations, totals.c.duplicates, totals.c.rejected)
        query = sa.select(*(sa.func.coalesce(sa.func.sum(c), 0) for c in columns))
        with self._db.read() as connection:
            return Totals(*(int(n) for n in connection.execute(query).one()))


class SiteTables(MainStores):
    """The tables and the history. Open it, close it; any thread may use what it has."""

    def __init__(self, settings: Settings, path: Path, clock: Clock) -> None:
        if not settings.store.url or not settings.log.url:
            raise BadSetting("a site needs both store.url (PostgreSQL) and log.url (NATS) in its settings")
        self.path = path
        self.settings = settings
        self._closing: list[Callable[[], None]] = []
        try:
            super().__init__(self._database("main", tables.main_metadata))
            self.log_db = self._database("log", tables.log_metadata)
            self.log = SiteLog(self.log_db)
            self.history = self._history(clock)
        except BaseException:
            self.close()
            raise

    def _database(self, branch: str, metadata: sa.MetaData) -> Database:
        db = Database(self.settings.store.url, branch, metadata)
        self._closing.append(db.close)
        return db

    def _history(self, clock: Clock) -> PgHistory:
        from cocket.store.observation_tables import observation_metadata

        given = self.settings.history
        folder = Path(given.folder) if given.folder else self.path / "history"
        return PgHistory(
            folder,
            self._database("observations", observation_metadata),
            clock,
            hot_days=given.hot_days,
            objects=given.objects,
        )

    def compact(self, upto_offset: int) -> None:
        """Nothing: history has what is detected, in the same transaction, and forgets in tables as well as in files."""

    def trim(self) -> None:
        """Nothing: each worker trims its logs behind its checkpoints."""

    def scrub(self) -> None:
        """Nothing: PostgreSQL clears away by itself what was deleted; to write all tables anew would stop the site."""

    def close(self) -> None:
        """Let go of everything. What was acknowledged is safe without this."""
        closing, self._closing = self._closing, []
        for close in reversed(closing):
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


class Site(SiteTables):
    """With the servers of NATS. ``name`` says which process this is."""

    def __init__(self, settings: Settings, path: Path, name: str, clock: Clock) -> None:
        super().__init__(settings, path, clock)
        try:
            self.partitions, self.generation, self.first = leases.partitions(self.db, settings.log.partitions)
            self.nats = NatsConnection(Address.of(settings.log), timeout_s=settings.log.timeout_s, name=name)
            self._closing.append(self.nats.close)
            self.link = Link(self.nats, name)
            self._closing.append(self.link.close)
        except BaseException:
            self.close()
            raise

    def partition(self, partition: int, fence: Callable[[sa.Connection], None]) -> PartitionStores:
        """A partition's stores, for who has its lease. Whoever had the log before is fenced from now on."""
        log = self.settings.log
        opened = JetStreamLog(
            self.nats,
            self.log_db,
            site=log.site,
            partition=partition,
            replicas=log.replicas,
            generation=self.generation,
            first=self.first,
        )
        try:
            return PartitionStores(
                partition,
                db=self.db,
                log=opened,
                history=self.history,
                alerts=AlertStore(self.db, partition, fence),
                alert_traces=self.alert_traces,
                reference=self.reference,
                only_ours=self.generation == 0,
                seen_bytes=max(_LEAST_SEEN, DEFAULT_BUDGET_BYTES // self.partitions),
            )
        except BaseException:
            opened.close()
            raise
