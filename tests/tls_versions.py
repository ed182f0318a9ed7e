"""Which versions of TLS a door speaks, asked with a client that speaks them all."""

from __future__ import annotations

import socket
import ssl
import warnings

OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
"""RFC 8996 ended them."""


def limited(context: ssl.SSLContext, *versions: ssl.TLSVersion) -> None:
    """From the first to the last of these, also where the library of today speaks them no more by itself."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = versions[0], versions[-1]


def spoken(address: tuple[str, int], version: ssl.TLSVersion) -> bool:
    """Whether the door there speaks this version. One that does not says so, or hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    limited(context, version)
    try:
        with socket.create_connection(address, timeout=30) as plain, context.wrap_socket(plain) as speaking:
            return speaking.version() is not None
    except (ssl.SSLError, ConnectionResetError):
        return False


def check(address: tuple[str, int]) -> None:
    """Nothing older than TLS 1.2 is spoken; 1.2 and 1.3 are."""
    versions = (*OLD, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    assert [spoken(address, version) for version in versions] == [False, False, True, True]
