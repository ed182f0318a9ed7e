"""Measures of a trip against counts by hand, second by second."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocket.core.batch import Batch
from cocket.core.clock import US
from cocket.engine.trip_measures import Rows, closed_times, distance_m, gaps
from cocket.store.bindings import Binding


@given(st.lists(st.integers(0, 300), max_size=20), st.integers(1, 300), st.integers(1, 60))
def test_cover_is_what_a_count_of_seconds_finds(seconds, length, period) -> None:
    """A second is covered if the reports (or ends) around it are at most two periods apart."""
    times = sorted(s for s in seconds if s <= length)
    edges = [0, *times, length]
    steps = [b - a for a, b in pairwise(edges)]
    longest, bare, covered = gaps(np.array(times, np.int64) * US, 0, length * US, float(period))
    assert longest.seconds == max(steps)
    good = sum(
        1
        for second in range(length)
        if any(a <= second < b and b - a <= 2 * period for a, b in pairwise(edges))
    )
    assert covered == pytest.approx(good / length if times else 0.0)
    assert [g.seconds for g in bare] == [s for s in steps if s > 2 * period]


def rows(from_us: int, to_us: int | None, lats: list[float], **columns) -> Rows:
    n = len(lats)
    data = {
        "observed_us": np.arange(n, dtype=np.int64) + from_us,
        "lat_deg": np.array(lats),
        "lon_deg": np.zeros(n),
    }
    data |= {name: np.array(values, np.int8) for name, values in columns.items()}
    return Rows(Binding(1, "D", "E", "M", from_us, to_us, "a"), Batch(n, data), 0)


def test_distances_of_devices_at_once_are_not_added() -> None:
    one = distance_m([rows(0, 100, [0.0, 0.1])])
    assert one == pytest.approx(11_057, abs=1)  # a tenth of a degree of latitude at the equator
    assert distance_m([rows(0, 100, [0.0, 0.1]), rows(50, None, [0.0, 0.2])]) == pytest.approx(
        2 * one, rel=1e-4
    )
    assert distance_m([rows(0, None, [0.0, 0.1]), rows(0, 50, [0.0, 0.1])]) == pytest.approx(one)
    followed = [rows(0, 100, [0.0, 0.1]), rows(100, None, [0.1, 0.2])]
    assert distance_m(followed) == pytest.approx(2 * one, rel=1e-4)
    assert distance_m([]) == 0.0


def test_positions_that_nobody_vouches_for_do_not_count() -> None:
    assert distance_m([rows(0, None, [0.0, 5.0, 0.0], fix_valid=[1, 0, 1])]) == 0.0
    assert distance_m([rows(0, None, [float("nan"), 1.0])]) == 0.0


@pytest.mark.parametrize(
    ("columns", "closed", "opened"),
    [
        ({"locked": [1, 1]}, [0, 1], None),
        ({"locked": [1, -1]}, [0], None),
        ({"rope_cut": [0, 0]}, [0, 1], None),
        ({"casing_open": [0, 0]}, [], None),
        ({}, [], None),
        ({"locked": [1, 0]}, [0], ("the lock was open", 1)),
        ({"locked": [1, 1], "rope_inserted": [1, 0]}, [0], ("the rope was out", 1)),
        ({"locked": [1, 1], "rope_cut": [0, 1]}, [0], ("the rope was cut", 1)),
        ({"locked": [1, 1], "casing_open": [1, 0]}, [1], ("the casing was open", 0)),
        ({"locked": [1, 1], "unlock_alarm": [0, 1]}, [0], ("the lock's own alarm sounded", 1)),
    ],
)
def test_what_a_seal_says(columns, closed, opened) -> None:
    times, said = closed_times([rows(0, None, [0.0, 0.0], **columns)])
    assert times.tolist() == closed
    assert said == opened
