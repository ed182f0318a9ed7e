"""An evidence pack, checked without us: every file as its manifest says, and the manifest signed.

    manifest.json   what is in the pack: {"format", "version", "mrn", "made_at", "key": a JWK, "files": [{"path", "size", "sha256"}]}
    manifest.sig    the Ed25519 signature over the bytes of manifest.json (RFC 8032), 64 bytes

All other files are listed. A pack comes from strangers: nothing is unpacked, nothing is read beyond the size that the
manifest names, and names that lead out of a folder are a finding.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cocket.core.errors import Malformed
from cocket.customs.codes.signing import PublicKey, keys_of

FORMAT: Final = "cocket-evidence-pack"
VERSION: Final = 1
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
_MOST_MANIFEST: Final = 64 * 1024 * 1024
_READ: Final = 1 << 20


@dataclass(slots=True)
class Checked:
    """What was found. ``trusted``: the key was among those that the reader brought; None: the reader brought none."""

    faults: list[str] = field(default_factory=list)
    mrn: str | None = None
    made_at: str | None = None
    kid: str | None = None
    trusted: bool | None = None
    files: int = 0


def check_pack(path: Path, keys: Mapping[str, PublicKey] | None = None) -> Checked:
    """Check the pack in a file. ``OSError`` if it cannot be read; all else is a finding."""
    found = Checked()
    try:
        with zipfile.ZipFile(path) as pack:
            _check(pack, keys, found)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        found.faults.append(f"it is no whole ZIP file: {error}")
    return found


def _check(pack: zipfile.ZipFile, keys: Mapping[str, PublicKey] | None, found: Checked) -> None:
    names = pack.namelist()
    found.faults += [f"{n!r} is in the pack twice" for n in sorted({n for n in names if names.count(n) > 1})]
    for wanted in (MANIFEST, SIGNATURE):
        if wanted not in names:
            found.faults.append(f"it holds no {wanted}")
            return
    text = _read(pack, MANIFEST, _MOST_MANIFEST)
    signature = _read(pack, SIGNATURE, 64)
    if text is None or signature is None:
        found.faults.append("its manifest or signature is damaged or of the wrong size")
        return
    try:
        manifest = json.loads(text)
        listed = {str(f["path"]): (int(f["size"]), str(f["sha256"])) for f in manifest["files"]}
        key = next(iter(keys_of({"keys": [manifest["key"]]}).values()))
        found.mrn, found.made_at, found.kid = str(manifest["mrn"]), str(manifest["made_at"]), key.kid
        known = (manifest["format"], manifest["version"]) == (FORMAT, VERSION)
        doubled = len(listed) != len(manifest["files"])
    except (ValueError, KeyError, TypeError, StopIteration, RecursionError, Malformed) as error:
        found.faults.append(f"its manifest cannot be read: {error!r}")
        return
    if not known or doubled:
        found.faults.append(f"its manifest is none of version {VERSION}")
    _signed(text, signature, key, keys, found)
    _files(pack, names, listed, found)


def _signed(
    text: bytes, signature: bytes, key: PublicKey, keys: Mapping[str, PublicKey] | None, found: Checked
) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, text)
    except (InvalidSignature, ValueError):
        found.faults.append(f"the signature over its manifest does not fit key {key.kid}: it was altered")
        return
    if keys is None:
        return
    trusted = keys.get(key.kid)
    found.trusted = trusted is not None and trusted.state != "revoked"
    if trusted is None:
        found.faults.append(f"it was signed by key {key.kid}, which is none of the keys given")
    elif not found.trusted:
        found.faults.append(f"it was signed by key {key.kid}, which was revoked")


def _files(
    pack: zipfile.ZipFile, names: list[str], listed: Mapping[str, tuple[int, str]], found: Checked
) -> None:
    extra = set(names) - set(listed) - {MANIFEST, SIGNATURE}
    found.faults += [f"{name!r} is in the pack and not in its manifest" for name in sorted(extra)]
    for name, (size, digest) in listed.items():
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or "\\" in name or ":" in (parts[0] if parts else ""):
            found.faults.append(f"{name!r} is no name for a file in a pack")
        if name not in names:
            found.faults.append(f"{name!r} is in its manifest and not in the pack")
            continue
        seen = _digest(pack, name, size)
        if seen is None:
            found.faults.append(f"{name!r} is damaged, or has not the {size} bytes that its manifest says")
        elif seen != digest:
            found.faults.append(f"{name!r} was altered: its SHA-256 is {seen}, its manifest says {digest}")
        else:
            found.files += 1


def _digest(pack: zipfile.ZipFile, name: str, size: int) -> str | None:
    """SHA-256 of a file of that size; None if it is of another, or cannot be read."""
    digest, left = sha256(), size
    try:
        with pack.open(name) as member:
            while part := member.read(min(_READ, left + 1)):
                left -= len(part)
                if left < 0:
                    return None
                digest.update(part)
    except _UNREADABLE:
        return None
    return digest.hexdigest() if left == 0 else None


def _read(pack: zipfile.ZipFile, name: str, most: int) -> bytes | None:
    try:
        with pack.open(name) as member:
            data = member.read(most + 1)
    except _UNREADABLE:
        return None
    return None if len(data) > most else data


_UNREADABLE: Final[tuple[type[Exception], ...]] = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    EOFError,
    RuntimeError,
    OSError,
    ValueError,
)


def as_json(found: Checked) -> dict[str, Any]:
    """As the command prints it."""
    return {
        "good": not found.faults,
        "faults": found.faults,
        "mrn": found.mrn,
        "made_at": found.made_at,
        "kid": found.kid,
        "trusted": found.trusted,
        "files": found.files,
    }
