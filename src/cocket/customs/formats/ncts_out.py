"""Writes three NCTS messages: arrival notification (CC007C), unloading remarks (CC044C), forwarded incident (CC182C).

Each is one plain dataclass of ``ncts_out_model`` in, bytes out (UTF-8 XML). Moments are UTC microseconds and are written as the EU's messages
want them: UTC, whole seconds (cut off, never rounded up), no offset. Days are ``YYYY-MM-DD``. Masses are kilograms in exact
decimals. Coordinates are degrees, WGS-84, written with six decimals (0.1 m). Sequence numbers are given only where they point
into the declaration; elsewhere they are counted here.

What is written is always valid: the content is checked before it is serialised, and ``Refused`` (422) names the path
in the message, the rule and what is expected. Free words (remarks, descriptions, marks) have their white space evened out;
in any other value a tab, a line end or a space too many is refused, so that a reader gets exactly what was given.

Follows EU NCTS DDNTA 6.4.1 (XSD 60.4.16). Code lists that the XSD leaves to the reference data are not checked, but for
those of which a wrong value would change what we write: CL019 (incident), CL038 and CL326 (how a place is told).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from lxml import etree

from cocket.core.clock import rfc3339
from cocket.core.errors import Fault, Refused
from cocket.customs.formats.ncts_out_model import (
    INCIDENTS,
    Address,
    Arrival,
    Discrepancies,
    ForwardedIncident,
    FoundDocument,
    FoundItem,
    FoundMeans,
    Header,
    Incident,
    UnloadingRemarks,
)
from cocket.customs.formats.schema import ncts

_SPACE: Final = "{http://ncts.dgtaxud.ec}"
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FREE: Final = frozenset(
    {"text", "unloadingRemark", "otherThingsToReport", "descriptionOfGoods", "shippingMarks"}
)
_FIRST_US: Final = -62_135_596_800_000_000
_LAST_US: Final = 253_402_300_800_000_000
"""The years 1 to 9999, which four digits can tell."""


def cc007c(arrival: Arrival) -> bytes:
    """An arrival notification."""
    where = arrival.location
    at = "/CC007C/Consignment/LocationOfGoods"
    content = {
        "TransitOperation": {
            "MRN": arrival.mrn,
            "arrivalNotificationDateAndTime": _moment(
                arrival.arrived_us, "/CC007C/TransitOperation/arrivalNotificationDateAndTime"
            ),
            "simplifiedProcedure": _flag(arrival.simplified),
        },
        "Authorisation": [
            {"sequenceNumber": str(n), "type": a.kind, "referenceNumber": a.reference}
            for n, a in enumerate(arrival.authorisations, 1)
        ],
        "CustomsOfficeOfDestinationActual": {"referenceNumber": arrival.office},
        "TraderAtDestination": {
            "identificationNumber": arrival.trader_id,
            "communicationLanguageAtDestination": arrival.trader_language,
        },
        "Consignment": {
            "LocationOfGoods": {
                "typeOfLocation": where.kind,
                "qualifierOfIdentification": _only_way(
                    at,
                    {
                        "T": where.postcode_address,
                        "U": where.unlocode,
                        "V": where.office,
                        "W": where.lat_deg if where.lat_deg is not None else where.lon_deg,
                        "X": where.operator_id,
                        "Y": where.authorisation,
                        "Z": where.address,
                    },
                ),
                "authorisationNumber": where.authorisation,
                "additionalIdentifier": where.additional_id,
                "UNLocode": where.unlocode,
                "CustomsOffice": _part(referenceNumber=where.office),
                "GNSS": _gnss(where.lat_deg, where.lon_deg, f"{at}/GNSS"),
                "EconomicOperator": _part(identificationNumber=where.operator_id),
                "Address": where.address and {**_address(where.address), "country": where.address.country},
                "PostcodeAddress": where.postcode_address
                and {
                    "houseNumber": where.postcode_address.house_number,
                    "postcode": where.postcode_address.postcode,
                    "country": where.postcode_address.country,
                },
                "ContactPerson": where.contact
                and {
                    "name": where.contact.name,
                    "phoneNumber": where.contact.phone,
                    "eMailAddress": where.contact.email,
                },
            }
        },
    }
    return _written("CC007C", arrival.header, content)


def cc044c(remarks: UnloadingRemarks) -> bytes:
    """Unloading remarks."""
    found = remarks.discrepancies
    if remarks.conform and found is not None:
        detail = "conform says that nothing differs from the declaration, and discrepancies are given; leave one out"
        raise _refused("CC044C", [Fault("/CC044C/UnloadingRemark/conform", "contradiction", detail)])
    content = {
        "TransitOperation": {"MRN": remarks.mrn, "otherThingsToReport": remarks.other_things},
        "CustomsOfficeOfDestinationActual": {"referenceNumber": remarks.office},
        "TraderAtDestination": {"identificationNumber": remarks.trader_id},
        "UnloadingRemark": {
            "conform": _flag(remarks.conform),
            "unloadingCompletion": _flag(remarks.completed),
            "unloadingDate": remarks.unloaded_on,
            "stateOfSeals": None if remarks.seals_ok is None else _flag(remarks.seals_ok),
            "unloadingRemark": remarks.remark,
        },
        "Consignment": found and _discrepancies(found),
    }
    return _written("CC044C", remarks.header, content)


def cc182c(forwarded: ForwardedIncident) -> bytes:
    """A forwarded incident notification."""
    content = {
        "TransitOperation": {
            "MRN": forwarded.mrn,
            "incidentNotificationDateAndTime": _moment(
                forwarded.notified_us, "/CC182C/TransitOperation/incidentNotificationDateAndTime"
            ),
        },
        "CustomsOfficeOfDeparture": {"referenceNumber": forwarded.departure_office},
        "CustomsOfficeOfIncidentRegistration": {"referenceNumber": forwarded.registration_office},
        "Consignment": {"Incident": [_incident(n, i) for n, i in enumerate(forwarded.incidents, 1)]},
    }
    return _written("CC182C", forwarded.header, content)


def _discrepancies(found: Discrepancies) -> dict[str, Any]:
    return {
        "grossMass": _mass(found.gross_mass_kg),
        "referenceNumberUCR": found.ucr,
        "TransportEquipment": [
            {
                "sequenceNumber": str(e.number),
                "containerIdentificationNumber": e.container_id,
                "numberOfSeals": None if e.seals is None else str(len(e.seals)),
                "Seal": [{"sequenceNumber": str(s.number), "identifier": s.id} for s in e.seals or ()],
                "GoodsReference": _references(e.goods_items),
            }
            for e in found.equipment
        ],
        "DepartureTransportMeans": _means(found.means),
        **_documents(found.documents, "/CC044C/Consignment"),
        "HouseConsignment": [
            {
                "sequenceNumber": str(h.number),
                "grossMass": _mass(h.gross_mass_kg),
                "referenceNumberUCR": h.ucr,
                "DepartureTransportMeans": _means(h.means),
                **_documents(h.documents, f"/CC044C/Consignment/HouseConsignment[{n}]"),
                "ConsignmentItem": [
                    _item(i, f"/CC044C/Consignment/HouseConsignment[{n}]/ConsignmentItem[{m}]")
                    for m, i in enumerate(h.items, 1)
                ],
            }
            for n, h in enumerate(found.houses, 1)
        ],
    }


def _item(item: FoundItem, path: str) -> dict[str, Any]:
    measure = _part(grossMass=_mass(item.gross_mass_kg), netMass=_mass(item.net_mass_kg))
    code = _part(harmonizedSystemSubHeadingCode=item.hs, combinedNomenclatureCode=item.cn)
    return {
        "goodsItemNumber": str(item.number),
        "declarationGoodsItemNumber": str(item.declared_number),
        "referenceNumberUCR": item.ucr,
        "Commodity": _part(
            descriptionOfGoods=item.description, cusCode=item.cus, CommodityCode=code, GoodsMeasure=measure
        ),
        "Packaging": [
            {
                "sequenceNumber": str(p.number),
                "typeOfPackages": p.kind,
                "numberOfPackages": None if p.count is None else str(p.count),
                "shippingMarks": p.marks,
            }
            for p in item.packages
        ],
        **_documents(item.documents, path),
    }


def _incident(number: int, incident: Incident) -> dict[str, Any]:
    at = f"/CC182C/Consignment/Incident[{number}]"
    if incident.code not in INCIDENTS:
        detail = f"{incident.code!r} is no incident code (CL019); it is one of {', '.join(INCIDENTS)}"
        raise _refused("CC182C", [Fault(f"{at}/code", "enumeration", detail)])
    if incident.address is not None and incident.address.country != incident.country:
        detail = f"the incident is in {incident.country!r}, and its address in {incident.address.country!r}"
        raise _refused("CC182C", [Fault(f"{at}/Location/country", "contradiction", detail)])
    endorsed, moved = incident.endorsement, incident.transhipment
    return {
        "sequenceNumber": str(number),
        "code": incident.code,
        "text": incident.text,
        "Endorsement": endorsed
        and {
            "date": endorsed.on,
            "authority": endorsed.authority,
            "place": endorsed.place,
            "country": endorsed.country,
        },
        "Location": {
            "qualifierOfIdentification": _only_way(
                f"{at}/Location",
                {
                    "U": incident.unlocode,
                    "W": incident.lat_deg if incident.lat_deg is not None else incident.lon_deg,
                    "Z": incident.address,
                },
            ),
            "UNLocode": incident.unlocode,
            "country": incident.country,
            "GNSS": _gnss(incident.lat_deg, incident.lon_deg, f"{at}/Location/GNSS"),
            "Address": incident.address and _address(incident.address),
        },
        "TransportEquipment": [
            {
                "sequenceNumber": str(n),
                "containerIdentificationNumber": e.container_id,
                "numberOfSeals": None if e.seals is None else str(len(e.seals)),
                "Seal": [{"sequenceNumber": str(m), "identifier": s} for m, s in enumerate(e.seals or (), 1)],
                "GoodsReference": _references(e.goods_items),
            }
            for n, e in enumerate(incident.equipment, 1)
        ],
        "Transhipment": moved
        and {
            "containerIndicator": _flag(moved.containerised),
            "TransportMeans": {
                "typeOfIdentification": moved.kind,
                "identificationNumber": moved.id,
                "nationality": moved.nationality,
            },
        },
    }


def _means(found: Sequence[FoundMeans]) -> list[dict[str, Any]]:
    return [
        {
            "sequenceNumber": str(m.number),
            "typeOfIdentification": m.kind,
            "identificationNumber": m.id,
            "nationality": m.nationality,
        }
        for m in found
    ]


_SORTS: Final = {
    "supporting": "SupportingDocument",
    "transport": "TransportDocument",
    "reference": "AdditionalReference",
}


def _documents(found: Sequence[FoundDocument], path: str) -> dict[str, Any]:
    out: dict[str, list[dict[str, Any]]] = {name: [] for name in _SORTS.values()}
    for document in found:
        name = _SORTS.get(document.sort)
        if name is None:
            detail = f"a document is one of {', '.join(_SORTS)}, not {document.sort!r}"
            raise _refused("CC044C", [Fault(path, "enumeration", detail)])
        one = {
            "sequenceNumber": str(document.number),
            "type": document.kind,
            "referenceNumber": document.reference,
        }
        if document.complement is not None:
            if document.sort != "supporting":
                detail = "only a supporting document has a complement of information"
                raise _refused(
                    "CC044C", [Fault(f"{path}/{name}[{len(out[name]) + 1}]", "unexpected", detail)]
                )
            one["complementOfInformation"] = document.complement
        out[name].append(one)
    return out


def _references(items: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"sequenceNumber": str(n), "declarationGoodsItemNumber": str(item)} for n, item in enumerate(items, 1)
    ]


def _address(address: Address) -> dict[str, Any]:
    return {"streetAndNumber": address.street, "postcode": address.postcode, "city": address.city}


def _part(**values: Any) -> dict[str, Any] | None:
    """An element of optional ones, which is left out where all of them are."""
    return values if any(value is not None for value in values.values()) else None


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _mass(value: Decimal | None) -> str | None:
    """Without exponent and without zeros behind the last decimal; what is no such number is left for the schema to refuse."""
    if value is None:
        return None
    if not value.is_finite():
        return str(value)
    if not value:
        return "0"
    return format(value.normalize(), "f")


def _moment(us: int, path: str) -> str:
    if not _FIRST_US <= us < _LAST_US:
        detail = f"{us} µs lies outside the years 1 to 9999"
        raise _refused(path.split("/")[1], [Fault(path, "range", detail)])
    return rfc3339(us)[:19]


def _gnss(lat_deg: float | None, lon_deg: float | None, path: str) -> dict[str, str] | None:
    if lat_deg is None and lon_deg is None:
        return None
    out, faults = {}, []
    for name, value, most in (("latitude", lat_deg, 90), ("longitude", lon_deg, 180)):
        if value is None:
            faults.append(Fault(f"{path}/{name}", "missing", "a position is a latitude and a longitude"))
        elif not math.isfinite(value) or abs(value) > most:
            faults.append(
                Fault(f"{path}/{name}", "range", f"{value} is no {name} in degrees: -{most} to {most}")
            )
        else:
            out[name] = f"{round(value, 6) + 0.0:.6f}"  # no minus before zero
    if faults:
        raise _refused(path.split("/")[1], faults)
    return out


def _only_way(path: str, ways: Mapping[str, object]) -> str:
    """The qualifier of the one way in which a place is told."""
    given = [qualifier for qualifier, value in ways.items() if value is not None]
    if len(given) != 1:
        detail = (
            "a place is told in exactly one way (postcode, UN/LOCODE, office, coordinates, operator, authorisation or address); "
            f"{len(given) or 'none'} {'are' if given else 'is'} given"
        )
        rule = "contradiction" if given else "missing"
        raise _refused(path.split("/")[1], [Fault(f"{path}/qualifierOfIdentification", rule, detail)])
    return given[0]


def _written(name: str, header: Header, body: Mapping[str, Any]) -> bytes:
    """The whole message, if it is valid."""
    content = {
        "@PhaseID": header.phase,
        "messageSender": header.sender,
        "messageRecipient": header.recipient,
        "preparationDateAndTime": _moment(header.prepared_us, f"/{name}/preparationDateAndTime"),
        "messageIdentification": header.message_id,
        "messageType": name,
        "correlationIdentifier": header.correlation_id,
        **body,
    }
    faults: list[Fault] = []
    clean = _clean(content, f"/{name}", faults)
    if faults:
        raise _refused(name, faults)
    root = ncts().element(f"{_SPACE}{name}", clean, "ncts")
    faults = ncts().validate(root)
    if faults:
        raise _refused(name, faults)
    out: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return out


def _clean(content: Mapping[str, Any], path: str, faults: list[Fault]) -> dict[str, Any]:
    """The same with free words evened out; finds what XML could not carry, or would carry changed."""
    out: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, str):
            out[name] = " ".join(re.split("[ \t\r\n]+", value)).strip(" ") if name in _FREE else value
            faults += _text_faults(out[name], f"{path}/{name}")
        elif isinstance(value, Mapping):
            out[name] = _clean(value, f"{path}/{name}", faults)
        elif value is not None:
            out[name] = [_clean(one, f"{path}/{name}[{n}]", faults) for n, one in enumerate(value, 1)]
    return out


def _text_faults(text: str, path: str) -> Iterator[Fault]:
    illegal = _ILLEGAL.search(text)
    if illegal is not None:
        yield Fault(
            path, "characters", f"{text[:60]!r} has the character {illegal[0]!r}, which XML cannot carry"
        )
    elif text != " ".join(re.split("[ \t\r\n]+", text)).strip(" "):
        yield Fault(
            path,
            "white-space",
            f"{text[:60]!r} has a tab, a line end or a space too many, which a reader would not see",
        )


def _refused(name: str, faults: list[Fault]) -> Refused:
    return Refused(f"{name} cannot be written: {faults[0].path}: {faults[0].detail}", faults)
