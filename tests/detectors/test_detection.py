"""The machine around the detectors: order, growth, counts, snapshots, running afresh."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from tests.laws.harness import batch_of

from cocket.core.batch import Batch
from cocket.core.errors import DataDamaged
from cocket.core.journeys import Journey, JourneyTable
from cocket.core.rules import Rules
from cocket.journeys.detection import Detection
from cocket.journeys.zones import ZoneDef, ZoneIndex
from cocket.pipeline import DETECTORS

S = 1_000_000
T0 = 1_700_000_000 * S


def _detection(n: int, **journey: object) -> Detection:
    table = JourneyTable()
    given = {"period_us": 10**15} | journey
    table.extend([Journey(f"D{i}", f"E{i}", f"M{i}", T0, **given) for i in range(n)])
    return Detection(DETECTORS, Rules.defaults(DETECTORS), table)


def _all_at(n: int, t: int, **columns: object) -> Batch:
    fixed = {name: np.full(n, value, np.int8) for name, value in columns.items()}
    return Batch(n, {"observed_us": np.full(n, t, np.int64), **fixed})


def _keys(n: int, first: int = 0) -> np.ndarray:
    return np.arange(first, first + n).astype(np.uint64)


def test_thousands_begin_and_end_in_one_batch() -> None:
    n = 3000
    d = _detection(n)
    js = np.arange(n, dtype=np.int32)
    on = {"rope_cut": 1, "casing_open": 1, "motor_stuck": 1}
    events = d.run(_all_at(n, T0 + S, **on), None, js, _keys(n), None, None)
    assert len(events) == 3 * n
    assert len({c.id for c in d.changes(events, 0)}) == 3 * n
    d.run(_all_at(n, T0 + 2 * S, **on), None, js, _keys(n, n), None, None)
    assert len(d.flush()) == 3 * n
    assert len(d.flush()) == 0
    off = dict.fromkeys(on, 0)
    events = d.run(_all_at(n, T0 + 3 * S, **off), None, js, _keys(n, 2 * n), None, None)
    assert len(events) == 3 * n
    assert set(events["count"].tolist()) == {2}
    assert d.pool.live.sum() == 0
    assert int(d.pool.meta[0]) == len(d.pool.records)


def test_the_last_state_of_an_alert_is_told_once() -> None:
    d = _detection(1)
    batch = batch_of(
        [
            {"device_id": "D0", "observed_us": T0 + s * S, "rope_cut": s < 3, "sequence": s}
            for s in range(1, 5)
        ]
    )
    events = d.run(batch, None, np.zeros(4, np.int32), _keys(4), None, None)
    assert len(events) == 2
    (change,) = d.changes(events, 77, late=True)
    assert (change.count, change.ended_us, change.raised_us, change.late) == (2, T0 + 3 * S, 77, True)
    assert change.journey == f"D0|E0|M0|{T0}"


def test_order_sorts_within_journeys_and_names_the_late() -> None:
    d = _detection(3)
    t = np.array([5, 4, 5, 6, 7, 5, 9], np.int64) * S + T0
    seq = np.array([2, 9, 1, 0, 0, 3, 0], np.int64)
    journey = np.array([0, 0, 0, 1, 2, 0, -1], np.int32)
    keys = _keys(7)
    order = d.order(journey, t, seq, keys)
    assert order.rows is not None
    assert [r for r in order.rows.tolist() if journey[r] == 0] == [1, 2, 0, 5]
    assert sorted(order.rows.tolist()) == [0, 1, 2, 3, 4, 5]
    assert not len(order.late)
    batch = Batch(7, {"observed_us": t, "sequence": seq})
    d.run(batch, order.rows, journey, keys, None, None)
    again = d.order(np.array([0, 1, 2, 0], np.int32), t[[5, 3, 4, 5]] + [0, 1, -1, 9], None, keys[:4])
    assert again.late.tolist() == [0, 2]
    assert again.rows is not None
    assert again.rows.tolist() == [1]
    assert d.order(np.array([1, 2], np.int32), t[[6, 6]], None, keys[:2]).rows is None


def test_an_observation_after_a_fired_timer_of_its_time_is_late() -> None:
    d = _detection(1, period_us=60 * S)
    row = np.zeros(1, np.int32)
    d.run(_all_at(1, T0), None, row, _keys(1), None, None)
    assert len(d.tick(T0 + 119 * S)) == 0
    assert len(d.order(row, np.array([T0 + 120 * S]), None, _keys(1, 5)).late) == 0
    assert len(d.tick(T0 + 120 * S)) == 1
    assert len(d.order(row, np.array([T0 + 120 * S]), None, _keys(1, 5)).late) == 1
    assert len(d.order(row, np.array([T0 + 120 * S + 1]), None, _keys(1, 5)).late) == 0


def test_a_journey_without_observations_runs_afresh_too() -> None:
    d = _detection(2, limit_us=T0 + 100 * S)
    nothing = Batch(0, {})
    changes = d.rerun(
        np.array([1]), nothing, np.zeros(0, np.int32), _keys(0), None, None, T0 + 85 * S, raised_us=1
    )
    assert [(c.code, c.severity, c.mrn, c.began_us) for c in changes] == [
        ("overstay", "warn", "M1", T0 + 80 * S)
    ]
    assert [c.mrn for c in d.changes(d.tick(T0 + 85 * S), 0)] == ["M0"]
    assert {(c.mrn, c.severity) for c in d.changes(d.tick(T0 + 200 * S), 0)} == {
        ("M0", "high"),
        ("M1", "high"),
    }


def test_new_and_changed_journeys_are_admitted() -> None:
    d = _detection(1)
    js = d.table.extend([Journey("X", "E", "M", T0, limit_us=T0 + 10 * S), Journey("Y", "E", "M2", T0)])
    d.admit(js)
    assert [c.device_id for c in d.changes(d.tick(T0 + 10 * S), 0)] == ["X"]
    d.table.set(2, Journey("Y", "E", "M2", T0, limit_us=T0 + 20 * S))
    d.admit([2])
    assert [c.device_id for c in d.changes(d.tick(T0 + 20 * S), 0)] == ["Y"]


def test_a_snapshot_of_something_else_is_refused() -> None:
    d = _detection(2)
    d.run(_all_at(2, T0 + S, rope_cut=1), None, np.arange(2, dtype=np.int32), _keys(2), None, None)
    data = d.dump()
    other = Detection(DETECTORS[:5], Rules.defaults(DETECTORS[:5]), d.table)
    with pytest.raises(DataDamaged, match="other detectors"):
        other.load(data)
    with pytest.raises(DataDamaged, match="does not fit"):
        _detection(3).load(data)
    with pytest.raises(DataDamaged, match="does not fit"):
        _detection(2).load(data[:-9])
    with pytest.raises(DataDamaged, match="cannot be read"):
        _detection(2).load(b"\x00\x01")
    fresh = _detection(2)
    fresh.load(data)
    assert fresh.dump() == data


def test_a_journey_costs_less_than_a_kibibyte() -> None:
    n = 5000
    d = _detection(n)
    js = np.arange(n, dtype=np.int32)
    d.run(_all_at(n, T0 + S, rope_cut=1, casing_open=1), None, js, _keys(n), None, None)
    assert d.nbytes() / n <= 1024


def test_all_zones_of_a_journey_survive_running_afresh() -> None:
    square = shapely.box(9.0, 9.0, 11.0, 11.0)
    kinds = ("restricted", "office", "restricted", "dead-zone")
    zones = ZoneIndex.build([ZoneDef(f"z{i}", kind, False, square) for i, kind in enumerate(kinds)])
    d = _detection(2)
    rows = [
        {"device_id": "D0", "observed_us": T0 + s * S, "lat_deg": lat, "lon_deg": 10.0}
        for s, lat in ((0, 10.0), (9000, 12.0))
    ]
    first, last = batch_of(rows[:1]), batch_of(rows[1:])
    row = np.array([1], np.int32)
    told = d.rerun(np.array([1]), first, row, _keys(1), zones, None, None, 0)
    assert sorted((c.code, c.subject) for c in told) == [
        ("restricted-zone", "z0"),
        ("restricted-zone", "z2"),
        ("zone-entered", "z1"),
        ("zone-entered", "z3"),
    ]
    told = d.changes(d.run(last, None, row, _keys(1, 1), zones, None), 0)
    assert sorted((c.code, c.subject, c.ended_us) for c in told) == [
        ("restricted-zone", "z0", T0 + 9000 * S),
        ("restricted-zone", "z2", T0 + 9000 * S),
        ("zone-left", "z1", T0 + 9000 * S),
        ("zone-left", "z3", T0 + 9000 * S),
    ]
    assert d.heads.tolist()[:2] == [-1, -1]


def test_a_place_in_hundreds_of_zones() -> None:
    n = 300
    zones = ZoneIndex.build(
        [ZoneDef(f"z{i:03d}", "restricted", False, shapely.box(9.0, 9.0, 11.0, 11.0)) for i in range(n)]
    )
    d = _detection(3)
    row = np.array([2], np.int32)
    for s, lat in ((0, 10.0), (9000, 12.0), (18000, 10.0)):
        batch = batch_of([{"device_id": "D2", "observed_us": T0 + s * S, "lat_deg": lat, "lon_deg": 10.0}])
        events = d.run(batch, None, row, _keys(1, s), zones, None)
        told = [c for c in d.changes(events, 0) if c.code == "restricted-zone"]
        assert {c.subject for c in told} == {f"z{i:03d}" for i in range(n)}
