"""A start with a large log that no detector has seen: it answers, takes new data and catches up, and the alerts are exact."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.faults.machine import NDJSON, Machine, until

from cocket.core.clock import US, WallClock, parse_rfc3339, rfc3339
from cocket.core.config import Ingest as IngestSettings
from cocket.engine.ingest import Ingest
from cocket.observations.readers import read_ndjson
from cocket.store.folder import DataFolder

DEVICES = 300
MOST_BEHIND = IngestSettings().max_lag_rows
START_US = parse_rfc3339("2026-03-02T06:00:00Z")


def _fill(data: Path, rows: int) -> None:
    """Into the log alone, as by a process whose detectors never came to it: every device's rope is cut once."""
    each = rows // DEVICES
    with_movements(data)
    folder = DataFolder.open(data)
    writer = Ingest(folder.log, folder.seen, WallClock(), IngestSettings(), lambda _entry: None)
    writer.start()
    block = max(1, 30_000 // DEVICES)
    for first in range(0, each, block):
        lines = [
            f'{{"device_id":"B{d:03d}","observed_at":"{rfc3339(START_US + i * 10 * US)}","lat_deg":1.0,"lon_deg":36.0,'
            f'"rope_cut":{"true" if i == each // 2 else "false"}}}'
            for i in range(first, min(each, first + block))
            for d in range(DEVICES)
        ]
        writer.submit(read_ndjson("\n".join(lines).encode())).result(60)
    writer.stop()
    folder.close()


def with_movements(data: Path) -> None:
    from cocket.engine.service import Service

    with Service.open(data, WallClock()) as service:
        for d in range(DEVICES):
            service.reference.put("movement", f"MB{d:03d}", {}, by="test")
        bound = [
            {
                "device_id": f"B{d:03d}",
                "equipment_id": f"E{d:03d}",
                "mrn": f"MB{d:03d}",
                "from": rfc3339(START_US),
                "to": None,
            }
            for d in range(DEVICES)
        ]
        service.reference.bind_many(bound, by="test")


def _catches_up(tmp_path: Path, rows: int) -> None:
    data = tmp_path / "data"
    _fill(data, rows)
    with Machine(data) as machine:
        machine.start()
        with machine.client(120) as client:
            client.get("/health").raise_for_status()
            late = {"device_id": "B000", "observed_at": rfc3339(START_US + US), "rope_cut": False}
            import msgspec

            body = msgspec.json.encode(late)
            while (answer := client.post("/observations", content=body, headers=NDJSON)).status_code == 429:
                assert rows > MOST_BEHIND, "nobody is asked to wait for so few"
                time.sleep(min(1.0, float(answer.headers["Retry-After"])))
            assert answer.json()["accepted"] == 1
            until(lambda: client.get("/stats").json()["lag_observations"] == 0, "it has caught up", 1200)
            stats = client.get("/stats").json()
            assert stats["observations"] == rows // DEVICES * DEVICES + 1
            cut = client.get("/alerts", params={"code": "seal-cut", "limit": 500}).json()["items"]
            assert sorted((a["device_id"], a["count"]) for a in cut) == [
                (f"B{d:03d}", 1) for d in range(DEVICES)
            ]
        assert machine.stop() == 0


def test_a_backlog(tmp_path: Path) -> None:
    _catches_up(tmp_path, 100_000)


@pytest.mark.soak
def test_a_backlog_of_ten_million(tmp_path: Path) -> None:
    _catches_up(tmp_path, 10_000_000)
