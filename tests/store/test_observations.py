"""History in PostgreSQL: what its transactions, its partitions and its files in a bucket promise."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.histories import DAY, EVER, T0, moto, pg_case

from cocket.core.batch import Batch, Texts
from cocket.core.errors import BadSetting, Busy, DataDamaged, Unavailable
from cocket.core.keys import observation_keys
from cocket.core.schema import COLUMNS, NULL_INT, Kind
from cocket.store.copy_format import copied_columns, copy_body, read_rows
from cocket.store.database import Database
from cocket.store.history_places import Address
from cocket.store.log import Entry
from cocket.store.observation_moves import Mover
from cocket.store.observation_tables import observation_metadata
from cocket.store.rows import Rows

WANTED = [(f"d{i:02d}é", -EVER, EVER) for i in range(7)]


@pytest.fixture
def case(tmp_path, history_database):
    found, close = pg_case(tmp_path, history_database + "?sslmode=disable")
    yield found
    close()


@pytest.fixture(scope="module")
def bucket():
    yield from moto()


@pytest.fixture
def stored(tmp_path, history_database, bucket):
    """A history with files in a bucket."""
    found, close = pg_case(
        tmp_path,
        history_database + "?sslmode=disable",
        objects=f"s3://cocket/{tmp_path.name}?endpoint={bucket}",
        access_key="testing",
        secret_key="testing",
    )
    yield found
    close()


def entry(offset: int, batch: Batch | None, received_us: int = T0) -> Entry:
    return Entry(offset, "observations", batch, None, received_us, 0 if batch is None else batch.n)


def tables(case) -> dict[str, int]:
    """The tables of observations, with their rows."""
    with case.history._db.read() as connection:
        names = connection.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^observations_' ORDER BY 1"
        ).scalars()
        return {
            name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in [*names]
        }


# the format


TEXT = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from('\0\x1a01\\,"{}')), max_size=12)
VALUES = {
    Kind.TEXT: TEXT,
    Kind.INT: st.integers(NULL_INT + 1, 2**63 - 1),
    Kind.TIME: st.integers(NULL_INT + 1, 2**63 - 1),
    Kind.FLOAT: st.floats(allow_nan=False),
    Kind.BOOL: st.integers(0, 1),
}


@st.composite
def batches(draw):
    n = draw(st.integers(1, 6))
    columns = {}
    optional = draw(st.sets(st.sampled_from([c.name for c in COLUMNS if not c.required]), max_size=8))
    for column in COLUMNS:
        if not column.required and column.name not in optional:
            continue
        values = VALUES.get(column.kind, st.integers(0, max(0, len(column.values) - 1)))
        rows = draw(st.lists(values if column.required else st.none() | values, min_size=n, max_size=n))
        if all(v is None for v in rows):
            continue
        if column.kind is Kind.TEXT:
            columns[column.name] = Texts.of(rows)
        elif column.kind is Kind.FLOAT:
            columns[column.name] = np.array([np.nan if v is None else v for v in rows])
        elif column.kind in (Kind.INT, Kind.TIME):
            columns[column.name] = np.array([NULL_INT if v is None else v for v in rows], np.int64)
        else:
            columns[column.name] = np.array([-1 if v is None else v for v in rows], np.int8)
    return Batch(n, columns)


@settings(max_examples=40, deadline=None)
@given(batches(), st.integers(0, 2**31 - 1), st.integers(0, 2**62))
def test_what_goes_out_comes_back(batch, partition, offset):
    keys = observation_keys(batch)
    rows = Rows(batch, keys, np.full(batch.n, offset))
    body = b"".join(copy_body(rows, partition))
    columns = copied_columns(batch)[:-3]
    [(found, partitions)] = read_rows(body, columns)
    assert list(map(repr, map(found.batch.row, range(batch.n)))) == list(
        map(repr, map(batch.row, range(batch.n)))
    )
    assert found.keys.tolist() == keys.tolist()
    assert set(found.offsets.tolist()) == {offset}
    assert set(partitions.tolist()) == {partition}
    with pytest.raises(DataDamaged):
        list(read_rows(body[:-1], columns))


def test_postgresql_reads_the_body_as_we_mean_it(case):
    """The server's own view of each column, by its SQL."""
    batch = Batch(
        2,
        {
            "device_id": Texts.of(["a", "b\0c"]),
            "observed_us": np.array([T0, T0 + 1]),
            "sequence": np.array([NULL_INT, 7]),
            "time_quality": np.array([1, -1], np.int8),
            "lat_deg": np.array([-0.0, np.nan]),
            "locked": np.array([1, 0], np.int8),
            "code": Texts.of(["", None]),
        },
    )
    case.take(batch, partition=5)
    with case.history._db.read() as connection:
        found = connection.exec_driver_sql(
            "SELECT device_id, observed_us, sequence, time_quality, lat_deg::text, locked, code, shock_g, "
            'received_us, partition, "offset", key FROM observations ORDER BY observed_us'
        ).all()
    keys = observation_keys(batch).view(np.int64).tolist()
    assert [tuple(row) for row in found] == [
        ("a", T0, None, "ahead", "-0", True, "", None, T0, 5, 1, keys[0]),
        ("b\x1a0c", T0 + 1, 7, None, None, False, None, None, T0, 5, 1, keys[1]),
    ]


def test_the_table_has_the_columns_of_the_schema(case):
    types = {
        Kind.TEXT: "text",
        Kind.ENUM: "text",
        Kind.INT: "bigint",
        Kind.TIME: "bigint",
        Kind.FLOAT: "double precision",
        Kind.BOOL: "boolean",
    }
    with case.history._db.read() as connection:
        found = connection.exec_driver_sql(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'observations' "
            "ORDER BY ordinal_position"
        ).all()
    assert [tuple(row) for row in found] == [
        *((c.name, types[c.kind]) for c in COLUMNS),
        ("partition", "integer"),
        ("offset", "bigint"),
        ("key", "bigint"),
    ]


def test_the_migration_makes_the_tables_that_the_code_knows(case):
    with case.history._db.read() as connection:
        known = sa.inspect(connection)
        for table in observation_metadata.sorted_tables:
            assert [c["name"] for c in known.get_columns(table.name)] == [c.name for c in table.columns]
            assert {i["name"] for i in known.get_indexes(table.name)} == {i.name for i in table.indexes}


# writing


def test_a_write_is_its_callers_transaction(case, make_batch):
    history = case.history

    def write(fail: bool) -> None:
        with history._db.write(lock=None) as connection:
            assert history.write(connection, 3, [(entry(1, make_batch(20, 1)), None)]) == 20
            if fail:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(fail=True)
    assert (history.find(WANTED).batch.n, history.stored_offset(3)) == (0, 0)
    assert set(tables(case)) == {"observations_rest"}
    write(fail=False)
    assert (history.find(WANTED).batch.n, history.stored_offset(3)) == (20, 1)


def test_an_entry_that_is_there_is_left_out_and_a_tick_moves_the_offset(case, make_batch):
    history = case.history
    first, second = make_batch(20, 1), make_batch(30, 2)
    for entries, rows in (
        ([entry(4, first), entry(9, None)], 20),
        ([entry(4, first), entry(9, None)], 0),
        ([entry(4, first), entry(9, None), entry(11, second)], 30),
    ):
        with history._db.write(lock=None) as connection:
            assert history.write(connection, 0, [(e, None) for e in entries]) == rows
    assert (history.find(WANTED).batch.n, history.stored_offset(0), history.compacted_offset) == (50, 11, 11)
    with (
        pytest.raises(AssertionError, match="order"),
        history._db.write(lock=None) as connection,
    ):
        history.write(connection, 0, [(entry(13, first), None), (entry(12, second), None)])
    with history._db.write(lock=None) as connection:
        history.write(connection, 1, [(entry(2, second), None)])
    assert history.compacted_offset == 2


def test_writers_of_one_partition_queue_and_none_writes_twice(case, make_batch):
    """Two owners of a partition, one of them woken late, write the same log."""
    history = case.history
    batches = [make_batch(10, seed) for seed in range(8)]
    problems = []

    def own():
        try:
            for offset, batch in enumerate(batches, 1):
                history.remember(entry(offset, batch), partition=1)
        except BaseException as error:  # noqa: BLE001 - told to the test
            problems.append(error)

    threads = [threading.Thread(target=own) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert history.find(WANTED).batch.n == 80
    assert history.stored_offset(1) == 8


def test_as_the_logs_stood_in_tables_and_in_files(case, make_batch):
    for seed in range(12):
        case.take(make_batch(20, seed), partition=seed % 3)
    limits = (0, 2, 4, {0: 1}, {0: 0, 1: 2, 2: 9}, {7: 0})
    for _ in range(2):
        for limit in limits:
            case.check(WANTED, limit)
            case.check([("d03é", T0, T0 + DAY // 24)], limit)
        times, keys = case.history.hour_keys([T0 // 3_600_000_000], partition=1)
        assert sorted(keys.tolist()) == sorted(
            key
            for partition, _, row, key in case.given
            if partition == 1 and row["observed_us"] // 3_600_000_000 == T0 // 3_600_000_000
        )
        assert (times // 3_600_000_000 == T0 // 3_600_000_000).all()
        case.clock.us += 10 * DAY
        case.history.compact()
    assert sum(f.facts.rows for f in case.history.files) == 240


# partitions


def test_absurd_times_make_no_partitions(case, make_batch):
    batch = make_batch(400, 1)
    batch.columns["observed_us"] = np.random.default_rng(1).integers(-(2**62), 2**62, 400)
    case.take(batch)
    case.take(make_batch(10, 2))
    assert len(tables(case)) <= 1 + 3 + 2
    case.check()


def test_rows_that_waited_for_their_day_are_moved_when_it_comes(case, make_batch):
    early = make_batch(30, 1)
    early.columns["observed_us"] += 5 * DAY
    case.take(early)
    assert tables(case) == {"observations_rest": 30}
    case.clock.us += 5 * DAY
    later = make_batch(20, 2)
    later.columns["observed_us"] += 5 * DAY
    case.take(later)
    found = tables(case)
    assert found.pop("observations_rest") == 0
    assert sum(found.values()) == 50
    case.check()


def test_late_rows_of_a_day_that_has_moved_are_found_beside_its_file(case, make_batch):
    case.take(make_batch(30, 1))
    case.clock.us += 10 * DAY
    assert case.history.compact() == 30
    case.take(make_batch(30, 2))
    assert tables(case)["observations_rest"] == 30
    case.check()
    assert case.history.compact() == 0
    case.clock.us += 5 * DAY
    assert case.history.compact() == 30
    assert tables(case)["observations_rest"] == 0
    assert len(case.history.files) == 2
    case.check()


def test_one_moves_at_a_time(case, make_batch, monkeypatch):
    case.take(make_batch(30, 1))
    case.clock.us += 10 * DAY
    true = Mover._register
    other = case.reopen()
    monkeypatch.setattr("cocket.store.observation_moves.PATIENCE_MS", 50)

    def meanwhile(self, name, new):
        assert (other.compact(), other.merge()) == (0, 0)
        for forget in (other.expire, other.old):
            with pytest.raises(Busy, match="moved"):
                forget(EVER)
        return true(self, name, new)

    monkeypatch.setattr(Mover, "_register", meanwhile)
    assert case.history.compact() == 30
    case.check()


def test_who_is_overtaken_takes_its_files_back(case, make_batch, monkeypatch):
    """A mover whose session was lost goes on while another has the lock: only one of them lets files count."""
    case.take(make_batch(30, 1))
    case.clock.us += 10 * DAY
    other = case.reopen()

    @contextmanager
    def nobody_asks(_self, **_):
        yield True

    true = Mover._register
    nested = []

    def overtaken(self, name, new):
        if not nested:
            nested.append(1)
            assert other.compact() == 30
        return true(self, name, new)

    monkeypatch.setattr(Mover, "_alone", nobody_asks)
    monkeypatch.setattr(Mover, "_register", overtaken)
    assert case.history.compact() == 0
    case.check()
    assert case.history.strays() == []


def test_a_long_reader_keeps_a_day_from_moving_but_nobody_waits_for_it(case, make_batch):
    case.take(make_batch(30, 1))
    case.clock.us += 10 * DAY
    with case.history._looking():
        assert case.history.compact() == 0
        case.take(make_batch(30, 2))
    case.check()
    assert case.history.compact() == 60
    case.check()


def test_what_is_chosen_leaves_tables_and_files(case, make_batch, monkeypatch):
    """In a file, a table on its way to one, a day, and the rest."""
    monkeypatch.setattr("cocket.store.observation_moves.SLAB_ROWS", 20)
    monkeypatch.setattr("cocket.store.observation_upkeep._DELETED_AT_ONCE", 7)
    case.take(make_batch(60, 1))
    case.clock.us += 10 * DAY
    case.history.compact()
    for days in (0, 5, 30):
        batch = make_batch(60, 2 + days)
        batch.columns["observed_us"] += 10 * DAY - days * DAY
        case.take(batch)
        case.clock.us += 60_000_000
    case.clock.us += 2 * DAY
    with monkeypatch.context() as patch:
        patch.setattr(Mover, "_move", lambda *_: 0)
        case.clock.us += 2 * DAY
        case.history.compact()
    before = len(case.given)
    limit = case.clock.us - 4 * DAY - 60_000_000
    case.expire(limit, whole=False)
    assert 0 < before - len(case.given) < before
    assert case.history.old(limit, lambda b: b.filled("locked") == 0) == before - len(case.given)
    assert case.history.expire(limit, lambda b: b.filled("locked") == 0) == before - len(case.given)
    case.check()
    case.history = case.reopen()
    case.history.compact()
    case.check()


def test_sql_within_a_time_says_which_log_a_row_is_of(case, make_batch, monkeypatch):
    monkeypatch.setattr("cocket.store.observation_moves.SLAB_ROWS", 20)
    case.take(make_batch(30, 1), partition=0)
    case.clock.us += 10 * DAY
    case.history.compact()
    case.take(make_batch(30, 2), partition=7)
    low = T0 + DAY // 48
    query = 'select a."partition", a."offset", count(*) n from observations a join observations b using ("key") group by all'
    found = case.history.sql(query, to_us=low).to_pylist()
    assert {(r["partition"], r["offset"]): r["n"] for r in found} == Counter(
        (partition, offset) for partition, offset, row, _ in case.given if row["observed_us"] < low
    )


# the bucket


def _objects(case):
    fs, prefix = case.history.place._fs, case.history.place._key("")
    return fs, [f"{prefix}/{name}" for name in case.history.place.names()]


def test_a_damaged_a_torn_and_a_lost_object_are_named(stored, make_batch):
    stored.take(make_batch(400, 1))
    stored.clock.us += 10 * DAY
    assert stored.history.compact() == 400
    stored.check()
    fs, [key] = _objects(stored)
    with fs.open_input_stream(key) as stream:
        whole = stream.read()
    name = key.rsplit("/", 1)[1]
    refused = 0
    places = range(5, len(whole), len(whole) // 7)
    for damaged in (
        *(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :] for i in places),
        whole[: len(whole) // 2],
        whole + b"x",
        b"",
        None,
    ):
        if damaged is None:
            fs.delete_file(key)
        else:
            with fs.open_output_stream(key) as sink:
                sink.write(damaged)
        stored.history = stored.reopen()
        with pytest.raises(DataDamaged, match=name):
            stored.history.find(WANTED)
        with pytest.raises(DataDamaged, match=name):
            stored.history.sql("select 1 from observations")
        with pytest.raises(DataDamaged, match=name):
            stored.history.expire(T0 + DAY // 24)
        [found] = stored.history.findings(deep=True)
        assert (found.level, found.where.rsplit("/", 1)[1]) == ("damage", name)
        assert "400 observations" in found.what
        refused += 1
    with fs.open_output_stream(key) as sink:
        sink.write(whole)
    stored.history = stored.reopen()
    stored.check()
    assert list(stored.history.findings(deep=True)) == []
    assert refused >= 11


def test_an_object_that_goes_while_it_is_held_open_is_named(stored, make_batch):
    stored.take(make_batch(40, 1))
    stored.clock.us += 10 * DAY
    stored.history.compact()
    stored.check()
    fs, [key] = _objects(stored)
    fs.delete_file(key)
    with pytest.raises(DataDamaged, match="missing"):
        stored.history.find(WANTED)


def test_an_upload_that_does_not_keep_what_was_written_does_not_count(stored, make_batch, monkeypatch):
    stored.take(make_batch(40, 1))
    stored.clock.us += 10 * DAY
    kind = type(stored.history.place)
    with monkeypatch.context() as patch:
        patch.setattr(kind, "checksum", lambda *_: b"other")
        with pytest.raises(Unavailable, match="did not keep"):
            stored.history.compact()
    assert (stored.history.files, stored.history.place.names()) == ((), [])
    stored.check()
    assert stored.history.compact() == 40
    stored.check()


def test_a_store_that_does_not_answer_is_no_damage(
    tmp_path, history_database, make_batch, bucket, monkeypatch
):
    from moto.server import ThreadedMotoServer

    del bucket  # imported and warm
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    server.stop()
    case, close = pg_case(
        tmp_path,
        history_database + "?sslmode=disable",
        objects=f"s3://cocket/x?endpoint=http://{host}:{port}",
        access_key="testing",
        secret_key="testing",
    )
    case.take(make_batch(40, 1))
    case.clock.us += 10 * DAY
    with pytest.raises(Unavailable, match=str(port)):
        case.history.compact()
    case.check()
    case.take(make_batch(40, 2))
    case.check()
    close()


def test_files_stay_where_they_were_put_when_the_setting_changes(stored, make_batch, bucket):
    stored.take(make_batch(40, 1))
    stored.clock.us += 10 * DAY
    stored.history.compact()
    history = stored.history
    from cocket.store.observations import PgHistory

    for objects in (f"s3://cocket/other?endpoint={bucket}", f"s3://cocket?endpoint={bucket}"):
        moved = PgHistory(
            history.folder,
            history._db,
            stored.clock,
            hot_days=3,
            objects=objects,
            access_key="testing",
            secret_key="testing",
        )
        stored.history = moved
        stored.take(make_batch(40, 2))
        stored.clock.us += 10 * DAY
        assert moved.compact() == 40
        stored.check()
        assert moved.strays() == []
    assert len({f.where.rsplit("/", 1)[0] for f in moved.files}) == 3
    assert list(moved.findings(deep=True)) == []
    assert moved.merge() == 0


def test_addresses():
    full = Address.of("s3://b/p/q/?endpoint=https://h:9&region=eu-1")
    assert (full.bucket, full.prefix, full.endpoint, full.region) == ("b", "p/q", "https://h:9", "eu-1")
    assert full.place == "s3://b/p/q"
    assert Address.of("s3://b").place == "s3://b"
    for wrong in ("/data", "http://b/p", "s3://", "s3://b?endpoint=h:9", "s3://b?key=1", "s3://a:secret@b"):
        with pytest.raises(BadSetting, match=r"history\.objects") as told:
            Address.of(wrong)
        assert "secret" not in str(told.value)


def test_a_second_process_sees_what_the_first_wrote(case, history_database, make_batch, tmp_path):
    from cocket.store.observations import PgHistory

    case.take(make_batch(40, 1))
    db = Database(history_database + "?sslmode=disable", "observations", observation_metadata, read_only=True)
    beside = PgHistory(tmp_path, db, case.clock, hot_days=3)
    assert beside.find(WANTED).batch.n == 40
    case.clock.us += 10 * DAY
    case.history.compact()
    assert beside.find(WANTED).batch.n == 40
    assert [f.path.name for f in beside.files] == [f.path.name for f in case.history.files]
    db.close()


def test_when_each_device_was_last_heard_is_found_without_reading_every_row(case):
    """A hundred thousand rows of a hundred devices over three days; of every tenth device the newest row does not count."""
    from cocket.store.newest import Which, add_from_tables

    rows, devices, history = 100_000, 100, case.history
    first = T0 - 2 * DAY
    with history._db.write() as connection:
        for day in range(first // DAY, T0 // DAY + 1):
            history._mover.make_day(connection, day)
        connection.exec_driver_sql(
            'INSERT INTO observations (device_id, observed_us, time_quality, moved_impossibly, partition, "offset", key) '
            f"SELECT 'd' || i % {devices}, {first} + i * {2 * DAY // rows}::bigint, 'device', i >= {rows - devices} AND i % 10 = 0, 0, 1, i "
            f"FROM generate_series(0, {rows - 1}) i"
        )
    at = {f"d{i % devices}": first + i * (2 * DAY // rows) for i in range(rows - devices, rows)}
    step = devices * (2 * DAY // rows)
    expected = {name: us - step if int(name[1:]) % 10 == 0 else us for name, us in at.items()}
    counts = {"trusted": ("device",), "unless": ("moved_impossibly",)}
    assert history.newest(**counts) == expected
    found: dict[str, int] = {}
    with history._looking() as (connection, _, _):
        add_from_tables(connection, [], Which(**counts, of=lambda _: True), found)
        read = connection.exec_driver_sql(
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables WHERE relname LIKE 'observations\\_%%'"
        ).scalar_one()
    assert found == expected
    assert read < rows / 50
    case.clock.us += 2 * DAY
    assert 0 < history.compact() < rows  # of a device one part is in files now, the newer one in tables
    assert history.newest(**counts) == expected
    case.clock.us += 4 * DAY
    assert history.compact() > 0
    assert history.newest(**counts, of=lambda name: name == "d10") == {"d10": expected["d10"]}
