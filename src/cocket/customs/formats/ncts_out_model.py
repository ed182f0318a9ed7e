"""What an arrival notification, unloading remarks and a forwarded incident say: the plain values that ``ncts_out`` writes.

Moments are UTC microseconds (``_us``), days ``YYYY-MM-DD``, masses kilograms in exact decimals (``_kg``, at most six
decimals), coordinates degrees, WGS-84 (``_deg``). Texts are bounded as the EU's NCTS messages bound them (DDNTA 6.4.1); a value
that cannot be expressed is refused when it is written, with its path in the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

INCIDENTS: Final = ("1", "2", "3", "4", "5", "6")
"""CL019: deviation, seals broken, goods transferred, imminent danger, accident, other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Who sends what to whom. Each text has 1 to 35 characters."""

    sender: str
    recipient: str
    prepared_us: int
    """When the message was made; UTC microseconds."""
    message_id: str
    """Unique for the sender."""
    correlation_id: str | None = None
    """The id of the message that this one answers."""
    phase: str | None = "NCTS5.1"
    """NCTS5.0, NCTS5.1 or NCTS6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A postal address. An incident's location has its country beside the address: both are taken from here."""

    street: str
    city: str
    country: str
    """ISO 3166-1 alpha-2."""
    postcode: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostcodeAddress:
    """A place told by its postcode."""

    postcode: str
    country: str
    house_number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Whom to ask about the goods."""

    name: str
    phone: str
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodsLocation:
    """Where the goods are, told in exactly one way: postcode, UN/LOCODE, office, coordinates, operator, authorisation or address."""

    kind: str
    """CL347: A designated, B authorised, C approved place, D other."""
    postcode_address: PostcodeAddress | None = None
    unlocode: str | None = None
    office: str | None = None
    lat_deg: float | None = None
    lon_deg: float | None = None
    operator_id: str | None = None
    """EORI."""
    authorisation: str | None = None
    address: Address | None = None
    additional_id: str | None = None
    """A part of the place (a gate, a warehouse), at most 4 characters."""
    contact: Contact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorisation:
    """An authorisation of the trader, such as C522 (authorised consignee)."""

    kind: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """CC007C: the goods have come to the office of destination."""

    header: Header
    mrn: str
    arrived_us: int
    office: str
    """The actual office of destination, as GB000060."""
    trader_id: str
    """EORI or TIN of the trader at destination."""
    location: GoodsLocation
    simplified: bool = False
    """Whether the simplified procedure (authorised consignee) is used."""
    trader_language: str | None = None
    authorisations: Sequence[Authorisation] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSeal:
    """A seal that was found. ``number`` is its sequence number in the declaration, or the next free one."""

    number: int
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEquipment:
    """Transport equipment that differs from the declared. ``number`` points into the declaration."""

    number: int
    container_id: str | None = None
    seals: Sequence[FoundSeal] | None = None
    """All that are there, declared or new; empty: none is there. None: nothing is said of seals."""
    goods_items: Sequence[int] = ()
    """Declaration goods item numbers that it carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMeans:
    """A means of transport at departure that differs from the declared."""

    number: int
    kind: str | None = None
    """CL750: two digits, 30 is a registration number of a road vehicle."""
    id: str | None = None
    nationality: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDocument:
    """A document that differs. ``sort``: supporting, transport or reference."""

    sort: str
    number: int
    kind: str | None = None
    reference: str | None = None
    complement: str | None = None
    """Only of a supporting document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPackages:
    """Packages that differ from the declared."""

    number: int
    kind: str | None = None
    """UN/ECE Recommendation 21: two characters."""
    count: int | None = None
    marks: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundItem:
    """A goods item that differs from the declared."""

    number: int
    """Goods item number in its house consignment."""
    declared_number: int
    """Declaration goods item number."""
    ucr: str | None = None
    description: str | None = None
    cus: str | None = None
    hs: str | None = None
    """Six digits."""
    cn: str | None = None
    """The two digits behind them."""
    gross_mass_kg: Decimal | None = None
    net_mass_kg: Decimal | None = None
    packages: Sequence[FoundPackages] = ()
    documents: Sequence[FoundDocument] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundHouse:
    """A house consignment that differs from the declared."""

    number: int
    gross_mass_kg: Decimal | None = None
    ucr: str | None = None
    means: Sequence[FoundMeans] = ()
    documents: Sequence[FoundDocument] = ()
    items: Sequence[FoundItem] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancies:
    """What differs from the declaration; what is not given here is as declared."""

    gross_mass_kg: Decimal | None = None
    ucr: str | None = None
    equipment: Sequence[FoundEquipment] = ()
    means: Sequence[FoundMeans] = ()
    documents: Sequence[FoundDocument] = ()
    houses: Sequence[FoundHouse] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnloadingRemarks:
    """CC044C: what was found on unloading."""

    header: Header
    mrn: str
    office: str
    trader_id: str
    conform: bool
    """Nothing differs from the declaration; then there are no discrepancies."""
    completed: bool
    unloaded_on: str
    """``YYYY-MM-DD``."""
    seals_ok: bool | None = None
    """State of seals: all whole and as declared. None where the declaration names no seals."""
    remark: str | None = None
    other_things: str | None = None
    discrepancies: Discrepancies | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement:
    """Which authority attested an incident, where and on which day."""

    on: str
    authority: str
    place: str
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentEquipment:
    """Equipment that an incident touched, with the seals that it bears since."""

    container_id: str | None = None
    seals: Sequence[str] | None = None
    """Identifiers of the seals that it bears now; empty: none. None: nothing is said of seals."""
    goods_items: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transhipment:
    """The means of transport that took the goods over."""

    containerised: bool
    kind: str
    """CL750: two digits."""
    id: str
    nationality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What happened, told to be at exactly one place: coordinates, UN/LOCODE or address."""

    code: str
    """One of ``INCIDENTS``."""
    text: str
    country: str
    lat_deg: float | None = None
    lon_deg: float | None = None
    unlocode: str | None = None
    address: Address | None = None
    endorsement: Endorsement | None = None
    equipment: Sequence[IncidentEquipment] = ()
    transhipment: Transhipment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedIncident:
    """CC182C: incidents on the way, forwarded to the office of departure."""

    header: Header
    mrn: str
    notified_us: int
    departure_office: str
    registration_office: str
    """The office that registered the incident."""
    incidents: Sequence[Incident]
