"""What was last heard of each device, bound or not: one record a device, in memory, saved with each checkpoint."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit

from cocket.core.batch import Array, Batch
from cocket.core.schema import NULL_INT
from cocket.engine.ingest import on_journeys

_LAST = np.dtype(
    [
        ("observed_us", "i8"),
        ("lat_deg", "f8"),
        ("lon_deg", "f8"),
        ("speed_mps", "f8"),
        ("course_deg", "f8"),
        ("battery_pct", "f8"),
        ("locked", "i1"),
    ]
)
_FLOATS = ("lat_deg", "lon_deg", "speed_mps", "course_deg", "battery_pct")
_SILENT = np.array([(NULL_INT, np.nan, np.nan, np.nan, np.nan, np.nan, -1)], _LAST)


@njit(cache=True, nogil=True)
def _newest(device: Array, t: Array, trusted: Array, last_us: Array, row: Array) -> None:
    """``row[d]`` becomes the batch row of the newest trusted observation of device ``d``, if newer than any before."""
    for i in range(len(device)):
        d = device[i]
        if trusted[i] and t[i] >= last_us[d]:
            last_us[d] = t[i]
            row[d] = i


class Devices:
    """Indexed by the device's dense number; ``update`` on the detector thread, the rest on any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = np.repeat(_SILENT, 256)
        self._number: dict[str, int] = {}

    def update(self, batch: Batch, device: Array) -> None:
        """Take in a batch; ``device`` is the dense number by row."""
        with self._lock:
            top = int(device.max(initial=-1)) + 1
            if top > len(self._last):
                self._last = np.concatenate([self._last, np.repeat(_SILENT, max(top, 2 * len(self._last)))])
            row = np.full(top, -1, np.int64)
            last_us = self._last["observed_us"][:top].copy()
            _newest(device, batch.filled("observed_us"), on_journeys(batch), last_us, row)
            at = np.flatnonzero(row >= 0)
            rows = row[at]
            self._last["observed_us"][at] = last_us[at]
            for name in _FLOATS:
                self._last[name][at] = batch.filled(name)[rows]
            self._last["locked"][at] = batch.filled("locked")[rows]

    def heard_since(self, device_id: str, since_us: int) -> bool:
        """Whether anything observed at or after ``since_us`` has come from it."""
        number = self._number.get(device_id)
        return (
            number is not None
            and number < len(self._last)
            and bool(self._last["observed_us"][number] >= since_us)
        )

    def brief(self, device_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The newest observation of each, in a few columns; those never heard of are left out."""
        out = {}
        with self._lock:
            for device_id in device_ids:
                number = self._number.get(device_id)
                if (
                    number is None
                    or number >= len(self._last)
                    or self._last["observed_us"][number] == NULL_INT
                ):
                    continue
                last = self._last[number]
                out[device_id] = {
                    "observed_us": int(last["observed_us"]),
                    **{n: None if np.isnan(last[n]) else float(last[n]) for n in _FLOATS},
                    "locked": None if last["locked"] < 0 else bool(last["locked"]),
                }
        return out

    def dump(self) -> bytes:
        """For a checkpoint."""
        with self._lock:
            names = sorted(self._number, key=self._number.__getitem__)[: len(self._last)]
            out = io.BytesIO()
            np.savez_compressed(out, last=self._last[: len(names)], names=np.array(names, dtype=np.str_))
        return out.getvalue()

    def load(self, page: bytes | None, number: dict[str, int]) -> None:
        """From a checkpoint. ``number`` is filled with the devices' dense numbers, and is shared from now on."""
        last = _SILENT[:0]
        if page is not None:
            with np.load(io.BytesIO(page), allow_pickle=False) as saved:
                last = saved["last"]
                number.update({str(name): i for i, name in enumerate(saved["names"])})
        with self._lock:
            self._number = number
            self._last = np.concatenate([last, np.repeat(_SILENT, 256)])
