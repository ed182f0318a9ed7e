"""How things stand around the running machine: disk, files, quarantine. Measured now and then, not at every question."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from cocket.store.folder import Stores

Value = TypeVar("Value")

_SOON_S: Final = 2.0
_SELDOM_S: Final = 30.0
_FILES_NAMED: Final = 3


class Kept(Generic[Value]):
    """A value that is measured anew only when it is older than ``for_s``; any thread may ask."""

    def __init__(self, measure: Callable[[], Value], for_s: float) -> None:
        self._measure = measure
        self._for_s = for_s
        self._lock = threading.Lock()
        self._at = -for_s
        self._value: Value | None = None

    def __call__(self) -> Value:
        """The value."""
        with self._lock:
            now = time.monotonic()
            if self._value is None or now - self._at >= self._for_s:
                self._value = self._measure()
                self._at = now
            return self._value


class Measures:
    """Of one data folder. Each is a function that gives a number, or text where it says so."""

    def __init__(self, folder: Stores) -> None:
        self._folder = folder
        self.disk: Kept[tuple[int, int]] = Kept(self._disk, _SOON_S)
        """Bytes free and bytes in all, of the disk on which the data folder lies."""
        self.log_bytes: Kept[int] = Kept(self._log_bytes, _SOON_S)
        """What the log's files take on the disk, quarantine included."""
        self.quarantine_held: Kept[int] = Kept(folder.log.held, _SELDOM_S)
        """Refused rows that wait to be looked at."""
        self.open_by_severity: Kept[dict[str, int]] = Kept(folder.alerts.open_by_severity, _SOON_S)
        """Open alerts by severity; a severity without any is left out."""
        self.history_damage: Kept[str] = Kept(self._history_damage, _SELDOM_S)
        """Which history files are missing or cut, in words; empty when none is. Checksums are ``cocket verify``'s."""

    def _disk(self) -> tuple[int, int]:
        usage = shutil.disk_usage(self._folder.path)
        return usage.free, usage.total

    def _log_bytes(self) -> int:
        return sum(_size(self._folder.path / f"log.sqlite{end}") for end in ("", "-wal"))

    def history(self) -> tuple[int, int]:
        """How many files count, and their bytes."""
        files = self._folder.history.files
        return len(files), sum(f.facts.size for f in files)

    def _history_damage(self) -> str:
        wrong = []
        for file in self._folder.history.files:
            size = _size(file.path)
            # a file may have been merged away while it was looked at
            if size != file.facts.size and file in self._folder.history.files:
                wrong.append(
                    f"{file.path.name} {'is missing' if size == 0 else f'has {size} of {file.facts.size} bytes'}"
                )
        more = f" and {len(wrong) - _FILES_NAMED} more" if len(wrong) > _FILES_NAMED else ""
        return ", ".join(wrong[:_FILES_NAMED]) + more


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
