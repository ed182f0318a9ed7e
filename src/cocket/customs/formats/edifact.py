"""UN/EDIFACT messages about goods and equipment, read into the canonical model: CUSCAR, CODECO, COPRAR, IFTSTA, BAPLIE.

Syntax and envelope: ``edifact_syntax``; segment groups, elements and paths: ``edifact_tree``; codes and shared rules: ``edifact_rules``; each message's
structure and table: the module of its name.

An interchange is one document. It may carry several messages of one type: their consignments, equipment, statuses and references are in the document together, and
what stands for the whole (number, function, vessel) is the first message's; a second that says otherwise is kept raw. Refused, with the advice to split, are
messages of different types (``mixed-types``) and of different functions, or a loading and a discharge order (``mixed-functions``).

Faults name a segment by its number and tag (``14:EQD``), or a value by its path with the segment's number in the words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cocket.core.errors import Fault
from cocket.customs.formats import baplie, checks, codeco, coprar, cuscar, edifact_rules, iftsta
from cocket.customs.formats.edifact_syntax import Interchange, Message, interchange, looks_like
from cocket.customs.formats.edifact_tree import Group, Names, Tree, numbered, segment_node, tree_of
from cocket.customs.formats.mapping import Mapped, Node, Rule, Within, apply
from cocket.customs.formats.reading import Read, refuse

NAME: Final = "UN/EDIFACT (CUSCAR, CODECO, COPRAR, IFTSTA, BAPLIE)"


@dataclass(frozen=True)
class _Kind:
    """How one type of message is read. ``alike``: (segment, element, component) whose value all messages of an interchange share."""

    structure: Callable[[Message], Group]
    rules: Callable[[Group], tuple[Rule, ...]]
    constant: Mapping[str, Any] = field(default_factory=dict)
    known: Names = field(default_factory=lambda: edifact_rules.KNOWN)
    settle: Callable[[Mapped], list[str]] = lambda _: []
    one_direction: bool = False


_KINDS: Final = {
    "CUSCAR": _Kind(
        lambda _: cuscar.STRUCTURE, lambda _: cuscar.RULES, cuscar.CONSTANT, settle=cuscar.settle
    ),
    "CODECO": _Kind(lambda _: codeco.STRUCTURE, lambda _: codeco.RULES, codeco.CONSTANT),
    "COPRAR": _Kind(lambda _: coprar.STRUCTURE, lambda _: coprar.RULES, one_direction=True),
    "IFTSTA": _Kind(lambda _: iftsta.STRUCTURE, lambda _: iftsta.RULES, iftsta.CONSTANT),
    "BAPLIE": _Kind(baplie.structure, baplie.rules, baplie.CONSTANT, baplie.KNOWN),
}
_WHY: Final = {
    "1131": "whose list the code beside it is from",
    "3055": "whose list the code beside it is from",
    "0036": "a count that was checked",
    "0060": "a count that was checked",
    "0074": "a count that was checked",
    "0001": "the character set, which was used",
    "0002": "the syntax version",
    "0062": "a reference that was checked",
    "0020": "a reference that was checked",
    "0048": "a reference that was checked",
}


_QUALIFIERS: Final = frozenset(
    {"2005", "3155", "3227", "5025", "6069", "6311", "6313", "8273", "4451", "1153"}
)


class _Reader:
    """Reads one interchange. ``Refused`` names every fault of the envelope, else of the structure, else of the values."""

    name = NAME

    def sniff(self, data: bytes, name: str) -> bool:
        """Whether it begins as an interchange, with UNA or UNB, or as a message without one."""
        del name
        return looks_like(data)

    def read(self, data: bytes, name: str) -> Read:
        """The interchange in canonical form."""
        del name
        found = interchange(data)
        kind = _kind(found)
        how = _KINDS[kind]
        trees = _trees(found, how, kind)
        faults = [fault for tree in trees for fault in tree.faults] or _mixed(found, how)
        if faults:
            raise refuse(faults, f"the {kind} message")
        root = _root(found, trees)
        # All messages of an interchange are of one directory: the first tells.
        group = how.structure(found.messages[0])
        mapped = apply((*edifact_rules.ENVELOPE, Within(kind, how.rules(group))), root)
        if mapped.faults:
            raise refuse(_numbered(mapped.faults, trees), f"the {kind} message")
        flags = [*found.flags, *(flag for tree in trees for flag in tree.flags), *how.settle(mapped)]
        for field_name, value in how.constant.items():
            mapped.value.setdefault(field_name, value)
        flags += [flag for flag in checks.flags(mapped.value, mapped.origins) if flag not in flags]
        return Read(kind.lower(), mapped.value, mapped.origins, _reasons(mapped, trees), flags, mapped.taken)


READER: Final = _Reader()


def _kind(found: Interchange) -> str:
    """The one type of message in the interchange."""
    first = found.messages[0]
    if first.kind not in _KINDS:
        at = first.segments[0].place
        detail = f"{first.kind or 'a message without a type'} is not read here; known are {', '.join(_KINDS)}"
        raise refuse([Fault(at, "message-type", detail)], "the EDIFACT interchange")
    others = [
        Fault(
            m.segments[0].place,
            "mixed-types",
            f"{m.kind} beside {first.kind} of {first.segments[0].place}; send an interchange for each type",
        )
        for m in found.messages
        if m.kind != first.kind
    ]
    if others:
        raise refuse(others, "the EDIFACT interchange")
    return first.kind


def _trees(found: Interchange, how: _Kind, kind: str) -> list[Tree]:
    group = how.structure(found.messages[0])
    paths = numbered("", [kind] * len(found.messages))
    # One message's control totals say nothing of several: they stay raw.
    known = how.known if len(paths) == 1 else {**how.known, "CNT": lambda _: "CNT of one message"}
    return [tree_of(message, group, known, path) for message, path in zip(found.messages, paths, strict=True)]


def _mixed(found: Interchange, how: _Kind) -> list[Fault]:
    """Messages that cannot be one document."""
    faults: list[Fault] = []
    first: tuple[str, str] | None = None
    for message in found.messages:
        beginning = next(s for s in message.segments if s.tag == "BGM")
        own = beginning.value(2), beginning.value(0) if how.one_direction else ""
        if first is None:
            first = own
        elif own != first:
            detail = "its function or document (BGM) is another than the first message's; send an interchange for each"
            faults.append(Fault(beginning.place, "mixed-functions", detail))
    return faults


def _root(found: Interchange, trees: list[Tree]) -> Node:
    root = Node("INTERCHANGE", "")
    service = numbered("", [segment.tag for segment in found.around])
    around = [segment_node(s, path, {}) for s, path in zip(found.around, service, strict=True)]
    root.children = [*around, *(tree.node for tree in trees)]
    return root


def _numbered(faults: list[Fault], trees: list[Tree]) -> list[Fault]:
    """The faults of values with the numbers of their segments."""
    places = [tree.places for tree in trees]
    found = []
    for fault in faults:
        segment = _segment(fault.path, places)
        place = next((own[segment] for own in places if segment in own), "")
        detail = f"{fault.detail} (segment {place})" if place else fault.detail
        found.append(Fault(fault.path, fault.rule, detail))
    return found


def _reasons(mapped: Mapped, trees: list[Tree]) -> list[tuple[str, str, str]]:
    """What is kept raw, each with its reason: service elements, code lists, and qualifiers of a segment that was taken."""
    places = [tree.places for tree in trees]
    used = {segment for path in mapped.taken for segment in [_segment(path, places)] if segment}
    found = []
    for path, value, why in mapped.raw:
        name = path.rpartition("/")[2]
        if name in _QUALIFIERS and _segment(path, places) in used:
            found.append((path, value, "says what the value beside it is, and decided where that went"))
        else:
            found.append((path, value, _WHY.get(name, why)))
    return found


def _segment(path: str, places: list[dict[str, str]]) -> str:
    """The path of the segment that a value stands in, "" outside of messages."""
    while path:
        path = path.rpartition("/")[0]
        if any(path in own for own in places):
            return path
    return ""
