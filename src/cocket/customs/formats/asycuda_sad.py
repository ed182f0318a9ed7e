"""ASYCUDA World's declaration (SAD) as XML, read into the canonical model.

No schema is published by UNCTAD; names and shape follow the files that national systems export and the schema that
integrators circulate (Asycuda421.xsd), box by box of the single administrative document. What is peculiar to it:

- ``<null/>`` inside an element, an empty element and white space all mean that nothing was said.
- Boxes that take a name take the address with it, line by line: the first line is the name, the others the street.
- Amounts, masses and counts of zero are how an empty box is exported; of guarantees and duties they are kept raw.
- ``Suppplementary_unit_code`` with three p is how the system itself writes it; two p are read too.
- Dates come as the exporting computer wrote them, month first (``8/24/16``) or day first: the file as a whole decides, and one that leaves it
  open is read month first and flagged ``date-order-assumed``.
- Seals stand under ``Transit``, apart from the containers: with one container they are its own, else the load space's.

The MRN is put together from office, year, serial and number of the registration (``00RB-2024-C1234``), since the number alone
repeats in each office and year; a declaration that is not registered yet has only its LRN, the declarant's reference.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

from lxml import etree

from cocket.core.errors import Fault
from cocket.customs.formats import checks
from cocket.customs.formats.asycuda_boxes import SUPPLEMENTARY, rules
from cocket.customs.formats.asycuda_values import SLASHED
from cocket.customs.formats.elements import node_of
from cocket.customs.formats.mapping import Mapped, Node, apply
from cocket.customs.formats.moving import move
from cocket.customs.formats.reading import Read, refuse
from cocket.customs.formats.xmltree import parse

NAME: Final = "ASYCUDA World SAD XML"
_ROOT: Final = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->|\s)*<(?:[\w.-]+:)?ASYCUDA[\s/>]", re.DOTALL)
_ONCE: Final = (
    "Export_release",
    "Property",
    "Identification",
    "Traders",
    "Declarant",
    "General_information",
    "Transport",
    "Financial",
    "Warehouse",
    "Transit",
    "Valuation",
)
_NEEDED: Final = (
    ("Identification/Office_segment/Customs_clearance_office_code", "the office of clearance (box A)"),
    ("Identification/Type/Type_of_declaration", "the type of declaration (box 1)"),
)
_CODES: Final = ("_payment", "_MP", "_code", "_mode", "Code", "Mode")
_ZERO: Final = "a zero: the box was left empty"


class _Reader:
    """Reads one SAD. ``Refused`` names what is missing, doubled or no value, each with its path."""

    name = NAME

    def sniff(self, data: bytes, name: str) -> bool:
        """Whether the first element is ``ASYCUDA``."""
        del name
        head = data[:65536]
        marked = head.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = head.decode("utf-16" if marked else "utf-8", "replace")
        return bool(_ROOT.match(text.lstrip("\ufeff")))

    def read(self, data: bytes, name: str) -> Read:
        """The declaration in canonical form."""
        del name
        root = parse(data)
        _without_nulls(root)
        tree = node_of(root)
        faults = _structure(tree)
        order, assumed = _date_order(tree)
        faults += order if isinstance(order, list) else []
        if faults:
            raise refuse(faults, "the ASYCUDA declaration")
        _prepare(tree)
        mapped = apply(rules("month" if isinstance(order, list) else order), tree)
        _settle(mapped, [item.path for item in tree.named("Item")])
        if mapped.faults:
            raise refuse(mapped.faults, "the ASYCUDA declaration")
        flags = checks.flags(mapped.value, mapped.origins)
        if assumed:
            flags.append("date-order-assumed")
        return Read("asycuda-sad", mapped.value, mapped.origins, mapped.raw, flags, mapped.taken)


READER: Final = _Reader()


def _without_nulls(root: etree._Element) -> None:
    """Take out each ``<null/>`` that says nothing itself; the text around it stays."""
    for element in list(root.iter("{*}null")):
        parent = element.getparent()
        if parent is None or len(element) or element.attrib or (element.text or "").strip():
            continue
        before = element.getprevious()
        if before is None:
            parent.text = (parent.text or "") + (element.tail or "")
        else:
            before.tail = (before.tail or "") + (element.tail or "")
        parent.remove(element)


def _structure(tree: Node) -> list[Fault]:
    if tree.name != "ASYCUDA":
        return [Fault(tree.path, "root", f"the root element is {tree.name[:40]}, not ASYCUDA")]
    faults = []
    for name in _ONCE:
        found = tree.named(name)
        if len(found) > 1:
            faults.append(
                Fault(found[1].path, "repeated", f"a second {name}; a declaration has one of each section")
            )
    if not tree.named("Identification"):
        faults.append(Fault("/ASYCUDA/Identification", "required", "the section Identification is missing"))
    else:
        for path, what in _NEEDED:
            if not any(node.text for node in tree.at(path)):
                faults.append(Fault(f"/ASYCUDA/{path}", "required", f"{what} is missing"))
    items = tree.named("Item")
    if not items:
        faults.append(Fault("/ASYCUDA/Item", "required", "there is no Item: a declaration has one or more"))
    faults += [
        Fault(item.path, "required", "the item says nothing") for item in items if not any(item.leaves())
    ]
    return faults


def _date_order(tree: Node) -> tuple[str | list[Fault], bool]:
    """``month`` or ``day``, whichever stands first in the dates of this file, and whether that was assumed; a fault if they contradict each other."""
    first: dict[str, tuple[str, str]] = {}
    seen = False
    for path, value in tree.leaves():
        found = SLASHED.fullmatch(value)
        if found is None or not path.rpartition("/")[2].lower().partition("[")[0].endswith(
            ("date", "exit", "limit")
        ):
            continue
        one, two = int(found[1]), int(found[2])
        seen = seen or 0 < one != two
        if one > 12 >= two:
            first.setdefault("day", (path, value))
        elif two > 12 >= one:
            first.setdefault("month", (path, value))
    if len(first) == 2:
        (day_path, day), (month_path, month) = first["day"], first["month"]
        detail = f"{day} has the day first, {month} at {month_path} the month; write dates as YYYY-MM-DD"
        return [Fault(day_path, "value", detail)], False
    return next(iter(first), "month"), seen and not first


def _prepare(tree: Node) -> None:
    """Names as the table knows them: spellings of the supplementary unit, units beyond the first set apart, and each seal a node."""
    for item in tree.named("Item"):
        number = 0
        for tariff in item.named("Tarification"):
            for node in tariff.children:
                node.name = node.name.replace("Suppplementary", "Supplementary")
                if node.name == SUPPLEMENTARY:
                    for child in node.children:
                        child.name = child.name.replace("Suppplementary", "Supplementary")
                    number += 1
                    node.name = SUPPLEMENTARY if number == 1 else f"{SUPPLEMENTARY}+{number}"
    for seals in tree.at("Transit/Seals"):
        ids = [
            Node("Identity", child.path, part)
            for child in seals.children
            if child.name == "Identity"
            for part in re.split(r"\s*[,;/\n]\s*", child.text)
            if part
        ]
        seals.children = [child for child in seals.children if child.name != "Identity"] + ids


def _settle(mapped: Mapped, items: list[str]) -> None:
    """What no single box says: the items' numbers, the seals' container, and the roles that follow from the procedure."""
    value, origins = mapped.value, mapped.origins
    procedure = value.get("procedure")
    for office in value.get("offices", ()):
        if office["role"] == "lodgement" and procedure == "transit":
            office["role"] = "departure"
    mapped.raw = [(p, v, _ZERO if _is_zero(p, v) else why) for p, v, why in mapped.raw]
    for consignment in value.get("consignments", ()):
        for means in consignment.get("transport", ()):
            if means["role"] == "departure" and procedure in {"import", "warehouse"}:
                means["role"] = "arrival"
        for n, item in enumerate(consignment.get("items", ())):
            item["number"] = n + 1
            origins[f"/consignments/0/items/{n}/number"] = items[n]
        _seal_the_container(consignment, mapped)


def _is_zero(path: str, value: str) -> bool:
    """Whether this is a number that nobody filled in; of a code, 0 is as good as any."""
    return bool(re.fullmatch(r"0+([.,]0*)?|0+/0+/0+", value)) and not path.endswith(_CODES)


def _seal_the_container(consignment: dict[str, Any], mapped: Mapped) -> None:
    """With one container in the declaration, the seals under ``Transit`` are on it."""
    equipment: list[dict[str, Any]] = consignment.get("equipment", [])
    named = Counter(e["id"] for e in equipment if e.get("id"))
    spaces = [n for n, e in enumerate(equipment) if "id" not in e and ("seals" in e or "seal_count" in e)]
    if len(named) != 1 or len(spaces) != 1 or spaces[0] != len(equipment) - 1:
        return
    at = next(n for n, e in enumerate(equipment) if e.get("id"))
    space = equipment.pop()
    old, new = f"/consignments/0/equipment/{spaces[0]}", f"/consignments/0/equipment/{at}"
    for name in ("seal_count", "seals"):
        if name in space:
            equipment[at][name] = space[name]
    move(mapped, {old: [new]})
