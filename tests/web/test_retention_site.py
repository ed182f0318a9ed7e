"""Retention of a site, over PostgreSQL and its files: the same terms, the same counts, and what is dropped is in neither."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from tests.small_site import small_site
from tests.web.planting import Planted, good
from tests.web.test_retention import DAY, SETTINGS, Jumping, until

from cocket.cli import main
from cocket.engine.site.site import Site


@pytest.fixture
def running(tmp_path, database, nats_cluster):
    with small_site(tmp_path, database, nats_cluster(1).url, Jumping(), SETTINGS) as running:
        yield running


def everything(site: Site) -> str:
    """Every observation that PostgreSQL or a file holds."""
    with site.history._db.read() as connection:
        rows = connection.exec_driver_sql("SELECT o::text FROM observations o").scalars().all()
        moving = connection.exec_driver_sql(
            "SELECT name FROM observation_periods WHERE state <> 'hot'"
        ).scalars()
        for name in list(moving):
            rows += connection.exec_driver_sql(f"SELECT o::text FROM {name} o").scalars().all()
    files = [
        json.dumps(pq.read_table(f).to_pylist(), default=str) for f in site.history.folder.glob("*.parquet")
    ]
    return "\n".join([*rows, *files])


def test_what_is_past_its_term_goes_from_tables_and_files(running, tmp_path, capsys) -> None:
    site, service, clock, door = running
    until(lambda: service.retention.store.last() is not None)
    old = Planted(door, clock, "OLD", "MSKU1234565")
    good(door.post(f"/movements/{old.mrn}/events", json={"event": "reject", "reason": "over"}))
    assert service.wait_detected(60)
    clock.ahead_us = 10 * DAY
    until(lambda: site.history.compact() == 0 and site.history.files)
    assert sum(f.facts.rows for f in site.history.files) == 2
    held = Planted(door, clock, "HELD", "MSKU9070323")  # still under way: its phone is held
    assert service.wait_detected(60)
    marks = [f"card-{old.mark}", f"phone-{old.mark}", f"card-{held.mark}", f"phone-{held.mark}"]
    assert all(mark in everything(site) for mark in marks)
    service.retention_clock.stop()
    clock.ahead_us = 50 * DAY  # what was kept of the first is in a file, of the second in a table
    would = {d.kind.name: (d.n, d.held) for d in service.retention.would()}
    file = tmp_path / "site.toml"
    of = site.settings
    file.write_text(
        f'[store]\nurl = "{of.store.url}"\n[log]\nurl = "{of.log.url}"\nsite = "{of.log.site}"\npartitions = 2\nreplicas = 1\n'
        f'[history]\nfolder = "{of.history.folder}"\nretention_days = 20\n[retention]\nphone_positions_days = 20\n'
    )
    assert (
        main(["retention", "--settings", str(file), "--dry-run"]) == 0
    )  # by the wall's clock nothing is old
    shown = {d["kind"]: d["n"] for d in json.loads(capsys.readouterr().out)["would"]}
    assert (shown["phone-positions"], shown["observations"]) == (0, 0)
    service.retention_clock.beat()
    counts = {c["kind"]: (c["n"], c["held"]) for c in good(door.get("/retention"))["items"][0]["counts"]}
    assert counts["phone-positions"] == (1, 1)
    assert counts["observations"] == (2, 1)
    assert would["phone-positions"] == (1, 1)
    assert good(door.get("/retention"))["items"][0]["proved"] is True
    left = everything(site)
    assert [mark in left for mark in marks] == [False, False, False, True]
    assert list(site.history.findings(deep=True)) == []
    streams = [f"COCKET_{site.settings.log.site}_{p}" for p in range(2)]
    until(lambda: all(site.nats.api(f"STREAM.INFO.{s}", {})["state"]["messages"] < 20 for s in streams))
    again = {d.kind.name: d.n for d in service.retention.would()}
    assert (again["phone-positions"], again["observations"]) == (0, 0)
