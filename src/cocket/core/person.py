"""Whether a text names a person who is sought: by name, plate, phone, identification, e-mail or account.

Names and identifications count as whole words, in any case and spacing; plates as they are compared at gates; phones by their digits,
with or without the country's. So ``Ann Lee`` is not found in ``Joann Lee``, and ``kbx 123-c`` is ``KBX123C``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from cocket.core.errors import Fault, Refused
from cocket.core.ids import plate_key

KINDS = ("name", "plate", "phone", "eori", "email", "account")
_LEAST_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Sought:
    """Who is sought: (kind, text) pairs; any of them that matches counts."""

    by: tuple[tuple[str, str], ...]

    def matcher(self) -> Callable[[str], bool]:
        """A function that says whether a text names the person."""
        tests = [_test(kind, text) for kind, text in self.by]
        tests += [_word(told_by_hash(kind, text)) for kind, text in self.by]
        return lambda text: any(test(text) for test in tests)

    def hashed(self) -> dict[str, str]:
        """How the audit says whom it was about."""
        return {f"{kind}-{i}": told_by_hash(kind, text) for i, (kind, text) in enumerate(self.by, 1)}


def sought(given: dict[str, list[str]]) -> Sought:
    """From what was asked for, by kind; ``Refused`` for what would find nothing, or everybody."""
    found, faults = [], []
    for kind in KINDS:
        for text in given.get(kind, []):
            plain = (
                plate_key(text) if kind == "plate" else _digits(text) if kind == "phone" else _folded(text)
            )
            least = _LEAST_DIGITS if kind == "phone" else 3
            if len(plain) < least:
                detail = f"{text!r} is too short for a {kind}: at least {least} characters that count"
                faults.append(Fault(f"query/{kind}", "too-short", detail))
            found.append((kind, text))
    if not found:
        detail = f"say whom: {', '.join(KINDS)}"
        faults.append(Fault("query", "required", detail))
    if faults:
        raise Refused(faults[0].detail, faults)
    return Sought(tuple(found))


def told_by_hash(name: str, value: str) -> str:
    """How a secret or a person's name stands in the audit: ``plate:`` and 16 digits of its SHA-256, for finding it again."""
    return f"{name}:{sha256(value.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _test(kind: str, text: str) -> Callable[[str], bool]:
    if kind == "plate":
        wanted = plate_key(text)
        word = _word(text)
        return lambda other: (len(other) <= 64 and plate_key(other) == wanted) or word(other)
    if kind == "phone":
        digits = _digits(text).lstrip("0")
        number = re.compile(r"\+?[0-9][0-9 ()./-]{5,}[0-9]")
        return lambda other: any(
            _same_phone(digits, _digits(m.group()).lstrip("0")) for m in number.finditer(other)
        )
    return _word(text)


def _same_phone(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= _LEAST_DIGITS and long.endswith(short) and len(long) - len(short) <= 4


def _word(text: str) -> Callable[[str], bool]:
    pattern = re.compile(rf"(?<!\w){re.escape(_folded(text))}(?!\w)")
    return lambda other: pattern.search(_folded(other)) is not None


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _digits(text: str) -> str:
    return "".join(c for c in text if c in "0123456789")
