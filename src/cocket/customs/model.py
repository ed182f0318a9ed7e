"""The canonical model: what any customs document says, whatever standard and country it came from.

Names are the field's (WCO Data Model, UN/EDIFACT, NCTS and SAD all map onto them). Masses are kilograms; money is exact
decimal text with its ISO 4217 currency; times are RFC 3339 in UTC, days are ``YYYY-MM-DD``; countries are ISO 3166-1
alpha-2 as they were written. Unknown is null. Every value's origin stands beside the model (``formats.mapping``), and
what has no field here is kept raw and listed.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec


class _Part(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A part of a document; a name that is not declared cannot be written."""


class Address(_Part):
    """Where a party is."""

    street: str | None = None
    city: str | None = None
    postcode: str | None = None
    region: str | None = None
    country: str | None = None


class Contact(_Part):
    """Whom to ask."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None


class Party(_Part):
    """An economic operator in a role: holder, representative, declarant, consignor, consignee, carrier, trader-at-destination …"""

    role: str
    number: int | None = None
    id: str | None = None
    tir_id: str | None = None
    name: str | None = None
    status: str | None = None
    address: Address | None = None
    contact: Contact | None = None


class Office(_Part):
    """A customs office in a role: departure, destination, destination-actual, transit, exit, incident, enquiry, lodgement …"""

    role: str
    id: str | None = None
    number: int | None = None
    name: str | None = None
    country: str | None = None
    arrival_at: str | None = None


class Place(_Part):
    """A place in a role: loading, unloading, goods, acceptance, delivery, transhipment, warehouse …

    Where goods are may be told by a customs ``office``, an ``operator`` or an ``authorisation``, with an ``additional_id`` of the warehouse or
    ramp there; ``qualifier`` says which of these is meant.
    """

    role: str
    kind: str | None = None
    qualifier: str | None = None
    id: str | None = None
    authorisation: str | None = None
    office: str | None = None
    operator: str | None = None
    additional_id: str | None = None
    unlocode: str | None = None
    name: str | None = None
    country: str | None = None
    lat_deg: float | None = None
    lon_deg: float | None = None
    address: Address | None = None
    contact: Contact | None = None


class Means(_Part):
    """A means of transport in a role: departure, arrival, border, inland, vessel, incident. ``mode`` is UN/ECE Recommendation 19's."""

    role: str
    number: int | None = None
    mode: str | None = None
    kind: str | None = None
    id: str | None = None
    name: str | None = None
    nationality: str | None = None
    voyage: str | None = None
    office: str | None = None


class Seal(_Part):
    """A seal on an equipment. ``state`` only where the document tells it."""

    id: str
    number: int | None = None
    party: str | None = None
    kind: str | None = None
    state: str | None = None


class Range(_Part):
    """A measurement that an equipment carries, with its unit: a temperature set, a dimension."""

    kind: str
    value: str | None = None
    unit: str | None = None


class Equipment(_Part):
    """Transport equipment: a container, trailer, wagon, or the goods' own sealed load space (``id`` null)."""

    id: str | None = None
    number: int | None = None
    kind: str | None = None
    fill: str | None = None
    status: str | None = None
    position: str | None = None
    gross_mass_kg: float | None = None
    tare_mass_kg: float | None = None
    seal_count: int | None = None
    seals: list[Seal] = []
    goods_items: list[int] = []
    places: list[Place] = []
    measures: list[Range] = []
    dangerous_goods: list[DangerousGoods] = []
    remarks: str | None = None


class Package(_Part):
    """Packages of one kind (UN/ECE Recommendation 21)."""

    number: int | None = None
    kind: str | None = None
    quantity: int | None = None
    marks: str | None = None


class DangerousGoods(_Part):
    """Dangerous goods by UN number, with class where it is told."""

    un: str | None = None
    number: int | None = None
    hazard_class: str | None = None
    description: str | None = None


class Paper(_Part):
    """A document that this one names. ``role``: previous, supporting, transport, additional-reference, authorisation, additional, requested, manifest, booking, invoice."""

    role: str
    number: int | None = None
    kind: str | None = None
    category: str | None = None
    id: str | None = None
    name: str | None = None
    item_number: int | None = None
    detail: str | None = None
    status: str | None = None
    issued_at: str | None = None
    valid_to: str | None = None
    party: str | None = None
    packages: int | None = None
    package_kind: str | None = None
    quantity: str | None = None
    unit: str | None = None
    amount: str | None = None
    currency: str | None = None


class Note(_Part):
    """A remark, coded, in words, or both. ``pointer``: the place in a document that it is about, ``value`` what stands there."""

    code: str | None = None
    text: str | None = None
    kind: str | None = None
    number: int | None = None
    pointer: str | None = None
    value: str | None = None


class Duty(_Part):
    """A duty, tax or fee on an item. ``assessed``: before reliefs; ``deduction``: what is taken off; ``amount``: what is paid.

    ``base`` is a quantity in ``base_unit``, ``base_amount`` money.
    """

    kind: str | None = None
    base: str | None = None
    base_unit: str | None = None
    base_amount: str | None = None
    rate: str | None = None
    assessed: str | None = None
    deduction: str | None = None
    amount: str | None = None
    currency: str | None = None
    method: str | None = None
    quota: str | None = None


class Charge(_Part):
    """A cost that is added to a value or taken off it: freight, insurance, royalties …, by its code."""

    kind: str | None = None
    amount: str | None = None
    currency: str | None = None


class Classification(_Part):
    """A commodity code beyond ``hs``: national and additional codes, with whose list it is from."""

    id: str
    kind: str | None = None


class Item(_Part):
    """A goods item. ``hs`` is the commodity code as long as it is declared (six digits or more)."""

    number: int | None = None
    declaration_number: int | None = None
    ucr: str | None = None
    hs: str | None = None
    classifications: list[Classification] = []
    cus: str | None = None
    description: str | None = None
    gross_mass_kg: float | None = None
    net_mass_kg: float | None = None
    supplementary_quantity: str | None = None
    supplementary_unit: str | None = None
    declaration_type: str | None = None
    procedure: str | None = None
    procedures: list[str] = []
    origin: str | None = None
    origin_region: str | None = None
    origin_preferential: str | None = None
    preference: str | None = None
    country_of_dispatch: str | None = None
    destination: str | None = None
    value: str | None = None
    currency: str | None = None
    statistical_value: str | None = None
    statistical_currency: str | None = None
    customs_value: str | None = None
    customs_currency: str | None = None
    valuation_method: str | None = None
    nature_of_transaction: str | None = None
    payment_method: str | None = None
    charges: list[Charge] = []
    packages: list[Package] = []
    equipment_ids: list[str] = []
    dangerous_goods: list[DangerousGoods] = []
    duties: list[Duty] = []
    parties: list[Party] = []
    documents: list[Paper] = []
    notes: list[Note] = []


class Consignment(_Part):
    """Goods that go together from a consignor to a consignee, in their equipment."""

    number: int | None = None
    ucr: str | None = None
    reference: str | None = None
    gross_mass_kg: float | None = None
    net_mass_kg: float | None = None
    volume_m3: float | None = None
    packages_total: int | None = None
    containerised: bool | None = None
    country_of_dispatch: str | None = None
    country_of_destination: str | None = None
    movement_kind: str | None = None
    value: str | None = None
    currency: str | None = None
    payment_method: str | None = None
    charges: list[Charge] = []
    parties: list[Party] = []
    places: list[Place] = []
    transport: list[Means] = []
    equipment: list[Equipment] = []
    items: list[Item] = []
    documents: list[Paper] = []
    notes: list[Note] = []


class Guarantee(_Part):
    """A guarantee as a declaration names it. ``has_access_code``: one was given; the code itself stays in the original."""

    number: int | None = None
    kind: str | None = None
    grn: str | None = None
    other_reference: str | None = None
    amount: str | None = None
    currency: str | None = None
    has_access_code: bool | None = None
    valid_to: str | None = None
    liable_to: str | None = None
    office: str | None = None
    not_valid_in: list[str] = []
    reasons: list[Note] = []


class Transhipment(_Part):
    """Goods that went on to another means of transport."""

    containerised: bool | None = None
    transport: list[Means] = []


class Incident(_Part):
    """What happened on the way. ``code``: 1 deviation, 2 seal broken, 3 transhipment, 4 imminent danger, 5 accident, 6 other (EU CL019)."""

    number: int | None = None
    code: str | None = None
    text: str | None = None
    at: str | None = None
    endorsed_on: str | None = None
    endorsed_by: str | None = None
    endorsed_place: str | None = None
    endorsed_country: str | None = None
    place: Place | None = None
    office: str | None = None
    equipment: list[Equipment] = []
    transhipment: Transhipment | None = None


class Control(_Part):
    """A control that is announced or was made, and its result."""

    number: int | None = None
    kind: str | None = None
    text: str | None = None
    at: str | None = None
    result: str | None = None
    by: str | None = None
    requested_documents: list[Paper] = []


class Unloading(_Part):
    """What was found on unloading. ``conform``: as declared; ``seals_ok``: seals in good order."""

    conform: bool | None = None
    complete: bool | None = None
    on: str | None = None
    seals_ok: bool | None = None
    remark: str | None = None
    result: str | None = None


class Enquiry(_Part):
    """Questions about a movement that did not arrive, and what was answered."""

    due_on: str | None = None
    text: str | None = None
    sent_on: str | None = None
    answer: str | None = None
    delivered_on: str | None = None
    consignee: str | None = None


class Change(_Part):
    """What an amendment says of itself: where, why, and what it replaces."""

    reason: str | None = None
    pointer: str | None = None
    text: str | None = None


class Status(_Part):
    """An event that a carrier or terminal reports, of an equipment or consignment (IFTSTA, CODECO, COPRAR)."""

    code: str | None = None
    text: str | None = None
    at: str | None = None
    equipment_id: str | None = None
    reference: str | None = None
    place: Place | None = None


class Message(_Part):
    """The envelope: who sent what to whom, and when it was prepared."""

    sender: str | None = None
    recipient: str | None = None
    id: str | None = None
    kind: str | None = None
    version: str | None = None
    agency: str | None = None
    country: str | None = None
    customisation: str | None = None
    correlation_id: str | None = None
    prepared_at: str | None = None


class Customs(_Part):
    """A document in canonical form.

    ``function``: original, amendment, cancellation, replacement, notice, response, request. ``procedure``: transit, import, export,
    warehouse, manifest, gate, loading, discharge, stowage, status. ``mrn`` is the number under which the movement or declaration is known to
    customs, ``lrn`` the declarant's own; ``references`` are other numbers by their kind.
    """

    function: str = "original"
    procedure: str | None = None
    mrn: str | None = None
    lrn: str | None = None
    ucr: str | None = None
    references: list[Paper] = []
    declaration_type: str | None = None
    additional_type: str | None = None
    security: str | None = None
    reduced_dataset: bool | None = None
    binding_itinerary: bool | None = None
    simplified: bool | None = None
    specific_circumstance: str | None = None
    tir_carnet: str | None = None
    state: str | None = None
    language: str | None = None
    containerised: bool | None = None
    issued_at: str | None = None
    amended_at: str | None = None
    lodged_at: str | None = None
    accepted_at: str | None = None
    released_at: str | None = None
    departs_at: str | None = None
    arrives_at: str | None = None
    arrived_at: str | None = None
    presented_at: str | None = None
    exited_at: str | None = None
    written_off_at: str | None = None
    decided_at: str | None = None
    limit_at: str | None = None
    reason: str | None = None
    gross_mass_kg: float | None = None
    net_mass_kg: float | None = None
    items_total: int | None = None
    packages_total: int | None = None
    equipment_total: int | None = None
    value: str | None = None
    currency: str | None = None
    exchange_rate: str | None = None
    exchange_currency: str | None = None
    terms_of_delivery: str | None = None
    country_of_dispatch: str | None = None
    country_of_destination: str | None = None
    country_of_trade: str | None = None
    nature_of_transaction: str | None = None
    payment_method: str | None = None
    inland_mode: str | None = None
    border_mode: str | None = None
    message: Message | None = None
    countries: list[str] = []
    offices: list[Office] = []
    parties: list[Party] = []
    places: list[Place] = []
    transport: list[Means] = []
    guarantees: list[Guarantee] = []
    consignments: list[Consignment] = []
    documents: list[Paper] = []
    notes: list[Note] = []
    duties: list[Duty] = []
    incidents: list[Incident] = []
    controls: list[Control] = []
    unloading: Unloading | None = None
    enquiry: Enquiry | None = None
    changes: list[Change] = []
    statuses: list[Status] = []
    faults: list[Note] = []


FUNCTIONS: Final = ("original", "amendment", "cancellation", "replacement", "notice", "response", "request")
NEW: Final = frozenset({"original"})
"""Functions under which a reference may be used only once."""


def as_customs(value: dict[str, Any]) -> Customs:
    """The dict that a reader made, checked against the model. A ``msgspec.ValidationError`` here is a fault of the reader."""
    return msgspec.convert(value, Customs)


as_customs({})
"""Now, while the import holds its lock: msgspec works out a type at its first use, and of threads that come first at once some have
crashed the process (seen with msgspec 0.22)."""
