"""The history of a run, checked the Jepsen way: every send with its answer, and afterwards what the machine says it holds.

A send has one of three ends: ``ok`` (acknowledged: it must be there), ``no`` (refused: it must not be there, or was sent
again), ``open`` (no answer came: it may be there or not). Nothing may be there twice, nothing that nobody sent, and a
device's own order must stand.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pyarrow as pa


@dataclass(slots=True)
class Sent:
    """One send: ``what`` says who sent what, in a form that can be compared."""

    lane: str
    what: Any
    began_s: float
    ended_s: float = float("inf")
    end: str = "open"


@dataclass
class History:
    """Any thread may record."""

    sends: list[Sent] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, lane: str, what: Any) -> Sent:
        """It is about to be sent."""
        sent = Sent(lane, what, time.monotonic())
        with self._lock:
            self.sends.append(sent)
        return sent

    @staticmethod
    def ended(sent: Sent, end: str) -> None:
        """The answer came."""
        sent.ended_s, sent.end = time.monotonic(), end

    def of(self, lane: str, *ends: str) -> list[Any]:
        """What was sent on a lane, with these ends (none: all)."""
        with self._lock:
            return [s.what for s in self.sends if s.lane == lane and (not ends or s.end in ends)]

    def count(self, end: str = "ok") -> int:
        """How many sends came to this end."""
        with self._lock:
            return sum(s.end == end for s in self.sends)

    # afterwards

    def check_observations(self, lane: str, stored: Iterable[Any]) -> None:
        """``what`` are sets of (device, event time): acknowledged ⊆ stored ⊆ sent, each once."""
        found = Counter(stored)
        twice = [row for row, n in found.items() if n > 1]
        assert not twice, f"stored twice: {twice[:5]}"
        known = {row for rows in self.of(lane) for row in rows}
        strange = found.keys() - known
        assert not strange, f"stored, and never sent: {sorted(strange)[:5]}"
        lost = {row for rows in self.of(lane, "ok") for row in rows} - found.keys()
        assert not lost, f"{len(lost)} acknowledged observations are lost: {sorted(lost)[:5]}"


def track(client: httpx.Client, mrn: str) -> list[tuple[str, int]]:
    """(device, event time) of every stored observation of a movement, as it is given: in the order of event time."""
    answer = client.get(f"/movements/{mrn}/track", params={"format": "arrow", "max_points": 1_000_000})
    table = pa.ipc.open_stream(answer.raise_for_status().content).read_all()
    times = table["observed_us"].cast(pa.int64()).to_pylist()
    assert times == sorted(times), f"the order of {mrn}"
    return list(zip(table["device_id"].to_pylist(), times, strict=True))
