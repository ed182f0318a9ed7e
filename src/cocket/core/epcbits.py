"""The fields of an EPC: runs of bits that are components of its URI, each with its reading and its writing.

Document: GS1 EPC Tag Data Standard 2.3, sections 14.3 and 14.4 (the methods of all schemes until 1.13) and 14.5 (those of
2.0, which are only read).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import ceil, log2
from typing import Final
from urllib.parse import unquote

_COMPANY: Final = ((40, 12), (37, 11), (34, 10), (30, 9), (27, 8), (24, 7), (20, 6))
"""Bits and digits of the GS1 Company Prefix by partition value: the same in every partition table (14.3.3)."""

_STRING: Final = re.compile(r"[!\"%-?A-Z_a-z]*")
_SIX: Final = re.compile(r"[#\-/0-9A-Z]*")
_ESCAPED: Final = {ord(c): f"%{ord(c):02X}" for c in '"#%&/<>?'}

_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_CODE40: Final = "\0ABCDEFGHIJKLMNOPQRSTUVWXYZ-.:0123456789"


class EpcError(ValueError):
    """Bits or a URI that are no EPC, and why."""


class Reader:
    """The bits of a tag from left to right."""

    __slots__ = ("left", "value")

    def __init__(self, data: bytes) -> None:
        self.value = int.from_bytes(data, "big")
        self.left = len(data) * 8

    def take(self, bits: int) -> int:
        """The next so many bits as a number."""
        if bits > self.left:
            raise EpcError(f"{bits} bits are wanted, {self.left} are left")
        self.left -= bits
        return self.value >> self.left & ((1 << bits) - 1)


class Writer:
    """The bits of a tag, being put together."""

    __slots__ = ("bits", "value")

    def __init__(self) -> None:
        self.value, self.bits = 0, 0

    def put(self, value: int, bits: int) -> None:
        """A number in so many bits."""
        if not 0 <= value < 1 << bits:
            raise EpcError(f"{value} does not fit into {bits} bits")
        self.value, self.bits = self.value << bits | value, self.bits + bits

    def bytes(self) -> bytes:
        """With zero bits behind, to whole words of 16 bits, as tags keep them (15.1.1)."""
        size = ceil(self.bits / 16) * 2
        return (self.value << size * 8 - self.bits).to_bytes(size, "big")


class Field:
    """A run of bits that is one component of the URI; the partitioned ones are two."""

    parts = 1

    def read(self, bits: Reader) -> list[str]:
        """The components in the next bits."""
        raise NotImplementedError

    def write(self, parts: Sequence[str], out: Writer) -> None:
        """The bits of the components."""
        raise NotImplementedError


class Integer(Field):
    """A whole number without leading zeros (14.3.1); ``digits`` pads it to a fixed width (14.3.10)."""

    def __init__(self, bits: int, digits: int | None = None) -> None:
        self.bits, self.digits = bits, digits

    def read(self, bits: Reader) -> list[str]:
        """The components in the next bits."""
        value = bits.take(self.bits)
        if self.digits is None:
            return [str(value)]
        if value >= 10**self.digits:
            raise EpcError(f"{value} has more than {self.digits} digits")
        return [f"{value:0{self.digits}d}" if self.digits else ""]

    def write(self, parts: Sequence[str], out: Writer) -> None:
        """The bits of the components."""
        part = parts[0]
        if self.digits is None:
            good = is_digits(part) and (part == "0" or part[0] != "0")
        else:
            good = len(part) == self.digits and (not part or is_digits(part))
        if not good:
            raise EpcError(f"{part[:40]!r} is no number of the kind that is wanted here")
        out.put(int(part or "0"), self.bits)


class Numeric(Field):
    """Digits whose leading zeros count: a 1 is put before them (14.3.6)."""

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def read(self, bits: Reader) -> list[str]:
        """The components in the next bits."""
        value = str(bits.take(self.bits))
        if len(value) < 2 or value[0] != "1":
            raise EpcError(f"{value} is no string of digits with a 1 before it")
        return [value[1:]]

    def write(self, parts: Sequence[str], out: Writer) -> None:
        """The bits of the components."""
        if not is_digits(parts[0]):
            raise EpcError(f"{parts[0][:40]!r} is no digits")
        out.put(int("1" + parts[0]), self.bits)


class Text(Field):
    """Characters of 7 bits, with zero bits behind (14.3.2)."""

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def read(self, bits: Reader) -> list[str]:
        """The components in the next bits."""
        value = bits.take(self.bits)
        codes = [value >> at & 127 for at in range(self.bits - 7, -1, -7)]
        found = "".join(map(chr, codes)).rstrip("\0")
        if not found or not _STRING.fullmatch(found):
            raise EpcError(f"{found[:40]!r} holds characters that GS1 has not")
        return [escape(found)]

    def write(self, parts: Sequence[str], out: Writer) -> None:
        """The bits of the components."""
        found = unquote(parts[0])
        if not found or not _STRING.fullmatch(found) or len(found) * 7 > self.bits:
            raise EpcError(f"{found[:40]!r} is no text of at most {self.bits // 7} characters of GS1's")
        value = 0
        for c in found:
            value = value << 7 | ord(c)
        out.put(value << self.bits - 7 * len(found), self.bits)


class Six(Field):
    """Characters of 6 bits up to one of zero bits (14.3.8)."""

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    def read(self, bits: Reader) -> list[str]:
        """The components in the next bits."""
        found = ""
        while code := bits.take(6):
            found += chr(code | 64 if code < 32 else code)
        if not self.least <= len(found) <= self.most or not _SIX.fullmatch(found):
            raise EpcError(
                f"{found[:40]!r} is no text of {self.least} to {self.most} letters, digits, #, - and /"
            )
        return [escape(found)]

    def write(self, parts: Sequence[str], out: Writer) -> None:
        """The bits of the components."""
        found = unquote(parts[0])
        if not self.least <= len(found) <= self.most or not _SIX.fullmatch(found):
            raise EpcError(
                f"{found[:40]!r} is no text of {self.least} to {self.most} letters, digits, #, - and /"
            )
        for c in found:
            out.put(ord(c) & 63, 6)
        out.put(0, 6)


class Cage(Field):
    """A CAGE code of 5 characters or a DoDAAC of 6, a blank before the former; ``width`` bits a character (14.3.7)."""

    _FORM: Final = re.compile(r"[0-9A-HJ-NP-Z]{5,6}")

    def __init__(self, width: int) -> None:
        self.width = width

    def read(self, bits: Reader) -> list[str]:
        """The components in the next bits."""
        codes = [bits.take(self.width) for _ in range(6)]
        found = "".join(chr(c | 64 if c < 32 else c) for c in codes).removeprefix(" ")
        if not self._FORM.fullmatch(found):
            raise EpcError(f"{found[:12]!r} is neither a CAGE code nor a DoDAAC")
        return [found]

    def write(self, parts: Sequence[str], out: Writer) -> None:
        """The bits of the components."""
        if not self._FORM.fullmatch(parts[0]):
            raise EpcError(f"{parts[0][:12]!r} is neither a CAGE code nor a DoDAAC")
        for c in parts[0].rjust(6):
            out.put(ord(c) & ((1 << self.width) - 1), self.width)


class Partition(Field):
    """Partition value (3 bits), GS1 Company Prefix, and a field that is as much shorter as the prefix is longer (14.3.3)."""

    parts = 2

    def __init__(self, other: Callable[[int], Field]) -> None:
        self.others = [other(p) for p in range(7)]

    def read(self, bits: Reader) -> list[str]:
        """The components in the next bits."""
        partition = bits.take(3)
        if partition == 7:
            raise EpcError("there is no partition value 7")
        width, digits = _COMPANY[partition]
        company = bits.take(width)
        if company >= 10**digits:
            raise EpcError(f"the company prefix {company} has more than {digits} digits")
        return [f"{company:0{digits}d}", *self.others[partition].read(bits)]

    def write(self, parts: Sequence[str], out: Writer) -> None:
        """The bits of the components."""
        company = parts[0]
        if not is_digits(company) or not 6 <= len(company) <= 12:
            raise EpcError(f"{company[:40]!r} is no GS1 Company Prefix of 6 to 12 digits")
        partition = 12 - len(company)
        out.put(partition, 3)
        out.put(int(company), _COMPANY[partition][0])
        self.others[partition].write(parts[1:], out)


def rest(digits: int, *bits: int) -> Partition:
    """A number of so many digits together with the prefix, in so many bits by partition value."""
    return Partition(lambda p: Integer(bits[p], digits - _COMPANY[p][1]))


def digits(bits: Reader, n: int) -> str:
    """``n`` digits of 4 bits each (14.5.4)."""
    found = "".join(f"{bits.take(4):x}" for _ in range(n))
    if not is_digits(found):
        raise EpcError(f"{found} is no digits")
    return found


def numeric(bits: Reader, n: int) -> str:
    """``n`` digits as a number, in as few bits as can hold them (14.5.6.1, 14.5.13)."""
    value = bits.take(ceil(n * log2(10)))
    if value >= 10**n:
        raise EpcError(f"{value} has more than {n} digits")
    return f"{value:0{n}d}" if n else ""


def delimited(bits: Reader) -> str:
    """Digits of 4 bits up to F, or up to E and then what the next method reads (14.5.5)."""
    found = ""
    while (digit := bits.take(4)) < 10:
        found += str(digit)
    if digit == 15:
        return found
    if digit != 14:
        raise EpcError(f"{digit:X} is neither a digit nor an end")
    return found + alphanumeric(bits)


def alphanumeric(bits: Reader) -> str:
    """Encoding indicator (3 bits), length (5 bits), and the characters in that encoding (14.5.6, table E)."""
    encoding, n = bits.take(3), bits.take(5)
    if encoding == 0:
        return numeric(bits, n)
    if encoding in {1, 2}:
        found = "".join(f"{bits.take(4):X}" for _ in range(n))
        return found if encoding == 1 else found.lower()
    if encoding == 3:
        return "".join(_BASE64[bits.take(6)] for _ in range(n))
    if encoding == 4:
        found = "".join(chr(bits.take(7)) for _ in range(n))
        if not _STRING.fullmatch(found):
            raise EpcError(f"{found[:40]!r} holds characters that GS1 has not")
        return found
    if encoding == 5:
        found = ""
        for _ in range(ceil(n / 3)):
            three = bits.take(16) - 1
            if not 0 <= three < 64_000:
                raise EpcError(f"{three + 1} is no three characters of URN Code 40")
            found += _CODE40[three // 1600] + _CODE40[three // 40 % 40] + _CODE40[three % 40]
        if "\0" in found[:n]:
            raise EpcError("the text ends before its length")
        return found[:n]
    raise EpcError(f"there is no encoding {encoding}")


def is_digits(text: str) -> bool:
    """Whether it is one or more of 0 to 9."""
    return text.isascii() and text.isdigit()


def escape(text: str) -> str:
    """As the URNs want it (table A-1): only the characters that mean something in a URI are escaped."""
    return text.translate(_ESCAPED)
