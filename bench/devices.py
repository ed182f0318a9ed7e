"""Devices: how fast frames are read, and how many devices one machine carries."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter, process_time, sleep

from bench.measure import Section, percentile
from bench.server import QUIET, serving
from cocket.core.framing import Stream
from cocket.core.protocol import Protocol, Session
from cocket.decoders import protocols
from cocket.observations.frames import read_frame
from cocket.sim.swarm import Plan, frames
from cocket.store.folder import DataFolder

_EPOCH_US = 1_790_000_000_000_000


def decoding(*, quick: bool) -> Section:
    section = Section(
        "decoding", "How fast are frames of each protocol read, beside only splitting their bytes?"
    )
    n = 2_000 if quick else 20_000
    for p in protocols():
        if p.simulation is None:
            continue
        made = frames(p, 20, max(1, n // 20), Plan(), _EPOCH_US)
        joined = b"\n".join(f.replace(b"\n", b" ") for f in made)
        split = min(_seconds(lambda data=joined: data.split(b"\n")) for _ in range(5)) / len(made)
        read = min(_read(p, made) for _ in range(3)) / len(made)
        section.add(f"{p.name}", 1 / read, "frames/s a core", than=("bytes.split", 1 / split))
        if "tcp" in p.doors:
            stream = b"".join(made)
            whole = min(_streamed(p, stream) for _ in range(3)) / len(made)
            section.add(
                f"{p.name}, cut out of a stream", 1 / whole, "frames/s a core", than=("read only", 1 / read)
            )
    section.sizes = {"frames of each": n}
    section.remarks.append(
        "One core, frames as the simulation writes them (one report each), checked against the schema, rows as dicts. "
        "bytes.split cuts the same bytes at line ends and does nothing else."
    )
    return section


def _seconds(work: object) -> float:
    assert callable(work)
    began = perf_counter()
    work()
    return perf_counter() - began


def _read(p: Protocol, made: list[bytes]) -> float:
    session = Session("1")
    began = process_time()
    for frame in made:
        read_frame(p, frame, session)
    return process_time() - began


def _streamed(p: Protocol, data: bytes) -> float:
    session, stream = Session("1"), Stream(p)
    began = process_time()
    for at in range(0, len(data), 1 << 16):
        for piece in stream.feed(data[at : at + (1 << 16)]):
            read_frame(p, piece.data, session)
    return process_time() - began


def _answering() -> list[Protocol]:
    found = []
    for p in protocols():
        if p.simulation is None or "tcp" not in p.doors or p.family == "ship":
            continue
        session = Session("1")
        if any(read_frame(p, f, session).replies for f in frames(p, 1, 1, Plan(), _EPOCH_US)[-1:]):
            found.append(p)
    return found


def gateway(place: Path, *, quick: bool) -> Section:
    """One process of devices against one server, both on this machine."""
    devices, seconds = (500, 30) if quick else (5_000, 300)
    section = Section(
        "devices", "How many devices of mixed protocols does one machine carry, and is anything lost?"
    )
    mixed = _answering()
    ports = dict(zip((p.name for p in mixed), _free_ports(len(mixed)), strict=True))
    data = place / "devices"
    listen = ", ".join(f'"tcp:{port}={name}"' for name, port in ports.items())
    settings = f'{QUIET}[gateway]\nunregistered = "admit"\nlisten = [{listen}]\n'
    with serving(data, settings) as server:
        idle = server.status("VmRSS")
        cpu, began = server.cpu_s(), perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "bench.swarm", str(devices), str(seconds), json.dumps(ports)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parent.parent,
        )
        sleep(seconds * 0.9)
        held = json.loads(server.get("/gateway"))["connections"]
        out, _ = child.communicate()
        took, used = perf_counter() - began, server.cpu_s() - cpu
        server.wait_detected()
        grown = server.status("VmRSS")
        stats = server.stats()
    told = json.loads(out)
    lost, twice = _compare(data, told["acknowledged"])
    ms = [1e3 * s for s in told["latencies_s"]]
    acknowledged = len(told["acknowledged"])
    section.sizes = {"devices": devices, "seconds": seconds, "protocols": ", ".join(ports)}
    section.add(
        "reports acknowledged", acknowledged, "", than=("made", told["counts"]["reports"]), at_least=0.97
    )
    section.add("acknowledged and not stored", lost, "", value_at_most=0)
    section.add("stored twice", twice, "", value_at_most=0)
    section.add("connections at the end", held, "", than=("devices", devices))
    section.add("reports a second", acknowledged / took, "1/s")
    section.add("sent to acknowledged, p50", percentile(ms, 0.5), "ms")
    section.add("sent to acknowledged, p99", percentile(ms, 0.99), "ms", value_at_most=1000)
    section.add("processor of the server", 100 * used / took, "% of a core")
    section.add("processor a report", 1e6 * used / max(1, acknowledged), "µs")
    section.add("memory of the server", grown / 2**20, "MiB", than=("before", idle / 2**20))
    section.add("memory a connection", (grown - idle) / devices / 1024, "KiB")
    section.remarks.append(
        f"One report a device each 10 s, 5 % of the devices off the network at any time, for 10 s each "
        f"({told['counts'].get('outages', 0)} outages, {told['counts'].get('connections', 0)} connections made); what is not acknowledged "
        f"is sent again. The devices are another process on the same machine. {stats['observations']} observations, "
        f"{stats['duplicates']} repeats folded."
    )
    return section


def _compare(data: Path, acknowledged: list[list[object]]) -> tuple[int, int]:
    """(acknowledged and not stored, stored more than once)."""
    folder = DataFolder.open(data)
    stored: Counter[tuple[str, int]] = Counter()
    offset = 0
    while entries := folder.log.read(offset, 50_000):
        for entry in entries:
            offset = entry.offset
            if entry.batch is None:
                continue
            texts = entry.batch.texts("device_id")
            lat = entry.batch.filled("lat_deg")
            assert texts is not None
            for name, at, y in zip(
                texts.to_list(), entry.batch.filled("observed_us").tolist(), lat.tolist(), strict=True
            ):
                if y == y:  # noqa: PLR0124 - a remark of the gateway has no position of its own
                    stored[str(name).removeprefix("untrusted:"), at] += 1
    folder.close()
    lost = sum((str(device), int(str(at))) not in stored for device, at in acknowledged)
    return lost, sum(n > 1 for n in stored.values())


def _free_ports(n: int) -> list[int]:
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [int(s.getsockname()[1]) for s in held]
    for s in held:
        s.close()
    return ports
