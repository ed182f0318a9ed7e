"""AIS: AIVDM and AIVDO sentences and those of other talkers, with tag blocks, messages of several sentences, and what ships
say of themselves joined to where they are.

Documents: IEC 61162-1 (sentences), NMEA 0183 v4.1 (tag blocks), ITU-R M.1371-5 (messages, decoded by pyais). The US Coast
Guard's trailing fields (``,s…,r<station>,<epoch seconds>``) are read as well.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import xor
from typing import Any, Final

from pyais import AISSentence, encode_dict
from pyais.exceptions import AISBaseException, UnknownMessageException

from cocket.core.framing import lines
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.schema import NAV_STATUSES
from cocket.core.units import KNOT
from cocket.core.wire import utc_us

SENTENCE: Final = re.compile(rb"([!$])([A-Z0-9]{2,})([^*\r\n]*)(?:\*([0-9A-Fa-f]{2}))?([^\r\n]*)")
TAG: Final = re.compile(rb"\\([^\\\r\n]*)\\")
AFTER: Final = re.compile(rb",(?:.*,)?([0-9]{9,10})\s*$")
STATION: Final = re.compile(rb",r([A-Za-z0-9_-]+)")

_POSITIONS: Final = frozenset({1, 2, 3, 4, 9, 11, 18, 19, 21, 27, 28})
_STATICS: Final = frozenset({5, 19, 21, 24})
_NO_LATITUDE: Final = 91
_NO_LONGITUDE: Final = 181
_NO_COURSE: Final = 360
_NO_HEADING: Final = 511
_NO_SPEED: Final = 102.3
_NO_SPEED_27: Final = 63
_FASTEST_AIRCRAFT: Final = 1022
_NO_NAV_STATUS: Final = 15
_SURVEYED: Final = 7
"""Type of the positioning device (M.1371, EPFD): none, the place was surveyed and entered."""
_BY_HAND: Final = 61
"""The second of a position that was entered by hand."""
_SHIPS: Final = 50_000
_PARTS: Final = 64
_PART_LASTS: Final = 64
"""Sentences after which the parts of a message that was never completed are forgotten."""
_PART_AHEAD: Final = 8
"""Sentences for which a later part waits for the first one, where they come the other way round."""


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One line: a sentence, with a tag block before it or not. A part of a message gives nothing; its last part gives all.

    Other sentences of a receiver ($GPRMC …) and lines of comment (#) are well-formed and give nothing.
    """
    line = frame.strip(b" \r\n\0")
    if line.startswith(b"#") or not line:
        return
    tags: dict[str, str] = {}
    while (tag := TAG.match(line)) is not None:
        tags |= _tags(tag[1])
        line = line[tag.end() :]
    if not line and tags:
        return
    found = SENTENCE.fullmatch(line)
    if found is None:
        raise Undecodable("no-frame", "a line is !xxVDM,…*hh, $…*hh, or a comment")
    start, name, body, checksum, after = found.groups()
    if checksum is not None and reduce(xor, name + body) != int(checksum, 16):
        raise Undecodable(
            "checksum", f"the sentence sums to {reduce(xor, name + body):02X}, it says {checksum.decode()}"
        )
    if start == b"$" or not name.endswith((b"VDM", b"VDO")):
        return
    if checksum is None:
        raise Undecodable("checksum", "the sentence has no checksum")
    part = _sentence(start + name + body + b"*" + checksum)
    message = part
    if part.frag_cnt > 1:
        whole = _whole(part, tags, after, session)
        if whole is None:
            return
        message, tags, after = whole
    row = _row(_said(message), session)
    if row is not None:
        row.setdefault("observed_us", _received(tags, after))
        row["reader_id"] = _station(tags, after)
        reading.rows.append(row)


def _tags(block: bytes) -> dict[str, str]:
    """A tag block's fields by their letters; its checksum must be right."""
    text, star, checksum = block.partition(b"*")
    if star and (not re.fullmatch(rb"[0-9A-Fa-f]{2}", checksum) or reduce(xor, text, 0) != int(checksum, 16)):
        raise Undecodable("checksum", "the tag block's checksum is wrong")
    return dict(x.split(":", 1) for x in text.decode("ascii", "replace").split(",") if ":" in x)


def _sentence(data: bytes) -> AISSentence:
    try:
        return AISSentence(data)
    except (AISBaseException, ValueError, IndexError, TypeError) as error:
        raise Undecodable("malformed", f"no sentence of AIS: {error}"[:200]) from None


@dataclass(slots=True)
class _Parts:
    """The parts of one message so far; ``since``: how many sentences in parts the session had seen when the first came."""

    since: int
    parts: dict[int, AISSentence]
    tags: dict[str, str]
    after: bytes


def _whole(
    part: AISSentence, tags: dict[str, str], after: bytes, session: Session
) -> tuple[AISSentence, dict[str, str], bytes] | None:
    """The message that this sentence completes, with what stands before and behind any of its parts; None while some are missing.

    Parts may come in any order, and mixed with those of other messages.
    """
    waiting: OrderedDict[Any, _Parts] = session.memory.setdefault("parts", OrderedDict())
    seen = session.memory["seen"] = session.memory.get("seen", 0) + 1
    group = tags.get("g", "").split("-")
    key = (part.frag_cnt, group[2]) if len(group) == 3 else (part.frag_cnt, part.seq_id, part.channel)
    held = waiting.get(key)
    lasts = _PART_AHEAD if part.frag_num == 1 else _PART_LASTS
    again = None if held is None else held.parts.get(part.frag_num)
    if held is None or seen - held.since > lasts or (again is not None and again.payload != part.payload):
        waiting.pop(key, None)
        held = waiting[key] = _Parts(seen, {}, {}, b"")
    held.parts[part.frag_num] = part
    held.tags = tags | held.tags
    held.after = held.after or after
    if len(held.parts) < part.frag_cnt:
        while len(waiting) > _PARTS:
            waiting.popitem(last=False)
        return None
    del waiting[key]
    try:
        message = AISSentence.assemble_from_iterable([held.parts[n] for n in sorted(held.parts)])
    except (AISBaseException, ValueError, IndexError, TypeError) as error:
        raise Undecodable("malformed", f"no message of AIS: {error}"[:200]) from None
    return message, held.tags, held.after


def _said(message: AISSentence) -> dict[str, Any]:
    try:
        decoded = message.decode()
        said: dict[str, Any] = decoded.asdict(enum_as_int=True)
    except UnknownMessageException:
        raise Undecodable("unknown-type", f"there is no AIS message {message.payload[:1]!r}") from None
    except (AISBaseException, ValueError, IndexError, TypeError, KeyError, AttributeError) as error:
        raise Undecodable("malformed", f"no message of AIS: {error}"[:200]) from None
    bits, plan = len(message.bv), decoded.decoder_plan()
    if bits < plan[-1][1] + plan[-1][2]:
        for name, offset, width, *_ in plan:
            if offset < bits < offset + width and not isinstance(said.get(name), str):
                said[name] = None  # the message ends within the number: what is there of it is another one
    return said


def _row(said: dict[str, Any], session: Session) -> Row | None:
    kind, mmsi = said.get("msg_type"), said.get("mmsi")
    if mmsi is None:
        raise Undecodable("truncated", "the message ends before the sender's number")
    if kind not in _POSITIONS and kind not in _STATICS:
        return None
    row: Row = {"device_id": f"mmsi-{int(mmsi)}"}
    static = _static(said) if kind in _STATICS else {}
    ships: OrderedDict[int, Row] = session.memory.setdefault("ships", OrderedDict())
    known = ships.get(mmsi, {})
    if static:
        known = ships[mmsi] = {**known, **static}
        if len(ships) > _SHIPS:
            ships.popitem(last=False)
    if mmsi in ships:
        ships.move_to_end(mmsi)
    if kind in _POSITIONS:
        row |= _position(said)
        row |= known
    else:
        row |= static
    return row


def _position(said: dict[str, Any]) -> Row:
    kind = said["msg_type"]
    lat, lon = said.get("lat"), said.get("lon")
    row: Row = {}
    if lat is not None and lon is not None and abs(lat) < _NO_LATITUDE and abs(lon) < _NO_LONGITUDE:
        # message 27 tells whether the position is a current one of GNSS: 0 if it is
        valid = kind != 27 or not said.get("gnss", False)
        manual = said.get("second") == _BY_HAND or said.get("epfd") == _SURVEYED
        source = "manual" if manual else "gnss"
        row |= {"lat_deg": float(lat), "lon_deg": float(lon), "fix_valid": valid, "fix_source": source}
    row["speed_mps"] = _speed(said)
    course, heading = said.get("course"), said.get("heading")
    if course is not None and 0 <= course < _NO_COURSE:
        row["course_deg"] = float(course)
    if heading is not None and 0 <= heading < 360:
        row["heading_deg"] = float(heading)
    status = said.get("status")
    if status is not None and 0 <= int(status) < _NO_NAV_STATUS:
        row["nav_status"] = NAV_STATUSES[int(status)]
    if kind == 9 and said.get("alt") is not None and said["alt"] < 4095:
        row["altitude_m"] = float(said["alt"])
    if kind in {4, 11}:
        parts = [said.get(n) for n in ("year", "month", "day", "hour", "minute", "second")]
        if all(p is not None for p in parts):
            at = utc_us(*(int(p) for p in parts if p is not None))
            if at is not None and parts[0]:
                row["observed_us"] = at
    return row


def _speed(said: dict[str, Any]) -> float | None:
    speed = said.get("speed")
    if speed is None:
        return None
    if said["msg_type"] == 27:
        return None if speed >= _NO_SPEED_27 else speed * KNOT
    if said["msg_type"] == 9:
        return None if speed > _FASTEST_AIRCRAFT else speed * KNOT
    return None if speed >= _NO_SPEED else speed * KNOT


def _static(said: dict[str, Any]) -> Row:
    """What a ship, station or aid says of itself; empty fields (@, blanks, 0) are left out."""
    row: Row = {
        "vessel_name": _text(said.get("shipname") or said.get("name")),
        "call_sign": _text(said.get("callsign")),
        "destination": _text(said.get("destination")),
        "imo": f"{said['imo']:07d}" if said.get("imo") else None,
        "ship_type": (said.get("ship_type") or None) if said["msg_type"] != 21 else None,
        "draught_m": float(said["draught"]) if said.get("draught") else None,
    }
    return {name: value for name, value in row.items() if value is not None}


def _text(value: Any) -> str | None:
    text = str(value or "").partition("@")[0].strip()
    return text or None


def _received(tags: dict[str, str], after: bytes) -> int | None:
    """When the station heard it: seconds, or milliseconds where there are thirteen digits."""
    text = tags.get("c", "")
    if not text and (found := AFTER.match(after)) is not None:
        text = found[1].decode()
    if not text.isdigit() or len(text) > 13:
        return None
    return int(text) * (1_000 if len(text) > 11 else 1_000_000)


def _station(tags: dict[str, str], after: bytes) -> str | None:
    found = STATION.search(after)
    return tags.get("s", "")[:64] or (found[1].decode()[:64] if found else None)


def _report(row: Row, sequence: int) -> bytes:
    status = row.get("nav_status")
    message = {
        "msg_type": 1,
        "mmsi": int(str(row["device_id"]).removeprefix("mmsi-")),
        "lat": row.get("lat_deg", float(_NO_LATITUDE)),
        "lon": row.get("lon_deg", float(_NO_LONGITUDE)),
        "speed": min(round(row.get("speed_mps", 0.0) / KNOT, 1), 102.2),
        "course": round(row.get("course_deg", 0.0), 1),
        "heading": round(row["heading_deg"]) if "heading_deg" in row else _NO_HEADING,
        "status": _NO_NAV_STATUS if status is None else NAV_STATUSES.index(status),
        "second": datetime.fromtimestamp(row["observed_us"] // 1_000_000, UTC).second,
    }
    tag = f"s:sim,n:{sequence % 1000},c:{row['observed_us'] // 1_000_000}".encode()
    sentence = encode_dict(message, talker_id="AI", sentence_type="VDM")[0].encode()
    return b"\\%b*%02X\\%b\r\n" % (tag, reduce(xor, tag), sentence)


PROTOCOL: Final = Protocol(
    name="aivdm",
    title="AIS receivers (NMEA 0183, AIVDM and AIVDO)",
    document="ITU-R M.1371-5; IEC 61162-1; NMEA 0183 v4.1 tag blocks",
    family="ship",
    decode=decode,
    split=lines,
    text=True,
    doors=("tcp", "udp", "file", "http"),
    port=10110,
    starts=re.compile(rb"\\[^\\]{1,80}\\[!$]|[!$](?:A[BINRSTX]|B[SNX]|SA)VD[MO],"),
    max_frame=1024,
    simulation=Simulation(
        report=_report,
        carries=frozenset(
            {"observed_us", "lat_deg", "lon_deg", "speed_mps", "course_deg", "heading_deg", "nav_status"}
        ),
        resolution={"course_deg": 0.1, "heading_deg": 0.5, "speed_mps": 0.05},
        device_id=lambda n: f"mmsi-{200_000_000 + n}",
    ),
)
