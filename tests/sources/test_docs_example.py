"""The mapping that docs/replay.md shows is one."""

import re
from pathlib import Path

from cocket.sources.mapping import UNITS, parse

PAGE = (Path(__file__).parents[2] / "docs" / "replay.md").read_text(encoding="utf-8")


def test_the_example_loads():
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    mapping = parse(example, "docs/replay.md")
    assert {r.target.name for r in mapping.rules} >= {"device_id", "lat_deg", "speed_mps", "door_open"}


def test_every_quantity_has_its_units_named():
    for unit, others in UNITS.items():
        if unit != "lx":
            assert any(f"`{u}`" in PAGE for u in others), unit
