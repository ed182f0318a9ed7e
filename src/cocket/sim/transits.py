"""The declared world of the demo: offices, zones, corridors, devices, movements and bindings.

It is drawn from the tracks so that what the vehicles really do is in order: where one waits eleven minutes or
more there is an approved stop, its corridor is its own way with half a kilometre on each side, its office of
departure is the nearest. What is then out of order was put there by the script (``incidents``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely

from cocket.core.batch import Array
from cocket.core.clock import US, rfc3339
from cocket.sim import plane
from cocket.sim.seals import CARD_OF_OFFICER, REPORT_INTERVAL_S, Seal
from cocket.sim.tracks import CONTROL_POINTS

HALF_WIDTH_M: Final = 500.0
SIMPLIFY_M: Final = 80.0
STOP_RADIUS_M: Final = 150.0
STOP_ZONE_RADIUS_M: Final = 260.0
WAIT_S: Final = 660
OFFICE_RADIUS_M: Final = 500.0
YARD_RADIUS_M: Final = 300.0
LEAST_YARD_FIXES: Final = 4
JUMP_M: Final = 500.0
JUMP_MPS: Final = 150 / 3.6
SETTLED_SHARE: Final = 0.7
"""A transit in order takes 70 % of the time that it is allowed, below the 80 % at which overstay warns."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A declared zone on the plane."""

    id: str
    kind: str
    name: str
    shape: shapely.Geometry


def offices() -> list[dict[str, Any]]:
    """The six control points, named after the real ones; their ids are made up."""
    return [
        {
            "id": p.id,
            "name": f"{p.name} (simulated office)",
            "country": "CN",
            "lat_deg": p.lat_deg,
            "lon_deg": p.lon_deg,
        }
        for p in CONTROL_POINTS
    ]


def zones_of(seals: list[Seal]) -> list[Zone]:
    """Offices and their unlocking yards, consignees' yards, approved stops."""
    out: list[Zone] = []
    for p in CONTROL_POINTS:
        x, y = (float(v) for v in plane.xy(p.forecourt_lat_deg, p.forecourt_lon_deg))
        out.append(
            Zone(f"office-{p.id}", "office", f"{p.name} control point", plane.circle(x, y, OFFICE_RADIUS_M))
        )
        out.append(
            Zone(
                f"yard-{p.id}",
                "unlock-permitted",
                f"{p.name} examination yard",
                plane.circle(x, y, YARD_RADIUS_M),
            )
        )
    yards = [plane.circle(*_end(s), YARD_RADIUS_M) for s in seals if arrival_rows(s) >= LEAST_YARD_FIXES]
    for i, shape in enumerate(_parts(shapely.unary_union(yards)), 1):
        out.append(Zone(f"consignee-{i:03d}", "destination", f"Consignee's yard {i}", shape))
    waits = [plane.circle(*p, STOP_ZONE_RADIUS_M) for s in seals for p in _waits(s)]
    for i, shape in enumerate(_parts(shapely.unary_union(waits)), 1):
        out.append(Zone(f"stop-{i:03d}", "approved-stop", f"Approved stop {i}", shape))
    return out


def _parts(shape: shapely.Geometry) -> list[shapely.Geometry]:
    parts = [p for p in shapely.get_parts(shape) if not p.is_empty]
    return sorted(parts, key=lambda p: p.bounds)


def _end(seal: Seal) -> tuple[float, float]:
    x, y, _ = seal.way
    return float(x[-1]), float(y[-1])


def arrival_rows(seal: Seal) -> int:
    """How many fixes at its end lie within the yard in which it arrives."""
    x, y, _ = seal.way
    away = np.flatnonzero(np.hypot(x - x[-1], y - y[-1]) > YARD_RADIUS_M * 0.8)
    return int(len(x) - 1 - away[-1]) if len(away) else len(x)


def _waits(seal: Seal) -> list[tuple[float, float]]:
    """Places at which the real vehicle stays within 150 m for eleven minutes or more."""
    x, y, t = seal.way
    after = np.searchsorted(t, t + WAIT_S * US)  # the first row that is eleven minutes later
    has = np.flatnonzero(after < len(t))
    later = after[has]
    maybe = has[np.hypot(x[later] - x[has], y[later] - y[has]) <= STOP_RADIUS_M]
    places: list[tuple[float, float]] = []
    for i in maybe.tolist():
        a, b = x[i : after[i]], y[i : after[i]]
        known = any(np.hypot(x[i] - p, y[i] - q) < STOP_ZONE_RADIUS_M - STOP_RADIUS_M - 30 for p, q in places)
        if not known and (np.hypot(a - x[i], b - y[i]) <= STOP_RADIUS_M).all():
            places.append((float(x[i]), float(y[i])))
    return places


def union(zones: list[Zone], *kinds: str) -> shapely.Geometry:
    """All zones of some kinds as one prepared shape."""
    shape = shapely.unary_union([z.shape for z in zones if z.kind in kinds])
    shapely.prepare(shape)
    return shape


def steady(x: Array, y: Array, t_us: Array) -> Array:
    """Which fixes agree with a neighbour: not those that the receiver made up for a moment."""
    step = np.hypot(np.diff(x), np.diff(y))
    wild = (step > JUMP_M) & (step > JUMP_MPS * np.maximum(np.diff(t_us) / US, 0.5))
    fine = ~wild
    if len(x) < 2:
        return np.ones(len(x), bool)
    ok: Array = np.r_[fine[0], fine[:-1] | fine[1:], fine[-1]]
    return ok


def corridor_shape(seal: Seal) -> shapely.Geometry:
    """The vehicle's own way, simplified; without the district that a deviation leaves out."""
    x, y, t = seal.way
    ok = steady(x, y, t)
    if ok.sum() >= 2:
        x, y = x[ok], y[ok]
    line = shapely.LineString(np.column_stack([x, y])).simplify(SIMPLIFY_M)
    if line.length < 50:  # a parked vehicle: a line of some length around where it stands
        line = shapely.LineString([(x[0] - 100, y[0]), (x[0] + 100, y[0])])
    if seal.corridor_gap is not None:
        a, b, radius = seal.corridor_gap
        line = line.difference(shapely.Point(a, b).buffer(radius))
    return line


def _nearest_office(x: float, y: float) -> str:

    def far(p: Any) -> float:
        a, b = plane.xy(p.lat_deg, p.lon_deg)
        return float(np.hypot(a - x, b - y))

    return min(CONTROL_POINTS, key=far).id


def limit_us(seal: Seal) -> int:
    """The limit date of its movement."""
    share = seal.allowed_share or 1 / SETTLED_SHARE
    return seal.began_us + int((seal.ended_us - seal.began_us + 600 * US) * share)


def zone_features(zones: list[Zone]) -> list[dict[str, Any]]:
    """For ``POST /zones``."""
    return [
        {
            "type": "Feature",
            "id": z.id,
            "geometry": plane.geojson(z.shape),
            "properties": {"kind": z.kind, "name": z.name},
        }
        for z in zones
    ]


def corridor_features(shapes: dict[str, shapely.Geometry], seals: list[Seal]) -> list[dict[str, Any]]:
    """For ``POST /corridors``."""
    return [
        {
            "type": "Feature",
            "id": s.corridor_id,
            "geometry": plane.geojson(shapes[s.corridor_id]),
            "properties": {
                "half_width_m": HALF_WIDTH_M,
                "name": f"Corridor of {s.mrn}",
                "speed_limit_mps": round(s.speed_limit_mps, 3),
            },
        }
        for s in seals
    ]


def devices(seals: list[Seal]) -> list[dict[str, Any]]:
    """For ``POST /devices``."""
    return [
        {
            "id": s.device_id,
            "class": "e-seal",
            "maker": "simulated",
            "model": "demo seal",
            "report_interval_s": REPORT_INTERVAL_S,
            "authorised_cards": [CARD_OF_OFFICER],
        }
        for s in seals
    ]


def movement(seal: Seal, arrived_us: int | None = None) -> dict[str, Any]:
    """For ``PUT /movements/{mrn}``."""
    x, y, _ = seal.way
    low, high = seal.temp_range_c or (None, None)
    return {
        "mrn": seal.mrn,
        "corridor": seal.corridor_id,
        "departure_office": _nearest_office(x[0], y[0]),
        "destination_office": _nearest_office(x[-1], y[-1]),
        "departed_at": rfc3339(seal.began_us),
        "limit_at": rfc3339(limit_us(seal)),
        "arrived_at": None if arrived_us is None else rfc3339(arrived_us),
        "risk": ("low", "medium", "high")[seal.vehicle % 3],
        "goods": seal.goods,
        "temp_min_c": low,
        "temp_max_c": high,
        "consignments": [
            {
                "ucr": f"6CN{seal.vehicle:010d}",
                "hs": {
                    "frozen food": "0303",
                    "electronics": "8517",
                    "textiles": "6109",
                    "machinery": "8413",
                    "toys": "9503",
                }[seal.goods],
                "description": f"{seal.goods} (simulated)",
                "gross_mass_kg": 4000 + 37 * (seal.vehicle % 400),
            }
        ],
    }


def binding(seal: Seal) -> dict[str, Any]:
    """For ``POST /bindings``."""
    return {
        "device_id": seal.device_id,
        "equipment_id": seal.equipment_id,
        "mrn": seal.mrn,
        "from": rfc3339(seal.bound_from_us),
        "to": rfc3339(seal.bound_to_us),
        "by": "demo",
    }
