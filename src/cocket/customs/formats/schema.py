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

A document is checked in one pass, some 1 µs an element; faults are worded only where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from lxml import etree

from cocket.core.errors import Fault
from cocket.customs.formats.datatypes import BUILT_IN, SimpleType
from cocket.customs.formats.schema_check import Check, Complex, Enough, Place, local

_MANY: Final = 1 << 62


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
        check = Check(self.roots, root)
        try:
            if root.keys() or top.must_have:
                check.attributes(root, top)
            check.element(root, top)
        except Enough:
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
        shown = local(root)
        why = (
            f"its namespace is {(name.namespace or 'none')[:80]!r}, and must be {etree.QName(same[0]).namespace!r}"
            if same
            else "it begins none of the messages that are known"
        )
        return Fault(f"/{shown}", "root", f"<{shown}> is not read: {why}")


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
