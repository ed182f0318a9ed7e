"""Frames that the HTTP door hands in: read and judged as those of a connection, and answered one by one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from cocket.core.doors import Decoded, Reject
from cocket.core.errors import Busy, Fault
from cocket.core.protocol import Protocol, Reading, Result, Row, Session
from cocket.gateway.intake import Speaker
from cocket.gateway.registry import Peer
from cocket.observations.frames import identity, read_line
from cocket.observations.rules import batch_of

if TYPE_CHECKING:
    from cocket.gateway.gateway import Gateway

_LARGE: Final = 1 << 15
_AT_ONCE: Final = 200
"""Frames after which the devices' own connections have their turn."""


@dataclass(slots=True)
class Handed:
    """Frames after judgement: a reading each, and what of them goes to the log."""

    readings: list[Reading] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    results: list[tuple[str, list[Result]]] = field(default_factory=list)

    def decoded(self) -> Decoded:
        """As the log takes it."""
        return Decoded(batch_of(self.rows), np.arange(len(self.rows)), self.rejects, "frames")


class Handing:
    """See the module; ``judge`` runs on the gateway's thread."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def judge(
        self,
        protocol: Protocol,
        frames: list[bytes | Fault],
        device_id: str | None,
        address: str,
        source: str = "",
    ) -> Handed:
        """Read the frames in one session, which ``device_id`` begins if it is given. ``Busy`` while the log is pressed."""
        gateway = self._gateway
        if gateway.pressed:
            raise Busy("devices wait for the disk; send these frames again in a second")
        session = Session(None if device_id is None else identity(device_id))
        speaker = Speaker(
            protocol,
            source or f"{protocol.name}@http"[:64],
            session,
            Peer(address),
            exclusive=False,
        )
        out = Handed()
        for number, frame in enumerate(frames):
            if isinstance(frame, Fault):
                out.readings.append(Reading(fault=frame))
                out.rejects.append(
                    Reject(number, frame.path, frame.rule, frame.detail, b"", speaker.source, protocol.name)
                )
                continue
            if len(frame) > _LARGE:  # a picture, perhaps: others should not wait for it
                loop = asyncio.get_running_loop()
                reading = await loop.run_in_executor(None, read_line, protocol, frame, session)
            else:
                reading = read_line(protocol, frame, session)
            shown = replace(reading, rows=[dict(row) for row in reading.rows])
            taken = gateway.intake.take(speaker, frame, reading, gateway.now_s())
            out.readings.append(shown)
            out.rows += taken.rows
            out.rejects += [replace(r, row=number) for r in taken.rejects]
            if reading.results and taken.device_id is not None:
                out.results.append((taken.device_id, reading.results))
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        return out

    def settled(self, handed: Handed) -> None:
        """All of it is durable: what devices answered to commands counts now. Any thread."""
        for device_id, results in handed.results:
            self._gateway.soon(
                lambda device=device_id, said=results: self._gateway.commands.answered(device, said)  # type: ignore[misc]
            )
