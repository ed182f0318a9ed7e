"""The newest observation of every device, from history: what a lost checkpoint knew of devices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from cocket.core.batch import Batch
from cocket.engine.ingest import REMARKS
from cocket.store.folder import LineHistory

_CHUNK: Final = 2_000
_NEWEST: Final = (
    "SELECT device_id, max(observed_us) AS newest FROM observations WHERE $which GROUP BY device_id"
)


def newest_of_each(history: LineHistory) -> Iterator[Batch]:
    """Batches of rows, one device or more each; remarks and times that cannot be trusted are passed over."""
    known = set(history.sql("SELECT column_name FROM (DESCRIBE observations)").column(0).to_pylist())
    if "device_id" not in known:
        return
    which = ["time_quality IN ('device', 'received')", *(f"{c} IS NOT TRUE" for c in REMARKS if c in known)]
    found = history.sql(_NEWEST.replace("$which", " AND ".join(which)))
    at = found["newest"].cast(pa.int64()).to_pylist()
    spans = [(name, t, t + 1) for name, t in zip(found["device_id"].to_pylist(), at, strict=True)]
    for i in range(0, len(spans), _CHUNK):
        yield history.rows(spans[i : i + _CHUNK])
