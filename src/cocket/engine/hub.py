"""Where alert events meet those who listen: the live stream, the map's colours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from cocket.store.alerts import AlertEvent

Listener: TypeAlias = Callable[[Sequence[AlertEvent]], None]


class Hub:
    """Hands every committed alert event to each listener, on the thread that publishes; listeners never block."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Listen from now on; the answer is the function that ends it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def leave() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return leave

    def publish(self, events: Sequence[AlertEvent]) -> None:
        """Tell everybody; call it only after the transaction that holds the events has committed."""
        if events:
            for listener in self._listeners:
                listener(events)
