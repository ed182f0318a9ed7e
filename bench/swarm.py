"""The devices of ``bench.devices`` in a process of their own: ``python -m bench.swarm DEVICES SECONDS PORTS``."""

from __future__ import annotations

import asyncio
import json
import sys

from cocket.core.clock import WallClock
from cocket.decoders import protocol
from cocket.sim.swarm import Plan, Tally, run_swarm


def main() -> None:
    devices, seconds, ports = int(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3])
    tally = Tally(acknowledged=[])
    plan = Plan(10.0, outages=0.05, outage_s=10.0, answer_s=15.0)
    work = run_swarm(
        [protocol(name) for name in ports],
        devices,
        lambda p: ("127.0.0.1", ports[p.name]),
        plan,
        WallClock(),
        seconds,
        tally,
    )
    asyncio.run(work)
    out = {"counts": tally.counts, "latencies_s": tally.latencies_s, "acknowledged": tally.acknowledged}
    sys.stdout.write(json.dumps(out))


if __name__ == "__main__":
    main()
