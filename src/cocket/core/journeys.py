"""Journeys: one binding of one device to one equipment and one movement, with what the customs file says of it.

A journey has a dense number while the process lives and a lasting name, its key. All detector state is indexed by
the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import numpy as np

from cocket.core.batch import Array
from cocket.core.schema import NULL_INT

NEVER: Final = 2**63 - 1
"""A time that does not come."""

ZONE_KINDS: Final = (
    "departure",
    "destination",
    "approved-stop",
    "restricted",
    "unlock-permitted",
    "dead-zone",
    "office",
    "tracking",
    "activation",
    "confirmation",
)
"""Bit ``1 << i`` stands for kind ``i``."""

HOT: Final = 1 << 15
"""Set beside a zone's kind: stopping here is watched more closely."""


def kind_mask(kinds: Sequence[str]) -> int:
    """The bits of some zone kinds."""
    return sum(1 << ZONE_KINDS.index(k) for k in set(kinds))


@dataclass(slots=True)
class Journey:
    """One binding and what holds for it. Times in UTC microseconds, [from, to); None is unknown or open.

    ``corridor`` is the number in the corridor index, -1 for none; ``cards`` are the cards that may open it.
    """

    device_id: str
    equipment_id: str
    mrn: str
    from_us: int
    to_us: int | None = None
    period_us: int | None = None
    departed_us: int | None = None
    limit_us: int | None = None
    arrived_us: int | None = None
    corridor: int = -1
    corridor_id: str | None = None
    speed_limit_mps: float | None = None
    temp_min_c: float | None = None
    temp_max_c: float | None = None
    cards: frozenset[str] | None = None
    goods: str | None = None
    device_class: str | None = None


_NUMBERS: Final = (
    ("from_us", np.int64, NULL_INT),
    ("to_us", np.int64, NEVER),
    ("period_us", np.int64, NULL_INT),
    ("departed_us", np.int64, NULL_INT),
    ("limit_us", np.int64, NULL_INT),
    ("arrived_us", np.int64, NULL_INT),
    ("corridor", np.int32, -1),
    ("speed_limit_mps", np.float64, np.nan),
    ("temp_min_c", np.float64, np.nan),
    ("temp_max_c", np.float64, np.nan),
)
_TEXTS: Final = ("device_id", "equipment_id", "mrn", "corridor_id", "goods", "device_class")


class JourneyTable:
    """All journeys as columns, indexed by number; arrays may be longer than ``n``.

    Absent numbers are NULL_INT or NaN, an open end is ``NEVER``. ``cards[j]`` indexes ``card_sets``, -1 for no list.
    ``profile`` is filled in by the detection that uses the table.
    """

    def __init__(self) -> None:
        self.n = 0
        self.from_us: Array = np.empty(0, np.int64)
        self.to_us: Array = np.empty(0, np.int64)
        self.period_us: Array = np.empty(0, np.int64)
        self.departed_us: Array = np.empty(0, np.int64)
        self.limit_us: Array = np.empty(0, np.int64)
        self.arrived_us: Array = np.empty(0, np.int64)
        self.corridor: Array = np.empty(0, np.int32)
        self.speed_limit_mps: Array = np.empty(0, np.float64)
        self.temp_min_c: Array = np.empty(0, np.float64)
        self.temp_max_c: Array = np.empty(0, np.float64)
        self.cards: Array = np.empty(0, np.int32)
        self.profile: Array = np.empty(0, np.int32)
        self.device_id: list[str] = []
        self.equipment_id: list[str] = []
        self.mrn: list[str] = []
        self.corridor_id: list[str | None] = []
        self.goods: list[str | None] = []
        self.device_class: list[str | None] = []
        self.card_sets: list[frozenset[str]] = []
        self._card_index: dict[frozenset[str], int] = {}

    def key(self, j: int) -> str:
        """The lasting name of a journey."""
        return f"{self.device_id[j]}|{self.equipment_id[j]}|{self.mrn[j]}|{int(self.from_us[j])}"

    def add(self, journey: Journey) -> int:
        """Number of the new journey."""
        return self.extend([journey]).start

    def extend(self, journeys: Sequence[Journey]) -> range:
        """Numbers of the new journeys, in order."""
        start, self.n = self.n, self.n + len(journeys)
        self._reserve(self.n)
        for name, _, null in _NUMBERS:
            values = list(map(attrgetter(name), journeys))
            if None in values:
                values = [null if v is None else v for v in values]
            getattr(self, name)[start : self.n] = values
        for name in _TEXTS:
            getattr(self, name).extend(map(attrgetter(name), journeys))
        cards = [x.cards for x in journeys]
        self.cards[start : self.n] = -1 if not any(cards) else [self._cards(c) for c in cards]
        self.profile[start : self.n] = 0
        return range(start, self.n)

    def set(self, j: int, journey: Journey) -> None:
        """Another content for journey ``j``; what was detected of it must be run again."""
        for name, _, null in _NUMBERS:
            value = getattr(journey, name)
            getattr(self, name)[j] = null if value is None else value
        for name in _TEXTS:
            getattr(self, name)[j] = getattr(journey, name)
        self.cards[j] = self._cards(journey.cards)

    def take(self, js: Array) -> JourneyTable:
        """A table of the journeys ``js``, renumbered 0, 1, … in that order."""
        out = JourneyTable()
        out.n = len(js)
        for name in (*(name for name, _, _ in _NUMBERS), "cards", "profile"):
            setattr(out, name, getattr(self, name)[js])
        numbers = js.tolist()
        for name in _TEXTS:
            values: list[Any] = getattr(self, name)
            setattr(out, name, [values[j] for j in numbers])
        out.card_sets, out._card_index = self.card_sets, self._card_index
        return out

    def _cards(self, cards: frozenset[str] | None) -> int:
        if not cards:
            return -1
        number = self._card_index.get(cards)
        if number is None:
            number = self._card_index[cards] = len(self.card_sets)
            self.card_sets.append(cards)
        return number

    def _reserve(self, n: int) -> None:
        have = len(self.from_us)
        if n <= have:
            return
        room = max(n, 2 * have, 64)
        for name in (*(name for name, _, _ in _NUMBERS), "cards", "profile"):
            old = getattr(self, name)
            new = np.zeros(room, old.dtype)
            new[:have] = old
            setattr(self, name, new)
