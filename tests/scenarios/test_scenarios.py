"""Every scenario of the field and its twins, on one real server; that each can fail; and that their pages tell the same."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cocket.cli import main
from cocket.scenarios import acquit_qr, corridor_service, excise_stamp, running, transit_ects
from cocket.scenarios.catalogue import IDS, PARTS, fact, scenario
from cocket.scenarios.stage import Stage, staged
from cocket.scenarios.story import Story, Unmet

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "scenarios"
PLAYS = [(i, t) for i in IDS for t in (None, *(fact(twin) for twin in scenario(i).twins))]


@pytest.fixture(scope="module")
def outcomes() -> dict[tuple[str, str | None], dict[str, Any]]:
    """All of them in one run of the command, by scenario and twin."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main(["scenario", "--all", "--json"])
    found = {(o["scenario"], o["twin"]): o for o in json.loads(said.getvalue())}
    assert code == (0 if all(o["good"] for o in found.values()) else 1)
    return found


@pytest.mark.parametrize(("name", "twin"), PLAYS, ids=lambda v: "scene" if v is None else v)
def test_it_is_as_it_should_be(outcomes, name: str, twin: str | None) -> None:
    outcome = outcomes[name, twin]
    failed = [line for line in outcome["lines"] if not line["good"]]
    assert not failed, json.dumps(failed, indent=1)
    kinds = [line["kind"] for line in outcome["lines"]]
    assert kinds.count("when") >= 1
    assert kinds.count("then") >= 1
    assert kinds.index("given") < kinds.index("when") < len(kinds) - 1 - kinds[::-1].index("then")


def test_what_is_promised_in_seconds_is_measured(outcomes) -> None:
    assert len(outcomes["transit-ects", None]["measured"]) == 3
    assert len(outcomes["corridor-service", None]["measured"]) == 1
    assert len(outcomes["port-plates", None]["measured"]) == 1


# each twin can fail: the rule that it shows is switched off, and it says so


@pytest.fixture(scope="module")
def lax(tmp_path_factory) -> Iterator[Stage]:
    """A server whose rules are switched off as far as settings can."""
    path = tmp_path_factory.mktemp("lax")
    settings = path / "settings.toml"
    settings.write_text(
        "[customs]\nsensitive_risks = []\nself_test_battery_pct = 0\nacquit_needs_exit = false\n"
        "[gates]\nplate_confidence = 0\nposition_m = 100000\n"
        "[codes]\nclone_speed_kmh = 1e12\n"
    )
    with staged(path / "data", path / "log", settings) as (stage, _):
        yield stage


@pytest.mark.parametrize(
    ("twin", "expectation"),
    [
        (acquit_qr.no_exit_read, "the scan is refused"),
        (transit_ects.self_test, "POST /movements/.*/events is answered"),
        (transit_ects.no_armed_seal, "POST /movements/.*/events is answered"),
        (corridor_service.unreadable_plate, "the signal is red"),
        (corridor_service.disagree, "the signal is red"),
        (excise_stamp.clone, "the second finds it suspect"),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_a_twin_fails_where_its_rule_is_off(lax: Stage, twin, expectation: str) -> None:
    with pytest.raises(Unmet, match=expectation):
        twin(lax, Story())


def test_a_failed_expectation_is_named_and_the_others_are_still_played(monkeypatch, capsys) -> None:
    @contextlib.contextmanager
    def broken(*_: object) -> Iterator[tuple[Stage, None]]:
        transport = httpx.MockTransport(lambda _: httpx.Response(500, text="it is broken"))
        with httpx.Client(base_url="http://nowhere/api/v1", transport=transport) as client:
            yield Stage("http://nowhere", ("127.0.0.1", 1), client), None

    monkeypatch.setattr(running, "staged", broken)
    assert main(["scenario", "excise-stamp", "sad-barcode", "--no-twin"]) == 1
    said = capsys.readouterr().out
    assert "excise-stamp: An excise stamp" in said
    assert (
        "✗ then  POST /stamps/ranges is answered\n      expected: 201\n      got:      500: it is broken"
        in said
    )
    assert said.count("NOT as it should be") == 2


def test_a_missing_answer_is_a_failed_expectation() -> None:
    def play(_stage: Stage, story: Story) -> None:
        story.then("it is so", {"a": 1}["b"], expected=1)

    run = running.Run([], say=lambda _: None)
    run._play(None, "made-up", None, play)
    (line,) = run.outcomes[0].story.lines
    assert not line.good
    assert "KeyError('b') in test_scenarios.py" in line.got


@pytest.mark.parametrize(
    ("told", "got"),
    [
        (lambda s: s.then("so", 1, 2), "1"),
        (lambda s: s.given("so", 1, 2), "1"),
        (lambda s: s.holds("so", ["a"], ["b"]), "['a']"),
        (lambda s: s.refused("so", {"errors": [{"rule": "x", "detail": "d"}]}, "y"), "{'errors'"),
        (lambda s: s.refused("so", {"reasons": []}, "y"), "{'reasons'"),
        (lambda s: s.within("so", 3.0, 2.0, 1.0), "3.000 s"),
    ],
)
def test_every_way_to_expect_can_fail(told, got: str) -> None:
    story = Story()
    with pytest.raises(Unmet) as error:
        told(story)
    story.failed(error.value)
    assert story.lines[-1].got.startswith(got)


# the command


def test_the_list_names_all_with_their_titles(capsys) -> None:
    assert main(["scenario", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(IDS)
    assert all(scenario(line.split()[0]).title in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["aquit-qr"], "there is no scenario 'aquit-qr'; near it: acquit-qr"),
        (["zzz"], "there is no scenario 'zzz'; `cocket scenario --list`"),
        ([], "name a scenario, or --all"),
    ],
)
def test_bad_usage_says_what_to_do(capsys, arguments: list[str], said: str) -> None:
    assert main(["scenario", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_keep_wants_an_empty_folder(tmp_path, capsys) -> None:
    (tmp_path / "old").touch()
    assert main(["scenario", "acquit-qr", "--keep", str(tmp_path)]) == 2
    assert "scenarios want an empty folder" in capsys.readouterr().err


# what is told of them


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", IDS)
def test_docstring_and_page_tell_the_same(name: str) -> None:
    one = scenario(name)
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert page.splitlines()[0] == f"# {one.title}"
    assert set(one.parts) == set(PARTS)
    for part, text in one.parts.items():
        assert f"**{part}:** {text}" in words(page)
    assert [line for line in page.splitlines() if line.startswith("- ")] == [
        f"- {fact(t)}" for t in one.twins
    ]
    assert f"`cocket scenario {name}`" in page
    for heading in ("## What is measured", "## What is simulated"):
        assert len(page.partition(heading)[2].partition("##")[0].strip()) > 40


def test_no_page_and_no_module_without_a_scenario() -> None:
    assert {p.stem for p in PAGES.glob("*.md")} - {"README"} == set(IDS)
    modules = {
        p.stem
        for p in (ROOT / "src/cocket/scenarios").glob("*.py")
        if re.search("^TWINS", p.read_text(), re.MULTILINE)
    }
    assert modules == {i.replace("-", "_") for i in IDS}


def test_scenarios_know_the_server_from_outside_only() -> None:
    """They import nothing of the running machine."""
    inside = re.compile(r"cocket\.(engine|store|web|gateway|pipeline|journeys|detectors|checks)\b")
    for path in (ROOT / "src/cocket/scenarios").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in named if inside.match(n)], path.name
