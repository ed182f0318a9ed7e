"""A site against one machine: the same flood into `cocket serve` on SQLite and into `cocket up` with one, two and four workers.

Everything runs on this one machine: doors, workers, three NATS servers, PostgreSQL and the client share its cores. So the rates by the
clock say little beyond two processes; what counts is processor time an observation, by part.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from urllib.parse import urlsplit

import psutil

from bench.doors import Flood, _probe, flood
from bench.measure import Section, percentile
from bench.server import NDJSON, QUIET, Client, Sent, Server, serving
from bench.world import World, ndjson
from cocket.store import tables
from cocket.store.database import Database
from cocket.store.folder import MainStores
from cocket.up import Production, Wanted

PARTITIONS = 8


class _Site(Server):
    """A running site, asked like a server; its processor time is that of all its processes."""

    production: Production

    def __init__(self, production: Production) -> None:
        url = urlsplit(production.url)
        super().__init__(None, url.hostname or "", url.port or 0, 0.0)
        self.production = production
        self.looks: list[dict[str, float]] = []
        """``parts`` at each call of ``cpu_s``: a flood's are the last two."""

    def parts(self) -> dict[str, float]:
        """Processor seconds by part, children included."""
        p = self.production
        pids = {
            "doors": [p.web.pid],
            "workers": [w.pid for w in p.workers],
            "NATS": [n.pid for n in p.nats.nodes],
            "PostgreSQL": [p.postgres.pid],
        }
        return {part: sum(_cpu_s(pid) for pid in some if pid is not None) for part, some in pids.items()}

    def wait_booked(self) -> None:
        """The sums of a site follow within a second or two."""
        last = -1
        while (now := self.stats()["observations"]) != last:
            last = now
            sleep(2.5)

    def cpu_s(self) -> float:
        self.looks.append(self.parts())
        return sum(self.looks[-1].values())


def _cpu_s(pid: int) -> float:
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        head = psutil.Process(pid)
        times = head.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
        for child in head.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                total += times.user + times.system
    return total


@contextlib.contextmanager
def _site(world: World, workers: int) -> Iterator[_Site]:
    folder = Path(tempfile.mkdtemp(prefix="cocket-bench-site-"))
    folder.chmod(0o755)
    try:
        wanted = Wanted(folder / "site", workers, 3, PARTITIONS, 0, (), None)
        with Production(wanted, lambda _text: None) as running:
            db = Database(running.postgres.url(), "main", tables.main_metadata)
            world.declare(MainStores(db))
            db.close()
            site = _Site(running)
            while site.stats()["lag_observations"] or site.stats()["movements"] < world.movements:
                sleep(0.5)
            sleep(10)  # every worker has followed what was declared
            yield site
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Run:
    """One configuration's figures."""

    flood: Flood
    seen_s: list[float]
    parts: dict[str, float]
    disk: dict[str, float]
    wire: float


def production(place: Path, *, quick: bool) -> Section:
    section = Section(
        "production", "What does a site cost against one machine, and how does it behave when a worker dies?"
    )
    movements = 2_000 if quick else 10_000
    minutes = range(11 if quick else 21)
    probes = 30 if quick else 100
    world = World.ending_now(movements, movements, 120)
    world.make_folder(place / "one")
    with serving(place / "one", QUIET) as server:
        flood(server, world, range(minutes.stop, minutes.stop + 2), NDJSON)  # compiles and warms
        alone = flood(server, world, minutes, NDJSON)
        seen = _probe(server, world, minutes.stop + 3, probes, 10.0, 0, None)[1]
    one = _Run(alone, seen, {}, {}, 0.0)
    runs: dict[int, _Run] = {}
    for workers in (1, 2) if quick else (1, 2, 4):
        with _site(world, workers) as site:
            flood(site, world, range(minutes.stop, minutes.stop + 2), NDJSON)
            runs[workers] = _measured(site, world, minutes, probes)
            if workers == 2:
                failover = _failover(site, world, minutes.stop + 4)
                recovery = _recovery(site, world, minutes.stop + 6, 20 if quick else 60)
    n = one.flood.sent.accepted
    section.sizes = {
        "movements": movements, "observations": n, "partitions": PARTITIONS, "NATS servers": 3, "copies of the log": 3,
    }  # fmt: skip
    base = ("SQLite, one process", one.flood.rate)
    section.add("one process on SQLite, durable and detected", one.flood.rate, "obs/s")
    for workers, run in runs.items():
        section.add(f"site, {workers} workers, durable and detected", run.flood.rate, "obs/s", than=base)
    spent = one.flood.cpu_s / n * 1e6
    section.add("one process on SQLite, processor", spent, "s per million obs")
    single = runs[1].flood.cpu_s / n * 1e6
    for workers, run in runs.items():
        section.add(
            f"site, {workers} workers, processor",
            run.flood.cpu_s / n * 1e6,
            "s per million obs",
            than=("SQLite", spent),
        )
    section.add(
        "one worker's processor time over two workers' (all parts)",
        single / (runs[2].flood.cpu_s / n * 1e6),
        "efficiency",
        than=("one worker", 1.0),
        at_least=0.85,
    )
    for part, used in runs[1].parts.items():
        section.add(f"of it, with one worker: {part}", used / n * 1e6, "s per million obs")
    for name, run in {"SQLite": one, **{f"site, {w} workers": r for w, r in runs.items()}}.items():
        section.add(f"{name}: sent to alert, p50", percentile(run.seen_s, 0.5) * 1e3, "ms")
        section.add(f"{name}: sent to alert, p99", percentile(run.seen_s, 0.99) * 1e3, "ms")
    for what, size in runs[1].disk.items():
        section.add(f"on the disk: {what}", size / (movements * (len(minutes) + 2)), "bytes per obs")
    section.add(
        "through NATS, all servers, in and out", runs[1].wire / (movements * len(minutes)), "bytes per obs"
    )
    section.add("a killed worker's partitions are served again after", failover, "s", value_at_most=5)
    section.add(f"after {20 if quick else 60} s without PostgreSQL: caught up after", recovery, "s")
    section.remarks.append(
        "All parts and the client share this machine's cores: more workers than cores cannot be faster. Processor time is that of the "
        "flood alone, what stands still in between (beats, looks) included; PostgreSQL's size is of the observations after a checkpoint, "
        "indexes included."
    )
    return section


def _measured(site: _Site, world: World, minutes: range, probes: int) -> _Run:
    wire = _wire(site)
    done = flood(site, world, minutes, NDJSON)
    before, after = site.looks[-2:]
    sent = _wire(site) - wire
    seen = _probe(site, world, minutes.stop + 3, probes, 10.0, 0, None)[1]
    postgres = site.production.postgres
    postgres.run("CHECKPOINT")
    size = postgres.run(
        "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'observations'::regclass",
        "cocket",
    )
    log = sum(f.stat().st_size for f in (site.production.folder / "nats").rglob("msgs/*.blk"))
    disk = {"observations in PostgreSQL": float(size[0][0] or 0), "log, each copy": log / 3}
    return _Run(done, seen, {k: after[k] - before[k] for k in after}, disk, sent)


def _wire(site: _Site) -> float:
    """Bytes that the NATS servers took from clients and gave to them, and sent each other."""
    total = 0.0
    for node in site.production.nats.nodes:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.ports['monitor']}/varz", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        total += found["in_bytes"] + found["out_bytes"]
    return total


def _failover(site: _Site, world: World, minute: int) -> float:
    """The longest that any of 16 senders, each of one vehicle, waits until its body is acknowledged, tries that were refused included,
    while one of two workers is killed; seconds.
    """
    waits: list[list[float]] = [[] for _ in range(16)]
    stop = threading.Event()

    def work(which: int) -> None:
        client = Client(site)
        sent, k = Sent(), 0
        while not stop.is_set():
            body = ndjson(world.rows(_one(which), _one(minute + k % 20)))
            began = perf_counter()
            while not stop.is_set():
                with contextlib.suppress(RuntimeError):
                    client.post(body, NDJSON, sent)
                    waits[which].append(perf_counter() - began)
                    break
                sleep(0.02)
            k += 1
            sleep(0.02)
        client.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(waits))]
    for thread in threads:
        thread.start()
    sleep(2)
    victim = site.production.workers[0].pid
    assert victim is not None
    before = [len(w) for w in waits]
    os.kill(victim, signal.SIGKILL)
    end = perf_counter() + 60
    while perf_counter() < end and not all(len(w) > b + 20 for w, b in zip(waits, before, strict=True)):
        sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    worst = max(max(w[b:], default=60.0) for w, b in zip(waits, before, strict=True))
    site.production.look()
    sleep(1)
    site.production.look()
    return worst


def _one(value: int) -> Any:
    import numpy as np

    return np.array([value])


def _recovery(site: _Site, world: World, minute: int, outage_s: float) -> float:
    """PostgreSQL is away while observations keep coming; the time from its return until nothing waits."""
    import numpy as np

    production, sent = site.production, Sent()
    production.postgres.stop()
    client = Client(site)
    end = perf_counter() + outage_s
    every = np.arange(world.movements)
    k = 0
    while perf_counter() < end:
        for a in range(0, world.movements, 1000):
            some = every[a : a + 1000]
            with contextlib.suppress(RuntimeError):
                client.post(ndjson(world.rows(some, np.full(len(some), minute + k))), NDJSON, sent)
        k += 1
        sleep(1)
    client.close()
    production.postgres.start()
    began = perf_counter()
    while True:
        with contextlib.suppress(RuntimeError):
            if site.stats()["lag_observations"] == 0:
                break
        sleep(0.1)
    return perf_counter() - began
