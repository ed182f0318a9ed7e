"""How devices behave across their connections: two at once, impossible moves, old running numbers, changed identity.

What is noticed becomes an observation of its own (``connected_twice``, ``moved_impossibly``, …), beside the one that
showed it; it goes through the log like any other, and the alert follows from it (``engine.conduct``).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Final

from cocket.core.config import Gateway as GatewaySettings
from cocket.core.geo import distance_m
from cocket.core.protocol import Protocol, Row

_MOST_DEVICES: Final = 200_000
_LEAST_JUMP_M: Final = 2_000.0
_NUMBERS: Final = 64
_RESTART: Final = 16
"""A running number below this, after a higher one, is a device that was switched on again."""


@dataclass(slots=True)
class _Known:
    """What is remembered of one device."""

    connection: int = 0
    spoke_s: float = -1e18
    observed_us: int | None = None
    lat: float = 0.0
    lon: float = 0.0
    newest: int | None = None
    newest_us: int = 0
    numbers: dict[int, tuple[int, float]] = field(default_factory=dict)
    order: deque[int] = field(default_factory=deque)


class Conduct:
    """Only the gateway's thread calls it. Seconds are of a monotonic clock."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def _of(self, device_id: str) -> _Known:
        known = self._known.get(device_id)
        if known is None:
            known = self._known[device_id] = _Known()
            if len(self._known) > _MOST_DEVICES:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(device_id)
        return known

    def spoke(self, device_id: str, connection: int, now_s: float, still_open: set[int]) -> bool:
        """A device speaks on a connection (a number that grows); True if it does so on two at once.

        A device that lost its network comes back on a new connection while the old one still seems open: that is
        no second one. It is, if the old one spoke just before, or speaks again.
        """
        known = self._of(device_id)
        twice = False
        if known.connection not in {0, connection} and known.connection in still_open:
            twice = connection < known.connection or now_s - known.spoke_s < self._settings.twice_s
        if not twice or connection > known.connection:
            known.connection = connection
        known.spoke_s = now_s
        return twice

    def moved(self, row: Row) -> bool:
        """Whether the way from the last fix to this one is more than anything could have gone."""
        at, lat, lon = row.get("observed_us"), row.get("lat_deg"), row.get("lon_deg")
        if at is None or lat is None or lon is None or row.get("fix_valid") is False:
            return False
        if row.get("fix_source") not in {None, "gnss"}:
            return False
        known = self._of(row["device_id"])
        before, was_lat, was_lon = known.observed_us, known.lat, known.lon
        if before is None or at >= before:
            known.observed_us, known.lat, known.lon = at, lat, lon
        if before is None:
            return False
        gone = float(distance_m(was_lat, was_lon, lat, lon))
        return gone > _LEAST_JUMP_M and gone > self._settings.max_speed_mps * abs(at - before) / 1e6

    def numbered(self, row: Row, protocol: Protocol, now_s: float) -> bool:
        """Whether a running number that was used up long enough ago comes again, or an old one with a newer time."""
        number, at = row.get("sequence"), row.get("observed_us")
        if not protocol.sequence_bits or number is None or at is None:
            return False
        known = self._of(row["device_id"])
        seen = known.numbers.get(number)
        span = 1 << protocol.sequence_bits
        if seen is not None and seen[0] == at:
            return now_s - seen[1] > self._settings.replay_s
        behind = 0 if known.newest is None else (known.newest - number) % span
        replayed = 0 < behind < min(span // 2, 4096) and number >= _RESTART and at > known.newest_us
        if known.newest is None or not 0 < behind < span // 2 or number < _RESTART:
            known.newest, known.newest_us = number, at
        if number not in known.numbers:
            known.order.append(number)
            if len(known.order) > _NUMBERS:
                known.numbers.pop(known.order.popleft(), None)
        known.numbers[number] = (at, now_s)
        return replayed

    def remark(self, row: dict[str, Any], column: str) -> Row:
        """The observation that tells of it: who, when and where, and which."""
        kept = ("device_id", "observed_us", "time_quality", "lat_deg", "lon_deg")
        return {**{k: row[k] for k in kept if k in row}, column: True}
