"""The demo for real: a server in its own process, the whole script through the HTTP door, the table at the end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cocket.core.errors import BadSetting
from cocket.sim.demo import run_demo
from cocket.sim.truth import SEAL_CODES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told():
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-m", "cocket", "demo", "--for", "20", "--json", "--port", "0"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    assert "http://127.0.0.1:" in done.stderr
    return json.loads(done.stdout)


def test_it_ends_by_printing_one_json_document(told):
    assert set(told) >= {"alerts", "observations", "duplicates", "rejected", "vehicles"}
    for line in told["alerts"].values():
        assert set(line) >= {"injected", "found", "missed", "false"}
        assert line["found"] + line["missed"] == line["injected"]


def test_rows_in_are_observations_duplicates_and_rejects(told):
    assert told["sent"] == told["observations"] + told["duplicates"] + told["rejected"] > 100_000
    assert told["duplicates"] == told["duplicates_sent"]
    assert told["rejected"] == 0
    assert told["lag_observations"] == 0


def test_every_seal_incident_is_found_and_vehicles_without_incidents_are_left_alone(told):
    for code in SEAL_CODES:
        line = told["alerts"][code]
        assert line["injected"] > 0
        assert (line["missed"], line["false"]) == (0, 0), (code, told["missed"], told["false"])
    assert told["seal_alerts_on_vehicles_without_incidents"] == 0


def test_what_late_uploads_disproved_was_withdrawn(told):
    assert told["superseded"] > 0  # the silences of vehicles that were only out of coverage


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "x").write_text("x")
    with pytest.raises(BadSetting, match="empty folder"):
        run_demo(for_s=1, as_json=True, data=tmp_path, port=0)
