"""Telling: episodes, which are numbers, become alerts, which people read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts
from cocket.core.ids import alert_id
from cocket.core.journeys import JourneyTable
from cocket.core.rules import Rules
from cocket.core.schema import NULL_INT


def tell(
    events: Array,
    detectors: Sequence[Detector],
    rules: Rules,
    table: JourneyTable,
    subjects: Sequence[str],
    raised_us: int,
    *,
    late: bool,
) -> list[AlertChange]:
    """One change for each alert among the episodes, as it last stood, in the order in which they came."""
    latest: dict[tuple[Any, ...], int] = {}
    names = ("detector", "journey", "subject", "began_us", "began_key")
    for i, key in enumerate(zip(*(events[name].tolist() for name in names), strict=True)):
        latest.pop(key, None)
        latest[key] = i
    chosen = events[list(latest.values())] if len(latest) < len(events) else events
    return [
        _change(dict(zip(_NAMES, r, strict=True)), detectors, rules, table, subjects, raised_us, late)
        for r in chosen[_NAMES].tolist()
    ]


_NAMES = [
    "began_us",
    "began_key",
    "raised_us",
    "raised_key",
    "last_us",
    "last_key",
    "peak_us",
    "peak_key",
    "ended_us",
    "lat",
    "lon",
    "value",
    "peak",
    "count",
    "journey",
    "subject",
    "detector",
    "level",
]


def _change(
    r: dict[str, Any],
    detectors: Sequence[Detector],
    rules: Rules,
    table: JourneyTable,
    subjects: Sequence[str],
    raised_us: int,
    late: bool,
) -> AlertChange:
    detector, j = detectors[r["detector"]], r["journey"]
    profile = int(table.profile[j])
    severity = rules.severity(detector.name, profile) or detector.severities[r["level"] - 1]
    zone = None if r["subject"] < 0 else subjects[r["subject"]]
    journey = table.key(j)
    facts = Facts(
        level=r["level"],
        severity=severity,
        began_us=r["began_us"],
        raised_us=r["raised_us"],
        last_us=r["last_us"],
        ended_us=None if r["ended_us"] == NULL_INT else r["ended_us"],
        count=r["count"],
        value=_known(r["value"]),
        peak=_known(r["peak"]),
        zone=zone,
        corridor=table.corridor_id[j],
        device_id=table.device_id[j],
        equipment_id=table.equipment_id[j],
        mrn=table.mrn[j],
        limit_us=None if table.limit_us[j] == NULL_INT else int(table.limit_us[j]),
        speed_limit_mps=_known(table.speed_limit_mps[j]),
        temp_min_c=_known(table.temp_min_c[j]),
        temp_max_c=_known(table.temp_max_c[j]),
        param=partial(rules.number, detector.name, profile=profile),
    )
    return AlertChange(
        id=alert_id(journey, detector.name, zone or "", r["began_us"], r["began_key"]),
        code=detector.name,
        severity=severity,
        journey=journey,
        mrn=facts.mrn,
        equipment_id=facts.equipment_id,
        device_id=facts.device_id,
        subject=zone,
        began_us=r["began_us"],
        ended_us=facts.ended_us,
        raised_event_us=r["raised_us"],
        last_us=r["last_us"],
        raised_us=raised_us,
        count=r["count"],
        lat_deg=_known(r["lat"]),
        lon_deg=_known(r["lon"]),
        value=facts.value,
        peak=facts.peak,
        threshold=None if detector.threshold is None else detector.threshold(facts),
        unit=detector.unit,
        corridor=facts.corridor,
        began_key=r["began_key"],
        raised_key=r["raised_key"],
        last_key=r["last_key"],
        peak_us=r["peak_us"],
        peak_key=r["peak_key"],
        says=detector.says(facts),
        late=late,
    )


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
