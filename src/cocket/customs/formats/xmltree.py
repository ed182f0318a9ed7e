"""XML that strangers send, read into a tree: no DTD, no entities, no network, bounded in bytes, depth and count.

``parse`` gives the root as an lxml element without comments and processing instructions (the text on both sides of one
is joined, CDATA is text). What cannot be read is ``Refused`` with one fault whose path is empty (the document) and whose
words name line and column: ``not-well-formed``, ``empty``, ``doctype``, ``encoding``, ``too-large``, ``too-deep``.

Any document type declaration is refused before the parser sees it: no customs message has one, and with it go entities,
external subsets and defaulted attributes. Sizes are refused before parsing too, where they can be counted in the bytes.
Encodings: UTF-8, and UTF-16 with its byte order mark, as XML 1.0 (fifth edition) section 4.3.3 asks of every processor;
beyond these US-ASCII, ISO-8859-1, ISO-8859-15 and windows-1252, which old declaration systems write. A byte order mark
or a form that contradicts the declared encoding is refused, not guessed at.

libxml2 keeps every name that it has met for as long as the thread lives (measured: 1.1 MB for each document of 20,000
new names). So a document whose names would not fit into a bounded vocabulary is parsed in a thread of its own, which
takes them along when it ends: some 0.1 ms dearer, and only for such documents.
"""

from __future__ import annotations

import re
import threading
from typing import Final

from lxml import etree

from cocket.core.errors import Fault, Refused

MOST_BYTES: Final = 32 << 20
"""A document longer than this is not read."""

MOST_DEPTH: Final = 100
"""Elements within elements; the deepest customs message known here has 12."""

MOST_NODES: Final = 500_000
"""Tags and attributes in one document, which are what costs memory: some 200 bytes each."""

MOST_ATTRIBUTES: Final = 250
"""Of one element: lxml's access to them costs the square of their number."""

_MOST_NAMES: Final = 20_000
_LONGEST_NAME: Final = 200

_PROLOG: Final = re.compile(
    r"\s*(?:<\?xml\s.*?\?>)?(?:\s|<!--.*?-->|<\?.*?\?>)*(?P<doctype><!DOCTYPE)?", re.DOTALL
)
_DECLARED: Final = re.compile(r"<\?xml\s[^>]*?\sencoding\s*=\s*[\"']([^\"'>]*)[\"']")
_TAGS: Final = re.compile(rb"<([^\s>/?!]+)")
_URIS: Final = re.compile(rb"xmlns[^\s=]*\s*=\s*(\"[^\"]*\"|'[^']*')")
_TOO_MUCH: Final = re.compile(r"huge|limit|[Mm]emory|too (?:long|large|big)|buffer size", re.ASCII)

_ENCODINGS: Final = {
    "": "utf-8",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "windows-1252",
    "cp1252": "windows-1252",
    "utf-16": "utf-16",
}
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_UNREAD: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00", "UTF-32"),
    (b"<\x00\x00", "UTF-32"),
    (b"\x00<", "UTF-16 without a byte order mark"),
    (b"<\x00", "UTF-16 without a byte order mark"),
    (b"\x4c\x6f", "EBCDIC"),
)

_PLAINER: Final = {
    "xmlParseEntityRef: no name": "a bare & stands in the text; write &amp; for it",
    "StartTag: invalid element name": "after < no element name follows; write &lt; for a < in the text",
}

_vocabulary: set[bytes] = set()


def parse(
    data: bytes,
    *,
    most_bytes: int = MOST_BYTES,
    most_depth: int = MOST_DEPTH,
    most_nodes: int = MOST_NODES,
) -> etree._Element:
    """The root element of a document; ``Refused`` says why there is none. Any thread may call."""
    if len(data) > most_bytes:
        raise _refused("too-large", f"the document has {len(data)} bytes; at most {most_bytes} are read")
    if not data.strip(b" \t\r\n"):
        raise _refused("empty", "there is no document: nothing was sent but white space")
    _check_prolog(data, _encoding(data))
    if len(data) > most_nodes:  # a shorter one cannot have so many
        nodes = data.count(b"<") - data.count(b"</") + data.count(b"=")
        if nodes > most_nodes:
            raise _refused(
                "too-large",
                f"the document has some {nodes} tags and attributes; at most {most_nodes} are read",
            )
    root = _parse(data) if _known(data) else _parse_apart(data)
    if root.getroottree().docinfo.internalDTD is not None:
        raise _refused("doctype", "a document type declaration (DOCTYPE) is not accepted")
    if data.count(b"=") > MOST_ATTRIBUTES and _CROWDED(root):
        raise _refused("too-large", f"an element has more than {MOST_ATTRIBUTES} attributes")
    if _deeper(most_depth)(root):
        raise _refused(
            "too-deep",
            f"elements are nested more than {most_depth} deep, from line {_line(root, most_depth)} on",
        )
    return root


def _encoding(data: bytes) -> str:
    """The document's encoding, as Python names it, from its mark and its declaration; refused where they differ."""
    for start, name in _UNREAD:
        if data.startswith(start):
            raise _refused(
                "encoding", f"the document begins like {name}; send UTF-8, or UTF-16 with a byte order mark"
            )
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    text = data[:400].decode("utf-16" if marked == "utf-16" else "latin-1", "replace")
    found = _DECLARED.search(text)
    declared = found[1] if found else ""
    known = _ENCODINGS.get(declared.lower())
    if known is None:
        raise _refused("encoding", f"line 1: the encoding {declared[:40]!r} is not read; send UTF-8")
    if marked is not None and known != marked and declared:
        raise _refused(
            "encoding",
            f"line 1: the document declares {declared} and begins with the byte order mark of {marked.upper()}",
        )
    if known == "utf-16" and marked is None:
        raise _refused(
            "encoding", "line 1: the document declares UTF-16 and is not written in it; send UTF-8"
        )
    return marked or known


def _check_prolog(data: bytes, encoding: str) -> None:
    """Refuse a DOCTYPE where XML allows one: before the root element, after comments and instructions."""
    wide = encoding == "utf-16"
    if not wide and b"<!DOCTYPE" not in data:
        return
    text = data.decode("utf-16", "replace") if wide else data.decode("latin-1")
    found = _PROLOG.match(text.lstrip("\ufeff\xef\xbb\xbf"))
    if found and found["doctype"]:
        line = found.string.count("\n", 0, found.start("doctype")) + 1
        column = found.start("doctype") - found.string.rfind("\n", 0, found.start("doctype"))
        raise _refused(
            "doctype",
            f"line {line}, column {column}: a document type declaration (DOCTYPE) is not accepted, nor are the entities "
            "that it could bring; leave it out",
        )


def _known(data: bytes) -> bool:
    """Whether the parser's memory of names stays bounded if this thread parses the document."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or data.count(b"=") > _MOST_NAMES:
        return False
    names = set(_TAGS.findall(data))
    names.update(_URIS.findall(data))
    names.update(chunk.rsplit(None, 1)[-1] for chunk in data.split(b"=")[:-1] if chunk.strip())
    new = names - _vocabulary
    if not new:
        return True
    if len(new) + len(_vocabulary) > _MOST_NAMES or max(map(len, new)) > _LONGEST_NAME:
        return False
    _vocabulary.update(new)
    return True


def _parse(data: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise _unreadable(error) from None


def _parse_apart(data: bytes) -> etree._Element:
    """The same in a thread that ends with it, and takes the parser's memory of names along."""
    found: list[etree._Element | Refused] = []

    def run() -> None:
        try:
            found.append(_parse(data))
        except Refused as error:
            found.append(error)

    thread = threading.Thread(target=run, name="xml")
    thread.start()
    thread.join()
    if not found:
        raise RuntimeError("the parser's thread ended without an answer")
    if isinstance(found[0], Refused):
        raise found[0]
    return found[0]


def _unreadable(error: etree.XMLSyntaxError) -> Refused:
    line, column = error.position
    why = re.sub(
        r",? line \d+, column \d+.*$", "", error.msg or "the document ends too early", flags=re.DOTALL
    )
    why = _PLAINER.get(why, why.removeprefix("Resource limit exceeded: ").split(", try ")[0])
    if "depth" in why:
        rule, why = "too-deep", "elements are nested too deep"
    elif _TOO_MUCH.search(why):
        rule = "too-large"
    elif "ncoding" in why or "proper UTF" in why or "Input is not" in why:
        rule = "encoding"
    else:
        rule = "not-well-formed"
    return _refused(rule, f"line {line}, column {column}: {why.strip()}")


_CROWDED: Final = etree.XPath(f"boolean(//*[@*[{MOST_ATTRIBUTES + 1}]])")
_depths: dict[int, etree.XPath] = {}


def _deeper(depth: int) -> etree.XPath:
    if depth not in _depths:
        _depths[depth] = etree.XPath(f"boolean({'/*' * (depth + 1)})")
    return _depths[depth]


def _line(root: etree._Element, depth: int) -> int:
    return next(
        (e.sourceline or 0 for e in root.iter() if sum(1 for _ in e.iterancestors()) == depth),
        0,
    )


def _refused(rule: str, detail: str) -> Refused:
    return Refused(f"the XML cannot be read: {detail}", [Fault("", rule, detail)])
