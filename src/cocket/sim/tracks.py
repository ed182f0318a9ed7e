"""Real positions for the demo: a committed excerpt of the BSD-3 Shenzhen tracks (see data/NOTICE).

180 vehicles around the control points between Shenzhen and Hong Kong, about 123,000 fixes, with the noise of
life: repeated times, jumps, parked vehicles. Nothing in the file was altered; what is selected is said there.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cocket.core.batch import Array

WINDOW_S: Final = (8 * 3600, 14 * 3600)
"""Local time of day (Asia/Shanghai) in which most tracks lie."""

MAX_GAP_S: Final = 660
MIN_RUN_S: Final = 3600


@dataclass(frozen=True, slots=True)
class ControlPoint:
    """A crossing between Shenzhen and Hong Kong, and the forecourt near it where the tracks show vehicles wait.

    The crossing's centre itself is closed to taxis (no fix within 500 m of Huanggang and Man Kam To): zones in
    which vehicles are to be seen are drawn around the forecourt.
    """

    id: str
    name: str
    lat_deg: float
    lon_deg: float
    forecourt_lat_deg: float
    forecourt_lon_deg: float


CONTROL_POINTS: Final = (
    ControlPoint("CNSZLUOH", "Luohu", 22.5317, 114.1146, 22.5344, 114.1146),
    ControlPoint("CNSZFUTI", "Futian", 22.5159, 114.0690, 22.5173, 114.0632),
    ControlPoint("CNSZHUAN", "Huanggang", 22.5190, 114.0745, 22.5230, 114.0687),
    ControlPoint("CNSZBAYK", "Shenzhen Bay", 22.5036, 113.9480, 22.5066, 113.9445),
    ControlPoint("CNSZSHAT", "Shatoujiao", 22.5478, 114.2255, 22.5510, 114.2242),
    ControlPoint("CNSZMANK", "Man Kam To", 22.5375, 114.1290, 22.5436, 114.1262),
)


@dataclass(frozen=True, slots=True)
class Track:
    """One vehicle's fixes in order of time. ``t_s``: seconds of the local day, moved into the window where the
    vehicle's own run lies outside it (``moved_s`` says by how much).
    """

    vehicle: int
    t_s: Array
    lat_deg: Array
    lon_deg: Array
    speed_mps: Array
    moved_s: int


def load() -> list[Track]:
    """The excerpt, one track per vehicle, by vehicle number."""
    with (resources.files("cocket.sim") / "data" / "shenzhen.parquet").open("rb") as f:
        table = pq.read_table(f)
    vehicle, t = (table.column(c).to_numpy() for c in ("vehicle", "time_s"))
    lat, lon = (table.column(c).to_numpy() / 1e6 for c in ("lat_e6", "lon_e6"))
    speed = table.column("speed_kmh").to_numpy() / 3.6
    tracks = []
    bounds = np.flatnonzero(np.diff(vehicle, prepend=-1, append=-1))
    for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        outside = t[a] < WINDOW_S[0] or t[b - 1] >= WINDOW_S[1]
        moved = int(WINDOW_S[0] - t[a]) if outside else 0
        tracks.append(
            Track(int(vehicle[a]), t[a:b].astype(np.int64) + moved, lat[a:b], lon[a:b], speed[a:b], moved)
        )
    return tracks


def excerpt(source: pa.Table) -> pa.Table:
    """Select the excerpt from the whole file: columns vehicle, time (HH:MM:SS), lon, lat, occupied, speed km/h."""
    vehicle = source.column("vehicle").to_numpy()
    text = source.column("time").to_pylist()
    t = np.array([int(x[:2]) * 3600 + int(x[3:5]) * 60 + int(x[6:8]) for x in text])
    order = np.lexsort((np.arange(len(t)), t, vehicle))
    vehicle, t = vehicle[order], t[order]
    chosen = []
    for number in np.unique(vehicle):
        rows = np.flatnonzero(vehicle == number)
        inside = rows[(t[rows] >= WINDOW_S[0]) & (t[rows] < WINDOW_S[1])]
        best = _longest_run(inside, t)
        if len(best) == 0 or t[best[-1]] - t[best[0]] < MIN_RUN_S:
            best = _longest_run(rows, t)
            best = best[t[best] - t[best[0]] < WINDOW_S[1] - WINDOW_S[0]]
        chosen.append(best)
    pick = np.concatenate(chosen)
    rows = order[pick]

    def whole(name: str, scale: float, kind: type) -> Array:
        values: Array = np.round(source.column(name).to_numpy()[rows] * scale).astype(kind)
        return values

    return pa.table(
        {
            "vehicle": vehicle[pick].astype(np.int32),
            "time_s": t[pick].astype(np.int32),
            "lat_e6": whole("lat", 1e6, np.int32),
            "lon_e6": whole("lon", 1e6, np.int32),
            "speed_kmh": whole("speed", 1, np.int16),
            "occupied": source.column("occupied").to_numpy()[rows] == 1,
        }
    )


def _longest_run(rows: Array, t: Array) -> Array:
    if len(rows) == 0:
        return rows
    cuts = np.flatnonzero(np.diff(t[rows]) > MAX_GAP_S) + 1
    runs = np.split(rows, cuts)
    best: Array = max(runs, key=lambda run: (int(t[run[-1]] - t[run[0]]), len(run)))
    return best


def write(table: pa.Table, path: str) -> None:
    """As it is committed: small, and readable by any Parquet reader."""
    packed = dict.fromkeys(("vehicle", "time_s", "lat_e6", "lon_e6"), "DELTA_BINARY_PACKED")
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=["speed_kmh"],
        column_encoding=packed,
    )
