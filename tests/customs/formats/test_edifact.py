"""EDIFACT: worked messages with their twins, the laws of every reader, and a second tokenizer to disagree with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydifact.segmentcollection import RawSegmentCollection
from tests.customs.formats.worked import cases, check, documents, taken

from cocket.core.errors import Refused
from cocket.customs.formats import edifact_syntax
from cocket.customs.formats.edifact import READER
from cocket.customs.formats.edifact_syntax import interchange

ALL = documents("edifact")


@pytest.mark.parametrize(("data", "name", "said"), cases("edifact"))
def test_worked(data: bytes, name: str, said: dict[str, Any]) -> None:
    check(READER, data, name, said)


def test_the_example_of_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "customs" / "edifact.md").read_text()
    read = READER.read(page.partition("```edifact\n")[2].partition("```")[0].encode(), "")
    assert read.value["statuses"] == [
        {
            "code": "gate-in",
            "equipment_id": "MSKU1234565",
            "at": "2026-11-25T14:47:00Z",
            "place": {"role": "activity", "unlocode": "KEMBA"},
            "reference": "BK77120",
        }
    ]
    assert read.value["consignments"][0]["transport"][0]["id"] == "KCB123X"
    assert read.flags == []


def tokens(data: bytes) -> list[list[list[str]]]:
    """Segments, elements, components, character by character as ISO 9735 tells it; shares no code with the reader."""
    text = data.decode("latin-1")
    component, element, release, end = ":", "+", "?", "'"
    if text.startswith("UNA"):
        component, element, release, end = text[3], text[4], text[6], text[8]
        text = text[9:]
    segments: list[list[list[str]]] = []
    segment, parts, value = [], [], ""
    escaped = False
    for c in text:
        if escaped:
            value, escaped = value + c, False
        elif c == release and release != " ":
            escaped = True
        elif c == component:
            parts, value = [*parts, value], ""
        elif c == element:
            segment, parts, value = [*segment, [*parts, value]], [], ""
        elif c == end:
            segments.append([*segment, [*parts, value]])
            segment, parts, value = [], [], ""
        elif c in "\r\n":
            continue
        elif not (c == " " and not segment and not parts and not value):
            value += c
    return segments


def values(data: bytes) -> int:
    """How many values there are in an interchange, tags aside."""
    return sum(bool(v.strip()) for s in tokens(data) for e in s[1:] for v in e)


@pytest.mark.parametrize("data", ALL)
def test_every_value_is_mapped_or_kept_raw(data: bytes) -> None:
    read = READER.read(data, "")
    raw = {path for path, _, _ in read.raw}
    assert len(raw) == len(read.raw)
    assert not raw & set(read.taken)
    assert len(raw) + len(read.taken) == values(data)
    assert set(read.origins.values()) <= set(read.taken)


@pytest.mark.filterwarnings("ignore::pydifact.exceptions.MissingImplementationWarning")
@pytest.mark.parametrize("data", ALL)
def test_segments_as_others_split_them(data: bytes) -> None:
    found = interchange(data)
    ours = [s for m in found.messages for s in m.segments] + found.around
    ours.sort(key=lambda s: s.number)
    theirs = tokens(data)
    assert [[[s.tag], *s.elements] for s in ours] == theirs
    library = RawSegmentCollection.from_str(data.decode()).segments
    assert [s.tag for s in ours] == [s.tag for s in library if s.tag != "UNA"]


def rewritten(data: bytes, advice: str, join: str = "") -> bytes:
    """The same interchange with other separators, written by hand."""
    component, element, release, end = advice[0], advice[1], advice[3], advice[5]

    def escaped(value: str) -> str:
        return "".join(release + c if c in {component, element, release, end} else c for c in value)

    lines = [
        element.join(component.join(escaped(v) for v in e) for e in segment) + end for segment in tokens(data)
    ]
    return f"UNA{advice}{join}{join.join(lines)}".encode()


@pytest.mark.parametrize("data", ALL)
@pytest.mark.parametrize(
    ("advice", "join"),
    [("|*.? ~", ""), (":+,! '", "\r\n"), (";^.\\ \n", ""), (":+.? '", "  "), ("\x1d\x1c.\x1b \x1e", "")],
)
def test_any_characters_may_part_it(data: bytes, advice: str, join: str) -> None:
    before, after = READER.read(data, ""), READER.read(rewritten(data, advice, join), "")
    assert READER.sniff(rewritten(data, advice, join), "")
    assert (before.value, before.flags, before.raw) == (after.value, after.flags, after.raw)


def test_lines_of_eighty() -> None:
    text = ALL[2].replace(b"\n", b"")
    wrapped = b"\r\n".join(text[n : n + 80] for n in range(0, len(text), 80))
    assert READER.read(wrapped, "").value == READER.read(ALL[2], "").value


def test_no_release_character() -> None:
    """A space in UNA's fourth place means that nothing is released: a question mark is one."""
    data = documents("edifact")[2].replace(b"\n", b"")
    assert b"?" not in data
    asked = data.replace(b"DENT AT REAR CORNER", b"DENT? WHERE?")
    read = READER.read(b"UNA:+.  '" + asked, "")
    assert read.value["consignments"][0]["notes"][0]["text"] == "DENT? WHERE?"


@pytest.mark.parametrize(
    ("level", "encoding", "letters"),
    [
        ("UNOC", "iso-8859-1", "ÄÖÉ"),
        ("UNOE", "iso-8859-5", "ЖЯ"),
        ("UNOF", "iso-8859-7", "ΩΛ"),
        ("UNOW", "utf-8", "汉字"),
        ("UNOY", "utf-8", "ÄЖΩ"),
    ],
)
def test_charsets(level: str, encoding: str, letters: str) -> None:
    text = ALL[2].decode().replace("UNOA", level).replace("DENT AT REAR", letters)
    read = READER.read(text.encode(encoding), "")
    assert read.value["consignments"][0]["notes"][0]["text"] == f"{letters} CORNER"
    assert read.flags == []


def test_a_charset_that_it_is_not() -> None:
    data = ALL[2].replace(b"UNOA", b"UNOY").replace(b"DENT", b"D\xc9NT")
    with pytest.raises(Refused) as told:
        READER.read(data, "")
    assert told.value.faults[0].rule == "charset"


@pytest.mark.parametrize(
    "data", [b"", b"UNX+", b"UNA:+.? 'XXX", b"<ASYCUDA/>", b"bill;container\n", b"UNABLE TO"]
)
def test_others_are_not_taken(data: bytes) -> None:
    assert not READER.sniff(data, "CUSCAR.edi")


def test_a_message_without_its_envelope_is_told_so() -> None:
    data = b"UNH+1+CODECO:D:95B:UN'BGM+34+1+9'EQD+CN'UNT+4+1'"
    assert READER.sniff(data, "")
    with pytest.raises(Refused) as told:
        READER.read(data, "")
    assert [(f.path, f.rule) for f in told.value.faults] == [("", "envelope")]


def test_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("MOST_BYTES", 1000), ("MOST_SEGMENTS", 20), ("MOST_VALUES", 100)):
        with monkeypatch.context() as bounded:
            bounded.setattr(edifact_syntax, name, most)
            with pytest.raises(Refused) as told:
                READER.read(ALL[4], "")
            assert told.value.faults[0].rule == "too-large"


@given(st.binary(max_size=120))
def test_arbitrary_bytes(data: bytes) -> None:
    assert taken(READER, data) is None
    assert taken(READER, b"UNB+UNOC:3+" + data) is None


@settings(max_examples=150)
@given(st.sampled_from(ALL), st.floats(0, 1), st.integers(0, 30), st.text("':+?\nUNTHZ019AX ", max_size=12))
def test_mutations(data: bytes, where: float, length: int, new: str) -> None:
    start = int(where * (len(data) - 1))
    taken(READER, data[:start] + new.encode() + data[start + length :])


@settings(max_examples=150)
@given(st.sampled_from(ALL), st.data())
def test_segments_moved_doubled_and_left_out(data: bytes, draw: st.DataObject) -> None:
    """With counts put right, what is in a message in any order is read with every value accounted for, or refused with its segment."""
    segments = tokens(data)
    header = next(n for n, s in enumerate(segments) if s[0] == ["UNH"])
    end = next(n for n, s in enumerate(segments) if s[0] == ["UNT"])
    body = segments[header + 1 : end]
    for _ in range(draw.draw(st.integers(1, 4))):
        n, m = draw.draw(st.integers(0, len(body) - 1)), draw.draw(st.integers(0, len(body) - 1))
        act = draw.draw(st.sampled_from(["move", "double", "drop", "empty"]))
        if act == "move":
            body.insert(m, body.pop(n))
        elif act == "double":
            body.insert(m, body[n])
        elif act == "drop" and len(body) > 3:
            body.pop(n)
        else:
            body[n] = [body[n][0], *([[""]] * (len(body[n]) - 1))]
    trailer = [["UNT"], [str(len(body) + 2)], segments[header][1]]
    new = [*segments[: header + 1], *body, trailer, *segments[end + 1 :]]
    text = "".join(
        "+".join(":".join("".join("?" + c if c in "?:+'" else c for c in v) for v in e) for e in s) + "'"
        for s in new
    ).encode()
    read = taken(READER, text)
    if read is not None:
        assert len(read.raw) + len(read.taken) == values(text)
        assert not {path for path, _, _ in read.raw} & set(read.taken)
