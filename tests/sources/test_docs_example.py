"""Every mapping that docs/mappings.md shows is run, and gives what the page says."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from cocket.core.protocol import Session
from cocket.core.schema import BY_NAME
from cocket.observations.frames import read_frame, shown
from cocket.sources.convert import convert
from cocket.sources.mapping import parse, shipped
from cocket.sources.messages import as_protocol, device_of_topic
from cocket.sources.units import UNITS

PAGE = (Path(__file__).parents[2] / "docs" / "mappings.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)(?: (\S+))?\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = list(zip(BLOCKS[::3], BLOCKS[1::3], BLOCKS[2::3], strict=True))


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{e[0][2][:28]!r}" for e in EXAMPLES])
def test_the_example_does_what_the_page_says(example):
    (toml, _, text), (kind, topic, given), (json_, _, expected) = example
    assert (toml, json_) == ("toml", "json")
    mapping = parse(text, "docs/mappings.md")
    wanted = [json.loads(line) for line in expected.splitlines()]
    if kind == "csv":
        table = pa.table({n: [v] for n, v in zip(mapping.names, given.strip().split(","), strict=True)})
        done = convert(table, mapping, 0)
        assert not done.unread
        rows = done.batch.to_pylist()
        for row in rows:
            row["observed_us"] = int(row["observed_us"].timestamp() * 1_000_000)
    else:
        session = Session(device_of_topic(mapping, topic) if topic else None)
        frame = bytes.fromhex(given) if kind == "hex" else given.encode()
        reading = read_frame(as_protocol(mapping), frame, session)
        assert reading.fault is None
        rows = reading.rows
    assert [shown(row) for row in rows] == [pytest.approx(w) for w in wanted]
    assert [list(shown(row)) for row in rows] == [list(w) for w in wanted]


def test_there_is_an_example_of_each_format():
    assert len(EXAMPLES) >= 6
    for form in ("json", "csv", "text", "binary"):
        assert any(f'format = "{form}"' in e[0][2] for e in EXAMPLES)


def test_every_unit_is_named():
    for unit, others in UNITS.items():
        assert any(c.unit == unit for c in BY_NAME.values()), unit
        for other in others:
            assert f"`{other}`" in PAGE, other


def test_every_quantity_of_the_schema_has_its_units():
    quantities = {c.unit for c in BY_NAME.values() if c.unit and c.door} - {"µs"}
    assert quantities == set(UNITS)


def test_every_shipped_mapping_is_named():
    for name in shipped():
        assert f"`{name}`" in PAGE, name
