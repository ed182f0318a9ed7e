"""Signed texts: COSE_Sign1 with Ed25519 (RFC 9052, RFC 9053, 2.2), written in base45 after a short prefix.

    CKT1:…  a code on a paper        CKS1:…  an excise stamp

One layout and no other: tag 18, algorithm EdDSA and the key's id (8 bytes) in the protected header, an empty
unprotected one, the payload, the signature, every length in its shortest form. So a text has no second spelling, and
nothing of it is interpreted before its signature is found good. ``kid`` is the beginning of the key's SHA-256.

Size: 86 bytes and the payload, half as many characters again. A code with an 18-character MRN and a container number is
about 225 characters, a QR code of version 9 (53 modules, 0.41 mm each in a print of 2.5 cm); the longest legal one
is version 12 (65 modules, 0.34 mm).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cocket.core.clock import rfc3339
from cocket.core.errors import Fault, Malformed
from cocket.customs.codes import base45
from cocket.customs.codes.claims import Claims, Code, Stamp, read

CODE_PREFIX: Final = "CKT1:"
STAMP_PREFIX: Final = "CKS1:"
MOST_CHARACTERS: Final = 535
"""What a QR code of version 12 holds in alphanumeric mode (ISO/IEC 18004, table 7, level L)."""

_HEAD: Final = bytes.fromhex("d2844da201270448")
_SIGNATURE_SIZE: Final = 64
_KID_SIZE: Final = 8
_IDENTIFIER: Final = re.compile(r"\][A-Za-z][0-9A-Za-z]")

KeyState = Literal["current", "retired", "revoked"]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that texts are checked with. A retired one signs no more; what a revoked one signed is refused."""

    kid: str
    raw: bytes
    state: KeyState = "current"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a text turned out to be. ``claims`` only where the signature is good; ``refusal`` names why it is not to be
    accepted: malformed, wrong-key, revoked-key, forged, not-yet-valid, expired.
    """

    claims: Claims | None
    kid: str | None
    refusal: Fault | None


def kid_of(raw: bytes) -> str:
    """The id of a public key (32 bytes), in hexadecimal: the same wherever it is computed."""
    return sha256(raw).hexdigest()[: 2 * _KID_SIZE]


def public_of(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of a private key's public one (RFC 8032)."""
    return key.public_key().public_bytes_raw()


def sign(claims: Claims, key: Ed25519PrivateKey) -> str:
    """The text of a code or stamp. Deterministic: the same claims and key give the same text."""
    payload = claims.payload()
    kid = bytes.fromhex(kid_of(public_of(key)))
    message = _HEAD + kid + b"\xa0" + _bstr(payload) + _bstr(key.sign(_to_be_signed(kid, payload)))
    return (CODE_PREFIX if isinstance(claims, Code) else STAMP_PREFIX) + base45.encode(message)


def cleaned(text: str) -> str:
    """A text as it was printed: without what hand scanners add (line ends, a symbology identifier as ``]Q3``, ISO/IEC
    15424) and in capital letters, for some send small ones. A text that is no ASCII stays as it is.
    """
    text = text.strip(" \t\r\n\x1d\x04")
    if not text.isascii():
        return text
    found = _IDENTIFIER.match(text)
    return text[found.end() if found else 0 :].upper()


def verify(text: str, keys: Mapping[str, PublicKey], now_us: int) -> Verdict:
    """Read a text with the public keys at hand, without a network. Pure: the same question has the same answer."""
    try:
        kid, payload, signature = _cut(text)
    except ValueError as error:
        return _refused("malformed", f"this is no signed code: {error}")
    key = keys.get(kid)
    if key is None:
        return _refused("wrong-key", f"it names key {kid}, which is none of the {len(keys)} known here", kid)
    try:
        public = Ed25519PublicKey.from_public_bytes(key.raw)
        public.verify(signature, _to_be_signed(bytes.fromhex(kid), payload))
    except InvalidSignature:
        return _refused("forged", f"the signature does not fit key {kid}: it was forged or altered", kid)
    if key.state == "revoked":
        return _refused("revoked-key", f"it was signed by key {kid}, which was revoked", kid)
    try:
        claims = read(payload)
    except ValueError as error:
        return _refused("malformed", str(error), kid)
    if is_stamp(text) is not isinstance(claims, Stamp):
        return _refused("malformed", "its prefix names another kind than was signed", kid)
    return Verdict(claims, kid, out_of_time(claims, now_us))


def out_of_time(claims: Claims, now_us: int) -> Fault | None:
    """Why it is not to be accepted at this time, if so."""
    if isinstance(claims, Code) and now_us < claims.valid_from_us:
        return Fault("/code", "not-yet-valid", f"it is valid from {rfc3339(claims.valid_from_us)}")
    if claims.valid_to_us is not None and now_us >= claims.valid_to_us:
        return Fault("/code", "expired", f"it was valid until {rfc3339(claims.valid_to_us)}")
    return None


def is_stamp(text: str) -> bool:
    """Whether a text calls itself an excise stamp."""
    return cleaned(text).startswith(STAMP_PREFIX)


def jwk(key: PublicKey) -> dict[str, Any]:
    """A public key as RFC 8037 writes it, with what we know of it."""
    x = base64.urlsafe_b64encode(key.raw).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": key.kid, "x": x, "state": key.state}


def keys_of(document: Any) -> dict[str, PublicKey]:
    """The Ed25519 keys of a JWK set (RFC 7517, 5), others passed over; ``Malformed`` says where it is none."""
    rows = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise Malformed('this is no JWK set: an object with an array "keys" is wanted')
    found: dict[str, PublicKey] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or (row.get("kty"), row.get("crv")) != ("OKP", "Ed25519"):
            continue
        try:
            raw = base64.urlsafe_b64decode(row["x"] + "=" * (-len(row["x"]) % 4))
        except (KeyError, TypeError, ValueError) as error:
            raise Malformed(f"/keys/{i}/x is no base64url") from error
        state = row.get("state", "current")
        if len(raw) != 32 or state not in {"current", "retired", "revoked"}:
            raise Malformed(f"/keys/{i} is no Ed25519 key of 32 bytes that is current, retired or revoked")
        found[kid_of(raw)] = PublicKey(kid_of(raw), raw, state)
    return found


def described(claims: Claims) -> dict[str, Any]:
    """What a code or stamp says, as JSON has it."""
    if isinstance(claims, Stamp):
        until = None if claims.valid_to_us is None else rfc3339(claims.valid_to_us)
        return {"kind": "stamp", "serial": claims.serial, "product": claims.product, "valid_to": until}
    return {
        "kind": "code",
        "purpose": claims.purpose,
        "mrn": claims.mrn,
        "equipment_id": claims.equipment_id,
        "gate": claims.gate,
        "valid_from": rfc3339(claims.valid_from_us),
        "valid_to": rfc3339(claims.valid_to_us),
    }


def _refused(rule: str, detail: str, kid: str | None = None) -> Verdict:
    return Verdict(None, kid, Fault("/code", rule, detail))


def _cut(text: str) -> tuple[str, bytes, bytes]:
    """Key id, payload and signature of a text in our one layout."""
    text = cleaned(text)
    if not text.startswith((CODE_PREFIX, STAMP_PREFIX)):
        raise ValueError(f"it begins with neither {CODE_PREFIX} nor {STAMP_PREFIX}")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters, at most {MOST_CHARACTERS} are written")
    data = base45.decode(text[len(CODE_PREFIX) :])
    at = len(_HEAD) + _KID_SIZE
    kid = data[len(_HEAD) : at]
    payload = _payload_at(data, at + 1)
    signature = data[-_SIGNATURE_SIZE:]
    if data != _HEAD + kid + b"\xa0" + _bstr(payload) + _bstr(signature):
        raise ValueError("it is no COSE_Sign1 as we write it")
    return kid.hex(), payload, signature


def _payload_at(data: bytes, at: int) -> bytes:
    """The byte string at a place; whether it is in its shortest form is seen by whoever writes it again."""
    first = data[at] if at < len(data) else 0
    if first == 0x58:
        size, at = int.from_bytes(data[at + 1 : at + 2], "big"), at + 2
    elif first == 0x59:
        size, at = int.from_bytes(data[at + 1 : at + 3], "big"), at + 3
    else:
        size, at = first & 31, at + 1
    return data[at : at + size]


def _bstr(data: bytes) -> bytes:
    """A CBOR byte string (RFC 8949, 3.1, major type 2), of at most 65,535 bytes."""
    n = len(data)
    if n < 24:
        return bytes([0x40 | n]) + data
    return (bytes([0x58, n]) if n < 256 else b"\x59" + n.to_bytes(2, "big")) + data


def _to_be_signed(kid: bytes, payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052, 4.4): "Signature1", protected header, no external data, payload."""
    return b"\x84\x6aSignature1" + _bstr(_HEAD[3:] + kid) + b"\x40" + _bstr(payload)
