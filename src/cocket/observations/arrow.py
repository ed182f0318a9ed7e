"""Arrow IPC streams of observations to ``Decoded``: column by column, no row is touched unless it is wrong."""

from __future__ import annotations

import json
import struct
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cocket.core.batch import NULLS, Array, Batch, ColumnData, Texts
from cocket.core.clock import rfc3339
from cocket.core.doors import Decoded, Reject
from cocket.core.errors import Fault, Malformed, TooLarge
from cocket.core.schema import BY_NAME, Column, Kind
from cocket.observations.columns import distinct_texts
from cocket.observations.rules import MAX_US, MIN_US, check_row, limits, reject, text_fault, unknown_field

_BODY_LIMIT: Final = 1 << 28
_I8, _I32, _I64, _F64 = pa.int8(), pa.int32(), pa.int64(), pa.float64()


def read_arrow(body: bytes, *, max_rows: int, source: str = "http", max_bytes: int = _BODY_LIMIT) -> Decoded:
    """An Arrow IPC stream whose columns carry the schema's names (``observed_at`` stands for ``observed_us``).

    Column types may differ where nothing is lost: any integer or float for a number, any timestamp with a time
    zone (or int64 microseconds) for a time, plain or dictionary-encoded text. NaN is null. A row that breaks a rule
    becomes a reject whose raw bytes are the row as JSON. Raises ``Malformed`` for what is no Arrow stream, for a
    column that the schema does not know and for a type that cannot be taken; ``TooLarge`` over ``max_rows``, or
    where compressed buffers would grow over ``max_bytes``.
    """
    _bounded(body, max_bytes)
    try:
        with pa.ipc.open_stream(body) as stream:
            _check_names(stream.schema)
            batches, n = [], 0
            for batch in stream:
                if batch.num_rows < 0:  # the library hands on what the message says
                    raise Malformed(
                        f"the body is no Arrow IPC stream: it holds a record batch of {batch.num_rows} rows"
                    )
                n += batch.num_rows
                if n > max_rows:
                    raise TooLarge(
                        f"the body holds more than {max_rows} rows, this door takes no more at once; send it in parts"
                    )
                batch.validate(full=True)
                batches.append(batch)
            table = pa.Table.from_batches(batches, stream.schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Malformed(f"the body is no Arrow IPC stream: {str(error)[:300]}") from error
    columns: dict[str, ColumnData] = {}
    wrong = np.zeros(n, np.bool_)
    for name in table.schema.names:
        data = table.column(name)
        if data.null_count < n:
            column = BY_NAME["observed_us" if name == "observed_at" else name]
            try:
                array = data.chunk(0) if data.num_chunks == 1 else data.combine_chunks()
                columns[column.name] = _column(column, name, array, wrong)
            except pa.ArrowException as error:
                raise Malformed(_no_such_type(column, name, data.type)) from error
    _rows(columns, n, wrong)
    batch = Batch(n, columns)
    if not wrong.any():
        return Decoded(batch, np.arange(n), [], source)
    bad = np.flatnonzero(wrong)
    rejects = [_reject(table, r) for r in bad.tolist()]
    good = np.flatnonzero(~wrong)
    return Decoded(batch.take(good), good, rejects, source)


def _check_names(schema: pa.Schema) -> None:
    faults = []
    for name in schema.names:
        column = BY_NAME.get("observed_us" if name == "observed_at" else name)
        if column is None:
            faults.append(Fault(name[:64], "unknown-field", unknown_field(name)))
        elif not column.door:
            faults.append(Fault(name, "server-set", f"{name} is set by the server; leave it out"))
    if len(set(schema.names)) != len(schema.names):
        faults.append(Fault("", "duplicate-key", "a column name stands twice"))
    if "observed_at" in schema.names and "observed_us" in schema.names:
        faults.append(Fault("observed_at", "both-times", "give observed_at or observed_us, not both"))
    if faults:
        raise Malformed(f"the Arrow schema cannot be taken: {faults[0].detail}", faults)


def _no_such_type(column: Column, name: str, given: pa.DataType) -> str:
    wanted = {
        Kind.TEXT: "string",
        Kind.ENUM: "string",
        Kind.BOOL: "bool",
        Kind.INT: "int64",
        Kind.FLOAT: "double",
        Kind.TIME: "timestamp[us, tz=UTC]",
    }[column.kind]
    return f"column {name!r} has the Arrow type {given}; send it as {wanted}"


def _column(column: Column, name: str, data: pa.Array, wrong: Array) -> ColumnData:
    kind, given = column.kind, data.type
    if pa.types.is_dictionary(given) and kind not in (Kind.TEXT, Kind.ENUM):
        data = data.dictionary_decode()
        given = data.type
    number = pa.types.is_integer(given) or pa.types.is_floating(given)
    if kind in (Kind.TEXT, Kind.ENUM):
        return _texts(column, name, data, wrong)
    if kind is Kind.BOOL:
        if not pa.types.is_boolean(given):
            raise Malformed(_no_such_type(column, name, given))
        return _filled(data.cast(_I8), NULLS[kind])
    if kind is Kind.FLOAT:
        if not number:
            raise Malformed(_no_such_type(column, name, given))
        floats: Array = _as(data, _F64).to_numpy(zero_copy_only=False)
        lo, hi = limits(column)
        if not _all_within(floats, lo, hi):
            wrong |= ~((floats >= lo) & (floats <= hi)) & ~np.isnan(floats)
        return floats
    return _whole(column, name, data, wrong)


def _all_within(floats: Array, lo: float, hi: float) -> bool:
    """Whether no value but NaN lies outside; cheaper than a mask of all rows."""
    return bool(np.fmin.reduce(floats) >= lo and np.fmax.reduce(floats) <= hi)


def _whole(column: Column, name: str, data: pa.Array, wrong: Array) -> Array:
    given = data.type
    if pa.types.is_timestamp(given):
        if given.tz is None:
            raise Malformed(
                f"column {name!r} is a timestamp without a time zone; send it as timestamp[us, tz=UTC]"
            )
        if given.unit != "us":
            data = data.cast(pa.timestamp("us", given.tz), safe=False)
        data = data.view(_I64)
    elif column.kind is Kind.TIME and name == "observed_at" and not pa.types.is_integer(given):
        raise Malformed(_no_such_type(column, name, given))
    elif pa.types.is_floating(given):
        floats = _as(data, _F64).to_numpy(zero_copy_only=False)
        broken = ~np.isnan(floats) & ~((np.floor(floats) == floats) & (np.abs(floats) < 2.0**62))
        wrong |= broken
        whole = np.where(np.isnan(floats) | broken, 0, floats).astype(np.int64)
        whole[np.isnan(floats)] = NULLS[Kind.INT]
        data = pa.array(whole, mask=np.isnan(floats))
    elif not pa.types.is_integer(given):
        raise Malformed(_no_such_type(column, name, given))
    if pa.types.is_uint64(data.type):
        large = pc.greater(data, pa.scalar(2**63 - 1, pa.uint64()))
        wrong |= pc.fill_null(large, False).to_numpy(zero_copy_only=False)
        data = _as(data, _I64)
    lo, hi = (MIN_US, MAX_US) if column.kind is Kind.TIME else (int(column.lo or 0), int(column.hi or 0))
    null: int = NULLS[Kind.INT]
    out = _filled(_as(data, _I64), null)
    outside = (out < lo) | (out > hi)
    if outside.any():
        missing = pc.is_null(data).to_numpy(zero_copy_only=False)
        wrong |= outside & ~missing
    return out


def _texts(column: Column, name: str, data: pa.Array, wrong: Array) -> ColumnData:
    if pa.types.is_string_view(data.type):
        data = data.cast(pa.large_string())
    if not pa.types.is_dictionary(data.type):
        if not (pa.types.is_string(data.type) or pa.types.is_large_string(data.type)):
            raise Malformed(_no_such_type(column, name, data.type))
        data = data.dictionary_encode()
    value_type = data.type.value_type
    if not (pa.types.is_string(value_type) or pa.types.is_large_string(value_type)):
        raise Malformed(_no_such_type(column, name, data.type))
    codes = _filled(_as(data.indices, _I32), -1)
    dictionary = data.dictionary
    known, broken = _distinct(column, dictionary)
    if broken:
        wrong |= np.isin(codes, np.array(broken, np.int32))
    if dictionary.null_count:
        table = np.append(np.where(dictionary.is_valid(), np.arange(len(known)), -1), -1).astype(np.int32)
        codes = table[codes]
    if column.kind is Kind.TEXT:
        return Texts(codes, known)
    index = {v: i for i, v in enumerate(column.values)}
    return np.array([*(index.get(v, -1) for v in known), NULLS[Kind.ENUM]], np.int8)[codes]


def _distinct(column: Column, dictionary: pa.Array) -> tuple[list[str], list[int]]:
    """The texts of a dictionary ("" for its nulls), and which of them break a rule of the column."""
    if dictionary.null_count:
        values = [v or "" for v in dictionary.to_pylist()]
        there = dictionary.is_valid().to_pylist()
        return values, [i for i, v in enumerate(values) if there[i] and _breaks(column, v)]
    _, offsets, data = dictionary.buffers()
    kind = np.int64 if pa.types.is_large_string(dictionary.type) else np.int32
    if data is None or not len(dictionary):
        return [""] * len(dictionary), list(range(len(dictionary)))
    cuts = np.frombuffer(offsets, kind)[dictionary.offset : dictionary.offset + len(dictionary) + 1].astype(
        np.int64
    )
    return distinct_texts(column, np.frombuffer(data, np.uint8), cuts[:-1], cuts[1:])


def _breaks(column: Column, value: str) -> bool:
    if column.kind is Kind.ENUM:
        return value not in column.values
    return text_fault(column, value) is not None


def _as(data: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The array in that type; a cast that changes nothing costs as much as a column."""
    return data if data.type == wanted else data.cast(wanted, safe=False)


def _filled(data: pa.Array, null: int) -> Array:
    """As NumPy, with ``null`` where it is null."""
    out: Array = (pc.fill_null(data, null) if data.null_count else data).to_numpy(zero_copy_only=False)
    return out


def _rows(columns: dict[str, ColumnData], n: int, wrong: Array) -> None:
    """The rules between columns: device and time are there, latitude and longitude come together."""
    device, time = columns.get("device_id"), columns.get("observed_us")
    if isinstance(device, Texts) and time is not None and not isinstance(time, Texts):
        wrong |= device.codes < 0
        wrong |= time == NULLS[Kind.TIME]
    else:
        wrong |= True
    there = [columns[name] for name in ("lat_deg", "lon_deg") if name in columns]
    nulls = [np.isnan(data) for data in there if not isinstance(data, Texts)]
    if nulls:
        wrong |= nulls[0] != (nulls[1] if len(nulls) == 2 else np.ones(n, np.bool_))


def _reject(table: pa.Table, row: int) -> Reject:
    """The fault of one row, told by the same rules as JSON, with the row as JSON for its raw bytes."""
    cells: dict[str, Any] = {}
    for name in table.schema.names:
        scalar = table.column(name)[row]
        if pa.types.is_timestamp(scalar.type) and scalar.is_valid:
            us = scalar.cast(pa.timestamp("us", scalar.type.tz), safe=False).value
            cells["observed_at"] = rfc3339(us) if MIN_US <= us <= MAX_US else str(scalar)
            continue
        value = scalar.as_py()
        if name == "observed_at" and isinstance(value, int):
            name = "observed_us"  # noqa: PLW2901
        cells[name] = None if value != value else value  # noqa: PLR0124 - NaN is null
    fault = check_row(cells)
    if not isinstance(fault, Fault):
        raise AssertionError(  # noqa: TRY004 - the masks and the rules disagree
            f"row {row} was marked wrong, and the rules find nothing: {cells!r}"
        )
    return reject(row, fault, json.dumps(cells, ensure_ascii=False).encode("utf-8", "backslashreplace"))


def _bounded(body: bytes, max_bytes: int) -> None:
    """Add up what compressed buffers say they grow to (Arrow columnar format, "Compression")."""
    total, at = 0, 0
    try:
        while at + 8 <= len(body):
            mark, size = struct.unpack_from("<Ii", body, at)
            at += 8
            if mark != 0xFFFFFFFF:
                at -= 4
                size = mark
            if size <= 0:
                break
            meta = body[at : at + size]
            at += size
            length, buffers = _message(meta)
            if length < 0:
                break
            for offset, stored in buffers:
                if stored >= 8:
                    (grown,) = struct.unpack_from("<q", body, at + offset)
                    total += max(grown, 0)
            at += length
    except (struct.error, IndexError):
        return  # the reader proper says what is wrong with it
    if total > max_bytes:
        raise TooLarge(f"the body's buffers grow to {total} bytes, at most {max_bytes} are taken")


def _message(meta: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Body length of a flatbuffer Message, and (offset, length) of its buffers if they are compressed."""

    def field(table: int, index: int) -> int:
        vtable = table - struct.unpack_from("<i", meta, table)[0]
        if 4 + 2 * index >= struct.unpack_from("<H", meta, vtable)[0]:
            return 0
        offset: int = struct.unpack_from("<H", meta, vtable + 4 + 2 * index)[0]
        return table + offset if offset else 0

    def follow(at: int) -> int:
        return at + int(struct.unpack_from("<I", meta, at)[0])

    message = follow(0)
    kind, header, length = field(message, 1), field(message, 2), field(message, 3)
    body_length = int(struct.unpack_from("<q", meta, length)[0]) if length else 0
    if not kind or not header or meta[kind] not in {2, 3}:  # DictionaryBatch, RecordBatch
        return body_length, []
    record = follow(header)
    if meta[kind] == 2:
        record = follow(field(record, 1))
    if not field(record, 3) or not field(record, 2):
        return body_length, []
    vector = follow(field(record, 2))
    count = int(struct.unpack_from("<I", meta, vector)[0])
    return body_length, [struct.unpack_from("<qq", meta, vector + 4 + 16 * i) for i in range(count)]
