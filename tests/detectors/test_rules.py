from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cocket.core.errors import BadSetting
from cocket.core.journeys import kind_mask
from cocket.core.rules import Rules, as_toml, load
from cocket.pipeline import DETECTORS

FILE = """\
[defaults.route-deviation]
warn_m = 800

[device_class.e-lock.low-battery]
below_pct = 20

[goods.pharma]
temperature-excursion = { max_c = 8, min_c = -2.5 }

[goods.pharma.low-battery]
below_pct = 25

[corridor."north 1".low-battery]
below_pct = 30
enabled = false
severity = "high"

[corridor."north 1".zone-entered]
kinds = ["office", "departure"]
"""


def test_the_more_special_wins() -> None:
    rules = Rules.parse(FILE, "x.toml", DETECTORS)
    plain = rules.profile("elsewhere", None, None)
    lock = rules.profile(None, None, "e-lock")
    pharma = rules.profile(None, "pharma", "e-lock")
    north = rules.profile("north 1", "pharma", "e-lock")
    assert plain == rules.profile(None, "unknown", "unknown") == 0
    below = rules.values("low-battery", "below_pct")
    assert [below[p] for p in (plain, lock, pharma, north)] == [15, 20, 25, 30]
    assert rules.values("low-battery", "enabled")[[pharma, north]].tolist() == [1, 0]
    assert rules.severity("low-battery", north) == "high"
    assert rules.severity("low-battery", pharma) is None
    assert rules.number("temperature-excursion", "min_c", north) == -2.5
    assert rules.values("zone-entered", "kinds")[north] == kind_mask(["office", "departure"])
    assert set(rules.values("route-deviation", "warn_m")) == {800}


def test_the_document_goes_round() -> None:
    doc = Rules.parse(FILE, "x.toml", DETECTORS).to_doc()
    assert set(doc) == {"defaults", "device_classes", "goods", "corridors"}
    assert Rules.from_doc(doc, DETECTORS).to_doc() == doc


def test_the_printed_defaults_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(as_toml(DETECTORS), "utf-8")
    printed, own = load(path, DETECTORS), Rules.defaults(DETECTORS)
    for detector in DETECTORS:
        for param in detector.all_params():
            a, b = (r.values(detector.name, param.name) for r in (printed, own))
            assert np.array_equal(a, b, equal_nan=True), (detector.name, param.name)
            assert f"{param.name} =" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("warn_m = 800", "warm_m = 800"), 2, "no such param"),
        (("warn_m = 800", 'warn_m = "far"'), 2, "must be a number"),
        (("warn_m = 800", "warn_m = -1"), 2, "at least 0"),
        (("warn_m = 800", "warn_m = nan"), 2, "must be a number"),
        (("defaults.route-deviation", "defaults.route-deviance"), 1, "no detector is called that"),
        (("below_pct = 25", "below_pct = true"), 11, "must be a number"),
        (("enabled = false", "enabled = 0"), 15, "true or false"),
        (('"high"', '"awful"'), 16, "must be one of info"),
        (('["office", "departure"]', '["offices"]'), 19, "zone kinds"),
        (("max_c = 8", "maxc = 8"), 8, "no such param"),
        (("[device_class.", "[device_kind."), 4, "must be defaults"),
        (("below_pct = 20", "below_pct 20"), 5, "not TOML"),
    ],
)
def test_errors_name_file_line_and_key(change: tuple[str, str], line: int, words: str) -> None:
    with pytest.raises(BadSetting) as error:
        Rules.parse(FILE.replace(*change), "my rules.toml", DETECTORS)
    text = str(error.value)
    assert "my rules.toml" in text
    assert words in text
    assert f":{line}:" in text or f"line {line}" in text


def test_every_fault_of_a_document_is_told() -> None:
    with pytest.raises(BadSetting) as error:
        Rules.from_doc({"defaults": {"shock": {"a": 1, "shock_g": None}}, "x": 1, "goods": []}, DETECTORS)
    assert {f.path for f in error.value.faults} == {
        "defaults.shock.a",
        "defaults.shock.shock_g",
        "x",
        "goods",
    }


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"none\.toml: cannot be read"):
        load(tmp_path / "none.toml", DETECTORS)


def test_the_example_of_the_page_is_taken() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    rules = Rules.parse(example, "docs/rules.md", DETECTORS)
    north = rules.profile("north", "pharma", "e-lock-2")
    assert rules.number("unscheduled-stop", "stop_s", north) == 1800
    assert rules.number("temperature-excursion", "max_c", north) == 8
    assert rules.number("low-battery", "below_pct", north) == 20
    assert rules.values("zone-left", "enabled")[north] == 0
