"""Alerts that stand beside the journeys' own: no detector runs them again, every further sign is only counted.

Kept whole in memory by id and saved with each checkpoint. Whatever the order of the signs, the alert is the same but for
the position, which is that of the first one heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

import msgspec
import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Batch
from cocket.core.ids import alert_id
from cocket.engine.world import World

_NAMES = tuple(f.name for f in fields(AlertChange) if f.name != "superseded")


class Standing:
    """The alerts of one ``subject`` so far."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._known: dict[str, AlertChange] = {}

    def add(
        self,
        code: str,
        severity: str,
        journey_key: str,
        j: int,
        sign: tuple[Batch, int, int],
        at: int,
        says: str,
        world: World,
        raised_us: int,
    ) -> AlertChange:
        """One sign: ``sign`` is (batch, row, observation key), ``at`` its time in µs, ``j`` the journey it concerns or -1."""
        batch, i, key = sign
        name = alert_id(journey_key, code, self._subject, 0, 0)
        known = self._known.get(name)
        if known is not None:
            known.count += 1
            known.began_us = min(known.began_us, at)
            known.last_us = max(known.last_us, at)
            known.last_key = max(known.last_key, key)
            return known
        table = world.table
        lat, lon = (float(batch.filled(c)[i]) for c in ("lat_deg", "lon_deg"))
        device = batch.texts("device_id")
        change = AlertChange(
            id=name,
            code=code,
            severity=severity,
            journey=journey_key,
            mrn=table.mrn[j] if j >= 0 else "",
            equipment_id=table.equipment_id[j] if j >= 0 else "",
            device_id="" if device is None else device.row(i) or "",
            subject=self._subject,
            began_us=at,
            ended_us=None,
            raised_event_us=at,
            last_us=at,
            raised_us=raised_us,
            count=1,
            lat_deg=None if np.isnan(lat) else lat,
            lon_deg=None if np.isnan(lon) else lon,
            value=None,
            peak=None,
            threshold=None,
            unit="",
            corridor=table.corridor_id[j] if j >= 0 else None,
            began_key=key,
            raised_key=key,
            last_key=key,
            peak_us=at,
            peak_key=key,
            says=says,
        )
        self._known[name] = change
        return change

    def dump(self) -> bytes:
        """For a checkpoint."""
        return msgspec.json.encode([asdict(c) for c in self._known.values()])

    def load_stored(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """From the stored alerts, where the checkpoint is lost: they stand as they did at the stored offset."""
        self._known = {row["id"]: AlertChange(**{name: row[name] for name in _NAMES}) for row in rows}

    def load(self, page: bytes | None) -> None:
        """From a checkpoint."""
        rows: list[dict[str, Any]] = [] if page is None else msgspec.json.decode(page)
        self._known = {row["id"]: AlertChange(**row) for row in rows}
