"""A PostgreSQL database behind ``store.database``, by pg8000.

``writing`` is READ COMMITTED under a transaction's advisory lock: whoever holds it sees all that its predecessors wrote,
and nobody else writes. ``reading`` is REPEATABLE READ, READ ONLY. A commit returns when the server has it on its disk
(``synchronous_commit``, and with its standbys, if that is how it is set). A process that stands still inside of a write
is cut off after ``IDLE_S``, for it keeps all others waiting; when it wakes, its write fails. Nothing here names a password.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from hashlib import blake2b
from typing import Any, Final

import msgspec
import pg8000
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError

from cocket.core.errors import BadSetting, Busy, CocketError, DataDamaged, Fault, Refused, Unavailable, Unsure
from cocket.store import postgresql_dialect
from cocket.store.postgresql_dialect import sqlstate

IDLE_S: Final = 10
"""How long a write may do nothing, seconds."""
LOCK_S: Final = 30
"""How long a write waits for its turn, seconds."""
ANSWER_S: Final = 120.0
"""How long a statement may take, seconds: a server that stands still does not hang up."""

_CONNECT_S: Final = 5.0
_OLDEST: Final = 170000
_MOST_SAID: Final = 300
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_ADDRESS: Final = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_SESSION: Final = (
    f"SET lock_timeout = '{LOCK_S}s'; SET extra_float_digits = 1; "
    # never less than the server's own disk; more (standbys), if that is its setting
    "SELECT set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') "
    "THEN 'on' ELSE current_setting('synchronous_commit') END, false)"
)
_ABOUT: Final = (
    "SELECT current_setting('server_version_num')::int AS version, current_setting('fsync') AS fsync, "
    "current_setting('server_encoding') AS encoding, to_jsonb(d) ->> 'datlocprovider' AS provider, "
    "d.datcollate AS collation FROM pg_database d WHERE d.datname = current_database()"
)

_TABLES: Final = (  # not the heads of partitioned tables: their rows are in the partitions
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY relname"
)


def key_of(name: str) -> int:
    """The advisory lock of a name: 64 bits, signed."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


class Postgresql:
    """The database at ``url``. Raises ``BadSetting`` when it is none that we can keep anything in."""

    shared = True

    def __init__(self, url: str, branch: str, *, read_only: bool) -> None:
        self._url = _parsed(url)
        self._encryption = False if "host" in self._url.query else _encryption(dict(self._url.query))
        self._branch = branch
        self._read_only = read_only
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        at = sa.URL.create(
            "postgresql", self._url.username, None, self._url.host, self._url.port, self._url.database
        )
        self.place = at.render_as_string() + (
            f"?host={self._url.query['host']}" if "host" in self._url.query else ""
        )
        self.engine = sa.create_engine(
            "postgresql+cocket://",
            creator=self._connect,
            pool_size=8,
            max_overflow=24,
            hide_parameters=True,
            json_serializer=_json,
            json_deserializer=msgspec.json.decode,
        )
        sa.event.listen(self.engine, "begin", _begin)
        sa.event.listen(self.engine, "handle_error", _out_of_step)
        try:
            with self._words(), self._begun("BEGIN READ ONLY") as connection:
                self._look_at(connection.exec_driver_sql(_ABOUT).one())
        except BaseException:
            self.close()
            raise

    def _look_at(self, about: Any) -> None:
        wrong = None
        if about.version < _OLDEST:
            wrong = f"is PostgreSQL {about.version // 10000}; take 18 (17 will do)"
        elif about.fsync != "on":
            wrong = "runs with fsync = off and would lose what it has acknowledged; set it on"
        elif about.encoding != "UTF8" or not (
            about.provider == "b" or about.collation.upper().replace("-", "") in {"C", "POSIX", "C.UTF8"}
        ):
            wrong = (
                f"sorts by {about.collation!r} in {about.encoding}; our lists go by code point: make the database by "
                "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
            )
        if wrong is not None:
            raise BadSetting(f"store.url: {self.place} {wrong}")

    def _connect(self) -> Any:
        """A new session. The password comes from the address, or else from PGPASSWORD."""
        url = self._url
        folder = url.query.get("host")
        port = url.port or 5432
        try:
            if folder:
                raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                raw.settimeout(_CONNECT_S)
                raw.connect(f"{folder}/.s.PGSQL.{port}")
            else:
                raw = socket.create_connection((url.host or "localhost", port), timeout=_CONNECT_S)
                _watch(raw)
        except OSError as error:
            raise pg8000.InterfaceError(f"network error: {error}") from error
        try:
            connection = pg8000.Connection(
                url.username or "cocket",
                host=url.host or "localhost",
                database=url.database,
                password=url.password or os.environ.get("PGPASSWORD", ""),
                ssl_context=self._encryption,
                application_name="cocket",
                sock=raw,
            )
            connection.autocommit = True  # transactions begin where we say so
            connection.execute_simple(_SESSION)
        except ssl.SSLError as error:
            raw.close()
            raise pg8000.InterfaceError(f"TLS: {error}") from error
        except (OSError, ValueError) as error:
            raw.close()
            raise pg8000.InterfaceError(f"network error: {error}") from error
        except BaseException:
            raw.close()
            raise
        connection._usock.settimeout(ANSWER_S)  # noqa: SLF001 - pg8000 has no call for it, and TLS wraps the socket
        return connection

    def version_table(self, branch: str) -> str:
        """Where Alembic keeps the version: both branches may live in one database."""
        return f"alembic_version_{branch}"

    @contextmanager
    def writing(self, lock: str | int | None) -> Iterator[sa.Connection]:
        """A transaction that may write, alone among those of the same ``lock``.

        ``Unsure`` when the connection is lost while it is committed: then it may have been kept.
        """
        begin = (
            f"BEGIN READ {'ONLY' if self._read_only else 'WRITE'}; "
            f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_S}s'"
        )
        if lock is not None:
            begin += f"; SELECT pg_advisory_xact_lock({self._key(str(lock))})"
        # one of our threads queues at the server, the others here: each there costs a connection
        with (
            nullcontext() if lock is None else self._turns[str(lock)],
            self._begun(begin, may_write=True) as connection,
        ):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that sees the database as of its first statement."""
        with self._begun("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as connection:
            yield connection

    @contextmanager
    def _begun(self, begin: str, *, may_write: bool = False) -> Iterator[sa.Connection]:
        connection = self._fresh(begin)
        try:
            try:
                yield connection
            except BaseException:
                with suppress(DBAPIError):  # the error that is on its way says more
                    connection.rollback()
                raise
            try:
                connection.commit()
            except DBAPIError as error:
                if may_write and error.connection_invalidated:
                    raise Unsure(
                        f"{self.place} was lost while a write was being committed: it may have been kept or not. "
                        "Look, or send it again"
                    ) from error
                raise
        finally:
            connection.close()

    def _fresh(self, begin: str) -> sa.Connection:
        """A connection in its transaction. One from the pool may be dead; the next is then a new one."""
        for is_last in (False, True):
            connection = self.engine.connect().execution_options(cocket_begin=begin)
            try:
                connection.begin()
            except BaseException as error:
                connection.close()
                lost = isinstance(error, DBAPIError) and error.connection_invalidated
                if is_last or not lost:
                    raise
            else:
                return connection
        raise AssertionError

    def hold(self, connection: sa.Connection, key: str) -> None:
        """An advisory lock, until the transaction ends."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({self._key(key)})").close()

    def _key(self, name: str) -> int:
        return key_of(f"{self._branch}:{name}")

    def patient(self, connection: sa.Connection) -> None:
        """Wait for this transaction's answers however long they take; the connection is given up afterwards."""
        connection.connection.dbapi_connection._usock.settimeout(None)  # type: ignore[union-attr]  # noqa: SLF001
        connection.connection.detach()

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            words = self.in_words(error)
            if words is None:
                raise
            raise words from error

    def in_words(self, error: Exception) -> CocketError | None:
        """What a person has to know of it, and do; None for an error that is ours."""
        if isinstance(error, sa.exc.TimeoutError):
            return Busy(f"{self.place}: every connection of this process is in use; try again")
        if not isinstance(error, DBAPIError):
            return None
        code = sqlstate(error.orig)
        said = error.orig.args[0] if error.orig is not None and error.orig.args else ""
        text = str(said.get("M", "") if isinstance(said, dict) else said)[:_MOST_SAID]
        if not code and isinstance(error.orig, pg8000.InterfaceError) and "network error" in text:
            return self._away(text.removeprefix("network error").lstrip(": ") or "it hung up")
        if not code and any(word in text for word in ("TLS", "SSL", "Authentication")):
            return BadSetting(f"store.url: {self.place}: {text}; see what its sslmode and sslrootcert say")
        if code in postgresql_dialect.GONE or code[:2] == "08" or code in {"57P03", "53300", "53200"}:
            return self._away(text)
        if code == "53100":
            return CocketError(
                f"{self.place}: the server's disk is full ({text}); nothing of this write was kept. Make room there."
            )
        if code == "25006":
            return Unavailable(
                f"{self.place} takes no writes (a standby, or read-only); let store.url name the primary"
            )
        if code[:2] in {"XX", "58"}:
            return DataDamaged(
                f"{self.place} is damaged, or its disk is ({text}); look into the server's log, then restore from a backup"
            )
        if code in {"55P03", "40P01", "40001"}:
            return Busy(f"{self.place}: another writer was in the way for too long ({text}); try again")
        if code[:2] == "28" or code == "3D000":
            return BadSetting(
                f"store.url: {self.place} lets us not in ({text}); it has to read {_ADDRESS}, and both have to exist"
            )
        return None

    def _away(self, why: str) -> Unavailable:
        return Unavailable(
            f"the database {self.place} does not answer ({why}); nothing of this was kept. "
            "It is tried again by itself; see that the server runs"
        )

    def wrong(self, connection: sa.Connection) -> list[str]:
        """What the server finds when it reads every row, and what its page checksums have found so far."""
        found = []
        failures = connection.exec_driver_sql(
            "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"
        ).scalar()
        if failures:
            found.append(
                f"{failures} pages did not match their checksums since the server's statistics began"
            )
        for name in connection.exec_driver_sql(_TABLES).scalars().all():
            quoted = self.engine.dialect.identifier_preparer.quote(name)
            try:
                with connection.begin_nested():
                    connection.exec_driver_sql(
                        f"SELECT sum(length(t::text)) FROM {quoted} t"  # noqa: S608 - the server's own names
                    ).close()
            except DBAPIError as error:
                if error.connection_invalidated or not isinstance(self.in_words(error), DataDamaged):
                    raise
                said = error.orig.args[0] if error.orig is not None else {}
                found.append(f"table {name}: {said.get('M', said)}")
        return found

    def scrub(self) -> None:
        """VACUUM FULL: every table in new files. The server's own log (WAL) and its copies keep bytes until they are recycled."""
        raw = self.engine.raw_connection()
        try:
            driver = raw.dbapi_connection
            assert driver is not None
            driver._usock.settimeout(None)  # noqa: SLF001 - it takes as long as it takes
            driver.autocommit = True
            cursor = raw.cursor()
            cursor.execute("VACUUM (FULL)")
            cursor.close()
        finally:
            raw.detach()
            raw.close()

    def close(self) -> None:
        """Let go of the server."""
        self.engine.dispose()


def _parsed(url: str) -> sa.URL:
    wanted = f"store.url has to read {_ADDRESS}, or …/DATABASE?host=/FOLDER/OF/THE/SOCKET"
    try:
        found = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise BadSetting(wanted) from error.__class__("it cannot be read")
    unknown = set(found.query) - {"host", "sslmode", "sslrootcert"}
    if (
        found.drivername not in {"postgresql", "postgresql+pg8000", "postgres"}
        or not found.database
        or unknown
    ):
        raise BadSetting(wanted + (f"; {', '.join(sorted(unknown))} means nothing here" if unknown else ""))
    return found.set(drivername="postgresql")


def _encryption(query: dict[str, Any]) -> ssl.SSLContext | bool | None:
    """What ``sslmode`` asks for: none, if the server offers it (the default), always, or also that it is who it says."""
    mode = query.get("sslmode", "prefer")
    if mode in {"disable", "prefer", "require"}:
        return {"disable": False, "prefer": None, "require": True}[mode]
    if mode == "verify-full":
        try:
            return ssl.create_default_context(cafile=query.get("sslrootcert"))
        except OSError as error:
            raise BadSetting(
                f"store.url: sslrootcert {query.get('sslrootcert')} holds no certificates ({error})"
            ) from error
    raise BadSetting(f"store.url: sslmode is disable, prefer, require or verify-full, not {mode!r}")


def _watch(raw: socket.socket) -> None:
    """Notice within half a minute that the other machine is gone."""
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 10),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 25_000),
    ):
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["cocket_begin"]).close()


def _out_of_step(context: Any) -> None:
    """An error that is neither the server's nor the driver's may have left an answer unread: give the connection up."""
    ours = (pg8000.Error, CocketError)
    if context.connection is not None and not isinstance(context.original_exception, ours):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


def _json(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    if "\\u0000" in text and _NUL.search(text):
        detail = "a text holds the character NUL (U+0000), which PostgreSQL does not keep; send it without"
        raise Refused(detail, [Fault("", "text", detail)])
    return text
