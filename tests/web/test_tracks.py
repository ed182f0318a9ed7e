"""Thinning: never more than asked, never out of order, ends and changes of state kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.core.batch import Batch, Texts
from cocket.store.bindings import Binding
from cocket.web.tracks import Track, arrow, feature, kept


def batch(lat, lon=None, **columns) -> Batch:
    lat = np.array(lat, np.float64)
    n = len(lat)
    lon = np.zeros(n) if lon is None else np.array(lon, np.float64)
    return Batch(
        n,
        {
            "device_id": Texts.constant("d", n),
            "observed_us": np.arange(n) * 1_000_000,
            "lat_deg": lat,
            "lon_deg": lon,
            **columns,
        },
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-90, 90) | st.just(np.nan), st.sampled_from([-1, 0, 1])), min_size=3, max_size=200
    ),
    st.integers(2, 60),
)
def test_never_more_than_asked_in_order_with_both_ends(rows, most) -> None:
    if len(rows) <= most:
        return
    found = kept(batch([lat for lat, _ in rows], locked=np.array([s for _, s in rows], np.int8)), most)
    assert 2 <= len(found) <= most
    assert (np.diff(found) > 0).all()
    assert (found[0], found[-1]) == (0, len(rows) - 1)


def test_changes_of_state_are_kept() -> None:
    locked = np.ones(1000, np.int8)
    locked[400:403] = 0
    locked[600:] = -1  # unknown is no change
    found = kept(batch(np.zeros(1000), locked=locked), 20)
    assert {400, 403} <= set(found.tolist())
    assert 600 not in found


def test_the_far_point_is_kept() -> None:
    lat = np.linspace(0, 1, 1000)
    lon = np.zeros(1000)
    lon[777] = 0.2
    assert 777 in kept(batch(lat, lon), 10)


@pytest.mark.parametrize("most", [2, 3])
def test_the_smallest_room(most) -> None:
    assert len(kept(batch(np.arange(50.0), locked=np.tile(np.array([0, 1], np.int8), 25)), most)) <= most


def test_unknown_is_null_and_lines_have_only_known_positions() -> None:
    lat = np.array([1.0, np.nan, 3.0])
    found = feature(
        Track(Binding(1, "d", "e", "m", 0, None, "x"), batch(lat, np.array([1.0, np.nan, 2.0])), 3)
    )
    assert found["geometry"]["coordinates"] == [[1.0, 1.0], [2.0, 3.0]]
    assert found["properties"]["columns"]["lat_deg"] == [1.0, None, 3.0]
    assert found["properties"]["columns"]["locked"] == [None, None, None]
    assert found["properties"]["columns"]["observed_at"][1] == "1970-01-01T00:00:01Z"
    one = feature(Track(Binding(1, "d", "e", "m", 0, None, "x"), batch([1.0]), 1))
    assert one["geometry"] is None


def test_arrow_of_nothing_is_an_empty_stream() -> None:
    import pyarrow as pa

    assert pa.ipc.open_stream(arrow([])).read_all().num_rows == 0
