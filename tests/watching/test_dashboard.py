"""The dashboard and the alarm rules name what a running server exports, and the dashboard leaves nothing important out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.watching.conftest import scrape
from tests.web.conftest import Door

from cocket.engine.figures import Figures
from cocket.engine.site import worker_figures

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ROWS = ["Now", "Intake", "Pipeline", "Alerts", "Devices", "HTTP", "Machine", "Workers"]
ALWAYS = {"instance", "job", "le"}
"""Labels that Prometheus itself adds, or that every histogram has."""
WANTED = {"lag", "quarantine", "silent", "disk", "skew", "detector", "backup", "answer"}
"""What there must be an alarm rule about."""

_NAME = re.compile(r"\b(?:cocket|process)_[a-z0-9_]+\b|\bup\b")
_LABELS = re.compile(r"\b((?:cocket|process)_[a-z0-9_]+)\{([^}]*)\}")
_BY = re.compile(r"\bby \(([^)]*)\)")


def dashboard() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana" / "cocket.json").read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (rule["expr"] for rule in rules())


def exported(door: Door) -> tuple[set[str], dict[str, set[str]]]:
    """The names of all samples, those too of families that have none yet; and the labels by family name."""
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    names, labels = {"up"}, {}
    for family in scrape(door).values():
        names |= {f"{family.name}{end}" for end in ends[family.type]}
        for one in family.samples:
            names.add(one.name)
            labels.setdefault(one.name, set()).update(one.labels)
    for family in worker_families():
        names |= {f"{family.name}{end}" for end in {**ends, "info": ("_info",)}[family.type]}
        labels.setdefault(family.name, set()).update(family._labelnames)
    return names, labels


def worker_families() -> list[Any]:
    """What only a worker exports, or with a label of its own."""
    found = worker_figures.families([], Figures())
    return [f for f in found if f.type == "gauge" and f.name.startswith("cocket_")]


def test_every_metric_that_is_asked_for_is_exported(watched: Door) -> None:
    watched.cut()
    names, labels = exported(watched)
    asked = list(expressions())
    assert len(asked) > 70
    for expression in asked:
        found = _NAME.findall(expression)
        assert found, expression
        assert set(found) <= names, expression
        assert expression.count("(") == expression.count(")"), expression
        for name, matchers in _LABELS.findall(expression):
            given = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
            assert given - ALWAYS <= labels.get(name, given), expression
        for by in _BY.findall(expression):
            grouped = {label.strip() for label in by.split(",")} - ALWAYS
            for name in found:
                assert grouped <= labels.get(name, grouped), expression


def test_everything_that_is_exported_is_on_the_dashboard(watched: Door) -> None:
    shown = {
        name
        for panel in dashboard()["panels"]
        for t in panel.get("targets", ())
        for name in _NAME.findall(t["expr"])
    }
    shown = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in shown}
    for family in [*scrape(watched), *(f.name for f in worker_families())]:
        if family.startswith("cocket_"):
            assert family in shown, f"no panel shows {family}"


def test_the_dashboard_can_be_imported() -> None:
    found = dashboard()
    assert found["schemaVersion"] >= 39
    assert [p["title"] for p in found["panels"] if p["type"] == "row"] == ROWS
    variables = {v["name"]: v for v in found["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    ids = [p["id"] for p in found["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in found["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["description"].endswith(".")
            assert panel["targets"]
            assert len({t["refId"] for t in panel["targets"]}) == len(panel["targets"])


def test_the_rules_say_what_is_wrong_and_what_to_do() -> None:
    found = rules()
    words = " ".join(f"{r['alert']} {r['annotations']['summary']}".lower() for r in found)
    assert not [wanted for wanted in WANTED if wanted not in words]
    assert len({r["alert"] for r in found}) == len(found)
    for rule in found:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert len(rule["annotations"]["description"]) > 30
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


@pytest.mark.parametrize("key", ["scrape_configs", "rule_files"])
def test_the_scrape_example_fits(key: str) -> None:
    document = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    jobs = document["scrape_configs"]
    assert document[key]
    assert [(job["job_name"], job["metrics_path"]) for job in jobs] == [
        ("cocket", "/metrics"),
        ("cocket-worker", "/metrics"),
    ]
    assert document["rule_files"] == ["alerts.yml"]
