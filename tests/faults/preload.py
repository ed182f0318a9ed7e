"""The preloaded library ``faulty.c``: compiled here, planned from here, and what a power cut would leave.

Needs Linux and a C compiler; tests that use it skip without, in words.
"""

from __future__ import annotations

import errno
import mmap
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import pytest

KINDS: Final = ("open", "write", "sync", "truncate", "rename", "unlink")
_PLAN: Final = struct.Struct("<8iq6q")
_SOURCE: Final = Path(__file__).with_name("faulty.c")


def library() -> Path:
    """The library, compiled once; skips the test where that cannot be."""
    if sys.platform != "linux":
        pytest.skip("faults are injected by a preloaded library, which wants Linux")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("faults are injected by a preloaded library, which wants a C compiler (gcc)")
    source = _SOURCE.read_bytes()
    path = (
        Path(tempfile.gettempdir())
        / f"cocket-faulty-{os.getuid()}-{blake2b(source, digest_size=8).hexdigest()}.so"
    )
    if not path.exists():
        aside = path.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", "-o", str(aside), str(_SOURCE), "-ldl", "-lpthread"],
            check=True,
        )
        aside.rename(path)
    return path


@dataclass(frozen=True)
class Record:
    """What one call changed that was not durable: ``w`` bytes replaced, ``r`` a rename, ``u`` an unlink, ``s`` a sync."""

    kind: str
    path: Path
    at: int
    size: int
    data: bytes


class Faulty:
    """A plan for processes started with ``env``; everything below ``folder`` is concerned."""

    def __init__(self, place: Path, folder: Path, *, journal: bool = False) -> None:
        self._library = library()
        self._path = place / "plan"
        self._path.write_bytes(bytes(_PLAN.size))
        self._file = self._path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), _PLAN.size)
        self._folder = folder.resolve()
        self._journal = place / "journal" if journal else None

    @property
    def env(self) -> dict[str, str]:
        """The environment of a process that is to suffer."""
        extra = {
            "LD_PRELOAD": str(self._library),
            "FAULTY_PLAN": str(self._path),
            "FAULTY_DIR": str(self._folder),
        }
        if self._journal is not None:
            extra["FAULTY_JOURNAL"] = str(self._journal)
        return {**os.environ, **extra}

    def _set(self, at: int, *values: int) -> None:
        struct.pack_into(f"<{len(values)}i", self._map, at * 4, *values)

    def fail(
        self, kind: str, nth: int = 1, error: int = errno.EIO, *, lasting: bool = False, half: bool = False
    ) -> None:
        """The nth call of a kind from now on fails; ``lasting``: and all after it. ``half``: half of a write is done."""
        self._set(1, 0)
        struct.pack_into("<6q", self._map, 40, *[0] * 6)
        self._set(5, 0)
        self._set(0, KINDS.index(kind))
        self._set(2, error, int(lasting))
        self._set(6, int(half))
        self._set(1, nth)

    def heal(self) -> None:
        """No call fails, no fsync waits, the clock is right."""
        self._set(1, 0)
        self._set(4, 0)
        self.clock(0)

    def slow(self, sync_ms: int) -> None:
        """Every fsync takes so long."""
        self._set(4, sync_ms)

    def clock(self, ahead_us: int) -> None:
        """The wall clock is so far ahead of the true one."""
        struct.pack_into("<q", self._map, 32, ahead_us)

    @property
    def fired(self) -> int:
        """How many calls were made to fail since ``fail``."""
        return int(struct.unpack_from("<i", self._map, 20)[0])

    @property
    def calls(self) -> dict[str, int]:
        """Calls by kind since ``fail`` or the start."""
        return dict(zip(KINDS, struct.unpack_from("<6q", self._map, 40), strict=True))

    # the power cut

    def forget_journal(self) -> None:
        """What was written so far is durable."""
        assert self._journal is not None
        if self._journal.exists():
            os.truncate(self._journal, 0)

    def power_cut(self, rng: random.Random | None = None) -> int:
        """Take back what no fsync made durable; with ``rng`` only some of it, as a disk does that writes in its own order.

        Returns how many writes were taken back.
        """
        assert self._journal is not None
        undo: list[Record] = []
        for record in _records(self._journal.read_bytes()):
            if record.kind == "s":
                undo = [r for r in undo if not _covered(r, record.path)]
            else:
                undo.append(record)
        taken = 0
        for record in reversed(undo):
            if rng is None or rng.random() < 0.5:
                taken += _take_back(record)
        for shm in self._folder.rglob("*-shm"):
            shm.unlink()
        return taken


def _records(data: bytes) -> Iterator[Record]:
    at = 0
    while at + 5 <= len(data):
        kind = chr(data[at])
        (length,) = struct.unpack_from("<I", data, at + 1)
        head = at + 5 + length
        if head + 20 > len(data):
            return  # the process was killed while it wrote this one: the call it stands for was not made
        a, b, n = struct.unpack_from("<qqI", data, head)
        if head + 20 + n > len(data):
            return
        yield Record(kind, Path(data[at + 5 : head].decode()), a, b, data[head + 20 : head + 20 + n])
        at = head + 20 + n


def _covered(record: Record, synced: Path) -> bool:
    if record.kind == "w":
        return record.path == synced
    return record.path.parent == synced


def _take_back(record: Record) -> bool:
    if record.kind == "w":
        if not record.path.exists():
            return False
        with record.path.open("r+b") as file:
            file.seek(record.at)
            file.write(record.data)
            file.truncate(max(record.size, 0))
        return True
    other = Path(record.data.decode())
    if record.kind == "r":
        if other.exists() and not record.path.exists():
            other.rename(record.path)
            return True
        return False
    if record.path.exists() or not other.exists():
        return False
    other.rename(record.path)
    return True
