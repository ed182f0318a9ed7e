"""The log: durable, checked, in order, and nothing vanishes."""

from __future__ import annotations

import sqlite3
from collections import deque
from contextlib import contextmanager

import numpy as np
import pytest
from sqlalchemy.exc import OperationalError

from cocket.core.batch import Batch, Texts
from cocket.core.errors import CocketError, DataDamaged, Malformed, NotFound
from cocket.store.folder import DataFolder
from cocket.store.log import Quarantined, Totals, prepare


def refused(row: int, rule: str = "range") -> Quarantined:
    return Quarantined(5, "http", row, "lat_deg", rule, "91 is above 90", b'{"lat_deg": 91}\xff')


def test_what_is_appended_is_read_back_in_order(folder, make_batch, rows_of):
    batches = [make_batch(50, seed) for seed in range(4)]
    offsets = [folder.log.append(b, received_us=seed) for seed, b in enumerate(batches)]
    assert offsets == [1, 2, 3, 4]
    assert folder.log.append_tick(99) == 5
    read = folder.log.read(0)
    assert [e.offset for e in read] == [1, 2, 3, 4, 5]
    assert [e.received_us for e in read] == [0, 1, 2, 3, 99]
    assert [rows_of(e.batch) for e in read[:4]] == [rows_of(b) for b in batches]
    assert (read[4].kind, read[4].tick_us, read[4].batch, read[4].n) == ("tick", 99, None, 0)
    assert [e.offset for e in folder.log.read(3)] == [4, 5]


def test_read_stops_at_about_max_rows_but_gives_one_entry_at_least(folder, make_batch):
    for seed in range(5):
        folder.log.append(make_batch(10, seed), received_us=0)
    assert [e.offset for e in folder.log.read(0, max_rows=1)] == [1]
    assert [e.offset for e in folder.log.read(1, max_rows=20)] == [2, 3]
    assert folder.log.rows_after(2) == 30


def test_sums_account_for_every_row_and_survive_reopening_and_trimming(tmp_path, make_batch):
    folder = DataFolder.open(tmp_path)
    folder.log.append(make_batch(10, 1), received_us=0, duplicates=3, rejects=[refused(0), refused(4)])
    assert folder.log.append(None, received_us=0, duplicates=2, rejects=[refused(1)]) == 1
    assert folder.log.append(Batch(0, {}), received_us=0, duplicates=1) == 1
    assert folder.log.totals() == Totals(10, 6, 3)
    folder.log.append_tick(7)
    folder.history.compact(2)
    folder.log.trim(2)
    folder.close()
    folder = DataFolder.open(tmp_path)
    assert folder.log.totals() == Totals(10, 6, 3)
    assert (folder.log.first_offset(), folder.log.last_offset()) == (3, 2)
    assert folder.log.append(make_batch(1, 2), received_us=0) == 3
    folder.close()


def test_log_is_trimmed_only_behind_history(folder, make_batch):
    for seed in range(4):
        folder.log.append(make_batch(10, seed), received_us=0)
    folder.history.compact(2)
    with pytest.raises(ValueError, match="up to 2"):
        folder.log.trim(3)
    folder.log.trim(2)
    assert [e.offset for e in folder.log.read(0)] == [3, 4]
    assert folder.log.first_offset() == 3


def test_quarantine_keeps_raw_bytes_and_never_lets_go(folder):
    folder.log.append(
        None, received_us=0, rejects=[refused(i, "range" if i % 2 else "type") for i in range(5)]
    )
    first, cursor = folder.log.quarantined(2)
    assert [r["row"] for r in first] == [4, 3]
    rest, end = folder.log.quarantined(10, cursor)
    assert ([r["row"] for r in rest], end) == ([2, 1, 0], None)
    assert [r["row"] for r in folder.log.quarantined(9, rule="range")[0]] == [3, 1]
    number = first[0]["id"]
    assert folder.log.quarantined_row(number)["raw"] == b'{"lat_deg": 91}\xff'
    folder.log.settle_quarantined(number, "replayed")
    assert folder.log.quarantined_row(number)["state"] == "replayed"
    assert len(folder.log.quarantined(9, state="held")[0]) == 4
    assert folder.log.quarantined_row(99) is None
    with pytest.raises(NotFound):
        folder.log.settle_quarantined(99, "discarded")
    with pytest.raises(Malformed):
        folder.log.quarantined(9, "x")


@pytest.mark.parametrize(
    "harm",
    [
        "update entries set blob = cast(substr(blob, 1, 40) || x'00' || substr(blob, 42) as blob) where \"offset\" = 2",
        'update entries set blob = substr(blob, 1, length(blob) - 1) where "offset" = 2',
        'update entries set n = n + 1 where "offset" = 2',
        'update entries set received_us = received_us + 1 where "offset" = 2',
        "update entries set kind = 'tick' where \"offset\" = 2",
        'update entries set checksum = (select checksum from entries where "offset" = 1) where "offset" = 2',
        'update entries set blob = (select blob from entries where "offset" = 1), n = 20, checksum = (select checksum from entries where "offset" = 1) where "offset" = 2',
    ],
)
def test_an_altered_entry_is_named_and_never_used(folder, make_batch, harm):
    for seed in range(3):
        folder.log.append(make_batch(20, seed), received_us=0)
    with sqlite3.connect(folder.path / "log.sqlite") as other:
        other.execute(harm)
    assert len(folder.log.read(0, max_rows=1)) == 1
    with pytest.raises(DataDamaged, match="offset 2"):
        folder.log.read(1)
    assert any("offset 2" in what for what in folder.log.damage())
    path = folder.path
    folder.close()
    with pytest.raises(DataDamaged, match="offset 2"):
        DataFolder.open(path)


def test_a_missing_entry_is_named(folder, make_batch):
    for seed in range(3):
        folder.log.append(make_batch(5, seed), received_us=0)
    with sqlite3.connect(folder.path / "log.sqlite") as other:
        other.execute('delete from entries where "offset" = 2')
    assert folder.log.damage() == [f"log entries 2 to 2 are missing in {folder.path / 'log.sqlite'}"]
    folder.close()
    with pytest.raises(DataDamaged, match="entries 2 to 2 are missing"):
        DataFolder.open(folder.path)


def failing(folder: DataFolder, *, kept: bool):
    """Make the next write fail, before its commit or after it."""
    true_write = folder.log._db.write

    @contextmanager
    def write():
        folder.log._db.write = true_write
        with true_write() as connection:
            yield connection
            if not kept:
                raise OperationalError("commit", None, sqlite3.OperationalError("disk I/O failure"))
        raise OperationalError("commit", None, sqlite3.OperationalError("disk I/O failure"))

    folder.log._db.write = write


@pytest.mark.parametrize("kept", [False, True])
def test_a_failed_append_is_nothing_or_all(folder, make_batch, rows_of, kept):
    from cocket.core.keys import observation_keys

    batch = make_batch(30, 1)
    keys = observation_keys(batch)
    distinct = len(set(keys.tolist()))
    folder.seen.fold(batch.array("observed_us"), keys)
    failing(folder, kept=kept)
    with pytest.raises(OperationalError):
        folder.log.append(batch, received_us=0, duplicates=1, rejects=[refused(0)], keys=keys)
    folder.seen.rollback()
    assert folder.log.totals() == (Totals(30, 1, 1) if kept else Totals(0, 0, 0))
    assert folder.history.tail.rows == (30 if kept else 0)
    # the client sends again: what was kept folds, what was not is new
    again = folder.seen.fold(batch.array("observed_us"), keys)
    assert int((~again).sum()) == (0 if kept else distinct)
    assert folder.log.append(make_batch(1, 2), received_us=0) == (2 if kept else 1)
    assert [e.offset for e in folder.log.read(0)] == ([1, 2] if kept else [1])


def test_a_full_disk_says_so(folder, make_batch):
    with folder.log._db.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    import sqlalchemy as sa

    def cap(dbapi, _record):
        dbapi.execute(f"PRAGMA max_page_count = {pages}")

    folder.log._db.engine.dispose()
    sa.event.listen(folder.log._db.engine, "connect", cap)
    batches = [make_batch(2000, seed) for seed in range(40)]
    with pytest.raises(CocketError, match="disk is full"):
        deque((folder.log.append(batch, received_us=0) for batch in batches), maxlen=0)
    assert folder.log.totals().observations == sum(e.n for e in folder.log.read(0, 10**9))


def test_entries_do_not_carry_the_whole_table_of_a_shared_text_column(folder):
    names = [f"device-{i}" for i in range(50_000)]
    batch = Batch(
        3,
        {
            "device_id": Texts(np.array([40_000, 7, 40_000], np.int32), names),
            "card_id": Texts(np.array([-1, 49_999, -1], np.int32), names),
            "observed_us": np.array([1, 2, 3]),
        },
    )
    assert len(prepare(batch).blob) < 2000
    folder.log.append(prepare(batch), received_us=0)
    read = folder.log.read(0)[0].batch
    assert read.texts("device_id").to_list() == ["device-40000", "device-7", "device-40000"]
    assert read.texts("card_id").to_list() == [None, "device-49999", None]
