"""What every history promises, whichever engine holds it: what the engine and the web rely on.

``store.history`` keeps it in one folder (tail in memory, Parquet behind), ``store.observations`` in PostgreSQL with
Parquet on disk or in object storage behind. ``tests/store/test_history_contract.py`` holds both against a plain list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Protocol, TypeAlias

import pyarrow as pa

from cocket.core.batch import Array, Batch
from cocket.store.log import Entry
from cocket.store.parquet import HistoryFile
from cocket.store.rows import Rows

Span: TypeAlias = "tuple[str, int, int]"
"""A device, and event times in [from, to), microseconds."""

Limit: TypeAlias = "int | Mapping[int, int] | None"
"""A log offset up to and with which rows are seen: of every partition, or by partition (others: all). None: no limit."""


Chosen: TypeAlias = "Callable[[Batch], Array]"
"""Marks rows of a batch (bool for each)."""


class HistoryStore(Protocol):
    """Every observation of the log, findable by device and event time.

    ``find``, ``rows``, ``hour_keys`` and ``sql`` may be called from any thread at any time and see what was remembered
    before, whole, also while ``compact``, ``merge`` or ``expire`` run; those may be called from any thread and any
    process, and one at a time does anything. A stop at any point of theirs neither loses nor doubles a row.
    Damage raises ``DataDamaged`` naming the file; nothing is skipped.
    """

    @property
    def compacted_offset(self) -> int:
        """Up to and with this offset the log's observations are kept here durably: it may be trimmed behind."""
        ...

    @property
    def files(self) -> tuple[HistoryFile, ...]:
        """The Parquet files that count."""
        ...

    def remember(self, entry: Entry, keys: Array | None = None) -> None:
        """Take in a log entry. Offsets come in order; one that is in already changes nothing."""
        ...

    def find(
        self,
        wanted: Sequence[Span],
        *,
        columns: Sequence[str] | None = None,
        upto_offset: int | None = None,
    ) -> Rows:
        """Every observation of the spans, as the log stood at ``upto_offset``.

        Sorted by device, event time, sequence (null first), key; spans may overlap, a row comes once. ``columns``
        limits what is read (device, event time and sequence always are).
        """
        ...

    def rows(self, wanted: Sequence[Span], *, columns: Sequence[str] | None = None) -> Batch:
        """As ``find``, the observations alone."""
        ...

    def hour_keys(self, hours: Sequence[int]) -> tuple[Array, Array]:
        """Event time and key of every stored observation of these hours (event time // one hour)."""
        ...

    def sql(self, query: str) -> pa.Table:
        """Run a query of DuckDB's SQL over the view ``observations``, with ``key`` and ``offset``; it can read nothing else."""
        ...

    def newest(
        self, *, trusted: Sequence[str], unless: Sequence[str], of: Callable[[str], bool] | None = None
    ) -> dict[str, int]:
        """The event time (µs) of each device's newest observation, of those that count.

        Those do whose ``time_quality`` is among ``trusted`` and that have no flag of ``unless`` set; a device without any is left out.
        ``of``: which devices are asked for; None: all.
        """
        ...

    def compact(self, upto_offset: int) -> int:
        """Move what is due, of log entries up to and with ``upto_offset``, into files; returns how many rows were written."""
        ...

    def merge(self) -> int:
        """Merge files of one size into one, where there are many; returns how many rows were rewritten."""
        ...

    def expire(
        self, before_us: int, chosen: Chosen | None = None, devices: AbstractSet[str] | None = None
    ) -> int:
        """Forget every observation whose age (the later of event time and receipt) began before, or those that ``chosen`` marks.

        ``devices``: ``chosen`` marks rows of these alone, so that others need not be read. Returns how many. What only
        the log holds so far is kept.
        """
        ...

    def old(
        self, before_us: int, chosen: Chosen | None = None, devices: AbstractSet[str] | None = None
    ) -> int:
        """How many observations ``expire`` would forget."""
        ...


if TYPE_CHECKING:
    from cocket.store.history import History
    from cocket.store.observations import PgHistory

    def _promised(first: History, second: PgHistory) -> tuple[HistoryStore, HistoryStore]:
        """Both have what is promised: mypy says so."""
        return first, second
