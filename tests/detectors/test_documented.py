from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cocket.engine.conduct import CODES, SEVERITY
from cocket.pipeline import DETECTORS

PAGES = Path(__file__).parents[2] / "docs" / "alerts"


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}"


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.name)
def test_its_page_tells_every_threshold_and_severity(detector: Any) -> None:
    text = (PAGES / f"{detector.name}.md").read_text("utf-8")
    assert detector.question in text
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))
    assert rows == {p.name: _default(p.default) for p in detector.all_params()}
    assert all(s in text for s in detector.severities)
    for heading in ("Exactly", "What proves it", "Known false alarms", "What the operator does"):
        assert f"## {heading}\n" in text


def test_no_page_is_left_over() -> None:
    conduct = {code for code, _ in CODES.values()}
    assert {p.stem for p in PAGES.glob("*.md")} - {"index", "README"} == {d.name for d in DETECTORS} | conduct


@pytest.mark.parametrize("code", sorted(code for code, _ in CODES.values()))
def test_the_page_of_an_alert_on_conduct(code: str) -> None:
    text = (PAGES / f"{code}.md").read_text("utf-8")
    assert f"Severity: {SEVERITY}." in text
    for heading in ("Exactly", "What proves it", "Known false alarms", "What the operator does"):
        assert f"## {heading}\n" in text
