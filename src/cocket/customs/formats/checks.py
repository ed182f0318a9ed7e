"""What is odd in a document's content, whatever its format: check digits, totals that do not add up, references that lead nowhere.

Works on the canonical dict (``model.Customs``) and its origins, so that every reader shares it. Papers carry typing errors and
goods still have to move: all of this is flagged, never a reason to refuse. Only a document that names two references of its own is
refused, since nobody can say whose it is (``one_reference``).

A flag is a rule and what it is about: ``iso6346-check-digit:MSKU1234560`` for an identifier, ``totals:gross-mass PATH 1000 is not the items' 990``
for a value, with its path in the source.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from cocket.core import gs1
from cocket.core.epc import elements_of
from cocket.core.epcbits import EpcError
from cocket.core.errors import Fault
from cocket.core.ids import equipment_flags, mrn_flags

_SAME_KG: Final = 0.0005
"""Masses that differ by less than this are the same: finer than any scale, coarser than the rounding of sums."""
_IMO_KIND: Final = "10"
"""The ship's IMO identification number in EU code list CL750 and in UN/EDIFACT 8179-based lists that follow it."""

Value = Mapping[str, Any]


def one_reference(found: Iterable[tuple[str, str]], what: str = "MRN") -> list[Fault]:
    """A fault for each (path, reference) that is another than the first."""
    faults: list[Fault] = []
    first: tuple[str, str] | None = None
    for path, value in found:
        if first is None:
            first = path, value
        elif value != first[1]:
            detail = f"a second {what}, {value}, beside {first[1]} at {first[0]}; send one document for each"
            faults.append(Fault(path, "two-references", detail))
    return faults


def flags(value: Value, origins: Mapping[str, str]) -> list[str]:
    """Every flag of a document, in the order of its content, each once."""
    found = dict.fromkeys(_identifiers(value))
    found.update(dict.fromkeys(_equipment(value, origins)))
    if not is_partial(value):
        found.update(dict.fromkeys(_totals(value, origins)))
    return list(found)


def is_partial(value: Value) -> bool:
    """Whether it lists only what differs from what was declared, such as unloading remarks and amendments by pointer: its totals prove nothing."""
    return bool(value.get("unloading")) or any("pointer" in change for change in value.get("changes", ()))


def imo_flags(number: str) -> list[str]:
    """``["imo-form"]`` if it is no seven digits, ``["imo-check-digit"]`` if the last one is wrong: six digits weighted 7 to 2, modulo 10 (IMO A.1117(30))."""
    digits = number.upper().removeprefix("IMO").strip()
    if not (len(digits) == 7 and digits.isascii() and digits.isdigit()):
        return ["imo-form"]
    total = sum(int(d) * weight for d, weight in zip(digits, range(7, 1, -1), strict=False))
    return [] if total % 10 == int(digits[6]) else ["imo-check-digit"]


def _identifiers(value: Value) -> Iterator[str]:
    """Check digits of the MRN, other MRNs named as references, ships and containers."""
    mrns = [value.get("mrn"), *(r.get("id") for r in value.get("references", ()) if r.get("kind") == "mrn")]
    for mrn in mrns:
        # A national number that is no MRN of the EU's form has no check digit to be wrong.
        if mrn and mrn_flags(mrn) == ["mrn-check-digit"]:
            yield f"mrn-check-digit:{mrn}"
    for means in _means(value):
        if means.get("kind") == _IMO_KIND and means.get("id"):
            for rule in imo_flags(means["id"]):
                yield f"{rule}:{means['id']}"
    for _, equipment in _all_equipment(value):
        if equipment.get("id"):
            for rule in equipment_flags(equipment["id"]):
                yield f"{rule}:{equipment['id']}"
    for identifier in _gs1(value):
        for rule in epc_flags(identifier):
            yield f"{rule}:{identifier[:80]}"


def epc_flags(identifier: str) -> list[str]:
    """``["epc-form"]`` of an EPC URN that is none, ``["gs1-form"]`` of a Digital Link or bracketed element string that is none, and
    ``["gs1-check-digit"]`` where only a check digit is wrong; a container's URN is checked as ISO 6346 wants it (EPC Tag Data Standard, 6.3.16).
    """
    text = identifier.strip()
    try:
        if text.startswith("urn:epc:id:bic:"):
            return equipment_flags(text.removeprefix("urn:epc:id:bic:"))
        if text.startswith("urn:epc:"):
            elements_of(text)
        elif text.startswith("(") or _LINK.match(text):
            gs1.parse(text)
    except EpcError:
        return ["epc-form"]
    except gs1.Gs1Error as error:
        return ["gs1-check-digit" if "check digit" in str(error) else "gs1-form"]
    return []


_LINK: Final = re.compile(
    r"https?://\S+/(00|01|253|255|401|402|414|417|8003|8004|8006|8010|8017|8018)/", re.IGNORECASE
)


def _gs1(value: Value) -> Iterator[str]:
    """Identifiers that may be EPC URNs or GS1 Digital Links: of equipment, seals, consignments, items and papers."""
    for _, equipment in _all_equipment(value):
        yield from (i for i in (equipment.get("id"), *(s["id"] for s in equipment.get("seals", ()))) if i)
    parts = [value, *value.get("consignments", ())]
    parts += [item for part in value.get("consignments", ()) for item in part.get("items", ())]
    for part in parts:
        yield from (i for i in (part.get("ucr"), part.get("reference")) if i)
        yield from (paper["id"] for paper in part.get("documents", ()) if paper.get("id"))


def _means(value: Value) -> Iterator[Value]:
    yield from value.get("transport", ())
    for consignment in value.get("consignments", ()):
        yield from consignment.get("transport", ())
    for incident in value.get("incidents", ()):
        yield from (incident.get("transhipment") or {}).get("transport", ())


def _all_equipment(value: Value) -> Iterator[tuple[str, Value]]:
    """(JSON pointer, equipment) of the consignments and the incidents."""
    for group in ("consignments", "incidents"):
        for n, holder in enumerate(value.get(group, ())):
            for m, equipment in enumerate(holder.get("equipment", ())):
                yield f"/{group}/{n}/equipment/{m}", equipment


def _equipment(value: Value, origins: Mapping[str, str]) -> Iterator[str]:
    """Seals that are counted otherwise than listed, one seal on two equipments, and items named that are not there."""
    carriers: dict[str, set[str]] = {}
    items = {
        number
        for consignment in value.get("consignments", ())
        for item in consignment.get("items", ())
        for number in [item.get("declaration_number", item.get("number"))]
        if number is not None
    }
    for pointer, equipment in _all_equipment(value):
        seals = equipment.get("seals", ())
        count = equipment.get("seal_count")
        if count is not None and count != len(seals):
            yield _total("seals", origins, f"{pointer}/seal_count", count, "the listed", len(seals))
        if pointer.startswith("/consignments"):
            carrier = equipment.get("id") or f"#{equipment.get('number')}"
            for seal in seals:
                carriers.setdefault(seal["id"], set()).add(carrier)
        for n, number in enumerate(equipment.get("goods_items", ())):
            if items and number not in items and not is_partial(value):
                path = origins.get(f"{pointer}/goods_items/{n}", pointer)
                yield f"reference:goods-item {path} {number} is no item of this document"
    for seal_id, on in carriers.items():
        if len(on) > 1:
            yield f"seal-twice:{seal_id}"


def _totals(value: Value, origins: Mapping[str, str]) -> Iterator[str]:
    consignments = value.get("consignments", ())
    items = [item for consignment in consignments for item in consignment.get("items", ())]
    for n, consignment in enumerate(consignments):
        own = consignment.get("items", ())
        pointer = f"/consignments/{n}"
        for name, words in _MASSES:
            yield from _mass(consignment, name, words, _sum(own, name), "the items'", pointer, origins)
        yield from _count(
            consignment, "packages_total", "packages", _packages(own), "the items'", pointer, origins
        )
    for name, words in _MASSES:
        by_consignment = _sum(consignments, name)
        if by_consignment is None:
            yield from _mass(value, name, words, _sum(items, name), "the items'", "", origins)
        else:
            yield from _mass(value, name, words, by_consignment, "the consignments'", "", origins)
    packages = _packages(items)
    if packages is None:
        packages = _sum(consignments, "packages_total")
    yield from _count(value, "packages_total", "packages", packages, "the items'", "", origins)
    if items:
        yield from _count(value, "items_total", "items", len(items), "the listed", "", origins)
    equipment = {e.get("id") or p for p, e in _all_equipment(value) if p.startswith("/consignments")}
    if equipment:
        yield from _count(value, "equipment_total", "equipment", len(equipment), "the listed", "", origins)


_MASSES: Final = (("gross_mass_kg", "gross-mass"), ("net_mass_kg", "net-mass"))


def _sum(parts: Iterable[Value], name: str) -> float | None:
    """The sum of a field; none if there is nothing or any part leaves it open."""
    values = []
    for part in parts:
        value = part.get(name)
        if value is None:
            return None
        values.append(value)
    return math.fsum(values) if values else None


def _packages(items: Iterable[Value]) -> float | None:
    """How many packages the items list; none where a kind is listed without a quantity, as bulk is, or an item without packages."""
    total = 0
    seen = False
    for item in items:
        packages = item.get("packages")
        if not packages:
            return None
        for package in packages:
            if package.get("quantity") is None:
                return None
            total += package["quantity"]
            seen = True
    return total if seen else None


def _mass(
    holder: Value,
    name: str,
    words: str,
    total: float | None,
    whose: str,
    pointer: str,
    origins: Mapping[str, str],
) -> Iterator[str]:
    declared = holder.get(name)
    if declared is not None and total is not None and abs(declared - total) > _SAME_KG:
        yield _total(words, origins, f"{pointer}/{name}", declared, whose, total)


def _count(
    holder: Value,
    name: str,
    words: str,
    total: float | None,
    whose: str,
    pointer: str,
    origins: Mapping[str, str],
) -> Iterator[str]:
    declared = holder.get(name)
    if declared is not None and total is not None and declared != total:
        yield _total(words, origins, f"{pointer}/{name}", declared, whose, total)


def _total(
    rule: str, origins: Mapping[str, str], pointer: str, declared: float, whose: str, total: float
) -> str:
    return f"totals:{rule} {origins.get(pointer, pointer)} {declared:.15g} is not {whose} {total:.15g}"
