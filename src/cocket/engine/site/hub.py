"""The hub of a process among several: what one changes, all of them tell their listeners.

The database's order of changes (``seq``) is the only one. Whoever wrote says so over NATS; everybody reads on from
where it stood, and looks by itself now and then, for such a word may be lost. The word carries the place in a trace of who
wrote, so that whoever tells it on goes on with that trace; where the word came too late or not at all, the trace ends before.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from cocket.core import tracing
from cocket.core.errors import CocketError
from cocket.engine.hub import Hub
from cocket.engine.site.wire import Wrote, said, wrote
from cocket.store.alerts import AlertEvent, AlertStore

_LOOK_S: Final = 0.5
_MOST: Final = 1000
_MARKS: Final = 1000

log = logging.getLogger(__name__)


class SiteHub(Hub):
    """``tell`` says to the others that something was written; ``look`` is called when they said so."""

    def __init__(self, alerts: AlertStore, tell: Callable[[bytes], None]) -> None:
        super().__init__()
        self._alerts = alerts
        self._tell = tell
        self.tracing = tracing.OFF
        self._marks: deque[tuple[int, int, tracing.Mark]] = deque(maxlen=_MARKS)
        self._seq = alerts.last_event_seq()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="cocket-alerts", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def publish(self, events: Sequence[AlertEvent]) -> None:
        """Say that something was written; listeners, also those here, hear it from the database."""
        if events:
            self._wake.set()
            trace = tracing.parent_of(tracing.here.get())
            self._tell(said(Wrote(events[0].seq, events[-1].seq, trace)) if trace else b"")

    def look(self, word: bytes) -> None:
        """Somebody wrote, and said ``word``."""
        if self.tracing.on:
            self._note(word)
        self._wake.set()

    def _note(self, word: bytes) -> None:
        try:
            told = wrote(word)
        except msgspec.MsgspecError as error:
            log.debug("a word about alerts is none: %s", error)
            return
        mark = None if told is None else self.tracing.elsewhere(told.trace)
        if told is not None and mark is not None:
            self._marks.append((told.first, told.last, mark))

    def _mark_of(self, event: AlertEvent) -> tracing.Mark | None:
        return next((m for first, last, m in tuple(self._marks) if first <= event.seq <= last), None)

    def _hand_on(self, events: Sequence[AlertEvent]) -> None:
        """Tell those who listen here, each run of one trace by itself."""
        for mark, run in itertools.groupby(events, self._mark_of):
            token = tracing.here.set(mark)
            try:
                super().publish(list(run))
            finally:
                tracing.here.reset(token)

    def _run(self) -> None:
        said = False
        while not self._stopping:
            self._wake.wait(_LOOK_S)
            self._wake.clear()
            try:
                while events := self._alerts.events_after(self._seq, _MOST):
                    self._hand_on(events)
                    self._seq = events[-1].seq
                said = False
            except CocketError as error:  # the database is away: what was missed is read when it is back
                if not said:
                    log.warning("alerts are not followed for now: %s", error)
                said = True
