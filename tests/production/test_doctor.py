"""`cocket doctor` and `verify` of a site: silent over a sound one, and each harm is named, with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.small_site import small_site
from tests.web.test_retention import DAY, SETTINGS, Jumping, until

from cocket.cli import main
from cocket.core.config import overridden
from cocket.engine.site.doctor import check, verify
from cocket.store import doctor_nats
from cocket.store.finding import Finding
from cocket.store.nats_connection import Address
from cocket.store.nats_servers import NatsServer, free_port

NDJSON = {"content-type": "application/x-ndjson"}
KEPT = overridden(SETTINGS, retention={"every_hours": 10_000}, history={"retention_days": 0})


def wrong(findings: list[Finding]) -> list[str]:
    return [f"{f.level} {f.where}: {f.what} → {f.do}" for f in findings if f.level != "note"]


def send(door, clock, n: int) -> None:
    rows = [
        {"device_id": f"D{i % 8}", "observed_at": f"2026-11-20T00:{i // 60:02d}:{i % 60:02d}Z", "lat_deg": 1, "lon_deg": 1}
        for i in range(n)
    ]  # fmt: skip
    answer = door.post("/observations", content="\n".join(map(json.dumps, rows)), headers=NDJSON)
    assert answer.json()["accepted"] == n, answer.text


@pytest.fixture
def running(tmp_path, database, nats_cluster):
    with small_site(tmp_path, database, nats_cluster(1).url, Jumping(), KEPT) as running:
        _, service, clock, door = running
        send(door, clock, 200)
        assert service.wait_detected(60)
        yield running


def test_each_harm_of_a_site_is_named(running, tmp_path, capsys) -> None:
    site, _, clock, door = running
    settings = site.settings
    until(lambda: wrong(check(settings)) == [], 30)
    assert wrong(verify(settings)) == []
    said = [f.what for f in check(settings)]
    assert "200 observations are stored, as many as were taken in and detected" in said
    assert "1 workers have 2 partitions" in said

    file = tmp_path / "site.toml"
    file.write_text(
        f'[store]\nurl = "{settings.store.url}"\n[log]\nurl = "{settings.log.url}"\nsite = "{settings.log.site}"\n'
        f'partitions = 4\nreplicas = 1\n[history]\nfolder = "{settings.history.folder}"\n[http]\nport = 0\n'
    )
    assert main(["doctor", "--settings", str(file), "--json"]) == 1
    found = [f for f in json.loads(capsys.readouterr().out)["findings"] if f["level"] != "note"]
    assert [f["what"].split(":")[0] for f in found] == ["the site has 2 partitions, log.partitions says 4"]
    file.write_text(file.read_text().replace("partitions = 4", "partitions = 2"))
    assert main(["doctor", "--settings", str(file)]) == 0
    assert main(["verify", "--settings", str(file)]) == 0
    file.write_text("[http]\nport = 0\n")
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["verify"])
    assert ended.value.code == 2
    assert main(["verify", "--settings", str(file)]) == 2
    assert "needs store.url and log.url" in capsys.readouterr().err

    clock.ahead_us = 10 * DAY
    assert site.history.compact() == 200
    assert wrong(verify(settings)) == []
    (path,) = Path(settings.history.folder).glob("*.parquet")
    body = path.read_bytes()
    path.write_bytes(body[:2000] + bytes([body[2000] ^ 1]) + body[2001:])
    assert wrong(check(settings)) == []
    assert any(str(path.name) in w and "does not match" in w for w in wrong(verify(settings)))
    path.unlink()
    assert any("is missing; 200 observations are in it" in w for w in wrong(check(settings)))
    path.write_bytes(body)
    assert wrong(verify(settings)) == []

    clock.ahead_us = 0
    send_more = [{"device_id": "E1", "observed_at": "2026-11-25T00:00:00Z"}]
    assert (
        door.post("/observations", content=json.dumps(send_more[0]), headers=NDJSON).json()["accepted"] == 1
    )
    with site.history._db.write() as connection:
        until(lambda: "201 observations are stored" in str(check(settings)))
        connection.exec_driver_sql("DELETE FROM observations WHERE device_id = 'E1'")
    (harm,) = wrong(check(settings))
    assert "1 observations of 201 that were taken in and detected are in neither PostgreSQL nor files" in harm


def test_what_stands_still_or_was_taken_away_is_named(tmp_path, database, nats_cluster) -> None:
    with small_site(tmp_path, database, nats_cluster(1).url, Jumping(), KEPT) as (site, service, clock, door):
        send(door, clock, 50)
        assert service.wait_detected(60)
        settings = site.settings
    (idle,) = wrong(check(settings))
    assert idle.startswith(f"warning {site.db.path}: 2 of 2 partitions have no worker (0, 1)")
    assert "start one: cocket work" in idle
    with Harm(site.settings) as harm:
        harm.db("UPDATE snapshot_pages SET body = 'x'::bytea")
        assert any("snapshot page" in w for w in wrong(verify(settings)))
        harm.nats("STREAM.PURGE", {"keep": 1})
        assert [idle] == wrong(check(settings))
        harm.db("UPDATE detection SET snapshot_offset = 0")
        assert any("begins at" in w and "the snapshot stands for 0" in w for w in wrong(check(settings)))
        harm.db('UPDATE detection SET "offset" = 1000000 WHERE id = 1')
        assert any("ends at" in w and "1000000 was detected" in w for w in wrong(check(settings)))
        harm.nats("STREAM.UPDATE", {**harm.config(), "max_age": 3_600_000_000_000})
        assert any("max_age is 3600000000000 where it has to be 0" in w for w in wrong(check(settings)))
        harm.nats("STREAM.DELETE", {})
        assert any("has no stream" in w for w in wrong(check(settings)))
    away = overridden(settings, log={"url": "nats://cocket:x@127.0.0.1:1,127.0.0.1:2"})
    assert any("only 0 of 2 servers answer" in w for w in wrong(check(away)))
    gone = overridden(settings, store={"url": "postgresql://cocket:x@127.0.0.1:1/cocket"})
    assert any("does not answer" in w and "PostgreSQL" in w for w in wrong(check(gone)))


def test_a_server_that_acknowledges_too_early_is_named(tmp_path, monkeypatch, nats_cluster) -> None:
    (node,) = nats_cluster(1).nodes
    address = Address.parse(nats_cluster(1).url)
    assert any(
        "cannot be asked" in f.what for f in doctor_nats.servers(doctor_nats.asked(address))
    )  # another's monitor says nothing of it
    monkeypatch.setattr(doctor_nats, "MONITOR_PORT", node.ports["monitor"])
    assert [f.what for f in doctor_nats.servers(doctor_nats.asked(address))] == [
        f"1 of 1 servers answer, version {doctor_nats._about(address)['version']}"
    ]
    port, monitor = free_port(), free_port()
    hasty = NatsServer(
        tmp_path / "hasty",
        f"listen: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitor}\njetstream {{ store_dir: '{tmp_path / 'store'}' }}\n",
        "127.0.0.1",
        port,
    )
    try:
        hasty.start()
        monkeypatch.setattr(doctor_nats, "MONITOR_PORT", monitor)
        (early,) = wrong([*doctor_nats.servers(doctor_nats.asked(Address.parse(f"nats://127.0.0.1:{port}")))])
    finally:
        hasty.stop()
    assert "acknowledges before its disk has" in early


def test_copies_of_a_stream_that_are_away_or_behind_are_named() -> None:
    """The answer of a server 2.15 to STREAM.INFO, four seconds after another of three was killed; and worse ones."""
    about = {
        "config": {
            "name": "COCKET_main_0", "retention": "limits", "max_msgs": -1, "max_bytes": -1, "max_age": 0,
            "storage": "file", "num_replicas": 3,
        },
        "state": {"messages": 2, "first_seq": 1, "last_seq": 2},
        "cluster": {
            "name": "cocket", "leader": "n2",
            "replicas": [
                {"name": "n1", "current": True, "active": 945503802, "peer": "fjFyEjc1"},
                {"name": "n3", "current": False, "active": 0, "lag": 2, "peer": "BXScrY9i"},
            ],
        },
    }  # fmt: skip
    (behind,) = wrong([*doctor_nats.stream(about, 3)])
    assert "its copy on n3 is behind by 2 entries" in behind
    about["cluster"]["replicas"][1] |= {"current": True, "lag": 0}
    assert wrong([*doctor_nats.stream(about, 3)]) == []
    about["cluster"]["replicas"][0]["offline"] = True
    about["state"]["num_deleted"] = 5
    gaps, few, away = sorted(wrong([*doctor_nats.stream(about, 5)]))
    assert "lacks 5 messages" in gaps
    assert "is kept in 3 copies, log.replicas is 5" in few
    assert "its copy on n1 is away" in away


class Harm:
    """Does harm to a site that stands still."""

    def __init__(self, settings) -> None:
        from cocket.store import tables
        from cocket.store.database import Database
        from cocket.store.nats_connection import NatsConnection

        self._db = Database(settings.store.url, "main", tables.main_metadata)
        self._nats = NatsConnection(settings.log.url)
        self._stream = f"COCKET_{settings.log.site}_0"

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._nats.close()
        self._db.close()

    def db(self, statement: str) -> None:
        with self._db.write() as connection:
            connection.exec_driver_sql(statement)

    def nats(self, call: str, body) -> None:
        self._nats.api(f"{call}.{self._stream}", body)

    def config(self):
        return self._nats.api(f"STREAM.INFO.{self._stream}", {})["config"]
