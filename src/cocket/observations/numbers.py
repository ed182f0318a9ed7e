"""Decimal text to the nearest double, exactly, inside compiled loops.

Two ways, both exact: a mantissa below 2**53 with a power of ten up to 22 is one division or multiplication of
two exact doubles (W. Clinger, How to read floating point numbers accurately, PLDI 1990); else the 128-bit
product of D. Lemire, Number parsing at a gigabyte per second, Software: Practice and Experience 51 (2021).
Where that cannot decide, it says so, and the caller takes the slow way.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from cocket.core.batch import Array

POWER_LIMIT: Final = 40
"""Powers of ten from -40 to 40 are taken here; observations know no others."""


def _powers() -> Array:
    """128-bit mantissas of 10**e, rounded down: row e + POWER_LIMIT is (high, low)."""
    out = np.empty((2 * POWER_LIMIT + 1, 2), np.uint64)
    for e in range(-POWER_LIMIT, POWER_LIMIT + 1):
        if e >= 0:
            value = 10**e
            shift = value.bit_length() - 128
            value = value >> shift if shift > 0 else value << -shift
        else:
            ten = 10**-e
            value = (1 << (127 + ten.bit_length())) // ten
            if value.bit_length() > 128:
                value >>= 1
        out[e + POWER_LIMIT] = (value >> 64, value & 0xFFFFFFFFFFFFFFFF)
    return out


POWERS: Final = _powers()
TENS: Final = np.array([10.0**e for e in range(23)])

_M32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)
_ONE = np.uint64(1)


@njit(cache=True, nogil=True, inline="always")
def _mul64(a: Any, b: Any) -> Any:
    """128-bit product as (high, low)."""
    a0, a1, b0, b1 = a & _M32, a >> _S32, b & _M32, b >> _S32
    w0 = a0 * b0
    t = a1 * b0 + (w0 >> _S32)
    w1 = (t & _M32) + a0 * b1
    return a1 * b1 + (t >> _S32) + (w1 >> _S32), a * b


@njit(cache=True, nogil=True)
def lemire_bits(mantissa: Any, power: int, powers: Array) -> Any:
    """Bits of the double nearest to ``mantissa * 10**power``; 0 where undecided. mantissa > 0, |power| <= 40."""
    shift = 0
    while mantissa >> np.uint64(63) == 0:
        mantissa <<= _ONE
        shift += 1
    exponent = np.int64(((217706 * power) >> 16) + 64 + 1023 - shift)
    row = power + POWER_LIMIT
    hi, lo = _mul64(mantissa, powers[row, 0])
    if hi & np.uint64(0x1FF) == np.uint64(0x1FF) and np.uint64(lo + mantissa) < mantissa:
        y_hi, y_lo = _mul64(mantissa, powers[row, 1])
        merged_lo = np.uint64(lo + y_hi)
        merged_hi = hi + _ONE if merged_lo < lo else hi
        if (
            merged_hi & np.uint64(0x1FF) == np.uint64(0x1FF)
            and np.uint64(merged_lo + _ONE) == 0
            and np.uint64(y_lo + mantissa) < mantissa
        ):
            return np.uint64(0)
        hi, lo = merged_hi, merged_lo
    top = hi >> np.uint64(63)
    out = hi >> np.uint64(top + np.uint64(9))
    exponent -= np.int64(_ONE ^ top)
    if lo == 0 and hi & np.uint64(0x1FF) == 0 and out & np.uint64(3) == _ONE:
        return np.uint64(0)
    out = (out + (out & _ONE)) >> _ONE
    if out >> np.uint64(53) > 0:
        out >>= _ONE
        exponent += 1
    return (np.uint64(exponent) << np.uint64(52)) | (out & np.uint64((1 << 52) - 1))
