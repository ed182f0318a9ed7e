"""The shapes of the customs file's answers and requests, for the API page and its tests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cocket.customs.machines.guarantee import GUARANTEE
from cocket.customs.machines.movement import MOVEMENT
from cocket.customs.machines.seal import SEAL
from cocket.customs.shapes import By, Moment, Mrn
from cocket.web.models import BindingAnswer, Last, MovementAnswer, Severity, Time, page_of

MovementState = Annotated[str, Field(pattern=f"^({'|'.join(MOVEMENT.states)})$", examples=["en-route"])]
SealState = Annotated[str, Field(pattern=f"^({'|'.join(SEAL.states)})$", examples=["armed"])]
GuaranteeState = Annotated[str, Field(pattern=f"^({'|'.join(GUARANTEE.states)})$", examples=["reserved"])]
Money = Annotated[str, Field(pattern=r"^[0-9]{1,18}(\.[0-9]{1,6})?$", examples=["1250.00"])]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217", examples=["EUR"])]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Effect(_Answer):
    """What a document led to."""

    machine: str
    event: str
    outcome: Annotated[
        Literal["done", "waiting", "refused", "noted"],
        Field(description="waiting: it came too early, and is done when its turn comes"),
    ]
    detail: str


class DocumentBrief(_Answer):
    """A document without its content."""

    id: str
    kind: str
    function: str
    reference: Annotated[str | None, Field(description="MRN, or else LRN")]
    mrn: str | None
    received_at: Time
    by: str
    name: str | None
    size: int
    sha256: str
    flags: Annotated[list[str], Field(description="what is odd about it: it was taken all the same")]


class DocumentAnswer(DocumentBrief):
    """What became of a document."""

    lrn: str | None
    unmapped: Annotated[list[str], Field(description="paths in the source that are kept raw")]
    movement: Annotated[str | None, Field(description="the movement that it concerns, if that is known")]
    effects: list[Effect]


class Document(_Open):
    """The canonical model: consignments, items, equipment with seals, parties, offices, guarantees, documents …

    `origins` gives, by JSON pointer into this answer, the path in the source that each value was read from.
    """

    id: str
    kind: str
    function: str
    reference: str | None
    mrn: str | None
    lrn: str | None
    flags: list[str]
    unmapped: list[str]
    origins: dict[str, str]
    media_type: str
    consignments: list[dict[str, Any]]
    parties: list[dict[str, Any]]
    offices: list[dict[str, Any]]
    guarantees: list[dict[str, Any]]
    documents: list[dict[str, Any]]
    incidents: list[dict[str, Any]]


class Mapped(_Answer):
    """A value that has a canonical field."""

    path: str
    field: str


class KeptRaw(_Answer):
    """A value that has none."""

    path: str
    value: str
    why: str


class DocumentReport(_Answer):
    """What was mapped to what, and what was kept raw, with why."""

    mapped: list[Mapped]
    kept_raw: list[KeptRaw]


class MovementAct(BaseModel):
    """An event of a movement. Further fields are its details: `grn`, `amount`, `currency` of reserve-guarantee; `seals` of seal and
    reseal; `result` of verify-seals and examine; `kind` of report-incident; `to`, `authority`, `country` of hand-over; `evidence`.
    """

    model_config = ConfigDict(extra="allow")

    event: Annotated[str, Field(min_length=1, max_length=64, examples=["depart"])]
    at: Annotated[Moment | None, Field(description="event time; now, if it is left out")] = None
    by: By | None = None
    office: Annotated[str | None, Field(max_length=64)] = None
    reason: Annotated[str | None, Field(max_length=2000)] = None


class EventAnswer(_Answer):
    """An event as it was recorded."""

    seq: int
    event: str
    from_state: str
    to_state: str
    at: Time
    recorded_at: Time
    by: str
    office: str | None
    reason: str | None
    details: dict[str, Any]
    document: Annotated[str | None, Field(description="the document that told it")]
    passed_over: Annotated[
        bool, Field(description="the clock recorded it, and what was told later left no room for it")
    ]


class Acted(_Answer):
    """Where the movement stands now."""

    mrn: str
    state: MovementState
    from_state: MovementState
    events: list[EventAnswer]
    allowed: list[str]


class Custody(_Answer):
    """Who answers for the goods."""

    office: str | None
    country: str | None
    authority: str | None
    since: Time | None


class SealOnMovement(_Answer):
    """A seal of a movement."""

    id: str
    equipment_id: str | None
    kind: str
    state: str
    since: Time


class MovementGuarantee(_Answer):
    """What is reserved for a movement."""

    grn: str
    amount: str
    currency: str
    state: str
    since: Time


class Incident(_Open):
    """What happened on the way."""

    seq: int
    kind: str
    at: Time
    by: str
    office: str | None
    text: str | None
    open: bool
    answers: list[EventAnswer]


class Deadline(_Answer):
    """What will happen by itself when its time comes; `answer` only reminds."""

    event: str
    due_at: Time


class Waiver(_Answer):
    """Who answers for a departure without an armed seal."""

    by: str
    reason: str | None
    at: Time


class MovementFile(MovementAnswer):
    """What the customs file knows of a movement."""

    state: MovementState
    since: Time | None
    allowed: list[str]
    sensitive: Annotated[bool, Field(description="may leave only with an armed seal or a waiver")]
    custody: Custody | None
    seals: list[SealOnMovement]
    guarantee: MovementGuarantee | None
    incidents: list[Incident]
    deadlines: list[Deadline]
    documents: list[DocumentBrief]
    waiver: Waiver | None


class MovementSummary(MovementAnswer):
    """A movement in a list."""

    state: MovementState
    since: Time | None
    equipment: list[str]
    devices: list[str]
    open_alerts: int
    worst: Severity | None
    last: Last | None


class MovementDetail(MovementFile):
    """A movement with its bindings, and where each device was last."""

    bindings: list[BindingAnswer]
    open_alerts: int
    worst: Severity | None
    last: list[Last]


class FeedEvent(_Answer):
    """One event of the feed, in the order of recording."""

    seq: int
    machine: Literal["movement", "seal", "guarantee"]
    subject: str
    mrn: str | None
    event: str
    from_state: str
    to_state: str
    at: Time
    recorded_at: Time
    by: str
    office: str | None
    reason: str | None
    details: dict[str, Any]


class FeedPage(_Answer):
    """Events behind a number; ask again with `next` as `after`."""

    items: list[FeedEvent]
    next: int


class EvidenceAnswer(_Answer):
    """A photo or paper."""

    id: str
    sha256: str
    size: int
    media_type: str
    received_at: Time
    by: str


class NewSeal(BaseModel):
    """A seal in stock."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["e-seal", "mechanical"] | None = None
    maker: Annotated[str | None, Field(max_length=200)] = None
    model: Annotated[str | None, Field(max_length=200)] = None
    type_approval: Annotated[str | None, Field(max_length=200, description="number of its type approval")] = (
        None
    )


class SealAct(BaseModel):
    """An event of a seal."""

    model_config = ConfigDict(extra="forbid")

    event: Annotated[str, Field(min_length=1, max_length=64, examples=["return"])]
    at: Moment | None = None
    reason: Annotated[str | None, Field(max_length=2000)] = None


class SealStep(_Answer):
    """An event of a seal as it was recorded."""

    seq: int
    event: str
    from_state: str
    to_state: str
    at: Time
    recorded_at: Time
    by: str
    mrn: str | None
    reason: str | None
    details: dict[str, Any]


class SealAnswer(_Answer):
    """A seal."""

    id: str
    kind: Literal["e-seal", "mechanical"]
    maker: str | None
    model: str | None
    type_approval: str | None
    state: SealState
    since: Time
    mrn: Annotated[str | None, Field(description="the movement that it is on")]
    equipment_id: str | None
    device: Annotated[bool, Field(description="a device of this id is registered")]
    allowed: list[str]


class SealDetail(SealAnswer):
    """A seal with its history."""

    history: list[SealStep]


class SealSummary(_Answer):
    """How many seals are in each state."""

    by_state: dict[str, int]


class NewGuarantee(BaseModel):
    """A guarantee: comprehensive, individual … Money is decimal text."""

    model_config = ConfigDict(extra="forbid")

    holder: Annotated[str | None, Field(max_length=200)] = None
    type: Annotated[
        str | None, Field(max_length=32, description="EU code list CL251, or a country's own")
    ] = None
    amount: Money
    currency: Currency
    valid_from: Moment | None = None
    valid_to: Moment | None = None


class GuaranteeAct(BaseModel):
    """What happens with a guarantee for one movement."""

    model_config = ConfigDict(extra="forbid")

    event: Literal["reserve", "release", "call"]
    mrn: Mrn
    amount: Money | None = None
    currency: Currency | None = None
    rate: Annotated[
        str | None,
        Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$", description="into the guarantee's currency"),
    ] = None
    reason: Annotated[str | None, Field(max_length=2000)] = None


class GuaranteeEntry(_Answer):
    """What is reserved for one movement. `asked`: the amount in the movement's own currency."""

    mrn: str | None
    state: GuaranteeState
    amount: str | None
    currency: str | None
    asked: str | None
    asked_currency: str | None
    rate: str | None
    since: Time


class GuaranteeEntryAnswer(GuaranteeEntry):
    """An entry with its guarantee."""

    grn: str


class GuaranteeAnswer(_Answer):
    """A guarantee. reserved + called + available = amount, always."""

    grn: str
    holder: str
    type: str
    amount: str
    currency: str
    reserved: str
    called: str
    available: str
    valid_from: Time | None
    valid_to: Time | None
    changed_at: Time
    changed_by: str


class GuaranteeDetail(GuaranteeAnswer):
    """A guarantee with its entries."""

    entries: list[GuaranteeEntry]


class EnquiryAnswer(_Answer):
    """A movement whose arrival is overdue or enquired about."""

    mrn: str
    state: MovementState
    since: Time
    limit_at: Time | None
    holder: str | None
    departure_office: str | None
    destination_office: str | None
    deadlines: list[Deadline]


class Kpis(_Answer):
    """Figures of the customs file. `coverage`: sensitive departures under an armed seal."""

    departures: int
    sensitive_departures: int
    armed: int
    waived: int
    without_seal: int
    refused_without_seal: Annotated[
        int, Field(description="movements that were refused to leave for want of a seal")
    ]
    coverage: float | None
    discharged: int
    discharged_automatically: int
    overdue: int
    enquiries: int
    debts: int
    mean_discharge_s: int | None


MovementPage = page_of(MovementSummary, "MovementPage")
DocumentPage = page_of(DocumentBrief, "DocumentPage")
EventPage = page_of(EventAnswer, "EventPage")
SealPage = page_of(SealAnswer, "SealPage")
GuaranteePage = page_of(GuaranteeAnswer, "GuaranteePage")
EnquiryPage = page_of(EnquiryAnswer, "EnquiryPage")
EvidencePage = page_of(EvidenceAnswer, "EvidencePage")
