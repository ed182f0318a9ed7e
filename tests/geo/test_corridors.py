"""Corridors against brute force over every segment, with and without hints, and through changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from cocket.core import geo
from cocket.core.geometry import corridor_geometry
from cocket.journeys.corridors import CorridorDef, CorridorIndex

GEOD = Geod(ellps="WGS84")


def brute_m(corridor: CorridorDef, lat: float, lon: float) -> float:
    """Every segment in the plane of the position, then the distance to the nearest place on the nearest."""
    m_lat, m_lon = geo.metres_per_degree(lat)
    a = np.concatenate([part[:-1] for part in corridor.lines])
    b = np.concatenate([part[1:] for part in corridor.lines])
    scale = np.array([m_lon, m_lat])
    start, along = (a - [lon, lat]) * scale, (b - a) * scale
    with np.errstate(invalid="ignore"):
        t = np.nan_to_num(np.clip(-(start * along).sum(1) / (along**2).sum(1), 0, 1))
    k = int(np.argmin(np.hypot(*(start + t[:, None] * along).T)))
    foot_lon, foot_lat = a[k] + t[k] * (b[k] - a[k])
    return max(0.0, GEOD.inv(lon, lat, foot_lon, foot_lat)[2] - corridor.half_width_m)


def walk(rng: np.random.Generator, lon: float, lat: float, n: int, step: float = 0.005) -> np.ndarray:
    return np.cumsum(rng.normal(step / 2, step, (n, 2)), axis=0) + np.array([lon, lat])


def corridors(rng: np.random.Generator, n: int) -> list[CorridorDef]:
    out = []
    for i in range(n):
        lon, lat = rng.uniform(-170, 170), rng.uniform(-70, 70)
        lines = [walk(rng, lon, lat, int(rng.integers(2, 60))) for _ in range(int(rng.integers(1, 4)))]
        out.append(CorridorDef(f"c{i}", lines, float(rng.uniform(50, 2000))))
    return out


def near(rng: np.random.Generator, corridor: CorridorDef, spread: float) -> tuple[float, float]:
    line = corridor.lines[rng.integers(len(corridor.lines))]
    lon, lat = line[rng.integers(len(line))] + rng.normal(0, spread, 2)
    return lat, lon


def rows(
    rng: np.random.Generator, defs: list[CorridorDef], n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    number = rng.integers(0, len(defs), n).astype(np.int32)
    at = np.array([near(rng, defs[c], 10 ** rng.uniform(-3, 0.5)) for c in number])
    return number, at[:, 0].copy(), at[:, 1].copy()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_every_hint_gives_the_answer_of_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    defs = corridors(rng, 12)
    index = CorridorIndex.build(defs)
    number, lat, lon = rows(rng, defs, 120)
    answers = []
    for hints in (np.zeros(7), rng.integers(-5, 300, 7), np.full(7, 2**31 - 1), np.full(7, -1)):
        hint = hints.astype(np.int32)
        answers.append(index.off_m(number, lat, lon, hint, rng.integers(0, 7, 120).astype(np.int32)))
        again = index.off_m(number, lat, lon, hint, np.zeros(120, np.int32))
        np.testing.assert_array_equal(again, answers[-1])
    for other in answers[1:]:
        np.testing.assert_array_equal(other, answers[0])
    reference = [brute_m(defs[c], y, x) for c, y, x in zip(number, lat, lon, strict=True)]
    np.testing.assert_allclose(answers[0], reference, rtol=2e-5, atol=0.2)
    assert (answers[0] == 0).any()
    assert (answers[0] > 0).any()


def test_the_distance_is_that_along_the_earth() -> None:
    lines = corridor_geometry({"type": "LineString", "coordinates": [[114.0, 22.5], [114.2, 22.5]]})
    index = CorridorIndex.build([CorridorDef("a", lines, 500.0)])
    for away in (0.0, 499.0, 501.0, 1500.0, 20_000.0):
        lon, lat, _ = GEOD.fwd(114.1, 22.5, 0, away)
        got = index.off_m(
            np.zeros(1, np.int32),
            np.array([lat]),
            np.array([lon]),
            np.zeros(1, np.int32),
            np.zeros(1, np.int32),
        )[0]
        assert got == pytest.approx(max(0.0, away - 500), rel=1e-4, abs=0.05)


def test_a_corridor_across_the_antimeridian() -> None:
    lines = corridor_geometry({"type": "LineString", "coordinates": [[179.9, 10.0], [-179.9, 10.0]]})
    index = CorridorIndex.build([CorridorDef("a", lines, 100.0)])
    lon = np.array([179.95, 180.0, -180.0, -179.95, -179.0, 179.0])
    lat = np.full(6, 10.0)
    zeros = np.zeros(6, np.int32)
    got = index.off_m(zeros, lat, lon, np.zeros(1, np.int32), zeros)
    assert got[:4].tolist() == [0, 0, 0, 0]
    expected = geo.distance_m(10.0, -179.0, 10.0, -179.9) - 100
    np.testing.assert_allclose(got[4:], expected, rtol=1e-6)


def test_unknown_position_or_corridor_is_unknown() -> None:
    index = CorridorIndex.build([CorridorDef("a", [np.array([[0.0, 0.0], [1.0, 1.0]])], 10.0)])
    number = np.array([-1, 0, 0, 0, 5], np.int32)
    lat = np.array([0.0, np.nan, 0.0, 0.5, 0.0])
    lon = np.array([0.0, 0.0, np.nan, 0.5, 0.0])
    got = index.off_m(number, lat, lon, np.zeros(1, np.int32), np.zeros(5, np.int32))
    assert np.isnan(got).tolist() == [True, True, True, False, True]
    assert got[3] == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_changes_one_by_one_end_where_building_anew_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    index = CorridorIndex.build(corridors(rng, 3))
    live = {c.id: c for c in corridors(np.random.default_rng(seed), 3)}
    versions = [(index, dict(live))]
    for _ in range(40):
        name = f"c{rng.integers(0, 12)}"
        if name in live and rng.random() < 0.3:
            index = index.changed(drop=[name])
            del live[name]
        else:
            lines = [walk(rng, 5.0, 5.0, int(rng.integers(2, 400)))]
            live[name] = CorridorDef(name, lines, float(rng.uniform(50, 500)))
            number = index.number.get(name)
            index = index.changed([live[name]])
            assert number in (None, index.number[name])
        versions.append((index, dict(live)))
        if rng.random() < 0.1:  # go on from an older version
            index, live = versions[rng.integers(len(versions))]
            live = dict(live)
    for version, defs in versions[:: max(1, len(versions) // 8)]:
        assert set(version.number) == set(defs)
        chosen = list(defs.values())
        if not chosen:
            continue
        which, lat, lon = rows(rng, chosen, 20)
        number = np.array([version.number[chosen[w].id] for w in which], np.int32)
        zeros = np.zeros(20, np.int32)
        anew = CorridorIndex.build(chosen)
        got = version.off_m(number, lat, lon, np.zeros(1, np.int32), zeros)
        np.testing.assert_array_equal(got, anew.off_m(which, lat, lon, np.zeros(1, np.int32), zeros))


def test_a_replaced_corridor_keeps_its_number_and_a_dropped_one_gives_it_up() -> None:
    here = [np.array([[0.0, 0.0], [1.0, 0.0]])]
    there = [np.array([[0.0, 5.0], [1.0, 5.0]])]
    index = CorridorIndex.build([CorridorDef("a", here, 10.0), CorridorDef("b", here, 10.0)])
    moved = index.changed([CorridorDef("a", there, 10.0)])
    assert moved.number == index.number
    one = (
        np.zeros(1, np.int32),
        np.array([5.0]),
        np.array([0.5]),
        np.zeros(1, np.int32),
        np.zeros(1, np.int32),
    )
    assert moved.off_m(*one)[0] == 0
    assert index.off_m(*one)[0] > 500_000, "an index that is in use does not change"
    gone = moved.changed(drop=["a", "never there"])
    assert "a" not in gone.number
    assert np.isnan(gone.off_m(*one)[0])
    assert gone.changed([CorridorDef("a", here, 10.0)]).number["a"] == 2
