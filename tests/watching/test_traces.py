"""One seal-cut's way from the door to the screen, as a real OTLP receiver sees it."""

from __future__ import annotations

import itertools
import json
import re
import socket
from typing import Any

import pytest
from tests.gateway.conftest import seal_frame
from tests.watching.conftest import Receiver
from tests.web.conftest import NDJSON, Door

from cocket.core.tracing import Tracing

LINKS = ("ingest.commit", "detect.step", "alert.write", "stream.publish")


def port(door: Door) -> int:
    (line,) = [d for d in door.http.get("/gateway").json()["doors"] if d.startswith("tcp ")]
    return int(re.search(r":(\d+) ", line)[1])  # type: ignore[index]


def connected(receiver: Receiver, first: str, trace_id: str) -> dict[str, Any]:
    """Waits for the whole trace, and checks that each span hangs on the one before."""
    names = (first, *LINKS)
    Door.until(lambda: set(names) <= set(receiver.trace(trace_id)))
    spans = receiver.trace(trace_id)
    for above, below in itertools.pairwise(names):
        assert spans[below].parent_span_id == spans[above].span_id, (above, below)
    for name in names:
        assert 0 < spans[name].start_time_unix_nano <= spans[name].end_time_unix_nano
    assert spans[first].start_time_unix_nano <= spans["ingest.commit"].start_time_unix_nano
    return spans


def cut_row(door: Door, device: str) -> dict[str, Any]:
    return {
        "device_id": device,
        "observed_at": door.at(-1),
        "rope_cut": True,
        "lat_deg": 22.5,
        "lon_deg": 114.1,
    }


def detail(door: Door, mrn: str) -> dict[str, Any]:
    door.settled()
    (alert,) = door.http.get("/alerts", params={"mrn": mrn, "code": "seal-cut"}).json()["items"]
    Door.until(lambda: door.http.get(f"/alerts/{alert['id']}").json()["trace_id"] is not None)
    return door.http.get(f"/alerts/{alert['id']}").json()


def test_over_http(watched: Door, receiver: Receiver) -> None:
    mrn, device = watched.bound()
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"  # of W3C Trace Context, section 3.2.2
    headers = {**NDJSON, "traceparent": given}
    answer = watched.http.post("/observations", content=json.dumps(cut_row(watched, device)), headers=headers)
    assert answer.status_code == 200
    told = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01", answer.headers["traceparent"])
    assert told is not None
    assert told[1] == "0af7651916cd43dd8448eb211c80319c"
    assert told[2] != "b7ad6b7169203331"
    assert detail(watched, mrn)["trace_id"] == told[1]
    spans = connected(receiver, "http.body", told[1])
    assert spans["http.body"].span_id.hex() == told[2]
    assert spans["http.body"].parent_span_id.hex() == "b7ad6b7169203331"
    attributes = {a.key: a.value.string_value for a in spans["http.body"].attributes}
    assert attributes["cocket.request_id"] == answer.headers["x-request-id"]
    assert receiver.resources[0]["service.name"] == "cocket"


def test_over_tcp(watched: Door, receiver: Receiver) -> None:
    seal = "8000000017"
    assert watched.put(f"/devices/{seal}", {"protocol": "jt701"}).status_code in {200, 201}
    mrn, _ = watched.bound(device=seal)
    with socket.create_connection(("127.0.0.1", port(watched)), 10) as s:
        s.settimeout(10)
        s.sendall(seal_frame(seal, 5, rope_cut=True))
        assert s.recv(100)
    trace_id = detail(watched, mrn)["trace_id"]
    spans = connected(receiver, "gateway.frame", trace_id)
    assert "http.body" not in spans
    values = {a.key: a.value for a in spans["gateway.frame"].attributes}
    assert values["frames"].int_value == 1
    assert values["doors"].array_value.values[0].string_value.startswith("jt701@tcp:")


@pytest.mark.parametrize(
    "sent", ["nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "00-ZZ-1-01", "é" * 400]
)
def test_a_traceparent_that_is_none_begins_a_trace_of_our_own(watched: Door, sent: str) -> None:
    headers = [*NDJSON.items(), ("traceparent", sent.encode())]
    row = {"device_id": watched.name("D"), "observed_at": watched.at(-1)}
    answer = watched.http.post("/observations", content=json.dumps(row), headers=headers)
    assert answer.status_code == 200
    assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-0[13]", answer.headers["traceparent"])


def test_a_batch_of_several_bodies_is_one_span_with_links(receiver: Receiver) -> None:
    tracing = Tracing(receiver.url)
    bodies = [tracing.begin("http.body", began_s=0.0) for _ in range(3)]
    marks = [body.get_span_context() for body in bodies if body is not None]
    with tracing.span("ingest.commit", [None, *marks, marks[0]], rows=30_000) as mark:
        pass
    for body in bodies:
        assert body is not None
        body.end()
    tracing.close()  # sends what waits
    assert mark is not None
    span = receiver.trace(f"{marks[0].trace_id:032x}")["ingest.commit"]
    assert [link.trace_id.hex() for link in span.links] == [f"{m.trace_id:032x}" for m in marks[1:]]
    assert len({m.trace_id for m in marks}) == 3


def test_what_is_not_sampled_makes_no_span(receiver: Receiver) -> None:
    tracing = Tracing(receiver.url, 0.0)
    body = tracing.begin("http.body", began_s=0.0, parent="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    assert body is not None
    assert not body.get_span_context().trace_flags.sampled
    with tracing.span("ingest.commit", [None]) as mark:
        assert mark is None
    tracing.close()
    assert not receiver.trace("1" * 32)


def test_without_traces_nothing_of_them_is_imported(tmp_path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, pathlib; from cocket.core.clock import WallClock; from cocket.engine.service import Service\n"
        f"with Service.open(pathlib.Path({str(tmp_path / 'd')!r}), WallClock()) as s: assert not s.tracing.on\n"
        "assert not any(m.startswith('opentelemetry') for m in sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
