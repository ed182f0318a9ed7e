"""What a zone, corridor, office, device, movement and binding may look like: shape, types and limits.

These models are what the API page shows and what is enforced; what a shape cannot say (rings that close, references
that exist, times in order) is checked by ``customs.reference``. Times are kept as RFC 3339 text in UTC.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from cocket.core.clock import parse_rfc3339, rfc3339
from cocket.core.errors import Fault, Refused

ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:~+@-]*$"
"""Identifiers stand in addresses: ASCII letters and digits, and inside . _ : ~ + @ -."""
EQUIPMENT_PATTERN: Final = r"^[^\x00-\x1f\x7f|]+$"
"""Container numbers, plates, names of wagons: any characters but controls and the bar."""

_MIN_US = -62_135_596_800_000_000
_MAX_US = 253_402_300_799_999_999


def _moment(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a time is text in RFC 3339, as 2026-11-22T08:30:00Z")  # noqa: TRY004 - pydantic's way
    us = parse_rfc3339(value)
    if not _MIN_US <= us <= _MAX_US:
        raise ValueError(f"{value!r} lies outside the years 1 to 9999")
    return rfc3339(us)


Moment = Annotated[
    str,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-22T08:30:00Z"]}),
]
Id = Annotated[str, Field(pattern=ID_PATTERN, max_length=64, examples=["SZ-LOWU-1"])]
Name = Annotated[str, Field(min_length=1, max_length=200)]
By = Annotated[str, Field(min_length=1, max_length=128, description="who does it", examples=["amina"])]
Card = Annotated[str, Field(min_length=1, max_length=64)]
Mrn = Annotated[str, Field(pattern=ID_PATTERN, max_length=64, examples=["26NL0004327A1B2C35"])]

ZoneKind = Literal[
    "departure",
    "destination",
    "approved-stop",
    "restricted",
    "unlock-permitted",
    "dead-zone",
    "office",
    "tracking",
    "activation",
    "confirmation",
]


class _Strict(BaseModel):
    """No guessing: "1" is no number, 1 is not true."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Closed(_Strict):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


Position = Annotated[
    list[float], Field(min_length=2, max_length=4, description="[longitude, latitude] in degrees, WGS 84")
]
Line = Annotated[list[Position], Field(min_length=2)]
Ring = Annotated[list[Position], Field(min_length=4)]


class Polygon(_Strict):
    """A GeoJSON Polygon (RFC 7946, 3.1.6); either winding is taken."""

    type: Literal["Polygon"]
    coordinates: Annotated[list[Ring], Field(min_length=1)]


class MultiPolygon(_Strict):
    """A GeoJSON MultiPolygon (RFC 7946, 3.1.7)."""

    type: Literal["MultiPolygon"]
    coordinates: Annotated[list[Annotated[list[Ring], Field(min_length=1)]], Field(min_length=1)]


class LineString(_Strict):
    """A GeoJSON LineString (RFC 7946, 3.1.4)."""

    type: Literal["LineString"]
    coordinates: Line


class MultiLineString(_Strict):
    """A GeoJSON MultiLineString (RFC 7946, 3.1.5)."""

    type: Literal["MultiLineString"]
    coordinates: Annotated[list[Line], Field(min_length=1)]


class ZoneProperties(_Strict):
    """What a zone is for. Other properties are kept as they are."""

    kind: Annotated[ZoneKind, Field(description="what the zone is for", examples=["restricted"])]
    name: Name | None = None
    hot: Annotated[bool | None, Field(description="stops are alerted sooner here")] = None


class CorridorProperties(_Strict):
    """How wide a corridor is. Other properties are kept as they are."""

    half_width_m: Annotated[
        float,
        Field(ge=0, le=100_000, description="metres from the line to the corridor's edge", examples=[150]),
    ]
    name: Name | None = None
    speed_limit_mps: Annotated[
        float | None, Field(gt=0, le=200, description="speed limit on it, metres per second")
    ] = None


class Zone(_Strict):
    """A zone: a GeoJSON Feature with a Polygon or MultiPolygon in WGS 84."""

    type: Literal["Feature"]
    id: Id | None = None
    properties: ZoneProperties
    geometry: Annotated[Polygon | MultiPolygon, Field(discriminator="type")]


class Corridor(_Strict):
    """A corridor: a GeoJSON Feature with a LineString or MultiLineString in WGS 84."""

    type: Literal["Feature"]
    id: Id | None = None
    properties: CorridorProperties
    geometry: Annotated[LineString | MultiLineString, Field(discriminator="type")]


class Office(_Strict):
    """A customs office."""

    id: Id | None = None
    name: Name
    country: Annotated[
        str | None, Field(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2", examples=["NL"])
    ] = None
    lat_deg: Annotated[float | None, Field(ge=-90, le=90)] = None
    lon_deg: Annotated[float | None, Field(ge=-180, le=180)] = None


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is no network address such as 10.20.0.0/16") from error


Network = Annotated[str, Field(max_length=64), AfterValidator(_network)]
ReportInterval = Annotated[
    float | None, Field(gt=0, le=604_800, description="seconds between two reports of the device")
]
Cards = Annotated[
    list[Card] | None, Field(max_length=1000, description="cards that may open the seal; null: any")
]


class Device(_Strict):
    """An e-seal, tracker, sensor or reader."""

    id: Id | None = None
    class_: Annotated[str | None, Field(alias="class", min_length=1, max_length=64, examples=["e-seal"])] = (
        None
    )
    maker: Annotated[str | None, Field(max_length=200)] = None
    model: Annotated[str | None, Field(max_length=200)] = None
    firmware: Annotated[str | None, Field(max_length=200)] = None
    owner: Annotated[str | None, Field(max_length=200, description="whose it is")] = None
    state: Annotated[
        Literal[
            "stock",
            "type-approved",
            "assigned",
            "armed",
            "alarm",
            "disarmed",
            "returned",
            "charged",
            "lost",
            "stolen",
            "quarantined",
        ]
        | None,
        Field(description="where it stands in its life; one in stock or quarantined is not listened to"),
    ] = None
    protocol: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_-]*$",
            max_length=64,
            description="what it speaks; null: any",
            examples=["jt701"],
        ),
    ] = None
    networks: Annotated[
        list[Network] | None,
        Field(
            max_length=100,
            description="network addresses it may speak from; null: any",
            examples=[["10.20.0.0/16"]],
        ),
    ] = None
    certificate_sha256: Annotated[
        str | None,
        Field(pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the TLS certificate (DER) it has to show"),
    ] = None
    secret: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            description="the password it has to give, where its protocol has one; kept only as secret_sha256",
            json_schema_extra={"writeOnly": True},
        ),
    ] = None
    secret_sha256: Annotated[
        str | None,
        Field(pattern="^[0-9a-f]{64}$", description="made from secret; SHA-256 with the device's id"),
    ] = None
    report_interval_s: ReportInterval = None
    authorised_cards: Cards = None


class Consignment(_Strict):
    """One consignment of a movement. Other fields are kept as they are."""

    ucr: Annotated[str | None, Field(max_length=64, description="unique consignment reference")] = None
    hs: Annotated[str | None, Field(max_length=32, description="commodity code")] = None
    description: Annotated[str | None, Field(max_length=2000)] = None
    gross_mass_kg: Annotated[float | None, Field(ge=0, le=1e9)] = None


class Movement(_Strict):
    """A transit: where from, where to, along what, and by when. A wrong check digit of the MRN is flagged."""

    mrn: Mrn | None = None
    corridor: Annotated[Id | None, Field(description="a corridor that is known")] = None
    departure_office: Annotated[Id | None, Field(description="an office that is known")] = None
    destination_office: Annotated[Id | None, Field(description="an office that is known")] = None
    departed_at: Moment | None = None
    limit_at: Annotated[Moment | None, Field(description="the limit date: arrival is due by then")] = None
    arrived_at: Moment | None = None
    risk: Annotated[str | None, Field(min_length=1, max_length=32, examples=["low", "medium", "high"])] = None
    goods: Annotated[
        str | None, Field(min_length=1, max_length=64, description="class of goods, as the rules name them")
    ] = None
    temp_min_c: Annotated[float | None, Field(ge=-273.15, le=1000)] = None
    temp_max_c: Annotated[float | None, Field(ge=-273.15, le=1000)] = None
    report_interval_s: ReportInterval = None
    authorised_cards: Cards = None
    holder: Annotated[str | None, Field(max_length=512, description="holder of the transit procedure")] = None
    holder_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=35,
            description="their identification, EORI or TIN: by it they find what is theirs",
        ),
    ] = None
    countries: Annotated[
        list[Annotated[str, Field(pattern="^[A-Z]{2}$")]] | None,
        Field(max_length=100, description="countries on the route, ISO 3166-1 alpha-2: whom the feed tells"),
    ] = None
    consignments: Annotated[list[Consignment] | None, Field(max_length=10_000)] = None


class Binding(_Closed):
    """Which device is on which equipment for which movement, from when; it ends at ``to``, or is still on."""

    model_config = ConfigDict(populate_by_name=True)

    device_id: Id
    equipment_id: Annotated[
        str, Field(pattern=EQUIPMENT_PATTERN, min_length=1, max_length=64, examples=["MSKU9070323"])
    ]
    mrn: Mrn
    from_: Annotated[Moment, Field(alias="from")]
    to: Moment | None = None
    by: By | None = None


class BindingEnd(_Closed):
    """When a binding ends; null opens it again."""

    to: Moment | None
    by: By | None = None


SHAPES: Final[dict[str, TypeAdapter[Any]]] = {
    "zone": TypeAdapter(Zone),
    "corridor": TypeAdapter(Corridor),
    "office": TypeAdapter(Office),
    "device": TypeAdapter(Device),
    "movement": TypeAdapter(Movement),
    "binding": TypeAdapter(Binding),
    "binding-end": TypeAdapter(BindingEnd),
}

_OWN: Final = {
    "office": frozenset(Office.model_fields),
    "device": frozenset((set(Device.model_fields) - {"class_"}) | {"class"}),
    "movement": frozenset(Movement.model_fields),
}


def checked(kind: str, given: Any) -> dict[str, Any]:
    """The document with its times in UTC, if its shape is right; else ``Refused`` with every fault."""
    try:
        model: BaseModel = SHAPES[kind].validate_python(given)
    except ValidationError as error:
        faults = faults_of(error)
        raise Refused(
            f"this is no {kind.replace('-', ' ')}: {faults[0].path}: {faults[0].detail}", faults
        ) from None
    return model.model_dump(by_alias=True, exclude_unset=True)


def faults_of(error: ValidationError) -> list[Fault]:
    """Pydantic's errors as faults: a JSON pointer, the rule's name and words."""
    faults = []
    for e in error.errors(include_url=False, include_context=False, include_input=False)[:100]:
        path = [
            str(p) for p in e["loc"] if p not in {"Polygon", "MultiPolygon", "LineString", "MultiLineString"}
        ]
        detail = e["msg"].removeprefix("Value error, ")
        faults.append(Fault("".join(f"/{p}" for p in path), e["type"].replace("_", "-"), detail))
    return faults


def unknown_fields(kind: str, doc: dict[str, Any]) -> list[str]:
    """Flags for fields that a document of this kind does not know; they are kept, and do nothing."""
    return [f"unknown-field:{name}"[:100] for name in doc if name not in _OWN[kind]]
