"""Seal reports whose time cannot be trusted.

A clock that was never set, or that runs ahead, moves no journey's clock. But a rope that is cut is cut whatever the
device believes the date to be. Such a report is joined by the time at which it was received, and all reports of one
condition in one journey fold into one alert with a count, whatever their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec
import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Array, Batch
from cocket.core.detector import Detector
from cocket.core.ids import alert_id
from cocket.engine.ingest import time_trusted
from cocket.engine.world import World

UNTIMED = "untimed"
"""The subject of these alerts."""


class Untimed:
    """The alerts of untimed reports so far, by journey and code."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._flags = [(d, d.flag) for d in detectors if d.flag is not None]
        self._known: dict[str, AlertChange] = {}

    def found(
        self, batch: Batch, keys: Array, device: Array, world: World, raised_us: int
    ) -> list[AlertChange]:
        """The alerts that the untimed rows of a batch begin or add to."""
        untimed = ~time_trusted(batch)
        if not untimed.any():
            return []
        received = batch.filled("received_us")
        journey = world.journeys(np.where(untimed, device, np.int32(-1)), received)
        touched: dict[str, AlertChange] = {}
        for detector, column in self._flags:
            flag = batch.array(column)
            if flag is None:
                continue
            for i in np.flatnonzero(untimed & (journey >= 0) & (flag == 1)).tolist():
                change = self._add(detector, int(journey[i]), batch, i, int(keys[i]), world, raised_us)
                touched[change.id] = change
        return list(touched.values())

    def _add(
        self, detector: Detector, j: int, batch: Batch, i: int, key: int, world: World, raised_us: int
    ) -> AlertChange:
        table = world.table
        name = alert_id(table.key(j), detector.name, UNTIMED, 0, 0)
        received = int(batch.filled("received_us")[i])
        known = self._known.get(name)
        if known is not None:
            known.count += 1
            known.began_us = min(known.began_us, received)
            known.last_us = max(known.last_us, received)
            known.last_key = max(known.last_key, key)
            return known
        lat, lon = (batch.filled(c)[i] for c in ("lat_deg", "lon_deg"))
        severity = world.rules.severity(detector.name, int(table.profile[j])) or detector.severities[0]
        change = AlertChange(
            id=name,
            code=detector.name,
            severity=severity,
            journey=table.key(j),
            mrn=table.mrn[j],
            equipment_id=table.equipment_id[j],
            device_id=table.device_id[j],
            subject=UNTIMED,
            began_us=received,
            ended_us=None,
            raised_event_us=received,
            last_us=received,
            raised_us=raised_us,
            count=1,
            lat_deg=None if np.isnan(lat) else float(lat),
            lon_deg=None if np.isnan(lon) else float(lon),
            value=None,
            peak=None,
            threshold=None,
            unit="",
            corridor=table.corridor_id[j],
            began_key=key,
            raised_key=key,
            last_key=key,
            peak_us=received,
            peak_key=key,
            says=(
                f"Device {table.device_id[j]} on {table.equipment_id[j]} reported {detector.name} with a clock that "
                "cannot be trusted; the time is when the report was received."
            ),
        )
        self._known[name] = change
        return change

    def dump(self) -> bytes:
        """For a checkpoint."""
        return msgspec.json.encode([asdict(c) for c in self._known.values()])

    def load(self, page: bytes | None) -> None:
        """From a checkpoint."""
        rows: list[dict[str, Any]] = [] if page is None else msgspec.json.decode(page)
        self._known = {row["id"]: AlertChange(**row) for row in rows}
