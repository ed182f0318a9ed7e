"""Files made to harm: each is refused in words, and the server goes on."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def png(width: int, height: int, packed: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def workbook(sheet: bytes) -> bytes:
    from openpyxl import Workbook

    plain = io.BytesIO()
    Workbook().save(plain)
    out = io.BytesIO()
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, sheet if name.endswith("sheet1.xml") else old.read(name))
    return out.getvalue()


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
    + b"]><l>&j;</l>"
)
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>'
NS = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
ZIP_BOMB = workbook(NS + b"<row/>" * (24 << 20))
DTD_BOOK = workbook(LAUGHS)
BROKEN_BOOK = workbook(NS + b'<row r="1"><c r="A1"><v>1</v></c></row>')


def test_documents_made_to_harm_are_refused_in_words(door) -> None:
    for name, body in (
        ("laughs.xml", LAUGHS),
        ("outside.xml", OUTSIDE),
        ("bomb.xlsx", ZIP_BOMB),
        ("dtd.xlsx", DTD_BOOK),
        ("cut.xlsx", BROKEN_BOOK[: len(BROKEN_BOOK) // 2]),
        ("broken.xlsx", BROKEN_BOOK),
    ):
        answer = door.http.post("/documents", params={"name": name}, content=body)
        problem = door.is_problem(answer, answer.status_code)
        assert answer.status_code in {413, 422}, (name, answer.text)
        assert len(problem["detail"]) > 20, name
        assert "root:" not in answer.text, name
        assert door.http.get("/health").json()["status"] == "ok", name


def test_pictures_made_to_harm_are_refused_in_words(door) -> None:
    gigabyte = zlib.compress(b"\0" * (64 << 20), 9)
    for name, body, rule in (
        ("huge dimensions", png(100_000, 100_000, zlib.compress(b"\0" * 1000)), "image-too-large"),
        ("decompression bomb", png(8000, 8000, gigabyte), None),
        ("broken", png(100, 100, b"nothing"), "malformed"),
        ("no picture", b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, "malformed"),
    ):
        answer = door.http.post("/frames/barcode", content=body, headers={"content-type": "image/png"}, params={"device_id": "SCAN-1"})  # fmt: skip
        assert answer.status_code < 500, (name, answer.text)
        kept = door.http.get("/quarantine", params={"limit": 1}).json()["items"][0]
        assert rule is None or kept["rule"] == rule, (name, kept["rule"], kept["detail"])
        assert len(kept["detail"]) > 5
        assert door.http.get("/health").json()["status"] == "ok", name


def test_a_body_that_grows_when_unpacked_is_refused(door) -> None:
    import gzip

    bomb = gzip.compress(b"\n" * (64 << 20), 9)
    sent = door.http.post(
        "/observations",
        content=bomb,
        headers={"content-type": "application/x-ndjson", "content-encoding": "gzip"},
    )
    assert "decompression" in door.is_problem(sent, 413)["detail"]
