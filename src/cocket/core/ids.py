"""Identifiers of the field and their check digits.

A wrong check digit is a flag, never a reason to refuse: papers carry typing errors, and fallback and legacy
numbers exist.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b, sha256
from typing import Final

UNTRUSTED: Final = "untrusted:"
"""What an admitted device's name begins with while it is not registered; nothing can be bound under such a name."""

_LETTER_VALUES: Final = {
    c: v for v, c in zip((v for v in range(10, 39) if v % 11), "ABCDEFGHIJKLMNOPQRSTUVWXYZ", strict=False)
}
_CONTAINER = re.compile(r"[A-Z]{3}[UJZ][0-9]{7}")
_MRN = re.compile(r"[0-9]{2}[A-Z]{2}[A-Z0-9]{14}")


def iso6346_check_digit(text: str) -> int:
    """The check digit over any run of letters and digits (ISO 6346:2022, annex A): weights 2**i, modulo 11, 10 as 0."""
    total = sum((_LETTER_VALUES[c] if c.isalpha() else int(c)) << i for i, c in enumerate(text))
    return total % 11 % 10


def equipment_flags(equipment_id: str) -> list[str]:
    """``["iso6346-check-digit"]`` if it looks like a container number and its check digit is wrong."""
    text = equipment_key(equipment_id)
    if _CONTAINER.fullmatch(text) and iso6346_check_digit(text[:10]) != int(text[10]):
        return ["iso6346-check-digit"]
    return []


_SAME_SHAPE: Final = str.maketrans("АВЕКМНОРСТУХΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEKMHOPCTYXABEZHIKMNOPTYX")
"""Cyrillic and Greek letters of plates, which are those that Latin has too (Vienna Convention on Road Traffic, annex 2)."""


def plate_key(text: str) -> str:
    """A plate as it is compared: capital letters and digits alone, and letters of one shape as Latin ones; "" if none is left.

    What was read is kept beside it. Example: ``plate_key("kbx 123-c")`` is ``KBX123C``.
    """
    plain = unicodedata.normalize("NFKC", text).upper().translate(_SAME_SHAPE)
    return "".join(c for c in plain if c.isalnum())


def equipment_key(text: str) -> str:
    """A container number or the like as it is compared: without spaces and hyphens, in capitals."""
    return re.sub(r"[\s-]", "", text.upper())


def mrn_flags(mrn: str) -> list[str]:
    """``["mrn-form"]`` if it is no 18-character MRN, ``["mrn-check-digit"]`` if only its last character is wrong.

    Customs code, Delegated Regulation (EU) 2015/2446, annex B: the 18th character is computed over the first 17
    as ISO 6346 does over 10.
    """
    if not _MRN.fullmatch(mrn):
        return ["mrn-form"]
    return [] if mrn[17] == str(iso6346_check_digit(mrn[:17])) else ["mrn-check-digit"]


def alert_id(journey: str, detector: str, subject: str, began_us: int, began_key: int) -> str:
    """128 bits, hexadecimal, from what began it: the same in every run and every order of arrival."""
    text = f"{journey}\0{detector}\0{subject}\0{began_us}\0{began_key}"
    return blake2b(text.encode(), digest_size=16).hexdigest()


def secret_hash(device_id: str, secret: str) -> str:
    """How a device's secret is kept: SHA-256 over its id and the secret. These are makers' passwords, sent in the clear."""
    return sha256(f"{device_id}\0{secret}".encode()).hexdigest()
