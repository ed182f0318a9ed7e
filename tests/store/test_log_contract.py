"""What a log promises, asked in the same words of SQLite's table and of JetStream's streams, on one node and on three."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.log_places import JetStreamPlace, Place, SqlitePlace, numbered, refused, sequences

from cocket.core.batch import Batch
from cocket.core.errors import CocketError, DataDamaged, Unavailable
from cocket.core.keys import observation_keys
from cocket.store.log import Entry, Log, Totals, prepare
from cocket.store.log_jetstream import JetStreamLog

_sites = itertools.count(1)


@pytest.fixture(
    params=["sqlite", "jetstream on one node, sums in SQLite", "jetstream on three nodes, sums in PostgreSQL"]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made: Place
    if request.param == "sqlite":
        made = SqlitePlace(tmp_path, tmp_path / "log.sqlite")
    else:
        nodes = 1 if "one" in request.param else 3
        where = tmp_path / "log.sqlite" if nodes == 1 else request.getfixturevalue("new_database")()
        made = JetStreamPlace(
            tmp_path, where, request.getfixturevalue("nats_cluster")(nodes), f"contract{next(_sites)}"
        )
    yield made
    made.close()


def rows(log: Log, after: int = 0) -> list[Entry]:
    """The entries that hold something."""
    return [entry for entry in log.read(after, 10**6) if entry.n or entry.kind == "tick"]


def test_what_is_appended_is_read_back_in_order(place, make_batch, rows_of):
    log = place.open()
    start = log.last_offset()
    batches = [make_batch(50, seed) for seed in range(4)]
    offsets = [log.append(b, received_us=seed) for seed, b in enumerate(batches)]
    assert offsets == [start + 1, start + 2, start + 3, start + 4]
    assert log.append_tick(99) == start + 5 == log.last_offset()
    read = log.read(start)
    assert [e.offset for e in read] == list(range(start + 1, start + 6))
    assert [e.received_us for e in read] == [0, 1, 2, 3, 99]
    assert [rows_of(e.batch) for e in read[:4]] == [rows_of(b) for b in batches]
    assert (read[4].kind, read[4].tick_us, read[4].batch, read[4].n) == ("tick", 99, None, 0)
    assert [e.offset for e in log.read(start + 3)] == [start + 4, start + 5]
    assert log.read(log.last_offset()) == []
    assert [e.offset for e in log.read(start + 1, max_rows=1)] == [start + 2]
    assert [e.offset for e in log.read(start + 1, max_rows=100)] == [start + 2, start + 3]
    assert [log.rows_after(start + n) for n in range(6)] == [200, 150, 100, 50, 0, 0]
    assert log.damage() == []


def test_rows_in_are_observations_and_duplicates_and_rejects_after_any_end(place):
    """Closed in good order, or simply left, as a kill leaves it: the sums and the quarantine are those of what was appended."""
    expected = Totals(0, 0, 0)
    for turn in range(3):
        log = place.open()
        assert log.totals() == expected
        first = expected.observations
        log.append(numbered(first), received_us=1, duplicates=3, rejects=[refused(turn), refused(turn + 10)])
        log.append(None, received_us=1, duplicates=2, rejects=[refused(turn + 20)])
        log.append(Batch(0, {}), received_us=1, duplicates=1)
        log.append(numbered(first + 10), received_us=1)
        log.append(None, received_us=1)
        expected = Totals(expected.observations + 20, expected.duplicates + 6, expected.rejected + 3)
        assert log.totals() == expected
        held, _ = log.quarantined(100)
        assert [r["row"] for r in held[:3]] == [turn + 20, turn + 10, turn], "seen as soon as append returns"
        assert held[0]["raw"] == b'{"lat_deg": 91}\xff'
        assert len(held) == expected.rejected
        if turn == 1 and isinstance(log, JetStreamLog):
            log.close()
    log = place.open()
    assert log.totals() == expected
    assert len(log.quarantined(100)[0]) == expected.rejected
    assert sequences(log) == list(range(60))
    assert log.rows_after(0) == 60


def test_log_is_trimmed_only_behind_history_and_no_offset_comes_again(place):
    log = place.open()
    offsets = [log.append(numbered(10 * i), received_us=0, rejects=[refused(i)]) for i in range(4)]
    place.compacted(offsets[1])
    with pytest.raises(ValueError, match=f"up to {offsets[1]}"):
        log.trim(offsets[2])
    log.trim(offsets[1])
    assert [e.offset for e in log.read(0)] == offsets[2:]
    assert log.first_offset() == offsets[2]
    assert [log.rows_after(n) for n in (0, *offsets)] == [20, 20, 20, 10, 0]
    place.compacted(log.last_offset())
    log.trim(log.last_offset())
    assert log.first_offset() == log.last_offset() + 1
    assert log.read(0) == []
    assert log.rows_after(0) == 0
    assert log.damage() == []
    log = place.open()
    assert log.totals() == Totals(40, 0, 4)
    assert len(log.quarantined(100)[0]) == 4
    assert log.append(numbered(40), received_us=0) > offsets[-1]
    assert sequences(log, log.last_offset() - 1) == list(range(40, 50))
    assert log.totals() == Totals(50, 0, 4)


def test_followers_are_told_of_each_entry_before_append_returns(place):
    log = place.open()
    told: list[tuple[int, int, object]] = []
    log.follow(lambda entry, keys: told.append((entry.offset, entry.n, None if keys is None else len(keys))))
    batch = numbered(0)
    first = log.append(prepare(batch, observation_keys(batch)), received_us=0)
    assert told == [(first, 10, 10)]
    log.append_tick(5)
    log.append(numbered(10), received_us=0)
    assert told[1:] == [(first + 1, 0, None), (first + 2, 10, None)]


def test_a_flipped_bit_is_never_used(place):
    """Named where there is one copy; where there are three, the others are read."""
    log = place.open()
    offsets = [log.append(numbered(10 * i), received_us=0) for i in range(4)]
    if isinstance(log, JetStreamLog):
        log.close()
    place.close()
    place.harm(numbered(10))
    copies = place.cluster.replicas if isinstance(place, JetStreamPlace) else 1
    log = place.open()
    if copies == 3:
        for _ in range(8):  # whichever node answers
            assert sequences(log) == list(range(40))
        assert all("one of the servers lacks" in what for what in log.damage())
        return
    with pytest.raises(DataDamaged, match=f"offset {offsets[1]}"):
        log.read(offsets[0])
    assert [f"offset {offsets[1]}" in what for what in log.damage()] == [True]
    assert sequences(log, offsets[1]) == list(range(20, 40))


def test_settles_what_is_unsure(place, monkeypatch):
    """A failure before or after it was stored: once in the log in the end, or not at all, and followers know which."""
    log = place.open()
    told: list[int] = []
    log.follow(
        lambda entry, _: told.extend([] if entry.batch is None else entry.batch.filled("sequence").tolist())
    )
    log.append(numbered(0), received_us=0)
    for turn, kept in enumerate([True, False]):
        fail_next_write(log, monkeypatch, kept=kept)
        with pytest.raises((CocketError, OSError)):
            log.append(numbered(10 + 10 * turn), received_us=0, rejects=[refused(turn)])
        log.settle()
        assert told == sequences(log)
        assert (10 in told) or turn
    known = set(told)
    for first in (10, 20):  # the clients send again, and what is known folds
        if first not in known:
            log.append(numbered(first), received_us=0, rejects=[refused(0)])
    log.append(numbered(30), received_us=0)
    assert sequences(log) == list(range(40)) == told
    assert log.totals() == Totals(40, 0, 2)
    assert len(log.quarantined(100)[0]) == 2


def fail_next_write(log: Log, monkeypatch: pytest.MonkeyPatch, *, kept: bool) -> None:
    """The next write fails, before it is stored or after."""
    if isinstance(log, JetStreamLog):
        true_store = log._stream.store

        async def store(offset: int, payload: bytes) -> None:
            log._stream.store = true_store
            if kept:
                await true_store(offset, payload)
            raise Unavailable("no answer came")

        log._stream.store = store
        return
    from contextlib import contextmanager

    db = log._db
    true_write = db.write

    @contextmanager
    def write(*names):
        db.write = true_write
        with true_write(*names) as connection:
            yield connection
            if not kept:
                raise OSError("before the commit")
        raise OSError("behind the commit")

    db.write = write
