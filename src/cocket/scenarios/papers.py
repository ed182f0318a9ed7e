"""Papers that scenarios hand in: NCTS messages, an ASYCUDA declaration, a terminal's messages. Templates of our own, one each.

Everything in them is made up. NCTS: DDNTA phase 5, namespace ``http://ncts.dgtaxud.ec``. ASYCUDA World has no published schema; names
follow what national systems export. EDIFACT: COPRAR D.00B (SMDG 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

from cocket.core.clock import rfc3339

_NCTS: Final = "http://ncts.dgtaxud.ec"


@dataclass(frozen=True, slots=True)
class Transit:
    """What a transit declaration says. ``plate`` with its ``country``; ``licences`` as (type, number) of additional references."""

    mrn: str
    lrn: str
    grn: str
    amount: str
    currency: str
    departure: str
    destination: str
    container: str
    goods: tuple[str, str]
    mass_kg: int
    plate: str = ""
    country: str = ""
    carrier: str = ""
    driver: str = ""
    transit_offices: tuple[str, ...] = ()
    route: tuple[str, ...] = ()
    seals: tuple[str, ...] = ()
    licences: tuple[tuple[str, str], ...] = field(default=())


def cc015c(t: Transit, at_us: int) -> str:
    """Declaration data: lodged under its LRN."""
    return _message(
        "CC015C",
        at_us,
        _operation(t, lodged=True) + _offices(t) + _holder() + _guarantee(t) + _consignment(t),
    )


def cc028c(t: Transit, at_us: int) -> str:
    """MRN allocated: accepted."""
    operation = (
        f"<TransitOperation><LRN>{t.lrn}</LRN><MRN>{t.mrn}</MRN>"
        f"<declarationAcceptanceDate>{rfc3339(at_us)[:10]}</declarationAcceptanceDate></TransitOperation>"
    )
    office = _office("CustomsOfficeOfDeparture", t.departure)
    return _message("CC028C", at_us, operation + office + _holder())


def cc029c(t: Transit, at_us: int) -> str:
    """Release for transit, with the seals that were put on."""
    operation = _operation(t, lodged=False, day=rfc3339(at_us)[:10])
    return _message("CC029C", at_us, operation + _offices(t) + _holder() + _guarantee(t) + _consignment(t))


def _message(kind: str, at_us: int, body: str) -> str:
    prepared = rfc3339(at_us)[:19]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ncts:{kind} PhaseID="NCTS5.1" xmlns:ncts="{_NCTS}">'
        f"<messageSender>NTA.NL</messageSender><messageRecipient>COCKET</messageRecipient>"
        f"<preparationDateAndTime>{prepared}</preparationDateAndTime>"
        f"<messageIdentification>{kind}{at_us % 10**12}</messageIdentification><messageType>{kind}</messageType>"
        f"{body}</ncts:{kind}>"
    )


def _operation(t: Transit, *, lodged: bool, day: str = "") -> str:
    given = "" if lodged else f"<MRN>{t.mrn}</MRN>"
    dates = (
        ""
        if lodged
        else f"<declarationAcceptanceDate>{day}</declarationAcceptanceDate><releaseDate>{day}</releaseDate>"
    )
    return (
        f"<TransitOperation><LRN>{t.lrn}</LRN>{given}<declarationType>T1</declarationType>"
        f"<additionalDeclarationType>A</additionalDeclarationType>{dates}<security>0</security>"
        "<reducedDatasetIndicator>0</reducedDatasetIndicator><bindingItinerary>1</bindingItinerary></TransitOperation>"
    )


def _office(role: str, office: str, number: int | None = None) -> str:
    counted = "" if number is None else f"<sequenceNumber>{number}</sequenceNumber>"
    return f"<{role}>{counted}<referenceNumber>{office}</referenceNumber></{role}>"


def _offices(t: Transit) -> str:
    between = (_office("CustomsOfficeOfTransitDeclared", o, i) for i, o in enumerate(t.transit_offices, 1))
    return (
        _office("CustomsOfficeOfDeparture", t.departure)
        + _office("CustomsOfficeOfDestinationDeclared", t.destination)
        + "".join(between)
    )


def _holder() -> str:
    return (
        "<HolderOfTheTransitProcedure><identificationNumber>KEP000111222A</identificationNumber>"
        "</HolderOfTheTransitProcedure>"
    )


def _guarantee(t: Transit) -> str:
    return (
        "<Guarantee><sequenceNumber>1</sequenceNumber><guaranteeType>1</guaranteeType><GuaranteeReference>"
        f"<sequenceNumber>1</sequenceNumber><GRN>{t.grn}</GRN><accessCode>AC01</accessCode>"
        f"<amountToBeCovered>{t.amount}</amountToBeCovered><currency>{t.currency}</currency></GuaranteeReference></Guarantee>"
    )


def _consignment(t: Transit) -> str:
    hs, words = t.goods
    carrier = ""
    if t.carrier:
        contact = (
            f"<ContactPerson><name>{escape(t.driver)}</name><phoneNumber>+254700000001</phoneNumber></ContactPerson>"
            if t.driver
            else ""
        )
        carrier = f"<Carrier><identificationNumber>{t.carrier}</identificationNumber>{contact}</Carrier>"
    seals = "".join(
        f"<Seal><sequenceNumber>{i}</sequenceNumber><identifier>{s}</identifier></Seal>"
        for i, s in enumerate(t.seals, 1)
    )
    equipment = (
        "<TransportEquipment><sequenceNumber>1</sequenceNumber>"
        f"<containerIdentificationNumber>{t.container}</containerIdentificationNumber><numberOfSeals>{len(t.seals)}</numberOfSeals>"
        f"{seals}<GoodsReference><sequenceNumber>1</sequenceNumber><declarationGoodsItemNumber>1</declarationGoodsItemNumber>"
        "</GoodsReference></TransportEquipment>"
    )
    means = (
        "<DepartureTransportMeans><sequenceNumber>1</sequenceNumber><typeOfIdentification>30</typeOfIdentification>"
        f"<identificationNumber>{t.plate}</identificationNumber><nationality>{t.country}</nationality></DepartureTransportMeans>"
        if t.plate
        else ""
    )
    route = "".join(
        f"<CountryOfRoutingOfConsignment><sequenceNumber>{i}</sequenceNumber><country>{c}</country></CountryOfRoutingOfConsignment>"
        for i, c in enumerate(t.route, 1)
    )
    licences = "".join(
        f"<AdditionalReference><sequenceNumber>{i}</sequenceNumber><type>{kind}</type><referenceNumber>{number}</referenceNumber>"
        "</AdditionalReference>"
        for i, (kind, number) in enumerate(t.licences, 1)
    )
    item = (
        "<ConsignmentItem><goodsItemNumber>1</goodsItemNumber><declarationGoodsItemNumber>1</declarationGoodsItemNumber>"
        f"<Commodity><descriptionOfGoods>{escape(words)}</descriptionOfGoods><CommodityCode>"
        f"<harmonizedSystemSubHeadingCode>{hs}</harmonizedSystemSubHeadingCode></CommodityCode>"
        f"<GoodsMeasure><grossMass>{t.mass_kg}</grossMass></GoodsMeasure></Commodity>"
        "<Packaging><sequenceNumber>1</sequenceNumber><typeOfPackages>CT</typeOfPackages><numberOfPackages>400</numberOfPackages>"
        "<shippingMarks>MADE UP</shippingMarks></Packaging></ConsignmentItem>"
    )
    return (
        f"<Consignment><containerIndicator>1</containerIndicator><grossMass>{t.mass_kg}</grossMass>{carrier}{equipment}{means}{route}"
        f"<PlaceOfLoading><country>{t.departure[:2]}</country><location>MADE UP</location></PlaceOfLoading>"
        f"{licences}<HouseConsignment><sequenceNumber>1</sequenceNumber><grossMass>{t.mass_kg}</grossMass>{item}"
        "</HouseConsignment></Consignment>"
    )


def sad(office: str, number: int, year: int, container: str, plate: str, manifest: str) -> str:
    """An import declaration of ASYCUDA World, registered: its reference is office, year, serial and number."""
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<ASYCUDA>
  <Property><Sad_flow>I</Sad_flow>
    <Nbers><Total_number_of_items>1</Total_number_of_items><Total_number_of_packages>400</Total_number_of_packages></Nbers></Property>
  <Identification>
    <Office_segment><Customs_clearance_office_code>{office}</Customs_clearance_office_code>
      <Customs_Clearance_office_name>Matsapha</Customs_Clearance_office_name></Office_segment>
    <Type><Type_of_declaration>IM</Type_of_declaration><Declaration_gen_procedure_code>4</Declaration_gen_procedure_code>
      <Type_of_transit_document><null/></Type_of_transit_document></Type>
    <Manifest_reference_number>{manifest}</Manifest_reference_number>
    <Registration><Serial_number>C</Serial_number><Number>{number}</Number><Date>10/26/{year % 100}</Date></Registration>
  </Identification>
  <Traders><Exporter><Exporter_code><null/></Exporter_code><Exporter_name>Bright Looms Co.</Exporter_name></Exporter>
    <Consignee><Consignee_code>SZ1000567</Consignee_code><Consignee_name>Manzini Textiles Ltd</Consignee_name></Consignee></Traders>
  <Declarant><Declarant_code>SZ0042</Declarant_code><Declarant_name>Lubombo Clearing</Declarant_name>
    <Reference><Year>{year}</Year><Number>LC/{number}</Number></Reference></Declarant>
  <Transport>
    <Means_of_transport><Departure_arrival_information><Identity>{plate}</Identity><Nationality>SZ</Nationality>
      </Departure_arrival_information><Inland_mode_of_transport>3</Inland_mode_of_transport></Means_of_transport>
    <Container_flag>true</Container_flag></Transport>
  <Container><Item_Number>1</Item_Number><Container_identity>{container}</Container_identity>
    <Container_type>22G1</Container_type><Empty_full_indicator>1/1</Empty_full_indicator></Container>
  <Item>
    <Packages><Number_of_packages>400</Number_of_packages><Kind_of_packages_code>CT</Kind_of_packages_code></Packages>
    <Tarification><Tarification_data><null/></Tarification_data>
      <HScode><Commodity_code>52081100</Commodity_code><Precision_1>00</Precision_1></HScode></Tarification>
    <Goods_description><Country_of_origin_code>CN</Country_of_origin_code>
      <Description_of_goods>Plain weave, weighing not more than 100 g/m2</Description_of_goods></Goods_description>
    <Valuation_item><Weight_itm><Gross_weight_itm>12500.0</Gross_weight_itm></Weight_itm></Valuation_item>
  </Item>
</ASYCUDA>
"""


def coprar(number: int, booking: str, containers: Sequence[str]) -> str:
    """A carrier's order to load: which containers under which booking."""
    equipment = "".join(
        f"EQD+CN+{c}+22G1:102:5+2+2+5'\nRFF+BN:{booking}'\nLOC+9+CLSAI:139:6'\nLOC+11+NLRTM:139:6'\nMEA+AAE+VGM+KGM:21885'\n"
        for c in containers
    )
    segments = 7 + 5 * len(containers)
    n = number % 10**8
    return (
        f"UNB+UNOA:2+CARRIERX+SAITOS+261118:1015+CP{n:08d}'\nUNH+{n}+COPRAR:D:00B:UN:SMDG21+LOADINGCOPRAR'\nBGM+45+{n}+9'\n"
        "DTM+137:202611181000:203'\nTDT+20+226W+1++CXL:172:20+++9074729:146:11:EVER GENTLE'\nNAD+CA+CXL:172:20'\n"
        f"{equipment}CNT+16:{len(containers)}'\nUNT+{segments}+{n}'\nUNZ+1+CP{n:08d}'\n"
    )
