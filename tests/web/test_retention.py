"""Retention: what is past its term is gone from every byte of the folder, what a need holds stays, and the proof says so."""

from __future__ import annotations

import json
import sqlite3
import struct
import time
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient
from tests.web.planting import LAT, NDJSON, Planted, good

from cocket.cli import main
from cocket.core.clock import WallClock, rfc3339
from cocket.core.config import Settings, overridden
from cocket.customs.verify import verify as verify_file
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.store.access_tables import sign_in_attempts
from cocket.store.doctor import verify
from cocket.web.app import create_app

DAY = 86_400_000_000
SETTINGS = overridden(
    Settings(),
    retention={
        "plate_reads_days": 20, "phone_positions_days": 20, "scan_positions_days": 20, "quarantine_days": 20,
        "evidence_days": 20, "movement_days": 20, "audit_days": 20,
    },
    history={"retention_days": 20},
    detect={"checkpoint_s": 0.05, "checkpoint_rows": 1},
)  # fmt: skip


class Jumping:
    """A clock that a test sets ahead."""

    kind, speed = "wall", 1.0

    def __init__(self) -> None:
        self._wall, self.ahead_us = WallClock(), 0

    def now_us(self) -> int:
        return self._wall.now_us() + self.ahead_us


def until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def everything(folder: Path) -> bytes:
    """Every byte of the folder, and what Parquet files hold when they are unpacked."""
    files = [f for f in sorted(folder.rglob("*")) if f.is_file()]
    said = b"\n".join(f.read_bytes() for f in files)
    tables = [pq.read_table(f) for f in files if f.suffix == ".parquet"]
    return said + b"\n".join(json.dumps(t.to_pylist(), default=str).encode() for t in tables)


@pytest.fixture
def running(tmp_path):
    clock = Jumping()
    with Service.open(tmp_path / "data", clock, SETTINGS) as service, Gateway(service) as gateway:
        app = create_app(service, SETTINGS, gateway)
        with TestClient(app, base_url="http://localhost/api/v1") as door:
            yield service, clock, door, tmp_path / "data"


def blobs(folder: Path, document: str) -> list[bytes]:
    """Pieces of what is packed in the tables: a document, and the log's entries."""
    found = []
    with closing(sqlite3.connect(folder / "cocket.sqlite")) as db:
        query = "SELECT original, read FROM customs_documents WHERE id = ?"
        found += db.execute(query, (document,)).fetchone()
    with closing(sqlite3.connect(folder / "log.sqlite")) as db:
        found += [row[0] for row in db.execute("SELECT blob FROM entries WHERE n > 0")]
    return [piece[-40:] for piece in found]


def test_past_its_term_it_is_gone_from_every_file(running, capsys) -> None:
    service, clock, door, folder = running
    until(lambda: service.retention.store.last() is not None)  # a run at the start, with nothing to do
    old = Planted(door, clock, "OLD", "MSKU1234565")
    good(door.post(f"/movements/{old.mrn}/events", json={"event": "reject", "reason": f"because {old.mark}"}))
    held = Planted(door, clock, "HELD", "MSKU9070323")  # still under way
    bound = {
        "device_id": "D-HELD",
        "equipment_id": "MSKU9070323",
        "mrn": held.mrn,
        "from": rfc3339(clock.now_us() - DAY),
    }
    good(door.post("/bindings", json=bound))
    alert = Planted(door, clock, "ALERT", "MSKU2345679")  # over, with a cut seal that nobody looked at
    bind = {
        "device_id": "CUT",
        "equipment_id": "MSKU2345679",
        "mrn": alert.mrn,
        "from": rfc3339(clock.now_us() - DAY),
    }
    good(door.post("/bindings", json=bind))
    cut = {
        "device_id": "CUT",
        "observed_at": rfc3339(clock.now_us()),
        "rope_cut": True,
        "lat_deg": 1,
        "lon_deg": 1,
    }
    good(door.post("/observations", content=json.dumps(cut), headers=NDJSON))
    good(
        door.post(
            f"/movements/{alert.mrn}/events", json={"event": "reject", "reason": f"because {alert.mark}"}
        )
    )
    good(door.put("/gates/G", json={"name": "G", "kind": "border"}))
    for plate in (f"PLATE {old.mark}", f"PL {held.mark}"):
        read = {"direction": "out", "plate": plate, "plate_confidence": 0.99}
        good(door.post("/gates/G/arrivals", json=read))
    door.post(
        "/observations", content=f'{{"device_id": "{old.mark}", "lat_deg": "{old.mark}"}}', headers=NDJSON
    )
    tried = {
        "at_us": clock.now_us(),
        "kind": "password",
        "name_hash": b"x",
        "address": old.mark,
        "good": False,
    }
    with service.folder.db.write() as connection:
        connection.execute(sign_in_attempts.insert().values(tried))
    assert service.wait_detected(60)
    until(lambda: service.folder.alerts.snapshot_offset() >= service.folder.log.last_offset())
    before = everything(folder)
    packed = blobs(folder, old.document)
    assert old.mark.encode() in before
    assert len(packed) >= 4
    assert all(p in before for p in packed)
    assert struct.pack(">d", LAT) in before

    clock.ahead_us = 40 * DAY
    good(door.put(f"/movements/{held.mrn}", json={"holder": f"holder {held.mark}"}))
    until(lambda: service.retention.store.last().id > 1 and service.retention.store.last().ended_us > 0)

    after = everything(folder)
    assert old.mark.encode() not in after, after[after.find(old.mark.encode()) - 80 :][:200]
    with closing(sqlite3.connect(folder / "cocket.sqlite")) as db:
        kept = {row[0] for row in db.execute("SELECT lat_deg FROM scans WHERE mrn = ?", (held.mrn,))}
        lost = {row[0] for row in db.execute("SELECT lat_deg FROM scans WHERE mrn = ?", (old.mrn,))}
    assert (kept, lost) == ({LAT}, {None})
    assert not [p for p in packed if p in after]
    for part in (f"holder {held.mark}", f"said {held.mark}", f"PL {held.mark}"):
        assert part.encode() in after, part
    assert f"phone-{held.mark}".encode() in after, "the phone of a movement that is under way is held"

    assert f"because {alert.mark}".encode() in after, "an open alert holds it"
    assert door.get(f"/documents/{old.document}/original").status_code == 404
    assert "term" in door.get(f"/documents/{old.document}/original").json()["detail"]
    assert old.mark not in door.get(f"/documents/{old.document}").text
    assert door.get(f"/documents/{held.document}/original").content.count(held.mark.encode()) == 1
    assert door.get(f"/movements/{old.mrn}/evidence/{old.evidence}").content == b""
    assert held.mark.encode() in door.get(f"/movements/{held.mrn}/evidence/{held.evidence}").content
    for path in (
        f"/movements/{old.mrn}",
        f"/movements/{old.mrn}/events",
        "/transports/T-OLD",
        "/scans",
        "/changes",
    ):
        good(door.get(path))

    told = good(door.get("/retention"))
    run = told["items"][0]
    counts = {c["kind"]: (c["n"], c["held"]) for c in run["counts"]}
    assert counts == {
        "plate-reads": (1, 0),
        "phone-positions": (1, 2),
        "scan-positions": (1, 2),
        "stamp-checks": (0, 0),
        "quarantine": (1, 0),
        "sign-in-attempts": (1, 0),
        "observations": (2, 4),
        "evidence": (1, 1),
        "movements": (1, 1),
        "documents": (1, 2),
        "audit": (counts["audit"][0], 0),
    }
    assert counts["audit"][0] > 10
    assert run["proved"] is True
    assert {t["kind"] for t in told["terms"]} == set(counts)
    assert all(len(t["purpose"]) > 30 for t in told["terms"])
    entry = next(e for e in good(door.get("/audit"))["items"] if e["seq"] == run["audit_seq"])
    assert entry["subject"] == {"run": str(run["id"]), "digest": run["digest"]}
    wrong = [f for f in [*verify(folder), *verify_file(folder)] if f.level != "note"]
    assert [
        f for f in wrong if "in the future" not in f.what
    ] == []  # the clock was set ahead: a tick may say so
    assert main(["audit", "check", "--data", str(folder)]) == 0
    assert main(["retention", "--data", str(folder), "--proof"]) == 0
    with closing(sqlite3.connect(folder / "cocket.sqlite")) as db:
        db.execute("UPDATE retention_runs SET digest = zeroblob(32) WHERE id = ?", (run["id"],))
        db.commit()
    capsys.readouterr()
    assert main(["retention", "--data", str(folder), "--proof"]) == 1
    assert json.loads(capsys.readouterr().out)["runs"][0]["proved"] is False


def test_what_a_stop_missed_is_caught_up_and_a_dry_run_does_nothing(tmp_path, capsys) -> None:
    data, clock = tmp_path / "data", Jumping()
    settings = tmp_path / "s.toml"
    settings.write_text("[retention]\nplate_reads_days = 1\n")
    clock.ahead_us = -3 * DAY
    with Service.open(data, clock, Settings()) as service:
        service.gatehouse.gates.put("G", {"name": "G", "kind": "border", "office": None, "lat_deg": None, "lon_deg": None, "radius_m": None}, by="t")  # fmt: skip
        until(lambda: service.retention.store.last() is not None)
        with TestClient(
            create_app(service, Settings(), Gateway(service)), base_url="http://localhost/api/v1"
        ) as door:
            good(
                door.post(
                    "/gates/G/arrivals",
                    json={"direction": "out", "plate": "QZ 77 MARK", "plate_confidence": 1},
                )
            )
    command = ["retention", "--data", str(data), "--settings", str(settings)]
    for _ in range(2):
        assert main([*command, "--dry-run"]) == 0
        would = {d["kind"]: d["n"] for d in json.loads(capsys.readouterr().out)["would"]}
        assert would["plate-reads"] == 1
    assert b"QZ 77 MARK" in everything(data)
    with Service.open(
        data, WallClock(), overridden(Settings(), retention={"plate_reads_days": 1})
    ) as service:
        until(lambda: service.retention.store.last().id == 2 and service.retention.store.last().ended_us > 0)
    assert b"QZ 77 MARK" not in everything(data)
    assert main([*command, "--run"]) == 0
    run = json.loads(capsys.readouterr().out)
    assert run["by"].startswith("os:")
    assert run["proved"] is True


def test_a_run_that_was_killed_before_the_files_were_written_anew_is_finished(tmp_path, monkeypatch) -> None:
    data, clock = tmp_path / "data", Jumping()
    with Service.open(data, clock, Settings()) as service:
        until(
            lambda: service.retention.store.last() is not None and service.retention.store.last().ended_us > 0
        )
        service.retention_clock.stop()
        with service.folder.db.write() as connection:
            connection.exec_driver_sql("UPDATE retention_runs SET ended_us = 0")
        scrubbed = []
        monkeypatch.setattr(service.folder, "scrub", lambda: scrubbed.append(1))
        service.retention_clock.beat()
        assert scrubbed == [1]
        assert service.retention.store.last().ended_us > 0
        service.retention_clock.beat()
        assert scrubbed == [1]
