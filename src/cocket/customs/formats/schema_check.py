"""One pass over a document with the types of its schema: every rule that is broken, in the document's order.

The work of ``schema.Schema.validate``, where rules and paths are explained. A sound document costs one look at each element;
sequences of names and short values that were found right before are remembered, within bounds. Faults are worded only where
there are any, and never more than ``MOST_FAULTS``, so that a document made of faults costs no more than its size.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from lxml import etree

from cocket.core.errors import Fault
from cocket.customs.formats.datatypes import SPACE, SimpleType

MOST_FAULTS: Final = 100
"""After so many, the sender knows enough."""

_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_HINTS: Final = frozenset({f"{_XSI}schemaLocation", f"{_XSI}noNamespaceSchemaLocation"})
_MOST_NAMED: Final = 12
_LONGEST_NAME: Final = 80
_MOST_REMEMBERED: Final = 256
_LONGEST_REMEMBERED: Final = 64

_ATTRIBUTES: Final = etree.XPath("count(//@*)")


class Place(NamedTuple):
    """What the table says of an element name within its parent."""

    slot: int
    """Where in the sequence; names with the same slot exclude each other."""
    low: int
    high: int
    tag: str
    simple: SimpleType | None
    """The type of an element with text and no attributes; else None."""
    type: Complex | None

    @property
    def name(self) -> str:
        """The local name."""
        return self.tag.rpartition("}")[2]


@dataclass(slots=True)
class Complex:
    """The type of an element with children, or with text and attributes."""

    name: str
    places: dict[str, Place]
    """By qualified name, in the schema's order."""
    required: tuple[tuple[Place, ...], ...]
    """Every slot that must be filled: the places of which one is asked for."""
    needed: int
    """The same as bits: 1 << slot."""
    attributes: dict[str, tuple[SimpleType, bool]]
    """By name: type, and whether it must be there."""
    content: SimpleType | None
    must_have: bool = False
    """Whether an attribute is required."""
    sound: set[tuple[str, ...]] = field(default_factory=set)
    """Names of children that were found right, in their order; bounded."""


class Enough(Exception):
    """So many faults were found that nobody wants more."""


class Check:
    """One document's pass."""

    __slots__ = ("_attributes", "_roots", "_tags", "faults")

    def __init__(self, roots: Mapping[str, Complex], root: etree._Element) -> None:
        self._roots = roots
        self._tags: dict[etree._Element, list[str]] = {}
        self._attributes: bool = _ATTRIBUTES(root) > len(root.keys())
        self.faults: list[Fault] = []

    def element(self, node: etree._Element, kind: Complex) -> None:
        """Find the faults of an element with children, and of all below it, but for its attributes."""
        text = node.text
        if text is not None and text.strip(SPACE):
            self._stray(node, text)
        get = kind.places.get
        attributes = self._attributes
        children = list(node)
        tags = tuple([child.tag for child in children])
        sound = tags in kind.sound or self._sound(tags, kind)
        misplaced = {} if sound else self._misplaced(node, children, tags, kind)
        for at, child in enumerate(children):
            if not sound:
                self._tell(misplaced.get(at, ()))
            place = get(tags[at])
            if place is not None:
                _, _, _, _, simple, inner = place
                if inner is not None:
                    if inner.must_have or (attributes and child.keys()):
                        self.attributes(child, inner)
                    simple = inner.content
                    if simple is None:
                        self.element(child, inner)
                elif attributes and child.keys():
                    self.attributes(child, _BARE)
                if simple is not None:
                    text = child.text or ""
                    if len(child) or (text not in simple.right and simple.fault(text) is not None):
                        self._text(child, simple)
            text = child.tail
            if text is not None and text.strip(SPACE):
                self._stray(node, text)
        if not sound:
            self._tell(misplaced.get(len(children), ()))

    def _tell(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            if len(self.faults) == MOST_FAULTS:
                raise Enough
            self.faults.append(fault)

    @staticmethod
    def _sound(tags: tuple[str, ...], kind: Complex) -> bool:
        """Whether children of these names are those of the type, in its order and as often as it says."""
        places = kind.places
        last, count, low, high = -1, 0, 0, 0
        tag = None
        filled = 0
        for name in tags:
            if name == tag:
                count += 1
                if count > high:
                    return False
                continue
            place = places.get(name)
            if place is None or place.slot <= last or count < low:
                return False
            last, low, high, tag = place.slot, place.low, place.high, name
            count = 1
            filled |= 1 << last
        if count < low or kind.needed & ~filled:
            return False
        if len(tags) <= _LONGEST_REMEMBERED:
            if len(kind.sound) >= _MOST_REMEMBERED:
                kind.sound.clear()
            kind.sound.add(tags)
        return True

    def _misplaced(
        self, node: etree._Element, children: Sequence[etree._Element], tags: Sequence[str], kind: Complex
    ) -> dict[int, list[Fault]]:
        """What is wrong with the children as a sequence, by the position before which it is told; at most ``MOST_FAULTS``."""
        found: dict[int, list[Fault]] = {}
        counts = Counter(tags)
        seen: dict[str, int] = {}
        taken: dict[int, Place] = {}
        known: list[tuple[int, Place]] = []
        told = 0
        for at, tag in enumerate(tags):
            if told >= MOST_FAULTS:
                return found
            place = kind.places.get(tag)
            if place is None:
                fault = self._unknown(children[at], kind)
            else:
                known.append((at, place))
                seen[tag] = nth = seen.get(tag, 0) + 1
                if nth == place.high + 1:
                    words = f"{place.name} may stand {_times(place.high)} in {local(node)}, and stands {_times(counts[tag])}"
                    fault = Fault(self.path(children[at]), "too-many", words)
                elif taken.setdefault(place.slot, place) is not place:
                    words = f"{taken[place.slot].name} stands in {local(node)}, and excludes {place.name}"
                    fault = Fault(self.path(children[at]), "unexpected", words)
                else:
                    continue
            told += 1
            found.setdefault(at, []).append(fault)
        ordered = _longest([place.slot for _, place in known])
        right = [pair for number, pair in enumerate(known) if number in ordered]
        firsts: dict[int, tuple[int, Place]] = {}
        for at, place in right:
            firsts.setdefault(place.slot, (at, place))
        slots = list(firsts)  # in their order, for what is right never falls
        if len(right) < len(known):
            for number, (at, place) in enumerate(known):
                if number in ordered:
                    continue
                later = bisect_right(slots, place.slot)
                where = (
                    f"before {firsts[slots[later]][1].name}"
                    if later < len(slots)
                    else f"behind {right[-1][1].name}"
                )
                words = f"{place.name} stands out of order: it belongs {where}"
                found.setdefault(at, []).append(Fault(self.path(children[at]), "order", words))
                told += 1
                if told >= MOST_FAULTS:
                    return found
        for options in _wanted(kind):
            here = next((p for p in options if counts[p.tag]), None)
            if here is None:
                place = options[0]
                later = bisect_right(slots, place.slot)
                at = firsts[slots[later]][0] if later < len(slots) else len(tags)
                names = " or ".join(p.name for p in options)
                step = f"{place.name}[1]" if place.high > 1 and len(options) == 1 else place.name
                words = f"{names} is missing in {local(node)}; {_after(place, kind)}"
            elif counts[here.tag] < here.low:
                at = len(tags) - tags[::-1].index(here.tag)
                step = f"{here.name}[{counts[here.tag] + 1}]"
                words = f"{here.name} must stand at least {_times(here.low)} in {local(node)}"
            else:
                continue
            found.setdefault(at, []).append(Fault(f"{self.path(node)}/{step}", "missing", words))
        return found

    def _unknown(self, child: etree._Element, kind: Complex) -> Fault:
        name = etree.QName(child)
        for place in kind.places.values():
            if place.name == name.localname:
                words = (
                    f"{place.name} is in the namespace {(name.namespace or 'none')[:_LONGEST_NAME]!r}, and must be in "
                    f"{place.tag[1:].rpartition('}')[0] or 'none'!r}"
                )
                return Fault(self.path(child), "namespace", words)
        names = [place.name for place in kind.places.values()]
        listed = ", ".join(names[:_MOST_NAMED]) + (
            f" … ({len(names)} in all)" if len(names) > _MOST_NAMED else ""
        )
        parent = child.getparent()
        words = f"{local(child)} is not known in {local(parent)}; there may stand: {listed or 'nothing'}"
        return Fault(self.path(child), "unexpected", words)

    def _text(self, node: etree._Element, simple: SimpleType) -> None:
        if len(node):
            words = f"{local(node)} holds text, and <{local(node[0])}> stands in it"
            self._tell([Fault(self.path(node), "children", words)])
            return
        fault = simple.fault(node.text or "")
        if fault is not None:
            self._tell([Fault(self.path(node), *fault)])

    def attributes(self, node: etree._Element, kind: Complex) -> None:
        """Find the faults of an element's attributes."""
        self._tell(self._attribute_faults(node, kind))

    def _attribute_faults(self, node: etree._Element, kind: Complex) -> Iterator[Fault]:
        given = node.attrib
        for key, value in given.items():
            name = str(key)
            if name in kind.attributes:
                fault = kind.attributes[name][0].fault(str(value))
                if fault is not None:
                    yield Fault(f"{self.path(node)}/@{name}", *fault)
            elif name not in _HINTS:
                short = name.rpartition("}")[2][:_LONGEST_NAME]
                allowed = ", ".join(kind.attributes) or "none"
                words = f"{local(node)} has no attribute {short}; attributes that it may have: {allowed}"
                yield Fault(f"{self.path(node)}/@{short}", "attribute", words)
        for name, (_, required) in kind.attributes.items():
            if required and name not in given:
                yield Fault(
                    f"{self.path(node)}/@{name}", "missing", f"{local(node)} must have the attribute {name}"
                )

    def _stray(self, node: etree._Element, text: str) -> None:
        words = f"{local(node)} holds elements, and the text {text.strip(SPACE)[:40]!r} stands among them"
        self._tell([Fault(self.path(node), "text", words)])

    def path(self, node: etree._Element) -> str:
        """The path of an element, with ``[n]`` where it repeats or may repeat."""
        steps = []
        line = [node, *node.iterancestors()][::-1]
        kind = self._roots.get(line[0].tag)
        for parent, child in pairwise(line):
            place = None if kind is None else kind.places.get(child.tag)
            tags = self._tags.get(parent)
            if tags is None:
                tags = self._tags[parent] = [c.tag for c in parent]
            step = local(child)
            if (place is not None and place.high > 1) or tags.count(child.tag) > 1:
                at = parent.index(child)
                step += f"[{tags[:at].count(child.tag) + 1}]"
            steps.append(step)
            kind = None if place is None else place.type
        return "/".join(["", local(line[0]), *steps])


_BARE: Final = Complex("", {}, (), 0, {}, None)


def _wanted(kind: Complex) -> Iterator[tuple[Place, ...]]:
    """The places that must be filled, and those that must be filled more than once if at all."""
    yield from kind.required
    demanded = {p.tag for options in kind.required for p in options}
    yield from ((p,) for p in kind.places.values() if p.low > 1 and p.tag not in demanded)


def _longest(numbers: Sequence[int]) -> set[int]:
    """The positions of a longest run that never falls: what is outside it stands out of order."""
    tails: list[int] = []
    last: list[int] = []
    back: list[int] = []
    for at, number in enumerate(numbers):
        slot = bisect_right(tails, number)
        back.append(last[slot - 1] if slot else -1)
        if slot == len(tails):
            tails.append(number)
            last.append(at)
        else:
            tails[slot], last[slot] = number, at
    found, at = set(), last[-1] if last else -1
    while at >= 0:
        found.add(at)
        at = back[at]
    return found


def _after(place: Place, kind: Complex) -> str:
    before = [p.name for p in kind.places.values() if p.slot < place.slot]
    return f"it belongs behind {before[-1]}" if before else "it belongs first"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def local(node: etree._Element) -> str:
    """An element's name without its namespace, cut where nobody would read on."""
    return str(node.tag).rpartition("}")[2][:_LONGEST_NAME]
