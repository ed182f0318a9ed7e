"""GeoJSON taken and refused. Containment of what is taken is held against Shapely in test_zones."""

from typing import Any

import numpy as np
import pytest
import shapely

from cocket.core.errors import Refused
from cocket.core.geometry import (
    MAX_VERTICES,
    corridor_geojson,
    corridor_geometry,
    zone_geojson,
    zone_geometry,
)


def square(west: float, south: float, size: float) -> list[list[float]]:
    east, north = west + size, south + size
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def line(*positions: list[float]) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": list(positions)}


JUMP = [[175, 0], [-175, 0], [-175, 5], [175, 5], [175, 0]]
BEYOND = [[175, 0], [185, 0], [185, 5], [175, 5], [175, 0]]
BEFORE = [[-185, 0], [-175, 0], [-175, 5], [-185, 5], [-185, 0]]


@pytest.mark.parametrize("ring", [JUMP, BEYOND, BEFORE, JUMP[::-1], BEYOND[::-1], JUMP[2:] + JUMP[1:3]])
def test_all_ways_of_crossing_the_antimeridian_are_one(ring: list[list[float]]) -> None:
    got = zone_geometry(polygon(ring))
    expected = shapely.MultiPolygon([shapely.box(175, 0, 180, 5), shapely.box(-180, 0, -175, 5)])
    assert shapely.equals(got, expected)


def test_vertices_on_both_sides_of_the_antimeridian_itself() -> None:
    ring = [[175, 0], [180, 0], [-180, 0], [-175, 0], [-175, 5], [-180, 5], [180, 5], [175, 5], [175, 0]]
    assert shapely.equals(zone_geometry(polygon(ring)), zone_geometry(polygon(JUMP)))


def test_a_hole_may_be_written_on_the_other_side() -> None:
    hole = [[-179, 1], [-178, 1], [-178, 2], [-179, 2], [-179, 1]]
    got = zone_geometry(polygon(JUMP, hole))
    assert shapely.is_valid(got)
    assert got.area == pytest.approx(49)
    assert not got.intersects(shapely.Point(-178.5, 1.5))


def test_winding_is_made_that_of_the_standard() -> None:
    for outer in (square(0, 0, 4), square(0, 0, 4)[::-1]):
        for hole in (square(1, 1, 1), square(1, 1, 1)[::-1]):
            got = zone_geometry(polygon(outer, hole))
            assert shapely.is_ccw(got.exterior)
            assert not shapely.is_ccw(got.interiors[0])


def test_coordinates_come_back_as_they_were_given() -> None:
    ring = [[114.0690123, 22.5159], [114.0745, 22.519], [113.948, 22.5036777], [114.0690123, 22.5159]]
    got = zone_geojson(zone_geometry(polygon(ring)))
    assert sorted(got["coordinates"][0][1:]) == sorted(ring[1:])
    feature = {"type": "Feature", "properties": {}, "geometry": polygon(ring)}
    assert zone_geojson(zone_geometry(feature)) == got


def test_heights_are_dropped() -> None:
    assert zone_geometry(polygon([[0, 0, 5], [1, 0], [1, 1, 7, 8], [0, 0, 5]])).area == 0.5


BOW = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]
FULL_TURN = [[-170, 80], [-60, 80], [60, 80], [170, 80], [-170, 80]]
OVERLAP = {"type": "MultiPolygon", "coordinates": [[square(0, 0, 2)], [square(1, 1, 2)]]}


@pytest.mark.parametrize(
    ("geometry", "path", "rule", "words"),
    [
        (None, "", "geometry-type", "Polygon or MultiPolygon"),
        ({"type": "Point", "coordinates": [0, 0]}, "/type", "geometry-type", "'Point'"),
        ({"type": "Feature", "geometry": None}, "/geometry", "geometry-type", "is wanted here"),
        (polygon(), "/coordinates", "empty", "no outer ring"),
        ({"type": "MultiPolygon", "coordinates": []}, "/coordinates", "empty", "no polygon"),
        (polygon([]), "/coordinates", "empty", "no outer ring"),
        (polygon([[0, 0], [1, 1], [0, 0]]), "/coordinates/0", "ring-points", "3 positions"),
        (polygon(square(0, 0, 1)[:4]), "/coordinates/0/3", "ring-closed", "repeat the first"),
        (polygon([[0, 0], ["1", 0], [1, 1], [0, 0]]), "/coordinates/0/1/0", "position", "`str`"),
        (polygon([[0, 0], [True, 0], [1, 1], [0, 0]]), "/coordinates/0/1/0", "position", "`bool`"),
        (polygon([[0, 0], [1], [1, 1], [0, 0]]), "/coordinates/0/1", "position", "length >= 2"),
        (polygon([[0, 0], [1, float("nan")], [1, 1], [0, 0]]), "/coordinates/0/1", "finite", "not a finite"),
        (polygon([[0, 0], [0, 91], [1, 1], [0, 0]]), "/coordinates/0/1", "range", "latitude"),
        (polygon([[0, 0], [361, 1], [1, 1], [0, 0]]), "/coordinates/0/1", "range", "longitude"),
        (polygon([[0, 80], [90, 90], [1, 80], [0, 80]]), "/coordinates/0/1", "pole", "touches a pole"),
        (polygon(FULL_TURN), "/coordinates/0", "pole", "encloses a pole"),
        (polygon([[0, 0], [180, 0], [1, 5], [0, 0]]), "/coordinates/0/1", "antimeridian", "half way round"),
        (
            polygon(BOW),
            "/coordinates/0/0",
            "self-intersection",
            "edges 0 and 2 meet at longitude 1, latitude 1",
        ),
        (polygon([[0, 0], [1, 0], [2, 0], [0, 0]]), "/coordinates/0/0", "self-intersection", "itself"),
        (polygon(square(0, 0, 1), square(5, 5, 1)), "/coordinates/1/0", "hole", "longitude 5, latitude 5"),
        (
            polygon(square(0, 0, 9), square(1, 1, 5), square(2, 2, 1)),
            "/coordinates/2/0",
            "hole",
            "latitude 2",
        ),
        (OVERLAP, "/coordinates", "parts-overlap", "overlap"),
        (polygon(square(0, 0, 1) * (MAX_VERTICES // 5 + 1)), "/coordinates", "too-many-vertices", "100,000"),
    ],
)
def test_a_bad_zone_is_refused_with_the_place(geometry: object, path: str, rule: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        zone_geometry(geometry)
    (fault,) = refused.value.faults
    assert (fault.path, fault.rule) == (path, rule)
    assert words in fault.detail
    assert fault.detail in str(refused.value)


def test_a_fault_in_a_feature_is_pointed_at_from_the_feature() -> None:
    collection = {
        "type": "Feature",
        "geometry": {"type": "MultiPolygon", "coordinates": [[square(0, 0, 1)], [BOW]]},
    }
    with pytest.raises(Refused) as refused:
        zone_geometry(collection, "/features/3")
    assert refused.value.faults[0].path == "/features/3/geometry/coordinates/1/0/0"


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (line([0, 0], [1, 1]), [[[0, 0], [1, 1]]]),
        (line([170, 0], [190, 10], [195, 0]), [[[170, 0], [180, 5]], [[-180, 5], [-170, 10], [-165, 0]]]),
        (line([170, 0], [-170, 10]), [[[170, 0], [180, 5]], [[-180, 5], [-170, 10]]]),
        (line([-170, 10], [170, 0]), [[[-170, 10], [-180, 5]], [[180, 5], [170, 0]]]),
        (line([180, 0], [-170, 0]), [[[-180, 0], [-170, 0]]]),
        (line([190, 0], [200, 0]), [[[-170, 0], [-160, 0]]]),
        (line([170, 0], [180, 1], [170, 2]), [[[170, 0], [180, 1], [170, 2]]]),
        (line([350, 0], [355, 0]), [[[-10, 0], [-5, 0]]]),
    ],
)
def test_lines_are_split_at_the_antimeridian(geometry: object, expected: list[Any]) -> None:
    assert [part.tolist() for part in corridor_geometry(geometry)] == expected


def test_a_line_back_and_forth_over_the_antimeridian() -> None:
    parts = corridor_geometry(line([170, 0], [-170, 10], [175, 0]))
    assert len(parts) == 3
    assert all(np.abs(part[:, 0]).max() <= 180 for part in parts)
    np.testing.assert_allclose(parts[1][[0, -1], 1], [5, 10 - 10 * 10 / 15])


def test_lines_come_back() -> None:
    both = {"type": "MultiLineString", "coordinates": [[[0.0, 0.0], [1.0, 1.0]], [[3.0, 3.0], [4.0, 4.5]]]}
    assert corridor_geojson(corridor_geometry(both)) == both
    assert corridor_geojson(corridor_geometry(line([0, 0], [1, 1]))) == line([0.0, 0.0], [1.0, 1.0])


@pytest.mark.parametrize(
    ("geometry", "path", "rule"),
    [
        (polygon(square(0, 0, 1)), "/type", "geometry-type"),
        (line([0, 0]), "/coordinates", "line-points"),
        (line([1, 2], [1, 2], [1, 2]), "/coordinates", "line-points"),
        (line([0, 0], [180, 0]), "/coordinates/1", "antimeridian"),
        (line([0, 0], [0, 89.5]), "/coordinates/1", "pole"),
        (line([0, 0], [0, -90.5]), "/coordinates/1", "range"),
        ({"type": "MultiLineString", "coordinates": []}, "/coordinates", "empty"),
        (
            {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]], [[1, None], [0, 0]]]},
            "/coordinates/1/0/1",
            "position",
        ),
        (line(*[[0, i * 1e-5] for i in range(MAX_VERTICES + 1)]), "/coordinates", "too-many-vertices"),
    ],
)
def test_a_bad_corridor_is_refused_with_the_place(geometry: object, path: str, rule: str) -> None:
    with pytest.raises(Refused) as refused:
        corridor_geometry(geometry)
    (fault,) = refused.value.faults
    assert (fault.path, fault.rule) == (path, rule)
