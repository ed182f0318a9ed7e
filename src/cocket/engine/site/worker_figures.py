"""A worker's figures in the Prometheus text format, and how it stands: what only it knows of its partitions.

Names are those of ``cocket.web.metrics`` where they mean the same, so that one rule serves both. The only label that the doors have
not is ``partition``: there are as many as the site has partitions. Counts and times (``cocket_commit_seconds``,
``cocket_step_seconds``, …) are of the process, over all partitions that it has or had.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from cocket import __version__

if TYPE_CHECKING:
    from prometheus_client import Metric

    from cocket.engine.figures import Figures
    from cocket.engine.line import Line
    from cocket.engine.site.worker import Served, Worker
    from cocket.store.partition import PartitionStores

_BY_PARTITION: Final[tuple[tuple[str, str, Callable[[Served], float]], ...]] = (
    ("cocket_lag_observations", "Stored and not yet detected.", lambda s: s.line.lag),
    (
        "cocket_lag_seconds",
        "How long the oldest undetected observation has waited.",
        lambda s: s.figures.lag_s(s.line.detected, s.line.lag),
    ),
    ("cocket_waiting_observations", "Waiting for the log.", lambda s: s.line.rows_waiting),
    ("cocket_detectors_up", "1 while the detectors run.", lambda s: int(s.line.failure is None)),
    ("cocket_state_bytes", "Memory of the detectors' state.", lambda s: s.line.state_bytes),
    (
        "cocket_checkpoint_age_seconds",
        "Since the last checkpoint of the detectors' state, or since the partition was taken.",
        lambda s: time.monotonic() - s.figures.saved_s,
    ),
    ("cocket_log_offset", "Number of the newest entry of the log.", lambda s: s.stores.log.last_offset()),
    (
        "cocket_log_unbooked",
        "1 while the database is not told of the log's sums and refused rows.",
        lambda s: int(s.stores.log.booking_failure is not None),
    ),
    (
        "cocket_history_waiting_entries",
        "Entries of the log that history does not hold yet.",
        lambda s: s.stores.unbooked(s.line.detected),
    ),
)


class _Figures(Collector):
    """Asked anew at each scrape."""

    def __init__(self, served: Sequence[Served]) -> None:
        self._served = served

    def collect(self) -> Iterator[Metric]:
        """All families that are not instruments of their own."""
        for name, text, value in _BY_PARTITION:
            family = GaugeMetricFamily(name, text, labels=["partition"])
            for one in self._served:
                family.add_metric([str(one.partition)], value(one))
            yield family
        yield GaugeMetricFamily("cocket_partitions", "Partitions that the worker serves.", len(self._served))
        yield InfoMetricFamily(
            "cocket_build",
            "Which version runs, on which Python.",
            {"version": __version__, "python": platform.python_version()},
        )


def families(served: Sequence[Served], figures: Figures) -> list[Metric]:
    """Every family of a worker that serves these partitions, ours first, with its samples as they are now."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    ours = [*_Figures(served).collect(), *figures.registry.collect()]
    return [*sorted(ours, key=lambda f: f.name), *registry.collect()]


class _Given(Collector):
    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        return iter(self._found)


def text(worker: Worker) -> bytes:
    """Everything, as Prometheus reads it."""
    registry = CollectorRegistry()
    registry.register(_Given(families(worker.served(), worker.figures)))
    return generate_latest(registry)


def health(worker: Worker, *, in_words: bool) -> dict[str, Any]:
    """How it stands. ``in_words``: with why something fails, which may name what is nobody's business."""
    partitions = [
        {
            "partition": one.partition,
            "epoch": one.epoch,
            "lag_observations": one.line.lag,
            "ok": one.failure is None,
            "failure": one.failure if in_words else None,
        }
        for one in worker.served()
    ]
    return {
        "status": "ok" if all(p["ok"] for p in partitions) else "degraded",
        "worker": worker.name,
        "version": __version__,
        "partitions": partitions,
    }


def failure_of(line: Line, stores: PartitionStores) -> str | None:
    """Why a partition's detectors do not run, or its sums are not told, in words; None when all is well."""
    return "; ".join(said for said in (line.failure, unbooked_of(stores)) if said) or None


def unbooked_of(stores: PartitionStores) -> str | None:
    """Why the database is not told of the log's sums and refused rows; None when it is."""
    failure = stores.log.booking_failure
    return None if failure is None else failure.detail
