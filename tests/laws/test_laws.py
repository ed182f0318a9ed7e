"""The laws: the final alerts are a function of the set of observations and the last tick, for every detector.

Every detector in the pipeline is found and tried by itself; a new one gets the laws for nothing, and needs a twin.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.laws.harness import Machine, batch_of
from tests.laws.world import (
    CORRIDOR,
    JOURNEYS,
    PLACES,
    RULES,
    SAYS,
    TWIN_ZONES,
    Script,
    at,
    params_of,
    reference,
    rows_of,
)
from tests.twins.machine import Alert, final_alerts
from tests.twins.questions import QUESTIONS, ZONE_QUESTIONS

from cocket.core.alerts import SEVERITIES, AlertChange
from cocket.core.ids import alert_id
from cocket.core.keys import observation_keys
from cocket.core.schema import COLUMNS, Kind
from cocket.pipeline import DETECTORS

LAST = 230

entries = st.tuples(
    st.sampled_from([0, 0, 0, 1, 1, 2]),
    st.integers(-5, 220),
    st.integers(0, len(PLACES) - 1),
    st.integers(0, len(SAYS) - 1),
    st.integers(0, len(SAYS) - 1),
)
scripts = st.lists(entries, max_size=40)
rule_numbers = st.integers(0, len(RULES) - 1)
relaxed = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def random_script(seed: int, n: int) -> Script:
    """A long script in which conditions last: each device tends to say again what it said."""
    draw = random.Random(seed)
    out: Script = []
    habit = [(1, 0, 0)] * 3
    when = [0, 0, 0]
    for _ in range(n):
        device = draw.choice([0, 0, 1, 1, 2])
        if draw.random() < 0.3:
            habit[device] = (
                draw.randrange(len(PLACES)), draw.randrange(len(SAYS)), draw.randrange(len(SAYS))
            )  # fmt: skip
        when[device] += draw.choice([0, 1, 1, 1, 2, 2, 3, 10])
        out.append((device, when[device] % 225 - 3, *habit[device]))
    return out


def standing(machine: Machine) -> dict[str, tuple[Any, ...]]:
    """What stands at the end, in full but for our clock."""
    machine.flush()
    return {
        a.id: (
            a.code, a.severity, a.journey, a.subject, a.began_us, a.ended_us, a.raised_event_us, a.count, a.lat_deg,
            a.lon_deg, a.value, a.peak, a.threshold, a.began_key, a.raised_key, a.last_key, a.last_us, a.peak_us,
            a.peak_key, a.says,
        )
        for a in machine.alerts.values()
    }  # fmt: skip


def in_one(rows: list[dict[str, Any]], rules: int) -> Machine:
    """All rows in one batch, then the last tick."""
    machine = Machine(reference(rules))
    if rows:
        machine.feed(rows)
    machine.tick(at(LAST))
    return machine


def as_twins_say(rows: list[dict[str, Any]], rules: int) -> dict[str, tuple[str, Alert]]:
    """The twins' alerts by id, with the severity."""
    keys = observation_keys(batch_of(rows)).tolist() if rows else []
    severities = {d.name: d.severities for d in DETECTORS}
    out = {}
    for j in JOURNEYS:
        params = params_of(rules, j)
        mine = [
            (row, key)
            for row, key in zip(rows, keys, strict=True)
            if row["device_id"] == j.device_id
            and row["observed_us"] >= j.from_us
            and (j.to_us is None or row["observed_us"] < j.to_us)
        ]
        corridor = CORRIDOR if j.corridor == 0 else None
        name = f"{j.device_id}|{j.equipment_id}|{j.mrn}|{j.from_us}"
        for a in final_alerts(j, mine, params, TWIN_ZONES, corridor, at(LAST)):
            severity = params[a.code]["severity"] or severities[a.code][a.level - 1]
            out[alert_id(name, a.code, a.zone, a.began_us, a.began_key)] = (severity, a)
    return out


def near(a: float | None, b: float | None) -> bool:
    """The twins measure on a sphere."""
    return a == b if a is None or b is None else a == pytest.approx(b, rel=0.01, abs=3.0)


def assert_same(machine: Machine, rows: list[dict[str, Any]], rules: int) -> None:
    machine.flush()
    mine: dict[str, AlertChange] = machine.alerts
    theirs = as_twins_say(rows, rules)
    assert {(a.code, a.began_us) for a in mine.values()} == {(a.code, a.began_us) for _, a in theirs.values()}
    assert mine.keys() == theirs.keys()
    for name, (severity, b) in theirs.items():
        a = mine[name]
        exact = (a.code, a.severity, a.ended_us, a.raised_event_us, a.count, a.last_us, a.lat_deg, a.lon_deg)
        assert exact == (b.code, severity, b.ended_us, b.raised_us, b.count, b.last_us, b.lat, b.lon)
        assert (a.began_key, a.raised_key, a.last_key) == (b.began_key, b.raised_key, b.last_key)
        assert (a.subject or "") == b.zone
        assert near(a.value, b.value)
        assert near(a.peak, b.peak)
        if a.peak is not None and a.unit != "m":  # two distances that a sphere takes for equal may not be
            assert (a.peak_us, a.peak_key) == (b.peak_us, b.peak_key)


def test_every_detector_has_a_twin() -> None:
    assert {d.name for d in DETECTORS} == {*QUESTIONS, *ZONE_QUESTIONS}


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.name)
def test_a_detector_is_well_formed(detector: Any) -> None:
    assert all(s in SEVERITIES for s in detector.severities)
    assert detector.question.endswith("?")
    assert (detector.levels is None) == (detector.zone is not None)
    assert all(p.doc for p in detector.all_params())


@pytest.mark.parametrize("rules", range(len(RULES)))
@pytest.mark.parametrize("seed", range(12))
def test_long_scripts_agree_with_the_twins(seed: int, rules: int) -> None:
    rows = rows_of(random_script(seed, 400))
    assert_same(in_one(rows, rules), rows, rules)


def test_the_long_scripts_raise_every_alert() -> None:
    levels: dict[str, set[int]] = {}
    for seed in range(12):
        rows = rows_of(random_script(seed, 400))
        for rules in range(len(RULES)):
            for _, alert in as_twins_say(rows, rules).values():
                levels.setdefault(alert.code, set()).add(alert.level)
    for detector in DETECTORS:
        assert levels.get(detector.name) == {*range(1, len(detector.severities) + 1)}, detector.name


@relaxed
@given(scripts, rule_numbers)
def test_kernels_say_what_the_twins_say(script: Script, rules: int) -> None:
    rows = rows_of(script)
    assert_same(in_one(rows, rules), rows, rules)


def arrive(machine: Machine, rows: list[dict[str, Any]], draw: random.Random, mess: float) -> None:
    """Feed the rows in some order, in some batches, some twice, with ticks and restarts in between."""
    rows = sorted(rows, key=lambda r: r["observed_us"] + draw.random() * mess)
    while rows:
        n = draw.choice([1, 1, 2, 3, 5, 17, 100])
        part, rows = rows[:n], rows[n:]
        if draw.random() < 0.3:
            part = part + [dict(r) for r in draw.sample(part, draw.randint(1, len(part)))]
        if draw.random() < 0.3:
            draw.shuffle(part)
        machine.feed(part)
        if draw.random() < 0.2:
            again = draw.choice(machine.history)
            machine.feed([again.row(i) for i in range(again.n)])
        if draw.random() < 0.3:
            machine.tick(at(draw.randint(-10, LAST)))
        if draw.random() < 0.1:
            machine.flush()
        if draw.random() < 0.15:
            machine.restart()
    machine.tick(at(LAST))


@relaxed
@given(scripts, rule_numbers, st.integers(0, 2**32), st.sampled_from([0.0, 3e7, 1e9, 1e12]))
def test_arrival_does_not_matter(script: Script, rules: int, seed: int, mess: float) -> None:
    rows = rows_of(script)
    machine = Machine(reference(rules))
    arrive(machine, rows, random.Random(seed), mess)
    assert standing(machine) == standing(in_one(rows, rules))


@pytest.mark.parametrize("seed", range(15))
def test_arrival_of_long_scripts_does_not_matter(seed: int) -> None:
    rows = rows_of(random_script(100 + seed, 250))
    rules, mess = seed % len(RULES), [0.0, 3e7, 1e9, 1e12][seed % 4]
    machine = Machine(reference(rules))
    arrive(machine, rows, random.Random(seed), mess)
    assert standing(machine) == standing(in_one(rows, rules))


@relaxed
@given(scripts, rule_numbers)
def test_running_afresh_changes_nothing(script: Script, rules: int) -> None:
    rows = rows_of(script)
    machine = in_one(rows, rules)
    before = standing(machine)
    if rows:
        machine.rerun(np.arange(len(JOURNEYS)))
        assert standing(machine) == before
        machine.restart()
        machine.rerun(np.array([1]))
        assert standing(machine) == before


def _anything(column: Any) -> st.SearchStrategy[Any]:
    if column.kind is Kind.FLOAT:
        return st.floats(allow_nan=True, allow_infinity=True)
    if column.kind is Kind.BOOL:
        return st.booleans()
    if column.kind is Kind.ENUM:
        return st.sampled_from(column.values)
    if column.kind is Kind.TEXT:
        return st.text(max_size=4)
    if column.kind is Kind.TIME:
        return st.one_of(st.integers(-(2**62), 2**62), st.integers(at(0), at(100)))
    return st.integers(-(2**63), 2**63 - 1)


_free = {c.name: st.none() | _anything(c) for c in COLUMNS if not c.required}
wild = st.lists(
    st.builds(
        lambda device, when, rest: {"device_id": device, "observed_us": when, **rest},
        st.sampled_from(["A", "B", "Z"]),
        st.one_of(st.integers(-(2**62), 2**62), st.integers(at(0), at(100))),
        st.dictionaries(st.sampled_from(sorted(_free)), st.integers(0, 99), max_size=6).flatmap(
            lambda chosen: st.fixed_dictionaries({k: _free[k] for k in chosen})
        ),
    ),
    max_size=8,
)


@relaxed
@given(st.lists(wild, max_size=3), rule_numbers)
def test_arbitrary_values_never_raise(batches: list[list[dict[str, Any]]], rules: int) -> None:
    one, many = Machine(reference(rules)), Machine(reference(rules))
    for rows in batches:
        if rows:
            many.feed(rows)
    everything = [row for rows in batches for row in rows]
    if everything:
        one.feed(everything)
    for machine in (one, many):
        machine.tick(2**62)
    assert standing(one) == standing(many)


def test_an_empty_batch_and_unbound_rows_say_nothing() -> None:
    machine = Machine(reference(0))
    machine.feed([{"device_id": "nobody", "observed_us": at(3), "rope_cut": True}])
    machine.feed([{"device_id": "A", "observed_us": at(-4), "rope_cut": True}])
    assert not machine.alerts
