"""Runs of stamps against the plainest oracle: a state for each stamp, in a dictionary."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.customs.codes.intervals import (
    ISSUED,
    RESULT,
    STATES,
    TRANSITIONS,
    Run,
    allowed,
    folded,
    impossible,
)

FIRST, LAST = 10, 40
parts = st.tuples(st.integers(FIRST, LAST), st.integers(FIRST, LAST)).map(sorted)
events = st.lists(st.tuples(st.sampled_from(sorted(TRANSITIONS)), parts), max_size=25)

POSSIBLE = {
    ("issued", "activate"): "active", ("issued", "void"): "void", ("issued", "steal"): "stolen",
    ("active", "void"): "void", ("active", "steal"): "stolen", ("active", "clear"): "active",
    ("stolen", "find"): "found", ("stolen", "void"): "void",
    ("found", "activate"): "active", ("found", "void"): "void", ("found", "steal"): "stolen",
}  # fmt: skip


def test_the_table_is_this_one_and_no_other() -> None:
    for state in STATES:
        for event in TRANSITIONS:
            assert TRANSITIONS[event].get(state) == POSSIBLE.get((state, event))
        assert allowed(state) == [e for e in TRANSITIONS if (state, e) in POSSIBLE]
    assert allowed("void") == []
    assert {e: {t for (_, f), t in POSSIBLE.items() if f == e} for e in TRANSITIONS} == {
        e: {s} for e, s in RESULT.items()
    }


@given(events)
@settings(deadline=None)
def test_runs_are_what_each_stamp_lived_through(wanted) -> None:
    oracle = dict.fromkeys(range(FIRST, LAST + 1), ISSUED)
    happened = []
    for event, (first, last) in wanted:
        against = impossible(folded(FIRST, LAST, happened), event, first, last)
        stuck = [s for s in range(first, last + 1) if (oracle[s], event) not in POSSIBLE]
        if stuck:
            assert against is not None
            assert (against.first, against.state) == (stuck[0], oracle[stuck[0]])
            assert set(range(against.first, against.last + 1)) <= set(stuck)
            continue
        assert against is None
        happened.append((event, first, last))
        for s in range(first, last + 1):
            oracle[s] = POSSIBLE[oracle[s], event]
    runs = folded(FIRST, LAST, happened)
    assert {s: run.state for run in runs for s in range(run.first, run.last + 1)} == oracle
    assert [run.first for run in runs] == [FIRST, *(run.last + 1 for run in runs[:-1])]
    assert runs[-1].last == LAST
    assert all(a.state != b.state for a, b in itertools.pairwise(runs))


def test_a_milliard_stamps_are_few_runs() -> None:
    assert folded(1, 10**9, [("activate", 1, 10**8), ("steal", 5, 6)]) == [
        Run(1, 4, "active"),
        Run(5, 6, "stolen"),
        Run(7, 10**8, "active"),
        Run(10**8 + 1, 10**9, "issued"),
    ]
