"""Commands on their way: declared over HTTP, approved where two people are wanted, sent when the device next speaks.

What waits is kept in memory by device, so that a frame costs one look; the store holds the truth. Requests may come
from any thread, sending and answers are on the gateway's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cocket.core.clock import US
from cocket.core.errors import Conflict, Fault, NotFound, Refused
from cocket.core.principal import same_person
from cocket.core.protocol import Command, Protocol, Result, Undecodable
from cocket.engine.service import Service
from cocket.store.commands import OPEN, CommandStore

if TYPE_CHECKING:
    from cocket.gateway.gateway import Gateway

_MOST_OPEN: Final = 100
"""Commands of one device that may be open at once."""


class Commands:
    """See the module."""

    def __init__(self, gateway: Gateway, service: Service) -> None:
        self._gateway = gateway
        self._service = service
        self.store: CommandStore = service.folder.commands
        self._lock = threading.Lock()
        self._open: dict[str, list[dict[str, Any]]] = {}
        self._spoke: dict[str, str] = {}
        for row in self.store.open():
            self._open.setdefault(row["device_id"], []).append(row)

    # any thread

    def request(
        self, device_id: str, name: str, parameters: Mapping[str, Any], *, by: str, reason: str
    ) -> dict[str, Any]:
        """Queue a command. ``Refused`` if the protocol has none of that name or a parameter is wrong, ``NotFound`` for a
        device that is not registered, ``Conflict`` if its protocol is not known yet or too many wait.
        """
        device = self._service.folder.reference.get("device", device_id)
        if device is None:
            raise NotFound(f"there is no device {device_id!r}; register it first")
        protocol = self._protocol(device_id, device.doc)
        command = self._command(protocol, name)
        _built(command, device_id, parameters, 0)
        now = self._service.clock.now_us()
        settings = self._gateway.settings
        with self._lock:
            waiting = self._open.setdefault(device_id, [])
            if len(waiting) >= _MOST_OPEN:
                raise Conflict(f"{len(waiting)} commands of {device_id} are open; cancel some first")
            row = self.store.add(
                {
                    "device_id": device_id,
                    "command": name,
                    "parameters": dict(parameters),
                    "reason": reason,
                    "by": by,
                    "at_us": now,
                    "state": "awaiting-approval" if name in settings.two_persons else "queued",
                    "expires_us": now + round(settings.command_s * US),
                }
            )
            waiting.append(row)
        self._nudge(device_id)
        return row

    def approve(self, number: int, *, by: str) -> dict[str, Any]:
        """A second person agrees; ``Conflict`` if it is the same one, or nothing is to be approved."""
        row = self.store.get(number)
        if same_person(row["by"], by):
            raise Conflict(f"{by} asked for command {number}; somebody else has to approve it")
        if row["expires_us"] <= self._service.clock.now_us():
            self._step(number, OPEN, state="expired")
            raise Conflict(f"command {number} has expired")
        row = self._step(
            number,
            ("awaiting-approval",),
            state="queued",
            approved_by=by,
            approved_us=self._service.clock.now_us(),
        )
        self._nudge(row["device_id"])
        return row

    def cancel(self, number: int, *, by: str) -> dict[str, Any]:
        """Take back what was not sent yet."""
        return self._step(
            number, ("awaiting-approval", "queued"), state="cancelled", answer=f"cancelled by {by}"
        )

    def _protocol(self, device_id: str, doc: Mapping[str, Any]) -> Protocol:
        name = doc.get("protocol") or self._spoke.get(device_id)
        if name is None:
            raise Conflict(
                f"the protocol of {device_id} is not known: it has not spoken since the start; "
                f"set its protocol with PUT /api/v1/devices/{device_id}"
            )
        return self._gateway.protocol(str(name))

    @staticmethod
    def _command(protocol: Protocol, name: str) -> Command:
        command = protocol.commands.get(name)
        if command is None:
            has = ", ".join(sorted(protocol.commands)) or "none"
            detail = f"{protocol.name} has no command {name!r}; it has {has}"
            raise Refused(detail, [Fault("/command", "values", detail)])
        return command

    def _step(self, number: int, allowed: tuple[str, ...], **values: Any) -> dict[str, Any]:
        with self._lock:
            row = self.store.step(number, allowed, **values)
            waiting = self._open.get(row["device_id"], [])
            for i, old in enumerate(waiting):
                if old["id"] == number:
                    if row["state"] in OPEN:
                        waiting[i] = row
                    else:
                        del waiting[i]
                    break
            if not waiting:
                self._open.pop(row["device_id"], None)
        return row

    def _nudge(self, device_id: str) -> None:
        """Send at once if the device is connected and lets us speak first."""
        self._gateway.soon(lambda: self._at_once(device_id))

    # the gateway's thread

    def _at_once(self, device_id: str) -> None:
        voice = self._gateway.voice(device_id)
        if voice is not None and voice.speaker is not None:
            self.heard(device_id, voice.speaker.protocol, voice.send)

    def heard(self, device_id: str, protocol: Protocol, send: Callable[[bytes], None]) -> None:
        """A registered device speaks: what is queued for it goes out."""
        self._spoke[device_id] = protocol.name
        waiting = self._open.get(device_id)
        if not waiting or self._gateway.registry.device(device_id) is None:
            return
        now = self._service.clock.now_us()
        for row in list(waiting):
            if row["state"] != "queued":
                continue
            if row["expires_us"] <= now:
                self._step(row["id"], OPEN, state="expired")
                continue
            try:
                data = _built(
                    self._command(protocol, row["command"]), device_id, row["parameters"], row["id"]
                )
            except Refused as error:
                self._step(row["id"], ("queued",), state="failed", answer=error.detail[:500])
                continue
            self._step(row["id"], ("queued",), state="sent", sent_us=now, sent=data)
            send(data)

    def answered(self, device_id: str, results: Sequence[Result]) -> None:
        """The device said how it went; the oldest command that was sent and that the answer names is over."""
        for result in results:
            sent = [r for r in self._open.get(device_id, ()) if r["state"] == "sent"]
            mark = result.command.encode()
            row = next(
                (r for r in sent if r["command"] == result.command or (mark and mark in r["sent"])), None
            )
            if row is None and not mark and sent:
                row = sent[0]
            if row is None:
                self._gateway.counts["answer-to-nothing"] += 1
                continue
            self._step(
                row["id"],
                ("sent",),
                state="done" if result.good else "failed",
                answered_us=self._service.clock.now_us(),
                answer=result.text[:500] or None,
            )

    def sweep(self) -> None:
        """Let those expire whose time is up."""
        now = self._service.clock.now_us()
        for row in [r for rows in self._open.values() for r in rows if r["expires_us"] <= now]:
            self._step(row["id"], OPEN, state="expired")


def _built(command: Command, device_id: str, parameters: Mapping[str, Any], sequence: int) -> bytes:
    unknown = [p for p in parameters if p not in command.parameters]
    if unknown:
        known = ", ".join(command.parameters) or "none"
        detail = f"the command takes no {unknown[0]!r}; it takes {known}"
        raise Refused(detail, [Fault(f"/parameters/{unknown[0]}", "unknown-field", detail)])
    try:
        return command.build(device_id, parameters, sequence)
    except Undecodable as error:
        name = error.detail.partition(":")[0]
        raise Refused(error.detail, [Fault(f"/parameters/{name}", error.rule, error.detail)]) from error
