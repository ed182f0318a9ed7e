"""The log: everything that came in, in the order it was made durable. What each log promises, and an entry's bytes.

One entry is one group commit: an Arrow IPC stream of the batch in one zstd frame, its checksum and its offset. Offsets are
1, 2, 3 …, never used twice, also after trimming. What was refused stands in the quarantine with its raw bytes, and
the sums observations + duplicates + rejected account for every row that came in; a group, its rejects and its sums
become durable together.

``SqliteLog`` is a table in the data folder, for one machine; ``JetStreamLog`` a stream of NATS, for several.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, Protocol

import pyarrow as pa

from cocket.core.batch import Array, Batch
from cocket.core.errors import DataDamaged, Unavailable
from cocket.store.quarantine import Quarantined
from cocket.store.rows import only_used

_ZSTD_LEVEL = 1

Follower = Callable[["Entry", "Array | None"], None]


class Fenced(Unavailable):
    """Another writer has taken this log over. Nothing was written, and nothing will be by this one, ever again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log. ``n`` is its number of observations; ``batch`` is None for a tick, and for an entry without observations."""

    offset: int
    kind: Literal["observations", "tick"]
    batch: Batch | None
    tick_us: int | None
    received_us: int
    n: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch, encoded and ready to append: ``blob`` is the zstd frame, ``size`` its length when unpacked."""

    batch: Batch
    keys: Array | None
    blob: pa.Buffer
    size: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Rows since the log was made: rows in = observations + duplicates + rejected."""

    observations: int
    duplicates: int
    rejected: int


class Log(Protocol):
    """What the engine relies on, whatever holds the log.

    Who may call: ``append``, ``append_tick``, ``settle`` and ``trim`` from any thread (they queue on one lock; one
    writer thread that groups bodies is fastest); everything else from any thread at any time, without waiting for
    the writer. One writer at a time has a log: a second one is kept out (the data folder's lock) or takes it over, and
    then the first gets ``Fenced``.
    """

    def follow(self, follow: Follower) -> None:
        """Set who is told of each new entry: after it is durable, before ``append`` returns, in the order of offsets."""

    def append(
        self,
        batch: Batch | Prepared | None,
        *,
        received_us: int,
        duplicates: int = 0,
        rejects: Sequence[Quarantined] = (),
        keys: Array | None = None,
    ) -> int:
        """Make a group of observations durable, with its rejects and sums, and return the offset of its last entry.

        When it returns, all of it is durable. When it raises, the caller acknowledges nothing and the client sends
        again: what did become durable is known to the followers before the next append (``settle``), so that those
        rows fold as duplicates. Whether a group without observations makes an entry is the log's choice: then one
        with ``batch`` None. ``keys`` are ``observation_keys(batch)``, if the caller has them. Encoding is most of
        the work: a caller with a core to spare does it beforehand, by ``prepare``, while another group is being
        written. Raises ``Fenced``, ``Unavailable`` or what the disk and the database say.
        """
        ...

    def append_tick(self, tick_us: int) -> int:
        """Make the passing of time durable: nothing else happened up to ``tick_us``. Returns its offset."""
        ...

    def settle(self) -> None:
        """After a write that failed: find out what of it is there, and tell the followers. Nothing to do otherwise.

        A write can fail and yet be kept; then the followers must know of it, or a repeat would be stored twice.
        Raises as ``append`` does when that cannot be found out now.
        """

    def read(self, after: int, max_rows: int = 20_000) -> list[Entry]:
        """The entries behind offset ``after``, in order, up to about ``max_rows`` observations (one entry at least).

        Each is checked against its checksum; ``DataDamaged`` names the offset, also of one that is missing between
        two others. What was trimmed is left out: the caller sees by the first offset.
        """
        ...

    def last_offset(self) -> int:
        """The newest offset; 0 when nothing was ever appended."""
        ...

    def first_offset(self) -> int:
        """The oldest offset not trimmed; ``last_offset() + 1`` when none is left."""
        ...

    def rows_after(self, offset: int) -> int:
        """How many observations stand behind ``offset``."""
        ...

    def totals(self) -> Totals:
        """The running sums, from memory; trimming does not touch them."""
        ...

    def trim(self, upto: int) -> None:
        """Forget the entries up to and with ``upto``.

        ``upto`` must be behind both the history (``History.compacted_offset``, checked here: ``ValueError``) and the
        detectors' snapshot (``AlertStore.snapshot_offset``, which the caller knows: it passes the smaller).
        """

    def damage(self) -> list[str]:
        """Read every entry and say which do not match their checksums, and which offsets are missing."""
        ...

    # the quarantine of what was refused: ``cocket.store.quarantine.Quarantine``

    def quarantined(
        self,
        limit: int,
        cursor: str | None = None,
        rule: str | None = None,
        state: str | None = None,
        device_id: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The newest refused rows, and the cursor of the next page."""
        ...

    def quarantined_row(self, row_id: int) -> dict[str, Any] | None:
        """One refused row with its raw bytes; None if there is none of that number."""
        ...

    def held(self) -> int:
        """How many rows wait: neither replayed nor discarded."""
        ...

    def quarantined_before(self, before_us: int) -> int:
        """How many refused rows were received before a moment."""
        ...

    def drop_quarantined(self, before_us: int) -> int:
        """Drop them, their term being over; how many."""
        ...

    def set_aside(self, row: Quarantined) -> None:
        """Keep a stored row that the detectors fail on, once while it is held; the sums stay."""
        ...

    def tried_again(self) -> None:
        """Every row held because the detectors failed on it counts as replayed."""
        ...

    def settle_quarantined(self, row_id: int, state: Literal["replayed", "discarded"]) -> None:
        """Say what became of a refused row. ``NotFound`` if there is none of that number."""


def checksum(
    offset: int, kind: str, received_us: int, tick_us: int | None, n: int, size: int, blob: bytes | pa.Buffer
) -> bytes:
    """BLAKE2b (RFC 7693), 16 bytes, over an entry's blob and all that stands beside it."""
    head = struct.pack(
        "<q16sqq?qq", offset, kind.encode(), received_us, tick_us or 0, tick_us is None, n, size
    )
    digest = blake2b(head, digest_size=16)
    digest.update(blob)
    return digest.digest()


def prepare(batch: Batch, keys: Array | None = None) -> Prepared:
    """Encode a batch for ``Log.append``: an Arrow IPC stream in one zstd frame (RFC 8878). Any thread may."""
    sink = pa.BufferOutputStream()
    record = only_used(batch).to_arrow()
    with pa.ipc.new_stream(sink, record.schema) as writer:
        writer.write_batch(record)
    stream = sink.getvalue()
    # one frame for the stream: Arrow's own compression sets a compressor up for each of some forty buffers
    blob = pa.Codec("zstd", compression_level=_ZSTD_LEVEL).compress(stream)
    return Prepared(batch, keys, blob, stream.size)


def decode(blob: bytes, size: int, where: str) -> Batch:
    """The inverse of ``prepare``; ``where`` names the entry in errors."""
    try:
        stream = pa.Codec("zstd").decompress(blob, decompressed_size=size)
        with pa.ipc.open_stream(stream) as reader:
            return Batch.from_arrow(reader.read_next_batch())
    except (pa.ArrowException, OSError, StopIteration) as error:
        raise DataDamaged(f"{where} is no Arrow stream ({error})") from error
