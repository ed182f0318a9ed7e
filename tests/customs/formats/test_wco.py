"""WCO declarations: every sample that the real XSD takes is read whole, and says what a plain XPath reading of it says."""

from __future__ import annotations

import random
import re
from collections import Counter
from functools import cache
from typing import Any

import pytest
from lxml import etree
from tests.customs.formats.documents import at, document, leaves, says
from tests.customs.formats.xsds import DEC, FOLDER, MD, cancellation_xsd, folder, needs_xsds, wco_xsd

from cocket.core.errors import Refused
from cocket.customs.formats import recognise, schema
from cocket.customs.formats.reading import Read
from cocket.customs.formats.wco_parts import mass
from cocket.customs.formats.xmltree import parse
from cocket.customs.model import as_customs

D = f"{{{DEC}}}"
JOINED = re.compile(
    r"/(hs|procedure|function|pointer|role|has_access_code|containerised|gross_mass_kg|net_mass_kg)$"
)
"""Fields that are made of more than one value, or are words for a code; they are tested by name below."""


def read(root: etree._Element) -> Read:
    return recognise.read(etree.tostring(root))


@cache
def samples() -> dict[str, etree._Element]:
    """Every sample with a MetaData in it that the XSD takes, by name: the root of the document, envelope and all."""
    found: dict[str, etree._Element] = {}
    if FOLDER is None:
        return found
    for path in sorted(folder("wco-dm", "samples").iterdir()):
        try:
            root = parse(path.read_bytes())
        except Refused:
            continue
        inner = root if root.tag == f"{{{MD}}}MetaData" else next(root.iter(f"{{{MD}}}MetaData"), None)
        if inner is not None and wco_xsd().validate(etree.fromstring(etree.tostring(inner))):
            found[path.name] = root
    return found


def made(seed: int, *, full: bool = False, code: str = "9", kind: str = "IMA") -> etree._Element:
    root = document(schema.wco(), f"{{{MD}}}MetaData", random.Random(f"{code} {kind} {seed}"), 2, full)
    declaration = root.find(f"{D}Declaration")
    declaration.find(f"{D}FunctionCode").text = code
    found = declaration.find(f"{D}TypeCode")
    if found is not None:
        found.text = kind
    return root


def check_whole(root: etree._Element, found: Read) -> None:
    """Every leaf of the document is mapped or raw, none both, and what is written says what its place in the source says."""
    as_customs(found.value)
    source = leaves(root)
    raw = {path: value for path, value, _ in found.raw}
    assert set(found.taken) | set(raw) == set(source)
    assert not set(found.taken) & set(raw)
    assert {path: source[path] for path in raw} == raw
    for pointer, path in found.origins.items():
        if pointer.startswith("/consignments") and "/goods_items/" in pointer:
            continue  # the item's number, told by the item that names the container
        if not JOINED.search(pointer):
            assert says(at(found.value, pointer), source[path]), (pointer, path)


def check_against_xpath(root: etree._Element, value: dict[str, Any]) -> None:
    """The fields that the rest of the system lives on, by plain paths."""
    declaration = root if root.tag == f"{D}Declaration" else next(root.iter(f"{D}Declaration"))

    def texts(path: str, under: etree._Element = declaration) -> list[str]:
        full = "/".join(f"{D}{step}" for step in path.split("/"))
        return [node.text.strip() for node in under.findall(full) if node.text and node.text.strip()]

    items = [item for c in value.get("consignments", ()) for item in c.get("items", ())]
    equipment = [e for c in value.get("consignments", ()) for e in c.get("equipment", ())]
    assert [value[k] for k in ("mrn",) if k in value] == texts("ID")
    code, reference = texts("FunctionCode"), texts("FunctionalReferenceID")
    own = value.get("lrn") if code == ["9"] else value["message"].get("id")
    assert [own] * (own is not None) == reference
    item = "GoodsShipment/GovernmentAgencyGoodsItem"
    assert [i["description"] for i in items if "description" in i] == texts(f"{item}/Commodity/Description")
    expected = []
    for commodity in declaration.iter(f"{D}Commodity"):
        kinds = {
            (k.findtext(f"{D}IdentificationTypeCode") or "").strip(): (k.findtext(f"{D}ID") or "").strip()
            for k in reversed(commodity.findall(f"{D}Classification"))
        }
        if kinds.get("TSP"):
            expected.append(kinds["TSP"] + kinds.get("TRC", ""))
        elif kinds.get("HS"):
            expected.append(kinds["HS"])
    assert [i["hs"] for i in items if "hs" in i] == expected
    masses = [
        float(n.text) * {"TNE": 1000, "GRM": 0.001}.get(n.get("unitCode", ""), 1)
        for n in declaration.iter(f"{D}GrossMassMeasure")
    ]
    assert [i["gross_mass_kg"] for i in items if "gross_mass_kg" in i] == pytest.approx(masses)
    masses = [
        float(n.text) * {"TNE": 1000, "GRM": 0.001}.get(n.get("unitCode", ""), 1)
        for n in declaration.iter(f"{D}NetNetWeightMeasure")
    ]
    assert [i["net_mass_kg"] for i in items if "net_mass_kg" in i] == pytest.approx(masses)
    assert [e["id"] for e in equipment if "id" in e] == texts(
        "GoodsShipment/Consignment/TransportEquipment/ID"
    )
    seals = texts("GoodsShipment/Consignment/TransportEquipment/Seal/ID")
    assert [s["id"] for e in equipment for s in e.get("seals", ())] == seals
    named = texts(f"{item}/Commodity/TransportEquipment/ID")
    assert [e for i in items for e in i.get("equipment_ids", ())] == named
    assert [c["id"] for i in items for c in i.get("classifications", ())] == texts(
        f"{item}/Commodity/Classification/ID"
    )
    packages = texts(f"{item}/Packaging/QuantityQuantity")
    assert [str(p["quantity"]) for i in items for p in i.get("packages", ()) if "quantity" in p] == [
        str(int(float(p))) for p in packages
    ]
    assert [
        d["id"] for i in items for d in i.get("documents", ()) if d["role"] == "additional" and "id" in d
    ] == texts(f"{item}/AdditionalDocument/ID")
    assert [value[k] for k in ("value",) if k in value] == texts("InvoiceAmount")
    grns = texts("ObligationGuarantee/ID")
    assert [g["grn"] for g in value.get("guarantees", ()) if "grn" in g] == grns


@needs_xsds
def test_the_samples_that_the_xsd_takes_are_read_whole() -> None:
    assert len(samples()) == 164
    for root in samples().values():
        found = read(root)
        assert found.kind == "wco-declaration"
        check_whole(root, found)
        check_against_xpath(root, found.value)


@needs_xsds
def test_what_is_kept_raw_of_all_samples_is_this_and_no_more() -> None:
    kept: Counter[str] = Counter()
    mapped = 0
    for root in samples().values():
        found = read(root)
        mapped += len(found.taken)
        kept.update(re.sub(r"\[\d+\]", "", path) for path, _, _ in found.raw)
    envelope = [
        "regime",
        "receiptDate",
        "clientID",
        "conversationID",
        "originatingPartyID",
        "authenticatedPartyID",
    ]
    assert kept == {
        "/MetaData/Declaration/Consignment/Itinerary/SequenceNumeric": 50,
        "/MetaData/Declaration/GoodsShipment/GovernmentAgencyGoodsItem/Commodity/TransportEquipment/SequenceNumeric": 20,
        **{f"/submitDeclarationRequest/requestCommon/{name}": 8 for name in envelope},
    }
    assert mapped == 14746


@needs_xsds
def test_what_the_samples_do() -> None:
    done = Counter(read(root).value["function"] for root in samples().values())
    assert done == {"original": 146, "amendment": 13, "notice": 3, "cancellation": 2}
    amendment = read(samples()["TT_IM005b__TT_IM005b_Amendment.xml"]).value
    assert amendment["changes"] == [
        {
            "reason": "28",
            "pointer": "42A[1]/67A[1]/68A[1]/23A[1]/65A[1]#128",
            "text": "TT_IM05 Amendment to Net Weight",
        }
    ]
    assert amendment["mrn"] == "22GB9TOG03BRZ1GA02"
    assert "lrn" not in amendment
    assert amendment["message"]["id"] == "TT_IM05_Amend"
    assert amendment["consignments"][0]["items"] == [{"number": 1, "net_mass_kg": 89.0}]
    cancellation = read(samples()["TT_EX010a__TT_EX010a_Cancellation.xml"]).value
    assert cancellation["function"] == "cancellation"
    assert cancellation["changes"] == [{"reason": "1", "text": "This is a duplicate, please can"}]


@needs_xsds
def test_a_sample_that_is_no_declaration_or_no_xml_is_refused() -> None:
    for name, rule in (
        ("TT_IM001c__Example_Notifications__step-2_DIS.xml", "unknown-kind"),
        ("TT_IM084a__TT_IM084a.xml", "not-well-formed"),
    ):
        with pytest.raises(Refused) as refused:
            recognise.read(folder("wco-dm", "samples", name).read_bytes())
        assert [f.rule for f in refused.value.faults] == [rule]


def test_generated_declarations_are_read_whole() -> None:
    for seed in range(40):
        root = made(seed, full=seed == 0)
        if seed % 2:
            root = etree.fromstring(etree.tostring(root.find(f"{D}Declaration")))
        found = read(root)
        check_whole(root, found)
        check_against_xpath(root, found.value)


@needs_xsds
def test_what_was_generated_is_valid_by_the_real_xsd() -> None:
    for seed in range(40):
        assert wco_xsd().validate(made(seed, full=seed == 0)), wco_xsd().error_log


SMALL = f"""<md:MetaData xmlns:md="{MD}" xmlns="{DEC}"><md:WCODataModelVersionCode>3.6</md:WCODataModelVersionCode>
<md:WCOTypeName>DEC</md:WCOTypeName><Declaration><FunctionCode>9</FunctionCode><FunctionalReferenceID>L1</FunctionalReferenceID>
<ID>24KE00000000000005</ID><TypeCode>EXA</TypeCode><GoodsItemQuantity>2</GoodsItemQuantity>
<TotalGrossMassMeasure unitCode="TNE">1.5</TotalGrossMassMeasure><TotalPackageQuantity>10</TotalPackageQuantity>
<Declarant><Name>Shipper</Name><Communication><ID>+254 1</ID><TypeCode>TE</TypeCode></Communication></Declarant><GoodsShipment>
<Consignment><TransportEquipment><SequenceNumeric>1</SequenceNumeric><ID>CSQU3054384</ID>
<Seal><SequenceNumeric>1</SequenceNumeric><ID>S1</ID></Seal></TransportEquipment></Consignment>
<GovernmentAgencyGoodsItem><SequenceNumeric>1</SequenceNumeric><Commodity>
<Classification><ID>09021000</ID><IdentificationTypeCode>TSP</IdentificationTypeCode></Classification>
<GoodsMeasure><GrossMassMeasure unitCode="KGM">900</GrossMassMeasure></GoodsMeasure>
<TransportEquipment><SequenceNumeric>1</SequenceNumeric><ID>CSQU3054384</ID></TransportEquipment></Commodity>
<GovernmentProcedure><CurrentCode>10</CurrentCode><PreviousCode>00</PreviousCode></GovernmentProcedure>
<GovernmentProcedure><CurrentCode>F75</CurrentCode></GovernmentProcedure>
<Origin><CountryCode>KE</CountryCode><TypeCode>1</TypeCode></Origin><Origin><CountryCode>EA</CountryCode><TypeCode>2</TypeCode></Origin>
<Packaging><SequenceNumeric>1</SequenceNumeric><QuantityQuantity>9</QuantityQuantity><TypeCode>SA</TypeCode></Packaging>
</GovernmentAgencyGoodsItem></GoodsShipment></Declaration></md:MetaData>"""


def small(old: str = "", new: str = "") -> Read:
    assert old in SMALL
    return recognise.read(SMALL.replace(old, new).encode())


def test_a_declaration_of_any_country() -> None:
    found = small()
    value = found.value
    item = value["consignments"][0]["items"][0]
    assert (value["function"], value["procedure"], value["mrn"], value["lrn"]) == (
        "original",
        "export",
        "24KE00000000000005",
        "L1",
    )
    assert value["gross_mass_kg"] == 1500.0
    assert value["parties"][0] == {"role": "declarant", "name": "Shipper", "contact": {"phone": "+254 1"}}
    assert (item["procedure"], item["procedures"]) == ("1000", ["F75"])
    assert (item["origin"], item["origin_preferential"]) == ("KE", "EA")
    assert value["consignments"][0]["equipment"][0]["goods_items"] == [1]
    assert found.flags == [
        "iso6346-check-digit:CSQU3054384",
        "totals:gross-mass /MetaData/Declaration/TotalGrossMassMeasure 1500 is not the items' 900",
        "totals:packages /MetaData/Declaration/TotalPackageQuantity 10 is not the items' 9",
        "totals:items /MetaData/Declaration/GoodsItemQuantity 2 is not the listed 1",
    ]
    assert [path.rsplit("/", 2)[-2:] for path, _, _ in found.raw] == [
        ["TransportEquipment", "SequenceNumeric"]
    ]


@pytest.mark.parametrize(
    ("code", "kind", "function"),
    [
        ("13", "COR", "amendment"),
        ("13", "GPR", "notice"),
        ("13", "GPN", "notice"),
        ("9", "IMZ", "original"),
    ],
)
def test_what_a_message_does(code: str, kind: str, function: str) -> None:
    text = SMALL.replace(">9</FunctionCode>", f">{code}</FunctionCode>").replace(">EXA<", f">{kind}<")
    value = recognise.read(text.encode()).value
    assert value["function"] == function
    assert ("lrn" in value) == (code == "9")


def test_a_cancellation_must_have_what_a_cancellation_needs() -> None:
    text = SMALL.replace(">9</FunctionCode>", ">13</FunctionCode>").replace(">EXA<", ">INV<")
    with pytest.raises(Refused) as refused:
        recognise.read(text.encode())
    assert refused.value.faults[0].path.startswith("/MetaData/Declaration/")
    if FOLDER is not None:
        assert not cancellation_xsd().validate(etree.fromstring(text))


def test_two_numbers_are_refused_with_the_path() -> None:
    number = "<ID>24KE00000000000005</ID>"
    with pytest.raises(Refused) as refused:
        small(number, f"{number}<ID>24KE00000000000077</ID>")
    first = refused.value.faults[0]
    assert (first.path, first.rule) == ("/MetaData/Declaration/ID[2]", "two-references")


def test_an_element_that_is_not_known_is_refused_with_the_path() -> None:
    with pytest.raises(Refused) as refused:
        small("<TypeCode>EXA</TypeCode>", "<TypeCode>EXA</TypeCode><Colour>red</Colour>")
    assert ("/MetaData/Declaration/Colour", "unexpected") in {(f.path, f.rule) for f in refused.value.faults}


def test_a_time_that_cannot_be_is_refused_with_the_path() -> None:
    when = '<AcceptanceDateTime><DateTimeString xmlns="urn:wco:datamodel:WCO:Declaration_DS:DMS:2" formatCode="304">'
    end = "</DateTimeString></AcceptanceDateTime><FunctionCode>9"
    right = small("<FunctionCode>9", f"{when}20240506070809+02{end}")
    assert right.value["accepted_at"] == "2024-05-06T05:08:09Z"
    with pytest.raises(Refused) as refused:
        small("<FunctionCode>9", f"{when}20240532070809Z{end}")
    assert [(f.path, f.rule) for f in refused.value.faults] == [
        ("/MetaData/Declaration/AcceptanceDateTime/DateTimeString", "value")
    ]


def test_an_envelope_is_kept_beside_and_two_declarations_in_it_are_refused() -> None:
    inner = SMALL.rsplit("?>", maxsplit=1)[-1]
    one = recognise.read(
        f"<e:send xmlns:e='urn:e'><e:at>now</e:at><e:body>{inner}</e:body></e:send>".encode()
    )
    assert one.value["mrn"] == "24KE00000000000005"
    assert one.origins["/mrn"] == "/send/body/MetaData/Declaration/ID"
    assert next((p, v) for p, v, _ in one.raw) == ("/send/at", "now")
    with pytest.raises(Refused) as refused:
        recognise.read(f"<e:send xmlns:e='urn:e'>{inner}{inner}</e:send>".encode())
    assert refused.value.faults[0].rule == "too-many"


@pytest.mark.parametrize(
    ("value", "unit", "kilograms"),
    [("1.5", "TNE", 1500), ("500", "GRM", 0.5), ("2", "LBR", 0.90718474), ("3", "", 3), ("3", "LTR", None)],
)
def test_masses(value: str, unit: str, kilograms: float | None) -> None:
    assert mass(value, unit) == kilograms


def test_a_mass_in_a_unit_that_is_none_is_kept_raw() -> None:
    found = small('unitCode="KGM">900', 'unitCode="LTR">900')
    assert "gross_mass_kg" not in found.value["consignments"][0]["items"][0]
    assert [v for _, v, _ in found.raw] == ["900", "LTR", "1"]
