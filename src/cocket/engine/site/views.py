"""The map windows of several partitions as one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from cocket.engine.live import MOST_OBJECTS, Live, cell_of

_MOST: Final = 4096
"""Windows that are remembered: each map that is looked at needs one."""

_RANK: Final = ("ended", "normal", "silent", "warn", "high", "critical")


class Views:
    """A revision that is given out stands for one revision of each partition."""

    def __init__(self, partitions: int) -> None:
        self._n = partitions
        self._lock = threading.Lock()
        self._vectors: OrderedDict[int, dict[int, int]] = OrderedDict()
        self._next = 1

    def known(self, since: int) -> dict[int, int]:
        """What each partition has told by the revision ``since``; 0 where it has to tell everything."""
        with self._lock:
            vector = self._vectors.get(since, {})
        return {p: vector.get(p, 0) for p in range(self._n)}

    def merged(self, answers: Mapping[int, Live], zoom: float) -> Live:
        """One answer; all of ``answers`` are whole, or none is. A partition without one tells everything the next time."""
        with self._lock:
            revision, self._next = self._next, self._next + 1
            self._vectors[revision] = {p: a.revision for p, a in answers.items()}
            while len(self._vectors) > _MOST:
                self._vectors.popitem(last=False)
        full = all(a.full for a in answers.values())
        total = sum(a.total_in_view for a in answers.values())
        if any(a.mode == "clusters" for a in answers.values()) or total > MOST_OBJECTS * self._n:
            return Live(revision, True, "clusters", total, clusters=_clusters(answers, zoom))
        objects = [o for a in answers.values() for o in a.objects]
        return Live(revision, full, "objects", total, objects=objects)


def _clusters(answers: Mapping[int, Live], zoom: float) -> list[tuple[float, float, int, str]]:
    """Clusters of one cell together; single objects are put into their cells."""
    cells: dict[Any, list[float]] = {}
    worst: dict[Any, str] = {}
    found = [c for a in answers.values() for c in a.clusters]
    found += [(o[2], o[3], 1, o[6]) for a in answers.values() for o in a.objects]
    for lat, lon, count, state in found:
        cell = cell_of(lat, lon, zoom)
        sums = cells.setdefault(cell, [0.0, 0.0, 0])
        sums[0] += lat * count
        sums[1] += lon * count
        sums[2] += count
        worst[cell] = max(worst.get(cell, "ended"), state, key=_RANK.index)
    return [
        (round(lat / n, 5), round(lon / n, 5), int(n), worst[cell]) for cell, (lat, lon, n) in cells.items()
    ]
