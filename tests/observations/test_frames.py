"""A decoder that fails on a frame costs neither the frame nor the connection."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from cocket.core.protocol import Reading, Session
from cocket.decoders import protocol
from cocket.observations.frames import DECODER_FAULT, read_frame


def test_a_fault_of_the_decoder_is_named_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def decode(frame: bytes, session: Session, reading: Reading) -> None:
        session.device_id = "1"
        reading.rows.append({"rope_cut": True})
        raise TypeError("unsupported operand")

    faulty = dataclasses.replace(protocol("jt701"), decode=decode)
    with caplog.at_level(logging.ERROR):
        reading = read_frame(faulty, b"\x01\x02", Session())
    assert reading.fault is not None
    assert reading.fault.rule == DECODER_FAULT
    assert "TypeError: unsupported operand" in reading.fault.detail
    assert reading.rows == [{"rope_cut": True, "device_id": "1"}], "what was read before stays"
    assert "jt701 failed on 0102" in caplog.text
