"""Where is it: zones and corridors, against Shapely."""

from __future__ import annotations

from time import thread_time

import numpy as np
import shapely

from bench.measure import Section
from bench.world import World
from cocket.journeys.corridors import CorridorDef
from cocket.journeys.zones import ZoneIndex


def zones_and_corridors(*, quick: bool) -> Section:
    section = Section("geo", "Which zones hold a position, and how far is it off its corridor?")
    world = World(20_000, 20_000)
    n = 200_000 if quick else 1_000_000
    section.sizes = {"zones": 1000, "corridors": 20_000, "points each": 200, "positions": n}
    rng = np.random.default_rng(1)
    lat, lon = rng.uniform(20, 30, n), rng.uniform(100, 110, n)
    rings = np.array(world.rings)
    world.zone_index()
    began = thread_time()
    index: ZoneIndex = world.zone_index()
    section.add("zone index, built", (thread_time() - began) * 1e3, "ms", value_at_most=500)
    index.locate(lat[:1], lon[:1])
    began = thread_time()
    offsets, _ = index.locate(lat, lon)
    rate = n / (thread_time() - began)
    few = min(n, 100_000)
    tree = shapely.STRtree(shapely.polygons(rings))
    points = shapely.points(lon[:few], lat[:few])
    began = thread_time()
    rows, _ = tree.query(points, "intersects")
    tree_rate = few / (thread_time() - began)
    assert len(rows) == offsets[few]
    section.add("positions located", rate, "/s", than=("Shapely STRtree", tree_rate))
    section.add("zone index, memory", index.nbytes / 1e6, "MB")

    assert len(world.lines) == world.corridors
    began = thread_time()
    corridors = world.corridor_index()
    section.add("corridor index, built", (thread_time() - began) * 1e3, "ms", value_at_most=2000)
    section.add("corridor index, memory", corridors.nbytes / 1e6, "MB")
    began = thread_time()
    for i in range(20):
        corridors = corridors.changed([CorridorDef(f"C{i}", [world.lines[-1 - i]], 300.0)])
    section.add("one corridor replaced", (thread_time() - began) / 20 * 1e3, "ms")
    corridors = world.corridor_index()
    hint = np.zeros(world.movements, np.int32)
    rates = []
    for k in range(6):
        v = rng.permutation(world.movements)
        batch = world.rows(v, np.full(len(v), k))
        j = v.astype(np.int32)
        y, x = batch.filled("lat_deg"), batch.filled("lon_deg")
        began = thread_time()
        off = corridors.off_m(j, y, x, hint, j)
        rates.append(len(v) / (thread_time() - began))
    lines = shapely.linestrings(world.lines[v[:5000]])
    places = shapely.points(x[:5000], y[:5000])
    began = thread_time()
    degrees = shapely.distance(lines, places)
    plain = 5000 / (thread_time() - began)
    assert ((degrees < 0.0025) == (off[:5000] == 0))[np.abs(degrees - 0.0028) > 0.0006].all()
    section.add(
        "positions against their own corridors",
        float(np.median(rates[1:])),
        "/s",
        than=("Shapely distance", plain),
    )
    section.remarks.append(f"{offsets[-1] / n:.1%} of the positions lie in a zone; corridors in random order")
    return section
