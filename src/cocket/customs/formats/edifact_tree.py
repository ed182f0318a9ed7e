"""From an EDIFACT message's segments to the tree that ``mapping`` walks: segment groups by a declared table, elements by their numbers.

A path is message, groups, segment, then composite and element by their numbers in the UN directories, each with ``[n]`` where it repeats:
``/CUSCAR/SG7[2]/SG8/RFF/C506/1154``. Numbers are those of D.00B; where an older directory numbered an element otherwise and kept its place
(9011 of D.95B is 4405), the newer number stands. A component beyond the directory's is named by its position (``C224/5``).

In the tree a component is a child of its segment, named ``C506.1154`` (the second of a kind ``C080.3036+2``, in a second composite of a kind
``C213+2.7224``). A segment whose qualifier no table knows is named with a question mark (``NAD?``): it is kept raw and flagged.

A segment goes to the innermost open group that has a place for it; inside a group the order of the directory is not insisted on, since
ports and lines differ in it and the meaning does not. What has no place at all is a fault, ``segment-order``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, TypeAlias

from cocket.core.errors import Fault
from cocket.customs.formats.edifact_elements import ELEMENTS
from cocket.customs.formats.edifact_syntax import Message, Segment
from cocket.customs.formats.mapping import Node


@dataclass(frozen=True)
class Group:
    """A segment group: its name, the segment that opens it (with one of the qualifiers ``only``, if any), and what may follow in it.

    ``need``: segments and groups that must be there.
    """

    name: str
    opens: str
    segments: str
    groups: tuple[Group, ...] = ()
    only: frozenset[str] = frozenset()
    need: tuple[str, ...] = ()

    def tags(self) -> frozenset[str]:
        """The segments with a place of their own in it."""
        return _tags(self)

    def reserved(self) -> frozenset[tuple[str, str]]:
        """(tag, qualifier) of each segment that opens a group below and stands for nothing else."""
        return _reserved(self)


@cache
def _tags(group: Group) -> frozenset[str]:
    return frozenset((group.opens, *group.segments.split()))


@cache
def _reserved(group: Group) -> frozenset[tuple[str, str]]:
    own = {(below.opens, q) for below in group.groups for q in below.only}
    return frozenset(own.union(*(below.reserved() for below in group.groups)))


@dataclass(slots=True)
class _Open:
    group: Group
    content: list[Segment | _Open] = field(default_factory=list)


@dataclass(slots=True)
class Tree:
    """A message as a tree. ``places``: path of each segment → its number and tag; ``flags``: qualifiers that no table knows."""

    node: Node
    places: dict[str, str] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


Names: TypeAlias = "Mapping[str, Mapping[str, object] | Callable[[Segment], str]]"
"""By tag: the qualifiers of its first element that have a meaning here, or what names the segment."""


def tree_of(message: Message, structure: Group, known: Names, path: str) -> Tree:
    """The tree of a message by its structure; segments without a place are faults."""
    found = Tree(Node(structure.name, path))
    root = _Open(structure, [message.segments[0]])
    open_groups = [root]
    reserved = structure.reserved()
    for segment in message.segments[1:]:
        if not _place(segment, open_groups, reserved):
            inner = open_groups[-1].group
            detail = f"{segment.tag} has no place in {structure.name} here; the group open is {inner.name}"
            found.faults.append(Fault(segment.place, "segment-order", detail))
    found.faults += _needed(root)
    _fill(found, found.node, root, known)
    return found


def _place(segment: Segment, open_groups: list[_Open], reserved: frozenset[tuple[str, str]]) -> bool:
    """Put a segment where it belongs, closing the groups that end before it."""
    qualifier = segment.value(0)
    mark = (segment.tag, qualifier)
    for depth in range(len(open_groups) - 1, -1, -1):
        at = open_groups[depth]
        for below in at.group.groups:
            if below.opens == segment.tag and (
                qualifier in below.only if below.only else mark not in reserved
            ):
                new = _Open(below, [segment])
                at.content.append(new)
                del open_groups[depth + 1 :]
                open_groups.append(new)
                return True
        if mark not in reserved and segment.tag in at.group.segments.split():
            at.content.append(segment)
            del open_groups[depth + 1 :]
            return True
    return False


def _needed(at: _Open) -> list[Fault]:
    faults = []
    first = at.content[0]
    where = first.place if isinstance(first, Segment) else ""
    there = {part.tag if isinstance(part, Segment) else part.group.name for part in at.content}
    for name in at.group.need:
        if name not in there:
            below = next((g for g in at.group.groups if g.name == name), None)
            what = name if below is None else f"{name} (opened by {below.opens})"
            faults.append(Fault(where, "required", f"{at.group.name} has no {what}"))
    for part in at.content:
        if isinstance(part, _Open):
            faults += _needed(part)
    return faults


def _fill(found: Tree, node: Node, at: _Open, known: Names) -> None:
    steps = [part.tag if isinstance(part, Segment) else part.group.name for part in at.content]
    for part, path in zip(at.content, numbered(node.path, steps), strict=True):
        if isinstance(part, Segment):
            below = segment_node(part, path, known)
            found.places[path] = part.place
            if below.name.endswith("?"):
                found.flags.append(f"unknown-qualifier:{path} {part.value(0)}")
            _check_length(part, path, found)
        else:
            below = Node(part.group.name, path)
            _fill(found, below, part, known)
        node.children.append(below)


def _check_length(segment: Segment, path: str, found: Tree) -> None:
    """More elements than the directory has: flagged, but of a time, whose offset would be lost with it, refused."""
    table = _elements(segment.tag)
    beyond = [n for n, element in enumerate(segment.elements) if n >= len(table) and any(element)]
    if not beyond:
        return
    if segment.tag == "DTM":
        detail = f"DTM has {beyond[-1] + 1} elements; a + within its value has to be released (?+)"
        found.faults.append(Fault(segment.place, "segment", detail))
    else:
        found.flags.append(f"unknown-element:{path}/{beyond[0] + 1}")


def numbered(parent: str, steps: Sequence[str]) -> list[str]:
    """The paths of children, with ``[n]`` where a step repeats."""
    counts = Counter(steps)
    seen: Counter[str] = Counter()
    paths = []
    for step in steps:
        if counts[step] == 1:
            paths.append(f"{parent}/{step}")
        else:
            seen[step] += 1
            paths.append(f"{parent}/{step}[{seen[step]}]")
    return paths


def segment_node(segment: Segment, path: str, known: Names) -> Node:
    """A segment with its components as children; empty ones are nothing."""
    node = Node(_name(segment, known), path)
    table = _elements(segment.tag)
    for n, element in enumerate(segment.elements):
        composite = table[n] if n < len(table) else None
        for m, value in enumerate(element):
            if not value or value.isspace():
                continue
            if composite is None:
                name, step = f"x{n + 1}.{m + 1}", f"{n + 1}" if len(element) == 1 else f"{n + 1}/{m + 1}"
            elif m < len(composite.components):
                name, step = composite.components[m]
            else:
                name, step = f"{composite.step}.x{m + 1}", f"{composite.step}/{m + 1}"
            node.children.append(Node(name, f"{path}/{step}", value.strip(), _NONE, _NO_CHILDREN))
    return node


def _name(segment: Segment, known: Names) -> str:
    """The name that rules know a segment by."""
    tag = segment.tag
    if tag == "MEA":
        # Without 6313, what is measured is told by 6311 alone (MEA+WT++KGM:21000).
        return "MEA" if segment.value(1) else "MEA-"
    if tag in _EMPTY_WITHOUT and not any(segment.value(*at) for at in _EMPTY_WITHOUT[tag]):
        return f"{tag}-"
    names = known.get(tag)
    if names is None:
        return tag
    if callable(names):
        return names(segment)
    qualifier = segment.value(0)
    name = names.get(qualifier, names.get(ANY))
    if name is None:
        return f"{tag}?"
    return f"{tag}+{qualifier}" if name is APART else tag


ANY: Final = "*"
"""Among the qualifiers of a tag: every other one has a meaning too."""

_EMPTY_WITHOUT: Final = {
    "LOC": ((1, 0), (1, 3), (2, 0), (2, 3)),
    "NAD": ((1, 0), (2, 0), (3, 0), (4, 0), (5, 0)),
}
"""Elements and components of which one at least has to be there for a place or party to be one (``LOC+9+:139:6`` is none)."""

APART: Final = object()
"""Marks a qualifier whose segment is named with it (``LOC+147``), since rules ask for it apart from the others of its tag."""


_NONE: Final[dict[str, str]] = {}
_NO_CHILDREN: Final[list[Node]] = []
"""Shared by all values, of which a large bayplan has half a million; nobody adds to them."""


@dataclass(frozen=True, slots=True)
class _Composite:
    step: str
    components: tuple[tuple[str, str], ...]


@cache
def _elements(tag: str) -> tuple[_Composite, ...]:
    """The elements of a segment by position: for each component its name in the tree and its step in a path."""
    found: list[_Composite] = []
    parts = _split(ELEMENTS.get(tag, ""))
    totals = Counter(name for name, _ in parts)
    seen: Counter[str] = Counter()
    for name, components in parts:
        seen[name] += 1
        step = f"{name}[{seen[name]}]" if totals[name] > 1 else name
        own = f"{name}+{seen[name]}" if seen[name] > 1 else name
        if not components:
            found.append(_Composite(step, ((own, step),)))
            continue
        many = Counter(components)
        nth: Counter[str] = Counter()
        named = []
        for component in components:
            nth[component] += 1
            n = nth[component]
            below = f"{component}[{n}]" if many[component] > 1 else component
            named.append((f"{own}.{component}+{n}" if n > 1 else f"{own}.{component}", f"{step}/{below}"))
        found.append(_Composite(step, tuple(named)))
    return tuple(found)


def _split(line: str) -> list[tuple[str, list[str]]]:
    return [(name, inner.split()) for name, inner in _WORD.findall(line)]


_WORD: Final = re.compile(r"(\w+)(?:\(([^)]*)\))?")
