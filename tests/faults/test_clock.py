"""The machine's clock jumps both ways: no alarm that does not heal, and times that never run back."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.engine import feed
from tests.faults.machine import until

from cocket.core import clock as core_clock
from cocket.core.clock import US, WallClock, parse_rfc3339
from cocket.engine.service import Service
from cocket.observations.readers import read_ndjson
from cocket.store.doctor import check

DAY = 86_400 * US


class Hands:
    """The two clocks of a machine, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = feed.NOW_US
        self.steady = 0
        monkeypatch.setattr(core_clock.time, "time_ns", lambda: self.wall * 1000)
        monkeypatch.setattr(core_clock, "_steady_us", lambda: self.steady)

    def pass_us(self, us: int) -> None:
        self.wall += us
        self.steady += us


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])
def test_a_jump_is_not_followed_at_once(monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    hands = Hands(monkeypatch)
    clock = WallClock()
    hands.pass_us(US)
    assert clock.now_us() == feed.NOW_US + US
    hands.wall += jump
    for i in range(2, 600):
        hands.pass_us(US)
        assert clock.now_us() == feed.NOW_US + i * US
        assert clock.jumped_us == jump
    hands.wall -= jump  # set right again
    hands.pass_us(US)
    assert clock.now_us() == feed.NOW_US + 600 * US
    assert clock.jumped_us == 0


def test_a_step_that_lasts_is_taken_over_and_time_never_runs_back(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands(monkeypatch)
    clock = WallClock()
    hands.wall += DAY
    times = []
    for _ in range(700):
        hands.pass_us(US)
        times.append(clock.now_us())
    assert times[-1] == hands.wall
    hands.wall -= DAY
    for _ in range(700):
        hands.pass_us(US)
        times.append(clock.now_us())
    assert times == sorted(times)
    assert times[-1] <= feed.NOW_US + DAY + 1400 * US


def test_small_steps_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands(monkeypatch)
    clock = WallClock()
    for step in (3 * US, -2 * US, 9 * US):
        hands.wall += step
        hands.pass_us(60 * US)
        assert clock.now_us() == hands.wall


class SetClock(feed.FixedClock):
    """A clock that is wrong, and is set right."""

    def __init__(self, now_us: int) -> None:
        self.now = now_us

    def now_us(self) -> int:
        return self.now


def test_alarms_of_a_clock_that_was_ahead_heal(tmp_path: Path) -> None:
    """Also those that were raised and stored, over a restart: a process cannot know that it was started with a wrong clock."""
    wrong, right = feed.START_US + 90 * feed.MINUTE + DAY, feed.START_US + 90 * feed.MINUTE
    half = _before(right)
    with Service.open(tmp_path / "right", SetClock(right), feed.SETTINGS) as service:
        feed.declare(service)
        for body in half:
            feed.send(service, body)
        expected = _held(service, right)
    with Service.open(tmp_path / "wrong", SetClock(wrong), feed.SETTINGS) as service:
        feed.declare(service)
        for body in half:
            feed.send(service, body)
        alarmed = _held(service, wrong)
        silent = {a[4] for a in alarmed if a[1] == "silence"} - {a[4] for a in expected if a[1] == "silence"}
        assert len(silent) > feed.TRUCKS // 2, "a clock that is a day ahead makes everybody silent"
    with Service.open(tmp_path / "wrong", SetClock(right), feed.SETTINGS) as service:
        assert _held(service, right) == expected
        superseded = service.folder.alerts.page({"superseded": True}, None, 500, "newest")[0]
        assert {
            a["superseded_reason"]
            for a in superseded
            if (a["code"], a["device_id"]) in {("silence", d) for d in silent}
        } >= {"our clock had been ahead and was set back"}


def _before(until_us: int) -> list[bytes]:
    rows = [r for r in feed.rows() if parse_rfc3339(str(r["observed_at"])) < until_us]
    return [b"\n".join(msgspec.json.encode(r) for r in rows[i : i + 60]) for i in range(0, len(rows), 60)]


def _held(service: Service, now_us: int) -> list[tuple[object, ...]]:
    detecting = service.lines.detecting  # type: ignore[attr-defined]

    def settled() -> bool:
        assert service.wait_detected(60), service.failure
        due = detecting._detection.state["due_us"][: detecting._world.table.n]
        return bool(due.min() > now_us) and not service.lag and detecting.timer_due() is None

    until(settled, "the timers settle")
    page, _ = service.folder.alerts.page({"superseded": False}, None, 500, "newest")
    return sorted((tuple(a[f] for f in feed.FIELDS) for a in page), key=str)


def test_doctor_names_entries_from_the_future(tmp_path: Path) -> None:
    ahead = SetClock(WallClock().now_us() + DAY)
    with Service.open(tmp_path / "data", ahead, feed.SETTINGS) as service:
        service.submit(read_ndjson(b'{"device_id":"a","observed_at":"2026-03-02T06:00:00Z"}')).result(30)
    assert any("received" in f.what and "future" in f.what for f in check(tmp_path / "data"))
