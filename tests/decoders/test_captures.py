"""Captured frames: at least 98 of 100 of each protocol agree, and every disagreement is explained in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.decoders.captures import NAMES, captures, disagreement, folder

from cocket.decoders import names, protocol

PAGE = Path(__file__).resolve().parents[2] / "docs" / "devices" / "disagreements.md"

pytestmark = pytest.mark.skipif(not captures(), reason=f"no captures.jsonl below {folder()}")


@pytest.mark.parametrize("name", [n for n in sorted(NAMES.values()) if n in names()])
def test_captures_agree(name: str) -> None:
    mine = [c for c in captures() if c.protocol == name]
    differ = [(c, why) for c in mine if (why := disagreement(protocol(name), c))]
    told = PAGE.read_text(encoding="utf-8")
    untold = [f"{c.data.hex()[:80]}: {why}" for c, why in differ if c.data.hex()[:24] not in told]
    assert not untold, "\n".join(untold)
    assert len(differ) <= 0.02 * len(mine), [why for _, why in differ]


@pytest.mark.parametrize("name", [n for n in sorted(NAMES.values()) if n in names()])
def test_captures_name_the_same_device(name: str) -> None:
    from cocket.core.protocol import Session
    from cocket.observations.frames import read_line

    for c in captures():
        if c.protocol == name and c.device_id and c.positions:
            session = Session()
            reading = read_line(protocol(name), c.data, session)
            assert session.device_id or any("device_id" in r for r in reading.rows), c.data.hex()[:80]
