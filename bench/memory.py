"""What a million active movements cost in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from bench.measure import Section, timed
from bench.server import ARROW, QUIET, send, serving
from bench.world import World, arrow


def active_movements(place: Path, *, quick: bool) -> Section:
    section = Section("state", "What does an active movement cost in memory?")
    n = 100_000 if quick else 1_000_000
    world = World.ending_now(n, 1000, 20)
    few = World.ending_now(1, 1000, 20)
    few.make_folder(place / "few")
    with serving(place / "few", QUIET) as server:
        batch = few.rows(np.zeros(4, np.int64), np.arange(4))
        send(server, [[arrow(batch)]], ARROW)
        server.wait_detected()
        empty = server.status("VmRSS")
    shutil.rmtree(place / "few")
    with timed() as declared:
        world.make_folder(place / "many")
    with serving(place / "many", QUIET) as server:
        ready = server.ready_s
        started = server.status("VmRSS")
        with timed() as watch:
            for minute in range(2):
                v = np.arange(n)
                bodies = [
                    arrow(world.rows(v[a : a + 10_000], np.full(len(v[a : a + 10_000]), minute)))
                    for a in range(0, n, 10_000)
                ]
                send(server, [bodies[lane::4] for lane in range(4)], ARROW)
            server.wait_detected()
        rss, peak = server.status("VmRSS"), server.status("VmHWM")
        state = _metric(server.get("/metrics").decode(), "cocket_state_bytes")
        stats = server.stats()
    shutil.rmtree(place / "many")
    assert stats["observations"] == 2 * n
    section.sizes = {"movements": n, "corridors": 1000, "zones": world.zones, "observations": 2 * n}
    section.add("detectors' state", state / n, "bytes/movement", value_at_most=1024)
    section.add("the whole process over an empty one", (rss - empty) / n, "bytes/movement")
    limit = 3.0 if not quick else None
    section.add("memory with all active", rss / 2**30, "GiB", value_at_most=limit)
    section.add("memory at the peak", peak / 2**30, "GiB")
    section.add("memory after start, before observations", started / 2**30, "GiB")
    section.add("memory with one movement", empty / 2**30, "GiB")
    section.add("start-up", ready, "s")
    section.remarks.append(
        f"Active: bound, with a corridor, a limit date and two observations. Declared straight into the store in {declared.s:.0f} s; "
        f"the observations took {watch.s:.0f} s. {stats['alerts']:,} alerts stand."
    )
    return section


def _metric(text: str, name: str) -> float:
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))
