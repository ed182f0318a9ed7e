"""A data folder, opened: one process at a time.

    backed-up        nothing; its time is that of the last backup
    cocket.lock      held while a process has the folder open
    log.sqlite       what came in: log, quarantine, sums, list of history files
    cocket.sqlite    what was made of it: alerts, reference data, detection state
    history/         observations in Parquet
    keys/            what signs codes and stamps (``customs.codes.keyring``)

``docs/stores.md`` says of each what happens if it is lost, and what one who can write to it could do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from cocket.core.batch import Array
from cocket.store import at_rest, tables
from cocket.store.access import AccessStore
from cocket.store.alert_traces import AlertTraces
from cocket.store.alerts import AlertStore
from cocket.store.audit import AuditStore
from cocket.store.codes import CodeStore
from cocket.store.commands import CommandStore
from cocket.store.customs_documents import DocumentStore
from cocket.store.database import Database, FolderRefused
from cocket.store.dedupe import DEFAULT_BUDGET_BYTES, Seen
from cocket.store.file_events import FileBook
from cocket.store.gates import GateStore
from cocket.store.grants import GrantStore
from cocket.store.guarantees import GuaranteeStore
from cocket.store.history import History
from cocket.store.log import Log
from cocket.store.log_sqlite import SqliteLog
from cocket.store.reference import Reference
from cocket.store.sight import SightStore
from cocket.store.stamps import StampStore

LOG_PAGE_BYTES = 16_384
"""SQLite page of the log: its rows are blobs of tens of kilobytes."""


@dataclass(frozen=True, slots=True)
class MainStores:
    """What is kept in the tables of the branch ``main``: alerts, reference data, the customs file."""

    db: Database
    reference: Reference
    alerts: AlertStore
    alert_traces: AlertTraces
    commands: CommandStore
    book: FileBook
    documents: DocumentStore
    guarantees: GuaranteeStore
    codes: CodeStore
    stamps: StampStore
    gates: GateStore
    access: AccessStore
    audit: AuditStore
    grants: GrantStore
    sights: SightStore


def main_stores(db: Database) -> MainStores:
    """All stores over ``db``, a ``Database`` of the branch ``main``."""
    return MainStores(
        db=db,
        reference=Reference(db),
        alerts=AlertStore(db),
        alert_traces=AlertTraces(db),
        commands=CommandStore(db),
        book=FileBook(db),
        documents=DocumentStore(db),
        guarantees=GuaranteeStore(db),
        codes=CodeStore(db),
        stamps=StampStore(db),
        gates=GateStore(db),
        access=AccessStore(db),
        audit=AuditStore(db),
        grants=GrantStore(db),
        sights=SightStore(db),
    )


class DataFolder:
    """Everything that is kept, in one folder. Each part says who may call it at once."""

    def __init__(self, path: Path, lock: FileLock | None, *, seen_bytes: int, store_url: str = "") -> None:
        read_only = lock is None
        self.path = path
        self._lock = lock
        self._opened: list[Database] = []
        self._whole = False
        try:
            log_db = Database(
                path / "log.sqlite",
                "log",
                tables.log_metadata,
                page_size=LOG_PAGE_BYTES,
                read_only=read_only,
            )
            self._opened.append(log_db)
            main_db = Database(
                store_url or path / "cocket.sqlite", "main", tables.main_metadata, read_only=read_only
            )
            self._opened.append(main_db)
            self.log: Log = SqliteLog(log_db)
            self.history = History(path / "history", log_db, self.log, read_only=read_only)
            self.log.follow(self.history.remember)
            self.seen = Seen(self._stored_keys, budget_bytes=seen_bytes)
            self.log_db, self.main_db = log_db, main_db
            stores = main_stores(main_db)
            self.reference = stores.reference
            self.alerts = stores.alerts
            self.alert_traces = stores.alert_traces
            self.commands = stores.commands
            self.book = stores.book
            self.documents = stores.documents
            self.guarantees = stores.guarantees
            self.codes = stores.codes
            self.stamps = stores.stamps
            self.gates = stores.gates
            self.audit = stores.audit
            self.access = stores.access
            self.grants = stores.grants
            self.sights = stores.sights
        except BaseException:
            self.close()
            raise
        self._whole = True

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        create: bool = True,
        read_only: bool = False,
        seen_bytes: int = DEFAULT_BUDGET_BYTES,
        store_url: str = "",
    ) -> DataFolder:
        """Open a data folder, made if it is not there and ``create`` is set.

        ``FolderRefused`` if another process has it open, a newer version wrote it, or it is something else;
        ``DataDamaged`` if a file in it is. What the log holds beyond the history is read into memory.
        ``read_only`` works beside the process that has it open and shows everything as of this moment (alerts and
        reference data: as they become); it makes and changes nothing. ``store_url`` names a PostgreSQL database that is
        used in place of ``cocket.sqlite``.
        """
        path = Path(path)
        known = (path / "log.sqlite").exists()
        if not known and (read_only or not create):
            raise FolderRefused(f"{path} is no data folder: it holds no log.sqlite")
        if path.exists() and not path.is_dir():
            raise FolderRefused(f"{path} is a file, not a data folder; choose another place by --data")
        if read_only:
            return cls(path, None, seen_bytes=seen_bytes, store_url=store_url)
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / "cocket.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise FolderRefused(
                f"another process has the data folder {path} open; stop it first, or choose another place by --data"
            ) from error
        try:
            at_rest.take_up(path)
        except BaseException:
            lock.release()
            raise
        return cls(path, lock, seen_bytes=seen_bytes, store_url=store_url)

    def _stored_keys(self, hours: Sequence[int]) -> tuple[Array, Array]:
        self.log.settle()
        return self.history.hour_keys(hours)

    def scrub(self) -> None:
        """Write the tables' files anew, so that what was deleted can be read from none of them."""
        for db in self._opened:
            db.scrub()

    def close(self) -> None:
        """Let go of the folder. What was acknowledged is safe without this."""
        for db in self._opened:
            db.close()
        if self._lock is not None:
            if self._whole:
                at_rest.leave(self.path)
            self._lock.release()
