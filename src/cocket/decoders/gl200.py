"""Queclink's @Track protocol in text (Traccar calls it Gl200): trackers of the GL, GV, GT, GB and CV families.

Document: Queclink, "@Track Air Interface Protocol" of the models (GL200, GL300 TRACGL300AN001, GV300 TRACGV300AN002, GV200
TRACGV200AN003, …): frames ``+RESP:GTxxx,…$`` and, from the device's buffer, ``+BUFF:GTxxx,…$``; answers ``+ACK:GTxxx,…$``.

What every frame has in common is used first: the protocol version (its first digits name the model) and the device stand at
the front, the time of sending and the running number at the end, and between them any number of locations of one form:
accuracy, speed, course, altitude, longitude, latitude, time, then WLAN and cell. What stands behind the
last location depends on the family of the model: see ``PORTABLE`` and ``_vehicle``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cocket.core.framing import between
from cocket.core.protocol import (
    Command,
    Protocol,
    Reading,
    Result,
    Row,
    Session,
    Simulation,
    Undecodable,
)
from cocket.core.units import KMH
from cocket.core.wire import Columns, decimal, digits, utc_parts, utc_us

LOCATION: Final = Columns("accuracy", "speed", "course", "altitude", "lon", "lat", "time")
CELL: Final = Columns("mcc", "mnc", "lac", "cid")
_WLAN_PARTS: Final = 5

FRI: Final = Columns(
    "version", "imei", "name", "power_mv", "report", "count", *LOCATION.names, *CELL.names, "reserved",
    "odometer_km", "hours", "adc_1", "adc_2", "battery_pct", "status", "", "", "", "sent", "count_number",
)  # fmt: skip
"""+RESP:GTFRI of the GV300, which the simulation sends."""

INF: Final = Columns(
    "version", "imei", "name", "state", "iccid", "signal", "errors", "external_power", "power"
)  # fmt: skip

EVENTS: Final[Mapping[str, Row]] = {
    "SOS": {"sos": True},
    "BPL": {"battery_low": True},
    "JDR": {"jamming": True},
    "EPN": {"external_power": True},
    "MPN": {"external_power": True},
    "EPF": {"external_power": False},
    "MPF": {"external_power": False},
    "BTC": {"charging": True},
    "STC": {"charging": False},
    "IGN": {"ignition": True},
    "VGN": {"ignition": True},
    "IGF": {"ignition": False},
    "VGF": {"ignition": False},
    "GIN": {"fence_entered": True},
    "GOT": {"fence_left": True},
}
"""What the very kind of a report says."""

JAMMING: Final = {"1": False, "2": True}
"""GTJDS: jamming left, entered."""
FENCE: Final = {"0": "fence_left", "1": "fence_entered"}
"""GTGEO, last digit of the report type."""

PORTABLE: Final = {
    "02": 1, "21": 1, "1A": 1, "28": 1, "2C": 1, "30": 1, "F5": 1, "C3": 1, "11": 1,  # GL200, GL300, GL320M, GL500
    "42": 2,  # GT501
    "DE": 3, "2E": 3, "40": 3, "44": 3,  # GL500M, GL500 of 2016, GL530
}  # fmt: skip
"""Models that run on their battery, by the first digits of the version: where behind the cell their charge in per cent stands.

1: [odometer in km], charge; 2: reserved, signal, charge; 3: signal, bit errors, battery mV, charge, mode, motion, °C.
"""
_WITH_CHARGE: Final = frozenset(
    {"FRI", "GEO", "SPD", "SOS", "RTL", "PNL", "NMR", "DIS", "DOG", "IGL", "ERI", "LSA"}
)
_CHARGE_BEFORE_FIX: Final = frozenset({"40", "44"})
_VIN_FIRST: Final = frozenset({"1F", "36", "2D"})
"""GV500: the vehicle's number stands between device and device name."""
_SHORT_STATUS: Final = frozenset({"DF", "BD"})
"""CV100, CV200: a device status of one byte."""

_HEAD: Final = re.compile(r"\+(RESP|BUFF|ACK):GT([A-Z0-9]{3})\Z")
_BINARY: Final = re.compile(rb"\+(RSP|BSP|EVT|BVT|INF|BNF|HBD|CRD|BRD|ACK)[^:]")
_DEGREES: Final = re.compile(r"-?\d{1,3}\.\d{6}\Z")
_TIME: Final = re.compile(r"\d{14}\Z")
_MAC: Final = re.compile(r"[0-9A-Fa-f]{12}\Z")
_COUNT: Final = re.compile(r"[0-9A-Fa-f]{4}\Z")
_VIN: Final = re.compile(r"[0-9A-Z]{17}\Z")
_STATUS: Final = re.compile(r"[0-9A-Fa-f]{6}\Z")
_SHORT: Final = re.compile(r"[0-9A-Fa-f]{2}\Z")
_KILOMETRES: Final = re.compile(r"\d{1,8}\.\d{1,3}\Z")
_VOLTS: Final = re.compile(r"\d\.\d{1,2}\Z")
_IGNITION_OFF: Final = frozenset({0x11, 0x12, 0x16, 0x1A})
_IGNITION_ON: Final = frozenset({0x21, 0x22})
_JAMMED: Final = frozenset({2, 3})
_ASU_MOST: Final = 31


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One frame of text, with or without its ``$``."""
    v = frame.decode("latin-1").strip("\r\n\0 ").rstrip("$").split(",")
    head = _HEAD.match(v[0])
    if head is None:
        if _BINARY.match(frame):
            raise Undecodable("unknown-type", "a frame of the binary form of @Track, which is not read")
        raise Undecodable("no-frame", "a frame begins with +RESP:GT, +BUFF:GT or +ACK:GT")
    if len(v) < 4:
        raise Undecodable("truncated", f"{len(v)} fields; a frame has at least a device, a time and a number")
    origin, kind = head.groups()
    old = len(v[1]) > 10  # the GT200 and GT300 have no version before the device
    session.device_id = v[1] if old else v[2]
    count = v[-1] if _COUNT.match(v[-1]) else ""
    if origin == "ACK":
        if kind == "HBD":
            reading.replies.append(f"+SACK:GTHBD,{v[1]},{v[-1]}$".encode("ascii", "replace"))
        else:
            reading.results.append(Result(f"GT{kind}", good=True, text=",".join(v[3:])[:200]))
        return
    if not old:
        _report(kind, v, count, reading)
    else:
        reading.rows += [_fix(kind, v, i) for i in _places(v)]
    if origin == "BUFF":
        for row in reading.rows:
            row["delayed"] = True
    if count:
        reading.replies.append(f"+SACK:{count}$".encode())


def _report(kind: str, v: list[str], count: str, reading: Reading) -> None:
    """Locations to rows; what the device says of itself goes to the last of them, or into a row without a position."""
    model = v[1][:2]
    places = _places(v)
    ends = [i - 4 for i in (*places[1:], len(v) + 2)]
    state = dict(EVENTS.get(kind, {}))
    tail: list[str] = []
    for i, end in zip(places, ends, strict=False):
        row = _fix(kind, v, i)
        tail = v[_behind(v, i + 3) : end]
        if tail and model in PORTABLE and _KILOMETRES.match(tail[0]):
            row["odometer_m"] = float(tail[0]) * 1000
        reading.rows.append(row)
    at = 0
    if not places and kind in {"FRI", "ERI"}:
        tail = _tail_without_fix(kind, model, v)
    if model in PORTABLE:
        _portable(kind, PORTABLE[model], tail, state)
    else:
        at = _appended(tail, reading.rows[-1] if places else state)
        at = _vehicle(kind, model, tail, at, state)
    special = _SPECIAL.get(kind)
    if special is not None:
        special(v, state)
    more = _accessories(v, model, tail, at) if kind == "ERI" and at else []
    state = {name: value for name, value in state.items() if value is not None}
    if places:
        reading.rows[-1] |= state
    elif state:
        reading.rows.append({"observed_us": _time(v[-2]), **state})
    if len(reading.rows) == 1 and count:
        reading.rows[0]["sequence"] = int(count, 16)
    at_us = reading.rows[-1]["observed_us"] if places else _time(v[-2])
    reading.rows += [{"observed_us": at_us, **row} for row in more]


def _places(v: Sequence[str]) -> list[int]:
    """Where longitudes stand: a longitude, a latitude and a time that follow each other are a location."""
    found, i, last = [], 7, len(v) - 2
    while i < last:
        if v[i][-7:-6] == "." and _DEGREES.match(v[i]) and _DEGREES.match(v[i + 1]) and _TIME.match(v[i + 2]):
            found.append(i)
            i += 3
        else:
            i += 1
    return found


def _fix(kind: str, v: Sequence[str], i: int) -> Row:
    """The location whose longitude is at ``i``. Accuracy is the HDOP; 0 where it is the last place that was known."""
    m = LOCATION.read(v[i - 4 : i + 3])
    accuracy = decimal(m.get("accuracy", "0"))
    row: Row = {
        "observed_us": _time(m["time"]),
        "lat_deg": float(m["lat"]),
        "lon_deg": float(m["lon"]),
        "fix_valid": accuracy > 0 if kind == "CAN" else True,
        "hdop": accuracy or None,
    }
    if "speed" in m:
        row["speed_mps"] = decimal(m["speed"]) * KMH
    if "course" in m:
        row["course_deg"] = decimal(m["course"])
    if "altitude" in m:
        row["altitude_m"] = decimal(m["altitude"])
    return row


def _time(text: str) -> int | None:
    """UTC µs of YYYYMMDDHHMMSS; None if it is none."""
    if not _TIME.match(text):
        return None
    return utc_us(*(int(text[a:b]) for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))))


def _behind(v: Sequence[str], i: int) -> int:
    """What lies behind WLANs (count, then address, level and three spare fields of each) and the cell."""
    if i + 1 < len(v) and _MAC.match(v[i + 1]) and v[i].isdigit():
        i += 1 + _WLAN_PARTS * int(v[i][:3])
    if i < len(v) and _TIME.match(v[i]):
        return i
    return i + len(CELL.names)


def _tail_without_fix(kind: str, model: str, v: list[str]) -> list[str]:
    """What stands behind a location that is empty, in reports whose front is always the same."""
    i = 7 + (kind == "ERI") + (model in _VIN_FIRST and bool(_VIN.match(v[3])))
    if any(v[i + 4 : i + 7]) or len(v) < i + 13:
        return []
    return v[i + 7 + len(CELL.names) : -2]


def _portable(kind: str, place: int, tail: Sequence[str], state: Row) -> None:
    if kind not in _WITH_CHARGE or len(tail) <= place:
        return
    if len(tail[place]) <= 3:
        state["battery_pct"] = _per_cent(tail[place])
    if place == 3:
        state["gsm_signal"] = _signal(tail[0])
        if kind != "LSA" and tail[2].isdigit():
            state["battery_v"] = int(tail[2]) / 1000
        if len(tail) > 6 and _KILOMETRES.match(tail[6].removeprefix("-")):
            state["temp_c"] = decimal(tail[6])
    elif place == 2:
        state["gsm_signal"] = _signal(tail[1])


def _appended(tail: Sequence[str], row: Row) -> int:
    """Fields that the append mask announces: satellites, trigger, GNSS jamming. Gives where the rest begins."""
    if not tail or not _SHORT.match(tail[0]):
        return 1
    mask, at = int(tail[0], 16), 1
    if mask & 1 and len(tail) > at:
        if tail[at].isdigit():
            row["satellites"] = int(tail[at])
        at += 1
    if mask & 2:
        at += 1
    if mask & 0x10 and len(tail) > at:
        if tail[at].isdigit() and int(tail[at]) in _JAMMED:
            row["jamming"] = True
        at += 1
    return at


def _vehicle(kind: str, model: str, tail: Sequence[str], at: int, state: Row) -> int:
    """Odometer, hours, one to three analogue inputs, charge, device status. Gives where the rest begins; 0 if unknown.

    How many analogue inputs there are depends on the model; the status finds itself, as the only field of six
    hexadecimal digits, and the charge of the backup battery stands before it.
    """
    if kind not in {"CAN", "DAT", "BAA", "BID", "LSA", "DTT"}:
        for text in tail[at - 1 : at + 2]:
            if _KILOMETRES.match(text):
                state["odometer_m"] = float(text) * 1000
                break
    if kind not in {"FRI", "ERI"}:
        return 0
    if model in {"04", "35"}:  # GV200: three analogue inputs, inputs, outputs, kind of serial device
        return at + 8
    short = model in _SHORT_STATUS
    for i in [at + 5] if short else range(at + 2, at + 9):
        if i < len(tail) and (_SHORT if short else _STATUS).match(tail[i]):
            state |= _ignition(int(tail[i][:2], 16))
            charge = _per_cent(tail[i - 1])
            if charge is not None:
                state["battery_pct"] = charge
            return i + 2
    return 0


def _ignition(motion: int) -> Row:
    """Motion states: tens 1 ignition off, 2 on, 4 (no ignition wire) unknown."""
    if motion in _IGNITION_OFF:
        return {"ignition": False}
    return {"ignition": True} if motion in _IGNITION_ON else {}


def _per_cent(text: str) -> float | None:
    return float(text) if text.isdigit() and len(text) <= 3 and int(text) <= 100 else None


def _signal(text: str) -> int | None:
    """Mobile signal in per cent of 0 to 31 (3GPP TS 27.007, +CSQ); 99 is not known."""
    return round(int(text) * 100 / _ASU_MOST) if text.isdigit() and int(text) <= _ASU_MOST else None


def _accessories(v: Sequence[str], model: str, tail: Sequence[str], at: int) -> list[Row]:
    """GTERI: sensors on the 1-wire bus and Bluetooth accessories, as the mask says that they are there; a row for each."""
    mask = int(v[4], 16) if _VIN.match(v[3]) is None or model not in _VIN_FIRST else int(v[5], 16)
    field = iter(tail[at:])
    rows: list[Row] = []
    try:
        if mask & 1 and model != "F1":
            next(field)
        if mask & 2:
            for _ in range(digits(next(field))):
                sensor, _kind, value = next(field), next(field), next(field)
                if value:
                    sixteenths = int(value, 16)
                    signed = sixteenths - 0x10000 if sixteenths & 0x8000 else sixteenths
                    rows.append({"reader_id": sensor[:64] or None, "temp_c": signed / 16})
        if mask & (4 | 8 | 0x10 | 0x80 | 1 << 29) or (mask & 1 and model == "F1") or not mask & 0x100:
            return rows  # CAN, fuel and radio sensors are not read, nor what stands behind them
        for _ in range(digits(next(field))):
            for _skip in range(5 if model == "C2" else 4):
                next(field)
            have = int(next(field), 16)
            values = {bit: next(field) for bit in range(16) if have >> bit & 1 and bit != 6}
            row: Row = {}
            if values.get(4):
                row["temp_c"] = decimal(values.get(11) or values[4])
            if values.get(5):
                row["humidity_pct"] = decimal(values[5])
            if row:
                rows.append({"reader_id": values.get(1), **row})
    except (StopIteration, ValueError, Undecodable):
        pass  # firmware with another list of accessories: the position is what counts
    return rows


def _inf(v: list[str], state: Row) -> None:
    """GTINF: the device's own state. Battery volts are the first field of that form behind the external power."""
    if v[1][:2] in _VIN_FIRST and _VIN.match(v[3]):
        v = [*v[:3], *v[4:]]
    m = INF.read(v[1:])
    if "state" in m:
        state |= _ignition(int(m["state"], 16))
    state["gsm_signal"] = _signal(m.get("signal", ""))
    if m.get("external_power", "").isdigit():
        state["external_power"] = int(m["external_power"]) > 0
    if _KILOMETRES.match(m.get("power", "")):
        state["odometer_m"] = float(m["power"]) * 1000
    for i in range(10, min(13, len(v) - 3)):
        if _VOLTS.match(v[i]):
            state["battery_v"] = float(v[i])
            if v[i + 1] in {"0", "1"}:
                state["charging"] = v[i + 1] == "1"
            break
    if v[1][:2] in PORTABLE:
        for i in range(13, len(v) - 3):
            if _TIME.match(v[i]):
                state["battery_pct"] = _per_cent(v[i + 1])
                break


def _igl(v: list[str], state: Row) -> None:
    if _SHORT.match(v[5]):
        state["ignition"] = v[5][1] == "1"


def _jds(v: list[str], state: Row) -> None:
    if v[4] in JAMMING:
        state["jamming"] = JAMMING[v[4]]


def _geo(v: list[str], state: Row) -> None:
    if v[5][-1:] in FENCE:
        state[FENCE[v[5][-1]]] = True


def _stt(v: list[str], state: Row) -> None:
    if _SHORT.match(v[4]):
        state |= _ignition(int(v[4], 16))


def _bpl(v: list[str], state: Row) -> None:
    if _VOLTS.match(v[4]):
        state["battery_v"] = float(v[4])


def _tem(v: list[str], state: Row) -> None:
    if v[5]:
        state["temp_c"] = decimal(v[5])


def _ida(v: list[str], state: Row) -> None:
    state["card_id"] = v[5][:64] or None


def _wif(v: list[str], state: Row) -> None:
    state["battery_pct"] = _per_cent(v[-3])


def _lbs(v: list[str], state: Row) -> None:
    state["battery_pct"] = _per_cent(v[6])


def _str(v: list[str], state: Row) -> None:
    """GTSTR, GTCTN of the GL500 and GL530: temperature and charge stand before the location."""
    if v[1][:2] in _CHARGE_BEFORE_FIX:
        state["battery_pct"] = _per_cent(v[8])
        if v[7]:
            state["temp_c"] = decimal(v[7])


def _can(v: list[str], state: Row) -> None:
    """GTCAN: of the vehicle's bus, ignition and odometer; the mask says which fields are there."""
    mask, i = int(v[6], 16), 7
    i += mask & 1
    if mask & 2:
        if v[i].isdigit():
            state["ignition"] = int(v[i]) > 0
        i += 1
    if mask & 4 and v[i][:1] == "H" and v[i][1:].isdigit():
        state["odometer_m"] = int(v[i][1:]) * 100.0


def _baa(v: list[str], state: Row) -> None:
    """GTBAA: an accessory's alarm; its values follow the mask, from bit 0: name, address, status, mV, °C, %."""
    mask, i = int(v[8], 16), 9
    values = {}
    for bit in range(6):
        if mask >> bit & 1:
            values[bit] = v[i]
            i += 1
    if values.get(4):
        state["temp_c"] = decimal(values[4])
    if values.get(5):
        state["humidity_pct"] = decimal(values[5])
    if state:
        state["reader_id"] = values.get(1)


_SPECIAL: Final = {
    "INF": _inf,
    "IGL": _igl,
    "JDS": _jds,
    "GEO": _geo,
    "STT": _stt,
    "BPL": _bpl,
    "TEM": _tem,
    "IDA": _ida,
    "WIF": _wif,
    "LBS": _lbs,
    "STR": _str,
    "CTN": _str,
    "CAN": _can,
    "BAA": _baa,
}


def _simulate(row: Row, sequence: int) -> bytes:
    at = utc_parts(row["observed_us"]).strftime("%Y%m%d%H%M%S")
    values = {
        "version": "060502",
        "imei": str(row["device_id"]),
        "report": "10",
        "count": "1",
        "accuracy": "1",
        "speed": f"{row.get('speed_mps', 0.0) / KMH:.1f}",
        "course": f"{row.get('course_deg', 0.0):.0f}",
        "altitude": f"{row.get('altitude_m', 0.0):.1f}",
        "lon": f"{row.get('lon_deg', 0.0):.6f}",
        "lat": f"{row.get('lat_deg', 0.0):.6f}",
        "time": at,
        "reserved": "00",
        "odometer_km": f"{row.get('odometer_m', 0.0) / 1000:.1f}",
        "battery_pct": f"{row.get('battery_pct', 100.0):.0f}",
        "status": "220100" if row.get("ignition") else "110000",
        "sent": at,
        "count_number": f"{sequence & 0xFFFF:04X}",
    }
    kind = b"+BUFF" if row.get("delayed") else b"+RESP"
    return kind + b":GTFRI," + ",".join(FRI.write(values)).encode() + b"$"


def _request(sub_command: int) -> Any:
    def build(_device_id: str, parameters: Mapping[str, Any], sequence: int) -> bytes:
        password = str(parameters.get("password", ""))
        if not re.fullmatch(r"[0-9A-Za-z]{4,20}", password):
            raise Undecodable("parameter", "password: 4 to 20 letters and digits")
        return f"AT+GTRTO={password},{sub_command:X},,,,,,{sequence & 0xFFFF:04X}$".encode()

    return build


_PASSWORD: Final = {"password": "the device's password; from the factory the model's name, such as gl300"}

PROTOCOL: Final = Protocol(
    name="gl200",
    title="Queclink trackers (@Track, text)",
    document="Queclink @Track Air Interface Protocol (GL200, GL300, GV200, GV300 and later)",
    family="tracker",
    decode=decode,
    split=between(b"+", b"$", b"\0"),
    text=True,
    doors=("tcp", "udp"),
    port=5004,
    starts=re.compile(rb"\+(RESP|BUFF|ACK):GT[A-Z0-9]{3},"),
    simulation=Simulation(
        report=_simulate,
        carries=frozenset(
            {
                "observed_us",
                "lat_deg",
                "lon_deg",
                "speed_mps",
                "course_deg",
                "altitude_m",
                "battery_pct",
                "odometer_m",
                "ignition",
                "delayed",
            }
        ),
        resolution={"odometer_m": 60.0},
    ),
    commands={
        "position": Command(_request(1), "report the position now", _PASSWORD),
        "reboot": Command(_request(3), "start the device anew", _PASSWORD),
        "status": Command(_request(0xB), "report the device's state", _PASSWORD),
    },
    sequence_bits=16,
)
