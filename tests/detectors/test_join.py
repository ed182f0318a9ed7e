from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.core.journeys import NEVER
from cocket.journeys.join import Join

spans = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(1, 9)), max_size=20)
asked = st.lists(st.tuples(st.integers(-1, 5), st.integers(-3, 200)), max_size=20)


@settings(deadline=None)
@given(spans, asked, st.randoms(use_true_random=False))
def test_it_finds_the_binding_that_covers_the_moment(
    spans: list[tuple[int, int, int]], asked: list[tuple[int, int]], draw: object
) -> None:
    journeys = []
    at = dict.fromkeys(range(4), 0)
    for device, gap, length in spans:
        begin = at[device] + gap
        at[device] = begin + length
        journeys.append((device, begin, NEVER if (gap, length) == (9, 9) else at[device]))
        if journeys[-1][2] == NEVER:
            at[device] = NEVER // 2
    draw.shuffle(journeys)  # type: ignore[attr-defined]
    columns = np.array(journeys, np.int64).reshape(-1, 3)
    join = Join.build(columns[:, 0].astype(np.int32), columns[:, 1], columns[:, 2])
    rows = np.array(asked, np.int64).reshape(-1, 2)
    found = join.journeys(rows[:, 0].astype(np.int32), rows[:, 1])
    for (device, t), j in zip(asked, found.tolist(), strict=True):
        covering = [k for k, (d, a, b) in enumerate(journeys) if d == device and a <= t < b]
        assert covering == ([] if j < 0 else [j])
