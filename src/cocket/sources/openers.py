"""Opens a message: what its observations are made of (scopes), and how a value is taken out of one.

A scope is, of JSON, the element with all that it stands in, outermost first; of CSV and text, the parts by name; of a
binary message, its bytes.
"""

from __future__ import annotations

import csv
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from cocket.core.protocol import Undecodable
from cocket.sources.layout import whole
from cocket.sources.model import Field, Message, Source
from cocket.sources.paths import ABSENT, compile_path, expand, follow
from cocket.sources.values import text_of

Opener: TypeAlias = Callable[[bytes], Sequence[Any]]
"""Bytes to scopes; an ``Undecodable`` among them stands for a part that cannot be read. Raised: for all of it."""

Getter: TypeAlias = Callable[[Any], Any]
"""Scope to the raw value: ``ABSENT`` where there is none, None for null."""

_LINE_END: Final = re.compile(r"[\r\n]+")
_FLOATS: Final = {(4, False): ">f", (4, True): "<f", (8, False): ">d", (8, True): "<d"}


def opener(message: Message) -> Opener:
    """Opens messages of this format."""
    if message.format == "json":
        return _json(message)
    if message.format == "csv":
        return _csv(message)
    if message.format == "text":
        return _text(message)
    return lambda data: (data,)


def joined(getters: Sequence[Getter]) -> Getter:
    """Several values as one text with blanks between; unknown where one of them is."""

    def get(scope: Any) -> Any:
        found = [g(scope) for g in getters]
        for raw in found:
            if raw is ABSENT or raw is None:
                return raw
        texts = [text_of(raw) for raw in found]
        return " ".join(texts) if all(texts) else None

    return get


def getter(source: Source) -> Getter:
    """For a binary field, or a name of CSV and text; see ``json_getter``."""
    if isinstance(source, Field):
        return _field(source)
    name = source
    return lambda scope: scope[name]


def json_getter(source: str) -> Getter:
    """For a JSON path."""
    path = compile_path(source)
    level = -1 - path.up
    if len(path.steps) == 1 and isinstance(path.steps[0], str):
        member = path.steps[0]

        def get(scope: Any) -> Any:
            inside = scope[level]
            return inside.get(member, ABSENT) if type(inside) is dict else follow(inside, path)

        return get
    return lambda scope: follow(scope[level], path)


def _json(message: Message) -> Opener:
    decode = msgspec.json.Decoder().decode
    each = message.each

    def read(data: bytes) -> Sequence[Any]:
        try:
            document = decode(data)
        except ValueError as error:
            raise Undecodable("malformed", f"no JSON: {error}"[:200]) from None
        except RecursionError:
            raise Undecodable("malformed", "no JSON that can be read: it is nested too deeply") from None
        if each:
            return expand(document, each)
        if not isinstance(document, (dict, list)):
            raise Undecodable("malformed", "the JSON is one value, no object")
        return ((document,),)

    return read


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Undecodable("malformed", f"byte {error.start} is no UTF-8") from None


def _csv(message: Message) -> Opener:
    names, delimiter = message.names, message.delimiter

    def part(line: str) -> Any:
        try:
            parts = next(csv.reader((line,), delimiter=delimiter), [])
        except csv.Error as error:
            return Undecodable("malformed", f"no CSV: {error}")
        if len(parts) != len(names):
            return Undecodable("malformed", f"{len(parts)} parts; message.names has {len(names)}")
        return dict(zip(names, parts, strict=True))

    def read(data: bytes) -> Sequence[Any]:
        lines = [line for line in _LINE_END.split(_decoded(data)) if line.strip()]
        if not lines:
            raise Undecodable("empty", "the message is empty")
        return [part(line) for line in lines]

    return read


def _text(message: Message) -> Opener:
    import pyarrow as pa
    import pyarrow.compute as pc

    pattern = whole(message.pattern)

    def read(data: bytes) -> Sequence[Any]:
        text = _decoded(data)
        found = pc.extract_regex(pa.array((text,), pa.string()), pattern)[0].as_py()
        if found is None:
            raise Undecodable("malformed", f"{text[:60]!r} does not fit message.pattern")
        return (found,)

    return read


def reach(source: Source | None) -> int:
    """How many bytes a message must have for this field to be in it."""
    if not isinstance(source, Field):
        return 0
    return source.at + source.size if source.at >= 0 else -source.at


def _field(field: Field) -> Getter:
    at, size, kind = field.at, field.size, field.kind
    end = at + size or None  # a field that ends with the message ends at None
    order: Any = "little" if field.little else "big"
    if kind == "float":
        unpack = struct.Struct(_FLOATS[size, field.little]).unpack
        return lambda data: unpack(data[at:end])[0]
    if kind in {"uint", "int"}:
        signed = kind == "int"
        if field.bits is None:
            return lambda data: int.from_bytes(data[at:end], order, signed=signed)
        low, high = field.bits
        mask = (1 << (high - low + 1)) - 1
        top = (mask + 1) >> 1 if signed else 0

        def bits(data: bytes) -> int:
            value = int.from_bytes(data[at:end], order) >> low & mask
            return value - mask - 1 if value & top else value

        return bits
    read = {"bcd": _bcd(field.digits), "two-digit": _two_digit, "ascii": _ascii, "hex": bytes.hex}[kind]
    if field.little:
        return lambda data: read(data[at:end][::-1])
    return lambda data: read(data[at:end])


def _bcd(digits: int) -> Callable[[bytes], str]:
    def read(data: bytes) -> str:
        text = data.hex().rstrip("f")  # F fills up what has no digit
        if text and not text.isdigit():
            raise Undecodable("type", f"{data.hex()} are no decimal digits")
        return text[-digits:] if digits else text

    return read


def _two_digit(data: bytes) -> str:
    if max(data) > 99:
        raise Undecodable("type", f"{data.hex(' ')}: every byte is a number up to 99")
    return "".join(f"{byte:02d}" for byte in data)


def _ascii(data: bytes) -> str:
    text = data.split(b"\0", 1)[0].strip(b" \xff")
    if not text.isascii():
        raise Undecodable("type", f"{data.hex(' ')} is no ASCII")
    return text.decode("ascii")
