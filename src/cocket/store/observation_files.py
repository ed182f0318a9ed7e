"""The registered Parquet files of a history in PostgreSQL: found again by any process, opened once.

A file in PostgreSQL's history says of each row which log it came from and where: its column ``offset`` holds
``partition * 2**48 + offset``, so that of partition 0 is the offset itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from cocket.core.batch import Array
from cocket.store.history_contract import Limit
from cocket.store.history_places import Place
from cocket.store.observation_tables import observation_files, observation_periods
from cocket.store.parquet import Facts, HistoryFile

_OFFSET_BITS: Final = 48
_MOST_KNOWN: Final = 20_000
_FACTS = [f.name for f in fields(Facts)]


def packed(partitions: Array, offsets: Array) -> Array:
    """Partition and offset in one number, as the files hold them."""
    whole: Array = (partitions.astype(np.int64) << _OFFSET_BITS) | offsets
    return whole


def unpacked(offsets: Array) -> tuple[Array, Array]:
    """Partitions and offsets out of ``packed``."""
    return (offsets >> _OFFSET_BITS).astype(np.int32), offsets & ((1 << _OFFSET_BITS) - 1)


def within(limit: Limit, partitions: Array, offsets: Array) -> Array:
    """Which rows the log held as it stood at ``limit``."""
    seen: Array = np.ones(len(offsets), np.bool_)
    if isinstance(limit, Mapping):
        for partition, upto in limit.items():
            seen &= (partitions != partition) | (offsets <= upto)
    elif limit is not None:
        seen = offsets <= limit
    return seen


class FileList:
    """Which files count, as a transaction sees them. ``place_of`` finds where files of a place's name lie."""

    def __init__(self, place_of: Callable[[str], Place]) -> None:
        self.place_of = place_of
        self._lock = threading.Lock()
        self._known: dict[int, HistoryFile] = {}

    def and_moving(
        self, connection: sa.Connection, from_us: int | None = None, to_us: int | None = None
    ) -> tuple[list[str], list[HistoryFile]]:
        """The tables that are on their way to files, and the files that may hold observations within [from, to), in order."""
        files, periods = observation_files.c, observation_periods.c
        counting = sa.select(files.id, sa.null().label("name"))
        if from_us is not None:
            counting = counting.where(files.max_us >= from_us)
        if to_us is not None:
            counting = counting.where(files.min_us < to_us)
        moving = sa.select(sa.null().label("id"), periods.name).where(periods.state == "moving")
        found = connection.execute(sa.union_all(counting, moving)).all()
        ids = sorted(row.id for row in found if row.id is not None)
        with self._lock:
            held = {i: self._known[i] for i in ids if i in self._known}
        missing = [i for i in ids if i not in held]
        for i in range(0, len(missing), 500):
            held |= self._load(connection, missing[i : i + 500])
        with self._lock:
            if len(self._known) > _MOST_KNOWN:
                self._known = dict(held)
        return sorted(row.name for row in found if row.name is not None), [held[i] for i in ids]

    def _load(self, connection: sa.Connection, ids: Sequence[int]) -> dict[int, HistoryFile]:
        rows = connection.execute(observation_files.select().where(observation_files.c.id.in_(ids)))
        found: dict[int, HistoryFile] = {}
        for row in rows.mappings():
            known: dict[str, Any] = {name: row[name] for name in _FACTS}
            file = self.place_of(row["place"]).file(row["name"], row["id"], row["level"], Facts(**known))
            with self._lock:
                found[file.file_id] = self._known.setdefault(file.file_id, file)
        return found

    def counts(self, connection: sa.Connection, file_id: int) -> bool:
        """Whether a file is still registered."""
        query = sa.select(observation_files.c.id).where(observation_files.c.id == file_id)
        return connection.execute(query).first() is not None

    @staticmethod
    def register(connection: sa.Connection, place: Place, files: Sequence[HistoryFile]) -> None:
        """Let files count, from the transaction's commit on."""
        for file in files:
            connection.execute(
                observation_files.insert().values(
                    id=file.file_id,
                    place=place.name,
                    name=file.path.name,
                    level=file.level,
                    **asdict(file.facts),
                )
            )

    @staticmethod
    def strike(connection: sa.Connection, files: Sequence[HistoryFile]) -> bool:
        """Let files count no more; False if one of them did not."""
        gone = connection.execute(
            observation_files.delete().where(observation_files.c.id.in_([f.file_id for f in files]))
        )
        return gone.rowcount == len(files)

    @staticmethod
    def places(connection: sa.Connection) -> Iterator[tuple[str, str]]:
        """Place and name of every registered file."""
        for row in connection.execute(sa.select(observation_files.c.place, observation_files.c.name)):
            yield row[0], row[1]
