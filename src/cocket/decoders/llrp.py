"""LLRP: fixed RFID readers (Impinj, Zebra, Alien, ThingMagic …) that speak EPCglobal's Low Level Reader Protocol, binary.

Document: GS1/EPCglobal, "Low Level Reader Protocol" 1.0.1 and 1.1 (sections 9 to 17: messages and parameters by number).
A message has a head of 10 bytes; a parameter is TV (a type below 128, of known size) or TLV (16 bits of type, 16 of
length). The builders of messages below are the client's side: ``start`` asks a reader who it is and sets it reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cocket.core.epc import tag_of, uri
from cocket.core.epcbits import EpcError
from cocket.core.protocol import (
    Command,
    Cut,
    Protocol,
    Reading,
    Result,
    Row,
    Session,
    Simulation,
    Undecodable,
    whole,
)
from cocket.core.wire import Bits, Record, i8, raw, u16, u32, u64

HEAD: Final = Record(">", u16("kind"), u32("size"), u32("id"))
"""``kind``: 3 reserved bits, 3 of version, 10 of message type."""

_VERSIONS: Final = (1, 2)  # 1.0.1, 1.1

GET_READER_CONFIG, SET_READER_CONFIG, CLOSE_CONNECTION = 2, 3, 14
ADD_ROSPEC, DELETE_ROSPEC, START_ROSPEC, STOP_ROSPEC, ENABLE_ROSPEC = 20, 21, 22, 23, 24
GET_READER_CONFIG_RESPONSE, RO_ACCESS_REPORT, KEEPALIVE, READER_EVENT = 12, 61, 62, 63
KEEPALIVE_ACK, ERROR_MESSAGE = 72, 100

MESSAGES: Final = {
    1: "get-reader-capabilities", 2: "get-reader-config", 3: "set-reader-config", 4: "close-connection",
    11: "get-reader-capabilities", 12: "get-reader-config", 13: "set-reader-config", 14: "close-connection",
    20: "add-rospec", 21: "delete-rospec", 22: "start-rospec", 23: "stop-rospec", 24: "enable-rospec",
    25: "disable-rospec", 26: "get-rospecs", 30: "add-rospec", 31: "delete-rospec", 32: "start-rospec",
    33: "stop-rospec", 34: "enable-rospec", 35: "disable-rospec", 36: "get-rospecs", 40: "add-accessspec",
    41: "delete-accessspec", 42: "enable-accessspec", 43: "disable-accessspec", 44: "get-accessspecs",
    45: "client-request-op", 46: "get-supported-version", 47: "set-protocol-version", 50: "add-accessspec",
    51: "delete-accessspec", 52: "enable-accessspec", 53: "disable-accessspec", 54: "get-accessspecs",
    55: "client-request-op", 56: "get-supported-version", 57: "set-protocol-version", 60: "get-report",
    61: "ro-access-report", 62: "keepalive", 63: "reader-event-notification", 64: "enable-events-and-reports",
    72: "keepalive-ack", 100: "error", 1023: "custom",
}  # fmt: skip
"""Messages by type; 4 and 11 to 57 are the answers to those of the same name (16.1)."""

TV: Final[dict[int, Record]] = {
    1: Record(">", u16("antenna")),
    2: Record(">", u64("first_seen_us")),
    3: Record(">", u64("first_seen_uptime_us")),
    4: Record(">", u64("last_seen_us")),
    5: Record(">", u64("last_seen_uptime_us")),
    6: Record(">", i8("rssi_dbm")),
    7: Record(">", u16("channel")),
    8: Record(">", u16("seen")),
    9: Record(">", u32("rospec")),
    10: Record(">", u16("inventory_spec")),
    11: Record(">", u16("crc")),
    12: Record(">", u16("pc")),
    13: Record(">", raw("epc", 12)),
    14: Record(">", u16("spec_index")),
    15: Record(">", u16("client_op_result")),
    16: Record(">", u32("accessspec")),
    17: Record(">", u16("op_spec")),
    18: Record(">", u16("collisions"), u16("empty_slots")),
    19: Record(">", u16("xpc_w1")),
    20: Record(">", u16("xpc_w2")),
}
"""Parameters whose size their type tells (17.2)."""

ROSPEC, BOUNDARY, START_TRIGGER, STOP_TRIGGER, AI_SPEC, AI_STOP, INVENTORY = 177, 178, 179, 182, 183, 184, 186
IDENTIFICATION, KEEPALIVE_SPEC, REPORT_SPEC, CONTENT, TAG, EPC_DATA = 218, 220, 237, 238, 240, 241
EVENT_DATA, CONNECTION_ATTEMPT, STATUS = 246, 256, 287

SELECTOR: Final = Bits(antenna=12, rssi=10, first_seen=9, last_seen=8, seen=7)
"""What a tag's report holds, of 16 bits (17.2.7.1): rospec 15, spec index 14, inventory spec 13, channel 11, access spec 6."""

_ATTEMPTS: Final = {
    1: "another client holds the reader, by a connection of the reader's",
    2: "another client holds the reader",
    3: "the reader refuses",
    4: "another client tries to connect",
}
_PC_NOT_EPC: Final = 0x0100
"""Bit 17h of a tag's memory: what follows is no EPC, the low byte is its application family (TDS 15.2.1)."""

_BEGIN: Final = re.compile(rb"[\x04-\x0b][\x00-\xff]\x00[\x00-\x03]")
_MOST: Final = 1 << 18


def _split(buffer: bytes, at: int) -> Cut:
    """Messages by the length in their head; what looks like no head (version, a length above 256 KiB) is noise."""
    found = _BEGIN.search(buffer, at)
    if found is None:
        upto = max(at, len(buffer) - 3)
        return (upto, upto) if upto > at else None
    first = found.start()
    if len(buffer) >= first + HEAD.size:
        size = int.from_bytes(buffer[first + 2 : first + 6], "big")
        if size < HEAD.size:
            return (first + 1,) * 2
        if len(buffer) >= first + size:
            return first, first + size
    return (first, first) if first > at else None


def parameters(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The parameters between two places: type, and where the body begins and ends. ``Undecodable`` where one runs over."""
    while at < end:
        if data[at] & 0x80:
            kind = data[at] & 0x7F
            if kind not in TV:
                raise Undecodable(
                    "unknown-type", f"a short parameter of type {kind} at byte {at} is not known"
                )
            start, stop = at + 1, at + 1 + TV[kind].size
        else:
            if at + 4 > end:
                raise Undecodable("truncated", f"a parameter at byte {at} has no head")
            kind = int.from_bytes(data[at : at + 2], "big") & 0x3FF
            start, stop = at + 4, at + int.from_bytes(data[at + 2 : at + 4], "big")
            if kind < 128:
                raise Undecodable(
                    "unknown-type", f"a long parameter of type {kind} at byte {at} is not known"
                )
        if not start <= stop <= end:
            raise Undecodable("length", f"parameter {kind} at byte {at} does not fit into what holds it")
        yield kind, start, stop
        at = stop


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One message of a reader."""
    head = HEAD.read(frame)
    version, kind = head["kind"] >> 10 & 7, head["kind"] & 0x3FF
    if version not in _VERSIONS:
        raise Undecodable("unknown-type", f"version {version} of LLRP is not known")
    if head["size"] != len(frame):
        raise Undecodable("length", f"the head says {head['size']} bytes, there are {len(frame)}")
    if kind not in MESSAGES:
        raise Undecodable("unknown-type", f"a message of type {kind} is not known")
    if kind == RO_ACCESS_REPORT:
        for inner, start, stop in parameters(frame, HEAD.size, len(frame)):
            if inner == TAG:
                reading.rows.append(_tag(frame, start, stop))
    elif kind == KEEPALIVE:
        reading.replies.append(message(KEEPALIVE_ACK, head["id"], b"", version))
    elif kind == READER_EVENT:
        _event(frame, reading)
    elif kind in {4, ERROR_MESSAGE} or 11 <= kind <= 13 or 30 <= kind <= 36 or 50 <= kind <= 57:
        _answer(frame, kind, session, reading)


def _tag(frame: bytes, at: int, end: int) -> Row:
    """A tag that was read: its time is when it was first seen."""
    tag: dict[str, Any] = {}
    epc = None
    for kind, start, stop in parameters(frame, at, end):
        if kind < 128:
            tag |= TV[kind].read(frame, start)
        elif kind == EPC_DATA:
            bits = int.from_bytes(frame[start : start + 2], "big")
            epc = frame[start + 2 : stop]
            if stop - start < 2 or len(epc) != (bits + 7) // 8:
                raise Undecodable("length", f"an EPC of {bits} bits has {len(epc)} bytes")
    epc = tag.get("epc", epc)
    if epc is None:
        raise Undecodable("missing", "a tag's report holds no EPC")
    pc = tag.get("pc", 0)
    return {
        "observed_us": tag.get("first_seen_us", tag.get("last_seen_us")),
        "code": uri(epc, pc & 0xFF if pc & _PC_NOT_EPC else None),
        "symbology": "epc",
        "reader_id": None if "antenna" not in tag else str(tag["antenna"]),
        "rssi_dbm": tag.get("rssi_dbm"),
    }


def _event(frame: bytes, reading: Reading) -> None:
    """What happened at the reader: only how an attempt to connect ended is told."""
    for kind, start, stop in parameters(frame, HEAD.size, len(frame)):
        if kind == EVENT_DATA:
            for inner, at, end in parameters(frame, start, stop):
                if inner == CONNECTION_ATTEMPT:
                    status = int.from_bytes(frame[at:end], "big")
                    text = _ATTEMPTS.get(status, f"status {status}") if status else ""
                    reading.results.append(Result("connect", not status, text))


def _answer(frame: bytes, kind: int, session: Session, reading: Reading) -> None:
    """An answer: how it went (LLRPStatus), and who the reader is, where it says so."""
    for inner, start, stop in parameters(frame, HEAD.size + (kind == 56) * 2, len(frame)):
        if inner == STATUS:
            code, size = int.from_bytes(frame[start : start + 2], "big"), frame[start + 2 : start + 4]
            text = frame[start + 4 : start + 4 + int.from_bytes(size, "big")].decode("utf-8", "replace")
            said = f"{code}: {text}".strip(" :") if code else text
            reading.results.append(Result(MESSAGES[kind], not code, said[:200]))
        elif inner == IDENTIFICATION and session.device_id is None:
            own = frame[start + 3 : stop]
            if len(own) != int.from_bytes(frame[start + 1 : start + 3], "big") or not own:
                raise Undecodable("length", "the reader's name is not as long as it says")
            session.device_id = own.hex() if frame[start] == 0 else uri(own)


def message(kind: int, number: int, body: bytes = b"", version: int = 1) -> bytes:
    """A message with its head; ``number`` comes back in the answer."""
    return HEAD.write({"kind": version << 10 | kind, "size": HEAD.size + len(body), "id": number}) + body


def parameter(kind: int, body: bytes) -> bytes:
    """A TLV parameter."""
    return kind.to_bytes(2, "big") + (4 + len(body)).to_bytes(2, "big") + body


def _u(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def get_identification(number: int) -> bytes:
    """GET_READER_CONFIG for the reader's own name only."""
    return message(GET_READER_CONFIG, number, _u(0, 2) + _u(1, 1) + _u(0, 2) + _u(0, 2))


def set_reader_config(number: int, keepalive_s: int, *, factory: bool = False) -> bytes:
    """SET_READER_CONFIG: a KEEPALIVE every so many seconds, 0 for none; first all as from the factory, if wanted."""
    keepalive = _u(1 if keepalive_s else 0, 1) + _u(keepalive_s * 1000, 4)
    body = _u(0x80 if factory else 0, 1) + parameter(KEEPALIVE_SPEC, keepalive)
    return message(SET_READER_CONFIG, number, body)


def add_rospec(number: int, rospec: int = 1, antennas: tuple[int, ...] = (0,), tags: int = 1) -> bytes:
    """ADD_ROSPEC: read EPC Gen 2 tags at these antennas (0: all) until stopped; a report after so many tags.

    A tag's report holds antenna, signal, first and last time, and count.
    """
    start_stop = parameter(START_TRIGGER, _u(0, 1)) + parameter(STOP_TRIGGER, _u(0, 1) + _u(0, 4))
    read = _u(len(antennas), 2) + b"".join(_u(a, 2) for a in antennas)
    read += parameter(AI_STOP, _u(0, 1) + _u(0, 4)) + parameter(INVENTORY, _u(1, 2) + _u(1, 1))
    content = SELECTOR.write(dict.fromkeys(SELECTOR.bits, True))
    report = _u(1, 1) + _u(tags, 2) + parameter(CONTENT, _u(content, 2))
    body = _u(rospec, 4) + _u(0, 1) + _u(0, 1) + parameter(BOUNDARY, start_stop)
    body += parameter(AI_SPEC, read) + parameter(REPORT_SPEC, report)
    return message(ADD_ROSPEC, number, parameter(ROSPEC, body))


def on_rospec(kind: int, number: int, rospec: int = 1) -> bytes:
    """ENABLE_ROSPEC, START_ROSPEC, STOP_ROSPEC or DELETE_ROSPEC; 0 is all of them, where that may be."""
    return message(kind, number, _u(rospec, 4))


def start(number: int = 1, keepalive_s: int = 30) -> bytes:
    """All that makes a reader read: who are you, keepalive, our own reader operation in place of every other."""
    return (
        get_identification(number)
        + set_reader_config(number + 1, keepalive_s)
        + on_rospec(DELETE_ROSPEC, number + 2, 0)
        + add_rospec(number + 3)
        + on_rospec(ENABLE_ROSPEC, number + 4)
        + on_rospec(START_ROSPEC, number + 5)
    )


def _report(row: Row, sequence: int) -> bytes:
    try:
        epc = tag_of(str(row["code"])) if row.get("code") else None
    except EpcError:
        epc = None
    if epc is None:
        epc = tag_of(f"urn:epc:id:giai:9521141.{sequence}")
    tag = b"\x8d" + epc if len(epc) == 12 else parameter(EPC_DATA, _u(len(epc) * 8, 2) + epc)
    antenna = str(row.get("reader_id", ""))
    if antenna.isascii() and antenna.isdigit() and int(antenna) < 1 << 16:
        tag += b"\x81" + TV[1].write({"antenna": int(antenna)})
    if row.get("rssi_dbm") is not None:
        tag += b"\x86" + TV[6].write({"rssi_dbm": max(-128, min(127, row["rssi_dbm"]))})
    tag += b"\x82" + TV[2].write({"first_seen_us": row["observed_us"]})
    tag += b"\x84" + TV[4].write({"last_seen_us": row["observed_us"]})
    return message(RO_ACCESS_REPORT, sequence, parameter(TAG, tag))


def _hello(device_id: str) -> bytes:
    own = bytes.fromhex(device_id) if re.fullmatch(r"([0-9a-f]{2}){1,32}", device_id) else device_id.encode()
    identification = parameter(IDENTIFICATION, _u(0, 1) + _u(len(own), 2) + own)
    return message(GET_READER_CONFIG_RESPONSE, 1, parameter(STATUS, _u(0, 4)) + identification)


def _start(_device_id: str, parameters_: Mapping[str, Any], sequence: int) -> bytes:
    keepalive = whole({"keepalive_s": 30, **parameters_}, "keepalive_s", 1, 3600)
    return start(max(1, sequence) * 16, keepalive)


def _stop(_device_id: str, _parameters: Mapping[str, Any], sequence: int) -> bytes:
    return on_rospec(STOP_ROSPEC, max(1, sequence) * 16)


PROTOCOL: Final = Protocol(
    name="llrp",
    title="LLRP readers (RFID, EPC Gen 2)",
    document="GS1/EPCglobal Low Level Reader Protocol 1.0.1 (2007) and 1.1 (2010)",
    family="reader",
    decode=decode,
    split=_split,
    port=5084,
    starts=re.compile(rb"[\x04\x08][\x0c\x3d-\x3f]\x00[\x00-\x03]"),
    max_frame=_MOST,
    opening=start(),
    simulation=Simulation(
        report=_report,
        hello=_hello,
        carries=frozenset({"observed_us"}),
        resolution={"observed_us": 1},
        device_id=lambda n: f"001625fffe{n:06x}",
    ),
    commands={
        "start": Command(
            _start,
            "read tags with every antenna",
            {"keepalive_s": "seconds between signs of life, 1 to 3600"},
        ),
        "stop": Command(_stop, "stop reading"),
    },
)
