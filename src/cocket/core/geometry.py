"""GeoJSON zones and corridors (RFC 7946): checked, and brought into one form.

Either winding is taken, and both ways of crossing the antimeridian: longitudes that run on beyond ±180, and
those that jump from 179 to -179 (an edge that spans more than 180° goes the shorter way). What comes out lies
in [-180, 180], is split at the antimeridian, and winds as RFC 7946 §3.1.6 says. What breaks a rule is refused
with the rule, a JSON pointer and words that say where. Heights are dropped.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Any, NoReturn

import msgspec
import numpy as np

from cocket.core.batch import Array
from cocket.core.errors import Fault, Refused

MAX_VERTICES = 100_000
"""Positions in one zone or corridor."""

MAX_CORRIDOR_LAT_DEG = 89.0
"""Beyond it a degree of longitude is too short to measure a corridor by."""

_Position = Annotated[list[float], msgspec.Meta(min_length=2)]
_Line = list[_Position]
_FORMS: dict[str, Any] = {
    "Polygon": list[_Line],
    "MultiPolygon": list[list[_Line]],
    "LineString": _Line,
    "MultiLineString": list[_Line],
}


def _refuse(path: str, rule: str, detail: str) -> NoReturn:
    raise Refused(f"{path or '/'}: {detail}", [Fault(path, rule, detail)])


def _coordinates(geojson: object, path: str, wanted: tuple[str, str]) -> tuple[str, Any, str]:
    """(type, coordinates, their JSON pointer) of a geometry, or of the Feature around it."""
    if isinstance(geojson, dict) and geojson.get("type") == "Feature":
        geojson, path = geojson.get("geometry"), path + "/geometry"
    if not isinstance(geojson, dict):
        _refuse(path, "geometry-type", f"a GeoJSON geometry of type {' or '.join(wanted)} is wanted here")
    kind = geojson.get("type")
    if kind not in wanted:
        _refuse(
            path + "/type", "geometry-type", f"the type is {kind!r}; {' or '.join(wanted)} is wanted here"
        )
    path += "/coordinates"
    try:
        return kind, msgspec.convert(geojson.get("coordinates"), _FORMS[kind]), path
    except msgspec.ValidationError as error:
        words, _, where = str(error).partition(" - at `$")
        _refuse(
            path + "".join("/" + i for i in re.findall(r"\[(\d+)\]", where)),
            "position",
            f"{words}; a position is [longitude, latitude] in degrees, as numbers",
        )


def _positions(line: list[list[float]], path: str) -> Array:
    """(n, 2) float64 longitudes and latitudes, finite and in range."""
    try:
        xy = np.array(line, np.float64)[:, :2]
    except ValueError:  # heights on some positions only
        xy = np.array([position[:2] for position in line], np.float64)
    rules = (
        ("finite", np.isfinite(xy).all(axis=1), "a coordinate is not a finite number"),
        ("range", np.abs(xy[:, 1]) <= 90, "the latitude is outside -90 to 90; is it [longitude, latitude]?"),
        ("range", np.abs(xy[:, 0]) <= 360, "the longitude is outside -360 to 360"),
    )
    for rule, good, detail in rules:
        if not good.all():
            i = int(np.argmin(good))
            _refuse(f"{path}/{i}", rule, f"position {line[i]}: {detail}")
    return xy


def _unwrapped(xy: Array, path: str) -> Array:
    """With longitudes that run on beyond ±180 in place of jumps; unchanged if there is none."""
    step = np.diff(xy[:, 0])
    if (np.abs(step) < 180).all():
        return xy
    turns = np.rint(step / 360)
    around = np.abs(np.abs(step - 360 * turns) - 180) < 1e-12
    if around.any():
        i = int(np.argmax(around))
        _refuse(
            f"{path}/{i + 1}",
            "antimeridian",
            f"from {xy[i].tolist()} to {xy[i + 1].tolist()} is half way round the world, so which way "
            "is not known; add positions between",
        )
    out = xy.copy()
    out[1:, 0] -= 360 * np.cumsum(turns)
    return out


def zone_geometry(geojson: object, path: str = "") -> Any:
    """The Shapely Polygon or MultiPolygon of a GeoJSON Polygon, MultiPolygon or Feature of one, valid and split.

    ``path`` is the JSON pointer of ``geojson`` in what was sent. Raises ``Refused`` with one fault: rules
    geometry-type, position, finite, range, empty, too-many-vertices, ring-points, ring-closed, pole,
    antimeridian, self-intersection, hole, parts-overlap, area.
    """
    import shapely

    kind, coordinates, path = _coordinates(geojson, path, ("Polygon", "MultiPolygon"))
    multi = kind == "MultiPolygon"
    parts = coordinates if multi else [coordinates]
    if not parts:
        _refuse(path, "empty", "there is no polygon in it")
    _limit(sum(len(ring) for rings in parts for ring in rings), path)
    polygons: list[Any] = []
    for p, rings in enumerate(parts):
        polygons += _polygon(rings, f"{path}/{p}" if multi else path)
    if len(polygons) == 1:
        whole = polygons[0]
    else:
        whole = shapely.multipolygons(polygons)
        if not shapely.is_valid(whole):
            where = _where(shapely.is_valid_reason(whole))
            _refuse(
                path, "parts-overlap", f"two of its polygons overlap or share an edge{where[0]}; join them"
            )
    return whole


def _limit(vertices: int, path: str) -> None:
    if vertices > MAX_VERTICES:
        _refuse(path, "too-many-vertices", f"{vertices:,} positions; at most {MAX_VERTICES:,} are taken")


def _polygon(rings: list[Any], path: str) -> list[Any]:
    """One polygon's rings as valid Shapely polygons in [-180, 180]: one, or several if it is split."""
    import shapely

    if not rings or not rings[0]:
        _refuse(path, "empty", "the polygon has no outer ring")
    unwrapped = [_ring(ring, f"{path}/{r}") for r, ring in enumerate(rings)]
    west, east = unwrapped[0][:, 0].min(), unwrapped[0][:, 0].max()
    if east - west >= 360:
        _refuse(f"{path}/0", "antimeridian", "the ring is as wide as the world; give it in two polygons")
    for r, ring in enumerate(unwrapped[1:], 1):
        # a hole may be written one turn away from its shell
        middle = 0.5 * (ring[:, 0].min() + ring[:, 0].max())
        turns = np.rint((0.5 * (west + east) - middle) / 360)
        if turns:
            unwrapped[r] = ring + np.array([360 * turns, 0])
    polygon = shapely.polygons(unwrapped[0], unwrapped[1:] or None)
    if not shapely.is_valid(polygon):
        _refuse_polygon(polygon, unwrapped, path)
    if not shapely.area(polygon) > 0:
        _refuse(
            f"{path}/0",
            "area",
            "the ring encloses no area; an edge from -180 to 180 is no edge, as both are one place",
        )
    turns = np.floor((west + 180) / 360)
    if turns:
        polygon = shapely.transform(polygon, lambda xy: xy - np.array([360 * turns, 0]))
    pieces = [polygon]
    if east - 360 * turns > 180:
        here = shapely.intersection(polygon, shapely.box(-180, -90, 180, 90))
        there = shapely.intersection(polygon, shapely.box(180, -90, 540, 90))
        there = shapely.transform(there, lambda xy: xy - np.array([360, 0]))
        pieces = [
            piece
            for side in (here, there)
            for piece in shapely.get_parts(side).tolist()
            if piece.geom_type == "Polygon" and piece.area > 0
        ]
    return [shapely.geometry.polygon.orient(piece) for piece in pieces]


def _ring(ring: list[list[float]], path: str) -> Array:
    """A closed ring of four or more positions, unwrapped, that does not go round a pole."""
    if len(ring) < 4:
        _refuse(
            path,
            "ring-points",
            f"the ring has {len(ring)} positions; a ring has four or more, the last the same as the first",
        )
    xy = _positions(ring, path)
    if (xy[0] != xy[-1]).any():
        _refuse(
            f"{path}/{len(ring) - 1}",
            "ring-closed",
            f"the ring does not close: it begins at {xy[0].tolist()} and ends at {xy[-1].tolist()}; "
            "repeat the first position at the end",
        )
    polar = np.abs(xy[:, 1]) == 90
    if polar.any():
        _refuse(
            f"{path}/{int(np.argmax(polar))}", "pole", "the ring touches a pole; stay below 90° of latitude"
        )
    out = _unwrapped(xy, path)
    if out[0, 0] != out[-1, 0]:
        _refuse(
            path,
            "pole",
            "the ring goes once round the world, so it encloses a pole; cut it into two polygons",
        )
    return out


_REASONS = (
    ("Self-intersection", "self-intersection", "the outline crosses or touches itself"),
    ("Hole", "hole", "a hole is not inside its ring, or inside another hole"),
    ("Interior is disconnected", "hole", "holes cut the polygon in two"),
    ("Nested", "hole", "one ring lies inside another of the same kind"),
    ("Duplicate Rings", "hole", "the same ring is given twice"),
    ("Too few points", "area", "the ring encloses no area: fewer than three different positions"),
)


def _where(reason: str) -> tuple[str, Array | None]:
    """The place that GEOS names at the end of a reason, in words and as [lon, lat]."""
    found = re.search(r"\[(\S+) (\S+)\]", reason)
    if not found:
        return "", None
    lon, lat = float(found[1]), float(found[2])
    return f" at longitude {lon:.7g}, latitude {lat:.7g}", np.array([lon, lat])


def _refuse_polygon(polygon: Any, rings: list[Array], path: str) -> NoReturn:
    """Says which ring and which edges, from GEOS's reason."""
    import shapely

    reason = shapely.is_valid_reason(polygon)
    words, at = _where(reason)
    rule, detail = next(
        ((rule, detail) for start, rule, detail in _REASONS if start in reason),
        ("self-intersection", reason),
    )
    if at is None:
        _refuse(path, rule, detail)
    point = shapely.points(at)
    far = [shapely.distance(point, shapely.linestrings(ring)) for ring in rings]
    r = int(np.argmin(far))
    ring = rings[r]
    edges = shapely.linestrings(np.stack([ring[:-1], ring[1:]], axis=1))
    near = np.sort(np.argsort(shapely.distance(point, edges), kind="stable")[:2]).tolist()
    if rule == "self-intersection":
        detail += f": edges {near[0]} and {near[1]} meet"
    _refuse(f"{path}/{r}/{near[0]}", rule, detail + words)


def zone_geojson(geometry: Any) -> dict[str, Any]:
    """The GeoJSON geometry of what ``zone_geometry`` gave."""
    import shapely

    return msgspec.json.decode(shapely.to_geojson(geometry))  # type: ignore[no-any-return]


def corridor_geometry(geojson: object, path: str = "") -> list[Array]:
    """The lines of a GeoJSON LineString, MultiLineString or Feature of one: (n, 2) longitudes and latitudes.

    Split at the antimeridian. Raises ``Refused`` with one fault: rules geometry-type, position, finite, range,
    empty, too-many-vertices, line-points, pole, antimeridian.
    """
    kind, coordinates, path = _coordinates(geojson, path, ("LineString", "MultiLineString"))
    multi = kind == "MultiLineString"
    lines = coordinates if multi else [coordinates]
    if not lines:
        _refuse(path, "empty", "there is no line in it")
    _limit(sum(len(line) for line in lines), path)
    out: list[Array] = []
    for k, line in enumerate(lines):
        here = f"{path}/{k}" if multi else path
        if len(line) < 2:
            _refuse(here, "line-points", f"the line has {len(line)} positions; a line has two or more")
        xy = _positions(line, here)
        if (xy == xy[0]).all():
            _refuse(here, "line-points", "all positions of the line are the same")
        steep = np.abs(xy[:, 1]) > MAX_CORRIDOR_LAT_DEG
        if steep.any():
            _refuse(
                f"{here}/{int(np.argmax(steep))}",
                "pole",
                f"a corridor is taken up to {MAX_CORRIDOR_LAT_DEG:.0f}° of latitude",
            )
        out += _split_line(_unwrapped(xy, here))
    return out


def _split_line(xy: Array) -> list[Array]:
    """The line in pieces of [-180, 180], cut where it crosses the antimeridian."""
    if np.abs(xy[:, 0]).max() <= 180:
        return [xy]
    pieces: list[Array] = []
    piece = [xy[0]]
    world = _world(xy[0, 0], xy[1, 0])
    for a, b in pairwise(xy):
        while True:
            edge = 360 * world + (180 if b[0] > a[0] else -180)
            if (b[0] - edge) * (b[0] - a[0]) <= 0:
                break
            lat = a[1] + (b[1] - a[1]) * (edge - a[0]) / (b[0] - a[0])
            piece.append(np.array([edge, lat]))
            pieces.append(np.array(piece) - np.array([360 * world, 0]))
            world += 1 if b[0] > a[0] else -1
            piece = [np.array([edge, lat])]
        piece.append(b)
    pieces.append(np.array(piece) - np.array([360 * world, 0]))
    return [p for p in pieces if (p != p[0]).any()]


def _world(lon: float, following: float) -> int:
    """Which turn of the world a line begins in; on the antimeridian itself, the one that it goes into."""
    turn = np.floor((lon + 180) / 360)
    return int(turn - 1 if (lon + 180) % 360 == 0 and following < lon else turn)


def corridor_geojson(lines: list[Array]) -> dict[str, Any]:
    """The GeoJSON geometry of what ``corridor_geometry`` gave."""
    if len(lines) == 1:
        return {"type": "LineString", "coordinates": lines[0].tolist()}
    return {"type": "MultiLineString", "coordinates": [line.tolist() for line in lines]}
