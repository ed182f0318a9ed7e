"""Bytes through real sockets: cut, read, made durable, answered; and what is not taken is kept and named."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from tests.gateway.conftest import World, now_us, opened, seal_frame, until

from cocket.core.errors import BadSetting
from cocket.decoders import names, protocol, protocols
from cocket.gateway.connection import recogniser
from cocket.gateway.listening import parse
from cocket.sim.swarm import Plan, frames

SEAL = "8000000001"


def test_a_frame_is_answered_once_it_is_durable(world: World) -> None:
    world.register(SEAL)
    with world.connect() as s:
        s.sendall(seal_frame(SEAL, 7, rope_cut=True))
        assert s.recv(100) == b"(P69,0,7)"
        assert world.observations == 1
    row = world.rows(SEAL)[0]
    assert row["rope_cut"] is True
    assert row["source"].startswith("jt701@tcp:")
    assert row["time_quality"] == "device"


def test_bytes_one_at_a_time_and_frames_glued_together(world: World) -> None:
    world.register(SEAL)
    now = now_us()
    frames = [seal_frame(SEAL, i, observed_us=now - i * 1_000_000) for i in range(5)]
    with world.connect() as s:
        for byte in frames[0]:
            s.sendall(bytes([byte]))
        assert s.recv(100) == b"(P69,0,0)"
        s.sendall(b"".join(frames[1:]))
        answer = b""
        while answer.count(b")") < 4:
            answer += s.recv(1000)
        assert answer == b"(P69,0,1)(P69,0,2)(P69,0,3)(P69,0,4)"
    assert world.observations == 5


def test_a_repeat_after_a_lost_answer_folds_and_is_answered(world: World) -> None:
    world.register(SEAL)
    frame = seal_frame(SEAL, 3)
    with world.connect() as s:
        for _ in range(2):
            s.sendall(frame)
            assert s.recv(100) == b"(P69,0,3)"
    totals = world.service.folder.log.totals()
    assert (totals.observations, totals.duplicates) == (1, 1)


def test_the_protocol_is_recognised_from_the_first_frame(world: World) -> None:
    world.register(SEAL)
    frame = seal_frame(SEAL, 9)
    with world.connect(1) as s:
        s.sendall(frame[:11])
        time.sleep(0.05)
        s.sendall(frame[11:])
        assert s.recv(100) == b"(P69,0,9)"
    with world.connect(1) as s:
        s.sendall(b"\x01\x02 nobody speaks like this" * 200)
        assert s.recv(10) == b""
    until(lambda: world.quarantined("unrecognised-protocol"))


@pytest.mark.parametrize("name", [n for n in names() if "tcp" in protocol(n).doors and protocol(n).starts])
def test_every_protocol_is_recognised_among_all(name: str) -> None:
    p = protocol(name)
    assert p.simulation is not None
    first = frames(p, 1, 1, Plan(), 1_790_000_000_000_000)[0]
    recognise = recogniser(protocols())
    for cut in range(1, len(first)):
        early = recognise(first[:cut])
        assert early is None or early is p, f"{cut} bytes of {name} are taken for {early and early.name}"
    found = recognise(first)
    assert found is p, f"{name} is taken for {found and found.name}"


def test_udp(world: World) -> None:
    world.register(SEAL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(seal_frame(SEAL, 4), ("127.0.0.1", world.port("udp")))
        assert s.recv(100) == b"(P69,0,4)"
    assert world.observations == 1


def test_noise_is_kept_and_costs_no_frame(world: World) -> None:
    world.register(SEAL)
    with world.connect() as s:
        s.sendall(b"\xff\xfenoise" + seal_frame(SEAL, 1) + b"(nonsense)" + seal_frame(SEAL, 2, rope_cut=True))
        answer = b""
        while answer.count(b")") < 2:
            answer += s.recv(1000)
    assert world.observations == 2
    kept = {row["rule"]: row for row in world.quarantined()}
    assert kept["no-frame"]["raw"] == b"\xff\xfenoise"
    assert kept["truncated"]["raw"] == b"(nonsense)"
    assert kept["no-frame"]["protocol"] == "jt701"


def test_half_a_frame_at_the_end_is_kept(world: World) -> None:
    with world.connect() as s:
        s.sendall(seal_frame(SEAL)[:20])
        time.sleep(0.1)
    until(lambda: world.quarantined("incomplete-frame"))


def test_many_unreadable_frames_end_the_connection(tmp_path: Path) -> None:
    with opened(tmp_path / "d", "tcp:0=jt701", max_bad_frames=3) as w, w.connect() as s:
        s.sendall(b"(1,QQQ)(1,QQQ)(1,QQQ)")
        assert s.recv(10) == b""
        until(lambda: w.gateway.counts["closed-unreadable"] == 1)
        until(lambda: len(w.quarantined("unknown-type")) == 3)


def test_slow_and_silent_connections_end(tmp_path: Path) -> None:
    with opened(tmp_path / "d", "tcp:0=jt701", frame_s=1.0, idle_s=2.0) as w:
        w.register(SEAL)
        with w.connect() as slow, w.connect() as silent:
            silent.sendall(seal_frame(SEAL))
            assert silent.recv(100)
            slow.sendall(b"$80")
            assert slow.recv(10) == b""
            assert silent.recv(10) == b""
        until(lambda: w.gateway.counts["closed-slow"] == 1 and w.gateway.counts["closed-silent"] == 1)


def test_a_flood_is_held_back_and_loses_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "d", "tcp:0=jt701", burst=10, rate_per_s=200.0) as w, w.connect() as s:
        w.register(SEAL)
        now = now_us()
        s.sendall(b"".join(seal_frame(SEAL, i, observed_us=now - i * 1_000_000) for i in range(100)))
        answer = b""
        while answer.count(b")") < 100:
            answer += s.recv(1000)
        assert w.observations == 100
        assert w.gateway.counts["flooding"] > 0


def test_more_connections_than_allowed_are_turned_away(tmp_path: Path) -> None:
    with opened(tmp_path / "d", "tcp:0=jt701", max_connections=2) as w:
        w.register(SEAL)
        with w.connect() as a, w.connect() as b, w.connect() as c:
            for s in (a, b):
                s.sendall(seal_frame(SEAL))
                assert s.recv(100)
            assert c.recv(10) == b""
            assert w.gateway.counts["closed-too-many"] == 1


def test_a_door_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(BadSetting, match=f"cannot listen on tcp 127.0.0.1 port {port}"),
            opened(tmp_path / "d", f"tcp:{port}=jt701"),
        ):
            pass


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tcp:x=gt06", "no port"),
        ("tcp:70000", "no port"),
        ("ftp:21", "there are"),
        ("udp:5000", "wants a protocol"),
        ("folder:/in", "are wanted"),
        ("mqtt://", "mqtt://host:port"),
        ("connect:5000=aivdm", "connect:10.0.0.7:10110=aivdm"),
    ],
)
def test_what_listen_does_not_take(text: str, why: str) -> None:
    with pytest.raises(BadSetting, match=why):
        parse(text, "127.0.0.1")


def test_an_unknown_protocol_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="did you mean 'jt701'"), opened(tmp_path / "d", "tcp:0=jt70"):
        pass


def test_files_dropped_into_a_folder(tmp_path: Path) -> None:
    drop = tmp_path / "in"
    drop.mkdir()
    with opened(tmp_path / "d", f"folder:{drop}=jt701") as w:
        w.register(SEAL)
        (drop / "seal.bin").write_bytes(seal_frame(SEAL, 1) + seal_frame(SEAL, 2, rope_cut=True))
        until((drop / "done" / "seal.bin").exists)
        assert w.observations == 2


def test_files_of_a_mapping(tmp_path: Path) -> None:
    drop = tmp_path / "in"
    drop.mkdir()
    with opened(tmp_path / "d", f"folder:{drop}=nyharbor-ais") as w:
        head = "MMSI,BaseDateTime,LAT,LON,SOG,COG"
        (drop / "t.csv").write_text(
            f"{head}\n367000001,2020-06-30T00:00:00,40.7,-74.0,5.1,90.0\n"
            "367000001,2020-06-30T00:01:00,40.7,-74.0,5.1,90.0\n"
        )
        (drop / "bad.csv").write_text("a,b,c\n1,2,3\n")
        until(lambda: (drop / "done" / "t.csv").exists() and (drop / "failed" / "bad.csv.why").exists())
        assert "MMSI" in (drop / "failed" / "bad.csv.why").read_text()
        assert w.observations == 2


def test_we_call_a_receiver(tmp_path: Path) -> None:
    with socket.socket() as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.listen()
        with opened(tmp_path / "d", f"connect:127.0.0.1:{receiver.getsockname()[1]}=jt701") as w:
            w.register(SEAL)
            s, _ = receiver.accept()
            s.sendall(seal_frame(SEAL, 1))
            assert s.recv(100) == b"(P69,0,1)"
            s.close()
            again, _ = receiver.accept()
            again.close()
            assert w.observations == 1
