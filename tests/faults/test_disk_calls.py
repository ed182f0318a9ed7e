"""Each file-system call of the log and the store made to fail in turn, and the power cut: acknowledged ⊆ stored, nothing
twice, the alerts exact; the process lives, or says why it does not start.
"""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.engine import feed
from tests.faults.nursery import Nursery, Told
from tests.faults.preload import Faulty

from cocket.core.clock import parse_rfc3339
from cocket.engine.service import Service
from cocket.store.doctor import verify

SIZE = 120
KINDS = ("write", "sync", "open", "truncate", "rename", "unlink")


class Bench:
    """A nursery under faults, a prepared folder to copy, and what the alerts have to be."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.data = place / "data"
        self.bodies = feed.bodies(size=SIZE)
        self.expected = feed.oracle(place / "oracle")
        with Service.open(place / "template", feed.FixedClock(), feed.SETTINGS) as service:
            feed.declare(service)
        self.faulty = Faulty(place, self.data, journal=True)
        self.nursery = Nursery(self.faulty.env)

    def fresh(self) -> None:
        """A folder in which everything is declared and nothing has come in."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.copytree(self.place / "template", self.data)
        self.faulty.forget_journal()

    def live(self, todo: list[int], kill_after: int | None = None) -> Told:
        return self.nursery.live(self.data, todo, size=SIZE, kill_after=kill_after)

    def settle(self, acknowledged: set[int]) -> None:
        """After recovery: send what was not acknowledged, then compare everything with the oracle."""
        self.faulty.heal()
        damage = [f for f in verify(self.data) if f.level == "damage"]
        assert not damage, damage
        with Service.open(self.data, feed.FixedClock(), feed.SETTINGS) as service:
            self._stored(service, acknowledged)
            for n, body in enumerate(self.bodies):
                if n not in acknowledged:
                    feed.send(service, body)
            assert feed.final(service) == self.expected
            assert service.stats()["observations"] == len(feed.rows()), "each once"

    def _stored(self, service: Service, acknowledged: set[int]) -> None:
        sent = {_identity(line) for n in acknowledged for line in self.bodies[n].split(b"\n")}
        stored = service.folder.history.rows([(f"SEAL{k:02d}", 0, 1 << 60) for k in range(feed.TRUCKS)])
        times, devices = stored.filled("observed_us").tolist(), stored.texts("device_id")
        found = set() if devices is None else set(zip(devices.to_list(), times, strict=True))
        assert sent <= found, f"{len(sent - found)} acknowledged observations are not stored"


def _identity(line: bytes) -> tuple[str, int]:
    row = msgspec.json.decode(line)
    return row["device_id"], parse_rfc3339(row["observed_at"])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("disk"))
    with bench.nursery:
        yield bench


def _calls_of_one_life(bench: Bench) -> dict[str, int]:
    bench.fresh()
    bench.faulty.fail("write", 1 << 30)  # counts from here on
    told = bench.live(list(range(len(bench.bodies))))
    assert told.detected
    assert told.status == 0
    return bench.faulty.calls


def _through(bench: Bench, kind: str, nth: int, error: int, *, half: bool = False) -> None:
    bench.fresh()
    bench.faulty.fail(kind, nth, error, half=half)
    told = bench.live(list(range(len(bench.bodies))))
    where = f"{kind} {nth} {errno.errorcode[error]}"
    assert told.status in {0, 1}, f"{where}: {told.status} {told.stopped}"
    if told.status:  # at the start or the end of the service, and in words
        assert told.stopped, where
        assert "Error: [Errno" not in told.stopped, where
    bench.settle(set(told.acknowledged))


def test_each_call_fails_in_turn_sampled(bench: Bench) -> None:
    calls = _calls_of_one_life(bench)
    assert calls["write"] > 30, "the library must see the writes"
    assert calls["sync"] > 10, "and the fsyncs"
    rng = random.Random(51)
    tried = [(kind, rng.randint(1, calls[kind])) for kind in KINDS if calls[kind]]
    tried += [(kind, rng.randint(1, calls[kind])) for kind in ("write", "sync", "write", "sync")]
    for i, (kind, nth) in enumerate(tried):
        _through(bench, kind, nth, (errno.EIO, errno.ENOSPC)[i % 2], half=i % 3 == 2)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_each_call_fails_in_turn(bench: Bench, kind: str, error: int) -> None:
    n = _calls_of_one_life(bench)[kind]
    for nth in range(1, min(n, 200) + 1):
        _through(bench, kind, nth, error, half=kind == "write" and nth % 2 == 0)


def _cut(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)
    bench.fresh()
    acknowledged: set[int] = set()
    todo = list(range(len(bench.bodies)))
    for _ in range(2):
        told = bench.live(todo, kill_after=rng.randint(0, len(todo)))
        acknowledged |= set(told.acknowledged)
        todo = [n for n in todo if n not in acknowledged]
        bench.faulty.power_cut(rng if seed % 2 else None)
        bench.faulty.forget_journal()
    bench.settle(acknowledged)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_power_cut(bench: Bench, seed: int) -> None:
    _cut(bench, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 210))
def test_power_cut_often(bench: Bench, seed: int) -> None:
    _cut(bench, seed)


def test_the_journal_takes_writes_back(bench: Bench) -> None:
    """The proof that the power cut is one: without fsync, acknowledged observations do go."""
    bench.fresh()
    told = bench.live(list(range(len(bench.bodies))), kill_after=3)
    journal = bench.place / "journal"
    kept = journal.read_bytes()
    from tests.faults.preload import _records

    synced = [r for r in _records(kept) if r.kind == "s"]
    assert synced
    assert told.acknowledged
    with journal.open("wb") as file:  # the same journal, as if no fsync had ever been made
        at = 0
        for record in _records(kept):
            length = 5 + len(str(record.path).encode()) + 20 + len(record.data)
            if record.kind != "s":
                file.write(kept[at : at + length])
            at += length
    bench.faulty.power_cut()
    with pytest.raises(AssertionError):
        bench.settle(set(told.acknowledged))
