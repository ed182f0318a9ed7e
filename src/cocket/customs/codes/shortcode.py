"""Short codes: twelve random characters and one that checks them, to be read aloud or typed where a QR code fails.

The characters are Crockford's base 32 (no I, L, O, U; read forgivingly: I and L as 1, O as 0). The check is a weighted
sum over the field of 32 elements that must be zero: each place has another power of x as its weight, so every
single wrong character and every exchange of two unlike ones is found. Crockford's own check symbols (``*~$=U``) are not
used, for they are no letters of a QR code's or a keyboard's plain part.
Example: ``shown("0123456789ABC")`` is ``"0123-4567-89ABC"``.
"""

from __future__ import annotations

import secrets
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 13
BITS: Final = 60
"""Randomness of a short code: as many bits as its first twelve characters hold."""

_VALUE: Final = {c: v for v, c in enumerate(ALPHABET)} | {"I": 1, "L": 1, "O": 0}
_POLYNOMIAL: Final = 0b100101
"""x⁵ + x² + 1, primitive: the powers of x run through all 31 elements that are not zero."""


def _times_x(value: int) -> int:
    value <<= 1
    return value ^ _POLYNOMIAL if value & 32 else value


def _sum(values: list[int]) -> int:
    """The weighted sum by Horner's rule: the last character has weight 1, the one before it x, and so on."""
    total = 0
    for value in values:
        total = _times_x(total) ^ value
    return total


def fresh() -> int:
    """A random number for a new short code."""
    return secrets.randbits(BITS)


def of(number: int) -> str:
    """The thirteen characters of a number below 2**60."""
    values = [number >> shift & 31 for shift in range(BITS - 5, -5, -5)]
    check = _times_x(_sum(values))
    return "".join(ALPHABET[v] for v in (*values, check))


def shown(short: str) -> str:
    """In groups, as it is printed."""
    return f"{short[:4]}-{short[4:8]}-{short[8:]}"


def read(text: str) -> int | None:
    """The number of a short code as somebody typed it, hyphens, spaces and case forgiven; None if it is none."""
    plain = text.upper().replace("-", "").replace(" ", "")
    if len(plain) != LENGTH or any(c not in _VALUE for c in plain):
        return None
    values = [_VALUE[c] for c in plain]
    if _sum(values):
        return None
    number = 0
    for value in values[:-1]:
        number = number << 5 | value
    return number
