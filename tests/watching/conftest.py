"""A server that is watched: its traces go to a receiver of ours, its doors take seals."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from typing import Any, Self

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from prometheus_client.parser import text_string_to_metric_families
from tests.web.conftest import Door, serving

from cocket.core.config import Settings, overridden


class Receiver:
    """An OTLP/HTTP receiver (OpenTelemetry Protocol 1.x, "OTLP/HTTP"): spans as they come, binary protobuf."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                assert self.headers["content-type"] == "application/x-protobuf"
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    attributes = resource.resource.attributes
                    receiver.resources.append({a.key: a.value.string_value for a in attributes})
                    for scope in resource.scope_spans:
                        receiver.spans += scope.spans
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1/traces"

    def trace(self, trace_id: str) -> dict[str, Any]:
        """The spans of one trace by name."""
        return {s.name: s for s in list(self.spans) if s.trace_id.hex() == trace_id}

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Door]:
    """A server with traces, alarms that are quick, and a door for seals."""
    settings = overridden(
        Settings(),
        watching={"otlp_endpoint": receiver.url, "quarantine_rows": 20, "silent_source_s": 900.0},
        gateway={"listen": ("tcp:0=jt701",)},
    )
    yield from serving(tmp_path_factory.mktemp("watched") / "folder", settings)


def scrape(door: Door) -> dict[str, Any]:
    """The families by name, as Prometheus' own parser reads them."""
    answer = httpx.get(f"{door.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {f.name: f for f in text_string_to_metric_families(answer.text)}


def sample(families: dict[str, Any], name: str, **labels: str) -> float:
    """The value of one sample; 0 where it does not stand (yet)."""
    for family in families.values():
        for one in family.samples:
            if one.name == name and one.labels == labels:
                return float(one.value)
    return 0.0
