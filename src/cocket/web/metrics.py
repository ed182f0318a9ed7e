"""Figures in the Prometheus text format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from cocket.web.stream import Streams

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class _Figures(Collector):
    """Asked anew at each scrape: the store's own counts, which survive restarts."""

    def __init__(self, service: Service, gateway: Gateway, streams: Streams) -> None:
        self._service = service
        self._gateway = gateway
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        """All families."""
        stats = self._service.stats()
        rows = CounterMetricFamily("cocket_rows", "Rows received, by what became of them.", labels=["result"])
        for result, name in (
            ("accepted", "observations"),
            ("duplicate", "duplicates"),
            ("rejected", "rejected"),
        ):
            rows.add_metric([result], stats[name])
        yield rows
        alerts = CounterMetricFamily("cocket_alerts", "Alerts that hold, by code.", labels=["code"])
        for code, n in stats["alerts_by_code"].items():
            alerts.add_metric([code], n)
        yield alerts
        for name, text, value in (
            ("cocket_open_alerts", "Alerts not ended, superseded or closed.", stats["open_alerts"]),
            ("cocket_lag_observations", "Stored and not yet detected.", stats["lag_observations"]),
            ("cocket_waiting_observations", "Waiting for the disk.", self._service.rows_waiting),
            ("cocket_detectors_up", "1 while the detectors run.", 1 if self._service.failure is None else 0),
            ("cocket_state_bytes", "Memory of the detectors' state.", self._service.state_bytes),
            ("cocket_movements", "Movements declared.", stats["movements"]),
            ("cocket_devices", "Devices registered.", stats["devices"]),
            ("cocket_stream_clients", "Connections to the live stream.", self._streams.clients),
            ("cocket_clock_seconds", "The server's clock, Unix time.", self._service.clock.now_us() / 1e6),
        ):
            yield GaugeMetricFamily(name, text, value)
        yield from self._gateway_figures()

    def _gateway_figures(self) -> Iterator[Metric]:
        stats = self._gateway.stats()
        frames = CounterMetricFamily(
            "cocket_frames", "Frames of devices, by protocol and outcome.", labels=["protocol", "outcome"]
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
        yield GaugeMetricFamily("cocket_connections", "Devices' connections.", stats["connections"])
        yield GaugeMetricFamily(
            "cocket_gateway_waiting", "Of devices, waiting for the disk.", stats["rows_waiting"]
        )


def text(service: Service, gateway: Gateway, streams: Streams) -> bytes:
    """Everything, as Prometheus reads it."""
    registry = CollectorRegistry()
    registry.register(_Figures(service, gateway, streams))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
