"""GS1 element strings and Digital Link URIs, by examples of the General Specifications and of Digital Link 1.6."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocket.core.gs1 import (
    GS,
    Gs1Error,
    bracketed,
    check_digit,
    checked,
    element_string,
    is_ai,
    link,
    parse,
    parse_bracketed,
    parse_elements,
    parse_link,
    verify,
)


@pytest.mark.parametrize(
    ("digits", "check"),
    [
        ("376104250021234569", ""),  # SSCC of General Specifications, 7.9.1, complete
        ("37610425002123456", "9"),
        ("0950600013435", "2"),  # GTIN-14
        ("950110153000", "3"),  # GTIN-13
        ("9638507", "4"),  # GTIN-8
        ("952114112345", "4"),  # GLN
    ],
)
def test_check_digits(digits: str, check: str) -> None:
    if check:
        assert check_digit(digits) == check
        assert checked(digits) == digits + check
    else:
        assert checked(digits[:-1]) == digits


def test_elements_as_a_scanner_sends_them() -> None:
    text = "]C10109506000134352" + "10AB-1" + GS + "17271231" + "3103000750" + "37" + "12" + GS + "21x"
    want = {"01": "09506000134352", "10": "AB-1", "17": "271231", "3103": "000750", "37": "12", "21": "x"}
    assert parse(text) == want
    assert parse(text.removeprefix("]C1")) == want
    assert parse(GS + text.removeprefix("]C1")) == want
    assert element_string(want) == text.removeprefix("]C1")
    assert parse(bracketed(want)) == want
    assert bracketed(want) == "(01)09506000134352(10)AB-1(17)271231(3103)000750(37)12(21)x"


@pytest.mark.parametrize("aim", ["]e0", "]e1", "]d2", "]Q3", "]J1"])
def test_symbology_identifiers_of_gs1(aim: str) -> None:
    assert parse_elements(f"{aim}00095201234567891235") == {"00": "095201234567891235"}


@pytest.mark.parametrize(
    ("ai", "value"),
    [
        ("00", "095201234567891235"),
        ("02", "09506000134352"),
        ("11", "260100"),
        ("12", "261231"),
        ("13", "260229"),
        ("15", "261231"),
        ("16", "261231"),
        ("17", "991231"),
        ("253", "9521141123454ABC"),
        ("255", "952114167890904711"),
        ("30", "8"),
        ("310" + "3", "000750"),
        ("3922", "1999"),
        ("393" + "2", "97801999"),
        ("400", "PO/1"),
        ("401", "06141101ABc/D"),
        ("402", "06141401234567891"),
        ("410", "9521141123454"),
        ("414", "9521141123454"),
        ("415", "9521141123454"),
        ("417", "0123456789012"),
        ("421", "978AB1"),
        ("4307", "DE"),
        ("4330", "002950-"),
        ("7003", "2611221530"),
        ("7007", "261122261123"),
        ("8003", "095211411234545678"),
        ("8004", "952114132a/b"),
        ("8005", "001999"),
        ("8006", "095211411234540102"),
        ("8010", "95211415PQ7/Z43"),
        ("8018", "952114112345678906"),
        ("8020", "REF1"),
        ("8030", "aGk_-="),
        ("99", "x" * 90),
    ],
)
def test_values_that_are_as_their_ai_wants_them(ai: str, value: str) -> None:
    assert is_ai(ai)
    verify(ai, value)
    assert parse(f"({ai}){value}") == {ai: value}
    assert parse(ai + value) == {ai: value}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(01)09506000134353",  # check digit
        "(01)0950600013435",
        "(00)09520123456789123",
        "(17)271331",
        "(17)270132",
        "(10)",
        "(10)" + "a" * 21,
        "(10)a b",
        "(05)1",
        "(8003)195211411234545678",
        "hello (01)09506000134352",
        "0109506000134352" + "05",
        "01095060001343",
        "10a" + GS + "10b",
        "x" * 3000,
        "(21)ä",
    ],
)
def test_what_is_no_element_string(text: str) -> None:
    with pytest.raises(Gs1Error):
        parse(text)


@pytest.mark.parametrize(
    ("uri", "want"),
    [
        ("https://id.gs1.org/01/09506000134352/21/32a%2Fb", {"01": "09506000134352", "21": "32a/b"}),
        (
            "https://example.com/some/path/01/09506000134352/10/AB?17=271231&linkType=gs1:pip#f",
            {"01": "09506000134352", "10": "AB", "17": "271231"},
        ),
        ("HTTP://x.org/414/9521141123454/254/32a%2Fb", {"414": "9521141123454", "254": "32a/b"}),
        ("https://id.gs1.org/00/095201234567891235", {"00": "095201234567891235"}),
        ("https://id.gs1.org/gtin/9501101530003/lot/A", {"01": "09501101530003", "10": "A"}),
        ("https://x.org/8006/095211411234540102/21/981", {"8006": "095211411234540102", "21": "981"}),
        ("https://x.org/8010/95211415PQ7%2FZ43/8011/12345", {"8010": "95211415PQ7/Z43", "8011": "12345"}),
        ("https://x.org/253/9521141987650ABCDefgh012345678?3103=000750", {"253": "9521141987650ABCDefgh012345678", "3103": "000750"}),
    ],
)  # fmt: skip
def test_links(uri: str, want: dict[str, str]) -> None:
    assert parse(uri) == want
    assert parse_link(link(want)) == want
    assert link(want, "https://x.org/a/").startswith("https://x.org/a/")


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.com/",
        "https://example.com/about/us",
        "https://id.gs1.org/01/09506000134353",
        "https://id.gs1.org/01",
        "https://id.gs1.org/01/09506000134352/17/271231",  # no qualifier of a GTIN
        "https://id.gs1.org/01/%FF%FE",
        "ftp://id.gs1.org/01/09506000134352",
        "https://id.gs1.org/01/09506000134352?17=271340",
        "https://id.gs1.org/01/0950 6000134352",
    ],
)
def test_what_is_no_link(uri: str) -> None:
    with pytest.raises(Gs1Error):
        parse_link(uri)


def test_elements_without_a_key_have_no_link() -> None:
    with pytest.raises(Gs1Error, match="none of"):
        link({"17": "271231"})


@given(st.text(max_size=60) | st.text("()0123456789]C1A" + GS, max_size=60))
def test_no_text_raises_but_a_gs1_error(text: str) -> None:
    for read in (parse, parse_elements, parse_bracketed, parse_link):
        with contextlib.suppress(Gs1Error):
            read(text)
