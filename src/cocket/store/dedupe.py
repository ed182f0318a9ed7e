"""Which observations are stored already: exact, across restarts, within a bounded memory.

The keys of each hour of event time are a set of their own (open addressing in one uint64 array, at most two thirds
full). Hours that are not in memory are read back from the history when an observation of theirs comes; the least
recently used ones are let go when all together exceed the budget. Two observations are the same when their 64-bit keys
(``core.keys``) and their hours are: among ten million in one hour, two different ones share a key with
probability 3 in a million.

One thread, the log's writer, calls everything here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.store.parquet import HOUR_US

DEFAULT_BUDGET_BYTES: Final = 512 * 1024 * 1024
_SMALLEST: Final = 64
_LIVE: Final = 0
_ZERO: Final = 1

Load = Callable[[Sequence[int]], "tuple[Array, Array]"]


@dataclass(slots=True)
class _Hour:
    """``slots``: 0 is empty; ``meta``: how many keys there are, and whether key 0 is one of them."""

    slots: Array
    meta: Array

    @classmethod
    def of(cls, keys: Array) -> _Hour:
        hour = cls(np.zeros(_size_for(len(keys)), np.uint64), np.zeros(2, np.int64))
        _fold(hour.slots, hour.meta, keys, np.arange(len(keys)), np.empty(len(keys), np.bool_))
        return hour

    def room_for(self, more: int) -> None:
        wanted = _size_for(int(self.meta[_LIVE]) + more)
        if wanted > len(self.slots):
            grown = np.zeros(wanted, np.uint64)
            _move(self.slots, grown)
            self.slots = grown


class Seen:
    """The keys of all stored observations. ``load`` gives event times and keys of those stored in given hours."""

    def __init__(self, load: Load, *, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self._load = load
        self._budget = budget_bytes
        self._hours: OrderedDict[int, _Hour] = OrderedDict()
        self._touched: set[int] = set()

    @property
    def memory_bytes(self) -> int:
        """What the sets hold in memory."""
        return sum(h.slots.nbytes for h in self._hours.values())

    def fold(self, observed_us: Array, keys: Array) -> Array:
        """True for each row that is stored already, or came before in this or an earlier batch; others are pending.

        After the append, ``commit`` or ``rollback``; several batches may be folded before.
        """
        duplicate = np.zeros(len(keys), np.bool_)
        if not len(keys):
            return duplicate
        hours = observed_us // HOUR_US
        first = int(hours[0])
        if bool((hours == first).all()):
            groups = [(first, np.arange(len(keys)))]
        else:
            order = np.argsort(hours, kind="stable")
            cuts = np.flatnonzero(np.diff(hours[order])) + 1
            groups = [(int(hours[rows[0]]), rows) for rows in np.split(order, cuts)]
        self._fetch([hour for hour, _ in groups])
        for number, rows in groups:
            hour = self._hours[number]
            hour.room_for(len(rows))
            _fold(hour.slots, hour.meta, keys, rows, duplicate)
        return duplicate

    def _fetch(self, hours: Sequence[int]) -> None:
        missing = [h for h in hours if h not in self._hours]
        for hour in hours:
            if hour in self._hours:
                self._hours.move_to_end(hour)
        self._touched.update(hours)
        if not missing:
            return
        times, keys = self._load(missing)
        order = np.argsort(times, kind="stable")
        edges = np.array(missing, np.int64)
        starts = np.searchsorted(times[order], edges * HOUR_US)
        ends = np.searchsorted(times[order], (edges + 1) * HOUR_US)
        for hour, start, end in zip(missing, starts.tolist(), ends.tolist(), strict=True):
            self._hours[hour] = _Hour.of(keys[order[start:end]])

    def commit(self) -> None:
        """The pending rows are stored. Hours over the budget are let go, the least recently used first."""
        self._touched.clear()
        over = self.memory_bytes - self._budget
        while over > 0 and len(self._hours) > 1:
            _, hour = self._hours.popitem(last=False)
            over -= hour.slots.nbytes

    def rollback(self) -> None:
        """The pending rows may not be stored: the hours they touched are forgotten, and read back when needed."""
        for hour in self._touched:
            self._hours.pop(hour, None)
        self._touched.clear()


def _size_for(keys: int) -> int:
    return max(_SMALLEST, 1 << (keys * 3 // 2).bit_length())


@njit(cache=True, nogil=True)
def _fold(slots: Array, meta: Array, keys: Array, rows: Array, duplicate: Array) -> None:
    mask = np.uint64(len(slots) - 1)
    one = np.uint64(1)
    for r in rows:
        key = keys[r]
        if key == 0:
            duplicate[r] = meta[1] != 0
            meta[1] = 1
            continue
        place = key & mask
        while slots[place] != 0 and slots[place] != key:
            place = (place + one) & mask
        duplicate[r] = slots[place] == key
        if not duplicate[r]:
            slots[place] = key
            meta[0] += 1


@njit(cache=True, nogil=True)
def _move(slots: Array, grown: Array) -> None:
    mask = np.uint64(len(grown) - 1)
    one = np.uint64(1)
    for key in slots:
        if key == 0:
            continue
        place = key & mask
        while grown[place] != 0:
            place = (place + one) & mask
        grown[place] = key
