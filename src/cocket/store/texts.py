"""Text as every engine keeps it."""

from __future__ import annotations


def kept(value: str) -> str:
    """Without the character NUL, which PostgreSQL knows not: U+2400 stands in its place, on every engine.

    For what others sent and we have to keep as it came: a device's words, a scanned text. What somebody asks us to
    store is refused instead, in words.
    """
    return value.replace("\0", "\u2400") if "\0" in value else value
