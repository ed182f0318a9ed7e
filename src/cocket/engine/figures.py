"""What is counted and timed while the machine runs: the figures that no store keeps, for Prometheus and the alarms.

One object per ``Service``, or per worker of a site with one ``beside`` it for each partition; any thread may write and read. Names follow Prometheus' conventions (base units, ``_total``,
``_seconds``); no label ever holds a device, an equipment or a movement, so that their number stays bounded.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter as Tally
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from cocket.core.batch import Array, Batch
from cocket.core.clock import US
from cocket.core.doors import Decoded
from cocket.core.schema import TIME_QUALITIES

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS: Final = (1, 10, 100, 1_000, 2_500, 5_000, 10_000, 20_000, 50_000, 200_000)

MOST_SOURCES: Final = 200
"""Sources with figures of their own; what comes beyond is ``other``."""
OTHER: Final = "other"

_OF_DEVICES: Final = frozenset({"gateway", "frames"})
"""Bodies whose rows each name their door; elsewhere ``source`` is what the sender says, and no label is made of it."""

_TALKED_S: Final = 60.0
"""A source used to talk if it spoke in two minutes at least."""
_MOST_DEVICES: Final = 5_000
_ROWS_SEEN: Final = 32
_SKEW_S: Final = 600.0
_LATE_S: Final = -3_600.0
"""What is older on arrival than this was kept somewhere, or is a replay: it says nothing of a clock."""
_MARK_S: Final = 0.1
_LOOK_S: Final = 0.05
_QUALITIES: Final = (TIME_QUALITIES.index("device"), TIME_QUALITIES.index("ahead"))

disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(slots=True)
class Source:
    """A door, or a protocol at a door, and when it spoke; seconds of the monotonic clock."""

    rows: int = 0
    first_s: float = 0.0
    last_s: float = 0.0


class Figures:
    """See the module. The instruments are used directly: ``figures.commit_seconds.observe(…)``."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        self.door_rows = Counter(
            "cocket_door_rows",
            "Rows since the start, by the door they came by and what became of them.",
            ["door", "result"],
            registry=r,
        )
        self.commit_seconds = Histogram(
            "cocket_commit_seconds",
            "Time of one group commit, fsync included.",
            buckets=_SECONDS,
            registry=r,
        )
        self.commit_rows = Histogram(
            "cocket_commit_rows", "Rows in one group commit.", buckets=_ROWS, registry=r
        )
        self.commit_failures = Counter(
            "cocket_commit_failures", "Group commits that the disk refused.", registry=r
        )
        self.step_seconds = Histogram(
            "cocket_step_seconds",
            "Time of one step of the detectors, alerts written.",
            buckets=_SECONDS,
            registry=r,
        )
        self.step_rows = Histogram(
            "cocket_step_rows", "Observations in one step of the detectors.", buckets=_ROWS, registry=r
        )
        self.rerun_seconds = Histogram(
            "cocket_rerun_seconds",
            "Time of one pass over journeys that late data touched.",
            buckets=_SECONDS,
            registry=r,
        )
        self.reruns = Counter(
            "cocket_reruns",
            "Journeys run again because of late data or a changed declaration.",
            registry=r,
        )
        self.receipt_to_alert_seconds = Histogram(
            "cocket_receipt_to_alert_seconds",
            "From an observation's receipt to its alert on the disk; alerts by timers and re-runs are not in it.",
            buckets=_SECONDS,
            registry=r,
        )
        self.http_requests = Counter(
            "cocket_http_requests",
            "HTTP requests answered, by route template.",
            ["method", "route", "status"],
            registry=r,
        )
        self.http_seconds = Histogram(
            "cocket_http_request_seconds",
            "Time to the end of the answer, by route template; the live stream is not in it.",
            ["route"],
            buckets=_SECONDS,
            registry=r,
        )
        self._lock = threading.Lock()
        self._sources: dict[str, Source] = {}
        self._skew: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._looked_s = -_LOOK_S
        self._begin()

    def _begin(self) -> None:
        self.started_s = self.saved_s = time.monotonic()
        self.refused = ""
        """Why the last group commit failed; empty once one succeeded."""
        self._stored: deque[tuple[int, float]] = deque()
        self._first: int | None = None
        self._behind_s: float | None = None

    def beside(self) -> Self:
        """For another line of this process: it counts into the same instruments, and has a lag and a checkpoint of its own."""
        other = copy.copy(self)
        other._begin()  # noqa: SLF001 - one of our own kind
        return other

    # the writer's thread

    def took(self, bodies: Sequence[Decoded], repeated: Array) -> None:
        """Bodies that are durable now; ``repeated`` marks the duplicates among all their rows."""
        tally: Tally[tuple[str, str]] = Tally()
        at = 0
        for body in bodies:
            twice = repeated[at : at + body.batch.n]
            at += body.batch.n
            texts = body.batch.texts("source") if body.source in _OF_DEVICES else None
            if texts is None or len(texts.values) < 2:
                name = body.source if texts is None or not texts.values else texts.values[0]
                n = int(twice.sum())
                tally[name, "duplicate"] += n
                tally[name, "accepted"] += body.batch.n - n
            else:
                codes, most = texts.codes + 1, len(texts.values) + 1
                for name, rows, n in zip(
                    (OTHER, *texts.values),
                    np.bincount(codes, minlength=most).tolist(),
                    np.bincount(codes[twice], minlength=most).tolist(),
                    strict=True,
                ):
                    tally[name, "duplicate"] += n
                    tally[name, "accepted"] += rows - n
            for reject in body.rejects:
                tally[reject.source or body.source, "rejected"] += 1
        now = time.monotonic()
        with self._lock:
            for (name, result), n in tally.items():
                if n:
                    known = self._heard(name, n, now)
                    self.door_rows.labels(door_of(known), result).inc(n)

    def _heard(self, name: str, rows: int, now: float) -> str:
        name = name if "@" in name else name.partition("/")[0]
        if name not in self._sources and len(self._sources) >= MOST_SOURCES:
            name = OTHER
        source = self._sources.setdefault(name, Source(0, now))
        source.rows += rows
        source.last_s = now
        return name

    def stored(self, offset: int, batch: Batch, received_us: int) -> None:
        """A batch is in the log: remember when, and what its devices' clocks say."""
        now = time.monotonic()
        with self._lock:
            if self._first is None:
                self._first = offset
            if not self._stored or now - self._stored[-1][1] >= _MARK_S:
                self._stored.append((offset, now))
            if (
                now - self._looked_s >= _LOOK_S
            ):  # a sample of the devices is enough, and small commits are many
                self._looked_s = now
                self._see_clocks(batch, received_us, now)

    def _see_clocks(self, batch: Batch, received_us: int, now: float) -> None:
        devices, quality = batch.texts("device_id"), batch.array("time_quality")
        if devices is None or quality is None or not batch.n:
            return
        observed, delayed = batch.filled("observed_us"), batch.filled("delayed")
        for i in np.unique(np.linspace(0, batch.n - 1, min(batch.n, _ROWS_SEEN)).astype(np.int64)).tolist():
            name = devices.row(i)
            if name is None or quality[i] not in _QUALITIES:
                continue
            ahead = (int(observed[i]) - received_us) / US
            if ahead < _LATE_S or delayed[i] == 1:
                continue
            known = self._skew.pop(name, None)
            # what was sent late says nothing of a clock: a device's least delay counts
            if known is not None and now - known[1] < _SKEW_S and known[0] > ahead:
                self._skew[name] = known
            else:
                self._skew[name] = (ahead, now)
            if len(self._skew) > _MOST_DEVICES:
                self._skew.popitem(last=False)

    # any thread

    def lag_s(self, detected: int, lag_rows: int) -> float:
        """How long the oldest undetected entry has waited; at most since the start. ``detected``: up to which offset.

        What was stored before the start, or by another process, counts from when it was first seen to wait.
        """
        now = time.monotonic()
        with self._lock:
            while self._stored and self._stored[0][0] <= detected:
                self._stored.popleft()
            oldest = self._stored[0][1] if self._stored else None
        if not lag_rows:
            self._behind_s = None
            return 0.0
        if self._first is None or detected < self._first - 1:
            if self._behind_s is None:
                self._behind_s = now
            return now - self._behind_s
        return 0.0 if oldest is None else now - oldest

    def sources(self) -> dict[str, Source]:
        """Every source that spoke since the start."""
        with self._lock:
            return {name: Source(s.rows, s.first_s, s.last_s) for name, s in self._sources.items()}

    def silent(self, after_s: float) -> dict[str, float]:
        """Sources that used to talk and have been silent for longer than ``after_s``, and how long."""
        now = time.monotonic()
        return {
            name: now - s.last_s
            for name, s in self.sources().items()
            if now - s.last_s > after_s
            and s.last_s - s.first_s >= min(_TALKED_S, after_s)
            and name not in {"quarantine", "gateway", OTHER}
        }

    def skew(self) -> tuple[float, int]:
        """Median seconds by which devices' clocks are ahead of ours, and of how many devices heard in ten minutes."""
        now = time.monotonic()
        with self._lock:
            recent = [ahead for ahead, at in self._skew.values() if now - at < _SKEW_S]
        return (float(np.median(recent)), len(recent)) if recent else (0.0, 0)


def door_of(source: str) -> str:
    """The door in a row's source: ``tcp:5023`` of ``gt06@tcp:5023``, ``http`` of ``http``, ``quarantine`` of one row's."""
    _, at, door = source.partition("@")
    return (door if at else source.partition("/")[0])[:64]
