"""A state machine as a table: which event leads from which state to which, and what else it does.

Pure: no clock, no store, no rights. What a transition needs beside the state (a guarantee, an armed seal) is its caller's
business; here is only what can follow what. ``docs/customs/machines.md`` is drawn from these tables.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cocket.core.errors import Fault, ImpossibleTransition

STAY: Final = "."
"""As a target: the state stays what it is."""


@dataclass(frozen=True, slots=True)
class Transition:
    """``event`` leads from each of ``sources`` to ``target``; ``effect`` says in words what else it does."""

    event: str
    sources: tuple[str, ...]
    target: str
    effect: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """A named table. ``initial``: where everything begins; ``final``: states that nothing but remarks follow."""

    name: str
    states: tuple[str, ...]
    initial: str
    final: tuple[str, ...]
    transitions: tuple[Transition, ...]
    _next: dict[tuple[str, str], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        table: dict[tuple[str, str], str] = {}
        for t in self.transitions:
            for source in t.sources:
                if (source, t.event) in table:
                    raise ValueError(f"{self.name}: {t.event} leads from {source} to two places")
                target = source if t.target == STAY else t.target
                if source not in self.states or target not in self.states:
                    raise ValueError(f"{self.name}: {source} -> {target} names no state")
                table[source, t.event] = target
        object.__setattr__(self, "_next", table)

    @property
    def events(self) -> tuple[str, ...]:
        """Every event, in the table's order."""
        return tuple(dict.fromkeys(t.event for t in self.transitions))

    def allowed(self, state: str) -> tuple[str, ...]:
        """The events that this state knows, in the table's order."""
        return tuple(e for e in self.events if (state, e) in self._next)

    def edges(self) -> Iterable[tuple[str, str, str]]:
        """Every (state, event, state)."""
        return ((source, event, target) for (source, event), target in self._next.items())

    def after(self, state: str, event: str, subject: str) -> str:
        """The state that follows. ``ImpossibleTransition`` names the state, the event and what is allowed."""
        target = self._next.get((state, event))
        if target is not None:
            return target
        allowed = self.allowed(state)
        can = f"allowed are {', '.join(allowed)}" if allowed else "nothing is allowed any more"
        known = "" if event in self.events else f", and {event[:64]!r} is no event of a {self.name}"
        raise ImpossibleTransition(
            f"{self.name} {subject} is {state!r}: {event[:64]!r} is not possible{known}; {can}",
            [Fault("/event", "impossible-transition", f"{state} has no {event[:64]!r}; {can}")],
            state,
            event,
            allowed,
        )

    def way(self, state: str, target: str, through: tuple[str, ...]) -> list[str] | None:
        """The fewest events of ``through`` that lead from a state to another; [] if it is there, None if there is no way."""
        ways: deque[tuple[str, list[str]]] = deque([(state, [])])
        seen = {state}
        while ways:
            here, events = ways.popleft()
            if here == target:
                return events
            for event in through:
                following = self._next.get((here, event))
                if following is not None and following not in seen:
                    seen.add(following)
                    ways.append((following, [*events, event]))
        return None
