"""The live picture: where every journey is and how bad it stands, ready to be asked by map window and zoom.

Arrays indexed by journey, updated once per batch; nothing here is durable, all of it follows from the log.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cocket.core.alerts import SEVERITIES
from cocket.core.batch import Array
from cocket.core.schema import NULL_INT
from cocket.store.alerts import AlertEvent

MOST_OBJECTS = 2000
"""More objects than this in one window are sent as clusters."""

_POSITION = np.dtype(
    [
        ("lat", "f8"),
        ("lon", "f8"),
        ("was_lat", "f8"),
        ("was_lon", "f8"),
        ("course", "f4"),
        ("speed", "f4"),
        ("observed_us", "i8"),
        ("revision", "i8"),
        ("ends_us", "i8"),
        ("worst", "i1"),
        ("silent", "i1"),
    ]
)
_NOWHERE = np.array(
    [(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, NULL_INT, 0, 2**63 - 1, -1, 0)], _POSITION
)
_COLOURS = ("normal", "warn", "high", "critical", "silent", "ended")
_MIN_SEVERITY = SEVERITIES.index("warn")
_LASTING = SEVERITIES.index("high")


@dataclass(slots=True)
class Live:
    """An answer for one map window; tuples are as the live stream sends them."""

    revision: int
    full: bool
    mode: str
    total_in_view: int
    objects: list[tuple[Any, ...]] = field(default_factory=list)
    clusters: list[tuple[float, float, int, str]] = field(default_factory=list)


class LiveMap:
    """Positions and colours of all journeys. ``update`` and ``on_alerts`` write, ``view`` reads; any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revision = 1
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._at = np.repeat(_NOWHERE, 1024)
        self._names: list[tuple[str, str]] = []
        self._number: dict[str, int] = {}
        self._alerts: dict[int, dict[str, tuple[int, bool]]] = {}

    def add(self, journeys: Sequence[tuple[str, str, str, int]]) -> None:
        """New journeys in the order of their numbers: (binding key, mrn, device id, end in µs)."""
        with self._lock:
            first = len(self._names)
            need = first + len(journeys)
            if need > len(self._at):
                self._at = np.concatenate(
                    [self._at, np.repeat(_NOWHERE, max(need, len(self._at)) - len(self._at) + need)]
                )
            for i, (key, mrn, device, ends_us) in enumerate(journeys, first):
                self._names.append((mrn, device))
                self._number[key] = i
                self._at[i]["ends_us"] = ends_us

    def end(self, journey: int, ends_us: int) -> None:
        """A binding's end became known or changed."""
        with self._lock:
            self._at[journey]["ends_us"] = ends_us
            self._at[journey]["revision"] = self._revision

    def update(
        self, journey: Array, t: Array, lat: Array, lon: Array, course: Array | None, speed: Array | None
    ) -> None:
        """Rows in event order with a valid position each; the newest per journey counts."""
        with self._lock:
            newer = t >= self._at["observed_us"][journey]
            j = journey[newer]
            at = self._at
            fresh = j[at["revision"][j] != self._revision]
            at["was_lat"][fresh] = at["lat"][fresh]
            at["was_lon"][fresh] = at["lon"][fresh]
            at["lat"][j], at["lon"][j], at["observed_us"][j] = lat[newer], lon[newer], t[newer]
            at["course"][j] = np.nan if course is None else course[newer]
            at["speed"][j] = np.nan if speed is None else speed[newer]
            at["revision"][j] = self._revision

    def on_alerts(self, events: Sequence[AlertEvent]) -> None:
        """Colour the journeys: an alert of at least ``warn`` counts until it ended, a high one until it is closed."""
        with self._lock:
            for event in events:
                j = self._number.get(event.alert["journey"])
                if j is not None:
                    self._colour(j, event.alert)

    def _colour(self, j: int, alert: dict[str, Any]) -> None:
        mine = self._alerts.setdefault(j, {})
        severity = SEVERITIES.index(alert["severity"])
        counts = (
            severity >= _MIN_SEVERITY
            and alert["superseded_us"] is None
            and alert["state"] != "closed"
            and (alert["ended_us"] is None or severity >= _LASTING)
        )
        if counts:
            mine[alert["id"]] = (severity, alert["code"] == "silence" and alert["ended_us"] is None)
        else:
            mine.pop(alert["id"], None)
        self._at[j]["worst"] = max((s for s, _ in mine.values()), default=-1)
        self._at[j]["silent"] = any(silent for _, silent in mine.values())
        self._at[j]["revision"] = self._revision
        if not mine:
            del self._alerts[j]

    def view(
        self, bbox: tuple[float, float, float, float] | None, zoom: float, since: int, now_us: int
    ) -> Live:
        """What is inside ``bbox`` (west, south, east, north; west > east crosses the antimeridian).

        ``since`` is the revision of the last answer to the same question; 0 asks for everything.
        """
        with self._lock:
            at = self._at[: len(self._names)].copy()
            revision = self._revision
            self._revision += 1
        inside = _inside(at["lat"], at["lon"], bbox)
        total = int(inside.sum())
        if total > MOST_OBJECTS:
            return Live(revision, True, "clusters", total, clusters=_clusters(at[inside], zoom, now_us))
        changed = at["revision"] >= since
        left = changed & ~inside & _inside(at["was_lat"], at["was_lon"], bbox)
        full = since == 0 or bool(left.any())
        rows = np.flatnonzero(inside if full else inside & changed)
        states = _states(at, now_us)
        objects = [
            (
                *self._names[i],
                round(float(at["lat"][i]), 6),
                round(float(at["lon"][i]), 6),
                _number(at["course"][i]),
                _number(at["speed"][i]),
                _COLOURS[states[i]],
                int(at["observed_us"][i]) // 1000,
            )
            for i in rows.tolist()
        ]
        return Live(revision, full, "objects", total, objects=objects)


def _states(at: Array, now_us: int) -> Array:
    """Index into ``_COLOURS`` per journey."""
    state = np.clip(at["worst"], 0, 3)
    state = np.where((at["silent"] > 0) & (at["worst"] < _LASTING + 1), _COLOURS.index("silent"), state)
    return np.where(at["ends_us"] <= now_us, _COLOURS.index("ended"), state)


def _inside(lat: Array, lon: Array, bbox: tuple[float, float, float, float] | None) -> Array:
    if bbox is None:
        return ~np.isnan(lat)
    west, south, east, north = bbox
    across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    return (lat >= south) & (lat <= north) & across


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else round(float(value), 1)


def cell_of(lat: float, lon: float, zoom: float) -> tuple[int, int]:
    """The grid cell in which a position is counted at ``zoom``."""
    cell = _cell_deg(zoom)
    return math.floor((lon + 180) / cell), math.floor((lat + 90) / cell)


def _cell_deg(zoom: float) -> float:
    """Side of a cell of about 60 screen pixels, degrees."""
    return 360.0 * 60 / 512 * math.pow(2.0, -max(0.0, min(zoom, 22.0)))


def _clusters(at: Array, zoom: float, now_us: int) -> list[tuple[float, float, int, str]]:
    """Counts by grid cell of about 60 screen pixels at ``zoom``; each with the worst colour inside it."""
    cell = _cell_deg(zoom)
    ix = np.floor((at["lon"] + 180) / cell).astype(np.int64)
    iy = np.floor((at["lat"] + 90) / cell).astype(np.int64)
    _, group, count = np.unique(ix * 2**32 + iy, return_inverse=True, return_counts=True)
    lat = np.bincount(group, at["lat"]) / count
    lon = np.bincount(group, at["lon"]) / count
    rank = np.array([0, 2, 3, 4, 1, -1])[_states(at, now_us)]  # silent ranks between normal and warn
    worst = np.full(len(count), -1)
    np.maximum.at(worst, group, rank)
    names = {0: "normal", 1: "silent", 2: "warn", 3: "high", 4: "critical", -1: "ended"}
    return [
        (round(a, 5), round(o, 5), c, names[w])
        for a, o, c, w in zip(lat.tolist(), lon.tolist(), count.tolist(), worst.tolist(), strict=True)
    ]
