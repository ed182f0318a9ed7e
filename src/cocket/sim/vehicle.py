"""A vehicle with a device on it, for load and training: where it goes, what the device would say, and what goes wrong.

Everything follows from the seed and the clock given. The row is the whole truth of one moment; a protocol's simulation
writes of it what the protocol can carry.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Final

from cocket.core.clock import US
from cocket.core.protocol import Row

_METRES_A_DEGREE: Final = 111_320.0
_TURN_DEG: Final = 8.0


@dataclass(frozen=True, slots=True)
class Troubles:
    """Shares and lengths of what goes wrong, by report. ``jam``: without satellites; ``drift_s``: how far the device's clock is off
    at most; ``lock_events``: reports at which somebody works the lock.
    """

    jam: float = 0.0
    drift_s: float = 0.0
    lock_events: float = 0.0


NO_TROUBLES: Final = Troubles()


@dataclass(slots=True)
class Vehicle:
    """One device; ``report(now_us)`` is what it says now."""

    device_id: str
    seed: int
    troubles: Troubles = NO_TROUBLES
    lat: float = 0.0
    lon: float = 0.0
    course: float = 0.0
    speed: float = 0.0
    battery: float = 100.0
    odometer_m: float = 0.0
    locked: bool = True
    rope_cut: bool = False
    drift_us: int = 0
    last_us: int | None = None
    sequence: int = 0
    _jammed_for: int = 0
    _rng: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        """Begin somewhere between 60° south and 60° north."""
        self._rng = rng = random.Random(self.seed)  # noqa: S311 - a simulation, and repeatable
        self.lat, self.lon = rng.uniform(-60, 60), rng.uniform(-170, 170)
        self.course, self.speed = rng.uniform(0, 360), rng.uniform(5, 25)
        self.battery = rng.uniform(60, 100)
        self.drift_us = round(rng.uniform(-1, 1) * self.troubles.drift_s * US)

    def report(self, now_us: int) -> Row:
        """The truth of this moment, by the device's clock (whole seconds)."""
        rng, troubles = self._rng, self.troubles
        passed = 0.0 if self.last_us is None else (now_us - self.last_us) / US
        self.last_us = now_us
        self._move(passed)
        if self._jammed_for:
            self._jammed_for -= 1
        elif rng.random() < troubles.jam:
            self._jammed_for = rng.randrange(3, 10)
        if rng.random() < troubles.lock_events:
            self.locked = not self.locked
        self.sequence += 1
        jammed = self._jammed_for > 0
        return {
            "device_id": self.device_id,
            "sequence": self.sequence,
            "observed_us": (now_us + self.drift_us) // US * US,
            "lat_deg": round(self.lat, 6),
            "lon_deg": round(self.lon, 6),
            "speed_mps": 0.0 if jammed else self.speed,
            "course_deg": self.course,
            "altitude_m": 40.0,
            "fix_valid": not jammed,
            "satellites": 0 if jammed else 9,
            "locked": self.locked,
            "rope_inserted": self.locked,
            "rope_cut": self.rope_cut,
            "battery_pct": round(self.battery),
            "battery_v": 3.3 + self.battery / 100 * 0.9,
            "gsm_signal": 71,
            "odometer_m": self.odometer_m,
            "ignition": self.speed > 0,
            "temp_c": 21.0,
            "humidity_pct": 55.0,
        }

    def _move(self, seconds: float) -> None:
        rng = self._rng
        self.course = (self.course + rng.uniform(-_TURN_DEG, _TURN_DEG)) % 359.0
        self.speed = min(28.0, max(0.0, self.speed + rng.uniform(-2, 2)))
        gone = self.speed * seconds
        self.odometer_m += gone
        self.lat += gone * math.cos(math.radians(self.course)) / _METRES_A_DEGREE
        self.lon += (
            gone * math.sin(math.radians(self.course)) / (_METRES_A_DEGREE * math.cos(math.radians(self.lat)))
        )
        if abs(self.lat) > 75 or abs(self.lon) > 179:
            self.lat, self.lon = self.lat * 0.5, self.lon * 0.5
        self.battery = max(1.0, self.battery - seconds / 3600)
