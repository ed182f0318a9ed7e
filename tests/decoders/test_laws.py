"""Laws of every decoder, found by themselves: a new one gets these tests for nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.decoders.vectors import vectors

from cocket.core.framing import Stream
from cocket.core.protocol import Protocol, Row, Session
from cocket.core.schema import BY_NAME, Kind
from cocket.decoders import names, protocol
from cocket.observations.frames import DECODER_FAULT, read_frame

DOCS = Path(__file__).resolve().parents[2] / "docs" / "devices"
USUAL = {"lat_deg": 2e-5, "lon_deg": 2e-5, "speed_mps": 0.3, "observed_us": 1_000_000}

every = pytest.mark.parametrize("name", names())
simulated = pytest.mark.parametrize("name", [n for n in names() if protocol(n).simulation is not None])


def rows(p: Protocol) -> st.SearchStrategy[Row]:
    """Observations that a simulated device of this protocol may make."""
    assert p.simulation is not None
    usual: dict[str, st.SearchStrategy[Any]] = {
        "observed_us": st.integers(1_400_000_000, 2_000_000_000).map(lambda s: s * 1_000_000),
        "lat_deg": st.floats(-89, 89).map(lambda x: round(x, 5)),
        "lon_deg": st.floats(-179, 179).map(lambda x: round(x, 5)),
        "speed_mps": st.floats(0, 45),
        "course_deg": st.floats(0, 358),
        "altitude_m": st.floats(0, 4000),
        "battery_pct": st.integers(0, 100).map(float),
        "battery_v": st.floats(3, 4.2),
        "temp_c": st.floats(-30, 60),
        "humidity_pct": st.floats(0, 100),
        "satellites": st.integers(0, 15),
        "gsm_signal": st.integers(0, 100),
        "odometer_m": st.floats(0, 1e8),
        "fix_valid": st.booleans(),
    }

    def values(column: str) -> st.SearchStrategy[Any]:
        if column in usual:
            return usual[column]
        c = BY_NAME[column]
        if c.kind is Kind.BOOL:
            return st.booleans()
        if c.kind is Kind.TEXT:
            return st.text("0123456789", min_size=1, max_size=10)
        if c.kind is Kind.ENUM:
            return st.sampled_from(c.values)
        return st.integers(int(c.lo or 0), int(min(c.hi or 100, 100)))

    return st.fixed_dictionaries({n: values(n) for n in sorted(p.simulation.carries)})


def sessions(p: Protocol, device_id: str) -> Session:
    """A session in which the device has said who it is, as a connection begins."""
    session = Session()
    assert p.simulation is not None
    hello = p.simulation.hello(device_id)
    if hello:
        assert read_frame(p, hello, session).fault is None
    return session


@simulated
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_a_device_would_send_is_read_back(name: str, data: st.DataObject) -> None:
    p = protocol(name)
    sim = p.simulation
    assert sim is not None
    device_id = sim.device_id(data.draw(st.integers(0, 9999)))
    row = {"device_id": device_id, **data.draw(rows(p))}
    frame = sim.report(row, data.draw(st.integers(0, 200)))
    reading = read_frame(p, frame, sessions(p, device_id))
    assert reading.fault is None
    assert len(reading.rows) == 1
    back = reading.rows[0]
    assert back["device_id"] == device_id
    for column in sim.carries:
        said = row[column]
        if isinstance(said, float) or column in USUAL:
            tolerance = sim.resolution.get(column, USUAL.get(column, 1.0))
            assert back.get(column, 0) == pytest.approx(said, abs=tolerance), column
        elif isinstance(said, bool):
            assert back.get(column, False) == said, column  # an alarm that does not sound is often not sent
        elif column in sim.resolution:
            assert back.get(column, 0) == pytest.approx(said, abs=sim.resolution[column]), column
        else:
            assert back.get(column) == said, column
    again = sim.report({**row, **back}, 7)
    second = read_frame(p, again, sessions(p, device_id)).rows[0]
    for column in sim.carries:
        if column != "sequence" and column in back:
            assert second.get(column) == pytest.approx(back[column], abs=1e-9), f"{column} drifts"


def streams(p: Protocol) -> list[bytes]:
    """Frames as they stand in a stream: the vectors', else simulated ones."""
    out = [
        v.frame + (b"\r\n" if p.text and not v.frame.endswith((b"\n", b"#", b")", b"$", b";")) else b"")
        for v in vectors(p.name)
        if v.streams
    ]
    if p.simulation is not None:
        row = {
            "device_id": p.simulation.device_id(1),
            "observed_us": 1_790_000_000_000_000,
            "lat_deg": 22.5,
            "lon_deg": 114.1,
            "fix_valid": True,
            "speed_mps": 10.0,
            "course_deg": 90.0,
        }
        out += [p.simulation.report(row, i) for i in range(3)]
    return out


@every
def test_frames_arrive_glued_or_a_byte_at_a_time(name: str) -> None:
    p = protocol(name)
    if "tcp" not in p.doors:
        pytest.skip(f"{name} comes as whole messages, not as a stream")
    sent = streams(p)
    assert sent
    glued = Stream(p)
    together = [x.data for x in glued.feed(b"".join(sent)) if not x.noise]
    assert not glued.rest.strip(b"\r\n\0 ")
    assert len(together) == len(sent)
    slow = Stream(p)
    single = [x for b in b"".join(sent) for x in slow.feed(bytes([b]))]
    assert [x.data for x in single] == together
    assert not any(x.noise for x in single)


@every
def test_noise_between_frames_costs_no_frame(name: str) -> None:
    p = protocol(name)
    if "tcp" not in p.doors:
        pytest.skip(f"{name} comes as whole messages, not as a stream")
    for frame in streams(p)[-1:]:
        stream = Stream(p)
        pieces = stream.feed(frame + frame)
        assert [x.data for x in pieces if not x.noise], name


def fuzz(p: Protocol, n: int, seed: int) -> None:
    """Random and mutated frames: nothing leaves the decoder but readings."""
    rng = random.Random(seed)
    pool = streams(p) + [v.frame for v in vectors(p.name)]
    session = Session()
    for i in range(n):
        if i % 64 == 0:
            session = Session()
        if not pool or rng.random() < 0.15:
            frame = rng.randbytes(rng.randrange(0, 200))
        else:
            frame = bytearray(rng.choice(pool))
            for _ in range(rng.randrange(1, 6)):
                act, at = rng.randrange(4), rng.randrange(len(frame) + 1)
                if act == 0 and at < len(frame):
                    frame[at] = rng.randrange(256)
                elif act == 1:
                    del frame[at : at + rng.randrange(1, 8)]
                elif act == 2:
                    frame[at:at] = rng.randbytes(rng.randrange(1, 8))
                elif at < len(frame):
                    frame[at] ^= 1 << rng.randrange(8)
        reading = read_frame(p, bytes(frame), session)
        assert reading.fault is None or (reading.fault.rule and reading.fault.detail)
        assert reading.fault is None or reading.fault.rule != DECODER_FAULT, (
            bytes(frame).hex(),
            reading.fault.detail,
        )
        for row in reading.rows:
            assert ("lat_deg" in row) == ("lon_deg" in row)
        if i % 16 == 0:
            stream = Stream(p)
            stream.feed(bytes(frame) + bytes(frame))
            stream.end()


MOST = {"barcode": 500}
"""Pictures are read in a process of their own, each."""


@every
def test_no_bytes_raise(name: str) -> None:
    fuzz(protocol(name), MOST.get(name, 20_000), seed=1)


@pytest.mark.soak
@every
def test_no_bytes_raise_for_long(name: str) -> None:
    import gc
    import tracemalloc

    p = protocol(name)
    fuzz(p, 10_000, seed=2)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    fuzz(p, 50 * MOST.get(name, 20_000), seed=3)
    gc.collect()  # broken XML leaves cycles behind
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 1 << 20, f"{grown} bytes grown"


@every
def test_long_frames_take_linear_time(name: str) -> None:
    """Twice the bytes, no more than some four times the work: counted in calls of the interpreter, not in seconds."""
    import sys

    p = protocol(name)
    pool = streams(p) or [b"\0" * 64]

    def work(times: int) -> int:
        data = (pool[0] * (1 + 4096 * times // max(1, len(pool[0]))))[: 4096 * times]
        count = 0

        def tick(*_: Any) -> None:
            nonlocal count
            count += 1

        sys.setprofile(tick)
        try:
            read_frame(p, data, Session())
        finally:
            sys.setprofile(None)
        return count

    assert work(8) <= 4 * work(4) + 2000


@every
def test_the_page_stands(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith("# ")
    for heading in ("## Point the device at Cocket", "## What is read", "## What is not read"):
        assert heading in page, heading


@every
def test_the_declaration_is_whole(name: str) -> None:
    p = protocol(name)
    assert p.title
    assert p.document
    assert p.doors
    assert vectors(name), f"tests/decoders/vectors/{name} holds no vector"
