"""An e-seal on the stage: real frames of its protocol over a TCP connection, each answered only after it is durable."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from cocket.core.clock import US
from cocket.core.protocol import Session
from cocket.decoders import protocol
from cocket.observations.frames import read_frame
from cocket.scenarios.stage import SEAL_PROTOCOL, Stage
from cocket.scenarios.story import Unmet

Place: TypeAlias = "tuple[float, float]"
"""Latitude and longitude, degrees."""
_ANSWER_S: Final = 20.0
_CLOSED: Final = {
    "locked": True,
    "rope_inserted": True,
    "casing_open": False,
    "fix_valid": True,
    "satellites": 9,
}


class ESeal:
    """A seal of the stock, registered under a new number. As a context it is connected."""

    def __init__(self, stage: Stage, *, interval_s: float = 900.0) -> None:
        found = protocol(SEAL_PROTOCOL)
        assert found.simulation is not None
        self._protocol = found
        self._sim = found.simulation
        self._stage = stage
        self.id = self._sim.device_id(stage.number())
        self.battery_pct = 92
        self._sequence = 0
        self._socket: socket.socket | None = None
        device = {"class": "e-seal", "protocol": SEAL_PROTOCOL, "report_interval_s": interval_s}
        stage.put(f"/devices/{self.id}", device)
        stage.put(
            f"/seals/{self.id}", {"kind": "e-seal", "maker": "simulated", "type_approval": "KE-2026-014"}
        )

    def __enter__(self) -> Self:
        self._socket = socket.create_connection(self._stage.seal_door, _ANSWER_S)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def report(self, place: Place, at_us: int, **says: Any) -> float:
        """Send one report and wait for its answer; gives the moment of the answer (``time.monotonic``).

        ``place``: latitude and longitude, degrees. ``says``: columns that differ from a closed seal in good order.
        """
        return self._sent([self._frame(place, at_us, says)])

    def way(self, places: Sequence[Place], first_us: int, last_us: int) -> None:
        """Report along a way, evenly in time, the first and the last moment included: all at once, as a device does that was
        out of coverage.
        """
        steps = max(1, len(places) - 1)
        times = [first_us + (last_us - first_us) * i // steps // US * US for i in range(len(places))]
        self._sent([self._frame(place, at, {}) for place, at in zip(places, times, strict=True)])

    def _frame(self, place: Place, at_us: int, says: Mapping[str, Any]) -> bytes:
        self._sequence += 1
        row = {
            **_CLOSED,
            "device_id": self.id,
            "observed_us": at_us,
            "lat_deg": place[0],
            "lon_deg": place[1],
            "speed_mps": 18.0,
            "battery_pct": self.battery_pct,
            **says,
        }
        return self._sim.report(row, self._sequence)

    def _sent(self, frames: Sequence[bytes]) -> float:
        """Send frames, and wait until each is answered."""
        assert self._socket is not None
        session = Session(self.id)
        expected = b"".join(r for f in frames for r in read_frame(self._protocol, f, session).replies)
        self._socket.sendall(b"".join(frames))
        got = b""
        while len(got) < len(expected):
            piece = self._socket.recv(len(expected) - len(got))
            if not piece:
                break
            got += piece
        if got != expected:
            raise Unmet(f"e-seal {self.id} is answered", expected.hex(), got.hex() or "hung up")
        return time.monotonic()


def between(a: Place, b: Place, points: int) -> list[Place]:
    """So many places from ``a`` to ``b``, both included, on a straight line."""
    return [
        (a[0] + (b[0] - a[0]) * i / (points - 1), a[1] + (b[1] - a[1]) * i / (points - 1))
        for i in range(points)
    ]
