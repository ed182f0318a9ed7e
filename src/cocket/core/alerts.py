"""An alert as it travels from the detectors to the store."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("info", "warn", "high", "critical")


@dataclass(slots=True)
class AlertChange:
    """The full machine-made part of one alert, new or changed; people's part (state, triage) is the store's.

    ``*_us`` are UTC microseconds, ``*_key`` the observation keys that prove it (``core.keys``); ``value`` is what
    was measured when it was raised, ``peak`` the worst so far (seen at ``peak_us``), both in ``unit``;
    ``raised_us`` is our clock, ``raised_event_us`` the event time at which the condition had lasted long enough.
    """

    id: str
    code: str
    severity: str
    journey: str
    mrn: str
    equipment_id: str
    device_id: str
    subject: str | None
    began_us: int
    ended_us: int | None
    raised_event_us: int
    last_us: int
    raised_us: int
    count: int
    lat_deg: float | None
    lon_deg: float | None
    value: float | None
    peak: float | None
    threshold: float | None
    unit: str
    corridor: str | None
    began_key: int
    raised_key: int
    last_key: int
    peak_us: int
    peak_key: int
    says: str
    late: bool = False
    superseded: str | None = None
