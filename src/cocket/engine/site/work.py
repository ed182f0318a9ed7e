"""``cocket work``: one worker, until a signal ends it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from cocket import __version__
from cocket.core.clock import WallClock
from cocket.core.config import Settings
from cocket.core.logs import configure
from cocket.core.tracing import Tracing
from cocket.engine.site.figures_door import FiguresDoor
from cocket.engine.site.site import Site
from cocket.engine.site.worker import Worker
from cocket.engine.warm import warm_up
from cocket.store.leases import Leases


def work(settings: Settings, folder: Path) -> int:
    """Take partitions and serve them until SIGINT or SIGTERM; then hand over in order. 0 when that was done.

    The first line on standard output is ``worker NAME``, with the address of its figures behind it if it tells them.
    """
    configure(settings.watching)
    warm_up()
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, end)
    host = socket.gethostname()
    name = f"{host}-{os.getpid()}-{os.urandom(3).hex()}"
    clock = WallClock()
    watching = settings.watching
    tracing = Tracing(watching.otlp_endpoint, watching.sample_ratio, instance=name)
    try:
        with ExitStack() as running:
            site = running.enter_context(Site(settings, folder, name, clock))
            leases = Leases(site.db, name, host, __version__, settings.log.lease_s)
            worker = Worker(site, clock, settings, leases, tracing)
            told = ""
            if watching.worker_host:
                door = FiguresDoor(worker, watching.worker_host, watching.worker_port)
                running.enter_context(door)
                told = f" {door.url}"
            running.enter_context(worker)
            print(f"worker {name}{told}", flush=True)  # noqa: T201 - scripts wait for this line
            stop.wait()
    finally:
        tracing.close()
    return 0
