"""An XML element as a tree for ``mapping``: local names, paths with ``[n]`` where siblings share a name, no comments."""

from __future__ import annotations

from collections import Counter

from lxml import etree

from cocket.customs.formats.mapping import Node

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"


def node_of(element: etree._Element, path: str = "") -> Node:
    """The tree of an element. Attributes of XML Schema's own (``xsi:``) say nothing of the goods and are left out."""
    name = local(element)
    node = Node(name, path or f"/{name}")
    if element.attrib:
        node.attributes = {
            etree.QName(k).localname: v for k, v in element.attrib.items() if not str(k).startswith(_XSI)
        }
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        node.text = (element.text or "").strip()
        return node
    names = [local(child) for child in children]
    count = Counter(names)
    seen: Counter[str] = Counter()
    for child, child_name in zip(children, names, strict=True):
        step = child_name
        if count[child_name] > 1:
            seen[child_name] += 1
            step = f"{child_name}[{seen[child_name]}]"
        node.children.append(node_of(child, f"{node.path}/{step}"))
    return node


def local(element: etree._Element) -> str:
    """The element's name without its namespace."""
    tag = str(element.tag)
    return tag.rpartition("}")[2]
