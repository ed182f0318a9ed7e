"""The shape of the clean-trip report, for the API page and its tests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cocket.web.models import Severity, Time

_Share = Annotated[float, Field(ge=0, le=1)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TripReason(_Answer):
    """One thing that speaks against a trip."""

    rule: Annotated[str, Field(examples=["seal-opened"])]
    detail: str


class TripGap(_Answer):
    """A time without a report."""

    from_: Annotated[Time, Field(alias="from")]
    to: Time
    seconds: Annotated[int, Field(ge=0)]


class TripEquipment(_Answer):
    """How one equipment was watched between departure and arrival."""

    equipment_id: str
    device_ids: list[str]
    judged: Annotated[
        bool, Field(description="whether the trip is clean only if it was watched: what carries an e-seal is")
    ]
    observations: Annotated[int, Field(ge=0)]
    report_interval_s: float
    coverage: Annotated[
        _Share, Field(description="share of the time between reports at most two periods apart")
    ]
    longest_gap: TripGap
    gaps: Annotated[list[TripGap], Field(description="the longest that are not covered, by time; 20 at most")]
    distance_m: Annotated[int, Field(ge=0)]


class SealOpening(_Answer):
    """What a seal first reported that was not closed."""

    what: Annotated[str, Field(examples=["the rope was cut"])]
    at: Time


class SealAlarm(_Answer):
    """Why people put a seal in alarm, or lost it."""

    why: str
    at: Time


class TripSeal(_Answer):
    """One seal that was on the movement on the way."""

    id: str
    device_id: Annotated[str | None, Field(description="null for a mechanical seal")]
    kind: Literal["e-seal", "mechanical"]
    equipment_id: str | None
    closed_throughout: Annotated[
        bool | None, Field(description="null: it did not say, or not often enough to know")
    ]
    opened: SealOpening | None
    off_at: Annotated[Time | None, Field(description="when it came off, if that was on the way")]
    alarm: SealAlarm | None
    verified: Annotated[
        Literal["intact", "broken", "missing"] | None, Field(description="as found on arrival")
    ]


class TripAlert(_Answer):
    """One alert of the movement; superseded ones are left out."""

    id: str
    code: str
    severity: Severity
    state: str
    triage: str | None
    cause: str | None
    device_id: str
    equipment_id: str | None
    began_at: Time
    ended_at: Time | None
    settled: Annotated[bool, Field(description="it does not speak against the trip")]


class TripIncident(_Answer):
    """One incident on the way."""

    seq: int
    kind: str
    at: Time
    by: str
    office: str | None
    text: str | None
    resolved: Annotated[bool, Field(description="somebody resolved it before the arrival")]


class SealsVerified(_Answer):
    """How the seals were found on arrival."""

    result: Literal["intact", "broken", "missing"]
    at: Time


class TripLimits(_Answer):
    """What the trip was judged by."""

    coverage: _Share
    gap_s: float


class CleanTrip(_Answer):
    """The clean-trip report: the facts of a trip, and all that speaks against it."""

    mrn: str
    clean: Annotated[bool, Field(description="no reason against it: ground for an automatic discharge")]
    reasons: list[TripReason]
    departed_at: Time | None
    arrived_at: Time | None
    limit_at: Time | None
    distance_m: Annotated[int | None, Field(ge=0, description="by the reports' positions")]
    observations: Annotated[int, Field(ge=0)]
    longest_gap_s: Annotated[int | None, Field(ge=0, description="the longest of what is judged")]
    coverage: Annotated[_Share, Field(description="the least of what is judged")]
    equipment: list[TripEquipment]
    seals: list[TripSeal]
    alerts: list[TripAlert]
    incidents: list[TripIncident]
    verified: SealsVerified | None
    discrepancies_at: Time | None
    limits: TripLimits
    generated_at: Time
