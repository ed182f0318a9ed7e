"""What the detectors fail on: stored observations, and journeys, that are set aside so that the others go on.

A row that makes a detector raise is in the log, acknowledged, and stays there. It is put into the quarantine a second
time, with its content as JSON and the last line of the traceback (rule ``detectors-failed``), and no detector sees it
again until it is tried again: by hand (its replay), or by itself by another version of Cocket. A journey whose timers
raise, or that has too many such rows, is set aside whole. The record is a page of the snapshot, so that it is always
of the same moment as the state; lost with it, the same rows are found again.
"""

from __future__ import annotations

import traceback
from typing import Any, Final

import msgspec
import numpy as np

from cocket import __version__
from cocket.core.batch import Array, Batch
from cocket.core.journeys import JourneyTable
from cocket.core.schema import BY_NAME
from cocket.store.log import Log
from cocket.store.quarantine import SET_ASIDE, Quarantined

MOST_ROWS: Final = 16
"""Rows of one journey that are set aside in one pass before the journey is."""


class Row(msgspec.Struct, frozen=True):
    """A row set aside: whose it is and when it was observed, to find its journey by."""

    device_id: str
    observed_us: int


class _Page(msgspec.Struct):
    version: str
    rows: dict[int, Row]
    journeys: dict[str, str]


class Aside:
    """The record. The detector thread changes it; ``words`` may be asked from any."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        """By observation key."""
        self.journeys: dict[str, str] = {}
        """Journeys set aside whole, by ``JourneyTable.key``, with the reason."""
        self.last = ""
        self._keys: Array = np.empty(0, np.uint64)
        self._table: tuple[JourneyTable | None, int] = (None, 0)
        self._js: Array = np.empty(0, np.int64)

    @property
    def words(self) -> str:
        """What is set aside, for a person; empty when nothing is."""
        if not (self.rows or self.journeys):
            return ""
        parts = []
        if self.rows:
            parts.append(f"{len(self.rows)} stored observations")
        if self.journeys:
            parts.append(f"{len(self.journeys)} whole journeys")
        return (
            f"{' and '.join(parts)} set aside, because the detectors fail on them (last: {self.last or 'see there'}); "
            f"they are in the quarantine under the rule {SET_ASIDE}; everything else goes on"
        )

    # asking

    def without(self, batch: Batch, keys: Array) -> tuple[Batch, Array]:
        """A batch and its keys without the rows set aside."""
        if not self.rows:
            return batch, keys
        kept = ~np.isin(keys, self._keys)
        return (batch, keys) if kept.all() else (batch.take(kept), keys[kept])

    def numbers(self, table: JourneyTable) -> Array:
        """The numbers of the journeys set aside, in order."""
        if not self.journeys:
            return np.empty(0, np.int64)
        if self._table != (table, table.n):
            self._js = np.array([j for j in range(table.n) if table.key(j) in self.journeys], np.int64)
            self._table = (table, table.n)
        return self._js

    # setting aside

    def row(
        self, log: Log, batch: Batch, i: int, key: int, error: BaseException, now_us: int, where: str
    ) -> None:
        """Set row ``i`` of ``batch`` aside; ``where`` names the log entry."""
        values = batch.row(i)
        self.last = last_line(error)
        log.set_aside(
            Quarantined(
                now_us,
                str(values.get("source") or "detectors"),
                i,
                "",
                SET_ASIDE,
                f"{self.last} ({where}); it is stored, and no detector sees it until it is tried again",
                msgspec.json.encode(_as_sent(values)),
                None,
                str(values["device_id"]),
            )
        )
        self.rows[key] = Row(str(values["device_id"]), int(values["observed_us"]))
        self._remember()

    def journey(self, log: Log, table: JourneyTable, j: int, error: BaseException, now_us: int) -> None:
        """Set a journey aside whole."""
        key = table.key(j)
        self.last = last_line(error)
        log.set_aside(
            Quarantined(
                now_us,
                "detectors",
                0,
                "",
                SET_ASIDE,
                f"{self.last}; the journey of {table.device_id[j]} on {table.equipment_id[j]} ({table.mrn[j]}) is "
                "watched no longer until it is tried again; its observations are stored",
                key.encode(),
                None,
                table.device_id[j],
            )
        )
        self.journeys[key] = self.last
        self._table = (None, 0)

    def release(self) -> tuple[list[Row], dict[str, str]]:
        """Set nothing aside any more; gives what was, for its journeys to be run again."""
        found = list(self.rows.values()), self.journeys
        self.rows, self.journeys = {}, {}
        self.last = ""
        self._remember()
        return found

    # checkpoints

    def dump(self) -> bytes:
        """For a checkpoint."""
        return msgspec.json.encode(_Page(__version__, self.rows, self.journeys))

    def load(self, page: bytes | None) -> bool:
        """From a checkpoint; whether another version of Cocket wrote it, so that all may be tried again."""
        stored = _Page(__version__, {}, {}) if page is None else msgspec.json.decode(page, type=_Page)
        self.rows, self.journeys = stored.rows, stored.journeys
        self._remember()
        return stored.version != __version__ and bool(self.rows or self.journeys)

    def _remember(self) -> None:
        self._keys = np.array(sorted(self.rows), np.uint64)
        self._table = (None, 0)


def last_line(error: BaseException) -> str:
    """The last line of an error's traceback, with the place that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    said = traceback.format_exception_only(error)[-1].strip()[:300]
    if not frames:
        return said
    return f"{said} at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}"


def _as_sent(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if BY_NAME[name].door}
