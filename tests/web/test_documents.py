"""Customs documents through the public door: what is answered, what is kept, what is refused and where."""

import os
import threading
from pathlib import Path
from random import Random

import httpx
import pytest
from lxml import etree

from cocket.scenarios import papers

NCTS = "http://ncts.dgtaxud.ec"


def messages() -> Path:
    """Where the outside samples lie; skips, saying so, where they do not."""
    root = os.environ.get("COCKET_CONFORMANCE_DATA")
    folder = (Path(root) if root else Path(__file__).parents[3] / "shared" / "data") / "messages"
    if not folder.is_dir():
        pytest.skip(f"no sample messages at {folder}")
    return folder


def cc015c(lrn: str, *, holder: str = "NL123456789", mass: str = "1000", seals: int = 1) -> bytes:
    return f"""<ncts:CC015C PhaseID="NCTS5.1" xmlns:ncts="{NCTS}">
<messageSender>TRADER</messageSender><messageRecipient>NTA.NL</messageRecipient>
<preparationDateAndTime>2026-11-20T08:00:00</preparationDateAndTime><messageIdentification>M-{lrn}</messageIdentification>
<messageType>CC015C</messageType>
<TransitOperation><LRN>{lrn}</LRN><declarationType>T1</declarationType><additionalDeclarationType>A</additionalDeclarationType>
<security>0</security><reducedDatasetIndicator>0</reducedDatasetIndicator><bindingItinerary>0</bindingItinerary></TransitOperation>
<CustomsOfficeOfDeparture><referenceNumber>NL000432</referenceNumber></CustomsOfficeOfDeparture>
<CustomsOfficeOfDestinationDeclared><referenceNumber>DE003302</referenceNumber></CustomsOfficeOfDestinationDeclared>
<HolderOfTheTransitProcedure><identificationNumber>{holder}</identificationNumber></HolderOfTheTransitProcedure>
<Guarantee><sequenceNumber>1</sequenceNumber><guaranteeType>1</guaranteeType></Guarantee>
<Consignment><countryOfDispatch>NL</countryOfDispatch><countryOfDestination>DE</countryOfDestination><containerIndicator>1</containerIndicator>
<grossMass>{mass}</grossMass>
<TransportEquipment><sequenceNumber>1</sequenceNumber><containerIdentificationNumber>MSKU9070323</containerIdentificationNumber>
<numberOfSeals>{seals}</numberOfSeals><Seal><sequenceNumber>1</sequenceNumber><identifier>SEAL-{lrn}</identifier></Seal>
<GoodsReference><sequenceNumber>1</sequenceNumber><declarationGoodsItemNumber>1</declarationGoodsItemNumber></GoodsReference></TransportEquipment>
<HouseConsignment><sequenceNumber>1</sequenceNumber><grossMass>{mass}</grossMass>
<ConsignmentItem><goodsItemNumber>1</goodsItemNumber><declarationGoodsItemNumber>1</declarationGoodsItemNumber>
<Commodity><descriptionOfGoods>telephones</descriptionOfGoods><CommodityCode><harmonizedSystemSubHeadingCode>851713</harmonizedSystemSubHeadingCode>
</CommodityCode><GoodsMeasure><grossMass>{mass}</grossMass></GoodsMeasure></Commodity>
<Packaging><sequenceNumber>1</sequenceNumber><typeOfPackages>CT</typeOfPackages><numberOfPackages>10</numberOfPackages><shippingMarks>none</shippingMarks></Packaging>
</ConsignmentItem></HouseConsignment></Consignment></ncts:CC015C>""".encode()


def cc028c(lrn: str, mrn: str) -> bytes:
    return f"""<ncts:CC028C PhaseID="NCTS5.1" xmlns:ncts="{NCTS}">
<messageSender>NTA.NL</messageSender><messageRecipient>TRADER</messageRecipient>
<preparationDateAndTime>2026-11-20T08:05:00</preparationDateAndTime><messageIdentification>N-{lrn}</messageIdentification>
<messageType>CC028C</messageType><correlationIdentifier>M-{lrn}</correlationIdentifier>
<TransitOperation><LRN>{lrn}</LRN><MRN>{mrn}</MRN><declarationAcceptanceDate>2026-11-20</declarationAcceptanceDate></TransitOperation>
<CustomsOfficeOfDeparture><referenceNumber>NL000432</referenceNumber></CustomsOfficeOfDeparture>
<HolderOfTheTransitProcedure><identificationNumber>NL123456789</identificationNumber></HolderOfTheTransitProcedure></ncts:CC028C>""".encode()


def cc007c(mrn: str, at: str = "2026-11-22T10:00:00") -> bytes:
    return f"""<ncts:CC007C PhaseID="NCTS5.1" xmlns:ncts="{NCTS}">
<messageSender>TRADER</messageSender><messageRecipient>NTA.DE</messageRecipient>
<preparationDateAndTime>{at}</preparationDateAndTime><messageIdentification>A-{mrn}</messageIdentification>
<messageType>CC007C</messageType>
<TransitOperation><MRN>{mrn}</MRN><arrivalNotificationDateAndTime>{at}</arrivalNotificationDateAndTime>
<simplifiedProcedure>0</simplifiedProcedure></TransitOperation>
<CustomsOfficeOfDestinationActual><referenceNumber>DE003302</referenceNumber></CustomsOfficeOfDestinationActual>
<TraderAtDestination><identificationNumber>DE987654321</identificationNumber></TraderAtDestination>
<Consignment><LocationOfGoods><typeOfLocation>A</typeOfLocation><qualifierOfIdentification>V</qualifierOfIdentification>
<CustomsOffice><referenceNumber>DE003302</referenceNumber></CustomsOffice></LocationOfGoods></Consignment></ncts:CC007C>""".encode()


def send(door, data: bytes, **query) -> httpx.Response:
    return door.http.post(
        "/documents", content=data, params=query, headers={"content-type": "application/xml"}
    )


def mrn_of(number: int) -> str:
    from cocket.core.ids import iso6346_check_digit

    head = f"26NL{number:012d}J"  # from year 25 on the last but one letter tells the procedure
    return head + str(iso6346_check_digit(head))


def test_a_document_is_kept_read_and_shown(door) -> None:
    lrn = door.name("LRN")
    data = cc015c(lrn)
    answer = send(door, data, by="amina", name="a.xml")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["kind"], body["reference"], body["lrn"], body["flags"]) == ("cc015c", lrn, lrn, [])
    whole = door.http.get(f"/documents/{body['id']}").json()
    (consignment,) = whole["consignments"]
    assert consignment["equipment"][0]["id"] == "MSKU9070323"
    assert consignment["equipment"][0]["seals"][0]["id"] == f"SEAL-{lrn}"
    item = consignment["items"][0]
    assert (item["hs"], item["description"], item["gross_mass_kg"]) == ("851713", "telephones", 1000)
    assert whole["origins"]["/consignments/0/items/0/hs"].endswith(
        "/CommodityCode/harmonizedSystemSubHeadingCode"
    )
    assert door.http.get(f"/documents/{body['id']}/original").content == data
    report = door.http.get(f"/documents/{body['id']}/report").json()
    leaves = sum(1 for e in etree.fromstring(data).iter() if not len(e)) + 1  # and the attribute PhaseID
    assert len(report["mapped"]) + len(report["kept_raw"]) == leaves
    assert all(raw["why"] for raw in report["kept_raw"])
    listed = door.http.get("/documents", params={"q": f"SEAL-{lrn}"}).json()["items"]
    assert [d["id"] for d in listed] == [body["id"]]
    assert (listed[0]["by"], listed[0]["name"]) == ("amina", "a.xml")


def test_the_same_bytes_are_the_same_document_however_many_send_them(door) -> None:
    data = cc015c(door.name("LRN"))
    found: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: found.append(send(door, data))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.status_code for r in found) == [200] * 7 + [201]
    assert len({r.json()["id"] for r in found}) == 1
    assert len({r.text for r in found}) == 1


def test_other_content_under_a_reference_is_refused_unless_it_amends(door) -> None:
    lrn = door.name("LRN")
    assert send(door, cc015c(lrn)).status_code == 201
    problem = door.is_problem(send(door, cc015c(lrn, mass="1001")), 422)
    assert [(e["path"], e["rule"]) for e in problem["errors"]] == [
        ("/CC015C/TransitOperation/LRN", "reference-taken")
    ]
    assert send(door, cc015c(lrn, holder="FR55", mass="1001")).status_code == 201, (
        "another declarant's number"
    )
    again = send(door, cc015c(lrn).replace(b"<messageSender>", b" <messageSender>"))
    assert again.status_code == 201, "only its white space differs"
    assert again.json()["flags"][0].startswith("same-content-as:")
    amended = (
        cc015c(lrn, mass="1001")
        .replace(b"CC015C", b"CC013C")
        .replace(
            b"<bindingItinerary>0</bindingItinerary>",
            b"<bindingItinerary>0</bindingItinerary><amendmentTypeFlag>0</amendmentTypeFlag>",
        )
    )
    assert send(door, amended).status_code == 201, send(door, amended).text


def test_from_declaration_to_acceptance_by_messages(door) -> None:
    lrn, mrn = door.name("LRN"), mrn_of(101)
    first = send(door, cc015c(lrn)).json()
    assert first["movement"] is None
    assert first["effects"] == [
        {"machine": "movement", "event": "lodge", "outcome": "waiting", "detail": "it has no MRN yet"}
    ]
    body = send(door, cc028c(lrn, mrn)).json()
    assert body["movement"] == mrn
    movement = door.http.get(f"/movements/{mrn}").json()
    assert movement["state"] == "accepted"
    assert movement["flags"] == []
    events = door.http.get(f"/movements/{mrn}/events").json()["items"]
    assert [e["event"] for e in events] == ["lodge", "accept"]
    assert events[0]["at"] == "2026-11-20T08:00:00Z"
    assert events[0]["document"] == first["id"]
    assert {d["kind"] for d in movement["documents"]} == {"cc015c", "cc028c"}
    assert movement["destination_office"] == "DE003302", "the acceptance names none; the declaration did"
    assert movement["countries"] == ["NL", "DE"]
    assert movement["consignments"][0]["description"] == "telephones"
    assert door.http.get("/documents", params={"mrn": mrn}).json()["items"][-1]["id"] == first["id"]


def test_arrival_before_departure_waits_and_is_told(door) -> None:
    lrn, mrn = door.name("LRN"), mrn_of(102)
    send(door, cc015c(lrn))
    send(door, cc028c(lrn, mrn))
    early = send(door, cc007c(mrn)).json()
    assert early["flags"] == ["out-of-order:arrive:accepted"]
    assert early["effects"][0]["outcome"] == "waiting"
    assert door.http.get(f"/movements/{mrn}").json()["state"] == "accepted"
    for event in (
        {"event": "reserve-guarantee", "waiver": "authorised operator"},
        {"event": "decide-control"},
        {"event": "release"},
    ):
        answer = door.http.post(f"/movements/{mrn}/events", json=event)
        assert answer.status_code == 201, answer.text
    answer = door.http.post(f"/movements/{mrn}/events", json={"event": "depart"}).json()
    assert answer["state"] == "arrived", "what waited was recorded when its turn came"
    events = door.http.get(f"/movements/{mrn}/events").json()["items"]
    assert events[-1]["document"] == early["id"]


def test_an_arrival_of_an_unknown_movement_is_kept(door) -> None:
    mrn = mrn_of(103)
    body = send(door, cc007c(mrn)).json()
    assert body["movement"] is None
    assert f"movement-unknown:{mrn}" in body["flags"]
    assert door.http.get("/documents", params={"mrn": mrn}).json()["items"][0]["id"] == body["id"]


@pytest.mark.parametrize(
    ("data", "path", "rule"),
    [
        (b"", "", "empty"),
        (b"hello", "", "unknown-kind"),
        (b"\x89PNG\r\n\x1a\n1234", "", "unknown-kind"),
        (b"<a>", "", None),
        (b"<!DOCTYPE a [<!ENTITY x 'y'>]>" + cc015c("L").replace(b">L<", b">&x;<"), None, "doctype"),
        (cc015c("L").replace(b"<LRN>L</LRN>", b""), "/CC015C/TransitOperation/LRN", "missing"),
        (
            cc015c("L").replace(b"<security>0</security>", b"<security>x</security>"),
            "/CC015C/TransitOperation/security",
            None,
        ),
        (
            cc015c("L").replace(b"<numberOfSeals>1", b"<colour>red</colour><numberOfSeals>1"),
            None,
            "unexpected",
        ),
    ],
)
def test_what_is_damaged_is_refused_with_its_place(door, data, path, rule) -> None:
    before = door.http.get("/documents", params={"limit": 1}).json()["items"]
    problem = door.is_problem(send(door, data), 422)
    assert problem["errors"]
    if path is not None:
        assert path in {e["path"] for e in problem["errors"]} or not path
    if rule is not None:
        assert rule in {e["rule"] for e in problem["errors"]}
    assert all(e["detail"] for e in problem["errors"])
    assert door.http.get("/documents", params={"limit": 1}).json()["items"] == before


def test_totals_that_do_not_add_up_are_told_not_refused(door) -> None:
    body = send(door, cc015c(door.name("LRN"), seals=3)).json()
    assert [f.split()[0] for f in body["flags"]] == ["totals:seals"]


def test_every_sample_that_the_schema_accepts_is_read(fresh) -> None:
    folder = messages()
    read = refused = 0
    base = (folder / "wco-dm" / "xsd").as_uri()
    wco = etree.XMLSchema(
        etree.fromstring(
            f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
            <xs:import namespace="urn:wco:datamodel:WCO:DEC-DMS:2" schemaLocation="{base}/WCO_DEC_2_DMS.xsd"/>
            <xs:import namespace="urn:wco:datamodel:WCO:DocumentMetaData-DMS:2" schemaLocation="{base}/DocumentMetaData_2_DMS.xsd"/>
            </xs:schema>"""
        )
    )
    for standard in ("ncts", "wco-dm"):
        for path in sorted((folder / standard / "samples").iterdir()):
            try:
                tree = etree.parse(path)
                name = etree.QName(tree.getroot()).localname
                file = folder / "ncts" / "xsd" / f"{name.lower()}.xsd"
                if standard == "ncts":
                    valid = etree.XMLSchema(file=str(file)).validate(tree)
                else:  # some lie in an envelope of the partner's own, which no schema of the WCO's knows
                    inner = tree.find(".//{*}MetaData") if name != "MetaData" else tree.getroot()
                    valid = inner is not None and wco.validate(etree.fromstring(etree.tostring(inner)))
            except etree.XMLSyntaxError:
                valid = False
            answer = send(fresh, path.read_bytes(), name=path.name)
            assert (answer.status_code in {200, 201}) == valid, (path.name, answer.text[:300])
            read, refused = read + valid, refused + (not valid)
    assert (read, refused) == (171, 7)


def test_what_we_write_is_valid_and_read_again(door) -> None:
    folder = messages()
    lrn, mrn = door.name("LRN"), mrn_of(104)
    send(door, cc015c(lrn))
    send(door, cc028c(lrn, mrn))
    first = door.http.get(f"/movements/{mrn}/messages/cc007c", params={"trader": "DE1"})
    assert door.is_problem(first, 409)["errors"][0]["rule"] == "not-happened"
    steps = [
        {"event": "reserve-guarantee", "waiver": "x"},
        {"event": "decide-control"},
        {"event": "seal", "seals": [{"id": door.name("S"), "equipment_id": "MSKU9070323"}]},
        {"event": "release"},
        {"event": "depart"},
        {"event": "report-incident", "kind": "accident", "reason": "collision", "office": "DE003302", "lat_deg": 51.5, "lon_deg": 7.1},
        {"event": "reseal", "reason": "broken", "seals": [{"id": door.name("S"), "equipment_id": "MSKU9070323"}]},
        {"event": "resolve-incident"},
        {"event": "arrive", "office": "DE003302"},
        {"event": "verify-seals", "result": "broken"},
        {"event": "unload", "office": "DE003302"},
    ]  # fmt: skip
    answer = door.http.post(f"/movements/{mrn}/events", json=steps)
    assert answer.status_code == 201, answer.text
    for kind in ("cc007c", "cc044c", "cc182c"):
        out = door.http.get(
            f"/movements/{mrn}/messages/{kind}", params={"trader": "DE987654321", "office": "DE003302"}
        )
        assert out.status_code == 200, out.text
        xsd = etree.XMLSchema(file=str(folder / "ncts" / "xsd" / f"{kind}.xsd"))
        assert xsd.validate(etree.fromstring(out.content)), xsd.error_log
    assert (
        door.is_problem(door.http.get(f"/movements/{mrn}/messages/cc007c"), 422)["errors"][0]["path"]
        == "/trader"
    )


def test_an_arrival_of_a_movement_that_was_declared_as_departed(door) -> None:
    """Other systems may declare movements by PUT and send only some of their messages."""
    mrn = mrn_of(105)
    door.put(f"/movements/{mrn}", {"departed_at": "2026-11-21T08:00:00Z"})
    body = send(door, cc007c(mrn)).json()
    assert [(e["event"], e["outcome"]) for e in body["effects"]] == [("arrive", "done")]
    assert body["flags"] == []
    assert door.http.get(f"/movements/{mrn}").json()["arrived_at"] == "2026-11-22T10:00:00Z"


def test_an_arrival_waits_for_its_movement_to_be_declared(door) -> None:
    mrn = mrn_of(106)
    assert send(door, cc007c(mrn)).json()["effects"][0]["outcome"] == "waiting"
    door.put(f"/movements/{mrn}", {"departed_at": "2026-11-21T08:00:00Z"})
    assert door.http.get(f"/movements/{mrn}").json()["state"] == "arrived"


def released(mrn: str, *seals: str) -> papers.Transit:
    return papers.Transit(
        mrn=mrn, lrn=f"L{mrn}", grn="26NL0000010000018", amount="1250.00", currency="EUR", departure="NL000432",
        destination="DE003302", container="MSKU9070323", goods=("851713", "telephones"), mass_kg=1000, seals=seals,
    )  # fmt: skip


def test_a_release_brings_the_movement_so_far_and_binds_its_seals(door) -> None:
    mrn, seal, now = mrn_of(107), door.name("BOLT"), 1_790_000_000_000_000
    body = send(door, papers.cc029c(released(mrn, seal), now).encode()).json()
    assert body["movement"] == mrn, body
    assert [e["event"] for e in body["effects"]][-2:] == ["seal", "release"]
    whole = door.http.get(f"/movements/{mrn}").json()
    assert whole["state"] == "released"
    assert [(s["id"], s["equipment_id"], s["state"]) for s in whole["seals"]] == [
        (seal, "MSKU9070323", "assigned")
    ]
    other = mrn_of(108)
    problem = door.is_problem(
        send(door, papers.cc029c(released(other, door.name("BOLT"), seal), now).encode()), 422
    )
    assert [e["rule"] for e in problem["errors"]] == ["seal-bound"]
    assert problem["errors"][0]["path"].endswith("/Seal[2]/identifier")
    assert mrn in problem["detail"]
    assert door.is_problem(door.http.get(f"/movements/{other}"), 404), "nothing of it stayed"
    assert door.http.get("/documents", params={"mrn": other}).json()["items"] == []
    done = {"event": "cancel", "reason": "invalidated"}
    assert door.http.post(f"/movements/{mrn}/events", json=done).status_code == 201
    assert door.http.get(f"/seals/{seal}").json()["mrn"] is None


def test_documents_at_once_each_find_their_movement(door) -> None:
    """A rush of declarations and acceptances, in any order: each movement ends where its messages lead."""
    pairs = [(door.name("RUSH"), mrn_of(200 + i)) for i in range(12)]
    bodies = [cc015c(lrn) for lrn, _ in pairs] + [cc028c(lrn, mrn) for lrn, mrn in pairs]
    Random(5).shuffle(bodies)
    codes: list[int] = []

    def lane(mine: list[bytes]) -> None:
        codes.extend(send(door, body).status_code for body in mine)

    lanes = [threading.Thread(target=lane, args=(bodies[i::6],)) for i in range(6)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    assert codes == [201] * len(bodies)
    for _, mrn in pairs:
        whole = door.http.get(f"/movements/{mrn}").json()
        assert whole["state"] == "accepted", whole
        assert {d["kind"] for d in whole["documents"]} == {"cc015c", "cc028c"}, "whichever came first"
