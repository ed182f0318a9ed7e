"""The messages that we write: valid by libxml2 with the real XSDs, whatever goes in; and what cannot be written is refused."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.customs.formats.xsds import FOLDER, ncts_xsd

from cocket.core.errors import Refused
from cocket.customs.formats import ncts_out_model as model
from cocket.customs.formats.ncts_out import cc007c, cc044c, cc182c

MRN = "24GBDIRIGZ7QLCPAJ8"
WRITERS: dict[type, Any] = {
    model.Arrival: cc007c,
    model.UnloadingRemarks: cc044c,
    model.ForwardedIncident: cc182c,
}
AT_US = 1_795_336_200_999_999
"""2026-11-22T08:30:00.999999Z."""
HEADER = model.Header(
    sender="COCKET", recipient="NTA.GB", prepared_us=AT_US, message_id="M1", correlation_id="C1"
)


def write(message: Any) -> etree._Element:
    """The message as it was written, and accepted by the real XSD where that is there."""
    data = WRITERS[type(message)](message)
    root = etree.fromstring(data)
    if FOLDER is not None:
        judge = ncts_xsd(etree.QName(root).localname)
        assert judge.validate(root), judge.error_log
    return root


def refusal(message: Any) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        WRITERS[type(message)](message)
    assert caught.value.faults[0].detail in caught.value.detail
    return [(f.path, f.rule) for f in caught.value.faults]


ARRIVAL = model.Arrival(
    header=HEADER,
    mrn=MRN,
    arrived_us=AT_US,
    office="GB000060",
    trader_id="GB150454489082",
    location=model.GoodsLocation(kind="B", authorisation="GBAUTH1", additional_id="D4"),
    simplified=True,
    trader_language="en",
    authorisations=[model.Authorisation(kind="C522", reference="GBACE1")],
)
REMARKS = model.UnloadingRemarks(
    header=HEADER,
    mrn=MRN,
    office="GB000060",
    trader_id="GB150454489082",
    conform=False,
    completed=True,
    unloaded_on="2026-11-22",
    seals_ok=False,
    remark="two\n cartons   wet",
    other_things="none",
    discrepancies=model.Discrepancies(
        gross_mass_kg=Decimal("1E+3"),
        equipment=[
            model.FoundEquipment(
                number=1,
                container_id="MSCU1234565",
                seals=[model.FoundSeal(number=1, id="S-1"), model.FoundSeal(number=2, id="NEW-2")],
                goods_items=[1, 2],
            ),
            model.FoundEquipment(number=2, seals=[]),
        ],
        houses=[
            model.FoundHouse(
                number=1,
                items=[
                    model.FoundItem(
                        number=1,
                        declared_number=1,
                        gross_mass_kg=Decimal("998.500"),
                        packages=[model.FoundPackages(number=1, kind="CT", count=38)],
                    )
                ],
            )
        ],
    ),
)
INCIDENT = model.ForwardedIncident(
    header=HEADER,
    mrn=MRN,
    notified_us=AT_US,
    departure_office="GB000060",
    registration_office="XI000142",
    incidents=[
        model.Incident(
            code="3",
            text="Axle broken; goods moved to another trailer",
            country="FR",
            lat_deg=48.858370,
            lon_deg=-0.0000001,
            endorsement=model.Endorsement(on="2026-11-22", authority="Douane", place="Reims", country="FR"),
            equipment=[
                model.IncidentEquipment(container_id="MSCU1234565", seals=["NEW1", "NEW2"], goods_items=[1])
            ],
            transhipment=model.Transhipment(containerised=True, kind="30", id="AB 123 CD", nationality="FR"),
        )
    ],
)


def test_an_arrival_is_written() -> None:
    root = write(ARRIVAL)
    assert root.get("PhaseID") == "NCTS5.1"
    assert root.findtext("messageType") == "CC007C"
    assert root.findtext("TransitOperation/arrivalNotificationDateAndTime") == "2026-11-22T08:30:00"
    assert root.findtext("TransitOperation/simplifiedProcedure") == "1"
    assert root.findtext("Consignment/LocationOfGoods/qualifierOfIdentification") == "Y"
    assert root.findtext("Authorisation/type") == "C522"


@pytest.mark.parametrize(
    ("qualifier", "told"),
    [
        ("T", {"postcode_address": model.PostcodeAddress(postcode="SW1", country="GB", house_number="10")}),
        ("U", {"unlocode": "GBDVR"}),
        ("V", {"office": "GB000060"}),
        ("W", {"lat_deg": 90.0, "lon_deg": 180.0}),
        ("X", {"operator_id": "GB150454489082"}),
        ("Y", {"authorisation": "A"}),
        ("Z", {"address": model.Address(street="Quay 1", city="Dover", country="GB", postcode="CT16")}),
    ],
)
def test_a_place_is_told_in_each_of_its_ways(qualifier: str, told: dict[str, Any]) -> None:
    place = model.GoodsLocation(kind="D", contact=model.Contact(name="Ann", phone="1", email="a@b.c"), **told)
    root = write(dataclasses.replace(ARRIVAL, location=place))
    assert root.findtext("Consignment/LocationOfGoods/qualifierOfIdentification") == qualifier


def test_unloading_remarks_are_written() -> None:
    root = write(REMARKS)
    assert root.findtext("UnloadingRemark/stateOfSeals") == "0"
    assert root.findtext("UnloadingRemark/unloadingRemark") == "two cartons wet"
    assert root.findtext("Consignment/grossMass") == "1000"
    assert [e.text for e in root.iterfind("Consignment/TransportEquipment[1]/Seal/identifier")] == [
        "S-1",
        "NEW-2",
    ]
    assert [e.text for e in root.iterfind("Consignment/TransportEquipment/numberOfSeals")] == ["2", "0"]
    item = "Consignment/HouseConsignment/ConsignmentItem"
    assert root.findtext(f"{item}/Commodity/GoodsMeasure/grossMass") == "998.5"
    assert root.findtext(f"{item}/Packaging/numberOfPackages") == "38"
    clean = dataclasses.replace(REMARKS, conform=True, seals_ok=None, discrepancies=None)
    assert write(clean).find("Consignment") is None
    assert write(clean).find("UnloadingRemark/stateOfSeals") is None


def test_an_incident_is_written() -> None:
    root = write(INCIDENT)
    at = "Consignment/Incident"
    assert root.findtext(f"{at}/Location/qualifierOfIdentification") == "W"
    assert root.findtext(f"{at}/Location/GNSS/latitude") == "48.858370"
    assert root.findtext(f"{at}/Location/GNSS/longitude") == "0.000000"
    assert [e.text for e in root.iterfind(f"{at}/TransportEquipment/Seal/identifier")] == ["NEW1", "NEW2"]
    assert root.findtext(f"{at}/TransportEquipment/numberOfSeals") == "2"
    assert root.findtext(f"{at}/Transhipment/TransportMeans/identificationNumber") == "AB 123 CD"


def incident(**changes: Any) -> model.ForwardedIncident:
    return dataclasses.replace(INCIDENT, incidents=[dataclasses.replace(INCIDENT.incidents[0], **changes)])


def place(**told: Any) -> model.Arrival:
    return dataclasses.replace(ARRIVAL, location=model.GoodsLocation(kind="B", **told))


LOCATION = "/CC182C/Consignment/Incident[1]/Location"
GOODS = "/CC007C/Consignment/LocationOfGoods"


@pytest.mark.parametrize(
    ("message", "path", "rule"),
    [
        (dataclasses.replace(ARRIVAL, mrn="24GB"), "/CC007C/TransitOperation/MRN", "pattern"),
        (
            dataclasses.replace(ARRIVAL, office=""),
            "/CC007C/CustomsOfficeOfDestinationActual/referenceNumber",
            "empty",
        ),
        (
            dataclasses.replace(ARRIVAL, trader_id="x" * 18),
            "/CC007C/TraderAtDestination/identificationNumber",
            "length",
        ),
        (
            dataclasses.replace(ARRIVAL, arrived_us=1 << 60),
            "/CC007C/TransitOperation/arrivalNotificationDateAndTime",
            "range",
        ),
        (
            dataclasses.replace(ARRIVAL, authorisations=list(ARRIVAL.authorisations) * 10),
            "/CC007C/Authorisation[10]",
            "too-many",
        ),
        (place(), f"{GOODS}/qualifierOfIdentification", "missing"),
        (place(unlocode="GBDVR", office="GB000060"), f"{GOODS}/qualifierOfIdentification", "contradiction"),
        (place(lat_deg=91.0, lon_deg=0.0), f"{GOODS}/GNSS/latitude", "range"),
        (place(lat_deg=float("nan"), lon_deg=0.0), f"{GOODS}/GNSS/latitude", "range"),
        (place(lon_deg=1.0), f"{GOODS}/GNSS/latitude", "missing"),
        (place(authorisation="A\tB"), f"{GOODS}/authorisationNumber", "white-space"),
        (place(authorisation="A\x00B"), f"{GOODS}/authorisationNumber", "characters"),
        (place(authorisation="\ud800"), f"{GOODS}/authorisationNumber", "characters"),
        (dataclasses.replace(REMARKS, conform=True), "/CC044C/UnloadingRemark/conform", "contradiction"),
        (
            dataclasses.replace(REMARKS, unloaded_on="2026-02-30"),
            "/CC044C/UnloadingRemark/unloadingDate",
            "type",
        ),
        (dataclasses.replace(REMARKS, remark=" \n"), "/CC044C/UnloadingRemark/unloadingRemark", "empty"),
        (
            dataclasses.replace(
                REMARKS, discrepancies=model.Discrepancies(gross_mass_kg=Decimal("0.1234567"))
            ),
            "/CC044C/Consignment/grossMass",
            "digits",
        ),
        (
            dataclasses.replace(REMARKS, discrepancies=model.Discrepancies(gross_mass_kg=Decimal("NaN"))),
            "/CC044C/Consignment/grossMass",
            "type",
        ),
        (
            dataclasses.replace(
                REMARKS,
                discrepancies=model.Discrepancies(
                    documents=[model.FoundDocument(sort="transport", number=1, complement="x")]
                ),
            ),
            "/CC044C/Consignment/TransportDocument[1]",
            "unexpected",
        ),
        (dataclasses.replace(INCIDENT, incidents=[]), "/CC182C/Consignment/Incident[1]", "missing"),
        (incident(code="9"), "/CC182C/Consignment/Incident[1]/code", "enumeration"),
        (incident(text="x" * 513), "/CC182C/Consignment/Incident[1]/text", "length"),
        (incident(country="fr"), f"{LOCATION}/country", "pattern"),
        (incident(unlocode="FRPAR"), f"{LOCATION}/qualifierOfIdentification", "contradiction"),
        (
            incident(lat_deg=None, lon_deg=None, address=model.Address(street="a", city="b", country="BE")),
            f"{LOCATION}/country",
            "contradiction",
        ),
        (
            incident(equipment=[model.IncidentEquipment(seals=["ok", "x" * 21])]),
            "/CC182C/Consignment/Incident[1]/TransportEquipment[1]/Seal[2]/identifier",
            "length",
        ),
        (
            dataclasses.replace(INCIDENT, header=dataclasses.replace(HEADER, phase="NCTS9")),
            "/CC182C/@PhaseID",
            "enumeration",
        ),
        (
            dataclasses.replace(INCIDENT, header=dataclasses.replace(HEADER, sender="x" * 36)),
            "/CC182C/messageSender",
            "pattern",
        ),
    ],
)
def test_what_cannot_be_expressed_is_refused_with_its_path(message: Any, path: str, rule: str) -> None:
    assert (path, rule) in refusal(message)


LETTERS = "ABZaz019 -/.éß漢😀&<>'\"\u00a0\u2028"


def words(most: int, *, alphabet: str = LETTERS) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=1, max_size=most)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def made(what: type, /, **fields: Any) -> st.SearchStrategy[Any]:
    return st.builds(what, **fields)


def few(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=most)


def code(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True)


COUNTRY = code("[A-Z]{2}")
OFFICE = code("[A-Z]{2}[A-Z0-9]{6}")
NUMBER = st.integers(1, 99_999)
ITEM = st.integers(1, 1999)
ID = code("[A-Za-z0-9]([A-Za-z0-9 /-]{0,15}[A-Za-z0-9])?").filter(lambda t: "  " not in t)
TOKEN = words(35).filter(lambda t: t == " ".join(t.split(" ")).strip(" ") and "  " not in t)
MOMENT = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
MASS = st.decimals("0", "9999999999", places=6)
DAY = st.dates(date(1900, 1, 1)).map(date.isoformat)
ADDRESS = made(model.Address, street=ID, city=ID, country=COUNTRY, postcode=maybe(ID))
HEADERS = made(
    model.Header,
    sender=TOKEN,
    recipient=TOKEN,
    prepared_us=MOMENT,
    message_id=TOKEN,
    correlation_id=maybe(TOKEN),
    phase=st.sampled_from([None, "NCTS5.0", "NCTS5.1", "NCTS6"]),
)
LATITUDE = st.floats(-90, 90)
LONGITUDE = st.floats(-180, 180)
WAYS = [
    {"postcode_address": made(model.PostcodeAddress, postcode=ID, country=COUNTRY, house_number=maybe(ID))},
    {"unlocode": code("[A-Z]{5}")},
    {"office": OFFICE},
    {"lat_deg": LATITUDE, "lon_deg": LONGITUDE},
    {"operator_id": ID},
    {"authorisation": ID},
    {"address": ADDRESS},
]
PLACES = st.one_of(
    *(
        made(
            model.GoodsLocation,
            kind=code("[A-D]"),
            additional_id=maybe(code("[A-Z0-9]{1,4}")),
            contact=maybe(made(model.Contact, name=ID, phone=ID, email=maybe(st.just("a@b.c")))),
            **way,
        )
        for way in WAYS
    )
)
MRNS = code("(2[0-4])[A-Z]{2}[A-Z0-9]{13}[0-9]|(2[4-9])[A-Z]{2}[A-Z0-9]{12}[J-M][0-9]")
ARRIVALS = made(
    model.Arrival,
    header=HEADERS,
    mrn=MRNS,
    arrived_us=MOMENT,
    office=OFFICE,
    trader_id=ID,
    location=PLACES,
    simplified=st.booleans(),
    trader_language=maybe(code("[a-z]{2}")),
    authorisations=few(made(model.Authorisation, kind=code("C[0-9]{3}"), reference=ID)),
)
MEANS = few(
    made(
        model.FoundMeans,
        number=NUMBER,
        kind=maybe(code("[0-9]{2}")),
        id=maybe(ID),
        nationality=maybe(COUNTRY),
    )
)
PAPER = {"number": NUMBER, "kind": maybe(code("[A-Z0-9]{4}")), "reference": maybe(ID)}
DOCUMENTS = few(
    made(model.FoundDocument, sort=st.just("supporting"), complement=maybe(ID), **PAPER)
    | made(
        model.FoundDocument, sort=st.sampled_from(["transport", "reference"]), complement=st.none(), **PAPER
    )
)
FREE = words(200, alphabet=LETTERS.replace("\u00a0", "").replace("\u2028", "") + "\n\t").filter(
    lambda t: t.strip(" \n\t")
)
ITEMS = made(
    model.FoundItem,
    number=NUMBER,
    declared_number=ITEM,
    description=maybe(FREE),
    hs=st.just("870380"),
    cn=maybe(code("[0-9]{2}")),
    cus=maybe(code("[0-9]{7}-[0-9]")),
    ucr=maybe(ID),
    gross_mass_kg=maybe(MASS),
    net_mass_kg=maybe(MASS.filter(bool)),
    packages=few(
        made(
            model.FoundPackages,
            number=NUMBER,
            kind=maybe(code("[A-Z]{2}")),
            count=maybe(st.integers(0, 99_999_999)),
            marks=maybe(FREE),
        )
    ),
    documents=DOCUMENTS,
)
FOUND = made(
    model.Discrepancies,
    gross_mass_kg=maybe(MASS),
    ucr=maybe(ID),
    equipment=few(
        made(
            model.FoundEquipment,
            number=NUMBER,
            container_id=maybe(code("[A-Z]{4}[0-9]{7}")),
            seals=maybe(few(made(model.FoundSeal, number=NUMBER, id=maybe(ID)), 5)),
            goods_items=few(ITEM),
        )
    ),
    means=MEANS,
    documents=DOCUMENTS,
    houses=few(
        made(
            model.FoundHouse,
            number=NUMBER,
            gross_mass_kg=maybe(MASS),
            ucr=maybe(ID),
            means=MEANS,
            documents=DOCUMENTS,
            items=few(ITEMS, 2),
        ),
        2,
    ),
)
REMARKABLE = made(
    model.UnloadingRemarks,
    header=HEADERS,
    mrn=MRNS,
    office=OFFICE,
    trader_id=ID,
    conform=st.just(False),
    completed=st.booleans(),
    unloaded_on=DAY,
    seals_ok=maybe(st.booleans()),
    remark=maybe(FREE),
    other_things=maybe(FREE),
    discrepancies=maybe(FOUND),
)
INCIDENT_PLACES = st.one_of(
    st.fixed_dictionaries({"lat_deg": LATITUDE, "lon_deg": LONGITUDE, "country": COUNTRY}),
    st.fixed_dictionaries({"unlocode": code("[A-Z]{5}"), "country": COUNTRY}),
    ADDRESS.map(lambda a: {"address": a, "country": a.country}),
)
INCIDENTS = st.builds(
    lambda told, fields: model.Incident(**told, **fields),
    INCIDENT_PLACES,
    st.fixed_dictionaries(
        {
            "code": st.sampled_from(["1", "2", "3", "4", "5", "6"]),
            "text": FREE,
            "endorsement": maybe(made(model.Endorsement, on=DAY, authority=ID, place=ID, country=COUNTRY)),
            "equipment": few(
                made(
                    model.IncidentEquipment,
                    container_id=maybe(code("[A-Z]{4}[0-9]{7}")),
                    seals=maybe(few(ID, 5)),
                    goods_items=few(ITEM),
                )
            ),
            "transhipment": maybe(
                made(
                    model.Transhipment,
                    containerised=st.booleans(),
                    kind=code("[0-9]{2}"),
                    id=ID,
                    nationality=COUNTRY,
                )
            ),
        }
    ),
)
FORWARDED = made(
    model.ForwardedIncident,
    header=HEADERS,
    mrn=MRNS,
    notified_us=MOMENT,
    departure_office=OFFICE,
    registration_office=OFFICE,
    incidents=st.lists(INCIDENTS, min_size=1, max_size=3),
)


def said(value: Any, found: set[str]) -> set[str]:
    """Every text, number and mass that a message holds, as it must appear in what is written."""
    if isinstance(value, str):
        found.add(" ".join(value.split()))
    elif isinstance(value, Decimal):
        found.add(format(value.normalize(), "f") if value else "0")
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name not in {"sort", "phase"}:
                said(getattr(value, field.name), found)
    elif isinstance(value, list):
        for one in value:
            said(one, found)
    return found


@settings(max_examples=120, deadline=None)
@given(message=st.one_of(ARRIVALS, REMARKABLE, FORWARDED))
def test_whatever_is_written_is_valid_and_says_all_of_it(message: Any) -> None:
    root = write(message)
    written = {" ".join((node.text or "").split()) for node in root.iter()}
    assert said(message, set()) <= written


ANY_TEXT = st.text(st.characters(), max_size=40)


@settings(max_examples=120, deadline=None)
@given(
    mrn=maybe(ANY_TEXT),
    office=ANY_TEXT,
    trader=ANY_TEXT,
    text=ANY_TEXT,
    seals=few(ANY_TEXT),
    lat=st.floats(),
    at=st.integers(),
)
def test_any_value_is_written_as_valid_or_refused_with_a_path(
    mrn: str | None, office: str, trader: str, text: str, seals: list[str], lat: float, at: int
) -> None:
    arrival = dataclasses.replace(ARRIVAL, mrn=mrn or MRN, office=office, trader_id=trader, arrived_us=at)
    forwarded = incident(text=text, lat_deg=lat, equipment=[model.IncidentEquipment(seals=seals)])
    for message in (arrival, dataclasses.replace(ARRIVAL, trader_id=trader), forwarded, incident(text=text)):
        try:
            write(message)
        except Refused as error:
            refused = error
        else:
            continue
        assert refused.faults
        assert all(f.path.startswith("/CC") and f.rule and f.detail for f in refused.faults)
