"""Every history against a plain list: the same operations over files with a tail, PostgreSQL with files, and with a bucket."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.histories import DAY, EVER, HOUR, T0, folder_case, moto, pg_case

from cocket.core.batch import Batch, Texts
from cocket.store.observation_moves import Mover
from cocket.store.observation_upkeep import Upkeep

ENGINES = ["folder", "postgresql", "bucket"]
NAMES = ["d1", "D1", "é", "d\0", "d\x1a0", "d\x1a", "a,b", 'q"{}\\', "100%", "NULL"]
numbers = count(1)


@pytest.fixture(scope="session")
def bucket():
    yield from moto()


@pytest.fixture(scope="module")
def new_history(request, tmp_path_factory):
    """A new, empty history of an engine each time it is called; closed when the block ends."""

    @contextmanager
    def make(engine: str):
        path = tmp_path_factory.mktemp(engine)
        if engine == "folder":
            case, close = folder_case(path)
        else:
            options = {}
            if engine == "bucket":
                address = request.getfixturevalue("bucket")
                options = {
                    "objects": f"s3://cocket/{path.name}?endpoint={address}",
                    "access_key": "testing",
                    "secret_key": "testing",
                }
            case, close = pg_case(
                path, request.getfixturevalue("history_database") + "?sslmode=disable", **options
            )
        try:
            yield case
        finally:
            close()

    return make


def batch_at(now_us: int, n: int, seed: int) -> Batch:
    """Odd names, times from a month ago to the day after next and absurd ones, some columns partly null."""
    random = np.random.default_rng(seed)
    observed = now_us - random.choice([0, 1, 5, 30], n) * DAY + random.integers(-3, 3, n) * HOUR
    absurd = random.random(n) < 0.1
    observed[absurd] = random.choice([-(10**15), 0, now_us + 2 * DAY, 4 * 10**15], int(absurd.sum()))
    sequence = random.integers(0, 3, n)
    sequence[random.random(n) < 0.5] = -(2**63)
    lat = np.where(random.random(n) < 0.3, np.nan, random.uniform(-90, 90, n))
    columns = {
        "device_id": Texts(random.integers(0, len(NAMES), n).astype(np.int32), NAMES),
        "observed_us": observed,
        "sequence": sequence,
        "time_quality": random.integers(-1, 4, n).astype(np.int8),
        "lat_deg": lat,
        "locked": random.integers(-1, 2, n).astype(np.int8),
        "code": Texts(random.integers(-1, 3, n).astype(np.int32), ["", "a\0b", "Ж" * 40]),
    }
    if seed % 2:
        columns["temp_c"] = random.uniform(-30, 50, n)
        columns["sos"] = np.ones(n, np.int8)
    return Batch(n, columns)


TAKE = st.tuples(st.just("take"), st.integers(0, 40), st.integers(0, 2**20))
STEP = st.one_of(
    TAKE,
    TAKE,
    st.tuples(st.just("days"), st.integers(1, 6), st.just(0)),
    st.tuples(st.just("compact"), st.just(0), st.just(0)),
    st.tuples(st.just("merge"), st.just(0), st.just(0)),
    st.tuples(st.just("reopen"), st.just(0), st.just(0)),
    st.tuples(st.just("expire"), st.integers(0, 40), st.just(0)),
    st.tuples(st.just("expire some"), st.integers(0, 40), st.just(0)),
    st.tuples(st.just("expire of two"), st.integers(0, 40), st.just(0)),
)
SPAN = st.tuples(st.sampled_from([*NAMES, "nobody"]), st.integers(-40, 5), st.integers(0, 40))


def spans_of(drawn, now_us):
    return [(d, now_us + a * DAY, now_us + (a + n) * DAY) for d, a, n in drawn]


def heard_last(case, of) -> dict[str, int]:
    """Event time of each device's newest row in the list whose time can be trusted, and that is neither locked nor an alarm."""
    found: dict[str, int] = {}
    for _, _, row, _ in case.given:
        counts = (
            row.get("time_quality") in {"device", "received"} and not row.get("locked") and not row.get("sos")
        )
        if counts and (of is None or of(row["device_id"])):
            found[row["device_id"]] = max(row["observed_us"], found.get(row["device_id"], -EVER))
    return found


def is_unlocked(batch: Batch):
    return batch.filled("locked") == 0


def is_unlocked_of_two(batch: Batch):
    return is_unlocked(batch) & np.isin(batch.texts("device_id").to_list(), ["é", "d\0"])


WHOM = {
    "expire": (None, None),
    "expire some": (is_unlocked, None),
    "expire of two": (is_unlocked_of_two, {"é", "d\0", "nobody"}),
}


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=3, max_size=12), st.lists(SPAN, max_size=6))
def test_whatever_happens_it_says_what_a_plain_list_says(new_history, engine, steps, drawn):
    with new_history(engine) as case, pytest.MonkeyPatch.context() as patch:
        patch.setattr("cocket.store.parquet.GROUP_ROWS", 16)
        patch.setattr("cocket.store.observation_upkeep.FAN", 2)
        patch.setattr("cocket.store.history._FAN", 2)
        patch.setattr("cocket.store.observation_moves.SLAB_ROWS", 20)
        patch.setattr("cocket.store.observation_moves.FILE_SLABS", 2)
        for what, size, seed in steps:
            if what == "take":
                case.take(batch_at(case.clock.us, size, seed), partition=0)
            elif what == "days":
                case.clock.us += size * DAY
            elif what == "compact":
                case.history.compact(EVER)
            elif what == "merge":
                case.history.merge()
            elif what.startswith("expire"):
                if engine == "folder":
                    case.history.compact(EVER)  # what the log still holds does not expire
                chosen, of = WHOM[what]
                before, limit = len(case.given), case.clock.us - size * DAY
                case.expire(limit, chosen is None, of)
                assert case.history.old(limit, chosen, of) == before - len(case.given)
                assert case.history.expire(limit, chosen, of) == before - len(case.given)
                assert case.history.old(limit, chosen, of) == 0
            else:
                case.history = case.reopen()
        case.check()
        case.check(spans_of(drawn, case.clock.us), limit=max(0, len(steps) // 2))
        hours = {us // HOUR for us in (case.clock.us, case.clock.us - DAY, case.clock.us - 30 * DAY, 0)}
        times, keys = case.history.hour_keys(sorted(hours))
        assert Counter(zip(times.tolist(), keys.tolist(), strict=True)) == Counter(
            (row["observed_us"], key) for _, _, row, key in case.given if row["observed_us"] // HOUR in hours
        )
        for of in (None, lambda name: name < "a"):
            newest = case.history.newest(trusted=("device", "received"), unless=("locked", "sos"), of=of)
            assert newest == heard_last(case, of)
        said = case.history.sql("select count(*) n, count(temp_c) t, count(distinct key) k from observations")
        assert said.to_pylist() == [
            {
                "n": len(case.given),
                "t": sum("temp_c" in row for _, _, row, _ in case.given),
                "k": len({key for _, _, _, key in case.given}),
            }
        ]


@pytest.mark.parametrize("engine", ENGINES)
def test_columns_limit_what_is_read(new_history, engine):
    with new_history(engine) as case:
        case.take(batch_at(T0, 50, 1))
        case.clock.us += 10 * DAY
        case.history.compact(EVER)
        case.take(batch_at(case.clock.us, 50, 3))
        wanted = [(name, -EVER, EVER) for name in NAMES]
        found = case.history.find(wanted, columns=["temp_c"])
        assert set(found.batch.columns) == {"device_id", "observed_us", "sequence", "temp_c"}
        assert found.batch.n == 100
        with pytest.raises(Exception, match=r"[Pp]ermission|disabled"):
            case.history.sql("select * from read_csv('/etc/passwd')")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_read_takes_in_nothing_by_halves(new_history, engine, monkeypatch):
    """Rows come, days pass, files are written, merged and struck, while two threads read."""
    import threading

    monkeypatch.setattr("cocket.store.observation_upkeep.FAN", 2)
    monkeypatch.setattr("cocket.store.history._FAN", 2)
    with new_history(engine) as case:
        wanted = [(name, -EVER, EVER) for name in NAMES]
        done = threading.Event()
        problems = []
        known = [0]

        def work(step):
            try:
                while not done.is_set():
                    step()
            except BaseException as error:  # noqa: BLE001 - told to the test
                problems.append(error)
                done.set()

        def read():
            before = known[0]
            assert before <= case.history.find(wanted, columns=["lat_deg"]).batch.n <= known[0] + 20

        def move():
            case.history.compact(EVER)
            case.history.merge()

        threads = [threading.Thread(target=work, args=(step,)) for step in (read, read, move)]
        for thread in threads:
            thread.start()
        for seed in range(8):
            case.take(batch_at(case.clock.us, 20, seed))
            known[0] += 20
            case.clock.us += DAY
        done.set()
        for thread in threads:
            thread.join()
        assert problems == []
        case.check()


# kills


class Stopped(BaseException):
    """As a kill: nobody catches it."""


STEPS = {
    "before it is detached": (Mover, "_detach"),
    "while it is read": (Mover, "_slab"),
    "while it is written": ("cocket.store.parquet.FileWriter", "close"),
    "before the upload": ("place", "put"),
    "before it counts": (Mover, "_register"),
    "while it is let count": ("cocket.store.observation_files.FileList", "register"),
    "before it is dropped": (Mover, "_drop"),
    "before a merge counts": (Upkeep, "_replace"),
    "before merged files are deleted": ("place", "remove"),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_stop_at_any_step_loses_and_doubles_nothing(new_history, engine, step, after, monkeypatch):
    with new_history(engine) as case:
        for seed in range(2):
            case.take(batch_at(case.clock.us, 8, seed), partition=seed % 2)
            case.clock.us += 2 * DAY
        if "merge" in step:
            monkeypatch.setattr("cocket.store.observation_upkeep.FAN", 2)
            case.history.compact(0)
        owner, name = STEPS[step]
        if owner == "place":
            owner = type(case.history.place)
        elif isinstance(owner, str):
            module, _, kind = owner.rpartition(".")
            owner = getattr(__import__(module, fromlist=[kind]), kind)
        true = getattr(owner, name)

        def die(*args, **kwargs):
            if after:
                true(*args, **kwargs)
            raise Stopped

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, staticmethod(die) if name == "register" else die)
            patch.setattr("cocket.store.parquet.FileWriter.abandon", lambda _self: None)
            with pytest.raises(Stopped):  # noqa: PT012 - whichever of the two it is
                case.history.compact(0)
                case.history.merge()
        case.check()
        case.history = case.reopen()
        case.check()
        case.history.compact(0)
        case.history.merge()
        case.check()
        registered = {f.path.name for f in case.history.files}
        assert registered | set(case.history.strays()) == set(case.history.place.names())
        assert not registered & set(case.history.strays())
        assert list(case.history.folder.glob("*.tmp")) == []
        assert [f.level for f in case.history.findings(deep=True)] == ["note"] * len(case.history.strays())
        with case.history._db.read() as connection:
            left = connection.exec_driver_sql("SELECT state FROM observation_periods").scalars().all()
        assert set(left) == {"hot"}
