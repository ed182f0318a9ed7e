"""Which zones hold each position: a tree of grids over the world, built once, asked millions of times a second.

The world is cut in cells of 4°; a cell in which many edges of zones run is cut in 8 × 8, and so on down to
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
from cocket.core.journeys import ZONE_KINDS

HOT: Final = 1 << 15
"""The bit of a zone in which stops are watched more closely."""

_TOLERANCE = 1e-10
_SLACK = 1e-9
_ROOT_DEG = 4.0
_NX, _NY = 90, 45
_FAN = 8
_DEEPEST = 4
_MANY_EDGES = 16
_REPEATS = 4


@dataclass(frozen=True, slots=True)
class ZoneDef:
    """One zone: its name, one of ``ZONE_KINDS``, and the Shapely geometry that ``core.geometry.zone_geometry`` gave."""

    id: str
    kind: str
    hot: bool
    geometry: Any


@njit(cache=True, nogil=True, forceinline=True)
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


@njit(cache=True, nogil=True, forceinline=True)
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
def _children_passed(edges: Array, item: Array, step: Any) -> Any:
    """About how many children of a cell of size ``step`` its edges pass, all together."""
    total = 0.0
    for q in range(len(item)):
        e = item[q]
        width = min(abs(edges[e, 2] - edges[e, 0]), step) + min(abs(edges[e, 3] - edges[e, 1]), step)
        total += 1.0 + width * _FAN / step
    return total


@njit(cache=True, nogil=True)
def _grow_tree(edges: Array, zone_first: Array) -> Any:
    """The tree over all zones' edges; ``zone_first[z]:zone_first[z + 1]`` are zone z's.

    Returns (slots, nodes, leaves, entries, near). ``slots`` int32: the root grid's cells, then 64 for each node; a
    slot is -1 for an empty cell, ``-2 - leaf``, or the first slot of the node that divides it. ``leaves`` and
    ``nodes`` (a node's row is ``(slot - roots) / 64``) are ranges of entries: int32 zone, first edge in ``near``,
    edges, parity; without edges the zone covers the whole cell. ``near`` holds the edges in reading order.
    """
    roots = _NX * _NY
    fan2 = _FAN * _FAN
    n_zones = len(zone_first) - 1
    slots = np.full(roots + 16 * fan2, -1, np.int32)
    n_slots = roots
    nodes = np.zeros(2 * 16, np.int32)
    leaves = np.zeros(2 * 64, np.int32)
    n_leaves = 0
    entries = np.empty(4 * 256, np.int32)
    n_entries = 0
    near_item = np.empty(1024, np.int32)
    n_near = 0
    # cells still to be divided
    todo = [(-180.0, -90.0, _ROOT_DEG, 0, 0)]
    todo_zone = [np.arange(n_zones).astype(np.int32)]
    todo_parity = [np.zeros(n_zones, np.uint8)]
    todo_first = [zone_first.astype(np.int64)]
    todo_item = [np.arange(len(edges)).astype(np.int32)]
    while len(todo) > 0:
        x0, y0, step, depth, base = todo.pop()
        nx = _NX if depth == 0 else _FAN
        ny = _NY if depth == 0 else _FAN
        child, zone, parity, first, item = _cut(
            edges, x0, y0, step, nx, ny, todo_zone.pop(), todo_parity.pop(), todo_first.pop(), todo_item.pop()
        )
        a = 0
        while a < len(child):
            b = a
            while b < len(child) and child[b] == child[a]:
                b += 1
            slot = base + child[a]
            n_edges = first[b] - first[a]
            divide = n_edges > _MANY_EDGES and depth < _DEEPEST
            if divide and depth > 1:
                # long edges would be repeated in each small cell that they pass
                passed = _children_passed(edges, item[first[a] : first[b]], step)
                divide = passed <= _REPEATS * n_edges
            if 4 * (n_entries + b - a) > len(entries):
                entries = _grown(entries, 4 * (n_entries + b - a))
            begin = n_entries
            below = 0
            for r in range(a, b):
                count = first[r + 1] - first[r]
                if count and divide:
                    below += 1
                    continue
                if n_near + count > len(near_item):
                    near_item = _grown(near_item, n_near + count)
                near_item[n_near : n_near + count] = item[first[r] : first[r + 1]]
                entries[4 * n_entries] = zone[r]
                entries[4 * n_entries + 1] = n_near
                entries[4 * n_entries + 2] = count
                entries[4 * n_entries + 3] = parity[r]
                n_entries += 1
                n_near += count
            if not divide:
                if 2 * n_leaves + 2 > len(leaves):
                    leaves = _grown(leaves, 2 * n_leaves + 2)
                leaves[2 * n_leaves] = begin
                leaves[2 * n_leaves + 1] = n_entries
                slots[slot] = -2 - n_leaves
                n_leaves += 1
            else:
                d_zone = np.empty(below, np.int32)
                d_parity = np.empty(below, np.uint8)
                d_first = np.zeros(below + 1, np.int64)
                p = 0
                for r in range(a, b):
                    count = first[r + 1] - first[r]
                    if count:
                        d_zone[p] = zone[r]
                        d_parity[p] = parity[r]
                        d_first[p + 1] = d_first[p] + count
                        p += 1
                if n_slots + fan2 > len(slots):
                    slots = _grown(slots, n_slots + fan2)
                slots[n_slots : n_slots + fan2] = -1
                node = (n_slots - roots) // fan2
                if 2 * node + 2 > len(nodes):
                    nodes = _grown(nodes, 2 * node + 2)
                nodes[2 * node] = begin
                nodes[2 * node + 1] = n_entries
                slots[slot] = n_slots
                i = child[a] % nx
                j = child[a] // nx
                todo.append((x0 + i * step, y0 + j * step, step / _FAN, depth + 1, n_slots))
                todo_zone.append(d_zone)
                todo_parity.append(d_parity)
                todo_first.append(d_first)
                todo_item.append(item[first[a] : first[b]].copy())
                n_slots += fan2
            a = b
    near = np.empty((n_near, 4), np.float64)
    for q in range(n_near):
        near[q] = edges[near_item[q]]
    return (
        slots[:n_slots].copy(),
        nodes.reshape(-1, 2).copy(),
        leaves[: 2 * n_leaves].reshape(-1, 2).copy(),
        entries[: 4 * n_entries].reshape(-1, 4).copy(),
        near,
    )


@njit(cache=True, nogil=True, forceinline=True)
def _inside(near: Array, begin: Any, count: Any, parity: Any, x0: Any, y0: Any, x: Any, y: Any) -> Any:
    """Is (x, y) in the zone whose edges in this cell are ``near[begin:begin + count]``, ``parity`` at (x0, y0)?"""
    odd = parity
    for q in range(begin, begin + count):
        ax, ay, bx, by = near[q, 0], near[q, 1], near[q, 2], near[q, 3]
        if min(ay, by) - _TOLERANCE <= y <= max(ay, by) + _TOLERANCE:
            if min(ax, bx) - _TOLERANCE <= x <= max(ax, bx) + _TOLERANCE:
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
def _locate(
    slots: Array,
    nodes: Array,
    leaves: Array,
    entries: Array,
    near: Array,
    n_zones: Any,
    lat: Array,
    lon: Array,
) -> Any:
    """One loop without calls on the way to an empty cell: handing five arrays to a function costs 80 ns."""
    n = len(lat)
    offsets = np.zeros(n + 1, np.int32)
    out = np.empty(n + n_zones + 1, np.int32)
    at = 0
    for k in range(n):
        x, y = lon[k], lat[k]
        start = at
        if at + n_zones > len(out):
            out = _grown(out, at + n_zones)
        sides = 0
        if -180.0 <= x <= 180.0 and -90.0 <= y <= 90.0:
            sides = 2 if abs(x) >= 180.0 - _TOLERANCE else 1
        while sides > 0:
            i = min(int((x + 180.0) * (1.0 / _ROOT_DEG)), _NX - 1)
            j = min(int((y + 90.0) * (1.0 / _ROOT_DEG)), _NY - 1)
            v = slots[j * _NX + i]
            step = _ROOT_DEG
            x0 = -180.0 + i * step
            y0 = -90.0 + j * step
            while v != -1:
                if v < 0:
                    begin, end = leaves[-2 - v, 0], leaves[-2 - v, 1]
                else:
                    node = (v - _NX * _NY) // (_FAN * _FAN)
                    begin, end = nodes[node, 0], nodes[node, 1]
                for r in range(begin, end):
                    count = entries[r, 2]
                    if count and not _inside(near, entries[r, 1], count, entries[r, 3], x0, y0, x, y):
                        continue
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
                if v < 0:
                    break
                step *= 1.0 / _FAN
                i = min(int((x - x0) * (1.0 / step)), _FAN - 1)
                j = min(int((y - y0) * (1.0 / step)), _FAN - 1)
                v = slots[v + j * _FAN + i]
                x0 += i * step
                y0 += j * step
            sides -= 1
            x = -180.0 if x > 0 else 180.0  # the other side of the antimeridian
        offsets[k + 1] = at
    return offsets, out[:at].copy()


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

    ``ids`` and ``kinds`` (int32 bits of ``ZONE_KINDS`` and ``HOT``) are in the order in which zones were given.
    """

    ids: list[str]
    kinds: Array
    _tree: tuple[Array, Array, Array, Array, Array]

    @classmethod
    def build(cls, zones: Sequence[ZoneDef]) -> ZoneIndex:
        """From geometries that ``core.geometry.zone_geometry`` gave: valid, within [-180, 180], off the poles.

        A thousand zones of a hundred vertices take a few hundredths of a second.
        """
        edges, first = _edges(zones)
        kinds = np.array([1 << ZONE_KINDS.index(z.kind) | (HOT if z.hot else 0) for z in zones], np.int32)
        return cls([z.id for z in zones], kinds, _grow_tree(edges, first))

    @property
    def nbytes(self) -> int:
        """Memory of the index in bytes."""
        return int(sum(part.nbytes for part in self._tree) + self.kinds.nbytes)

    def locate(self, lat: Array, lon: Array) -> tuple[Array, Array]:
        """The zones that hold each position: (offsets int32[n + 1], zones int32), row k's ascending in
        ``zones[offsets[k]:offsets[k + 1]]``. Degrees, float64; NaN is nowhere. Outlines are inside.
        """
        return _locate(*self._tree, len(self.ids), lat, lon)  # type: ignore[no-any-return]

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
