"""The shapes of requests and answers about gates, transports, trip links, units and cases."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cocket.customs.shapes import EQUIPMENT_PATTERN, Id, Moment, Mrn, Name
from cocket.web.models import Alert, Severity, Time, page_of
from cocket.web.models_codes import Reason
from cocket.web.models_file import Effect

Kind = Literal["port", "border", "exit"]
Direction = Literal["in", "out"]
Decision = Literal["open", "hold", "desk"]
Signal = Literal["green", "red"]
Plate = Annotated[
    str,
    Field(min_length=1, max_length=32, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["KBX 123C"]),
]
Latitude = Annotated[float, Field(ge=-90, le=90, description="WGS 84")]
Longitude = Annotated[float, Field(ge=-180, le=180, description="WGS 84")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


# gates


class NewGate(_Asked):
    """A barrier with a plate reader."""

    name: Name
    kind: Annotated[
        Kind, Field(description="port: wants container passes; border, exit: want plate and position")
    ]
    office: Annotated[Id | None, Field(description="the customs office that it is of, which is known")] = None
    lat_deg: Latitude | None = None
    lon_deg: Longitude | None = None
    radius_m: Annotated[
        float | None,
        Field(gt=0, le=100_000, description="how far a device may be from it; null: as the settings say"),
    ] = None

    @model_validator(mode="after")
    def _pair(self) -> NewGate:
        if (self.lat_deg is None) != (self.lon_deg is None):
            raise ValueError("a position is lat_deg and lon_deg, or neither")
        return self


class GateAnswer(_Answer):
    """A gate as it is kept."""

    id: str
    name: str
    office: str | None
    kind: Kind
    lat_deg: float | None
    lon_deg: float | None
    radius_m: float | None
    changed_at: Time
    changed_by: str


GatePage = page_of(GateAnswer, "GatePage")


class NewArrival(_Asked):
    """What a gate read of one vehicle."""

    direction: Direction
    plate: Annotated[Plate | None, Field(description="as it was read; null: it could not be read")] = None
    plate_confidence: Annotated[
        float | None, Field(ge=0, le=1, description="how sure the reader is; null: it does not say")
    ] = None
    container_ids: Annotated[
        list[Annotated[str, Field(pattern=EQUIPMENT_PATTERN, min_length=1, max_length=64)]],
        Field(max_length=50),
    ] = []
    device_id: Annotated[
        Id | None, Field(description="the device whose position counts; null: those of the vehicle")
    ] = None
    at: Annotated[Moment | None, Field(description="when it was read; null: now")] = None


class JoinedDocument(_Answer):
    """A document that names the vehicle, its containers or its movements."""

    id: Annotated[str | None, Field(description="null: a booking that is named, without a document of it")]
    kind: str
    reference: str | None


class PassSeen(_Answer):
    """A pass that was joined."""

    code_id: int
    state: Literal["valid", "used", "void", "expired"]
    equipment_id: str | None
    mrn: str


class Whereabouts(_Answer):
    """The position that agreed with the plate. The distance is null where only the office's zone is known."""

    device_id: str
    distance_m: float | None
    observed_at: Time


class ArrivalAnswer(_Answer):
    """One arrival and the decision."""

    id: int
    gate: str
    direction: Direction
    at: Time
    recorded_at: Time
    by: str
    plate: Annotated[str | None, Field(description="as it was read")]
    plate_confidence: float | None
    container_ids: list[str]
    device_id: str | None
    decision: Annotated[
        Decision,
        Field(description="open; hold: something is missing that may still come; desk: to an officer"),
    ]
    signal: Signal
    reasons: Annotated[list[Reason], Field(description="all of them; empty when it opens")]
    movements: list[str]
    declarations: list[JoinedDocument]
    bookings: list[JoinedDocument]
    passes: list[PassSeen]
    position: Whereabouts | None
    effects: list[Effect]


ArrivalPage = page_of(ArrivalAnswer, "ArrivalPage")


# transports


class NewTransport(_Asked):
    """A vehicle and a phone, and the movements that they carry."""

    plate: Plate | None = None
    device_id: Annotated[Id | None, Field(description="the phone in the cab")] = None
    mrns: Annotated[list[Mrn], Field(max_length=1000)] = []
    booking: Annotated[str | None, Field(min_length=1, max_length=64)] = None


class Passage(_Answer):
    """A declaration that its transport activated or confirmed."""

    mrn: str
    stage: Literal["activation", "confirmation"]
    zone: str
    at: Time
    signal: Signal
    reasons: Annotated[list[Reason], Field(description="for officers; the cab is not told")]


class TransportAnswer(_Answer):
    """A transport as it is kept."""

    id: str
    plate: str | None
    device_id: str | None
    mrns: list[str]
    booking: str | None
    flags: list[str]
    passages: list[Passage]
    changed_at: Time
    changed_by: str


class NewPosition(_Asked):
    """Where a phone is."""

    lat_deg: Latitude
    lon_deg: Longitude
    at: Annotated[Moment | None, Field(description="when it was there; null: now")] = None


class PositionAnswer(_Answer):
    """What a position means to the cab."""

    zone: str | None
    zone_kind: Literal["tracking", "activation", "confirmation"] | None
    signal: Annotated[Signal | None, Field(description="only in activation and confirmation zones")]
    says: str
    stored: Annotated[bool, Field(description="whether the position was kept: never outside the zones")]
    activated: Annotated[list[str], Field(description="the movements of it that are active")]


# trip links


class NewLink(_Asked):
    """How long a link is good for."""

    expires_at: Moment


class LinkBrief(_Answer):
    """A link without its token."""

    id: Annotated[str, Field(description="names it to officers, and opens nothing")]
    created_at: Time
    created_by: str
    expires_at: Time
    revoked_at: Time | None


class LinkAnswer(LinkBrief):
    """A new link. The token is told this once, and kept nowhere."""

    token: str
    path: Annotated[str, Field(examples=["/trip/…"])]


LinkPage = page_of(LinkBrief, "LinkPage")


class TripLast(_Answer):
    """A position, rounded to 0.01°."""

    lat_deg: float
    lon_deg: float
    observed_at: Time


class TripAnswer(_Answer):
    """What a link shows."""

    state: str
    departed_at: Time | None
    arrived_at: Time | None
    limit_at: Time | None
    from_: Annotated[str | None, Field(alias="from", description="office of departure")]
    to: Annotated[str | None, Field(description="office of destination")]
    last: Annotated[TripLast | None, Field(description="only while the trip lasts")]
    sealed: bool
    expires_at: Time


# units and cases


class NewUnit(_Asked):
    """A response unit and where it is."""

    name: Name
    phone: Annotated[str | None, Field(min_length=1, max_length=32)] = None
    lat_deg: Latitude
    lon_deg: Longitude
    on_duty: bool


class UnitAnswer(_Answer):
    """A unit as it is kept."""

    id: str
    name: str
    phone: str | None
    lat_deg: float
    lon_deg: float
    on_duty: bool
    changed_at: Time
    changed_by: str


UnitPage = page_of(UnitAnswer, "UnitPage")


class Proposed(_Answer):
    """The unit that is nearest."""

    id: str
    name: str
    distance_m: float


class UnitNear(Proposed):
    """A unit on duty and how far it is."""

    phone: str | None
    lat_deg: float
    lon_deg: float


class DispatchStep(_Answer):
    """A step of one alert."""

    id: str
    from_: Annotated[str, Field(alias="from")]
    to: str


class DispatchAnswer(_Answer):
    """Who was sent, by whom, for which alerts."""

    unit_id: str
    unit_name: str
    by: str
    at: Time
    note: str | None
    distance_m: float | None
    alerts: list[DispatchStep]


class CaseAnswer(_Answer):
    """All that waits for somebody on a movement. Without an alert it is empty."""

    id: str
    mrn: str
    opened_at: Time | None
    worst: Severity | None
    alerts: Annotated[list[Alert], Field(description="neither closed nor superseded, worse than info")]
    unit: Annotated[Proposed | None, Field(description="the nearest on duty")]
    units: Annotated[list[UnitNear], Field(description="the five nearest on duty")]
    dispatches: list[DispatchAnswer]


class NewDispatch(_Asked):
    """Which unit is sent."""

    unit_id: Id
    note: Annotated[str | None, Field(min_length=1, max_length=500)] = None
