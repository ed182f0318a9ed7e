"""Simulated e-seals on real positions: the rows that each device sends, and who it is bound to.

Positions and speeds come from the tracks. Everything else (lock, rope, battery, network, temperature, papers)
is made up here, by a seeded generator: the same seed gives the same world to the last byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from cocket.core.batch import Array, Batch, Texts
from cocket.core.clock import US, parse_rfc3339
from cocket.core.ids import iso6346_check_digit
from cocket.core.schema import BY_NAME
from cocket.sim.plane import xy
from cocket.sim.tracks import WINDOW_S, Track

DAY_US: Final = parse_rfc3339("2026-03-12T00:00:00Z")
"""08:00 in Shenzhen on the day into which the demo moves the tracks."""

REPORT_INTERVAL_S: Final = 360
ARMS_AFTER: Final = 1
CARD_OF_OFFICER: Final = "CARD-0077"
CARD_OF_STRANGER: Final = "CARD-9913"
CARDS: Final = ("", CARD_OF_OFFICER, CARD_OF_STRANGER)
METHODS: Final = ("", "card", "password", "key")

ROW: Final = np.dtype(
    [
        ("send_us", "i8"),
        ("observed_us", "i8"),
        ("device", "i4"),
        ("sequence", "i8"),
        ("lat_deg", "f8"),
        ("lon_deg", "f8"),
        ("speed_mps", "f8"),
        ("course_deg", "f8"),
        ("fix_valid", "i1"),
        ("locked", "i1"),
        ("rope_inserted", "i1"),
        ("rope_cut", "i1"),
        ("casing_open", "i1"),
        ("wrong_password", "i1"),
        ("motor_stuck", "i1"),
        ("card_refused", "i1"),
        ("card", "i1"),
        ("method", "i1"),
        ("battery_pct", "f8"),
        ("gsm_signal", "i8"),
        ("temp_c", "f8"),
        ("shock_g", "f8"),
        ("delayed", "i1"),
    ]
)
"""One observation and the moment at which the device sends it (``send_us``; later than observed if it had no network)."""


@dataclass(slots=True)
class Seal:
    """One transit: a vehicle's rows, its papers, and what happens to it. ``extra``: rows besides its own
    (sent again, or from a device that is bound to nothing); ``way``: x, y, time of the real track, before any of it.
    """

    vehicle: int
    device: int
    rows: Any
    goods: str
    temp_range_c: tuple[float, float] | None
    way: tuple[Array, Array, Array]
    kinds: list[str] = field(default_factory=list)
    extra: list[Any] = field(default_factory=list)
    speed_limit_mps: float = 33.0
    allowed_share: float | None = None
    corridor_gap: tuple[float, float, float] | None = None

    @property
    def device_id(self) -> str:
        """The seal's number."""
        return f"ES-{self.vehicle}"

    @property
    def equipment_id(self) -> str:
        """A container number with a right check digit (ISO 6346)."""
        number = f"CKTU{self.vehicle:06d}"
        return f"{number}{iso6346_check_digit(number)}"

    @property
    def mrn(self) -> str:
        """A movement reference number with a right check digit."""
        number = f"26CN0053SIM{self.vehicle:06d}"
        return f"{number}{iso6346_check_digit(number)}"

    @property
    def corridor_id(self) -> str:
        """Each transit has its own."""
        return f"corridor-{self.vehicle}"

    @property
    def began_us(self) -> int:
        """First observation."""
        return int(self.rows["send_us"][0])

    @property
    def ended_us(self) -> int:
        """Last observation that it sent."""
        return int(self.rows["send_us"].max())

    @property
    def bound_from_us(self) -> int:
        """The seal is put on two minutes before it first reports."""
        return self.began_us - 120 * US

    @property
    def bound_to_us(self) -> int:
        """And taken off a minute after its last report."""
        return self.ended_us + 60 * US

    def xy(self) -> tuple[Array, Array]:
        """The rows' positions on the plane."""
        return xy(self.rows["lat_deg"], self.rows["lon_deg"])


def seal_of(track: Track, device: int, seed: int) -> Seal:
    """An undisturbed transit: armed after its first report, everything in order to the end."""
    rng = np.random.default_rng([seed, track.vehicle])
    n = len(track.t_s)
    rows = np.zeros(n, ROW)
    rows["observed_us"] = rows["send_us"] = DAY_US + (track.t_s - WINDOW_S[0]) * US
    rows["device"] = device
    rows["lat_deg"], rows["lon_deg"], rows["speed_mps"] = track.lat_deg, track.lon_deg, track.speed_mps
    x, y = xy(track.lat_deg, track.lon_deg)
    rows["course_deg"] = _course(x, y)
    rows["fix_valid"] = rows["rope_inserted"] = 1
    rows["locked"][ARMS_AFTER:] = 1
    rows["card_refused"] = rows["delayed"] = -1
    hours = (rows["observed_us"] - rows["observed_us"][0]) / (3600 * US)
    rows["battery_pct"] = np.round(rng.uniform(62, 100) - rng.uniform(0.4, 1.2) * hours, 1)
    rows["gsm_signal"] = np.clip(rng.normal(78, 8, n), 31, 100)
    cold = rng.random() < 0.3
    wander = np.sin(hours * rng.uniform(2, 5) + rng.uniform(0, 6))
    mean, swing = (-18.5, 0.8) if cold else (rng.uniform(19, 24), 1.5)
    rows["temp_c"] = np.round(mean + swing * wander + rng.normal(0, 0.15, n), 1)
    rows["shock_g"] = np.nan
    return Seal(
        track.vehicle,
        device,
        rows,
        "frozen food" if cold else str(rng.choice(["electronics", "textiles", "machinery", "toys"])),
        (-25.0, -15.0) if cold else None,
        (x, y, rows["observed_us"].copy()),
    )


def _course(x: Array, y: Array) -> Array:
    """Derived from the step to the next position; null where the vehicle hardly moves."""
    dx, dy = np.diff(x, append=x[-1]), np.diff(y, append=y[-1])
    course = np.round(np.degrees(np.arctan2(dx, dy)) % 360, 0)
    course[np.hypot(dx, dy) < 20] = np.nan
    return course


def batch(rows: Any, devices: list[str]) -> Batch:
    """Rows as observations. ``devices`` names the device numbers."""
    n = len(rows)
    columns: dict[str, Any] = {}
    for name in ROW.names or ():
        if name in BY_NAME:
            columns[name] = np.ascontiguousarray(rows[name])
    seen = ~np.isnan(rows["lat_deg"])
    columns["device_id"] = Texts(rows["device"].astype(np.int32), devices)
    columns["fix_source"] = np.where(seen, 0, -1).astype(np.int8)
    columns["card_id"] = Texts(np.where(rows["card"] > 0, rows["card"], -1).astype(np.int32), list(CARDS))
    columns["unlock_method"] = Texts(
        np.where(rows["method"] > 0, rows["method"], -1).astype(np.int32), list(METHODS)
    )
    columns["source"] = Texts.constant("demo", n)
    return Batch(n, columns)
