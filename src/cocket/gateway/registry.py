"""Who may speak: the declared devices, as the gateway needs them.

It follows the book of changes, so that a device that is registered (or lost) while its connection is open counts
from its next frame on. Only the gateway's thread asks; any thread may say that something changed.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final

from cocket.core.config import Gateway as GatewaySettings
from cocket.core.errors import Fault
from cocket.core.ids import secret_hash
from cocket.core.protocol import Protocol
from cocket.store.reference import Reference

REFUSED_STATES: Final = frozenset({"stock", "quarantined"})
"""A device in one of these states is not in use; what it says is kept in quarantine."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: network address (empty where there is none), the SHA-256 of its TLS certificate, and the names
    in it, which ``gateway.tls_clients`` answer for.
    """

    address: str = ""
    certificate: str = ""
    names: tuple[str, ...] = ()


class Registry:
    """The devices by their ids."""

    def __init__(self, reference: Reference, settings: GatewaySettings) -> None:
        self._reference = reference
        self._settings = settings
        self._version = reference.version()
        self._devices: dict[str, Mapping[str, Any]] = {s.id: s.doc for s in reference.all("device")}
        self._stale = True

    def changed(self) -> None:
        """Something declared was changed; any thread."""
        self._stale = True

    def device(self, device_id: str) -> Mapping[str, Any] | None:
        """A device as it is declared now."""
        if self._stale:
            self._stale = False
            self._follow()
        return self._devices.get(device_id)

    def _follow(self) -> None:
        while changes := self._reference.changes(self._version, 1000):
            for change in changes:
                if change.kind != "device":
                    continue
                if change.after is None:
                    self._devices.pop(change.id, None)
                else:
                    self._devices[change.id] = change.after
            self._version = changes[-1].version

    def fault(self, device_id: str, protocol: Protocol, peer: Peer, secret: str | None) -> Fault | None:
        """Why what this device says now is not taken as its own; None if it is."""
        device = self.device(device_id)
        if device is None:
            if protocol.family in self._settings.open_families:
                return None
            return Fault(
                "device_id",
                "unregistered-device",
                f"{device_id} is not registered; PUT /api/v1/devices/{device_id}",
            )
        state = device.get("state")
        if state in REFUSED_STATES:
            return Fault("device_id", "device-state", f"{device_id} is {state}: it should not be speaking")
        named = device.get("protocol")
        if named and named != protocol.name:
            return Fault(
                "device_id",
                "wrong-protocol",
                f"{device_id} is declared to speak {named}, not {protocol.name}",
            )
        if self._settings.tls_names and not device.get("certificate_sha256") and device_id not in peer.names:
            had = (
                f"the one shown is of {', '.join(peer.names)}"
                if peer.names
                else "none was shown (use a tls: door)"
            )
            return Fault(
                "device_id", "certificate", f"{device_id} has to show a certificate in its name; {had}"
            )
        return _credentials(device_id, device, peer, secret)


def _credentials(device_id: str, device: Mapping[str, Any], peer: Peer, secret: str | None) -> Fault | None:
    networks = device.get("networks")
    if networks and not _inside(peer.address, networks):
        return Fault(
            "device_id",
            "network-not-allowed",
            f"{device_id} may not speak from {peer.address or 'this door'}",
        )
    wanted = device.get("certificate_sha256")
    if wanted and not hmac.compare_digest(wanted.lower(), peer.certificate):
        had = "another one was shown" if peer.certificate else "none was shown (use a tls: door)"
        return Fault("device_id", "certificate", f"{device_id} has to show its certificate; {had}")
    hashed = device.get("secret_sha256")
    if hashed and not (secret and hmac.compare_digest(hashed, secret_hash(device_id, secret))):
        return Fault("device_id", "wrong-secret", f"{device_id} did not give its secret")
    return None


def _inside(address: str, networks: list[str]) -> bool:
    try:
        where = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(where, "ipv4_mapped", None)
    return any((mapped or where) in ip_network(n, strict=False) for n in networks)
