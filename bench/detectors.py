"""The compiled detectors against their per-observation twins in plain Python, on the same rows."""

from __future__ import annotations

import math
from collections import Counter
from time import thread_time
from typing import Any

import numpy as np
from tests.twins.geometry import RADIUS_M, Corridor, Zone, Zones
from tests.twins.machine import JourneyTwin

from bench.measure import Section
from bench.world import KINDS, World
from cocket.core.batch import Array, Batch
from cocket.core.journeys import NEVER, JourneyTable
from cocket.core.keys import observation_keys
from cocket.core.rules import Rules
from cocket.journeys.detection import Detection
from cocket.journeys.join import Join
from cocket.pipeline import DETECTORS


class HintedCorridor(Corridor):
    """What a careful author of plain Python would do: ask the segments about the last match first."""

    last = 0

    def off_m(self, lat: float, lon: float) -> float:
        n = len(self.line) - 1
        near = self._least(lat, lon, max(0, self.last - 3), min(n, self.last + 4))
        if near <= self.half_width_m:
            return 0.0
        return max(0.0, self._least(lat, lon, 0, n) - self.half_width_m)

    def _least(self, lat: float, lon: float, first: int, end: int) -> float:
        per_lat = math.radians(RADIUS_M)
        per_lon = per_lat * math.cos(math.radians(lat))
        best = math.inf
        for k in range(first, end):
            (x1, y1), (x2, y2) = self.line[k], self.line[k + 1]
            ax, ay = (x1 - lon) * per_lon, (y1 - lat) * per_lat
            bx, by = (x2 - x1) * per_lon, (y2 - y1) * per_lat
            along = max(0.0, min(1.0, -(ax * bx + ay * by) / (bx * bx + by * by)))
            far = math.hypot(ax + along * bx, ay + along * by)
            if far < best:
                best, self.last = far, k
        return best


class Compiled:
    """The pipeline from joined-not-yet batches to alerts, in this process."""

    def __init__(self, world: World) -> None:
        n = world.movements
        self.table = JourneyTable()
        self.table.extend([world.journey(v) for v in range(n)])
        self.detection = Detection(DETECTORS, Rules.defaults(DETECTORS), self.table)
        self.numbers = np.arange(n, dtype=np.int32)
        self.join = Join.build(self.numbers, self.table.from_us, np.full(len(self.table.from_us), NEVER))
        self.zones, self.corridors = world.zone_index(), world.corridor_index()
        self.alerts: Counter[str] = Counter()
        self.ids: dict[str, tuple[str, str]] = {}

    def feed(self, batch: Batch, keys: Array) -> None:
        """Join, order, detect, and say what changed."""
        texts = batch.texts("device_id")
        assert texts is not None
        observed = batch.filled("observed_us")
        journey = self.join.journeys(self.numbers[texts.codes], observed)
        order = self.detection.order(journey, observed, batch.array("sequence"), keys)
        assert not len(order.late)
        events = self.detection.run(batch, order.rows, journey, keys, self.zones, self.corridors)
        for change in self.detection.changes(events, 0):
            self.ids[change.id] = (change.code, change.mrn)


def batches(world: World, minutes: int, size: int) -> list[tuple[Batch, Array]]:
    """The stream of ``minutes`` in batches of ``size`` rows, with the observations' keys."""
    v = np.tile(np.arange(world.movements), minutes)
    k = np.repeat(np.arange(minutes), world.movements)
    out = []
    for a in range(0, len(v), size):
        batch = world.rows(v[a : a + size], k[a : a + size])
        out.append((batch, observation_keys(batch)))
    return out


def _run(world: World, stream: list[tuple[Batch, Array]], skip: int) -> tuple[float, Compiled]:
    """Observations per second after the first ``skip`` batches, in which kernels load and arrays grow."""
    machine = Compiled(world)
    rows = 0
    began = thread_time()
    for i, (batch, keys) in enumerate(stream):
        if i == skip:
            rows, began = 0, thread_time()
        machine.feed(batch, keys)
        rows += batch.n
    return rows / (thread_time() - began), machine


def detectors(*, quick: bool) -> Section:
    section = Section("detectors", "How many times faster than plain Python are the compiled detectors?")
    world = World(20_000, 20_000, start_us=1_790_000_000_000_000)
    minutes = 15 if quick else 60
    stream = batches(world, minutes, 10_000)
    small = [
        (batch.take(slice(a, a + 1000)), keys[a : a + 1000])
        for batch, keys in stream
        for a in range(0, batch.n, 1000)
    ]
    _run(world, stream[:4], 1)
    rate, machine = _run(world, stream, 4)
    small_rate, again = _run(world, small, 40)
    assert again.ids == machine.ids, "any split of the stream gives the same alerts"

    few = list(range(0, world.movements, world.movements // (40 if quick else 150)))
    twin_rate, codes = _twins(world, few, minutes, Corridor)
    hinted_rate, hinted_codes = _twins(world, few, minutes, HintedCorridor)
    mrns = {world.mrn(v) for v in few}
    assert codes == hinted_codes == Counter(code for code, mrn in machine.ids.values() if mrn in mrns)

    rows = world.movements * minutes
    section.sizes = {
        "movements": world.movements, "corridors": world.corridors, "points each": world.points, "zones": world.zones,
        "observations": rows, "detectors": len(DETECTORS), "twin's observations": len(few) * minutes,
    }  # fmt: skip
    section.add(
        "compiled, batches of 10,000",
        rate,
        "obs/s",
        than=("twin, corridor remembered", hinted_rate),
        at_least=40,
    )
    section.add("the same", rate, "obs/s", than=("twin as in the tests", twin_rate))
    section.add("compiled, batches of 1,000", small_rate, "obs/s", than=("of 10,000", rate), at_least=0.6)
    section.add("state", machine.detection.nbytes() / world.movements, "bytes/movement", value_at_most=1024)
    section.remarks.append(
        f"Processor time of one thread. Join, order, frame, {len(DETECTORS)} detectors, episodes and alert texts; decoding and "
        f"keys are not in it. One alert per {rows / len(machine.ids):,.0f} observations; the twins raise the same on the movements "
        "that they ran. The tests' twin searches its whole corridor at each fix; the first ratio is against one that asks "
        "the segments about its last match first, as a careful author would."
    )
    return section


def _twins(
    world: World, vehicles: list[int], minutes: int, kind: type[Corridor]
) -> tuple[float, Counter[str]]:
    """Observations per second of the twins of some vehicles, and the alerts that they raise, by code."""
    zones = Zones(
        [
            Zone(f"Z{z}", KINDS[z % len(KINDS)], [(x, y) for x, y in ring])
            for z, ring in enumerate(world.rings)
        ]
    )
    params = {d.name: {p.name: p.default for p in d.all_params()} for d in DETECTORS}
    work: list[tuple[JourneyTwin, list[tuple[dict[str, Any], int]]]] = []
    for v in vehicles:
        batch = world.rows(np.full(minutes, v), np.arange(minutes))
        keys = observation_keys(batch).tolist()
        line = [(x, y) for x, y in world.lines[world.corridor(v)].tolist()]
        twin = JourneyTwin(world.journey(v), params, zones, kind("C", line, 300.0))
        work.append((twin, [(batch.row(i), key) for i, key in enumerate(keys)]))
    began = thread_time()
    for twin, rows in work:
        for row, key in rows:
            twin.observe(row, key)
    rate = len(vehicles) * minutes / (thread_time() - began)
    return rate, Counter(alert.code for twin, _ in work for alert in twin.alerts())
