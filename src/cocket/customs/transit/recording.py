"""Recording an event: the fold of a subject's events, and the one step by which it grows.

An event counts at its event time, whenever it is told. One that is told late is put in its place, and taken only if the
whole sequence is then still possible; what was known before stays known, for each event keeps when it was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.clock import rfc3339
from cocket.core.errors import ImpossibleTransition
from cocket.customs.machines.guarantee import GUARANTEE
from cocket.customs.machines.movement import MOVEMENT
from cocket.customs.machines.seal import SEAL
from cocket.customs.machines.table import Machine
from cocket.store.file_events import Event, FileBook, Subject

MACHINES: Mapping[str, Machine] = {m.name: m for m in (MOVEMENT, SEAL, GUARANTEE)}


BY_CLOCK: Final = "clock"
"""Who records what falls due by itself."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event with the states around it. ``passed_over``: the clock recorded it, and what was told later left no room for it."""

    event: Event
    from_state: str
    to_state: str
    passed_over: bool = False


def fold(machine: Machine, events: Iterable[Event], initial: str | None = None) -> list[Step]:
    """Each event in order of event time with the states around it; ``ImpossibleTransition`` names the first that cannot be.

    What the clock recorded yields: an arrival that is told after its limit date had passed makes the overdue one that never was.
    """
    state = machine.initial if initial is None else initial
    steps = []
    for event in events:
        if event.by == BY_CLOCK and event.event not in machine.allowed(state):
            steps.append(Step(event, state, state, passed_over=True))
            continue
        following = machine.after(state, event.event, event.subject)
        steps.append(Step(event, state, following))
        state = following
    return steps


def since(steps: list[Step]) -> int | None:
    """When the last state began."""
    for step in reversed(steps):
        if step.from_state != step.to_state:
            return step.event.at_us
    return steps[0].event.at_us if steps else None


def record(
    book: FileBook,
    connection: sa.Connection,
    event: Event,
    *,
    summary: Mapping[str, Any] | None = None,
    mrn: str | None = None,
) -> Step:
    """Record one event and where its subject stands then. ``mrn``: the movement that the subject belongs to from now on.

    ``ImpossibleTransition`` if the table, or what is told to have happened later, leaves no room for it.
    """
    machine = MACHINES[event.machine]
    subject = book.subject(connection, event.machine, event.subject)
    if subject is None:
        subject = Subject(event.machine, event.subject, machine.initial, event.at_us, event.at_us, mrn, {})
    if event.at_us >= subject.last_us:
        target = machine.after(subject.state, event.event, event.subject)
        step = Step(event, subject.state, target)
        began = event.at_us if target != subject.state else subject.since_us
        last = event.at_us
        final = target
    else:
        initial = subject.summary.get("initial", machine.initial)
        events = book.events(connection, event.machine, event.subject)
        step, steps = _inserted(machine, events, event, initial)
        began, last, final = since(steps) or event.at_us, subject.last_us, steps[-1].to_state
    event = replace(event, from_state=step.from_state, to_state=step.to_state)
    seq = book.add(connection, event)
    book.put_subject(
        connection,
        replace(
            subject,
            state=final,
            since_us=began,
            last_us=last,
            mrn=mrn,
            summary={**subject.summary, **(summary or {})},
        ),
    )
    return replace(step, event=replace(event, seq=seq))


def _inserted(machine: Machine, events: list[Event], event: Event, initial: str) -> tuple[Step, list[Step]]:
    at = sum(e.at_us <= event.at_us for e in events)
    before = fold(machine, events[:at], initial)
    state = before[-1].to_state if before else initial
    here = fold(machine, [event], state)
    try:
        after = fold(machine, events[at:], here[0].to_state)
    except ImpossibleTransition as error:
        later = events[at]
        error.detail = (
            f"{machine.name} {event.subject} was {state!r} at {rfc3339(event.at_us)}; with {event.event!r} then, what is "
            f"recorded later ({later.event!r} at {rfc3339(later.at_us)} and on) would not be possible: {error.detail}"
        )
        error.state, error.event, error.allowed = state, event.event, machine.allowed(state)
        raise
    return here[0], [*before, *here, *after]
