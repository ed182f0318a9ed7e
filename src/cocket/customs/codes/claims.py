"""What a code says: a small CBOR map with whole numbers for names, as a CBOR Web Token has them (RFC 8392).

    2 subject: the MRN · 3 audience: the gate · 4 expires, 5 not before: seconds since 1970 · 7 the code's number, 8 bytes
    -65537 a code on a paper: [purpose, equipment] · -65538 an excise stamp: [serial, product]

Names below -65536 are for private use (RFC 8392, 9.1). A code has no time of issue and no name of an issuer in it:
the register knows the one and the key tells the other, and every byte makes the print finer. Times are whole seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import cbor2

from cocket.core.clock import US

_SUB, _AUD, _EXP, _NBF, _CTI, _CODE, _STAMP = 2, 3, 4, 5, 7, -65537, -65538

PURPOSES: Final = ("transit", "manifest", "declaration", "payment", "container-pass", "release", "exit")
"""Their numbers in a code are their places here, from 1: add at the end only."""

CHAIN: Final = PURPOSES[1:]
"""The steps of one declaration, each accepted only after the one before it."""

MOST_TEXT_BYTES: Final = 64
"""Most bytes (UTF-8) of each word in a code: more would print too fine."""


@dataclass(frozen=True, slots=True)
class Code:
    """A code on a paper. Times are UTC microseconds on whole seconds; it is good from ``valid_from_us`` and until
    before ``valid_to_us``.
    """

    purpose: str
    mrn: str
    equipment_id: str | None
    gate: str | None
    valid_from_us: int
    valid_to_us: int
    number: int

    def payload(self) -> bytes:
        """As CBOR, deterministic (RFC 8949, 4.2)."""
        about: list[Any] = [PURPOSES.index(self.purpose) + 1]
        if self.equipment_id is not None:
            about.append(self.equipment_id)
        claims: dict[int, Any] = {
            _SUB: self.mrn,
            _EXP: self.valid_to_us // US,
            _NBF: self.valid_from_us // US,
            _CTI: self.number.to_bytes(8, "big"),
            _CODE: about,
        }
        if self.gate is not None:
            claims[_AUD] = self.gate
        return cbor2.dumps(claims, canonical=True)


@dataclass(frozen=True, slots=True)
class Stamp:
    """An excise stamp: its serial number, for which product, and until when it may be on goods (None: for ever)."""

    serial: int
    product: str
    valid_to_us: int | None

    def payload(self) -> bytes:
        """As CBOR, deterministic: one stamp has one text under one key."""
        claims: dict[int, Any] = {_STAMP: [self.serial, self.product]}
        if self.valid_to_us is not None:
            claims[_EXP] = self.valid_to_us // US
        return cbor2.dumps(claims, canonical=True)


Claims: TypeAlias = Code | Stamp


def read(payload: bytes) -> Claims:
    """The claims of a payload whose signature was found good; ``ValueError`` if they are of no kind that is known."""
    try:
        claims = cbor2.loads(payload)
    except Exception as error:  # the reader of CBOR raises whatever odd bytes make it raise
        raise ValueError(f"what was signed is no CBOR: {error}") from error
    if not isinstance(claims, dict):
        raise ValueError("what was signed is no map")  # noqa: TRY004 - one kind of error for all that is odd
    try:
        found = _stamp(claims) if _STAMP in claims else _code(claims)
        again = found.payload()
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise ValueError(f"what was signed is neither a code nor a stamp: {error!r}") from error
    if again != payload:
        raise ValueError("what was signed holds more than a code or a stamp does")
    return found


def _code(claims: dict[Any, Any]) -> Code:
    about = claims[_CODE]
    return Code(
        PURPOSES[_number(about[0]) - 1],
        _text(claims[_SUB]),
        _text(about[1]) if len(about) > 1 else None,
        _text(claims[_AUD]) if _AUD in claims else None,
        _number(claims[_NBF]) * US,
        _number(claims[_EXP]) * US,
        int.from_bytes(claims[_CTI], "big"),
    )


def _stamp(claims: dict[Any, Any]) -> Stamp:
    serial, product = claims[_STAMP]
    return Stamp(_number(serial), _text(product), _number(claims[_EXP]) * US if _EXP in claims else None)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value
