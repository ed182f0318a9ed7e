"""JSON objects straight into columns, compiled: no Python object per row or value exists on the hot way.

``parse`` takes the bytes of a body and where each row begins and ends, and fills columns for every row that is
plainly right: known names once each, values of the right kind and in range, text without escapes, times in the
usual form. A row with anything else is marked, and goes through ``rules.read_row``, which alone decides. So the
kernel may be strict, and must only never take a row that the rules refuse, nor take it with another value:
``tests/observations`` checks that it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numba import njit

from cocket.core.batch import DTYPES, NULLS, Array, Batch, ColumnData, Texts
from cocket.core.schema import Column, Kind
from cocket.observations.numbers import POWER_LIMIT, POWERS, TENS, lemire_bits
from cocket.observations.rules import DEVICE_ID, DOOR_COLUMNS, DOOR_NAMES, limits, text_fault

_FLOAT, _INT, _BOOL, _TEXT, _AT = range(5)
_GROUP = {
    Kind.FLOAT: _FLOAT,
    Kind.INT: _INT,
    Kind.TIME: _INT,
    Kind.BOOL: _BOOL,
    Kind.TEXT: _TEXT,
    Kind.ENUM: _TEXT,
}


@dataclass(frozen=True, slots=True)
class _Table:
    """The schema as arrays: one entry per door name; ``observed_at`` shares its slot with ``observed_us``."""

    blob: Array
    start: Array
    length: Array
    hashed: Array
    group: Array
    slot: Array
    lo: Array
    hi: Array
    names: tuple[tuple[str, ...], ...]

    @classmethod
    def build(cls) -> _Table:
        groups: list[list[str]] = [[], [], [], []]
        group, slot, lo, hi = [], [], [], []
        for column in DOOR_COLUMNS:
            g = _GROUP[column.kind]
            group.append(g)
            slot.append(len(groups[g]))
            groups[g].append(column.name)
            low, high = limits(column) if g in {_FLOAT, _INT} else (0.0, 0.0)
            exact = column.kind is not Kind.TIME  # no double is its limit: stay inside, the rules know
            lo.append(low if exact else np.nextafter(low, 0))
            hi.append(high if exact else np.nextafter(high, 0))
        group.append(_AT)
        slot.append(groups[_INT].index("observed_us"))
        lo.append(0.0)
        hi.append(0.0)
        encoded = [name.encode() for name in DOOR_NAMES]
        lengths = np.array([len(e) for e in encoded], np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        blob = np.frombuffer(b"".join(encoded), np.uint8)
        hashed = np.full(256, -1, np.int8)
        for i, name in enumerate(encoded):
            h = int(_hash(np.frombuffer(name, np.uint8), 0, len(name))) & 255
            while hashed[h] >= 0:
                h = (h + 1) & 255
            hashed[h] = i
        return cls(
            blob,
            starts,
            lengths,
            hashed,
            np.array(group, np.int8),
            np.array(slot, np.int64),
            np.array(lo),
            np.array(hi),
            tuple(tuple(g) for g in groups),
        )


@njit(cache=True, nogil=True, inline="always")
def _hash(buf: Array, start: int, end: int) -> Any:
    """FNV-1a over bytes, folded."""
    h = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        h = (h ^ np.uint64(buf[i])) * np.uint64(0x100000001B3)
    return h ^ (h >> np.uint64(29))


@njit(cache=True, nogil=True, inline="always")
def _skip_space(buf: Array, p: int, end: int) -> int:
    while p < end and (buf[p] == 32 or buf[p] == 9 or buf[p] == 10 or buf[p] == 13):
        p += 1
    return p


@njit(cache=True, nogil=True, inline="always")
def _same(a: Array, i: int, b: Array, j: int, n: int) -> bool:
    for k in range(n):  # noqa: SIM110 - compiled
        if a[i + k] != b[j + k]:
            return False
    return True


@njit(cache=True, nogil=True, inline="always")
def _two(buf: Array, p: int) -> Any:
    """Two digits, or a number so low that no sum with another one is a year."""
    a, b = np.int64(buf[p]) - 48, np.int64(buf[p + 1]) - 48
    return a * 10 + b if 0 <= a <= 9 and 0 <= b <= 9 else -100_000


@njit(cache=True, nogil=True)
def _time_us(buf: Array, p: int, end: int) -> Any:
    """UTC microseconds of ``YYYY-MM-DDTHH:MM:SS[.f…](Z|±HH:MM)`` in buf[p:end]; -(2**63) where unsure."""
    unsure = -(1 << 63)
    if end - p < 20 or buf[p + 4] != 45 or buf[p + 7] != 45 or buf[p + 10] != 84:
        return unsure
    if buf[p + 13] != 58 or buf[p + 16] != 58:
        return unsure
    year = _two(buf, p) * 100 + _two(buf, p + 2)
    month, day = _two(buf, p + 5), _two(buf, p + 8)
    hour, minute, second = _two(buf, p + 11), _two(buf, p + 14), _two(buf, p + 17)
    if year < 1000 or not 1 <= month <= 12 or not 1 <= day <= 31:
        return unsure
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return unsure
    if day > 28:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        last = 31 - (month - 1) % 7 % 2 if month != 2 else 28 + (1 if leap else 0)
        if day > last:
            return unsure
    p += 19
    fraction: Any = 0
    if buf[p] == 46:
        p += 1
        digits = 0
        while p < end and 48 <= buf[p] <= 57:
            if digits < 6:
                fraction = fraction * 10 + (np.int64(buf[p]) - 48)
            digits += 1
            p += 1
        if digits == 0 or p >= end:
            return unsure
        while digits < 6:
            fraction *= 10
            digits += 1
    offset = 0
    if buf[p] == 90:
        p += 1
    elif (buf[p] == 43 or buf[p] == 45) and end - p == 6 and buf[p + 3] == 58:
        h, m = _two(buf, p + 1), _two(buf, p + 4)
        if not (0 <= h <= 23 and 0 <= m <= 59):
            return unsure
        offset = (h * 60 + m) * (1 if buf[p] == 43 else -1)
        p += 6
    else:
        return unsure
    if p != end:
        return unsure
    # days from civil (H. Hinnant): years from March, eras of 400
    y = year - 1 if month <= 2 else year
    era = y // 400
    yoe = y - era * 400
    doy = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days = era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468
    return ((days * 24 + hour) * 60 + minute - offset) * 60_000_000 + second * 1_000_000 + fraction


@njit(cache=True, nogil=True)
def _parse(
    buf: Array,
    starts: Array,
    ends: Array,
    blob: Array,
    name_start: Array,
    name_length: Array,
    hashed: Array,
    group: Array,
    slot: Array,
    lo: Array,
    hi: Array,
    tens: Array,
    powers: Array,
    floats: Array,
    bits: Array,
    ints: Array,
    bools: Array,
    codes: Array,
    seats: Array,
    text_start: Array,
    text_end: Array,
    text_count: Array,
    used: Array,
    plain: Array,
) -> None:
    """Fill row r of the columns from buf[starts[r]:ends[r]]; plain[r] is 1 where the row is right."""
    n = len(starts)
    mask = np.int64(seats.shape[1] - 1)
    order = np.zeros(64, np.int64)
    seen, known = np.full(len(group), -1, np.int64), np.full(len(group), -1, np.int64)
    lat = lon = device = at = 0
    for i in range(len(group)):  # by name: the columns with rules of their own
        first = blob[name_start[i]]
        if name_length[i] == 7 and first == 108:
            if blob[name_start[i] + 1] == 97:
                lat = i
            elif blob[name_start[i] + 4] == 100:
                lon = i
        if name_length[i] == 9 and first == 100 and blob[name_start[i] + 2] == 118:
            device = i
        if name_length[i] == 11 and group[i] == _AT:
            at = i
    at_us = 0
    for i in range(len(group)):
        if group[i] == _INT and slot[i] == slot[at]:
            at_us = i
    for r in range(n):
        p, end = starts[r], ends[r]
        plain[r] = 0
        p = _skip_space(buf, p, end)
        if p >= end or buf[p] != 123:
            continue
        p = _skip_space(buf, p + 1, end)
        place = 0
        good = False
        while p < end and buf[p] == 34:
            p += 1
            # the name, first guessed from the row before
            name = order[place & 63]
            length = name_length[name]
            if (
                p + length >= end
                or buf[p + length] != 34
                or not _same(buf, p, blob, name_start[name], length)
            ):
                q = p
                while q < end and buf[q] != 34 and q - p < 20:
                    q += 1
                if q >= end or buf[q] != 34:
                    break
                length = q - p
                h = np.int64(_hash(buf, p, q) & np.uint64(255))
                name = -1
                while hashed[h] >= 0:
                    i = int(hashed[h])
                    if name_length[i] == length and _same(buf, p, blob, name_start[i], length):
                        name = i
                        break
                    h = (h + 1) & 255
                if name < 0:
                    break
                order[place & 63] = name
            place += 1
            if seen[name] == r:
                break
            seen[name] = r
            p = _skip_space(buf, p + length + 1, end)
            if p >= end or buf[p] != 58:
                break
            p = _skip_space(buf, p + 1, end)
            if p >= end:
                break
            c = buf[p]
            kind, at_slot = group[name], slot[name]
            if c == 110:  # null
                if p + 4 > end or buf[p + 1] != 117 or buf[p + 2] != 108 or buf[p + 3] != 108:
                    break
                p += 4
            elif kind == _FLOAT or kind == _INT:  # noqa: PLR1714, SIM109 - compiled
                negative = c == 45
                if negative:
                    p += 1
                first = p
                mantissa = np.uint64(0)
                digits = 0
                while p < end and 48 <= buf[p] <= 57:
                    mantissa = mantissa * np.uint64(10) + np.uint64(buf[p] - 48)
                    digits += 1
                    p += 1
                if digits == 0 or (digits > 1 and buf[first] == 48):
                    break
                power = 0
                if p < end and buf[p] == 46:
                    p += 1
                    first = p
                    while p < end and 48 <= buf[p] <= 57:
                        mantissa = mantissa * np.uint64(10) + np.uint64(buf[p] - 48)
                        p += 1
                    if p == first:
                        break
                    power = first - p
                    digits -= power
                if digits > 19 or (p < end and (buf[p] == 101 or buf[p] == 69)):
                    break
                if kind == _INT:
                    while power < 0 and mantissa % np.uint64(10) == 0:
                        mantissa //= np.uint64(10)
                        power += 1
                    if power < 0 or mantissa > np.uint64(1 << 62):
                        break
                    whole = np.int64(mantissa)
                    if negative:
                        whole = -whole
                    if not lo[name] <= whole <= hi[name]:
                        break
                    if not used[_INT, at_slot]:
                        used[_INT, at_slot] = 1
                        ints[at_slot, :] = -(1 << 63)
                    ints[at_slot, r] = whole
                else:
                    if not used[_FLOAT, at_slot]:
                        used[_FLOAT, at_slot] = 1
                        floats[at_slot, :] = np.nan
                    if mantissa < np.uint64(1 << 53) and power >= -22:
                        floats[at_slot, r] = np.float64(mantissa) / tens[-power]
                    else:
                        if power < -POWER_LIMIT:
                            break
                        word = lemire_bits(mantissa, power, powers)
                        if word == 0:
                            break
                        bits[at_slot, r] = word
                    if negative:
                        floats[at_slot, r] = -floats[at_slot, r]
                    if not lo[name] <= floats[at_slot, r] <= hi[name]:
                        break
                known[name] = r
            elif kind == _BOOL:
                if c == 116:
                    if p + 4 > end or buf[p + 1] != 114 or buf[p + 2] != 117 or buf[p + 3] != 101:
                        break
                    p += 4
                elif c == 102:
                    if p + 5 > end or buf[p + 1] != 97 or buf[p + 2] != 108 or buf[p + 3] != 115:
                        break
                    if buf[p + 4] != 101:
                        break
                    p += 5
                else:
                    break
                if not used[_BOOL, at_slot]:
                    used[_BOOL, at_slot] = 1
                    bools[at_slot, :] = -1
                bools[at_slot, r] = 1 if c == 116 else 0
                known[name] = r
            else:
                if c != 34:
                    break
                p += 1
                first = p
                while p < end and buf[p] != 34 and buf[p] != 92 and buf[p] >= 32:
                    p += 1
                if p >= end or buf[p] != 34 or p == first:
                    break
                if kind == _AT:
                    moment = _time_us(buf, first, p)
                    if moment == -(1 << 63):
                        break
                    if not used[_INT, at_slot]:
                        used[_INT, at_slot] = 1
                        ints[at_slot, :] = -(1 << 63)
                    ints[at_slot, r] = moment
                else:
                    if not used[_TEXT, at_slot]:
                        used[_TEXT, at_slot] = 1
                        codes[at_slot, :] = -1
                        seats[at_slot, :] = -1
                    h = np.int64(_hash(buf, first, p) & np.uint64(0x7FFFFFFF)) & mask
                    code = np.int32(-2)
                    for _ in range(64):  # more collisions than this are made on purpose
                        code = seats[at_slot, h]
                        if code < 0:
                            code = text_count[at_slot]
                            text_count[at_slot] += 1
                            seats[at_slot, h] = code
                            text_start[at_slot, code] = first
                            text_end[at_slot, code] = p
                            break
                        length = text_end[at_slot, code] - text_start[at_slot, code]
                        if length == p - first and _same(buf, first, buf, text_start[at_slot, code], length):
                            break
                        code = np.int32(-2)
                        h = (h + 1) & mask
                    if code == -2:
                        break
                    codes[at_slot, r] = code
                known[name] = r
                p += 1
            p = _skip_space(buf, p, end)
            if p >= end:
                break
            if buf[p] == 44:
                p = _skip_space(buf, p + 1, end)
            elif buf[p] == 125:
                good = _skip_space(buf, p + 1, end) == end
                break
            else:
                break
        if not good:
            continue
        if known[device] != r or (known[at] == r) == (known[at_us] == r):
            continue
        if (known[lat] == r) != (known[lon] == r):
            continue
        plain[r] = 1


_TABLE: Final = _Table.build()
_TEXT_COLUMNS: Final[tuple[Column, ...]] = tuple(
    c for name in _TABLE.names[_TEXT] for c in DOOR_COLUMNS if c.name == name
)


def parse(buf: Array, starts: Array, ends: Array) -> tuple[Batch, Array]:
    """Columns of all rows and a mask of those that are right; what stands in the others' cells means nothing.

    ``buf`` is the body as uint8; row r is ``buf[starts[r]:ends[r]]``, one JSON object with or without space
    around it. About 0.3 µs for a row of 270 bytes.
    """
    n = len(starts)
    names = _TABLE.names
    floats = np.empty((len(names[_FLOAT]), n))
    ints = np.empty((len(names[_INT]), n), np.int64)
    bools = np.empty((len(names[_BOOL]), n), np.int8)
    codes = np.empty((len(names[_TEXT]), n), np.int32)
    seats = np.empty((len(names[_TEXT]), 1 << max(4, (2 * n - 1).bit_length())), np.int32)
    text_start = np.empty((len(names[_TEXT]), n), np.int64)
    text_end = np.empty((len(names[_TEXT]), n), np.int64)
    text_count = np.zeros(len(names[_TEXT]), np.int64)
    used = np.zeros((4, max(len(g) for g in names)), np.int8)
    plain = np.empty(n, np.int8)
    t = _TABLE
    _parse(
        buf, starts, ends, t.blob, t.start, t.length, t.hashed, t.group, t.slot, t.lo, t.hi, TENS, POWERS,
        floats, floats.view(np.uint64), ints, bools, codes, seats, text_start, text_end, text_count, used, plain,
    )  # fmt: skip
    right = plain == 1
    columns: dict[str, ColumnData] = {}
    for g, data in ((_FLOAT, floats), (_INT, ints), (_BOOL, bools)):
        for s, name in enumerate(names[g]):
            if used[g, s]:
                columns[name] = data[s]
    for s, column in enumerate(_TEXT_COLUMNS):
        if used[_TEXT, s]:
            m = int(text_count[s])
            values, wrong = distinct_texts(column, buf, text_start[s, :m], text_end[s, :m])
            if wrong:
                right &= ~np.isin(codes[s], np.array(wrong, np.int32))
            columns[column.name] = (
                Texts(codes[s], values) if column.kind is Kind.TEXT else _enum(column, codes[s], values)
            )
    return Batch(n, columns), right


@njit(cache=True, nogil=True)
def _gather(buf: Array, starts: Array, ends: Array, first: Array, allowed: Array, longest: int) -> Any:
    """The chosen stretches end to end, and whether all are short, and of allowed ASCII signs."""
    total = 0
    for i in range(len(starts)):
        total += ends[i] - starts[i]
    out = np.empty(total, np.uint8)
    plain = True
    k = 0
    for i in range(len(starts)):
        plain &= 0 < ends[i] - starts[i] <= longest and first[buf[starts[i]]]
        for j in range(starts[i], ends[i]):
            out[k] = buf[j]
            plain &= allowed[buf[j]]
            k += 1
    return out, plain


_FIRST: Final = np.array([i < 128 and DEVICE_ID.fullmatch(chr(i)) is not None for i in range(256)])
_ALLOWED: Final = np.array([i < 128 and DEVICE_ID.fullmatch("x" + chr(i)) is not None for i in range(256)])
"""What a device_id may begin and go on with. Other texts take the quick way under the same, narrower rule."""


def distinct_texts(column: Column, buf: Array, starts: Array, ends: Array) -> tuple[list[str], list[int]]:
    """The distinct texts ``buf[starts[i]:ends[i]]`` of a column, and which of them break a rule."""
    gathered, plain = _gather(buf, starts, ends, _FIRST, _ALLOWED, column.max_len)
    if plain and column.kind is Kind.TEXT:
        text = str(gathered.data, "ascii")
        cuts = np.concatenate([np.zeros(1, np.int64), np.cumsum(ends - starts)]).tolist()
        values = [text[i:j] for i, j in pairwise(cuts)]
        return values, []
    values, wrong = [], []
    for code, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        try:
            value = str(buf[start:end].data, "utf-8")
        except UnicodeDecodeError:
            value = ""
        if column.kind is Kind.ENUM:
            right = value in column.values
        else:
            right = bool(value) and text_fault(column, value) is None
        if not right:
            wrong.append(code)
        values.append(value)
    return values, wrong


def _enum(column: Column, codes: Array, values: list[str]) -> Array:
    known = {v: i for i, v in enumerate(column.values)}
    table = np.array([*(known.get(v, -1) for v in values), NULLS[Kind.ENUM]], DTYPES[Kind.ENUM])
    return table[codes]
