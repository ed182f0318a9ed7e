"""Random secrets that people and programs show, and what is kept of them.

Each has 160 bits or more of chance, so that a fast hash keeps it as well as a slow one would (NIST SP 800-63B, 5.1.2.2,
asks for slow ones where a secret has fewer than 112).
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Final

TOKEN_PREFIX: Final = "ckt_"  # noqa: S105 - what every token begins with, for people and scanners to know it by
_TOKEN: Final = re.compile(r"ckt_[A-Za-z0-9_-]{43}")
_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def new_secret() -> str:
    """256 random bits, URL-safe, 43 characters."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """An API token."""
    return TOKEN_PREFIX + new_secret()


def new_id() -> str:
    """A name of something that is no secret: 80 random bits."""
    return secrets.token_hex(10)


def new_recovery_code() -> str:
    """80 random bits in four groups of base32 without the letters that are mistaken for digits."""
    text = "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(20))
    return "-".join(text[i : i + 5] for i in range(0, 20, 5))


def recovery_digest(name: str, code: str) -> bytes:
    """What is kept of a recovery code of an account."""
    plain = "".join(c for c in code.casefold() if c.isalnum())
    return sha256(f"{name}\0{plain}".encode()).digest()


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return sha256(secret.encode()).digest()


def is_token(text: str) -> bool:
    """Whether it has the form of an API token."""
    return _TOKEN.fullmatch(text) is not None


def is_secret(text: str) -> bool:
    """Whether it has the form of ``new_secret``."""
    return _COOKIE.fullmatch(text) is not None
