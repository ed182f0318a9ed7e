"""Entries of the audit by a thread of their own: what many requests hand in at once is one write to the disk."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from cocket.core.errors import Busy, CocketError, Unavailable
from cocket.store.audit import AuditStore, Entry, Head

_GROUP: Final = 2000
_WAITING: Final = 20_000
_Asked = tuple[Entry | None, "Future[Head]"]


class Auditing:
    """One thread; ``start`` and ``stop``. Any thread may hand in entries, and they are chained in that order."""

    def __init__(self, store: AuditStore) -> None:
        self.store = store
        self._queue: SimpleQueue[_Asked | None] = SimpleQueue()
        self._closed = False
        self._door = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="cocket-audit", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what was handed in, then end."""
        with self._door:
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def submit(self, entry: Entry) -> Future[Head]:
        """Hand one in; the future is done once it is on the disk.

        Raises ``Busy`` when too many wait. The future fails with ``Unavailable`` when it cannot be written: what it was to record
        must not happen then.
        """
        return self._put(entry)

    def settle(self) -> Head:
        """Wait until all that was handed in before is on the disk; the head then."""
        self._put(None).result()
        return self.store.head()

    def _put(self, entry: Entry | None) -> Future[Head]:
        future: Future[Head] = Future()
        with self._door:
            if self._closed:
                raise Unavailable("the audit is closed: the server is shutting down")
            if self._queue.qsize() >= _WAITING:
                raise Busy("too many entries wait for the audit; try again", retry_after_s=1)
            self._queue.put((entry, future))
        return future

    def _run(self) -> None:
        open_ = True
        while open_:
            asked = self._queue.get()
            group: list[_Asked] = []
            while True:
                if asked is None:
                    open_ = False
                else:
                    group.append(asked)
                if len(group) >= _GROUP:
                    break
                try:
                    asked = self._queue.get_nowait()
                except Empty:
                    break
            self._write(group)

    def _write(self, group: Sequence[_Asked]) -> None:
        entries = [entry for entry, _ in group if entry is not None]
        try:
            head = self.store.append(entries) if entries else Head(0, b"")
        except (CocketError, SQLAlchemyError, OSError) as error:
            for _, future in group:
                future.set_exception(
                    Unavailable(f"the audit cannot be written, so nothing may be done: {error}")
                )
            return
        for _, future in group:
            future.set_result(head)
