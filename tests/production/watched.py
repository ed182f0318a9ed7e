"""How a running site is looked at: figures of its workers, alarms of its doors, and one observation's trace through its processes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.production.checker import TRACED, Client
from tests.watching.conftest import Receiver

from cocket.up import Production

WAY = ("http.body", "ingest.commit", "detect.step", "alert.write")


def scraped(site: Production) -> list[dict[tuple[str, str], float]]:
    """(sample, partition) → value, of each worker."""
    found = []
    for worker in site.workers:
        answer = httpx.get(f"{worker.figures}/metrics", timeout=30)
        assert answer.headers["content-type"].startswith("text/plain; version=")
        samples: dict[tuple[str, str], float] = {}
        for family in text_string_to_metric_families(answer.text):
            assert family.documentation.strip(), family.name
            for one in family.samples:
                assert set(one.labels) <= {"partition", "le", "door", "result", "version", "python"}, one
                samples[one.name, one.labels.get("partition", "")] = one.value
        found.append(samples)
    return found


def alarms(client: Client) -> dict[str, dict[str, Any]]:
    """Those that stand, by code."""
    return {a["code"]: a for a in client.until("GET", "/health")["alarms"]}


def cut(client: Client, number: int) -> tuple[str, str]:
    """A cut seal, sent with a trace of the caller's: the trace's number and the alert's id."""
    trace, device, mrn = f"{number:032x}", f"DEVICE{number}", f"{TRACED}{number}"
    client.until("PUT", f"/movements/{mrn}", json={"equipment": [f"BOX{number}"]})
    binding = {"mrn": mrn, "device_id": device, "equipment_id": f"BOX{number}"}
    client.until("POST", "/bindings", json={**binding, "from": "2026-03-02T05:00:00Z"})
    row = {
        "device_id": device,
        "observed_at": "2026-03-02T06:00:00Z",
        "rope_cut": True,
        "lat_deg": 1,
        "lon_deg": 30,
    }
    answer = client.http.post(
        "/observations",
        content=json.dumps(row),
        headers={"content-type": "application/x-ndjson", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["traceparent"].split("-")[1] == trace
    client.settled()
    (alert,) = client.until("GET", "/alerts", params={"mrn": mrn, "code": "seal-cut"})["items"]
    return trace, alert["id"]


def joined(receiver: Receiver, trace: str, until: Callable[[Callable[[], object]], None]) -> dict[str, Any]:
    """The spans of a trace by name, each hanging on the one before."""
    until(lambda: set(WAY) <= set(receiver.trace(trace)))
    spans = receiver.trace(trace)
    for above, below in itertools.pairwise([n for n in (*WAY, "stream.publish") if n in spans]):
        assert spans[below].parent_span_id == spans[above].span_id, (above, below)
    return spans
