"""Looks a site over from any machine that reaches its servers, beside its workers or without any, and changes nothing.

``check`` asks the servers how they stand and how the parts fit together; ``verify`` also reads every byte that has a checksum: the
messages of each log, the history files, snapshot pages, customs file, audit chain.

A site changes while it is looked at. What only grows is asked in such an order that nothing sound looks wrong; the sums, which
two servers tell, are asked again before they are called wrong.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from cocket import __version__
from cocket.core.clock import WallClock
from cocket.core.config import Settings
from cocket.core.errors import CocketError, Unavailable
from cocket.customs.verify import verify_tables
from cocket.store import doctor, doctor_nats, doctor_postgresql, leases, tables
from cocket.store.audit_tables import retention_runs
from cocket.store.database import Database
from cocket.store.finding import Finding
from cocket.store.jetstream import Stream
from cocket.store.lease_tables import sites
from cocket.store.log import Log
from cocket.store.log_jetstream import JetStreamLog, stream_name
from cocket.store.nats_connection import Address, NatsConnection
from cocket.store.observation_tables import observation_metadata
from cocket.store.observations import PgHistory
from cocket.store.tables import detection, totals

_MANY_ROWS: Final = 50_000_000
"""Beyond so many rows in PostgreSQL only ``verify`` counts them."""

_LOOKS: Final = 4
_STILL: Final = 50
"""How often a log is asked for a moment in which it does not grow."""

_BEHIND_LOOKS: Final = 10
_BEHIND_S: Final = 0.5
"""How often, and how far apart, a stream is asked for a moment in which no copy is behind."""

_WAIT_S: Final = 10.0


def check(settings: Settings) -> list[Finding]:
    """How the servers stand, and how the parts fit together."""
    return list(_look(settings, deep=False))


def verify(settings: Settings) -> list[Finding]:
    """As ``check``, and every checksum; reads everything."""
    return list(_look(settings, deep=True))


@dataclass(frozen=True, slots=True)
class _Opened:
    """A site's stores, for reading."""

    settings: Settings
    main: Database
    log: Database
    history: PgHistory | None
    nats: NatsConnection
    partitions: int
    generation: int
    first: int

    def log_of(self, partition: int) -> JetStreamLog:
        """A partition's log, beside its writer."""
        return JetStreamLog(
            self.nats,
            self.log,
            site=self.settings.log.site,
            partition=partition,
            replicas=self.settings.log.replicas,
            generation=self.generation,
            first=self.first,
            read_only=True,
        )

    def stream_of(self, partition: int) -> str:
        """The name of its stream."""
        return stream_name(self.settings.log.site, partition, self.generation)


def _look(settings: Settings, *, deep: bool) -> Iterator[Finding]:
    address = Address.of(settings.log)
    answers = doctor_nats.asked(address)
    yield from doctor_nats.servers(answers)
    with ExitStack() as held:
        try:
            main = _database(settings, "main", tables.main_metadata, held)
            log = _database(settings, "log", tables.log_metadata, held)
            kept = _database(settings, "observations", observation_metadata, held)
            yield from doctor_postgresql.server(main)
            with main.read() as connection:
                site = connection.execute(sites.select()).first()
        except (CocketError, sa.exc.SQLAlchemyError) as error:
            yield Finding(
                "warning",
                "PostgreSQL",
                str(error),
                "see that the server runs, and that store.url is right; nothing else of the site can be looked at before",
            )
            return
        if site is None:
            yield Finding("note", str(main.path), "no worker has been here yet: the site is not made")
            return
        nats = NatsConnection(address, timeout_s=_WAIT_S, name="cocket doctor")
        held.callback(nats.close)
        found: list[Finding] = []
        opened = _Opened(
            settings,
            main,
            log,
            _history(settings, kept, found),
            nats,
            site.partitions,
            site.generation,
            site.first_offset,
        )
        yield from found
        yield from _leases(opened)
        if any(isinstance(answer, dict) for answer in answers.values()):
            yield from _logs(opened, deep=deep)
        yield from doctor.quarantined(log)
        yield from doctor.silent(main)
        if opened.history is not None:
            yield from opened.history.findings(deep=deep)
        if deep:
            yield from (Finding("damage", str(main.path), what) for what in main.integrity())
            yield from doctor.snapshots(main)
            yield from verify_tables(main)


def _database(settings: Settings, branch: str, metadata: sa.MetaData, held: ExitStack) -> Database:
    db = Database(settings.store.url, branch, metadata, read_only=True)
    held.callback(db.close)
    return db


def _history(settings: Settings, db: Database, found: list[Finding]) -> PgHistory | None:
    """The history, if its files are to be reached from here; why not, into ``found``."""
    given = settings.history
    if not given.objects and not given.folder:
        found.append(
            Finding(
                "warning",
                "history",
                "history.folder and history.objects are both empty: each worker would keep history files in a folder of its own",
                "name a folder that all machines share, or a bucket",
            )
        )
        return None
    folder = Path(given.folder)
    if not given.objects and not folder.is_dir():
        found.append(
            Finding(
                "warning",
                str(folder),
                "history.folder is not there on this machine: its files were not looked at",
                "mount it, or run this where it is",
            )
        )
        return None
    return PgHistory(
        folder if given.folder else Path(), db, WallClock(), hot_days=given.hot_days, objects=given.objects
    )


def _leases(site: _Opened) -> Iterator[Finding]:
    where = str(site.main.path)
    wanted = site.settings.log.partitions
    if wanted != site.partitions:
        yield Finding(
            "warning",
            where,
            f"the site has {site.partitions} partitions, log.partitions says {wanted}: no worker or door starts with that",
            f"set log.partitions = {site.partitions}, or change the site: cocket repartition",
        )
    there = leases.workers_there(site.main)
    free = [p for p, (owner, _) in sorted(leases.owners(site.main).items()) if owner is None]
    if free:
        yield Finding(
            "warning",
            where,
            f"{len(free)} of {site.partitions} partitions have no worker ({_some(free)}): nothing of them is taken in or detected",
            "start one: cocket work --settings …; if workers run, their logs say why they do not take these",
        )
    yield Finding("note", where, f"{len(there)} workers have {site.partitions - len(free)} partitions")
    other = sorted({str(w["version"]) for w in there} - {__version__})
    if other:
        yield Finding(
            "note",
            where,
            f"workers run version {', '.join(other)}, this is {__version__}",
            "bring all machines to one version",
        )


def _logs(site: _Opened, *, deep: bool) -> Iterator[Finding]:
    for partition in range(site.partitions):
        name = site.stream_of(partition)
        try:
            yield from _log(site, partition, deep=deep)
        except Unavailable as error:
            yield Finding(
                "warning",
                f"stream {name}",
                error.detail,
                "if servers are away, start them; if the stream is gone, so is what was not detected of it: docs/production.md, Copies. "
                "The partitions behind this one were not looked at",
            )
            return
        except CocketError as error:
            yield Finding("damage", f"stream {name}", error.detail)
    yield from doctor_nats.leftovers(
        site.nats, site.settings.log.site, [site.stream_of(p) for p in range(site.partitions)]
    )
    try:
        yield from _sums(site, deep=deep)
    except CocketError as error:
        yield Finding("warning", "sums", f"could not be compared: {error.detail}", "try again")


def _log(site: _Opened, partition: int, *, deep: bool) -> Iterator[Finding]:
    """A partition's stream against what the database says of it."""
    name = site.stream_of(partition)
    booked, detected, _ = _offsets(site, partition)
    about = _settled(Stream(site.nats, name, ""))
    _, _, snapshot = _offsets(site, partition)
    yield from doctor_nats.stream(about, site.settings.log.replicas)
    first, last = max(1, int(about["state"]["first_seq"])), int(about["state"]["last_seq"])
    for what, offset in (("booked", booked), ("detected", detected)):
        if offset > last:
            yield Finding(
                "damage",
                f"stream {name}",
                f"ends at {last}, but {offset} was {what}: the database is of a later moment than the stream",
                "the workers refuse it; docs/production.md, Copies, says what can be done",
            )
    if first > snapshot + 1:
        yield Finding(
            "damage",
            f"stream {name}",
            f"begins at {first}, but the snapshot stands for {snapshot}: the database is of an earlier moment than the stream, "
            "and what is between is in neither",
            "restore a backup of PostgreSQL that is younger; docs/production.md, Copies",
        )
    if deep:
        log = site.log_of(partition)
        try:
            yield from (Finding("damage", f"stream {name}", what) for what in log.damage())
        finally:
            log.close()


def _settled(stream: Stream) -> dict[str, Any]:
    """What the stream's leader tells. A copy that is there and behind for a moment is one that is being written: it is asked again."""
    for _ in range(_BEHIND_LOOKS):
        about = stream.about()
        copies = about.get("cluster", {}).get("replicas") or []
        if all(copy.get("current") or copy.get("offline") for copy in copies):
            break
        time.sleep(_BEHIND_S)
    return about


def _offsets(site: _Opened, partition: int) -> tuple[int, int, int]:
    """Up to where a partition is booked, detected and held by a snapshot; before its first offset if nothing is."""
    with site.main.read() as connection:
        query = sa.select(detection.c.offset, detection.c.snapshot_offset)
        row = connection.execute(query.where(detection.c.id == 1 + partition)).first()
    with site.log.read() as connection:
        query = sa.select(totals.c.last_offset).where(totals.c.id == 1 + partition)
        booked = connection.execute(query).scalar_one_or_none()
    least = site.first - 1
    return (
        max(booked or 0, least),
        max(0 if row is None else row.offset, least),
        max(0 if row is None else row.snapshot_offset, least),
    )


def _sums(site: _Opened, *, deep: bool) -> Iterator[Finding]:
    """Observations taken in = those in PostgreSQL and files + those that are not detected yet, unless some expired."""
    if site.history is None:
        return
    if not deep and (rows := site.history.roughly()) > _MANY_ROWS:
        yield Finding(
            "note",
            "sums",
            f"were not compared: some {rows} rows are in PostgreSQL",
            "cocket verify counts them",
        )
        return
    held = taken = 0
    for _ in range(_LOOKS):
        held, upto = site.history.held()
        taken = 0
        for partition in range(site.partitions):
            log = site.log_of(partition)
            try:
                taken += _taken(log, max(upto.get(partition, 0), site.first - 1))
            finally:
                log.close()
        if held == taken:
            break
    where = str(site.main.path)
    if held > taken:
        yield Finding(
            "damage", where, f"{held} observations are stored, but only {taken} were taken in and detected"
        )
    elif held < taken and not (expired := _expired(site)):
        yield Finding(
            "damage",
            where,
            f"{taken - held} observations of {taken} that were taken in and detected are in neither PostgreSQL nor files, and retention "
            "dropped none",
            "restore a backup of PostgreSQL, or of the history files that are named here",
        )
    elif held < taken:
        yield Finding(
            "note",
            where,
            f"{taken - held} observations of {taken} are gone; retention says that it dropped {expired}",
        )
    else:
        yield Finding("note", where, f"{held} observations are stored, as many as were taken in and detected")


def _taken(log: Log, upto: int) -> int:
    """Observations up to an offset. A log that grows between two questions is asked again."""
    for _ in range(_STILL):
        before = log.totals().observations
        waiting = log.rows_after(upto)
        if log.totals().observations == before:
            break
    return before - waiting


def _expired(site: _Opened) -> int:
    """How many observations retention dropped, as its runs tell."""
    with site.main.read() as connection:
        runs = connection.execute(sa.select(retention_runs.c.counts)).scalars().all()
    kinds = {"observations", "phone-positions"}
    return sum(int(one["n"]) for run in runs for one in json.loads(run) if one["kind"] in kinds)


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else "")
