"""Tracks: the observations of a movement's bindings, thinned without losing what matters, as GeoJSON or Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from cocket.core.batch import Array, Batch, Texts, concat
from cocket.core.schema import BY_NAME, NULL_INT, SCHEMA_VERSION, Kind
from cocket.engine.ingest import on_journeys
from cocket.store.bindings import Binding
from cocket.store.history_contract import HistoryStore
from cocket.web.answers import moment

SHOWN: Final = (
    "observed_us",
    "lat_deg",
    "lon_deg",
    "speed_mps",
    "course_deg",
    "fix_valid",
    "locked",
    "rope_inserted",
    "rope_cut",
    "casing_open",
    "battery_pct",
    "charging",
    "temp_c",
    "humidity_pct",
    "gsm_signal",
    "door_open",
)
_STATES: Final = (
    "locked",
    "rope_inserted",
    "rope_cut",
    "casing_open",
    "fix_valid",
    "wrong_password",
    "motor_stuck",
    "door_open",
)
_FOREVER: Final = 2**62


@dataclass(slots=True)
class Track:
    """The observations of one binding by event time; ``rows`` is how many there are before thinning."""

    binding: Binding
    batch: Batch
    rows: int


def read(history: HistoryStore, binding: Binding, max_points: int) -> Track:
    """All observations that a binding covers, thinned to ``max_points``. Times that are not to be trusted are left out."""
    to_us = _FOREVER if binding.to_us is None else binding.to_us
    batch = history.rows([(binding.device_id, binding.from_us, to_us)])
    trusted = on_journeys(batch)
    if not trusted.all():
        batch = batch.take(trusted)
    rows = batch.n
    return Track(binding, batch.take(kept(batch, max_points)) if rows > max_points else batch, rows)


def kept(batch: Batch, max_points: int) -> Array:
    """The rows that stay, in order, ``max_points`` at most; ``batch`` is in the order of event time.

    First and last; then rows at which a state changes, evenly fewer if they alone would take more than half; then
    from equal stretches the row farthest from the straight line between the stretch's ends, by position, or its
    middle row where there is none.
    """
    n = batch.n
    changed = np.zeros(n, np.bool_)
    for name in _STATES:
        data = batch.array(name)
        if data is not None:
            changed[1:] |= (data[1:] != data[:-1]) & (data[1:] >= 0)
    ends = np.array([0, n - 1])
    changes = np.setdiff1d(np.flatnonzero(changed), ends)
    room = max_points - 2
    if len(changes) > room // 2:
        changes = (
            changes[np.linspace(0, len(changes) - 1, room // 2).astype(np.int64)] if room > 1 else changes[:0]
        )
    stretches = room - len(changes)
    chosen = [ends, changes]
    if stretches > 0:
        chosen.append(_corners(batch, np.linspace(0, n, stretches + 1).astype(np.int64)))
    return np.unique(np.concatenate(chosen))


def _corners(batch: Batch, edges: Array) -> Array:
    """Per stretch between edges the row farthest from the line through the stretch's ends."""
    n = batch.n
    lat, lon = batch.filled("lat_deg"), batch.filled("lon_deg")
    stretch = np.searchsorted(edges, np.arange(n), "right") - 1
    first, last = edges[:-1], np.minimum(edges[1:], n - 1)
    x = lon * np.cos(np.radians(np.nanmean(lat) if not np.isnan(lat).all() else 0.0))
    ax, ay, bx, by = x[first], lat[first], x[last], lat[last]
    s = stretch
    across = np.abs((bx - ax)[s] * (lat - ay[s]) - (by - ay)[s] * (x - ax[s]))
    away = np.hypot(x - ax[s], lat - ay[s])
    score = np.where((bx - ax)[s] ** 2 + (by - ay)[s] ** 2 > 0, across, away)
    middle = np.abs(np.arange(n) - 0.5 * (first + last)[s])
    score = np.where(np.isnan(score), -1.0, score)
    order = np.lexsort((middle, -score, s))
    return order[np.unique(s[order], return_index=True)[1]]


def feature(track: Track) -> dict[str, Any]:
    """The GeoJSON Feature of one track; null geometry where it has fewer than two positions."""
    batch, binding = track.batch, track.binding
    columns = {("observed_at" if name == "observed_us" else name): _values(batch, name) for name in SHOWN}
    lat, lon = batch.filled("lat_deg"), batch.filled("lon_deg")
    there = ~np.isnan(lat) & ~np.isnan(lon)
    geometry = None
    if there.sum() >= 2:
        geometry = {
            "type": "LineString",
            "coordinates": np.stack([lon[there], lat[there]], axis=1).tolist(),
        }
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": {
            "device_id": binding.device_id,
            "equipment_id": binding.equipment_id,
            "from": moment(binding.from_us),
            "to": moment(binding.to_us),
            "rows": track.rows,
            "thinned": batch.n < track.rows,
            "columns": columns,
        },
    }


def _values(batch: Batch, name: str) -> list[Any]:
    data = batch.columns.get(name)
    if data is None:
        return [None] * batch.n
    assert not isinstance(data, Texts)
    kind = BY_NAME[name].kind
    if kind is Kind.TIME:
        return [moment(us) for us in data.tolist()]
    if kind is Kind.BOOL:
        return [None if v < 0 else v == 1 for v in data.tolist()]
    if kind is Kind.INT:
        return [None if v == NULL_INT else v for v in data.tolist()]
    return [None if v != v else v for v in data.tolist()]  # noqa: PLR0124 - NaN is null


def arrow(tracks: list[Track]) -> bytes:
    """All tracks' observations as one Arrow IPC stream with the schema's columns, track after track."""
    batch = concat([t.batch for t in tracks]) if tracks else Batch(0, {})
    if tracks:
        record = batch.to_arrow()
    else:
        record = pa.RecordBatch.from_arrays(
            [], schema=pa.schema([], metadata={"cocket.schema": str(SCHEMA_VERSION)})
        )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, record.schema) as writer:
        writer.write_batch(record)
    return bytes(sink.getvalue().to_pybytes())
