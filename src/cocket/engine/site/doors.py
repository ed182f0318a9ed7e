"""A site as its doors have it: stores, the lines of all partitions, and a hub that follows the database."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cocket.core.clock import Clock
from cocket.core.config import Settings
from cocket.core.tracing import Tracing
from cocket.engine.site.hub import SiteHub
from cocket.engine.site.remote import RemoteLines
from cocket.engine.site.site import Site
from cocket.engine.site.watch import SiteWatch
from cocket.engine.site.wire import Names
from cocket.store import leases

_LOOK_S = 2.0


class SiteDoors:
    """What ``Service`` needs of a site. ``stop`` before ``stores.close``."""

    def __init__(self, path: Path, clock: Clock, settings: Settings) -> None:
        path.mkdir(parents=True, exist_ok=True)
        names = Names(settings.log.site)
        self.name = f"doors {socket.gethostname()}-{os.getpid()}"
        self.stores = Site(settings, path, self.name, clock)
        link = self.stores.link
        self._names = names
        self.hub = SiteHub(self.stores.alerts, lambda word: link.publish(names.alerts, word))
        self.lines = RemoteLines(link, names, self.stores.partitions, settings, self.stores.reference.version)
        self.watch = SiteWatch(self.stores, self.lines)
        self._told: Callable[[], None] = lambda: None
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="cocket-declared", daemon=True)

    def start(self, told: Callable[[], None], tracing: Tracing) -> None:
        """Follow what others write; ``told`` is called when something declared was changed, by whomever."""
        self._told = told
        self.hub.tracing = tracing
        link = self.stores.link
        link.subscribe(self._names.alerts, self.hub.look)
        link.subscribe(self._names.declared, lambda _message: self._wake.set())
        self.hub.start()
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self.hub.stop()

    def shown(self) -> dict[str, Any]:
        """Who has which partition, and how far each is."""
        owned, there = leases.owners(self.stores.db), leases.workers_there(self.stores.db)
        states = self.lines.states()
        return {
            "site": self.stores.settings.log.site,
            "partitions": [
                {
                    "partition": p,
                    "worker": worker,
                    "epoch": epoch,
                    "lag_observations": states[p]["lag"] if "stored" in states[p] else -1,
                    "failure": "; ".join(
                        said for said in (states[p]["failure"], states[p].get("unbooked")) if said
                    )
                    or None,
                }
                for p, (worker, epoch) in sorted(owned.items())
            ],
            "workers": there,
        }

    def _run(self) -> None:
        while not self._stopping:
            if self._wake.wait(_LOOK_S):
                self._wake.clear()
                self._told()
