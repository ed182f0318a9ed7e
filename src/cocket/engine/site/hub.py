"""The hub of a process among several: what one changes, all of them tell their listeners.

The database's order of changes (``seq``) is the only one. Whoever wrote says so over NATS; everybody reads on from
where it stood, and looks by itself now and then, for such a word may be lost.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from cocket.core.errors import CocketError
from cocket.engine.hub import Hub
from cocket.store.alerts import AlertEvent, AlertStore

_LOOK_S: Final = 0.5
_MOST: Final = 1000

log = logging.getLogger(__name__)


class SiteHub(Hub):
    """``tell`` says to the others that something was written; ``look`` is called when they said so."""

    def __init__(self, alerts: AlertStore, tell: Callable[[], None]) -> None:
        super().__init__()
        self._alerts = alerts
        self._tell = tell
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
            self._tell()

    def look(self) -> None:
        """Somebody wrote."""
        self._wake.set()

    def _run(self) -> None:
        said = False
        while not self._stopping:
            self._wake.wait(_LOOK_S)
            self._wake.clear()
            try:
                while events := self._alerts.events_after(self._seq, _MOST):
                    super().publish(events)
                    self._seq = events[-1].seq
                said = False
            except CocketError as error:  # the database is away: what was missed is read when it is back
                if not said:
                    log.warning("alerts are not followed for now: %s", error)
                said = True
