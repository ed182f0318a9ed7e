"""Which zones hold each position: a tree of grids over the world, built once, asked millions of times a second.

The world is cut in cells of 4°; a cell in which many edges of zones run is cut in 16 × 16, and so on down to
about 0.001°. A cell knows the zones that cover it wholly, and, for each zone whose outline passes through it, the
few edges that do and whether its lower left corner is inside. A position is inside if the way from that corner to
it, along the cell's side and then level, crosses those edges so often that it ends inside (even-odd rule, so
holes and parts need no care). Degenerate meetings are decided as if every point lay a little to the east and,
far less, to the north (Edelsbrunner and Mücke, Simulation of Simplicity, 1990), and every sign is computed from
the same numbers wherever it is needed: a grid line through a vertex cannot make two cells disagree. A position
within 1e-10° (0.01 mm) of an outline is inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit

from cocket.core.batch import Array

KINDS: Final = (
    "departure",
    "destination",
    "approved-stop",
    "restricted",
    "unlock-permitted",
    "dead-zone",
    "office",
)
"""A zone's kinds; kind i is bit ``1 << i`` in ``ZoneIndex.kinds``."""

HOT: Final = 1 << 15
"""The bit of a zone in which stops are watched more closely."""

_TOLERANCE = 1e-10
_SLACK = 1e-9
_ROOT_DEG = 4.0
_NX, _NY = 90, 45
_FAN = 16
_DEEPEST = 3
_MANY_EDGES = 12


@dataclass(frozen=True, slots=True)
class ZoneDef:
    """One zone: its name, one of ``KINDS``, and the Shapely geometry that ``core.geometry.zone_geometry`` gave."""

    id: str
    kind: str
    hot: bool
    geometry: Any


@njit(cache=True, nogil=True)
def _west_of(x1: Any, y1: Any, x2: Any, y2: Any, x: Any, y: Any) -> Any:
    """Is (x, y) west of the edge, for an edge that passes its latitude?"""
    if x1 > x and x2 > x:
        return True
    if x1 <= x and x2 <= x:
        return False
    cross = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
    if cross == 0.0:
        return False  # a little to the east of it
    return (cross > 0.0) == (y2 > y1)


@njit(cache=True, nogil=True)
def _south_of(x1: Any, y1: Any, x2: Any, y2: Any, x: Any, y: Any) -> Any:
    """Is (x, y) south of the edge, for an edge that passes its longitude?"""
    if y1 > y and y2 > y:
        return True
    if y1 <= y and y2 <= y:
        return False
    cross = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
    if cross == 0.0:
        return (y2 < y1) != (x2 > x1)  # a little to the east: south of an edge that climbs eastward
    return (cross > 0.0) != (x2 > x1)


@njit(cache=True, nogil=True)
def _grown(old: Array, need: Any) -> Array:
    size = max(need, 2 * len(old))
    out = np.empty(size, old.dtype)
    out[: len(old)] = old
    return out


@njit(cache=True, nogil=True)
def _cut(
    edges: Array,
    x0: Any,
    y0: Any,
    step: Any,
    nx: Any,
    ny: Any,
    zone: Array,
    parity: Array,
    first: Array,
    item: Array,
) -> Any:
    """Deals the entries of one cell out to its nx × ny children.

    ``edges`` float64[e, 4] (x1, y1, x2, y2) of all zones; the cell's entries: zone, parity at (x0, y0), and the
    range ``first[k]:first[k + 1]`` of its edges in ``item``. Returns the children's entries, sorted by child and
    in the order of entries within: child, zone, parity, first, item (an entry without edges covers its child).
    """
    n = nx * ny
    children = np.empty(256, np.int32)
    zones = np.empty(256, np.int32)
    parities = np.empty(256, np.uint8)
    counts = np.empty(256, np.int32)
    m = 0
    items = np.empty(1024, np.int32)
    used = 0
    hits = np.empty(1024, np.int64)  # child << 32 | edge
    inside = np.empty(n, np.uint8)
    seen = np.zeros(n, np.int32)
    for k in range(len(zone)):
        # parity at the corners of all children: first along the west side, then eastward
        inside[:] = 0
        n_hits = 0
        column = np.zeros(ny, np.uint8)
        for q in range(first[k], first[k + 1]):
            e = item[q]
            ax, ay, bx, by = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
            if (ax > x0) != (bx > x0):
                at = _south_of(ax, ay, bx, by, x0, y0)
                for j in range(ny):
                    if _south_of(ax, ay, bx, by, x0, y0 + j * step) != at:
                        column[j] ^= 1
            low, high = min(ay, by), max(ay, by)
            west, east = min(ax, bx), max(ax, bx)
            j0 = max(0, math.floor((low - _SLACK - y0) / step))
            j1 = min(ny - 1, math.floor((high + _SLACK - y0) / step))
            for j in range(j0, j1 + 1):
                y = y0 + j * step
                if (ay > y) != (by > y):
                    at = _west_of(ax, ay, bx, by, x0, y)
                    for i in range(1, nx):
                        if _west_of(ax, ay, bx, by, x0 + i * step, y) != at:
                            inside[j * nx + i] ^= 1
                # the children in this row that the edge passes, with slack
                xa, xb = west, east
                if by != ay:
                    ta = (y - _SLACK - ay) / (by - ay)
                    tb = (y + step + _SLACK - ay) / (by - ay)
                    ta, tb = min(max(ta, 0.0), 1.0), min(max(tb, 0.0), 1.0)
                    xa = max(west, min(ax + ta * (bx - ax), ax + tb * (bx - ax)))
                    xb = min(east, max(ax + ta * (bx - ax), ax + tb * (bx - ax)))
                i0 = max(0, math.floor((xa - _SLACK - x0) / step))
                i1 = min(nx - 1, math.floor((xb + _SLACK - x0) / step))
                for i in range(i0, i1 + 1):
                    if n_hits == len(hits):
                        hits = _grown(hits, n_hits + 1)
                    hits[n_hits] = (np.int64(j * nx + i) << 32) | np.int64(e)
                    n_hits += 1
        for j in range(ny):
            for i in range(nx):
                inside[j * nx + i] ^= column[j] ^ parity[k]
        # counting sort of the hits by child
        seen[:] = 0
        for h in range(n_hits):
            seen[hits[h] >> 32] += 1
        if used + n_hits > len(items):
            items = _grown(items, used + n_hits)
        at_child = used
        for c in range(n):
            count = seen[c]
            seen[c] = at_child
            at_child += count
            if count or inside[c]:
                if m == len(children):
                    children = _grown(children, m + 1)
                    zones = _grown(zones, m + 1)
                    parities = _grown(parities, m + 1)
                    counts = _grown(counts, m + 1)
                children[m] = c
                zones[m] = zone[k]
                parities[m] = inside[c]
                counts[m] = count
                m += 1
        for h in range(n_hits):
            c = hits[h] >> 32
            items[seen[c]] = hits[h] & 0xFFFFFFFF
            seen[c] += 1
        used += n_hits
    # group by child, keeping the order of entries
    starts = np.zeros(m + 1, np.int64)
    for r in range(m):
        starts[r + 1] = starts[r] + counts[r]
    order = np.argsort(children[:m].astype(np.int64) * (m + 1) + np.arange(m))
    out_first = np.zeros(m + 1, np.int64)
    out_item = np.empty(used, np.int32)
    for r in range(m):
        s = order[r]
        out_first[r + 1] = out_first[r] + counts[s]
        out_item[out_first[r] : out_first[r + 1]] = items[starts[s] : starts[s + 1]]
    return children[:m][order], zones[:m][order], parities[:m][order], out_first, out_item


@njit(cache=True, nogil=True)
def _grow_tree(edges: Array, n_zones: Any, zone_first: Array) -> Any:
    """The tree over all zones' edges; ``zone_first[z]:zone_first[z + 1]`` are zone z's.

    Returns (child, first, entries, parts, items): ``child[node * 256 + i]`` is the node below, node 0 the root
    grid laid out over as many slots as it has cells; ``-1 - leaf`` a leaf. ``first[slot]:first[slot + 1]`` are a
    slot's entries: zone, and the range of its edges in items with its parity; no edges means wholly inside.
    """
    root = _NX * _NY
    target = np.full(root, -1, np.int32)  # slot → base of the children's slots, -1 for a leaf
    begin = np.zeros(root, np.int64)
    end = np.zeros(root, np.int64)
    n_slots = root
    e_zone = np.empty(1024, np.int32)
    e_first = np.empty(1024, np.int64)
    e_count = np.empty(1024, np.int32)
    e_parity = np.empty(1024, np.uint8)
    n_entries = 0
    item = np.empty(4096, np.int32)
    n_items = 0
    # cells still to be cut: entries, laid one after the other on a stack
    stack_x = [-180.0]
    stack_y = [-90.0]
    stack_step = [_ROOT_DEG]
    stack_depth = [0]
    stack_base = [0]
    stack_zone = [np.arange(n_zones).astype(np.int32)]
    stack_parity = [np.zeros(n_zones, np.uint8)]
    stack_first = [zone_first.astype(np.int64)]
    stack_item = [np.arange(len(edges)).astype(np.int32)]
    while len(stack_x) > 0:
        x0, y0, step = stack_x.pop(), stack_y.pop(), stack_step.pop()
        depth, base = stack_depth.pop(), stack_base.pop()
        nx = _NX if depth == 0 else _FAN
        ny = _NY if depth == 0 else _FAN
        c_child, c_zone, c_parity, c_first, c_item = _cut(
            edges,
            x0,
            y0,
            step,
            nx,
            ny,
            stack_zone.pop(),
            stack_parity.pop(),
            stack_first.pop(),
            stack_item.pop(),
        )
        a = 0
        while a < len(c_child):
            b = a
            while b < len(c_child) and c_child[b] == c_child[a]:
                b += 1
            slot = base + c_child[a]
            n_edges = c_first[b] - c_first[a]
            split = n_edges > _MANY_EDGES and depth < _DEEPEST
            if n_entries + b - a > len(e_zone):
                e_zone = _grown(e_zone, n_entries + b - a)
                e_first = _grown(e_first, n_entries + b - a)
                e_count = _grown(e_count, n_entries + b - a)
                e_parity = _grown(e_parity, n_entries + b - a)
            if not split and n_items + n_edges > len(item):
                item = _grown(item, n_items + n_edges)
            begin[slot] = n_entries
            below = 0
            for r in range(a, b):
                count = c_first[r + 1] - c_first[r]
                if count and split:
                    below += 1
                    continue
                e_zone[n_entries] = c_zone[r]
                e_first[n_entries] = n_items
                e_count[n_entries] = count
                e_parity[n_entries] = c_parity[r]
                n_entries += 1
                item[n_items : n_items + count] = c_item[c_first[r] : c_first[r + 1]]
                n_items += count
            end[slot] = n_entries
            if split:
                d_zone = np.empty(below, np.int32)
                d_parity = np.empty(below, np.uint8)
                d_first = np.zeros(below + 1, np.int64)
                d_item = np.empty(n_edges, np.int32)
                p = 0
                for r in range(a, b):
                    count = c_first[r + 1] - c_first[r]
                    if count:
                        d_zone[p] = c_zone[r]
                        d_parity[p] = c_parity[r]
                        d_first[p + 1] = d_first[p] + count
                        d_item[d_first[p] : d_first[p + 1]] = c_item[c_first[r] : c_first[r + 1]]
                        p += 1
                fan2 = _FAN * _FAN
                if n_slots + fan2 > len(target):
                    target = _grown(target, n_slots + fan2)
                    begin = _grown(begin, n_slots + fan2)
                    end = _grown(end, n_slots + fan2)
                target[n_slots : n_slots + fan2] = -1
                begin[n_slots : n_slots + fan2] = 0
                end[n_slots : n_slots + fan2] = 0
                target[slot] = n_slots
                i = c_child[a] % nx
                j = c_child[a] // nx
                stack_x.append(x0 + i * step)
                stack_y.append(y0 + j * step)
                stack_step.append(step / _FAN)
                stack_depth.append(depth + 1)
                stack_base.append(n_slots)
                stack_zone.append(d_zone)
                stack_parity.append(d_parity)
                stack_first.append(d_first)
                stack_item.append(d_item)
                n_slots += fan2
            a = b
    cells = np.empty((n_slots, 3), np.int32)
    cells[:, 0] = target[:n_slots]
    cells[:, 1] = begin[:n_slots]
    cells[:, 2] = end[:n_slots]
    entries = np.empty((n_entries, 4), np.int32)
    entries[:, 0] = e_zone[:n_entries]
    entries[:, 1] = e_first[:n_entries]
    entries[:, 2] = e_count[:n_entries]
    entries[:, 3] = e_parity[:n_entries]
    # the edges themselves, in the order in which cells read them
    near = np.empty((n_items, 4), np.float64)
    for q in range(n_items):
        near[q] = edges[item[q]]
    return cells, entries, near


@njit(cache=True, nogil=True)
def _inside(near: Array, begin: Any, count: Any, parity: Any, x0: Any, y0: Any, x: Any, y: Any) -> Any:
    """Is (x, y) in the zone whose edges in this cell are ``near[begin:begin + count]``, ``parity`` at (x0, y0)?"""
    odd = parity
    for q in range(begin, begin + count):
        ax, ay, bx, by = near[q, 0], near[q, 1], near[q, 2], near[q, 3]
        if (
            min(ax, bx) - _TOLERANCE <= x <= max(ax, bx) + _TOLERANCE
            and min(ay, by) - _TOLERANCE <= y <= max(ay, by) + _TOLERANCE
        ):
            dx, dy = bx - ax, by - ay
            cross = dx * (y - ay) - dy * (x - ax)
            if cross * cross <= (_TOLERANCE * _TOLERANCE) * (dx * dx + dy * dy):
                return True
        if (ay > y) != (by > y) and _west_of(ax, ay, bx, by, x0, y) != _west_of(ax, ay, bx, by, x, y):
            odd ^= 1
        if (ax > x0) != (bx > x0) and _south_of(ax, ay, bx, by, x0, y0) != _south_of(ax, ay, bx, by, x0, y):
            odd ^= 1
    return odd == 1


@njit(cache=True, nogil=True)
def _collect(
    cells: Array, entries: Array, near: Array, x: Any, y: Any, out: Array, start: Any, at: Any
) -> Any:
    """Adds the zones at (x, y) to ``out[start:at]``, ascending, each once; returns (out, the new end)."""
    i = min(int((x + 180.0) / _ROOT_DEG), _NX - 1)
    j = min(int((y + 90.0) / _ROOT_DEG), _NY - 1)
    slot = j * _NX + i
    step = _ROOT_DEG
    x0 = -180.0 + i * step
    y0 = -90.0 + j * step
    while True:
        for r in range(cells[slot, 1], cells[slot, 2]):
            count = entries[r, 2]
            if count and not _inside(near, entries[r, 1], count, entries[r, 3], x0, y0, x, y):
                continue
            if at == len(out):
                out = _grown(out, at + 1)
            z = entries[r, 0]
            p = at
            while p > start and out[p - 1] > z:
                p -= 1
            if p > start and out[p - 1] == z:
                continue
            for s in range(at, p, -1):
                out[s] = out[s - 1]
            out[p] = z
            at += 1
        base = cells[slot, 0]
        if base < 0:
            return out, at
        step /= _FAN
        i = min(int((x - x0) / step), _FAN - 1)
        j = min(int((y - y0) / step), _FAN - 1)
        slot = base + j * _FAN + i
        x0 += i * step
        y0 += j * step


@njit(cache=True, nogil=True)
def _locate(cells: Array, entries: Array, near: Array, lat: Array, lon: Array) -> Any:
    n = len(lat)
    offsets = np.zeros(n + 1, np.int32)
    out = np.empty(n + 16, np.int32)
    at = 0
    for k in range(n):
        x, y = lon[k], lat[k]
        if -180.0 <= x <= 180.0 and -90.0 <= y <= 90.0:
            start = at
            out, at = _collect(cells, entries, near, x, y, out, start, at)
            if abs(x) >= 180.0 - _TOLERANCE:  # both sides of the antimeridian
                out, at = _collect(cells, entries, near, -180.0 if x > 0 else 180.0, y, out, start, at)
        offsets[k + 1] = at
    return offsets, out[:at]


@njit(cache=True, nogil=True)
def _masks(offsets: Array, zones: Array, kinds: Array) -> Array:
    out = np.zeros(len(offsets) - 1, np.int32)
    for k in range(len(out)):
        for q in range(offsets[k], offsets[k + 1]):
            out[k] |= kinds[zones[q]]
    return out


@dataclass(frozen=True, slots=True)
class ZoneIndex:
    """All zones, ready to be asked; immutable, so any number of threads may ask at once.

    ``ids`` and ``kinds`` (int32 bits of ``KINDS`` and ``HOT``) are in the order in which zones were given.
    """

    ids: list[str]
    kinds: Array
    _cells: Array
    _entries: Array
    _near: Array

    @classmethod
    def build(cls, zones: Sequence[ZoneDef]) -> ZoneIndex:
        """From geometries that ``core.geometry.zone_geometry`` gave: valid, within [-180, 180], off the poles.

        A thousand zones of a hundred vertices take a few hundredths of a second.
        """
        edges, first = _edges(zones)
        kinds = np.array([1 << KINDS.index(z.kind) | (HOT if z.hot else 0) for z in zones], np.int32)
        return cls([z.id for z in zones], kinds, *_grow_tree(edges, len(zones), first))

    @property
    def nbytes(self) -> int:
        """Memory of the index in bytes."""
        return int(self._cells.nbytes + self._entries.nbytes + self._near.nbytes + self.kinds.nbytes)

    def locate(self, lat: Array, lon: Array) -> tuple[Array, Array]:
        """The zones that hold each position: (offsets int32[n + 1], zones int32), row k's ascending in
        ``zones[offsets[k]:offsets[k + 1]]``. Degrees, float64; NaN is nowhere. Outlines are inside.
        """
        return _locate(self._cells, self._entries, self._near, lat, lon)  # type: ignore[no-any-return]

    def kinds_of(self, offsets: Array, zones: Array) -> Array:
        """int32 per row: the bits of all zones that ``locate`` found for it."""
        return _masks(offsets, zones, self.kinds)  # type: ignore[no-any-return]


def _edges(zones: Sequence[ZoneDef]) -> tuple[Array, Array]:
    """All rings' edges (float64[e, 4]), and where each zone's begin (int64[zones + 1])."""
    import shapely

    first = np.zeros(len(zones) + 1, np.int64)
    if not zones:
        return np.zeros((0, 4)), first
    parts, of_zone = shapely.get_parts(np.array([z.geometry for z in zones], object), return_index=True)
    rings, of_part = shapely.get_rings(parts, return_index=True)
    xy, of_ring = shapely.get_coordinates(rings, return_index=True)
    joined = of_ring[:-1] == of_ring[1:]
    edges = np.concatenate([xy[:-1][joined], xy[1:][joined]], axis=1)
    edge_zone = of_zone[of_part[of_ring[:-1][joined]]]
    np.cumsum(np.bincount(edge_zone, minlength=len(zones)), out=first[1:])
    return edges, first
