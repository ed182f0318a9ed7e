"""Suntech trackers: the text of the SA200 to ST900 and of the universal line, and both compressed ("zip") forms.

Documents: Suntech, "ST300/340 Operation Manual" 1.41 and "ST310U Operation Manual" 1.12 (reports in text and zip), "ST940 User
Manual" 1.19 (ST910 reports), "Suntech Messages to Back-End Server (Universal Reporting Guide)" 1.62.

Text is divided by semicolons and ends with CR. In the older reports the fields before the position differ by model (model,
one or five cell fields); date and time are known by their form and a latitude by its sign, so the position is found
from them. A universal report begins with a mask that says which fields follow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

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
from cocket.core.wire import (
    Bits,
    Columns,
    Cursor,
    Record,
    bcd,
    decimal,
    digits,
    pad,
    raw,
    u8,
    u16,
    u32,
    utc_parts,
    utc_us,
)

FIX: Final = Columns("lat", "lon", "speed", "course")
STATE: Final = Columns("satellites", "fix", "distance", "power", "io")
METER: Final = Columns("hours", "battery", "real_time")
REPORT: Final = Columns(
    "header", "device", "model", "version", "date", "time", "cell", *FIX.names, *STATE.names, "mode", "number",
    *METER.names,
)  # fmt: skip
"""ST300STT with ``HBM_STT=1``, which the simulation sends."""

UNIVERSAL: Final[Mapping[int, str]] = {
    1: "model", 2: "version", 3: "real_time", 4: "date", 5: "time", 6: "cell", 7: "mcc", 8: "mnc", 9: "lac",
    10: "level", 11: "lat", 12: "lon", 13: "speed", 14: "course", 15: "satellites", 16: "fix", 17: "inputs",
    18: "outputs", 19: "mode", 20: "reason", 21: "number", 22: "reserved", 23: "assigned",
}  # fmt: skip
"""Bits of the mask of a universal report; 19 to 21 are alert, its modifier and its data in ALT."""
_BEACON_MASK: Final = 0b1_1000_0011_0110
_ASSIGNED_BITS: Final = 31

BINARY: Final[Mapping[str, int]] = {
    "model": 1, "version": 3, "real_time": 1, "date": 3, "time": 3, "cell": 4, "mcc": 2, "mnc": 2, "lac": 2,
    "level": 1, "lat": 4, "lon": 4, "speed": 2, "course": 2, "satellites": 1, "fix": 1, "inputs": 1, "outputs": 1,
    "mode": 1, "reason": 2,
}  # fmt: skip
"""Bytes of each field in the compressed form, as far as they are known for every kind of report."""

ZIP: Final = Record(
    ">", bcd("device", 5), u8("model"), u16("version"), raw("time", 6), pad(3), u8("lat"), bcd("lat_micro", 3),
    u8("lon"), bcd("lon_micro", 3), u16("speed"), bcd("speed_cent", 1), u16("course"), bcd("course_cent", 1),
    u8("flags"), u32("distance"), pad(2), u8("io"), u8("event"),
)  # fmt: skip
"""Zip of the ST300 line: whole part and decimals of a number stand apart. Lengths from the maker's table."""
ZIP_FLAGS: Final = Bits(fix=7, south=6, west=5)
_ZIP_SATELLITES: Final = 0x1F
_ZIP_KINDS: Final = {0x10: "STT", 0x11: "EMG", 0x12: "EVT", 0x13: "ALT"}
_ZIP_METER: Final = Record(">", u32("hours"), u8("volt"), bcd("volt_cent", 1), u8("real_time"))

EMERGENCIES: Final[Mapping[int, Row]] = {
    1: {"sos": True},
    3: {"external_power": False},
    7: {"vibration": True},
    8: {"vibration": True},
}
ALERTS: Final[Mapping[int, Row]] = {
    5: {"fence_left": True},
    6: {"fence_entered": True},
    14: {"battery_low": True},
    15: {"vibration": True},
    16: {"vibration": True},
    33: {"ignition": True},
    34: {"ignition": False},
    40: {"external_power": True},
    41: {"external_power": False},
    42: {"sos": True},
    50: {"jamming": True},
}
BUTTON: Final = 59
"""Alert: an i-Button was put in; its number is the alert's data."""

_OLD: Final = re.compile(r"(S[A-Z]\d{3}\w?)([A-Z]{3})\Z")
_KINDS: Final = frozenset({"STT", "EMG", "EVT", "ALT", "UEX"})
_QUIET: Final = frozenset(
    {"ALV", "BSA", "BDA", "HTE", "TRV", "DEX", "EMG", "CRR", "PDW", "NTW", "RPT", "KAR"}
)
_TIME: Final = re.compile(r"\d\d:\d\d:\d\d\Z")
_SIGNED: Final = re.compile(r"[+-]\d{1,3}\.\d+\Z")
_VOLTS: Final = re.compile(r"\d{1,2}\.\d+\Z")
_CARD: Final = re.compile(r"[0-9A-F]{14}\Z")
_SENSOR: Final = re.compile(r"([0-9A-F]{16}):([+-]?\d{1,3}\.\d+)\Z")
_SPACE: Final = re.compile(rb"[^\r\n\0 ]")
_LINE_END: Final = re.compile(rb"[\r\n]")
_SERIAL: Final = re.compile(rb";[01]{6,10};(\d{1,3});")
_SERIAL_START: Final = re.compile(rb"(?:S[A-Z]\d{3}\w?)?UEX;")
_SERIAL_WITHIN: Final = 300
_BINARY_KIND: Final = 0x80
_STX: Final = 0x02


def _split(buffer: bytes, at: int) -> Cut:
    """Compressed frames carry their length; text ends with a line end, but what a serial device said may hold one, too."""
    found = _SPACE.search(buffer, at)
    if found is None:
        return (len(buffer), len(buffer)) if len(buffer) > at else None
    first = found.start()
    if buffer[first] == _STX or buffer[first] & 0xF0 == _BINARY_KIND:
        if len(buffer) < first + 3:
            return None
        size = int.from_bytes(buffer[first + 1 : first + 3], "big") + (4 if buffer[first] == _STX else 3)
        return (first, first + size) if len(buffer) >= first + size else None
    search = first
    if _SERIAL_START.match(buffer, first):
        serial = _SERIAL.search(buffer, first, first + _SERIAL_WITHIN)
        if serial is not None:
            search = serial.end() + int(serial[1])
    end = _LINE_END.search(buffer, search)
    return None if end is None else (first, end.start())


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One frame: text or one of the compressed forms."""
    if frame[:1] == b"\x02":
        _zip(frame, session, reading)
        return
    if len(frame) > 3 and frame[0] & 0xF0 == _BINARY_KIND and frame[1] < 0x10:
        _binary(frame, session, reading)
        return
    v = frame.decode("latin-1").strip("\r\n\0 ").split(";")
    old = _OLD.match(v[0])
    if len(v) < 2 or not (old or re.fullmatch(r"[A-Z]{3}|S[A-Z]9\d\d", v[0])):
        raise Undecodable("no-frame", "a report begins with its kind, such as ST300STT, and a device")
    if old is not None:
        _older(old[1], old[2], v, session, reading)
    elif v[0][0] == "S" and len(v[0]) == 5:
        _st910(v, session, reading)
    else:
        _universal(v, session, reading)


def _moment(date: str, time: str) -> int | None:
    """UTC µs of yyyymmdd and hh:mm:ss."""
    if not _TIME.match(time):
        raise Undecodable("malformed", f"{time[:16]!r} is no time (hh:mm:ss)")
    d = digits(date)
    return utc_us(d // 10000, d // 100 % 100, d % 100, *(digits(x) for x in time.split(":")))


def _position(v: Sequence[str]) -> tuple[Row, int]:
    """Time and position of an older report, and where the next field is."""
    clock = next((i for i, x in enumerate(v) if _TIME.match(x)), 0)
    at = next((i for i in range(clock + 1, len(v) - 3) if _SIGNED.match(v[i])), 0)
    if not clock or not at:
        raise Undecodable("truncated", "there are no time and position in the report")
    m = FIX.read(v[at:])
    return {
        "observed_us": _moment(v[clock - 1], v[clock]),
        "lat_deg": decimal(m["lat"]),
        "lon_deg": decimal(m["lon"]),
        "speed_mps": decimal(m["speed"]) * KMH,
        "course_deg": decimal(m["course"]),
    }, at + len(FIX.names)


def _older(model: str, kind: str, v: list[str], session: Session, reading: Reading) -> None:
    if v[1] == "Res":
        session.device_id = v[2]
        reading.results.append(Result(v[4] if len(v) > 4 else kind, good=True, text=";".join(v[3:])[:200]))
        return
    session.device_id = v[1]
    if kind == "HTE":
        _travel(v, reading)
        return
    if kind not in _KINDS:
        if kind not in _QUIET:
            raise Undecodable("unknown-type", f"a report {kind} is not known")
        return
    if model.startswith("ST4") and kind in {"STT", "ALT"}:
        _st400(v, reading)
        return
    row, at = _position(v)
    m = STATE.read(v[at:])
    at += len(STATE.names)
    row |= {
        "satellites": digits(m["satellites"]),
        "fix_valid": m["fix"] == "1",
        "odometer_m": float(digits(m.get("distance", "0"))),
    }
    if len(m.get("io", "")) >= 6:
        row["ignition"] = m["io"][0] == "1"
    if kind == "UEX":
        at = _serial(v, at, row)
    else:
        number = digits(v[at]) if len(v) > at and v[at] else 0
        at += 1
        if kind == "STT":
            if len(v) > at and v[at].isdigit():
                row["sequence"] = int(v[at])
            at += 1
        elif kind in {"EMG", "ALT"}:
            row |= (EMERGENCIES if kind == "EMG" else ALERTS).get(number, {})
    reading.rows.append(row)
    _meter(v, at, row)
    _rest(v, at, row, reading)


def _meter(v: Sequence[str], at: int, row: Row) -> None:
    """Hours, volts of the backup battery, real time or stored: only where the device is set to send them."""
    if len(v) >= at + 3 and v[at].isdigit() and _VOLTS.match(v[at + 1]) and v[at + 2] in {"0", "1"}:
        volts = float(v[at + 1])
        if volts > 0:
            row["battery_v"] = volts
        if v[at + 2] == "0":
            row["delayed"] = True


def _rest(v: Sequence[str], at: int, row: Row, reading: Reading) -> None:
    """Driver's key and temperature sensors, which are known by their form. The first sensor stands in the report's row."""
    for i in range(at, len(v)):
        if _CARD.match(v[i]) and v[i].strip("0") and v[i + 1 : i + 2] in (["0"], ["1"]):
            row["card_id"] = v[i]
        sensor = _SENSOR.match(v[i])
        if sensor is not None and "temp_c" not in row:
            row["temp_c"] = float(sensor[2])
        elif sensor is not None:
            reading.rows.append(
                {"observed_us": row["observed_us"], "temp_c": float(sensor[2]), "reader_id": sensor[1]}
            )


def _serial(v: Sequence[str], at: int, row: Row) -> int:
    """UEX: what a device on the serial line said (it may hold semicolons), and its checksum. Gives the place behind."""
    left = digits(v[at])
    at += 1
    while left > 0 and at < len(v):
        said = v[at].strip()
        if said.startswith("RFID:"):
            row["card_id"] = said[5:69] or None
        elif said.startswith("GTSL|") and said.count("|") >= 4:
            row["card_id"] = said.split("|")[4][:64] or None
        left -= len(v[at]) + 1
        at += 1
    return at + 1


def _travel(v: Sequence[str], reading: Reading) -> None:
    """HTE: a drive is over; of it, who drove."""
    clock = next((i for i, x in enumerate(v) if _TIME.match(x)), 0)
    if _CARD.match(v[-1]) and v[-1].strip("0"):
        when = _moment(v[clock - 1], v[clock]) if clock else None
        reading.rows.append({"observed_us": when, "card_id": v[-1]})


def _st400(v: Sequence[str], reading: Reading) -> None:
    """ST4xx, on battery: seven cells, volts, real time, number; then the position, whose fields may be empty."""
    cells = 5 if v[3] == "41" else 4
    state = v[cells + 42 :]
    volts, real_time, number = state[0], state[1], state[2]
    row: Row = {"battery_v": decimal(volts), "sequence": digits(number)}
    if real_time == "0":
        row["delayed"] = True
    if any(_TIME.match(x) for x in state):
        place, at = _position(state)
        row |= place
        row["satellites"] = digits(state[at])
        row["fix_valid"] = state[at + 1] == "1"
    reading.rows.append(row)


def _st910(v: Sequence[str], session: Session, reading: Reading) -> None:
    """ST910, ST940: a word for the kind of report; volts, or behind a cell (PROT_TYPE 1) distance and per cent."""
    if len(v) < 3:
        raise Undecodable("truncated", "a report has a kind and a device")
    session.device_id = v[2]
    if v[1] not in {"Location", "Emergency", "Alert"}:
        if v[1] not in {"Alive", "Res", "Network"}:
            raise Undecodable("unknown-type", f"a report {v[1][:16]!r} is not known")
        return
    row, at = _position(v)
    with_cell = not _TIME.match(v[at - len(FIX.names) - 1])
    row["fix_valid"] = v[at] == "1"
    at += 1
    if with_cell:
        row["odometer_m"] = float(digits(v[at]))
        at += 1
    if len(v) > at and _VOLTS.match(v[at]):
        row["battery_v"] = float(v[at])
        at += 1
    elif with_cell and v[1] == "Location":
        row["battery_pct"] = float(digits(v[at]))
        at += 1
    if v[1] == "Emergency" and v[at : at + 1] == ["1"]:
        row["sos"] = True
    if v[1] == "Location" and len(v) > at + 2 and v[at + 2].isdigit():
        row["sequence"] = int(v[at + 2])
    reading.rows.append(row)


def _universal(v: Sequence[str], session: Session, reading: Reading) -> None:
    kind = v[0]
    session.device_id = v[1]
    if kind == "RES":
        reading.results.append(Result(";".join(v[2:4]), good=True, text=";".join(v[2:])[:200]))
        return
    if kind not in {"STT", "ALT", "UEX", "BLE"}:
        if kind not in _QUIET:
            raise Undecodable("unknown-type", f"a report {kind} is not known")
        return
    mask = _BEACON_MASK if kind == "BLE" else int(v[2], 16)
    at = 2 if kind == "BLE" else 3
    m: dict[str, str] = {}
    row: Row = {}
    for bit, name in UNIVERSAL.items():
        if kind == "UEX" and bit == 19:
            at = _serial(v, at, row)
            break
        if mask >> bit & 1:
            m[name] = v[at]
            at += 1
    if "date" in m and "time" in m:
        row["observed_us"] = _moment(m["date"], m["time"])
    if m.get("lat") and m.get("lon"):
        row |= {"lat_deg": decimal(m["lat"]), "lon_deg": decimal(m["lon"])}
        row["fix_valid"] = kind == "BLE" or m.get("fix") == "1"
    if m.get("speed"):
        row["speed_mps"] = decimal(m["speed"]) * KMH
    if m.get("course"):
        row["course_deg"] = decimal(m["course"])
    if m.get("satellites"):
        row["satellites"] = digits(m["satellites"])
    if m.get("inputs"):
        row["ignition"] = m["inputs"][-1] == "1"
    if m.get("real_time") == "0":
        row["delayed"] = True
    if kind == "ALT" and m.get("mode"):
        alert = digits(m["mode"])
        row |= ALERTS.get(alert, {})
        if alert == BUTTON and m.get("number"):
            row["card_id"] = m["number"][:64]
    elif kind == "STT" and m.get("number"):
        row["sequence"] = digits(m["number"])
    if (
        m.get("assigned")
        and int(m["assigned"], 16) & 1
        and len(v) > at
        and _VOLTS.match(v[at])
        and float(v[at])
    ):
        row["battery_v"] = float(v[at])
    reading.rows.append(row)
    if kind == "BLE":
        _beacons(v, at, row.get("observed_us"), reading)


def _beacons(v: Sequence[str], at: int, when: int | None, reading: Reading) -> None:
    """Beacons heard: level (mean, least, most), address, samples, major, minor. A row for each, without a position."""
    for i in range(min(digits(v[at]), (len(v) - at - 1) // 7)):
        level, _least, _most, address = v[at + 1 + 7 * i : at + 5 + 7 * i]
        reading.rows.append(
            {"observed_us": when, "code": address[:64], "symbology": "ble", "rssi_dbm": decimal(level)}
        )


def _binary(frame: bytes, session: Session, reading: Reading) -> None:
    """Universal report, compressed: kind, length, device, mask of three bytes, and the fields that it announces."""
    cursor = Cursor(frame)
    kind, size = cursor.uint(1), cursor.uint(2)
    if size != cursor.left:
        raise Undecodable("length", f"the frame says that {size} bytes follow its head, {cursor.left} do")
    session.device_id = cursor.take(5).hex()
    if kind not in {0x81, 0x82}:
        return
    mask = cursor.uint(3)
    m = {
        name: cursor.uint(BINARY[name])
        for bit, name in UNIVERSAL.items()
        if mask >> bit & 1 and name in BINARY
    }
    row: Row = {"fix_valid": m.get("fix", 0) > 0}
    if "date" in m and "time" in m:
        row["observed_us"] = utc_us(*m["date"].to_bytes(3, "big"), *m["time"].to_bytes(3, "big"))
    if "lat" in m and "lon" in m:
        row |= {"lat_deg": _sign_and_size(m["lat"]) / 1e6, "lon_deg": _sign_and_size(m["lon"]) / 1e6}
    if "speed" in m:
        row["speed_mps"] = m["speed"] / 100 * KMH
    if "course" in m:
        row["course_deg"] = m["course"] / 100
    row["satellites"] = m.get("satellites")
    if "inputs" in m:
        row["ignition"] = m["inputs"] & 1 == 1
    if m.get("real_time") == 0:
        row["delayed"] = True
    if kind == 0x82:
        row |= ALERTS.get(m.get("mode", 0), {})
        if m.get("mode") == BUTTON and mask >> 21 & 1:
            row["card_id"] = cursor.take(8).hex()
    reading.rows.append(row)


def _sign_and_size(value: int) -> int:
    return -(value & 0x7FFFFFFF) if value & 0x80000000 else value


def _zip(frame: bytes, session: Session, reading: Reading) -> None:
    """ST300 line, compressed. Speed in km/h, as in the text of the same report."""
    size = int.from_bytes(frame[1:3], "big")
    if len(frame) != size + 4:
        raise Undecodable("length", f"the frame says that it has {size + 4} bytes, it has {len(frame)}")
    cursor = Cursor(frame, 3, len(frame) - 1)
    kind = _ZIP_KINDS.get(cursor.uint(1))
    if kind is None:
        session.device_id = frame[4:9].hex()[:9]
        return
    m = cursor.record(ZIP)
    session.device_id = m["device"][:9]
    flags = ZIP_FLAGS.read(m["flags"])
    lat = m["lat"] + digits(m["lat_micro"]) / 1e6
    lon = m["lon"] + digits(m["lon_micro"]) / 1e6
    row: Row = {
        "observed_us": utc_us(*m["time"]),
        "lat_deg": -lat if flags["south"] else lat,
        "lon_deg": -lon if flags["west"] else lon,
        "fix_valid": flags["fix"],
        "satellites": m["flags"] & _ZIP_SATELLITES,
        "speed_mps": (m["speed"] + digits(m["speed_cent"]) / 100) * KMH,
        "course_deg": m["course"] + digits(m["course_cent"]) / 100,
        "odometer_m": float(m["distance"]),
        "ignition": m["io"] & 1 == 1,
    }
    if kind in {"EMG", "ALT"}:
        row |= (EMERGENCIES if kind == "EMG" else ALERTS).get(m["event"], {})
    if kind == "STT":
        row["sequence"] = digits(cursor.take(2).hex())
    if cursor.left == _ZIP_METER.size:
        meter = cursor.record(_ZIP_METER)
        row["battery_v"] = (meter["volt"] + digits(meter["volt_cent"]) / 100) or None
        if meter["real_time"] == 0:
            row["delayed"] = True
    reading.rows.append(row)


def _simulate(row: Row, sequence: int) -> bytes:
    at = utc_parts(row["observed_us"])
    values = {
        "header": "ST300STT",
        "device": str(row["device_id"]),
        "model": "04",
        "version": "706",
        "date": f"{at:%Y%m%d}",
        "time": f"{at:%H:%M:%S}",
        "cell": "cc719",
        "lat": f"{row.get('lat_deg', 0.0):+010.6f}",
        "lon": f"{row.get('lon_deg', 0.0):+011.6f}",
        "speed": f"{row.get('speed_mps', 0.0) / KMH:07.3f}",
        "course": f"{row.get('course_deg', 0.0):06.2f}",
        "satellites": str(row.get("satellites", 0)),
        "fix": str(int(row.get("fix_valid", True))),
        "distance": f"{row.get('odometer_m', 0.0):.0f}",
        "power": "12.50",
        "io": "100000" if row.get("ignition") else "000000",
        "mode": "2" if row.get("ignition") else "1",
        "number": f"{sequence % 10000:04d}",
        "hours": "000000",
        "battery": f"{row.get('battery_v', 0.0):.2f}",
        "real_time": "0" if row.get("delayed") else "1",
    }
    return ";".join(REPORT.write(values)).encode() + b"\r"


def _order(order: str) -> Any:
    def build(device_id: str, parameters: Mapping[str, Any], _sequence: int) -> bytes:
        model = str(parameters.get("model", "ST300"))
        if not re.fullmatch(r"S[AT]\d{3}", model):
            raise Undecodable("parameter", "model: two letters and three digits, such as ST300 or SA200")
        return f"{model}CMD;{device_id};02;{order}\r".encode()

    return build


_MODEL: Final = {"model": "as its reports begin, such as ST300 or SA200"}

PROTOCOL: Final = Protocol(
    name="suntech",
    title="Suntech trackers (SA200 to ST900, universal; text and compressed)",
    document="Suntech ST300/340 Operation Manual 1.41; Universal Reporting Guide 1.62",
    family="tracker",
    decode=decode,
    split=_split,
    text=True,
    doors=("tcp", "udp"),
    port=5011,
    starts=re.compile(
        rb"S[AT]\d{3}\w?[A-Z]{3};|S[AT]9\d\d;|(STT|ALT|UEX|BLE|BSA|RES|ALV|CRR);\d{4}"
        rb"|\x02\x00[\x20-\x7f][\x10-\x1b]|[\x81\x82]\x00"
    ),
    simulation=Simulation(
        report=_simulate,
        carries=frozenset(
            {
                "observed_us",
                "lat_deg",
                "lon_deg",
                "speed_mps",
                "course_deg",
                "fix_valid",
                "satellites",
                "odometer_m",
                "battery_v",
                "ignition",
                "delayed",
            }
        ),
        resolution={"battery_v": 0.01},
        device_id=lambda n: str(500_000_000 + n),
    ),
    commands={
        "position": Command(_order("StatusReq"), "report the position now", _MODEL),
        "reboot": Command(_order("Reboot"), "start the device anew", _MODEL),
        "output-on": Command(_order("Enable1"), "switch output 1 on", _MODEL),
        "output-off": Command(_order("Disable1"), "switch output 1 off", _MODEL),
    },
    sequence_bits=14,
)
