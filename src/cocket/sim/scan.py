"""Plain scans of what was sent: the second half of the truth, which nobody scripted.

The real positions hold jumps, and so fixes off the corridor and implied speeds that no vehicle reaches; they
cross mapped zones. These loops look for it in the definitions' own words, on a flat plane, with shapely, and
share no code with the detectors.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely

from cocket.core.batch import Array
from cocket.core.clock import US
from cocket.sim.plane import circle
from cocket.sim.seals import REPORT_INTERVAL_S, Seal
from cocket.sim.stage import fast_spans
from cocket.sim.transits import HALF_WIDTH_M, Zone
from cocket.sim.truth import Truth

OFF_M: Final = 500.0
JUMP_M: Final = 5_000.0
"""The demo's rules raise the least jump of gnss-spoofing from 500 m to this for its seals: the taxis' receivers
jump by less than four kilometres now and then (365 times in the excerpt), which is noise and not a jammer's work."""

JUMP_MPS: Final = 150 / 3.6
STOP_S: Final = 900
STOP_RADIUS_M: Final = 150.0
STOP_SPEED_MPS: Final = 2.8
FAST_S: Final = 60
TOLD_KIND: Final = "dead-zone"
"""The demo's rules tell of crossings of these zones only: at the offices and approved stops there are thousands."""


def scan(
    seal: Seal, corridor: shapely.Geometry, zones: list[Zone], exempt: shapely.Geometry, told: list[Truth]
) -> list[Truth]:
    """Everything in one seal's rows that a detector should tell of, less what ``told`` already says."""
    rows = seal.rows[seal.rows["observed_us"] >= seal.bound_from_us]  # not those of a clock that fell back
    rows = rows[np.lexsort((rows["sequence"], rows["observed_us"]))]
    fixes = rows[np.isfinite(rows["lat_deg"]) & (rows["fix_valid"] == 1)]
    moving = Seal(seal.vehicle, seal.device, fixes, seal.goods, seal.temp_range_c, seal.way)
    x, y = moving.xy()
    t = fixes["observed_us"]
    out = [
        *_jumps(seal, x, y, t),
        *_excursions(seal, x, y, t, corridor),
        *_stops(seal, x, y, fixes, exempt),
        *_fast(seal, fixes),
        *_crossings(seal, x, y, t, zones),
        *_gaps(seal, rows["observed_us"]),
    ]
    return [
        a
        for a in out
        if not any(a.code == b.code and a.from_us <= b.to_us and a.to_us >= b.from_us for b in told)
    ]


def _jumps(seal: Seal, x: Array, y: Array, t: Array) -> list[Truth]:
    far = np.hypot(np.diff(x), np.diff(y))
    seconds = np.diff(t) / US
    wild = np.flatnonzero((far > JUMP_M) & (far > JUMP_MPS * seconds))
    return [
        Truth(seal.mrn, "gnss-spoofing", int(t[i]), int(t[i + 1]), "jump in the track", "tracks")
        for i in wild
    ]


def _excursions(seal: Seal, x: Array, y: Array, t: Array, corridor: shapely.Geometry) -> list[Truth]:
    """From the first fix more than 500 m off the corridor's edge to the last before it is back inside."""
    off = shapely.distance(corridor, shapely.points(x, y)) - HALF_WIDTH_M
    edges = np.flatnonzero(np.diff((off > 0).astype(np.int8), prepend=0, append=0))
    out: list[Truth] = []
    for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        far = np.flatnonzero(off[a:b] > OFF_M)
        if len(far):
            out.append(_excursion(seal, x, y, t, (a + int(far[0]), b - 1)))
    return out


def _excursion(seal: Seal, x: Array, y: Array, t: Array, span: tuple[int, int]) -> Truth:
    a, b = span
    if seal.corridor_gap is not None and shapely.contains_xy(circle(*seal.corridor_gap), x[a], y[a]):
        return Truth(seal.mrn, "route-deviation", int(t[a]), int(t[b]), "off the corridor")
    return Truth(
        seal.mrn, "route-deviation", int(t[a]), int(t[b]), "fix off the corridor in the track", "tracks"
    )


def _stops(seal: Seal, x: Array, y: Array, fixes: Array, exempt: shapely.Geometry) -> list[Truth]:
    t = fixes["observed_us"]
    slow = ~(fixes["speed_mps"] >= STOP_SPEED_MPS)
    out: list[Truth] = []
    anchor: int | None = None
    for i in range(len(t) + 1):
        stays = (
            i < len(t)
            and anchor is not None
            and slow[i]
            and np.hypot(x[i] - x[anchor], y[i] - y[anchor]) <= STOP_RADIUS_M
        )
        if stays:
            continue
        if anchor is not None and t[i - 1] - t[anchor] >= STOP_S * US:
            outside = ~shapely.contains_xy(exempt, x[anchor:i], y[anchor:i])
            if outside.any():
                out.append(
                    Truth(
                        seal.mrn,
                        "unscheduled-stop",
                        int(t[anchor]),
                        int(t[i - 1]),
                        "stop in the track",
                        "tracks",
                    )
                )
        anchor = i if i < len(t) and slow[i] else None
    return out


def _fast(seal: Seal, fixes: Array) -> list[Truth]:
    t = fixes["observed_us"]
    spans = fast_spans(fixes["speed_mps"] > seal.speed_limit_mps * 1.1, t, FAST_S * US)
    if "speeding" in seal.kinds:
        return [Truth(seal.mrn, "speeding", int(t[a]), int(t[b]), "speeding") for a, b in spans]
    return [
        Truth(seal.mrn, "speeding", int(t[a]), int(t[b]), "speed in the track", "tracks") for a, b in spans
    ]


def _crossings(seal: Seal, x: Array, y: Array, t: Array, zones: list[Zone]) -> list[Truth]:
    out: list[Truth] = []
    for zone in zones:
        if zone.kind not in {TOLD_KIND, "restricted"}:
            continue
        inside = shapely.contains_xy(zone.shape, x, y).astype(np.int8)
        steps = np.diff(inside, prepend=0)
        entries, exits = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
        if zone.kind == "restricted":
            for a in entries.tolist():
                later = exits[exits > a]
                b = int(later[0]) if len(later) else len(t) - 1
                out.append(Truth(seal.mrn, "restricted-zone", int(t[a]), int(t[b]), "restricted zone"))
            continue
        out += [
            Truth(seal.mrn, "zone-entered", int(t[a]), int(t[a]), "dead zone on the way", "tracks")
            for a in entries.tolist()
        ]
        out += [
            Truth(seal.mrn, "zone-left", int(t[b]), int(t[b]), "dead zone on the way", "tracks")
            for b in exits.tolist()
        ]
    return out


def _gaps(seal: Seal, t: Array) -> list[Truth]:
    quiet = 2 * REPORT_INTERVAL_S * US
    return [
        Truth(seal.mrn, "silence", int(t[i]) + quiet, int(t[i + 1]), "gap in the track", "tracks")
        for i in np.flatnonzero(np.diff(t) > quiet).tolist()
    ]
