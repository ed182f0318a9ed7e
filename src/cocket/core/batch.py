"""A batch of observations as columns.

In memory a column is one NumPy array (``FLOAT`` float64 with NaN for null, ``INT``/``TIME`` int64 with
``NULL_INT``, ``BOOL`` int8 with -1, ``ENUM`` int8 code into ``Column.values`` with -1) or, for ``TEXT``, a
``Texts``. A column that is null in every row is simply absent: most devices fill a dozen of some forty.
No object per observation exists here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cocket.core.errors import DataDamaged
from cocket.core.schema import BY_NAME, COLUMNS, NULL_BOOL, NULL_INT, SCHEMA_VERSION, Kind, arrow_type

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

DTYPES: dict[Kind, Any] = {
    Kind.FLOAT: np.float64,
    Kind.INT: np.int64,
    Kind.TIME: np.int64,
    Kind.BOOL: np.int8,
    Kind.ENUM: np.int8,
}
NULLS: dict[Kind, Any] = {
    Kind.FLOAT: np.nan,
    Kind.INT: NULL_INT,
    Kind.TIME: NULL_INT,
    Kind.BOOL: NULL_BOOL,
    Kind.ENUM: -1,
}


@dataclass(slots=True)
class Texts:
    """A text column: ``codes`` (int32, -1 for null) into ``values``, which may hold unused entries."""

    codes: Array
    values: list[str]

    @classmethod
    def of(cls, items: Sequence[str | None]) -> Texts:
        """From one string or None per row."""
        index: dict[str, int] = {}
        codes = np.fromiter(
            (-1 if s is None else index.setdefault(s, len(index)) for s in items), np.int32, len(items)
        )
        return cls(codes, list(index))

    @classmethod
    def constant(cls, text: str, n: int) -> Texts:
        """The same text in each of ``n`` rows."""
        return cls(np.zeros(n, np.int32), [text])

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Array | slice) -> Texts:
        """The chosen rows, sharing ``values``."""
        return Texts(self.codes[rows], self.values)

    def row(self, i: int) -> str | None:
        """The text of one row."""
        code = int(self.codes[i])
        return None if code < 0 else self.values[code]

    def to_list(self) -> list[str | None]:
        """One string or None per row."""
        table = [*self.values, None]
        return [table[c] for c in self.codes.tolist()]


ColumnData: TypeAlias = "Array | Texts"


@dataclass(slots=True)
class Batch:
    """``n`` observations. ``columns`` maps a schema column's name to its data; absent means all null."""

    n: int
    columns: dict[str, ColumnData]

    def array(self, name: str) -> Array | None:
        """A numeric, truth, enum or time column; None when it is null in every row."""
        return cast("Array | None", self.columns.get(name))

    def filled(self, name: str) -> Array:
        """As ``array``, but an array of nulls in place of None."""
        data = self.array(name)
        if data is None:
            kind = BY_NAME[name].kind
            return np.full(self.n, NULLS[kind], DTYPES[kind])
        return data

    def texts(self, name: str) -> Texts | None:
        """A text column; None when it is null in every row."""
        return cast("Texts | None", self.columns.get(name))

    def take(self, rows: Array | slice) -> Batch:
        """The chosen rows (indices, mask or slice), in that order."""
        n = (
            len(range(*rows.indices(self.n)))
            if isinstance(rows, slice)
            else (int(rows.sum()) if rows.dtype == np.bool_ else len(rows))
        )
        return Batch(
            n,
            {k: v.take(rows) if isinstance(v, Texts) else v[rows] for k, v in self.columns.items()},
        )

    def row(self, i: int) -> dict[str, Any]:
        """One observation as plain values, nulls left out; times as microseconds. For reading, not for speed."""
        out: dict[str, Any] = {}
        for column in COLUMNS:
            data = self.columns.get(column.name)
            if data is None:
                continue
            value = _plain(column.kind, column.values, data, i)
            if value is not None:
                out[column.name] = value
        return out

    def to_arrow(self) -> pa.RecordBatch:
        """As an Arrow record batch with the schema's types; columns that are all null are left out."""
        arrays: list[pa.Array] = []
        fields: list[pa.Field] = []
        for column in COLUMNS:
            data = self.columns.get(column.name)
            if data is not None:
                arrays.append(_to_arrow(column.name, data))
                fields.append(pa.field(column.name, arrays[-1].type))
        schema = pa.schema(fields, metadata={"cocket.schema": str(SCHEMA_VERSION)})
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    @classmethod
    def from_arrow(cls, table: pa.RecordBatch | pa.Table) -> Batch:
        """From Arrow with the schema's names and types (text may be dictionary-encoded).

        Raises ``DataDamaged`` on a column that the schema does not know.
        """
        columns: dict[str, ColumnData] = {}
        for name in table.schema.names:
            if name not in BY_NAME:
                raise DataDamaged(
                    f"column {name!r} is not in the observation schema; written by a newer version?"
                )
            data = table.column(name)
            if isinstance(data, pa.ChunkedArray):
                data = data.chunk(0) if data.num_chunks == 1 else data.combine_chunks()
            if data.null_count < len(data):
                columns[name] = _from_arrow(name, data)
        return cls(table.num_rows, columns)


def concat(batches: Sequence[Batch]) -> Batch:
    """All rows of ``batches``, in order."""
    if len(batches) == 1:
        return batches[0]
    n = sum(b.n for b in batches)
    columns: dict[str, ColumnData] = {}
    for name in dict.fromkeys(name for b in batches for name in b.columns):
        if BY_NAME[name].kind is Kind.TEXT:
            columns[name] = _concat_texts([(b.n, b.texts(name)) for b in batches])
        else:
            columns[name] = np.concatenate([b.filled(name) for b in batches])
    return Batch(n, columns)


def _concat_texts(parts: Iterable[tuple[int, Texts | None]]) -> Texts:
    index: dict[str, int] = {}
    codes: list[Array] = []
    for n, texts in parts:
        if texts is None:
            codes.append(np.full(n, -1, np.int32))
            continue
        table = np.fromiter(
            [*(index.setdefault(v, len(index)) for v in texts.values), -1], np.int32, len(texts.values) + 1
        )
        codes.append(table[texts.codes])
    return Texts(np.concatenate(codes), list(index))


def _plain(kind: Kind, values: tuple[str, ...], data: ColumnData, i: int) -> Any:
    if isinstance(data, Texts):
        return data.row(i)
    value = data[i].item()
    if kind is Kind.FLOAT:
        return None if value != value else value  # noqa: PLR0124 - NaN is the null
    if kind is Kind.BOOL:
        return None if value < 0 else bool(value)
    if kind is Kind.ENUM:
        return None if value < 0 else values[value]
    return None if value == NULL_INT else value


def _to_arrow(name: str, data: ColumnData) -> pa.Array:
    column = BY_NAME[name]
    if isinstance(data, Texts):
        codes = pa.array(data.codes, mask=data.codes < 0)
        return pa.DictionaryArray.from_arrays(codes, pa.array(data.values, pa.string()))
    if column.kind is Kind.FLOAT:
        return pa.array(data, from_pandas=True)
    if column.kind is Kind.ENUM:
        codes = pa.array(data, mask=data < 0)
        return pa.DictionaryArray.from_arrays(codes, pa.array(column.values, pa.string()))
    if column.kind is Kind.BOOL:
        return pa.array(data == 1, mask=data < 0)
    nulls = data == NULL_INT
    array = pa.array(data, mask=nulls) if nulls.any() else pa.array(data)
    return array.cast(arrow_type(name))


def _from_arrow(name: str, data: pa.Array) -> ColumnData:
    column = BY_NAME[name]
    if column.kind in (Kind.TEXT, Kind.ENUM):
        if not pa.types.is_dictionary(data.type):
            data = data.dictionary_encode()
        codes = _own(pc.fill_null(data.indices.cast(pa.int32()), -1))
        values = data.dictionary.to_pylist()
        if column.kind is Kind.TEXT:
            return Texts(codes, values)
        known = {v: i for i, v in enumerate(column.values)}
        unknown = [v for v in values if v not in known]
        if unknown:
            raise DataDamaged(
                f"column {name!r} holds {unknown[0]!r}, which is none of {', '.join(column.values)}"
            )
        table = np.array([*(known[v] for v in values), -1], np.int8)
        enums: Array = table[codes]
        return enums
    out: Array
    if column.kind is Kind.FLOAT:
        out = _own(data.cast(pa.float64()))
    elif column.kind is Kind.BOOL:
        out = _own(pc.fill_null(data.cast(pa.int8()), NULL_BOOL))
    else:
        out = _own(pc.fill_null(data.cast(pa.int64()), NULL_INT))
    return out


def _own(data: pa.Array) -> Array:
    """As a NumPy array that may be written to: a compiled kernel is compiled again for one that may not."""
    array: Array = data.to_numpy(zero_copy_only=False)
    return array if array.flags.writeable else array.copy()
