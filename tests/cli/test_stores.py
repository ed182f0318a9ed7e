"""Commands that find their stores by the settings: what they do is done in PostgreSQL, and no folder is made or wanted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cocket.cli import main
from cocket.store import tables
from cocket.store.access_tables import accounts
from cocket.store.audit import AuditStore, Entry
from cocket.store.audit_tables import audit
from cocket.store.database import Database
from cocket.store.folder import DataFolder

READ = "movement:read"


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture
def settings(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A settings file, and nothing else where the commands run."""
    file = tmp_path / "given" / "site.toml"
    file.parent.mkdir()
    file.write_text(f'[store]\nurl = "{url}"\n[retention]\nphone_positions_days = 5\n')
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return str(file)


def asked(url: str, query: Any) -> list[Any]:
    """Straight from the server."""
    db = Database(url, "main", tables.main_metadata)
    try:
        with db.write() as connection:
            result = connection.execute(query)
            return list(result.all()) if result.returns_rows else []
    finally:
        db.close()


def said(capsys: Any, *argv: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(argv)
    out = capsys.readouterr()
    return code, out.out + out.err


def test_accounts(settings: str, url: str, capsys: Any) -> None:
    code, out = said(capsys, "owner-link", "--settings", settings)
    assert code == 0
    assert "http://127.0.0.1:8460/owner#" in out
    code, out = said(capsys, "account", "add", "amina", "--role", "operator", "--settings", settings)
    assert (code, out.count("/welcome#")) == (0, 1), out
    assert said(capsys, "account", "disable", "amina", "--settings", settings)[0] == 0
    assert [tuple(r) for r in asked(url, sa.select(accounts.c.id, accounts.c.disabled))] == [("amina", True)]
    code, out = said(capsys, "account", "list", "--settings", settings)
    assert out.split("\t")[:2] == ["amina", "operator"]
    assert out.strip().endswith("disabled")
    assert said(capsys, "account", "enable", "amina", "--settings", settings)[0] == 0
    code, out = said(capsys, "account", "reset", "amina", "--settings", settings)
    assert (code, out.count("/welcome#")) == (0, 1)
    assert list(Path().iterdir()) == []


def test_the_audit(settings: str, url: str, capsys: Any) -> None:
    db = Database(url, "main", tables.main_metadata)
    AuditStore(db).append(
        [
            Entry(10**15 + i, "amina", "person", ("officer",), None, READ, "GET", "/movements/M", {}, None, 200, f"r{i}")
            for i in range(3)
        ]
    )  # fmt: skip
    db.close()
    code, out = said(capsys, "audit", "check", "--settings", settings, "--json")
    assert (code, json.loads(out)["entries"]) == (0, 3)
    code, out = said(capsys, "audit", "export", "--settings", settings)
    assert [json.loads(line)["request_id"] for line in out.splitlines()] == ["r0", "r1", "r2"]
    Path("written").write_text(out)
    assert said(capsys, "audit", "check", "written")[0] == 0
    for wrong in (["written", "--settings", settings], []):
        assert said(capsys, "audit", "check", *wrong)[0] == 2
    asked(url, audit.update().where(audit.c.seq == 2).values(who="somebody"))
    code, out = said(capsys, "audit", "check", "--settings", settings)
    assert code == 1
    assert "The chain is broken." in out


def test_retention_and_persons(settings: str, url: str, tmp_path: Path, capsys: Any) -> None:
    data = tmp_path / "data"
    DataFolder.open(data, store_url=url).close()
    both = ("--settings", settings, "--data", str(data))
    code, out = said(capsys, "retention", *both, "--dry-run")
    assert code == 0
    assert {w["kind"]: w["days"] for w in json.loads(out)["would"]}["phone-positions"] == 5
    assert said(capsys, "retention", *both, "--run")[0] == 0
    code, out = said(capsys, "retention", *both, "--proof")
    assert (code, len(json.loads(out)["runs"])) == (0, 1)
    assert said(capsys, "person-export", *both, "--name", "Amina", "-o", "a.zip")[0] == 0
    assert Path("a.zip").read_bytes()[:2] == b"PK"
    doors = [str(r[0]) for r in asked(url, sa.select(audit.c.action).order_by(audit.c.seq))]
    assert doors[-1] == "person:export"
    assert len(doors) == 3
    assert said(capsys, "audit", "check", "--settings", settings)[0] == 0
    for command in (["retention", "--dry-run"], ["person-export", "--name", "Amina", "-o", "b.zip"]):
        code, out = said(capsys, *command, "--settings", settings)
        assert code == 2
        assert "lie in the data folder" in out


@pytest.mark.parametrize(
    "command",
    [
        ["account", "list"],
        ["owner-link"],
        ["audit", "export"],
        ["retention", "--proof"],
        ["person-export", "--name", "Amina", "-o", "a.zip"],
    ],
)
def test_neither_folder_nor_store_is_bad_usage(command: list[str], tmp_path: Path, capsys: Any) -> None:
    assert said(capsys, *command)[0] == 2
    (tmp_path / "s.toml").write_text("[http]\nport = 1\n")
    code, out = said(capsys, *command, "--settings", str(tmp_path / "s.toml"))
    assert code == 2
    assert "store.url" in out
