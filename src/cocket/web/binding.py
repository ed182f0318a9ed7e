"""Where the HTTP door may listen: without sign-in on loopback only, and beyond it not in clear."""

from __future__ import annotations

import socket
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cocket.core.config import Settings
from cocket.core.errors import BadSetting


def check(settings: Settings, host: str, *, demo: bool = False) -> None:
    """Raises ``BadSetting`` where the door would let in whoever reaches it, or would carry passwords in clear."""
    access = settings.access
    if demo and access.sign_in:
        raise BadSetting("the demo signs nobody in: leave access.sign_in unset, or run `cocket serve`")
    if on_loopback(host):
        return
    where = f"{host!r} is reached from other machines"
    if demo:
        raise BadSetting(
            f"{where}; the demo signs nobody in and listens on loopback only: leave the host unset"
        )
    if not access.sign_in:
        raise BadSetting(
            f"{where}, and nobody would have to sign in: set access.sign_in = true in the settings "
            "(and http.tls_certificate), or listen on 127.0.0.1"
        )
    if not (settings.http.tls_certificate or access.trusted_proxies):
        raise BadSetting(
            f"{where}, and passwords would cross the network in clear: set http.tls_certificate and http.tls_key, "
            "or name the proxy that does HTTPS in access.trusted_proxies"
        )


def on_loopback(host: str) -> bool:
    """Whether every address that this name or address stands for is this machine only."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)  # noqa: S104 - what an empty one means
    except OSError as error:
        raise BadSetting(
            f"http.host {host!r} is no address of this machine: {error.strerror or error}"
        ) from error
    return all(ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


def tls_options(settings: Settings) -> dict[str, Any]:
    """Of uvicorn: HTTPS with the certificate of the settings, asking clients for one where authorities may show theirs."""
    http = settings.http
    if not http.tls_certificate:
        if http.tls_key or http.tls_clients:
            raise BadSetting("http.tls_key and http.tls_clients want http.tls_certificate beside them")
        return {}
    for name in ("tls_certificate", "tls_key", "tls_clients"):
        path = getattr(http, name)
        if path and not Path(path).is_file():
            raise BadSetting(f"http.{name} {path}: there is no such file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(http.tls_certificate, http.tls_key or None)
        if http.tls_clients:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(http.tls_clients)
    except (OSError, ssl.SSLError) as error:
        raise BadSetting(f"the certificate of the HTTP door cannot be used: {error}") from error
    return {
        "ssl_certfile": http.tls_certificate,
        "ssl_keyfile": http.tls_key or None,
        "ssl_ca_certs": http.tls_clients or None,
        "ssl_cert_reqs": ssl.CERT_OPTIONAL if http.tls_clients else ssl.CERT_NONE,
    }
