"""Many simulated devices that speak real protocols over real sockets: for load, for training, and for the conformance kit.

Each device keeps what was not acknowledged and sends it again, over a new connection if it must, as real ones do. Whether a
frame wants an answer, and which, is told by the protocol's own decoder.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cocket.core.clock import Clock
from cocket.core.protocol import Protocol, Row, Session, Simulation
from cocket.observations.frames import read_frame
from cocket.sim.vehicle import NO_TROUBLES, Troubles, Vehicle

_LATENCIES: Final = 200_000
_BUFFERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How the swarm behaves. Seconds. ``outages``: share of the devices that are off the network at any time, for
    ``outage_s`` each; ``answer_s``: how long a device waits for an answer before it sends again.
    """

    interval_s: float = 10.0
    outages: float = 0.0
    outage_s: float = 10.0
    answer_s: float = 10.0
    troubles: Troubles = NO_TROUBLES
    seed: int = 1


@dataclass(slots=True)
class Tally:
    """What happened. ``latencies_s`` from sending a frame to its answer; ``acknowledged`` (device id, observed µs), if kept."""

    counts: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    acknowledged: list[tuple[str, int]] | None = None

    def answered(self, row: Row, seconds: float) -> None:
        """A frame was acknowledged."""
        self.counts["acknowledged"] += 1
        if len(self.latencies_s) < _LATENCIES:
            self.latencies_s.append(seconds)
        if self.acknowledged is not None:
            self.acknowledged.append((row["device_id"], row["observed_us"]))


@dataclass(slots=True)
class _Kept:
    """A report that is not delivered yet."""

    row: Row
    frame: bytes
    reply: bytes


class Device:
    """One device of the swarm. ``clock`` tells it the time; it stops when it is cancelled."""

    def __init__(
        self,
        protocol: Protocol,
        vehicle: Vehicle,
        plan: Plan,
        address: tuple[str, int],
        clock: Clock,
        tally: Tally,
    ) -> None:
        assert protocol.simulation is not None
        self._protocol = protocol
        self._sim: Simulation = protocol.simulation
        self._vehicle = vehicle
        self._plan = plan
        self._address = address
        self._clock = clock
        self._tally = tally
        self._rng = random.Random(vehicle.seed ^ 0x5EED)  # noqa: S311 - repeatable
        self._kept: deque[_Kept] = deque()
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None
        self._off_until = 0.0

    async def run(self, delay_s: float) -> None:
        """Report for ever, the first time after ``delay_s``."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        try:
            while True:
                await asyncio.sleep(max(0.0, due - loop.time()))
                due += self._plan.interval_s
                self._make()
                self._perhaps_away(loop.time())
                if loop.time() >= self._off_until:
                    await self._deliver(due)
        finally:
            self._hang_up()

    def _make(self) -> None:
        row = self._vehicle.report(self._clock.now_us())
        said = {k: v for k, v in row.items() if k in self._sim.carries or k == "device_id"}
        frame = self._sim.report(said, row["sequence"])
        self._kept.append(_Kept(row, frame, b"".join(self._expected(frame))))
        self._tally.counts["reports"] += 1
        if len(self._kept) > _BUFFERED:
            self._kept.popleft()
            self._tally.counts["forgotten"] += 1

    def _expected(self, frame: bytes) -> Sequence[bytes]:
        session = Session(self._vehicle.device_id)
        hello = self._sim.hello(self._vehicle.device_id)
        if hello:
            read_frame(self._protocol, hello, session)
        return read_frame(self._protocol, frame, session).replies

    def _perhaps_away(self, now: float) -> None:
        """Off the network with a probability that keeps the plan's share of the devices away."""
        plan = self._plan
        if plan.outages and now >= self._off_until:
            chance = plan.outages * plan.interval_s / max(plan.outage_s, plan.interval_s)
            if self._rng.random() < chance:
                self._off_until = now + plan.outage_s
                self._tally.counts["outages"] += 1
                self._hang_up()

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = self._reader = None

    async def _deliver(self, until: float) -> None:
        """Send what is kept, oldest first; stop when the next report is due or the line fails."""
        loop = asyncio.get_running_loop()
        try:
            if self._writer is None:
                await self._call()
            while self._kept and (loop.time() < until or len(self._kept) == 1):
                await self._one(self._kept[0])
                self._kept.popleft()
                if loop.time() >= until:
                    return
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self._tally.counts[f"lost-{type(error).__name__}"] += 1
            self._hang_up()

    async def _call(self) -> None:
        self._reader, self._writer = await asyncio.wait_for(
            asyncio.open_connection(*self._address), self._plan.answer_s
        )
        self._tally.counts["connections"] += 1
        hello = self._sim.hello(self._vehicle.device_id)
        if hello:
            reply = b"".join(read_frame(self._protocol, hello, Session()).replies)
            await self._say(hello, reply)

    async def _one(self, kept: _Kept) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._say(kept.frame, kept.reply)
        self._tally.counts["delivered"] += 1
        if kept.reply:
            self._tally.answered(kept.row, loop.time() - began)

    async def _say(self, frame: bytes, reply: bytes) -> None:
        assert self._writer is not None
        assert self._reader is not None
        self._writer.write(frame)
        await self._writer.drain()
        if reply:
            got = await asyncio.wait_for(self._reader.readexactly(len(reply)), self._plan.answer_s)
            if got != reply:
                self._tally.counts["wrong-answers"] += 1
                raise ConnectionError("an answer that is none")


async def run_swarm(
    protocols: Sequence[Protocol],
    devices: int,
    address: tuple[str, int] | Callable[[Protocol], tuple[str, int]],
    plan: Plan,
    clock: Clock,
    seconds: float,
    tally: Tally,
) -> None:
    """``devices`` devices, the protocols in turn, for so many seconds. What is not answered by then counts as not acknowledged."""
    tasks = []
    for n in range(devices):
        p = protocols[n % len(protocols)]
        assert p.simulation is not None
        vehicle = Vehicle(p.simulation.device_id(n), plan.seed * 1_000_003 + n, plan.troubles)
        where = address(p) if callable(address) else address
        device = Device(p, vehicle, plan, where, clock, tally)
        tasks.append(asyncio.create_task(device.run(plan.interval_s * n / devices)))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*tasks), seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def frames(protocol: Protocol, devices: int, reports: int, plan: Plan, start_us: int) -> list[bytes]:
    """What the devices would send, without a network: hello and reports, device by device."""
    sim = protocol.simulation
    assert sim is not None
    out: list[bytes] = []
    for n in range(devices):
        vehicle = Vehicle(sim.device_id(n), plan.seed * 1_000_003 + n, plan.troubles)
        hello = sim.hello(vehicle.device_id)
        if hello:
            out.append(hello)
        for i in range(reports):
            row = vehicle.report(start_us + round(i * plan.interval_s * 1_000_000))
            said = {k: v for k, v in row.items() if k in sim.carries or k == "device_id"}
            out.append(sim.report(said, row["sequence"]))
    return out
