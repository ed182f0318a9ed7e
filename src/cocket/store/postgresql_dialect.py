"""PostgreSQL by pg8000, as our tables need it.

``Integer`` is 64 bits wide, as it is in SQLite. Text that PostgreSQL cannot keep is refused before a byte of it is sent: a
statement that breaks off half-way would leave its answer on the wire for the next one. A connection that is gone is
told by one kind of error, however it went.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import pg8000
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler, PGTypeCompiler
from sqlalchemy.dialects.postgresql.pg8000 import PGCompiler_pg8000, PGDialect_pg8000

from cocket.core.errors import Fault, Refused

GONE: Final = ("57P01", "57P02", "57P05", "25P03", "25P04")
"""SQLSTATE of a session that the server has ended: shut down, crashed, idle for too long (PostgreSQL, Appendix A)."""

_BARE: Final = sa.literal(0).type
"""The type of a number that is compared with no column: there is one of it."""


def sqlstate(error: BaseException | None) -> str:
    """The five characters of a server's error; empty when the server did not say anything."""
    said = error.args[0] if error is not None and error.args else None
    return str(said.get("C", "")) if isinstance(said, dict) else ""


class _Types(PGTypeCompiler):
    def visit_INTEGER(self, type_: Any, **kw: Any) -> str:  # noqa: N802 - SQLAlchemy's name
        """In the definition of a column; what SQLAlchemy asks the catalogue keeps its own integers."""
        if kw.get("type_expression") is not None:
            return "BIGINT"
        return str(super().visit_INTEGER(type_, **kw))


class _Statements(PGCompiler_pg8000):
    def render_bind_cast(self, type_: Any, dbapi_type: Any, sqltext: str) -> str:
        """A value beside one of our columns is as wide as that; a number that stands for itself is an ``integer``."""
        if type(type_) is sa.Integer and type_ is not _BARE:
            return f"{sqltext}::BIGINT"
        return super().render_bind_cast(type_, dbapi_type, sqltext)  # type: ignore[no-any-return, no-untyped-call]


class _Tables(PGDDLCompiler):
    def get_column_specification(self, column: Any, **kw: Any) -> str:
        said = str(super().get_column_specification(column, **kw))  # type: ignore[no-untyped-call]
        return said.replace(" SERIAL", " BIGSERIAL", 1)


class Dialect(PGDialect_pg8000):
    """Registered as ``postgresql+cocket``; Alembic and the tables take it for PostgreSQL."""

    driver = "cocket"
    supports_statement_cache = True
    type_compiler_cls = _Types
    statement_compiler = _Statements
    ddl_compiler = _Tables
    use_insertmanyvalues_wo_returning = True

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any | None = None) -> None:
        """One statement; ``Refused`` for text that cannot be kept."""
        _check(parameters)
        with _network():
            super().do_execute(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_executemany(
        self, cursor: Any, statement: str, parameters: Any, context: Any | None = None
    ) -> None:
        """One statement for many rows."""
        for row in parameters:
            _check(row)
        with _network():
            super().do_executemany(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_commit(self, dbapi_connection: Any) -> None:
        """Commit; an error where the server rolled back instead, as it does after a statement that failed."""
        with _network():
            super().do_commit(dbapi_connection)  # type: ignore[no-untyped-call]

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Undo."""
        with _network():
            super().do_rollback(dbapi_connection)  # type: ignore[no-untyped-call]

    def do_close(self, dbapi_connection: Any) -> None:
        """Let go of a session; of one that is gone already there is nothing to say."""
        with suppress(pg8000.Error, OSError):
            dbapi_connection.close()

    def do_terminate(self, dbapi_connection: Any) -> None:
        """As ``do_close``."""
        self.do_close(dbapi_connection)

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:
        """Whether the connection is gone, and with it what was not committed."""
        code = sqlstate(e)
        if code in GONE or code.startswith("08"):
            return True
        return bool(super().is_disconnect(e, connection, cursor))  # type: ignore[no-untyped-call]


@contextmanager
def _network() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        # pg8000 lets some of the socket's own errors through, and that of a closed file
        if isinstance(error, ValueError) and "closed file" not in str(error):
            raise
        raise pg8000.InterfaceError(f"network error: {error}") from error


def _check(parameters: Any) -> None:
    for value in parameters.values() if isinstance(parameters, dict) else parameters:
        if isinstance(value, str):
            if "\0" in value:
                _refuse("the character NUL (U+0000)")
            if not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError:
                    _refuse("half of a surrogate pair, which is no character")


def _refuse(what: str) -> None:
    detail = f"a text holds {what}, which PostgreSQL does not keep; send it without"
    raise Refused(detail, [Fault("", "text", detail)])


sa.dialects.registry.register("postgresql.cocket", "cocket.store.postgresql_dialect", "Dialect")
