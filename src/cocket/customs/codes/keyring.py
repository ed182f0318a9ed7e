"""The keys that sign, kept as files beside the data and not in it.

    keys/keys.json   every public key there ever was, with its state and dates
    keys/KID.pem     the private key in use (PKCS #8)

One key is current and signs. Rotation makes a new one, keeps the old public key for checking what it signed, and
deletes the old private one: nobody can sign with it any more. Revocation is for a key that somebody else may have: all
that it ever signed is refused from then on. Files have mode 0600, the folder 0700. A new key is written and
synced before ``keys.json`` names it, an old one deleted after, so that a stop in between leaves a whole key ring.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cocket.core.clock import Clock, rfc3339
from cocket.core.errors import BadSetting, Conflict, DataDamaged, NotFound
from cocket.customs.codes.claims import Claims
from cocket.customs.codes.signing import KeyState, PublicKey, jwk, kid_of, public_of, sign

REGISTER: Final = "keys.json"


class _Key(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One key of the register."""

    kid: str
    raw_hex: str
    state: KeyState
    created_at: str
    created_by: str
    retired_at: str | None = None
    revoked_at: str | None = None
    by: str | None = None
    reason: str | None = None

    def public(self) -> PublicKey:
        """For checking."""
        return PublicKey(self.kid, bytes.fromhex(self.raw_hex), self.state)


class KeyRing:
    """The keys in the folder ``path``, made with a first key if it is not there. Any thread may call.

    ``DataDamaged`` if the register is damaged, ``BadSetting`` if others can read the private key.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._private: Ed25519PrivateKey | None = None
        self._public: dict[str, PublicKey] = {}
        self._missing = ""
        self._keys = self._read()
        if self._keys:
            self._open()
        else:
            self._private = self._make("cocket", [])

    @property
    def public(self) -> dict[str, PublicKey]:
        """Every key there ever was, by its id. A snapshot: it does not change."""
        return self._public

    def sign(self, claims: Claims) -> tuple[str, str]:
        """The text of a code or stamp, and the id of the key that signed it; ``DataDamaged`` if the private key is lost."""
        key = self._private
        if key is None:
            raise DataDamaged(self._missing)
        return sign(claims, key), kid_of(public_of(key))

    def signer(self) -> tuple[PublicKey, Callable[[bytes], bytes]]:
        """The current key, and what signs a JSON document with it (Ed25519, 64 bytes); ``DataDamaged`` if the private key is lost.

        A JSON object begins with a brace and what a code's signature covers does not (RFC 9052, 4.4), so that neither can be
        taken for the other; anything else is not signed.
        """
        key = self._private
        if key is None:
            raise DataDamaged(self._missing)

        def signed(document: bytes) -> bytes:
            if not document.startswith(b"{"):
                raise ValueError("only a JSON object is signed this way")
            return key.sign(document)

        raw = public_of(key)
        return PublicKey(kid_of(raw), raw), signed

    def jwks(self) -> list[dict[str, Any]]:
        """All public keys, newest first, as a JWK set has them."""
        with self._lock:
            return [_shown(key) for key in reversed(self._keys)]

    def rotate(self, *, by: str, reason: str) -> dict[str, Any]:
        """Sign with a new key from now on; gives the new one."""
        with self._lock:
            self._retire(by, reason)
            return _shown(self._current())

    def revoke(self, kid: str, *, by: str, reason: str) -> dict[str, Any]:
        """Refuse all that a key signed; the current one is replaced first. ``Conflict`` if it is revoked already."""
        with self._lock:
            key = next((k for k in self._keys if k.kid == kid), None)
            if key is None:
                raise NotFound(f"there is no key {kid!r}; GET /keys names them")
            if key.state == "revoked":
                raise Conflict(f"key {kid} was revoked at {key.revoked_at} by {key.by}")
            keys = [
                _changed(k, state="revoked", revoked_at=self._now(), by=by, reason=reason) if k is key else k
                for k in self._keys
            ]
            if key.state == "current":
                self._private = self._make(by, keys)
                self._forget(kid)
            else:
                self._write(keys)
            return _shown(next(k for k in self._keys if k.kid == kid))

    def _open(self) -> None:
        """Load the current private key. Without it nothing can be signed, but all can be checked: so it does not raise."""
        self._public = {k.kid: k.public() for k in self._keys}
        try:
            self._private = self._load(self._current().kid)
        except DataDamaged as error:
            self._missing = f"{error.detail}, or begin a new key by POST /keys/rotate"
            return
        for key in self._keys:
            if key.state != "current":
                self._forget(key.kid)

    def _retire(self, by: str, reason: str) -> None:
        old = self._current()
        keys = [
            _changed(k, state="retired", retired_at=self._now(), by=by, reason=reason) if k is old else k
            for k in self._keys
        ]
        self._private = self._make(by, keys)
        self._forget(old.kid)

    def _make(self, by: str, keys: list[_Key]) -> Ed25519PrivateKey:
        """A new current key behind ``keys``, on the disk when this returns."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = Ed25519PrivateKey.generate()
        raw = public_of(private)
        kid = kid_of(raw)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _keep(self._path / f"{kid}.pem", pem)
        new = _Key(kid=kid, raw_hex=raw.hex(), state="current", created_at=self._now(), created_by=by)
        self._write([*keys, new])
        return private

    def _write(self, keys: list[_Key]) -> None:
        _keep(self._path / REGISTER, msgspec.json.format(msgspec.json.encode(keys)))
        self._keys = keys
        self._public = {k.kid: k.public() for k in keys}

    def _forget(self, kid: str) -> None:
        (self._path / f"{kid}.pem").unlink(missing_ok=True)

    def _current(self) -> _Key:
        return next(k for k in self._keys if k.state == "current")

    def _now(self) -> str:
        return rfc3339(self._clock.now_us())

    def _read(self) -> list[_Key]:
        register = self._path / REGISTER
        if not register.exists():
            return self._found()
        try:
            keys = msgspec.json.decode(register.read_bytes(), type=list[_Key])
            for key in keys:
                if kid_of(bytes.fromhex(key.raw_hex)) != key.kid:
                    raise ValueError(f"the id of {key.kid} is not that of its key")  # noqa: TRY301 - one way out for all that is odd
            if sum(k.state == "current" for k in keys) != 1:
                raise ValueError("not exactly one key is current")  # noqa: TRY301 - the same
        except (msgspec.MsgspecError, ValueError) as error:
            raise DataDamaged(
                f"{register} is damaged ({error}); restore the keys folder from a copy"
            ) from error
        return keys

    def _found(self) -> list[_Key]:
        """Without a register: the one private key that lies there, if one does, is the current one.

        So a stop while the first key was made does no harm. What older keys signed cannot be checked then, and is refused.
        """
        files = sorted(self._path.glob("*.pem")) if self._path.exists() else []
        if not files:
            return []
        if len(files) > 1:
            raise DataDamaged(
                f"{self._path} holds {len(files)} private keys and no {REGISTER} that tells which is current; restore "
                "the folder from a copy"
            )
        raw = public_of(self._load(files[0].stem))
        self._write(
            [
                _Key(
                    kid=kid_of(raw),
                    raw_hex=raw.hex(),
                    state="current",
                    created_at=self._now(),
                    created_by="cocket",
                )
            ]
        )
        return self._keys

    def _load(self, kid: str) -> Ed25519PrivateKey:
        file = self._path / f"{kid}.pem"
        try:
            mode = file.stat().st_mode & 0o777
            if os.name == "posix" and mode & 0o077:
                raise BadSetting(
                    f"{file} is a private key and others can use it (mode {mode:o}); chmod 600 it"
                )
            key = load_pem_private_key(file.read_bytes(), None)
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            raise DataDamaged(
                f"{file}, the key that signs, cannot be read ({error}); restore the keys folder from a copy"
            ) from error
        if not isinstance(key, Ed25519PrivateKey) or kid_of(public_of(key)) != kid:
            raise DataDamaged(
                f"{file} holds another key than its name says; restore the keys folder from a copy"
            )
        return key


def _shown(key: _Key) -> dict[str, Any]:
    return {
        **jwk(key.public()),
        "created_at": key.created_at,
        "retired_at": key.retired_at,
        "revoked_at": key.revoked_at,
        "by": key.by or key.created_by,
        "reason": key.reason,
    }


def _changed(key: _Key, **values: Any) -> _Key:
    return msgspec.structs.replace(key, **values)


def _keep(path: Path, content: bytes) -> None:
    """Write a file whole: aside with mode 0600, synced, renamed, the folder synced."""
    aside = path.with_suffix(".tmp")
    aside.unlink(missing_ok=True)
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    aside.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
