"""WCO Data Model declarations, version 3.6: ``MetaData`` around a ``Declaration``, or a ``Declaration`` alone, also in a partner's envelope.

One message does all: ``FunctionCode`` 9 declares anew; 13 is an additional message, of which ``TypeCode`` says more: COR amends what its pointers
name, INV asks to cancel, all others are notices, such as GPR and GPN that goods have arrived. ``ID`` is the number that customs gave (the MRN);
``FunctionalReferenceID`` is the declarant's (the LRN) in a declaration, and the message's own in an additional one.

``hs`` is the tariff code (classification TSP, eight digits) with TARIC's two (TRC) behind it where both are given; every classification stands in
``classifications`` too. A pointer reads ``42A[1]/67A[1]/68A[2]#128``: document sections with their numbers, at the end the tag.

Structure: WCO Data Model 3.6, declaration (DEC). Code lists: UN/EDIFACT 1225 (functions) and 2379 (forms of dates). Nothing here is bound
to one country.
"""

from __future__ import annotations

import re
from typing import Any, Final

from lxml import etree

from cocket.core.errors import Fault
from cocket.customs.formats import checks, schema, xmltree
from cocket.customs.formats.elements import local, node_of, where
from cocket.customs.formats.mapping import NO_FIELD, Mapped, Rule, Within, apply
from cocket.customs.formats.reading import Read, refuse
from cocket.customs.formats.wco_parts import DECLARATION, METADATA, OTHER_REFERENCE, OWN_REFERENCE

_WHAT: Final = "the WCO declaration"
_OUTSIDE: Final = "outside the declaration, in the envelope that it came in"
_LISTED: Final = "says which list a code or number is from, or the language or unit of a value"
_SAYING: Final = ("FunctionCode", "TypeCode")
_NAMESPACE: Final = b"urn:wco:datamodel:"

_NEW: Final[tuple[Rule, ...]] = (OWN_REFERENCE, *DECLARATION)
_MORE: Final[tuple[Rule, ...]] = (OTHER_REFERENCE, *DECLARATION)
_ALREADY: Final = re.compile(r"(?:.*/)?06A\[(\d{1,6})\]")


class WcoReader:
    """WCO Data Model declarations."""

    name = "WCO Data Model declaration"

    def sniff(self, data: bytes, name: str) -> bool:  # noqa: ARG002 - bytes tell
        """A namespace of the WCO Data Model within the first bytes."""
        head = data[:8192]
        return _NAMESPACE in head or _NAMESPACE in head.replace(b"\0", b"")

    def read(self, data: bytes, name: str) -> Read:  # noqa: ARG002 - bytes tell
        """The declaration in canonical form; ``Refused`` where it breaks the schema or names two MRNs, or where there is none."""
        root = xmltree.parse(data)
        element = _document(root)
        declarations = [element] if local(element) == "Declaration" else element.findall("{*}Declaration")
        numbers = [number for declaration in declarations for number in declaration.findall("{*}ID")]
        code, kind = (next((d.findtext(f"{{*}}{n}", "").strip() for d in declarations), "") for n in _SAYING)
        # Two numbers break the schema too; what is wrong with them is said first, in words.
        faults = checks.one_reference((where(number), (number.text or "").strip()) for number in numbers[:8])
        cancels = (code, kind) == ("13", "INV")
        faults += (schema.wco_cancellation() if cancels else schema.wco()).validate(element)
        if faults:
            raise refuse(faults, _WHAT)
        tree = node_of(element, where(element))
        rules = _NEW if code == "9" else _MORE
        mapped = apply(
            rules if tree.name == "Declaration" else (METADATA, Within("Declaration", rules)), tree
        )
        if mapped.faults:
            raise refuse(mapped.faults, _WHAT)
        mapped.raw = [(p, v, _LISTED if why == NO_FIELD and "/@" in p else why) for p, v, why in mapped.raw]
        if element is not root:
            mapped.raw[:0] = _envelope(root, tree.path)
        value = mapped.value
        _join_equipment(value, mapped)
        _join_reasons(value, mapped)
        return Read(
            "wco-declaration",
            value,
            mapped.origins,
            mapped.raw,
            checks.flags(value, mapped.origins),
            mapped.taken,
        )


READER: Final = WcoReader()


def _document(root: etree._Element) -> etree._Element:
    """The declaration's own root element: the document's, or the one that an envelope holds."""
    if local(root) in {"MetaData", "Declaration"}:
        return root
    found = list(root.iter("{*}MetaData"))
    if len(found) == 1:
        return found[0]
    path = f"/{local(root)}"
    if found:
        detail = f"{len(found)} MetaData stand in one document; send one document for each"
        raise refuse([Fault(path, "too-many", detail)], _WHAT)
    detail = f"<{local(root)}> holds no MetaData and is no Declaration of the WCO Data Model"
    raise refuse([Fault(path, "unknown-kind", detail)], _WHAT)


def _envelope(root: etree._Element, path: str) -> list[tuple[str, str, str]]:
    """What an envelope says beside the document at ``path``."""
    return [(p, value, _OUTSIDE) for p, value in node_of(root).leaves() if not p.startswith(f"{path}/")]


def _join_equipment(value: dict[str, Any], mapped: Mapped) -> None:
    """Tell each container which goods items name it."""
    for n, consignment in enumerate(value.get("consignments", ())):
        by_id = {e["id"]: (m, e) for m, e in enumerate(consignment.get("equipment", ())) if "id" in e}
        for k, item in enumerate(consignment.get("items", ())):
            for i, equipment_id in enumerate(item.get("equipment_ids", ())):
                if equipment_id not in by_id or "number" not in item:
                    continue
                m, equipment = by_id[equipment_id]
                numbers = equipment.setdefault("goods_items", [])
                named = mapped.origins[f"/consignments/{n}/items/{k}/equipment_ids/{i}"]
                mapped.origins[f"/consignments/{n}/equipment/{m}/goods_items/{len(numbers)}"] = named
                numbers.append(item["number"])


def _join_reasons(value: dict[str, Any], mapped: Mapped) -> None:
    """Put the words of a statement that points at an amendment (06A) into that change."""
    changes = value.get("changes", ())
    for n, note in enumerate(value.get("notes", ())):
        found = _ALREADY.fullmatch(note.get("pointer", ""))
        number = int(found[1]) if found else 0
        if 0 < number <= len(changes) and "text" in note and "text" not in changes[number - 1]:
            changes[number - 1]["text"] = note["text"]
            mapped.origins[f"/changes/{number - 1}/text"] = mapped.origins[f"/notes/{n}/text"]
