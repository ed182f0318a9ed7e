"""A checked mapping, as plain data: ``convert`` reads it for files, ``messages`` for live messages."""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

from cocket.core.protocol import Family
from cocket.core.schema import Column
from cocket.sources.paths import JsonPath

TIME_WORDS: Final = ("iso", "epoch-s", "epoch-ms", "epoch-us", "received")


@dataclass(frozen=True, slots=True)
class Field:
    """Where a value stands in a binary message: ``size`` bytes at byte ``at`` (negative: from the end).

    ``kind``: ``uint``, ``int``, ``float``, ``bcd``, ``two-digit``, ``ascii``, ``hex``. ``bits``: the lowest and the
    highest bit of a number, 0 the least significant. ``digits``: how many decimal digits at the end are meant, 0 all.
    """

    at: int
    kind: str
    size: int
    little: bool = False
    bits: tuple[int, int] | None = None
    digits: int = 0


Source: TypeAlias = "str | Field"
"""A column of a file, a name or JSON path of a message, or a place in a binary one."""

Constant: TypeAlias = "str | float | bool | None"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one schema column is filled: from a ``source``, or with a constant ``value``.

    A number is ``raw * factor + offset``. ``map``: the value for each text, instead of reading it.
    """

    target: Column
    source: Source | None
    value: Constant = None
    prefix: str = ""
    factor: float = 1.0
    offset: float = 0.0
    nulls: tuple[str, ...] = ()
    add_if_negative: float = 0.0
    true: tuple[str, ...] = ("true", "True", "TRUE", "1", "t", "yes")
    false: tuple[str, ...] = ("false", "False", "FALSE", "0", "f", "no")
    map: Dict[str, Constant] | None = None
    required: bool = False

    @property
    def scaled(self) -> bool:
        """Whether a number changes on its way."""
        return self.factor != 1.0 or self.offset != 0.0


@dataclass(frozen=True, slots=True)
class Time:
    """When an observation was made. ``source`` is None where the message carries no time (``received``).

    ``more``: names whose texts are put behind it, with blanks between (a date and a time of day).
    """

    source: Source | None
    format: str = "iso"
    zone: str = "UTC"
    date: date | None = None
    nulls: tuple[str, ...] = ()
    required: bool = False
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    """Where in an MQTT topic the device's name stands. ``filter`` is what to subscribe to."""

    filter: str
    pattern: re.Pattern[str]
    prefix: str = ""

    def device(self, topic: str) -> str | None:
        """The device that a topic names; None where the topic is another."""
        found = self.pattern.fullmatch(topic)
        return None if found is None else self.prefix + found["device"]


@dataclass(frozen=True, slots=True)
class Frame:
    """How a message is told from its neighbours in a stream: marks, and one of ``size``, ``length``, ``end``."""

    start: bytes = b""
    end: bytes = b""
    size: int = 0
    length: Field | None = None
    add: int = 0


@dataclass(frozen=True, slots=True)
class Checksum:
    """``algorithm`` over bytes ``first`` to ``last`` (exclusive), compared with ``width`` bytes at ``at``."""

    algorithm: str
    width: int
    at: int
    first: int
    last: int | None
    little: bool = False
    hexadecimal: bool = False


@dataclass(frozen=True, slots=True)
class Only:
    """Which messages hold an observation: those in which ``source`` has one of the values."""

    source: Source
    values: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a live message looks like. ``format``: json, csv, text or binary."""

    format: str
    each: tuple[JsonPath, ...] = ()
    names: tuple[str, ...] = ()
    delimiter: str = ","
    pattern: str = ""
    only: Only | None = None
    frame: Frame | None = None
    checksum: Checksum | None = None
    topic: Topic | None = None
    max_frame: int = 4096
    doors: tuple[str, ...] = ()
    port: int = 0
    family: Family = "sensor"
    sequence_bits: int = 0


@dataclass(frozen=True, slots=True)
class Mapping:
    """A checked mapping. It is of files, or of live messages: then ``message`` is set.

    ``names`` is None where the file itself names its columns.
    """

    name: str
    time: Time
    rules: tuple[Rule, ...] = field(default=())
    format: str | None = None
    delimiter: str = ","
    names: tuple[str, ...] | None = None
    title: str = ""
    message: Message | None = None

    @property
    def stem(self) -> str:
        """The file's name without folder and ending: the protocol's name."""
        return Path(self.name).stem

    def sources(self) -> list[str]:
        """The columns of the file, or names in the message, that it reads."""
        wanted = [self.time.source, *self.time.more, *(r.source for r in self.rules)]
        return list(dict.fromkeys(w for w in wanted if isinstance(w, str)))
