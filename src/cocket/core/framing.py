"""Cutting a stream of bytes into frames: a few ways to say where a frame ends, and the stream itself.

A split sees the whole unread buffer each time, so bytes may arrive one at a time or glued together; it looks only for
marks and lengths and never decodes. See ``core.protocol.Cut`` for what it gives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cocket.core.protocol import Cut, Protocol, Split

_LINE_END: Final = re.compile(rb"[\r\n]")
_NOT_LINE_END: Final = re.compile(rb"[^\r\n]")


def lines(buffer: bytes, at: int) -> Cut:
    """Lines that end with CR, LF or both; blank ones are no frames. The frame is the line without its end."""
    first = _NOT_LINE_END.search(buffer, at)
    if first is None:
        return (len(buffer), len(buffer)) if len(buffer) > at else None
    end = _LINE_END.search(buffer, first.start())
    return None if end is None else (first.start(), end.start())


def between(start: bytes, *ends: bytes) -> Split:
    """From a mark to the first of the end marks behind it, both included; what lies before a mark is noise."""
    last = re.compile(b"|".join(map(re.escape, ends)))

    def split(buffer: bytes, at: int) -> Cut:
        first = buffer.find(start, at)
        if first < 0:
            return _noise(buffer, at, len(start) - 1)
        end = last.search(buffer, first + len(start))
        return None if end is None else (first, end.end())

    return split


def until(*ends: bytes) -> Split:
    """Up to and with the first end mark; white space before a frame is noise."""
    last = re.compile(b"|".join(map(re.escape, ends)))
    space = re.compile(rb"[^\s\x00]")

    def split(buffer: bytes, at: int) -> Cut:
        first = space.search(buffer, at)
        if first is None:
            return _noise(buffer, at, 0)
        end = last.search(buffer, first.start())
        return None if end is None else (first.start(), end.end())

    return split


def counted(start: bytes, at_byte: int, width: int, *, add: int, order: str = "big") -> Split:
    """A mark, and a length of ``width`` bytes at ``at_byte`` from the frame's beginning; ``add`` to it is the frame's size.

    An empty ``start`` means that a frame begins wherever the last one ended.
    """
    head = at_byte + width
    little = order == "little"

    def split(buffer: bytes, at: int) -> Cut:
        first = buffer.find(start, at) if start else at
        if first < 0:
            return _noise(buffer, at, len(start) - 1)
        if len(buffer) < first + head:
            return (first, first) if first > at else None
        size = int.from_bytes(buffer[first + at_byte : first + head], "little" if little else "big") + add
        if size < head:
            return (first + max(1, len(start)),) * 2
        if len(buffer) < first + size:
            return (first, first) if first > at else None
        return first, first + size

    return split


def by_start(kinds: Mapping[bytes, Split], other: Split | None = None) -> Split:
    """Choose by what the buffer begins with, for protocols that mix two ways; white space between is noise.

    Where nothing fits, ``other`` is asked; without it, all up to the next byte that may begin a frame is noise.
    """
    marks = sorted(kinds, key=len, reverse=True)
    anywhere = re.compile(b"|".join(map(re.escape, marks)))

    def split(buffer: bytes, at: int) -> Cut:
        for mark in marks:
            if buffer.startswith(mark, at):
                return kinds[mark](buffer, at)
        if at < len(buffer) and any(m.startswith(buffer[at : at + len(m)]) for m in marks):
            return None
        if other is not None:
            return other(buffer, at)
        found = anywhere.search(buffer, at)
        if found is None:
            return _noise(buffer, at, len(marks[0]) - 1)
        return found.start(), found.start()

    return split


def _noise(buffer: bytes, at: int, keep: int) -> Cut:
    """All of the buffer is noise but its last ``keep`` bytes, in which a mark may have begun."""
    upto = max(at, len(buffer) - max(0, keep))
    return (upto, upto) if upto > at else None


@dataclass(slots=True)
class Piece:
    """A frame, or noise between frames with the reason why it is none."""

    data: bytes
    noise: str = ""


@dataclass(slots=True)
class Stream:
    """The unread bytes of one connection. ``feed`` gives the pieces that are complete; memory is bounded by ``max_frame``."""

    protocol: Protocol
    rest: bytes = b""
    _tail: list[bytes] = field(default_factory=list)

    def feed(self, data: bytes) -> list[Piece]:
        """Frames in order. Every byte fed is in exactly one piece or still unread; line ends and blanks between are dropped."""
        buffer = self.rest + data if self.rest else data
        pieces: list[Piece] = []
        at, split = 0, self.protocol.split
        while at < len(buffer):
            cut = split(buffer, at)
            if cut is None:
                break
            start, end = cut
            self._noise(pieces, buffer[at:start])
            if end > start:
                if end - start > self.protocol.max_frame:
                    pieces.append(Piece(buffer[start:end], "frame-too-long"))
                else:
                    pieces.append(Piece(buffer[start:end]))
            elif start <= at:
                raise AssertionError(f"{self.protocol.name}: the split makes no headway")
            at = end
        rest = buffer[at:]
        if len(rest) > self.protocol.max_frame:
            pieces.append(Piece(rest, "frame-too-long"))
            rest = b""
        self.rest = rest
        return pieces

    def end(self) -> list[Piece]:
        """The connection is over: what is left was never completed."""
        rest, self.rest = self.rest, b""
        pieces: list[Piece] = []
        self._noise(pieces, rest, "incomplete-frame")
        return pieces

    @staticmethod
    def _noise(pieces: list[Piece], data: bytes, rule: str = "no-frame") -> None:
        if data.strip(b"\r\n \t\x00"):
            pieces.append(Piece(data, rule))


def frames_of(protocol: Protocol, data: bytes) -> Sequence[bytes] | None:
    """The frames if ``data`` is nothing but whole frames, else None."""
    pieces = (stream := Stream(protocol)).feed(data)
    if not pieces or stream.rest.strip(b"\r\n \t\x00") or any(p.noise for p in pieces):
        return None
    return [p.data for p in pieces]
