"""One SQLite file behind ``store.database``: durable when a write returns, one writer at a time, readers beside it.

Write-ahead log, ``synchronous=FULL``: a commit is on the disk (fsync) before it returns, and a process killed at
any point leaves a file that opens by the ordinary path.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError

from cocket.core.errors import CocketError, DataDamaged, Unavailable

_DISK: Final = {
    "full": "the disk is full. Make room, it goes on by itself",
    "disk I/O error": "the disk fails (disk I/O error). Look at the system's log; `cocket verify` says what it has damaged",
    "readonly": "it cannot be written to: the disk or the folder is read-only. Make it writable, it goes on by itself",
    "unable to open": "it cannot be opened (no right, no room, or too many open files)",
    "locked": "another process holds it",
}
"""What SQLite says of the disk, and what that means for a person. None of it is damage: the next try may succeed."""


class Sqlite:
    """The file at ``path``; ``read_only`` opens it without being able to change it."""

    shared = False

    def __init__(self, path: Path, *, page_size: int, read_only: bool) -> None:
        self.place = str(path)
        self._lock = threading.RLock()
        self._page_size = page_size
        self.engine = sa.create_engine(
            f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true" if read_only else f"sqlite:///{path}",
            connect_args={"timeout": 30.0},
            pool_size=8,
            max_overflow=64,
            hide_parameters=True,
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
        )
        sa.event.listen(self.engine, "connect", _no_guessing if read_only else self._prepare)
        sa.event.listen(self.engine, "begin", _begin)

    def _prepare(self, connection: Any, _record: Any) -> None:
        _no_guessing(connection, _record)
        cursor = connection.cursor()
        for pragma in (
            f"page_size = {self._page_size}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "temp_store = MEMORY",
            f"wal_autocheckpoint = {16 * 1024 * 1024 // self._page_size}",
            f"journal_size_limit = {64 * 1024 * 1024}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def version_table(self, branch: str) -> str:
        """Where Alembic keeps the version: each branch has a file of its own."""
        del branch
        return "alembic_version"

    @contextmanager
    def writing(self, lock: str | int | None) -> Iterator[sa.Connection]:
        """A transaction that may write. There is one writer of a file at a time, whatever ``lock`` says."""
        del lock
        with self._lock, self.engine.connect() as connection:
            connection.execution_options(immediate=True)
            with connection.begin():
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that sees the file as of its beginning. The write-ahead log cannot shrink below it."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def hold(self, connection: sa.Connection, key: str) -> None:
        """Nothing: who may write is alone already."""

    def patient(self, connection: sa.Connection) -> None:
        """Nothing: a file answers when it has the answer."""

    def in_words(self, error: Exception) -> CocketError | None:
        """What a person has to know of a failure of the disk; None for any other."""
        if not isinstance(error, DatabaseError):
            return None
        said = str(error.orig)
        if any(w in said for w in ("malformed", "not a database", "corrupt", "Could not decode")):
            return DataDamaged(
                f"{self.place} is damaged ({said}); run `cocket verify` on its folder, then restore it from a copy"
            )
        if not isinstance(error, OperationalError):
            return None
        for sign, words in _DISK.items():
            if sign in said:
                return Unavailable(f"{self.place}: {words}; nothing of this was kept")
        return None

    def wrong(self, connection: sa.Connection) -> list[str]:
        """What SQLite's own check of every page and index finds."""
        found = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def scrub(self) -> None:
        """VACUUM, then the write-ahead log emptied. ``Unavailable`` while somebody reads for so long that it cannot be."""
        with self._lock, self.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            cursor = raw.cursor()
            try:
                cursor.execute("PRAGMA temp_store = FILE")  # a copy of the whole file
                cursor.execute("VACUUM")
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                cursor.execute("PRAGMA temp_store = MEMORY")
                cursor.close()
        if busy:
            raise Unavailable(
                f"{self.place}: somebody reads in it, so its write-ahead log could not be emptied; try again"
            )

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()


def _no_guessing(connection: Any, _record: Any) -> None:
    """Transactions begin where we say so, not where the driver guesses."""
    connection.isolation_level = None


def _begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
