"""Backup of a data folder beside the process that has it open; ``store.restore`` is the way back.

A backup is of one moment. ``cocket.sqlite`` is pinned by a read transaction first, ``log.sqlite`` milliseconds later, so
that the log may be ahead of the alerts, never behind; then the history files are held open that the pinned log counts.
What is copied afterwards, however long it takes, is what stood there then. Copies of the SQLite files are made by
SQLite's online backup (https://www.sqlite.org/backup.html). The manifest, which comes last, names every file with its
length and SHA-256; a backup takes its name only when all of it is on the disk.

A backup is a folder, or a tar file (POSIX.1-2001 pax) if its name ends in ``.tar``. ``Part`` is what a site with other
engines adds: a name, and how to write it.
"""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, Protocol
from urllib.parse import quote

import msgspec

from cocket import __version__
from cocket.core.clock import US, WallClock, rfc3339
from cocket.core.errors import CocketError, Conflict, DataDamaged, NotFound
from cocket.store import at_rest

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
BLOCK: Final = 1 << 20
_PAGES: Final = 4096
_TRIES: Final = 50

Say = Callable[[str], None]


class Kept(msgspec.Struct, frozen=True):
    """One file of a backup."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself. Offsets are of the log; ``tables`` are the revisions of the two SQLite files."""

    format: int
    cocket: str
    made_at: str
    made_us: int
    first_offset: int
    last_offset: int
    compacted_offset: int
    observations: int
    detected_offset: int
    tables: dict[str, str]
    keys: bool
    left_out: list[str]
    files: dict[str, Kept]


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup: ``write`` puts its bytes into what it is given."""

    name: str
    write: Callable[[BinaryIO], None]


class Sink(Protocol):
    """Where a backup goes."""

    def add(self, part: Part) -> Kept:
        """Write a part; its length and checksum."""
        ...


# making one


def backup(data: Path, to: Path, *, with_keys: bool, now_us: int, say: Say) -> Manifest:
    """Copy the data folder ``data`` to ``to``, a ``.tar`` file or a folder, which must not be there yet.

    ``NotFound`` for what is no data folder, ``Conflict`` for a place that is taken; ``CocketError`` says when the disk
    refuses: then nothing is left under the name.
    """
    if not (data / "log.sqlite").exists() or not (data / "cocket.sqlite").exists():
        raise NotFound(f"{data} is no data folder: it holds no log.sqlite and cocket.sqlite")
    if to.exists():
        raise Conflict(f"{to} is there already; a backup replaces nothing, give it another name")
    if not to.parent.is_dir():
        raise NotFound(f"there is no folder {to.parent}")
    aside, scratch = to.with_name(f"{to.name}.part"), to.with_name(f"{to.name}.scratch")
    try:
        remove(aside)
        remove(scratch)
        scratch.mkdir(mode=0o700)
        with _pinned(data) as (main, log, history), sink_of(aside, tar=to.suffix == ".tar") as sink:
            files = {}
            for part in _parts(data, main, log, history, with_keys=with_keys, scratch=scratch, say=say):
                files[part.name] = sink.add(part)
                say(f"{part.name}: {files[part.name].bytes} bytes")
            manifest = _manifest(data, main, log, files, with_keys=with_keys, now_us=now_us)
            body = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
            sink.add(Part(MANIFEST, lambda out: put(out, body)))
        aside.rename(to)
        sync_folder(to.parent)
    except (OSError, sqlite3.Error) as error:
        remove(aside)
        raise CocketError(f"the backup could not be written to {to}: {error}") from error
    except BaseException:
        remove(aside)
        raise
    finally:
        remove(scratch)
    return manifest


@contextmanager
def _pinned(
    data: Path,
) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection, list[tuple[str, BinaryIO]]]]:
    """Both SQLite files and the history as of one moment."""
    for _ in range(_TRIES):
        with ExitStack() as held:
            main = held.enter_context(closing(_reading(data / "cocket.sqlite")))
            log = held.enter_context(closing(_reading(data / "log.sqlite")))
            try:
                history = [
                    (f"history/{name}", held.enter_context((data / "history" / name).open("rb")))
                    for (name,) in log.execute("SELECT name FROM history_files ORDER BY id")
                ]
            except FileNotFoundError as gone:  # merged away in between; or lost, and then it stays so
                missing = gone.filename
                continue
            missing = ""
            if (
                _first(log)
                > main.execute("SELECT snapshot_offset FROM detection WHERE id = 1").fetchone()[0] + 1
            ):
                continue  # a checkpoint and a trim came between the two
            yield main, log, history
            return
    if missing:
        raise DataDamaged(f"{missing} is missing: the folder is damaged; `cocket verify` says what else is")
    raise Conflict(f"{data} changed too fast to be copied; try again")


def _reading(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None, timeout=30.0
    )
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the view begins with the first read
    return connection


def _first(log: sqlite3.Connection) -> int:
    first, last = log.execute("SELECT (SELECT min(offset) FROM entries), last_offset FROM totals").fetchone()
    return int(last) + 1 if first is None else int(first)


def _manifest(
    data: Path,
    main: sqlite3.Connection,
    log: sqlite3.Connection,
    files: dict[str, Kept],
    *,
    with_keys: bool,
    now_us: int,
) -> Manifest:
    last, observations, compacted = log.execute(
        "SELECT last_offset, observations, compacted_offset FROM totals"
    ).fetchone()
    return Manifest(
        format=FORMAT,
        cocket=__version__,
        made_at=rfc3339(now_us),
        made_us=now_us,
        first_offset=_first(log),
        last_offset=last,
        compacted_offset=compacted,
        observations=observations,
        detected_offset=main.execute("SELECT offset FROM detection WHERE id = 1").fetchone()[0],
        tables={
            name: db.execute("SELECT version_num FROM alembic_version").fetchone()[0]
            for name, db in (("log.sqlite", log), ("cocket.sqlite", main))
        },
        keys=with_keys,
        left_out=_left_out(data, with_keys=with_keys),
        files=files,
    )


def _parts(
    data: Path,
    main: sqlite3.Connection,
    log: sqlite3.Connection,
    history: Sequence[tuple[str, BinaryIO]],
    *,
    with_keys: bool,
    scratch: Path,
    say: Say,
) -> Iterator[Part]:
    for name, db in (("cocket.sqlite", main), ("log.sqlite", log)):
        yield Part(name, lambda out, db=db, name=name: _sqlite(db, out, scratch, name, say))  # type: ignore[misc]
    for name, file in history:
        yield Part(name, lambda out, file=file: shutil.copyfileobj(file, out, BLOCK))  # type: ignore[misc]
    if with_keys:
        for path in sorted((data / "keys").glob("*")):
            yield Part(f"keys/{path.name}", lambda out, path=path: put(out, path.read_bytes()))  # type: ignore[misc]


def _sqlite(db: sqlite3.Connection, out: BinaryIO, scratch: Path, name: str, say: Say) -> None:
    """The pinned view of a database as a file of its own."""
    told = [0]

    def progress(_status: int, left: int, total: int) -> None:
        done = 100 * (total - left) // max(1, total)
        if done >= told[0] + 10:
            told[0] = done
            say(f"{name}: {done} %")

    copy = scratch / name
    with closing(sqlite3.connect(copy)) as target:
        db.backup(target, pages=_PAGES, progress=progress)
    with copy.open("rb") as file:
        shutil.copyfileobj(file, out, BLOCK)
    copy.unlink()


BACKED_UP: Final = "backed-up"


def note_backup(path: Path) -> None:
    """Remember that the folder was backed up just now. A folder that nobody may write to keeps no such note."""
    with suppress(OSError):
        (path / BACKED_UP).touch()


def backup_age_s(path: Path) -> float | None:
    """Seconds of this machine's clock since the last backup; None if none was noted."""
    try:
        at = (path / BACKED_UP).stat().st_mtime
    except FileNotFoundError:
        return None
    return max(0.0, WallClock().now_us() / US - at)


def _left_out(data: Path, *, with_keys: bool) -> list[str]:
    """What lies in the folder and is not in the backup, for the reader: another's store, keys, and leftovers."""
    taken = {
        "cocket.sqlite",
        "log.sqlite",
        "history",
        "cocket.lock",
        BACKED_UP,
        at_rest.LIST,
        *(("keys",) if with_keys else ()),
    }
    beside = {f"{name}{end}" for name in ("cocket.sqlite", "log.sqlite") for end in ("-wal", "-shm")}
    return sorted(p.name for p in data.iterdir() if p.name not in taken | beside)


# where it goes


class Hashing(io.RawIOBase):
    """Counts and hashes what is written through it."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self.digest = sha256()
        self.n = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """All of it."""
        self._out.write(data)
        self.digest.update(data)
        self.n += len(data)
        return len(data)

    @property
    def kept(self) -> Kept:
        """What came through."""
        return Kept(self.n, self.digest.hexdigest())


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir()
        self._made = {path}

    def add(self, part: Part) -> Kept:
        path = self._path / part.name
        path.parent.mkdir(mode=0o700 if part.name.startswith("keys/") else 0o777, exist_ok=True)
        self._made.add(path.parent)
        with path.open("xb") as file:
            if part.name.startswith("keys/"):
                path.chmod(0o600)
            hashing = Hashing(file)
            part.write(hashing)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        return hashing.kept

    def close(self) -> None:
        for folder in self._made:
            sync_folder(folder)


class _Tar:
    """A part is written aside first: a tar member begins with its length."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("xb")
        path.chmod(0o600)
        self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, part: Part) -> Kept:
        with tempfile.TemporaryFile(dir=self._path.parent) as aside:
            hashing = Hashing(aside)
            part.write(hashing)  # type: ignore[arg-type]
            aside.seek(0)
            member = tarfile.TarInfo(part.name)
            member.size = hashing.n
            member.mode = 0o600
            self._tar.addfile(member, aside)
        return hashing.kept

    def close(self) -> None:
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


@contextmanager
def sink_of(path: Path, *, tar: bool) -> Iterator[Sink]:
    """A folder or a tar file to write parts to, whole and on the disk when the block ends."""
    sink = _Tar(path) if tar else _Folder(path)
    yield sink
    sink.close()


def put(out: BinaryIO, body: bytes) -> None:
    """Write a small part."""
    out.write(body)


def remove(path: Path) -> None:
    """What an earlier try left; it never counted."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    if os.name == "nt":  # Windows keeps names durable by itself and cannot open a folder
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
