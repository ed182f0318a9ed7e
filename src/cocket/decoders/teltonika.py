"""Teltonika trackers: AVL packets of codec 8, 8 Extended, 16 and the GH3000's 7, messages of codec 12 to 15, over TCP and UDP.

Document: Teltonika, "Codec" and "Teltonika Data Sending Protocols" (wiki); AVL IDs of the FMB, FMC and TFT families.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from fastcrc import crc16

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
)
from cocket.core.units import KMH
from cocket.core.wire import Cursor, Record, digits, f32, i16, i32, u8, u16, u32, u64

GH3000, CODEC_8, CODEC_16, CODEC_8E = 0x07, 0x08, 0x10, 0x8E
CODEC_12, CODEC_13, CODEC_14, CODEC_15 = 0x0C, 0x0D, 0x0E, 0x0F
AVL_CODECS: Final = frozenset({GH3000, CODEC_8, CODEC_16, CODEC_8E})
MESSAGE_CODECS: Final = frozenset({CODEC_12, CODEC_13, CODEC_14, CODEC_15})
COMMAND, ANSWER, NOT_MINE = 0x05, 0x06, 0x11
"""What a message of codec 12 to 15 is; ``NOT_MINE``: codec 14, the command named another IMEI."""

AVL: Final = Record(
    ">",
    u64("time_ms"),
    u8("priority"),
    i32("lon_deg", 1e-7),
    i32("lat_deg", 1e-7),
    i16("altitude_m"),
    u16("course_deg"),
    u8("satellites"),
    u16("kmh"),
)
"""A record's head, the same in codecs 8, 8E and 16."""

UDP: Final = Record(">", u16("size"), u16("packet"), u8("kind"), u8("avl_packet"), u16("imei_size"))
GH_TIME: Final = Record(">", u32("time"), u8("mask"))
GH_PLACE: Final = Record(">", f32("lat_deg"), f32("lon_deg"))
_GH_EPOCH_S: Final = 1_167_609_600
_GH_SECONDS: Final = 0x3FFF_FFFF

Read: TypeAlias = Callable[[int], tuple[str, Any] | None]
"""An element's value to a column and what stands in it; None where it says nothing."""

_LEAST_EXTERNAL_V: Final = 1.0


def _to(column: str, scale: float = 1, lo: float = 0, hi: float = 1e10) -> Read:
    """A number; what lies outside ``lo`` to ``hi`` is a code of the maker's for a sensor that is not there."""

    def read(value: int) -> tuple[str, Any] | None:
        return (column, value * scale) if lo <= value * scale <= hi else None

    return read


def _probe(column: str, scale: float, hi: float) -> Read:
    """A Bluetooth sensor: raw 2000, 3000 and 4000 say that it was not understood, not found, or is not well."""
    number = _to(column, scale, -60, hi)
    return lambda value: None if value in {2000, 3000, 4000} else number(value)


def _alarm(column: str) -> Read:
    return lambda value: (column, True) if value else None


def _zone(value: int) -> tuple[str, Any] | None:
    """0 left, 1 entered; 2 and 3 are speeding in it."""
    return ("fence_entered" if value else "fence_left", True) if value <= 1 else None


def _wired(value: int) -> tuple[str, Any] | None:
    """A Dallas probe, 0.1 °C; 85 °C is what it says before it has measured."""
    return ("temp_c", value * 0.1) if -600 < value < 1300 and value != 850 else None


ELEMENTS: Final[dict[int, tuple[int, Read]]] = {
    16: (4, _to("odometer_m", 1.0)),
    21: (1, lambda value: ("gsm_signal", min(value, 5) * 20)),
    66: (2, lambda value: ("external_power", value > _LEAST_EXTERNAL_V * 1000)),
    67: (2, _to("battery_v", 0.001)),
    78: (8, lambda value: ("card_id", f"{value & 0xFFFF_FFFF_FFFF_FFFF:016X}") if value else None),
    113: (1, _to("battery_pct", 1.0, 0, 100)),
    182: (2, _to("hdop", 0.1)),
    236: (1, _alarm("sos")),
    239: (1, lambda value: ("ignition", value == 1)),
    247: (1, _alarm("vibration")),
    249: (1, _alarm("jamming")),
    252: (1, lambda value: ("external_power", False) if value else None),
    318: (1, _alarm("jamming")),
    662: (1, lambda value: ("door_open", value != 0)),
    **dict.fromkeys((155, 156, 157, 158, 159, 175), (1, _zone)),
    **dict.fromkeys((72, 73, 74, 75), (0, _wired)),
    **dict.fromkeys((25, 26, 27, 28), (2, _probe("temp_c", 0.01, 125))),
    **dict.fromkeys((86, 104, 106, 108), (2, _probe("humidity_pct", 0.1, 100))),
    **dict.fromkeys((10800, 10801, 10802, 10803), (2, _to("temp_c", 0.01, -60, 125))),
    **dict.fromkeys((10804, 10805, 10806, 10807), (1, _to("humidity_pct", 1.0, 0, 100))),
}
"""IO elements by AVL id: bytes (0: any number) and meaning. Where several are of one column, the first in the record tells it."""
SIGNED: Final = frozenset({72, 73, 74, 75, 25, 26, 27, 28, 10800, 10801, 10802, 10803})

_DRIVER: Final = re.compile(rb"GTSL\|[^|]*\|[^|]*\|[^|]*\|([^|]+)\|")


def _split(buffer: bytes, at: int) -> Cut:
    """FF is a ping; 000F and fifteen digits the login; four zeroes, a length and a CRC a packet."""
    if buffer[at] == 0xFF:
        return at, at + 1
    if len(buffer) < at + 4:
        return None
    if buffer[at : at + 4] == bytes(4):
        if len(buffer) < at + 8:
            return None
        end = at + 12 + int.from_bytes(buffer[at + 4 : at + 8], "big")
    else:
        size = int.from_bytes(buffer[at : at + 2], "big")
        if not 1 <= size <= 64:
            return at + 1, at + 1
        end = at + 2 + size
    return (at, end) if len(buffer) >= end else None


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One packet of a TCP connection or one datagram."""
    if frame == b"\xff":
        return
    if frame[:4] == bytes(4):
        _packet(frame, session, reading)
    elif len(frame) > 2 and int.from_bytes(frame[:2], "big") == len(frame) - 2 and frame[2:].isdigit():
        session.device_id = frame[2:].decode("ascii")
        reading.replies.append(b"\x01")
    elif len(frame) > UDP.size and frame[4] == 1:
        _datagram(frame, session, reading)
    else:
        raise Undecodable("no-frame", "neither login, nor packet, nor datagram")


def _packet(frame: bytes, session: Session, reading: Reading) -> None:
    cursor = Cursor(frame, 4)
    size = cursor.uint(4)
    count = _data(cursor, session, reading)
    if len(frame) != size + 12:
        raise Undecodable("length", f"the packet says {size} bytes of data, it has {len(frame) - 12}")
    checksum = int.from_bytes(frame[-4:], "big")
    if crc16.arc(frame[8:-4]) != checksum:
        raise Undecodable(
            "checksum", f"the data sums to {crc16.arc(frame[8:-4]):04x}, the packet says {checksum:04x}"
        )
    if count is not None:
        reading.replies.append(count.to_bytes(4, "big"))


def _datagram(frame: bytes, session: Session, reading: Reading) -> None:
    head = UDP.read(frame)
    if head["size"] + 2 != len(frame):
        raise Undecodable("length", f"the datagram says {head['size']} bytes, it has {len(frame) - 2}")
    cursor = Cursor(frame, UDP.size)
    session.device_id = cursor.take(head["imei_size"]).decode("ascii")
    count = _data(cursor, session, reading)
    if count is not None:
        reading.replies.append(b"\x00\x05" + frame[2:4] + b"\x01" + bytes([head["avl_packet"], count & 0xFF]))


def _data(cursor: Cursor, session: Session, reading: Reading) -> int | None:
    """The records behind the codec's number; gives how many, None where nothing is to be answered."""
    codec, count = cursor.uint(1), cursor.uint(1)
    if codec in MESSAGE_CODECS:
        for _ in range(count):
            _message(cursor, codec, session, reading)
        return None
    if codec not in AVL_CODECS:
        raise Undecodable("unknown-type", f"codec {codec:02x} is not known")
    begin = cursor.at
    fault = _records(cursor, codec, count, reading.rows)
    if fault is not None and codec != GH3000:
        wide = Cursor(cursor.data, begin)
        rows: list[Row] = []
        if _records(wide, codec, count, rows, wide=True) is None:
            reading.rows[:], cursor.at, fault = rows, wide.at, None
    if fault is not None:
        raise fault
    return count


def _records(
    cursor: Cursor, codec: int, count: int, rows: list[Row], *, wide: bool = False
) -> Undecodable | None:
    """Records and, behind them, their number again; gives what is wrong with them. ``wide``: with elements of 16 bytes,
    which some devices send and no mark announces.
    """
    try:
        for _ in range(count):
            row = _gh3000(cursor) if codec == GH3000 else _avl(cursor, codec, wide=wide)
            if len(row) > 1:
                rows.append(row)
        again = cursor.uint(1)
    except Undecodable as fault:
        return fault
    if again != count:
        return Undecodable("length", f"{count} records are announced, {again} are counted at the end")
    return None


def _message(cursor: Cursor, codec: int, session: Session, reading: Reading) -> None:
    """Text or bytes of codec 12 to 15, behind a time (13, 15) and an IMEI (14, 15): a driver's card, or the answer to a command."""
    kind = cursor.uint(1)
    body = Cursor(cursor.take(cursor.uint(4)))
    row: Row = {}
    if codec in {CODEC_13, CODEC_15}:
        row["observed_us"] = body.uint(4) * 1_000_000
    if codec in {CODEC_14, CODEC_15}:
        session.device_id = str(digits(body.take(8).hex())).rjust(15, "0")
    data = body.rest()
    card = _DRIVER.search(data)
    if card is not None:
        reading.rows.append({**row, "card_id": card[1].decode("ascii", "replace")[:64]})
    elif kind == NOT_MINE:
        reading.results.append(Result("", good=False, text="the command named another IMEI"))
    elif kind == ANSWER:
        text = data.decode("latin-1").strip("\r\n\0 ")
        text = (
            text if text.isascii() and text.replace("\n", "").replace("\r", "").isprintable() else data.hex()
        )
        reading.results.append(Result("", good="error" not in text.lower(), text=text[:200]))


def _avl(cursor: Cursor, codec: int, *, wide: bool) -> Row:
    head = cursor.record(AVL)
    satellites = head["satellites"]
    row: Row = {
        "observed_us": head["time_ms"] * 1000,
        "lat_deg": head["lat_deg"],
        "lon_deg": head["lon_deg"],
        "altitude_m": head["altitude_m"],
        "course_deg": head["course_deg"] if head["course_deg"] <= 360 else None,
        "satellites": satellites,
        "speed_mps": head["kmh"] * KMH,
        "fix_valid": satellites != 0,
        "fix_source": "gnss",
    }
    ids, counts = 1 if codec == CODEC_8 else 2, 2 if codec == CODEC_8E else 1
    cursor.take(
        ids + (codec == CODEC_16) + counts
    )  # what gave rise to the record, and how many elements it has
    for size in (1, 2, 4, 8, 16) if wide else (1, 2, 4, 8):
        for _ in range(cursor.uint(counts)):
            number = cursor.uint(ids)
            _element(row, number, cursor.take(size))
    if codec == CODEC_8E:
        for _ in range(cursor.uint(2)):
            number = cursor.uint(2)
            _element(row, number, cursor.take(cursor.uint(2)))
    return row


def _element(row: Row, number: int, data: bytes) -> None:
    """One IO element; those that the table does not have have no column, or a meaning that differs from family to family."""
    element = ELEMENTS.get(number)
    if element is None or element[0] not in {0, len(data)}:
        return
    said = element[1](int.from_bytes(data, "big", signed=number in SIGNED))
    if said is not None:
        row.setdefault(*said)


def _gh3000(cursor: Cursor) -> Row:
    """Codec 7: masks say which parts follow."""
    head = cursor.record(GH_TIME)
    mask = head["mask"]
    row: Row = {"observed_us": ((head["time"] & _GH_SECONDS) + _GH_EPOCH_S) * 1_000_000}
    if mask & 1:
        where = cursor.uint(1)
        if where & 1:
            row |= cursor.record(GH_PLACE) | {"fix_valid": True, "fix_source": "gnss"}
        if where & 2:
            row["altitude_m"] = cursor.uint(2)
        if where & 4:
            row["course_deg"] = cursor.uint(1) * 360 / 256
        if where & 8:
            row["speed_mps"] = cursor.uint(1) * KMH
        if where & 16:
            row["satellites"] = cursor.uint(1)
        if where & 32:
            cursor.take(4)
        if where & 64:
            asu = cursor.uint(1)
            row["gsm_signal"] = round(asu * 100 / 31) if asu <= 31 else None
        if where & 128:
            cursor.take(4)
    for bit, size in ((2, 1), (4, 2), (8, 4)):
        if mask & bit:
            for _ in range(cursor.uint(1)):
                number, value = cursor.uint(1), cursor.uint(size)
                if number == 1 and value <= 100:
                    row["battery_pct"] = float(value)
                elif number == 20:
                    row["hdop"] = value * 0.1
                elif number == 67 and size == 2:
                    row["battery_v"] = value * 0.001
                elif number == 222 and value:
                    row["sos"] = True
    return row


def _report(row: Row, _sequence: int) -> bytes:
    valid = row.get("fix_valid", True)
    satellites = max(1, row.get("satellites", 9)) if valid else 0
    head = AVL.write(
        {
            "time_ms": row["observed_us"] // 1000,
            "lat_deg": row.get("lat_deg"),
            "lon_deg": row.get("lon_deg"),
            "altitude_m": row.get("altitude_m", 0),
            "course_deg": row.get("course_deg", 0),
            "satellites": satellites,
            "kmh": row.get("speed_mps", 0.0) / KMH,
        }
    )
    ones = bytes([239, bool(row.get("ignition"))])
    alarms = [n for n, column in ((236, "sos"), (249, "jamming")) if row.get(column)]
    ones += b"".join(bytes([n, 1]) for n in alarms)
    if "battery_pct" in row:
        ones += bytes([113, round(row["battery_pct"])])
    twos = b"" if "battery_v" not in row else b"\x43" + round(row["battery_v"] * 1000).to_bytes(2, "big")
    fours = b"" if "odometer_m" not in row else b"\x10" + round(row["odometer_m"]).to_bytes(4, "big")
    n1, n2, n4 = len(ones) // 2, len(twos) // 3, len(fours) // 5
    io = bytes([0, n1 + n2 + n4, n1]) + ones + bytes([n2]) + twos + bytes([n4]) + fours + b"\x00"
    data = bytes([CODEC_8, 1]) + head + io + b"\x01"
    return bytes(4) + len(data).to_bytes(4, "big") + data + crc16.arc(data).to_bytes(4, "big")


def _text(_device_id: str, parameters: Mapping[str, Any], _sequence: int) -> bytes:
    """A command of codec 12, type 5."""
    text = str(parameters.get("text", "")).encode("ascii", "replace")
    if not 1 <= len(text) <= 200:
        raise Undecodable("parameter", "text: 1 to 200 characters of ASCII, such as getinfo")
    data = bytes([CODEC_12, 1, COMMAND]) + len(text).to_bytes(4, "big") + text + b"\x01"
    return bytes(4) + len(data).to_bytes(4, "big") + data + crc16.arc(data).to_bytes(4, "big")


PROTOCOL: Final = Protocol(
    name="teltonika",
    title="Teltonika trackers (codec 8, 8E, 16, 12, 13)",
    document="Teltonika data sending protocols; AVL IDs of the FMB and FMC families",
    family="tracker",
    decode=decode,
    split=_split,
    doors=("tcp", "udp"),
    port=5027,
    starts=re.compile(rb"\x00\x0f\d{15}"),
    max_frame=16_384,
    simulation=Simulation(
        report=_report,
        hello=lambda device_id: len(device_id).to_bytes(2, "big") + device_id.encode("ascii"),
        carries=frozenset(
            {
                "observed_us",
                "lat_deg",
                "lon_deg",
                "speed_mps",
                "course_deg",
                "altitude_m",
                "fix_valid",
                "ignition",
                "sos",
                "jamming",
                "battery_pct",
                "battery_v",
                "odometer_m",
            }
        ),
        resolution={"battery_v": 0.001},
    ),
    commands={
        "text": Command(
            _text, "a command in the device's own words", {"text": "such as getinfo, setdigout 1"}
        )
    },
)
