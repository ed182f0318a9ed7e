"""How far off its corridor each position is, over tens of thousands of corridors, compiled.

A position is first held against the segments about the last match of its journey: if one of them is near enough,
it is inside, whatever the others say. Otherwise all segments are asked, block by block, each block of 16 only if
its bounding box is near enough. So the hint changes the time and never the answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.geo import distance_m, metres_per_degree, segment_square, wrap_deg

_BLOCK = 16
_AROUND = 3
_AHEAD = 32


@dataclass(frozen=True, slots=True)
class CorridorDef:
    """One corridor: its name, the lines that ``core.geometry.corridor_geometry`` gave, and its half-width in metres."""

    id: str
    lines: Sequence[Array]
    half_width_m: float


@njit(cache=True, nogil=True, forceinline=True)
def _square(points: Array, k: Any, lat: Any, lon: Any, m_lat: Any, m_lon: Any) -> Any:
    """(square of the metres from a position to segment k, where along it); NaN where there is no segment."""
    span = points[k + 1, 0] - points[k, 0]
    west = wrap_deg(points[k, 0] + 0.5 * span - lon) - 0.5 * span
    return segment_square(
        west * m_lon, (points[k, 1] - lat) * m_lat, span * m_lon, (points[k + 1, 1] - points[k, 1]) * m_lat
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _off_m(
    points: Array,
    boxes: Array,
    first: Array,
    half_width: Array,
    corridor: Array,
    lat: Array,
    lon: Array,
    hint: Array,
    journey: Array,
    out: Array,
) -> None:
    n = len(corridor)
    for row in range(n):
        if row % _AHEAD == 0:
            # touch what these rows will read: misses of independent loads overlap, those of the work do not
            for r in range(row, min(row + _AHEAD, n)):
                c = corridor[r]
                if 0 <= c < len(half_width):
                    k = first[c, 0] + hint[journey[r]]
                    out[r] = points[min(max(k, 0), len(points) - 1), 0]
        c = corridor[row]
        y, x = lat[row], lon[row]
        out[row] = math.nan
        if c < 0 or c >= len(half_width) or math.isnan(y) or math.isnan(x):
            continue
        begin, end = first[c, 0], first[c, 1]  # points; segment k runs from point k to point k + 1
        if end - begin < 2:
            continue
        m_lat, m_lon = metres_per_degree(y)
        width = half_width[c]
        width2 = width * width
        best = math.inf
        best_k = begin
        best_t = 0.0
        h = hint[journey[row]]
        if 0 <= h < end - begin - 1:
            best_k = begin + h
            best, best_t = _square(points, best_k, y, x, m_lat, m_lon)
            onward = 1 if best_t > 0.5 else -1  # the way in which the position lies
            for turn in range(2 * _AROUND):
                if best <= width2:
                    break
                k = begin + h + (onward * (turn + 1) if turn < _AROUND else onward * (_AROUND - turn - 1))
                if begin <= k < end - 1:
                    d2, t = _square(points, k, y, x, m_lat, m_lon)
                    if d2 < best or (d2 == best and k < best_k):
                        best, best_k, best_t = d2, k, t
            if math.isnan(best):
                best = math.inf  # the hint was the gap between two lines
        if best > width2:
            for block in range(first[c, 2], first[c, 2] + (end - begin - 2) // _BLOCK + 1):
                dy = max(boxes[block, 1] - y, y - boxes[block, 3], 0.0) * m_lat
                half = 0.5 * (boxes[block, 2] - boxes[block, 0])
                away = abs(wrap_deg(boxes[block, 0] + half - x))
                dx = max(away - half, 0.0) * m_lon if away + half < 180.0 else 0.0
                if (dx * dx + dy * dy) * (1.0 - 1e-9) > best:
                    continue
                k0 = begin + (block - first[c, 2]) * _BLOCK
                for k in range(k0, min(k0 + _BLOCK, end - 1)):
                    d2, t = _square(points, k, y, x, m_lat, m_lon)
                    if d2 < best or (d2 == best and k < best_k):
                        best, best_k, best_t = d2, k, t
        hint[journey[row]] = best_k - begin
        if best <= width2:
            out[row] = 0.0
            continue
        foot_lon = points[best_k, 0] + best_t * (points[best_k + 1, 0] - points[best_k, 0])
        foot_lat = points[best_k, 1] + best_t * (points[best_k + 1, 1] - points[best_k, 1])
        out[row] = max(distance_m(y, x, foot_lat, foot_lon) - width, 0.0)


@njit(cache=True, nogil=True)
def _boxes(points: Array, first: Array, boxes: Array) -> None:
    """Bounding boxes (west, south, east, north) of each corridor's blocks of segments."""
    for c in range(len(first)):
        begin, end, block = first[c, 0], first[c, 1], first[c, 2]
        for k0 in range(begin, end - 1, _BLOCK):
            west, south, east, north = math.inf, math.inf, -math.inf, -math.inf
            for k in range(k0, min(k0 + _BLOCK, end - 1)):
                if math.isnan(points[k, 0]) or math.isnan(points[k + 1, 0]):
                    continue
                west = min(west, points[k, 0], points[k + 1, 0])
                south = min(south, points[k, 1], points[k + 1, 1])
                east = max(east, points[k, 0], points[k + 1, 0])
                north = max(north, points[k, 1], points[k + 1, 1])
            boxes[block, 0] = west
            boxes[block, 1] = south
            boxes[block, 2] = east
            boxes[block, 3] = north
            block += 1


@njit(cache=True, nogil=True)
def _packed(points: Array, first: Array) -> tuple[Array, Array]:
    """The points of all corridors without gaps, and their table of first point, end and first block."""
    out = np.empty((int((first[:, 1] - first[:, 0]).sum()), 2))
    table = np.zeros_like(first)
    at = block = 0
    for c in range(len(first)):
        n = first[c, 1] - first[c, 0]
        if n:
            out[at : at + n] = points[first[c, 0] : first[c, 1]]
            table[c, 0], table[c, 1], table[c, 2] = at, at + n, block
            at += n
            block += (n - 2) // _BLOCK + 1
    return out, table


def _laid(corridors: Sequence[CorridorDef]) -> tuple[Array, Array]:
    """All corridors' points one after the other, and int64[corridors, 3] first point, end and first block."""
    gap = np.full((1, 2), np.nan)
    pieces: list[Array] = []
    lengths = np.empty(len(corridors), np.int64)
    for i, corridor in enumerate(corridors):
        length = 0
        for k, line in enumerate(corridor.lines):
            if k:
                pieces.append(gap)
            pieces.append(line)
            length += len(line) + (k > 0)
        lengths[i] = length
    table = np.zeros((len(corridors), 3), np.int64)
    table[:, 1] = np.cumsum(lengths)
    table[1:, 0] = table[:-1, 1]
    table[1:, 2] = np.cumsum((lengths - 2) // _BLOCK + 1)[:-1]
    return np.concatenate(pieces) if pieces else np.empty((0, 2)), table


class CorridorIndex:
    """All corridors, ready to be asked.

    An index never changes under a thread that asks it: ``changed`` gives a new one, which shares the points
    with the old. Only one thread at a time may call ``changed`` on indices that were made from each other; ``apart`` parts them.
    """

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        """Each corridor's number; it keeps it, also when replaced, in all indices made from this one."""
        self._points: Array = np.empty((0, 2))  # longitude, latitude; a corridor's lines are parted by a NaN
        self._boxes: Array = np.empty((0, 4))  # west, south, east, north of each block of segments
        self._first: Array = np.zeros((0, 3), np.int64)  # by number: first point, end of points, first block
        self._half_width: Array = np.zeros(0)
        self._end = [0, 0]
        self._filled = [0, 0]  # points and boxes in use, shared with all indices on the same arrays

    @classmethod
    def build(cls, corridors: Sequence[CorridorDef]) -> CorridorIndex:
        """From scratch; 20,000 corridors of 200 points take a few tenths of a second."""
        return cls().changed(corridors)

    @property
    def nbytes(self) -> int:
        """Memory of the index in bytes, room to grow included."""
        return int(self._points.nbytes + self._boxes.nbytes + self._first.nbytes + self._half_width.nbytes)

    def apart(self) -> CorridorIndex:
        """The same index for another thread to call ``changed`` on: it lays out points of its own then."""
        new = CorridorIndex()
        new.number = dict(self.number)
        new._points, new._boxes, new._first, new._half_width = (
            self._points,
            self._boxes,
            self._first,
            self._half_width,
        )
        new._end = list(self._end)
        new._filled = [-1, -1]
        return new

    def changed(self, put: Sequence[CorridorDef] = (), drop: Iterable[str] = ()) -> CorridorIndex:
        """A new index without ``drop`` and with ``put`` added, or in place of those of the same name.

        Costs what is new and one table row per corridor; when there is no room left, the points that are still
        in use move together to a larger one.
        """
        new = CorridorIndex()
        new.number = dict(self.number)
        put = list({c.id: c for c in put}.values())
        size = len(self._first)
        gone = [new.number.pop(name) for name in drop if name in new.number]
        for c in put:
            size += new.number.setdefault(c.id, size) == size
        at = np.fromiter((new.number[c.id] for c in put), np.int64, len(put))
        new._first = np.zeros((size, 3), np.int64)
        new._first[: len(self._first)] = self._first
        new._half_width = np.zeros(size)
        new._half_width[: len(self._half_width)] = self._half_width
        new._half_width[at] = [c.half_width_m for c in put]
        new._first[gone] = 0
        new._first[at] = 0
        points, table = _laid(put)
        n, blocks = len(points), _blocks(table)
        new._points, new._boxes, new._filled, end = self._points, self._boxes, self._filled, self._end
        if self._filled != end or end[0] + n > len(self._points) or end[1] + blocks > len(self._boxes):
            live, new._first = _packed(self._points, new._first)
            end = [len(live), _blocks(new._first)]
            new._points = np.empty((len(live) + n + (len(live) + n) // 4 + 1024, 2))
            new._boxes = np.empty((end[1] + blocks + (end[1] + blocks) // 4 + 256, 4))
            new._points[: len(live)] = live
            _boxes(new._points, new._first, new._boxes)
            new._filled = list(end)
        new._points[end[0] : end[0] + n] = points
        table += np.array([end[0], end[0], end[1]])
        _boxes(new._points, table, new._boxes)
        new._first[at] = table
        new._filled[:] = new._end = [end[0] + n, end[1] + blocks]
        return new

    def off_m(self, corridor: Array, lat: Array, lon: Array, hint: Array, journey: Array) -> Array:
        """Metres outside the edge of its corridor for each position: float64, 0 inside, NaN where unknown.

        ``corridor`` int32 numbers (-1 for none), ``lat`` and ``lon`` float64 degrees, ``journey`` int32 into
        ``hint`` (int32, changed here): the segment that was nearest last. Any hint gives the same answer; a good
        one gives it sooner. Unknown: no corridor, a corridor dropped, or no position.
        """
        out = np.empty(len(corridor), np.float64)
        _off_m(
            self._points, self._boxes, self._first, self._half_width, corridor, lat, lon, hint, journey, out
        )
        return out


def _blocks(table: Array) -> int:
    """How many blocks of segments the corridors in a table have; those without points have none."""
    lengths = table[:, 1] - table[:, 0]
    return int((((lengths - 2) // _BLOCK + 1) * (lengths > 0)).sum())
