"""Captured frames: at least 98 of 100 of each protocol agree, and every disagreement is explained in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.decoders.captures import NAMES, captures, compare, folder

from cocket.decoders import names, protocol

PAGE = Path(__file__).resolve().parents[2] / "docs" / "devices" / "disagreements.md"

pytestmark = pytest.mark.skipif(not captures(), reason=f"no captures.jsonl below {folder()}")


@pytest.mark.parametrize("name", [n for n in sorted(NAMES.values()) if n in names()])
def test_captures_agree(name: str) -> None:
    mine = [c for c in captures() if c.protocol == name]
    differ: list[str] = []
    told = PAGE.read_text(encoding="utf-8")
    for c in mine:
        why, beyond = compare(protocol(name), c)
        if why or beyond:
            said = why or f"{beyond} positions more than it"
            assert c.data.hex()[:48] in told, (
                f"docs/devices/disagreements.md does not tell: {c.data.hex()[:80]}: {said}"
            )
        if why:
            differ.append(why)
    assert len(differ) <= 0.02 * len(mine), differ


@pytest.mark.parametrize("name", [n for n in sorted(NAMES.values()) if n in names()])
def test_captures_name_the_same_device(name: str) -> None:
    from cocket.core.protocol import Session
    from cocket.observations.frames import read_line

    for c in captures():
        if c.protocol == name and c.device_id and c.positions:
            session = Session()
            reading = read_line(protocol(name), c.data, session)
            assert session.device_id or any("device_id" in r for r in reading.rows), c.data.hex()[:80]
