"""Telling: episodes, which are numbers, become alerts, which people read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isfinite
from typing import Any, Final

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Array
from cocket.core.detector import Detector, Facts
from cocket.core.ids import alert_id
from cocket.core.journeys import JourneyTable
from cocket.core.rules import Rules
from cocket.core.schema import NULL_INT

_WHICH: Final = ("detector", "journey", "subject", "began_us", "began_key")
_REST: Final = (
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
    "level",
)


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
    if not len(events):
        return []
    latest: dict[tuple[Any, ...], int] = {}
    for i, key in enumerate(zip(*(events[name].tolist() for name in _WHICH), strict=True)):
        latest.pop(key, None)
        latest[key] = i
    rows = np.fromiter(latest.values(), np.int64, len(latest))
    rest = zip(*(events[name][rows].tolist() for name in _REST), strict=True)
    out: list[AlertChange] = []
    for (det, j, subject, began_us, began_key), (
        raised,
        raised_key,
        last_us,
        last_key,
        peak_us,
        peak_key,
        ended,
        lat,
        lon,
        value,
        peak,
        count,
        level,
    ) in zip(latest, rest, strict=True):
        detector = detectors[det]
        profile = int(table.profile[j])
        zone = None if subject < 0 else subjects[subject]
        journey = table.key(j)
        facts = Facts(
            level=level,
            severity=rules.severity(detector.name, profile) or detector.severities[level - 1],
            began_us=began_us,
            raised_us=raised,
            last_us=last_us,
            ended_us=None if ended == NULL_INT else ended,
            count=count,
            value=value if isfinite(value) else None,
            peak=peak if isfinite(peak) else None,
            zone=zone,
            corridor=table.corridor_id[j],
            device_id=table.device_id[j],
            equipment_id=table.equipment_id[j],
            mrn=table.mrn[j],
            journey=j,
            table=table,
            param=partial(rules.number, detector.name, profile=profile),
        )
        out.append(
            AlertChange(
                id=alert_id(journey, detector.name, zone or "", began_us, began_key),
                code=detector.name,
                severity=facts.severity,
                journey=journey,
                mrn=facts.mrn,
                equipment_id=facts.equipment_id,
                device_id=facts.device_id,
                subject=zone,
                began_us=began_us,
                ended_us=facts.ended_us,
                raised_event_us=raised,
                last_us=last_us,
                raised_us=raised_us,
                count=count,
                lat_deg=lat if isfinite(lat) else None,
                lon_deg=lon if isfinite(lon) else None,
                value=facts.value,
                peak=facts.peak,
                threshold=None if detector.threshold is None else detector.threshold(facts),
                unit=detector.unit,
                corridor=facts.corridor,
                began_key=began_key,
                raised_key=raised_key,
                last_key=last_key,
                peak_us=peak_us,
                peak_key=peak_key,
                says=detector.says(facts),
                late=late,
            )
        )
    return out
