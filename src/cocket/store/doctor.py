"""Looks a data folder over, beside the process that has it open or without one, and changes nothing in it.

``check`` looks at what should be there and how the parts fit together: a moment's work. ``verify`` reads every
byte that has a checksum: log entries, history files, snapshot pages, and SQLite's own check of each page.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import sqlalchemy as sa
from filelock import FileLock, Timeout

from cocket.core.errors import CocketError, DataDamaged
from cocket.store import tables
from cocket.store.database import Database
from cocket.store.history import registered
from cocket.store.log import Log
from cocket.store.log_sqlite import SqliteLog
from cocket.store.parquet import HistoryFile, file_checksum
from cocket.store.quarantine import SET_ASIDE
from cocket.store.snapshot import page_checksum

_LITTLE_ROOM: Final = 1 << 30

Level = Literal["damage", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``damage``: data is lost or altered. ``warning``: it will go wrong. ``note``: worth knowing."""

    level: Level
    where: str
    what: str


def check(path: Path | str) -> list[Finding]:
    """How the parts of the folder fit together."""
    return list(_look(Path(path), deep=False))


def verify(path: Path | str) -> list[Finding]:
    """As ``check``, and every checksum; reads the whole folder."""
    return list(_look(Path(path), deep=True))


def report(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print the findings for a person, or as JSON; the exit code is 1 if there is damage or a warning."""
    bad = any(f.level != "note" for f in findings)
    if as_json:
        text = json.dumps({"ok": not bad, "findings": [asdict(f) for f in findings]}, indent=2)
    else:
        lines = [f"{f.level:8} {f.where}: {f.what}" for f in findings]
        text = "\n".join([*lines, "Found wrong: see above." if bad else "Nothing found wrong."])
    sys.stdout.write(text + "\n")
    return int(bad)


def _look(path: Path, *, deep: bool) -> Iterator[Finding]:
    log_path, main_path = path / "log.sqlite", path / "cocket.sqlite"
    if not log_path.exists():
        yield Finding("damage", str(path), "no data folder: it holds no log.sqlite")
        return
    yield from _surroundings(path)
    log_db = main_db = None
    try:
        try:
            log_db = Database(log_path, "log", tables.log_metadata, read_only=True)
            yield from _log(log_db, path / "history", deep=deep)
        except (CocketError, sa.exc.SQLAlchemyError) as error:
            yield Finding("damage", str(log_path), str(error))
        if not main_path.exists():
            yield Finding(
                "damage", str(main_path), "is missing: alerts, reference data and detection state are lost"
            )
            return
        try:
            main_db = Database(main_path, "main", tables.main_metadata, read_only=True)
            yield from _main(main_db, None if log_db is None else SqliteLog(log_db), deep=deep)
        except (CocketError, sa.exc.SQLAlchemyError) as error:
            yield Finding("damage", str(main_path), str(error))
    finally:
        for db in (log_db, main_db):
            if db is not None:
                db.close()


def _surroundings(path: Path) -> Iterator[Finding]:
    lock = FileLock(path / "cocket.lock")
    try:
        lock.acquire(timeout=0)
        lock.release()
    except Timeout:
        yield Finding("note", str(path), "a process has it open")
    free = shutil.disk_usage(path).free
    if free < _LITTLE_ROOM:
        yield Finding("warning", str(path), f"only {free // 2**20} MiB are free on its disk")


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
    if stored > booked:
        yield Finding(
            "damage", str(db.path), f"{stored} observations are stored, but only {booked} were booked"
        )
    elif stored < booked:
        yield Finding("note", str(db.path), f"{booked - stored} observations of {booked} have expired")
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
        yield Finding("note", str(db.path), f"{held} refused rows wait in the quarantine")
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


def _main(db: Database, log: Log | None, *, deep: bool) -> Iterator[Finding]:
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
        with db.read() as connection:
            for row in connection.execute(tables.snapshot_pages.select()):
                if page_checksum(row.name, row.body) != row.checksum:
                    yield Finding(
                        "damage", str(db.path), f"snapshot page {row.name!r} does not match its checksum"
                    )
