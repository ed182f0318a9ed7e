"""Which rows belong to which wanted spans of which devices, for thousands of spans at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from cocket.core.batch import Array


@dataclass(frozen=True, slots=True)
class Spans:
    """Wanted spans by device: those of ``names[i]`` are ``start[i]:start[i + 1]`` of ``low``/``high``, [low, high)."""

    names: list[str]
    arrow: pa.Array
    devices: Array
    start: Array
    low: Array
    high: Array
    min_us: int
    max_us: int

    @classmethod
    def of(cls, wanted: Sequence[tuple[str, int, int]]) -> Spans:
        """From (device, from, to)."""
        ordered = sorted(wanted)
        names = list(dict.fromkeys(name for name, _, _ in ordered))
        number = {name: i for i, name in enumerate(names)}
        which = np.fromiter((number[name] for name, _, _ in ordered), np.int64, len(ordered))
        low = np.fromiter((a for _, a, _ in ordered), np.int64, len(ordered))
        high = np.fromiter((b for _, _, b in ordered), np.int64, len(ordered))
        start = np.searchsorted(which, np.arange(len(names) + 1))
        return cls(
            names,
            pa.array(names, pa.string()),
            np.array(names),
            start,
            low,
            high,
            int(low.min()),
            int(high.max()),
        )

    def table(self, codes: Mapping[str, int], n: int) -> Array:
        """For device codes below ``n``: the index into ``names``, or -1."""
        table = np.full(n, -1, np.int32)
        for i, name in enumerate(self.names):
            code = codes.get(name, n)
            if code < n:
                table[code] = i
        return table

    def table_of(self, values: pa.Array) -> Array:
        """As ``table``, for codes into ``values``."""
        found = pc.index_in(values, value_set=self.arrow)
        return cast("Array", pc.fill_null(found, -1).to_numpy(zero_copy_only=False))

    def choose(self, table: Array, codes: Array, observed_us: Array) -> Array:
        """The rows, by number, whose device and event time lie within a span."""
        out = np.empty(len(codes), np.int64)
        n = _choose(table, codes, observed_us, self.start, self.low, self.high, out)
        return out[:n]


@njit(cache=True, nogil=True)
def _choose(
    table: Array, codes: Array, observed_us: Array, start: Array, low: Array, high: Array, out: Array
) -> int:
    n = 0
    for i in range(len(codes)):
        device = table[codes[i]]
        if device < 0:
            continue
        t = observed_us[i]
        for s in range(start[device], start[device + 1]):
            if low[s] <= t < high[s]:
                out[n] = i
                n += 1
                break
    return n
