"""Leases over a real PostgreSQL: prolonging waits for nobody, taking over waits for whoever is still writing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from cocket.store import leases as store
from cocket.store import tables
from cocket.store.database import Database
from cocket.store.leases import Fenced, Leases


@pytest.fixture
def db(database: str) -> Iterator[Database]:
    opened = Database(database, "main", tables.main_metadata)
    store.partitions(opened, 4)
    yield opened
    opened.close()


def test_a_lease_is_prolonged_while_what_it_fences_is_under_way(db: Database) -> None:
    one = Leases(db, "one", "here", "1", 30)
    held = one.beat({}).taken
    fence = one.fence(2, held[2])
    with db.write(lock="a line") as connection:
        fence(connection)
        done = threading.Event()
        beating = threading.Thread(target=lambda: (one.beat(held), done.set()))
        beating.start()
        assert done.wait(20), "the beat waits for the line's transaction"
        fence(connection)  # and the fence for no beat
    beating.join()
    assert sorted(one.beat(held).held) == [0, 1, 2, 3]


def test_who_takes_over_waits_for_what_is_being_written_and_no_more_is_written_then(db: Database) -> None:
    one, other = Leases(db, "one", "here", "1", 0.2), Leases(db, "other", "here", "1", 30)
    held = one.beat({}).taken
    fence = one.fence(1, held[1])
    taken: dict[int, int] = {}
    with db.write(lock="a line") as connection:
        fence(connection)
        time.sleep(0.5)  # the lease runs out
        taking = threading.Thread(target=lambda: taken.update(other.beat({}).taken))
        taking.start()
        taking.join(1.5)
        assert taking.is_alive(), "the partition was taken from under a transaction that had passed the fence"
    taking.join(20)
    assert taken == {p: epoch + 1 for p, epoch in held.items()}
    with pytest.raises(Fenced, match="epoch 2"), db.write(lock="a line") as connection:
        fence(connection)
    assert one.beat(held).lost == [0, 1, 2, 3]
