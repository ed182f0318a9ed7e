"""The one command: it answers at once, says what is wrong, and exits as it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("numpy", "numba", "pyarrow", "fastapi", "sqlalchemy", "duckdb", "shapely", "pydantic")


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cocket", *args],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **env},
        check=False,
    )


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cocket", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for command in ("serve", "demo", "replay", "backtest", "rules", "doctor", "verify"):
        assert f"\n    {command}" in done.stdout
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("command", ["serve", "demo", "replay", "backtest", "rules", "doctor", "verify"])
def test_every_command_explains_itself(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 4


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "COMMAND"),
        (("fly",), "fly"),
        (("serve", "--port", "99999"), "0 to 65535"),
        (("serve", "--settings", "/nowhere.toml"), "/nowhere.toml"),
        (("serve", "--clock", "replay"), "--origin"),
        (("demo", "--for", "-3"), "positive"),
        (("backtest", "--rules", "/nowhere.toml", "--data", "/nowhere"), "/nowhere.toml"),
        (("rules", "--check", "/nowhere.toml"), "/nowhere.toml"),
    ],
)
def test_bad_usage_is_2_and_says_what(args: tuple[str, ...], words: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_rules_prints_a_file_that_checks_as_good_and_names_a_fault(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(run("rules").stdout)
    assert run("rules", "--check", str(rules)).returncode == 0
    rules.write_text("[defaults.speeding]\nlimit_mps = 'fast'\n")
    done = run("rules", "--check", str(rules))
    assert done.returncode == 2
    assert "limit_mps" in done.stderr
    assert "rules.toml" in done.stderr


def test_a_folder_that_is_none_is_a_problem_in_words(tmp_path: Path) -> None:
    done = run("verify", "--data", str(tmp_path / "missing"))
    assert done.returncode == 1
    assert "missing" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
