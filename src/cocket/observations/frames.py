"""Frames of devices to rows: a decoder is run, what it says is checked against the schema, nothing it does escapes.

``read_frame`` never raises on any bytes. A value outside its column's limits is left out and named by the fault: a
cut rope is told even when the altitude beside it is nonsense.
"""

from __future__ import annotations

import copy
import logging
import re
import struct
from typing import Any, Final

from cocket.core.clock import rfc3339
from cocket.core.errors import Fault
from cocket.core.framing import frames_of
from cocket.core.protocol import Protocol, Reading, Row, Session, Undecodable
from cocket.core.schema import BY_NAME, Kind
from cocket.observations.rules import DEVICE_ID, limits, text_fault

log = logging.getLogger(__name__)

_LIMITS: Final = {
    n: (c, *limits(c)) for n, c in BY_NAME.items() if c.kind in {Kind.FLOAT, Kind.INT, Kind.TIME} and c.door
}
_TEXTS: Final = {n: c for n, c in BY_NAME.items() if c.kind is Kind.TEXT and c.door}
_ENUMS: Final = {n: frozenset(c.values) for n, c in BY_NAME.items() if c.kind is Kind.ENUM and c.door}
_BOOLS: Final = frozenset(n for n, c in BY_NAME.items() if c.kind is Kind.BOOL and c.door)
_WHOLE: Final = frozenset(n for n, c in BY_NAME.items() if c.kind in {Kind.INT, Kind.TIME})
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._:~+@-]")


DECODER_FAULT: Final = "decoder-fault"


def read_frame(protocol: Protocol, frame: bytes, session: Session) -> Reading:
    """What one frame says. ``session`` goes on to the next frame of the same connection."""
    reading = Reading()
    try:
        protocol.decode(frame, session, reading)
    except Undecodable as error:
        reading.fault = Fault("", error.rule, error.detail)
    except (struct.error, IndexError) as error:
        reading.fault = Fault("", "truncated", f"the frame ends too early: {error}")
    except (
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:  # a number that is none, text that is no text
        reading.fault = Fault("", "malformed", f"not as the protocol has it: {error}"[:300])
    except Exception as error:  # a fault of ours: the frame goes to quarantine, the connection lives on
        log.exception("the decoder %s failed on %s", protocol.name, frame[:500].hex())
        reading.fault = Fault(
            "",
            DECODER_FAULT,
            f"a fault of the decoder, not of the device: {type(error).__name__}: {error}"[:300],
        )
    if session.device_id is not None:
        session.device_id = identity(session.device_id)
    for row in reading.rows:
        fault = _fit(row, session)
        if fault is not None and reading.fault is None:
            reading.fault = fault
    return reading


def identity(text: str) -> str | None:
    """A device's own name as a ``device_id``: what cannot stand in an address becomes ``-``; None if nothing is left."""
    if not DEVICE_ID.fullmatch(text):
        text = _UNFIT.sub("-", text.strip()).lstrip("._:~+@-")
    return text[:64] or None


def _fit(row: Row, session: Session) -> Fault | None:
    """Leave out of a row what is null or outside its column's limits; give the first such fault."""
    fault: Fault | None = None
    own = row.get("device_id")
    row["device_id"] = session.device_id if own is None else identity(own)
    for name, value in list(row.items()):
        if value is None:
            del row[name]
            continue
        wrong = _wrong(name, value)
        if wrong is not None:
            del row[name]
            fault = fault or wrong
        elif name in _WHOLE:
            row[name] = int(value)
    if ("lat_deg" in row) != ("lon_deg" in row):
        row.pop("lat_deg", None)
        row.pop("lon_deg", None)
    return fault


def _wrong(name: str, value: Any) -> Fault | None:
    if name in _LIMITS:
        column, lo, hi = _LIMITS[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"a decoder gave {name} = {value!r}")
        if not lo <= value <= hi:
            unit = f" {column.unit}" if column.unit else ""
            return Fault(name, "range", f"{value:g}{unit} is outside {lo:g} to {hi:g}{unit}; left out")
        return None
    if name in _BOOLS:
        if not isinstance(value, bool):
            raise TypeError(f"a decoder gave {name} = {value!r}")
        return None
    if name in _TEXTS:
        return text_fault(_TEXTS[name], value)
    if name in _ENUMS:
        if value not in _ENUMS[name]:
            raise TypeError(f"a decoder gave {name} = {value!r}")
        return None
    raise TypeError(f"a decoder gave {name!r}, which is no column that a device can set")


def read_line(protocol: Protocol, data: bytes, session: Session) -> Reading:
    """One line of a file: usually one frame, with or without the marks between frames; else several, glued together."""
    frames = frames_of(protocol, data)
    if frames is not None and len(frames) > 1:
        frames = list(dict.fromkeys(frames))  # the same frame twice in one line says nothing more
        trial = copy.deepcopy(session)
        parts = [read_frame(protocol, f, trial) for f in frames]
        if all(p.fault is None for p in parts):
            session.device_id, session.secret, session.memory = trial.device_id, trial.secret, trial.memory
            return Reading(
                [r for p in parts for r in p.rows],
                [b for p in parts for b in p.replies],
                [r for p in parts for r in p.results],
            )
    return read_frame(protocol, data, session)


def shown(row: Row) -> dict[str, Any]:
    """A row as people and files see it: in the schema's order, the time in RFC 3339 (None where the frame has none)."""
    out: dict[str, Any] = {"device_id": row.get("device_id")}
    out["observed_at"] = rfc3339(row["observed_us"]) if "observed_us" in row else None
    for name in BY_NAME:
        if name in row and name not in {"device_id", "observed_us"}:
            out[name] = row[name]
    return out


def line_answer(number: int, reading: Reading) -> dict[str, Any]:
    """What ``cocket decode`` prints of a line."""
    fault = reading.fault
    return {
        "frame": number,
        "observations": [shown(row) for row in reading.rows],
        "reject": None if fault is None else {"rule": fault.rule, "detail": _with_path(fault)},
        "replies": [reply.hex() for reply in reading.replies],
    }


def _with_path(fault: Fault) -> str:
    return f"{fault.path}: {fault.detail}" if fault.path else fault.detail


def bytes_of_line(line: bytes, *, text: bool) -> bytes | Fault:
    """The frame that a line of a file stands for: the line itself, or its hexadecimal digits (blanks and 0x allowed)."""
    line = line.rstrip(b"\r\n")
    if text:
        return line if line.strip() else Fault("", "empty", "the line is empty")
    packed = re.sub(rb"\s|^0[xX]", b"", line)
    if not packed:
        return Fault("", "empty", "the line is empty")
    try:
        return bytes.fromhex(packed.decode("ascii"))
    except ValueError:
        hint = "; lines of text want --text" if not re.fullmatch(rb"[0-9A-Fa-f]*", packed) else ""
        return Fault("", "not-hex", f"the line is no sequence of hexadecimal byte pairs{hint}")
