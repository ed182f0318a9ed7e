"""One SQLite file: durable when a write returns, one writer at a time, readers beside it.

Write-ahead log, ``synchronous=FULL``: a commit is on the disk (fsync) before it returns, and a process killed at
any point leaves a file that opens by the ordinary path. Any thread may call ``read`` and ``write``; writers
queue on one lock, readers see the state as of their beginning and wait for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError

from cocket.core.errors import CocketError, DataDamaged

MIGRATIONS = Path(__file__).parent / "migrations"


class FolderRefused(CocketError):
    """The data folder cannot be opened: held by another process, written by a newer version, or not one."""


class Database:
    """``path`` opened and brought to this version's tables.

    ``branch`` names the folder of migrations. ``read_only`` changes nothing, also not the tables, and works beside
    the process that has the folder open. Raises ``FolderRefused`` when a newer version wrote the file and
    ``DataDamaged`` when it is no SQLite file any more.
    """

    def __init__(
        self,
        path: Path,
        branch: str,
        metadata: sa.MetaData,
        *,
        page_size: int = 4096,
        read_only: bool = False,
    ) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._own = threading.local()
        self._page_size = page_size
        self.engine = sa.create_engine(
            f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true" if read_only else f"sqlite:///{path}",
            connect_args={"timeout": 30.0},
            pool_size=8,
            max_overflow=64,
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
        )
        sa.event.listen(self.engine, "connect", _no_guessing if read_only else self._prepare)
        sa.event.listen(self.engine, "begin", _begin)
        try:
            self._migrate(branch, metadata, read_only)
        except BaseException:
            self.close()
            raise

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

    def _migrate(self, branch: str, metadata: sa.MetaData, read_only: bool) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.migration import MigrationContext
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("version_locations", str(MIGRATIONS / branch).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        script = ScriptDirectory.from_config(config)
        with self.read() if read_only else self.write() as connection:
            here = MigrationContext.configure(connection).get_current_revision()
            known = {revision.revision for revision in script.walk_revisions()}
            if here is not None and here not in known:
                raise FolderRefused(
                    f"{self.path} was written by a newer Cocket (its tables are at {here!r}, "
                    f"this version knows up to {script.get_current_head()!r}); open it with that version or a later one"
                )
            if here == script.get_current_head():
                return
            if read_only:
                raise FolderRefused(
                    f"{self.path} is of an older version (its tables are at {here!r}); `cocket serve` brings it up to date"
                )
            config.attributes["connection"] = connection
            config.attributes["metadata"] = metadata
            command.upgrade(config, "head")

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction that may write: committed and on the disk when the block ends, undone if it raises."""
        with self._lock, self._words(), self.engine.connect() as connection:
            connection.execution_options(immediate=True)
            with connection.begin():
                self._own.connection = connection
                try:
                    yield connection
                finally:
                    self._own.connection = None

    @property
    def writing(self) -> bool:
        """Whether the caller's thread is inside a transaction of its own that may write."""
        return getattr(self._own, "connection", None) is not None

    @contextmanager
    def view(self) -> Iterator[sa.Connection]:
        """As ``read``; inside a ``write`` of the caller's thread, what that has written so far is seen as well."""
        own: sa.Connection | None = getattr(self._own, "connection", None)
        if own is not None:
            yield own
        else:
            with self.read() as connection:
                yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view. Keep it short: the write-ahead log cannot shrink below an open one."""
        with self._words(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            said = str(error.orig)
            if "full" in said and isinstance(error, OperationalError):
                raise CocketError(
                    f"{self.path}: the disk is full; nothing of this write was kept. Make room."
                ) from error
            if any(
                w in said
                for w in ("malformed", "not a database", "disk I/O error", "corrupt", "Could not decode")
            ):
                raise DataDamaged(
                    f"{self.path} is damaged ({said}); run `cocket verify` on its folder, then restore it from a copy"
                ) from error
            raise

    def integrity(self) -> list[str]:
        """What SQLite's own check of every page and index finds wrong; empty when nothing is."""
        with self.read() as connection:
            found = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Let go of the file. What was committed is safe without this."""
        self.engine.dispose()


def _no_guessing(connection: Any, _record: Any) -> None:
    """Transactions begin where we say so, not where the driver guesses."""
    connection.isolation_level = None


def _begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
