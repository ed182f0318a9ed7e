"""What doors and workers say to each other: bodies, receipts, questions. MessagePack heads, Arrow bodies.

cocket-site.SITE.line.P.submit    a part of a body → its receipt, once it is durable
cocket-site.SITE.line.P.ask       a question to the owner of partition P → its answer; an empty one: is somebody there?
cocket-site.SITE.declared         something declared was changed and is stored
cocket-site.SITE.alerts           alerts were changed and are stored; which, and their place in a trace, if they are traced
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from cocket.core.doors import Decoded, Reject
from cocket.core.errors import Busy, CocketError, Unavailable
from cocket.core.tracing import OFF, Tracing, parent_of
from cocket.store.log import decode, prepare

MOST_ROWS: Final = 20_000
"""Rows of one message; a longer body goes in several."""

_LENGTH: Final = struct.Struct("<I")


class Names:
    """The subjects of a site."""

    def __init__(self, site: str) -> None:
        self._root = f"cocket-site.{site}"  # not below cocket/, where MQTT devices speak
        self.declared = f"{self._root}.declared"
        self.alerts = f"{self._root}.alerts"

    def submit(self, partition: int) -> str:
        """Where the owner of a partition takes observations."""
        return f"{self._root}.line.{partition}.submit"

    def ask(self, partition: int) -> str:
        """Where it answers questions."""
        return f"{self._root}.line.{partition}.ask"


class _Head(msgspec.Struct, array_like=True):
    n: int
    size: int
    source: str
    rejects: list[tuple[int, str, str, str, bytes, str, str | None, str | None]]
    trace: str = ""
    """``traceparent`` of what the door did with it. A process of an older version sends none, and reads over it."""


class Wrote(msgspec.Struct, array_like=True):
    """Alert events that were stored: the numbers of the first and the last, and the ``traceparent`` of who wrote them."""

    first: int
    last: int
    trace: str


class Failed(msgspec.Struct, array_like=True, tag=True):
    """Why it became nothing. ``retry_after_s`` of a ``Busy``, else None."""

    detail: str
    retry_after_s: int | None = None

    def error(self) -> CocketError:
        """As the error that it is."""
        if self.retry_after_s is None:
            return Unavailable(self.detail)
        return Busy(self.detail, retry_after_s=self.retry_after_s)


class Taken(msgspec.Struct, array_like=True, tag=True):
    """It is durable."""

    accepted: int
    duplicates: int


def packed(decoded: Decoded) -> bytes:
    """A body, or a part of one."""
    made = prepare(decoded.batch)
    rejects = [
        (r.row, r.field, r.rule, r.detail, r.raw, r.source, r.protocol, r.device_id) for r in decoded.rejects
    ]
    head = msgspec.msgpack.encode(
        _Head(decoded.batch.n, made.size, decoded.source, rejects, parent_of(decoded.mark))
    )
    return b"".join((_LENGTH.pack(len(head)), head, memoryview(made.blob)))


def unpacked(message: bytes, tracing: Tracing = OFF) -> Decoded:
    """The inverse. ``DataDamaged`` or msgspec's errors if it is none."""
    (length,) = _LENGTH.unpack_from(message)
    end = _LENGTH.size + length
    head = msgspec.msgpack.decode(message[_LENGTH.size : end], type=_Head)
    batch = decode(pa.py_buffer(message)[end:], head.size, "a body from a door")
    rejects = [Reject(*r) for r in head.rejects]
    return Decoded(batch, np.arange(head.n), rejects, head.source, mark=tracing.elsewhere(head.trace))


def answered(message: bytes) -> Taken | Failed:
    """What a worker answered to a body."""
    return msgspec.msgpack.decode(message, type=Taken | Failed)


def said(answer: Any) -> bytes:
    """Any answer as a message."""
    return msgspec.msgpack.encode(answer)


def wrote(message: bytes) -> Wrote | None:
    """What a word about alerts says of a trace; None if it only says that there are some."""
    return msgspec.msgpack.decode(message, type=Wrote) if message else None


def heard(message: bytes) -> Any:
    """The answer to a question."""
    return msgspec.msgpack.decode(message)
