"""A machine in memory that does with batches, ticks and late rows what the engine does, with the same functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import DTYPES, NULLS, Array, Batch, Texts, concat
from cocket.core.detector import Detector
from cocket.core.journeys import NEVER, Journey, JourneyTable
from cocket.core.keys import observation_keys
from cocket.core.rules import Rules
from cocket.core.schema import BY_NAME, Kind
from cocket.journeys.detection import Detection
from cocket.journeys.join import Join
from cocket.pipeline import DETECTORS


def batch_of(rows: list[dict[str, Any]]) -> Batch:
    """Observations as plain values (as ``Batch.row`` gives them) to columns."""
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        column = BY_NAME[name]
        values = [row.get(name) for row in rows]
        if column.kind is Kind.TEXT:
            columns[name] = Texts.of(values)
            continue
        if column.kind is Kind.ENUM:
            values = [None if v is None else column.values.index(v) for v in values]
        null = NULLS[column.kind]
        columns[name] = np.array([null if v is None else v for v in values], DTYPES[column.kind])
    return Batch(len(rows), columns)


@dataclass
class Reference:
    """What the machine is told of the world."""

    journeys: list[Journey]
    zones: Any = None
    corridors: Any = None
    rules: dict[str, Any] | None = None
    detectors: tuple[Detector, ...] = DETECTORS


class Machine:
    """Batches and ticks in, alerts out; ``alerts`` holds those that stand, by id."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.table = JourneyTable()
        self.table.extend(reference.journeys)
        self.detection = self._new()
        self.devices: dict[str, int] = {}
        numbers = [self.devices.setdefault(j.device_id, len(self.devices)) for j in reference.journeys]
        ends = [NEVER if j.to_us is None else j.to_us for j in reference.journeys]
        self.join = Join.build(
            np.array(numbers, np.int32),
            np.array([j.from_us for j in reference.journeys], np.int64),
            np.array(ends, np.int64),
        )
        self.history: list[Batch] = []
        self.seen: set[int] = set()
        self.tick_us: int | None = None
        self.alerts: dict[str, AlertChange] = {}
        self.reruns = 0

    def feed(self, rows: list[dict[str, Any]]) -> None:
        """One batch; what was seen before is passed over."""
        batch = batch_of(rows)
        keys = observation_keys(batch)
        fresh = []
        for i, key in enumerate(keys.tolist()):
            if key not in self.seen:
                self.seen.add(key)
                fresh.append(i)
        if not fresh:
            return
        batch, keys = batch.take(np.array(fresh)), keys[fresh]
        self.history.append(batch)
        d = self.detection
        journey = self._journeys(batch)
        order = d.order(journey, batch.filled("observed_us"), batch.array("sequence"), keys)
        events = d.run(batch, order.rows, journey, keys, self.reference.zones, self.reference.corridors)
        self._apply(d.changes(events, 0))
        if len(order.late):
            self.rerun(order.late)

    def tick(self, now_us: int) -> None:
        """Time has come to ``now_us``."""
        self.tick_us = now_us if self.tick_us is None else max(now_us, self.tick_us)
        self._apply(self.detection.changes(self.detection.tick(now_us), 0))

    def rerun(self, js: Array) -> None:
        """Run journeys afresh from history; what no longer holds is gone."""
        self.reruns += len(js)
        batch = concat(self.history)
        changes = self.detection.rerun(
            js,
            batch,
            self._journeys(batch),
            observation_keys(batch),
            self.reference.zones,
            self.reference.corridors,
            self.tick_us,
            0,
        )
        names = {self.table.key(j) for j in js.tolist()}
        self.alerts = {k: a for k, a in self.alerts.items() if a.journey not in names}
        self._apply(changes)

    def restart(self) -> None:
        """Through bytes and back."""
        self.flush()
        data = self.detection.dump()
        self.detection = self._new()
        self.detection.load(data)

    def flush(self) -> None:
        self._apply(self.detection.changes(self.detection.flush(), 0))

    def _new(self) -> Detection:
        detectors = self.reference.detectors
        rules = Rules.from_doc(self.reference.rules or {}, detectors)
        return Detection(detectors, rules, self.table)

    def _journeys(self, batch: Batch) -> Array:
        texts = batch.texts("device_id")
        assert texts is not None
        numbers = np.array([self.devices.get(v, -1) for v in texts.values], np.int32)
        return self.join.journeys(numbers[texts.codes], batch.filled("observed_us"))

    def _apply(self, changes: list[AlertChange]) -> None:
        for change in changes:
            self.alerts[change.id] = change
