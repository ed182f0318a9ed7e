"""What a detector is: one question asked of every row, in words, numbers and one function.

A detector says of each row of a frame how the condition stands (``Levels``); what becomes of that (dwell, opening,
escalation, ending, folding, counting) is the same for all and stands in ``core.episodes``. So the order of
arrival and the split into batches cannot matter to one detector and not to another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

import numpy as np

from cocket.core.batch import Array
from cocket.core.frame import Frame
from cocket.core.journeys import JourneyTable
from cocket.core.schema import NULL_INT

ParamKind = Literal["number", "truth", "kinds", "severity"]


@dataclass(frozen=True, slots=True)
class Param:
    """One threshold of a detector: its default, unit, meaning and, for numbers, the least it may be.

    ``kinds`` is a list of zone kinds; ``number`` may be None where the default is None (no such limit).
    """

    name: str
    default: float | bool | str | tuple[str, ...] | None
    unit: str
    doc: str
    kind: ParamKind = "number"
    lo: float = 0.0


@dataclass(slots=True)
class Levels:
    """How the condition stands, by row of the frame.

    ``level`` int8: -1 no news, 0 clear, 1 the first severity, 2 the second, 3 end what is open and begin afresh
    at 1. ``value`` float64, what was measured, in the detector's unit. ``dwell_us``: how long level 1 must last
    before the alert is raised, for all rows or by row. ``elapsed``: the value is the seconds since it began.
    """

    level: Array
    value: Array | None = None
    dwell_us: int | Array = 0
    elapsed: bool = False


@dataclass(slots=True)
class Facts:
    """What an alert's sentence may say. Times in UTC microseconds, ``value`` and ``peak`` in the detector's unit.

    ``param`` gives a number from the rules that held for the journey; ``zone`` the zone's id.
    """

    level: int
    severity: str
    began_us: int
    raised_us: int
    last_us: int
    ended_us: int | None
    count: int
    value: float | None
    peak: float | None
    zone: str | None
    corridor: str | None
    device_id: str
    equipment_id: str
    mrn: str
    journey: int
    table: JourneyTable
    param: Callable[[str], float]

    @property
    def limit_us(self) -> int | None:
        """The movement's limit date."""
        value = int(self.table.limit_us[self.journey])
        return None if value == NULL_INT else value

    def own(self, name: str) -> float | None:
        """A number of the journey's own: ``speed_limit_mps``, ``temp_min_c`` or ``temp_max_c``."""
        value = float(getattr(self.table, name)[self.journey])
        return None if isnan(value) else value


COMMON_PARAMS = (
    Param("enabled", True, "", "false switches the detector off", "truth"),
    Param("fold_s", 0.0, "s", "a condition that returns within this time goes on as the same alert"),
    Param("severity", None, "", "replaces the severity: info, warn, high or critical", "severity"),
)
"""Every detector has these; a detector may give its own default by listing the name itself."""


@dataclass(frozen=True, slots=True)
class Detector:
    """One question; ``name`` is the alert's code.

    ``levels(frame, state)`` answers by row, or None when nothing in the frame concerns it. ``state`` is the dtype
    of what it carries from batch to batch, one record a journey, all zero at first. A detector of zones has no
    ``levels`` but says ``zone``: it asks of staying in, entering or leaving the zones of its param ``kinds``.
    ``flag``: the column that alone raises it, for rows whose time cannot be trusted. ``threshold`` gives the
    number that was exceeded. ``worst`` says which end of the value is the peak.
    """

    name: str
    question: str
    severities: tuple[str, ...]
    says: Callable[[Facts], str]
    params: tuple[Param, ...] = ()
    levels: Callable[[Frame, Any], Levels | None] | None = None
    zone: Literal["stay", "enter", "leave"] | None = None
    state: np.dtype[Any] | None = None
    flag: str | None = None
    unit: str = ""
    threshold: Callable[[Facts], float | None] | None = None
    worst: Literal["max", "min"] = "max"

    def all_params(self) -> tuple[Param, ...]:
        """Its own params and those common to all, its own first; a moment cannot fold."""
        own = {p.name for p in self.params}
        if self.zone in {"enter", "leave"}:
            own.add("fold_s")
        return self.params + tuple(p for p in COMMON_PARAMS if p.name not in own)


def flag_levels(column: str) -> Callable[[Frame, Any], Levels | None]:
    """Levels of a truth column as it stands: true raises, false ends, null says nothing."""

    def levels(frame: Frame, _state: Any) -> Levels | None:
        flag = frame.get(column)
        if flag is None or not (frame.live or (flag == 1).any()):
            return None
        return Levels(flag)

    return levels
