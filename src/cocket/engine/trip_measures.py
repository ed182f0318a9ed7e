"""Measures of a trip on what its devices reported: gaps, cover, distance, and whether a seal said that it was closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from cocket.core.batch import Array, Batch
from cocket.core.clock import US
from cocket.core.geo import distances_m
from cocket.customs.transit.seals import E_SEAL
from cocket.customs.trip.rules import COVERED_PERIODS, Gap
from cocket.customs.trip.words import CASING_OPEN, LOCK_OPEN, OWN_ALARM, ROPE_CUT, ROPE_OUT
from cocket.engine.ingest import REMARKS
from cocket.store.bindings import Binding

_GAPS: Final = 20
_FOREVER: Final = 2**62
_OPENED: Final = (
    (ROPE_CUT, "rope_cut", 1),
    (CASING_OPEN, "casing_open", 1),
    (LOCK_OPEN, "locked", 0),
    (ROPE_OUT, "rope_inserted", 0),
    (OWN_ALARM, "unlock_alarm", 1),
)
"""What a seal may say that is not closed: words, column, value."""

_CLOSED: Final = (("locked", 1), ("rope_inserted", 1), ("rope_cut", 0))
"""What it may say that is: one of these, and none of those above in the same report."""

COLUMNS: Final = (
    "lat_deg",
    "lon_deg",
    "fix_valid",
    "time_quality",
    *REMARKS,
    *(column for _, column, _ in _OPENED),
)
_SEAL_CLASSES: Final = (E_SEAL, "e-lock")


@dataclass(frozen=True, slots=True)
class Rows:
    """What one binding's device reported on the trip, by event time."""

    binding: Binding
    batch: Batch
    undetected: int

    @property
    def times(self) -> Array:
        """Event times."""
        return self.batch.filled("observed_us")


def gaps(times: Array, departed: int, end: int, period_s: float) -> tuple[Gap, tuple[Gap, ...], float]:
    """(the longest time without a report, the gaps that are not covered, share of the time that is) from sorted times."""
    edges = np.concatenate([[departed], times, [end]])
    steps = np.diff(edges)
    at = int(np.argmax(steps))
    longest = Gap(int(edges[at]), int(edges[at + 1]))
    bare = steps > COVERED_PERIODS * period_s * US
    if end == departed or not len(times):
        covered = float(bool(len(times)))
    else:
        covered = 1.0 - float(steps[bare].sum()) / (end - departed)
    worst = np.flatnonzero(bare)
    worst = np.sort(worst[np.argsort(-steps[worst], kind="stable")[:_GAPS]])
    return longest, tuple(Gap(int(edges[i]), int(edges[i + 1])) for i in worst), covered


def distance_m(rows: list[Rows]) -> float:
    """How far an equipment went: device by device, and of devices at the same time the farther."""
    ways = [(r.binding.from_us, r.binding.to_us, _way_m(r.batch)) for r in rows]
    chains: list[tuple[int, float]] = []  # of bindings that follow each other: (end, distance up to it)
    for from_us, to_us, way in sorted(ways, key=lambda w: w[0]):
        before = max((d for end, d in chains if end <= from_us), default=0.0)
        chains.append((_FOREVER if to_us is None else to_us, before + way))
    return max((d for _, d in chains), default=0.0)


def _way_m(batch: Batch) -> float:
    lat, lon = batch.filled("lat_deg"), batch.filled("lon_deg")
    fixed = ~np.isnan(lat) & ~np.isnan(lon) & (batch.filled("fix_valid") != 0)
    lat, lon = lat[fixed], lon[fixed]
    return float(distances_m(lat[:-1], lon[:-1], lat[1:], lon[1:]).sum()) if len(lat) > 1 else 0.0


def closed_times(rows: list[Rows]) -> tuple[Array, tuple[str, int] | None]:
    """When a seal said that it was closed, sorted, and what it first said otherwise, and when."""
    opened: tuple[str, int] | None = None
    told = [np.empty(0, np.int64)]
    for one in rows:
        closed = np.zeros(one.batch.n, np.bool_)
        for column, value in _CLOSED:
            closed |= one.batch.filled(column) == value
        for words, column, value in _OPENED:
            hits = one.batch.filled(column) == value
            closed &= ~hits
            if hits.any():
                at = int(one.times[int(np.argmax(hits))])
                if opened is None or at < opened[1]:
                    opened = (words, at)
        told.append(one.times[closed])
    return np.sort(np.concatenate(told)), opened


def reports_as_seal(device: Mapping[str, Any], reports: list[Batch]) -> bool:
    """By what is declared of it, or by what it reports."""
    if device.get("class") in _SEAL_CLASSES or device.get("state") is not None:
        return True
    return any(
        data is not None and bool((data >= 0).any())
        for batch in reports
        for column in ("locked", "rope_inserted", "rope_cut")
        for data in [batch.array(column)]
    )
