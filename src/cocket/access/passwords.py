"""Passwords: argon2id with OWASP's parameters, and the rules of NIST SP 800-63B.

Twelve characters at least (OWASP ASVS 4.0.3, 2.1.1), no rule of composition, no expiry; refused is what guessers try first:
common words with what people hang on to them, runs of keys, the account's own name, the house's.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cocket.core.config import Access
from cocket.core.errors import Busy, Fault, Refused

LEAST: Final = 12
MOST: Final = 256
"""Characters. Nobody's sentence is longer, and hashing bounds what a stranger makes us work."""
_AT_ONCE: Final = 4
_WAIT_S: Final = 10.0
_RUNS: Final = (
    "abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
)  # fmt: skip
_LEET: Final = str.maketrans("0134578@$!€+", "oieastbasiet")


class Passwords:
    """Hashes and checks, a few at once: each costs 19 MiB and some tens of milliseconds."""

    def __init__(self, settings: Access) -> None:
        self._hasher = PasswordHasher(settings.argon2_passes, settings.argon2_memory_kib, 1)
        self._words = frozenset(_bare(word.casefold()) for word in settings.own_words)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._nobody = self._hasher.hash("nobody has this password")

    def check(self, password: str, *names: str, field: str = "/password") -> None:
        """Raises ``Refused`` if guessers would try it early; ``names`` are those of the account."""
        fault = _fault(_plain(password), names, self._words)
        if fault is not None:
            rule, detail = fault
            raise Refused(detail, [Fault(field, rule, detail)])

    def hashed(self, password: str) -> str:
        """In PHC form."""
        with self._turn():
            return self._hasher.hash(_plain(password))

    def verified(self, password: str, kept: str | None) -> bool:
        """Whether it is the password. Without one to compare it takes as long and says no."""
        with self._turn():
            try:
                good = self._hasher.verify(kept or self._nobody, _plain(password))
            except (VerificationError, InvalidHashError):
                return False
        return good and kept is not None

    def stale(self, kept: str) -> bool:
        """Whether it was hashed with other parameters than are asked for now."""
        return self._hasher.check_needs_rehash(kept)

    def _turn(self) -> _Turn:
        return _Turn(self._turns)


class _Turn:
    def __init__(self, turns: threading.BoundedSemaphore) -> None:
        self._turns = turns

    def __enter__(self) -> None:
        if not self._turns.acquire(timeout=_WAIT_S):
            raise Busy("too many people sign in at once; try again", retry_after_s=5)

    def __exit__(self, *_: object) -> None:
        self._turns.release()


def _fault(password: str, names: tuple[str, ...], own: frozenset[str]) -> tuple[str, str] | None:
    if len(password) < LEAST:
        return (
            "too-short",
            f"a password has at least {LEAST} characters; a few words in a row are easy to keep",
        )
    if len(password) > MOST:
        return "too-long", f"a password has at most {MOST} characters"
    folded = password.casefold()
    bare = _bare(folded)
    for name in names:
        called = name.casefold().partition("@")[0]
        if len(called) > 2 and called in folded and len(folded) - len(called) < LEAST - 4:
            return (
                "own-name",
                "a password that is the account's own name with a little more is guessed at once",
            )
    if len(set(folded)) < 5 or _repeats(folded):
        return "repetition", "a password that repeats a few characters is guessed at once; take other words"
    if _is_run(folded):
        return (
            "key-run",
            "a password that follows the alphabet or the keys is guessed at once; take other words",
        )
    if _is_common(bare, _common() | own):
        return "common", "this is among the passwords that guessers try first; take other words"
    return None


def _plain(password: str) -> str:
    """One form of what looks alike (NFKC, as NIST asks), so that every keyboard types the same password."""
    return unicodedata.normalize("NFKC", password)


def _bare(folded: str) -> str:
    """The word in it: signs and digits at the ends off, look-alikes back to letters."""
    return re.sub(r"[^a-z]", "", re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded).translate(_LEET))


def _repeats(text: str) -> bool:
    return any(text == (text[:n] * (len(text) // n + 1))[: len(text)] for n in range(1, len(text) // 3 + 1))


def _is_run(text: str) -> bool:
    """Whether most of it follows rows of keys, forwards or backwards."""
    rows = [way for run in _RUNS for way in (run, run[::-1])]
    steps = [any(text[i : i + 3] in row for row in rows) for i in range(len(text) - 2)]
    return sum(steps) >= 0.6 * len(steps)


def _is_common(bare: str, words: frozenset[str]) -> bool:
    """Whether it is a common word, or two in a row."""
    return bare in words or any(bare[:i] in words and bare[i:] in words for i in range(3, len(bare) - 2))


@cache
def _common() -> frozenset[str]:
    text = Path(__file__).with_name("common_words.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())
