"""The detector thread: reads the log in the order of its offsets and lets the detectors do what is due first.

After a crash it does the same from the last checkpoint on: recovery is the ordinary way. So it is when a detector
raises: what was read then is read again with care, and what is at fault is set aside (``engine.isolating``). The
thread does not end before it is told to.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from cocket.core.config import Detect
from cocket.core.errors import CocketError
from cocket.core.keys import observation_keys
from cocket.engine.detecting import Detecting
from cocket.engine.ingest import Committed
from cocket.store.log import Log

_RETRY_S = 1.0
"""Seconds before another try when the disk refuses."""

_LONGEST_RETRY_S = 30.0
"""Seconds between two tries, after many that failed."""

_FLUSH_S = 1.0
"""Seconds between two writes of mere counts while observations keep coming; at once when none wait."""

log = logging.getLogger(__name__)


class Runner:
    """The thread, and what waits for it. Every method and figure may be used from any thread.

    ``emit_tick`` is called on the thread when a timer is due: it puts a tick into the log.
    """

    def __init__(
        self, detecting: Detecting, log_: Log, settings: Detect, emit_tick: Callable[[int], None]
    ) -> None:
        self._detecting = detecting
        self._log = log_
        self._settings = settings
        self._emit_tick = emit_tick
        self._wake = threading.Condition()
        self._waiting: deque[Committed] = deque()
        self._rows_waiting = 0
        self._from_log = True
        self._last_offset = 0
        self._lag = 0
        self._stopping = False
        self._reference_stale = False
        self._taking = False
        self._recount = False
        self._try_again = False
        self._suspect = (0, 0)
        self._flushed_at = 0.0
        self._next_pass = 0.0
        self._next_tick = 0.0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="cocket-detector", daemon=True)
        self._begin_at_log()

    def start(self) -> None:
        """Begin to detect."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step under way, write a checkpoint, end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def committed(self, entry: Committed) -> None:
        """Something new is in the log. What it skips was kept by a commit that seemed to fail: it is read from there."""
        rows = 0 if entry.batch is None else entry.batch.n
        with self._wake:
            skipped = entry.offset != self._last_offset + 1
            self._last_offset = entry.offset
            self._lag += rows
            if skipped:
                self._recount = True
                self._waiting.clear()
                self._rows_waiting = 0
                self._from_log = True
            if not self._from_log:
                self._waiting.append(entry)
                self._rows_waiting += rows
                if self._rows_waiting > 8 * self._settings.batch_rows:
                    self._waiting.clear()  # it is all in the log: read it from there, at our own pace
                    self._rows_waiting = 0
                    self._from_log = True
            self._wake.notify()

    def reference_changed(self) -> None:
        """Something declared was changed and is stored."""
        with self._wake:
            self._reference_stale = True
            self._wake.notify()

    def try_again(self) -> None:
        """Let the detectors see again what was set aside because they failed on it."""
        with self._wake:
            self._try_again = True
            self._wake.notify()

    @property
    def failure(self) -> str | None:
        """Why detection stands still, or what it had to leave out, in words; None when all is well."""
        failure = self._failure
        if failure is not None:
            return str(failure) or type(failure).__name__
        return self._detecting.blocked_for or self._detecting.aside.words or None

    @property
    def lag(self) -> int:
        """What is stored and not yet detected: observations, journeys that wait to be run again, and one each for
        declarations to be taken in and counts to be written. 0 means that every alert stands as it will.
        """
        with self._wake:
            declared = self._reference_stale or self._taking or self._try_again
            return self._lag + self._detecting.to_run_again + declared + self._detecting.counts_stale

    @property
    def untaken(self) -> bool:
        """Whether something declared is stored and not taken in yet."""
        with self._wake:
            return self._reference_stale or self._taking

    def _begin_at_log(self) -> None:
        """Nothing is at hand: read from the log on from where detection stands."""
        with self._wake:
            self._waiting.clear()
            self._rows_waiting = 0
            self._from_log = True
            self._last_offset = self._log.last_offset()
            self._lag = self._log.rows_after(self._detecting.offset)

    def _run(self) -> None:
        ready, pause = True, _RETRY_S
        while True:
            try:
                if not ready:
                    self._detecting.recover()
                    self._begin_at_log()
                    ready = True
                if not self._turn():
                    self._detecting.save()
                    return
                self._failure, pause = None, _RETRY_S
            except (
                Exception
            ) as error:  # the disk, the database, or a detector: begin again from the checkpoint
                log.exception("the detectors had to begin again")
                ready, self._failure = False, error
                with self._wake:
                    self._wake.wait_for(lambda: self._stopping, pause)
                    if self._stopping:
                        return
                pause = min(_LONGEST_RETRY_S, 2 * pause)

    def _turn(self) -> bool:
        """One step of whatever is due first; False to end."""
        now = time.monotonic()
        with self._wake:
            if not (self._waiting or self._from_log) and self._detecting.offset >= self._last_offset:
                self._lag = 0  # the log shows an entry a moment before it is told: sums taken in that moment heal here
            if not (
                self._waiting
                or self._from_log
                or self._reference_stale
                or self._stopping
                or self._try_again
                or self._detecting.counts_stale
            ):
                self._wake.wait(self._pause(now))
            stopping, self._taking, self._reference_stale = self._stopping, self._reference_stale, False
            reading = self._from_log
            if self._recount:
                self._lag = self._log.rows_after(self._detecting.offset)
                self._recount = False
        if stopping:
            return False
        if self._try_again:
            self._detecting.try_again("it is tried again")
            self._try_again = False
        if self._taking:
            self._detecting.take_changes()
            self._taking = False
        entries = self._read() if reading else self._take()
        if entries:
            self._step(entries)
        now = time.monotonic()
        if now >= self._next_tick and not reading:
            self._next_tick = now + self._settings.tick_s
            due = self._detecting.timer_due()
            if due is not None:
                self._emit_tick(due)
        if self._detecting.can_run_again and now >= self._next_pass and not self._detecting.behind:
            self._run_again(now)
        if self._detecting.counts_stale and (not entries or now >= self._flushed_at + _FLUSH_S):
            self._flushed_at = now
            self._detecting.flush()
        if self._detecting.checkpoint_due():
            self._detecting.save()
        return True

    def _step(self, entries: list[Committed]) -> None:
        first, last = self._suspect
        if first <= entries[0].offset <= last:
            self._detecting.step_carefully(entries)
        else:
            try:
                self._detecting.step(entries)
            except (CocketError, OSError, MemoryError):
                raise
            except Exception:
                self._suspect = (entries[0].offset, entries[-1].offset)
                raise
        with self._wake:
            self._lag -= sum(0 if e.batch is None else e.batch.n for e in entries)

    def _run_again(self, began: float) -> None:
        """One pass, and then a pause as long as it took: half the time at most goes into passes while data comes.

        When all that was touched has been run, ``rerun_s`` must pass as well, so that late rows gather; while some
        is left, the next pass need not wait for more, and when nothing else waits, not at all.
        """
        self._detecting.run_again()
        ended = time.monotonic()
        left = self._detecting.can_run_again
        took = ended - began if self._waiting or not left else 0.0
        self._next_pass = ended + (took if left else max(self._settings.rerun_s, took))

    def _pause(self, now: float) -> float:
        until = self._next_tick
        if self._detecting.can_run_again:
            until = min(until, self._next_pass)
        return max(0.0, until - now)

    def _take(self) -> list[Committed]:
        taken: list[Committed] = []
        rows = 0
        with self._wake:
            if self._from_log:
                return taken
            while self._waiting and rows < self._settings.batch_rows:
                entry = self._waiting.popleft()
                rows += 0 if entry.batch is None else entry.batch.n
                if entry.offset > self._detecting.offset:  # else it was read from the log before it was told
                    taken.append(entry)
            self._rows_waiting -= rows if self._rows_waiting else 0
        return taken

    def _read(self) -> list[Committed]:
        """From the log itself: at start, and after falling behind. Not over the edge of what raised the last time."""
        entries = self._log.read(self._detecting.offset, self._settings.batch_rows)
        first, last = self._suspect
        if entries and entries[0].offset <= last:
            edge = first - 1 if entries[0].offset < first else last
            entries = [e for e in entries if e.offset <= edge]
        if not entries:
            with self._wake:
                if self._detecting.offset >= self._last_offset:
                    self._from_log = False
        return [
            Committed(e.offset, e.batch, None if e.batch is None else observation_keys(e.batch), e.tick_us)
            for e in entries
        ]
