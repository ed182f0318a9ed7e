"""The zone tree against Shapely: random outlines, outlines that run along its grid lines, holes, the antimeridian."""

from typing import Any

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.core.geometry import zone_geometry
from cocket.core.journeys import ZONE_KINDS
from cocket.journeys.zones import HOT, ZoneDef, ZoneIndex


def index_of(geometries: list[Any]) -> ZoneIndex:
    return ZoneIndex.build([ZoneDef(f"z{i}", "office", False, g) for i, g in enumerate(geometries)])


def found(index: ZoneIndex, lat: np.ndarray, lon: np.ndarray) -> set[tuple[int, int]]:
    offsets, zones = index.locate(lat, lon)
    assert offsets[0] == 0
    assert offsets[-1] == len(zones)
    rows = np.repeat(np.arange(len(lat)), np.diff(offsets))
    same_row = rows[:-1] == rows[1:]
    assert (np.diff(zones)[same_row] > 0).all(), "ascending, each once"
    return set(zip(rows.tolist(), zones.tolist(), strict=True))


def expected(geometries: list[Any], lat: np.ndarray, lon: np.ndarray) -> set[tuple[int, int]]:
    rows, zones = shapely.STRtree(geometries).query(shapely.points(lon, lat), "intersects")
    return set(zip(rows.tolist(), zones.tolist(), strict=True))


def ragged(rng: np.random.Generator, lon: float, lat: float, size: float, n: int) -> Any:
    turn = np.sort(rng.uniform(0, 2 * np.pi, n))
    far = size * rng.uniform(0.3, 1, n)
    ring = np.column_stack([lon + far * np.cos(turn), lat + far * np.sin(turn)])
    outer = shapely.polygons(np.concatenate([ring, ring[:1]]))
    hole = shapely.box(lon - size / 20, lat - size / 20, lon + size / 20, lat + size / 20)
    island = shapely.box(lon + 1.1 * size, lat, lon + 1.2 * size, lat + size / 7)
    return shapely.union(shapely.difference(shapely.buffer(outer, 0), hole), island)


def test_a_thousand_random_zones_of_all_sizes() -> None:
    rng = np.random.default_rng(3)
    zones = [
        ragged(
            rng,
            rng.uniform(60, 140),
            rng.uniform(-20, 60),
            10 ** rng.uniform(-3, 1.4),
            int(rng.integers(3, 200)),
        )
        for _ in range(1000)
    ]
    assert any(z.geom_type == "MultiPolygon" for z in zones)
    assert any(shapely.get_num_interior_rings(shapely.get_parts(z)).any() for z in zones)
    index = index_of(zones)
    which = rng.integers(0, 1000, 30_000)
    box = shapely.bounds(np.array(zones))[which]
    lon = np.concatenate([rng.uniform(box[:, 0], box[:, 2]), rng.uniform(-180, 180, 20_000)])
    lat = np.concatenate([rng.uniform(box[:, 1], box[:, 3]), rng.uniform(-90, 90, 20_000)])
    reference = expected(zones, lat, lon)
    assert len(reference) > 50_000
    assert found(index, lat, lon) == reference


def test_every_vertex_and_middle_of_an_edge_is_inside() -> None:
    rng = np.random.default_rng(4)
    zones = [ragged(rng, rng.uniform(-180, 180) * 0.9, rng.uniform(-60, 60), 3.0, 400) for _ in range(20)]
    index = index_of(zones)
    for z, zone in enumerate(zones):
        for ring in shapely.get_rings(zone):
            xy = shapely.get_coordinates(ring)
            for points in (xy, 0.5 * (xy[1:] + xy[:-1])):
                inside = found(index, points[:, 1].copy(), points[:, 0].copy())
                assert {(i, z) for i in range(len(points))} <= inside


GRID = st.integers(-24, 24).map(lambda k: k / 4)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(GRID, GRID), min_size=3, max_size=9), min_size=1, max_size=6),
    st.integers(0, 2**32),
)
def test_outlines_that_run_along_the_grid(rings: list[list[tuple[float, float]]], seed: int) -> None:
    """Coordinates of a quarter degree are exact, and lie on the tree's own lines and corners."""
    zones = []
    for ring in rings:
        shape = shapely.polygons([*ring, ring[0]])
        if shapely.is_valid(shape) and shape.area > 0:
            zones.append(shape)
    if not zones:
        return
    # sixty copies make the cells divide to the bottom
    index = index_of(zones * 20)
    rng = np.random.default_rng(seed)
    steps = np.arange(-26, 27) / 4
    lon, lat = (a.ravel() for a in np.meshgrid(steps, steps))
    lon = np.concatenate([lon, rng.uniform(-6, 6, 500)])
    lat = np.concatenate([lat, rng.uniform(-6, 6, 500)])
    assert found(index, lat, lon) == expected(zones * 20, lat, lon)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(-200, 200),
    st.integers(0, 2**32),
    st.sampled_from(["beyond", "jump"]),
    st.booleans(),
)
def test_the_antimeridian(centre: int, seed: int, written: str, clockwise: bool) -> None:
    """A zone about any longitude, written either way, against the same outline in one running frame."""
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    far = rng.uniform(2, 30, 40)
    ring = np.column_stack([centre + far * np.cos(turn), far * np.sin(turn)])
    ring = np.concatenate([ring, ring[:1]])
    hole = shapely.get_coordinates(shapely.box(centre - 0.7, -0.7, centre + 0.7, 0.7))
    plain = shapely.polygons(ring, [hole])
    rings = [ring, hole]
    if clockwise:
        rings = [r[::-1] for r in rings]
    if written == "jump":
        rings = [np.column_stack([(r[:, 0] + 180) % 360 - 180, r[:, 1]]) for r in rings]
    index = index_of([zone_geometry({"type": "Polygon", "coordinates": [r.tolist() for r in rings]})])
    lon, lat = rng.uniform(-180, 180, 2000), rng.uniform(-31, 31, 2000)
    lon[:4], lat[:4] = [180, -180, 180, -180], [0, 0, 1.5, 1.5]
    reference = np.zeros(len(lon), bool)
    for around in (-360, 0, 360):
        reference |= shapely.intersects(plain, shapely.points(lon + around, lat))
    got = np.diff(index.locate(lat, lon)[0]) > 0
    doubtful = np.zeros(len(lon), bool)
    for around in (-360, 0, 360):
        doubtful |= shapely.distance(plain.boundary, shapely.points(lon + around, lat)) < 1e-9
    assert ((got == reference) | doubtful).all()
    assert got[0] == got[1]
    assert got[2] == got[3]


def test_a_zone_that_only_touches_the_antimeridian_holds_both_names_of_it() -> None:
    index = index_of([shapely.box(-180, 0, -170, 10), shapely.box(170, 20, 180, 30)])
    assert found(index, np.array([5.0, 5.0, 25.0, 25.0]), np.array([180.0, -180.0, 180.0, -180.0])) == {
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 1),
    }


def test_a_zone_of_a_hundred_thousand_vertices_and_a_continent() -> None:
    rng = np.random.default_rng(5)
    turn = np.linspace(0, 2 * np.pi, 99_999, endpoint=False)
    far = 20 + np.cumsum(rng.normal(0, 0.01, 99_999)) * np.sin(turn / 2)
    ring = np.column_stack([20 + far * np.cos(turn), 10 + far * np.sin(turn)]).tolist()
    zone = zone_geometry({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    world = shapely.box(-179.9, -89.9, 179.9, 89.9)
    index = index_of([zone, world])
    assert index.nbytes < 40e6
    lon, lat = rng.uniform(-20, 60, 50_000), rng.uniform(-30, 50, 50_000)
    assert found(index, lat, lon) == expected([zone, world], lat, lon)


def test_kinds_bits_and_unknown_positions() -> None:
    zones = [
        ZoneDef("a", "restricted", True, shapely.box(0, 0, 2, 2)),
        ZoneDef("b", "dead-zone", False, shapely.box(1, 1, 3, 3)),
    ]
    index = ZoneIndex.build(zones)
    assert index.ids == ["a", "b"]
    lat = np.array([0.5, 1.5, 2.5, 50.0, np.nan, 1.5, 95.0])
    lon = np.array([0.5, 1.5, 2.5, 50.0, 1.5, np.nan, 1.0])
    offsets, found_zones = index.locate(lat, lon)
    bits = index.kinds_of(offsets, found_zones)
    restricted, dead = 1 << ZONE_KINDS.index("restricted") | HOT, 1 << ZONE_KINDS.index("dead-zone")
    assert bits.tolist() == [restricted, restricted | dead, dead, 0, 0, 0, 0]
    assert (offsets.dtype, found_zones.dtype, bits.dtype) == (np.int32, np.int32, np.int32)


def test_no_zones_at_all() -> None:
    index = ZoneIndex.build([])
    offsets, zones = index.locate(np.zeros(3), np.zeros(3))
    assert offsets.tolist() == [0, 0, 0, 0]
    assert len(zones) == 0
    assert index.kinds_of(offsets, zones).tolist() == [0, 0, 0]


def test_more_zones_in_one_place_than_rows() -> None:
    zones = [shapely.box(0, 0, 1 + i / 1000, 1) for i in range(3000)]
    offsets, got = index_of(zones).locate(np.array([0.5]), np.array([0.5]))
    assert got.tolist() == list(range(3000))
    assert offsets.tolist() == [0, 3000]
