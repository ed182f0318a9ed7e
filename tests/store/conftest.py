"""Observations and alerts to store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cocket.core.alerts import AlertChange
from cocket.core.batch import Batch, Texts
from cocket.store import tables
from cocket.store.database import Database
from cocket.store.folder import DataFolder

T0 = 1_790_000_000_000_000


def batch_of(n: int, seed: int, devices: int = 7, hours: int = 3) -> Batch:
    """``n`` observations, some columns partly null, some all null, event times out of order and often equal."""
    random = np.random.default_rng(seed)
    lat = random.uniform(-90, 90, n)
    lat[random.random(n) < 0.2] = np.nan
    sequence = random.integers(0, 5, n)
    sequence[random.random(n) < 0.3] = -(2**63)
    columns = {
        "device_id": Texts(
            random.integers(0, devices, n).astype(np.int32), [f"d{i:02d}é" for i in range(devices)]
        ),
        "observed_us": T0 + random.integers(0, hours * 60, n) * 60_000_000,
        "sequence": sequence,
        "received_us": np.full(n, T0 + seed),
        "time_quality": np.zeros(n, np.int8),
        "lat_deg": lat,
        "locked": random.integers(-1, 2, n).astype(np.int8),
        "temp_c": random.uniform(-30, 50, n),
        "source": Texts.constant("http", n),
    }
    if seed % 2:
        columns["card_id"] = Texts(random.integers(-1, 3, n).astype(np.int32), ["a", "b", "c"])
    return Batch(n, columns)


def plain(batch: Batch) -> list[dict[str, object]]:
    return [batch.row(i) for i in range(batch.n)]


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., Batch]:
    return batch_of


@pytest.fixture
def rows_of() -> Callable[[Batch], list[dict[str, object]]]:
    return plain


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    opened = DataFolder.open(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, main_file: Callable[[], Path]) -> Path | str:
    """Where a ``Database`` of the branch ``main`` is, migrated and empty: each test runs over both engines."""
    return main_file() if request.param == "sqlite" else request.getfixturevalue("database")


@pytest.fixture
def either_folder(place: Path | str, tmp_path: Path) -> Iterator[DataFolder]:
    """A data folder whose main store is SQLite, or PostgreSQL."""
    opened = DataFolder.open(tmp_path / "data", store_url=place if isinstance(place, str) else "")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def change() -> Callable[..., AlertChange]:
    def make(alert_id: str, **other: object) -> AlertChange:
        fields: dict[str, object] = {
            "id": alert_id,
            "code": "seal-cut",
            "severity": "critical",
            "journey": "d1|MSKU1|26NL1|0",
            "mrn": "26NL1",
            "equipment_id": "MSKU1",
            "device_id": "d1",
            "subject": None,
            "began_us": 10,
            "ended_us": None,
            "raised_event_us": 10,
            "last_us": 10,
            "raised_us": 100,
            "count": 1,
            "lat_deg": None,
            "lon_deg": float("nan"),
            "value": np.float64(3.5),
            "peak": 4.0,
            "peak_us": 10,
            "threshold": None,
            "unit": "m",
            "corridor": None,
            "began_key": 2**64 - 1,
            "raised_key": np.uint64(2**63),
            "last_key": 7,
            "peak_key": 2**64 - 2,
            "says": "The rope is cut.",
        }
        fields.update(other)
        return AlertChange(**fields)

    return make


@pytest.fixture(scope="session")
def main_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """A new, empty ``cocket.sqlite`` each time it is called, without the cost of its migration."""
    first = tmp_path_factory.mktemp("main") / "cocket.sqlite"
    Database(first, "main", tables.main_metadata).close()
    empty = first.read_bytes()

    def make() -> Path:
        path = tmp_path_factory.mktemp("main") / "cocket.sqlite"
        path.write_bytes(empty)
        return path

    return make
