"""Who is at the other end of a request, as far as the network tells: address, scheme, certificate.

A proxy that the settings trust is believed when it says for whom it asks (``X-Forwarded-For``, ``X-Forwarded-Proto``;
``Client-Cert``, RFC 9440). From anybody else such fields are air.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cocket.core.config import Access
from cocket.core.errors import BadSetting

Network = IPv4Network | IPv6Network
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end. ``certificate`` is DER, checked by TLS against ``http.tls_clients``; None where none was shown."""

    address: str
    scheme: str
    certificate: bytes | None = None

    @property
    def near(self) -> bool:
        """Whether it is this machine."""
        try:
            return ip_address(self.address).is_loopback
        except ValueError:
            return False


class TlsProtocol(HttpToolsProtocol):
    """uvicorn's, which also hands on the certificate that a client showed, as ASGI's TLS extension has it in part:
    ``scope["extensions"]["tls"]["client_cert_der"]``.
    """

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        tls = self.transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        if shown:
            scope: dict[str, Any] = self.scope  # type: ignore[assignment] # uvicorn's type does not know extensions
            scope["extensions"] = {"tls": {"client_cert_der": shown}}


class Peers:
    """Tells peers, by the settings."""

    def __init__(self, access: Access) -> None:
        self._trusted = _networks(access.trusted_proxies)
        self._certificate_header = access.certificate_header

    def of(self, scope: Scope) -> Peer:
        """The peer of an HTTP request."""
        client = scope.get("client")
        address = str(client[0]) if client else _UNKNOWN
        scheme = str(scope.get("scheme", "http"))
        certificate = scope.get("extensions", {}).get("tls", {}).get("client_cert_der")
        if not self._trusts(address):
            return Peer(address, scheme, certificate)
        headers = Headers(scope=scope)
        said = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if said in {"http", "https"}:
            scheme = said
        hops = [hop.strip() for line in headers.getlist("x-forwarded-for") for hop in line.split(",")]
        for hop in reversed([hop for hop in hops if hop]):
            address = hop
            if not self._trusts(hop):
                break
        return Peer(address, scheme, self._shown(headers) if self._certificate_header else certificate)

    def _trusts(self, address: str) -> bool:
        if not self._trusted:
            return False
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._trusted)

    @staticmethod
    def _shown(headers: Headers) -> bytes | None:
        given = headers.getlist("client-cert")
        if len(given) != 1:
            return None
        text = given[0].strip()
        if not (text.startswith(":") and text.endswith(":")):
            return None
        try:
            return base64.b64decode(text[1:-1], validate=True)
        except binascii.Error:
            return None


def _networks(given: Sequence[str]) -> tuple[Network, ...]:
    out = []
    for text in given:
        try:
            out.append(ip_network(text))
        except ValueError as error:
            raise BadSetting(f"access.trusted_proxies: {text!r} is no address or network: {error}") from error
    return tuple(out)
