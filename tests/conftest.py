"""What tests of several rooms share: PostgreSQL and NATS, for real, one of each for each worker of the test run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import hypothesis
import pytest

from cocket.core.errors import BadSetting
from cocket.store import tables
from cocket.store.database import Database
from cocket.store.folder import DataFolder
from cocket.store.nats_servers import NatsCluster
from cocket.store.observation_tables import observation_metadata
from cocket.store.servers import PostgresServer

_HERE = Path(__file__).parent

hypothesis.settings.register_profile("no clock", deadline=None)  # no test fails because a machine is slow
hypothesis.settings.load_profile("no clock")

assert DataFolder is not None  # it imports every table


_LONG = ("production", "browser", "faults", "engine", "store", "scenarios", "gateway")
"""Rooms whose files take longest: they come first, so that no worker is left with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; within a file the order stays."""
    order = {room: n for n, room in enumerate(_LONG)}
    items.sort(key=lambda item: order.get(item.path.relative_to(_HERE).parts[0], len(order)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server. Not in pytest's own folder: that is closed to the user as whom the server runs under root."""
    memory = Path(
        "/dev/shm"
    )  # these tests kill processes, not machines: what is in memory outlives that, and is quick
    there = memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30
    folder = Path(tempfile.mkdtemp(prefix="cocket-postgres-", dir=memory if there else None))
    folder.chmod(0o755)
    server = PostgresServer(folder / "server", options={"shared_buffers": "32MB"})
    try:
        server.start()
    except BadSetting as error:
        pytest.skip(str(error))
    yield server
    server.stop(at_once=True)  # a clean end would write everything once more, only to be deleted
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def new_database(postgres: PostgresServer) -> Callable[[], str]:
    """The address of a new database each time it is called, with the tables of both branches, all empty."""
    first = postgres.create_database("first")
    Database(first, "main", tables.main_metadata).close()
    Database(first, "log", tables.log_metadata).close()
    numbers = count(1)
    return lambda: postgres.create_database(f"db{next(numbers)}", template="first")


@pytest.fixture(scope="session")
def history_database(postgres: PostgresServer) -> str:
    """The address of a database with the tables of observations, one for all tests: who uses it empties it first."""
    address = postgres.create_database("history")
    Database(address, "observations", observation_metadata).close()
    return address


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """As ``new_database``, one for this test. It goes with the server: to drop one costs a checkpoint."""
    return new_database()


@pytest.fixture(scope="session")
def nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], NatsCluster]]:
    """A running cluster of so many nodes, one or three, the same for all tests: each takes a ``site`` of its own."""
    started: dict[int, NatsCluster] = {}

    def cluster(nodes: int) -> NatsCluster:
        if nodes not in started:
            started[nodes] = NatsCluster(tmp_path_factory.mktemp("nats"), nodes)
            started[nodes].start()
        return started[nodes]

    yield cluster
    for one in started.values():
        for node in one.nodes:
            node.kill()
