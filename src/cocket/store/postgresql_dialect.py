"""PostgreSQL by pg8000, as our tables need it.

``Integer`` is 64 bits wide, as it is in SQLite. Text that PostgreSQL cannot keep is refused before a byte of it is sent: a
statement that breaks off half-way would leave its answer on the wire for the next one. A connection that is gone is
told by one kind of error, however it went.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

import pg8000
import sqlalchemy as sa
from pg8000.converters import make_params
from pg8000.dbapi import convert_paramstyle
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler, PGTypeCompiler
from sqlalchemy.dialects.postgresql.pg8000 import PGCompiler_pg8000, PGDialect_pg8000

from cocket.core.errors import Fault, Refused

GONE: Final = ("57P01", "57P02", "57P05", "25P03", "25P04")
"""SQLSTATE of a session that the server has ended: shut down, crashed, idle for too long (PostgreSQL, Appendix A)."""

_BARE: Final = sa.literal(0).type
"""The type of a number that is compared with no column: there is one of it."""
_STALE: Final = ("0A000", "26000")
"""A prepared statement that a migration overtook, or that the server does not know any more: begin anew."""
_MOST_PREPARED: Final = 200
_statements: WeakKeyDictionary[Any, OrderedDict[str, tuple[Any, ...]]] = WeakKeyDictionary()
"""By connection, what is prepared there. A connection is used by one thread at a time."""


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
            if parameters:
                _prepared(cursor, statement, [parameters])
            else:
                super().do_execute(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_executemany(
        self, cursor: Any, statement: str, parameters: Any, context: Any | None = None
    ) -> None:
        """One statement for many rows."""
        del context
        for row in parameters:
            _check(row)
        with _network():
            _prepared(cursor, statement, parameters)

    def do_commit(self, dbapi_connection: Any) -> None:
        """Commit; an error where the server rolled back instead, as it does after a statement that failed."""
        with _network():
            dbapi_connection.execute_simple("COMMIT")

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Undo."""
        with _network():
            if dbapi_connection._in_transaction:  # noqa: SLF001 - pg8000 has no other way to ask
                dbapi_connection.execute_simple("ROLLBACK")

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
        if code in GONE or code in _STALE or code.startswith("08"):
            return True
        return bool(super().is_disconnect(e, connection, cursor))  # type: ignore[no-untyped-call]


def _prepared(cursor: Any, statement: str, rows: Sequence[Any]) -> None:
    """Run a statement for each row of parameters, prepared once for each connection.

    pg8000 parses, plans and describes a statement whenever it is run, in three round trips; this needs one.
    """
    connection = cursor._c  # noqa: SLF001 - what pg8000's own cursor does, with its statement kept
    try:
        known = _statements.setdefault(connection, OrderedDict())
        found = known.get(statement)
        if found is None:
            if len(known) >= _MOST_PREPARED:
                connection.close_prepared_statement(known.popitem(last=False)[1][0])
            text, _ = convert_paramstyle("format", statement, rows[0])
            found = known[statement] = (*connection.prepare_statement(text, ()), text)
        else:
            known.move_to_end(statement)
        name, columns, adapters, text = found
        count = 0
        for row in rows:
            values = make_params(connection.py_types, row)
            done = connection.execute_named(name, values, columns, adapters, text)
            count += max(done.row_count, 0)
    except pg8000.exceptions.DatabaseError as error:
        raise (pg8000.IntegrityError if sqlstate(error).startswith("23") else pg8000.ProgrammingError)(
            *error.args
        ) from error
    done.row_count = count
    cursor._context = done  # noqa: SLF001
    cursor._row_iter = iter(done.rows or ())  # noqa: SLF001


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
