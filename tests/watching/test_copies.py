"""What the leader of a stream says of its copies, as JetStream says it (STREAM.INFO, ``cluster.replicas``)."""

from __future__ import annotations

import pytest

from cocket.engine.site.watch import copies_behind


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        ({"name": "n2", "current": True, "active": 400_000_000}, ""),
        ({"name": "n2", "current": False, "lag": 12, "active": 400_000_000}, ""),
        (
            {"name": "n2", "current": False, "lag": 50_000, "active": 400_000_000},
            "n2 is 50,000 messages behind",
        ),
        ({"name": "n2", "current": False, "active": 9_000_000_000}, "n2 has been silent for 9 s"),
        ({"name": "n2", "current": False, "offline": True, "lag": 3, "active": 0}, "n2 is away"),
    ],
)
def test_a_copy_counts_as_behind_when_it_is_away_far_behind_or_silent(peer: dict, said: str) -> None:
    well = {"name": "n3", "current": True, "active": 1}
    found = copies_behind(7, {"cluster": {"leader": "n1", "replicas": [well, peer]}})
    assert found == (f"partition 7: {said}" if said else "")


def test_one_copy_alone_has_none_behind() -> None:
    assert copies_behind(0, {"cluster": {"leader": "n1"}}) == ""
    assert copies_behind(0, {}) == ""
