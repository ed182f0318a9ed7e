"""A kernel that meets another type of argument is compiled again, for seconds, in the midst of work. None does."""

from __future__ import annotations

import importlib
import pkgutil
import random
from typing import Any

import numpy as np
import pytest
from numba.core.registry import CPUDispatcher
from tests.laws.harness import Machine, Reference, batch_of
from tests.laws.world import JOURNEYS, PLACES, SAYS, at, reference, rows_of

import cocket.detectors
import cocket.journeys
from cocket.core import episodes
from cocket.core.batch import Batch
from cocket.core.keys import observation_keys
from cocket.detectors import gnss_jamming, low_battery, seal_opened

INNER = {
    "episodes": "take_record give_record hand_out begin affirm _close_journey _drop_journey _move_journey",
    "timers": "_next_fixed _silent_at _fire",
    "zonewatch": "_moment",
}
"""Called by other kernels alone, and part of them: their types are settled with their callers'."""


def _entries() -> list[str]:
    """The kernels that Python calls; the indices of zones and corridors are tried elsewhere."""
    inner = {f"{module}.{name}" for module, names in INNER.items() for name in names.split()}
    short = {name: ".".join(name.split(".")[-2:]) for name in _kernels()}
    assert inner <= set(short.values())
    return [k for k, s in short.items() if s not in inner and s.split(".")[0] not in {"zones", "corridors"}]


def _kernels() -> dict[str, CPUDispatcher]:
    names = [
        found.name
        for package in (cocket.detectors, cocket.journeys)
        for found in pkgutil.iter_modules(package.__path__, package.__name__ + ".")
    ]
    modules = [episodes, *map(importlib.import_module, names)]
    return {
        f"{m.__name__}.{name}": f
        for m in modules
        for name, f in vars(m).items()
        if isinstance(f, CPUDispatcher) and f.__module__ == m.__name__
    }


def _feed(machine: Machine, rows: list[dict[str, Any]], *, by_arrow: bool) -> None:
    """As ``Machine.feed``, but the columns may have come through Arrow, and the keys out of a file."""
    batch = batch_of(rows)
    keys = observation_keys(batch)
    if by_arrow:
        batch = Batch.from_arrow(batch.to_arrow())
        keys.setflags(write=False)
    journey = machine._journeys(batch)
    d, around = machine.detection, machine.reference
    order = d.order(journey, batch.filled("observed_us"), batch.array("sequence"), keys)
    events = d.run(batch, order.rows, journey, keys, around.zones, around.corridors)
    d.changes(events, 0)
    late = order.late if len(order.late) else np.arange(len(JOURNEYS))
    d.rerun(late, batch, journey, keys, around.zones, around.corridors, at(5), 0)


@pytest.fixture(scope="module")
def worked() -> dict[str, set[Any]]:
    """What each kernel was compiled for before: tests of the same process feed some with what the machine never does."""
    before = {name: set(kernel.signatures) for name, kernel in _kernels().items()}
    draw = random.Random(5)
    machine = Machine(reference(1))
    for turn in range(60):
        script = [
            (
                draw.randrange(3),
                turn * 4 + draw.randrange(5),
                draw.randrange(len(PLACES)),
                draw.randrange(len(SAYS)),
                0,
            )
            for _ in range(draw.choice([1, 1, 2, 3, 20]))
        ]
        _feed(machine, rows_of(script), by_arrow=turn % 2 == 1)
        if turn % 7 == 0:
            machine.tick(at(turn * 4 + 2))
            machine.restart()
    machine.tick(at(400))
    return before


@pytest.mark.parametrize("kernel", _entries())
def test_every_kernel_is_compiled_for_one_type(worked: dict[str, set[Any]], kernel: str) -> None:
    new = set(_kernels()[kernel].signatures) - worked[kernel]
    assert len(new) <= 1, new


@pytest.mark.parametrize(
    ("module", "kernel", "columns"),
    [
        (seal_opened, seal_opened._opened, {"locked": True, "rope_inserted": True, "unlock_alarm": True}),
        (low_battery, low_battery._low, {"battery_pct": 9.0, "charging": False, "battery_low": True}),
        (gnss_jamming, gnss_jamming._lost, {"fix_valid": False, "delayed": False, "jamming": True}),
    ],
    ids=["seal-opened", "low-battery", "gnss-jamming"],
)
def test_columns_that_are_absent_or_read_only_compile_nothing_more(
    module: Any, kernel: CPUDispatcher, columns: dict[str, Any]
) -> None:
    machine = Machine(Reference(JOURNEYS, detectors=(module.DETECTOR,)))
    detection = machine.detection
    for turn in range(2 ** (len(columns) + 1)):
        said = {name: value for k, (name, value) in enumerate(columns.items()) if turn >> k & 1}
        batch = batch_of([{"device_id": "A", "observed_us": at(turn), **said}])
        keys, journey = observation_keys(batch), machine._journeys(batch)
        for name in said:
            batch.columns[name].setflags(write=bool(turn >> len(columns)))
        detection.run(batch, None, journey, keys, None, None)
    assert len(kernel.signatures) == 1, kernel.signatures
