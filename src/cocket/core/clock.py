"""The only place that knows what time it is.

Everything else takes time from its batch or from a ``Clock``; ``time.time`` and ``datetime.now`` are banned
elsewhere by lint. A demo or training run uses ``ReplayClock``, so that days pass in minutes and every part of
the machine (silence, overstay, the ages on screen) lives in the same time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

US = 1_000_000
"""Microseconds in a second."""


class Clock(Protocol):
    """Tells the time. ``speed`` is how many of its seconds pass in one of ours."""

    kind: str
    speed: float

    def now_us(self) -> int:
        """UTC microseconds since 1970. Never goes backwards within one process."""
        ...


class WallClock:
    """The machine's clock, kept from running backwards when the machine's own is set back."""

    kind = "wall"
    speed = 1.0

    def __init__(self) -> None:
        self._last = 0

    def now_us(self) -> int:
        """UTC microseconds since 1970."""
        self._last = max(self._last, time.time_ns() // 1000)
        return self._last


class ReplayClock:
    """Starts at ``origin_us`` and runs ``speed`` times as fast as life. ``stop_at`` holds it for good."""

    kind = "replay"

    def __init__(self, origin_us: int, speed: float) -> None:
        self.origin_us = origin_us
        self.speed = speed
        self._began = time.monotonic()
        self._end_us: int | None = None

    def now_us(self) -> int:
        """UTC microseconds since 1970, in the replayed world."""
        now = self.origin_us + int((time.monotonic() - self._began) * self.speed * US)
        return now if self._end_us is None else min(now, self._end_us)

    def stop_at(self, end_us: int) -> None:
        """Let the clock stand still once it reaches ``end_us``."""
        self._end_us = end_us


def rfc3339(us: int) -> str:
    """``2026-11-22T08:30:00Z``, with a fraction only where there is one."""
    seconds, fraction = divmod(us, US)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:06d}Z" if fraction else f"{text}Z"


def parse_rfc3339(text: str) -> int:
    """UTC microseconds of an RFC 3339 time; a time without an offset is refused with ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset; write it as 2026-11-22T08:30:00Z")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86400 + delta.seconds) * US + delta.microseconds
