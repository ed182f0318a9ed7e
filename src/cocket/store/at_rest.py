"""Damage to the SQLite files that SQLite itself does not see: bits that flip while nobody has the folder open, and in a
write-ahead log.

*At rest*: when a folder is closed, the checksum of each file is kept in ``rest.json``, with its length and time of change.
The next start compares, if the file is as it was left, and takes the list away before anything is written. A file that
was changed on purpose has another time of change and is not compared; after an unclean stop there is no list.

*Write-ahead log*: SQLite reads one up to the first frame whose checksum fails, and takes that for the end: right after a
power cut, and silent loss if a bit flipped. Frames that hold behind such a place tell the two apart: every commit is
fsynced before the next begins, so a whole commit behind a later one cannot have been torn.
(https://www.sqlite.org/fileformat2.html, section 4.)
"""

from __future__ import annotations

import logging
import os
import struct
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numba import njit

from cocket.core.batch import Array
from cocket.core.errors import DataDamaged

NAMES: Final = ("cocket.sqlite", "log.sqlite")
LIST: Final = "rest.json"
_MOST_BYTES: Final = 4 << 30
"""Larger files are compared by ``cocket verify`` only: a start should not take minutes."""
_HEADER: Final = 32
_FRAME: Final = 24

log = logging.getLogger(__name__)


class Rest(msgspec.Struct, frozen=True):
    """A file as it was left."""

    size: int
    changed_ns: int
    checksum: str


def leave(folder: Path) -> None:
    """Keep the checksums of the closed files. Without it the next start compares nothing: a disk that refuses is no fault."""
    try:
        rests = {}
        for name in NAMES:
            path = folder / name
            if path.exists() and not _wal_of(path).exists():
                stat = path.stat()
                rests[name] = Rest(stat.st_size, stat.st_mtime_ns, _checksum(path))
        aside = folder / f"{LIST}.tmp"
        aside.write_bytes(msgspec.json.encode(rests))
        aside.replace(folder / LIST)
    except OSError as error:
        log.warning("the checksums of the closed files could not be kept: %s", error)


def wrong(folder: Path, *, all_sizes: bool = True) -> list[str]:
    """What is damaged, one sentence each."""
    found = [text for name in NAMES for text in _wal_damage(folder / name)[0]]
    try:
        rests = msgspec.json.decode((folder / LIST).read_bytes(), type=dict[str, Rest])
    except (OSError, msgspec.MsgspecError):
        return found  # it only ever helps
    for name, rest in rests.items():
        path = folder / name
        if name not in NAMES or not path.exists() or _wal_of(path).exists():
            continue
        stat = path.stat()
        if (stat.st_size, stat.st_mtime_ns) != (rest.size, rest.changed_ns):
            continue
        if (all_sizes or rest.size <= _MOST_BYTES) and _checksum(path) != rest.checksum:
            found.append(
                f"{path} is not as it was left: its bytes have changed and its time of change has not, as when a disk decays"
            )
    return found


def doubtful(folder: Path) -> list[str]:
    """What is either the torn end that a power cut leaves, or an acknowledged commit that is lost."""
    return [text for name in NAMES for text in _wal_damage(folder / name)[1]]


def take_up(folder: Path) -> None:
    """Before the files are opened: ``DataDamaged`` if they are not as they were left; then forget the list."""
    found = wrong(folder, all_sizes=False)
    if found:
        raise DataDamaged(
            f"{found[0]}; nothing was opened. Restore the folder from a backup (`cocket restore`)"
        )
    for text in doubtful(folder):
        log.warning("%s", text)
    if (folder / LIST).exists():
        (folder / LIST).unlink()
        if os.name != "nt":
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _wal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _checksum(path: Path) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _wal_damage(path: Path) -> tuple[list[str], list[str]]:
    """What is certainly lost, and what may be."""
    wal = _wal_of(path)
    try:
        data = wal.read_bytes()
    except FileNotFoundError:
        return [], []
    if len(data) < _HEADER + _FRAME:
        return [], []
    magic, _version, page, _number = struct.unpack_from(">IIII", data)
    order = ">" if magic & 1 else "<"
    head = tuple(_sum(np.frombuffer(data[:24], f"{order}u4").astype(np.uint32), 0, 0))
    if magic not in {0x377F0682, 0x377F0683} or head != struct.unpack_from(">II", data, 24) or page < 512:
        return [f"{wal} has a damaged header: what it holds would not be read, and it was acknowledged"], []
    n = (len(data) - _HEADER) // (_FRAME + page)
    whole, commits = _frames(data, n, page, order)
    bad = np.flatnonzero(~whole)
    if not len(bad):
        return [], []
    later = np.flatnonzero(commits & whole)
    later = later[later >= bad[0]]
    if not len(later):
        return [], []
    where = f"{wal} is damaged at frame {int(bad[0]) + 1} of {n}"
    if (
        np.flatnonzero(whole) > later[0]
    ).any():  # behind the commit that holds the bad frame there is a later one
        said = "commits behind it hold, so this is no torn end, and what stands there was acknowledged"
        return [f"{where}: {said}"], []
    said = "its last commit is not read; after a power cut nobody was told of it, otherwise it is lost"
    return [], [f"{where}: {said}"]


def _frames(data: bytes, n: int, page: int, order: str) -> tuple[Array, Array]:
    """Which frames of this generation hold, each seeded by what the one before it says; and which end a commit."""
    whole, commits = np.zeros(n, bool), np.zeros(n, bool)
    salt = data[16:24]
    seed = struct.unpack_from(">II", data, 24)
    for i in range(n):
        at = _HEADER + i * (_FRAME + page)
        stored = struct.unpack_from(">II", data, at + 16)
        if data[at + 8 : at + 16] == salt:
            words = np.frombuffer(data[at : at + 8] + data[at + _FRAME : at + _FRAME + page], f"{order}u4")
            whole[i] = tuple(_sum(words.astype(np.uint32), *seed)) == stored
            commits[i] = data[at + 4 : at + 8] != b"\0\0\0\0"
        seed = stored
    last = np.flatnonzero(whole)
    end = int(last[-1]) + 1 if len(last) else 0
    return whole[:end], commits[:end]


@njit(cache=True)
def _sum(words: Array, s0: int, s1: int) -> Array:
    """SQLite's checksum of a write-ahead log: two sums, modulo 2^32, over pairs of words."""
    a, b = np.uint64(s0), np.uint64(s1)
    mask = np.uint64(0xFFFFFFFF)
    for i in range(0, len(words), 2):
        a = (a + np.uint64(words[i]) + b) & mask
        b = (b + np.uint64(words[i + 1]) + a) & mask
    out = np.empty(2, np.int64)
    out[0] = np.int64(a)
    out[1] = np.int64(b)
    return out
