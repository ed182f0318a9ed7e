"""Observations through PostgreSQL's COPY, by the driver, inside a transaction of SQLAlchemy's."""

# ruff: noqa: S608 - only names of our own and integers are written into SQL; texts go as parameters

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
import pg8000
import sqlalchemy as sa

from cocket.core.batch import Array
from cocket.store.copy_format import EXTRA, copied_columns, copy_body, read_fields, read_rows, stored_text
from cocket.store.postgresql_dialect import sqlstate
from cocket.store.rows import Rows
from cocket.store.spans import Spans

UNDEFINED_TABLE: Final = "42P01"
_FIELDS: Final = 64
"""A field holds one gigabyte at most (PostgreSQL's limit): sixty million keys in each of so many."""


class Gone(Exception):
    """What was being read was moved meanwhile: look again."""


def copied(connection: sa.Connection, query: str, columns: Sequence[str]) -> Iterator[tuple[Rows, Array]]:
    """Rows, with the partition of each, of a query for ``named(columns)``. ``Gone`` if its table is."""
    yield from read_rows(_copied_body(connection, query), columns)


def _copied_body(connection: sa.Connection, query: str) -> memoryview:
    try:
        return copy_out(connection, query)
    except sa.exc.DBAPIError as error:
        if sqlstate(error.orig) == UNDEFINED_TABLE:
            raise Gone from error
        raise


def counted(connection: sa.Connection, table: str) -> int:
    """How many rows a table has. ``Gone`` if it is."""
    try:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())
    except sa.exc.DBAPIError as error:
        if sqlstate(error.orig) == UNDEFINED_TABLE:
            raise Gone from error
        raise


def copied_keys(connection: sa.Connection, table: str, where: str) -> tuple[Array, Array]:
    """Event times and keys of the rows of a table ``o``: sixteen bytes each, many in one field. ``Gone`` if its table is."""
    body = _copied_body(
        connection,
        "SELECT string_agg(int8send(o.observed_us) || int8send(o.key), ''::bytea) "
        f"FROM {table} o WHERE {where} GROUP BY o.key & {_FIELDS - 1}",
    )
    parts = [np.frombuffer(field, ">i8").reshape(-1, 2) for field in read_fields(body)]
    whole = np.concatenate([np.empty((0, 2), np.int64), *parts])
    return np.ascontiguousarray(whole[:, 0], np.int64), np.ascontiguousarray(whole[:, 1], np.int64).view(
        np.uint64
    )


def named(columns: Sequence[str]) -> str:
    """What to select of a table ``o`` for ``copied``: columns of the schema, and where each row came from."""
    return ", ".join(f'o."{name}"' for name in (*columns, *EXTRA))


def ask_spans(connection: sa.Connection, spans: Spans) -> None:
    """Hand the spans over, overlaps joined; a COPY takes no parameters, so they go by settings of the transaction."""
    names: list[str] = []
    lows: list[int] = []
    highs: list[int] = []
    for i, name in enumerate(spans.names):
        last = len(lows)
        text = stored_text(name)
        part = slice(int(spans.start[i]), int(spans.start[i + 1]))
        for low, high in zip(spans.low[part].tolist(), spans.high[part].tolist(), strict=True):
            if high <= low:
                continue
            if len(lows) > last and low <= highs[-1]:
                highs[-1] = max(highs[-1], high)
                continue
            names.append(text)
            lows.append(low)
            highs.append(high)
    connection.execute(
        sa.text(
            "SELECT set_config('cocket.devices', CAST(CAST(:names AS text[]) AS text), true), "
            "set_config('cocket.lows', CAST(CAST(:lows AS bigint[]) AS text), true), "
            "set_config('cocket.highs', CAST(CAST(:highs AS bigint[]) AS text), true)"
        ),
        {"names": names, "lows": lows, "highs": highs},
    )


def spans_sql(table: str, columns: Sequence[str], spans: Spans) -> str:
    """A query for the rows of a table that lie in the spans that were handed over."""
    return (
        f"SELECT {named(columns)} FROM unnest(current_setting('cocket.devices')::text[], "
        "current_setting('cocket.lows')::bigint[], current_setting('cocket.highs')::bigint[]) AS s(device, low, high) "
        f'JOIN {table} o ON o.device_id = s.device COLLATE "C" AND o.observed_us >= s.low AND o.observed_us < s.high '
        f"WHERE o.observed_us >= {spans.min_us} AND o.observed_us < {spans.max_us}"
    )


def copy_in(connection: sa.Connection, table: str, rows: Rows, partition: int) -> None:
    """COPY rows into a table, binary, in the caller's transaction."""
    names = ", ".join(f'"{name}"' for name in copied_columns(rows.batch))
    # whole before it is sent: an error in the midst of a COPY would cost the connection
    body = list(copy_body(rows, partition))
    _copy(connection, f"COPY {table} ({names}) FROM STDIN (FORMAT binary)", body)


def copy_out(connection: sa.Connection, query: str) -> memoryview:
    """The body of a COPY of a query's rows, binary."""
    sink = BytesIO()
    _copy(connection, f"COPY ({query}) TO STDOUT (FORMAT binary)", sink)
    return sink.getbuffer()


def _copy(connection: sa.Connection, statement: str, stream: Any) -> None:
    raw = connection.connection.dbapi_connection
    assert raw is not None
    cursor: Any = raw.cursor()
    try:
        cursor.execute(statement, stream=stream)
    except (pg8000.Error, OSError) as error:
        said = error if isinstance(error, pg8000.Error) else pg8000.InterfaceError(f"network error: {error}")
        lost = connection.dialect.is_disconnect(said, raw, cursor)
        if lost:
            connection.invalidate(said)
        raise sa.exc.DBAPIError.instance(
            statement, (), said, pg8000.Error, hide_parameters=True, connection_invalidated=lost
        ) from error
    except BaseException as error:
        connection.invalidate(error)  # half of an answer may lie on the wire
        raise
    finally:
        cursor.close()
