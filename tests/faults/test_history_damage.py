"""A history file that is damaged stops the journeys that need it, and no others; they go on when it is whole again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.engine import feed
from tests.faults.machine import until

from cocket.core.clock import rfc3339
from cocket.engine import detecting as engine_detecting
from cocket.engine.service import Service


def test_a_damaged_file_stops_only_who_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_detecting, "_MEND_S", 0.2)
    data = tmp_path / "data"
    with Service.open(data, feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        for body in feed.bodies():
            feed.send(service, body)
        feed.settle(service)
        service.lines._compactor.look()  # type: ignore[attr-defined]
    files = sorted((data / "history").glob("*.parquet"))
    whole = {path: path.read_bytes() for path in files}
    with Service.open(data, feed.FixedClock(), feed.SETTINGS) as service:
        for path, body in whole.items():
            path.write_bytes(
                body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :]
            )
        desk = service.reference
        desk.put("movement", "MRN03", {**desk.store.get("movement", "MRN03").doc, "goods": "tea"}, by="test")  # type: ignore[union-attr]
        service.reference_changed()  # its journey has to be run again
        until(
            lambda: service.failure and any(path.name in service.failure for path in files),
            "the file is named",
        )
        assert service.lag > 0
        cut = {
            "device_id": "SEAL04",
            "observed_at": rfc3339(feed.NOW_US),
            "rope_cut": True,
            "fix_valid": False,
        }
        feed.send(service, msgspec.json.encode(cut))

        def raised() -> bool:
            page, _ = service.folder.alerts.page({"device_id": "SEAL04", "superseded": False}, None, 100)
            return any(a["code"] == "seal-cut" and a["began_us"] == feed.NOW_US for a in page)

        until(raised, "another device's seal is watched all the while")
        for path, body in whole.items():
            path.write_bytes(body)
        assert service.wait_detected(60), service.failure
        assert service.failure is None
