"""What a decoder is: one protocol, declared, and pure.

A decoder file exports ``PROTOCOL``. It never does I/O and never asks the time: bytes of one frame and the session go
in, rows, replies and (where it cannot be read) a fault come out. The doors split bytes into frames by
``Protocol.split``, call ``observations.frames.read_frame``, make the rows durable, and only then send the replies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from cocket.core.errors import Fault

Row: TypeAlias = dict[str, Any]
"""One observation by the schema's column names; ``observed_us`` is UTC µs. What is unknown is left out (or None)."""

Cut: TypeAlias = "tuple[int, int] | None"
"""Where the next frame begins and ends; what lies before its beginning is noise. None: more bytes are needed.
``start == end`` means that all up to there is noise and holds no frame."""

Split: TypeAlias = Callable[[bytes, int], Cut]
"""``split(buffer, at)`` looks for the next frame at or behind ``at``."""

MAX_FRAME: Final = 4096


class Undecodable(Exception):
    """A frame, or the rest of one, cannot be read: ``rule`` (kebab-case) and words. Raised by decoders."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail


@dataclass(slots=True)
class Session:
    """What is kept of one connection (or one UDP peer, one file, one topic) from frame to frame.

    ``device_id``: who speaks, once it has said so. ``secret``: what it gave to prove that. ``memory``: the protocol's
    own, for parts of a message that comes in several frames; a decoder bounds it.
    """

    device_id: str | None = None
    secret: str | None = None
    memory: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What a device answered to a command: the command's name (or a word of the answer that names it), and how it went."""

    command: str
    good: bool
    text: str = ""


@dataclass(slots=True)
class Reading:
    """What one frame said. A frame can have good rows and a fault, where only its rest is unreadable."""

    rows: list[Row] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Simulation:
    """The other side of a decoder, from the same tables: what a device of this protocol would send.

    ``report(row, sequence)`` is one frame that carries ``row`` (its ``device_id`` included). ``hello(device_id)`` is
    what a connection begins with, ``b""`` where there is nothing. ``carries`` names the columns that ``report`` can
    write; others are passed over. ``resolution`` tells by column how far what is read back may lie from
    what was written, where that is not the usual (1e-5° of position, 1 s of time, 0.3 m/s, 1 of anything else).
    """

    report: Callable[[Row, int], bytes]
    carries: frozenset[str]
    hello: Callable[[str], bytes] = lambda _device_id: b""
    resolution: Mapping[str, float] = field(default_factory=dict)
    device_id: Callable[[int], str] = lambda n: f"86{n:013d}"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that the protocol has. ``build(device_id, parameters, sequence)`` gives the bytes; ``Undecodable`` if a
    parameter is wrong. ``parameters`` names each with its meaning.
    """

    build: Callable[[str, Mapping[str, Any], int], bytes]
    doc: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def whole(parameters: Mapping[str, Any], name: str, least: int, most: int) -> int:
    """A command's parameter that is a whole number within limits; ``Undecodable`` if it is not."""
    value = parameters.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Undecodable("parameter", f"{name}: a whole number from {least} to {most}")
    return value


Family: TypeAlias = Literal["seal", "tracker", "ship", "reader", "sensor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One protocol.

    ``name`` as in ``cocket decode NAME`` and the file's name; ``title`` for people; ``document``: the maker's or
    standard's document, with version. ``text``: frames are lines of text. ``doors``: how it arrives (tcp, udp, mqtt,
    http, file). ``port``: customary. ``split`` and ``max_frame`` (bytes) cut a stream into frames. ``starts`` matches
    the first bytes of a connection, for a port that recognises protocols. ``decode(frame, session, reading)`` adds to the
    reading and raises ``Undecodable``. ``opening``: what we say first where it is we who call. ``commands`` by name: unlock, lock, interval, …
    ``sequence_bits``: width of the running number in ``sequence``; 0 where there is none that is used up in order.
    """

    name: str
    title: str
    document: str
    family: Family
    decode: Callable[[bytes, Session, Reading], None]
    split: Split
    text: bool = False
    doors: tuple[str, ...] = ("tcp",)
    port: int = 0
    starts: re.Pattern[bytes] | None = None
    max_frame: int = MAX_FRAME
    simulation: Simulation | None = None
    commands: Mapping[str, Command] = field(default_factory=dict)
    sequence_bits: int = 0
    opening: bytes = b""
