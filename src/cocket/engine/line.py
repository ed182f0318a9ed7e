"""One line: a log with the writer before it and the detectors and the compactor behind it.

A data folder has one. Past one machine each partition is one, and ``Lines`` is what a service asks of all of them,
wherever they run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from cocket.core.clock import Clock
from cocket.core.config import Settings
from cocket.core.doors import Decoded, Receipt
from cocket.core.errors import Busy
from cocket.core.tracing import OFF, Tracing
from cocket.engine.compactor import Compactor
from cocket.engine.declared import Declarations
from cocket.engine.figures import Figures
from cocket.engine.hub import Hub
from cocket.engine.ingest import Ingest
from cocket.engine.live import Live
from cocket.engine.runner import Runner
from cocket.engine.watched import Watched
from cocket.pipeline import DETECTORS
from cocket.store.folder import LineStores

POLL_S = 0.005

Box = tuple[float, float, float, float]


class Lines(Protocol):
    """What a service asks of its lines. Any thread may."""

    def start(self) -> None:
        """Begin to take observations and to detect."""
        ...

    def stop(self) -> None:
        """Write what waits, save, end."""
        ...

    def submit(self, decoded: Decoded) -> Future[Receipt]:
        """Take a decoded body; the future gives its receipt once it is durable. ``Busy`` when too much waits."""
        ...

    def reference_changed(self) -> None:
        """Something declared was changed and is stored."""
        ...

    def taken_in(self, timeout_s: float) -> None:
        """Wait until the detectors have taken in what is stored by now; ``Busy`` when the time is over first."""
        ...

    @property
    def lag(self) -> int:
        """What is stored and not yet detected; 0 means that every alert stands as it will."""
        ...

    @property
    def untaken(self) -> bool:
        """Whether something declared is stored and not taken in yet."""
        ...

    @property
    def rows_waiting(self) -> int:
        """Observations that wait for the log."""
        ...

    @property
    def failure(self) -> str | None:
        """Why detectors do not run at the moment, or what they had to leave out, in words; None when all is well."""
        ...

    def try_again(self) -> None:
        """Let the detectors see again what was set aside because they failed on it."""
        ...

    @property
    def state_bytes(self) -> int:
        """Memory of the detectors' state."""
        ...

    @property
    def detected(self) -> int:
        """The offset up to which what history shows is detected."""
        ...

    def unseen(self, device_ids: Sequence[str]) -> bool:
        """Whether observations of these devices may be stored that history does not show yet."""
        ...

    def runs_again(self, mrn: str) -> bool:
        """Whether a journey of this movement waits to be run again."""
        ...

    def brief(self, device_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The newest observation of each device in a few columns; those never heard of are left out."""
        ...

    def live(self, bbox: Box | None, zoom: float, since: int) -> Live:
        """Where everything is, by map window; see ``LiveMap.view``."""
        ...


class Line:
    """The line of a data folder, or of one partition."""

    def __init__(
        self,
        folder: LineStores,
        clock: Clock,
        settings: Settings,
        hub: Hub,
        mine: Callable[[str], bool] | None = None,
        *,
        figures: Figures | None = None,
        tracing: Tracing = OFF,
        declarations: Declarations | None = None,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._settings = settings
        figures = figures or Figures()
        self.detecting = Watched(
            folder, clock, settings.detect, hub, DETECTORS, mine, figures, tracing, declarations
        )
        self._runner = Runner(self.detecting, folder.log, settings.detect, self._emit_tick)
        self._ingest = Ingest(
            folder.log, folder.seen, clock, settings.ingest, self._runner.committed, figures, tracing
        )
        self._compactor = Compactor(folder, clock, settings.history, lambda: self.detecting.offset)

    def start(self) -> None:
        """Begin to take observations and to detect."""
        self._ingest.start()
        self._runner.start()
        self._compactor.start()

    def stop(self) -> None:
        """Write what waits, save a checkpoint, end."""
        self._compactor.stop()
        self._ingest.stop()
        self._runner.stop()
        self.detecting.leave()

    def submit(self, decoded: Decoded) -> Future[Receipt]:
        """Take a decoded body; the future gives its receipt once it is durable.

        Raises ``Busy`` when too much waits for the disk or for the detectors: nothing was taken, send it again.
        """
        lag = self._runner.lag
        if lag > self._settings.ingest.max_lag_rows:
            raise Busy(
                f"{lag} observations wait for the detectors; send this body again later", retry_after_s=5
            )
        return self._ingest.submit(decoded)

    def _emit_tick(self, tick_us: int) -> None:
        self._ingest.tick(tick_us)

    def reference_changed(self) -> None:
        """Something declared was changed and is stored."""
        self._runner.reference_changed()

    def taken_in(self, timeout_s: float) -> None:
        """Wait until the detectors have taken in what is stored by now; ``Busy`` when the time is over first."""
        offset, end = self._folder.log.last_offset(), time.monotonic() + timeout_s
        while self.detecting.offset < offset:
            if time.monotonic() > end:
                raise Busy(
                    f"{self.lag} observations wait for the detectors, and what is asked hangs on them; ask again later",
                    retry_after_s=5,
                )
            time.sleep(POLL_S)

    @property
    def lag(self) -> int:
        """What is stored and not yet detected; a declaration not yet taken in and a journey to be run again count 1."""
        return self._runner.lag

    @property
    def untaken(self) -> bool:
        """Whether something declared is stored and not taken in yet."""
        return self._runner.untaken

    @property
    def rows_waiting(self) -> int:
        """Observations that wait for the disk."""
        return self._ingest.rows_waiting

    @property
    def failure(self) -> str | None:
        """Why the detectors do not run at the moment, or what they had to leave out, in words; None when all is well."""
        return self._runner.failure

    def try_again(self) -> None:
        """Let the detectors see again what was set aside because they failed on it."""
        self._runner.try_again()

    @property
    def state_bytes(self) -> int:
        """Memory of the detectors' state."""
        return self.detecting.state_bytes

    @property
    def detected(self) -> int:
        """How far the log is detected."""
        return self.detecting.offset

    def unseen(self, _device_ids: Sequence[str]) -> bool:
        """Never: history shows what is in the log as soon as it is there."""
        return False

    def runs_again(self, mrn: str) -> bool:
        """Whether a journey of this movement waits to be run again."""
        return self.detecting.runs_again(mrn)

    def brief(self, device_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The newest observation of each device in a few columns, from memory."""
        return self.detecting.devices.brief(device_ids)

    def live(self, bbox: Box | None, zoom: float, since: int) -> Live:
        """Where everything is, by map window; see ``LiveMap.view``."""
        return self.detecting.live.view(bbox, zoom, since, self._clock.now_us())
