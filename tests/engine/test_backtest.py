"""`cocket backtest` over real history: other rules, other alerts; the same rules, none new and none gone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from cocket.engine.service import Service

from . import feed


def _backtest(data: Path, rules: Path, *more: str) -> dict[str, dict[str, int]]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "cocket",
            "backtest",
            "--data",
            str(data),
            "--rules",
            str(rules),
            "--json",
            *more,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["alerts"]


def test_backtest(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Service.open(data, feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        for body in feed.bodies():
            feed.send(service, body)
        stored = feed.final(service)
        false, true = [str(row[0]) for row in stored if row[1] == "low-battery"][:2]
        for alert_id, cause in ((false, "false"), (true, "genuine")):
            for state in ("acknowledged", "closed"):
                version = service.folder.alerts.get(alert_id)["version"]
                service.folder.alerts.act(
                    alert_id,
                    expected_version=version,
                    by="test",
                    at_us=feed.NOW_US,
                    to=state,
                    note=None,
                    cause=cause if state == "closed" else None,
                    triage=None,
                    acknowledged_by="test",
                )

    same = tmp_path / "same.toml"
    same.write_text("")
    table = _backtest(data, same)
    assert sum(row["now"] for row in table.values()) == len(stored)
    assert all(row["new"] == row["gone"] == 0 and row["now"] == row["then"] for row in table.values())
    assert (table["low-battery"]["closed"], table["low-battery"]["false"]) == (2, 1)

    strict = tmp_path / "strict.toml"
    strict.write_text("[defaults.low-battery]\nbelow_pct = 2\n[defaults.speeding]\nlimit_mps = 5\n")
    table = _backtest(data, strict)
    assert table["low-battery"]["gone"] > 0
    assert table["speeding"]["new"] == table["speeding"]["then"] > 0
    assert table["seal-cut"]["now"] == table["seal-cut"]["then"] > 0

    none = _backtest(data, same, "--since", "2027-01-01T00:00:00Z")
    assert sum(row["now"] for row in none.values()) < len(stored), "bindings that ended before are left out"
