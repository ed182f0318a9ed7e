"""The observations that the log holds and no history file does yet, in memory, quick to ask by device.

Chunks of up to 65,536 rows, column by column, append-only: the writer fills the space behind what readers know of,
so nobody waits. Asking which rows belong to thousands of devices is one look-up per row in a table of flags.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from cocket.core.batch import DTYPES, NULLS, Array, Batch, ColumnData, Texts
from cocket.core.schema import BY_NAME, Kind

CHUNK_ROWS: Final = 65_536


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of the tail as they stood when asked for: ``device`` codes into the tail's own list of devices."""

    batch: Batch
    device: Array
    observed_us: Array
    keys: Array
    offsets: Array

    def take(self, rows: Array) -> Piece:
        """The chosen rows."""
        return Piece(
            self.batch.take(rows),
            self.device[rows],
            self.observed_us[rows],
            self.keys[rows],
            self.offsets[rows],
        )


class _Chunk:
    """Up to ``CHUNK_ROWS`` rows; a column comes into being with the first row that fills it."""

    def __init__(self) -> None:
        self.n = 0
        self.device = np.empty(CHUNK_ROWS, np.int32)
        self.observed_us = np.empty(CHUNK_ROWS, np.int64)
        self.keys = np.empty(CHUNK_ROWS, np.uint64)
        self.offsets = np.empty(CHUNK_ROWS, np.int64)
        self.columns: dict[str, Array] = {}
        self.values: dict[str, list[str]] = {}
        self._codes: dict[str, dict[str, int]] = {}

    def add(self, batch: Batch, device: Array, keys: Array, offset: int) -> None:
        here = slice(self.n, self.n + batch.n)
        for name in self.columns.keys() - batch.columns.keys():
            self.columns[name][here] = -1 if name in self.values else NULLS[BY_NAME[name].kind]
        for name, data in batch.columns.items():
            if name == "device_id":
                continue
            column = self.columns.get(name)
            if column is None:
                column = self._new(name)
            column[here] = self._recoded(name, data) if isinstance(data, Texts) else data
        self.device[here] = device
        self.observed_us[here] = batch.filled("observed_us")
        self.keys[here] = keys
        self.offsets[here] = offset
        self.n += batch.n

    def _new(self, name: str) -> Array:
        kind = BY_NAME[name].kind
        if kind is Kind.TEXT:
            self.columns[name] = np.full(CHUNK_ROWS, -1, np.int32)
            self.values[name] = []
            self._codes[name] = {}
        else:
            self.columns[name] = np.full(CHUNK_ROWS, NULLS[kind], DTYPES[kind])
        return self.columns[name]

    def _recoded(self, name: str, data: Texts) -> Array:
        codes, values = self._codes[name], self.values[name]
        table = np.full(len(data.values) + 1, -1, np.int32)
        for code in np.unique(data.codes).tolist():
            if code >= 0:
                text = data.values[code]
                if text not in codes:
                    codes[text] = len(values)
                    values.append(text)
                table[code] = codes[text]
        found: Array = table[data.codes]
        return found


class Tail:
    """The tail. One thread adds at a time (the log's lock sees to it), any may ask and drop.

    ``add`` only takes note of a batch, which nobody may change from then on; who asks first sorts it in.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Batch, Array, int]] = deque()
        self._chunks: list[_Chunk] = []
        self._codes: dict[str, int] = {}
        self.devices: list[str] = []
        self.last_offset = 0

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        with self._lock:
            return sum(chunk.n for chunk in self._chunks) + sum(
                batch.n for batch, _, _ in tuple(self._waiting)
            )

    def add(self, batch: Batch | None, keys: Array | None, offset: int) -> None:
        """Take in the rows of the log entry at ``offset`` (None: a tick); one that is in already is left out."""
        if offset <= self.last_offset:
            return
        if offset != self.last_offset + 1:
            raise AssertionError(
                f"log entry {offset} follows {self.last_offset}: entries are missing between"
            )
        if batch is not None and keys is not None:
            self._waiting.append((batch, keys, offset))
        self.last_offset = offset

    def _sort_in(self) -> None:
        while self._waiting:
            batch, keys, offset = self._waiting[0]
            device = self._device_codes(batch)
            done = 0
            while done < batch.n:
                if not self._chunks or self._chunks[-1].n == CHUNK_ROWS:
                    self._chunks.append(_Chunk())
                chunk = self._chunks[-1]
                part = slice(done, min(batch.n, done + CHUNK_ROWS - chunk.n))
                chunk.add(batch.take(part), device[part], keys[part], offset)
                done = part.stop
            self._waiting.popleft()

    def _device_codes(self, batch: Batch) -> Array:
        texts = batch.columns["device_id"]
        assert isinstance(texts, Texts)
        used = range(len(texts.values))
        if len(used) > 2 * batch.n:  # the batch shares a far larger table
            used = np.unique(texts.codes).tolist()
        names = [texts.values[code] for code in used]
        known = self._codes
        for name in names:
            if name not in known:
                self.devices.append(name)
                known[name] = len(self.devices) - 1
        table = np.zeros(len(texts.values), np.int32)
        table[used] = [known[name] for name in names]
        found: Array = table[texts.codes]
        return found

    def drop(self, upto_offset: int) -> None:
        """Forget the rows up to and with ``upto_offset``: whole chunks; asking leaves the rest of them out."""
        with self._lock:
            self._sort_in()
            kept = [c for c in self._chunks if c.n and c.offsets[c.n - 1] > upto_offset]
            self._chunks = kept
            if not kept:
                self._codes, self.devices = {}, []

    def pieces(
        self, after_offset: int, upto_offset: int | None = None
    ) -> tuple[list[Piece], list[str], dict[str, int]]:
        """What it holds of the log entries in (after, upto], the devices that the codes mean, and their codes.

        Both grow behind the caller's back; no code changes its meaning.
        """
        with self._lock:
            self._sort_in()
            devices, codes = self.devices, self._codes
            whole = [
                (_view(chunk), int(chunk.offsets[0]), int(chunk.offsets[chunk.n - 1]))
                for chunk in self._chunks
            ]
        found: list[Piece] = []
        for piece, first, last in whole:
            if first <= after_offset or (upto_offset is not None and last > upto_offset):
                keep = piece.offsets > after_offset
                if upto_offset is not None:
                    keep &= piece.offsets <= upto_offset
                if keep.any():
                    found.append(piece.take(np.flatnonzero(keep)))
            else:
                found.append(piece)
        return found, devices, codes


def _view(chunk: _Chunk) -> Piece:
    n = chunk.n
    columns: dict[str, ColumnData] = {
        name: Texts(data[:n], chunk.values[name]) if name in chunk.values else data[:n]
        for name, data in chunk.columns.items()
    }
    return Piece(
        Batch(n, columns), chunk.device[:n], chunk.observed_us[:n], chunk.keys[:n], chunk.offsets[:n]
    )
