"""The pages of the detectors' snapshot: how they are written, and the checksum that each carries."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import sqlalchemy as sa

from cocket.store.tables import snapshot_pages

_CHUNK: Final = 500


def page_checksum(name: str, body: bytes) -> bytes:
    """BLAKE2b (RFC 7693), 16 bytes, over the page's name and body."""
    return blake2b(name.encode() + b"\0" + body, digest_size=16).digest()


def write_pages(connection: sa.Connection, pages: Mapping[str, bytes | None]) -> None:
    """Put each page in the place of the one of its name; None deletes it. Others stay."""
    names = list(pages)
    for i in range(0, len(names), _CHUNK):
        connection.execute(snapshot_pages.delete().where(snapshot_pages.c.name.in_(names[i : i + _CHUNK])))
    written = [
        {"name": name, "checksum": page_checksum(name, body), "body": body}
        for name, body in pages.items()
        if body is not None
    ]
    if written:
        connection.execute(snapshot_pages.insert(), written)
