"""A row on which a detector raises: set aside with its bytes and the error, named, and everything else goes on exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.engine import feed

from cocket.core.clock import US, rfc3339
from cocket.core.detector import Detector, Levels
from cocket.engine import line
from cocket.engine.service import Service
from cocket.observations.readers import read_ndjson
from cocket.pipeline import DETECTORS
from cocket.store.doctor import check
from cocket.store.quarantine import SET_ASIDE

POISON_C = 66.6
"""A temperature that the test's detector cannot bear; nothing in the feed measures one."""


class Fails:
    """A detector that raises on rows of a certain temperature, and (if told so) on the timers of one journey."""

    def __init__(self) -> None:
        self.on = True
        self.timers_of: int | None = None

    def levels(self, frame: Any, _state: Any) -> Levels | None:
        if not self.on:
            return None
        temp = frame.get("temp_c")
        if temp is not None and np.any(temp == POISON_C):
            raise IndexError("a table has no such row")
        if self.timers_of is not None and np.any((frame.timers != 0) & (frame.journey == self.timers_of)):
            raise ZeroDivisionError("a timer divides by zero")
        return None

    def detector(self) -> Detector:
        return Detector("fails", "Does it raise?", ("info",), lambda _f: "never", levels=self.levels)


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Fails:
    fails = Fails()
    monkeypatch.setattr(line, "DETECTORS", (*DETECTORS, fails.detector()))
    return fails


def poisoned(k: int, minute: int) -> dict[str, object]:
    return {
        "device_id": f"SEAL{k:02d}",
        "observed_at": rfc3339(feed.START_US + minute * feed.MINUTE + 30 * US),
        "temp_c": POISON_C,
    }


def _with_poison(bodies: list[bytes], rows: list[dict[str, object]]) -> list[bytes]:
    """Each poison row stands in the middle of a body of good ones."""
    out = list(bodies)
    for i, row in enumerate(rows):
        at = 1 + i * (len(out) - 2) // max(1, len(rows) - 1) if len(rows) > 1 else len(out) // 2
        lines = out[at].split(b"\n")
        lines.insert(len(lines) // 2, msgspec.json.encode(row))
        out[at] = b"\n".join(lines)
    return out


def _held(service: Service) -> list[dict[str, Any]]:
    return service.folder.log.quarantined(100, rule=SET_ASIDE, state="held")[0]


def _settled(service: Service) -> list[tuple[object, ...]]:
    return feed.final(service)


@pytest.mark.parametrize("late", [False, True], ids=["as-it-comes", "found-in-a-new-run"])
def test_poison_rows_are_set_aside(tmp_path: Path, fails: Fails, *, late: bool) -> None:
    expected = feed.oracle(tmp_path / "oracle")
    rows = [poisoned(1, 20), poisoned(4, 70), poisoned(9, 130)]
    with Service.open(tmp_path / "data", feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        fails.on = not late  # late: it is an update that cannot bear what is stored already
        for body in _with_poison(feed.bodies(), rows):
            feed.send(service, body)
        if late:
            assert service.wait_detected(60)
            fails.on = True
            for k in range(feed.TRUCKS):  # a change of the movement runs its journey again
                desk = service.reference
                doc = dict(desk.store.get("movement", f"MRN{k:02d}").doc)
                desk.put("movement", f"MRN{k:02d}", {**doc, "goods": "tea"}, by="test")
            service.reference_changed()
        assert _settled(service) == expected
        held = _held(service)
        assert sorted(msgspec.json.decode(h["raw"])["device_id"] for h in held) == [
            "SEAL01",
            "SEAL04",
            "SEAL09",
        ]
        assert all("IndexError: a table has no such row at test_poison.py" in h["detail"] for h in held)
        totals = service.folder.log.totals()
        assert (totals.observations, totals.rejected) == (len(feed.rows()) + 3, 0)
        assert "3 stored observations set aside" in (service.failure or "")
    found = check(tmp_path / "data")
    assert [f.level for f in found if "the detectors fail on 3 stored observations" in f.what] == ["warning"]
    # a restart knows of them, finds nothing twice, and an end of the fault brings them in
    with Service.open(tmp_path / "data", feed.FixedClock(), feed.SETTINGS) as service:
        assert _settled(service) == expected
        assert len(_held(service)) == 3
        fails.on = False
        service.try_again()
        assert _settled(service) == expected
        assert service.failure is None
        assert _held(service) == []


def test_an_update_tries_again_by_itself(
    tmp_path: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Service.open(tmp_path / "data", feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        service.submit(read_ndjson(msgspec.json.encode(poisoned(1, 20)))).result(30)
        assert service.wait_detected(60)
        assert len(_held(service)) == 1
    fails.on = False
    monkeypatch.setattr("cocket.engine.aside.__version__", "0.0.0+another")
    with Service.open(tmp_path / "data", feed.FixedClock(), feed.SETTINGS) as service:
        assert service.wait_detected(60)
        assert _held(service) == []
        assert service.failure is None


def test_a_journey_whose_timers_raise_is_set_aside(tmp_path: Path, fails: Fails) -> None:
    expected = feed.oracle(tmp_path / "oracle")
    with Service.open(tmp_path / "data", feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        fails.timers_of = 3
        for body in feed.bodies():
            feed.send(service, body)
        _wait_for_timers(service, but=3)
        page = service.folder.alerts.page({"superseded": False}, None, 500, "newest")[0]
        found = sorted(
            (tuple(a[f] for f in feed.FIELDS) for a in page if a["device_id"] != "SEAL03"), key=str
        )
        assert found == [e for e in expected if e[4] != "SEAL03"]
        assert "whole journeys set aside" in (service.failure or "")
        assert "ZeroDivisionError" in _held(service)[0]["detail"]
        fails.on = False
        service.try_again()
        assert feed.final(service) == expected


def _wait_for_timers(service: Service, but: int) -> None:
    import time

    end = time.monotonic() + 60
    detecting = service.lines.detecting
    while True:
        assert service.wait_detected(60)
        due = np.delete(detecting._detection.state["due_us"][: detecting._world.table.n], but)
        if due.min() > feed.NOW_US and not service.lag:
            return
        assert time.monotonic() < end, f"the timers did not settle: {service.failure}"
        time.sleep(0.01)


def test_a_crash_between_quarantine_and_checkpoint_keeps_one_row(tmp_path: Path, fails: Fails) -> None:
    with Service.open(tmp_path / "data", feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        service.submit(read_ndjson(msgspec.json.encode(poisoned(1, 20)))).result(30)
        assert service.wait_detected(60)
        service.folder.alerts.forget_snapshot()
    with Service.open(tmp_path / "data", feed.FixedClock(), feed.SETTINGS) as service:
        assert service.wait_detected(60)
        assert len(service.folder.log.quarantined(100, rule=SET_ASIDE)[0]) == 1
