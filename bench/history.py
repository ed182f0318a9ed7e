"""The track of one movement out of a long history."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from time import perf_counter, sleep

import duckdb
import numpy as np
import pyarrow.parquet as pq

from bench.measure import Section, percentile, timed
from bench.server import ARROW, send, serving
from bench.world import World, arrow


def tracks(place: Path, *, quick: bool) -> Section:
    section = Section("history", "How long does the track of one movement take out of a long history?")
    movements, minutes = (10_000, 100) if quick else (100_000, 100)
    rows = movements * minutes
    world = World.ending_now(movements, 1000, minutes)
    data = place / "history"
    world.make_folder(data)
    settings = f"[history]\ncompact_rows = {max(100_000, rows // 10)}\ncompact_s = 5\n"
    v = np.arange(movements)
    with serving(data, settings) as server:
        with timed() as loading:
            for k in range(minutes):
                bodies = [
                    arrow(world.rows(v[a : a + 10_000], np.full(len(v[a : a + 10_000]), k)))
                    for a in range(0, movements, 10_000)
                ]
                send(server, [bodies[lane::4] for lane in range(4)], ARROW)
            server.wait_detected()
        _settled(data / "history", rows)
        some = np.random.default_rng(3).choice(movements, 60, replace=False).tolist()
        full: list[float] = []
        for turn, one in enumerate(some):
            began = perf_counter()
            body = server.get(f"/movements/{world.mrn(one)}/track?max_points=2000")
            if turn >= 5:
                full.append(perf_counter() - began)
            assert json.loads(body)["features"][0]["properties"]["rows"] == minutes
    files = sorted((data / "history").glob("*.parquet"))
    stored = sum(pq.read_metadata(f).num_rows for f in files)
    size = sum(f.stat().st_size for f in files)
    scans: list[float] = []
    with duckdb.connect() as db:
        for one in some[:8]:
            began = perf_counter()
            found = db.sql(
                "SELECT * FROM read_parquet($files) WHERE device_id = $device ORDER BY observed_us",
                params={"files": [str(f) for f in files], "device": world.device(one)},
            ).to_arrow_table()
            scans.append(perf_counter() - began)
            assert 0 < found.num_rows <= minutes
    shutil.rmtree(data)
    section.sizes = {
        "movements": movements, "observations": rows, "in Parquet": stored, "files": len(files),
    }  # fmt: skip
    base = ("DuckDB over the same files", percentile(scans[1:], 0.5) * 1e3)
    section.add("track over HTTP, p50", percentile(full, 0.5) * 1e3, "ms", than=base)
    section.add("track over HTTP, p99", percentile(full, 0.99) * 1e3, "ms", value_at_most=100)
    section.add("history on disk", size / stored, "bytes/obs")
    section.remarks.append(
        f"Sent over HTTP in {loading.s:.0f} s; each track has {minutes} rows, as GeoJSON, all columns."
    )
    return section


def _settled(folder: Path, rows: int) -> None:
    """Until the compactor has moved most of the log and has no more to merge."""
    before: list[str] = []
    same = 0
    for _ in range(300):
        now = sorted(f.name for f in folder.glob("*.parquet"))
        same = same + 1 if now == before else 0
        before = now
        if same >= 8 and now and sum(pq.read_metadata(folder / f).num_rows for f in now) >= rows * 0.85:
            return
        sleep(1)
    raise RuntimeError(f"history did not settle within 300 s: {len(before)} files")
