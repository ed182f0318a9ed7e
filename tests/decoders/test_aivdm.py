"""AIS captures: every message that pyais decodes by itself gives the same here, and whole files run through a stream."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyais import AISSentence, encode_dict
from tests.decoders.captures import folder

from cocket.core.framing import Stream
from cocket.core.protocol import Row, Session
from cocket.core.schema import NAV_STATUSES
from cocket.decoders import aivdm, protocol
from cocket.observations.frames import read_frame

FILES = sorted([*(folder() / "ais").glob("*.log"), *(folder() / "ais").glob("*.aivdm")])
KNOT = 1852 / 3600

captured = pytest.mark.skipif(not FILES, reason=f"no AIS captures below {folder()}")


def expected(path: Path) -> Iterator[dict[str, Any]]:
    """Message by message as pyais has it, parts gathered by a simple loop of our own."""
    waiting: dict[Any, list[AISSentence]] = {}
    for line in path.read_bytes().splitlines():
        at = line.find(b"!")
        if at < 0 or line.startswith(b"#"):
            continue
        star = line.find(b"*", at)
        part = AISSentence(line[at : star + 3])
        key = (part.seq_id, part.channel, part.frag_cnt)
        parts = waiting.setdefault(key, [])
        if part.frag_num == 1:
            parts.clear()
        parts.append(part)
        if len(parts) == part.frag_cnt:
            del waiting[key]
            yield AISSentence.assemble_from_iterable(parts).decode().asdict(enum_as_int=True)


def moment(said: dict[str, Any]) -> int | None:
    try:
        at = datetime(
            said["year"], said["month"], said["day"], said["hour"], said["minute"], said["second"], tzinfo=UTC
        )
    except ValueError:
        return None
    return int(at.timestamp()) * 1_000_000


def same(row: Row, said: dict[str, Any]) -> None:
    kind = said["msg_type"]
    assert row["device_id"] == f"mmsi-{said['mmsi']}"
    if said.get("lat") is not None and abs(said["lat"]) < 91:
        assert row["lat_deg"] == pytest.approx(said["lat"], abs=1e-9)
        assert row["lon_deg"] == pytest.approx(said["lon"], abs=1e-9)
    else:
        assert "lat_deg" not in row
    if kind == 27:
        assert row.get("speed_mps") == (pytest.approx(said["speed"] * KNOT) if said["speed"] < 63 else None)
        assert row.get("course_deg") == (said["course"] if said["course"] < 360 else None)
    if kind == 9:
        assert row.get("speed_mps") == (pytest.approx(said["speed"] * KNOT) if said["speed"] < 1023 else None)
        assert row.get("altitude_m") == (said["alt"] if said["alt"] < 4095 else None)
    if kind in {4, 11} and said["second"] < 60:
        assert row.get("observed_us") == moment(said)
    if kind in {19, 24} and "shipname" in said:
        assert row.get("vessel_name", "") == said["shipname"].partition("@")[0].strip()
    if kind == 21:
        assert row.get("vessel_name", "") == said["name"].partition("@")[0].strip()
    if kind == 24 and "callsign" in said:
        assert row.get("call_sign", "") == said["callsign"].partition("@")[0].strip()
        assert row.get("ship_type", 0) == said["ship_type"]
    if kind in {1, 2, 3, 18, 19}:
        if said["speed"] < 102.3:
            assert row["speed_mps"] == pytest.approx(said["speed"] * KNOT)
        else:
            assert "speed_mps" not in row
        assert row.get("course_deg") == (said["course"] if said["course"] < 360 else None)
        assert row.get("heading_deg") == (said["heading"] if said["heading"] < 360 else None)
    if kind in {1, 2, 3}:
        assert row.get("nav_status") == (NAV_STATUSES[said["status"]] if said["status"] < 15 else None)
    if kind == 5:
        for ours, theirs in (
            ("vessel_name", "shipname"),
            ("call_sign", "callsign"),
            ("destination", "destination"),
        ):
            assert row.get(ours, "") == said[theirs].partition("@")[0].strip()
        assert row.get("imo", "0") == (f"{said['imo']:07d}" if said["imo"] else "0")
        assert row.get("draught_m", 0) == said["draught"]
        assert row.get("ship_type", 0) == said["ship_type"]


@captured
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_message_says_what_pyais_says(path: Path) -> None:
    p, session = protocol("aivdm"), Session()
    rows = [row for line in path.read_bytes().splitlines() for row in read_frame(p, line, session).rows]
    told = 0
    for said in expected(path):
        if said["msg_type"] not in {1, 2, 3, 4, 5, 9, 11, 18, 19, 21, 24, 27}:
            continue
        same(rows[told], said)
        told += 1
    assert told == len(rows)


@captured
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_whole_files_as_a_stream(path: Path) -> None:
    p, session = protocol("aivdm"), Session()
    data = path.read_bytes()
    by_line = [row for line in data.splitlines() for row in read_frame(p, line, session).rows]
    stream, session = Stream(p), Session()
    pieces = [x for i in range(len(data)) for x in stream.feed(data[i : i + 1])] + stream.feed(b"\n")
    streamed = [row for x in pieces if not x.noise for row in read_frame(p, x.data, session).rows]
    assert streamed == by_line


def read(session: Session, **message: Any) -> list[Row]:
    lines = encode_dict(message, talker_id="AI", sentence_type="VDM")
    return [row for line in lines for row in read_frame(protocol("aivdm"), line.encode(), session).rows]


def test_the_ships_heard_least_lately_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aivdm, "_SHIPS", 3)
    session = Session()
    for n in range(3):
        read(session, msg_type=24, mmsi=244000000 + n, partno=0, shipname=f"SHIP {n}")
    read(session, msg_type=18, mmsi=244000000, lat=51.9, lon=4.1)
    read(session, msg_type=24, mmsi=244000009, partno=0, shipname="SHIP 9")
    assert len(session.memory["ships"]) == 3
    names = [
        read(session, msg_type=18, mmsi=244000000 + n, lat=51.9, lon=4.1)[0].get("vessel_name")
        for n in range(3)
    ]
    assert names == ["SHIP 0", None, "SHIP 2"]


def test_parts_that_are_never_completed_are_bounded() -> None:
    session = Session()
    for n in range(1000):
        first = encode_dict(
            {"msg_type": 5, "mmsi": 244000000 + n}, talker_id="AI", sentence_type="VDM", seq_id=n % 10
        )
        tag = f"g:1-2-{n}".encode()
        total = 0
        for b in tag:
            total ^= b
        read_frame(protocol("aivdm"), b"\\%b*%02X\\%b" % (tag, total, first[0].encode()), session)
    assert len(session.memory["parts"]) <= 64


@pytest.mark.parametrize("bits", range(6, 168, 6))
def test_what_is_cut_off_within_a_number_is_left_out(bits: int) -> None:
    whole = encode_dict(
        {
            "msg_type": 1,
            "mmsi": 244123456,
            "lat": 51.9,
            "lon": 4.1,
            "speed": 12.5,
            "course": 270.5,
            "heading": 272,
        },
        talker_id="AI",
        sentence_type="VDM",
    )[0].split(",")
    body = ",".join([*whole[:5], whole[5][: bits // 6], "0"])
    total = 0
    for b in body[1:].encode():
        total ^= b
    reading = read_frame(protocol("aivdm"), f"{body}*{total:02X}".encode(), Session())
    if bits < 38:
        assert reading.fault is not None
        return
    [row] = reading.rows
    assert row["device_id"] == "mmsi-244123456"
    assert row.get("lat_deg", 51.9) == pytest.approx(51.9)
    assert row.get("lon_deg", 4.1) == pytest.approx(4.1)
    assert row.get("speed_mps", 12.5 * KNOT) == pytest.approx(12.5 * KNOT)
    assert row.get("course_deg", 270.5) == 270.5
    assert row.get("heading_deg", 272) == 272
