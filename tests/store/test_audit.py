"""The audit's chain: any row that is altered, dropped, put in, moved or cut off by SQL is found, and the first is named."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from cocket.cli import main
from cocket.core.clock import WallClock
from cocket.core.config import Settings
from cocket.core.principal import Principal
from cocket.customs.verify import verify
from cocket.engine.auditing import Auditing
from cocket.engine.retention import Retention
from cocket.store import tables
from cocket.store.audit import AuditStore, Entry
from cocket.store.database import Database

T0 = 1_790_000_000_000_000
DAY = 86_400_000_000


def entry(n: int, **other) -> Entry:
    fields = {
        "at_us": T0 + n, "who": f"amina-{n % 3}", "kind": "person", "roles": ("operator", "auditor"), "said_by": None,
        "action": "movement:declare", "method": "PUT", "route": "/api/v1/movements/{mrn}", "subject": {"mrn": f"26É{n}"},
        "purpose": None, "status": 200, "request_id": f"r{n}",
    }  # fmt: skip
    return Entry(**{**fields, **other})


@pytest.fixture
def chain(main_file):
    """Twelve entries, in two processes' appends; the folder and the hash of each entry, reckoned apart."""
    path = main_file()
    db = Database(path, "main", tables.main_metadata)
    AuditStore(db).append([entry(n) for n in range(1, 6)])
    other = Database(path, "main", tables.main_metadata)
    AuditStore(other).append([entry(n) for n in range(6, 13)])
    other.close()
    db.close()
    return path.parent


def found(folder, *more: str) -> tuple[int, dict]:
    import io
    from contextlib import redirect_stdout

    out = io.StringIO()
    with redirect_stdout(out):
        code = main(["audit", "check", *more, "--json"] if more and not more[0].startswith("--head") else
                    ["audit", "check", "--data", str(folder), "--json", *more])  # fmt: skip
    return code, json.loads(out.getvalue())


def sql(folder, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "cocket.sqlite")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def rechain(folder, begin: int) -> None:
    """What one who can write to the file does: every hash anew, by the documented form, and the head too."""
    with closing(sqlite3.connect(folder / "cocket.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT hash FROM audit WHERE seq = ?", (begin - 1,)).fetchone()
        last = row["hash"] if row else bytes(32)
        number = begin - 1
        for row in connection.execute("SELECT * FROM audit WHERE seq >= ? ORDER BY seq", (begin,)).fetchall():
            number = row["seq"]
            previous, last = last, reckoned(last, dict(row))
            connection.execute(
                "UPDATE audit SET previous = ?, hash = ? WHERE seq = ?", (previous, last, row["seq"])
            )
        connection.execute("UPDATE audit_head SET seq = ?, hash = ?", (number, last))
        connection.commit()


def reckoned(previous: bytes, row: dict) -> bytes:
    """The hash of an entry by the words of docs/privacy.md, apart from the code."""
    names = ["seq", "at_us", "who", "kind", "roles", "said_by", "action", "method", "route", "subject"]
    names += ["purpose", "status", "request_id"]
    text = json.dumps([row[n] for n in names], separators=(",", ":"))
    return hashlib.sha256(previous + text.encode()).digest()


def test_the_chain_is_what_the_documents_say(chain):
    with closing(sqlite3.connect(chain / "cocket.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        last = bytes(32)
        for n, row in enumerate(connection.execute("SELECT * FROM audit ORDER BY seq"), 1):
            assert row["seq"] == n
            assert row["previous"] == last
            assert row["subject"] == f'{{"mrn":"26\\u00c9{n}"}}'
            last = reckoned(last, dict(row))
            assert row["hash"] == last
        assert connection.execute("SELECT seq, hash FROM audit_head").fetchone()[:] == (12, last)
    code, told = found(chain)
    assert (code, told["entries"], told["wrong"]) == (0, 12, [])
    assert told["head"] == {"seq": 12, "hash": last.hex()}
    assert verify(chain) == []


ALTERED = {
    "who": "UPDATE audit SET who = 'somebody else' WHERE seq = 7",
    "when": "UPDATE audit SET at_us = at_us + 1 WHERE seq = 7",
    "roles": "UPDATE audit SET roles = '[]' WHERE seq = 7",
    "said_by": "UPDATE audit SET said_by = 'x' WHERE seq = 7",
    "subject": "UPDATE audit SET subject = '{}' WHERE seq = 7",
    "purpose": "UPDATE audit SET purpose = 'control' WHERE seq = 7",
    "status": "UPDATE audit SET status = 403 WHERE seq = 7",
    "status to nothing": "UPDATE audit SET status = NULL WHERE seq = 7",
    "request": "UPDATE audit SET request_id = 'r8' WHERE seq = 7",
    "hash": "UPDATE audit SET hash = zeroblob(32) WHERE seq = 7",
    "previous": "UPDATE audit SET previous = zeroblob(32) WHERE seq = 7",
    "dropped": "DELETE FROM audit WHERE seq = 7",
}


@pytest.mark.parametrize("statement", ALTERED.values(), ids=ALTERED)
def test_what_was_altered_or_dropped_is_named(chain, statement):
    sql(chain, statement)
    code, told = found(chain)
    assert code == 1
    assert told["entries"] == 6
    assert "entry 7" in told["wrong"][0] or "behind entry 6" in told["wrong"][0]
    assert [f.level for f in verify(chain)] == ["damage"] * len(verify(chain))
    assert any("entry 7" in f.what or "behind entry 6" in f.what for f in verify(chain))


def test_what_was_put_in_is_found(chain):
    columns = "at_us, who, kind, roles, said_by, action, method, route, subject, purpose, status, request_id"
    sql(
        chain,
        "UPDATE audit SET seq = seq + 1000 WHERE seq > 7",
        "UPDATE audit SET seq = seq - 999 WHERE seq > 1000",
        f"INSERT INTO audit (seq, {columns}, previous, hash) SELECT 8, {columns}, hash, previous FROM audit WHERE seq = 7",
    )
    code, told = found(chain)
    assert code == 1
    assert "entry 8" in told["wrong"][0]


def test_what_was_put_behind_the_end_is_found(chain):
    columns = "at_us, who, kind, roles, said_by, action, method, route, subject, purpose, status, request_id"
    sql(
        chain,
        f"INSERT INTO audit (seq, {columns}, previous, hash) SELECT 13, {columns}, hash, hash FROM audit WHERE seq = 12",
    )
    assert found(chain)[0] == 1
    rows = sqlite3.connect(chain / "cocket.sqlite")
    rows.row_factory = sqlite3.Row
    row = dict(rows.execute("SELECT * FROM audit WHERE seq = 13").fetchone())
    rows.execute("UPDATE audit SET hash = ? WHERE seq = 13", (reckoned(row["previous"], row),))
    rows.commit()
    rows.close()
    code, told = found(chain)
    assert (code, told["wrong"]) == (1, ["entry 13 stands behind the head"])


def test_what_was_moved_is_found(chain):
    sql(
        chain,
        "UPDATE audit SET seq = 99 WHERE seq = 4",
        "UPDATE audit SET seq = 4 WHERE seq = 9",
        "UPDATE audit SET seq = 9 WHERE seq = 99",
    )
    code, told = found(chain)
    assert code == 1
    assert "entry 4 " in told["wrong"][0]


@pytest.mark.parametrize("kept", [0, 1, 11])
def test_a_cut_end_is_found_by_the_head(chain, kept):
    sql(chain, f"DELETE FROM audit WHERE seq > {kept}")
    code, told = found(chain)
    assert code == 1
    assert "the last are missing" in told["wrong"][0]


def test_a_cut_beginning_is_found(chain):
    sql(chain, "DELETE FROM audit WHERE seq < 5")
    code, told = found(chain)
    assert code == 1
    assert "begins with entry 5" in told["wrong"][0]
    sql(chain, "UPDATE audit_head SET cut_seq = 4, cut_hash = (SELECT previous FROM audit WHERE seq = 5)")
    assert found(chain)[0] == 1, "the head may say so, but no entry does"


def test_only_a_head_noted_elsewhere_finds_a_chain_that_was_written_anew(chain):
    noted = found(chain)[1]["head"]["hash"]
    early = (
        sqlite3.connect(chain / "cocket.sqlite")
        .execute("SELECT hash FROM audit WHERE seq = 5")
        .fetchone()[0]
        .hex()
    )
    sql(chain, "UPDATE audit SET who = 'nobody' WHERE seq = 8")
    rechain(chain, 8)
    assert found(chain)[0] == 0, "in itself it is whole again"
    code, told = found(chain, "--head", noted)
    assert code == 1
    assert noted in told["wrong"][0]
    assert found(chain, "--head", early)[0] == 0, "up to there nothing was altered"

    sql(
        chain,
        "DELETE FROM audit WHERE seq > 3",
        "UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit WHERE seq = 3)",
    )
    assert found(chain)[0] == 0
    assert found(chain, "--head", early)[0] == 1


def test_a_file_that_was_written_out_is_checked_without_the_folder(chain, capsys, tmp_path):
    assert main(["audit", "export", "--data", str(chain)]) == 0
    lines = capsys.readouterr().out.splitlines()
    file = tmp_path / "audit.ndjson"
    file.write_text("\n".join(lines) + "\n")
    code, told = found(chain, str(file))
    assert (code, told["entries"]) == (0, 12)
    first = json.loads(lines[0])
    assert first["principal"] == "amina-1"
    assert first["subject"] == {"mrn": "26É1"}

    for broken, says in (
        ([*lines[:4], lines[4].replace("amina", "anna"), *lines[5:]], "entry 5 is broken"),
        ([*lines[:4], *lines[5:]], "behind entry 4 stands entry 6"),
        ([*lines[:4], lines[5], lines[4], *lines[6:]], "behind entry 4 stands entry 6"),
        (lines[3:], "begins with entry 4"),
    ):
        file.write_text("\n".join(broken))
        code, told = found(chain, str(file))
        assert code == 1
        assert says in told["wrong"][0]
    file.write_text("\n".join(lines[:9]))
    assert found(chain, str(file))[0] == 0, "a file that ends early is whole in itself"
    code = main(["audit", "check", str(file), "--head", json.loads(lines[-1])["hash"]])
    assert code == 1
    assert "the head that was noted" in capsys.readouterr().out
    file.write_text("{}")
    assert main(["audit", "check", str(file)]) == 1
    assert "line 1 is no entry" in capsys.readouterr().err
    assert main(["audit", "check", str(file), "--head", "abc"]) == 2


def test_a_term_that_is_over_cuts_the_beginning_and_says_so(place):
    db = Database(place, "main", tables.main_metadata)
    store = AuditStore(db)
    store.append([entry(n, at_us=T0 + n * DAY) for n in range(1, 11)])
    noted = store.head()
    assert store.cut(T0 + 4 * DAY, entry(11, at_us=T0 + 20 * DAY, subject={"run": "1"})) == 3
    assert [r["seq"] for r in store.rows()] == [*range(4, 12)]
    assert store.check(noted.hash).wrong == ()
    assert store.cut(T0 + 4 * DAY, entry(12)) == 0, "nothing is left to cut, and nothing is recorded"
    assert store.head().seq == 11
    assert store.cut(T0 + 999 * DAY, entry(12, at_us=T0 + 21 * DAY)) == 7
    assert [r["seq"] for r in store.rows()] == [11, 12]
    assert store.check().wrong == ()
    with db.write() as connection:
        connection.exec_driver_sql("DELETE FROM audit WHERE seq = 11")
    assert "begins with entry 12" in store.check().wrong[0]
    db.close()


def test_finding_by_who_what_and_when(chain):
    db = Database(chain / "cocket.sqlite", "main", tables.main_metadata, read_only=True)
    store = AuditStore(db)

    def seqs(**asked):
        return [r["seq"] for r in store.page(**asked)[0]]

    assert seqs(who="amina-0") == [12, 9, 6, 3]
    assert seqs(subject="26É1") == [1], "an id is found whole"
    assert seqs(subject="mrn") == []
    assert seqs(since_us=T0 + 5, until_us=T0 + 7) == [6, 5]
    assert seqs(action="movement:declare", limit=2) == [12, 11]
    assert store.page(limit=5)[1] == 8
    assert seqs(limit=5, before=8) == [7, 6, 5, 4, 3]
    db.close()


def test_a_retention_run_is_one_transaction_with_its_proof_and_the_files_are_written_anew(either_folder):
    folder, clock = either_folder, WallClock()
    for _ in range(2):
        folder.audit.append([entry(1, at_us=1)])
    retention = Retention(folder, clock, Settings(), folder.alerts.offset)
    run = retention.run(Principal("dora", "person"))
    assert [c["n"] for c in run["counts"] if c["kind"] == "audit"] == [2]
    assert (run["by"], run["proved"]) == ("dora", True)
    assert run["ended_at"] is not None
    assert folder.audit.check().wrong == ()
    assert folder.db.integrity() == []


def test_many_hands_make_one_chain(place):
    db = Database(place, "main", tables.main_metadata)
    auditing = Auditing(AuditStore(db))
    auditing.start()
    numbers: list[int] = []

    def work(name: str) -> None:
        for n in range(50):
            auditing.submit(replace(entry(n), who=name, request_id=f"{name}-{n}")).result()
            numbers.append(n)

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    auditing.stop()
    assert len(numbers) == 400
    rows = list(AuditStore(db).rows())
    assert {r["request_id"] for r in rows} == {f"w{i}-{n}" for i in range(8) for n in range(50)}
    for i in range(8):
        mine = [r["request_id"] for r in rows if r["who"] == f"w{i}"]
        assert mine == [f"w{i}-{n}" for n in range(50)], "each one's in its order"
    assert AuditStore(db).check().wrong == ()
    db.close()
