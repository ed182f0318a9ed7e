"""The shapes of all answers, for the API page and its tests; requests' shapes stand in ``customs.shapes``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from cocket.core.alerts import SEVERITIES
from cocket.core.schema import COLUMNS, Kind
from cocket.customs.shapes import CorridorProperties, ZoneProperties

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Severity = Literal["info", "warn", "high", "critical"]
AlertState = Literal[
    "raised", "acknowledged", "triaged", "driver-contacted", "unit-dispatched", "on-scene", "closed"
]
Triage = Literal["false", "technical", "explained", "genuine"]
assert SEVERITIES == ("info", "warn", "high", "critical")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


def _observation() -> type[BaseModel]:
    types: dict[Kind, Any] = {
        Kind.TEXT: str,
        Kind.INT: int,
        Kind.FLOAT: float,
        Kind.BOOL: bool,
        Kind.TIME: Time,
        Kind.ENUM: str,
    }
    fields: dict[str, Any] = {}
    for c in COLUMNS:
        unit = f" ({c.unit})" if c.unit and c.kind is not Kind.TIME else ""
        name = c.name.removesuffix("_us") + "_at" if c.kind is Kind.TIME else c.name
        kind = Literal[c.values] if c.values else types[c.kind]
        fields[name] = (kind if c.required else kind | None, Field(description=c.doc + unit))
    return create_model(
        "Observation",
        __config__=ConfigDict(extra="forbid"),
        __doc__="One observation, every column; null is unknown.",
        **fields,
    )


Observation = _observation()


class Fault(_Answer):
    """A row that was refused, and why."""

    row: Annotated[int, Field(description="its number in the body, from 0", ge=0)]
    field: str
    rule: str
    detail: str


class ReceiptAnswer(_Answer):
    """What became of a body's rows: accepted + duplicates + rejected = rows in. The accepted are durable."""

    accepted: Annotated[int, Field(ge=0)]
    duplicates: Annotated[int, Field(ge=0)]
    rejected: Annotated[int, Field(ge=0)]
    rejects: list[Fault]


class BulkAnswer(_Answer):
    """What became of many documents: the good ones are kept."""

    accepted: Annotated[int, Field(ge=0)]
    rejected: Annotated[int, Field(ge=0)]
    rejects: list[Fault]
    ids: Annotated[list[int | str | None], Field(description="the id of each row's document; null: refused")]


class Clock(_Answer):
    """The server's clock."""

    kind: Literal["wall", "replay"]
    speed: float


class Alarm(_Answer):
    """Something that Cocket says is wrong with itself."""

    code: Annotated[str, Field(examples=["disk-low"])]
    since: Time
    detail: Annotated[str, Field(description="how it stands now")]
    do: Annotated[str, Field(description="what helps")]


class Health(_Answer):
    """That the server is up, and what time it has: every age is measured from ``now``."""

    status: Annotated[
        Literal["ok", "degraded"], Field(description="degraded: all is kept, but the detectors stand still")
    ]
    detail: Annotated[str | None, Field(description="why it is degraded")]
    version: str
    now: Time
    clock: Clock
    demo: bool
    tiles: Annotated[str | None, Field(description="raster tile URL template; null: the bundled base map")]
    attribution: str | None
    alarms: Annotated[list[Alarm], Field(description="what is wrong with Cocket itself, worst first")]


class Stats(_Answer):
    """Counts since the data folder was made, and how the work stands now."""

    observations: Annotated[int, Field(description="stored")]
    duplicates: int
    rejected: int
    lag_observations: Annotated[int, Field(description="stored, not yet detected")]
    alerts: int
    open_alerts: int
    alerts_by_code: dict[str, int]
    movements: int
    devices: int
    rate_per_s: float
    now: Time


class SitePartition(_Answer):
    """One partition of a site."""

    partition: int
    worker: Annotated[str | None, Field(description="who has it; null: nobody at the moment")]
    epoch: Annotated[int, Field(description="how often it has changed hands")]
    lag_observations: Annotated[
        int, Field(description="stored, not yet detected; -1 when its worker does not answer")
    ]
    failure: Annotated[str | None, Field(description="why its detectors do not run, in words")]


class SiteWorker(_Answer):
    """One worker of a site."""

    id: str
    at: Annotated[str, Field(description="its machine")]
    version: str


class Site(_Answer):
    """Who does what, past one machine."""

    site: str
    partitions: list[SitePartition]
    workers: list[SiteWorker]


class ChangedZoneProperties(ZoneProperties):
    """A zone's properties and who changed them last."""

    changed_at: Time
    changed_by: str


class ChangedCorridorProperties(CorridorProperties):
    """A corridor's properties and who changed them last."""

    changed_at: Time
    changed_by: str


class Geometry(_Open):
    """A GeoJSON geometry, normalised: rings wound as RFC 7946 says, cut at the antimeridian."""

    type: str
    coordinates: list[Any]


class ZoneAnswer(_Open):
    """A zone as it is kept."""

    type: Literal["Feature"]
    id: str
    properties: ChangedZoneProperties
    geometry: Geometry


class CorridorAnswer(_Open):
    """A corridor as it is kept."""

    type: Literal["Feature"]
    id: str
    properties: ChangedCorridorProperties
    geometry: Geometry


class ZoneCollection(_Answer):
    """A page of zones, by id."""

    type: Literal["FeatureCollection"]
    features: list[ZoneAnswer]
    next: str | None


class CorridorCollection(_Answer):
    """A page of corridors, by id."""

    type: Literal["FeatureCollection"]
    features: list[CorridorAnswer]
    next: str | None


class _Kept(_Open):
    flags: Annotated[list[str], Field(description="what is odd about it: it was taken all the same")]
    changed_at: Time
    changed_by: str


class OfficeAnswer(_Kept):
    """A customs office."""

    id: str
    name: str
    country: str | None
    lat_deg: float | None
    lon_deg: float | None


class DeviceAnswer(_Kept):
    """A device as it is registered."""

    id: str
    class_: Annotated[str | None, Field(alias="class")]
    maker: str | None
    model: str | None
    firmware: str | None
    owner: str | None
    state: str | None
    protocol: str | None
    networks: list[str] | None
    certificate_sha256: str | None
    secret_sha256: str | None
    report_interval_s: float | None
    authorised_cards: list[str] | None
    registered_at: Time


class BindingAnswer(_Answer):
    """A device on an equipment for a movement."""

    id: int
    device_id: str
    equipment_id: str
    mrn: str
    from_: Annotated[Time, Field(alias="from")]
    to: Time | None
    by: str
    flags: list[str]


class MovementAnswer(_Kept):
    """A movement as it was declared."""

    mrn: str
    corridor: str | None
    departure_office: str | None
    destination_office: str | None
    departed_at: Time | None
    limit_at: Time | None
    arrived_at: Time | None
    risk: str | None
    goods: str | None
    temp_min_c: float | None
    temp_max_c: float | None
    report_interval_s: float | None
    authorised_cards: list[str] | None
    holder: str | None
    holder_id: str | None
    countries: list[str] | None
    consignments: list[dict[str, Any]]


class Last(_Answer):
    """Where it was last."""

    device_id: str
    observed_at: Time
    lat_deg: float | None
    lon_deg: float | None
    speed_mps: float | None
    course_deg: float | None
    locked: bool | None
    battery_pct: float | None


class Facts(_Answer):
    """The measured side of an alert."""

    value: float | None
    peak: Annotated[float | None, Field(description="the worst value since it was raised")]
    unit: str | None
    threshold: float | None
    zone: str | None
    corridor: str | None


class Alert(_Answer):
    """One alert."""

    id: str
    code: str
    severity: Severity
    mrn: Annotated[str | None, Field(description="null where the device is bound to no movement")]
    equipment_id: str | None
    device_id: str
    subject: str | None
    began_at: Time
    ended_at: Time | None
    raised_at: Annotated[Time, Field(description="by our clock")]
    late: Annotated[bool, Field(description="found in data that came late")]
    superseded: Annotated[bool, Field(description="later data showed that it does not hold")]
    superseded_at: Time | None
    superseded_reason: str | None
    count: Annotated[int, Field(ge=0)]
    state: AlertState
    triage: Triage | None
    cause: str | None
    acknowledged_by: str | None
    lat_deg: float | None
    lon_deg: float | None
    says: str
    facts: Facts
    version: int


class Step(_Answer):
    """What somebody did with an alert."""

    at: Time
    by: str
    from_: Annotated[str, Field(alias="from")]
    to: str
    note: str | None
    cause: str | None
    triage: str | None


class Proof(_Answer):
    """An observation that proves an alert."""

    roles: Annotated[list[Literal["began", "raised", "worst", "last"]], Field(description="what it shows")]
    key: Annotated[str, Field(description="the observation's key, 16 hexadecimal digits")]
    observation: Observation  # type: ignore[valid-type]


class AlertDetail(Alert):
    """One alert with what people did, and the observations that prove it."""

    history: list[Step]
    evidence: list[Proof]
    trace_id: Annotated[
        str | None, Field(description="the trace of the frame or body that raised it, where traces are on")
    ]


class AlertAct(BaseModel):
    """What to do with an alert."""

    model_config = ConfigDict(extra="forbid", strict=True)

    state: Literal["acknowledged", "triaged", "driver-contacted", "unit-dispatched", "on-scene", "closed"]
    by: Annotated[str, Field(min_length=1, max_length=128, examples=["amina"])]
    triage: Annotated[Triage | None, Field(description="mandatory for triaged")] = None
    cause: Annotated[str | None, Field(max_length=2000, description="mandatory for closed")] = None
    note: Annotated[str | None, Field(max_length=10_000)] = None
    version: Annotated[int | None, Field(ge=1, description="the version that you saw; stale is 409")] = None


class Quarantined(_Answer):
    """A row that broke a rule, with its bytes."""

    id: int
    received_at: Time
    source: str
    row: int
    field: str
    rule: str
    detail: str
    raw: Annotated[str, Field(description="the bytes as text; what is no UTF-8 shows as U+FFFD")]
    raw_base64: str
    protocol: Annotated[str | None, Field(description="of a device's frame: how its bytes are read")]
    device_id: Annotated[
        str | None, Field(description="of a device's frame: who sent it, where that is known")
    ]
    state: Literal["held", "replayed", "discarded"]


class FrameRead(_Answer):
    """What one frame said."""

    frame: Annotated[int, Field(description="its number, from 0")]
    observations: list[dict[str, Any]]
    reject: dict[str, str] | None
    replies: Annotated[list[str], Field(description="what the protocol answers, as hexadecimal bytes")]


class FramesAnswer(ReceiptAnswer):
    """What became of frames: the sums are of observations and rejects, not of frames."""

    frames: list[FrameRead]


class ProtocolCommand(_Answer):
    """A command that devices of a protocol take."""

    doc: str
    parameters: Annotated[dict[str, str], Field(description="what each means, by name")]
    two_persons: Annotated[bool, Field(description="waits until a second person has approved it")]


class ProtocolAnswer(_Answer):
    """A protocol that devices may speak."""

    name: str
    title: str
    document: str
    family: str
    text: bool
    doors: list[str]
    port: Annotated[int | None, Field(description="where it is usually spoken")]
    commands: dict[str, ProtocolCommand]


class Protocols(_Answer):
    """All protocols."""

    items: list[ProtocolAnswer]


class GatewayStats(_Answer):
    """The doors for devices."""

    doors: list[str]
    connections: int
    devices_connected: int
    rows_waiting: int
    failing: str | None
    mapping_faults: list[str]
    events: dict[str, int]
    frames: dict[str, dict[str, int]]


class Command(_Answer):
    """A command to a device."""

    id: int
    device_id: str
    command: str
    parameters: dict[str, Any]
    reason: str
    by: str
    at: Time
    state: Literal["awaiting-approval", "queued", "sent", "done", "failed", "expired", "cancelled"]
    approved_by: str | None
    approved_at: Time | None
    sent_at: Time | None
    answered_at: Time | None
    answer: str | None
    expires_at: Time


class CommandPage(_Answer):
    """One page of commands."""

    items: list[Command]
    next: str | None


class Change(_Answer):
    """Who changed what."""

    version: int
    at: Time
    by: str
    kind: str
    id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class DeviceLast(_Answer):
    """The newest observation of a device by event time, and what it is bound to now."""

    device_id: str
    observation: Observation | None  # type: ignore[valid-type]
    binding: BindingAnswer | None
    received_at: Time | None


class TrackProperties(_Answer):
    """The observations of one device on a movement as parallel arrays."""

    device_id: str
    equipment_id: str
    from_: Annotated[Time, Field(alias="from")]
    to: Time | None
    rows: Annotated[int, Field(description="how many there are")]
    thinned: Annotated[bool, Field(description="fewer are given than there are")]
    columns: Annotated[dict[str, list[Any]], Field(description="parallel arrays; null is unknown")]


class TrackLine(_Answer):
    """The way of one device."""

    type: Literal["Feature"]
    geometry: Geometry | None
    properties: TrackProperties


class Track(_Answer):
    """The way of a movement, one Feature per binding."""

    type: Literal["FeatureCollection"]
    features: list[TrackLine]


def page_of(item: Any, name: str) -> type[BaseModel]:
    """The model of a page of ``item``."""
    return create_model(
        name,
        __config__=ConfigDict(extra="forbid"),
        __doc__="One page; `next` is the cursor of the following one, null at the end.",
        items=(list[item], ...),
        next=(str | None, ...),
    )


OfficePage = page_of(OfficeAnswer, "OfficePage")
DevicePage = page_of(DeviceAnswer, "DevicePage")
BindingPage = page_of(BindingAnswer, "BindingPage")
AlertPage = page_of(Alert, "AlertPage")
QuarantinePage = page_of(Quarantined, "QuarantinePage")
ChangePage = page_of(Change, "ChangePage")
