"""The checksum of a page of the detectors' snapshot."""

from __future__ import annotations

from hashlib import blake2b


def page_checksum(name: str, body: bytes) -> bytes:
    """BLAKE2b (RFC 7693), 16 bytes, over the page's name and body."""
    return blake2b(name.encode() + b"\0" + body, digest_size=16).digest()
