"""The hardening list names files that are there, a reason where nothing is named, and every requirement once."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = set(range(1, 18))


def test_every_line_names_what_shows_it_or_why_not() -> None:
    text = (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([0-9.–]+) \| (.+?) \| (met|n/a|open) \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) > 150
    assert {int(number.split(".")[0]) for number, *_ in rows} == CHAPTERS
    assert len({number for number, *_ in rows}) == len(rows)
    for number, _, stands, by in rows:
        named = re.findall(r"`([^`]+)`", by)
        if stands == "met":
            assert named, f"{number} is called met by nothing"
        else:
            assert len(by) > 4, number
        for path in named:
            assert (ROOT / path).exists(), f"{number} names {path}, which is not there"
    told = {name: sum(stands == name for _, _, stands, _ in rows) for name in ("met", "n/a", "open")}
    assert f"{told['met']} met, {told['n/a']} not applicable, {told['open']} open" in text
