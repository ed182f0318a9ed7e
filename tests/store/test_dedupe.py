"""Dedupe against the plainest oracle: a Python set."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.core.keys import observation_keys
from cocket.store.dedupe import Seen
from cocket.store.folder import DataFolder
from cocket.store.parquet import HOUR_US

ROW = st.tuples(st.integers(-3, 3), st.integers(0, 30))
STEP = st.tuples(st.lists(ROW, max_size=40), st.sampled_from(["commit", "rollback", "hold"]))


class Store:
    """What is stored, as ``Seen`` reads it back."""

    def __init__(self):
        self.rows = set()

    def load(self, hours):
        found = [(t, k) for t, k in self.rows if t // HOUR_US in set(hours)]
        return np.array([t for t, _ in found], np.int64), np.array([k for _, k in found], np.uint64)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=20), st.sampled_from([0, 600, 10**9]), st.booleans())
def test_exact_as_a_set_through_eviction_rollback_and_restart(steps, budget, restart):
    store = Store()
    seen = Seen(store.load, budget_bytes=budget)
    pending = set()
    for rows, ending in steps:
        times = np.array([h * HOUR_US + k for h, k in rows], np.int64)
        # keys as they are in life: spread, large, and 0 among them
        keys = np.array([(k * 0x9E3779B97F4A7C15) % 2**64 for _, k in rows], np.uint64)
        told = seen.fold(times, keys)
        for t, k, was in zip(times.tolist(), keys.tolist(), told.tolist(), strict=True):
            assert was == ((t, k) in store.rows or (t, k) in pending)
            pending.add((t, k))
        if ending == "commit":
            store.rows |= pending
            pending.clear()
            seen.commit()
            if restart:
                seen = Seen(store.load, budget_bytes=budget)
        elif ending == "rollback":
            pending.clear()
            seen.rollback()


def test_the_budget_bounds_memory(tmp_path):
    store = Store()
    seen = Seen(store.load, budget_bytes=100_000)
    for hour in range(100):
        keys = np.arange(1, 1001, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(hour)
        seen.fold(np.full(1000, hour * HOUR_US), keys)
        seen.commit()
        assert seen.memory_bytes <= 100_000


def test_exact_over_log_history_and_reopening(tmp_path, make_batch):
    stored = set()
    for round_ in range(4):
        folder = DataFolder.open(tmp_path, seen_bytes=3000)
        for seed in (round_, round_ + 1, round_ + 2):
            batch = make_batch(200, seed, hours=5)
            keys = observation_keys(batch)
            told = folder.seen.fold(batch.array("observed_us"), keys)
            expected = []
            for key in keys.tolist():
                expected.append(key in stored)
                stored.add(key)
            assert told.tolist() == expected
            offset = folder.log.append(
                batch.take(~told), received_us=0, duplicates=int(told.sum()), keys=keys[~told]
            )
            folder.seen.commit()
        folder.history.compact(offset - 1)
        folder.log.trim(folder.history.compacted_offset)
        folder.close()
    folder = DataFolder.open(tmp_path)
    assert folder.log.totals().observations == len(stored)
    folder.close()
