"""A range of stamps cut into runs of one state each: what events over parts of it made of the whole. Pure.

    issued ─activate→ active        issued, active ─steal→ stolen ─find→ found ─activate→ active
    all but void ─void→ void, which is the end        active ─clear→ active: looked at, and no copy

An event holds for every stamp of its part or for none. A range of a milliard stamps with ten events is ten runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ISSUED, ACTIVE, VOID, STOLEN, FOUND = STATES = ("issued", "active", "void", "stolen", "found")

TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    "activate": {ISSUED: ACTIVE, FOUND: ACTIVE},
    "void": {ISSUED: VOID, ACTIVE: VOID, STOLEN: VOID, FOUND: VOID},
    "steal": {ISSUED: STOLEN, ACTIVE: STOLEN, FOUND: STOLEN},
    "find": {STOLEN: FOUND},
    "clear": {ACTIVE: ACTIVE},
}
"""Event → state → state. What is not here is impossible."""

RESULT: Final = {event: next(iter(steps.values())) for event, steps in TRANSITIONS.items()}
"""The state that an event leads to, wherever it comes from."""


@dataclass(frozen=True, slots=True)
class Run:
    """Stamps ``first`` to ``last``, both included, in one state."""

    first: int
    last: int
    state: str


def after(runs: list[Run], event: str, first: int, last: int) -> list[Run]:
    """The runs once ``event`` happened to ``first`` to ``last``; neighbours of one state are joined.

    The event must be possible for each of them: ask ``impossible`` before.
    """
    cut: list[Run] = []
    for run in runs:
        if run.last < first or last < run.first:
            cut.append(run)
            continue
        if run.first < first:
            cut.append(Run(run.first, first - 1, run.state))
        state = TRANSITIONS[event][run.state]
        cut.append(Run(max(run.first, first), min(run.last, last), state))
        if last < run.last:
            cut.append(Run(last + 1, run.last, run.state))
    return _joined(cut)


def impossible(runs: list[Run], event: str, first: int, last: int) -> Run | None:
    """The first part of ``first`` to ``last`` to which ``event`` cannot happen, if there is one."""
    for run in runs:
        if run.first <= last and first <= run.last and run.state not in TRANSITIONS[event]:
            return Run(max(run.first, first), min(run.last, last), run.state)
    return None


def allowed(state: str) -> list[str]:
    """The events that are possible in a state."""
    return [event for event, steps in TRANSITIONS.items() if state in steps]


def folded(first: int, last: int, events: Iterable[tuple[str, int, int]]) -> list[Run]:
    """A range after all its (event, first, last), oldest first."""
    runs = [Run(first, last, ISSUED)]
    for event, begin, end in events:
        runs = after(runs, event, begin, end)
    return runs


def _joined(runs: list[Run]) -> list[Run]:
    out: list[Run] = []
    for run in runs:
        if out and out[-1].state == run.state:
            out[-1] = Run(out[-1].first, run.last, run.state)
        else:
            out.append(run)
    return out
