"""What passes between a door and the pipeline: decoded rows, rejects, and the receipt after they are durable."""

from __future__ import annotations

from dataclasses import dataclass, field

from cocket.core.batch import Array, Batch
from cocket.core.tracing import Mark


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that broke a rule. ``row`` counts from 0 in the body it came in; ``raw`` are its bytes as sent.

    Of a device's frame ``protocol`` tells how to read the bytes again and ``device_id`` who sent them, if that is
    known; ``source`` is the door, where it is not the body's.
    """

    row: int
    field: str
    rule: str
    detail: str
    raw: bytes
    source: str = ""
    protocol: str | None = None
    device_id: str | None = None


@dataclass(slots=True)
class Decoded:
    """A body after decoding: the good rows as a batch, ``rows`` their numbers in the body, and the rejects.

    The pipeline sets ``received_us`` and ``time_quality``; a door may set the latter to ``received`` where a message
    carries no time and ``observed_us`` is when its bytes came. ``taken_s``: when the first of it came, on the monotonic
    clock (None: when it is submitted); ``mark``: its place in a trace, if it is traced.
    """

    batch: Batch
    rows: Array
    rejects: list[Reject] = field(default_factory=list)
    source: str = "http"
    taken_s: float | None = None
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Answer to a body, given only after its rows are durable: accepted + duplicates + rejected = rows in."""

    accepted: int
    duplicates: int
    rejects: list[Reject]

    @property
    def rejected(self) -> int:
        """How many rows broke a rule."""
        return len(self.rejects)
