"""Kernels compiled before the first row comes.

The first start on a machine compiles every kernel, which takes a minute or so; afterwards they come from the cache on
disk. A whole small machine in a scratch folder is run once through everything that the real one does: its doors'
readers, log, detectors, a late row, a checkpoint. So nothing compiles while somebody waits for an alert, and no list
of kernels must be kept up to date.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from cocket.core.clock import US, ReplayClock, parse_rfc3339, rfc3339
from cocket.core.errors import Unavailable
from cocket.core.schema import COLUMNS, Kind, arrow_type
from cocket.engine.service import Service
from cocket.observations.readers import read_arrow, read_json, read_ndjson

_BEGINS_US: Final = parse_rfc3339("2026-01-01T00:00:00Z")
_PATIENCE_S: Final = 600.0
_MRN: Final = "26NLWARM0000000000"
_IDENTITY: Final = ("device_id", "observed_us", "observed_at")
_POSITION: Final = ("lat_deg", "lon_deg")
_SEAL: Final = ("locked", "rope_inserted", "rope_cut", "battery_pct", "fix_valid", "temp_c", "speed_mps")
_SQUARE: Final = [[[4.0, 51.0], [4.001, 51.0], [4.001, 51.001], [4.0, 51.001], [4.0, 51.0]]]


def warm_up() -> None:
    """Compile, or load from the cache, every kernel. Raises ``Unavailable`` if that does not end."""
    with tempfile.TemporaryDirectory(prefix="cocket-warm-") as scratch:
        clock = ReplayClock(_BEGINS_US + 3600 * US, 1.0)
        with Service.open(Path(scratch) / "data", clock) as service:
            _declare(service)
            for body in _bodies():
                service.submit(body).result(_PATIENCE_S)
                _await(service)
            service.live((3.0, 50.0, 5.0, 52.0), 5.0, 0)


def _await(service: Service) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not service.wait_detected(1.0):
        if service.failure is not None:
            raise Unavailable(f"the detectors fail on a simple row: {service.failure}")
        if time.monotonic() > deadline:
            raise Unavailable(f"kernels did not compile within {_PATIENCE_S:.0f} s; try again, they are kept")


def _declare(service: Service) -> None:
    desk = service.reference
    zones = ("office", "restricted", "unlock-permitted")
    for kind in zones:
        geometry = {"type": "Polygon", "coordinates": _SQUARE}
        desk.put(
            "zone", kind, {"type": "Feature", "properties": {"kind": kind}, "geometry": geometry}, by="warm"
        )
    line = {"type": "LineString", "coordinates": [[4.0, 51.0], [4.1, 51.1], [4.2, 51.1]]}
    desk.put(
        "corridor",
        "way",
        {"type": "Feature", "properties": {"half_width_m": 100}, "geometry": line},
        by="warm",
    )
    times = {"departed_at": rfc3339(_BEGINS_US), "limit_at": rfc3339(_BEGINS_US + 7200 * US)}
    desk.put("movement", _MRN, {"corridor": "way", "temp_max_c": 8.0, **times}, by="warm")
    desk.bind_many(
        [{"device_id": "warm", "equipment_id": "WARM", "mrn": _MRN, "from": rfc3339(_BEGINS_US), "to": None}],
        by="warm",
    )
    service.reference_changed()


def _bodies() -> list[Any]:
    """Through each door, rows with every column and rows with few: absent columns are kernels' own signatures."""
    lines = b"\n".join(msgspec.json.encode(_row(s)) for s in (600, 630, 660))
    bodies = [read_ndjson(lines), read_json(msgspec.json.encode([_row(620)]))]  # the second is late
    for second, names in ((700, _POSITION), (720, _SEAL), (740, _POSITION + _SEAL)):
        row = {n: v for n, v in _row(second).items() if n in names or n in _IDENTITY}
        bodies.append(read_json(msgspec.json.encode([row])))
        bodies.append(read_arrow(_arrow(second + 5, _IDENTITY + names)))
    bodies.append(read_arrow(_arrow(760, tuple(c.name for c in COLUMNS if c.door))))
    return bodies


def _arrow(second: int, names: tuple[str, ...]) -> bytes:
    columns: dict[str, pa.Array] = {}
    for column in COLUMNS:
        if column.name in names:
            values = [_value(column.name, column.kind, column.values, s) for s in (second, second + 2)]
            columns[column.name] = pa.array(values, arrow_type(column.name))
    columns["device_id"] = columns["device_id"].dictionary_encode()
    sink = pa.BufferOutputStream()
    batch = pa.RecordBatch.from_pydict(columns)
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def _row(second: int) -> dict[str, Any]:
    row = {
        c.name: _value(c.name, c.kind, c.values, second)
        for c in COLUMNS
        if c.door and c.kind is not Kind.TIME
    }
    return {**row, "observed_at": rfc3339(_BEGINS_US + second * US)}


def _value(name: str, kind: Kind, values: tuple[str, ...], second: int) -> Any:
    if kind is Kind.TIME:
        return _BEGINS_US + second * US
    if name == "lat_deg":
        return round(51.0 + second / 1e4, 6)
    if kind is Kind.FLOAT:
        return 1.0 if name == "confidence" else round(4.0 + second / 1e5, 6)
    if kind is Kind.BOOL:
        return bool(np.bitwise_and(second // 10, 1))
    if kind is Kind.ENUM:
        return values[0]
    return second if kind is Kind.INT and name == "sequence" else 50 if kind is Kind.INT else "warm"
