"""UN/EDIFACT's syntax (ISO 9735, versions 1 to 4): from bytes to messages, with the envelope checked.

``interchange`` decodes, splits, and checks what the standard asks of an envelope: UNB and UNZ with one reference, UNH and UNT with
one reference and the right count of segments, UNG and UNE likewise, nothing behind the end and nothing cut off. Each fault
names the segment by its number in the file (UNB is 1; UNA is none) and its tag: ``14:EQD``. Rules: ``una``, ``charset``, ``truncated``, ``segment``,
``envelope``, ``segment-count``, ``message-count``, ``group-count``, ``reference``, ``too-large``.

Segments with a released character are split by pydifact; the others, nearly all of them, by the text's own ``split``, since pydifact goes
character by character (0.6 MB/s, measured). Not left to it either is where it is silent or wrong: UNA in the middle of the text, a release
character given as a space, which means none; an empty segment; a last segment without its end; references and counts.

Line ends inside and between segments are no data and are dropped, unless UNA makes one the terminator. UNOA and UNOB are ASCII; letters beyond
it, which many senders write all the same, are read as UTF-8, else as ISO 8859-1, and the interchange is flagged ``edifact-charset``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NoReturn

from pydifact.control import Characters
from pydifact.parser import Parser
from pydifact.tokenizer import Tokenizer

from cocket.core.errors import Fault
from cocket.customs.formats.reading import refuse

MOST_BYTES: Final = 32 << 20
MOST_SEGMENTS: Final = 300_000
"""A stowage plan of the largest ships (24,000 containers) has some 220,000."""

MOST_VALUES: Final = 1_000_000
"""Some kilobyte of memory each while they are mapped; the same plan has some 600,000."""

_CHARSETS: Final = {
    "UNOA": "ascii",
    "UNOB": "ascii",
    "UNOC": "iso-8859-1",
    "UNOD": "iso-8859-2",
    "UNOE": "iso-8859-5",
    "UNOF": "iso-8859-7",
    "UNOG": "iso-8859-3",
    "UNOH": "iso-8859-4",
    "UNOI": "iso-8859-6",
    "UNOJ": "iso-8859-8",
    "UNOK": "iso-8859-9",
    "UNOW": "utf-8",
    "UNOX": "iso-2022-jp",
    "UNOY": "utf-8",
}
_NO_RELEASE: Final = "\ufdd0"
"""A code point that is no character stands for a release character that the interchange does not use."""
_TAG: Final = re.compile(r"[A-Z]{3}")
_START: Final = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*(UNA.{6}\s*UNB|UNB|UNH)", re.DOTALL)
_UNB: Final = re.compile(rb"UNB.([A-Z]{4})")
_BLANK: Final = " \t\r\n\x1a"
_PARSER: Final = Parser()
_WHAT: Final = "the EDIFACT interchange"

Element = list[str]
"""The components of a data element."""


@dataclass(slots=True)
class Segment:
    """A segment: its number in the file, tag and elements."""

    number: int
    tag: str
    elements: list[Element]

    def value(self, element: int, component: int = 0) -> str:
        """A component by position, both from 0; "" where there is none."""
        if element >= len(self.elements) or component >= len(self.elements[element]):
            return ""
        return self.elements[element][component].strip()

    @property
    def place(self) -> str:
        """How faults name it."""
        return f"{self.number}:{self.tag}"


@dataclass(slots=True)
class Message:
    """UNH to UNT."""

    kind: str
    segments: list[Segment]


@dataclass(slots=True)
class Interchange:
    """UNB to UNZ. ``around``: the service segments outside of messages."""

    around: list[Segment] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)


def looks_like(data: bytes) -> bool:
    """Whether the bytes begin as an interchange, or as a message without its envelope."""
    return bool(_START.match(data[:64]))


def interchange(data: bytes) -> Interchange:
    """The interchange; ``Refused`` with every fault of its envelope."""
    if len(data) > MOST_BYTES:
        _fail("", "too-large", f"{len(data)} bytes; at most {MOST_BYTES} are read")
    found = Interchange()
    text, characters = _decoded(data, found)
    segments = _segments(text, characters)
    faults = _envelope(segments, found)
    if faults:
        raise refuse(faults, _WHAT)
    return found


def _fail(path: str, rule: str, detail: str) -> NoReturn:
    raise refuse([Fault(path, rule, detail)], _WHAT)


def _decoded(data: bytes, found: Interchange) -> tuple[str, Characters]:
    """The text from UNB on, without line ends, and the characters that part it."""
    body = data.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    advice = b""
    if body.startswith(b"UNA"):
        advice, body = body[3:9], body[9:].lstrip(b" \t\r\n")
    head = _UNB.match(body)
    if head is None:
        if body.startswith(b"UNB"):
            _fail("1:UNB", "charset", f"UNB names no syntax identifier such as UNOA; it begins {body[:12]!r}")
        _fail("", "envelope", f"an interchange begins with UNB; this begins with {body[:12]!r}")
    level = head[1].decode()
    charset = _CHARSETS.get(level)
    if charset is None:
        known = ", ".join(_CHARSETS)
        _fail("1:UNB", "charset", f"the syntax identifier {level} is not known; known are {known}")
    try:
        text = body.decode(charset)
    except UnicodeDecodeError as error:
        if charset != "ascii":
            _fail("1:UNB", "charset", f"byte {error.start} after UNA is no {charset} as {level} says")
        found.flags.append("edifact-charset")
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = body.decode("iso-8859-1")
    characters = _characters(advice, body)
    end = characters.segment_terminator
    text = text.rstrip(_BLANK).translate({ord(c): None for c in "\r\n" if c != end})
    return (f"{text}{end}" if end in _BLANK else text), characters


def _characters(advice: bytes, body: bytes) -> Characters:
    if not advice:
        release = "?" if b"?" in body else _NO_RELEASE
        return Characters(escape_character=release)
    given = advice.decode("latin-1")
    component, data, release, reserved, terminator = given[0], given[1], given[3], given[4], given[5]
    parting = [c for c in (component, data, release, reserved, terminator) if c != " "]
    if " " in {component, data, terminator} or len(set(parting)) != len(parting):
        _fail("UNA", "una", f"UNA{given} gives one character two duties, or a space one")
    if any(c.isalnum() for c in parting):
        _fail("UNA", "una", f"UNA{given} makes a letter or digit part the data")
    return Characters.from_str(given if release != " " else given[:3] + _NO_RELEASE + given[4:])


def _segments(text: str, characters: Characters) -> list[Segment]:
    """Every segment; the rest behind the last terminator is nothing or a file that was cut off."""
    release, terminator = re.escape(characters.escape_character), re.escape(characters.segment_terminator)
    form = re.compile(f"((?:[^{release}{terminator}]++|{release}.)*+){terminator} *", re.DOTALL)
    found: list[Segment] = []
    at = values = 0
    for match in form.finditer(text):
        if match.start() != at:
            break
        at = match.end()
        number = len(found) + 1
        parts = _parts(match[1], match[0], characters)
        tag = parts.pop(0) if parts else [""]
        if len(tag) > 1 or not _TAG.fullmatch(tag[0]):
            said = characters.component_separator.join(tag)
            _fail(f"{number}:", "segment", f"segment {number} begins with {said[:20]!r}, which is no tag")
        values += sum(map(len, parts))
        if number > MOST_SEGMENTS or values > MOST_VALUES:
            detail = f"more than {MOST_SEGMENTS} segments or {MOST_VALUES} values; split the interchange"
            _fail(f"{number}:{tag[0]}", "too-large", detail)
        found.append(Segment(number, tag[0], parts))
    if text[at:].strip(" "):
        last = found[-1].place if found else ""
        _fail(last, "truncated", f"the file ends within segment {len(found) + 1}: {text[at:][-40:]!r}")
    return found


def _parts(inner: str, whole: str, characters: Characters) -> list[Element]:
    """Tag and elements of a segment. One without a released character is split plainly, others by pydifact, which is exact and slow."""
    if characters.escape_character not in inner:
        component = characters.component_separator
        return [element.split(component) for element in inner.split(characters.data_separator)]
    tokens = Tokenizer().get_tokens(whole, characters)
    raw = next(_PARSER.convert_tokens_to_raw_segments(tokens))
    return [[element] if isinstance(element, str) else list(element) for element in raw]


def _envelope(segments: list[Segment], found: Interchange) -> list[Fault]:
    faults: list[Fault] = []
    if segments[-1].tag != "UNZ":
        detail = f"the last segment is {segments[-1].tag}, not UNZ: the end of the interchange is missing"
        faults.append(Fault(segments[-1].place, "truncated", detail))
    header = segments[0]
    group: Segment | None = None
    groups = in_group = 0
    message: Message | None = None
    seen: dict[str, Segment] = {}
    for segment in segments:
        tag = segment.tag
        if tag == "UNH":
            if message is not None:
                faults.append(_open(message, segment))
            message = Message(segment.value(1, 0), [segment])
            found.messages.append(message)
            in_group += 1
            faults += _own_reference(segment, seen)
        elif message is not None and tag not in {"UNB", "UNZ", "UNG", "UNE"}:
            message.segments.append(segment)
            if tag == "UNT":
                faults += _trailer(message, segment)
                message = None
        elif tag not in {"UNB", "UNZ", "UNG", "UNE"}:
            faults.append(Fault(segment.place, "envelope", f"{tag} stands outside of a message (UNH to UNT)"))
        else:
            found.around.append(segment)
            if message is not None:
                faults.append(_open(message, segment))
                message = None
            if tag == "UNB" and segment is not header:
                faults.append(
                    Fault(segment.place, "envelope", "a second UNB: send each interchange as a document")
                )
            elif tag == "UNG":
                if group is not None:
                    faults.append(
                        Fault(segment.place, "envelope", f"UNG {group.place} has no UNE before the next")
                    )
                group, groups, in_group = segment, groups + 1, 0
            elif tag == "UNE":
                faults += _group_trailer(group, segment, in_group)
                group = None
            elif tag == "UNZ":
                faults += _end(
                    header, segment, groups or len(found.messages), "groups" if groups else "messages"
                )
                if segment is not segments[-1]:
                    faults.append(
                        Fault(
                            segment.place, "envelope", f"{len(segments) - segment.number} segments behind UNZ"
                        )
                    )
                    break
    if message is not None:
        faults.append(_open(message, segments[-1]))
    if group is not None:
        faults.append(Fault(group.place, "truncated", "UNG has no UNE"))
    if not found.messages:
        faults.append(Fault(header.place, "envelope", "there is no message (UNH) in the interchange"))
    return faults


def _open(message: Message, at: Segment) -> Fault:
    first = message.segments[0]
    return Fault(
        at.place, "truncated", f"the message {first.value(0)} of UNH {first.place} has no UNT before this"
    )


def _own_reference(segment: Segment, seen: dict[str, Segment]) -> list[Fault]:
    reference = segment.value(0)
    if not reference:
        return [Fault(segment.place, "reference", "UNH has no message reference (0062)")]
    before = seen.setdefault(reference, segment)
    if before is not segment:
        return [
            Fault(segment.place, "reference", f"message reference {reference} was that of {before.place}")
        ]
    return []


def _trailer(message: Message, trailer: Segment) -> list[Fault]:
    faults = []
    header = message.segments[0]
    if _number(trailer.value(0)) != len(message.segments):
        detail = f"UNT counts {trailer.value(0) or 'no'} segments (0074); from UNH to UNT there are {len(message.segments)}"
        faults.append(Fault(trailer.place, "segment-count", detail))
    if trailer.value(1) != header.value(0):
        detail = f"UNT refers to {trailer.value(1)!r} (0062), UNH {header.place} to {header.value(0)!r}"
        faults.append(Fault(trailer.place, "reference", detail))
    return faults


def _group_trailer(group: Segment | None, trailer: Segment, messages: int) -> list[Fault]:
    if group is None:
        return [Fault(trailer.place, "envelope", "UNE without UNG")]
    faults = []
    if _number(trailer.value(0)) != messages:
        detail = f"UNE counts {trailer.value(0) or 'no'} messages (0060); there are {messages}"
        faults.append(Fault(trailer.place, "group-count", detail))
    if trailer.value(1) != group.value(4):
        detail = f"UNE refers to {trailer.value(1)!r} (0048), UNG {group.place} to {group.value(4)!r}"
        faults.append(Fault(trailer.place, "reference", detail))
    return faults


def _end(header: Segment, trailer: Segment, count: int, what: str) -> list[Fault]:
    faults = []
    if _number(trailer.value(0)) != count:
        detail = f"UNZ counts {trailer.value(0) or 'no'} {what} (0036); there are {count}"
        faults.append(Fault(trailer.place, "message-count", detail))
    if trailer.value(1) != header.value(4):
        detail = f"UNZ refers to {trailer.value(1)!r} (0020), UNB to {header.value(4)!r}"
        faults.append(Fault(trailer.place, "reference", detail))
    return faults


def _number(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
