"""The real server under a swarm of real sockets, killed at random moments: what was acknowledged is stored, once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

from cocket.core.clock import WallClock
from cocket.core.protocol import Protocol
from cocket.decoders import names, protocol
from cocket.sim.swarm import Plan, Tally, run_swarm
from cocket.sim.vehicle import Troubles
from cocket.store.folder import DataFolder

SETTINGS = '[gateway]\nunregistered = "admit"\n'
DEVICES = 40


def free_ports(n: int) -> list[int]:
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [int(s.getsockname()[1]) for s in held]
    for s in held:
        s.close()
    return ports


def start(folder: Path, http: int, doors: dict[str, int]) -> subprocess.Popen[bytes]:
    listen = [x for name, port in doors.items() for x in ("--listen", f"tcp:{port}={name}")]
    process = subprocess.Popen(
        [sys.executable, "-m", "cocket", "serve", "--data", str(folder / "data"), "--port", str(http),
         "--settings", str(folder / "s.toml"), *listen],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"http")
    return process


def test_nothing_acknowledged_is_lost_over_kills(tmp_path: Path) -> None:
    answering = [p for n in names() if "tcp" in (p := protocol(n)).doors and p.simulation and _answers(p)]
    assert answering
    (tmp_path / "s.toml").write_text(SETTINGS)
    http, *ports = free_ports(1 + len(answering))
    doors = {p.name: port for p, port in zip(answering, ports, strict=True)}
    rng = random.Random(7)
    tally = Tally(acknowledged=[])

    async def work() -> None:
        plan = Plan(1.1, outages=0.05, outage_s=1.0, answer_s=2.0, troubles=Troubles(jam=0.05), seed=3)
        process = await asyncio.to_thread(start, tmp_path, http, doors)
        swarm = asyncio.create_task(
            run_swarm(
                answering, DEVICES, lambda p: ("127.0.0.1", doors[p.name]), plan, WallClock(), 600, tally
            )
        )
        for _ in range(3):
            await asyncio.sleep(rng.uniform(0.5, 2.0))
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
            process = await asyncio.to_thread(start, tmp_path, http, doors)
        known = len(tally.acknowledged or ())
        while len(tally.acknowledged or ()) < known + DEVICES and not swarm.done():  # noqa: ASYNC110 - counts have no event
            await asyncio.sleep(0.1)
        swarm.cancel()  # however long the starts took
        with contextlib.suppress(asyncio.CancelledError):
            await swarm
        process.terminate()
        await asyncio.to_thread(process.wait)

    asyncio.run(work())
    assert tally.acknowledged
    assert len(tally.acknowledged) > DEVICES
    stored = Counter[tuple[str, int]]()
    folder = DataFolder.open(tmp_path / "data")
    for entry in folder.log.read(0, 10**9):
        for i in range(entry.n):
            assert entry.batch is not None
            row = entry.batch.row(i)
            if "lat_deg" in row:
                stored[row["device_id"].removeprefix("untrusted:"), row["observed_us"]] += 1
    folder.close()
    lost = [a for a in tally.acknowledged if a not in stored]
    assert not lost, (
        f"{len(lost)} of {len(tally.acknowledged)} acknowledged reports are not stored: {lost[:3]}"
    )
    assert not [key for key, n in stored.items() if n > 1], "stored twice"


def _answers(p: Protocol) -> bool:
    from cocket.core.protocol import Session
    from cocket.observations.frames import read_frame
    from cocket.sim.swarm import frames

    made = frames(p, 1, 1, Plan(), 1_790_000_000_000_000)
    return bool(read_frame(p, made[-1], Session("1")).replies)
