"""Replay into the real door: what a mapping cannot read lands in quarantine, with its rule and its bytes."""

import io
import json

import pytest
from starlette.testclient import TestClient

from cocket.core.clock import WallClock
from cocket.core.config import Settings
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.sources.replay import replay
from cocket.web.app import create_app

ROWS = """\
d1,2026-01-01T00:00:00Z,22.5,114.0,36
d1,2026-01-01T00:00:00Z,22.5,114.0,36
d1,soon,22.5,114.0,36
d1,2026-01-01T00:01:00Z,north,114.0,36
d1,2026-01-01T00:02:00Z,95,114.0,36
d1,2026-01-01T00:03:00Z,22.5,,36
,2026-01-01T00:04:00Z,22.5,114.0,36
d1,2026-01-01T00:05:00Z
d2,2026-01-01T00:06:00Z,22.5,114.0,72
"""
MAPPING = """\
[file]
header = false
names = ["d", "t", "lat", "lon", "v"]
[time]
column = "t"
[columns]
device_id = { from = "d" }
lat_deg = { from = "lat" }
lon_deg = { from = "lon" }
speed_mps = { from = "v", unit = "km/h" }
"""


@pytest.fixture
def client(tmp_path):
    settings = Settings()
    with (
        Service.open(tmp_path / "data", WallClock(), settings) as service,
        Gateway(service) as gateway,
        TestClient(create_app(service, settings, gateway)) as client,
    ):
        yield client


def test_every_row_is_accounted_for_and_every_reject_is_kept(tmp_path, client):
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "m.toml").write_text(MAPPING)
    out = io.StringIO()
    code = replay(tmp_path / "rows.csv", mapping=tmp_path / "m.toml", client=client, out=out, as_json=True)
    tally = json.loads(out.getvalue())
    assert code == 0, tally
    assert (tally["rows"], tally["accepted"], tally["duplicates"], tally["rejected"]) == (9, 2, 1, 6)
    assert sum(r["count"] for r in tally["rejects"]) == 6
    held = client.get("/api/v1/quarantine").json()["items"]
    assert len(held) == 6
    raw = "\n".join(item["raw"] for item in held)
    for text in ("soon", "north", "95", "2026-01-01T00:05:00Z"):
        assert text in raw
    stats = client.get("/api/v1/stats").json()
    assert (stats["observations"], stats["duplicates"], stats["rejected"]) == (2, 1, 6)
