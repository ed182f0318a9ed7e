"""Random documents that a schema takes, and the plain reading of one that ours is held against.

``document`` fills a message from the shipped tables, element by element, each leaf with a text of its own that its type takes; libxml2 with
the real XSD says whether it is valid (where the XSDs are at hand). ``leaves`` and ``says`` know nothing of our tables.
"""

from __future__ import annotations

import random
from typing import Any

from lxml import etree

from cocket.customs.formats.datatypes import SimpleType
from cocket.customs.formats.schema import Complex, Place, Schema

CAPITALS = "ABCDEFGHJKLMNPRSTUVWXYZ"
DIGITS = "0123456789"


def document(
    schema: Schema, qname: str, rng: random.Random, most: int = 2, full: bool = False
) -> etree._Element:
    """A random message; with ``full`` every element that may stand does, up to ``most`` times."""
    root = etree.Element(qname, nsmap={"n": etree.QName(qname).namespace})
    _fill(root, schema.roots[qname], rng, most, full)
    return root


def _fill(node: etree._Element, kind: Complex, rng: random.Random, most: int, full: bool) -> None:
    for name, (simple, needed) in kind.attributes.items():
        if needed or (full and simple.base != "anyURI"):
            node.set(name, _text(simple, rng, name))
    if kind.content is not None:
        node.text = _text(kind.content, rng, etree.QName(node).localname)
    seen: dict[int, list[Place]] = {}
    for place in kind.places.values():
        seen.setdefault(place.index, []).append(place)
    for places in seen.values():
        place = rng.choice(places)
        high = min(place.high, most)
        count = high if full else rng.randint(min(place.low, high), high)
        for _ in range(max(count, place.low)):
            child = etree.SubElement(node, place.tag)
            if place.simple is not None:
                child.text = _text(place.simple, rng, etree.QName(child).localname)
            elif place.type is not None:
                _fill(child, place.type, rng, most, full)


def _text(simple: SimpleType, rng: random.Random, name: str) -> str:
    for text in _tries(rng, name):
        if simple.fault(text) is None:
            return text
    raise AssertionError(f"no text was found for {name} of type {simple.name}")


def _tries(rng: random.Random, name: str) -> list[str]:
    letters = [rng.choice(CAPITALS) for _ in range(40)]
    digits = [rng.choice(DIGITS) for _ in range(40)]
    mixed = [rng.choice(CAPITALS + DIGITS) for _ in range(40)]
    day = f"20{rng.randint(10, 24)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    mrn = f"{rng.randint(10, 24)}{''.join(letters[:2])}{''.join(mixed[:13])}{digits[0]}"
    number = rng.randint(1, 9999)
    return [
        *(["+48.123456"] if name == "latitude" else []),
        *(["7.123456"] if name == "longitude" else []),
        *(["20221114143931Z"] if name == "DateTimeString" else []),
        *(["304"] if name == "formatCode" else []),
        *([rng.choice(("KGM", "TNE", "GRM"))] if name == "unitCode" else []),
        *([rng.choice(("EUR", "GBP"))] if name == "currencyID" else []),
        f"{day}T{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:07",
        day,
        mrn,
        f"{number}.{rng.randint(1, 99):02d}",
        str(number),
        *(str(n) for n in (number % 1000, number % 100, number % 10, 0, 1, 2, 3, 4)),
        *("".join(mixed[:n]) for n in (35, 22, 21, 17, 14, 12, 8, 6, 5, 4, 3, 2, 1)),
        *("".join(letters[:n]) for n in (8, 5, 4, 3, 2, 1)),
        *("".join(digits[:n]) for n in (8, 6, 5, 4, 3, 2, 1)),
        f"{number % 90 + 10}{''.join(letters[:2])}{''.join(mixed[:12])}{digits[0]}",
        f"{number % 90 + 10}{''.join(letters[:2])}{''.join(mixed[:12])}{digits[0]}{letters[0]}{''.join(digits[:6])}",
        f"{''.join(digits[:7])}-{digits[7]}",
        f"C{''.join(digits[1:4])}",
        f"N{''.join(digits[1:4])}",
        f"{''.join(letters[:2])}{''.join(mixed[:6])}",
        f"{letters[0].lower()}{letters[1].lower()}@mail.example",
        *("CC015C", "A", "B", "NCTS5.1", "EUR", "9", "13", "T1", "GB", "en", "IMA", "+48.123456", "7.12345"),
        *(str(n) for n in range(10, 100)),
        "".join(letters[:2]).lower(),
    ]


def leaves(root: etree._Element) -> dict[str, str]:
    """Path → value of every text and attribute, but for XML Schema's own attributes; namespaces left out of the paths."""
    tree = root.getroottree()
    found = {}
    for node in root.iter(etree.Element):
        path = f"/{etree.QName(root).localname}"
        below = tree.getelementpath(node)
        if below != ".":
            path += "/" + "/".join(step.split("}")[-1] for step in _steps(below))
        for key, value in node.attrib.items():
            if "XMLSchema-instance" not in str(key):
                found[f"{path}/@{etree.QName(key).localname}"] = value
        if not node.xpath("*") and (node.text or "").strip():
            found[path] = node.text.strip()
    return found


def _steps(path: str) -> list[str]:
    """An element path cut at its slashes, but not at those within a namespace."""
    steps, depth, now = [], 0, ""
    for letter in path:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "/" and not depth:
            steps.append(now)
            now = ""
        else:
            now += letter
    return [*steps, now]


def at(value: Any, pointer: str) -> Any:
    """What stands at a JSON pointer."""
    for step in pointer.split("/")[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def says(value: Any, text: str) -> bool:
    """Whether a canonical value says what a text of the source does, as a person would compare them."""
    if isinstance(value, bool):
        return text in {"0": (False,), "1": (True,)}.get(text, (True,)) or value == (text == "1")
    if isinstance(value, int | float):
        return float(value) == float(text)
    if value.startswith(text) or value == text:
        return True
    if text[:4].isdigit() and value[:4] == text[:4]:
        return _digits(value)[:8] == _digits(text)[:8]
    return False


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())
