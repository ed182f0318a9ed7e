"""Any bit of a data folder flipped: everything answers as before, or an error names the file. Never silently something else."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.engine import feed

from cocket.core.errors import CocketError
from cocket.engine.service import Service
from cocket.observations.readers import read_ndjson
from cocket.store import at_rest
from cocket.store.doctor import verify


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One that was closed, and one whose process was killed: with write-ahead logs."""
    place = tmp_path_factory.mktemp("bits")
    live = place / "live"
    with Service.open(live, feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        for body in feed.bodies():
            feed.send(service, body)
        service.submit(read_ndjson(b'{"device_id":"x","observed_at":"nonsense"}')).result(30)
        feed.settle(service)
        service.lines._compactor.look()  # type: ignore[attr-defined]
        service.lines._runner._detecting.save()  # type: ignore[attr-defined]
    with Service.open(live, feed.FixedClock(), feed.SETTINGS) as service:
        for k in range(4):
            service.submit(
                read_ndjson(b'{"device_id":"SEAL00","observed_at":"2026-03-03T06:00:0%dZ"}' % k)
            ).result(30)
            service.reference.put("device", f"NEW{k}", {}, by="test")
        feed.settle(service)
        shutil.copytree(live, place / "killed")
    return {"closed": live, "killed": place / "killed"}


def _answers(folder: Path) -> Any:
    """What the folder says, whole."""
    with Service.open(folder, feed.FixedClock(), feed.SETTINGS) as service:
        alerts = feed.final(service)
        store = service.folder
        rows = store.history.find([(f"SEAL{k:02d}", 0, 1 << 60) for k in range(feed.TRUCKS)])
        columns = {
            name: data.to_list() if hasattr(data, "to_list") else data.tobytes()
            for name, data in sorted(rows.batch.columns.items())
        }
        return (
            alerts,
            columns,
            store.log.totals(),
            [(q["rule"], q["raw"], q["state"]) for q in store.log.quarantined(100)[0]],
            [
                (kind, s.id, s.doc)
                for kind in ("movement", "device", "zone", "corridor")
                for s in store.reference.all(kind)
            ],
            [tuple(b) for b in store.reference.bindings()],
            sorted(map(str, service.keys.public)),
        )


def _last_commit(path: Path) -> range:
    """The bytes of the frame that ends the last commit of a write-ahead log: the one place where a flipped bit and the torn
    end of a power cut are the same.
    """
    if not path.name.endswith("-wal"):
        return range(0)
    data = path.read_bytes()
    page = int.from_bytes(data[8:12], "big")
    order = ">" if int.from_bytes(data[:4], "big") & 1 else "<"
    frame = 24 + page
    whole, commits = at_rest._frames(data, (len(data) - 32) // frame, page, order)
    ends = (whole & commits).nonzero()[0]
    return range(32 + int(ends[-1]) * frame, 32 + (int(ends[-1]) + 1) * frame) if len(ends) else range(0)


def _flip(path: Path, rng: random.Random) -> str:
    stat = path.stat()
    spared = _last_commit(path)
    at, bit = rng.randrange(stat.st_size), rng.randrange(8)
    while at in spared:
        at = rng.randrange(stat.st_size)
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)[0]
        file.seek(at)
        file.write(bytes([old ^ 1 << bit]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # a disk that decays changes no time
    return f"{path.name} byte {at} bit {bit}"


def _kept(folder: Path) -> list[Path]:
    left = {"cocket.lock", "rest.json"}
    return sorted(
        p
        for p in folder.rglob("*")
        if p.is_file() and p.name not in left and not p.name.endswith("-shm") and p.stat().st_size
    )


def _sample(folders: dict[str, Path], tmp_path: Path, which: str, seeds: range) -> None:
    source = folders[which]
    shutil.copytree(source, tmp_path / "whole")
    expected = _answers(tmp_path / "whole")
    named = 0
    for seed in seeds:
        rng = random.Random(seed)
        folder = tmp_path / "flipped"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        path = _kept(folder)[seed % len(_kept(folder))]
        where = f"{which}, seed {seed}: {_flip(path, rng)}"
        found = [f for f in verify(folder) if f.level == "damage" or "its last commit is not read" in f.what]
        try:
            answers = _answers(folder)
        except CocketError:
            named += 1
            continue
        except Exception as error:
            raise AssertionError(f"{where}: {error!r} is not in words") from error
        named += bool(found)
        if answers != expected:
            assert found, f"{where}: something else is answered, and nothing says so"
    assert named > len(seeds) // 4, "the flips must matter"


@pytest.mark.parametrize("which", ["closed", "killed"])
def test_any_bit(folders: dict[str, Path], tmp_path: Path, which: str) -> None:
    _sample(folders, tmp_path, which, range(12))


@pytest.mark.soak
@pytest.mark.parametrize("which", ["closed", "killed"])
def test_any_bit_often(folders: dict[str, Path], tmp_path: Path, which: str) -> None:
    _sample(folders, tmp_path, which, range(1000, 3000))


@pytest.mark.parametrize("page", ["detection", "devices", "untimed", "meta", "aside"])
def test_a_damaged_snapshot_page_is_made_anew(folders: dict[str, Path], tmp_path: Path, page: str) -> None:
    shutil.copytree(folders["closed"], tmp_path / "whole")
    expected = _answers(tmp_path / "whole")
    folder = tmp_path / "damaged"
    shutil.copytree(folders["closed"], folder)
    with closing(sqlite3.connect(folder / "cocket.sqlite")) as db:
        names = [
            n for (n,) in db.execute("SELECT name FROM snapshot_pages") if n.split("/")[-1].endswith(page)
        ]
        assert names, "there is no such page"
        body = bytearray(
            db.execute("SELECT body FROM snapshot_pages WHERE name = ?", names[:1]).fetchone()[0]
        )
        body[len(body) // 2] ^= 1
        db.execute("UPDATE snapshot_pages SET body = ? WHERE name = ?", (bytes(body), names[0]))
        db.commit()
    assert any("snapshot page" in f.what for f in verify(folder))
    assert _answers(folder) == expected
    with Service.open(folder, feed.FixedClock(), feed.SETTINGS) as service:
        assert service.brief(["SEAL03"])["SEAL03"]["observed_us"] > feed.START_US, "devices are known again"


def test_a_torn_end_of_a_write_ahead_log_is_none(folders: dict[str, Path], tmp_path: Path) -> None:
    """What a power cut leaves is not damage: the start goes on by the ordinary way."""
    folder = tmp_path / "torn"
    shutil.copytree(folders["killed"], folder)
    wal = folder / "log.sqlite-wal"
    with wal.open("r+b") as file:
        file.truncate(wal.stat().st_size - 700)
    assert [f for f in verify(folder) if f.level == "damage" and "-wal" in f.what] == []
    assert _answers(folder)
