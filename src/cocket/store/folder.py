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

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import sqlalchemy as sa
from filelock import FileLock, Timeout

from cocket.core.batch import Array, Batch
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
from cocket.store.history_contract import HistoryStore, Span
from cocket.store.log import Log, Totals
from cocket.store.log_sqlite import SqliteLog
from cocket.store.reference import Reference
from cocket.store.rows import Rows
from cocket.store.sight import SightStore
from cocket.store.stamps import StampStore

LOG_PAGE_BYTES = 16_384
"""SQLite page of the log: its rows are blobs of tens of kilobytes."""


class MainStores:
    """What is kept in the tables of the branch ``main``, in ``db``: alerts, reference data, the customs file."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.reference = Reference(db)
        self.alerts = AlertStore(db)
        self.alert_traces = AlertTraces(db)
        self.commands = CommandStore(db)
        self.book = FileBook(db)
        self.documents = DocumentStore(db)
        self.guarantees = GuaranteeStore(db)
        self.codes = CodeStore(db)
        self.stamps = StampStore(db)
        self.gates = GateStore(db)
        self.access = AccessStore(db)
        self.audit = AuditStore(db)
        self.grants = GrantStore(db)
        self.sights = SightStore(db)


class Received(Protocol):
    """What doors ask of a log."""

    def totals(self) -> Totals:
        """The running sums."""

    def quarantined(
        self,
        limit: int,
        cursor: str | None = None,
        rule: str | None = None,
        state: str | None = None,
        device_id: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The newest refused rows, and the cursor of the next page."""

    def quarantined_row(self, row_id: int) -> dict[str, Any] | None:
        """One refused row with its raw bytes; None if there is none of that number."""

    def held(self) -> int:
        """How many rows wait: neither replayed nor discarded."""

    def settle_quarantined(self, row_id: int, state: Literal["replayed", "discarded"]) -> None:
        """Say what became of a refused row."""

    def quarantined_before(self, before_us: int) -> int:
        """How many refused rows are older."""

    def drop_quarantined(self, before_us: int) -> int:
        """Forget the refused rows that are older; returns how many."""


class LineHistory(Protocol):
    """What a line asks of the history."""

    @property
    def moves_by_age(self) -> bool:
        """Whether rows move to files when they are old, not when there are many of them."""

    @property
    def compacted_offset(self) -> int:
        """The log may be trimmed behind this offset."""

    def find(self, wanted: Sequence[Span], *, upto_offset: int | None = None) -> Rows:
        """Every observation of the spans (device, from, to)."""

    def rows(self, wanted: Sequence[Span]) -> Batch:
        """As ``find``, the observations alone."""

    def newest(
        self, *, trusted: Sequence[str], unless: Sequence[str], of: Callable[[str], bool] | None = None
    ) -> dict[str, int]:
        """The event time of each device's newest observation of those that count."""

    def compact(self, upto_offset: int) -> int:
        """Move what is due into files; returns how many rows were written."""

    def merge(self) -> int:
        """Merge files of one size into one."""


class LineStores(Protocol):
    """What a line keeps: a data folder's, or a partition's."""

    @property
    def log(self) -> Log:
        """What came in."""

    @property
    def history(self) -> LineHistory:
        """Every observation."""

    @property
    def seen(self) -> Seen:
        """Which observations are stored already."""

    @property
    def alerts(self) -> AlertStore:
        """Alerts and the detectors' state."""

    @property
    def alert_traces(self) -> AlertTraces:
        """Which trace an alert came of."""

    @property
    def reference(self) -> Reference:
        """What is declared."""

    def keeping(
        self, entries: Sequence[tuple[int, Batch, Array | None]]
    ) -> Callable[[sa.Connection], None] | None:
        """What writes entries (offset, batch, keys) into history, in the transaction that books their alerts; None: nothing to write."""


class Stores(Protocol):
    """What doors ask of a data folder, or of a site."""

    path: Path
    db: Database
    log_db: Database
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

    @property
    def log(self) -> Received:
        """The quarantine, and the sums."""

    @property
    def history(self) -> HistoryStore:
        """Every observation."""

    def compact(self, upto_offset: int) -> None:
        """Let history hold what came in up to there, so that it can forget it."""

    def trim(self) -> None:
        """Forget in the log what history holds and no start needs."""

    def scrub(self) -> None:
        """Write the tables anew, so that what was deleted can be read from none of them."""

    def close(self) -> None:
        """Let go. What was acknowledged is safe without this."""


class DataFolder(MainStores):
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
            self.log_db = log_db
            super().__init__(main_db)
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

    def keeping(
        self, _entries: Sequence[tuple[int, Batch, Array | None]]
    ) -> Callable[[sa.Connection], None] | None:
        """Nothing: history has what the log has, as soon as the log has it."""
        return None

    def _stored_keys(self, hours: Sequence[int]) -> tuple[Array, Array]:
        self.log.settle()
        return self.history.hour_keys(hours)

    def compact(self, upto_offset: int) -> None:
        """Let history hold what came in up to there, so that it can forget it."""
        self.history.compact(upto_offset)

    def trim(self) -> None:
        """Forget in the log what history holds and no start needs."""
        self.log.trim(min(self.history.compacted_offset, self.alerts.snapshot_offset()))

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
