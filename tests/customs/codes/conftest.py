"""A real file for the desks, one for each module: its tests take numbers that no other test has."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from cocket.core.clock import rfc3339
from cocket.customs.codes.keyring import KeyRing
from cocket.store import file_tables
from cocket.store.database import Database
from cocket.store.tables import main_metadata

S = 1_000_000
NOW = 1_790_000_000 * S
HOUR = 3600 * S
DAY = 24 * HOUR

assert file_tables.file_events.metadata is main_metadata
_numbers = count(1)


class SetClock:
    """Stands where it is put."""

    kind = "replay"
    speed = 1.0

    def __init__(self) -> None:
        self.us = NOW

    def now_us(self) -> int:
        return self.us

    def at(self) -> str:
        return rfc3339(self.us)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="module")
def db(tmp_path_factory) -> Iterator[Database]:
    opened = Database(tmp_path_factory.mktemp("codes") / "cocket.sqlite", "main", main_metadata)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ring") / "keys"


@pytest.fixture
def keys(keys_folder, clock) -> KeyRing:
    return KeyRing(keys_folder, clock)


@pytest.fixture
def mrn() -> str:
    return f"26NL{next(_numbers):014d}"
