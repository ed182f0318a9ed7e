"""A frame: the rows that the detectors see, in event-time order within each journey.

Observations of several journeys lie side by side, and between them the timers that fell due: time that passed
without an observation is a row too, so that silence and overstay are detected by the same way as all else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cocket.core.batch import DTYPES, NULLS, Array, Batch, Texts
from cocket.core.schema import BY_NAME

if TYPE_CHECKING:
    from cocket.core.journeys import JourneyTable
    from cocket.core.rules import Rules

OBSERVATION, SILENCE, OVERSTAY_WARN, OVERSTAY_LIMIT, ARRIVED, ENDED = range(6)
"""What a row is. At one instant observations come first, then timers in this order."""


@dataclass(slots=True)
class Frame:
    """``n`` rows. ``journey`` int32, ``t`` event time in UTC microseconds, ``key`` the observation's key (a timer has
    that of the last observation before it), ``timer`` int8 (see above), ``timers`` bits ``1 << kind`` of the timers present.

    ``has_fix``: this row brought a valid position; ``fix_lat``, ``fix_lon``, ``fix_us`` (NaN, NULL_INT before the
    first) the last valid one, this row's included; ``from_lat``, ``from_lon``, ``from_us`` the one before this row;
    ``off_m`` metres outside the corridor (NaN: no fix or no corridor); ``in_kinds`` bits of the kinds
    of the zones at the last valid fix; ``zone_offsets``, ``zones``: the zones at this row's fix, by row.
    ``profile``: which set of params holds for the row's journey. ``live``: the detector being asked has an
    episode under way somewhere.
    """

    n: int
    journey: Array
    t: Array
    key: Array
    timer: Array
    timers: int
    profile: Array
    has_fix: Array
    fix_lat: Array
    fix_lon: Array
    fix_us: Array
    from_lat: Array
    from_lon: Array
    from_us: Array
    off_m: Array | None
    in_kinds: Array
    zone_offsets: Array
    zones: Array
    batch: Batch
    rows: Array | None
    rules: Rules
    table: JourneyTable
    live: bool = True
    _got: dict[str, Array | None] = field(default_factory=dict)

    def get(self, name: str) -> Array | None:
        """A schema column by row, null on timers; None when it is null in every row."""
        if self.rows is None:
            return self.batch.columns.get(name)  # type: ignore[return-value]
        if name not in self._got:
            data = self.batch.array(name)
            self._got[name] = None if data is None else self._take(name, data)
        return self._got[name]

    def texts(self, name: str) -> Texts | None:
        """A text column by row; None when it is null in every row."""
        data = self.batch.texts(name)
        if data is None or self.rows is None:
            return data
        codes = data.codes[self.rows]
        codes[self.rows < 0] = -1
        return Texts(codes, data.values)

    def param(self, detector: str, name: str) -> Array:
        """A number from the rules, by profile: ``frame.param(d, p)[frame.profile]`` is it by row."""
        return self.rules.values(detector, name)

    def _take(self, name: str, data: Array) -> Array:
        if not len(data):
            kind = BY_NAME[name].kind
            return np.full(self.n, NULLS[kind], DTYPES[kind])
        assert self.rows is not None
        out = data[self.rows]
        if self.timers:
            out[self.rows < 0] = NULLS[BY_NAME[name].kind]
        return out
