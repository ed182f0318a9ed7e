"""The pages of the detectors' snapshot: how they are written, and the checksum that each carries."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa

from cocket.store.tables import snapshot_pages

_CHUNK: Final = 500
_MOST_BYTES: Final = 16 * 1024 * 1024
"""Of the pages in one statement: PostgreSQL takes a statement whole."""


def page_checksum(name: str, body: bytes) -> bytes:
    """BLAKE2b (RFC 7693), 16 bytes, over the page's name and body."""
    return blake2b(name.encode() + b"\0" + body, digest_size=16).digest()


def write_pages(connection: sa.Connection, pages: Mapping[str, bytes | None]) -> None:
    """Put each page in the place of the one of its name; None deletes it. Others stay."""
    names = list(pages)
    for i in range(0, len(names), _CHUNK):
        connection.execute(snapshot_pages.delete().where(snapshot_pages.c.name.in_(names[i : i + _CHUNK])))
    rows: list[dict[str, Any]] = []
    size = 0
    for name, body in pages.items():
        if body is None:
            continue
        rows.append({"name": name, "checksum": page_checksum(name, body), "body": body})
        size += len(body)
        if size > _MOST_BYTES:
            connection.execute(snapshot_pages.insert(), rows)
            rows, size = [], 0
    if rows:
        connection.execute(snapshot_pages.insert(), rows)
