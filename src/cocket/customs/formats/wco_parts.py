"""What stands where in a WCO Data Model 3.6 declaration, as tables for ``mapping``. ``wco`` says what they are used for.

Names: WCO Data Model 3.6, declaration (DEC). Codes that give a party its role, a place its kind or a date its form are turned into words or
read; every other code stands as declared.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from cocket.customs.formats.mapping import Gather, Join, Known, Leaf, Many, Node, Part, Rule, Within
from cocket.customs.formats.ncts_parts import actor
from cocket.customs.formats.values import amount, formatted, integer, kilograms

_COUNTER: Final = "a counter of the format; the order is kept"

_KILOGRAMS: Final = {
    "": Decimal(1),
    "KGM": Decimal(1),
    "GRM": Decimal("0.001"),
    "TNE": Decimal(1000),
    "LBR": Decimal("0.45359237"),
    "ONZ": Decimal("0.028349523125"),
}
"""UN/ECE Recommendation 20; without a unit, kilograms are meant."""


def mass(value: str, unit: str) -> float | None:
    """Kilograms; none in a unit that is no mass, so that it is kept raw."""
    factor = _KILOGRAMS.get(unit)
    if factor is None:
        return None
    return kilograms(str(Decimal(amount(value)) * factor))


def when(value: str, form: str) -> str:
    """A ``DateTimeString`` by its ``formatCode``; 304 is the usual one."""
    return formatted(form or "304", value)


def pointer(steps: Sequence[Node]) -> str:
    """``42A[1]/67A[1]/68A[2]#128`` from the Pointer elements of an amendment or a statement."""
    return "/".join(_pointer_step(step) for step in steps)


def _pointer_step(step: Node) -> str:
    said = {child.name: child.text for child in step.children}
    number, tag = said.get("SequenceNumeric"), said.get("TagID")
    return (
        said.get("DocumentSectionCode", "") + (f"[{number}]" if number else "") + (f"#{tag}" if tag else "")
    )


def first(value: str, *_: str) -> str | None:
    """The first of several; the others say only what it is."""
    return value or None


def both(code: str, more: str) -> str | None:
    """A code and what follows it; the second alone is none."""
    return code + more if code else None


FUNCTIONS: Final = {
    "1": "cancellation",
    "4": "amendment",
    "5": "replacement",
    "9": "original",
    "11": "response",
    "27": "response",
    "29": "response",
}
"""UN/EDIFACT 1225, as far as declarations use it; what is not here is a notice."""

ADDITIONAL: Final = {"COR": "amendment", "INV": "cancellation"}
"""What a message with FunctionCode 13 does, by its TypeCode; what is not here is a notice."""


def function(code: str, kind: str) -> str:
    """What a message does, in the model's words, of its FunctionCode and TypeCode."""
    return ADDITIONAL.get(kind, "notice") if code == "13" else FUNCTIONS.get(code, "notice")


def procedure(kind: str) -> str | None:
    """Import or export, of the first two letters of a declaration's type."""
    return {"IM": "import", "CO": "import", "EX": "export"}.get(kind[:2])


def _given(_: str) -> bool:
    return True


def date(into: str, source: str) -> Join:
    """A date or time at an element that holds a ``DateTimeString``."""
    return Join(into, (f"{source}/DateTimeString", f"{source}/DateTimeString/@formatCode"), when)


def money(into: str, source: str, currency: str = "currency") -> tuple[Leaf, Leaf]:
    """An amount with its currency."""
    return Leaf(into, source, amount), Leaf(currency, f"{source}/@currencyID")


def _by(source: str, code: str, value: str, wanted: str) -> tuple[str, str]:
    """Sources of a value below the element whose code is the wanted one, and of that code."""
    return f"{source}[{code}={wanted}]/{value}", f"{source}[{code}={wanted}]/{code}"


ADDRESS: Final[tuple[Rule, ...]] = (
    Leaf("street", "Line"),
    Leaf("city", "CityName"),
    Leaf("postcode", "PostcodeID"),
    Leaf("region", "CountrySubDivisionName"),
    Leaf("region", "CountrySubDivisionCode"),
    Leaf("country", "CountryCode"),
)

PARTY: Final[tuple[Rule, ...]] = (
    Leaf("id", "ID"),
    Leaf("name", "Name"),
    Leaf("status", "FunctionCode"),
    Leaf("status", "Address/TypeCode"),
    Part("address", "Address", ADDRESS),
    Part(
        "contact",
        ".",
        (
            Leaf("name", "Contact/Name"),
            Join("phone", _by("Communication", "TypeCode", "ID", "TE"), first),
            Join("email", _by("Communication", "TypeCode", "ID", "EM"), first),
        ),
    ),
)


def party(role: str, source: str) -> Many:
    """A party of a role at an element."""
    return Many("parties", source, PARTY, {"role": role})


def office(role: str, source: str) -> Many:
    """A customs office of a role; ``source`` holds its number."""
    return Many("offices", source, (Leaf("id", "."),), {"role": role})


ACTORS: Final[tuple[Rule, ...]] = (
    Many(
        "parties", "AEOMutualRecognitionParty[RoleCode]", (Leaf("role", "RoleCode", actor), Leaf("id", "ID"))
    ),
    Many(
        "parties", "AEOMutualRecognitionParty[!RoleCode]", (Leaf("id", "ID"),), {"role": "supply-chain-actor"}
    ),
    Many(
        "parties",
        "DomesticDutyTaxParty",
        (Leaf("status", "RoleCode"), Leaf("id", "ID")),
        {"role": "duty-tax-party"},
    ),
)

MEANS: Final[tuple[Rule, ...]] = (
    Leaf("name", "Name"),
    Leaf("id", "ID"),
    Leaf("kind", "IdentificationTypeCode"),
    Leaf("nationality", "RegistrationNationalityCode"),
    Leaf("mode", "ModeCode"),
)

PAPER: Final[tuple[Rule, ...]] = (
    Leaf("category", "CategoryCode"),
    Leaf("kind", "TypeCode"),
    Leaf("id", "ID"),
    Leaf("name", "Name"),
    Leaf("status", "LPCOExemptionCode"),
    Leaf("item_number", "LineNumeric", integer),
    date("valid_to", "EffectiveDateTime"),
    date("issued_at", "IssueDateTime"),
    Leaf("party", "Submitter/Name"),
    Leaf("quantity", "WriteOff/QuantityQuantity", amount),
    Leaf("unit", "WriteOff/QuantityQuantity/@unitCode"),
    *money("amount", "WriteOff/AmountAmount"),
)

DOCUMENTS: Final[tuple[Rule, ...]] = (
    Many("documents", "AdditionalDocument", PAPER, {"role": "additional"}),
    Many("documents", "PreviousDocument", PAPER, {"role": "previous"}),
    Many("documents", "Invoice", PAPER, {"role": "invoice"}),
    Many(
        "notes",
        "AdditionalInformation",
        (
            Leaf("code", "StatementCode"),
            Leaf("text", "StatementDescription"),
            Leaf("kind", "StatementTypeCode"),
            Gather("pointer", "Pointer", pointer),
        ),
    ),
)

VALUATION: Final[tuple[Rule, ...]] = (
    Many("charges", "FreightChargeAmount", money("amount", "."), {"kind": "freight"}),
    Many(
        "charges",
        "ChargeDeduction",
        (Leaf("kind", "ChargesTypeCode"), *money("amount", "OtherChargeDeductionAmount")),
    ),
)

DUTY: Final[tuple[Rule, ...]] = (
    Leaf("kind", "TypeCode"),
    Leaf("base", "SpecificTaxBaseQuantity", amount),
    Leaf("base_unit", "SpecificTaxBaseQuantity/@unitCode"),
    *money("base_amount", "AdValoremTaxBaseAmount"),
    Leaf("rate", "TaxRateNumeric", amount),
    *money("deduction", "DeductAmount"),
    Leaf("quota", "QuotaOrderID"),
    Leaf("method", "Payment/MethodCode"),
    *money("assessed", "Payment/TaxAssessedAmount"),
    *money("amount", "Payment/PaymentAmount"),
)

COMMODITY: Final[tuple[Rule, ...]] = (
    Leaf("description", "Description"),
    Join(
        "hs",
        ("Classification[IdentificationTypeCode=TSP]/ID", "Classification[IdentificationTypeCode=TRC]/ID"),
        both,
    ),
    Leaf("hs", "Classification[IdentificationTypeCode=HS]/ID"),
    Many("classifications", "Classification[ID]", (Leaf("id", "ID"), Leaf("kind", "IdentificationTypeCode"))),
    Many("dangerous_goods", "DangerousGoods", (Leaf("un", "UNDGID"),)),
    Leaf("preference", "DutyTaxFee/DutyRegimeCode"),
    Many("duties", "DutyTaxFee", DUTY),
    Join("gross_mass_kg", ("GoodsMeasure/GrossMassMeasure", "GoodsMeasure/GrossMassMeasure/@unitCode"), mass),
    Join(
        "net_mass_kg",
        ("GoodsMeasure/NetNetWeightMeasure", "GoodsMeasure/NetNetWeightMeasure/@unitCode"),
        mass,
    ),
    Leaf("supplementary_quantity", "GoodsMeasure/TariffQuantity", amount),
    Leaf("supplementary_unit", "GoodsMeasure/TariffQuantity/@unitCode"),
    *money("value", "InvoiceLine/ItemChargeAmount"),
    Known("TransportEquipment/SequenceNumeric", _COUNTER),
    Leaf("equipment_ids", "TransportEquipment/ID", append=True),
)

ITEM: Final[tuple[Rule, ...]] = (
    Leaf("number", "SequenceNumeric", integer),
    Within("Commodity", COMMODITY),
    *money("customs_value", "CustomsValueAmount", "customs_currency"),
    *money("statistical_value", "StatisticalValueAmount", "statistical_currency"),
    Leaf("nature_of_transaction", "TransactionNatureCode"),
    Leaf("valuation_method", "CustomsValuation/MethodCode"),
    Within("CustomsValuation", VALUATION),
    Many("notes", "ValuationAdjustment", (Leaf("code", "AdditionCode"),), {"kind": "valuation-adjustment"}),
    Join(
        "procedure",
        ("GovernmentProcedure[PreviousCode]/CurrentCode", "GovernmentProcedure[PreviousCode]/PreviousCode"),
        both,
    ),
    Leaf("procedures", "GovernmentProcedure[!PreviousCode]/CurrentCode", append=True),
    Join("origin", _by("Origin", "TypeCode", "CountryCode", "1"), first),
    Leaf("origin", "Origin[!TypeCode]/CountryCode"),
    Join("origin_preferential", _by("Origin", "TypeCode", "CountryCode", "2"), first),
    Leaf("origin_region", "Origin/RegionID"),
    Leaf("country_of_dispatch", "ExportCountry/ID"),
    Leaf("destination", "Destination/CountryCode"),
    Leaf("ucr", "UCR/TraderAssignedReferenceID"),
    Leaf("ucr", "UCR/ID"),
    party("consignor", "Consignor"),
    party("consignee", "Consignee"),
    party("buyer", "Buyer"),
    party("seller", "Seller"),
    *ACTORS,
    Many(
        "packages",
        "Packaging",
        (
            Leaf("number", "SequenceNumeric", integer),
            Leaf("kind", "TypeCode"),
            Leaf("quantity", "QuantityQuantity", integer),
            Leaf("marks", "MarksNumbersID"),
        ),
    ),
    *DOCUMENTS,
)

SHIPMENT: Final[tuple[Rule, ...]] = (
    Leaf("containerised", "Consignment/ContainerCode", {"0": False, "1": True}.get),
    Leaf("ucr", "UCR/TraderAssignedReferenceID"),
    Leaf("reference", "UCR/ID"),
    party("consignor", "Consignor"),
    party("consignee", "Consignee"),
    party("buyer", "Buyer"),
    party("seller", "Seller"),
    *ACTORS,
    Within(
        "Consignment",
        (
            Many("transport", "DepartureTransportMeans", MEANS, {"role": "departure"}),
            Many("transport", "ArrivalTransportMeans", MEANS, {"role": "arrival"}),
            Many(
                "places",
                "GoodsLocation",
                (
                    Leaf("name", "Name"),
                    Leaf("id", "ID"),
                    Leaf("kind", "TypeCode"),
                    Leaf("qualifier", "Address/TypeCode"),
                    Part("address", "Address", ADDRESS),
                ),
                {"role": "goods"},
            ),
            Many("places", "LoadingLocation", (Leaf("name", "Name"), Leaf("id", "ID")), {"role": "loading"}),
            Many(
                "equipment",
                "TransportEquipment",
                (
                    Leaf("number", "SequenceNumeric", integer),
                    Leaf("id", "ID"),
                    Many("seals", "Seal[ID]", (Leaf("number", "SequenceNumeric", integer), Leaf("id", "ID"))),
                ),
            ),
        ),
    ),
    Many("places", "Warehouse", (Leaf("id", "ID"), Leaf("kind", "TypeCode")), {"role": "warehouse"}),
    Many(
        "places", "TradeTerms", (Leaf("id", "LocationID"), Leaf("name", "LocationName")), {"role": "delivery"}
    ),
    Within("CustomsValuation", VALUATION),
    Many("items", "GovernmentAgencyGoodsItem", ITEM),
    *DOCUMENTS,
)

DECLARATION: Final[tuple[Rule, ...]] = (
    Join("function", ("FunctionCode", "TypeCode"), function),
    Leaf("procedure", "TypeCode", procedure),
    Leaf("mrn", "ID"),
    Leaf("declaration_type", "TypeCode"),
    date("accepted_at", "AcceptanceDateTime"),
    date("issued_at", "IssueDateTime"),
    Many("places", "IssueLocationID", (Leaf("id", "."),), {"role": "issue"}),
    Leaf("items_total", "GoodsItemQuantity", integer),
    Leaf("packages_total", "TotalPackageQuantity", integer),
    Join("gross_mass_kg", ("TotalGrossMassMeasure", "TotalGrossMassMeasure/@unitCode"), mass),
    *money("value", "InvoiceAmount"),
    Leaf("exchange_rate", "CurrencyExchange/RateNumeric", amount),
    Leaf("exchange_currency", "CurrencyExchange/CurrencyTypeCode"),
    Leaf("specific_circumstance", "SpecificCircumstancesCodeCode"),
    Many("notes", "LoadingListQuantity", (Leaf("code", "."),), {"kind": "loading-lists"}),
    Many("notes", "Authentication/Authentication", (Leaf("text", "."),), {"kind": "authentication"}),
    office("lodgement", "DeclarationOfficeID"),
    office("exit", "ExitOffice/ID"),
    office("presentation", "PresentationOffice/ID"),
    office("supervising", "SupervisingOffice/ID"),
    party("authenticator", "Authentication/Authenticator"),
    party("submitter", "Submitter"),
    party("declarant", "Declarant"),
    party("representative", "Agent"),
    party("exporter", "Exporter"),
    Many(
        "documents",
        "AuthorisationHolder",
        (Leaf("kind", "CategoryCode"), Leaf("party", "ID")),
        {"role": "authorisation"},
    ),
    *DOCUMENTS,
    Many("transport", "BorderTransportMeans", MEANS, {"role": "border"}),
    Leaf("border_mode", "BorderTransportMeans/ModeCode"),
    Within(
        "Consignment",
        (
            party("carrier", "Carrier"),
            party("consignor", "Consignor"),
            Leaf("payment_method", "Freight/PaymentMethodCode"),
            Known("Itinerary/SequenceNumeric", _COUNTER),
            Leaf("countries", "Itinerary/RoutingCountryCode", append=True),
        ),
    ),
    Many(
        "guarantees",
        "ObligationGuarantee",
        (
            Leaf("kind", "SecurityDetailsCode"),
            Leaf("grn", "ID"),
            Leaf("other_reference", "ReferenceID"),
            Leaf("has_access_code", "AccessCode", _given),
            *money("amount", "AmountAmount"),
            Leaf("office", "GuaranteeOffice/ID"),
        ),
    ),
    Many("changes", "Amendment", (Leaf("reason", "ChangeReasonCode"), Gather("pointer", "Pointer", pointer))),
    Within(
        "GoodsShipment",
        (
            date("exited_at", "ExitDateTime"),
            Leaf("country_of_dispatch", "ExportCountry/ID"),
            Leaf("country_of_destination", "Destination/CountryCode"),
            Many("places", "Destination/RegionID", (Leaf("id", "."),), {"role": "destination"}),
            Leaf("nature_of_transaction", "TransactionNatureCode"),
            Leaf("terms_of_delivery", "TradeTerms/ConditionCode"),
            Many(
                "notes",
                "TradeTerms",
                (Leaf("code", "CountryRelationshipCode"), Leaf("text", "Description")),
                {"kind": "terms-of-delivery"},
            ),
            Leaf("inland_mode", "Consignment/DepartureTransportMeans/ModeCode"),
            Leaf("inland_mode", "Consignment/ArrivalTransportMeans/ModeCode"),
            party("importer", "Importer"),
            party("payer", "Payer"),
            party("surety", "Surety"),
        ),
    ),
    Many("consignments", "GoodsShipment", SHIPMENT),
)

OWN_REFERENCE: Final = Leaf("lrn", "FunctionalReferenceID")
"""In a declaration: the declarant's reference of it."""

OTHER_REFERENCE: Final = Part("message", ".", (Leaf("id", "FunctionalReferenceID"),))
"""In an additional message: its own reference, which is not the declaration's."""

METADATA: Final = Part(
    "message",
    ".",
    (
        Leaf("version", "WCODataModelVersionCode"),
        Leaf("kind", "WCOTypeName"),
        Leaf("country", "ResponsibleCountryCode"),
        Leaf("agency", "ResponsibleAgencyName"),
        Leaf("customisation", "AgencyAssignedCustomizationVersionCode"),
        Leaf("customisation", "AgencyAssignedCustomizationCode"),
    ),
)
