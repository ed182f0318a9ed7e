"""An entry of the log as one message of a stream: what SQLite keeps in columns, its rejects, and the sums up to it.

    checksum 16 bytes | head | rejects (MessagePack in a zstd frame) | blob (the zstd frame of ``log.prepare``)

The checksum is BLAKE2b (RFC 7693) over the offset and all that follows it: an altered message, and one that stands at another place than
it was written for, are both found out. The sums count everything up to and with this message, so that the newest one
tells them all. Numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

import msgspec
import pyarrow as pa

from cocket.core.errors import DataDamaged
from cocket.store.log import Entry, Totals, decode
from cocket.store.quarantine import Quarantined

Kind = Literal["observations", "tick", "claim"]
"""``claim``: a writer took the log over; it holds nothing."""

_KINDS: Final[tuple[Kind, ...]] = ("observations", "tick", "claim")
_MAGIC: Final = b"CKT1"
_HEAD: Final = struct.Struct("<4sB3x16sqqIIQQQQQQQQ")
_CHECKSUM: Final = 16

OVERHEAD: Final = _CHECKSUM + _HEAD.size + 1024
"""Bytes of a message beside rejects and blob, with what NATS' headers take."""

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[Quarantined])


@dataclass(frozen=True, slots=True)
class Message:
    """One message. ``sums`` are those up to and with it; ``rejects`` and ``blob`` are still packed, ``rejects_size`` and ``size`` their lengths when unpacked."""

    offset: int
    kind: Kind
    writer: bytes
    received_us: int
    tick_us: int
    n: int
    rejected: int
    duplicates: int
    size: int
    rejects_size: int
    sums: Totals
    rejects: bytes
    blob: bytes | memoryview | pa.Buffer

    def to_bytes(self) -> bytes:
        """As it goes into the stream at ``offset``."""
        head = _HEAD.pack(
            _MAGIC,
            _KINDS.index(self.kind),
            self.writer,
            self.received_us,
            self.tick_us,
            self.n,
            self.rejected,
            self.duplicates,
            self.size,
            self.rejects_size,
            len(self.rejects),
            len(self.blob),
            self.sums.observations,
            self.sums.duplicates,
            self.sums.rejected,
        )
        body = b"".join((head, self.rejects, self.blob))
        return _checksum(self.offset, body) + body

    @classmethod
    def from_bytes(cls, offset: int, payload: bytes, where: str) -> Message:
        """The inverse. ``DataDamaged`` if it does not match its checksum or its place; ``where`` names it."""
        body = memoryview(payload)[_CHECKSUM:]
        if len(body) < _HEAD.size or _checksum(offset, body) != payload[:_CHECKSUM]:
            raise DataDamaged(f"{where} does not match its checksum; restore the stream from a copy")
        magic, kind, writer, received, tick, n, rejected, twice, size, rejects_size, packed, blob, *sums = (
            _HEAD.unpack_from(body)
        )
        if magic != _MAGIC or kind >= len(_KINDS) or len(body) != _HEAD.size + packed + blob:
            raise DataDamaged(f"{where} is of a form that this version does not know")
        cut = _HEAD.size + packed
        return cls(
            offset,
            _KINDS[kind],
            writer,
            received,
            tick,
            n,
            rejected,
            twice,
            size,
            rejects_size,
            Totals(*sums),
            bytes(body[_HEAD.size : cut]),
            body[cut:],
        )

    def entry(self, where: str) -> Entry:
        """As the log gives it to its readers."""
        batch = decode(pa.py_buffer(self.blob), self.size, where) if self.n else None
        if batch is not None and batch.n != self.n:
            raise DataDamaged(f"{where} holds {batch.n} observations where {self.n} were written")
        tick = self.kind == "tick"
        return Entry(
            self.offset,
            "tick" if tick else "observations",
            batch,
            self.tick_us if tick else None,
            self.received_us,
            self.n,
        )

    def quarantined(self) -> list[Quarantined]:
        """Its rejects."""
        if not self.rejects:
            return []
        plain = pa.Codec("zstd").decompress(self.rejects, decompressed_size=self.rejects_size)
        return _decoder.decode(plain)


def pack_rejects(rejects: Sequence[Quarantined]) -> tuple[bytes, int]:
    """Rejects as a message holds them, and their length when unpacked."""
    if not rejects:
        return b"", 0
    plain = _encoder.encode(rejects)
    return pa.Codec("zstd", compression_level=1).compress(plain, asbytes=True), len(plain)


def _checksum(offset: int, body: bytes | memoryview) -> bytes:
    digest = blake2b(struct.pack("<q", offset), digest_size=_CHECKSUM)
    digest.update(body)
    return digest.digest()
