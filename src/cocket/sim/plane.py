"""The demo's own geometry: a flat plane in metres around Shenzhen, good to a few metres over 60 km.

On purpose not ``core.geo``: the ground truth that the detectors are measured against shares no code with them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import shapely

from cocket.core.batch import Array

LAT0: Final = 22.55
LON0: Final = 114.05
M_PER_LAT: Final = 110_737.7  # WGS 84 at 22.55 degrees north
M_PER_LON: Final = 102_861.3


def xy(lat_deg: Any, lon_deg: Any) -> tuple[Array, Array]:
    """Metres east and north of the plane's origin."""
    return (np.asarray(lon_deg) - LON0) * M_PER_LON, (np.asarray(lat_deg) - LAT0) * M_PER_LAT


def lat_lon(x: Any, y: Any) -> tuple[Array, Array]:
    """The other way."""
    return np.asarray(y) / M_PER_LAT + LAT0, np.asarray(x) / M_PER_LON + LON0


def circle(x: float, y: float, radius_m: float) -> shapely.Geometry:
    """A sixteen-cornered circle."""
    return shapely.Point(x, y).buffer(radius_m, quad_segs=4)


def geojson(shape: shapely.Geometry) -> dict[str, Any]:
    """A shape of the plane as a GeoJSON geometry, to six decimals (0.1 m)."""

    def degrees(points: Array) -> Array:
        lat, lon = lat_lon(points[:, 0], points[:, 1])
        return np.round(np.column_stack([lon, lat]), 6)

    document: dict[str, Any] = shapely.geometry.mapping(shapely.transform(shape, degrees))
    return document
