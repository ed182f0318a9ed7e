"""Geometry in plain Python: the sphere, the even-odd rule and the nearest segment, for the twins."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

RADIUS_M = 6_371_008.8


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Haversine on the mean sphere; within 0.6 % of the ellipsoid."""
    p1, p2 = math.radians(lat1), math.radians(lat2)
    half_lat = math.sin((p2 - p1) / 2)
    half_lon = math.sin(math.radians(lon2 - lon1) / 2)
    h = half_lat**2 + math.cos(p1) * math.cos(p2) * half_lon**2
    return 2 * RADIUS_M * math.asin(min(1.0, math.sqrt(h)))


@dataclass
class Zone:
    """A polygon without holes: ``ring`` of (lon, lat), closed."""

    id: str
    kind: str
    ring: list[tuple[float, float]]
    hot: bool = False
    box: tuple[float, float, float, float] = field(init=False)

    def __post_init__(self) -> None:
        lons, lats = [p[0] for p in self.ring], [p[1] for p in self.ring]
        self.box = (min(lons), min(lats), max(lons), max(lats))

    def holds(self, lat: float, lon: float) -> bool:
        w, s, e, n = self.box
        if not (w <= lon <= e and s <= lat <= n):
            return False
        inside = False
        for (x1, y1), (x2, y2) in zip(self.ring, self.ring[1:], strict=False):
            if (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) * (x2 - x1) / (y2 - y1):
                inside = not inside
        return inside


@dataclass
class Corridor:
    """A line of (lon, lat) with a half-width."""

    id: str
    line: list[tuple[float, float]]
    half_width_m: float

    def off_m(self, lat: float, lon: float) -> float:
        """Metres outside the edge, 0 inside."""
        per_lat = math.radians(RADIUS_M)
        per_lon = per_lat * math.cos(math.radians(lat))
        best = math.inf
        for (x1, y1), (x2, y2) in zip(self.line, self.line[1:], strict=False):
            ax, ay = (x1 - lon) * per_lon, (y1 - lat) * per_lat
            bx, by = (x2 - x1) * per_lon, (y2 - y1) * per_lat
            length2 = bx * bx + by * by
            along = 0.0 if length2 == 0 else max(0.0, min(1.0, -(ax * bx + ay * by) / length2))
            best = min(best, math.hypot(ax + along * bx, ay + along * by))
        return max(0.0, best - self.half_width_m)


class Zones:
    """Zones by cell of a tenth of a degree."""

    def __init__(self, zones: list[Zone]) -> None:
        self.cells: dict[tuple[int, int], list[Zone]] = {}
        for zone in zones:
            w, s, e, n = zone.box
            for x in range(math.floor(w * 10), math.floor(e * 10) + 1):
                for y in range(math.floor(s * 10), math.floor(n * 10) + 1):
                    self.cells.setdefault((x, y), []).append(zone)

    def at(self, lat: float, lon: float) -> list[Zone]:
        cell = self.cells.get((math.floor(lon * 10), math.floor(lat * 10)), ())
        return [zone for zone in cell if zone.holds(lat, lon)]
