"""``cocket simulate``: a swarm of devices at work, or their frames as lines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from cocket.core.clock import WallClock
from cocket.core.errors import BadSetting, NotFound
from cocket.core.protocol import Protocol
from cocket.decoders import protocol
from cocket.sim.swarm import Plan, Tally, frames, run_swarm


def named(names: str) -> list[Protocol]:
    """The protocols of a comma-separated list, each with a simulation. ``BadSetting`` if one has none."""
    found = []
    for name in names.split(","):
        try:
            p = protocol(name.strip())
        except NotFound as error:
            raise BadSetting(error.detail) from error
        if p.simulation is None:
            raise BadSetting(f"{p.name} has no simulation")
        found.append(p)
    return found


def print_frames(names: str, devices: int, reports: int, plan: Plan, *, text: bool) -> int:
    """The frames, a line each, as ``cocket decode`` takes them."""
    for p in named(names):
        for frame in frames(p, devices, reports, plan, WallClock().now_us()):
            line = frame.rstrip(b"\r\n") if text else frame.hex().encode()
            sys.stdout.buffer.write(line + b"\n")
    return 0


def simulate(names: str, devices: int, to: str, plan: Plan, seconds: float, *, as_json: bool) -> int:
    """Run the swarm against ``host:port``; ends by printing what happened. 1 if nothing at all was delivered."""
    host, _, port = to.rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 65536):
        raise BadSetting(f"--to {to!r}: an address is host:port")
    streamed = [p for p in named(names) if "tcp" in p.doors]
    if not streamed:
        raise BadSetting(f"{names} is not spoken over TCP; without --to its frames are printed")
    tally = Tally()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(
            _watched(streamed, devices, (host.strip("[]"), int(port)), plan, seconds, tally, quiet=as_json)
        )
    result = summary(tally)
    if as_json:
        print(json.dumps(result))  # noqa: T201 - the command's output
    else:
        for name, value in result.items():
            print(f"{name:<24} {value}")  # noqa: T201
    return 0 if result["delivered"] else 1


async def _watched(
    protocols: Sequence[Protocol],
    devices: int,
    address: tuple[str, int],
    plan: Plan,
    seconds: float,
    tally: Tally,
    *,
    quiet: bool,
) -> None:
    work = asyncio.create_task(run_swarm(protocols, devices, address, plan, WallClock(), seconds, tally))
    while not work.done():
        await asyncio.wait([work], timeout=1.0)
        if not quiet and sys.stderr.isatty():
            c = tally.counts
            print(  # noqa: T201 - progress
                f"\r{c['reports']} reports, {c['delivered']} delivered, {c['acknowledged']} acknowledged",
                end="",
                file=sys.stderr,
            )
    if not quiet and sys.stderr.isatty():
        print(file=sys.stderr)  # noqa: T201
    work.result()


def summary(tally: Tally) -> dict[str, Any]:
    """Counts, and the answers' latency in milliseconds."""
    ordered = sorted(tally.latencies_s)
    counts = tally.counts
    out: dict[str, Any] = {
        name: counts[name] for name in ("reports", "delivered", "acknowledged", "connections", "outages")
    }
    out |= {name: n for name, n in sorted(counts.items()) if name not in out}
    for name, share in (("answer_p50_ms", 0.5), ("answer_p99_ms", 0.99)):
        out[name] = (
            round(1e3 * ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) if ordered else None
        )
    return out
