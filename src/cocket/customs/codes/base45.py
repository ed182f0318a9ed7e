"""Base45, the letters of a QR code's alphanumeric mode (RFC 9285): two bytes in three characters, a last one in two.

Every text has at most one reading and every run of bytes one text, so a changed character always changes the
bytes or makes the text unreadable. A text never ends in a space: what a form adds there may be cut off.
Example: ``encode(b"ietf!")`` is ``"QED8WEX0"`` (section 4.4).
"""

from __future__ import annotations

from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUE: Final = {c: v for v, c in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Base45 of some bytes."""
    out: list[str] = []
    for i in range(0, len(data) - 1, 2):
        rest, low = divmod(data[i] << 8 | data[i + 1], 45)
        high, middle = divmod(rest, 45)
        out += (ALPHABET[low], ALPHABET[middle], ALPHABET[high])
    if len(data) % 2:
        high, low = divmod(data[-1], 45)
        out += (ALPHABET[low], ALPHABET[high])
    return "".join(out)


def decode(text: str) -> bytes:
    """The bytes of a base45 text; ``ValueError`` says at which character it is none."""
    out = bytearray()
    for i in range(0, len(text), 3):
        group = text[i : i + 3]
        if len(group) == 1:
            raise ValueError(f"character {i + 1} stands alone: base45 has three or two together")
        number = 0
        for k, character in enumerate(group):
            value = _VALUE.get(character)
            if value is None:
                raise ValueError(f"character {i + k + 1}, {character!r}, is none of base45")
            number += value * 45**k
        size = len(group) - 1
        if number >= 256**size:
            raise ValueError(f"characters {i + 1} to {i + len(group)} stand for no {size} bytes")
        out += number.to_bytes(size, "big")
    return bytes(out)
