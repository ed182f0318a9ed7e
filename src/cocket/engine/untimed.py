"""Seal reports whose time cannot be trusted.

A clock that was never set, or that runs ahead, moves no journey's clock. But a rope that is cut is cut whatever the
device believes the date to be. Such a report is joined by the time at which it was received, and all reports of one
condition in one journey fold into one alert with a count, whatever their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Array, Batch
from cocket.core.detector import Detector
from cocket.engine.ingest import time_trusted
from cocket.engine.standing import Standing
from cocket.engine.world import World

UNTIMED = "untimed"
"""The subject of these alerts."""


class Untimed:
    """The alerts of untimed reports so far, by journey and code."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._flags = [(d, d.flag) for d in detectors if d.flag is not None]
        self.alerts = Standing(UNTIMED)

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
                j = int(journey[i])
                table = world.table
                change = self.alerts.add(
                    detector.name,
                    world.rules.severity(detector.name, int(table.profile[j])) or detector.severities[0],
                    table.key(j),
                    j,
                    (batch, i, int(keys[i])),
                    int(received[i]),
                    f"Device {table.device_id[j]} on {table.equipment_id[j]} reported {detector.name} with a clock that "
                    "cannot be trusted; the time is when the report was received.",
                    world,
                    raised_us,
                )
                touched[change.id] = change
        return list(touched.values())
