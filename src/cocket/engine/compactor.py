"""Moves the log into history behind the detectors' back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from cocket.core.clock import Clock
from cocket.core.config import History as HistorySettings
from cocket.store.folder import LineStores

_LOOK_S = 2.0

log = logging.getLogger(__name__)


class Compactor:
    """One thread. The log is trimmed only behind history and behind the detectors' checkpoint."""

    def __init__(
        self, folder: LineStores, clock: Clock, settings: HistorySettings, detected: Callable[[], int]
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._settings = settings
        self._detected = detected
        self._stop = threading.Event()
        self._compacted_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="cocket-compactor", daemon=True)

    def start(self) -> None:
        """Begin to look after the log."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step under way, then end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            try:
                self.look()
            except Exception:  # whatever the disk says: nobody waits for this, and the next look may succeed
                log.exception(
                    "the log could not be moved to history; it stays where it is, another try follows"
                )

    def look(self) -> None:
        """One look: compact when enough waits or it has waited long enough, and trim."""
        now = time.monotonic()
        log_, history, settings = self._folder.log, self._folder.history, self._settings
        waiting = log_.rows_after(history.compacted_offset)
        old = (waiting or history.moves_by_age) and now - self._compacted_at >= settings.compact_s
        if waiting >= settings.compact_rows or old:
            history.compact(self._detected())
            history.merge()
            self._compacted_at = time.monotonic()
        log_.trim(min(history.compacted_offset, self._folder.alerts.snapshot_offset()))
