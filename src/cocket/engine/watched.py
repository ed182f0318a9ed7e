"""The detectors at work, watched: each step, pass and checkpoint is timed, and traced where what it handles is.

Which alert came of which body is found by the key of the observation that raised it, so that an alert names the trace
of the very frame or body that it came from, however many were handled in one step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.clock import Clock
from cocket.core.config import Detect
from cocket.core.detector import Detector
from cocket.core.tracing import Mark, Tracing, trace_id
from cocket.engine.declared import Declarations
from cocket.engine.detecting import Detecting
from cocket.engine.figures import Figures
from cocket.engine.hub import Hub
from cocket.engine.ingest import Committed, Part
from cocket.store.alerts import AlertEvent
from cocket.store.folder import LineStores


class Watched(Detecting):
    """As ``Detecting``; what it tells goes to ``figures`` and ``tracing``."""

    def __init__(
        self,
        folder: LineStores,
        clock: Clock,
        settings: Detect,
        hub: Hub,
        detectors: Sequence[Detector],
        mine: Callable[[str], bool] | None,
        figures: Figures,
        tracing: Tracing,
        declarations: Declarations | None = None,
    ) -> None:
        self._figures = figures
        self._tracing = tracing
        self._store = folder.alert_traces
        self._now_us = clock.now_us
        self._mark: Mark | None = None
        self._told: list[AlertEvent] | None = None
        super().__init__(folder, clock, settings, hub, detectors, mine, declarations)

    def step(self, entries: Sequence[Committed]) -> None:
        """One step, timed from its first entry to its alerts on the disk."""
        began = time.monotonic()
        rows = sum(0 if e.batch is None else e.batch.n for e in entries)
        marks = [e.mark for e in entries]
        told: list[AlertEvent] = []
        self._told = told
        try:
            with self._tracing.span("detect.step", marks, entries=len(entries), rows=rows) as self._mark:
                super().step(entries)
        finally:
            self._told = self._mark = None
        if rows:
            self._figures.step_seconds.observe(time.monotonic() - began)
            self._figures.step_rows.observe(rows)
        if told:
            self._place(told, entries)

    def _write(self, changes: Sequence[AlertChange], entries: Sequence[Committed]) -> None:
        with self._tracing.span("alert.write", [self._mark] if changes else (), alerts=len(changes)):
            super()._write(changes, entries)

    def run_again(self) -> None:
        """One pass, timed."""
        began = time.monotonic()
        waiting = len(self._dirty)
        super().run_again()
        self._figures.rerun_seconds.observe(time.monotonic() - began)
        self._figures.reruns.inc(max(0, waiting - len(self._dirty)))

    def save(self) -> None:
        """A checkpoint; its age counts from here."""
        super().save()
        if not self.behind:
            self._figures.saved_s = time.monotonic()

    # which alert came of what

    def _tell(self, events: Sequence[AlertEvent]) -> None:
        if self._told is not None:
            self._told += events
        super()._tell(events)

    def _place(self, told: Sequence[AlertEvent], entries: Sequence[Committed]) -> None:
        """The newly raised among the alerts told in this step: how long each took, and its trace."""
        raised: dict[int, set[str]] = {}
        for event in told:
            raised.setdefault(event.alert["raised_key"], set()).add(event.alert["id"])
        wanted = np.array(list(raised), np.uint64)
        now = time.monotonic()
        traces: dict[str, str] = {}
        for entry in entries:
            if entry.keys is None or not entry.parts:
                continue
            keys = entry.keys.astype(np.uint64, copy=False)
            for row in np.flatnonzero(np.isin(keys, wanted)).tolist():
                part = _part(entry.parts, row)
                trace = trace_id(part.mark)
                for alert in raised[int(keys[row])]:
                    self._figures.receipt_to_alert_seconds.observe(now - part.taken_s)
                    if trace is not None:
                        traces[alert] = trace
        if traces:
            self._store.note(traces, self._now_us())


def _part(parts: Sequence[Part], row: int) -> Part:
    return next(part for part in parts if row < part.end)
