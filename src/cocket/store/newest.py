"""When each device was last heard, from a site's tables and files: what a partition without a snapshot asks at its start.

A table is asked device by device along its index ("loose index scan"), never row by row; of devices that a newer day has
shown, older ones are not asked. Files are read in four columns, the newest first; a row group of one device that is known by
then, or of one that nobody asks for, is passed over. So the time goes with the devices in the tables, and with the rows in the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from cocket.core.batch import Array
from cocket.core.schema import BY_NAME
from cocket.store.copy_format import told_text
from cocket.store.copying import UNDEFINED_TABLE, Gone
from cocket.store.observation_tables import REST, observation_periods
from cocket.store.parquet import HistoryFile, rows_of
from cocket.store.postgresql_dialect import sqlstate

_AT_ONCE: Final = 10_000
_NEVER: Final = -(2**63)
_EVER: Final = 2**63 - 1

_DEVICES: Final = (
    "WITH RECURSIVE found(device_id) AS ("
    "(SELECT device_id FROM {table} ORDER BY device_id LIMIT 1) UNION ALL "
    "SELECT next.device_id FROM found CROSS JOIN LATERAL ("
    "SELECT o.device_id FROM {table} o WHERE o.device_id > found.device_id ORDER BY o.device_id LIMIT 1) next) "
    "SELECT device_id FROM found"
)
_TIMES: Final = (
    "SELECT s.device, n.observed_us FROM unnest(CAST(:devices AS text[])) AS s(device) CROSS JOIN LATERAL ("
    'SELECT o.observed_us FROM {table} o WHERE o.device_id = s.device COLLATE "C" AND {which} '
    "ORDER BY o.observed_us DESC LIMIT 1) n"
)


@dataclass(frozen=True, slots=True)
class Which:
    """Which observations count: of a ``time_quality`` out of ``trusted``, no flag of ``unless`` set, of devices that ``of`` wants."""

    trusted: tuple[str, ...]
    unless: tuple[str, ...]
    of: Callable[[str], bool]

    def sql(self, table: str = "") -> str:
        """As a condition on the rows of a table; devices apart."""
        dot = f"{table}." if table else ""
        said = ", ".join(f"'{quality}'" for quality in self.trusted)
        flags = "".join(f" AND {dot}{name} IS NOT TRUE" for name in self.unless)
        return f"{dot}time_quality IN ({said}){flags}"

    def rows(self, record: pa.RecordBatch) -> Array:
        """As a mark on rows of a file."""
        batch = rows_of(record).batch
        quality = batch.array("time_quality")
        if quality is None:
            return np.zeros(batch.n, np.bool_)
        values = BY_NAME["time_quality"].values
        marked: Array = np.isin(quality, [values.index(t) for t in self.trusted])
        for name in self.unless:
            flag = batch.array(name)
            if flag is not None:
                marked &= flag != 1
        return marked


def add_from_tables(
    connection: sa.Connection, moving: Iterable[str], which: Which, found: dict[str, int]
) -> None:
    """Add what tables know, the days first, from the newest back. ``Gone`` if a table is."""
    # along the index whatever the server believes of a day that it has not analysed yet
    connection.exec_driver_sql(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
    )
    periods = observation_periods.c
    hot = sa.select(periods.name, periods.to_us).where(periods.state == "hot")
    days = [(str(name), int(to)) for name, to in connection.execute(hot.order_by(periods.to_us.desc()))]
    for table, to_us in [*days, (REST, _EVER), *((name, _EVER) for name in moving)]:
        try:
            devices = connection.exec_driver_sql(_DEVICES.format(table=table)).scalars().all()
            told = {told_text(d): d for d in devices}
            wanted = [d for name, d in told.items() if found.get(name, _NEVER) < to_us - 1 and which.of(name)]
            query = sa.text(_TIMES.format(table=table, which=which.sql("o")))
            for i in range(0, len(wanted), _AT_ONCE):
                for device, at_us in connection.execute(query, {"devices": wanted[i : i + _AT_ONCE]}):
                    name = told_text(device)
                    found[name] = max(found.get(name, _NEVER), int(at_us))
        except sa.exc.DBAPIError as error:
            if sqlstate(error.orig) == UNDEFINED_TABLE:
                raise Gone from error
            raise


def better_in_file(file: HistoryFile, which: Which, found: dict[str, int]) -> dict[str, int]:
    """What a file knows better than ``found``."""
    better: dict[str, int] = {}
    groups = file.groups_to_ask(
        lambda name, newest_us: which.of(name) and found.get(name, _NEVER) < newest_us
    )
    columns = ["device_id", "observed_us", "time_quality", *which.unless]
    for record in file.read(groups, columns):
        device = record.column("device_id")
        codes = device.indices.to_numpy(zero_copy_only=False)
        marked = which.rows(record)
        newest = np.full(len(device.dictionary), _NEVER, np.int64)
        np.maximum.at(newest, codes[marked], _times(record)[marked])
        for name, at_us in zip(device.dictionary.to_pylist(), newest.tolist(), strict=True):
            if at_us > max(found.get(name, _NEVER), better.get(name, _NEVER)) and which.of(name):
                better[name] = at_us
    return better


def _times(record: pa.RecordBatch) -> Array:
    times: Array = record.column("observed_us").cast(pa.int64()).to_numpy()
    return times
