"""Looks a data folder over, beside the process that has it open or without one, and changes nothing in it.

``check`` looks at what should be there and how the parts fit together: a moment's work. ``verify`` reads every
byte that has a checksum: log entries, history files, snapshot pages, and SQLite's own check of each page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import sqlalchemy as sa
from filelock import FileLock, Timeout

from cocket.core.clock import US, WallClock
from cocket.core.errors import CocketError, DataDamaged
from cocket.store import at_rest, tables
from cocket.store.database import Database
from cocket.store.finding import Finding, report
from cocket.store.history import registered
from cocket.store.log import Log
from cocket.store.log_sqlite import SqliteLog
from cocket.store.parquet import HistoryFile, file_checksum
from cocket.store.quarantine import SET_ASIDE
from cocket.store.snapshot import page_checksum

__all__ = ["Finding", "check", "report", "verify"]

_AHEAD_S: Final = 300
_NAMED: Final = 5
"""Causes and devices that are named; of the others the number."""


def check(path: Path | str, store_url: str = "") -> list[Finding]:
    """How the parts of the folder fit together. ``store_url``: where the main store is, if not here."""
    return list(_look(Path(path), deep=False, store_url=store_url))


def verify(path: Path | str, store_url: str = "") -> list[Finding]:
    """How the parts of the folder fit together, and every checksum; reads the whole folder."""
    return list(_look(Path(path), deep=True, store_url=store_url))


def _look(path: Path, *, deep: bool, store_url: str) -> Iterator[Finding]:
    log_path, main_path = path / "log.sqlite", path / "cocket.sqlite"
    if not log_path.exists():
        yield Finding("damage", str(path), "no data folder: it holds no log.sqlite")
        return
    yield from _held(path, deep=deep)
    log_db = main_db = None
    try:
        try:
            log_db = Database(log_path, "log", tables.log_metadata, read_only=True)
            yield from _log(log_db, path / "history", deep=deep)
        except (CocketError, sa.exc.SQLAlchemyError) as error:
            yield Finding("damage", str(log_path), str(error))
        if not store_url and not main_path.exists():
            yield Finding(
                "damage", str(main_path), "is missing: alerts, reference data and detection state are lost"
            )
            return
        try:
            main_db = Database(store_url or main_path, "main", tables.main_metadata, read_only=True)
            yield from _main(main_db, None if log_db is None else SqliteLog(log_db), deep=deep)
        except (CocketError, sa.exc.SQLAlchemyError) as error:
            yield Finding("damage", str(main_path), str(error))
    finally:
        for db in (log_db, main_db):
            if db is not None:
                db.close()


def _held(path: Path, *, deep: bool) -> Iterator[Finding]:
    lock = FileLock(path / "cocket.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield Finding("note", str(path), "a process has it open")
        return
    lock.release()
    if deep:
        yield from (Finding("damage", str(path), what) for what in at_rest.wrong(path))
        yield from (Finding("warning", str(path), what) for what in at_rest.doubtful(path))


def _log(db: Database, folder: Path, *, deep: bool) -> Iterator[Finding]:
    # what only grows is read last: the folder may be in use
    log = SqliteLog(db)
    first = log.first_offset()
    files, compacted = registered(db, folder)
    stored = sum(f.facts.rows for f in files) + log.rows_after(compacted)
    booked = SqliteLog(db).totals().observations
    if first > compacted + 1:
        yield Finding(
            "damage",
            str(db.path),
            f"log entries {compacted + 1} to {first - 1} are in neither log nor history",
        )
    with db.read() as connection:
        low, high, count = connection.execute(
            sa.select(
                sa.func.min(tables.entries.c.offset), sa.func.max(tables.entries.c.offset), sa.func.count()
            )
        ).one()
    if not deep and count and count != high - low + 1:  # else each is named
        yield Finding(
            "damage",
            str(db.path),
            f"of the log entries {low} to {high}, {high - low + 1 - count} are missing",
        )
    with db.read() as connection:
        newest = connection.execute(
            sa.select(tables.entries.c.received_us).order_by(tables.entries.c.offset.desc()).limit(1)
        ).scalar()
    ahead_s = 0 if newest is None else (newest - WallClock().now_us()) // US
    if ahead_s > _AHEAD_S:
        yield Finding(
            "warning",
            str(db.path),
            f"the newest entry was received {ahead_s} s in the future: this machine's clock is behind, or was ahead; "
            "set it right before more comes in, for what devices say is judged by it",
        )
    if stored > booked:
        yield Finding(
            "damage", str(db.path), f"{stored} observations are stored, but only {booked} were booked"
        )
    elif stored < booked:
        yield Finding("note", str(db.path), f"{booked - stored} observations of {booked} have expired")
    yield from quarantined(db)
    names = {f.path.name for f in files}
    for other in sorted(folder.glob("*")):
        if other.name not in names:
            yield Finding(
                "note", str(other), "does not count (left by a stop while writing); it can be deleted"
            )
    for file in files:
        yield from _history_file(db, folder, file, deep=deep)
    if deep:
        yield from (Finding("damage", str(db.path), what) for what in (*db.integrity(), *log.damage()))


def quarantined(db: Database) -> Iterator[Finding]:
    """What waits in the quarantine, and what the detectors fail on."""
    with db.read() as connection:
        waiting = sa.select(sa.func.count()).where(tables.quarantine.c.state == "held")
        failed = connection.execute(waiting.where(tables.quarantine.c.rule == SET_ASIDE)).scalar_one()
        held = connection.execute(waiting).scalar_one() - failed
        last = connection.execute(
            sa.select(tables.quarantine.c.detail)
            .where(tables.quarantine.c.rule == SET_ASIDE, tables.quarantine.c.state == "held")
            .order_by(tables.quarantine.c.id.desc())
            .limit(1)
        ).scalar()
    if failed:
        yield Finding(
            "warning",
            str(db.path),
            f"the detectors fail on {failed} stored observations or journeys, which are set aside; the last: {last}. "
            f"Look at GET /quarantine?rule={SET_ASIDE}, report it, and replay one after an update: all are tried again",
        )
    if held:
        yield Finding(
            "note",
            str(db.path),
            f"{held} refused rows wait in the quarantine: {_causes(db)}",
            "mend the cause, then send them again from the control room (System, Quarantine)",
        )


def _causes(db: Database) -> str:
    """The rules that most of the held rows break, and by which door they came."""
    q = tables.quarantine.c
    n = sa.func.count()
    query = (
        sa.select(q.rule, q.source, n)
        .where(q.state == "held", q.rule != SET_ASIDE)
        .group_by(q.rule, q.source)
        .order_by(n.desc())
    )
    with db.read() as connection:
        rows = connection.execute(query.limit(_NAMED)).all()
    return ", ".join(f"{count} {rule} by {source}" for rule, source, count in rows)


def _history_file(db: Database, folder: Path, file: HistoryFile, *, deep: bool) -> Iterator[Finding]:
    try:
        wrong = _wrong_with(file, deep=deep)
    except (DataDamaged, OSError, pa.ArrowException) as error:
        wrong = str(error)
    # a file may have been merged away while it was looked at
    if wrong and any(f.file_id == file.file_id for f in registered(db, folder)[0]):
        yield Finding("damage", str(file.path), f"{wrong}; {file.facts.rows} observations are in it")


def _wrong_with(file: HistoryFile, *, deep: bool) -> str | None:
    if not file.path.exists():
        return "is missing"
    size = file.path.stat().st_size
    if size != file.facts.size:
        return f"has {size} bytes, {file.facts.size} were written"
    if not deep:
        return None
    if file_checksum(file.path) != file.facts.checksum:
        return "does not match its checksum"
    rows = sum(record.num_rows for record in file.read(range(len(file.starts())), None))
    return None if rows == file.facts.rows else f"holds {rows} observations, {file.facts.rows} were written"


def silent(db: Database) -> Iterator[Finding]:
    """Devices that are bound and silent now, by their open alerts."""
    a = tables.alerts.c
    query = sa.select(a.device_id, a.mrn).where(
        a.code == "silence", a.ended_us.is_(None), a.superseded_us.is_(None), a.state != "closed"
    )
    with db.read() as connection:
        rows = connection.execute(query.order_by(a.began_us)).all()
    if rows:
        named = ", ".join(f"{device} ({mrn})" for device, mrn in rows[:_NAMED])
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        yield Finding(
            "note",
            str(db.path),
            f"{len(rows)} devices on movements are silent, longest {named}{more}",
            "one is a device's matter (battery, network, a cut); many at once are a door's: see `cocket status`",
        )


def _main(db: Database, log: Log | None, *, deep: bool) -> Iterator[Finding]:
    if not deep:
        yield from silent(db)
    with db.read() as connection:
        state = connection.execute(tables.detection.select().where(tables.detection.c.id == 1)).one()
    if log is not None:
        if state.offset > log.last_offset():
            yield Finding(
                "damage",
                str(db.path),
                f"detection has come to {state.offset}, but the log ends at {log.last_offset()}: "
                "the two files are not of the same moment",
            )
        if log.first_offset() > state.snapshot_offset + 1:
            yield Finding(
                "damage",
                str(db.path),
                f"the snapshot stands for {state.snapshot_offset}, but the log begins at {log.first_offset()}: "
                "detection cannot go on from it",
            )
    if deep:
        yield from (Finding("damage", str(db.path), what) for what in db.integrity())
        yield from snapshots(db)


def snapshots(db: Database) -> Iterator[Finding]:
    """Pages of the detectors' state that do not match their checksums."""
    with db.read() as connection:
        for row in connection.execute(tables.snapshot_pages.select()):
            if page_checksum(row.name, row.body) != row.checksum:
                yield Finding(
                    "damage", str(db.path), f"snapshot page {row.name!r} does not match its checksum"
                )
