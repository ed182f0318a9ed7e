"""NCTS messages: every one that the real XSD takes is read whole, and says what a plain XPath reading of it says."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from tests.customs.formats.documents import at, document, leaves, says
from tests.customs.formats.xsds import FOLDER, NCTS, folder, judges, mutants, ncts_xsd, needs_xsds

from cocket.core.errors import Fault, Refused
from cocket.customs.formats import ncts, recognise, schema
from cocket.customs.formats.ncts_parts import latitude, longitude
from cocket.customs.formats.reading import Read
from cocket.customs.model import as_customs

CODES = sorted(set(ncts.MESSAGES) - ncts.WITHOUT_XSD)
COUNTERS = {"GoodsReference", "CountryOfRoutingOfConsignment", "GuaranteeReference"}


def read(root: etree._Element) -> Read:
    return recognise.read(etree.tostring(root))


def sample(name: str) -> etree._Element:
    return etree.parse(str(folder("ncts", "samples", name))).getroot()


def made(code: str, seed: int = 1, *, full: bool = True, most: int = 2) -> etree._Element:
    root = document(schema.ncts(), f"{{{NCTS}}}{code}", random.Random(f"{code} {seed}"), most, full)
    root.find("messageType").text = code
    return root


def valid_samples() -> list[str]:
    if FOLDER is None:
        return []
    names = sorted(p.name for p in folder("ncts", "samples").iterdir())
    return [n for n in names if ncts_xsd(n[:6]).validate(sample(n))]


def check_whole(root: etree._Element, found: Read) -> None:
    """Every leaf of the document is mapped or raw, none both, and what is written says what its place in the source says."""
    as_customs(found.value)
    source = leaves(root)
    raw = {path: value for path, value, _ in found.raw}
    assert set(found.taken) | set(raw) == set(source)
    assert not set(found.taken) & set(raw)
    assert {path: source[path] for path in raw} == raw
    assert all(why for _, _, why in found.raw)
    for pointer, path in found.origins.items():
        if not pointer.endswith(("/role", "/has_access_code")):
            assert says(at(found.value, pointer), source[path]), (pointer, path)


def check_against_xpath(root: etree._Element, value: dict[str, Any]) -> None:
    """The fields that the rest of the system lives on, by plain paths."""

    def texts(path: str) -> list[str]:
        return [node.text.strip() for node in root.findall(path) if node.text]

    items = [item for c in value.get("consignments", ()) for item in c.get("items", ())]
    equipment = [e for c in value.get("consignments", ()) for e in c.get("equipment", ())]
    assert [value[k] for k in ("mrn",) if k in value] == texts("TransitOperation/MRN") + texts("Header/MRN")
    assert [value[k] for k in ("lrn",) if k in value] == texts("TransitOperation/LRN") + texts("Header/LRN")
    base = "Consignment/HouseConsignment/ConsignmentItem"
    assert [i["description"] for i in items if "description" in i] == texts(
        f"{base}/Commodity/descriptionOfGoods"
    )
    codes = [
        f"{c.findtext('harmonizedSystemSubHeadingCode')}{c.findtext('combinedNomenclatureCode', '')}"
        for c in root.findall(f"{base}/Commodity/CommodityCode")
    ]
    assert [i["hs"] for i in items if "hs" in i] == codes
    masses = [float(t) for t in texts(f"{base}/Commodity/GoodsMeasure/grossMass")]
    assert [i["gross_mass_kg"] for i in items if "gross_mass_kg" in i] == masses
    masses = [float(t) for t in texts("Consignment/HouseConsignment/grossMass")]
    assert [c["gross_mass_kg"] for c in value.get("consignments", ()) if "gross_mass_kg" in c] == masses
    assert {e["id"] for e in equipment if "id" in e} == set(
        texts("Consignment/TransportEquipment/containerIdentificationNumber")
    )
    assert {s["id"] for e in equipment for s in e.get("seals", ())} == set(
        texts("Consignment/TransportEquipment/Seal/identifier")
    )
    incident = [e for i in value.get("incidents", ()) for e in i.get("equipment", ())]
    assert [s["id"] for e in incident for s in e.get("seals", ())] == texts(
        "Consignment/Incident/TransportEquipment/Seal/identifier"
    )
    grns = [g["grn"] for g in value.get("guarantees", ()) if "grn" in g]
    assert sorted(grns) == sorted(texts("Guarantee/GuaranteeReference/GRN") + texts("GuaranteeReference/GRN"))
    offices = {
        n.text for n in root.iter("referenceNumber") if str(n.getparent().tag).startswith("CustomsOfficeOf")
    }
    assert {o["id"] for o in value.get("offices", ())} | {
        g["office"] for g in value.get("guarantees", ()) if "office" in g
    } == offices


@needs_xsds
@pytest.mark.parametrize("name", valid_samples())
def test_a_sample_that_the_xsd_takes_is_read_whole(name: str) -> None:
    root = sample(name)
    found = read(root)
    assert found.kind == name[:6]
    check_whole(root, found)
    check_against_xpath(root, found.value)


@needs_xsds
def test_a_sample_that_the_xsd_refuses_is_refused_with_the_path() -> None:
    stale = sorted({p.name for p in folder("ncts", "samples").iterdir()} - set(valid_samples()))
    assert len(stale) == 5
    for name in stale:
        root = sample(name)
        with pytest.raises(Refused) as refused:
            read(root)
        assert refused.value.faults[0].path.startswith(f"/{name[:6].upper()}/")
    assert refused.value.faults[0].path.endswith("/Commodity/GoodsMeasure")


def test_every_message_of_the_schema_is_known_and_two_more() -> None:
    roots = {etree.QName(q).localname for q in schema.ncts().roots}
    assert roots | ncts.WITHOUT_XSD == set(ncts.MESSAGES)


@pytest.mark.parametrize("code", CODES)
def test_a_full_message_is_read_whole(code: str) -> None:
    for seed in range(3):
        root = made(code, seed, full=seed == 0)
        found = read(root)
        assert found.kind == code.lower()
        assert found.value["function"] == ncts.MESSAGES[code][0]
        check_whole(root, found)
        check_against_xpath(root, found.value)


@needs_xsds
@pytest.mark.parametrize("code", CODES)
def test_what_was_generated_is_valid_by_the_real_xsd(code: str) -> None:
    for seed in range(3):
        assert ncts_xsd(code).validate(made(code, seed, full=seed == 0)), ncts_xsd(code).error_log


def test_what_is_kept_raw_of_all_messages_is_this_and_no_more() -> None:
    kept: Counter[tuple[str, str]] = Counter()
    for code in CODES:
        for path, _, why in read(made(code)).raw:
            parts = re.sub(r"\[\d+\]", "", path).split("/")
            kept["/".join(parts[-2:]), why] += 1
    assert {k for k, _ in kept} == {
        "GoodsReference/sequenceNumber",
        "CountryOfRoutingOfConsignment/sequenceNumber",
        "GuaranteeReference/sequenceNumber",
        # A place has one address; the XSD lets two stand, the rules of qualifiers do not.
        "PostcodeAddress/houseNumber",
        "PostcodeAddress/postcode",
        "PostcodeAddress/country",
        # CC017C, results of controls between offices.
        *(
            f"{n}/completeControl"
            for n in ("AdditionalInformation", "PreviousDocument", "SupportingDocument")
        ),
        "ControlResult/remark",
        # CC191C, the export system's answer by goods item.
        "ExportOperation/security",
        "GoodsItem/exportDeclarationGoodsItemNumber",
        "GoodsItem/transitDeclarationGoodsItemNumber",
        "PreviousDocument/type",
        "PreviousDocument/referenceNumber",
        "XMLError/errorColumnNumber",
    }


def consignment(houses: list[list[int]], equipment: list[tuple[str, list[str], list[int]]]) -> etree._Element:
    """A CC015C with houses of goods items, and equipment with container number, seals and the items that it names."""
    root = made("CC015C", full=False, most=1)
    master = root.find("Consignment")
    for name in ("TransportEquipment", "HouseConsignment"):
        for node in master.findall(name):
            master.remove(node)
    order = schema.ncts().order(root.tag, "Consignment")
    behind = order[: order.index("TransportEquipment")]
    place = sum(node.tag in behind for node in master)
    for number, (container, seals, items) in enumerate(equipment, 1):
        seal = "".join(
            f"<Seal><sequenceNumber>{n}</sequenceNumber><identifier>{s}</identifier></Seal>"
            for n, s in enumerate(seals, 1)
        )
        goods = "".join(
            f"<GoodsReference><sequenceNumber>{n}</sequenceNumber>"
            f"<declarationGoodsItemNumber>{i}</declarationGoodsItemNumber></GoodsReference>"
            for n, i in enumerate(items, 1)
        )
        identity = (
            f"<containerIdentificationNumber>{container}</containerIdentificationNumber>" if container else ""
        )
        master.insert(
            place,
            etree.fromstring(
                f"<TransportEquipment><sequenceNumber>{number}</sequenceNumber>{identity}"
                f"<numberOfSeals>{len(seals)}</numberOfSeals>{seal}{goods}</TransportEquipment>"
            ),
        )
        place += 1
    for number, house in enumerate(houses, 1):
        made_items = "".join(
            f"<ConsignmentItem><goodsItemNumber>{n}</goodsItemNumber><declarationGoodsItemNumber>{i}</declarationGoodsItemNumber>"
            f"<Commodity><descriptionOfGoods>goods {i}</descriptionOfGoods><GoodsMeasure><grossMass>10</grossMass></GoodsMeasure></Commodity>"
            "<Packaging><sequenceNumber>1</sequenceNumber><typeOfPackages>BX</typeOfPackages><numberOfPackages>2</numberOfPackages>"
            "</Packaging></ConsignmentItem>"
            for n, i in enumerate(house, 1)
        )
        master.append(
            etree.fromstring(
                f"<HouseConsignment><sequenceNumber>{number}</sequenceNumber><grossMass>{10 * len(house)}</grossMass>"
                f"{made_items}</HouseConsignment>"
            )
        )
    master.find("grossMass").text = str(10 * sum(map(len, houses)))
    return root


def test_equipment_goes_to_the_consignments_whose_items_it_names() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        numbers = list(range(1, rng.randint(2, 9)))
        cut = rng.randint(1, len(numbers))
        houses = [h for h in (numbers[:cut], numbers[cut:]) if h]
        wanted = [
            (
                f"CSQU{rng.randint(1000000, 9999999)}",
                [f"S{rng.randint(10000, 99999)}" for _ in range(rng.randint(0, 3))],
                sorted(rng.sample(numbers, rng.randint(0, len(numbers)))),
            )
            for _ in range(rng.randint(1, 3))
        ]
        root = consignment(houses, wanted)
        found = read(root)
        check_whole(root, found)
        for house, entry in zip(houses, found.value["consignments"], strict=True):
            expected = [
                (container, seals, [i for i in items if i in house])
                for container, seals, items in wanted
                if not items or set(items) & set(house)
            ]
            assert [
                (e["id"], [s["id"] for s in e.get("seals", ())], e.get("goods_items", []))
                for e in entry.get("equipment", ())
            ] == expected
            for item in entry["items"]:
                containers = [c for c, _, items in wanted if item["declaration_number"] in items]
                assert item.get("equipment_ids", []) == containers


def test_equipment_that_names_an_item_of_nobody_is_flagged_and_kept() -> None:
    found = read(consignment([[1], [2]], [("CSQU3054383", ["A1"], [2, 7])]))
    assert [e["goods_items"] for e in found.value["consignments"][1]["equipment"]] == [[2, 7]]
    assert "equipment" not in found.value["consignments"][0]
    path = "/CC015C/Consignment/TransportEquipment/GoodsReference[2]/declarationGoodsItemNumber"
    assert f"reference:goods-item {path} 7 is no item of this document" in found.flags


def test_a_document_that_is_made_to_be_large_does_not_grow_when_it_is_read() -> None:
    houses = [[n] for n in range(1, 601)]
    equipment = [("CSQU3054383", ["A1", "A2"], []) for _ in range(600)]
    found = read(consignment(houses, equipment))
    copies = sum(len(c.get("equipment", ())) for c in found.value["consignments"])
    assert copies < 40_000
    assert any(f.startswith("equipment-not-handed-out") for f in found.flags)
    assert len(found.value["consignments"][0]["equipment"]) == 600


def test_without_a_house_one_consignment_holds_the_equipment() -> None:
    root = made("CC044C")
    for house in root.findall("Consignment/HouseConsignment"):
        root.find("Consignment").remove(house)
    found = read(root)
    assert len(found.value["consignments"]) == 1
    assert list(found.value["consignments"][0]) == ["equipment"]
    assert len(found.value["consignments"][0]["equipment"]) == 2


def test_two_mrns_are_refused_with_the_path() -> None:
    root = made("CC028C")
    operation = root.find("TransitOperation")
    other = etree.SubElement(operation, "MRN")
    other.text = "22FR00000000000001"
    operation.insert(2, other)
    with pytest.raises(Refused) as refused:
        read(root)
    first = refused.value.faults[0]
    assert (first.path, first.rule) == ("/CC028C/TransitOperation/MRN[2]", "two-references")


def test_totals_and_check_digits_are_flagged_and_kept() -> None:
    root = consignment([[1, 2], [3]], [("CSQU3054384", ["A1"], [])])
    root.find("Consignment/grossMass").text = "31"
    root.find("Consignment/HouseConsignment/grossMass").text = "19"
    root.find("Consignment/TransportEquipment/numberOfSeals").text = "3"
    flags = read(root).flags
    assert "iso6346-check-digit:CSQU3054384" in flags
    assert "totals:gross-mass /CC015C/Consignment/grossMass 31 is not the consignments' 29" in flags
    assert (
        "totals:gross-mass /CC015C/Consignment/HouseConsignment[1]/grossMass 19 is not the items' 20" in flags
    )
    assert "totals:seals /CC015C/Consignment/TransportEquipment/numberOfSeals 3 is not the listed 1" in flags
    right = read(consignment([[1, 2], [3]], [("CSQU3054383", ["A1"], [])])).flags
    assert not [f for f in right if f.startswith(("totals", "iso6346"))]


def test_guarantees_stand_alone_each_with_its_kind_and_never_with_its_access_code() -> None:
    root = made("CC029C")
    found = read(root)
    expected = [
        (g.findtext("guaranteeType"), r.findtext("GRN"), r.findtext("amountToBeCovered"), True)
        for g in root.findall("Guarantee")
        for r in g.findall("GuaranteeReference")
    ]
    assert [
        (g["kind"], g["grn"], g["amount"], g["has_access_code"]) for g in found.value["guarantees"]
    ] == expected
    codes = {node.text for node in root.iter("accessCode")}
    assert codes
    assert not codes & {str(v) for g in found.value["guarantees"] for v in g.values()}
    assert not [path for path, _, _ in found.raw if path.endswith("accessCode")]


def test_an_incident_says_where_what_and_the_new_seals() -> None:
    root = made("CC182C")
    incident, plain = read(root).value["incidents"][0], root.find("Consignment/Incident")
    assert incident["code"] == plain.findtext("code")
    assert incident["place"]["lat_deg"] == 48.123456
    assert incident["place"]["lon_deg"] == 7.123456
    assert incident["endorsed_by"] == plain.findtext("Endorsement/authority")
    assert incident["transhipment"]["transport"][0]["id"] == plain.findtext(
        "Transhipment/TransportMeans/identificationNumber"
    )
    assert [s["id"] for s in incident["equipment"][0]["seals"]] == [
        s.text for s in plain.findall("TransportEquipment[1]/Seal/identifier")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+44.96788", 44.96788),
        ("-7.5", -7.5),
        ("44.5 S", -44.5),
        ("N44.5", 44.5),
        ("44°58'04.4\"N", 44 + 58 / 60 + 4.4 / 3600),
        ("44 58.5 S", -(44 + 58.5 / 60)),
        ("90", 90.0),
        ("91", None),
        ("44°61'N", None),
        ("-44.5 N", None),
        ("44.5 E", None),
        ("here", None),
        ("", None),
    ],
)
def test_latitudes(text: str, expected: float | None) -> None:
    assert latitude(text) == pytest.approx(expected)


def test_longitudes() -> None:
    assert longitude("172°30'W") == -172.5
    assert longitude("180.0000000") == 180
    assert longitude("180.5") is None
    assert longitude("44.5 N") is None


def test_a_position_that_cannot_be_is_kept_raw_and_flagged() -> None:
    root = made("CC007C")
    # The XSD's pattern has bare dots, so that it takes this.
    root.find("Consignment/LocationOfGoods/GNSS/latitude").text = "90x000000"
    found = read(root)
    check_whole(root, found)
    path = "/CC007C/Consignment/LocationOfGoods/GNSS/latitude"
    assert (path, "90x000000", "is no position in degrees") in found.raw
    assert f"position-form {path} '90x000000' is no position in degrees" in found.flags
    assert "lat_deg" not in found.value["places"][0]


HEAD = """<messageSender>NTA.FR</messageSender><messageRecipient>trader</messageRecipient>
<preparationDateAndTime>2024-05-06T07:08:09</preparationDateAndTime><messageIdentification>m1</messageIdentification>"""
PARTY = "<identificationNumber>FR123</identificationNumber><name>Holder</name>"
CC140C = f"""<ncts:CC140C xmlns:ncts="{NCTS}" PhaseID="NCTS5.1">{HEAD}<messageType>CC140C</messageType>
<TransitOperation><MRN>24FR0000000000J1T9</MRN><requestOnNonArrivedMovementDate>2024-05-06</requestOnNonArrivedMovementDate>
<limitForResponseDate>2024-06-03</limitForResponseDate></TransitOperation>
<CustomsOfficeOfDeparture><referenceNumber>FR000040</referenceNumber></CustomsOfficeOfDeparture>
<CustomsOfficeOfEnquiryAtDeparture><referenceNumber>FR000041</referenceNumber></CustomsOfficeOfEnquiryAtDeparture>
<HolderOfTheTransitProcedure>{PARTY}</HolderOfTheTransitProcedure></ncts:CC140C>"""
CC141C = f"""<ncts:CC141C xmlns:ncts="{NCTS}" PhaseID="NCTS5.1">{HEAD}<messageType>CC141C</messageType>
<TransitOperation><MRN>24FR0000000000J1T9</MRN></TransitOperation>
<CustomsOfficeOfDestinationActual><referenceNumber>DE000055</referenceNumber></CustomsOfficeOfDestinationActual>
<CustomsOfficeOfEnquiryAtDeparture><referenceNumber>FR000041</referenceNumber></CustomsOfficeOfEnquiryAtDeparture>
<HolderOfTheTransitProcedure>{PARTY}</HolderOfTheTransitProcedure>
<Enquiry><TC11DeliveryDate>2024-05-01</TC11DeliveryDate><text>delivered</text></Enquiry>
<Consignment><ConsigneeActual><name>Empfang</name></ConsigneeActual></Consignment></ncts:CC141C>"""


def test_the_enquiry_is_read_though_no_xsd_is_at_hand() -> None:
    asked, answered = (etree.fromstring(text) for text in (CC140C, CC141C))
    question, answer = read(asked), read(answered)
    check_whole(asked, question)
    check_whole(answered, answer)
    assert question.value["enquiry"] == {"sent_on": "2024-05-06", "due_on": "2024-06-03"}
    assert question.value["function"] == "request"
    assert answer.value["enquiry"] == {
        "answer": "delivered",
        "delivered_on": "2024-05-01",
        "consignee": "Empfang",
    }
    assert {(o["role"], o["id"]) for o in answer.value["offices"]} == {
        ("destination-actual", "DE000055"),
        ("enquiry", "FR000041"),
    }
    assert [p["role"] for p in answer.value["parties"]] == ["holder", "consignee-actual"]
    assert not question.raw


@pytest.mark.parametrize(
    ("old", "new", "path", "rule"),
    [
        ("<MRN>24FR0000000000J1T9</MRN>", "", "/CC140C/TransitOperation/MRN", "missing"),
        ("24FR0000000000J1T9", "24FR", "/CC140C/TransitOperation/MRN", "pattern"),
        ("2024-06-03", "soon", "/CC140C/TransitOperation/limitForResponseDate", "pattern"),
        ("2024-06-03", "2024-06-31", "/CC140C/TransitOperation/limitForResponseDate", "value"),
        (">CC140C<", ">CC141C<", "/CC140C/messageType", "value"),
        (' PhaseID="NCTS5.1"', "", "/CC140C/@PhaseID", "missing"),
        (NCTS, "urn:x", "/CC140C", "root"),
        ("<MRN>", "<MRN>24FR0000000000J1T9</MRN><MRN>", "/CC140C/TransitOperation/MRN[2]", "too-many"),
    ],
)
def test_an_enquiry_that_cannot_be_is_refused(old: str, new: str, path: str, rule: str) -> None:
    with pytest.raises(Refused) as refused:
        recognise.read(CC140C.replace(old, new).encode())
    assert (path, rule) in {(f.path, f.rule) for f in refused.value.faults}


def test_names_that_are_made_to_fill_memory_are_refused() -> None:
    deep = "".join(f"<{letter * 90}>" for letter in "abcdefgh")
    close = "".join(f"</{letter * 90}>" for letter in "hgfedcba")
    with pytest.raises(Refused) as refused:
        recognise.read(
            CC140C.replace("<TransitOperation>", f"{deep}<x>1</x>{close}<TransitOperation>").encode()
        )
    assert refused.value.faults[0].rule == "too-deep"


def test_a_message_in_utf16_is_recognised_and_one_of_another_system_is_named() -> None:
    root = made("CC028C")
    text = etree.tostring(root, encoding="unicode")
    wide = recognise.read(f'<?xml version="1.0" encoding="UTF-16"?>{text}'.encode("utf-16"))
    assert wide.value == read(root).value
    with pytest.raises(Refused) as refused:
        recognise.read(text.replace("CC028C", "CC599C").encode())
    assert refused.value.faults[0].rule == "unknown-kind"


@needs_xsds
def test_a_damaged_document_is_refused_or_read_whole_as_the_xsd_says() -> None:
    """Samples of both standards with random damage: refused with paths where the real XSD refuses, else read whole."""
    outcomes = Counter()
    for what, root in mutants(20241106, 250):
        standard, *cancellation = [theirs.validate(root) for theirs, _ in judges(root)]
        found, faults = outcome(root)
        if found is None:
            rules = {fault.rule for fault in faults}
            # What no XSD says: two numbers, a day that the calendar lacks; and a cancellation has an XSD of its own.
            beyond = rules <= {"value", "two-references"} or (cancellation and not cancellation[0])
            assert rules, what
            assert beyond or not standard, what
        else:
            assert standard, what
            as_customs(found.value)
            assert set(found.taken) | {p for p, _, _ in found.raw} == set(leaves(root)), what
        outcomes[found is None] += 1
    assert min(outcomes.values()) > 50


def outcome(root: etree._Element) -> tuple[Read | None, list[Fault]]:
    try:
        return read(root), []
    except Refused as error:
        return None, error.faults


def test_the_page_names_every_message_and_what_it_is() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "customs" / "ncts.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (CC\w+) \| .*? \| (\w+) \|$", page, re.MULTILINE))
    assert rows == {code: function for code, (function, _) in ncts.MESSAGES.items()}
    assert {code for code in ncts.MESSAGES if re.search(rf"\| {code} \|.*no XSD", page)} == ncts.WITHOUT_XSD


def test_a_number_repeated_without_end_is_refused_at_once() -> None:
    many = "".join(f"<MRN>24FR{n:013d}J</MRN>" for n in range(50_000))
    text = etree.tostring(made("CC028C"), encoding="unicode").replace("<MRN>", f"{many}<MRN>", 1)
    with pytest.raises(Refused) as refused:
        recognise.read(text.encode())
    assert refused.value.faults[0].rule == "two-references"
    assert len(refused.value.faults) < 200
