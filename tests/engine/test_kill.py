"""kill -9 at random moments, and a crash before and after single commits: nothing acknowledged is lost, no alert is
lost or doubled.

The child is forked from a process that has everything loaded, so that two hundred lives take a minute.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from cocket.engine.service import Service

from . import feed


def _life(
    folder: Path, acks: int, todo: list[bytes], prepare: Callable[[Service], None] | None = None
) -> None:
    """What the child does: go on where the last one was killed, and tell of each acknowledgement."""
    with Service.open(folder, feed.FixedClock(), feed.SETTINGS) as service:
        if prepare is not None:
            prepare(service)
        for body in todo:
            feed.send(service, body)
            os.write(acks, b"a")
            time.sleep(0.004)
        service.wait_detected(30)
        os.write(acks, b"d")


def _run_and_kill(
    folder: Path, todo: list[bytes], after_s: float | None, prepare: Callable[[Service], None] | None = None
) -> tuple[int, bool]:
    """Fork a life, kill it after so long (None: let it end); how many bodies it acknowledged, and whether it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            _life(folder, writing, todo, prepare)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    told = b""
    while chunk := os.read(reading, 4096):
        told += chunk
    os.close(reading)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, "the child failed by itself"
    return told.count(b"a"), b"d" in told


def _check(folder: Path, expected: list[tuple[object, ...]]) -> None:
    with Service.open(folder, feed.FixedClock(), feed.SETTINGS) as service:
        assert feed.final(service) == expected
        stats = service.stats()
        assert stats["observations"] == len(feed.rows())
        events = service.folder.alerts.events_after(0, 100_000)
        assert len({e.alert["id"] for e in events}) == len(events) == stats["alerts"]


@pytest.mark.parametrize("times", [100, pytest.param(3000, marks=pytest.mark.soak)])
def test_kill_at_random_moments(tmp_path: Path, times: int) -> None:
    expected = feed.oracle(tmp_path / "oracle")
    assert len({row[1] for row in expected}) >= 7, "the feed must raise many kinds of alert"
    rng = random.Random(20261122 + times)
    kills, round_ = 0, 0
    while kills < times:
        folder = tmp_path / f"round{round_}"
        round_ += 1
        with Service.open(folder, feed.FixedClock(), feed.SETTINGS) as service:
            feed.declare(service)
        todo = feed.bodies()
        while todo and kills < times:
            acknowledged, ended = _run_and_kill(folder, todo, rng.uniform(0.0, 0.12) ** 1.2 + 0.01)
            kills += 1
            todo = todo[acknowledged:]
            if ended:
                break
        _run_and_kill(folder, todo, None)
        _check(folder, expected)


@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5, 7, 9, 12, 16, 21])
def test_crash_at_the_nth_write(tmp_path: Path, nth: int, after: bool) -> None:
    """Between any two writes: the process dies just before, or just after, its nth commit."""
    expected = feed.oracle(tmp_path / "oracle")
    folder = tmp_path / "crashed"
    with Service.open(folder, feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)

    def arm(_service: Service) -> None:
        left = [nth]

        def die(*_: object) -> None:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        if not after:
            sa.event.listen(sa.Engine, "commit", die)
            return
        real = sa.Connection._commit_impl

        def commit_and_die(self: sa.Connection) -> None:
            real(self)
            die()

        sa.Connection._commit_impl = commit_and_die  # type: ignore[method-assign]

    todo = feed.bodies()
    acknowledged, _ = _run_and_kill(folder, todo, None, arm)
    _run_and_kill(folder, todo[acknowledged:], None)
    _check(folder, expected)
