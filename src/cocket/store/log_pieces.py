"""A group cut into messages that the servers take: rows first, rejects last; one message if it fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cocket.core.errors import BadSetting
from cocket.store.log import Prepared, prepare
from cocket.store.log_message import Kind, pack_rejects
from cocket.store.quarantine import Quarantined


@dataclass(frozen=True, slots=True)
class Piece:
    """What goes into one message."""

    prepared: Prepared | None = None
    rejects: tuple[Quarantined, ...] = ()
    packed: bytes = b""
    unpacked: int = 0
    rejected: int = 0
    duplicates: int = 0
    kind: Kind = "observations"
    tick_us: int = 0


def pieces_of(
    prepared: Prepared | None, rejects: Sequence[Quarantined], duplicates: int, room: int
) -> list[Piece]:
    """A group as messages of at most ``room`` bytes: rows first, rejects last; one message if it fits."""
    rows = [] if prepared is None or not prepared.batch.n else _split(prepared, room)
    refused = list(_split_rejects(tuple(rejects), room)) if rejects else []
    pieces = [Piece(prepared=part) for part in rows]
    if len(rows) == len(refused) == 1 and rows[0].blob.size + len(refused[0].packed) <= room:
        pieces = [replace(refused[0], prepared=rows[0])]
    else:
        pieces += refused
    if duplicates and not pieces:
        pieces = [Piece()]
    if pieces:
        pieces[-1] = replace(pieces[-1], duplicates=duplicates)
    return pieces


def _split(prepared: Prepared, room: int) -> list[Prepared]:
    if prepared.blob.size <= room:
        return [prepared]
    n = prepared.batch.n
    if n == 1:
        raise BadSetting(
            f"one observation does not fit into the NATS servers' max_payload ({room} bytes): raise it"
        )
    halves = (slice(0, n // 2), slice(n // 2, n))
    return [
        part
        for rows in halves
        for part in _split(
            prepare(prepared.batch.take(rows), None if prepared.keys is None else prepared.keys[rows]), room
        )
    ]


def _split_rejects(rejects: tuple[Quarantined, ...], room: int) -> Iterator[Piece]:
    packed, unpacked = pack_rejects(rejects)
    if len(packed) <= room:
        yield Piece(rejects=rejects, packed=packed, unpacked=unpacked, rejected=len(rejects))
    elif len(rejects) > 1:
        middle = len(rejects) // 2
        yield from _split_rejects(rejects[:middle], room)
        yield from _split_rejects(rejects[middle:], room)
    else:  # one row, longer than a message: its bytes come in parts, and it counts, and is booked, with the last
        whole, size = rejects[0], room // 2
        cuts = range(0, len(whole.raw), size)
        for at in cuts:
            part = replace(whole, raw=whole.raw[at : at + size])
            packed, unpacked = pack_rejects((part,))
            last = at + size >= len(whole.raw)
            yield Piece(rejects=rejects if last else (), packed=packed, unpacked=unpacked, rejected=int(last))
