"""Bodies of observations to ``Decoded``: NDJSON, a JSON array, or an Arrow IPC stream.

Every row in is a row of the batch or a reject with its raw bytes. ``Malformed`` is raised only when nothing can
be read at all, ``TooLarge`` when a body holds more rows than the door takes; then nothing was kept.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from cocket.core.batch import Array, concat
from cocket.core.doors import Decoded, Reject
from cocket.core.errors import Fault, Malformed, TooLarge
from cocket.observations.arrow import read_arrow as _read_arrow
from cocket.observations.columns import parse
from cocket.observations.rules import batch_of, read_row, reject

_SPACE: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])

MAX_ROWS: Final = 200_000
"""Rows that one body may hold unless the caller says otherwise."""


def read_ndjson(body: bytes, *, max_rows: int = MAX_ROWS, source: str = "http") -> Decoded:
    """Newline-delimited JSON (one object a line; LF or CRLF; blank lines and a leading BOM are skipped).

    Row numbers count from 0 and leave blank lines out. Raises ``Malformed`` when no line at all is JSON.
    """
    body = body.removeprefix(_BOM)
    if not body.strip(_SPACE):
        raise Malformed("the body holds no row; send one JSON object per line")
    buf = np.frombuffer(body, np.uint8)
    is_break = buf == 10
    # blank lines are no rows, and cost memory all the same
    _bounded(int(np.count_nonzero(is_break)) // 2, max_rows)
    breaks = np.flatnonzero(is_break)
    starts = np.concatenate([np.zeros(1, np.int64), breaks + 1])
    ends = np.concatenate([breaks, np.array([len(buf)], np.int64)])
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    _bounded(len(starts), max_rows)
    decoded = _read(body, buf, starts, ends, source)
    unread = sum(r.rule in {"invalid-json", "invalid-utf8"} for r in decoded.rejects)
    if unread and unread == decoded.batch.n + len(decoded.rejects):
        raise Malformed(
            "no line of the body is JSON; send one JSON object per line (application/x-ndjson)",
            [Fault(f"/{r.row}", r.rule, r.detail) for r in decoded.rejects[:10]],
        )
    return decoded


def read_json(body: bytes, *, max_rows: int = MAX_ROWS, source: str = "http") -> Decoded:
    """A JSON array of objects. Raises ``Malformed`` when the body is no JSON array."""
    try:
        raws = _RAWS.decode(body.removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is no JSON array of observations: {error}") from error
    _bounded(len(raws), max_rows)
    joined = b"".join(raws)
    ends = np.cumsum(np.fromiter(map(len, raws), np.int64, len(raws)))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if len(raws) else ends
    return _read(joined, np.frombuffer(joined, np.uint8), starts, ends, source)


def read_arrow(body: bytes, *, max_rows: int = MAX_ROWS, source: str = "http") -> Decoded:
    """An Arrow IPC stream; see ``observations.arrow``."""
    return _read_arrow(body, max_rows=max_rows, source=source)


def _bounded(rows: int, max_rows: int) -> None:
    if rows > max_rows:
        raise TooLarge(f"the body holds {rows} rows, this door takes {max_rows} at once; send it in parts")


def _read(body: bytes, buf: Array, starts: Array, ends: Array, source: str) -> Decoded:
    batch, right = parse(buf, starts, ends)
    if right.all():
        return Decoded(batch, np.arange(batch.n), [], source)
    rejects: list[Reject] = []
    mended, mended_rows, blank = [], [], []
    for r in np.flatnonzero(~right).tolist():
        raw = body[starts[r] : ends[r]]
        if not raw.strip(_SPACE):
            blank.append(r)
            continue
        row = read_row(raw)
        if isinstance(row, Fault):
            rejects.append(reject(r, row, raw.removesuffix(b"\r")))
        else:
            mended.append(row)
            mended_rows.append(r)
    rows = np.flatnonzero(right)
    batch = batch.take(right)
    if mended:
        rows = np.concatenate([rows, np.array(mended_rows, np.int64)])
        order = np.argsort(rows)
        batch, rows = concat([batch, batch_of(mended)]).take(order), rows[order]
    if blank:
        gone = np.array(blank)
        rows = rows - np.searchsorted(gone, rows)
        rejects = [
            Reject(r.row - int(np.searchsorted(gone, r.row)), r.field, r.rule, r.detail, r.raw)
            for r in rejects
        ]
    return Decoded(batch, rows, rejects, source)
