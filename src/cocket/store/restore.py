"""The way back from a backup: everything is copied aside and compared with the manifest before a folder has the name."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from cocket.core.errors import CocketError, Conflict, DataDamaged, Malformed, NotFound
from cocket.store.backup import BLOCK, FORMAT, MANIFEST, Hashing, Kept, Manifest, Say, remove, sync_folder


def manifest_body(backup_: Path) -> bytes:
    """What a backup says of itself, as it stands there. ``NotFound`` where there is none, ``Malformed`` where it is none."""
    if not backup_.exists():
        raise NotFound(f"there is no backup {backup_}")
    try:
        if backup_.is_dir():
            return (backup_ / MANIFEST).read_bytes()
        with tarfile.open(backup_, "r:") as tar:
            file = tar.extractfile(MANIFEST)
            return b"" if file is None else file.read()
    except (OSError, KeyError, tarfile.TarError, UnicodeDecodeError) as error:
        raise _not_whole(backup_, error) from error


def _not_whole(backup_: Path, error: Exception) -> Malformed:
    return Malformed(
        f"{backup_} is no whole backup: its {MANIFEST} cannot be read ({error}); it comes last, so it may be cut off"
    )


def read_manifest(backup_: Path) -> Manifest:
    """As ``manifest_body``, read."""
    body = manifest_body(backup_)
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _not_whole(backup_, error) from error
    if manifest.format != FORMAT:
        raise Malformed(
            f"{backup_} is of backup format {manifest.format}, this version reads {FORMAT}; it was made by Cocket {manifest.cocket}"
        )
    for name in manifest.files:
        _checked(backup_, name)
    return manifest


def restore(backup_: Path, data: Path, *, say: Say) -> Manifest:
    """Make the data folder ``data`` of a backup. It must not be there, or be empty.

    Everything is copied aside and compared with the manifest first; ``DataDamaged`` names the file that differs, and
    then there is no folder.
    """
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise Conflict(
            f"{data} is not empty; restore to a new folder, look at it, then put it in the old one's place"
        )
    manifest = read_manifest(backup_)
    aside = data.with_name(f"{data.name}.part")
    try:
        remove(aside)
        aside.mkdir(parents=True)
        copied_parts(backup_, aside, manifest.files, say)
        (aside / "history").mkdir(exist_ok=True)
        sync_folder(aside / "history")
        sync_folder(aside)
        if data.exists():
            data.rmdir()
        aside.rename(data)
        sync_folder(data.parent)
    except OSError as error:
        remove(aside)
        raise CocketError(
            f"{backup_} could not be restored to {data}: {error}; nothing was restored"
        ) from error
    except BaseException:
        remove(aside)
        raise
    return manifest


def copied_parts(backup_: Path, aside: Path, files: Mapping[str, Kept], say: Say) -> None:
    """Copy every part of a backup to the folder ``aside``, compared with what its manifest says of it. ``DataDamaged`` if one differs."""
    found = dict(_copied(backup_, aside, files, say))
    for name in files:
        if name not in found:
            raise DataDamaged(f"{name} is missing in the backup {backup_}; nothing was restored")


def _copied(backup_: Path, aside: Path, files: Mapping[str, Kept], say: Say) -> Iterator[tuple[str, Kept]]:
    for name, source in _sources(backup_, files):
        path = aside / name
        path.parent.mkdir(mode=0o700 if name.startswith("keys/") else 0o777, exist_ok=True)
        with path.open("xb") as file:
            if name.startswith("keys/"):
                path.chmod(0o600)
            hashing = Hashing(file)
            shutil.copyfileobj(source, hashing, BLOCK)
            file.flush()
            os.fsync(file.fileno())
        if hashing.kept != files[name]:
            raise DataDamaged(
                f"{name} in the backup {backup_} does not match its checksum in the manifest; nothing was restored"
            )
        say(f"{name}: {hashing.n} bytes, as the manifest says")
        yield name, hashing.kept


def _sources(backup_: Path, files: Mapping[str, Kept]) -> Iterator[tuple[str, IO[bytes]]]:
    if backup_.is_dir():
        for name in files:
            path = backup_ / name
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    yield name, file
        return
    try:
        with tarfile.open(backup_, "r:") as tar:
            for member in tar:
                if member.name == MANIFEST:
                    continue
                held = tar.extractfile(member) if member.isreg() else None
                if held is None or member.name not in files:
                    raise DataDamaged(
                        f"the backup {backup_} holds {member.name!r}, which its manifest does not name; nothing was restored"
                    )
                yield member.name, held
    except tarfile.TarError as error:
        raise DataDamaged(f"the backup {backup_} is damaged: {error}; nothing was restored") from error


def _checked(backup_: Path, name: str) -> None:
    """Names are those that we write: nothing of a manifest leads out of the folder."""
    parts = PurePosixPath(name).parts
    good = name in {"cocket.sqlite", "log.sqlite"} or (
        len(parts) == 2
        and parts[0] in {"history", "keys"}
        and "\\" not in name
        and not parts[1].startswith(".")
        and "/".join(parts) == name
    )
    if not good:
        raise Malformed(f"the manifest of {backup_} names {name!r}, which is no file of a data folder")
