"""The docs say what the code does: generated pages are fresh, every alert and setting has its words, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from cocket.engine.conduct import CODES
from cocket.pipeline import DETECTORS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def _builder():
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_fresh() -> None:
    for name, page in _builder().PAGES.items():
        assert (DOCS / name).read_text(encoding="utf-8") == page(), f"docs/{name} is stale: run `make docs`"


def test_every_setting_says_what_it_means() -> None:
    rows = re.findall(r"^\| `\w+` \| .* \| (.*) \|$", _builder().settings_page(), re.MULTILINE)
    assert len(rows) >= 15
    assert all(len(words) > 15 for words in rows)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.name)
def test_every_alert_has_a_page_that_names_its_thresholds(detector) -> None:
    page = (DOCS / "alerts" / f"{detector.name}.md").read_text(encoding="utf-8")
    missing = [p.name for p in detector.params if f"`{p.name}`" not in page]
    assert not missing, f"docs/alerts/{detector.name}.md does not name {missing}"


def test_no_page_for_an_alert_that_does_not_exist() -> None:
    known = {d.name for d in DETECTORS} | {code for code, _ in CODES.values()}
    assert {p.stem for p in (DOCS / "alerts").glob("*.md")} - {"README"} <= known


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")]), ids=lambda p: str(p.relative_to(ROOT))
)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_every_command_of_the_make_file_is_explained() -> None:
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^\.PHONY: (.*)$", make, re.MULTILINE)[0].split():
        assert re.search(rf"^{target}:.*## \w", make, re.MULTILINE), (
            f"make {target} says nothing in `make help`"
        )
