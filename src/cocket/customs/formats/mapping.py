"""From any tree of named values to the canonical model, by a declared table.

A reader declares what stands where (``Leaf``, ``Part``, ``Many``, ``Within``); this walks the tree once, converts, notes for every value
written where it came from, and tells at the end which values of the source no rule took. Nothing is dropped silently: what
is not mapped is listed with its path, its value and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from cocket.core.errors import Fault

Convert: TypeAlias = "Callable[[str], Any]"


@dataclass(slots=True)
class Node:
    """A named place in a document: an element, a segment group, a row. ``path`` is absolute, with ``[n]`` (from 1) where a name repeats."""

    name: str
    path: str
    text: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    def at(self, path: str) -> Iterator[Node]:
        """Every node below under a relative path of names, ``A/B``; ``.`` is this one."""
        if path == ".":
            yield self
            return
        head, _, rest = path.partition("/")
        for child in self.children:
            if child.name == head:
                if rest:
                    yield from child.at(rest)
                else:
                    yield child

    def leaves(self) -> Iterator[tuple[str, str]]:
        """(path, value) of every value here and below: texts, and attributes as ``path/@name``."""
        if self.text:
            yield self.path, self.text
        for name, value in self.attributes.items():
            yield f"{self.path}/@{name}", value
        for child in self.children:
            yield from child.leaves()


def text(value: str) -> str:
    """As it is written, without the space around it."""
    return value.strip()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value: ``source`` is a path, ``A/B`` or ``A/@attribute``. A repeat of it beyond the first stays unmapped, so that it is told.

    ``append``: the canonical field is a list of plain values, and every repeat is taken.
    """

    into: str
    source: str
    convert: Convert = text
    append: bool = False


@dataclass(frozen=True, slots=True)
class Join:
    """One value of several sources, such as a code in two pieces; those that are there are handed to ``convert`` in this order, "" for the others."""

    into: str
    sources: tuple[str, ...]
    convert: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A nested object."""

    into: str
    source: str
    rules: tuple[Rule, ...]
    constant: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Many:
    """A list of objects, one for each node at ``source``; several rules may add to one list. ``constant`` stands in each.

    An object that gets no value but its constants is left out.
    """

    into: str
    source: str
    rules: tuple[Rule, ...]
    constant: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Within:
    """The same object, with paths that begin at ``source``."""

    source: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """Taken note of and written nowhere: what the format itself repeats (a counter, a marker), with the reason for the report."""

    source: str
    why: str


Rule: TypeAlias = "Leaf | Join | Part | Many | Within | Known"

NO_FIELD: Final = "the canonical model has no field for it"


@dataclass(slots=True)
class Mapped:
    """What a table made of a tree.

    ``value``: the canonical dict; ``origins``: JSON pointer → source path; ``raw``: (path, value, why) of what no rule took; ``faults``:
    values that could not be converted.
    """

    value: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    raw: list[tuple[str, str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _taken: dict[str, str] = field(default_factory=dict)

    def take(self, path: str, why: str = "") -> None:
        """Note that the value at a source path was used; ``why`` if it was used without being written."""
        self._taken[path] = why


def apply(rules: Sequence[Rule], root: Node) -> Mapped:
    """Map a tree; never raises for what the tree says."""
    mapped = Mapped()
    _apply(rules, root, mapped.value, "", mapped)
    taken = mapped._taken  # noqa: SLF001 - its own module
    for path, value in root.leaves():
        why = taken.get(path)
        if why is None:
            mapped.raw.append((path, value, NO_FIELD))
        elif why:
            mapped.raw.append((path, value, why))
    return mapped


def _values(node: Node, source: str) -> Iterator[tuple[str, str]]:
    path, at, attribute = source.rpartition("@")
    if not at:
        for found in node.at(source):
            if found.text:
                yield found.path, found.text
        return
    for found in node.at(path.rstrip("/") or "."):
        if attribute in found.attributes:
            yield f"{found.path}/@{attribute}", found.attributes[attribute]


def _apply(rules: Sequence[Rule], node: Node, target: dict[str, Any], pointer: str, mapped: Mapped) -> None:
    for rule in rules:
        if isinstance(rule, Leaf):
            _leaf(rule, node, target, pointer, mapped)
        elif isinstance(rule, Many):
            for found in node.at(rule.source):
                items = target.setdefault(rule.into, [])
                item = dict(rule.constant)
                _apply(rule.rules, found, item, f"{pointer}/{rule.into}/{len(items)}", mapped)
                if len(item) > len(rule.constant):
                    items.append(item)
        elif isinstance(rule, Part):
            for found in node.at(rule.source):
                inner = target.get(rule.into) or dict(rule.constant)
                _apply(rule.rules, found, inner, f"{pointer}/{rule.into}", mapped)
                if len(inner) > len(rule.constant):
                    target[rule.into] = inner
        elif isinstance(rule, Within):
            for found in node.at(rule.source):
                _apply(rule.rules, found, target, pointer, mapped)
        elif isinstance(rule, Join):
            _join(rule, node, target, pointer, mapped)
        else:
            for path, _ in _values(node, rule.source):
                mapped.take(path, rule.why)


def _leaf(rule: Leaf, node: Node, target: dict[str, Any], pointer: str, mapped: Mapped) -> None:
    for path, found in _values(node, rule.source):
        if not rule.append and rule.into in target:
            return
        try:
            value = rule.convert(found)
        except ValueError as error:
            mapped.take(path)
            mapped.faults.append(Fault(path, "value", f"{found[:80]!r}: {error}"))
            continue
        if value is None:
            continue
        mapped.take(path)
        if rule.append:
            items = target.setdefault(rule.into, [])
            mapped.origins[f"{pointer}/{rule.into}/{len(items)}"] = path
            items.append(value)
        else:
            target[rule.into] = value
            mapped.origins[f"{pointer}/{rule.into}"] = path


def _join(rule: Join, node: Node, target: dict[str, Any], pointer: str, mapped: Mapped) -> None:
    found = [next(_values(node, source), None) for source in rule.sources]
    if rule.into in target or not any(found):
        return
    try:
        value = rule.convert(*("" if f is None else f[1] for f in found))
    except ValueError as error:
        first = next(f for f in found if f)
        mapped.faults.append(Fault(first[0], "value", f"{first[1][:80]!r}: {error}"))
        return
    if value is None:
        return
    for f in found:
        if f is not None:
            mapped.take(f[0])
    target[rule.into] = value
    mapped.origins[f"{pointer}/{rule.into}"] = next(f[0] for f in found if f)
