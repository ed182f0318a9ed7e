"""ASYCUDA's SAD: worked declarations with their twins, and the laws of every reader."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.customs.formats.worked import accounted, cases, check, documents, taken

from cocket.core.errors import Refused
from cocket.customs.formats.asycuda_sad import READER

SAD = documents("asycuda")[0]


@pytest.mark.parametrize(("data", "name", "said"), cases("asycuda"))
def test_worked(data: bytes, name: str, said: dict[str, Any]) -> None:
    check(READER, data, name, said)


def leaves(element: ET.Element, path: str) -> set[str]:
    """The paths of all values by the standard library's parser, which shares no code with the reader."""
    found = {f"{path}/@{name}" for name in element.attrib}
    if "".join([element.text or "", *(child.tail or "" for child in element)]).strip():
        found.add(path)
    children = [child for child in element if child.tag != "null" or len(child) or child.attrib or child.text]
    names = [child.tag for child in children]
    seen: dict[str, int] = {}
    for child in children:
        seen[child.tag] = seen.get(child.tag, 0) + 1
        number = f"[{seen[child.tag]}]" if names.count(child.tag) > 1 else ""
        found |= leaves(child, f"{path}/{child.tag}{number}")
    return found


@pytest.mark.parametrize("data", documents("asycuda"))
def test_every_value_is_mapped_or_kept_raw(data: bytes) -> None:
    accounted(READER.read(data, ""), leaves(ET.fromstring(data), "/ASYCUDA"))


def test_text_beside_elements_is_not_lost() -> None:
    data = SAD.replace(b"<Transport>", b"<Transport>by road", 1)
    read = READER.read(data, "")
    assert ("/ASYCUDA/Transport", "by road") in {(p, v) for p, v, _ in read.raw}
    data = SAD.replace(b"<Location_of_goods>CFS-7<", b"<Location_of_goods>CFS-7 <null/><", 1)
    assert READER.read(data, "").value["consignments"][0]["places"][1]["id"] == "CFS-7"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    text = (
        SAD.decode().replace("UTF-8", encoding.removesuffix("-sig"), 1).replace("Kampala Textiles", "Kämpala")
    )
    assert READER.sniff(text.encode(encoding), "")
    consignee = READER.read(text.encode(encoding), "").value["consignments"][0]["parties"][1]
    assert consignee["name"] == "Kämpala Ltd"


@pytest.mark.parametrize(
    "data", [b"", b"<SAD/>", b"<ASYCUDAX/>", b"UNB+", b"<?xml version='1.0'?><Sad><ASYCUDA/></Sad>"]
)
def test_others_are_not_taken(data: bytes) -> None:
    assert not READER.sniff(data, "ASYCUDA.xml")


@given(st.binary(max_size=200))
def test_arbitrary_bytes(data: bytes) -> None:
    READER.sniff(data, "")
    with pytest.raises(Refused):
        READER.read(data, "")


@settings(max_examples=150)
@given(st.integers(0, len(SAD) - 1), st.integers(0, 40), st.binary(max_size=12))
def test_mutations(start: int, length: int, new: bytes) -> None:
    data = SAD[:start] + new + SAD[start + length :]
    READER.sniff(data, "")
    read = taken(READER, data)
    if read is None:
        return
    try:
        tree = ET.fromstring(data)
    except ET.ParseError:
        return  # names of XML 1.0's fifth edition, which expat does not know
    accounted(read, leaves(tree, "/ASYCUDA"))
