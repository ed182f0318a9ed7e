"""Finding what the detectors fail on: a batch that raised is taken in halves, down to the row, which is set aside.

Any split of a batch gives the same alerts (tests/laws), so halves that do run have run for good. A half that raises
leaves state that is half changed: it is put back to what was before, from a copy in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Array, Batch
from cocket.core.errors import CocketError
from cocket.engine.aside import MOST_ROWS
from cocket.engine.ingest import Committed

if TYPE_CHECKING:
    from cocket.engine.detecting import Detecting

log = logging.getLogger(__name__)


class Poison(Exception):
    """A detector raised: ``__cause__`` says what."""


@contextmanager
def poison() -> Iterator[None]:
    """Turns what a detector raises into ``Poison``. The disk, the memory and the store are not its fault."""
    try:
        yield
    except (CocketError, MemoryError, OSError):
        raise
    except Exception as error:
        raise Poison from error


def cause(found: Poison) -> BaseException:
    """What was raised."""
    assert found.__cause__ is not None
    return found.__cause__


def observe(detecting: Detecting, entry: Committed) -> list[AlertChange]:
    """The changes of an entry's rows, without those that raise: they are set aside."""
    if entry.batch is None or entry.keys is None:
        return []
    base, changes = detecting.capture()
    parts = [np.arange(entry.batch.n)]
    while parts:
        rows = parts.pop()
        part = Committed(entry.offset, entry.batch.take(rows), entry.keys[rows], None)
        try:
            with poison():
                found = detecting.observe([part])
        except Poison as raised:
            detecting.restore(base)
            if len(rows) > 1:
                parts += [rows[len(rows) // 2 :], rows[: len(rows) // 2]]
                continue
            key = int(entry.keys[rows[0]])
            _row_aside(detecting, entry.batch, int(rows[0]), key, cause(raised), f"log entry {entry.offset}")
            base.aside = detecting.aside.dump()
        else:
            changes += found
            base, counts = detecting.capture()
            changes += counts
    return changes


def pass_time(detecting: Detecting, tick_us: int) -> list[AlertChange]:
    """The changes of a tick, without the journeys whose timers raise: they are set aside."""
    base, changes = detecting.capture()
    try:
        with poison():
            return changes + detecting.pass_time(tick_us)
    except Poison:
        detecting.restore(base)
    parts = [np.arange(detecting.journeys)]
    while parts:
        js = parts.pop()
        try:
            with poison():
                found = detecting.pass_time(tick_us, js)
        except Poison as raised:
            detecting.restore(base)
            if len(js) > 1:
                parts += [js[len(js) // 2 :], js[: len(js) // 2]]
                continue
            journey_aside(detecting, int(js[0]), cause(raised))
            base.aside = detecting.aside.dump()
        else:
            changes += found
            base, counts = detecting.capture()
            changes += counts
    return changes


@dataclass(frozen=True, slots=True)
class Past:
    """The rows of one journey's history, in their order."""

    batch: Batch
    keys: Array
    offsets: Array


def rerun(detecting: Detecting, j: int, past: Past) -> list[AlertChange]:
    """The changes of one journey's new run, without the rows that raise; if they are many, or none is at fault, the
    journey is set aside.
    """
    for _ in range(MOST_ROWS):
        try:
            with poison():
                return detecting.rerun_of(j, past)
        except Poison as raised:
            error = cause(raised)
        low, high = 0, past.batch.n  # the shortest beginning that raises has between low and high rows
        while low < high:
            middle = (low + high) // 2
            try:
                with poison():
                    detecting.rerun_of(j, _beginning(past, middle))
            except Poison as raised:
                error, high = cause(raised), middle
            else:
                low = middle + 1
        if not low:
            break  # the timers alone raise
        at = low - 1
        where = f"log entry {int(past.offsets[at])}, when its journey was run again"
        _row_aside(detecting, past.batch, at, int(past.keys[at]), error, where)
        rest = np.delete(np.arange(past.batch.n), at)
        past = Past(past.batch.take(rest), past.keys[rest], past.offsets[rest])
    journey_aside(detecting, j, error)
    return []


def _beginning(past: Past, n: int) -> Past:
    return Past(past.batch.take(slice(0, n)), past.keys[:n], past.offsets[:n])


def _row_aside(
    detecting: Detecting, batch: Batch, i: int, key: int, error: BaseException, where: str
) -> None:
    log.error("an observation is set aside, for the detectors fail on it (%s)", where, exc_info=error)
    detecting.aside.row(detecting.log, batch, i, key, error, detecting.now_us(), where)


def journey_aside(detecting: Detecting, j: int, error: BaseException) -> None:
    """Set a journey aside whole."""
    log.error("a journey is set aside, for the detectors fail on it", exc_info=error)
    detecting.aside.journey(detecting.log, detecting.table, j, error, detecting.now_us())
