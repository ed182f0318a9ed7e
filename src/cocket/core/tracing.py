"""Traces: one observation's way from the door to the screen, as OpenTelemetry spans.

    gateway.frame | http.body ─ ingest.commit ─ detect.step ─ alert.write ─ stream.publish

Past one machine a door makes the first and the last of these and a worker the others; the place goes with the message
from one to the other.

A batch is one span, never one an observation. What made a batch out of several traced bodies is a child of the first
of them and linked to the others (span links, OpenTelemetry specification, "Links between spans"). A trace's number
comes from the caller's ``traceparent`` (W3C Trace Context, section 3.2) or is made; whether it is kept is decided by
our own sample ratio, for a caller must not be able to switch that on.

Switched off, nothing of OpenTelemetry is imported and every mark is None.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from cocket.core.clock import unix_ns

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, SpanContext, Tracer

Mark: TypeAlias = "SpanContext"
"""The place of a span in its trace."""

_PARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_MOST_LINKS: Final = 100
_SENT_EVERY_MS: Final = 1_000

here: ContextVar[Mark | None] = ContextVar("cocket_mark", default=None)
"""The span that the running code belongs to; what publishes takes it along."""


def trace_id(mark: Mark | None) -> str | None:
    """The trace's number, 32 hexadecimal digits."""
    return None if mark is None else f"{mark.trace_id:032x}"


class Tracing:
    """Makes spans and sends them by OTLP/HTTP from a thread of its own; ``close`` sends the rest.

    ``endpoint`` empty and no ``exporter``: off. ``instance`` tells one process of a site from another (service.instance.id,
    OpenTelemetry semantic conventions, "Service"). May be used from any thread.
    """

    def __init__(
        self, endpoint: str = "", ratio: float = 1.0, exporter: SpanExporter | None = None, instance: str = ""
    ) -> None:
        self._tracer: Tracer | None = None
        self._provider: Any = None
        if not endpoint and exporter is None:
            return
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        from cocket import __version__

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter(endpoint=endpoint, timeout=10)
            logging.getLogger("opentelemetry").setLevel(
                logging.ERROR
            )  # a lost trace is no news a minute long
        ours = TraceIdRatioBased(ratio)
        self._provider = TracerProvider(
            resource=Resource(
                {
                    "service.name": "cocket",
                    "service.version": __version__,
                    **({"service.instance.id": instance} if instance else {}),
                }
            ),
            sampler=ParentBased(ours, remote_parent_sampled=ours, remote_parent_not_sampled=ours),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_SENT_EVERY_MS))
        self._tracer = self._provider.get_tracer("cocket", __version__)

    @property
    def on(self) -> bool:
        """Whether spans are made at all."""
        return self._tracer is not None

    def close(self) -> None:
        """Send what waits, and end."""
        if self._provider is not None:
            self._provider.shutdown()

    def begin(self, name: str, *, began_s: float, parent: str = "", **attributes: Any) -> Span | None:
        """The first span of a way, to be ended by its maker; None when off.

        ``began_s`` is of the monotonic clock; ``parent`` a ``traceparent`` as it was sent: what is none counts as none.
        """
        if self._tracer is None:
            return None
        from opentelemetry import trace

        context = None
        remote = self.elsewhere(parent)
        if remote is not None:
            context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
        return self._tracer.start_span(
            name,
            context,
            kind=trace.SpanKind.SERVER,
            attributes=attributes,
            start_time=unix_ns(began_s),
        )

    def elsewhere(self, parent: str) -> Mark | None:
        """The place that a ``traceparent`` names, of a span of another process; None when off, or where it names none."""
        found = None if self._tracer is None else _PARENT.fullmatch(parent)
        if found is None:
            return None
        from opentelemetry import trace

        return trace.SpanContext(int(found[1], 16), int(found[2], 16), True, trace.TraceFlags(1))

    @contextmanager
    def span(self, name: str, marks: Sequence[Mark | None], **attributes: Any) -> Iterator[Mark | None]:
        """A span behind all of ``marks``: child of the first, linked to the others. Nothing if there is none."""
        behind = {} if self._tracer is None else {m.span_id: m for m in marks if m is not None}
        if self._tracer is None or not behind:
            yield None
            return
        from opentelemetry import trace

        first, *others = behind.values()
        span = self._tracer.start_span(
            name,
            trace.set_span_in_context(trace.NonRecordingSpan(first)),
            attributes=attributes,
            links=[trace.Link(mark) for mark in others[:_MOST_LINKS]],
        )
        mark = span.get_span_context()
        token = here.set(mark)
        try:
            yield mark
        except BaseException as error:
            span.record_exception(error)
            span.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            here.reset(token)
            span.end()


OFF: Final = Tracing()
"""No traces."""


def mark_of(span: Span | None) -> Mark | None:
    """The place of a span, None if it is not kept."""
    if span is None:
        return None
    mark = span.get_span_context()
    return mark if mark.trace_flags.sampled else None


def traceparent(span: Span | None) -> str:
    """For the answer's header; empty when off."""
    return "" if span is None else parent_of(span.get_span_context())


def parent_of(mark: Mark | None) -> str:
    """A place as a ``traceparent``, for another process; empty where there is none."""
    return "" if mark is None else f"00-{mark.trace_id:032x}-{mark.span_id:016x}-{mark.trace_flags:02x}"
