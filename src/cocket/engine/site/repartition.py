"""Another number of partitions, while no worker runs.

Slots move in whole runs, so no observation is touched. What has to be so first: no worker is there, and every log is
detected to its end. Then, in one transaction, the partitions are made anew, detection of each begins behind everything that
was ever booked, and the sums are carried over. The logs of the new generation are streams of their own; those of the old one stay
until the site has run, and are then deleted by hand (docs/production.md). With no snapshot every journey is run again
from history at the first start, which gives the same alerts with the same ids.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import sqlalchemy as sa

from cocket.core.clock import WallClock
from cocket.core.config import Settings
from cocket.core.errors import BadSetting, Conflict
from cocket.core.slots import are_partitions
from cocket.engine.site.site import Site
from cocket.store import leases
from cocket.store.lease_tables import sites
from cocket.store.log_jetstream import JetStreamLog
from cocket.store.observation_tables import observation_offsets
from cocket.store.tables import detection, snapshot_pages, totals


def repartition(settings: Settings, wanted: int, folder: Path) -> int:
    """Do it; 0 when it was done or there was nothing to do. ``Conflict`` says what stands in the way."""
    if not are_partitions(wanted):
        raise BadSetting(f"--partitions {wanted}: give a power of two from 1 to 1024")
    log = msgspec.structs.replace(settings.log, partitions=_now(settings))
    with Site(msgspec.structs.replace(settings, log=log), folder, "repartition", WallClock()) as site:
        if site.partitions == wanted:
            _say(f"the site has {wanted} partitions already")
            return 0
        _refuse_if_busy(site)
        offset, rows = _undetected(site)
        if rows:
            raise Conflict(
                f"{rows} observations are stored and not detected: start the workers, wait until `cocket status` says lag 0, "
                "stop them, and try again"
            )
        _change(site, wanted, offset + 1)
        _say(
            f"{site.partitions} partitions became {wanted}; set log.partitions = {wanted} in every settings file, then start the "
            "workers. At their first start they run every journey again"
        )
    return 0


def _now(settings: Settings) -> int:
    from cocket.store import tables
    from cocket.store.database import Database

    db = Database(settings.store.url, "main", tables.main_metadata)
    try:
        with db.read() as connection:
            found = connection.execute(sa.select(sites.c.partitions)).scalar_one_or_none()
    finally:
        db.close()
    return settings.log.partitions if found is None else int(found)


def _refuse_if_busy(site: Site) -> None:
    there = [worker["id"] for worker in leases.workers_there(site.db)]
    if there:
        raise Conflict(f"workers run: {', '.join(there)}; stop them first")


def _undetected(site: Site) -> tuple[int, int]:
    """The newest offset of all logs, and how many observations are not detected."""
    newest, rows = site.first - 1, 0
    for partition in range(site.partitions):
        log = JetStreamLog(
            site.nats,
            site.log_db,
            site=site.settings.log.site,
            partition=partition,
            replicas=site.settings.log.replicas,
            generation=site.generation,
            first=site.first,
        )
        try:
            with site.db.read() as connection:
                at = connection.execute(
                    sa.select(detection.c.offset).where(detection.c.id == 1 + partition)
                ).scalar_one_or_none()
            rows += log.rows_after(at or 0)
            newest = max(newest, log.last_offset())
        finally:
            log.close()
    return newest, rows


def _change(site: Site, wanted: int, first: int) -> None:
    with site.db.write() as connection:
        leases.make(connection, wanted, site.generation + 1, first)
        sums = connection.execute(
            sa.select(
                *(sa.func.sum(c) for c in (totals.c.observations, totals.c.duplicates, totals.c.rejected))
            )
        ).one()
        versions = connection.execute(sa.select(sa.func.max(detection.c.applied_version))).scalar_one()
        for table in (totals, detection, snapshot_pages, observation_offsets):
            connection.execute(table.delete())
        zero = {"observations": 0, "duplicates": 0, "rejected": 0}
        booked = [
            {
                "id": 1 + p,
                "last_offset": first - 1,
                "compacted_offset": first - 1,
                **(dict(zip(zero, map(int, sums), strict=True)) if p == 0 else zero),
            }
            for p in range(wanted)
        ]
        connection.execute(totals.insert(), booked)
        at = {
            "offset": first - 1,
            "applied_version": versions or 0,
            "snapshot_offset": 0,
            "snapshot_version": 0,
        }
        connection.execute(detection.insert(), [{"id": 1 + p, **at} for p in range(wanted)])
        connection.execute(
            observation_offsets.insert(), [{"partition": p, "offset": first - 1} for p in range(wanted)]
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
