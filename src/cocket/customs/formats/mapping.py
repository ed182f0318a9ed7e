"""From any tree of named values to the canonical model, by a declared table.

A reader declares what stands where (``Leaf``, ``Part``, ``Many``, ``Within`` …); this walks the tree once, converts, notes for every value
written where it came from, and tells at the end which values of the source no rule took. Nothing is dropped silently: what
is not mapped is listed with its path, its value and why.

A source is a relative path of names, ``A/B``; ``.`` is the node itself, ``A/@name`` an attribute. A step may ask for what stands below it:
``A[X=1]`` takes the nodes whose X is 1, ``A[X]`` those whose X says something, ``A[!X]`` the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

from cocket.core.errors import Fault

Convert: TypeAlias = "Callable[[str], Any]"
_Step: TypeAlias = "tuple[str, Callable[[Node], bool] | None]"


@dataclass(slots=True)
class Node:
    """A named place in a document: an element, a segment group, a row. ``path`` is absolute, with ``[n]`` (from 1) where a name repeats.

    Its children are complete before it is walked: they are indexed by name on the first question.
    """

    name: str
    path: str
    text: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    _named: dict[str, list[Node]] | None = field(default=None, repr=False, compare=False)

    def named(self, name: str) -> Sequence[Node]:
        """The children of that name, in order."""
        index = self._named
        if index is None:
            index = self._named = {}
            for child in self.children:
                index.setdefault(child.name, []).append(child)
        return index.get(name, ())

    def at(self, source: str) -> Sequence[Node]:
        """Every node below under a source, in order."""
        return _find(self, _parsed(source)[0])

    def leaves(self) -> Iterator[tuple[str, str]]:
        """(path, value) of every value here and below, in the document's order: texts, and attributes as ``path/@name``."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if node.text:
                yield node.path, node.text
            for name, value in node.attributes.items():
                yield f"{node.path}/@{name}", value
            if node.children:
                waiting.extend(reversed(node.children))


def text(value: str) -> str:
    """As it is written, without the space around it."""
    return value.strip()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value. A repeat of it that says something else stays unmapped, so that it is told.

    ``append``: the canonical field is a list of plain values, and every repeat is taken.
    """

    into: str
    source: str
    convert: Convert = text
    append: bool = False


@dataclass(frozen=True, slots=True)
class Join:
    """One value of several sources, such as a code in two pieces or an amount with its unit; those that are there are handed to ``convert``
    in this order, "" for the others. None from ``convert`` leaves all of them unmapped.
    """

    into: str
    sources: tuple[str, ...]
    convert: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Gather:
    """One value of all nodes at ``source`` together, such as a pointer in steps; every value below them is taken."""

    into: str
    source: str
    convert: Callable[[Sequence[Node]], Any]


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
class Each:
    """A list of objects, one for each node at ``inner`` below ``source``, each with what the outer node says too; where there is no inner node,
    one of the outer alone.
    """

    into: str
    source: str
    inner: str
    rules: tuple[Rule, ...]
    inner_rules: tuple[Rule, ...]
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


Rule: TypeAlias = "Leaf | Join | Gather | Part | Many | Each | Within | Known"

NO_FIELD: Final = "the canonical model has no field for it"
REPEATED: Final = "its field already holds another value of this document"


@dataclass(slots=True)
class Mapped:
    """What a table made of a tree.

    ``value``: the canonical dict; ``origins``: JSON pointer → source path; ``taken``: source path → JSON pointer, for every value that was
    written, alone or as part of one; ``raw``: (path, value, why) of what no rule took; ``faults``: values that could not be converted.
    """

    value: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    raw: list[tuple[str, str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _why: dict[str, str] = field(default_factory=dict)

    def write(self, pointer: str, path: str) -> None:
        """Note that the value at a source path was written at a JSON pointer; of several paths the first is its origin."""
        self.origins.setdefault(pointer, path)
        self.taken[path] = pointer


def apply(rules: Sequence[Rule], root: Node) -> Mapped:
    """Map a tree; never raises for what the tree says."""
    mapped = Mapped()
    _apply(rules, root, mapped.value, "", mapped)
    taken = mapped.taken
    why = mapped._why  # noqa: SLF001 - its own module
    mapped.raw = [
        (path, value, why.get(path, NO_FIELD)) for path, value in root.leaves() if path not in taken
    ]
    return mapped


@lru_cache(maxsize=4096)
def _parsed(source: str) -> tuple[tuple[_Step, ...], str]:
    """A source as its steps and the attribute's name, "" for a text."""
    path, at, attribute = source.partition("@")
    path = path.rstrip("/") if at else source
    steps = tuple(_step(step) for step in path.split("/") if step not in {"", "."})
    return steps, attribute


def _step(step: str) -> _Step:
    name, bracket, test = step.partition("[")
    if not bracket:
        return name, None
    test = test.removesuffix("]")
    below, equals, wanted = test.removeprefix("!").partition("=")
    if test.startswith("!"):
        return name, lambda node: not any(map(_said, node.named(below)))
    if not equals:
        return name, lambda node: any(map(_said, node.named(below)))
    return name, lambda node: any(child.text == wanted for child in node.named(below))


def _said(node: Node) -> bool:
    return bool(node.text or node.children)


def _find(node: Node, steps: tuple[_Step, ...]) -> Sequence[Node]:
    found: Sequence[Node] = (node,)
    for name, test in steps:
        if len(found) == 1:
            found = found[0].named(name)
        else:
            found = [child for above in found for child in above.named(name)]
        if test is not None:
            found = [child for child in found if test(child)]
        if not found:
            break
    return found


def _values(node: Node, source: str) -> list[tuple[str, str]]:
    steps, attribute = _parsed(source)
    if not attribute:
        return [(found.path, found.text) for found in _find(node, steps) if found.text]
    return [
        (f"{found.path}/@{attribute}", found.attributes[attribute])
        for found in _find(node, steps)
        if attribute in found.attributes
    ]


def _apply(rules: Sequence[Rule], node: Node, target: dict[str, Any], pointer: str, mapped: Mapped) -> None:
    for rule in rules:
        if isinstance(rule, Leaf):
            _leaf(rule, node, target, pointer, mapped)
        elif isinstance(rule, Many):
            for found in node.at(rule.source):
                _add(rule, ((rule.rules, found),), target, pointer, mapped)
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
        elif isinstance(rule, Each):
            for found in node.at(rule.source):
                outer = (rule.rules, found)
                for below in found.at(rule.inner) or (None,):
                    inner_part = () if below is None else ((rule.inner_rules, below),)
                    _add(rule, (outer, *inner_part), target, pointer, mapped)
        elif isinstance(rule, Gather):
            _gather(rule, node, target, pointer, mapped)
        else:
            for path, _ in _values(node, rule.source):
                mapped._why.setdefault(path, rule.why)  # noqa: SLF001 - its own module


def _add(
    rule: Many | Each,
    parts: tuple[tuple[tuple[Rule, ...], Node], ...],
    target: dict[str, Any],
    pointer: str,
    mapped: Mapped,
) -> None:
    items = target.get(rule.into, [])
    item = dict(rule.constant)
    own = f"{pointer}/{rule.into}/{len(items)}"
    for rules, node in parts:
        _apply(rules, node, item, own, mapped)
    if len(item) > len(rule.constant):
        items.append(item)
        target[rule.into] = items


def _leaf(rule: Leaf, node: Node, target: dict[str, Any], pointer: str, mapped: Mapped) -> None:
    for path, found in _values(node, rule.source):
        held = rule.into in target and not rule.append
        try:
            value = rule.convert(found)
        except ValueError as error:
            if held:
                mapped._why.setdefault(path, REPEATED)  # noqa: SLF001 - its own module
            else:
                mapped.faults.append(Fault(path, "value", f"{found[:80]!r}: {error}"))
            continue
        if value is None:
            continue
        if rule.append:
            items = target.setdefault(rule.into, [])
            mapped.write(f"{pointer}/{rule.into}/{len(items)}", path)
            items.append(value)
        elif not held:
            target[rule.into] = value
            mapped.write(f"{pointer}/{rule.into}", path)
        elif target[rule.into] == value:
            mapped.taken.setdefault(path, f"{pointer}/{rule.into}")
        else:
            mapped._why.setdefault(path, REPEATED)  # noqa: SLF001 - its own module


def _join(rule: Join, node: Node, target: dict[str, Any], pointer: str, mapped: Mapped) -> None:
    found = [next(iter(_values(node, source)), None) for source in rule.sources]
    present = [f for f in found if f is not None]
    if not present:
        return
    held = rule.into in target
    try:
        value = rule.convert(*("" if f is None else f[1] for f in found))
    except ValueError as error:
        if not held:
            mapped.faults.append(Fault(present[0][0], "value", f"{present[0][1][:80]!r}: {error}"))
        return
    if value is None:
        return
    if held and target[rule.into] != value:
        for path, _ in present:
            mapped._why.setdefault(path, REPEATED)  # noqa: SLF001 - its own module
        return
    target[rule.into] = value
    for path, _ in present:
        mapped.write(f"{pointer}/{rule.into}", path)


def _gather(rule: Gather, node: Node, target: dict[str, Any], pointer: str, mapped: Mapped) -> None:
    found = node.at(rule.source)
    if not found or rule.into in target:
        return
    value = rule.convert(found)
    if value is None:
        return
    target[rule.into] = value
    for below in found:
        for path, _ in below.leaves():
            mapped.write(f"{pointer}/{rule.into}", path)
