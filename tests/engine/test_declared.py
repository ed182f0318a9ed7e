"""What the lines of a process begin from is what is stored, however it came to be known."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.engine import feed

from cocket.core.clock import rfc3339
from cocket.engine.declared import Declarations, Declared
from cocket.engine.service import Service
from cocket.engine.world import World
from cocket.pipeline import DETECTORS

US = 1_000_000


def square(lon: float) -> dict:
    ring = [[lon, 0.0], [lon + 0.5, 0.0], [lon + 0.5, 0.5], [lon, 0.5], [lon, 0.0]]
    return {"geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {"kind": "office"}}


def line(lon: float) -> dict:
    path = [[lon, 1.0], [lon + 0.1, 1.2], [lon + 0.3, 1.1]]
    return {"geometry": {"type": "LineString", "coordinates": path}, "properties": {"half_width_m": 500.0}}


def change(service: Service, rng: random.Random, n: int) -> None:
    """One change of any kind, as people make it."""
    store, at = service.folder.reference, {"by": "amina", "at_us": feed.START_US + n}
    name = f"X{rng.randrange(6)}"
    match rng.randrange(6):
        case 0:
            store.put("zone", name, square(rng.randrange(20)), **at)
        case 1:
            store.put("corridor", name, line(rng.randrange(20)), **at)
        case 2:
            departed = rfc3339(feed.START_US + n * US)
            store.put("movement", f"NEW{name}", {"departed_at": departed, "corridor": None}, **at)
        case 3:
            store.put("device", f"D{n}", {"class": "seal", "report_interval_s": 60 + n}, **at)
            store.put("movement", f"M{n}", {}, **at)
            store.add_binding(f"D{n}", f"TRUCK{n}", f"M{n}", feed.START_US, None, "amina", feed.START_US)
        case 4:
            if store.get("zone", name):
                store.delete("zone", name, **at)
        case _:
            if store.get("corridor", name):
                store.delete("corridor", name, **at)


def world_of(declarations: Declarations) -> World:
    world = World(DETECTORS)
    world.load(*declarations.now())
    return world


def alike(ours: World, fresh: World) -> None:
    assert ours.version == fresh.version
    assert ours.rules.to_doc() == fresh.rules.to_doc()
    assert ours.zones.ids == fresh.zones.ids
    for place in np.random.default_rng(1).uniform(0, 21, (200, 2)):
        lat, lon = place[:1] / 10, place[1:]
        assert [a.tolist() for a in ours.zones.locate(lat, lon)] == [
            a.tolist() for a in fresh.zones.locate(lat, lon)
        ]
    assert set(ours.corridors.number) == set(fresh.corridors.number)
    for name in ours.corridors.number:
        lat, lon = np.array([1.1]), np.array([5.0])
        off = [
            w.corridors.off_m(np.array([w.corridors.number[name]]), lat, lon, np.array([-1]), np.array([0]))
            for w in (ours, fresh)
        ]
        np.testing.assert_array_equal(off[0], off[1])
    n = ours.table.n
    assert n == fresh.table.n
    for field in ("device_id", "mrn", "equipment_id", "corridor_id"):
        assert getattr(ours.table, field)[:n] == getattr(fresh.table, field)[:n], field
    for field in ("from_us", "to_us", "period_us", "departed_us"):
        assert getattr(ours.table, field)[:n].tolist() == getattr(fresh.table, field)[:n].tolist(), field


def test_what_is_followed_is_what_is_read_anew(tmp_path: Path) -> None:
    rng = random.Random(3)
    with Service.open(tmp_path, feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        kept = Declarations(service.folder.reference, DETECTORS, kept=True)
        worlds = []
        for n in range(150):
            change(service, rng, n)
            if n % 25 == 7:
                kept.follow()
            if n % 30 == 0:
                worlds.append(world_of(kept))
        fresh = world_of(Declarations(service.folder.reference, DETECTORS))
        alike(world_of(kept), fresh)
        assert fresh.table.n > 20
        for world in worlds:  # made at different times, changed on each its own
            while changes := service.folder.reference.changes(world.version, 40):
                world.apply(changes)
            alike(world, fresh)


def test_who_was_given_a_copy_changes_nobody_else_s(tmp_path: Path) -> None:
    with Service.open(tmp_path, feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        kept = Declarations(service.folder.reference, DETECTORS, kept=True)
        one, other = kept.now()[0], kept.now()[0]
        before = set(other.corridors.number), other.zones.ids, dict(other.movements)
        change_of = service.folder.reference.changes(0, 1000)
        one.apply(
            [replace(c, id="HERE ONLY") for c in change_of if c.kind in {"zone", "corridor", "movement"}]
        )
        assert "HERE ONLY" in one.corridors.number
        assert (set(other.corridors.number), other.zones.ids, dict(other.movements)) == before
        assert isinstance(one, Declared)
        alike(world_of(kept), world_of(Declarations(service.folder.reference, DETECTORS)))
