"""What is exported reads as Prometheus reads it, and counts what happened; see test_dashboard for who uses it."""

from __future__ import annotations

import re
import time

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.watching.conftest import sample, scrape
from tests.web.conftest import Door

UNITS = ("_seconds", "_bytes", "_total", "_info")


def test_every_family_is_well_formed(watched: Door) -> None:
    watched.cut()
    families = scrape(watched)
    assert len(families) > 45
    for family in families.values():
        assert family.documentation.strip(), family.name
        assert family.type != "unknown", family.name
        if family.name.startswith("cocket_"):
            assert re.fullmatch(r"cocket_[a-z_]+", family.name)
            assert family.documentation.endswith("."), family.name
        names = {s.name for s in family.samples}
        if family.type == "counter" and names:
            assert names == {f"{family.name}_total"}
        if family.type == "histogram" and names:
            assert family.name.endswith(("_seconds", "_rows"))
            assert names == {f"{family.name}{end}" for end in ("_bucket", "_sum", "_count")}
        assert not any(name.endswith("_created") for name in names)
    text = httpx.get(f"{watched.url}/metrics").text
    for family in text_string_to_metric_families(text):
        assert text.count(f"# HELP {family.name}") >= 1


def test_no_label_names_a_thing_of_the_world(watched: Door) -> None:
    alert = watched.cut()
    watched.http.get(f"/alerts/{alert['id']}")
    watched.http.get(f"/movements/{alert['mrn']}")
    watched.http.get("/movements/never-heard-of-it")
    text = httpx.get(f"{watched.url}/metrics").text
    for hidden in (alert["id"], alert["mrn"], alert["device_id"], alert["equipment_id"], "never-heard-of-it"):
        assert hidden not in text


def test_a_source_that_a_sender_names_is_no_label(watched: Door) -> None:
    row = {"device_id": watched.name("D"), "observed_at": watched.at(-1), "source": "my-own-door@evil"}
    watched.observe(row, {**row, "device_id": watched.name("D"), "source": "another"})
    text = httpx.get(f"{watched.url}/metrics").text
    assert "my-own-door" not in text
    assert "another" not in text


def test_rows_by_door_and_commits(watched: Door) -> None:
    def figures() -> list[float]:
        found = scrape(watched)
        doors = [
            sample(found, "cocket_door_rows_total", door="http", result=r)
            for r in ("accepted", "duplicate", "rejected")
        ]
        return [*doors, sample(found, "cocket_commit_seconds_count"), sample(found, "cocket_commit_rows_sum")]

    before = figures()
    row = {"device_id": watched.name("D"), "observed_at": watched.at(-1)}
    watched.observe(row, row, {"device_id": "x"})
    assert [b - a for a, b in zip(before, figures(), strict=True)] == [1, 1, 1, 1, 3]


def test_the_time_from_receipt_to_alert(watched: Door) -> None:
    before = sample(scrape(watched), "cocket_receipt_to_alert_seconds_count")
    began = time.monotonic()
    watched.cut()
    took = time.monotonic() - began
    found = scrape(watched)
    assert sample(found, "cocket_receipt_to_alert_seconds_count") == before + 1
    assert sample(found, "cocket_lag_seconds") == 0
    assert sample(found, "cocket_receipt_to_alert_seconds_sum") > 0
    assert sample(found, "cocket_receipt_to_alert_seconds_bucket", le="30.0") == before + 1 or took > 30


def test_requests_by_route(watched: Door) -> None:
    def count() -> float:
        return sample(
            scrape(watched),
            "cocket_http_requests_total",
            method="GET",
            route="/api/v1/movements/{mrn}",
            status="404",
        )

    before = count()
    for _ in range(3):
        watched.http.get(f"/movements/{watched.name('NONE')}")
    assert count() == before + 3
    found = scrape(watched)
    assert sample(found, "cocket_http_request_seconds_count", route="/api/v1/movements/{mrn}") >= 3
    assert watched.http.request("TRACE", "/health").status_code == 405
    found = scrape(watched)
    assert {
        one.labels["status"]
        for one in found["cocket_http_requests"].samples
        if one.labels["method"] == "other"
    } == {"405"}


def test_a_fault_of_ours_is_counted_and_named(watched: Door, monkeypatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(watched.service, "stats", broken)
    answer = watched.http.get("/stats", headers={"x-request-id": "r-500"})
    problem = watched.is_problem(answer, 500)
    assert problem["request_id"] == answer.headers["x-request-id"] == "r-500"
    found = scrape(watched)
    assert sample(found, "cocket_http_requests_total", method="GET", route="/api/v1/stats", status="500") == 1
