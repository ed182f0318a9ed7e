"""Names that codecs give their values: what is clear is read, what is not is passed over, nothing raises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.core.schema import BY_NAME, Kind
from cocket.core.sensorwords import WORDS, meaning, sensed


@pytest.mark.parametrize(
    ("values", "row"),
    [
        ({"TempC_SHT": 21.5}, {"temp_c": 21.5}),
        ({"Battery Level": 80}, {"battery_pct": 80.0}),
        ({"battery": 80}, {"battery_pct": 80.0}),
        ({"battery": 3.6}, {}),
        ({"co2": 1500}, {"co2_pct": 0.15}),
        ({"co2": 20}, {}),
        ({"vdd": 3600}, {"battery_v": 3.6}),
        ({"door": "open"}, {"door_open": True}),
        ({"door_open": 0}, {"door_open": False}),
        ({"door": 7}, {}),
        ({"door": "ajar"}, {}),
        ({"rope_cut": True}, {"rope_cut": True}),
        ({"temperature_1": 1, "temperature_2": 2}, {"temp_c": 1.0}),
        ({"gps_1": {"latitude": 51.5, "longitude": 4.25}}, {"lat_deg": 51.5, "lon_deg": 4.25}),
        ({"latitude": 51.5}, {}),
        ({"speed_kmh": 36}, {"speed_mps": 10.0}),
        ({"temperature": "21.5"}, {}),
        ({"temperature": True}, {}),
        ({"temperature": 10**400}, {}),
        ({"temperature": float("nan")}, {}),
        ({"satellites": 7.0}, {"satellites": 7}),
        ({"": 1, "//": 2}, {}),
    ],
)
def test_words(values: dict[str, Any], row: dict[str, Any]) -> None:
    assert sensed(values) == pytest.approx(row)


def test_every_word_is_a_column_that_a_device_may_set() -> None:
    for word, (column, factor) in WORDS.items():
        assert meaning(word) == (column, factor)
        assert BY_NAME[column].door
        assert factor == 1.0 or BY_NAME[column].kind is Kind.FLOAT


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["gps", "battery", "temperature", "door", "co2", "air", "x", "satellites"])
        | st.text(max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2)
            ),
        ),
        max_size=6,
    )
)
def test_nothing_raises(values: dict[str, Any]) -> None:
    for column, value in sensed(values).items():
        wanted = {Kind.FLOAT: float, Kind.INT: int, Kind.BOOL: bool}[BY_NAME[column].kind]
        assert type(value) is wanted
