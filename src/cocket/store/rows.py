"""Observations with the two things that the schema does not hold: their keys, and the log entries they came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from cocket.core.batch import Array, Batch, Texts, concat
from cocket.core.schema import arrow_schema


@dataclass(frozen=True, slots=True)
class Rows:
    """``keys`` (uint64, see ``core.keys``) and ``offsets`` (int64) stand beside each row of ``batch``."""

    batch: Batch
    keys: Array
    offsets: Array

    def take(self, chosen: Array | slice) -> Rows:
        """The chosen rows, in that order."""
        return Rows(self.batch.take(chosen), self.keys[chosen], self.offsets[chosen])


NOTHING = Rows(Batch(0, {}), np.empty(0, np.uint64), np.empty(0, np.int64))


def join(parts: Sequence[Rows]) -> Rows:
    """All rows of ``parts``, in order."""
    if not parts:
        return NOTHING
    if len(parts) == 1:
        return parts[0]
    return Rows(
        concat([p.batch for p in parts]),
        np.concatenate([p.keys for p in parts]),
        np.concatenate([p.offsets for p in parts]),
    )


def join_of_devices(parts: Sequence[tuple[Rows, Array]], names: list[str]) -> Rows:
    """As ``join``, where parts lack ``device_id`` and each comes with its codes into one list of names."""
    if not parts:
        return NOTHING
    rows = join([rows for rows, _ in parts])
    columns = {"device_id": Texts(np.concatenate([codes for _, codes in parts]), names), **rows.batch.columns}
    return Rows(only_used(Batch(rows.batch.n, columns)), rows.keys, rows.offsets)


def only_used(batch: Batch, *, always: bool = False) -> Batch:
    """Drop text values that no row uses, where they outnumber the rows: a batch may share a far larger table."""
    columns = dict(batch.columns)
    for name, data in batch.columns.items():
        if isinstance(data, Texts) and (always or len(data.values) > 2 * batch.n + 8):
            used, codes = np.unique(data.codes, return_inverse=True)
            nulls = int(used[0] < 0) if len(used) else 0
            columns[name] = Texts(
                (codes - nulls).astype(np.int32), [data.values[c] for c in used[nulls:].tolist()]
            )
    return Batch(batch.n, columns)


def in_order(rows: Rows) -> Rows:
    """Sorted by device (as text), event time, sequence with null first, key: the order of history files."""
    if rows.batch.n < 2:
        return rows
    device = rows.batch.columns["device_id"]
    assert isinstance(device, Texts)
    place = np.empty(len(device.values), np.int64)
    place[np.array(sorted(range(len(device.values)), key=device.values.__getitem__), np.int64)] = np.arange(
        len(device.values)
    )
    rank = place[device.codes]
    observed = rows.batch.filled("observed_us")
    by_time = np.argsort(observed, kind="stable")
    order = by_time[np.argsort(rank[by_time], kind="stable")]
    rank, observed = rank[order], observed[order]
    same = (rank[1:] == rank[:-1]) & (observed[1:] == observed[:-1])
    if same.any():
        tied = np.zeros(len(order), np.bool_)
        tied[1:] |= same
        tied[:-1] |= same
        where = np.flatnonzero(tied)
        rest = order[where]
        again = np.lexsort(
            (rows.keys[rest], rows.batch.filled("sequence")[rest], observed[where], rank[where])
        )
        order[where] = rest[again]
    elif bool((order[1:] > order[:-1]).all()):
        return rows
    return rows.take(order)


def as_table(rows: Rows) -> pa.Table:
    """As an Arrow table with every column of the schema, ``key`` and ``offset``."""
    record = rows.batch.to_arrow()
    data = [
        record.column(f.name).cast(f.type)
        if f.name in record.schema.names
        else pa.nulls(rows.batch.n, f.type)
        for f in arrow_schema()
    ]
    names = [f.name for f in arrow_schema()]
    return pa.table([*data, pa.array(rows.keys), pa.array(rows.offsets)], names=[*names, "key", "offset"])
