"""Each target a little, with good bytes, and with these mutated."""

from __future__ import annotations

import random

import pytest
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_good_and_mutated_bytes(name: str) -> None:
    target = TARGETS[name]
    rng = random.Random(name)
    seeds = target.seeds()
    assert seeds
    for seed in seeds:
        target.run(seed)
    for _ in range(300):
        data = bytearray(rng.choice(seeds)[:20_000])
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data) + 1)
            match rng.randrange(3):
                case 0:
                    data[at : at + 1] = rng.randbytes(1)
                case 1:
                    del data[at : at + rng.randint(1, 9)]
                case _:
                    data[at:at] = rng.choice(seeds)[: rng.randint(1, 40)]
        target.run(bytes(data))
