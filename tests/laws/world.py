"""The small world in which the laws are tried: two devices, three journeys, six zones, a corridor, and scripts.

A script is a list of (device, minute/2, place, what it says, what else it says): small numbers that shrink well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from tests.laws.harness import Reference
from tests.twins.geometry import Corridor, Zone, Zones

from cocket.core.journeys import Journey
from cocket.journeys.corridors import CorridorDef, CorridorIndex
from cocket.journeys.zones import ZoneDef, ZoneIndex
from cocket.pipeline import DETECTORS

HALF_MINUTE = 30_000_000
START = 1_600_000_000_000_000


def at(half_minutes: int) -> int:
    return START + half_minutes * HALF_MINUTE


PLACES: list[tuple[float, float] | None] = [
    None,
    (22.500, 114.000),  # on the corridor, in no zone
    (22.5004, 114.0004),  # some 60 m from it
    (22.501, 114.020),
    (22.500, 114.051),  # departure and hot
    (22.500, 114.100),  # restricted
    (22.5001, 114.150),  # dead zone and office
    (22.500, 114.201),  # unlock-permitted
    (22.512, 114.020),  # 1.2 km off the corridor's edge
    (22.540, 114.020),  # 4.3 km off
    (22.505, 114.021),  # just outside the edge
    (22.700, 114.100),  # far, restricted too
]


def _box(zone: str, kind: str, lat: float, lon: float, half: float = 0.004, *, hot: bool = False) -> Zone:
    w, e, s, n = lon - half, lon + half, lat - half, lat + half
    return Zone(zone, kind, [(w, s), (e, s), (e, n), (w, n), (w, s)], hot)


ZONES = [
    _box("yard", "departure", 22.5, 114.051),
    _box("hot spot", "office", 22.5, 114.151, hot=True),
    _box("forbidden", "restricted", 22.5, 114.1),
    _box("forbidden far", "restricted", 22.7, 114.1),
    _box("tunnel", "dead-zone", 22.5, 114.149),
    _box("depot", "unlock-permitted", 22.5, 114.201),
    _box("danger", "dead-zone", 22.501, 114.02, hot=True),
]
CORRIDOR = Corridor("north", [(113.9, 22.5), (114.1, 22.5), (114.3, 22.5)], 200.0)

JOURNEYS = [
    Journey(
        "A", "EQ1", "MRN1", at(0), at(100), period_us=4 * HALF_MINUTE, departed_us=at(-20), limit_us=at(80),
        corridor=0, corridor_id="north", cards=frozenset({"c1", "c2"}), speed_limit_mps=20.0,
    ),
    Journey(
        "A", "EQ2", "MRN2", at(100), None, period_us=6 * HALF_MINUTE, limit_us=at(190), arrived_us=at(180),
        temp_min_c=2.0, temp_max_c=8.0,
    ),
    Journey(
        "B", "EQ3", "MRN3", at(10), at(180), limit_us=at(150), arrived_us=at(165), corridor=0,
        corridor_id="north", temp_max_c=8.0, goods="pharma",
    ),
]  # fmt: skip

RULES: list[dict[str, Any]] = [
    {},
    {
        "defaults": {
            "seal-cut": {"fold_s": 300},
            "seal-opened": {"fold_s": 120},
            "restricted-zone": {"fold_s": 600},
            "gnss-jamming": {"fold_s": 240, "max_gap_s": 150},
            "unscheduled-stop": {"stop_s": 120, "hot_stop_s": 60, "fold_s": 200},
            "temperature-excursion": {"hold_s": 60, "alarm_s": 150},
            "silence": {"fold_s": 900, "missed_periods": 1.5},
            "route-deviation": {"fold_s": 900},
            "shock": {"severity": "warn"},
        },
        "goods": {"pharma": {"temperature-excursion": {"min_c": 3.0}, "wrong-password": {"enabled": False}}},
        "corridors": {"north": {"overstay": {"warn_share": 0.5}, "zone-left": {"kinds": ["office"]}}},
    },
    {
        "defaults": {
            "unscheduled-stop": {"stop_s": 60, "exempt_kinds": []},
            "seal-opened": {"permitted_kinds": []},
            "silence": {"enabled": False},
            "speeding": {"hold_s": 0},
            "restricted-zone": {"kinds": ["restricted", "office"]},
            "zone-entered": {"kinds": ["restricted"]},
            "low-battery": {"fold_s": 1000},
        },
        "device_classes": {"x": {"shock": {"shock_g": 1.0}}},
    },
]

SAYS: list[dict[str, Any]] = [
    {},
    {"locked": True},
    {"locked": True, "rope_inserted": True},
    {"locked": True, "rope_inserted": False},
    {"locked": False},
    {"locked": False, "rope_inserted": True},
    {"rope_inserted": False},
    {"unlock_alarm": True},
    {"unlock_alarm": True, "locked": True},
    {"unlock_alarm": False},
    {"rope_cut": True},
    {"rope_cut": False},
    {"casing_open": True},
    {"casing_open": False},
    {"wrong_password": True},
    {"wrong_password": False},
    {"motor_stuck": True},
    {"motor_stuck": False},
    {"card_id": "c1"},
    {"card_id": "thief"},
    {"card_refused": True},
    {"card_refused": False, "card_id": "thief"},
    {"fix_valid": False},
    {"fix_valid": False, "delayed": True},
    {"fix_valid": True},
    {"jamming": True},
    {"jamming": True, "delayed": True},
    {"jamming": False},
    {"fix_source": "cell"},
    {"fix_source": "wifi"},
    {"fix_source": "beacon"},
    {"speed_mps": 0.0},
    {"speed_mps": 15.0},
    {"speed_mps": 30.0},
    {"battery_pct": 10.0},
    {"battery_pct": 12.0, "charging": True},
    {"battery_pct": 17.0},
    {"battery_pct": 5.0},
    {"battery_pct": 80.0},
    {"battery_low": True},
    {"battery_low": False},
    {"temp_c": 1.0},
    {"temp_c": 5.0},
    {"temp_c": 9.5},
    {"temp_c": 20.0},
    {"shock_g": 1.0},
    {"shock_g": 6.0},
    {"shock_g": 9.0},
    {"sequence": 3},
    {"sequence": 4},
]

Script = list[tuple[int, int, int, int, int]]


def rows_of(script: Script) -> list[dict[str, Any]]:
    """The observations of a script, each once."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for device, when, place, says, more in script:
        row: dict[str, Any] = {"device_id": "ABZ"[device], "observed_us": at(when)}
        where = PLACES[place]
        if where:
            row["lat_deg"], row["lon_deg"] = where
        row |= SAYS[says] | SAYS[more]
        content = {k: v for k, v in row.items() if k != "delayed"}
        rows.setdefault(tuple(sorted((k, str(v)) for k, v in content.items())), row)
    return list(rows.values())


def reference(rules: int) -> Reference:
    """The world under one of the rules."""
    return Reference(JOURNEYS, _zone_index(), _corridor_index(), RULES[rules])


def _zone_index() -> ZoneIndex:
    return ZoneIndex.build([ZoneDef(z.id, z.kind, z.hot, shapely.Polygon(z.ring)) for z in ZONES])


def _corridor_index() -> CorridorIndex:
    line = np.array(CORRIDOR.line, np.float64)
    return CorridorIndex.build([CorridorDef(CORRIDOR.id, [line], CORRIDOR.half_width_m)])


TWIN_ZONES = Zones(ZONES)


def params_of(rules: int, j: Journey) -> dict[str, dict[str, Any]]:
    """{detector: {param: value}} for one journey, the layers applied one after the other."""
    out = {d.name: {p.name: p.default for p in d.all_params()} for d in DETECTORS}
    doc = RULES[rules]
    layers = [
        doc.get("defaults", {}),
        doc.get("device_classes", {}).get(j.device_class, {}),
        doc.get("goods", {}).get(j.goods, {}),
        doc.get("corridors", {}).get(j.corridor_id, {}),
    ]
    for layer in layers:
        for code, values in layer.items():
            out[code] |= values
    return out
