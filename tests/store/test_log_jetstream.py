"""The log over JetStream while its servers, its writers and its database fail."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.store.cut_network import Ways
from tests.store.log_places import JetStreamPlace, flip, numbered, refused, sequences

from cocket.core.config import Log as LogSettings
from cocket.core.errors import BadSetting, CocketError, DataDamaged, Unavailable
from cocket.core.keys import observation_keys
from cocket.store.dedupe import Seen
from cocket.store.history import History
from cocket.store.log import Fenced, Totals, prepare
from cocket.store.log_jetstream import JetStreamLog
from cocket.store.log_pieces import pieces_of
from cocket.store.nats_connection import Address, NatsConnection
from cocket.store.nats_servers import NatsCluster

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
_sites = itertools.count(1)


@pytest.fixture
def place_on(
    tmp_path: Path, nats_cluster: Callable[[int], NatsCluster]
) -> Iterator[Callable[..., JetStreamPlace]]:
    made: list[JetStreamPlace] = []

    def place(cluster: NatsCluster | int, timeout_s: float = 30.0) -> JetStreamPlace:
        if isinstance(cluster, int):
            cluster = nats_cluster(cluster)
        site = f"faults{next(_sites)}"
        made.append(JetStreamPlace(tmp_path, tmp_path / f"{site}.sqlite", cluster, site, timeout_s))
        return made[-1]

    yield place
    for one in made:
        one.close()


@pytest.fixture
def place(place_on):
    return place_on(1)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.02)


class Writer:
    """A thread that appends groups of ten as the engine does: what failed is settled, folded, and sent again."""

    def __init__(self, log: JetStreamLog, first: int = 0) -> None:
        self.log = log
        self.first = first
        self.acknowledged: list[int] = []
        self.failures = 0
        self._known: set[int] = set()
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        log.follow(self._told)
        self._thread.start()

    def _told(self, entry, _keys) -> None:
        if entry.batch is not None:
            self._known.update(entry.batch.filled("sequence").tolist())

    def _run(self) -> None:
        first = self.first
        try:
            while not self._stop.is_set():
                try:
                    self.log.settle()
                    if first not in self._known:
                        self.log.append(numbered(first), received_us=0)
                except Unavailable:
                    self.failures += 1
                    continue
                self.acknowledged.append(first)
                first += 10
        except BaseException as error:
            self.error = error
            raise

    def goes_on(self, groups: int = 20) -> None:
        """Until so many further groups are acknowledged."""
        had = len(self.acknowledged)
        wait_for(
            lambda: len(self.acknowledged) >= had + groups or self.error is not None,
            "further acknowledgements",
        )
        assert self.error is None

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Acknowledged ⊆ stored, nothing twice, in order."""
        found = sequences(self.log)
        assert found == list(range(len(found)))
        assert set(self.acknowledged) <= set(found)
        assert self.log.totals().observations == len(found)
        wait_for(lambda: self.log.damage() == [], "every copy answers, and none lacks anything")


def test_leader_killed_then_all_nodes_killed_under_load(place_on):
    place = place_on(3)
    cluster = place.cluster
    log = place.open()
    writer = Writer(log)
    try:
        writer.goes_on()
        leader = cluster.leader(place.stream)
        leader.kill()
        writer.goes_on()
        for node in cluster.nodes:
            node.kill()
        cluster.start()
        writer.goes_on()
    finally:
        writer.stop()
        cluster.start()
    writer.check()
    assert sequences(place.open()) == sequences(log)


@pytest.mark.soak
def test_nodes_killed_stopped_and_paused_at_random_under_load(place_on, tmp_path):
    cluster = NatsCluster(tmp_path / "three", 3)
    cluster.start()
    place = place_on(cluster)
    log = place.open()
    writer = Writer(log)
    chance = random.Random(11)
    try:
        for _ in range(int(os.environ.get("COCKET_SOAK_ROUNDS", "30"))):
            some = chance.sample(cluster.nodes, chance.choice([1, 1, 1, 2, 3]))
            if chance.random() < 0.4:
                some = [cluster.leader(place.stream) or some[0]]
            time.sleep(chance.random())  # not a wait: any moment will do
            fault = chance.choice(["kill", "kill", "kill", "stop", "pause"])
            for node in some:
                getattr(node, fault)()
            if len(some) == 1 and chance.random() < 0.7:
                writer.goes_on()
            for node in some:
                node.resume() if fault == "pause" else node.start()
            writer.goes_on()
        writer.stop()
        writer.check()
        assert sequences(place.open()) == sequences(log)
    finally:
        writer.stop()
        for node in cluster.nodes:
            node.kill()


def test_a_leader_cut_off_from_the_others_acknowledges_nothing(place_on, tmp_path):
    """Clients still reach it. Who knows the other nodes goes on there; who knows only this one is refused."""
    ways = Ways()
    cluster = NatsCluster(tmp_path / "cut", 3, through=ways.through)
    try:
        cluster.start()
        place = place_on(cluster)
        log = place.open()
        log.append(numbered(0), received_us=0)
        leader = cluster.leader(place.stream)
        ways.isolate(leader.name, leader.ports["cluster"])
        only = NatsConnection(
            f"nats://{cluster.user}:{cluster.password}@127.0.0.1:{leader.port}", timeout_s=2.0
        )
        reader = JetStreamLog(only, place.database(), site=place.site, replicas=3, read_only=True)
        with pytest.raises(Unavailable):
            only.run(reader._stream.store(log.last_offset() + 1, b"what the cut-off leader is given"))
        writer = Writer(log, first=10)
        writer.goes_on()
        writer.stop()
        with contextlib.suppress(Unavailable):  # it may still serve what it has
            found = sequences(reader)
            assert found == list(range(len(found)))
            assert found == list(range(10))
        ways.mend()
        writer.check()
        wait_for(lambda: sequences(reader) == sequences(log), "the cut-off node has caught up")
        only.close()
    finally:
        for node in cluster.nodes:
            node.kill()
        ways.close()


@pytest.mark.soak
def test_a_copy_with_gaps_is_found_and_never_believed(place_on, tmp_path):
    """The server makes its index anew over a damaged block, leaves out what it cannot read, and says nothing."""
    cluster = NatsCluster(tmp_path / "three", 3)
    cluster.start()
    try:
        place = place_on(cluster)
        log = place.open()
        for turn in range(20):
            log.append(numbered(10 * turn), received_us=0)
        node = next(node for node in cluster.nodes if node is not cluster.leader(place.stream))
        node.stop()
        node.start()
        cluster.wait_ready()
        for turn in range(20, 40):
            log.append(numbered(10 * turn), received_us=0)
        node.kill()
        flip(place.blocks(cluster.nodes.index(node)), prepare(numbered(100)).blob.to_pybytes())
        node.start()
        cluster.wait_ready()
        assert sequences(log) == list(range(400))
        wait_for(lambda: log.damage() != [], "the copy with gaps is found")
        assert "one of the servers lacks" in log.damage()[0]
        for _ in range(6):  # whoever leads
            log._connection.api(f"STREAM.LEADER.STEPDOWN.{place.stream}", {})
            wait_for(lambda: cluster.leader(place.stream) is not None, "a new leader")
            log = place.open()
            assert sequences(log) == list(range(400))
        wait_for(
            lambda: place.open() is not None and cluster.leader(place.stream) is not node, "another leads"
        )
    finally:
        for node in cluster.nodes:
            node.kill()


def test_without_most_of_its_nodes_nothing_is_acknowledged(place_on):
    place = place_on(3, timeout_s=2.0)
    cluster = place.cluster
    log = place.open()
    log.append(numbered(0), received_us=0)
    leader = cluster.leader(place.stream)
    others = [node for node in cluster.nodes if node is not leader]
    for node in others:
        node.pause()
    try:
        with pytest.raises(Unavailable, match="within 2 s"):
            log.append(numbered(10), received_us=0)
    finally:
        for node in others:
            node.resume()

    def works() -> bool:
        try:
            log.settle()
        except Unavailable:
            return False
        return True

    wait_for(works, "the log works again by itself")
    found = sequences(log)
    assert found in (list(range(10)), list(range(20)))
    log._connection.timeout_s = 30.0
    log.append(numbered(len(found)), received_us=0)
    assert sequences(log) == list(range(len(found) + 10))


def test_acknowledged_is_there_after_a_kill_right_behind(place_on, tmp_path):
    cluster = NatsCluster(tmp_path / "alone", 1)
    cluster.start()
    try:
        place = place_on(cluster)
        log = place.open()
        for turn in range(10):
            log.append(numbered(10 * turn), received_us=0, rejects=[refused(turn)])
            cluster.nodes[0].kill()
            cluster.start()
            assert sequences(log) == list(range(10 * turn + 10))
        again = place.open()
        assert again.totals() == Totals(100, 0, 10)
        assert len(again.quarantined(100)[0]) == 10
    finally:
        cluster.nodes[0].kill()


def test_who_was_taken_over_writes_nothing_any_more(place):
    first = place.open()
    first.append(numbered(0), received_us=0)
    second = place.open()
    with pytest.raises(Fenced, match="another writer"):
        first.append(numbered(500), received_us=0, rejects=[refused(1)])
    second.append(numbered(10), received_us=0)
    for attempt in (
        lambda: first.append(numbered(500), received_us=0),
        lambda: first.append_tick(1),
        first.settle,
        lambda: first.append(None, received_us=0, duplicates=1),
    ):
        with pytest.raises(Fenced):
            attempt()
    first.close()
    assert sequences(second) == list(range(20))
    assert second.totals() == Totals(20, 0, 0)
    assert second.quarantined(10)[0] == []
    assert sequences(first) == list(range(20)), "it may still read"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops a process, which this system cannot")
def test_a_process_that_was_stopped_writes_nothing_when_it_wakes(place):
    command = [
        sys.executable,
        "-m",
        "tests.store.log_writer",
        place.cluster.url,
        str(place.where),
        place.site,
        "1",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as child:
        assert child.stdout is not None
        limit = threading.Timer(PATIENCE_S, child.kill)
        limit.start()
        said = [child.stdout.readline() for _ in range(20)]
        os.kill(child.pid, signal.SIGSTOP)
        log = place.open()
        taken_over = log.totals().observations
        log.append(numbered(taken_over), received_us=0)
        os.kill(child.pid, signal.SIGCONT)
        said += child.stdout.readlines()
        assert child.wait() == 0
        limit.cancel()
    assert said[-1].startswith("fenced")
    log.append(numbered(taken_over + 10), received_us=0)
    assert sequences(log) == list(range(taken_over + 20))
    acknowledged = [int(line.split()[1]) for line in said if line.startswith("stored")]
    assert max(acknowledged) < taken_over


def test_a_group_too_large_for_a_message_becomes_several(place_on, tmp_path):
    cluster = NatsCluster(tmp_path / "small", 1, max_payload=16_384)
    cluster.start()
    try:
        place = place_on(cluster)
        log = place.open()
        told: list[int] = []
        log.follow(
            lambda entry, _: told.extend(
                [] if entry.batch is None else entry.batch.filled("sequence").tolist()
            )
        )
        noise = random.Random(5)
        raws = [noise.randbytes(size) for size in (40_000, 10, 9_000, 9_000, 15_000)]
        rows = 20_000
        before = log.last_offset()
        last = log.append(
            numbered(0, rows),
            received_us=1,
            duplicates=7,
            rejects=[refused(i, raw) for i, raw in enumerate(raws)],
        )
        assert last == log.last_offset() > before + 6
        assert sequences(log) == list(range(rows)) == told
        assert log.totals() == Totals(rows, 7, 5)
        held = log.quarantined(10)[0]
        assert [r["raw"] for r in reversed(held)] == raws
        # read again from the stream, by one who opens it with another, empty database
        place.where = tmp_path / "other.sqlite"
        again = place.open()
        assert again.totals() == Totals(rows, 7, 5)
        assert [r["raw"] for r in reversed(again.quarantined(10)[0])] == raws
    finally:
        cluster.nodes[0].kill()


def test_a_row_cut_short_by_a_failure_is_not_glued_to_another(place_on, tmp_path):
    """The first part of a long row was stored, its writer ended, and another row follows."""
    cluster = NatsCluster(tmp_path / "small", 1, max_payload=16_384)
    cluster.start()
    try:
        place = place_on(cluster)
        log = place.open()
        parts = pieces_of(None, [refused(1, random.Random(1).randbytes(30_000))], 0, 15_000)
        assert [p.rejected for p in parts] == [0, 0, 0, 0, 1][-len(parts) :]
        log._write(parts[0], 5)
        log.append(None, received_us=6, rejects=[refused(2, b"short")])
        place.where = tmp_path / "other.sqlite"
        again = place.open()
        assert [r["raw"] for r in again.quarantined(10)[0]] == [b"short"]
        assert again.totals() == Totals(0, 0, 1)
    finally:
        cluster.nodes[0].kill()


def test_a_database_that_is_away_holds_up_no_append(place):
    log = place.open()
    true_write, log._db.write = log._db.write, unanswered
    log.append(numbered(0), received_us=0, rejects=[refused(1)])
    log.append(numbered(10), received_us=0, rejects=[refused(2)])
    assert "could not be booked" not in str(log.booking_failure)
    assert "wait for the database" in str(log.booking_failure)
    assert log.totals() == Totals(20, 0, 2)
    assert log.quarantined(10)[0] == []
    log._db.write = true_write
    wait_for(lambda: log.append_tick(1) > 0 and log.booking_failure is None, "the database is told")
    assert [r["row"] for r in log.quarantined(10)[0]] == [2, 1]


def unanswered(*_names: object) -> object:
    raise Unavailable("no answer")


def test_who_only_reads_takes_nothing_over(place):
    log = place.open()
    log.append(numbered(0), received_us=0, duplicates=2)
    reader = JetStreamLog(
        NatsConnection(place.cluster.url), place.database(), site=place.site, replicas=1, read_only=True
    )
    log.append(numbered(10), received_us=0)
    assert sequences(reader) == list(range(20))
    assert (reader.last_offset(), reader.totals()) == (log.last_offset(), Totals(20, 2, 0))
    assert reader.rows_after(log.last_offset() - 1) == 10
    with pytest.raises(Unavailable, match="reading only"):
        reader.append_tick(1)
    reader._connection.close()


def test_a_stream_that_lost_what_was_acknowledged_is_named(place_on):
    place = place_on(1, timeout_s=1.0)
    log = place.open()
    for turn in range(3):
        log.append(numbered(10 * turn), received_us=0, rejects=[refused(turn)])
    log.book()
    configuration = log._connection.api(f"STREAM.INFO.{log.stream}", {})["config"]
    log._connection.api(f"STREAM.DELETE.{log.stream}", {})
    with pytest.raises(DataDamaged, match="lost some"):
        place.open()
    log._connection.api(f"STREAM.CREATE.{log.stream}", configuration)
    with pytest.raises(DataDamaged, match="the servers lost some"):
        log.append(numbered(30), received_us=0)


def test_one_copy_whose_index_is_made_anew_over_a_damaged_block(place_on, tmp_path):
    """The server cuts the stream off there, without a word; what was booked tells."""
    cluster = NatsCluster(tmp_path / "alone", 1)
    cluster.start()
    try:
        place = place_on(cluster, timeout_s=1.0)
        log = place.open()
        for turn in range(4):
            log.append(numbered(10 * turn), received_us=0)
        log.close()
        cluster.nodes[0].kill()
        flip(place.blocks(0), prepare(numbered(10)).blob.to_pybytes())
        for block in place.blocks(0):
            block.with_name("index.db").unlink(missing_ok=True)
        cluster.start()
        with pytest.raises(DataDamaged, match=f"stream {place.stream}"):
            place.open()
    finally:
        cluster.nodes[0].kill()


def test_a_stream_of_somebody_else_is_refused(place):
    connection = NatsConnection(place.cluster.url)
    connection.api(
        f"STREAM.CREATE.{place.stream}",
        {"name": place.stream, "subjects": ["a.b"], "max_msgs": 5, "storage": "memory"},
    )
    connection.close()
    with pytest.raises(BadSetting, match="not one of ours: its subjects, storage, discard, max_msgs differ"):
        place.open()


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("nats://ana:s3cret%40x@h1:4222,h2:4333", ("h1:4222", "h2:4333")),
        ("tls://h1", ("h1:4222",)),
        ("nats://ana:s3cret@[::1]:9", ("[::1]:9",)),
    ],
)
def test_addresses(url, hosts):
    address = Address.parse(url)
    assert address.hosts == hosts
    assert "s3cret" not in f"{address} {address!r}"
    if "%40" in url:
        assert (address.user, address.password) == ("ana", "s3cret@x")


@pytest.mark.parametrize(
    "url",
    ["h1:4222", "http://h1", "nats://", "nats://u:s3cret@", "nats://u:s3cret@h1:x", "nats://:s3cret@h/1"],
)
def test_an_address_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(BadSetting) as caught:
        Address.parse(url)
    assert "s3cret" not in str(caught.value)


def test_a_wrong_password_and_no_server_are_told_without_it(place, tmp_path):
    host = place.cluster.nodes[0].port
    for url in (f"nats://cocket:s3cret@127.0.0.1:{host}", "nats://cocket:s3cret@127.0.0.1:1"):
        connection = NatsConnection(url, timeout_s=0.5)
        with pytest.raises(Unavailable, match="NATS at nats://127") as caught:
            connection.api("INFO", {})
        assert "s3cret" not in str(caught.value)
        connection.close()


def test_pieces_are_one_when_they_fit():
    batch = numbered(0)
    prepared = prepare(batch)
    assert len(pieces_of(prepared, [refused(1)], 3, 10_000)) == 1
    assert [(p.duplicates, p.rejected) for p in pieces_of(None, [], 3, 10_000)] == [(3, 0)]
    assert pieces_of(None, [], 0, 10_000) == []
    with pytest.raises(CocketError, match="max_payload"):
        pieces_of(prepared, [], 0, 10)


def test_the_password_may_stand_in_a_file(place, tmp_path):
    address = Address.parse(place.cluster.url)
    secret = tmp_path / "secret"
    secret.write_text(address.password + "\n")
    settings = LogSettings(url=f"nats://{address.user}@{address.hosts[0]}", password_file=str(secret))
    connection = NatsConnection(Address.of(settings))
    assert connection.api("INFO", {})["streams"] >= 0
    connection.close()


def test_history_over_a_stream(place, tmp_path):
    """History, tail and duplicates work as over SQLite, when it is opened again as well."""

    def opened() -> tuple[JetStreamLog, History, Seen]:
        log = place.open()
        history = History(tmp_path / "history", place.database(), log)
        log.follow(history.remember)
        return log, history, Seen(history.hour_keys)

    log, history, _ = opened()
    groups = [numbered(10 * turn) for turn in range(5)]
    for group in groups[:4]:
        log.append(group, received_us=0)
    history.compact(log.last_offset() - 1)
    log.trim(history.compacted_offset)
    log, history, seen = opened()
    assert (history.tail.rows, log.totals()) == (10, Totals(40, 0, 0))
    for group, known in zip(groups, [True] * 4 + [False], strict=True):
        assert seen.fold(group.array("observed_us"), observation_keys(group)).tolist() == [known] * 10
    log.append(groups[4], received_us=0)
    assert history.tail.rows == 20


def test_a_generation_goes_on_behind_the_one_before(place):
    """After a re-partition: new streams, offsets behind the old ones, the sums go on."""
    old = place.open()
    old.append(numbered(0), received_us=0, duplicates=1, rejects=[refused(0)])
    old.close()
    first = old.last_offset() + 100
    for turn in range(2):  # also when it is opened again
        log = JetStreamLog(
            old._connection, place.database(), site=place.site, replicas=1, generation=1, first=first
        )
        assert log.last_offset() >= first
        assert log.totals() == Totals(10 + 10 * turn, 1, 1 + turn)
        assert log.append(numbered(10 + 10 * turn), received_us=0, rejects=[refused(1)]) > first
        assert len(log.quarantined(10)[0]) == 2 + turn
    assert sequences(log) == list(range(10, 30))
    assert (log.rows_after(0), log.first_offset(), log.damage()) == (20, first, [])
    assert sequences(old) == list(range(10))


def test_a_password_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadSetting, match="gone"):
        Address.of(LogSettings(url="nats://ana@h", password_file=str(tmp_path / "gone")))
