"""Folders of older versions are brought up to date with their data; one of a newer version is refused in words."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.engine import feed

from cocket.cli import main
from cocket.engine.service import Service
from cocket.store import tables
from cocket.store.database import MIGRATIONS, FolderRefused
from cocket.store.doctor import verify


def _config(branch: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(MIGRATIONS / branch))
    config.set_main_option("path_separator", "newline")
    return config


def revisions(branch: str) -> list[str]:
    """From the oldest to the newest."""
    script = ScriptDirectory.from_config(_config(branch))
    return [r.revision for r in script.walk_revisions()][::-1]


MAIN = revisions("main")


@pytest.fixture(scope="module")
def current(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this version, with everything in it."""
    folder = tmp_path_factory.mktemp("upgrade") / "current"
    with Service.open(folder, feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        for body in feed.bodies():
            feed.send(service, body)
        feed.settle(service)
    return folder


def _older(current: Path, old: Path, name: str, branch: str, revision: str) -> None:
    """``name`` as the tables were at ``revision``, filled with what the current one holds in the columns of then."""
    engine = sa.create_engine(f"sqlite:///{old / name}")
    config = _config(branch)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        config.attributes["metadata"] = tables.main_metadata if branch == "main" else tables.log_metadata
        config.attributes["version_table"] = "alembic_version"
        command.upgrade(config, revision)
    engine.dispose()
    with closing(sqlite3.connect(old / name)) as db:
        db.execute("ATTACH ? AS new", (str(current / name),))
        names = [n for (n,) in db.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'")]
        for table in names:
            if table in {"alembic_version", "alerts", "detection", "snapshot_pages"}:
                continue  # these are made anew from the log: the strictest check of what was carried over
            mine = [c[1] for c in db.execute(f"PRAGMA main.table_info({table})")]
            theirs = {c[1] for c in db.execute(f"PRAGMA new.table_info({table})")}
            if not theirs:
                continue
            columns = ", ".join(f'"{c}"' for c in mine if c in theirs)
            db.execute(f"DELETE FROM main.{table}")
            db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
        db.commit()


@pytest.mark.parametrize("revision", [MAIN[0], MAIN[len(MAIN) // 2], MAIN[-2]])
def test_an_older_folder_is_brought_up_to_date(current: Path, tmp_path: Path, revision: str) -> None:
    expected = feed.oracle(tmp_path / "oracle")
    old = tmp_path / "old"
    old.mkdir()
    _older(current, old, "cocket.sqlite", "main", revision)
    _older(current, old, "log.sqlite", "log", revisions("log")[0 if revision == MAIN[0] else -1])
    shutil.copytree(current / "history", old / "history")
    shutil.copytree(current / "keys", old / "keys")
    with Service.open(old, feed.FixedClock(), feed.SETTINGS) as service:
        assert feed.final(service) == expected
        assert service.stats()["observations"] == len(feed.rows())
        assert service.folder.reference.count("movement") == feed.TRUCKS
    assert [f for f in verify(old) if f.level == "damage"] == []


@pytest.mark.parametrize("name", ["cocket.sqlite", "log.sqlite"])
def test_a_newer_folder_is_refused(current: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "newer"
    before = _of_the_future(current, folder, name)
    with pytest.raises(FolderRefused, match=r"written by a newer Cocket.*from_the_future"):
        Service.open(folder, feed.FixedClock(), feed.SETTINGS)
    assert (folder / name).read_bytes() == before
    assert main(["doctor", "--data", str(folder)]) == 1


def test_the_server_says_so_and_ends(
    current: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _of_the_future(current, tmp_path / "newer", "cocket.sqlite")
    assert main(["serve", "--data", str(tmp_path / "newer"), "--port", "0"]) == 1
    assert "written by a newer Cocket" in capsys.readouterr().err


def _of_the_future(current: Path, folder: Path, name: str) -> bytes:
    shutil.copytree(current, folder)
    with closing(sqlite3.connect(folder / name)) as db:
        db.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
        db.commit()
    return (folder / name).read_bytes()
