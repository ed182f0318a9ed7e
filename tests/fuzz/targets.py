"""What strangers' bytes come to: one target for each parser, with good inputs to begin from.

A target takes any bytes. It may refuse them in the way that its callers know; it raises where it broke a promise: another exception than
that, or an answer that a second way contradicts. ``make test`` runs each a little, ``make fuzz`` as long as is wanted, led by coverage.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import msgspec
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.customs.formats.worked import documents
from tests.customs.formats.xsds import FOLDER
from tests.decoders.test_laws import streams
from tests.decoders.vectors import vectors

from cocket.core import epc, gs1
from cocket.core.clock import US, parse_rfc3339, rfc3339
from cocket.core.errors import BadSetting, DataDamaged, Fault, Malformed, Refused, TooLarge
from cocket.core.framing import Stream
from cocket.core.geometry import corridor_geometry, zone_geometry
from cocket.core.protocol import Protocol, Session
from cocket.customs.codes import shortcode, signing
from cocket.customs.codes.claims import Code, Stamp
from cocket.customs.formats import recognise
from cocket.decoders import names, protocol
from cocket.engine.site import wire
from cocket.observations.frames import DECODER_FAULT, read_frame
from cocket.observations.readers import read_arrow, read_json, read_ndjson
from cocket.observations.rules import batch_of, read_row
from cocket.sources import mapping

OTHER_PROCESS = frozenset({"barcode"})
"""Decoders whose work is done in a process of their own, where no coverage is seen; ``tests/decoders`` fuzzes them."""


@dataclass(frozen=True, slots=True)
class Target:
    """``run`` takes any bytes; ``seeds`` are good ones."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def _decoder(p: Protocol, data: bytes) -> None:
    """A frame alone, then the same bytes as a stream in two pieces, with the session that they make."""
    session = Session()
    reading = read_frame(p, data, session)
    assert reading.fault is None or reading.fault.rule != DECODER_FAULT, reading.fault
    for row in reading.rows:
        assert ("lat_deg" in row) == ("lon_deg" in row)
    batch_of(reading.rows)
    stream = Stream(p)
    for piece in (*stream.feed(data[: len(data) // 2]), *stream.feed(data[len(data) // 2 :]), *stream.end()):
        fault = read_frame(p, piece.data, session).fault
        assert fault is None or fault.rule != DECODER_FAULT, fault


def _frames(p: Protocol) -> list[bytes]:
    return streams(p) + [v.frame for v in vectors(p.name)]


def _ndjson(data: bytes) -> None:
    """The compiled parser against the library's: line by line the same rows, the same refusals."""
    try:
        decoded = read_ndjson(data)
    except Malformed:
        return
    lines = [line for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip(b" \t\r\n")]
    rejected = {r.row: r for r in decoded.rejects}
    found = dict(zip(decoded.rows.tolist(), range(decoded.batch.n), strict=True))
    assert sorted([*rejected, *found]) == list(range(len(lines)))
    for i, line in enumerate(lines):
        row = read_row(line)
        if isinstance(row, Fault):
            assert (rejected[i].field, rejected[i].rule) == (row.path, row.rule), line
        else:
            assert decoded.batch.row(found[i]) == row, line


def _json(data: bytes) -> None:
    with contextlib.suppress(Malformed, TooLarge):
        read_json(data)


def _arrow(data: bytes) -> None:
    with contextlib.suppress(Malformed, TooLarge, Refused):
        decoded = read_arrow(data)
        for i in range(decoded.batch.n):
            decoded.batch.row(i)


_ROW = {
    "device_id": "SEAL-1",
    "observed_at": "2026-11-25T12:00:00.25+03:00",
    "lat_deg": -1.3,
    "lon_deg": 36.825,
    "fix_valid": True,
    "speed_mps": 1.1e1,
    "rope_cut": None,
    "battery_pct": 55,
    "sequence": 7,
    "plate": "KBX 123\u00e9",
}


def _lines() -> list[bytes]:
    row = msgspec.json.encode(_ROW)
    return [row, row + b"\r\n\r\n" + json.dumps(_ROW).encode() + b"\n", b'{"device_id":"A"}\n[]\n' + row]


def _tables() -> list[bytes]:
    sink = pa.BufferOutputStream()
    table = pa.RecordBatch.from_pylist(
        [{"device_id": "A", "observed_at": 1_790_000_000_000_000, "lat_deg": 1.0, "lon_deg": 2.0}]
    )
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_batch(table)
    return [sink.getvalue().to_pybytes()]


def _document(data: bytes) -> None:
    """What is taken stands in the model, and every origin leads to something."""
    with contextlib.suppress(Refused):
        read = recognise.read(data)
        msgspec.json.encode(read.value)
        assert all(pointer.startswith("/") for pointer in read.origins), read.origins


def _papers() -> list[bytes]:
    found = [d for folder in ("asycuda", "edifact", "manifest") for d in documents(folder)]
    if FOLDER is not None:
        found += [p.read_bytes() for p in sorted(FOLDER.rglob("*.xml")) if p.stat().st_size < 100_000]
    return found


_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_KEYS = MappingProxyType(
    {
        (kid := signing.kid_of(signing.public_of(_KEY))): signing.PublicKey(kid, signing.public_of(_KEY)),
    }
)
_SIGNED = (
    signing.sign(
        Code("transit", "26KE0000000000001A", "MSKU1234565", "gate-1", 0, 4_000_000_000 * US, 77), _KEY
    ),
    signing.sign(Stamp(1234567, "spirits", None), _KEY),
)


def _code(data: bytes) -> None:
    """Nothing that was not signed is ever good, in whatever spelling."""
    text = data.decode("utf-8", "replace")
    if signing.verify(text, _KEYS, 1_790_000_000 * US).claims is not None:
        assert signing.cleaned(text) in _SIGNED
    number = shortcode.read(text)
    if number is not None:
        assert shortcode.read(shortcode.of(number)) == number


def _gs1(data: bytes) -> None:
    with contextlib.suppress(gs1.Gs1Error):
        elements = gs1.parse(data.decode("utf-8", "replace"))
        assert gs1.parse_elements(gs1.element_string(elements)) == elements


def _epc(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        read = epc.read(data)
        if read.tag_uri is not None:
            assert epc.read(epc.write(read.tag_uri)) == read


def _time(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        us = parse_rfc3339(data.decode("utf-8", "replace"))
        assert parse_rfc3339(rfc3339(us)) == us


def _geojson(data: bytes) -> None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    for read in (zone_geometry, corridor_geometry):
        with contextlib.suppress(Refused):
            read(value)


def _mapping(data: bytes) -> None:
    with contextlib.suppress(BadSetting):
        mapping.parse(data.decode("utf-8", "replace"), "a.toml")


def _wire(data: bytes) -> None:
    """Between processes of a site: the sender is ours, but a message may be cut or of another version."""
    known = (DataDamaged, msgspec.MsgspecError, UnicodeDecodeError, ValueError)
    with contextlib.suppress(*known):
        wire.answered(data)
    with contextlib.suppress(*known):
        wire.wrote(data)


def _targets() -> Iterator[tuple[str, Target]]:
    for name in names():
        if name not in OTHER_PROCESS:
            p = protocol(name)
            yield f"decoder-{name}", Target(partial(_decoder, p), partial(_frames, p))
    yield "observations-ndjson", Target(_ndjson, _lines)
    yield "observations-json", Target(_json, lambda: [b"[" + msgspec.json.encode(_ROW) + b"]"])
    yield "observations-arrow", Target(_arrow, _tables)
    yield "documents", Target(_document, _papers)
    yield "codes", Target(_code, lambda: [t.encode() for t in _SIGNED] + [shortcode.of(99).encode()])
    yield (
        "gs1",
        Target(
            _gs1,
            lambda: [
                b"(01)09506000134352(21)ABC",
                b"010950600013435221ABC\x1d10LOT",
                b"https://id.gs1.org/01/09506000134352/21/A",
            ],
        ),
    )
    yield "epc", Target(_epc, lambda: [bytes.fromhex("3074257BF7194E4000001A85")])
    yield "time", Target(_time, lambda: [b"2026-11-25T23:59:60.123456+05:30", b"2000-02-29t00:00:00Z"])
    yield (
        "geojson",
        Target(
            _geojson,
            lambda: [
                b'{"type":"Polygon","coordinates":[[[179,0],[-179,0],[-179,1],[179,1],[179,0]]]}',
                b'{"type":"Feature","geometry":{"type":"LineString","coordinates":[[0,0],[1,1,5]]}}',
            ],
        ),
    )
    yield "mapping", Target(_mapping, lambda: [p.read_bytes() for p in _mappings()])
    yield "site-wire", Target(_wire, lambda: [wire.said(wire.Taken(3, 1)), wire.said(wire.Wrote(1, 2, ""))])


def _mappings() -> list[Path]:
    return sorted(Path(mapping.__file__).with_name("mappings").glob("*.toml"))


TARGETS = dict(_targets())
