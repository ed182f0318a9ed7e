"""The whole way over HTTP: sent, decoded, durable, detected, told; throughput, late rows, latency."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
import threading
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from time import perf_counter, sleep, thread_time

import msgspec
import numpy as np

from bench.measure import Section, percentile
from bench.server import ARROW, NDJSON, QUIET, Client, Sent, Server, send, serving
from bench.world import MINUTE_US, World, arrow, ndjson

LANES = 32
BODY = 1000


class Row(msgspec.Struct):
    """The fields of the bodies, as msgspec alone would decode them. The time stays text: the harder baseline."""

    device_id: str
    observed_at: str
    sequence: int | None = None
    lat_deg: float | None = None
    lon_deg: float | None = None
    speed_mps: float | None = None
    course_deg: float | None = None
    fix_valid: bool | None = None
    fix_source: str | None = None
    locked: bool | None = None
    rope_inserted: bool | None = None
    rope_cut: bool | None = None
    battery_pct: float | None = None
    gsm_signal: int | None = None
    temp_c: float | None = None


def lanes_of(
    world: World, minutes: range, form: str, late_share: float = 0.0, *, spare: int = 0
) -> list[list[bytes]]:
    """Bodies of 1,000 rows, dealt to lanes by vehicle so that no lane overtakes another for one vehicle.

    ``late_share`` of the rows come 12 to 36 reports after their time (hours, at one report in five minutes). The last ``spare`` vehicles
    are left out.
    """
    write = ndjson if form == NDJSON else arrow
    rng = np.random.default_rng(11)
    lanes: list[list[bytes]] = []
    for lane in range(LANES):
        mine = np.arange(lane, world.movements - spare, LANES)
        v = np.tile(mine, len(minutes))
        k = np.repeat(np.array(minutes), len(mine))
        if late_share:
            late = (rng.random(len(v)) < late_share) * rng.integers(12, 37, len(v))
            order = np.argsort(k + late, kind="stable")
            v, k = v[order], k[order]
        lanes.append([write(world.rows(v[a : a + BODY], k[a : a + BODY])) for a in range(0, len(v), BODY)])
    return lanes


@dataclass
class Flood:
    rate: float
    acknowledged: float
    cpu_s: float
    sent: Sent
    alerts: int


def flood(server: Server, world: World, minutes: range, form: str, late_share: float = 0.0) -> Flood:
    """Rows per second from the first byte sent until all is durable and detected; the first minute is not counted."""
    warm = range(minutes.start, minutes.start + 1)
    send(server, lanes_of(world, warm, form), form)
    server.wait_detected()
    lanes = lanes_of(world, range(warm.stop, minutes.stop), form, late_share)
    rows = world.movements * (len(minutes) - 1)
    server.wait_booked()
    before, cpu = server.stats(), server.cpu_s()
    began = perf_counter()
    sent = send(server, lanes, form)
    acknowledged = perf_counter() - began
    server.wait_detected()
    took = perf_counter() - began
    spent = server.cpu_s() - cpu
    server.wait_booked()
    after = server.stats()
    assert sent.accepted == rows, sent
    assert after["observations"] - before["observations"] == rows
    return Flood(rows / took, rows / acknowledged, spent, sent, after["alerts"] - before["alerts"])


def decode_rate(lanes: list[list[bytes]]) -> float:
    """Rows per second of msgspec alone on one core, over the same bytes."""
    decoder = msgspec.json.Decoder(Row)
    bodies = [body for lane in lanes for body in lane][:300]
    rows = sum(len(decoder.decode_lines(body)) for body in bodies)
    best = 0.0
    for _ in range(3):
        began = thread_time()
        for body in bodies:
            decoder.decode_lines(body)
        best = max(best, rows / (thread_time() - began))
    return best


def throughput(place: Path, *, quick: bool) -> Section:
    section = Section("http", "How much goes the whole way: sent over HTTP, durable, and detected?")
    movements = corridors = 5_000 if quick else 20_000
    minutes = 41 if quick else 51
    world = World.ending_now(movements, corridors, 120)
    slow = World.ending_now(movements, corridors, 90, interval_us=5 * MINUTE_US)
    template = place / "template"
    world.make_folder(template)
    slow_template = place / "slow-template"
    slow.make_folder(slow_template)

    def fresh(name: str, source: Path) -> Path:
        shutil.copytree(source, place / name)
        return place / name

    with serving(fresh("warm", template), QUIET) as server:  # kernels compile, files are read once
        send(server, lanes_of(world, range(2), NDJSON), NDJSON)
        send(server, lanes_of(world, range(2, 4), ARROW), ARROW)
        server.wait_detected()
    with serving(fresh("ndjson", template), QUIET) as server:
        plain = flood(server, world, range(minutes), NDJSON)
    with serving(fresh("arrow", template), QUIET) as server:
        fast = flood(server, world, range(2 * minutes), ARROW)
    with serving(fresh("on-time", slow_template), QUIET) as server:
        on_time = flood(server, slow, range(minutes), NDJSON)
    with serving(fresh("late", slow_template), QUIET) as server:
        late = flood(server, slow, range(minutes), NDJSON, late_share=0.1)
    lanes = lanes_of(world, range(3), NDJSON)
    alone = decode_rate(lanes)

    per_row = len(lanes[0][0]) / BODY
    section.sizes = {
        "movements": movements, "corridors": corridors, "zones": world.zones, "rows in a body": BODY,
        "connections": LANES, "NDJSON observations": movements * (minutes - 1),
        "Arrow observations": movements * (2 * minutes - 1), "bytes of NDJSON per observation": round(per_row),
    }  # fmt: skip
    section.add(
        "NDJSON, durable and detected",
        plain.rate,
        "obs/s",
        than=("msgspec alone, one core", alone),
        at_least=0.35,
    )
    section.add("NDJSON, acknowledged", plain.acknowledged, "obs/s", than=("msgspec alone, one core", alone))
    section.add("NDJSON, p99 of an answer", percentile(plain.sent.answers_s, 0.99) * 1e3, "ms")
    section.add("NDJSON, server's processor time", plain.cpu_s / plain.sent.accepted * 1e6, "µs/obs")
    section.add("Arrow, durable and detected", fast.rate, "obs/s", than=("NDJSON", plain.rate), at_least=3)
    section.add("Arrow, server's processor time", fast.cpu_s / fast.sent.accepted * 1e6, "µs/obs")
    section.add(
        "10 % of rows late by 1 to 3 hours",
        late.rate,
        "obs/s",
        than=("none late", on_time.rate),
        at_least=1 / 3,
    )
    section.remarks.append(
        f"Client and server share the machine's cores. Asked to wait (429): {plain.sent.waits} NDJSON, {fast.sent.waits} "
        f"Arrow, {late.sent.waits} late. Alerts raised: {plain.alerts:,} NDJSON, {fast.alerts:,} Arrow, {late.alerts:,} late "
        f"({on_time.alerts:,} on time)."
    )
    section.remarks.append(
        "Detected: /stats says lag_observations 0, which waits for the re-runs of late journeys too. History is not "
        "compacted meanwhile. The baseline is processor time of one thread; the rates are by the clock on the wall."
    )
    return section


class Listener(threading.Thread):
    """Notes when each device's seal-cut arrives on the stream of server-sent events."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        self._connection.request(
            "GET", "/api/v1/stream?topics=alerts", headers={"Accept": "text/event-stream"}
        )
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.status
        self.arrived: dict[str, float] = {}
        self.events = 0

    def run(self) -> None:
        try:
            for line in self._answer:
                if line.startswith(b"data:"):
                    at = perf_counter()
                    self.events += 1
                    if b'"seal-cut"' in line:
                        self.arrived.setdefault(json.loads(line[5:])["device_id"], at)
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # the server went away at the end

    def close(self) -> None:
        self._connection.close()


def latency(place: Path, *, quick: bool) -> Section:
    section = Section("latency", "How long from sending an observation to receiving its alert on the stream?")
    movements = corridors = 5_000 if quick else 20_000
    probes = 80 if quick else 400
    seconds = probes / 10
    world = World.ending_now(movements, corridors, 600, interval_us=10_000_000)
    world.make_folder(place / "latency")
    floods = range(41 if quick else 21)
    sys.setswitchinterval(0.0005)
    with serving(place / "latency") as server:
        full = flood(server, world, floods, NDJSON)
        idle = _probe(server, world, floods.stop, 30, 10.0, 0, None)
        rate = full.rate / 5
        # every vehicle but the probes reports, in the rhythm of the load
        minutes = min(int(rate * (seconds + 2) / movements) + 1, 560 - floods.stop)
        first = floods.stop + 1
        lanes = lanes_of(world, range(first, first + minutes), NDJSON, spare=probes + 30)
        bodies = [body for group in zip_longest(*lanes) for body in group if body]
        stop = threading.Event()
        load = threading.Thread(target=_paced, args=(server, bodies, BODY / rate, stop))
        load.start()
        sleep(1)
        loaded = _probe(server, world, first + minutes + 1, probes, 10.0, 30, stop)
        load.join()
        server.wait_detected()
    shutil.rmtree(place / "latency")
    section.sizes = {
        "movements": movements, "corridors": corridors, "zones": world.zones, "load obs/s": round(rate),
        "probes": len(loaded[0]), "probes per second": 10,
    }  # fmt: skip
    ack, seen = loaded
    section.add(
        "sent to alert received, p50",
        percentile(seen, 0.5) * 1e3,
        "ms",
        than=("idle p50", percentile(idle[1], 0.5) * 1e3),
    )
    section.add(
        "sent to alert received, p99", percentile(seen, 0.99) * 1e3, "ms", value_at_most=250,
    )  # fmt: skip
    section.add("sent to alert received, worst", max(seen) * 1e3, "ms")
    section.add("sent to acknowledged, p50", percentile(ack, 0.5) * 1e3, "ms")
    section.add("sent to acknowledged, p99", percentile(ack, 0.99) * 1e3, "ms")
    section.remarks.append(
        f"A probe is one row with a cut rope, of a vehicle not cut before, amid bodies of {BODY} at a fifth of the full NDJSON "
        f"rate of this run ({full.rate:,.0f} obs/s). Compaction and checkpoints run as they do by default."
    )
    return section


def _paced(server: Server, bodies: list[bytes], every_s: float, stop: threading.Event) -> None:
    """Send the bodies in the rhythm of a steady load over two connections, until told to stop or all are sent."""
    clients = [Client(server) for _ in range(2)]
    sent = Sent()
    began = perf_counter()

    def work(which: int) -> None:
        for i in range(which, len(bodies), 2):
            if stop.is_set():
                return
            wait = began + i * every_s - perf_counter()
            if wait > 0:
                sleep(wait)
            clients[which].post(bodies[i], NDJSON, sent)

    threads = [threading.Thread(target=work, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()


def _probe(
    server: Server, world: World, minute: int, n: int, per_s: float, skip: int, stop: threading.Event | None
) -> tuple[list[float], list[float]]:
    """(seconds to the answer, seconds to the alert) of ``n`` cut ropes, ``per_s`` a second."""
    listener = Listener(server)
    listener.start()
    client = Client(server)
    told: dict[str, float] = {}
    sent = Sent()
    began = perf_counter()
    for i in range(n):
        v = np.array([world.movements - 1 - skip - i])
        batch = world.rows(v, np.array([minute]))
        batch.columns["rope_cut"] = np.ones(1, np.int8)
        body = ndjson(batch)
        wait = began + i / per_s - perf_counter()
        if wait > 0:
            sleep(wait)
        told[world.device(int(v[0]))] = perf_counter()
        client.post(body, NDJSON, sent)
    end = perf_counter() + 30
    while len(listener.arrived.keys() & told.keys()) < n and perf_counter() < end:
        sleep(0.01)
    if stop is not None:
        stop.set()
    client.close()
    listener.close()
    missing = [device for device in told if device not in listener.arrived]
    assert not missing, (
        f"{len(missing)} of {n} alerts did not arrive within 30 s, such as that of {missing[0]}"
    )
    return sent.answers_s, [listener.arrived[device] - at for device, at in told.items()]
