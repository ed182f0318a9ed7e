"""``cocket work``: one worker, until a signal ends it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path
from types import FrameType

from cocket import __version__
from cocket.core.clock import WallClock
from cocket.core.config import Settings
from cocket.engine.site.site import Site
from cocket.engine.site.worker import Worker
from cocket.engine.warm import warm_up
from cocket.store.leases import Leases


def work(settings: Settings, folder: Path) -> int:
    """Take partitions and serve them until SIGINT or SIGTERM; then hand over in order. 0 when that was done."""
    warm_up()
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, end)
    host = socket.gethostname()
    name = f"{host}-{os.getpid()}-{os.urandom(3).hex()}"
    clock = WallClock()
    with Site(settings, folder, name, clock) as site:
        leases = Leases(site.db, name, host, __version__, settings.log.lease_s)
        with Worker(site, clock, settings, leases):
            print(f"worker {name}", flush=True)  # noqa: T201 - scripts wait for this line
            stop.wait()
    return 0
