"""Messages out of a stream, as ``[frame]`` says, and their marks and checksums, as ``[checksum]`` says."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from cocket.core.framing import between, counted, lines
from cocket.core.protocol import Cut, Split, Undecodable
from cocket.sources.model import Checksum, Field, Frame, Message

BUILT_IN: Final = {"xor8": 1, "sum8": 1, "sum16": 2}
"""Checksums besides those of fastcrc, with their bytes: all bytes xor-ed or added up."""


@cache
def fastcrc_names() -> tuple[str, ...]:
    """Every algorithm of fastcrc, as ``crc16.modbus``."""
    import fastcrc

    modules = ("crc8", "crc16", "crc32", "crc64")
    return tuple(f"{m}.{n}" for m in modules for n in sorted(getattr(fastcrc, m).algorithms_available))


def splitter(message: Message) -> Split:
    """How a stream of such messages is cut; without ``[frame]`` lines of text, or (binary) the whole of what came."""
    frame = message.frame
    if frame is None:
        return _everything if message.format == "binary" else lines
    if frame.size:
        return _sized(frame.start, frame.size)
    if frame.length is not None:
        field = frame.length
        order = "little" if field.little else "big"
        return counted(frame.start, field.at, field.size, add=frame.add, order=order)
    return between(frame.start, frame.end) if frame.start else _ended(frame.end)


def _everything(buffer: bytes, at: int) -> Cut:
    return (at, len(buffer)) if len(buffer) > at else None


def _sized(start: bytes, size: int) -> Split:
    def split(buffer: bytes, at: int) -> Cut:
        first = buffer.find(start, at)
        if first < 0:  # a mark may have begun in the last bytes
            first = max(at, len(buffer) - len(start) + 1)
        elif len(buffer) >= first + size:
            return first, first + size
        return (first, first) if first > at else None

    return split


def _ended(end: bytes) -> Split:
    def split(buffer: bytes, at: int) -> Cut:
        found = buffer.find(end, at)
        return None if found < 0 else (at, found + len(end))

    return split


def unwrapper(message: Message) -> Callable[[bytes], bytes]:
    """What is to be read of a frame, once its marks, length and checksum are right; else ``Undecodable``.

    Of a binary frame that is all of it; of text what is between the marks.
    """
    frame = message.frame or Frame()
    binary = message.format == "binary"
    verify = None if message.checksum is None else verifier(message.checksum)
    most = message.max_frame

    def unwrap(data: bytes) -> bytes:
        if len(data) > most:
            raise Undecodable("frame-too-long", f"{len(data)} bytes; frame.max is {most}")
        if binary:
            _check(data, frame)
        else:
            data = data.removesuffix(frame.end) if frame.end else data
            data = data.rstrip(b"\r\n")
        if verify is not None:
            verify(data)
        return data if binary else data.removeprefix(frame.start)

    return unwrap


def _check(data: bytes, frame: Frame) -> None:
    if not data.startswith(frame.start):
        raise Undecodable("malformed", f"it does not begin with {frame.start.hex(' ')}")
    if not data.endswith(frame.end):
        raise Undecodable("malformed", f"it does not end with {frame.end.hex(' ')}")
    if frame.size and len(data) != frame.size:
        raise Undecodable("length", f"{len(data)} bytes; every message has {frame.size}")
    field = frame.length
    if field is not None:
        size = _whole(data, field.at, field) + frame.add
        if size != len(data):
            raise Undecodable("length", f"{len(data)} bytes; the message itself says {size}")


def _whole(data: bytes, at: int, field: Field) -> int:
    found = data[at : at + field.size]
    if len(found) < field.size:
        raise Undecodable(
            "truncated", f"{field.size} bytes are wanted at byte {at}, the message has {len(data)}"
        )
    return int.from_bytes(found, "little" if field.little else "big")


def verifier(checksum: Checksum) -> Callable[[bytes], None]:
    """Raises ``Undecodable`` (``checksum``) where the bytes do not give it."""
    compute = _algorithm(checksum.algorithm)
    room = checksum.width * (2 if checksum.hexadecimal else 1)
    order = "little" if checksum.little else "big"

    def verify(data: bytes) -> None:
        at = checksum.at if checksum.at >= 0 else len(data) + checksum.at
        written = data[at : at + room] if at >= 0 else b""
        if len(written) < room:
            raise Undecodable("truncated", f"{len(data)} bytes: no room for the checksum")
        if checksum.hexadecimal:
            if not re.fullmatch(rb"[0-9A-Fa-f]+", written):
                raise Undecodable(
                    "checksum", f"the checksum at byte {at} is not written in hexadecimal digits"
                )
            written = bytes.fromhex(written.decode("ascii"))
        said = int.from_bytes(written, order)  # type: ignore[arg-type]
        found = compute(data[checksum.first : checksum.last])
        if said != found:
            digits = 2 * checksum.width
            raise Undecodable(
                "checksum", f"{checksum.algorithm} is {found:0{digits}X}, the message says {said:0{digits}X}"
            )

    return verify


def _algorithm(name: str) -> Callable[[bytes], int]:
    if name == "xor8":
        return _xor8
    if name == "sum8":
        return lambda data: sum(data) & 0xFF
    if name == "sum16":
        return lambda data: sum(data) & 0xFFFF
    import fastcrc

    family, _, algorithm = name.partition(".")
    found: Callable[[bytes], int] = getattr(getattr(fastcrc, family), algorithm)
    return found


def _xor8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
    return value
