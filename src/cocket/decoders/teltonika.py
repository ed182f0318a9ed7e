"""Teltonika trackers: AVL packets of codec 8, 8 Extended, 16 and the GH3000's 7, messages of codec 12 and 13, over TCP and UDP.

Document: Teltonika, "Codec" and "Teltonika Data Sending Protocols" (wiki); AVL IDs of the FMB, FMC and TFT families.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

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
from cocket.core.wire import Cursor, Record, f32, i16, i32, u8, u16, u32, u64

GH3000, CODEC_8, CODEC_12, CODEC_13, CODEC_16, CODEC_8E = 0x07, 0x08, 0x0C, 0x0D, 0x10, 0x8E

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

_FLAGS: Final = {239: "ignition"}
_ALARMS: Final = {236: "sos", 249: "jamming", 318: "jamming"}
_DISCONNECTED: Final = (-60.0, 130.0)
"""°C: what a temperature probe cannot say; 300 and more means that there is none."""
_LEAST_EXTERNAL_V: Final = 1.0
_KEYS: Final = frozenset({78})
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
        _packet(frame, reading)
    elif len(frame) > 2 and int.from_bytes(frame[:2], "big") == len(frame) - 2 and frame[2:].isdigit():
        session.device_id = frame[2:].decode("ascii")
        reading.replies.append(b"\x01")
    elif len(frame) > UDP.size and frame[4] == 1:
        _datagram(frame, session, reading)
    else:
        raise Undecodable("no-frame", "neither login, nor packet, nor datagram")


def _packet(frame: bytes, reading: Reading) -> None:
    cursor = Cursor(frame, 4)
    size = cursor.uint(4)
    count = _data(cursor, reading)
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
    count = _data(cursor, reading)
    if count is not None:
        reading.replies.append(b"\x00\x05" + frame[2:4] + b"\x01" + bytes([head["avl_packet"], count & 0xFF]))


def _data(cursor: Cursor, reading: Reading) -> int | None:
    """The records behind the codec's number; gives how many, None where nothing is to be answered."""
    codec, count = cursor.uint(1), cursor.uint(1)
    if codec in {CODEC_12, CODEC_13}:
        for _ in range(count):
            _message(cursor, codec, reading)
        return None
    if codec not in {GH3000, CODEC_8, CODEC_16, CODEC_8E}:
        raise Undecodable("unknown-type", f"codec {codec:02x} is not known")
    for _ in range(count):
        row = _gh3000(cursor) if codec == GH3000 else _avl(cursor, codec)
        if row:
            reading.rows.append(row)
    again = cursor.uint(1)
    if again != count:
        raise Undecodable("length", f"{count} records are announced, {again} are counted at the end")
    return count


def _message(cursor: Cursor, codec: int, reading: Reading) -> None:
    """Text or bytes of codec 12 and 13: a driver's card, or the answer to a command."""
    kind = cursor.uint(1)
    data = cursor.take(cursor.uint(4))
    row: Row = {}
    if codec == CODEC_13:
        row["observed_us"] = int.from_bytes(data[:4], "big") * 1_000_000
        data = data[4:]
    card = _DRIVER.search(data)
    if card is not None:
        reading.rows.append({**row, "card_id": card[1].decode("ascii", "replace")[:64]})
    elif kind == 0x06:
        text = data.decode("ascii", "replace").strip()
        reading.results.append(Result("", good="error" not in text.lower(), text=text[:200]))


def _avl(cursor: Cursor, codec: int) -> Row:
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
    wide_ids = codec in {CODEC_8E, CODEC_16}
    ids, counts = 2 if wide_ids else 1, 2 if codec == CODEC_8E else 1
    cursor.take(ids)  # which element gave rise to the record
    if codec == CODEC_16:
        cursor.take(1)
    cursor.take(counts)
    for size in (1, 2, 4, 8):
        for _ in range(cursor.uint(counts)):
            number = cursor.uint(ids)
            _element(row, number, cursor.take(size))
    if codec == CODEC_8E:
        for _ in range(cursor.uint(2)):
            number = cursor.uint(2)
            _element(row, number, cursor.take(cursor.uint(2)))
    return row


def _element(row: Row, number: int, data: bytes) -> None:
    """One IO element by its AVL id; those that are not here have no column or no meaning of their own."""
    value = int.from_bytes(data, "big")
    if number in _FLAGS:
        row[_FLAGS[number]] = value == 1
    elif number in _ALARMS:
        if value:
            row[_ALARMS[number]] = True
    elif number == 21:
        row["gsm_signal"] = min(value, 5) * 20
    elif number == 66:
        row["external_power"] = value > _LEAST_EXTERNAL_V * 1000
    elif number == 67:
        row["battery_v"] = value * 0.001
    elif number == 113 and len(data) == 1 and value <= 100:
        row["battery_pct"] = float(value)
    elif number == 16:
        row["odometer_m"] = float(value)
    elif number == 182:
        row["hdop"] = value * 0.1
    elif number == 72 and len(data) in {2, 4}:
        celsius = int.from_bytes(data, "big", signed=True) * 0.1
        if _DISCONNECTED[0] < celsius < _DISCONNECTED[1]:
            row["temp_c"] = celsius
    elif number in _KEYS and value:
        row["card_id"] = f"{value:016X}"


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
            row["gsm_signal"] = min(cursor.uint(1), 5) * 20
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
    data = bytes([CODEC_12, 1, 5]) + len(text).to_bytes(4, "big") + text + b"\x01"
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
