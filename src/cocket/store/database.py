"""The tables, over one SQLite file or one PostgreSQL database: the same calls, the same guarantees.

A write is on the disk when it returns, or nothing of it is kept; there is one writer at a time, also among processes;
readers see the state as of their beginning and wait for nobody. Any thread may call. What differs between the two
engines stands in ``store.sqlite`` and ``store.postgresql``; ``tests/store`` holds both to the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import sqlalchemy as sa

from cocket.core.errors import CocketError

MIGRATIONS = Path(__file__).parent / "migrations"
WRITER: Final = "writer"
"""The lock of everybody who reads, decides and writes: one at a time over all processes."""


class FolderRefused(CocketError):
    """The store cannot be opened: held by another process, written by a newer version, or not one."""


class Engine(Protocol):
    """What ``Database`` asks of SQLite and of PostgreSQL."""

    @property
    def shared(self) -> bool:
        """Whether other processes may write to it while we have it open."""

    @property
    def place(self) -> str:
        """Where it is, in words, without a password."""

    @property
    def engine(self) -> sa.Engine:
        """SQLAlchemy's way in."""

    def version_table(self, branch: str) -> str:
        """Where Alembic keeps the version of a branch."""

    def writing(self, lock: str | int | None) -> AbstractContextManager[sa.Connection]:
        """A transaction that may write, committed and on the disk when the block ends."""

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that sees one consistent view."""

    def hold(self, connection: sa.Connection, key: str) -> None:
        """A lock, until the transaction ends."""

    def patient(self, connection: sa.Connection) -> None:
        """Let the transaction's statements take as long as they take."""

    def in_words(self, error: Exception) -> CocketError | None:
        """A failure of the engine for the person who reads it; None for any other error."""

    def wrong(self, connection: sa.Connection) -> list[str]:
        """What its own checks find."""

    def scrub(self) -> None:
        """Write its files anew, without what was deleted."""

    def close(self) -> None:
        """Let go."""


class Database:
    """``place`` (the path of a SQLite file, or ``postgresql://…``) opened and brought to this version's tables.

    ``branch`` names the folder of migrations. ``read_only`` changes nothing, also not the tables, and works beside
    the process that has it open. Raises ``FolderRefused`` when a newer version wrote it, ``DataDamaged`` when it is no
    SQLite file any more, ``Unavailable`` when the server does not answer and ``BadSetting`` when it is the wrong one.
    """

    def __init__(
        self,
        place: Path | str,
        branch: str,
        metadata: sa.MetaData,
        *,
        page_size: int = 4096,
        read_only: bool = False,
    ) -> None:
        self._own = threading.local()
        self._engine: Engine
        if is_server(place):
            from cocket.store.postgresql import Postgresql

            self._engine = Postgresql(str(place), branch, read_only=read_only)
        else:
            from cocket.store.sqlite import Sqlite

            self._engine = Sqlite(Path(place), page_size=page_size, read_only=read_only)
        self.path = self._engine.place
        self.branch = branch
        self.read_only = read_only
        try:
            self._migrate(metadata, read_only)
        except BaseException:
            self.close()
            raise

    @property
    def engine(self) -> sa.Engine:
        """SQLAlchemy's way in, for what knows the engine that it talks to."""
        return self._engine.engine

    @property
    def shared(self) -> bool:
        """Whether other processes may write while this one has it open: then nothing that was read stays true."""
        return self._engine.shared

    def _migrate(self, metadata: sa.MetaData, read_only: bool) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.migration import MigrationContext
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("version_locations", str(MIGRATIONS / self.branch).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        script = ScriptDirectory.from_config(config)
        versions = self._engine.version_table(self.branch)

        def is_newest(connection: sa.Connection) -> bool:
            context = MigrationContext.configure(connection, opts={"version_table": versions})
            here = context.get_current_revision()
            if here is not None and here not in {revision.revision for revision in script.walk_revisions()}:
                raise FolderRefused(
                    f"{self.path} was written by a newer Cocket (its tables are at {here!r}, "
                    f"this version knows up to {script.get_current_head()!r}); open it with that version or a later one"
                )
            if here != script.get_current_head() and read_only:
                raise FolderRefused(
                    f"{self.path} is of an older version (its tables are at {here!r}); `cocket serve` brings it up to date"
                )
            return here == script.get_current_head()

        with self.read() as connection:
            if is_newest(connection):
                return
        with self.write() as connection:
            # of several processes that start at once one comes first, and the others find its work here
            if is_newest(connection):
                return
            self._engine.patient(connection)
            config.attributes["connection"] = connection
            config.attributes["metadata"] = metadata
            config.attributes["version_table"] = versions
            command.upgrade(config, "head")

    @contextmanager
    def write(self, lock: str | int | None = WRITER) -> Iterator[sa.Connection]:
        """One transaction that may write: committed and on the disk when the block ends, undone if it raises.

        One writer at a time holds ``lock``, over all processes: who keeps the default may read, decide and write. Another
        name is for rows that nobody else writes, such as a partition's; None locks nothing but rows. On SQLite there is
        one writer at a time, whatever its lock. Wait for no other ``write`` inside of one.
        """
        if self.writing:
            raise RuntimeError(
                f"a write to {self.path} within a write of the same thread would wait for itself"
            )
        with self._words(), self._engine.writing(lock) as connection:
            self._own.connection = connection
            try:
                yield connection
            finally:
                self._own.connection = None

    def hold(self, connection: sa.Connection, key: str) -> None:
        """Be the only one over all processes that holds ``key``, until the transaction ends. On SQLite it is so anyway."""
        self._engine.hold(connection, key)

    def patient(self, connection: sa.Connection) -> None:
        """Let this transaction's statements take as long as they take; its connection is not used again."""
        self._engine.patient(connection)

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
        """One consistent view. Keep it short: what an open one may still see cannot be cleared away."""
        with self._words(), self._engine.reading() as connection:
            yield connection

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            words = self._engine.in_words(error)
            if words is None:
                raise
            raise words from error

    def integrity(self) -> list[str]:
        """What the engine's own checks find wrong; empty when nothing is."""
        with self.read() as connection:
            self._engine.patient(connection)
            return self._engine.wrong(connection)

    def scrub(self) -> None:
        """Write the files anew, so that nothing of what was deleted can be read from them. Takes a while, and writers wait."""
        with self._words():
            self._engine.scrub()

    def close(self) -> None:
        """Let go of it. What was committed is safe without this."""
        self._engine.close()


def is_server(place: Any) -> bool:
    """Whether ``place`` is the address of a PostgreSQL database, not the path of a file."""
    return isinstance(place, str) and place.startswith(("postgresql:", "postgresql+", "postgres:"))
