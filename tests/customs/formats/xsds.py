"""The real XSDs and samples, and libxml2's validator over them: what our own is held against.

They lie beside the project (``COCKET_CONFORMANCE_DATA``, or ../shared/data) and are never committed; without them
``FOLDER`` is None and what needs them is skipped.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from cocket.core.errors import Refused
from cocket.customs.formats import schema
from cocket.customs.formats.xmltree import parse

NCTS = "http://ncts.dgtaxud.ec"
MD = "urn:wco:datamodel:WCO:DocumentMetaData-DMS:2"
DEC = "urn:wco:datamodel:WCO:DEC-DMS:2"
DS = "urn:wco:datamodel:WCO:Declaration_DS:DMS:2"
XS = "http://www.w3.org/2001/XMLSchema"


def _folder() -> Path | None:
    root = Path(__file__).resolve().parents[3]
    data = Path(os.environ.get("COCKET_CONFORMANCE_DATA", root.parent / "shared" / "data"))
    return data / "messages" if (data / "messages").is_dir() else None


FOLDER = _folder()
needs_xsds = pytest.mark.skipif(
    FOLDER is None,
    reason="the outside data (XSDs and sample messages) is absent: set COCKET_CONFORMANCE_DATA or put it at ../shared/data",
)


def folder(*parts: str) -> Path:
    """A folder of the outside data."""
    assert FOLDER is not None
    return FOLDER.joinpath(*parts)


@cache
def ncts_xsd(name: str) -> etree.XMLSchema:
    """The validator of one NCTS message, ``CC015C``."""
    return etree.XMLSchema(etree.parse(str(folder("ncts", "xsd", f"{name.lower()}.xsd"))))


@cache
def wco_xsd(
    meta: str = "DocumentMetaData_2_DMS.xsd", declaration: str = "WCO_DEC_2_DMS.xsd"
) -> etree.XMLSchema:
    """The validator of a declaration in its envelope, which no single XSD of theirs is."""
    base = folder("wco-dm", "xsd").as_uri()
    text = f"""<xs:schema xmlns:xs="{XS}">
        <xs:import namespace="{DEC}" schemaLocation="{base}/{declaration}"/>
        <xs:import namespace="{MD}" schemaLocation="{base}/{meta}"/></xs:schema>"""
    return etree.XMLSchema(etree.fromstring(text))


def cancellation_xsd() -> etree.XMLSchema:
    """The same for a request to cancel."""
    return wco_xsd("CANCEL_METADATA.xsd", "CANCEL.xsd")


def judges(root: etree._Element) -> list[tuple[etree.XMLSchema, schema.Schema]]:
    """Their validators for a document, each with ours."""
    name = etree.QName(root)
    if name.namespace == NCTS and schema.ncts().knows(root.tag):
        return [(ncts_xsd(name.localname), schema.ncts())]
    return [(wco_xsd(), schema.wco()), (cancellation_xsd(), schema.wco_cancellation())]


@cache
def samples() -> list[tuple[str, etree._Element]]:
    """Every sample that is XML and begins a message that we know."""
    found = []
    for path in [p for f in ("ncts", "wco-dm") for p in sorted(folder(f, "samples").iterdir())]:
        try:
            root = parse(path.read_bytes())
        except Refused:
            continue
        if schema.ncts().knows(root.tag) or schema.wco().knows(root.tag):
            found.append((path.name, root))
    return found


TEXTS = (
    *(
        "",
        "A",
        "GB",
        "gb",
        "true",
        "false",
        " x",
        "x ",
        "a  b",
        "a\tb",
        "a\nb",
        "\n",
        "é",
        "^$",
        "\\",
        "INV",
        "13",
        "9",
    ),
    *(
        "1",
        "0",
        "-1",
        "00",
        "007",
        "0012",
        "1999",
        "2000",
        "1.5",
        "0.05",
        ".5",
        "5.",
        "+3",
        "1e3",
        "0.1234567",
    ),
    *("12345678901234567890123456", "99999999999999.99", "9999999999999999.999"),
    *("x" * n for n in (4, 17, 18, 22, 23, 35, 36, 70, 71, 512, 513)),
    *(
        "😀" * 35,
        "😀" * 36,
        "\u00a0",
        "a\u00a0",
        "\u2003x",
        "\u0661",
        "\u0661\u0662",
        "\u200b",
        "x\u2028y",
        "x\u0085y",
    ),
    *(
        "2024-02-29",
        "2023-02-29",
        "2024-02-30",
        "2024-13-01",
        "0000-01-01",
        "2024-01-01+14:00",
        "2024-02-29T10:00:00",
    ),
    *(
        "2024-02-29T24:00:00",
        "2024-02-29T23:59:60",
        "2024-02-29T10:00:00Z",
        "2024-02-29T10:00:00.5",
        "2024-02-29Z",
    ),
    *(
        "20240101",
        "20240101101010Z",
        "20240101101010+01",
        "24GBDIRIGZ7QLCPAA8",
        "27WF9X1FQ9RCKN0TM3",
        "AB123456",
    ),
    *(
        "90.000000",
        "48.12345",
        "-180.0000000",
        "90x000000",
        "NCTS5.1",
        " NCTS5.1",
        "NCTS5.0",
        "a@b.c",
        "a@b",
        "&lt;",
    ),
)
ATTRIBUTES = (
    *(
        "PhaseID",
        "foo",
        "languageID",
        "listID",
        "formatCode",
        "unitCode",
        "currencyID",
        "schemeID",
        "listAgencyID",
        "name",
    ),
    *("{urn:x}PhaseID", "{http://www.w3.org/XML/1998/namespace}lang"),
)
VALUES = (*TEXTS, "102", "304", "GBP", "en", "en-GB", "KGM")
LETTERS = "0123456789ABCXYZabcxyz .-+:TZ@_/\t\n\u00a0\u2003é\u0661"


@cache
def _names() -> list[str]:
    return sorted({str(node.tag) for _, root in samples() for node in root.iter()})


def mutate(rng: random.Random, root: etree._Element) -> str:
    """Change one random thing in a document; the answer says what was done."""
    nodes = list(root.iter())
    node = rng.choice(nodes)
    parent = node.getparent()
    kind = rng.choice(
        (
            "delete",
            "duplicate",
            "reorder",
            "rename",
            "text",
            "text",
            "text",
            "attribute",
            "strip",
            "space",
            "mixed",
            "insert",
        )
    )
    if kind == "delete" and parent is not None:
        parent.remove(node)
    elif kind == "duplicate" and parent is not None:
        parent.insert(parent.index(node) + rng.choice((0, 1)), deepcopy(node))
    elif kind == "reorder" and parent is not None:
        place = rng.randrange(len(parent))
        parent.remove(node)
        parent.insert(place, node)
    elif kind == "rename":
        node.tag = rng.choice((rng.choice(_names()), f"{node.tag}x"))
    elif kind == "text":
        leaf = rng.choice([n for n in nodes if not len(n)])
        old = leaf.text or ""
        leaf.text = rng.choice((*TEXTS, old[:-1], f"{old}7", old.lower(), f" {old}\n"))
    elif kind == "attribute":
        node.set(rng.choice(ATTRIBUTES), rng.choice(VALUES))
    elif kind == "strip":
        for name in [n for n in node.attrib if "schemaLocation" not in str(n)]:
            del node.attrib[name]
    elif kind == "space":
        node.tag = etree.QName(
            rng.choice(("urn:wrong", NCTS, DEC, MD, DS, None)), etree.QName(node).localname
        )
    elif kind == "mixed" and parent is not None:
        node.tail = rng.choice((None, "x", "\u00a0", "\n"))
        if len(node):
            node.text = rng.choice(("x", " ", "\u00a0", None))
    elif kind == "insert":
        other = rng.choice(nodes[1:])
        node.insert(rng.randrange(len(node) + 1), deepcopy(other))
    return kind


def mutants(seed: int, count: int) -> Iterator[tuple[str, etree._Element]]:
    """Random samples with one to three random changes, read anew from their bytes."""
    rng = random.Random(seed)
    for _ in range(count):
        name, sample = rng.choice(samples())
        root = deepcopy(sample)
        done = [mutate(rng, root) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        yield f"{name}: {', '.join(done)}", etree.fromstring(etree.tostring(root))


def texts(rng: random.Random, base: str, values: list[str], count: int) -> Iterator[str]:
    """Texts that a simple type may or may not take: near its values, near dates and numbers, and anything."""
    for _ in range(count):
        if base in {"date", "dateTime"} and rng.random() < 0.8:
            yield _moment(rng, base)
            continue
        if base in {"decimal", "integer"} and rng.random() < 0.6:
            digits = "".join(rng.choice("0012345.") for _ in range(rng.randrange(1, 22)))
            yield rng.choice(("", "", "", "-", "+", "--")) + digits
            continue
        text = rng.choice(values) if values and rng.random() < 0.3 else rng.choice(TEXTS)
        if rng.random() < 0.4:
            text = "".join(
                rng.choice(LETTERS)
                for _ in range(rng.choice((1, 2, 3, 4, 5, 6, 8, 9, 10, 16, 17, 18, 22, 35)))
            )
        if text and rng.random() < 0.5:
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(LETTERS) + text[at + rng.choice((0, 1)) :]
        yield rng.choice(("", "", "", " ", "\n", "\t")) + text + rng.choice(("", "", "", " ", "\n"))


def _moment(rng: random.Random, base: str) -> str:
    date = (
        f"{rng.choice(('', '', '', '-', '1'))}{rng.choice((0, 1, 1900, 2000, 2023, 2024, 2100, 9999)):04d}"
        f"-{rng.choice((0, 1, 2, 2, 4, 12, 13)):02d}-{rng.choice((0, 1, 28, 29, 30, 31, 32)):02d}"
    )
    if base == "dateTime":
        date += f"T{rng.choice((0, 12, 23, 24, 25)):02d}:{rng.choice((0, 59, 60)):02d}:{rng.choice((0, 0, 59, 60)):02d}"
        date += rng.choice(("", "", ".0", ".5", "."))
    return date + rng.choice(("", "", "Z", "+01:00", "-14:00", "+14:01", "+13:59", "+13:60", "z"))


@dataclass
class SimpleCase:
    """A simple type by its name in the XSD: the validator that knows an element of it, and our reading of its facets."""

    namespace: str
    name: str
    base: str
    facets: tuple[tuple[str, str], ...]
    judge: etree.XMLSchema

    def accepts(self, text: str) -> bool:
        """Whether libxml2 takes the text as a value."""
        node = etree.Element(f"{{{self.namespace}}}T.{self.name}")
        node.text = text
        return bool(self.judge.validate(node))


def schema_of(namespace: str, includes: list[Path], elements: list[str]) -> etree.XMLSchema:
    """A schema with elements of our choice over their types (prefix ``n``)."""
    parts = [f'<xs:include schemaLocation="{path.as_uri()}"/>' for path in includes]
    text = (
        f'<xs:schema xmlns:xs="{XS}" xmlns:n="{namespace}" targetNamespace="{namespace}" elementFormDefault="qualified">'
        f"{''.join(parts)}{''.join(elements)}</xs:schema>"
    )
    return etree.XMLSchema(etree.fromstring(text))


def local_path(node: Any) -> str:
    """The path of an element in local names, without positions."""
    return "/" + "/".join(etree.QName(n).localname for n in [*list(node.iterancestors())[::-1], node])
