"""PostgreSQL's binary COPY format, built from columns and read back into columns: no object per row either way.

A row is a 16-bit count of fields and, field by field, a 32-bit length (-1: null) and as many bytes, all big-endian;
before the first stands a signature of eleven bytes, two 32-bit zeros (flags, length of an extension), behind the
last a count of -1 (PostgreSQL 18 manual, COPY, "Binary Format"). Texts go as UTF-8, truth values as one byte,
``bigint`` and ``double precision`` as eight, ``integer`` as four.

PostgreSQL's texts cannot hold U+0000, observations' can: U+0000 and U+001A (SUBSTITUTE) are written as U+001A and a
``0`` or ``1``. ``stored_text`` says how a text stands in the database.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numba import njit

from cocket.core.batch import NULLS, Array, Batch, ColumnData, Texts
from cocket.core.errors import DataDamaged
from cocket.core.schema import BY_NAME, NULL_INT, Kind
from cocket.store.rows import Rows, only_used

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER: Final = struct.pack(">h", -1)
EXTRA: Final = ("partition", "offset", "key")
"""The columns of the table ``observations`` that the schema does not hold; they stand last."""

_STEP: Final = 16_384
_NAN: Final = int(np.array([np.nan]).view(np.uint64)[0])
_NULL_INT_BITS: Final = int(np.array([NULL_INT]).view(np.uint64)[0])


def stored_text(text: str) -> str:
    """A text as it stands in PostgreSQL."""
    return text.replace("\x1a", "\x1a1").replace("\0", "\x1a0") if _odd(text) else text


def told_text(text: str) -> str:
    """The inverse of ``stored_text``."""
    return text.replace("\x1a0", "\0").replace("\x1a1", "\x1a") if "\x1a" in text else text


def _odd(text: str) -> bool:
    return "\0" in text or "\x1a" in text


# out


def copied_columns(batch: Batch) -> tuple[str, ...]:
    """The columns that ``copy_body`` fills, in its order: those of the schema that the batch has, and ``EXTRA``."""
    return (*(name for name in BY_NAME if name in batch.columns), *EXTRA)


def copy_body(rows: Rows, partition: int) -> Iterator[memoryview]:
    """The body of a COPY of ``copied_columns``, in pieces of some megabytes: header, rows, trailer."""
    yield memoryview(HEADER)
    for start in range(0, rows.batch.n, _STEP):
        yield _piece(rows.take(slice(start, start + _STEP)), partition).data
    yield memoryview(TRAILER)


def _piece(rows: Rows, partition: int) -> Array:
    batch = only_used(rows.batch)
    n = batch.n
    words: list[tuple[Array, Array, Array] | tuple[Array, int, bool]] = []
    sizes = np.full(n, 2, np.int64)
    for name in copied_columns(batch)[: -len(EXTRA)]:
        column = BY_NAME[name]
        data = batch.columns[name]
        if column.kind is Kind.FLOAT:
            assert not isinstance(data, Texts)
            bits = np.where(np.isnan(data), np.nan, data).view(np.uint64)
            words.append((bits, _NAN, True))
            sizes += np.where(bits == _NAN, 4, 12)
        elif column.kind in (Kind.INT, Kind.TIME):
            assert not isinstance(data, Texts)
            bits = np.ascontiguousarray(data, np.int64).view(np.uint64)
            words.append((bits, _NULL_INT_BITS, True))
            sizes += np.where(bits == _NULL_INT_BITS, 4, 12)
        else:
            codes, starts, blob = _words(name, data)
            words.append((codes, starts, blob))
            lengths = np.append(np.diff(starts), 0) + 4  # code -1: null
            sizes += lengths[codes]
    words.append((np.zeros(n, np.int32), np.array([0, 4], np.int32), _bytes(struct.pack(">i", partition))))
    words.append((np.ascontiguousarray(rows.offsets, np.int64).view(np.uint64), 0, False))
    words.append((np.ascontiguousarray(rows.keys, np.uint64), 0, False))
    sizes += 8 + 12 + 12
    at = np.zeros(n + 1, np.int64)
    np.cumsum(sizes, out=at[1:])
    out = np.empty(int(at[-1]), np.uint8)
    at = at[:-1]
    _put_counts(out, at, len(words))
    for one in words:
        if isinstance(one[1], int):
            _put_bits(out, at, one[0], np.uint64(one[1]), bool(one[2]))
        else:
            _put_words(out, at, one[0], one[1], one[2])
    return out


_TRUTHS = (np.array([0, 1, 2], np.int32), np.array([0, 1], np.uint8))


def _words(name: str, data: ColumnData) -> tuple[Array, Array, Array]:
    """Codes (int32), and the bytes of each code's word."""
    if not isinstance(data, Texts):
        codes = data.astype(np.int32)
        column = BY_NAME[name]
        return (codes, *(_TRUTHS if column.kind is Kind.BOOL else _blob(column.values)))
    starts, blob = _blob(data.values)
    if len(blob) and bool(((blob == 0) | (blob == 0x1A)).any()):
        starts, blob = _blob([stored_text(v) for v in data.values])
    return np.ascontiguousarray(data.codes, np.int32), starts, blob


def _blob(values: Sequence[str]) -> tuple[Array, Array]:
    array = pa.array(values, pa.string())
    _, starts, data = array.buffers()
    if not len(values):
        return np.zeros(1, np.int32), np.empty(0, np.uint8)
    blob = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return np.frombuffer(starts, np.int32)[: len(values) + 1].copy(), blob.copy()


def _bytes(data: bytes) -> Array:
    return np.frombuffer(data, np.uint8).copy()


@njit(cache=True, nogil=True)
def _put_counts(out: Array, at: Array, fields: int) -> None:
    for i in range(len(at)):
        out[at[i]] = (fields >> 8) & 0xFF
        out[at[i] + 1] = fields & 0xFF
        at[i] += 2


@njit(cache=True, nogil=True)
def _put_bits(out: Array, at: Array, bits: Array, null: np.uint64, nulls: bool) -> None:
    for i in range(len(at)):
        p = at[i]
        word = bits[i]
        if nulls and word == null:
            out[p] = out[p + 1] = out[p + 2] = out[p + 3] = 0xFF
            at[i] = p + 4
            continue
        out[p] = out[p + 1] = out[p + 2] = 0
        out[p + 3] = 8
        for k in range(8):
            out[p + 4 + k] = np.uint8((word >> np.uint64(56 - 8 * k)) & np.uint64(0xFF))
        at[i] = p + 12


@njit(cache=True, nogil=True)
def _put_words(out: Array, at: Array, codes: Array, starts: Array, blob: Array) -> None:
    for i in range(len(at)):
        p = at[i]
        code = codes[i]
        if code < 0:
            out[p] = out[p + 1] = out[p + 2] = out[p + 3] = 0xFF
            at[i] = p + 4
            continue
        start = starts[code]
        length = starts[code + 1] - start
        out[p] = (length >> 24) & 0xFF
        out[p + 1] = (length >> 16) & 0xFF
        out[p + 2] = (length >> 8) & 0xFF
        out[p + 3] = length & 0xFF
        for k in range(length):
            out[p + 4 + k] = blob[start + k]
        at[i] = p + 4 + length


# in


def read_rows(body: bytes | memoryview, columns: Sequence[str]) -> Iterator[tuple[Rows, Array]]:
    """Rows, with the partition of each, of what ``COPY (SELECT columns, partition, offset, key) TO STDOUT`` gave.

    Some ten thousand at a time; ``columns`` are of the schema. Raises ``DataDamaged`` if it is no such body.
    """
    data = np.frombuffer(body, np.uint8)
    if bytes(data[:11]) != HEADER[:11]:
        raise DataDamaged("PostgreSQL answered a COPY with something that is not its binary format")
    fields = len(columns) + len(EXTRA)
    at = len(HEADER)
    starts = np.empty((fields, _STEP), np.int64)
    lengths = np.empty((fields, _STEP), np.int32)
    while True:
        n, at = _scan(data, at, fields, starts, lengths)
        if n < 0:
            raise DataDamaged(f"PostgreSQL's answer to a COPY cannot be read at byte {at}")
        if n:
            yield _rows(data, columns, starts[:, :n], lengths[:, :n])
        if n < _STEP:
            return


@njit(cache=True, nogil=True)
def _scan(data: Array, at: int, fields: int, starts: Array, lengths: Array) -> tuple[int, int]:
    """Where the fields of the next rows lie; fewer rows than there is room for: that was the last. -1: damaged."""
    size = len(data)
    for row in range(starts.shape[1]):
        if at + 2 > size:
            return -1, at
        count = (np.int32(data[at]) << 8) | np.int32(data[at + 1])
        if count == 0xFFFF:
            return row, at
        if count != fields:
            return -1, at
        at += 2
        for f in range(fields):
            if at + 4 > size:
                return -1, at
            length = 0
            for k in range(4):
                length = (length << 8) | int(data[at + k])
            if length >= 1 << 31:
                length -= 1 << 32
            at += 4
            starts[f, row] = at
            lengths[f, row] = length
            if length > 0:
                at += length
            if at > size:
                return -1, at
    return starts.shape[1], at


def _rows(data: Array, columns: Sequence[str], starts: Array, lengths: Array) -> tuple[Rows, Array]:
    n = starts.shape[1]
    found: dict[str, ColumnData] = {}
    coded: dict[str, pa.Array] = {}
    for f, name in enumerate(columns):
        there = lengths[f] >= 0
        if not there.any():
            continue
        kind = BY_NAME[name].kind
        if kind is Kind.BOOL:
            found[name] = np.where(there, data[np.where(there, starts[f], 0)], NULLS[kind]).astype(np.int8)
        elif kind in (Kind.TEXT, Kind.ENUM):
            coded[name] = _coded(data, starts[f], lengths[f], there)
        else:
            bits = np.empty(n, np.uint64)
            null = _NAN if kind is Kind.FLOAT else _NULL_INT_BITS
            _get_bits(data, starts[f], lengths[f], np.uint64(null), bits)
            found[name] = bits.view(np.float64 if kind is Kind.FLOAT else np.int64)
    if coded:
        found.update(
            Batch.from_arrow(pa.RecordBatch.from_arrays(list(coded.values()), names=list(coded))).columns
        )
    keys, offsets = np.empty(n, np.uint64), np.empty(n, np.uint64)
    _get_bits(data, starts[-2], lengths[-2], np.uint64(0), offsets)
    _get_bits(data, starts[-1], lengths[-1], np.uint64(0), keys)
    place = starts[-3][:, None] + np.arange(4)
    partitions = np.ascontiguousarray(data[place]).view(">i4")[:, 0].astype(np.int32)
    return Rows(Batch(n, found), keys, offsets.view(np.int64)), partitions


def _coded(data: Array, starts: Array, lengths: Array, there: Array) -> pa.Array:
    n = len(starts)
    ends = np.zeros(n + 1, np.int64)
    np.cumsum(np.where(there, lengths, 0), out=ends[1:])
    out = np.empty(int(ends[-1]), np.uint8)
    _gather(data, starts, ends, out)
    mask = None if there.all() else pa.array(there).buffers()[1]
    plain = pa.Array.from_buffers(pa.large_string(), n, [mask, pa.py_buffer(ends), pa.py_buffer(out)])
    found = plain.dictionary_encode()
    values = found.dictionary.to_pylist()
    if any("\x1a" in v for v in values):
        values = [told_text(v) for v in values]
    return pa.DictionaryArray.from_arrays(found.indices, pa.array(values, pa.string()))


@njit(cache=True, nogil=True)
def _gather(data: Array, starts: Array, ends: Array, out: Array) -> None:
    for i in range(len(starts)):
        begin = ends[i]
        for k in range(ends[i + 1] - begin):
            out[begin + k] = data[starts[i] + k]


@njit(cache=True, nogil=True)
def _get_bits(data: Array, starts: Array, lengths: Array, null: np.uint64, out: Array) -> None:
    for i in range(len(starts)):
        if lengths[i] < 0:
            out[i] = null
            continue
        word = np.uint64(0)
        for k in range(8):
            word = (word << np.uint64(8)) | np.uint64(data[starts[i] + k])
        out[i] = word


def read_fields(body: memoryview) -> Iterator[memoryview]:
    """The only field of each row of a COPY of one column without nulls. Raises ``DataDamaged`` if it is no such body."""
    at = len(HEADER)
    while at + 2 <= len(body) and body[at : at + 2] != TRAILER:
        count, length = struct.unpack_from(">hi", body, at)
        if count != 1 or length < 0 or at + 6 + length > len(body):
            break
        yield body[at + 6 : at + 6 + length]
        at += 6 + length
    if body[at : at + 2] != TRAILER:
        raise DataDamaged(f"PostgreSQL's answer to a COPY cannot be read at byte {at}")
