"""Distances against GeographicLib (pyproj.Geod), which is good to nanometres."""

import numpy as np
import pytest
from pyproj import Geod

from cocket.core import geo

GEOD = Geod(ellps="WGS84")


def _pairs(n: int, lo_m: float, hi_m: float, max_lat: float) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(7)
    lat = rng.uniform(-max_lat, max_lat, n)
    lon = rng.uniform(-180, 180, n)
    length = np.exp(rng.uniform(np.log(lo_m), np.log(hi_m), n))
    lon2, lat2, _ = GEOD.fwd(lon, lat, rng.uniform(0, 360, n), length)
    return lat, lon, np.asarray(lat2), np.asarray(lon2), length


@pytest.mark.parametrize(
    ("lo_m", "hi_m", "max_lat", "relative"),
    [(1, 1_000, 79, 1e-6), (1_000, 20_000, 79, 2e-5), (20_000, 1e7, 79, 1e-5), (1, 1e6, 89.999, 2e-5)],
)
def test_distance_matches_the_geodesic(lo_m: float, hi_m: float, max_lat: float, relative: float) -> None:
    lat, lon, lat2, lon2, length = _pairs(20_000, lo_m, hi_m, max_lat)
    np.testing.assert_allclose(geo.distances_m(lat, lon, lat2, lon2), length, rtol=relative, atol=1e-6)


def test_distance_anywhere_on_earth_is_within_a_thousandth() -> None:
    rng = np.random.default_rng(8)
    lat, lat2 = np.degrees(np.arcsin(rng.uniform(-1, 1, (2, 50_000))))
    lon, lon2 = rng.uniform(-180, 180, (2, 50_000))
    lat2[:500], lon2[:500] = -lat[:500] + rng.normal(0, 0.3, 500), lon[:500] + 180 + rng.normal(0, 0.3, 500)
    expected = GEOD.inv(lon, lat, lon2, lat2)[2]
    np.testing.assert_allclose(geo.distances_m(lat, lon, lat2, lon2), expected, rtol=4e-3)
    far = expected < 1.99e7
    np.testing.assert_allclose(geo.distances_m(lat, lon, lat2, lon2)[far], expected[far], rtol=1e-3)


def test_the_antimeridian_is_no_distance() -> None:
    assert geo.distance_m(10.0, 179.999, 10.0, -179.999) == pytest.approx(
        GEOD.inv(179.999, 10, -179.999, 10)[2], rel=1e-6
    )
    assert geo.distance_m(10.0, 180.0, 10.0, -180.0) == 0
    assert geo.distance_m(10.0, 370.0, 10.0, 10.0) == 0


def test_unknown_in_unknown_out() -> None:
    nan = float("nan")
    assert np.isnan(geo.distance_m(nan, 0.0, 0.0, 0.0))
    assert np.isnan(geo.distance_m(0.0, 0.0, 0.0, nan))
    assert np.isnan(geo.segment_distance_m(nan, 0.0, 0.0, 0.0, 1.0, 1.0))


def test_distance_to_a_segment_matches_a_search_along_it() -> None:
    rng = np.random.default_rng(9)
    along = np.linspace(0, 1, 20_001)
    for _ in range(200):
        lat, lon = rng.uniform(-70, 70), rng.uniform(-180, 180)
        a, b = rng.normal(0, 0.02, (2, 2))
        got = geo.segment_distance_m(
            lat, lon, lat + a[0], geo.wrap_deg(lon + a[1]), lat + b[0], geo.wrap_deg(lon + b[1])
        )
        lats, lons = lat + a[0] + along * (b[0] - a[0]), lon + a[1] + along * (b[1] - a[1])
        expected = GEOD.inv(np.full_like(lats, lon), np.full_like(lats, lat), lons, lats)[2].min()
        assert got == pytest.approx(expected, rel=2e-4, abs=0.2)
