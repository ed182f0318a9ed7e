"""``cocket conform``: drive a maker's device, or a simulator, against the checklist, and write the report."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from cocket.checks.checklist import approved, judge
from cocket.checks.proving import Ground, Record
from cocket.checks.report import Run, write
from cocket.core.clock import Clock, WallClock, rfc3339
from cocket.core.errors import BadSetting, NotFound
from cocket.core.protocol import Protocol
from cocket.decoders import protocol


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: how long to listen, to wait for a repeat, to be away, and to wait for what was kept meanwhile."""

    listen_s: float
    wait_s: float
    away_s: float


def conform(name: str, host: str, port: int, times: Times, report: Path, *, as_json: bool) -> int:
    """Run the checklist; writes ``report``.json and .html. 0 if the device may be approved, 1 if not."""
    try:
        p = protocol(name)
    except NotFound as error:
        raise BadSetting(error.detail) from error
    if "tcp" not in p.doors:
        raise BadSetting(f"{name} is not spoken over TCP; the kit drives TCP devices")
    clock = WallClock()
    began = clock.now_us()
    record = asyncio.run(_drive(p, host, port, times, clock))
    lines = judge(p, record)
    run = Run(p, record, lines, rfc3339(began), rfc3339(clock.now_us()))
    paths = write(run, report)
    if as_json:
        sys.stdout.write(paths[0].read_text(encoding="utf-8"))
    else:
        width = max(len(line.name) for line in lines)
        for line in lines:
            print(f"{line.verdict:<14} {line.name:<{width}} {line.found}")  # noqa: T201 - the command's output
        print(f"{'approved' if approved(lines) else 'not approved'}; {paths[1]} and {paths[0]}")  # noqa: T201
    return 0 if approved(lines) else 1


async def _drive(p: Protocol, host: str, port: int, times: Times, clock: Clock) -> Record:
    ground = Ground(p, clock)
    try:
        at = await ground.open(host, port)
    except OSError as error:
        raise BadSetting(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    try:
        _say(f"listening on {host}:{at} for {p.title}")
        work = " Work the lock now: close it, open it." if p.family == "seal" else ""
        _say(f"1 of 4: {times.listen_s:g} s of ordinary work.{work}")
        await asyncio.sleep(times.listen_s)
        _say(f"2 of 4: one report gets no answer; up to {times.wait_s:g} s for it to come again")
        ground.phase = "withhold"
        await _until(ground, lambda: ground.record.resent is not None, times.wait_s)
        _say(f"3 of 4: no server for {times.away_s:g} s")
        ground.go_away()
        await asyncio.sleep(times.away_s)
        ground.come_back()
        _say(f"4 of 4: up to {times.wait_s:g} s for what the device kept meanwhile")
        await _until(ground, lambda: _kept_came(ground.record), times.wait_s)
        await asyncio.sleep(min(2.0, times.wait_s))
    finally:
        await ground.close()
    return ground.record


async def _until(ground: Ground, condition: object, seconds: float) -> None:
    assert callable(condition)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition() and loop.time() < end:
        ground.news.clear()
        try:
            await asyncio.wait_for(ground.news.wait(), end - loop.time())
        except TimeoutError:
            return


def _kept_came(record: Record) -> bool:
    assert record.away_us is not None
    began, ended = record.away_us
    return any(began <= row.get("observed_us", 0) < ended for _, row in record.rows("return"))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - progress
