"""``cocket decode``: frames from a file to JSON, one object for each line, in order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from cocket.core.errors import BadSetting, Fault, NotFound
from cocket.core.protocol import Protocol, Reading, Session
from cocket.decoders import protocol, protocols
from cocket.observations.frames import bytes_of_line, line_answer, read_line

_FLUSH_EVERY = 1 << 16


def list_protocols() -> int:
    """Print a line for each protocol: name, title, what it is spoken by."""
    found = protocols()
    width = max(len(p.name) for p in found)
    for p in found:
        kind = "text" if p.text else "binary"
        print(f"{p.name:<{width}}  {p.family:<8} {kind:<7} {p.title}")  # noqa: T201 - the command's output
    return 0


def decode_file(name: str, file: str, *, text: bool, mapping: bool = False) -> int:
    """Print one JSON object for each line of ``file`` (``-``: standard input). 1 if any was rejected, else 0.

    ``mapping``: ``name`` is a mapping file, or a shipped one. Raises ``BadSetting`` if there is no such protocol or file.
    """
    p = _mapped(name) if mapping else _named(name)
    if file == "-":
        return _decode(p, sys.stdin.buffer, text=text)
    try:
        with Path(file).open("rb") as source:
            return _decode(p, source, text=text)
    except OSError as error:
        raise BadSetting(f"{file} cannot be read: {error.strerror}") from error


def _named(name: str) -> Protocol:
    try:
        return protocol(name)
    except NotFound as error:
        raise BadSetting(error.detail) from error


def _mapped(name: str) -> Protocol:
    from cocket.sources.mapping import load
    from cocket.sources.messages import as_protocol

    return as_protocol(load(name))


def _decode(p: Protocol, source: BinaryIO, *, text: bool) -> int:
    session = Session()
    encode = msgspec.json.Encoder().encode
    waiting = bytearray()
    rejected = False
    for number, line in enumerate(source):
        data = bytes_of_line(line, text=text)
        reading = Reading(fault=data) if isinstance(data, Fault) else read_line(p, data, session)
        rejected |= reading.fault is not None
        waiting += encode(line_answer(number, reading)) + b"\n"
        if len(waiting) > _FLUSH_EVERY or source is sys.stdin.buffer:
            sys.stdout.buffer.write(waiting)
            sys.stdout.buffer.flush()
            waiting.clear()
    sys.stdout.buffer.write(waiting)
    sys.stdout.buffer.flush()
    return int(rejected)
