"""EU NCTS phase 5 messages (CC...C): from the declaration CC015C to the unloading remarks CC044C, incidents CC182C and the enquiry CC140C/CC141C.

A message is one XML document in the namespace ``http://ncts.dgtaxud.ec``. One entry of ``consignments`` stands for each house consignment, or one
for all where there is none; what the message says of the whole stands at the top. Transport equipment, which NCTS lists for the
whole, is handed to each consignment whose goods items it names, to every one where it names none. Element names, structure and code lists:
DDNTA, XSD version 60.4.16; of CC140C and CC141C no XSD was at hand, so ``_enquiry_faults`` checks by hand what is known of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from cocket.core.errors import Fault
from cocket.customs.formats import checks, schema, xmltree
from cocket.customs.formats.elements import local, node_of, where
from cocket.customs.formats.mapping import Leaf, Many, Mapped, Part, Rule, Within, apply
from cocket.customs.formats.ncts_parts import (
    CONSIGNMENT,
    EQUIPMENT,
    GUARANTEES,
    NUMBER,
    OPERATION,
    note,
    office,
    party,
)
from cocket.customs.formats.reading import Read, refuse
from cocket.customs.formats.values import amount, day, flag, integer, moment

NAMESPACE: Final = "http://ncts.dgtaxud.ec"

MESSAGES: Final = {
    "CC004C": ("response", "amendment acceptance"),
    "CC007C": ("notice", "arrival notification"),
    "CC009C": ("response", "invalidation decision"),
    "CC013C": ("amendment", "declaration amendment"),
    "CC014C": ("cancellation", "declaration invalidation request"),
    "CC015C": ("original", "declaration data"),
    "CC017C": ("notice", "departure control results"),
    "CC019C": ("notice", "discrepancies"),
    "CC022C": ("request", "notification to amend the declaration"),
    "CC023C": ("notice", "guarantor notification"),
    "CC025C": ("notice", "goods release notification"),
    "CC028C": ("response", "MRN allocated"),
    "CC029C": ("response", "release for transit"),
    "CC035C": ("notice", "recovery notification"),
    "CC040C": ("notice", "transit invalidation notification to export"),
    "CC042C": ("notice", "destination control results to export"),
    "CC043C": ("response", "unloading permission"),
    "CC044C": ("notice", "unloading remarks"),
    "CC045C": ("notice", "write-off notification"),
    "CC048C": ("notice", "recovery communication to export"),
    "CC051C": ("response", "no release for transit"),
    "CC055C": ("response", "guarantee not valid"),
    "CC056C": ("response", "rejection from the office of departure"),
    "CC057C": ("response", "rejection from the office of destination"),
    "CC060C": ("notice", "control decision notification"),
    "CC140C": ("request", "request on a non-arrived movement"),
    "CC141C": ("response", "information about a non-arrived movement"),
    "CC170C": ("notice", "presentation notification for the pre-lodged declaration"),
    "CC182C": ("notice", "forwarded incident notification"),
    "CC190C": ("request", "transit presentation notification to export"),
    "CC191C": ("response", "transit presentation notification response"),
    "CC228C": ("notice", "comprehensive guarantee cancellation, liability liberation"),
    "CC906C": ("response", "functional error"),
    "CC917C": ("response", "XML error"),
    "CC928C": ("response", "positive acknowledgement"),
}
"""Messages with what they do (``model.FUNCTIONS``) and their names."""

WITHOUT_XSD: Final = frozenset({"CC140C", "CC141C"})

_FEW: Final = 8
"""So many repeats of what may stand once are told; naming the place of each costs a look at all."""
_MOST_COPIES: Final = 100_000
"""Values that handing out equipment may write: more comes only of a document that is made to be large."""

_FAULT: Final[tuple[Rule, ...]] = (
    NUMBER,
    Leaf("number", "errorLineNumber", integer),
    Leaf("code", "errorCode"),
    Leaf("text", "errorReason"),
    Leaf("text", "errorText"),
    Leaf("pointer", "errorPointer"),
    Leaf("value", "originalAttributeValue"),
)

_EXPORT: Final[tuple[Rule, ...]] = (NUMBER, Leaf("id", "MRN"), Leaf("status", "resultIndicator"))
_EXPORT_MARK: Final = {"role": "export-declaration", "kind": "mrn"}

TABLE: Final[tuple[Rule, ...]] = (
    Part(
        "message",
        ".",
        (
            Leaf("sender", "messageSender"),
            Leaf("recipient", "messageRecipient"),
            Leaf("id", "messageIdentification"),
            Leaf("kind", "messageType"),
            Leaf("correlation_id", "correlationIdentifier"),
            Leaf("prepared_at", "preparationDateAndTime", moment),
            Leaf("version", "@PhaseID"),
        ),
    ),
    Within("TransitOperation", OPERATION),
    Within("Header", OPERATION),
    office("departure", "CustomsOfficeOfDeparture"),
    office("transit", "CustomsOfficeOfTransitDeclared"),
    office("exit-for-transit", "CustomsOfficeOfExitForTransitDeclared"),
    office("destination", "CustomsOfficeOfDestinationDeclared"),
    office("destination", "CustomsOfficeOfDestination"),
    office("destination-actual", "CustomsOfficeOfDestinationActual"),
    office("incident", "CustomsOfficeOfIncidentRegistration"),
    office("enquiry", "CustomsOfficeOfEnquiryAtDeparture"),
    office("recovery", "CustomsOfficeOfRecoveryAtDeparture"),
    office("exit", "CustomsOfficeOfExit"),
    party("holder", "HolderOfTheTransitProcedure"),
    party("representative", "Representative"),
    party("trader-at-destination", "TraderAtDestination"),
    party("guarantor", "Guarantor"),
    Leaf("language", "TraderAtDestination/communicationLanguageAtDestination"),
    Many(
        "documents",
        "Authorisation",
        (NUMBER, Leaf("kind", "type"), Leaf("id", "referenceNumber")),
        {"role": "authorisation"},
    ),
    *GUARANTEES,
    Many(
        "controls",
        "ControlResult",
        (
            Leaf("result", "code"),
            Leaf("at", "date", day),
            Leaf("by", "controlledBy"),
            Leaf("text", "text"),
            Leaf("text", "remark"),
        ),
    ),
    Many("controls", "TypeOfControls", (NUMBER, Leaf("kind", "type"), Leaf("text", "text"))),
    Many("controls", "ExportOperation/ControlResult", (Leaf("result", "code"), Leaf("at", "date", day))),
    Many(
        "documents",
        "RequestedDocument",
        (NUMBER, Leaf("kind", "documentType"), Leaf("detail", "description")),
        {"role": "requested"},
    ),
    Within("Consignment", CONSIGNMENT),
    Many("equipment", "Consignment/TransportEquipment", EQUIPMENT),
    Part(
        "unloading",
        "UnloadingRemark",
        (
            Leaf("conform", "conform", flag),
            Leaf("complete", "unloadingCompletion", flag),
            Leaf("on", "unloadingDate", day),
            Leaf("seals_ok", "stateOfSeals", flag),
            Leaf("remark", "unloadingRemark"),
        ),
    ),
    note("continue-unloading", "CTLControl/continueUnloading"),
    Within(
        "Invalidation",
        (
            Leaf("issued_at", "requestDateAndTime", moment),
            Leaf("decided_at", "decisionDateAndTime", moment),
            Leaf("reason", "justification"),
            note("decision", "decision"),
            note("initiated-by-customs", "initiatedByCustoms"),
        ),
    ),
    Within(
        "GuarantorNotification",
        (Leaf("issued_at", "guarantorNotificationDate", day), Leaf("reason", "guarantorNotificationText")),
    ),
    Within(
        "RecoveryNotification",
        (
            Leaf("issued_at", "recoveryNotificationDate", day),
            Leaf("reason", "recoveryNotificationText"),
            Leaf("value", "amountClaimed", amount),
            Leaf("currency", "currency"),
        ),
    ),
    Part(
        "enquiry",
        ".",
        (
            Leaf("sent_on", "TransitOperation/requestOnNonArrivedMovementDate", day),
            Leaf("due_on", "TransitOperation/limitForResponseDate", day),
            Leaf("answer", "Enquiry/text"),
            Leaf("delivered_on", "Enquiry/TC11DeliveryDate", day),
            Leaf("consignee", "Consignment/ConsigneeActual/name"),
        ),
    ),
    Many("references", "ExportOperation", _EXPORT, _EXPORT_MARK),
    Within(
        "AESResults",
        (
            note("export-communication", "AESCommunicationPurpose"),
            note("validation", "globalValidationResponse"),
            Leaf("issued_at", "responseDateAndTime", moment),
            Many("references", "ExportOperation", _EXPORT, _EXPORT_MARK),
        ),
    ),
    Many("faults", "FunctionalError", _FAULT),
    Many("faults", "XMLError", _FAULT),
)

_ROOT: Final = re.compile(rb"<(?:[\w.-]+:)?CC\d{3}[A-Z][\s>/]")


class NctsReader:
    """EU NCTS phase 5."""

    name = "EU NCTS phase 5"

    def sniff(self, data: bytes, name: str) -> bool:  # noqa: ARG002 - bytes tell
        """An element CC...C within the first bytes."""
        return _ROOT.search(_head(data)) is not None

    def read(self, data: bytes, name: str) -> Read:  # noqa: ARG002 - bytes tell
        """The message in canonical form; ``Refused`` where it breaks the XSD, names two MRNs or is of a kind that is not known."""
        root = xmltree.parse(data)
        code = local(root)
        if code not in MESSAGES:
            known = ", ".join(MESSAGES)
            detail = f"{code} is no message of NCTS phase 5 that is read here; known are {known}"
            raise refuse([Fault(f"/{code}", "unknown-kind", detail)], code)
        # Two MRNs break the XSD too; what is wrong with them is said first, in words.
        mrns = (*root.findall("TransitOperation/MRN"), *root.findall("Header/MRN"))
        faults = checks.one_reference((where(mrn), (mrn.text or "").strip()) for mrn in mrns[:_FEW])
        faults += _enquiry_faults(root) if code in WITHOUT_XSD else schema.ncts().validate(root)
        if faults:
            raise refuse(faults, code)
        mapped = apply(TABLE, node_of(root))
        if mapped.faults:
            raise refuse(mapped.faults, code)
        value = {"function": MESSAGES[code][0], "procedure": "transit", **mapped.value}
        flags = _positions(mapped)
        flags += _hand_out(value, mapped)
        flags += checks.flags(value, mapped.origins)
        return Read(code.lower(), value, mapped.origins, mapped.raw, flags, mapped.taken)


READER: Final = NctsReader()


def _head(data: bytes) -> bytes:
    head = data[:8192]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "ignore").encode()
    return head


def _positions(mapped: Mapped) -> list[str]:
    """Flags of positions that could not be read; they stand in ``raw`` with the reason."""
    flags = []
    for n, (path, value, _) in enumerate(mapped.raw):
        if path.endswith(("/GNSS/latitude", "/GNSS/longitude")):
            mapped.raw[n] = (path, value, "is no position in degrees")
            flags.append(f"position-form {path} {value!r} is no position in degrees")
    return flags


def _hand_out(value: dict[str, Any], mapped: Mapped) -> list[str]:
    """Give the master's equipment to the consignments, and the container's number to the items that it names."""
    equipment: list[dict[str, Any]] = value.pop("equipment", [])
    if not equipment:
        return []
    consignments: list[dict[str, Any]] = value.setdefault("consignments", [{}])
    house_of = {
        item.get("declaration_number"): (n, m, item)
        for n, consignment in enumerate(consignments)
        for m, item in enumerate(consignment.get("items", ()))
    }
    everywhere = dict.fromkeys(range(len(consignments)))
    flags: dict[str, None] = {}
    copies = 0
    for one, parts in zip(equipment, _taken_out(mapped.origins, len(equipment)), strict=True):
        # Consignment → which of the named items are its own; none: all of them.
        targets: dict[int, list[int] | None] = {}
        nowhere = []
        for position, number in enumerate(one.get("goods_items", ())):
            if number not in house_of:
                nowhere.append(position)
                continue
            n, m, item = house_of[number]
            targets.setdefault(n, []).append(position)  # type: ignore[union-attr]
            if "id" in one:
                ids = item.setdefault("equipment_ids", [])
                mapped.origins[f"/consignments/{n}/items/{m}/equipment_ids/{len(ids)}"] = parts["id"]
                ids.append(one["id"])
        if targets and nowhere:
            # What is named and is not there stays with the first, where it is flagged.
            next(iter(targets.values())).extend(nowhere)  # type: ignore[union-attr]
        targets = targets or everywhere
        copies += len(targets) * len(parts)
        if copies > _MOST_COPIES:
            flags[
                "equipment-not-handed-out: too many combinations; the rest stands in its first consignment alone"
            ] = None
            targets = dict([next(iter(targets.items()))])
        for n, own in targets.items():
            _place(one, parts, own, consignments[n], f"/consignments/{n}/equipment", mapped)
    return list(flags)


def _place(
    one: dict[str, Any],
    parts: dict[str, str],
    own: list[int] | None,
    consignment: dict[str, Any],
    pointer: str,
    mapped: Mapped,
) -> None:
    """Add a copy of an equipment with its own goods items to a consignment, and where its values came from."""
    here = consignment.setdefault("equipment", [])
    pointer = f"{pointer}/{len(here)}"
    copy = dict(one)
    if own is not None and len(own) < len(one["goods_items"]):
        copy["goods_items"] = [one["goods_items"][position] for position in own]
        named = {f"goods_items/{new}": parts[f"goods_items/{old}"] for new, old in enumerate(own)}
        parts = {part: path for part, path in parts.items() if not part.startswith("goods_items/")} | named
    here.append(copy)
    for part, path in parts.items():
        mapped.origins[f"{pointer}/{part}"] = path
        if mapped.taken[path].startswith("/equipment/"):
            mapped.taken[path] = f"{pointer}/{part}"


def _taken_out(origins: dict[str, str], count: int) -> list[dict[str, str]]:
    """The origins below ``/equipment``, taken out: for each equipment, the rest of the pointer → path."""
    own: list[dict[str, str]] = [{} for _ in range(count)]
    for pointer in [p for p in origins if p.startswith("/equipment/")]:
        _, _, index, part = pointer.split("/", 3)
        own[int(index)][part] = origins.pop(pointer)
    return own


_OFFICE: Final = "[A-Z]{2}[A-Z0-9]{6}"
_ENQUIRY: Final = (
    ("messageSender", ".{1,35}", True),
    ("messageRecipient", ".{1,35}", True),
    ("preparationDateAndTime", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*", True),
    ("messageIdentification", ".{1,35}", True),
    ("messageType", "CC14[01]C", True),
    ("TransitOperation/MRN", r"\d{2}[A-Z]{2}[A-Z0-9]{13}\d", True),
    ("TransitOperation/requestOnNonArrivedMovementDate", r"\d{4}-\d\d-\d\d.*", False),
    ("TransitOperation/limitForResponseDate", r"\d{4}-\d\d-\d\d.*", False),
    ("CustomsOfficeOfDeparture/referenceNumber", _OFFICE, False),
    ("CustomsOfficeOfDestinationActual/referenceNumber", _OFFICE, False),
    ("CustomsOfficeOfEnquiryAtDeparture/referenceNumber", _OFFICE, True),
)
"""What is known of CC140C and CC141C: element, pattern, whether it must be there. Each stands at most once."""


def _enquiry_faults(root: etree._Element) -> Iterator[Fault]:
    code = local(root)
    if root.tag != f"{{{NAMESPACE}}}{code}":
        yield Fault(f"/{code}", "root", f"<{code}> is not read: its namespace must be {NAMESPACE!r}")
    if "PhaseID" not in root.attrib:
        yield Fault(f"/{code}/@PhaseID", "missing", "the attribute PhaseID is missing")
    for source, pattern, needed in _ENQUIRY:
        found = root.findall(source)
        if needed and not found:
            yield Fault(f"/{code}/{source}", "missing", f"{source} is missing")
        for n, element in enumerate(found[:_FEW]):
            said = (element.text or "").strip()
            if n:
                yield Fault(where(element), "too-many", f"{source} may stand once")
            elif not re.fullmatch(pattern, said):
                yield Fault(where(element), "pattern", f"{said[:80]!r} does not have the form {pattern}")
            elif source == "messageType" and said != code:
                yield Fault(where(element), "value", f"{said} is not {code}")
