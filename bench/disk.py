"""The log: appending against a plain file, and starting again over a log that was never compacted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from time import perf_counter

import numpy as np

from bench.measure import Section, timed
from bench.server import QUIET, serving
from bench.world import World
from cocket.core.batch import Array, Batch, Texts
from cocket.core.keys import observation_keys
from cocket.store.folder import DataFolder
from cocket.store.log import prepare


def stream_of(world: World, rows: int, size: int) -> list[tuple[Batch, Array]]:
    """As the writer appends them: marked with our time, time quality and door."""
    out = []
    for a in range(0, rows, size):
        at = np.arange(a, min(a + size, rows))
        out.append(stamped(world.rows(at % world.movements, at // world.movements)))
    return out


def stamped(batch: Batch) -> tuple[Batch, Array]:
    """A batch as the writer hands it to the log, with its keys."""
    keys = observation_keys(batch)
    batch.columns["received_us"] = batch.filled("observed_us").max() + np.zeros(batch.n, np.int64)
    batch.columns["time_quality"] = np.zeros(batch.n, np.int8)
    batch.columns["source"] = Texts.constant("http", batch.n)
    return batch, keys


def log_append(place: Path, *, quick: bool) -> Section:
    section = Section("log", "How fast is an append to the log, durable, against a plain file?")
    world = World.ending_now(20_000, 1000, 100)
    for size, rows in ((1000, 100_000 if quick else 300_000), (10_000, 500_000 if quick else 2_000_000)):
        stream = stream_of(world, rows, size)
        ready = [prepare(batch, keys) for batch, keys in stream]
        plain_s = encoded_s = whole_s = 0.0
        first, second = DataFolder.open(place / f"log-{size}-a"), DataFolder.open(place / f"log-{size}-b")
        with (place / "plain.bin").open("wb", buffering=0) as file:
            for (batch, keys), one in zip(stream, ready, strict=True):  # in turn: the disk has its moods
                blob = one.blob.to_pybytes()
                with timed() as watch:
                    file.write(blob)
                    os.fsync(file.fileno())
                plain_s += watch.s
                with timed() as watch:
                    first.log.append(one, received_us=world.start_us)
                encoded_s += watch.s
                with timed() as watch:
                    second.log.append(batch, received_us=world.start_us, keys=keys)
                whole_s += watch.s
        (place / "plain.bin").unlink()
        for folder in (first, second):
            folder.close()
            shutil.rmtree(folder.path)
        base = ("write and fsync of the same bytes", rows / plain_s)
        group = f"groups of {size:,}"
        section.add(f"append, {group}, encoding included", rows / whole_s, "obs/s", than=base, at_least=0.4)
        section.add(
            f"append, {group}, encoded beforehand", rows / encoded_s, "obs/s", than=base, at_least=0.4
        )
        section.add(f"bytes, {group}", sum(p.blob.size for p in ready) / rows, "bytes/obs")
    section.sizes = {"observations": rows}
    section.remarks.append(
        "Group by group in turn: the plain file, the log with a group encoded beforehand, the log with a group to be "
        "encoded. The plain file gets bytes that are compressed already."
    )
    return section


def recovery(place: Path, *, quick: bool) -> Section:
    section = Section(
        "recovery", "How long until a log that was never compacted nor checkpointed is detected again?"
    )
    world = World.ending_now(20_000, 1000, 501)
    world.make_folder(place / "recovery")
    scale = 0.2 if quick else 1.0
    with serving(place / "recovery", QUIET):
        pass  # kernels are compiled
    shutil.rmtree(place / "recovery")
    world.make_folder(place / "recovery")
    done = 0
    times: list[tuple[int, float, float]] = []
    for millions in (0, 1, 3, 10):
        rows = int(millions * scale * 1_000_000)
        folder = DataFolder.open(place / "recovery")
        for a in range(done, rows, 10_000):
            at = np.arange(a, a + 10_000)
            batch, keys = stamped(world.rows(at % world.movements, at // world.movements))
            folder.log.append(batch, received_us=world.start_us, keys=keys)
        folder.close()
        done = rows
        shutil.copytree(place / "recovery", place / "again")
        began = perf_counter()
        with serving(place / "again", QUIET) as server:
            server.wait_detected()
            took = perf_counter() - began
            times.append((rows, server.ready_s, took))
            memory = server.status("VmHWM")
        shutil.rmtree(place / "again")
    shutil.rmtree(place / "recovery")
    empty = times[0][2]
    section.add("start with an empty log, ready", times[0][1], "s")
    for rows, ready, took in times[1:]:
        section.add(f"{rows:,} observations, ready", ready, "s")
        section.add(f"{rows:,} observations, all detected", took, "s")
    (a, _, a_s), (b, _, b_s), (c, _, c_s) = times[1:]
    early, late = (b_s - a_s) / (b - a) * 1e6, (c_s - b_s) / (c - b) * 1e6
    section.add("a further million, the last", late, "s", than=("of the first", early), at_most=1.25)
    section.add("memory at the most", memory / 2**30, "GiB")
    section.sizes = {"movements": world.movements, "corridors": 1000, "zones": world.zones}
    section.remarks.append(
        f"100 million observations would take about {empty + late * 100:,.0f} s at this rate. In practice a checkpoint stands at "
        "every two million and history takes over the log at every million; here neither happened."
    )
    return section
