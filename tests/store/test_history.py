"""History: files and tail together against a plain list; damage named; nothing counts that is not registered."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.core.batch import concat
from cocket.core.errors import DataDamaged
from cocket.core.keys import observation_keys
from cocket.store import history as history_module
from cocket.store import parquet
from cocket.store.folder import DataFolder

T0 = 1_790_000_000_000_000
HOUR = 3_600_000_000
EVER = 2**62


def fill(folder, make_batch, entries=6, n=60):
    batches = [make_batch(n, seed) for seed in range(entries)]
    for seed, batch in enumerate(batches):
        folder.log.append(batch, received_us=seed)
    return batches


def expected(batches, wanted):
    """(device, time, sequence, key) of every row that a span covers, sorted, from plain lists."""
    whole = concat(batches)
    found = []
    for i, key in enumerate(observation_keys(whole).tolist()):
        row = whole.row(i)
        if any(d == row["device_id"] and a <= row["observed_us"] < b for d, a, b in wanted):
            found.append((row["device_id"], row["observed_us"], row.get("sequence", -1), key))
    return sorted(found)


def told(rows):
    return [
        (row["device_id"], row["observed_us"], row.get("sequence", -1), key)
        for row, key in zip(map(rows.batch.row, range(rows.batch.n)), rows.keys.tolist(), strict=True)
    ]


SPAN = st.tuples(
    st.sampled_from([f"d{i:02d}é" for i in range(8)]), st.integers(-10, 190), st.integers(0, 120)
).map(lambda s: (s[0], T0 + s[1] * 60_000_000, T0 + (s[1] + s[2]) * 60_000_000))


@pytest.fixture(scope="module")
def states(tmp_path_factory, make_batch):
    """The same observations: all in the tail; partly in files; in many files, merged, in tiny row groups; reopened."""
    batches = [make_batch(60, seed) for seed in range(18)]
    folders = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "GROUP_ROWS", 16)
        patch.setattr(history_module, "FILE_ROWS", 100)
        patch.setattr("cocket.store.tail.CHUNK_ROWS", 50)
        for state in ("tail", "half", "merged", "reopened"):
            folder = DataFolder.open(tmp_path_factory.mktemp(state))
            for seed, batch in enumerate(batches):
                folder.log.append(batch, received_us=seed)
                if state in {"merged", "reopened"} and seed < 15:
                    folder.history.compact(seed + 1)
            if state == "half":
                folder.history.compact(9)
                folder.log.trim(9)
            if state in {"merged", "reopened"}:
                assert folder.history.merge() > 0
                folder.log.trim(folder.history.compacted_offset)
            if state == "reopened":
                path = folder.path
                folder.close()
                folder = DataFolder.open(path)
            folders.append(folder)
        yield batches, folders
    for folder in folders:
        folder.close()


def test_the_states_are_what_they_say(states):
    _, (tail, half, merged, reopened) = states
    assert [len(f.history.files) for f in (tail, half)] == [0, 4]
    assert [f.level for f in merged.history.files] == [f.level for f in reopened.history.files]
    assert {f.level for f in merged.history.files} == {0, 1}


@settings(max_examples=15, deadline=None)
@given(st.lists(SPAN, max_size=12))
def test_find_agrees_with_a_plain_list_whatever_is_where(states, wanted):
    batches, folders = states
    want = expected(batches, wanted)
    for folder in folders:
        assert told(folder.history.find(wanted)) == want


@pytest.mark.parametrize("which", range(4))
def test_a_row_comes_back_whole(states, rows_of, which):
    batches, folders = states
    wanted = [(f"d{i:02d}é", -EVER, EVER) for i in range(7)]
    found = folders[which].history.rows(wanted)
    assert sorted(map(repr, rows_of(found))) == sorted(map(repr, rows_of(concat(batches))))


@pytest.mark.parametrize("which", range(4))
def test_find_as_the_log_stood(states, which):
    batches, folders = states
    wanted = [("d03é", -EVER, EVER)]
    for upto in (0, 4, 9, 11, 18):
        found = folders[which].history.find(wanted, upto_offset=upto, columns=["lat_deg"])
        assert told(found) == (expected(batches[:upto], wanted) if upto else [])
        assert set(found.batch.columns) <= {"device_id", "observed_us", "sequence", "lat_deg"}
        assert bool((found.offsets <= upto).all())


@pytest.mark.parametrize("which", range(4))
def test_sql_sees_files_and_tail_with_every_column(states, which):
    batches, folders = states
    row = (
        folders[which]
        .history.sql(
            "select count(*) n, count(lat_deg) lat, count(distinct key) k, min(observed_us) t, sum(shock_g) s from observations"
        )
        .to_pylist()[0]
    )
    whole = concat(batches)
    assert (row["n"], row["lat"], row["s"]) == (whole.n, int((~np.isnan(whole.array("lat_deg"))).sum()), None)
    assert row["k"] == len(set(observation_keys(whole).tolist()))
    with pytest.raises(Exception, match=r"[Pp]ermission|disabled"):
        folders[which].history.sql("select * from read_csv('/etc/passwd')")


@pytest.mark.parametrize("which", range(4))
def test_keys_of_hours(states, which):
    batches, folders = states
    whole = concat(batches)
    hours = [T0 // HOUR, T0 // HOUR + 2, 5]
    times, keys = folders[which].history.hour_keys(hours)
    every = zip(whole.array("observed_us").tolist(), observation_keys(whole).tolist(), strict=True)
    assert sorted(zip(times.tolist(), keys.tolist(), strict=True)) == sorted(
        (t, k) for t, k in every if t // HOUR in hours
    )


def test_compaction_step_ends_with_an_entry_that_spans_pieces(folder, make_batch, monkeypatch):
    monkeypatch.setattr("cocket.store.tail.CHUNK_ROWS", 50)
    monkeypatch.setattr(history_module, "FILE_ROWS", 70)
    batches = fill(folder, make_batch, entries=5, n=35)
    assert folder.history.compact(99) == 175
    assert folder.history.compacted_offset == 5
    assert len(folder.history.files) > 1
    wanted = [(f"d{i:02d}é", -EVER, EVER) for i in range(7)]
    assert told(folder.history.find(wanted)) == expected(batches, wanted)


def test_ticks_alone_move_the_compacted_offset(folder):
    for i in range(3):
        folder.log.append_tick(i)
    assert folder.history.compact(3) == 0
    assert (folder.history.compacted_offset, folder.history.files) == (3, ())


def test_retention_by_the_later_of_event_time_and_receipt(folder, make_batch):
    old, new = make_batch(50, 0), make_batch(50, 2)
    old.columns["received_us"][:] = T0 - 10 * HOUR  # and event times from T0 on: age counts from these
    new.columns["received_us"][:] = T0 + 100 * HOUR
    new.columns["observed_us"][:5] = 1  # a clock that was never set, received lately
    folder.log.append(old, received_us=0)
    folder.log.append(new, received_us=0)
    folder.history.compact(2)
    limit = T0 + HOUR
    gone = int((old.array("observed_us") < limit).sum())
    wanted = [(f"d{i:02d}é", -EVER, EVER) for i in range(7)]
    assert 0 < gone < 50
    assert folder.history.expire(limit) == gone
    kept = [old.take(old.array("observed_us") >= limit), new]
    assert told(folder.history.find(wanted)) == expected(kept, wanted)
    assert folder.history.expire(T0 + 50 * HOUR) == 50 - gone
    assert folder.history.expire(T0 + 200 * HOUR) == 50
    assert folder.history.files == ()
    assert list(folder.history.folder.glob("*")) == []


def test_every_flipped_byte_of_a_file_is_found_by_verify_and_never_changes_an_answer(folder, make_batch):
    from cocket.store.doctor import verify

    fill(folder, make_batch, entries=2, n=80)
    folder.history.compact(2)
    wanted = [(f"d{i:02d}é", -EVER, EVER) for i in range(7)]
    answer = told(folder.history.find(wanted))
    folder.close()
    path = folder.history.files[0].path
    whole = path.read_bytes()
    facts = folder.history.files[0].facts
    refused = named = 0
    for place in range(0, len(whole), 29):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        file = parquet.HistoryFile(path, 1, 0, facts)
        try:
            parts = [parquet.rows_of(r) for r in file.read(range(len(file.starts())), None)]
        except DataDamaged as error:
            named += str(path) in error.detail
            refused += 1
        else:
            assert sorted(r for p in parts for r in told(p)) == answer
        if place % (29 * 97) == 0:
            assert [f.level for f in verify(folder.path)] == ["damage"]
    assert refused == named
    assert refused > len(whole) // 29 * 0.95
    path.write_bytes(whole)
    assert verify(folder.path) == []


def test_a_torn_or_missing_file_is_named(folder, make_batch):
    fill(folder, make_batch, entries=2)
    folder.history.compact(2)
    path = folder.history.files[0].path
    data = folder.path
    folder.close()
    whole = path.read_bytes()
    wanted = [("d00é", -EVER, EVER)]
    for torn in (whole[: len(whole) // 2], b"", None):
        if torn is None:
            path.unlink()
        else:
            path.write_bytes(torn)
        again = DataFolder.open(data)
        with pytest.raises(DataDamaged, match=path.name):
            again.history.find(wanted)
        with pytest.raises(DataDamaged, match=path.name):
            again.history.sql("select count(*) from observations")
        again.close()


@pytest.mark.parametrize("stop", ["write", "rename", "register"])
def test_a_stop_while_compacting_leaves_what_was(tmp_path, make_batch, monkeypatch, stop):
    from cocket.store.doctor import check

    folder = DataFolder.open(tmp_path)
    batches = fill(folder, make_batch, entries=4)
    wanted = [(f"d{i:02d}é", -EVER, EVER) for i in range(7)]

    class Stopped(BaseException):
        """As a kill: nobody catches it."""

    def die(*_args, **_kwargs):
        raise Stopped

    with monkeypatch.context() as patch:
        if stop == "write":
            patch.setattr(parquet.FileWriter, "close", die)
            patch.setattr(parquet.FileWriter, "abandon", lambda _self: None)
        elif stop == "rename":
            patch.setattr(history_module, "_fsync_folder", die)
        else:
            patch.setattr(folder.history, "_replace", die)
        with pytest.raises(Stopped):
            folder.history.compact(3)
    folder.close()
    folder = DataFolder.open(tmp_path)
    assert (folder.history.compacted_offset, folder.history.files) == (0, ())
    assert told(folder.history.find(wanted)) == expected(batches, wanted)
    left = [f.where for f in check(tmp_path) if "does not count" in f.what]
    assert len(left) == (0 if stop == "write" else 1)  # what was being written aside is cleared at the start
    folder.history.compact(4)
    assert told(folder.history.find(wanted)) == expected(batches, wanted)
    folder.close()


def test_readers_do_not_mind_the_compactor(folder, make_batch, monkeypatch):
    monkeypatch.setattr(history_module, "FILE_ROWS", 300)
    monkeypatch.setattr(history_module, "_FAN", 2)
    wanted = [(f"d{i:02d}é", -EVER, EVER) for i in range(7)]
    done = threading.Event()
    problems: list[BaseException] = []
    acknowledged = [0]

    def read():
        try:
            while not done.is_set():
                before = acknowledged[0]
                n = folder.history.find(wanted).batch.n
                assert before <= n <= acknowledged[0] + 40
        except BaseException as error:  # noqa: BLE001 - told to the test
            problems.append(error)

    def compact():
        try:
            while not done.is_set():
                folder.history.compact(folder.log.last_offset())
                folder.history.merge()
                folder.log.trim(folder.history.compacted_offset)
        except BaseException as error:  # noqa: BLE001 - told to the test
            problems.append(error)

    threads = [threading.Thread(target=work) for work in (read, read, compact)]
    for thread in threads:
        thread.start()
    for seed in range(25):
        folder.log.append(make_batch(40, seed), received_us=seed)
        acknowledged[0] += 40
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert folder.history.find(wanted).batch.n == 1000
    names = {f.path.name for f in folder.history.files}
    assert {p.name for p in folder.history.folder.glob("*")} == names


def test_read_only_stands_still_beside_the_owner(folder, make_batch):
    batches = fill(folder, make_batch, entries=4)
    folder.history.compact(2)
    wanted = [(f"d{i:02d}é", -EVER, EVER) for i in range(7)]
    beside = DataFolder.open(folder.path, read_only=True)
    for seed in range(4, 12):
        folder.log.append(make_batch(60, seed), received_us=0)
        folder.history.compact(seed + 1)
    folder.history.merge()
    folder.log.trim(folder.history.compacted_offset)
    assert told(beside.history.find(wanted)) == expected(batches, wanted)
    beside.close()


def test_recovery_compacts_what_memory_should_not_hold(tmp_path, make_batch, monkeypatch):
    folder = DataFolder.open(tmp_path)
    batches = fill(folder, make_batch, entries=10)
    folder.close()
    monkeypatch.setattr(history_module, "TAIL_ROWS", 200)
    true_read = type(folder.log).read
    monkeypatch.setattr(type(folder.log), "read", lambda self, after: true_read(self, after, 100))
    folder = DataFolder.open(tmp_path)
    assert folder.history.compacted_offset >= 6
    wanted = [(f"d{i:02d}é", -EVER, EVER) for i in range(7)]
    assert told(folder.history.find(wanted)) == expected(batches, wanted)
    folder.close()
