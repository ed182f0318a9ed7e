"""Tables of fields: the layout of a message is declared once, and reads and writes it.

Binary: a ``Record`` of fields with width, unit and meaning. ``read`` gives a dict by name, ``write`` takes one.
Text: ``Columns`` names the parts between separators. Flags: ``Bits`` names the bits of a number.

Example::

    FIX = Record(">", u32("time_s"), i32("lat", 1e-7), i32("lon", 1e-7), u8("satellites"), pad(1))
    FIX.read(frame, 12)["lat"]          # degrees
    FIX.write({"time_s": 1, "lat": 22.5, "lon": 114.1, "satellites": 9})
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from cocket.core.protocol import Undecodable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ``code`` is its struct code. ``read``/``write`` turn the raw value into ours and back."""

    name: str
    code: str
    read: Callable[[Any], Any] | None = None
    write: Callable[[Any], Any] | None = None
    default: Any = 0


def _number(code: str) -> Callable[..., Field]:
    whole = code not in "fd"

    def make(name: str, scale: float = 1, offset: float = 0, *, null: int | None = None) -> Field:
        """A number: ours = raw * scale + offset; the raw value ``null`` means unknown."""
        plain = scale == 1 and offset == 0

        def read(raw: Any) -> Any:
            if raw == null:
                return None
            return raw if plain else raw * scale + offset

        def write(value: Any) -> Any:
            if value is None:
                return null or 0
            raw = value if plain else (value - offset) / scale
            return round(raw) if whole else raw

        if plain and null is None:
            return Field(name, code, None, round if whole else None)
        return Field(name, code, read, write, null or 0)

    return make


u8, i8 = _number("B"), _number("b")
u16, i16 = _number("H"), _number("h")
u32, i32 = _number("I"), _number("i")
u64, i64 = _number("Q"), _number("q")
f32, f64 = _number("f"), _number("d")


def raw(name: str, n: int) -> Field:
    """``n`` bytes as they are."""
    return Field(name, f"{n}s", default=b"")


def bcd(name: str, n: int) -> Field:
    """``n`` bytes as 2n hexadecimal digits in text (binary-coded decimal; a letter is the caller's to refuse)."""
    return Field(name, f"{n}s", bytes.hex, lambda digits: bytes.fromhex(digits.rjust(2 * n, "0")), b"")


def ascii_text(name: str, n: int) -> Field:
    """``n`` bytes of ASCII, padded with NUL or blanks."""
    return Field(
        name,
        f"{n}s",
        lambda b: b.rstrip(b"\0 ").decode("ascii", "replace"),
        lambda s: s.encode("ascii", "replace"),
        b"",
    )


def pad(n: int) -> Field:
    """``n`` bytes that mean nothing to us."""
    return Field("", f"{n}x")


class Record:
    """A fixed layout. ``order`` is ``>`` (big-endian) or ``<``. ``size`` in bytes."""

    def __init__(self, order: str, *fields: Field) -> None:
        self._struct = struct.Struct(order + "".join(f.code for f in fields))
        self._fields = [f for f in fields if f.name]
        self._names = [f.name for f in self._fields]
        self._readers = [(f.name, f.read) for f in self._fields if f.read is not None]
        self.size = self._struct.size

    def read(self, data: bytes, at: int = 0) -> dict[str, Any]:
        """The values by name. ``Undecodable`` if the bytes end before the record does."""
        try:
            out = dict(zip(self._names, self._struct.unpack_from(data, at), strict=True))
        except struct.error:
            raise Undecodable(
                "truncated", f"{self.size} bytes are wanted at byte {at}, the frame has {len(data)}"
            ) from None
        for name, read in self._readers:
            out[name] = read(out[name])
        return out

    def write(self, values: Mapping[str, Any]) -> bytes:
        """The bytes; a value that is missing or None is the field's default."""
        out = []
        for f in self._fields:
            value = values.get(f.name)
            if value is None:
                out.append(f.default)
            else:
                out.append(value if f.write is None else f.write(value))
        return self._struct.pack(*out)


class Parts(dict[str, str]):
    """Parts of a text by name. Asking for one that is empty raises ``Undecodable``; ``get`` gives None for it."""

    def __missing__(self, name: str) -> str:
        raise Undecodable("missing", f"the field {name!r} is empty")


class Columns:
    """Parts of a text by their place; a name of ``""`` or ``_`` is passed over."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def read(self, parts: Sequence[str]) -> Parts:
        """The parts by name, without the empty ones. ``Undecodable`` if there are fewer parts than names."""
        if len(parts) < len(self.names):
            raise Undecodable("truncated", f"{len(self.names)} fields are wanted, there are {len(parts)}")
        return Parts((n, p) for n, p in zip(self.names, parts, strict=False) if p and n and n != "_")

    def write(self, values: Mapping[str, str]) -> list[str]:
        """The parts; a missing one is empty."""
        return [values.get(n, "") for n in self.names]


class Bits:
    """Names of the bits of a number, from bit 0, the least significant: ``Bits(locked=7, rope_cut=3)``."""

    def __init__(self, **bits: int) -> None:
        self.bits = bits
        self._masks = [(name, 1 << bit) for name, bit in bits.items()]

    def read(self, value: int) -> dict[str, bool]:
        """Every named bit."""
        return {name: value & mask != 0 for name, mask in self._masks}

    def write(self, values: Mapping[str, Any]) -> int:
        """The number in which the bits named true in ``values`` are set."""
        return sum(mask for name, mask in self._masks if values.get(name))


class Cursor:
    """Reads a frame from left to right. Every method raises ``Undecodable("truncated")`` behind the end."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else min(end, len(data))

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return self.end - self.at

    def take(self, n: int) -> bytes:
        """The next ``n`` bytes."""
        at = self.at
        if n < 0 or at + n > self.end:
            raise Undecodable("truncated", f"{n} bytes are wanted at byte {at}, {self.left} are left")
        self.at = at + n
        return self.data[at : at + n]

    def uint(self, n: int, order: Any = "big") -> int:
        """An unsigned number of ``n`` bytes."""
        return int.from_bytes(self.take(n), order)

    def int(self, n: int, order: Any = "big") -> int:
        """A signed number of ``n`` bytes (two's complement)."""
        return int.from_bytes(self.take(n), order, signed=True)

    def record(self, record: Record) -> dict[str, Any]:
        """The next record."""
        return record.read(self.take(record.size))

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)


def utc_us(
    year: int, month: int, day: int, hour: int, minute: int, second: int, east_min: int = 0
) -> int | None:
    """UTC µs of a date and time that stand ``east_min`` minutes east of Greenwich; None where no calendar has them.

    A year below 100 is of this century.
    """
    try:
        moment = datetime(
            year + 2000 if year < 100 else year,
            month,
            day,
            hour,
            minute,
            min(second, 59),
            tzinfo=UTC if not east_min else timezone(timedelta(minutes=east_min)),
        )
    except (ValueError, OverflowError):
        return None
    delta = moment - _EPOCH
    return (delta.days * 86400 + delta.seconds) * 1_000_000


def utc_parts(us: int, east_min: int = 0) -> datetime:
    """The date and time of UTC µs, ``east_min`` minutes east of Greenwich: the inverse of ``utc_us``."""
    return _EPOCH + timedelta(microseconds=us, minutes=east_min)


def digits(text: str) -> int:
    """A number written in decimal digits only. ``Undecodable`` if it is none (BCD with letters, blanks, signs)."""
    if not (text.isascii() and text.isdigit()):
        raise Undecodable("malformed", f"{text[:24]!r} is no number in digits")
    return int(text)


def decimal(text: str) -> float:
    """A decimal number. ``Undecodable`` if it is none, NaN or infinite."""
    try:
        value = float(text)
    except ValueError:
        raise Undecodable("malformed", f"{text[:24]!r} is no number") from None
    if not -1e300 < value < 1e300 or "_" in text:
        raise Undecodable("malformed", f"{text[:24]!r} is no number")
    return value


def degrees_minutes(text: str, hemisphere: str) -> float:
    """Degrees from NMEA's ``dddmm.mmmm`` and N, S, E or W. ``Undecodable`` if it is none (NMEA 0183, field type x)."""
    value = decimal(text)
    whole = int(value / 100)
    found = whole + (value - whole * 100) / 60
    if hemisphere not in {"N", "S", "E", "W", "n", "s", "e", "w"}:
        raise Undecodable("malformed", f"{hemisphere[:8]!r} is none of N, S, E, W")
    return -found if hemisphere in "SWsw" else found


def in_degrees_minutes(degrees: float, digits_before: int, decimals: int = 4) -> str:
    """The inverse of ``degrees_minutes``, without the hemisphere; 2 or 3 digits of degrees."""
    unit = 10**decimals
    total = round(abs(degrees) * 60 * unit)
    whole, minutes = divmod(total, 60 * unit)
    return f"{whole:0{digits_before}d}{minutes // unit:02d}.{minutes % unit:0{decimals}d}"
