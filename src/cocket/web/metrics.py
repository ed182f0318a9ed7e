"""Figures in the Prometheus text format (version 0.0.4): what the stores count, and what was timed since the start.

Counters of rows and alerts come from the stores and survive restarts; the others begin at 0 with the process. No label
holds a device, an equipment or a movement. docs/metrics.md is written from ``families``.
"""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from cocket import __version__
from cocket.core.alerts import SEVERITIES
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.store.commands import STATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from cocket.web.stream import Streams

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class _Figures(Collector):
    """Asked anew at each scrape."""

    def __init__(self, service: Service, gateway: Gateway, streams: Streams) -> None:
        self._service = service
        self._gateway = gateway
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        """All families that are not instruments of their own."""
        yield from self._pipeline()
        yield from self._alerts()
        yield from self._stores()
        yield from self._devices()
        yield from self._gateway_figures()

    def _pipeline(self) -> Iterator[Metric]:
        service = self._service
        totals = service.folder.log.totals()
        rows = CounterMetricFamily(
            "cocket_rows", "Rows received, by what became of them; survives restarts.", labels=["result"]
        )
        rows.add_metric(["accepted"], totals.observations)
        rows.add_metric(["duplicate"], totals.duplicates)
        rows.add_metric(["rejected"], totals.rejected)
        yield rows
        yield _gauge("cocket_ingest_rate", "Observations a second, over some seconds.", service.rate_per_s)
        yield _gauge("cocket_lag_observations", "Stored and not yet detected.", service.lag)
        yield _gauge(
            "cocket_lag_seconds", "How long the oldest undetected observation has waited.", service.lag_s
        )
        yield _gauge("cocket_waiting_observations", "Waiting for the disk.", service.rows_waiting)
        yield _gauge("cocket_detectors_up", "1 while the detectors run.", int(service.failure is None))
        yield _gauge("cocket_state_bytes", "Memory of the detectors' state.", service.state_bytes)
        yield _gauge(
            "cocket_checkpoint_age_seconds",
            "Since the last checkpoint of the detectors' state, or since the start.",
            time.monotonic() - service.figures.saved_s,
        )

    def _alerts(self) -> Iterator[Metric]:
        counts = self._service.folder.alerts.counts()
        alerts = CounterMetricFamily(
            "cocket_alerts",
            "Alerts that hold, by code; goes down only where later data shows that one did not.",
            labels=["code"],
        )
        for code, n in sorted(counts.by_code.items()):
            alerts.add_metric([code], n)
        yield alerts
        yield _gauge("cocket_alerts_superseded", "Alerts that later data has superseded.", counts.superseded)
        yield _gauge("cocket_open_alerts", "Alerts not ended, superseded or closed.", counts.open)
        opened = self._service.open_by_severity()
        by_severity = GaugeMetricFamily(
            "cocket_open_alerts_by_severity", "Open alerts, by severity.", labels=["severity"]
        )
        for severity in SEVERITIES:
            by_severity.add_metric([severity], opened.get(severity, 0))
        yield by_severity

    def _stores(self) -> Iterator[Metric]:
        service, measures = self._service, self._service.measures
        files, size = measures.history()
        free, total = measures.disk()
        yield _gauge(
            "cocket_quarantine_rows", "Refused rows that wait in the quarantine.", measures.quarantine_held()
        )
        yield _gauge("cocket_history_files", "History files that count.", files)
        yield _gauge("cocket_history_bytes", "Size of the history files that count.", size)
        yield _gauge(
            "cocket_history_damaged",
            "1 while a history file is missing or cut.",
            int(bool(measures.history_damage())),
        )
        yield _gauge("cocket_log_bytes", "Size of the log with the quarantine.", measures.log_bytes())
        yield _gauge("cocket_disk_free_bytes", "Free on the data folder's disk.", free)
        yield _gauge("cocket_disk_size_bytes", "Size of the data folder's disk.", total)
        backup = GaugeMetricFamily(
            "cocket_backup_age_seconds", "Since the last backup of the data folder; absent without one."
        )
        age = service.backup_age_s()
        if age is not None:
            backup.add_metric([], age)
        yield backup
        yield _gauge("cocket_movements", "Movements declared.", service.folder.reference.count("movement"))
        yield _gauge("cocket_devices", "Devices registered.", service.folder.reference.count("device"))
        yield _gauge("cocket_stream_clients", "Connections to the live stream.", self._streams.clients)
        yield _gauge("cocket_clock_seconds", "The server's clock, Unix time.", service.clock.now_us() / 1e6)
        yield _gauge(
            "cocket_customs_clock_age_seconds",
            "Since the customs file's terms were last looked at.",
            service.customs_clock_age_s,
        )
        alarm = GaugeMetricFamily(
            "cocket_alarm", "1 for each alarm that Cocket raises about itself.", labels=["code"]
        )
        for standing in service.alarms.current:
            alarm.add_metric([standing.code], 1)
        yield alarm
        yield InfoMetricFamily(
            "cocket_build",
            "Which version runs, on which Python.",
            {"version": __version__, "python": platform.python_version()},
        )

    def _devices(self) -> Iterator[Metric]:
        ahead_s, heard = self._service.figures.skew()
        yield _gauge(
            "cocket_clock_skew_seconds",
            "Median by which devices' clocks are ahead of ours; what is sent late counts as behind.",
            ahead_s,
        )
        yield _gauge("cocket_clock_skew_devices", "Devices that the median clock skew is of.", heard)
        yield _gauge(
            "cocket_sources",
            "Doors and device families heard since the start.",
            len(self._service.figures.sources()),
        )
        yield _gauge(
            "cocket_silent_sources",
            "Doors and device families that used to talk and are silent.",
            len(self._service.silent_sources()),
        )
        commands = GaugeMetricFamily("cocket_commands", "Commands to devices, by state.", labels=["state"])
        states = self._service.folder.commands.by_state()
        for state in STATES:
            commands.add_metric([state], states.get(state, 0))
        yield commands

    def _gateway_figures(self) -> Iterator[Metric]:
        stats = self._gateway.stats()
        frames = CounterMetricFamily(
            "cocket_frames",
            "Frames of devices, by protocol and outcome; rejected: bad frames.",
            labels=["protocol", "outcome"],
        )
        for protocol, outcomes in stats["frames"].items():
            for outcome, n in outcomes.items():
                frames.add_metric([protocol, outcome], n)
        yield frames
        events = CounterMetricFamily(
            "cocket_gateway_events", "What happened at the doors for devices.", labels=["event"]
        )
        for event, n in stats["events"].items():
            events.add_metric([event], n)
        yield events
        connections = GaugeMetricFamily(
            "cocket_connections",
            "Devices' connections, by protocol; unrecognised: not known yet.",
            labels=["protocol"],
        )
        for protocol, n in self._gateway.connections_by_protocol().items():
            connections.add_metric([protocol], n)
        yield connections
        yield _gauge("cocket_doors", "Doors for devices that are open.", len(stats["doors"]))
        yield _gauge(
            "cocket_gateway_waiting", "Observations of devices, waiting for the disk.", stats["rows_waiting"]
        )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)


def families(service: Service, gateway: Gateway, streams: Streams) -> list[Metric]:
    """Every family, ours first, with its samples as they are now."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    ours = [*_Figures(service, gateway, streams).collect(), *service.figures.registry.collect()]
    return [*sorted(ours, key=lambda f: f.name), *registry.collect()]


class _Given(Collector):
    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        return iter(self._found)


def text(service: Service, gateway: Gateway, streams: Streams) -> bytes:
    """Everything, as Prometheus reads it."""
    registry = CollectorRegistry()
    registry.register(_Given(families(service, gateway, streams)))
    return generate_latest(registry)
