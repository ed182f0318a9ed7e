"""Checks a customs document against the facts of its schema, finds all that is wrong, and builds elements in its order.

``ncts()``, ``wco()`` and ``wco_cancellation()`` give a ``Schema``, read once from the tables in ``schemas/`` (made by
``schema_compile.py``). ``Schema.validate(root)`` gives faults in the order of the document, at most 100: none means that
the document is valid. A fault's path is absolute and made of local names, with ``[n]``, counted from 1, where an element
repeats or may: ``/CC015C/Consignment/HouseConsignment[2]/sequenceNumber``, ``/CC015C/@PhaseID``. Rules:

- of the structure: ``root`` (no message of this standard), ``missing`` (the path is that of what is missing),
  ``unexpected``, ``namespace`` (the right name in the wrong one), ``too-many``, ``order``, ``text`` (text among children),
  ``children`` (children in an element of text), ``attribute``;
- of a value: ``empty``, ``type``, ``pattern``, ``enumeration``, ``length``, ``range``, ``digits`` (see ``datatypes.py``).

The same documents are valid as with an XSD 1.0 processor over the XSDs, but for three things on purpose. ``xsi:type`` and
``xsi:nil`` are refused: no type of these messages can be replaced and none is nillable, so that they only hide something.
``xs:anyURI`` takes any text. Nothing is fetched or looked up through ``xsi:schemaLocation``; it is ignored.

A document is checked in one pass, 0.5 to 1 µs an element; faults are worded only where there are any.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final, NamedTuple

from lxml import etree

from cocket.core.errors import Fault
from cocket.customs.formats.datatypes import BUILT_IN, SPACE, SimpleType

MOST_FAULTS: Final = 100
"""After so many, the sender knows enough."""

_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_HINTS: Final = frozenset({f"{_XSI}schemaLocation", f"{_XSI}noNamespaceSchemaLocation"})
_MANY: Final = 1 << 62
_MOST_NAMED: Final = 12

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


class Schema:
    """The messages of one standard. Any thread may call."""

    def __init__(self, source: str, roots: dict[str, Complex]) -> None:
        self.source = source
        self.roots = roots

    def knows(self, qname: str) -> bool:
        """Whether ``{namespace}name`` is a root of this standard."""
        return qname in self.roots

    def validate(self, root: etree._Element) -> list[Fault]:
        """What is wrong with a document, in its order; an empty list if nothing is."""
        top = self.roots.get(root.tag)
        if top is None:
            return [self._stranger(root)]
        check = _Check(self, root)
        try:
            if root.keys() or top.must_have:
                check.attributes(root, top)
            check.element(root, top)
        except _Enough:
            pass
        return check.faults

    def order(self, qname: str, *path: str) -> tuple[str, ...]:
        """The local names of the children of a root, or of an element below it, in the schema's order."""
        return tuple(p.name for p in self._type(qname, path).places.values())

    def occurs(self, qname: str, *path: str) -> tuple[int, int | None]:
        """How often an element below a root may stand in its parent: (low, high), None without limit."""
        place = _by_name(self._type(qname, path[:-1]))[path[-1]]
        return place.low, None if place.high == _MANY else place.high

    def element(self, qname: str, content: Mapping[str, Any], prefix: str | None = None) -> etree._Element:
        """A root element from nested mappings of local names, with children in the schema's order.

        A value is text, a mapping, or a list of these; None and empty lists write nothing; ``@name`` is an attribute,
        ``#text`` the text beside attributes. A name that the schema does not have is a mistake of ours: ``KeyError``.
        """
        root = etree.Element(qname, nsmap={prefix: etree.QName(qname).namespace})
        _fill(root, self.roots[qname], content)
        return root

    def _type(self, qname: str, path: Sequence[str]) -> Complex:
        found = self.roots[qname]
        for name in path:
            inner = _by_name(found)[name].type
            if inner is None:
                raise KeyError(f"{name} of {found.name} has no children")
            found = inner
        return found

    def _stranger(self, root: etree._Element) -> Fault:
        name = etree.QName(root)
        same = [q for q in self.roots if etree.QName(q).localname == name.localname]
        why = (
            f"its namespace is {name.namespace or 'none'!r}, and must be {etree.QName(same[0]).namespace!r}"
            if same
            else "it begins none of the messages that are known"
        )
        return Fault(f"/{name.localname}", "root", f"<{name.localname}> is not read: {why}")


class _Enough(Exception):
    """So many faults were found that nobody wants more."""


class _Check:
    """One document's pass."""

    __slots__ = ("_attributes", "_schema", "faults")

    def __init__(self, schema: Schema, root: etree._Element) -> None:
        self._schema = schema
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
        misplaced = {} if sound else self._misplaced(node, children, kind)
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
                raise _Enough
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
        self, node: etree._Element, children: Sequence[etree._Element], kind: Complex
    ) -> dict[int, list[Fault]]:
        """What is wrong with the children as a sequence, by the position before which it is told."""
        found: dict[int, list[Fault]] = {}

        def tell(at: int, path: str, rule: str, detail: str) -> None:
            found.setdefault(at, []).append(Fault(path, rule, detail))

        counts: dict[str, int] = {}
        taken: dict[int, str] = {}
        known: list[tuple[int, Place]] = []
        for at, child in enumerate(children):
            place = kind.places.get(child.tag)
            if place is None:
                tell(at, *self._unknown(child, kind))
                continue
            counts[place.tag] = counts.get(place.tag, 0) + 1
            if counts[place.tag] == place.high + 1:
                tell(
                    at,
                    self._path(child),
                    "too-many",
                    f"{place.name} may stand {_times(place.high)} in {_local(node)}, and stands "
                    f"{sum(c.tag == place.tag for c in children)} times",
                )
            if taken.setdefault(place.slot, place.tag) != place.tag:
                tell(
                    at,
                    self._path(child),
                    "unexpected",
                    f"{place.name} excludes {etree.QName(taken[place.slot]).localname} beside it",
                )
            known.append((at, place))
        ordered = _longest([place.slot for _, place in known])
        for number, (at, place) in enumerate(known):
            if number not in ordered:
                before, after = _neighbours(number, known, ordered)
                tell(
                    at,
                    self._path(children[at]),
                    "order",
                    f"{place.name} stands out of order: it belongs {before or after}",
                )
        here = [known[i] for i in sorted(ordered)]
        for options in _wanted(kind):
            if any(counts.get(p.tag) for p in options):
                place = next(p for p in options if counts.get(p.tag))
                if counts[place.tag] >= place.low:
                    continue
                tell(
                    max(at for at, p in known if p.tag == place.tag) + 1,
                    f"{self._path(node)}/{place.name}[{counts[place.tag] + 1}]",
                    "missing",
                    f"{place.name} must stand at least {_times(place.low)} in {_local(node)}",
                )
                continue
            place = options[0]
            at = next((at for at, p in here if p.slot > place.slot), len(children))
            names = " or ".join(p.name for p in options)
            step = f"{place.name}[1]" if place.high > 1 and len(options) == 1 else place.name
            tell(
                at,
                f"{self._path(node)}/{step}",
                "missing",
                f"{names} is missing in {_local(node)}; {_after(place, kind)}",
            )
        return found

    def _unknown(self, child: etree._Element, kind: Complex) -> tuple[str, str, str]:
        path, name = self._path(child), etree.QName(child)
        for place in kind.places.values():
            if place.name == name.localname:
                wanted = etree.QName(place.tag).namespace
                return (
                    path,
                    "namespace",
                    (
                        f"{name.localname} is in the namespace {name.namespace or 'none'!r}, and must be in "
                        f"{'none' if wanted is None else repr(wanted)}"
                    ),
                )
        names = [place.name for place in kind.places.values()]
        listed = ", ".join(names[:_MOST_NAMED]) + (
            f" … ({len(names)} in all)" if len(names) > _MOST_NAMED else ""
        )
        return (
            path,
            "unexpected",
            f"{name.localname} is not known in {_parent(child)}; there may stand: {listed or 'nothing'}",
        )

    def _text(self, node: etree._Element, simple: SimpleType) -> None:
        if len(node):
            words = f"{_local(node)} holds text, and <{_local(node[0])}> stands in it"
            self._tell([Fault(self._path(node), "children", words)])
            return
        fault = simple.fault(node.text or "")
        if fault is not None:
            self._tell([Fault(self._path(node), *fault)])

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
                    yield Fault(f"{self._path(node)}/@{name}", *fault)
            elif name not in _HINTS:
                local = etree.QName(name).localname
                allowed = ", ".join(kind.attributes) or "none"
                yield Fault(
                    f"{self._path(node)}/@{local}",
                    "attribute",
                    f"{_local(node)} has no attribute {local}; attributes that it may have: {allowed}",
                )
        for name, (_, required) in kind.attributes.items():
            if required and name not in given:
                yield Fault(
                    f"{self._path(node)}/@{name}", "missing", f"{_local(node)} must have the attribute {name}"
                )

    def _stray(self, node: etree._Element, text: str) -> None:
        words = f"{_local(node)} holds elements, and the text {text.strip(SPACE)[:40]!r} stands among them"
        self._tell([Fault(self._path(node), "text", words)])

    def _path(self, node: etree._Element) -> str:
        steps = []
        line = [node, *node.iterancestors()][::-1]
        kind = self._schema.roots.get(line[0].tag)
        for parent, child in pairwise(line):
            place = None if kind is None else kind.places.get(child.tag)
            step = _local(child)
            if (place is not None and place.high > 1) or sum(c.tag == child.tag for c in parent) > 1:
                step += f"[{sum(1 for c in child.itersiblings(child.tag, preceding=True)) + 1}]"
            steps.append(step)
            kind = None if place is None else place.type
        return "/".join(["", _local(line[0]), *steps])


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


def _neighbours(number: int, known: Sequence[tuple[int, Place]], ordered: set[int]) -> tuple[str, str]:
    """Between which of the elements that stand right one belongs: (before what, behind what), in words."""
    index = known[number][1].slot
    later = next((p.name for i, (_, p) in enumerate(known) if i in ordered and p.slot > index), "")
    earlier = [p.name for i, (_, p) in enumerate(known) if i in ordered and p.slot <= index]
    return f"before {later}" if later else "", f"behind {earlier[-1]}" if earlier else "elsewhere"


def _after(place: Place, kind: Complex) -> str:
    before = [p.name for p in kind.places.values() if p.slot < place.slot]
    return f"it belongs behind {before[-1]}" if before else "it belongs first"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _local(node: etree._Element) -> str:
    return str(node.tag).rpartition("}")[2]


def _parent(node: etree._Element) -> str:
    parent = node.getparent()
    return "the document" if parent is None else _local(parent)


def _by_name(kind: Complex) -> dict[str, Place]:
    return {p.name: p for p in kind.places.values()}


def _fill(node: etree._Element, kind: Complex, content: Mapping[str, Any]) -> None:
    places = _by_name(kind)
    for key in content:
        if key[0] == "@":
            if content[key] is not None:
                kind.attributes[key[1:]]  # a KeyError names it
                node.set(key[1:], content[key])
        elif key == "#text":
            node.text = content[key]
        elif key not in places:
            raise KeyError(f"{kind.name} has no {key}")
    for name, place in places.items():
        value = content.get(name)
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            child = etree.SubElement(node, place.tag)
            if isinstance(one, str):
                child.text = one
            elif place.type is not None:
                _fill(child, place.type, one)
            else:
                raise KeyError(f"{name} of {kind.name} holds text, not {sorted(one)}")


class _Table:
    """Reads the lines of a table; types are made when they are first named."""

    def __init__(self, text: str) -> None:
        lines = text.splitlines()
        self.source = "; ".join(line[2:] for line in lines[:2])
        self._spaces = {"-": ""}
        self._roots: list[tuple[str, str]] = []
        self._cells: dict[str, list[str]] = {}
        self._simple: dict[str, SimpleType] = {}
        self._complex: dict[str, Complex] = {}
        for line in lines:
            kind, _, rest = line.partition("\t")
            cells = rest.split("\t")
            if kind == "namespace":
                self._spaces[cells[0]] = f"{{{cells[1]}}}"
            elif kind == "root":
                self._roots.append((self._spaces[cells[0]] + cells[1], cells[2]))
            elif kind == "simple":
                facets = [(word, value) for word, _, value in (c.partition(" ") for c in cells[2:])]
                self._simple[cells[0]] = SimpleType(cells[0], cells[1], facets)
            elif kind in {"text", "type"}:
                self._cells[cells[0]] = [kind, *cells[1:]]
            elif not line.startswith("#"):
                raise ValueError(f"a line of a schema table that begins with {kind!r}")

    def schema(self) -> Schema:
        """The schema with all its types."""
        roots: dict[str, Complex] = {}
        for tag, name in sorted(self._roots, key=self._wild):  # a wildcard means other roots: they come first
            roots[tag] = self._typed(name, roots)
        return Schema(self.source, {tag: roots[tag] for tag, _ in self._roots})

    def _wild(self, root: tuple[str, str]) -> bool:
        return any("any" in cell.split(" ") for cell in self._cells[root[1]])

    def _typed(self, name: str, roots: Mapping[str, Complex]) -> Complex:
        found = self._complex.get(name)
        if found is not None:
            return found
        kind, head, *cells = self._cells[name]
        attributes: dict[str, tuple[SimpleType, bool]] = {}
        for cell in cells:
            if cell[0] == "@":
                attribute, _, simple = cell[1:].partition(" ")
                attributes[attribute.rstrip("!")] = (self._plain(simple), attribute.endswith("!"))
        if kind == "text":
            made = Complex(name, {}, (), 0, attributes, self._plain(head))
        else:
            places: dict[str, Place] = {}
            required = []
            for index, cell in enumerate(c for c in cells if c[0] != "@"):
                options: list[Place] = [
                    p for text in cell.split(" | ") for p in self._places(index, text, head, roots)
                ]
                places.update((p.tag, p) for p in options)
                if options and all(p.low for p in options):
                    required.append(tuple(options))
            needed = sum(1 << group[0].slot for group in required)
            made = Complex(name, places, tuple(required), needed, attributes, None)
        made.must_have = any(required for _, required in attributes.values())
        self._complex[name] = made
        return made

    def _places(self, index: int, text: str, prefix: str, roots: Mapping[str, Complex]) -> Iterator[Place]:
        name, kind, *occurs = text.split(" ")
        low, high = occurs[0].split("..") if occurs else ("1", "1")
        bounds = (int(low), _MANY if high == "n" else int(high))
        if name == "any":
            for tag, root in roots.items():
                if tag.startswith(self._spaces[kind]):
                    yield Place(index, *bounds, tag, None, root)
        elif kind in self._cells:
            yield Place(index, *bounds, self._spaces[prefix] + name, None, self._typed(kind, roots))
        else:
            yield Place(index, *bounds, self._spaces[prefix] + name, self._plain(kind), None)

    def _plain(self, name: str) -> SimpleType:
        if name not in self._simple and name in BUILT_IN:
            self._simple[name] = SimpleType(name, name, ())
        return self._simple[name]


def load(name: str) -> Schema:
    """Read one of the tables anew."""
    return _Table((files(__package__) / "schemas" / f"{name}.tsv").read_text(encoding="utf-8")).schema()


@cache
def ncts() -> Schema:
    """EU NCTS messages, phases 5 and 6 (CC004C to CC928C)."""
    return load("ncts")


@cache
def wco() -> Schema:
    """WCO Data Model declarations: MetaData around a Declaration, or a Declaration alone."""
    return load("wco")


@cache
def wco_cancellation() -> Schema:
    """The same for a request to cancel (FunctionCode 13, TypeCode INV), which asks for more."""
    return load("wco-cancellation")
