"""The second factor: codes of an authenticator app (TOTP, RFC 6238: SHA-1, 30 s, six digits), each good once."""

from __future__ import annotations

import hmac
import io
from typing import Final

import pyotp
import segno

PERIOD_S: Final = 30
_US: Final = 1_000_000
_AROUND: Final = 1
"""Steps before and after ours whose codes are taken: clocks of phones differ (RFC 6238, 5.2)."""


def new_secret() -> str:
    """160 random bits in base32, as RFC 4226 (section 4, R6) recommends."""
    return pyotp.random_base32(32)


def code(secret: str, step: int) -> str:
    """The code of one time step."""
    return pyotp.HOTP(secret).at(step)


def step_of(secret: str, given: str, now_us: int, last: int) -> int | None:
    """The time step that a code belongs to; None if it is none, or none after ``last``, the one used before."""
    now = now_us // (PERIOD_S * _US)
    plain = given.replace(" ", "")
    found = None
    for step in range(now - _AROUND, now + _AROUND + 1):
        if hmac.compare_digest(code(secret, step).encode(), plain.encode("utf-8", "replace")) and step > last:
            found = step
    return found


def uri(secret: str, name: str) -> str:
    """What an authenticator app reads (the key URI format that they all know)."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name="Cocket")


def picture(text: str) -> str:
    """It as a QR code: SVG without script, on white whatever the page's colours."""
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False
    )
    return out.getvalue().decode()
