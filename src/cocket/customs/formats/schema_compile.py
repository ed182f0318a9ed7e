"""Reads XML Schemas and writes what they say as a table, one type a line: run it when a message standard has a new version.

    python -m cocket.customs.formats.schema_compile ncts FOLDER
    python -m cocket.customs.formats.schema_compile wco FOLDER

FOLDER holds the XSDs; the tables are written to ``schemas/`` beside this file, where ``schema.py`` reads them. The XSDs
themselves are not shipped: a table carries over their facts only (names, order, occurrence, values) and names its source.

The lines of a table, cells separated by tabs:

- ``namespace PREFIX URI``
- ``simple NAME BASE FACET…``: a built-in type narrowed; a facet is a word, a space and its value. Every ``pattern`` must
  match, each ``enumeration`` is one of the values that are allowed.
- ``text NAME SIMPLE @ATTRIBUTE…``: an element with text and attributes.
- ``type NAME PREFIX PARTICLE… @ATTRIBUTE…``: an element with children, in this order, all in the namespace of PREFIX (``-``:
  in none). A particle is ``name TYPE``, or ``any PREFIX`` (any known root of that namespace), with ``LOW..HIGH`` behind it
  where that isn't 1..1 (``n``: without limit), or a choice of these, ``a | b``. An attribute is ``@name TYPE``, ``@name! TYPE``
  if it must be there.
- ``root PREFIX NAME TYPE``

Types that say the same share a line, under the shortest of their names.

What these XSDs use is supported: include, import, named and nested types, groups, sequences, choices and wildcards of one
namespace (strict), extension of complex content, simple content, and the facets above. Everything else (nillable, fixed
and default values, mixed content, substitution, unions, lists, all, identity constraints, …) is refused by name, so that
no rule of a later version is lost silently.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lxml import etree

from cocket.core.errors import Fault, Refused
from cocket.customs.formats.datatypes import BUILT_IN, Pattern
from cocket.customs.formats.xmltree import parse

XS: Final = "{http://www.w3.org/2001/XMLSchema}"

HEADS: Final = {
    "ncts": (
        "EU NCTS messages, DDNTA 6.4.1, XSD version 60.4.16",
        "facts read from the XSDs in HMRC's transit-movements-validator (Apache-2.0)",
    ),
    "wco": (
        "WCO Data Model 3.6 declaration (DEC), profile WCO_DEC_2_DMS version 2.15, DocumentMetaData 2.1",
        "facts read from the XSDs in HMRC's customs-declarations (Apache-2.0)",
    ),
    "wco-cancellation": (
        "WCO Data Model 3.6 declaration (DEC) as a request to cancel, profile CANCEL version 2.3, DocumentMetaData 2.1",
        "facts read from the XSDs in HMRC's customs-declarations (Apache-2.0)",
    ),
}
ENTRIES: Final = {
    "ncts": ["cc*.xsd"],
    "wco": ["DocumentMetaData_2_DMS.xsd", "WCO_DEC_2_DMS.xsd"],
    "wco-cancellation": ["CANCEL_METADATA.xsd", "CANCEL.xsd"],
}
FAMILIES: Final = {"ncts": ["ncts"], "wco": ["wco", "wco-cancellation"]}

PREFIXES: Final = {
    "http://ncts.dgtaxud.ec": "ncts",
    "urn:wco:datamodel:WCO:DocumentMetaData-DMS:2": "md",
    "urn:wco:datamodel:WCO:DEC-DMS:2": "dec",
    "urn:wco:datamodel:WCO:RES-DMS:2": "res",
    "urn:wco:datamodel:WCO:Declaration_DS:DMS:2": "ds",
}

_OCCURS: Final = ("minOccurs", "maxOccurs")
_SINGLE: Final = (
    "length",
    "minLength",
    "maxLength",
    "minInclusive",
    "maxInclusive",
    "totalDigits",
    "fractionDigits",
)


@dataclass(frozen=True)
class Simple:
    """A simple type with all that its bases say: the built-in type, and facets as (word, value)."""

    base: str
    facets: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Attribute:
    """An attribute of an element; all are in no namespace."""

    name: str
    required: bool
    type: Simple


@dataclass(frozen=True)
class Particle:
    """One place in a sequence: an element, a wildcard (``namespace`` alone), or a choice of these."""

    low: int = 1
    high: int | None = 1
    name: str = ""
    namespace: str | None = None
    type: Simple | Complex | None = None
    choice: tuple[Particle, ...] = ()


@dataclass(frozen=True)
class Complex:
    """A complex type: with text (``content``) or with children."""

    particles: tuple[Particle, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    content: Simple | None = None


class Unsupported(Exception):
    """A schema uses what this compiler, or the validator behind it, doesn't know."""


def unsupported(node: etree._Element, why: str) -> Unsupported:
    """The error that names the place."""
    return Unsupported(f"{node.getroottree().docinfo.URL or 'schema'}, line {node.sourceline}: {why}")


class Reader:
    """Reads schema documents with all that they include and import, and resolves names among them."""

    def __init__(self) -> None:
        self._components: dict[tuple[str, str, str], tuple[etree._Element, str]] = {}
        self._read: set[Path] = set()
        self._types: dict[etree._Element, Simple | Complex] = {}
        self._open: set[etree._Element] = set()
        self.names: dict[Simple | Complex, set[str]] = {}

    def load(self, path: Path, expect: str | None = None) -> None:
        """Read one schema document, and what it includes and imports."""
        path = path.resolve()
        if path in self._read:
            return
        self._read.add(path)
        try:
            root = parse(path.read_bytes())
        except Refused as error:
            raise Unsupported(f"{path.name}: {error.detail}") from error
        root.getroottree().docinfo.URL = path.name
        space = root.get("targetNamespace", "")
        if expect is not None and space != expect:
            raise unsupported(root, f"{path.name} has the namespace {space!r} and is named with {expect!r}")
        for node in root:
            kind = _kind(node)
            if kind in {"include", "import"}:
                self.load(
                    path.parent / node.attrib["schemaLocation"],
                    space if kind == "include" else node.get("namespace", ""),
                )
            elif kind in {"element", "complexType", "simpleType", "group"}:
                sort = "type" if kind.endswith("Type") else kind
                key = (sort, space, node.attrib["name"])
                if key in self._components:
                    raise unsupported(node, f"{key} is declared twice")
                self._components[key] = (node, space)
            elif kind != "annotation":
                raise unsupported(node, f"xs:{kind} at the top")

    def roots(self, spaces: Iterable[str], start: str) -> Iterator[tuple[str, str, Complex]]:
        """The global elements of these namespaces whose name begins so: namespace, name, type."""
        for (sort, space, name), (node, _) in sorted(self._components.items(), key=lambda item: item[0]):
            if sort == "element" and space in spaces and name.startswith(start):
                _only(node, {"name", "type", "complexType", "simpleType"})
                made = self._type_of(node, space, name)
                if isinstance(made, Simple):
                    raise unsupported(node, "a message that is one text")
                yield space, name, made

    def _find(self, sort: str, node: etree._Element, qname: str) -> tuple[etree._Element, str, str]:
        prefix, _, local = qname.rpartition(":")
        space = node.nsmap.get(prefix or None, "") or ""
        found = self._components.get((sort, space, local))
        if found is None:
            raise unsupported(node, f"no {sort} {qname!r} ({space!r})")
        return found[0], found[1], local

    def _type_of(self, node: etree._Element, space: str, path: str) -> Simple | Complex:
        """The type of an element or attribute declaration: named, or nested in it."""
        if "type" in node.attrib:
            return self._named(node, node.attrib["type"])
        inner = [c for c in node if _kind(c) != "annotation"]
        if len(inner) != 1 or _kind(inner[0]) not in {"complexType", "simpleType"}:
            raise unsupported(node, "an element without a type, or with more than one")
        return self._typed(inner[0], space, path)

    def _named(self, node: etree._Element, qname: str) -> Simple | Complex:
        prefix, _, local = qname.rpartition(":")
        if node.nsmap.get(prefix or None) == XS[1:-1]:
            if local not in BUILT_IN:
                raise unsupported(node, f"the built-in type {local}")
            return Simple(local)
        found, space, local = self._find("type", node, qname)
        return self._typed(found, space, local)

    def _typed(self, node: etree._Element, space: str, name: str) -> Simple | Complex:
        if node in self._types:
            return self._types[node]
        if node in self._open:
            raise unsupported(node, f"the type {name} contains itself")
        self._open.add(node)
        made = self._simple(node) if _kind(node) == "simpleType" else self._complex(node, space, name)
        self._open.discard(node)
        self._types[node] = made
        self.names.setdefault(made, set()).add(name)
        return made

    def _simple(self, node: etree._Element) -> Simple:
        _only(node, {"name", "restriction"})
        (inner,) = [c for c in node if _kind(c) != "annotation"]
        return self._restricted(inner)

    def _restricted(self, node: etree._Element, base: Simple | None = None) -> Simple:
        """A base with the facets of an xs:restriction put on it."""
        _only(node, {"base", "pattern", "enumeration", *_SINGLE})
        if base is None:
            found = self._named(node, node.attrib["base"])
            if not isinstance(found, Simple):
                raise unsupported(node, "a simple type that restricts a complex one")
            base = found
        patterns = [v for k, v in base.facets if k == "pattern"]
        values = [v for k, v in base.facets if k == "enumeration"]
        single = {k: v for k, v in base.facets if k in _SINGLE}
        here = {
            kind: [c.attrib["value"] for c in node if _kind(c) == kind] for kind in ("pattern", "enumeration")
        }
        if here["pattern"]:
            new = here["pattern"]
            joined = new[0] if len(new) == 1 else "|".join(f"({p})" for p in new)
            try:
                Pattern(joined)
            except ValueError as error:
                raise unsupported(node, str(error)) from error
            if joined not in patterns:
                patterns.append(joined)
        if here["enumeration"]:
            words = list(
                dict.fromkeys(" ".join(v.split()) if base.base == "token" else v for v in here["enumeration"])
            )
            values = [w for w in words if not values or w in values]
            if not values:
                raise unsupported(node, "an enumeration that allows nothing")
        for child in node:
            if _kind(child) in _SINGLE:
                if child.get("fixed"):
                    raise unsupported(child, "a fixed facet")
                single[_kind(child)] = child.attrib["value"]
        for word in (*patterns, *values, *single.values()):
            if set(word) & set("\t\n\r"):
                raise unsupported(node, "a facet with a tab or a line end in it")
        return Simple(
            base.base,
            (
                *((k, single[k]) for k in _SINGLE if k in single),
                *(("pattern", p) for p in patterns),
                *(("enumeration", v) for v in values),
            ),
        )

    def _complex(self, node: etree._Element, space: str, name: str) -> Complex:
        _only(
            node,
            {"name", "sequence", "choice", "group", "attribute", "complexContent", "simpleContent"},
        )
        inner = [c for c in node if _kind(c) != "annotation"]
        kinds = [_kind(c) for c in inner]
        if kinds[:1] == ["simpleContent"]:
            return self._simple_content(inner[0])
        if kinds[:1] == ["complexContent"]:
            _only(inner[0], {"extension"})
            (extension,) = inner[0]
            _only(extension, {"base", "sequence", "attribute"})
            base = self._named(extension, extension.attrib["base"])
            if not isinstance(base, Complex) or base.content is not None:
                raise unsupported(extension, "complex content that extends a type with text")
            own = [c for c in extension if _kind(c) != "annotation"]
            particles = (*base.particles, *self._particles(own, space, name))
            return self._sequence(extension, particles, (*base.attributes, *self._attributes(own)))
        return self._sequence(node, self._particles(inner, space, name), self._attributes(inner))

    def _sequence(
        self, node: etree._Element, particles: tuple[Particle, ...], attributes: tuple[Attribute, ...]
    ) -> Complex:
        """The validator looks places up by name, so each name may stand in one place only."""
        names = [p.name or p.namespace for place in particles for p in place.choice or (place,)]
        if len(set(names)) != len(names):
            raise unsupported(node, "one name in two places of a sequence")
        return Complex(particles, attributes)

    def _simple_content(self, node: etree._Element) -> Complex:
        _only(node, {"extension", "restriction"})
        (inner,) = [c for c in node if _kind(c) != "annotation"]
        base = self._named(inner, inner.attrib["base"])
        if _kind(inner) == "extension":
            _only(inner, {"base", "attribute"})
            content = base if isinstance(base, Simple) else base.content
            old = () if isinstance(base, Simple) else base.attributes
            if content is None:
                raise unsupported(inner, "simple content on a type with children")
            return Complex((), (*old, *self._attributes(inner)), content)
        if isinstance(base, Simple) or base.content is None:
            raise unsupported(inner, "simple content that restricts a type without attributes")
        return Complex((), base.attributes, self._restricted(inner, base.content))

    def _attributes(self, nodes: Iterable[etree._Element]) -> tuple[Attribute, ...]:
        found = []
        for node in nodes:
            if _kind(node) != "attribute":
                continue
            _only(node, {"name", "type", "use"})
            if node.get("use", "optional") not in {"optional", "required"}:
                raise unsupported(node, f"use={node.get('use')!r}")
            simple = self._named(node, node.attrib["type"])
            if not isinstance(simple, Simple):
                raise unsupported(node, "an attribute of a complex type")
            found.append(Attribute(node.attrib["name"], node.get("use") == "required", simple))
        return tuple(found)

    def _particles(self, nodes: Iterable[etree._Element], space: str, path: str) -> tuple[Particle, ...]:
        found: list[Particle] = []
        for node in nodes:
            kind = _kind(node)
            if kind in {"annotation", "attribute"}:
                continue
            low, high = int(node.get("minOccurs", "1")), node.get("maxOccurs", "1")
            occurs = (low, None if high == "unbounded" else int(high))
            if kind == "element":
                found.append(self._element(node, space, path, *occurs))
            elif kind == "any":
                _only(node, {"namespace", "processContents", *_OCCURS})
                uri = node.attrib["namespace"]
                if node.get("processContents", "strict") != "strict" or " " in uri or uri.startswith("#"):
                    raise unsupported(node, "a wildcard that is not strict, or not of one namespace")
                found.append(Particle(*occurs, namespace=uri))
            elif kind == "group":
                _only(node, {"ref", *_OCCURS})
                target, its_space, _ = self._find("group", node, node.attrib["ref"])
                _only(target, {"name", "sequence", "choice"})
                found += self._repeated(node, occurs, self._particles(target, its_space, path))
            elif kind == "sequence":
                _only(node, {*_OCCURS, "element", "any", "group", "sequence", "choice"})
                found += self._repeated(node, occurs, self._particles(node, space, path))
            elif kind == "choice":
                _only(node, {*_OCCURS, "element", "any", "group"})
                found += self._choice(node, occurs, self._particles(node, space, path))
            else:
                raise unsupported(node, f"xs:{kind} among children")
        return tuple(found)

    def _choice(
        self, node: etree._Element, occurs: tuple[int, int | None], options: tuple[Particle, ...]
    ) -> Sequence[Particle]:
        if len(options) == 1:
            return self._repeated(node, occurs, options)
        if occurs != (1, 1) or any(o.choice or not o.low for o in options):
            raise unsupported(node, "a choice that repeats, nests or may be empty")
        return [Particle(choice=options)]

    def _repeated(
        self, node: etree._Element, occurs: tuple[int, int | None], particles: Sequence[Particle]
    ) -> Sequence[Particle]:
        """A group that occurs once is its particles; one that repeats is only known here around a single one."""
        if occurs == (1, 1):
            return particles
        if (
            len(particles) == 1
            and (particles[0].low, particles[0].high) == (1, 1)
            and not particles[0].choice
        ):
            only = particles[0]
            return [Particle(*occurs, only.name, only.namespace, only.type)]
        raise unsupported(node, "a group of several that may be absent or repeat")

    def _element(self, node: etree._Element, space: str, path: str, low: int, high: int | None) -> Particle:
        _only(node, {"name", "type", *_OCCURS, "complexType", "simpleType"})
        qualified = node.getroottree().getroot().get("elementFormDefault") == "qualified"
        name = node.attrib["name"]
        return Particle(
            low, high, name, space if qualified else "", self._type_of(node, space, f"{path}.{name}")
        )


def _kind(node: etree._Element) -> str:
    tag = str(node.tag)
    if not tag.startswith(XS):
        raise unsupported(node, f"<{tag}>, which is no part of XML Schema")
    return tag.removeprefix(XS)


def _only(node: etree._Element, allowed: set[str]) -> None:
    """Refuse every attribute and child that isn't expected, so that no rule is passed over."""
    for name in node.attrib:
        if str(name) not in allowed:
            raise unsupported(node, f"the attribute {name} of xs:{_kind(node)}")
    for child in node:
        if _kind(child) not in {*allowed, "annotation"}:
            raise unsupported(child, f"xs:{_kind(child)} in xs:{_kind(node)}")


class Writer:
    """Writes the types that the roots reach, each once, as lines."""

    def __init__(self, names: dict[Simple | Complex, set[str]]) -> None:
        self._names = names
        self._taken: dict[str, Simple | Complex] = {}
        self._lines: dict[Simple | Complex, tuple[str, str, str]] = {}
        self.spaces: set[str] = set()

    def name(self, made: Simple | Complex, owner: str = "") -> str:
        """The name under which a type stands in the table; its line, and those of its parts, are made at the first call.

        The text of an element with attributes has no name of its own in the XSD; it is called after its ``owner``.
        """
        if made in self._lines:
            return self._lines[made][1]
        if isinstance(made, Simple) and not made.facets:
            return made.base
        for name in sorted(self._names.get(made, ()), key=lambda n: (len(n), n)):
            if name not in self._taken and name not in BUILT_IN:
                break
        else:
            name = f"{owner}.text"
            if not owner or name in self._taken:
                raise Unsupported(f"no name is free for {sorted(self._names.get(made, ()))}")
        self._taken[name] = made
        kind = "simple" if isinstance(made, Simple) else "type" if made.content is None else "text"
        self._lines[made] = (kind, name, "")
        self._lines[made] = (kind, name, "\t".join(self._cells(made, name)))
        return name

    def _cells(self, made: Simple | Complex, name: str) -> Iterator[str]:
        if isinstance(made, Simple):
            yield made.base
            yield from (f"{word} {value}" for word, value in made.facets)
            return
        if made.content is not None:
            yield self.name(made.content, name)
        else:
            spaces = {p.namespace for place in made.particles for p in place.choice or (place,) if p.name}
            if len(spaces) > 1:
                raise Unsupported(f"children of one element in several namespaces: {spaces}")
            yield self._prefix(next(iter(spaces), ""))
            for place in made.particles:
                yield " | ".join(self._particle(p) for p in place.choice or (place,))
        for a in made.attributes:
            yield f"@{a.name}{'!' if a.required else ''} {self.name(a.type)}"

    def _particle(self, p: Particle) -> str:
        head = f"any {self._prefix(p.namespace)}" if p.type is None else f"{p.name} {self.name(p.type)}"
        return head if (p.low, p.high) == (1, 1) else f"{head} {p.low}..{'n' if p.high is None else p.high}"

    def _prefix(self, space: str | None) -> str:
        if not space:
            return "-"
        self.spaces.add(space)
        return PREFIXES[space]

    def table(self, head: Sequence[str], roots: Iterable[tuple[str, str, Complex]]) -> str:
        """The whole table."""
        tops = [f"root\t{self._prefix(space)}\t{name}\t{self.name(made)}" for space, name, made in roots]
        out = [f"# {line}" for line in head]
        out.append("# written by schema_compile.py, which explains it; do not edit")
        out += [f"namespace\t{PREFIXES[space]}\t{space}" for space in sorted(self.spaces)]
        for wanted in ("simple", "text", "type"):
            out += sorted(
                f"{kind}\t{name}\t{cells}" for kind, name, cells in self._lines.values() if kind == wanted
            )
        return "\n".join([*out, *sorted(tops), ""])


def compiled(table: str, folder: Path) -> str:
    """The text of one table from the XSDs in a folder; ``Unsupported`` names what cannot be carried over."""
    reader = Reader()
    for pattern in ENTRIES[table]:
        paths = sorted(folder.glob(pattern))
        if not paths:
            raise Refused(f"{folder} has no {pattern}", [Fault("", "missing", pattern)])
        for path in paths:
            reader.load(path)
    roots = reader.roots(PREFIXES, "CC" if table == "ncts" else "")  # doc.xsd's elements are for annotations
    return Writer(reader.names).table(HEADS[table], roots)


def main(arguments: Sequence[str]) -> None:
    """Write the tables of one family."""
    family, folder = arguments
    for table in FAMILIES[family]:
        target = Path(__file__).parent / "schemas" / f"{table}.tsv"
        target.write_text(compiled(table, Path(folder)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
