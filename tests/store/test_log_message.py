"""A message of the log: what goes in comes out, and nothing altered does."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.log_places import numbered, refused

from cocket.core.errors import DataDamaged
from cocket.store.log import Totals, prepare
from cocket.store.log_message import OVERHEAD, Message, pack_rejects

_whole = st.integers(0, 2**63 - 1)


def message(offset: int = 7, rows: int = 20, raws: tuple[bytes, ...] = (b"\xff", b"")) -> Message:
    prepared = prepare(numbered(0, rows))
    rejects = tuple(refused(i, raw) for i, raw in enumerate(raws))
    packed, size = pack_rejects(rejects)
    return Message(
        offset, "observations", bytes(range(16)), 5, 0, rows, len(rejects), 3, prepared.size, size,
        Totals(rows, 3, len(rejects)), packed, prepared.blob,
    )  # fmt: skip


@given(_whole, st.integers(-(2**63), 2**63 - 1), _whole, st.lists(st.binary(max_size=100), max_size=5))
def test_what_goes_in_comes_out(offset, received_us, duplicates, raws):
    rejects = [refused(i, raw, received_us) for i, raw in enumerate(raws)]
    packed, size = pack_rejects(rejects)
    prepared = prepare(numbered(40, 3))
    sent = Message(
        offset, "observations", b"w" * 16, received_us, 0, 3, len(raws), duplicates, prepared.size, size,
        Totals(3, duplicates, len(raws)), packed, prepared.blob,
    )  # fmt: skip
    payload = sent.to_bytes()
    assert len(payload) <= OVERHEAD - 1024 + len(packed) + prepared.blob.size
    got = Message.from_bytes(offset, payload, "it")
    assert (got.offset, got.received_us, got.duplicates, got.sums) == (
        offset,
        received_us,
        duplicates,
        sent.sums,
    )
    assert got.quarantined() == rejects
    entry = got.entry("it")
    assert (entry.kind, entry.tick_us, entry.n) == ("observations", None, 3)
    assert entry.batch.filled("sequence").tolist() == [40, 41, 42]


def test_every_flipped_bit_every_cut_and_another_place_are_found():
    payload = message().to_bytes()
    assert Message.from_bytes(7, payload, "it").n == 20
    for at in range(len(payload)):
        altered = bytearray(payload)
        altered[at] ^= 1 << random.Random(at).randrange(8)
        with pytest.raises(DataDamaged, match="message nine"):
            Message.from_bytes(7, bytes(altered), "message nine")
    for length in range(len(payload)):
        with pytest.raises(DataDamaged):
            Message.from_bytes(7, payload[:length], "it")
    with pytest.raises(DataDamaged):
        Message.from_bytes(7, payload + b"\0", "it")
    with pytest.raises(DataDamaged):
        Message.from_bytes(8, payload, "it")


def test_a_tick_and_an_entry_without_observations():
    tick = Message(3, "tick", b"w" * 16, 9, 9, 0, 0, 0, 0, 0, Totals(0, 0, 0), b"", b"")
    entry = Message.from_bytes(3, tick.to_bytes(), "it").entry("it")
    assert (entry.kind, entry.tick_us, entry.batch, entry.n) == ("tick", 9, None, 0)
    claim = Message(4, "claim", b"w" * 16, 9, 0, 0, 0, 0, 0, 0, Totals(0, 0, 0), b"", b"")
    entry = Message.from_bytes(4, claim.to_bytes(), "it").entry("it")
    assert (entry.kind, entry.tick_us, entry.batch, entry.n) == ("observations", None, None, 0)
