"""Devices are dealt out evenly, also the few and the numbered."""

from __future__ import annotations

from collections import Counter

import pytest

from cocket.core.batch import Texts
from cocket.core.slots import partition_of, slot_of, slots_in, slots_of


@pytest.mark.parametrize("form", ["SEAL%02d", "SEAL-%07d", "GATE%02d", "cam%d", "8000000%03d", "86%013d"])
@pytest.mark.parametrize("devices", [16, 100, 1000])
@pytest.mark.parametrize("partitions", [2, 4, 8])
def test_numbered_names_are_dealt_out_evenly(form: str, devices: int, partitions: int) -> None:
    found = Counter(partition_of(slot_of(form % i), partitions) for i in range(devices))
    share = devices / partitions
    assert max(found.values()) <= max(share * 1.3, share + 3)
    assert min(found[p] for p in range(partitions)) >= share / 2 - 1


def test_a_slot_is_the_same_one_by_one_and_in_columns() -> None:
    names = [f"SEAL-{i}" for i in range(50)] + ["", "\u5317\u4eac"]
    slots = slots_of(Texts.of(names)).tolist()
    assert slots == [slot_of(name) for name in names]
    for partitions in (1, 4, 1024):
        assert all(slot in slots_in(partition_of(slot, partitions), partitions) for slot in slots)
