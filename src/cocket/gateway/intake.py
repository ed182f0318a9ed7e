"""From one frame's reading to what the log takes: who said it, whether they may, and what their conduct shows.

Every observation and every fault ends as a row or as a reject with the frame's bytes. A frame without either is no
row of anything (login, ping). Only the gateway's thread calls it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from cocket.core.clock import Clock
from cocket.core.config import Gateway as GatewaySettings
from cocket.core.doors import Reject
from cocket.core.errors import Fault
from cocket.core.ids import UNTRUSTED
from cocket.core.protocol import Protocol, Reading, Row, Session
from cocket.gateway.conduct import Conduct
from cocket.gateway.registry import Peer, Registry

_NAMES: Final = count(1)


@dataclass(slots=True)
class Speaker:
    """One connection (peer, topic, file) as the intake knows it: its session, and how it has behaved."""

    protocol: Protocol
    source: str
    session: Session
    peer: Peer
    number: int = field(default_factory=lambda: next(_NAMES))
    named: str | None = None
    exclusive: bool = True
    bad_in_a_row: int = 0
    tokens: float = -1.0
    filled_s: float = 0.0


@dataclass(slots=True)
class Taken:
    """What becomes of a frame; ``device_id`` is who spoke, if it is a registered device."""

    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    device_id: str | None = None


class Intake:
    """``open_connections`` gives the numbers of the speakers that are connected."""

    def __init__(
        self,
        registry: Registry,
        settings: GatewaySettings,
        clock: Clock,
        open_connections: Callable[[], set[int]],
    ) -> None:
        self.registry = registry
        self.frames: Counter[tuple[str, str]] = Counter()
        self._settings = settings
        self._clock = clock
        self._open = open_connections
        self._conduct = Conduct(settings)

    def take(self, speaker: Speaker, frame: bytes, reading: Reading, now_s: float) -> Taken:
        """Judge one frame that was read."""
        out = Taken()
        protocol, session = speaker.protocol, speaker.session
        received_us = self._clock.now_us()
        if reading.fault is not None:
            out.rejects.append(_reject(speaker, reading.fault, frame, session.device_id))
            speaker.bad_in_a_row = 0 if reading.rows else speaker.bad_in_a_row + 1
        else:
            speaker.bad_in_a_row = 0
        remarks = self._identity(speaker, received_us, now_s)
        faults: dict[str | None, Fault | None] = {}
        told: set[str | None] = set()
        for row in reading.rows:
            own = row.get("device_id")
            if own not in faults:
                faults[own] = self._fault(own, speaker)
            fault = faults[own]
            if "observed_us" not in row:
                row["observed_us"] = received_us
                row["time_quality"] = "received"
            row["source"] = speaker.source
            if fault is None:
                out.rows.append(row)
                remarks += self._remarks(row, protocol, now_s)
            elif fault.rule == "unregistered-device" and self._settings.unregistered == "admit":
                row["device_id"] = f"{UNTRUSTED}{own}"[:64]
                out.rows.append(row)
            elif own not in told:  # one reject for all that the frame says of one device
                told.add(own)
                out.rejects.append(_reject(speaker, fault, frame, own))
        for remark in remarks:
            remark["source"] = "gateway"
        out.rows += remarks
        who = session.device_id
        if who is not None and (faults[who] if who in faults else self._fault(who, speaker)) is None:
            out.device_id = who
        outcome = "rejected" if out.rejects else "observed" if out.rows else "silent"
        self.frames[protocol.name, outcome] += 1
        return out

    def noise(self, speaker: Speaker, data: bytes, rule: str) -> Taken:
        """Bytes between frames, or a frame that grew beyond all bounds."""
        speaker.bad_in_a_row += 1
        self.frames[speaker.protocol.name, "rejected"] += 1
        detail = {
            "frame-too-long": f"no frame of {speaker.protocol.name} is longer than {speaker.protocol.max_frame} bytes",
            "incomplete-frame": "the connection ended within a frame",
        }.get(rule, f"these bytes are no frame of {speaker.protocol.name}")
        return Taken(rejects=[_reject(speaker, Fault("", rule, detail), data, speaker.session.device_id)])

    def wait_s(self, speaker: Speaker, now_s: float) -> float:
        """Seconds for which this speaker should not be read: it has sent more frames than one device may."""
        burst, rate = float(self._settings.burst), self._settings.rate_per_s
        if speaker.tokens < 0:
            speaker.tokens, speaker.filled_s = burst, now_s
        speaker.tokens = min(burst, speaker.tokens + (now_s - speaker.filled_s) * rate) - 1
        speaker.filled_s = now_s
        if speaker.tokens >= 1:
            return 0.0
        wait = (1 - speaker.tokens) / rate
        speaker.tokens = max(0.0, speaker.tokens)
        return wait

    def _fault(self, device_id: str | None, speaker: Speaker) -> Fault | None:
        if device_id is None:
            return Fault("device_id", "no-identity", "the device has not said who it is")
        return self.registry.fault(device_id, speaker.protocol, speaker.peer, speaker.session.secret)

    def _identity(self, speaker: Speaker, received_us: int, now_s: float) -> list[Row]:
        who = speaker.session.device_id
        if who is None or not speaker.exclusive:
            return []
        was, speaker.named = speaker.named, who
        noticed = []
        if was is not None and was != who:
            noticed += [(was, "identity_changed"), (who, "identity_changed")]
        if self._conduct.spoke(who, speaker.number, now_s, self._open()):
            noticed.append((who, "connected_twice"))
        return [
            {"device_id": name, "observed_us": received_us, "time_quality": "received", column: True}
            for name, column in noticed
            if self._fault(name, speaker) is None
        ]

    def _remarks(self, row: Row, protocol: Protocol, now_s: float) -> list[Row]:
        noticed = []
        if self._conduct.moved(row):
            noticed.append(self._conduct.remark(row, "moved_impossibly"))
        if self._conduct.numbered(row, protocol, now_s):
            noticed.append(self._conduct.remark(row, "sequence_replayed"))
        return noticed


def _reject(speaker: Speaker, fault: Fault, frame: bytes, device_id: str | None) -> Reject:
    return Reject(
        0, fault.path, fault.rule, fault.detail, frame, speaker.source, speaker.protocol.name, device_id
    )
