"""Cocket's alarms about itself: each begins, says what to do, and ends; what hovers about a limit is one alarm."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.watching.conftest import sample, scrape
from tests.web.conftest import Door, serving

from cocket.cli import main
from cocket.core.batch import Batch
from cocket.core.clock import US, parse_rfc3339
from cocket.core.config import Settings, overridden
from cocket.engine import measures
from cocket.engine.alarms import WINDOW_S, Look, Standing
from cocket.engine.figures import Figures
from cocket.observations.rules import batch_of


def judged(levels: list[str], *, rise_s: float = 2.0, fall_s: float = 3.0) -> list[bool]:
    standing = Standing()
    return [
        standing.judge(Look("x", level, f"n {i}", "do", rise_s, fall_s), float(i), i * US) is not None  # type: ignore[arg-type]
        for i, level in enumerate(levels)
    ]


def test_it_begins_and_ends_only_when_the_condition_lasts() -> None:
    assert judged(["bad", "bad", "good", "bad", "bad", "bad"]) == [False] * 5 + [True]
    assert judged(["bad"] * 3 + ["good"] * 2 + ["bad"] + ["good"] * 4) == [False] * 2 + [True] * 7 + [False]
    assert judged(["bad"] * 3 + ["between"] * 10) == [False] * 2 + [True] * 11
    assert judged(["between"] * 10) == [False] * 10
    assert judged(["bad", "good", "bad"], rise_s=0, fall_s=0) == [True, False, True]


@given(st.lists(st.sampled_from(["bad", "good", "between"]), max_size=60))
def test_against_a_plain_reading_of_the_rule(levels: list[str]) -> None:
    """The oracle looks back over the whole history each time."""
    stands, expected = False, []
    since = 0
    for i in range(len(levels)):
        toward, lasts = ("good", 3) if stands else ("bad", 2)
        run = 0
        while i - run >= since and levels[i - run] == toward:
            run += 1
        if run > lasts:
            stands, since = not stands, i + 1
        expected.append(stands)
    assert judged(levels) == expected


def test_an_alarm_keeps_its_beginning_and_renews_its_words() -> None:
    standing = Standing()
    standing.judge(Look("x", "bad", "5 wait", "do"), 0.0, 7)
    alarm = standing.judge(Look("x", "bad", "9 wait", "do"), 60.0, 60_000_000)
    assert alarm is not None
    assert (alarm.since_us, alarm.detail) == (7, "9 wait")


@pytest.fixture
def looked(tmp_path: Path) -> Iterator[Door]:
    """A server of its own, whose alarms begin soon."""
    quick = {"quarantine_rows": 20, "silent_source_s": 0.2, "lag_s": 0.5}
    yield from serving(tmp_path / "looked", overridden(Settings(), watching=quick))


def standing(door: Door, code: str) -> dict[str, Any] | None:
    return next((a for a in door.http.get("/health").json()["alarms"] if a["code"] == code), None)


def begun(door: Door, code: str) -> dict[str, Any]:
    door.until(lambda: standing(door, code) is not None)
    alarm = standing(door, code)
    assert alarm is not None
    assert parse_rfc3339(alarm["since"]) <= door.service.clock.now_us()
    assert len(alarm["do"]) > 40
    assert sample(scrape(door), "cocket_alarm", code=code) == 1
    return alarm


def ended(door: Door, code: str) -> None:
    door.until(lambda: standing(door, code) is None)
    assert sample(scrape(door), "cocket_alarm", code=code) == 0


def test_all_is_well_at_first(looked: Door) -> None:
    looked.service.alarms.look(time.monotonic())
    assert looked.http.get("/health").json()["alarms"] == []


def test_a_growing_quarantine_a_silent_door_and_a_failing_detector(looked: Door, monkeypatch: Any) -> None:
    looked.service.alarms.look(time.monotonic())
    for _ in range(3):
        looked.observe(*({"device_id": "x"} for _ in range(7)))
    alarm = begun(looked, "quarantine-growing")
    assert alarm["detail"].startswith("21 rows were refused")
    assert "most by http that break the rule required" in alarm["detail"]
    assert looked.http.get("/health").json()["status"] == "ok"

    # it talked for longer than the silence that is waited for, and then no more
    looked.until(lambda: looked.service.figures.sources()["http"].last_s + 0.3 < time.monotonic())
    looked.observe({"device_id": looked.name("D"), "observed_at": looked.at(-1)})
    assert "http for" in begun(looked, "source-silent")["detail"]
    assert sample(scrape(looked), "cocket_silent_sources") == 1

    monkeypatch.setattr(type(looked.service), "failure", property(lambda _: "the disk is gone"))
    looked.service.alarms.look(time.monotonic())
    assert next(a["code"] for a in looked.http.get("/health").json()["alarms"]) == "detectors-failing"
    assert begun(looked, "detectors-failing")["detail"] == "the disk is gone"
    monkeypatch.undo()
    ended(looked, "detectors-failing")
    looked.service.alarms.look(time.monotonic() + WINDOW_S + 1)
    looked.service.alarms.look(time.monotonic() + WINDOW_S + 60)
    assert standing(looked, "quarantine-growing") is None


def test_a_damaged_history_and_a_full_disk(looked: Door, monkeypatch: Any) -> None:
    looked.observe({"device_id": looked.name("D"), "observed_at": looked.at(-1)})
    looked.settled()
    looked.service.folder.history.compact(looked.service.folder.log.last_offset())
    (file,) = looked.service.folder.history.files
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[:-1])
    monkeypatch.setattr(measures, "_SELDOM_S", 0.0)
    looked.service.measures = measures.Measures(looked.service.folder)
    alarm = begun(looked, "history-damaged")
    assert f"{file.path.name} has {len(whole) - 1} of {len(whole)} bytes" in alarm["detail"]
    file.path.write_bytes(whole)

    looked.service.measures.disk = measures.Kept(lambda: (1000 << 20, 9000 << 20), 0)
    assert begun(looked, "disk-low")["detail"].startswith("1,000 MiB of 9,000 MiB are free")
    looked.service.measures.disk = measures.Kept(
        lambda: (2100 << 20, 9000 << 20), 0
    )  # hardly more than the limit
    now = time.monotonic()
    looked.service.alarms.look(now + 100)
    looked.service.alarms.look(now + 200)
    assert standing(looked, "disk-low") is not None
    looked.service.measures.disk = measures.Kept(lambda: (4000 << 20, 9000 << 20), 0)
    looked.service.alarms.look(now + 300)
    looked.service.alarms.look(now + 400)
    assert standing(looked, "disk-low") is None
    assert standing(looked, "history-damaged") is None


@pytest.mark.parametrize(("off_s", "alarm"), [(200, True), (-1000, True)])
def test_many_clocks_that_are_off_together_mean_that_ours_is(looked: Door, off_s: float, alarm: bool) -> None:
    looked.observe(*({"device_id": f"C-{i}", "observed_at": looked.at(off_s + i)} for i in range(9)))
    now = time.monotonic()
    looked.service.alarms.look(now)
    looked.service.alarms.look(now + 10)
    found = standing(looked, "clock-skew")
    assert (found is not None) == alarm
    assert sample(scrape(looked), "cocket_clock_skew_seconds") == pytest.approx(off_s + 4, abs=3)
    if found is not None:
        assert found["detail"].startswith("the clocks of 9 devices are")
        assert ("ahead of" if off_s > 0 else "behind") in found["detail"]


def clocks(*commits: dict[str, float]) -> tuple[float, int]:
    """The median after commits of one row a device, given as seconds ahead of ours."""
    figures = Figures()
    for offset, ahead in enumerate(commits, 1):
        now_us = 1_790_000_000 * US
        batch = batch_of([{"device_id": d, "observed_us": now_us + int(s * US)} for d, s in ahead.items()])
        batch.columns["time_quality"] = np.zeros(batch.n, np.int8)
        figures._looked_s = 0.0  # commits that follow at once are not all looked at
        figures.stored(offset, batch, now_us)
    return figures.skew()


def test_one_device_with_a_wrong_clock_does_not_move_the_median() -> None:
    assert clocks({"WRONG": 250, **{f"R-{i}": -1 for i in range(6)}}) == (-1, 7)


def test_what_was_sent_late_says_nothing_of_a_clock() -> None:
    names = [f"L-{i}" for i in range(6)]
    late = [dict.fromkeys(names, s) for s in (-1.0, -7200.0, -3600.0)]
    assert clocks(*late) == (-1, 6)
    assert clocks(*reversed(late)) == (-1, 6)
    assert clocks() == (0.0, 0)
    assert clocks(dict.fromkeys(names, -90_000.0)) == (0.0, 0)  # a replay of yesterday


def test_lag_counts_from_the_oldest_that_waits() -> None:
    figures, empty = Figures(), Batch(0, {})
    assert figures.lag_s(0, 0) == 0
    began = time.monotonic()
    figures.stored(101, empty, 0)
    while time.monotonic() - began < 0.15:  # one mark is kept for so long
        pass
    second = time.monotonic()
    figures.stored(102, empty, 0)
    whole = figures.lag_s(100, 5)
    assert 0.15 <= whole <= time.monotonic() - began
    rest = figures.lag_s(101, 5)
    assert rest <= time.monotonic() - second
    assert figures.lag_s(102, 0) == 0
    behind = figures.lag_s(7, 5)  # what was there before the start: from when it was seen
    assert behind < 0.1
    assert figures.lag_s(7, 5) > behind


def test_the_age_of_the_last_backup(tmp_path: Path, capsys: Any) -> None:
    wanted = overridden(Settings(), watching={"backup_age_h": 1.0})
    for door in serving(tmp_path / "d", wanted):
        assert "there is none yet" in begun(door, "backup-old")["detail"]
        assert scrape(door)["cocket_backup_age_seconds"].samples == []
        assert main(["backup", "--data", str(tmp_path / "d"), "--to", str(tmp_path / "copy")]) == 0
        ended(door, "backup-old")
        assert 0 <= sample(scrape(door), "cocket_backup_age_seconds") < 60
        two_hours_ago = (tmp_path / "d" / "backed-up").stat().st_mtime - 7200
        os.utime(tmp_path / "d" / "backed-up", (two_hours_ago, two_hours_ago))
        assert "the last is 2 h old" in begun(door, "backup-old")["detail"]


def test_what_is_wrong_is_not_told_to_strangers_where_people_sign_in(tmp_path: Path) -> None:
    for door in serving(tmp_path / "d", overridden(Settings(), access={"sign_in": True})):
        door.service.measures.disk = measures.Kept(lambda: (1, 9000 << 20), 0)
        door.until(lambda alarms=door.service.alarms: bool(alarms.current))
        health = door.http.get("/health").json()
        assert (health["status"], health["alarms"]) == ("ok", [])
        assert door.http.get("/metrics").status_code == 401
