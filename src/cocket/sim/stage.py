"""The stage: where on its transit a vehicle has room for an incident, and which vehicle gets which.

An incident finds one vehicle as a ``Stage``, asks it for a span of rows, and raises ``Unfit`` if there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely

from cocket.core.batch import Array
from cocket.core.clock import US
from cocket.sim.seals import DAY_US, Seal
from cocket.sim.truth import Truth

MINUTE: Final = 60 * US
WAVES_US: Final = (DAY_US + 36 * MINUTE, DAY_US + 170 * MINUTE)
"""Two moments at which incidents hit several vehicles within a few minutes."""


class Unfit(Exception):
    """A vehicle's transit has no place for the incident."""


@dataclass(slots=True)
class Stage:
    """One vehicle as an incident finds it.

    ``permitted``: its rows in or near a zone in which unlocking is permitted; ``exempt``: in or near one in which
    stopping is; ``at_us``: the wave to which the incident belongs, if any.
    """

    seal: Seal
    rng: np.random.Generator
    permitted: Array
    exempt: Array
    at_us: int | None = None

    def span(self, minutes: float, avoid: Array | None = None, *, moving: bool = False) -> tuple[int, int]:
        """Rows ``i`` to ``j`` (inclusive), about ``minutes`` apart, in the middle of the transit."""
        t = self.seal.rows["observed_us"]
        begin, length = int(t[0]), int(t[-1] - t[0])
        for _ in range(60):
            at = begin + int(length * self.rng.uniform(0.08, 0.7)) if self.at_us is None else self.at_us
            i = int(np.searchsorted(t, at + (0 if self.at_us is None else self.rng.integers(0, 4 * MINUTE))))
            j = int(np.searchsorted(t, t[min(i, len(t) - 1)] + int(minutes * MINUTE)))
            if j >= len(t) - 5 or j - i < max(3, minutes * 0.6) or i < 5:
                continue
            if t[j] - t[i] > (minutes + 6) * MINUTE or t[i + 1] - t[i] > 2 * MINUTE:
                continue
            if avoid is not None and avoid[i : j + 2].any():
                continue
            if moving:
                x, y = self.seal.xy()
                if np.hypot(x[j + 1] - x[i - 1], y[j + 1] - y[i - 1]) < 700:
                    continue
            return i, j
        raise Unfit

    def truth(self, code: str, i: int, j: int, kind: str) -> Truth:
        """From the time of row ``i`` to that of row ``j`` (-1: to the end of the transit)."""
        t = self.seal.rows["observed_us"]
        end = self.seal.bound_to_us if j < 0 else int(t[j])
        return Truth(self.seal.mrn, code, int(t[i]), end, kind)


Incident = Callable[[Stage], list[Truth]]
Part = tuple[str, Incident, int, int | None]
"""Kind, what happens, to how many vehicles, at which wave (None: whenever it fits)."""


def fast_spans(fast: Array, t_us: Array, least_us: int) -> list[tuple[int, int]]:
    """Runs of rows in which ``fast`` holds throughout and that last ``least_us`` or more, as (first, last)."""
    edges = np.flatnonzero(np.diff(fast.astype(np.int8), prepend=0, append=0))
    return [
        (a, b - 1)
        for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        if t_us[b - 1] - t_us[a] >= least_us
    ]


def play(
    cast: Sequence[Part],
    seals: list[Seal],
    fit: list[Seal],
    seed: int,
    permitted: shapely.Geometry,
    exempt: shapely.Geometry,
) -> list[Truth]:
    """Give each incident of the cast its vehicles, among ``fit`` ones that nothing else happens to.

    Raises ``LookupError`` if the tracks have no place for one: then the cast must change.
    """
    rng = np.random.default_rng(seed)
    truths: list[Truth] = []
    free = [s for s in fit if not s.kinds]
    for kind, incident, count, wave in cast:
        for _ in range(count):
            for seal in [free[i] for i in rng.permutation(len(free))]:
                before: Any = seal.rows.copy()
                stage = Stage(
                    seal,
                    rng,
                    _near(permitted, seal),
                    _near(exempt, seal),
                    None if wave is None else WAVES_US[wave],
                )
                try:
                    truths += incident(stage)
                except Unfit:
                    seal.rows = before
                    seal.extra.clear()
                    continue
                seal.kinds.append(kind)
                free.remove(seal)
                break
            else:
                raise LookupError(f"no vehicle fits the incident {kind!r}")
    assert len({id(s) for s in seals}) == len(seals)
    return truths


def _near(shape: shapely.Geometry, seal: Seal) -> Array:
    """Rows within 200 m of a shape."""
    x, y = seal.xy()
    near: Array = shapely.dwithin(shape, shapely.points(x, y), 200.0)
    return near
