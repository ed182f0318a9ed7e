"""Each worked document goes to the reader of its standard, by its bytes alone."""

from __future__ import annotations

import pytest
from tests.customs.formats.worked import documents

from cocket.customs.formats import asycuda_sad, edifact, manifest, recognise


@pytest.mark.parametrize(
    ("folder", "reader"),
    [("asycuda", asycuda_sad.READER), ("edifact", edifact.READER), ("manifest", manifest.READER)],
)
def test_the_right_reader(folder, reader) -> None:
    for data in documents(folder):
        found = recognise.read(data, "letter.txt")
        assert found == reader.read(data, "")
        assert [r.name for r in recognise.readers() if r.sniff(data, "letter.txt")] == [reader.name]
