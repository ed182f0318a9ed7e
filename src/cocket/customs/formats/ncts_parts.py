"""What stands where in an EU NCTS phase 5 message: the parts that the messages share, as tables for ``mapping``.

A part that a message does not have costs nothing, so one table serves all of them. Element names and their meaning: DDNTA
(Design Document for National Transit Applications), XSD version 60.4.16; code lists (CL...) as named there.

``hs`` is the harmonised system's six digits with the two of the combined nomenclature behind them where both are given.
"""

from __future__ import annotations

import re
from typing import Final

from cocket.customs.formats.mapping import Each, Join, Known, Leaf, Many, Part, Rule, Within
from cocket.customs.formats.values import amount, day, end_of_day, flag, integer, kilograms, moment

_COUNTER: Final = "a counter of the format; the order is kept"
_DEGREES: Final = re.compile(
    r"(?P<before>[NSEW])?\s*(?P<degrees>\d{1,3})\s*[°\s:]\s*(?P<minutes>\d{1,2}(?:[.,]\d+)?)\s*['′:\s]?\s*"
    r"(?:(?P<seconds>\d{1,2}(?:[.,]\d+)?)\s*[\"″]?\s*)?(?P<after>[NSEW])?",
    re.IGNORECASE,
)
_DECIMAL: Final = re.compile(
    r"(?P<before>[NSEW])?\s*(?P<sign>[+-])?(?P<degrees>\d{1,3}(?:[.,]\d+)?)\s*°?\s*(?P<after>[NSEW])?",
    re.IGNORECASE,
)


def latitude(value: str) -> float | None:
    """Degrees north, from ``+44.96788``, ``44.96788 N`` or ``44°58'04.4"N``; none if it is no latitude, so that it is kept raw."""
    return _angle(value, "N", "S", 90)


def longitude(value: str) -> float | None:
    """Degrees east, as ``latitude``."""
    return _angle(value, "E", "W", 180)


def _angle(value: str, positive: str, negative: str, most: float) -> float | None:
    value = value.strip()
    found = _DECIMAL.fullmatch(value) or _DEGREES.fullmatch(value)
    if found is None:
        return None
    parts = found.groupdict()
    letters = {letter.upper() for letter in (parts["before"], parts["after"]) if letter}
    if len(letters) > 1 or not letters <= {positive, negative} or (letters and parts.get("sign")):
        return None
    degrees = _part(parts["degrees"])
    minutes, seconds = _part(parts.get("minutes")), _part(parts.get("seconds"))
    if minutes >= 60 or seconds >= 60:
        return None
    degrees += minutes / 60 + seconds / 3600
    if degrees > most:
        return None
    return -degrees if negative in letters or parts.get("sign") == "-" else degrees


def _part(digits: str | None) -> float:
    return float(digits.replace(",", ".")) if digits else 0.0


ACTORS: Final = {
    "CS": "consolidator",
    "FW": "freight-forwarder",
    "MF": "manufacturer",
    "WH": "warehouse-keeper",
}
"""CL704, roles of additional supply chain actors."""


def actor(code: str) -> str:
    """The role in words; a code that is not in the list as it stands."""
    return ACTORS.get(code, code)


def commodity(hs: str, cn: str) -> str | None:
    """Six digits and two; the two alone are no code."""
    return hs + cn if hs else None


def _given(_: str) -> bool:
    return True


NUMBER: Final = Leaf("number", "sequenceNumber", integer)

ADDRESS: Final[tuple[Rule, ...]] = (
    Leaf("street", "streetAndNumber"),
    Leaf("street", "houseNumber"),
    Leaf("postcode", "postcode"),
    Leaf("city", "city"),
    Leaf("country", "country"),
)

CONTACT: Final[tuple[Rule, ...]] = (
    Leaf("name", "name"),
    Leaf("phone", "phoneNumber"),
    Leaf("email", "eMailAddress"),
)

PARTY: Final[tuple[Rule, ...]] = (
    Leaf("id", "identificationNumber"),
    Leaf("tir_id", "TIRHolderIdentificationNumber"),
    Leaf("name", "name"),
    Leaf("status", "status"),
    Part("address", "Address", ADDRESS),
    Part("contact", "ContactPerson", CONTACT),
)


def party(role: str, source: str) -> Many:
    """A party of a role at an element."""
    return Many("parties", source, PARTY, {"role": role})


def office(role: str, source: str) -> Many:
    """A customs office of a role at an element."""
    return Many(
        "offices",
        source,
        (NUMBER, Leaf("id", "referenceNumber"), Leaf("arrival_at", "arrivalDateAndTimeEstimated", moment)),
        {"role": role},
    )


def note(kind: str, source: str, code: str = ".", text: str = "") -> Many:
    """An indicator, coded or in words, that has no field of its own."""
    words = (Leaf("text", text),) if text else ()
    return Many("notes", source, (Leaf("code", code), *words), {"kind": kind})


PARTIES: Final[tuple[Rule, ...]] = (
    party("carrier", "Carrier"),
    party("consignor", "Consignor"),
    party("consignee", "Consignee"),
    Many(
        "parties",
        "AdditionalSupplyChainActor",
        (NUMBER, Leaf("role", "role", actor), Leaf("id", "identificationNumber")),
    ),
)

_PAPER: Final[tuple[Rule, ...]] = (
    NUMBER,
    Leaf("kind", "type"),
    Leaf("id", "referenceNumber"),
    Leaf("item_number", "goodsItemNumber", integer),
    Leaf("item_number", "documentLineItemNumber", integer),
    Leaf("package_kind", "typeOfPackages"),
    Leaf("packages", "numberOfPackages", integer),
    Leaf("unit", "measurementUnitAndQualifier"),
    Leaf("quantity", "quantity", amount),
    Leaf("detail", "complementOfInformation"),
    Known("completeControl", "an instruction for the office's own control"),
)

DOCUMENTS: Final[tuple[Rule, ...]] = (
    Many("documents", "PreviousDocument", _PAPER, {"role": "previous"}),
    Many("documents", "SupportingDocument", _PAPER, {"role": "supporting"}),
    Many("documents", "TransportDocument", _PAPER, {"role": "transport"}),
    Many("documents", "AdditionalReference", _PAPER, {"role": "additional-reference"}),
    Many(
        "notes",
        "AdditionalInformation",
        (
            NUMBER,
            Leaf("code", "code"),
            Leaf("text", "text"),
            Known("completeControl", "an instruction for the office's own control"),
        ),
    ),
    Leaf("payment_method", "TransportCharges/methodOfPayment"),
)

_MEANS: Final[tuple[Rule, ...]] = (
    NUMBER,
    Leaf("kind", "typeOfIdentification"),
    Leaf("id", "identificationNumber"),
    Leaf("nationality", "nationality"),
    Leaf("voyage", "conveyanceReferenceNumber"),
    Leaf("office", "customsOfficeAtBorderReferenceNumber"),
)

DEPARTURE_MEANS: Final = Many("transport", "DepartureTransportMeans", _MEANS, {"role": "departure"})

EQUIPMENT: Final[tuple[Rule, ...]] = (
    NUMBER,
    Leaf("id", "containerIdentificationNumber"),
    Leaf("seal_count", "numberOfSeals", integer),
    Many("seals", "Seal", (NUMBER, Leaf("id", "identifier"))),
    Known("GoodsReference/sequenceNumber", _COUNTER),
    Leaf("goods_items", "GoodsReference/declarationGoodsItemNumber", integer, append=True),
)

ITEM: Final[tuple[Rule, ...]] = (
    Leaf("number", "goodsItemNumber", integer),
    Leaf("declaration_number", "declarationGoodsItemNumber", integer),
    Leaf("declaration_type", "declarationType"),
    Leaf("country_of_dispatch", "countryOfDispatch"),
    Leaf("destination", "countryOfDestination"),
    Leaf("ucr", "referenceNumberUCR"),
    *PARTIES,
    Within(
        "Commodity",
        (
            Leaf("description", "descriptionOfGoods"),
            Leaf("cus", "cusCode"),
            Join(
                "hs",
                ("CommodityCode/harmonizedSystemSubHeadingCode", "CommodityCode/combinedNomenclatureCode"),
                commodity,
            ),
            Many("dangerous_goods", "DangerousGoods", (NUMBER, Leaf("un", "UNNumber"))),
            Leaf("gross_mass_kg", "GoodsMeasure/grossMass", kilograms),
            Leaf("net_mass_kg", "GoodsMeasure/netMass", kilograms),
            Leaf("supplementary_quantity", "GoodsMeasure/supplementaryUnits", amount),
        ),
    ),
    Many(
        "packages",
        "Packaging",
        (
            NUMBER,
            Leaf("kind", "typeOfPackages"),
            Leaf("quantity", "numberOfPackages", integer),
            Leaf("marks", "shippingMarks"),
        ),
    ),
    *DOCUMENTS,
    note("release-type", "releaseType"),
)

HOUSE: Final[tuple[Rule, ...]] = (
    NUMBER,
    Leaf("ucr", "referenceNumberUCR"),
    Leaf("gross_mass_kg", "grossMass", kilograms),
    Leaf("country_of_dispatch", "countryOfDispatch"),
    Leaf("country_of_destination", "countryOfDestination"),
    *PARTIES,
    DEPARTURE_MEANS,
    *DOCUMENTS,
    note("security-in-export-declaration", "securityIndicatorFromExportDeclaration"),
    note("release-type", "releaseType"),
    Many(
        "documents",
        "ExportOperation",
        (Leaf("id", "MRN"), Leaf("category", "transitProcedureCategory")),
        {"role": "export-declaration", "kind": "mrn"},
    ),
    Many("items", "ConsignmentItem", ITEM),
)

LOCATION: Final[tuple[Rule, ...]] = (
    Leaf("kind", "typeOfLocation"),
    Leaf("qualifier", "qualifierOfIdentification"),
    Leaf("authorisation", "authorisationNumber"),
    Leaf("additional_id", "additionalIdentifier"),
    Leaf("unlocode", "UNLocode"),
    Leaf("country", "country"),
    Leaf("name", "location"),
    Leaf("office", "CustomsOffice/referenceNumber"),
    Leaf("operator", "EconomicOperator/identificationNumber"),
    Leaf("lat_deg", "GNSS/latitude", latitude),
    Leaf("lon_deg", "GNSS/longitude", longitude),
    Part("address", "Address", ADDRESS),
    Part("address", "PostcodeAddress", ADDRESS),
    Part("contact", "ContactPerson", CONTACT),
)

INCIDENT: Final[tuple[Rule, ...]] = (
    NUMBER,
    Leaf("code", "code"),
    Leaf("text", "text"),
    Leaf("endorsed_on", "Endorsement/date", day),
    Leaf("endorsed_by", "Endorsement/authority"),
    Leaf("endorsed_place", "Endorsement/place"),
    Leaf("endorsed_country", "Endorsement/country"),
    Part("place", "Location", LOCATION, {"role": "incident"}),
    Many("equipment", "TransportEquipment", EQUIPMENT),
    Part(
        "transhipment",
        "Transhipment",
        (
            Leaf("containerised", "containerIndicator", flag),
            Many("transport", "TransportMeans", _MEANS, {"role": "transhipment"}),
        ),
    ),
)

CONSIGNMENT: Final[tuple[Rule, ...]] = (
    Leaf("country_of_dispatch", "countryOfDispatch"),
    Leaf("country_of_destination", "countryOfDestination"),
    Leaf("containerised", "containerIndicator", flag),
    Leaf("inland_mode", "inlandModeOfTransport"),
    Leaf("border_mode", "modeOfTransportAtTheBorder"),
    Leaf("gross_mass_kg", "grossMass", kilograms),
    Leaf("ucr", "referenceNumberUCR"),
    *PARTIES,
    party("consignee-actual", "ConsigneeActual"),
    Many("places", "LocationOfGoods", LOCATION, {"role": "goods"}),
    Many("places", "PlaceOfLoading", LOCATION, {"role": "loading"}),
    Many("places", "PlaceOfUnloading", LOCATION, {"role": "unloading"}),
    DEPARTURE_MEANS,
    Many("transport", "ActiveBorderTransportMeans", _MEANS, {"role": "border"}),
    Known("CountryOfRoutingOfConsignment/sequenceNumber", _COUNTER),
    Leaf("countries", "CountryOfRoutingOfConsignment/country", append=True),
    *DOCUMENTS,
    Many("incidents", "Incident", INCIDENT),
    Many("consignments", "HouseConsignment", HOUSE),
)

GUARANTEE_REFERENCE: Final[tuple[Rule, ...]] = (
    Leaf("grn", "GRN"),
    Leaf("has_access_code", "accessCode", _given),
    Leaf("amount", "amountToBeCovered", amount),
    Leaf("amount", "guaranteeAmount", amount),
    Leaf("currency", "currency"),
    Leaf("valid_to", "invalidityDate", day),
    Leaf("liable_to", "liabilityLiberationDate", day),
    Leaf("office", "CustomsOfficeOfGuarantee/referenceNumber"),
    Many("reasons", "InvalidGuaranteeReason", (NUMBER, Leaf("code", "code"), Leaf("text", "text"))),
)

GUARANTEES: Final[tuple[Rule, ...]] = (
    Each(
        "guarantees",
        "Guarantee",
        "GuaranteeReference",
        (
            NUMBER,
            Leaf("kind", "guaranteeType"),
            Leaf("other_reference", "otherGuaranteeReference"),
            Known("GuaranteeReference/sequenceNumber", _COUNTER),
        ),
        GUARANTEE_REFERENCE,
    ),
    Many("guarantees", "GuaranteeReference", (NUMBER, *GUARANTEE_REFERENCE)),
)

OPERATION: Final[tuple[Rule, ...]] = (
    Leaf("lrn", "LRN"),
    Leaf("mrn", "MRN"),
    Leaf("declaration_type", "declarationType"),
    Leaf("additional_type", "additionalDeclarationType"),
    Leaf("tir_carnet", "TIRCarnetNumber"),
    Leaf("security", "security"),
    Leaf("reduced_dataset", "reducedDatasetIndicator", flag),
    Leaf("specific_circumstance", "specificCircumstanceIndicator"),
    Leaf("binding_itinerary", "bindingItinerary", flag),
    Leaf("simplified", "simplifiedProcedure", flag),
    Leaf("language", "communicationLanguageAtDeparture"),
    Leaf("limit_at", "limitDate", end_of_day),
    Leaf("presented_at", "presentationOfTheGoodsDateAndTime", moment),
    Leaf("lodged_at", "declarationSubmissionDateAndTime", moment),
    Leaf("lodged_at", "amendmentSubmissionDateAndTime", moment),
    Leaf("accepted_at", "declarationAcceptanceDate", day),
    Leaf("amended_at", "amendmentAcceptanceDateAndTime", moment),
    Leaf("released_at", "releaseDate", day),
    Leaf("arrived_at", "arrivalNotificationDateAndTime", moment),
    Leaf("written_off_at", "writeOffDate", day),
    Leaf("decided_at", "controlNotificationDateAndTime", moment),
    Leaf("decided_at", "rejectionDateAndTime", moment),
    Leaf("issued_at", "amendmentNotificationDateAndTime", moment),
    Leaf("issued_at", "incidentNotificationDateAndTime", moment),
    Leaf("issued_at", "releaseRequestDateAndTime", moment),
    Leaf("issued_at", "discrepanciesNotificationDate", day),
    Leaf("issued_at", "recoveryCommunicationDate", day),
    Leaf("state", "releaseIndicator"),
    Leaf("reason", "noReleaseMotivationText"),
    Leaf("reason", "rejectionReason"),
    Leaf("reason", "discrepanciesNotificationText"),
    Many("changes", "amendmentTypeFlag", (Leaf("reason", "."),)),
    note("no-release", "noReleaseMotivationCode"),
    note("rejection", "rejectionCode"),
    note("rejected-message", "businessRejectionType"),
    note("notification-type", "notificationType"),
    note("release-requested", "releaseRequested"),
    note("export-communication", "AESCommunicationPurpose"),
    Many("notes", "otherThingsToReport", (Leaf("text", "."),), {"kind": "other-things-to-report"}),
)
