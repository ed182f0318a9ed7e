"""Distances on the WGS 84 ellipsoid, compiled; scalar kernels that other kernels call.

All angles are degrees, all lengths metres. Longitudes may differ by any multiple of 360. NaN in, NaN out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array

A_M = 6378137.0
"""Equatorial radius, WGS 84 (NIMA TR8350.2)."""
F = 1 / 298.257223563
"""Flattening, WGS 84."""
_E2 = F * (2 - F)
_RAD = math.pi / 180
_NEAR_M = 20_000.0
_STEEP_DEG = 80.0


@njit(cache=True, nogil=True, inline="always")
def wrap_deg(delta: Any) -> Any:
    """A difference of longitudes as the shorter way round, in [-180, 180]."""
    return delta - 360.0 * np.rint(delta / 360.0)


@njit(cache=True, nogil=True, inline="always")
def metres_per_degree(lat: Any) -> Any:
    """(metres per degree of latitude, per degree of longitude) at a latitude.

    The radii of curvature in the meridian and in the prime vertical, as least-squares polynomials in the square of
    the cosine: within 4e-11 of the closed forms, in a third of the time.
    """
    cosine = math.cos(lat * _RAD)
    u = cosine * cosine
    meridian = 111693.97955477187 + u * (
        -1129.141677492895 + u * (9.511610433109432 - u * 0.07367045908022053)
    )
    vertical = 111693.97955864215 + u * (
        -376.38059013434383 + u * (1.902384029941053 - u * 0.010559748319212806)
    )
    return meridian, vertical * cosine


@njit(cache=True, nogil=True, error_model="numpy")
def distance_m(lat1: Any, lon1: Any, lat2: Any, lon2: Any) -> Any:
    """Distance between two points along the ellipsoid, in metres.

    Under 20 km the radii of curvature at the middle latitude (better than 2e-5), beyond that, and near the
    poles, Lambert's formula for long lines (better than 1e-5 to 10,000 km); within 1° of the antipode a sphere.
    Example: Luohu to Shenzhen Bay, ``distance_m(22.5317, 114.1146, 22.5036, 113.9480)`` is about 17,424 m.
    """
    dlon = wrap_deg(lon2 - lon1)
    middle = 0.5 * (lat1 + lat2)
    if abs(middle) < _STEEP_DEG:
        m_lat, m_lon = metres_per_degree(middle)
        dy = (lat2 - lat1) * m_lat
        dx = dlon * m_lon
        near = math.sqrt(dx * dx + dy * dy)
        if near < _NEAR_M:
            return near
    return _lambert_m(lat1, lat2, dlon)


@njit(cache=True, nogil=True, error_model="numpy")
def _lambert_m(lat1: Any, lat2: Any, dlon: Any) -> Any:
    """W. D. Lambert, The distance between two widely separated points, J. Wash. Acad. Sci. 32 (1942)."""
    b1 = math.atan((1.0 - F) * math.tan(lat1 * _RAD))
    b2 = math.atan((1.0 - F) * math.tan(lat2 * _RAD))
    p = 0.5 * (b1 + b2)
    q = 0.5 * (b2 - b1)
    half_lon = math.sin(0.5 * dlon * _RAD)
    h = math.sin(q) ** 2 + math.cos(b1) * math.cos(b2) * half_lon * half_lon
    if h < 1e-30:
        return 0.0
    h = min(h, 1.0)
    sigma = 2.0 * math.asin(math.sqrt(h))
    if h > 0.99992:
        return A_M * (1.0 - F / 3.0) * sigma
    sine = math.sin(sigma)
    x = (sigma - sine) * (math.sin(p) * math.cos(q)) ** 2 / (1.0 - h)
    y = (sigma + sine) * (math.cos(p) * math.sin(q)) ** 2 / h
    return A_M * (sigma - 0.5 * F * (x + y))


@njit(cache=True, nogil=True)
def _distances(lat1: Array, lon1: Array, lat2: Array, lon2: Array) -> Array:
    out = np.empty(len(lat1), np.float64)
    for i in range(len(lat1)):
        out[i] = distance_m(lat1[i], lon1[i], lat2[i], lon2[i])
    return out


def distances_m(lat1: Array, lon1: Array, lat2: Array, lon2: Array) -> Array:
    """``distance_m`` row by row over float64 arrays of one length."""
    return _distances(lat1, lon1, lat2, lon2)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def segment_square(dx1: Any, dy1: Any, ex: Any, ey: Any) -> Any:
    """(square of the distance from the origin to a segment, where along it from 0 to 1).

    The segment starts at (dx1, dy1) and runs by (ex, ey), in a plane whose origin is the point asked about.
    """
    length2 = ex * ex + ey * ey
    t = 0.0
    if length2 > 0.0:
        t = -(dx1 * ex + dy1 * ey) / length2
        t = min(max(t, 0.0), 1.0)
    x = dx1 + t * ex
    y = dy1 + t * ey
    return x * x + y * y, t


@njit(cache=True, nogil=True, error_model="numpy")
def segment_distance_m(lat: Any, lon: Any, lat1: Any, lon1: Any, lat2: Any, lon2: Any) -> Any:
    """Metres from a point to a segment that is straight in longitude and latitude (GeoJSON, RFC 7946 §3.1.1).

    The nearest place is found in the plane with the metres per degree at the point; from there the distance
    is that of ``distance_m``. The segment runs the shorter way round the world.
    """
    m_lat, m_lon = metres_per_degree(lat)
    span = wrap_deg(lon2 - lon1)
    west = wrap_deg(lon1 + 0.5 * span - lon) - 0.5 * span
    d2, t = segment_square(west * m_lon, (lat1 - lat) * m_lat, span * m_lon, (lat2 - lat1) * m_lat)
    if math.isnan(d2):
        return math.nan
    return distance_m(lat, lon, lat1 + t * (lat2 - lat1), lon + west + t * span)
