"""What every engine promises, asked of each in the same words."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from cocket.core.errors import BadSetting, Refused, Unavailable
from cocket.store import tables
from cocket.store.alerts import AlertStore
from cocket.store.code_tables import code_uses, codes, scans
from cocket.store.database import Database, FolderRefused
from cocket.store.guarantees import GuaranteeStore, Head
from cocket.store.tables import commands, documents

CHILD = Path(__file__).with_name("writer.py")


@pytest.fixture
def db(place):
    opened = Database(place, "main", tables.main_metadata)
    yield opened
    opened.close()


GUARANTEE = Head("G", "holder", "0", Decimal("100.00"), "EUR", Decimal(0), Decimal(0), None, None, 0, "ana")


def code(number: int) -> dict[str, object]:
    return {
        "id": number, "number": 2**59 + number, "purpose": "transit", "mrn": "m", "text": "", "kid": "k", "issued_us": 0,
        "issued_by": "", "valid_from_us": 0, "valid_to_us": 1,
    }  # fmt: skip


def document(doc_id: str, version: int = 1, **doc: object) -> dict[str, object]:
    return {
        "kind": "zone",
        "id": doc_id,
        "doc": doc,
        "version": version,
        "changed_at_us": 2**62,
        "changed_by": "ana",
        "corridor": None,
        "is_open": True,
    }


def ids(db: Database) -> list[str]:
    with db.read() as connection:
        return list(connection.execute(sa.select(documents.c.id).order_by(documents.c.id)).scalars())


def test_a_write_that_fails_leaves_nothing(db):
    with db.write() as connection:
        connection.execute(documents.insert(), document("kept"))

    def write(*names: str) -> None:
        with db.write() as connection:
            for name in names:
                connection.execute(documents.insert(), document(name))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write("a", "b")
    with pytest.raises(sa.exc.IntegrityError):
        write("c", "kept")
    assert ids(db) == ["kept"]


def test_an_error_that_is_passed_over_is_never_half_a_write(db):
    """SQLite goes on behind a statement that failed, PostgreSQL does not: then the write fails, aloud."""
    try:
        with db.write() as connection:
            connection.execute(documents.insert(), document("a"))
            with contextlib.suppress(sa.exc.IntegrityError):
                connection.execute(documents.insert(), document("a"))
    except sa.exc.DBAPIError:
        assert ids(db) == []
    else:
        assert ids(db) == ["a"]


def test_values_come_back_as_they_went(db):
    doc = {"é": [1, 2.5, None, True, "\\u0000", 2**53], "𝄞": {"": "\x01\x7f"}}
    with db.write() as connection:
        connection.execute(documents.insert(), document("a", 2**62, **doc))
        done = connection.execute(
            commands.insert().values(
                device_id="d",
                command="c",
                parameters={"n": -1},
                reason="",
                by="",
                at_us=-(2**63),
                state="s",
                sent=bytes(range(256)),
                expires_us=2**63 - 1,
            )
        )
        number = done.inserted_primary_key[0]
    with db.read() as connection:
        row = connection.execute(documents.select()).one()
        command = connection.execute(commands.select().where(commands.c.id == number)).one()
        assert connection.execute(commands.select().where(commands.c.id == 2**62)).first() is None
    assert (row.doc, row.version, row.is_open, row.corridor) == (doc, 2**62, True, None)
    assert (command.at_us, command.expires_us, command.sent) == (-(2**63), 2**63 - 1, bytes(range(256)))
    assert (type(command.sent), type(row.is_open), command.parameters) == (bytes, bool, {"n": -1})


def test_text_is_sorted_by_code_point(db):
    names = ["", " ", "A", "B", "Z", "_", "a", "aa", "ab", "b", "z", "Ä", "é", "ø", "中", "😀"]
    shuffled = random.Random(1).sample(names, len(names))
    with db.write() as connection:
        connection.execute(documents.insert(), [document(n) for n in shuffled])
    assert ids(db) == sorted(names)
    with db.read() as connection:
        query = sa.select(documents.c.id).where(documents.c.id > "a").order_by(documents.c.id)
        assert list(connection.execute(query).scalars()) == [n for n in sorted(names) if n > "a"]


def test_a_reader_sees_one_moment_and_waits_for_nobody(db):
    with db.write() as connection:
        connection.execute(documents.insert(), document("a"))
    with db.read() as reading:
        query = sa.select(sa.func.count()).select_from(documents)
        assert reading.execute(query).scalar() == 1

        def write() -> None:
            with db.write() as connection:
                connection.execute(documents.insert(), document("b"))

        thread = threading.Thread(target=write)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
        assert reading.execute(query).scalar() == 1
    assert ids(db) == ["a", "b"]


def test_nobody_sees_what_is_not_committed_but_its_writer(db):
    with db.write() as connection:
        assert db.writing
        connection.execute(documents.insert(), document("a"))
        with db.view() as view:
            assert view.execute(sa.select(documents.c.id)).scalar() == "a"
        seen = []
        thread = threading.Thread(target=lambda: seen.append((ids(db), db.writing)))
        thread.start()
        thread.join(20)
        assert seen == [([], False)]
    assert not db.writing
    with db.view() as view:
        assert view.execute(sa.select(documents.c.id)).scalar() == "a"
    with pytest.raises(RuntimeError, match="wait for itself"), db.write(), db.write():
        pass


def test_a_reader_cannot_write_over_postgresql(database):
    db = Database(database, "main", tables.main_metadata, read_only=True)
    with pytest.raises(Unavailable, match="takes no writes"), db.write() as connection:
        connection.execute(documents.insert(), document("a"))
    with pytest.raises(Unavailable, match="takes no writes"), db.read() as connection:
        connection.execute(documents.insert(), document("a"))
    assert ids(db) == []
    db.close()


def test_two_processes_with_five_threads_each_keep_every_promise_at_once(place, db):
    """A counter loses nothing, a code is used once, a guarantee is not over-reserved, and alerts are seen in their order."""
    times = 12
    with db.write() as connection:
        connection.execute(documents.insert(), document("n", 0))
        connection.execute(codes.insert(), [code(i) for i in range(1, times + 1)])
        GuaranteeStore(db).put(connection, GUARANTEE)
    children = [
        subprocess.Popen(
            [sys.executable, str(CHILD), "together", str(place), str(partition), str(times)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for partition in (0, 1)
    ]
    alerts = AlertStore(db)
    seen: list[tuple[int, str]] = []
    pause = threading.Event()
    while any(child.poll() is None for child in children):
        # one who reads on from the last number must never miss one that was given before it
        seen += [(e.seq, e.alert["id"]) for e in alerts.events_after(seen[-1][0] if seen else 0)]
        pause.wait(0.01)  # the children need the cores
    said = [line.split() for child in children for line in child.communicate(timeout=60)[0].splitlines()]
    seen += [(e.seq, e.alert["id"]) for e in alerts.events_after(seen[-1][0] if seen else 0)]

    def total(word: str) -> int:
        return sum(int(n) for w, n in said if w == word)

    with db.read() as connection:
        assert connection.execute(sa.select(documents.c.version)).scalar() == total("counted") == 4 * times
        assert total("used") == times
        uses = list(connection.execute(sa.select(code_uses.c.code_id)).scalars())
        assert sorted(uses) == list(range(1, times + 1))
        assert connection.execute(sa.select(sa.func.count()).select_from(scans)).scalar() == 2 * times
        head = GuaranteeStore(db).get(connection, "G")
        assert head is not None
        assert head.reserved == total("reserved") * Decimal("7.01") == Decimal("98.14")
        assert head.available < Decimal("7.01")
    assert total("detected") == 2 * times
    numbers = [n for n, _ in seen]
    assert numbers == sorted(set(numbers))
    acted = 2 * (times // 5)
    assert numbers[-1] == 4 * times + acted == AlertStore(db).last_event_seq()
    assert {i for _, i in seen} == {
        f"{p}-{n}-{i}" for p in (0, 1) for n in range(1, times + 1) for i in (0, 1)
    }
    for store in [alerts, AlertStore(db)] if db.shared else [AlertStore(db)]:
        assert store.counts().by_state == {"raised": 4 * times - acted, "acknowledged": acted}
    assert [AlertStore(db, p).offset() for p in (0, 1, 2)] == [times, times, 0]


def test_other_locks_do_not_wait_for_the_writer(database):
    """A partition's rows are written beside the writer, and two with one name one after the other."""
    db = Database(database, "main", tables.main_metadata)
    order = []

    def write(lock, name):
        with db.write(lock) as connection:
            order.append(name)
            connection.execute(documents.insert(), document(name))

    with db.write():
        for lock in ("partition 1", None):
            thread = threading.Thread(target=write, args=(lock, str(lock)))
            thread.start()
            thread.join(20)
            assert not thread.is_alive()
        waiting = threading.Thread(target=write, args=("writer", "other"))
        waiting.start()
        order.append("first")
    waiting.join(20)
    assert order == ["partition 1", "None", "first", "other"]
    db.close()


def test_a_store_of_a_newer_version_is_refused_and_let_alone(place, db):
    versions = "alembic_version_main" if isinstance(place, str) else "alembic_version"
    with db.write() as connection:
        connection.exec_driver_sql(f"UPDATE {versions} SET version_num = 'main_9999'")
    for _ in range(2):
        with pytest.raises(FolderRefused, match="written by a newer Cocket"):
            Database(place, "main", tables.main_metadata)


def test_both_branches_live_in_one_database_and_say_what_the_code_says(database):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    for branch, metadata in (("main", tables.main_metadata), ("log", tables.log_metadata)):
        db = Database(database, branch, metadata)
        with db.read() as connection:
            mine = {
                "compare_type": False,
                "include_object": lambda _, name, kind, *__: kind != "table" or name in metadata.tables,  # noqa: B023
            }
            assert compare_metadata(MigrationContext.configure(connection, opts=mine), metadata) == []
            narrow = (
                "SELECT table_name, column_name FROM information_schema.columns WHERE data_type = 'integer'"
            )
            assert connection.exec_driver_sql(narrow + " AND table_schema = 'public'").all() == []
        assert db.integrity() == []
        db.close()


def test_several_that_start_at_once_migrate_once(postgres):
    url = postgres.create_database("fresh")
    children = [
        subprocess.Popen([sys.executable, str(CHILD), "open", url], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [child.communicate(timeout=60)[0] for child in children] == ["opened\n"] * 2


def test_text_that_cannot_be_kept_is_refused_and_the_connection_still_good(database):
    db = Database(database, "main", tables.main_metadata)
    for wrong in (document("a\0b"), document("a\ud800"), document("c", note="x\0y")):
        with pytest.raises((Refused, sa.exc.StatementError)) as told, db.write() as connection:
            connection.execute(documents.insert(), wrong)
        assert "does not keep" in str(told.value)
    with db.write() as connection:
        connection.execute(documents.insert(), document("good"))
    assert ids(db) == ["good"]
    db.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda u: u.rsplit("/", 1)[0], "has to read"),
        (lambda u: u + "?colour=red", "colour"),
        (lambda u: u.rsplit("/", 1)[0] + "/nowhere", "nowhere"),
        (lambda u: u.replace("//cocket:", "//cocket:not-"), "lets us not in"),
        (lambda u: u.replace("postgresql://", "postgresql+psycopg2://"), "has to read"),
        (lambda u: u + "?sslmode=perhaps", "sslmode"),
    ],
)
def test_a_wrong_address_is_named_without_its_password(postgres, new_database, change, said):
    url = new_database()
    with pytest.raises(BadSetting) as told:
        Database(change(url), "main", tables.main_metadata)
    assert said in str(told.value)
    error: BaseException | None = told.value
    while error is not None:
        assert postgres.password not in repr(error) + str(error)
        error = error.__cause__


def test_a_database_that_sorts_otherwise_is_refused(postgres):
    postgres.run("CREATE DATABASE other TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(BadSetting, match="LOCALE 'C'"):
        Database(postgres.url("other"), "main", tables.main_metadata)
