"""Bar codes: a scan as a line of text or as JSON, and pictures of codes (PNG, JPEG, BMP, WebP), which are read here.

Documents: ISO/IEC 15424 (symbology identifiers: ``]C1`` before the data), GS1 General Specifications and GS1 Digital Link (what
the content is), and zxing-cpp for pictures. JSON is ours: ``{"device_id", "code", "symbology", "observed_at",
"reader_id"}``, one object or an array.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from cocket.core.framing import lines
from cocket.core.gs1 import GS, Gs1Error, parse, parse_link
from cocket.core.jsontext import get, load, moment, named, text
from cocket.core.protocol import Cut, Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.sandbox import Limits, Said, Sandbox, SandboxFailed
from cocket.core.wire import utc_parts

Path: TypeAlias = "tuple[str | int, ...]"

MOST_CHARACTERS: Final = 512
MOST_BYTES: Final = 8 << 20
MOST_PIXELS: Final = 12_000_000
"""A picture with more is not read. A JPEG above 4 million is first made smaller, to a half, a quarter or an eighth."""

_DRAFT_ABOVE: Final = 4_000_000
_DRAFT: Final = (2000, 1500)
_MOST_ROWS: Final = 1000

_PICTURE: Final = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|BM....\0\0\0\0|RIFF....WEBP", re.DOTALL)
_FORMATS: Final = ("PNG", "JPEG", "BMP", "WEBP")

AIM: Final = {
    "A": "code39", "C": "code128", "E": "ean", "F": "codabar", "G": "code93", "I": "itf", "J": "dotcode",
    "L": "pdf417", "M": "msi", "Q": "qr", "S": "code25", "U": "maxicode", "d": "datamatrix", "e": "gs1-databar",
    "h": "hanxin", "z": "aztec",
}  # fmt: skip
"""Symbologies by the letter of their identifier (ISO/IEC 15424, table 2)."""

AIM_GS1: Final = {
    "C1": "gs1-128", "J1": "gs1-dotcode", "Q3": "gs1-qr", "Q4": "gs1-qr", "d2": "gs1-datamatrix",
    "d5": "gs1-datamatrix", "z1": "gs1-aztec",
}  # fmt: skip
"""Letter and modifier of a symbol that begins with FNC1: its content is a GS1 element string."""

_EAN: Final = {8: "ean8", 12: "upc-a", 13: "ean13"}
_IDENTIFIER: Final = re.compile(r"\]([A-Za-z])([0-9A-Za-z])")
_NO_TEXT: Final = re.compile(r"[\x00-\x03\x05-\x08\x0a-\x1b\x7f]")
"""Control characters that no code holds: those that do are tabulator, EOT, FS, GS, RS and US (ISO/IEC 15434)."""

_NAMES: Final = {
    "qrcode": "qr", "qrcodemodel2": "qr", "code-128": "code128", "code-39": "code39", "code-93": "code93",
    "ean-13": "ean13", "ean-8": "ean8", "upca": "upc-a", "upce": "upc-e", "data-matrix": "datamatrix",
    "qr-code": "qr", "pdf-417": "pdf417", "ean-128": "gs1-128", "gs1-128": "gs1-128", "interleaved-2-of-5": "itf",
}  # fmt: skip
"""What others call symbologies, to our names."""


def _split(buffer: bytes, at: int) -> Cut:
    """A picture is one frame with all that follows it; else one line is."""
    if _PICTURE.match(buffer, at):
        return at, len(buffer)
    return lines(buffer, at)


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One scan, some scans in JSON, or one picture."""
    if _PICTURE.match(frame):
        _picture(frame, session, reading)
    elif frame.lstrip()[:1] in {b"{", b"["}:
        _documents(load(frame), session, reading)
    else:
        _line(frame, session, reading)


def _line(frame: bytes, session: Session, reading: Reading) -> None:
    """What a keyboard wedge types: the code, perhaps with its symbology identifier before it."""
    try:
        code = frame.rstrip(b"\r\n").decode("utf-8")
    except UnicodeDecodeError as error:
        raise Undecodable(
            "malformed", f"byte {error.start} of the line is neither text nor a known picture"
        ) from None
    symbology, code = _identified(code)
    reading.rows.append({"device_id": session.device_id, **_scan(code, symbology)})


def _documents(doc: Any, session: Session, reading: Reading) -> None:
    """One scan or an array of them; one that cannot be read does not cost the others."""
    scans: list[Path] = [(i,) for i in range(len(doc))] if isinstance(doc, list) else [()]
    if len(scans) > _MOST_ROWS:
        raise Undecodable("length", f"{len(scans)} scans at once; at most {_MOST_ROWS} are read")
    fault: Undecodable | None = None
    for at in scans:
        try:
            reading.rows.append(_document(doc, at, session))
        except Undecodable as error:
            fault = fault or error
    if fault is not None:
        raise fault


def _document(doc: Any, at: Path, session: Session) -> Row:
    if not isinstance(get(doc, *at), dict):
        raise Undecodable("malformed", f"{named(at)}: a scan is an object")
    session.device_id = text(doc, *at, "device_id") or session.device_id
    code = get(doc, *at, "code")
    if not isinstance(code, str):
        code = text(doc, *at, "code")
    if code is None:
        raise Undecodable("missing", f"{named((*at, 'code'))}: the scan has no code")
    said = text(doc, *at, "symbology")
    symbology, code = _identified(code)
    if said is not None:
        symbology = re.sub(r"[ _]", "-", said.lower())[:32]
        symbology = _NAMES.get(symbology, symbology)
    row = {"device_id": session.device_id, **_scan(code, symbology)}
    row["observed_us"] = moment(doc, *at, "observed_at") or moment(doc, *at, "observed_us")
    row["reader_id"] = text(doc, *at, "reader_id")
    return row


def _identified(code: str) -> tuple[str | None, str]:
    """The symbology that an identifier before the code names, and the code without it."""
    found = _IDENTIFIER.match(code)
    if found is None or found[1] not in AIM:
        return None, code
    return _symbology(found[1], found[2], code[3:]), code[3:]


def _symbology(letter: str, modifier: str, code: str) -> str:
    if letter == "E":
        return _EAN.get(len(code), "ean")
    return AIM_GS1.get(letter + modifier, AIM[letter])


def _scan(code: str, symbology: str | None) -> Row:
    """Code and symbology; what they are is told by the content where the reader has not said: a Digital Link, GS1 elements."""
    if not code.strip():
        raise Undecodable("empty", "the code is empty")
    if len(code) > MOST_CHARACTERS:
        raise Undecodable("length", f"a code of {len(code)} characters; at most {MOST_CHARACTERS} are kept")
    odd = _NO_TEXT.search(code)
    if odd is not None:
        raise Undecodable("malformed", f"the code holds the control character {ord(odd[0]):02X}")
    try:
        if symbology in {None, "qr", "datamatrix"} and code[:4].lower() == "http":
            parse_link(code)
            symbology = "gs1-digital-link"
        elif symbology is None and (GS in code or code.startswith("(")):
            parse(code)
            symbology = "gs1"
    except Gs1Error:
        pass
    return {"code": code, "symbology": symbology}


_SANDBOX: Final = Sandbox("cocket.decoders.barcode:codes_in", Limits(cpu_s=20, wall_s=60, memory=1 << 30))


def _picture(frame: bytes, session: Session, reading: Reading) -> None:
    """Every code in a picture, from top to bottom. It is unpacked and searched in a process with limits."""
    if len(frame) > MOST_BYTES:
        raise Undecodable("length", f"a picture of {len(frame)} bytes; at most {MOST_BYTES} are read")
    try:
        found = _SANDBOX.run(frame)
    except Said as said:
        raise Undecodable(said.rule, said.detail) from None
    except SandboxFailed as error:
        raise Undecodable("malformed", f"the picture cannot be read: {error}") from None
    if not found:
        raise Undecodable("no-code", "no code was found in the picture")
    fault: Undecodable | None = None
    for words, identifier, kind in found:
        known = _IDENTIFIER.match(identifier)
        name = None
        if known is not None and known[1] in AIM:
            name = _symbology(known[1], known[2], words)
        try:
            row = _scan(words, name or kind)
        except Undecodable as error:
            fault = fault or error
        else:
            reading.rows.append({"device_id": session.device_id, **row})
    if fault is not None:
        raise fault


def codes_in(frame: bytes) -> list[tuple[str, str, str]]:
    """(text, symbology identifier, format) of every code, from top to bottom; in the sandbox."""
    import zxingcpp

    try:
        pixels = _pixels(frame)
    except Undecodable as error:
        raise Said(error.rule, error.detail) from None
    found = zxingcpp.read_barcodes(pixels, text_mode=zxingcpp.TextMode.Plain)
    found = sorted(found, key=lambda c: (c.position.top_left.y, c.position.top_left.x))
    return [(c.text, c.symbology_identifier, str(c.format).lower()) for c in found]


def _pixels(frame: bytes) -> Any:
    """The picture in grey; its size is looked at before anything is unpacked."""
    image = _unbroken(lambda: _opened(frame))
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise Undecodable("image-too-large", f"{width} × {height} pixels; at most {MOST_PIXELS} are read")
    return _unbroken(lambda: image.convert("L"))


def _opened(frame: bytes) -> Any:
    from PIL import Image

    image = Image.open(io.BytesIO(frame), formats=_FORMATS)
    if image.format == "JPEG" and image.width * image.height > _DRAFT_ABOVE:
        image.draft("L", _DRAFT)
    return image


def _unbroken(read: Callable[[], Any]) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        return read()
    except Image.DecompressionBombError as error:
        raise Undecodable("image-too-large", str(error)) from None
    except UnidentifiedImageError:
        raise Undecodable("malformed", "the picture is broken: its head cannot be read") from None
    except Exception as error:  # noqa: BLE001 - Pillow's readers raise whatever a broken picture makes them raise
        raise Undecodable("malformed", f"the picture is broken: {error}"[:300]) from None


def _report(row: Row, sequence: int) -> bytes:
    doc = {
        "device_id": row["device_id"],
        "code": row.get("code", f"(00)0952012{sequence:010d}"),
        "observed_at": utc_parts(row["observed_us"]).isoformat(),
    }
    for name in ("symbology", "reader_id"):
        if row.get(name) is not None:
            doc[name] = row[name]
    return json.dumps(doc).encode()


PROTOCOL: Final = Protocol(
    name="barcode",
    title="Bar code scanners and pictures of codes",
    document="ISO/IEC 15424; GS1 General Specifications; GS1 Digital Link; zxing-cpp",
    family="reader",
    decode=decode,
    split=_split,
    text=True,
    doors=("http", "mqtt"),
    max_frame=MOST_BYTES,
    simulation=Simulation(
        report=_report,
        carries=frozenset({"observed_us", "code", "symbology", "reader_id"}),
        device_id=lambda n: f"scanner-{n}",
    ),
)
