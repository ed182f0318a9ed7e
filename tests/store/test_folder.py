"""One process at a time, one version at least, and migrations that say what the tables say."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cocket.core.errors import Unavailable
from cocket.store import lease_tables, tables
from cocket.store.database import Database, FolderRefused
from cocket.store.doctor import check, report, verify
from cocket.store.folder import DataFolder

assert lease_tables.main_metadata is tables.main_metadata  # a site's tables: no folder has them open


def test_a_second_process_is_refused_in_words(folder):
    code = f"""
from cocket.store.folder import DataFolder, FolderRefused
try:
    DataFolder.open({str(folder.path)!r})
except FolderRefused as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"another process has the data folder {folder.path} open")


def test_the_lock_goes_with_the_process(tmp_path):
    code = f"""
import os, signal
from cocket.store.folder import DataFolder
DataFolder.open({str(tmp_path)!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    DataFolder.open(tmp_path).close()


@pytest.mark.parametrize("file", ["log.sqlite", "cocket.sqlite"])
def test_a_folder_of_a_newer_version_is_refused_and_let_alone(tmp_path, file):
    DataFolder.open(tmp_path).close()
    with sqlite3.connect(tmp_path / file) as other:
        other.execute("update alembic_version set version_num = 'main_9999'")
    for _ in range(2):
        with pytest.raises(FolderRefused, match="written by a newer Cocket"):
            DataFolder.open(tmp_path)
    assert [f.level for f in check(tmp_path)] == ["damage"]
    assert "newer Cocket" in check(tmp_path)[0].what


def test_what_is_no_data_folder_is_refused(tmp_path):
    with pytest.raises(FolderRefused, match="no data folder"):
        DataFolder.open(tmp_path, create=False)
    with pytest.raises(FolderRefused, match="no data folder"):
        DataFolder.open(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(FolderRefused, match="is a file"):
        DataFolder.open(file)


@pytest.mark.parametrize(
    ("branch", "metadata"), [("log", tables.log_metadata), ("main", tables.main_metadata)]
)
def test_migrations_make_the_tables_that_the_code_names(tmp_path, branch, metadata):
    db = Database(tmp_path / "x.sqlite", branch, metadata)
    with db.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    db.close()


def test_commits_are_on_the_disk_when_they_return(folder):
    for db in folder._opened:
        with db.read() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_read_only_writes_nothing(folder, make_batch):
    folder.log.append(make_batch(5, 1), received_us=0)
    beside = DataFolder.open(folder.path, read_only=True)
    with pytest.raises(Unavailable, match="read-only"):
        beside.log.append(make_batch(5, 2), received_us=0)
    assert beside.log.totals().observations == 5
    beside.close()


def damages(path: Path) -> list[str]:
    return [Path(f.where).name for f in verify(path) if f.level == "damage"]


def test_doctor_and_verify_name_what_is_wrong(tmp_path, make_batch, change, capsys):
    folder = DataFolder.open(tmp_path)
    assert [f.what for f in check(tmp_path)] == ["a process has it open"]
    for seed in range(6):
        folder.log.append(make_batch(50, seed), received_us=0)
    folder.history.compact(3)
    folder.alerts.apply([change("a")], 6, at_us=0, pages={"p": b"x" * 5000})
    folder.close()
    assert (check(tmp_path), verify(tmp_path)) == ([], [])
    assert report([], as_json=False) == 0
    assert capsys.readouterr().out == "Nothing found wrong.\n"

    orphan = tmp_path / "history" / "00000099.parquet"
    orphan.write_bytes(b"")
    assert [(f.level, f.where) for f in check(tmp_path)] == [("note", str(orphan))]
    orphan.unlink()

    with sqlite3.connect(tmp_path / "cocket.sqlite") as other:
        other.execute("update snapshot_pages set body = x'00'")
    assert (check(tmp_path), damages(tmp_path)) == ([], ["cocket.sqlite"])

    with sqlite3.connect(tmp_path / "log.sqlite") as other:
        other.execute('update entries set n = 49 where "offset" = 5')
        other.execute('delete from entries where "offset" = 4')
    assert damages(tmp_path) == ["log.sqlite", "log.sqlite", "cocket.sqlite"]

    file = next((tmp_path / "history").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])
    assert [Path(f.where).name for f in check(tmp_path) if f.level == "damage"] == ["log.sqlite", file.name]
    assert report(check(tmp_path), as_json=True) == 1
    assert '"ok": false' in capsys.readouterr().out

    (tmp_path / "cocket.sqlite").unlink()
    assert any("alerts, reference data and detection state are lost" in f.what for f in check(tmp_path))
    assert [f.level for f in check(tmp_path / "nowhere")] == ["damage"]


def test_a_torn_sqlite_file_is_named(tmp_path, make_batch):
    folder = DataFolder.open(tmp_path)
    for seed in range(30):
        folder.log.append(make_batch(500, seed), received_us=0)
    folder.close()
    path = tmp_path / "log.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "log.sqlite" in damages(tmp_path)
    path.write_bytes(b"not a database" * 1000)
    assert "log.sqlite" in damages(tmp_path)


def test_a_log_older_than_its_alerts_is_named(tmp_path, make_batch):
    folder = DataFolder.open(tmp_path)
    folder.log.append(make_batch(5, 1), received_us=0)
    folder.alerts.apply([], 7, at_us=0)
    folder.close()
    assert any("not of the same moment" in f.what for f in check(tmp_path))


def test_a_snapshot_that_the_log_no_longer_reaches_is_named(tmp_path, make_batch):
    folder = DataFolder.open(tmp_path)
    for seed in range(3):
        folder.log.append(make_batch(5, seed), received_us=0)
    folder.history.compact(3)
    folder.log.trim(3)  # and no snapshot was ever taken
    folder.close()
    assert any("cannot go on from it" in f.what for f in check(tmp_path))


def test_the_page_on_stores_names_every_table_and_file():
    page = (Path(__file__).parents[2] / "docs" / "stores.md").read_text()
    for name in (*tables.log_metadata.tables, *tables.main_metadata.tables, "cocket.lock", "history/"):
        assert f"`{name}`" in page, f"docs/stores.md does not name {name}"
