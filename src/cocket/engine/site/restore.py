"""The way back from a site's backup: into a database without tables, streams that are not there, and an empty folder of history.

Everything is copied aside and compared with the manifest first. Then history files get their place, the streams are made with the offsets
that they had, each message behind the one before it, and last, in one transaction, the database: before that, no worker finds a site there.
A try that fails takes back what it made. What one that was killed has left (files, streams) the next one names and does not replace: delete
it, and try again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import msgspec
import sqlalchemy as sa

from cocket.core.config import Settings
from cocket.core.errors import BadSetting, CocketError, Conflict, DataDamaged, Malformed
from cocket.engine.site.backup import DUMP, FORMAT, HEAD, LogEnd, SiteManifest, program, run
from cocket.store.backup import Say, remove, sync_folder
from cocket.store.jetstream import Stream
from cocket.store.lease_tables import leases, workers
from cocket.store.log_jetstream import stream_name
from cocket.store.log_message import Message
from cocket.store.nats_connection import Address, ApiError, NatsConnection
from cocket.store.postgresql import Postgresql
from cocket.store.restore import copied_parts, manifest_body

_NO_STREAM = 10059


def read_manifest(backup: Path) -> SiteManifest:
    """What a backup says of itself. ``Malformed`` where it is no site's."""
    try:
        manifest = msgspec.json.decode(manifest_body(backup), type=SiteManifest)
    except msgspec.MsgspecError as error:
        raise Malformed(
            f"{backup} is no backup of a site ({error}); one of a data folder is restored by cocket restore FILE --data DIR"
        ) from error
    if manifest.format != FORMAT:
        raise Malformed(
            f"{backup} is of backup format {manifest.format}, this version reads {FORMAT}; it was made by Cocket {manifest.cocket}"
        )
    logs = {f"log/{p}.messages" for p in range(manifest.partitions)}
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        plain = len(parts) == 2 and parts[0] in {"history", "keys"} and not parts[1].startswith(".")
        if name != DUMP and name not in logs and not (plain and "/".join(parts) == name and "\\" not in name):
            raise Malformed(f"the manifest of {backup} names {name!r}, which is no part of a site")
    missing = ({DUMP} | logs) - set(manifest.files)
    if missing:
        raise Malformed(f"the manifest of {backup} lacks {', '.join(sorted(missing))}")
    return manifest


def restore(backup: Path, settings: Settings, *, keys: Path | None, say: Say) -> SiteManifest:
    """Make the site that ``settings`` name of a backup. ``keys``: where keys go, if the backup holds some.

    ``Conflict`` where something is already; ``DataDamaged`` names the part that differs from the manifest, and then nothing was touched.
    """
    program("pg_restore")
    manifest = read_manifest(backup)
    _refuse_tables(settings)
    folder = _folder(settings, manifest)
    if keys is not None and manifest.keys and keys.exists() and any(keys.iterdir()):
        raise Conflict(f"{keys} is not empty; keys are never replaced")
    nats = NatsConnection(Address.of(settings.log), timeout_s=settings.log.timeout_s, name="cocket restore")
    aside = Path(tempfile.mkdtemp(prefix="cocket-restore-")) if folder is None else folder / ".restore.part"
    try:
        with ExitStack() as undo:
            streams = [_stream(nats, settings, manifest, p) for p in range(manifest.partitions)]
            for stream in streams:
                _refuse_stream(nats, stream)
            remove(aside)
            aside.mkdir(mode=0o700, parents=True)
            copied_parts(backup, aside, manifest.files, say)
            _place(aside / "history", folder, undo)
            if keys is not None and manifest.keys:
                _place(aside / "keys", keys, undo, mode=0o700)
            for partition, stream in enumerate(streams):
                undo.callback(_drop, nats, stream, say)
                stream.make(settings.log.replicas)
                _fill(nats, stream, manifest.logs[partition], aside / "log" / f"{partition}.messages")
                say(
                    f"{stream.name}: messages {manifest.logs[partition].first} to {manifest.logs[partition].last}"
                )
            database = sa.make_url(settings.store.url).database
            options = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]
            run("pg_restore", settings, [*options, f"--dbname={database}", str(aside / DUMP)])
            undo.pop_all()
        _free(settings)
    except OSError as error:
        raise CocketError(f"{backup} could not be restored: {error}") from error
    finally:
        nats.close()
        remove(aside)
    return manifest


def _stream(nats: NatsConnection, settings: Settings, manifest: SiteManifest, partition: int) -> Stream:
    site, generation = settings.log.site, manifest.generation
    subject = f"cocket.log.{site}.{generation}.{partition}"
    return Stream(nats, stream_name(site, partition, generation), subject, manifest.logs[partition].first)


def _fill(nats: NatsConnection, stream: Stream, end: LogEnd, path: Path) -> None:
    last = end.first - 1
    for offset, payload in _messages(path):
        nats.run(stream.store(offset, payload))
        last = offset
    if last != end.last:
        raise DataDamaged(f"{path.name} ends at {last}, the manifest says {end.last}")


def _drop(nats: NatsConnection, stream: Stream, say: Say) -> None:
    """Delete a stream that this try made."""
    try:
        nats.api(f"STREAM.DELETE.{stream.name}", {})
    except (ApiError, CocketError) as error:
        say(f"the stream {stream.name} could not be taken back ({error}): delete it before the next try")


def _folder(settings: Settings, manifest: SiteManifest) -> Path | None:
    """Where history files go; None if there are none."""
    given = settings.history.folder
    if manifest.left_out and not settings.history.objects:
        raise BadSetting(
            f"{len(manifest.left_out)} history files of the backup are in object storage ({manifest.left_out[0]}, …): set history.objects"
        )
    if not any(name.startswith("history/") for name in manifest.files):
        return Path(given) if given else None
    if not given:
        raise BadSetting(
            "the backup holds history files: set history.folder to a folder that all workers share"
        )
    folder = Path(given)
    if any(folder.glob("*.parquet")):
        raise Conflict(f"{folder} holds history files already; name an empty folder")
    return folder


def _refuse_tables(settings: Settings) -> None:
    engine = Postgresql(settings.store.url, "main", read_only=True)
    try:
        with engine.reading() as connection:
            names = sa.inspect(connection).get_table_names()
    finally:
        engine.close()
    if names:
        raise Conflict(
            f"the database {engine.place} is not empty: it holds {len(names)} tables; make a new one, as docs/production.md says"
        )


def _free(settings: Settings) -> None:
    """The workers that had the partitions when the backup was made are not workers of this site."""
    engine = Postgresql(settings.store.url, "main", read_only=False)
    try:
        with engine.writing(None) as connection:
            connection.execute(leases.update().values(owner=None, until_us=0))
            connection.execute(workers.delete())
    finally:
        engine.close()


def _refuse_stream(nats: NatsConnection, stream: Stream) -> None:
    try:
        state = nats.api(f"STREAM.INFO.{stream.name}", {})["state"]
    except ApiError as error:
        if error.code == _NO_STREAM:
            return
        raise CocketError(f"NATS does not tell of the stream {stream.name}: {error}") from error
    raise Conflict(
        f"the stream {stream.name} is there already, and ends at {state['last_seq']}; if it is what an earlier try left, or of a site that "
        f"is lost, delete it (nats stream rm {stream.name}), or choose another log.site"
    )


def _messages(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        while head := file.read(HEAD.size):
            offset, length = HEAD.unpack(head)
            payload = file.read(length)
            Message.from_bytes(offset, payload, f"message {offset} of {path.name}")
            yield offset, payload


def _place(source: Path, target: Path | None, undo: ExitStack, *, mode: int = 0o777) -> None:
    """Move files into a folder, and make that durable."""
    if target is None or not source.is_dir():
        return
    target.mkdir(mode=mode, parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        aside = target / f"{path.name}.tmp"
        undo.callback(aside.unlink, missing_ok=True)
        shutil.move(path, aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.rename(target / path.name)
        undo.callback((target / path.name).unlink, missing_ok=True)
    sync_folder(target)
