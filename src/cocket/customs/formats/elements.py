"""An XML element as a tree for ``mapping``: local names, paths with ``[n]`` where siblings share a name, no comments."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from lxml import etree

from cocket.core.errors import Fault
from cocket.customs.formats.mapping import Node
from cocket.customs.formats.reading import refuse

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_LONGEST_PATH = 500
"""Every node carries its path, so names must not be used to fill memory; the longest path of a real message has some 130 characters."""


def node_of(element: etree._Element, path: str = "") -> Node:
    """The tree of an element. Attributes of XML Schema's own (``xsi:``) say nothing of the goods and are left out. ``Refused``: ``too-deep``."""
    name = local(element)
    return _node(element, name, path or f"/{name}")


def where(element: etree._Element) -> str:
    """The path of an element as ``node_of`` gives it."""
    path = ""
    for step in (element, *element.iterancestors()):
        name, above = local(step), step.getparent()
        same = [] if above is None else [c for c in above if isinstance(c.tag, str) and local(c) == name]
        path = f"/{name}[{same.index(step) + 1}]{path}" if len(same) > 1 else f"/{name}{path}"
    return path


def _node(element: etree._Element, name: str, path: str) -> Node:
    node = Node(name, path)
    attributes = element.items()
    if attributes:
        node.attributes = {_local(str(k)): str(v) for k, v in attributes if not str(k).startswith(_XSI)}
    text = element.text
    if not len(element):
        if text:
            node.text = text.strip()
        return node
    if len(path) > _LONGEST_PATH:
        detail = f"the names of the elements down to here have more than {_LONGEST_PATH} characters together"
        raise refuse([Fault(path[:_LONGEST_PATH], "too-deep", detail)], "the document")
    children = [(child, _local(child.tag)) for child in element if isinstance(child.tag, str)]
    beside = [text, *(child.tail for child in element)]
    if any(said and not said.isspace() for said in beside):  # no message means it, and it must not vanish
        node.text = " ".join("".join(said or "" for said in beside).split())
    names = [child_name for _, child_name in children]
    # Most elements have no name twice; counting is left to those that do.
    counts = Counter(names) if len(set(names)) < len(names) else {}
    seen: dict[str, int] = {}
    for child, child_name in children:
        step = f"{path}/{child_name}"
        if counts and counts[child_name] > 1:
            seen[child_name] = n = seen.get(child_name, 0) + 1
            step = f"{step}[{n}]"
        node.children.append(_node(child, child_name, step))
    return node


def local(element: etree._Element) -> str:
    """The element's name without its namespace."""
    return _local(str(element.tag))


@lru_cache(maxsize=4096)
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
