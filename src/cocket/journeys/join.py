"""Which journey does an observation belong to? The one its device was bound to when it was observed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from cocket.core.batch import Array


@dataclass(slots=True)
class Join:
    """As-of join of (device number, event time) to journeys. Journeys of one device do not overlap.

    Journeys stand by device and then by time; ``first[d]`` to ``first[d + 1]`` are those of device ``d``.
    """

    first: Array
    from_us: Array
    to_us: Array
    number: Array

    @classmethod
    def build(cls, device: Array, from_us: Array, to_us: Array) -> Join:
        """From one row a journey, in order of journey number; ``device`` int32, times int64 (NEVER for open)."""
        by_time = np.argsort(from_us, kind="stable")
        number = by_time[np.argsort(device[by_time], kind="stable")]
        devices = int(device.max()) + 1 if len(device) else 0
        counts = np.bincount(device, minlength=devices) if len(device) else np.zeros(0, np.int64)
        first = np.zeros(devices + 1, np.int64)
        np.cumsum(counts, out=first[1:])
        return cls(
            first,
            np.ascontiguousarray(from_us[number]),
            np.ascontiguousarray(to_us[number]),
            number.astype(np.int32),
        )

    def journeys(self, device: Array, observed_us: Array) -> Array:
        """int32 journey by row, -1 where the device (-1: unknown) was bound to nothing at that time."""
        return _journeys(  # type: ignore[no-any-return]
            device, observed_us, self.first, self.from_us, self.to_us, self.number
        )


@njit(cache=True, nogil=True)
def _journeys(device: Array, t: Array, first: Array, from_us: Array, to_us: Array, number: Array) -> Array:
    out = np.full(len(device), -1, np.int32)
    for i in range(len(device)):
        d = device[i]
        if d < 0 or d >= len(first) - 1:
            continue
        low, high = first[d], first[d + 1]
        while low < high:
            middle = (low + high) // 2
            if from_us[middle] <= t[i]:
                low = middle + 1
            else:
                high = middle
        k = low - 1
        if k >= first[d] and t[i] < to_us[k]:
            out[i] = number[k]
    return out
