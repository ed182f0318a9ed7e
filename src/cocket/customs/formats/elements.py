"""An XML element as a tree for ``mapping``: local names, paths with ``[n]`` where siblings share a name, no comments."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from lxml import etree

from cocket.customs.formats.mapping import Node

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"


def node_of(element: etree._Element, path: str = "") -> Node:
    """The tree of an element. Attributes of XML Schema's own (``xsi:``) say nothing of the goods and are left out."""
    name = local(element)
    return _node(element, name, path or f"/{name}")


def _node(element: etree._Element, name: str, path: str) -> Node:
    node = Node(name, path)
    attributes = element.attrib
    if attributes:
        node.attributes = {
            _local(str(k)): str(v) for k, v in attributes.items() if not str(k).startswith(_XSI)
        }
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        text = element.text
        if text:
            node.text = text.strip()
        return node
    beside = (element.text or "").strip() or any((child.tail or "").strip() for child in children)
    if beside:  # no message means it, and it must not vanish
        node.text = " ".join("".join([element.text or "", *(c.tail or "" for c in element)]).split())
    names = [_local(child.tag) for child in children]
    # Most elements have no name twice; counting is left to those that do.
    counts = Counter(names) if len(set(names)) < len(names) else {}
    seen: dict[str, int] = {}
    for child, child_name in zip(children, names, strict=True):
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
