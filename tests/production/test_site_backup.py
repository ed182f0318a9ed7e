"""A site's backup, made while it works, becomes another site; with what came afterwards sent again it finds the same alerts."""

from __future__ import annotations

import shutil
import tarfile
import threading

from tests.engine import feed
from tests.small_site import small_site
from tests.web.test_retention import until

from cocket.cli import main
from cocket.core.config import Settings
from cocket.core.errors import CocketError
from cocket.engine.service import Service
from cocket.engine.site.doctor import verify
from cocket.store.postgresql import Postgresql

NDJSON = {"content-type": "application/x-ndjson"}


def alerts(service: Service) -> list[tuple[object, ...]]:
    rows, _ = service.folder.alerts.page({"superseded": False}, None, 500, "newest")
    return sorted((tuple(r[f] for f in feed.FIELDS) for r in rows), key=str)


def written(settings: Settings, path) -> str:
    path.write_text(
        f'[store]\nurl = "{settings.store.url}"\n[log]\nurl = "{settings.log.url}"\nsite = "{settings.log.site}"\n'
        f'partitions = 2\nreplicas = 1\n[history]\nfolder = "{settings.history.folder}"\n'
    )
    return str(path)


def test_a_backup_under_load_becomes_a_site_that_finds_the_same(
    tmp_path, new_database, nats_cluster, capsys, monkeypatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    nats, bodies = nats_cluster(1).url, feed.bodies(size=24)
    half = len(bodies) // 2
    copy = tmp_path / "copy.tar"
    expected = feed.oracle(tmp_path / "one machine")
    assert len(expected) > 5

    def send(door, some) -> list[dict[str, int]]:
        receipts = [door.post("/observations", content=body, headers=NDJSON).json() for body in some]
        assert all("accepted" in r for r in receipts), receipts
        return receipts

    with small_site(first, new_database(), nats, feed.FixedClock(), feed.SETTINGS) as (
        site,
        service,
        _,
        door,
    ):
        feed.declare(service)
        send(door, bodies[:half])
        assert service.wait_detected(60)
        site.history._hot_us = 0
        moved = site.history.compact()
        assert moved > 0
        sender = threading.Thread(target=send, args=(door, bodies[half:]))
        sender.start()
        command = ["backup", "--settings", written(site.settings, first / "site.toml"), "--to", str(copy)]
        assert main([*command, "--with-keys", "--data", str(first / "door")]) == 0, capsys.readouterr()
        sender.join()
        until(lambda: alerts(service) == expected)
        total = len(feed.rows())
        assert main(command) == 1  # nothing is replaced
    database = emptied(new_database())
    name = f"{site.settings.log.site}b"
    settings = written(site.settings, second / "site.toml")
    text = (second / "site.toml").read_text()
    for old, new in (
        (site.settings.store.url, database),
        (f'site = "{site.settings.log.site}"', f'site = "{name}"'),
        (site.settings.history.folder, str(second / "history")),
    ):
        text = text.replace(old, new)
    (second / "site.toml").write_text(text)
    flipped = tmp_path / "flipped.tar"
    shutil.copy(copy, flipped)
    with tarfile.open(copy) as parts:
        largest = max((m for m in parts if m.name != "manifest.json"), key=lambda m: m.size)
    place = largest.offset_data + largest.size // 2
    with flipped.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    capsys.readouterr()
    assert main(["restore", str(flipped), "--settings", settings]) == 1
    assert "does not match its checksum in the manifest; nothing was restored" in capsys.readouterr().err
    restore = ["restore", str(copy), "--settings", settings, "--data", str(second / "door")]
    with monkeypatch.context() as patch:  # PostgreSQL fails at the very end: all is taken back
        patch.setattr("cocket.engine.site.restore.run", fails)
        assert main(restore) == 1
    assert not list((second / "history").glob("*"))
    assert not list((second / "door" / "keys").glob("*"))
    assert main(restore) == 0, capsys.readouterr()
    capsys.readouterr()
    assert main(restore) == 1
    assert "is not empty: it holds" in capsys.readouterr().err
    keys = [sorted((d / "door" / "keys").iterdir()) for d in (first, second)]
    assert [k.read_bytes() for k in keys[0]] == [k.read_bytes() for k in keys[1]] != []

    with small_site(second, database, nats, feed.FixedClock(), feed.SETTINGS, name) as (
        site,
        service,
        _,
        door,
    ):
        assert service.wait_detected(60)
        taken = sum(r["accepted"] for r in send(door, bodies))
        assert taken <= total - moved  # the rest came with the backup
        until(lambda: service.folder.log.totals().observations == total)
        until(lambda: alerts(service) == expected)
        assert [f for f in verify(site.settings) if f.level != "note"] == []


def fails(*_: object) -> None:
    raise CocketError("pg_restore ended with 1")


def emptied(url: str) -> str:
    """The same database without the tables that it came with."""
    engine = Postgresql(url, "main", read_only=False)
    with engine.writing(None) as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.close()
    return url
