"""Every hand-worked vector of every protocol gives exactly what it says."""

from __future__ import annotations

import pytest
from tests.decoders.vectors import HERE, Vector, vectors

from cocket.core.protocol import Session
from cocket.decoders import names, protocol
from cocket.observations.frames import read_frame, shown


@pytest.mark.parametrize(
    ("name", "vector"), [pytest.param(n, v, id=f"{n}-{v.name}") for n in names() for v in vectors(n)]
)
def test_vector(name: str, vector: Vector) -> None:
    p, session = protocol(name), Session()
    for frame in vector.after:
        read_frame(p, frame, session)
    reading = read_frame(p, vector.frame, session)
    assert (reading.fault.rule if reading.fault else None) == vector.reject, reading.fault
    assert [r.hex() for r in reading.replies] == list(vector.replies)
    assert len(reading.rows) == len(vector.observations), vector.why
    for row, said in zip(reading.rows, vector.observations, strict=True):
        have = shown(row)
        assert set(have) - {"device_id", "observed_at"} == set(said) - {"device_id", "observed_at"}, (
            vector.why
        )
        for column, value in said.items():
            if isinstance(value, float):
                assert have[column] == pytest.approx(value, rel=1e-6, abs=1e-6), (column, vector.why)
            else:
                assert have[column] == value, (column, vector.why)


def test_every_folder_is_a_protocol() -> None:
    folders = {p.name for p in HERE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == set(names())
