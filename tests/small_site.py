"""A site in one process: a worker and a door over a PostgreSQL database and NATS servers that others may use as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from starlette.testclient import TestClient

from cocket.core.clock import Clock
from cocket.core.config import Settings, overridden
from cocket.engine.service import Service
from cocket.engine.site.site import Site
from cocket.engine.site.worker import Worker
from cocket.gateway.gateway import Gateway
from cocket.store.leases import Leases
from cocket.web.app import create_app

_numbers = count(1)


@contextmanager
def small_site(
    folder: Path, database: str, nats: str, clock: Clock, given: Settings, name: str = ""
) -> Iterator[tuple[Site, Service, Clock, TestClient]]:
    """Two partitions in one copy, under a name of its own; observations a day in PostgreSQL, then in files."""
    settings = overridden(
        given,
        store={"url": database},
        log={"url": nats, "site": name or f"small{next(_numbers)}", "partitions": 2, "replicas": 1},
        history={"folder": str(folder / "history"), "hot_days": 1},
    )
    with Site(settings, folder / "worker", "worker", clock) as site:
        leases = Leases(site.db, "worker", "here", "1", 30)
        with (
            Worker(site, clock, settings, leases),
            Service.open(folder / "door", clock, settings) as service,
            Gateway(service) as gateway,
        ):
            app = create_app(service, settings, gateway)
            with TestClient(app, base_url="http://localhost/api/v1") as door:
                yield site, service, clock, door
