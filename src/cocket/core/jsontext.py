"""Typed access to JSON documents that someone else wrote: nothing of any shape or type in them raises but ``Undecodable``.

A path is names and places: ``number(doc, "position", "latitude")``, ``text(doc, "rxInfo", 0, "rssi")``. What is missing or
null on the way is None (``each``: ``[]``); what is there and of the wrong type is refused, with its path named.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from cocket.core.protocol import Undecodable

MOST_BYTES: Final = 1 << 20
"""A document longer than this is not read."""

MOST_DEPTH: Final = 64
"""A document nested more deeply than this is not read."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BOM: Final = b"\xef\xbb\xbf"
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)? ?(?:[Zz]|([+-])(\d\d):?(\d\d)?)?"
)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")
_MOST_WHOLE: Final = 1 << 63
_decode: Final = msgspec.json.Decoder().decode


def load(frame: bytes) -> Any:
    """The document. ``Undecodable`` if it is none, holds NaN or no UTF-8, or is too long or too deep."""
    if len(frame) > MOST_BYTES:
        raise Undecodable("malformed", f"a document of {len(frame)} bytes; at most {MOST_BYTES} are read")
    if frame.startswith(_BOM):
        frame = frame[3:]
    if frame.count(b"{") + frame.count(b"[") > MOST_DEPTH:
        _check_depth(frame)
    try:
        return _decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Undecodable("malformed", f"no JSON: {error}"[:300]) from None


def _check_depth(frame: bytes) -> None:
    depth = 0
    for found in _BRACKET.finditer(_STRING.sub(b"", frame)):
        depth += 1 if found[0] in b"[{" else -1
        if depth > MOST_DEPTH:
            raise Undecodable("malformed", f"nested more than {MOST_DEPTH} deep")


def get(doc: Any, *path: str | int) -> Any | None:
    """What lies at the path, of any type; None where it is missing or null, or where something on the way is no container."""
    for step in path:
        if isinstance(step, str):
            if not isinstance(doc, dict):
                return None
            doc = doc.get(step)
        else:
            if not isinstance(doc, list) or not -len(doc) <= step < len(doc):
                return None
            doc = doc[step]
        if doc is None:
            return None
    return doc


def number(doc: Any, *path: str | int) -> float | None:
    """A number, or text that is one (``"12.5"``); empty text is None."""
    value = get(doc, *path)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _wrong(path, "a number", value)
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise _wrong(path, "a number", value)
    try:
        found = float(value)
    except (OverflowError, ValueError):
        raise _wrong(path, "a number", value) from None
    if not math.isfinite(found):
        raise _wrong(path, "a number", value)
    return found


def whole(doc: Any, *path: str | int) -> int | None:
    """A whole number, or text that is one; ``12.0`` is 12."""
    value = get(doc, *path)
    if isinstance(value, int) and not isinstance(value, bool):
        return _bounded(value, path)
    found = number(doc, *path)
    if found is None:
        return None
    if found != int(found):
        raise _wrong(path, "a whole number", value)
    return _bounded(int(value) if isinstance(value, str) and value.strip().isdigit() else int(found), path)


def _bounded(value: int, path: tuple[str | int, ...]) -> int:
    if abs(value) >= _MOST_WHOLE:
        raise _wrong(path, "a whole number of at most 63 bits", value)
    return value


def text(doc: Any, *path: str | int) -> str | None:
    """Text without blanks around it; a number becomes text; empty text is None."""
    value = get(doc, *path)
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(path, "text", value)
    return str(value) if isinstance(value, float) else str(_bounded(value, path))


def truth(doc: Any, *path: str | int) -> bool | None:
    """True or false; also 1 and 0, and the words true, false, yes, no, on, off."""
    value = get(doc, *path)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in {0, 1}:
        return value == 1
    if isinstance(value, str):
        word = value.strip().lower()
        if word in {"true", "yes", "on", "1"}:
            return True
        if word in {"false", "no", "off", "0"}:
            return False
        if not word:
            return None
    raise _wrong(path, "true or false", value)


def each(doc: Any, *path: str | int) -> list[Any]:
    """The members of an array; ``[]`` where it is missing."""
    value = get(doc, *path)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(path, "an array", value)
    return value


def moment(doc: Any, *path: str | int) -> int | None:
    """UTC µs of an RFC 3339 or ISO 8601 date-time (without a zone it is UTC), or of a number since 1970.

    A number is in seconds, ms, µs or ns by its size: up to 1e11 seconds, 1e14 ms, 1e17 µs, else ns.
    """
    value = get(doc, *path)
    if isinstance(value, str):
        word = value.strip()
        if not word:
            return None
        found = _MOMENT.fullmatch(word)
        if found is not None:
            return _calendar(found, path, value)
        if not _NUMBER.fullmatch(word):
            raise _wrong(path, "a time", value)
    if isinstance(value, int) and not isinstance(value, bool):
        return epoch_us(_bounded(value, path))
    since = number(doc, *path)
    return None if since is None else epoch_us(since)


def epoch_us(since: float) -> int:
    """UTC µs of a number since 1970 in s, ms, µs or ns, by its size."""
    size = abs(since)
    if size >= 1e17:
        return int(since) // 1000
    for most, factor in ((1e11, 1_000_000), (1e14, 1000)):
        if size < most:
            return round(since * factor)
    return int(since)


def _calendar(found: re.Match[str], path: tuple[str | int, ...], value: str) -> int:
    date, minute, second, fraction, sign, hours, minutes = found.groups()
    try:
        at = datetime.fromisoformat(f"{date}T{minute}:{min(int(second or 0), 59):02d}+00:00")
    except ValueError:
        raise _wrong(path, "a time", value) from None
    delta = at - _EPOCH
    east = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    delta -= -east if sign == "-" else east
    return (delta.days * 86400 + delta.seconds) * 1_000_000 + int((fraction or "0").ljust(6, "0")[:6])


def _wrong(path: tuple[str | int, ...], wanted: str, value: Any) -> Undecodable:
    kind = {bool: "true or false", dict: "an object", list: "an array"}.get(type(value)) or _short(value)
    return Undecodable("malformed", f"{named(path)}: {wanted} is wanted, this is {kind}")


def _short(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a number too large"
    return repr(value)[:40]


def named(path: tuple[str | int, ...]) -> str:
    """A path as people write it: ``$.rxInfo[0].rssi``."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
