"""What a data folder stands on: disk, clock, memory, permissions. Looked at by ``cocket doctor``; nothing is left behind."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cocket.core.clock import US, WallClock
from cocket.store.finding import Finding

_LITTLE_ROOM: Final = 1 << 30
_LITTLE_MEMORY: Final = 512 << 20
_SLOW_S: Final = 0.05
_TRIES: Final = 9
_AHEAD_US: Final = 60 * US
_TIME_ERROR: Final = 5
"""What adjtimex(2) gives while the clock is not synchronised."""


def surroundings(path: Path) -> Iterator[Finding]:
    """All of it; ``path`` is the data folder."""
    free, total = shutil.disk_usage(path)[2], shutil.disk_usage(path)[0]
    if free < _LITTLE_ROOM:
        yield Finding(
            "warning",
            str(path),
            f"only {free >> 20} MiB of {total >> 20} MiB are free on its disk",
            "make room, or let history go sooner by history.retention_days; without room nothing more is taken",
        )
    yield from _permissions(path)
    yield from _fsync(path)
    yield from _clock(path)
    yield from _memory()


def _permissions(path: Path) -> Iterator[Finding]:
    if not os.access(path, os.W_OK | os.X_OK):
        yield Finding(
            "warning",
            str(path),
            "this user may not write to it",
            "run Cocket as the user who owns it, or give it to this one (chown -R)",
        )
    mode = path.stat().st_mode
    if mode & stat.S_IWOTH:
        yield Finding("warning", str(path), "everybody on this machine may write to it", f"chmod o-w {path}")
    for key in sorted((path / "keys").glob("*")):
        try:
            head = key.read_bytes()[:4096]
        except OSError as error:
            yield Finding(
                "warning", str(key), f"cannot be read: {error.strerror}", "run as the user who owns it"
            )
            continue
        if (b"PRIVATE KEY" in head or b'"d"' in head) and key.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            yield Finding(
                "warning",
                str(key),
                "is a private key that others on this machine may read",
                f"chmod 600 {key}; if others did use this machine, rotate the key",
            )


def _fsync(path: Path) -> Iterator[Finding]:
    took = []
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            for _ in range(_TRIES):
                file.write(b"x" * 4096)
                file.flush()
                began = time.monotonic()
                os.fsync(file.fileno())
                took.append(time.monotonic() - began)
    except OSError as error:
        yield Finding(
            "warning",
            str(path),
            f"its disk takes no writes: {error.strerror}",
            "see whether it is full, mounted read-only or broken (dmesg)",
        )
        return
    median = statistics.median(took)
    said = f"one fsync takes {median * 1000:.1f} ms on its disk (median of {_TRIES}, worst {max(took) * 1000:.1f} ms)"
    if median > _SLOW_S:
        yield Finding(
            "warning",
            str(path),
            said,
            "every answer waits for one: use a disk of its own, an SSD, no network disk",
        )
    else:
        yield Finding("note", str(path), said)


def _clock(path: Path) -> Iterator[Finding]:
    now = WallClock().now_us()
    for file in (path / "log.sqlite", path / "log.sqlite-wal", path / "cocket.sqlite"):
        ahead = (int(file.stat().st_mtime * US) - now) if file.exists() else 0
        if ahead > _AHEAD_US:
            yield Finding(
                "warning",
                str(file),
                f"was written {ahead // US} s in the future: this machine's clock was set back",
                "see that the clock is right (timedatectl, chronyc tracking) before Cocket is started",
            )
    if sys.platform == "linux" and _unsynchronised():
        yield Finding(
            "note",
            "clock",
            "the kernel says that no time server keeps it right",
            "run chrony or systemd-timesyncd; in a container the host's does it",
        )


def _unsynchronised() -> bool:
    """By adjtimex(2) with no modes set: it only asks."""
    try:
        answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return False
    return answer == _TIME_ERROR


def _memory() -> Iterator[Finding]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    figures = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines)}
    free = figures.get("MemAvailable", _LITTLE_MEMORY)
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    if limit is not None and used is not None:
        free = min(free, max(0, limit - used))
    if free < _LITTLE_MEMORY:
        yield Finding(
            "warning",
            "memory",
            f"only {free >> 20} MiB are left for another process",
            "Cocket wants some hundred MiB and 200 bytes a device; end what else runs here, or give it more",
        )


def _cgroup(name: str) -> int | None:
    try:
        return int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
