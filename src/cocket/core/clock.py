"""The only place that knows what time it is.

Everything else takes time from its batch or from a ``Clock``; ``time.time`` and ``datetime.now`` are banned
elsewhere by lint. A demo or training run uses ``ReplayClock``, so that days pass in minutes and every part of
the machine (silence, overstay, the ages on screen) lives in the same time.
"""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

US: Final = 1_000_000
"""Microseconds in a second."""


class Clock(Protocol):
    """Tells the time. ``speed`` is how many of its seconds pass in one of ours."""

    kind: str
    speed: float

    def now_us(self) -> int:
        """UTC microseconds since 1970. Never goes backwards within one process."""
        ...


JUMP_US: Final = 10 * US
"""A step of the machine's clock above this is not followed at once."""
CONFIRMED_US: Final = 600 * US
"""How long a step has to last before it is believed."""


class WallClock:
    """The machine's clock, kept from running backwards and from jumping.

    Between two calls the wall clock should have gone as far as the machine's steady one. Where it has not, by more than
    ``JUMP_US``, we go on by the steady one; a step that lasts for ``CONFIRMED_US`` is then taken over (one back: by standing
    still until it is reached). A restart takes it over at once. ``jumped_us`` says how far the wall clock is off.
    """

    kind = "wall"
    speed = 1.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._wall, self._steady = time.time_ns() // 1000, _steady_us()
        self._since: int | None = None
        self.jumped_us = 0

    def now_us(self) -> int:
        """UTC microseconds since 1970."""
        with self._lock:
            wall, steady = time.time_ns() // 1000, _steady_us()
            expected = self._wall + steady - self._steady
            step = wall - expected
            if abs(step) <= JUMP_US:
                self._since, self.jumped_us = None, 0
            elif self._since is None:
                self._since, self.jumped_us = steady, step
            elif steady - self._since >= CONFIRMED_US:
                self._since, self.jumped_us = None, 0
            else:
                self.jumped_us = step
            now = wall if self._since is None else expected
            self._wall, self._steady = now, steady
            self._last = max(self._last, now)
            return self._last


def _steady_us() -> int:
    """A clock that nobody sets; on Linux it also counts while the machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic_ns() if boot is None else time.clock_gettime_ns(boot)) // 1000


class ReplayClock:
    """Starts at ``origin_us`` and runs ``speed`` times as fast as life. ``stop_at`` holds it for good."""

    kind = "replay"

    def __init__(self, origin_us: int, speed: float, *, held: bool = False) -> None:
        self.origin_us = origin_us
        self.speed = speed
        self._began = None if held else time.monotonic()
        self._end_us: int | None = None

    def now_us(self) -> int:
        """UTC microseconds since 1970, in the replayed world."""
        if self._began is None:
            return self.origin_us
        now = self.origin_us + int((time.monotonic() - self._began) * self.speed * US)
        return now if self._end_us is None else min(now, self._end_us)

    def release(self) -> None:
        """Let a clock that was made ``held`` run from its origin; one that runs runs on."""
        if self._began is None:
            self._began = time.monotonic()

    def stop_at(self, end_us: int) -> None:
        """Let the clock stand still once it reaches ``end_us``."""
        self._end_us = end_us


def unix_ns(monotonic_s: float) -> int:
    """Nanoseconds since 1970 by the machine's clock, of a moment of its monotonic clock that is not long past."""
    return time.time_ns() - int((time.monotonic() - monotonic_s) * 1e9)


def rfc3339(us: int) -> str:
    """RFC 3339 of UTC microseconds: ``2026-11-22T08:30:00Z``, with a fraction only where there is one."""
    seconds, fraction = divmod(us, US)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]  # four digits for the year 427, too
    return f"{text}.{fraction:06d}Z" if fraction else f"{text}Z"


_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:(?P<second>[0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_rfc3339(text: str) -> int:
    """UTC microseconds of an RFC 3339 date-time (section 5.6); digits beyond the microsecond are cut off.

    ``ValueError`` says what is wrong; a time without an offset is refused. A leap second (``:60``) counts as the
    first second of the next minute, for the scale that we keep has none.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        what = "is no RFC 3339 date-time with an offset; write it as 2026-11-22T08:30:00Z"
        raise ValueError(f"{text[:40]!r} {what}")
    leap = found["second"] == "60"
    if leap:
        at = found.start("second")
        text = f"{text[:at]}59{text[at + 2 :]}"
    try:
        moment = datetime.fromisoformat(text.upper())
        delta = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text[:40]!r} is no date and time: {error}") from error
    return (delta.days * 86400 + delta.seconds + leap) * US + delta.microseconds
