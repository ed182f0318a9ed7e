"""A PostgreSQL server that dies, stands still, fills up or is damaged: what was acknowledged is kept, and it is said in words."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from cocket.core.errors import BadSetting, Busy, CocketError, DataDamaged, Unavailable, Unsure
from cocket.store import postgresql, tables
from cocket.store.alerts import AlertStore
from cocket.store.database import Database
from cocket.store.servers import PostgresServer
from cocket.store.tables import documents

CHILD = Path(__file__).with_name("writer.py")


@pytest.fixture(scope="module")
def own():
    """A server to kill."""
    memory = Path("/dev/shm")
    there = memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30
    place = Path(tempfile.mkdtemp(prefix="cocket-own-", dir=memory if there else None))
    place.chmod(0o755)
    server = PostgresServer(place / "server", options={"shared_buffers": "32MB"})
    try:
        server.start()
    except BadSetting as error:
        pytest.skip(str(error))
    yield server
    server.stop(at_once=True)
    shutil.rmtree(place)


@pytest.fixture
def db(own):
    own.start()
    own.drop_database("lost")
    opened = Database(own.create_database("lost"), "main", tables.main_metadata)
    yield opened
    opened.close()


def child(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), *arguments], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )


def stored(db: Database) -> dict[str, set[str]]:
    with db.read() as connection:
        rows = connection.execute(sa.select(documents.c.kind, documents.c.id)).all()
    return {kind: {r.id for r in rows if r.kind == kind} for kind in ("zone", "office")}


def test_killed_in_the_middle_of_writes_it_keeps_what_it_acknowledged(own, db):
    """SIGKILL to every process of the server, again and again, while two processes write: they go on by themselves."""
    url = own.url("lost")
    writers = [child("append", url, name) for name in "ab"]
    told: dict[str, set[str]] = {"kept": set(), "unsure": set(), "lost": set()}
    fresh = threading.Event()

    def listen(process: subprocess.Popen[str]) -> None:
        for line in process.stdout:
            word, doc_id = line.split()
            told[word].add(doc_id)
            if word == "kept":
                fresh.set()

    listeners = [threading.Thread(target=listen, args=(w,), daemon=True) for w in writers]
    for listener in listeners:
        listener.start()
    try:
        for _ in range(4):
            for _ in range(12):
                fresh.clear()
                assert fresh.wait(60), "nobody gets anything kept"
            while {i[0] for i in told["kept"].copy()} != {"a", "b"}:
                fresh.clear()
                assert fresh.wait(60), "one of the two gets nothing kept"
            own.kill()
            own.start()
        fresh.clear()
        assert fresh.wait(60), "after the last kill nothing is kept"
    finally:
        for writer in writers:
            writer.kill()
    for listener in listeners:
        listener.join(20)
    found = stored(db)
    assert found["zone"] == found["office"], "half of a write was kept"
    assert told["kept"] <= found["zone"]
    assert not told["lost"] & found["zone"]
    mute = {max(i for s in told.values() for i in s if i[0] == name) for name in "ab"}
    after = {f"{last[0]}{int(last[1:]) + 1:06d}" for last in mute}
    assert found["zone"] - told["kept"] <= told["unsure"] | after
    assert told["lost"], "no kill met a writer: the test shows nothing"
    assert db.integrity() == []


def test_without_the_server_it_is_unavailable_in_words_and_works_again_by_itself(own, db):
    alerts = AlertStore(db)
    with db.write() as connection:
        connection.execute(documents.insert(), row("before"))
    own.kill()
    for ask in (lambda: stored(db), alerts.offset, alerts.counts, lambda: alerts.apply([], 1, at_us=0)):
        with pytest.raises(Unavailable, match="does not answer") as told:
            ask()
        assert own.password not in str(told.value)
        assert f"127.0.0.1:{own.port}/lost" in str(told.value)
    with pytest.raises(Unavailable, match="does not answer"):
        Database(own.url("lost"), "main", tables.main_metadata)
    own.start()
    assert stored(db)["zone"] == {"before"}
    assert alerts.apply([], 2, at_us=0) == []
    assert alerts.offset() == 2


def test_a_server_that_is_restarted_costs_nobody_a_call(own, db):
    for _ in range(3):
        with db.read() as connection:
            connection.execute(sa.select(documents.c.id)).all()
    own.stop()
    own.start()
    with db.write() as connection:
        connection.execute(documents.insert(), row("after"))
    assert stored(db)["zone"] == {"after"}


def test_a_connection_lost_in_a_write_undoes_it_and_in_its_commit_is_unsure(own, db):
    def cut(connection: sa.Connection) -> None:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        own.run(f"SELECT pg_terminate_backend({pid}, 10000)")

    def lose_in_the_middle() -> None:
        with db.write() as connection:
            connection.execute(documents.insert(), row("a"))
            cut(connection)
            connection.execute(documents.insert(), row("b"))

    def lose_at_the_end() -> None:
        with db.write() as connection:
            connection.execute(documents.insert(), row("a"))
            cut(connection)

    with pytest.raises(Unavailable, match="nothing of this was kept") as told:
        lose_in_the_middle()
    assert not isinstance(told.value, Unsure)
    with pytest.raises(Unsure, match="may have been kept or not"):
        lose_at_the_end()
    assert stored(db)["zone"] == set()


def test_who_stands_still_inside_a_write_is_cut_off_and_cannot_write_when_it_wakes(own, db, monkeypatch):
    """A process is stopped (SIGSTOP) while it holds the writer's lock; another takes over; the first finds its write undone."""
    sleeper = child("hold", own.url("lost"))
    assert sleeper.stdout.readline() == "holding\n"
    os.kill(sleeper.pid, signal.SIGSTOP)
    with db.write() as connection:  # waits until the server has cut the other off
        connection.execute(documents.insert(), row("mine"))
    os.kill(sleeper.pid, signal.SIGCONT)
    said, _ = sleeper.communicate("\n", timeout=60)
    assert "kept\n" not in said
    assert "does not answer" in said or "may have been kept or not" in said
    assert stored(db)["zone"] == {"mine"}


def test_who_waits_too_long_for_its_turn_is_told_so(own, db, monkeypatch):
    monkeypatch.setattr(postgresql, "_SESSION", postgresql._SESSION.replace("30s", "100ms"))
    other = Database(own.url("lost"), "main", tables.main_metadata)
    with db.write(), pytest.raises(Busy, match="another writer was in the way"), other.write():
        pass
    with other.write() as connection:
        connection.execute(documents.insert(), row("then"))
    other.close()


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("53100", CocketError, "disk is full"),
        ("25006", Unavailable, "takes no writes"),
        ("XX001", DataDamaged, "is damaged"),
        ("58030", DataDamaged, "is damaged"),
        ("40P01", Busy, "try again"),
        ("57P03", Unavailable, "does not answer"),
        ("53300", Unavailable, "does not answer"),
    ],
)
def test_what_the_server_says_is_told_with_what_to_do(db, code, error, said):
    def fail() -> None:
        with db.write() as connection:
            connection.execute(documents.insert(), row("a"))
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'boo' USING ERRCODE = '{code}'; END $$")

    with pytest.raises(error, match=said) as told:
        fail()
    assert type(told.value) is error
    assert stored(db)["zone"] == set()


def test_a_flipped_bit_is_found_named_and_never_used(own, db):
    with db.write() as connection:
        connection.execute(documents.insert(), [row(f"z{n:04d}") for n in range(500)])
    own.run("CHECKPOINT")
    with db.read() as connection:
        file = own.data / connection.exec_driver_sql("SELECT pg_relation_filepath('documents')").scalar()
    own.stop()
    page = bytearray(file.read_bytes())
    page[8192 + 4000] ^= 1
    file.write_bytes(page)
    own.start()
    with pytest.raises(DataDamaged, match="restore from a backup"):
        stored(db)
    assert any("table documents" in what for what in db.integrity())


def row(doc_id: str) -> dict[str, object]:
    return {"kind": "zone", "id": doc_id, "doc": {}, "version": 1, "changed_at_us": 0, "changed_by": "ana"}


def test_a_server_ends_with_the_process_that_started_it():
    """Killed, that process can end nothing itself; the server lets go of its folder all the same."""
    place = Path(tempfile.mkdtemp(prefix="cocket-own-"))
    place.chmod(0o755)
    code = f"""
import os, signal
from pathlib import Path
from cocket.store.servers import PostgresServer
server = PostgresServer(Path({str(place / "server")!r}))
server.start()
print(server.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout
    port = int(said)
    pause = threading.Event()
    for _ in range(3000):
        if not (place / "server" / "cluster" / "postmaster.pid").exists():
            break
        pause.wait(0.01)
    again = PostgresServer(place / "server", port=port)
    again.start()
    assert again.run("SELECT 1") == [[1]]
    again.stop(at_once=True)
    shutil.rmtree(place)
