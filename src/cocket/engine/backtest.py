"""What would have been, had other rules held: history under two sets of rules, side by side.

Both sides are run from the same observations, declarations and last tick, so that nothing but the rules differs. An
alert has the same id on both sides if the same event began it, which is how it is known which are new and which gone,
and what people found out about those that stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from cocket.core.batch import Array
from cocket.core.config import Settings
from cocket.core.rules import Rules
from cocket.core.rules import load as load_rules
from cocket.engine.checkpoint import Checkpoint
from cocket.engine.declared import Declarations
from cocket.engine.world import World
from cocket.journeys.detection import Detection
from cocket.pipeline import DETECTORS
from cocket.store.folder import DataFolder

_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One alert code: how many are raised ``now`` and would be ``then``; which of those are ``new`` and ``gone``.

    ``closed`` and ``false``: what people closed of those raised now, and found to be false; ``closed_then`` and
    ``false_then``: of those, what the new rules would still raise.
    """

    code: str
    now: int
    then: int
    new: int
    gone: int
    closed: int
    false: int
    closed_then: int
    false_then: int


def compare(folder: DataFolder, rules: Rules, since_us: int | None = None) -> list[Row]:
    """The rows for every code that either side raises. ``since_us``: only journeys under way then or later."""
    world = World(DETECTORS)
    world.load(*Declarations(folder.reference, DETECTORS).now())
    tick_us = Checkpoint(folder, Settings().detect).load().tick_us
    now = Detection(DETECTORS, world.rules, world.table)
    found_now: dict[str, str] = {}
    found_then: dict[str, str] = {}
    chunks = list(_chunks(world, since_us))
    for js in chunks:
        found_now |= _run(folder, world, now, js, tick_us)
    then = Detection(DETECTORS, rules, world.table)
    for js in chunks:
        found_then |= _run(folder, world, then, js, tick_us)
    return _rows(folder, found_now, found_then)


def _chunks(world: World, since_us: int | None) -> Iterator[Array]:
    end = world.table.to_us[: world.table.n]
    chosen = np.flatnonzero(end > since_us) if since_us is not None else np.arange(world.table.n)
    for first in range(0, len(chosen), _CHUNK):
        yield chosen[first : first + _CHUNK]


def _run(
    folder: DataFolder, world: World, detection: Detection, js: Array, tick_us: int | None
) -> dict[str, str]:
    found = folder.history.find(world.spans(js))
    journey = world.join(found.batch)[1]
    changes = detection.rerun(
        js, found.batch, journey, found.keys, world.zones, world.corridors, tick_us, raised_us=0
    )
    return {change.id: change.code for change in changes}


def _rows(folder: DataFolder, now: dict[str, str], then: dict[str, str]) -> list[Row]:
    count_now, count_then = Counter(now.values()), Counter(then.values())
    new = Counter(code for name, code in then.items() if name not in now)
    gone = Counter(code for name, code in now.items() if name not in then)
    closed, false, closed_then, false_then = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for alert in folder.alerts.closed():
        is_false = "false" in (alert["cause"], alert["triage"])
        closed[alert["code"]] += 1
        false[alert["code"]] += is_false
        if alert["id"] in then:
            closed_then[alert["code"]] += 1
            false_then[alert["code"]] += is_false
    return [
        Row(
            code,
            count_now[code],
            count_then[code],
            new[code],
            gone[code],
            closed[code],
            false[code],
            closed_then[code],
            false_then[code],
        )
        for code in sorted({*count_now, *count_then, *closed})
    ]


def backtest(data: Path, rules_file: Path, *, since_us: int | None, as_json: bool) -> int:
    """``cocket backtest``: print the table; 0."""
    rules = load_rules(rules_file, DETECTORS)
    folder = DataFolder.open(data, read_only=True)
    try:
        rows = compare(folder, rules, since_us)
    finally:
        folder.close()
    if as_json:
        print(msgspec.json.encode({"alerts": {row.code: row for row in rows}}).decode())  # noqa: T201
    else:
        _print(rows)
    return 0


def _print(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Alerts under the present rules and under the new ones")
    table.add_column("alert")
    for name in ("now", "then", "new", "gone", "closed", "false", "false rate now", "false rate then"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.code,
            *(str(n) for n in (row.now, row.then, row.new, row.gone, row.closed, row.false)),
            _rate(row.false, row.closed),
            _rate(row.false_then, row.closed_then),
        )
    console = Console()
    console.print(table)
    console.print(
        "False rates are measured on the alerts that people closed; the new rules' rate on those of them that would "
        "still be raised."
    )


def _rate(false: int, closed: int) -> str:
    return f"{false / closed:.0%} of {closed}" if closed else "–"
