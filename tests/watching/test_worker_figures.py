"""The door at which a worker tells its figures, and what the processes of a site say to each other about traces."""

from __future__ import annotations

import socket
import threading
import types
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from tests.watching.conftest import Receiver

from cocket.core import tracing
from cocket.core.doors import Decoded
from cocket.core.errors import BadSetting, Unavailable
from cocket.core.tracing import Tracing, parent_of
from cocket.engine.figures import Figures
from cocket.engine.site import wire
from cocket.engine.site.figures_door import FiguresDoor
from cocket.engine.site.hub import SiteHub
from cocket.engine.site.worker import Served
from cocket.observations.rules import batch_of
from cocket.store.alerts import AlertEvent

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"  # of W3C Trace Context, section 3.2.2


class Standing:
    """A worker with two partitions: the detectors of one fail, the sums of the other are not told."""

    name = "here-1"

    def __init__(self) -> None:
        self.figures = Figures()

    def served(self) -> list[Served]:
        return [
            self._one(0, "MRN77 is damaged", None),
            self._one(5, None, Unavailable("the database is away")),
        ]

    def _one(self, partition: int, failure: str | None, unbooked: Unavailable | None) -> Served:
        line: Any = types.SimpleNamespace(
            lag=partition, detected=9, rows_waiting=0, failure=failure, state_bytes=7
        )
        log = types.SimpleNamespace(last_offset=lambda: 10 + partition, booking_failure=unbooked)
        stores: Any = types.SimpleNamespace(log=log, unbooked=lambda booked: 10 + partition - booked)
        return Served(partition, 3, stores, line, self.figures.beside())


def test_what_fails_is_told_in_words_here_and_in_figures_everywhere() -> None:
    with FiguresDoor(Standing(), "127.0.0.1", 0) as door:  # type: ignore[arg-type]
        assert door.url.startswith("http://127.0.0.1:")
        health = httpx.get(f"{door.url}/health").json()
        figures = httpx.get(f"{door.url}/metrics").text.splitlines()
    assert health["status"] == "degraded"
    assert [p["failure"] for p in health["partitions"]] == ["MRN77 is damaged", "the database is away"]
    for line in (
        'cocket_detectors_up{partition="0"} 0.0',
        'cocket_detectors_up{partition="5"} 1.0',
        'cocket_log_unbooked{partition="0"} 0.0',
        'cocket_log_unbooked{partition="5"} 1.0',
        'cocket_log_offset{partition="5"} 15.0',
        'cocket_history_waiting_entries{partition="5"} 6.0',
        'cocket_lag_observations{partition="5"} 5.0',
        "cocket_partitions 2.0",
    ):
        assert line in figures


def test_beyond_this_machine_nothing_is_told_in_words() -> None:
    with FiguresDoor(Standing(), "0.0.0.0", 0) as door:  # type: ignore[arg-type]
        port = door.url.rpartition(":")[2]
        health = httpx.get(f"http://127.0.0.1:{port}/health")
    assert health.json()["status"] == "degraded"
    assert "MRN77" not in health.text
    assert "database" not in health.text


@pytest.mark.parametrize("port", [None, 70_000])
def test_a_port_that_cannot_be_had_is_a_bad_setting(port: int | None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadSetting, match="cannot listen there"):
            FiguresDoor(Standing(), "127.0.0.1", port or taken.getsockname()[1])  # type: ignore[arg-type]


def test_a_partition_has_a_lag_and_a_checkpoint_of_its_own_and_counts_with_the_others() -> None:
    whole = Figures()
    one, other = whole.beside(), whole.beside()
    one.stored(5, batch_of([]), 0)
    one.refused = "no room"
    one.commit_seconds.observe(1.0)
    other.commit_seconds.observe(2.0)
    assert whole.registry.get_sample_value("cocket_commit_seconds_sum") == 3.0
    assert one.lag_s(4, 1) > 0
    assert other.lag_s(4, 0) == 0
    assert other.refused == ""


class _HeadBefore(msgspec.Struct, array_like=True):
    """The head of a body as the version before traces went along had it."""

    n: int
    size: int
    source: str
    rejects: list[tuple[int, str, str, str, bytes, str, str | None, str | None]]


def test_a_body_takes_its_place_in_a_trace_along_also_between_versions(receiver: Receiver) -> None:
    tracing_on = Tracing(receiver.url)
    batch = batch_of([{"device_id": "D", "observed_us": 10**15}])
    mark = tracing_on.elsewhere(GIVEN)
    body = wire.packed(Decoded(batch, np.arange(1), mark=mark))
    assert parent_of(wire.unpacked(body, tracing_on).mark) == GIVEN
    assert wire.unpacked(body).mark is None  # a worker without traces
    assert wire.unpacked(wire.packed(Decoded(batch, np.arange(1))), tracing_on).mark is None
    (length,) = wire._LENGTH.unpack_from(body)
    head = msgspec.msgpack.decode(body[4 : 4 + length], type=_HeadBefore)
    assert (head.n, head.source) == (1, "http")
    before = msgspec.msgpack.encode(head)
    old = wire._LENGTH.pack(len(before)) + before + body[4 + length :]
    assert wire.unpacked(old, tracing_on).batch.n == 1
    assert wire.unpacked(old, tracing_on).mark is None
    tracing_on.close()


def test_who_tells_alerts_on_goes_on_with_the_trace_of_who_wrote_them(receiver: Receiver) -> None:
    class Kept:
        """Alerts 1 to 6; what is behind is read on."""

        def last_event_seq(self) -> int:
            return 0

        def events_after(self, seq: int, most: int) -> list[AlertEvent]:
            return [AlertEvent(n, {}) for n in range(seq + 1, 7)][:most]

    tracing_on = Tracing(receiver.url)
    hub = SiteHub(Kept(), lambda _word: None)  # type: ignore[arg-type]
    hub.tracing = tracing_on
    heard: list[tuple[list[int], str]] = []
    whole = threading.Event()

    def hear(events: Sequence[AlertEvent]) -> None:
        heard.append(([e.seq for e in events], parent_of(tracing.here.get())))
        if events[-1].seq == 6:
            whole.set()

    hub.subscribe(hear)
    hub.look(wire.said(wire.Wrote(2, 4, GIVEN)))
    for odd in (b"", b"\xc1", wire.said(wire.Wrote(5, 5, "nonsense"))):
        hub.look(odd)
    hub.start()
    assert whole.wait(30)
    hub.stop()
    tracing_on.close()
    assert heard == [([1], ""), ([2, 3, 4], GIVEN), ([5, 6], "")]
