"""Decoders of JSON on documents whose parts have other types than they should: readings, and nothing else."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from tests.decoders.vectors import vectors

from cocket.core.protocol import Session
from cocket.decoders import protocol
from cocket.observations.frames import read_frame

NAMES = ("chirpstack", "dcsa", "osmand", "owntracks", "thethingsstack", "traccar", "uncefact")
STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.5, 1e308, -1e308, 2**62, 2**63, 10**30, "", " ", "x", "12", "NaN", "true", "\x00", "é",
    [], {}, [[]], [None], {"": None}, [{}], {"a": {"b": []}}, "2026-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "open",
)  # fmt: skip


def _places(doc: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    items = doc.items() if isinstance(doc, dict) else enumerate(doc) if isinstance(doc, list) else ()
    for key, value in items:
        found.append((doc, key))
        _places(value, found)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_any_types(name: str) -> None:
    p, rng = protocol(name), random.Random(7)
    frames = [v.frame for v in vectors(name) if v.frame[:1] in b"{[" and v.reject is None]
    assert frames
    for _ in range(4000):
        doc = json.loads(rng.choice(frames))
        for _ in range(rng.randrange(1, 4)):
            places = _places(doc, [])
            if not places:
                break
            holder, key = rng.choice(places)
            holder[key] = copy.deepcopy(rng.choice(STRANGE))
        reading = read_frame(p, json.dumps(doc).encode(), Session())
        for row in reading.rows:
            assert ("lat_deg" in row) == ("lon_deg" in row)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("doc", STRANGE, ids=repr)
def test_any_document(name: str, doc: Any) -> None:
    reading = read_frame(protocol(name), json.dumps(doc).encode(), Session())
    assert not reading.rows
