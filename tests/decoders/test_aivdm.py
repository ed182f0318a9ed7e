"""AIS captures: every message that pyais decodes by itself gives the same here, and whole files run through a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyais import AISSentence
from tests.decoders.captures import folder

from cocket.core.framing import Stream
from cocket.core.protocol import Row, Session
from cocket.core.schema import NAV_STATUSES
from cocket.decoders import protocol
from cocket.observations.frames import read_frame

FILES = sorted([*(folder() / "ais").glob("*.log"), *(folder() / "ais").glob("*.aivdm")])
KNOT = 1852 / 3600

pytestmark = pytest.mark.skipif(not FILES, reason=f"no AIS captures below {folder()}")


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


def same(row: Row, said: dict[str, Any]) -> None:
    kind = said["msg_type"]
    assert row["device_id"] == f"mmsi-{said['mmsi']}"
    if "lat" in said and abs(said["lat"]) < 91:
        assert row["lat_deg"] == pytest.approx(said["lat"], abs=1e-9)
        assert row["lon_deg"] == pytest.approx(said["lon"], abs=1e-9)
    else:
        assert "lat_deg" not in row
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


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_whole_files_as_a_stream(path: Path) -> None:
    p, session = protocol("aivdm"), Session()
    data = path.read_bytes()
    by_line = [row for line in data.splitlines() for row in read_frame(p, line, session).rows]
    stream, session = Stream(p), Session()
    pieces = [x for i in range(0, len(data), 7) for x in stream.feed(data[i : i + 7])] + stream.feed(b"\n")
    streamed = [row for x in pieces if not x.noise for row in read_frame(p, x.data, session).rows]
    assert streamed == by_line
