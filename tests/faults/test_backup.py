"""Backup while a server writes, and the way back: proven by bytes (the manifest) and by alerts."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from hashlib import sha256
from pathlib import Path

import pytest
from tests.engine import feed

from cocket.cli import main
from cocket.core.clock import WallClock
from cocket.core.errors import Malformed
from cocket.engine.service import Service
from cocket.store.backup import backup
from cocket.store.doctor import verify
from cocket.store.restore import read_manifest


def _say(_text: str) -> None:
    pass


@pytest.mark.parametrize("form", ["copy.tar", "copy"])
def test_backup_under_load_restored_beside_gives_the_same_alerts(tmp_path: Path, form: str) -> None:
    expected = feed.oracle(tmp_path / "oracle")
    data, bodies = tmp_path / "data", feed.bodies()
    made: list[object] = []
    with Service.open(data, feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)

        def copy() -> None:
            made.append(backup(data, tmp_path / form, with_keys=True, now_us=WallClock().now_us(), say=_say))

        for body in bodies[: len(bodies) // 3]:
            feed.send(service, body)
        service.lines._compactor.look()
        copier = threading.Thread(target=copy)
        copier.start()
        for body in bodies[len(bodies) // 3 :]:
            feed.send(service, body)
            service.lines._compactor.look()
        copier.join()
        assert made, "the backup failed"
        assert feed.final(service) == expected
    manifest = read_manifest(tmp_path / form)
    assert manifest.detected_offset <= manifest.last_offset
    other = tmp_path / "other"
    assert main(["restore", str(tmp_path / form), "--data", str(other)]) == 0
    for name, kept in manifest.files.items():
        body = (other / name).read_bytes()
        assert (len(body), sha256(body).hexdigest()) == (kept.bytes, kept.sha256)
    assert [f for f in verify(other) if f.level == "damage"] == []
    with Service.open(other, feed.FixedClock(), feed.SETTINGS) as service:
        assert service.folder.log.totals().observations >= manifest.observations
        for body in bodies:  # what came after the backup, and before it once more
            feed.send(service, body)
        assert feed.final(service) == expected
        assert service.stats()["observations"] == len(feed.rows())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("small")
    with Service.open(place / "data", feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        for body in feed.bodies():
            feed.send(service, body)
        service.wait_detected(60)
        service.lines._compactor.look()
    assert (
        main(["backup", "--data", str(place / "data"), "--to", str(place / "copy.tar"), "--with-keys"]) == 0
    )
    assert main(["backup", "--data", str(place / "data"), "--to", str(place / "copy")]) == 0
    return place


def test_keys_only_when_asked_for(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [n for n in read_manifest(small / "copy").files if n.startswith("keys/")] == []
    assert "keys" in read_manifest(small / "copy").left_out
    assert "keys/keys.json" in read_manifest(small / "copy.tar").files
    assert main(["restore", str(small / "copy"), "--data", str(small / "keyless")]) == 0
    assert "put the folder keys/ in its place" in capsys.readouterr().out


def test_a_place_that_is_taken_is_refused(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "--data", str(small / "data"), "--to", str(small / "copy")]) == 1
    assert "is there already" in capsys.readouterr().err
    assert main(["restore", str(small / "copy"), "--data", str(small / "data")]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert main(["restore", str(small / "none.tar"), "--data", str(small / "new")]) == 1
    assert main(["backup", "--data", str(small / "none"), "--to", str(small / "new")]) == 1


def test_every_damaged_byte_is_found_before_anything_counts(small: Path, tmp_path: Path) -> None:
    rng = random.Random(3)
    whole = (small / "copy.tar").read_bytes()
    with tarfile.open(small / "copy.tar") as tar:
        spans = [(m.offset_data, m.size, m.name) for m in tar if m.name != "manifest.json"]
    for i in range(12):
        start, size, _name = spans[i % len(spans)]
        body = bytearray(whole)
        body[start + rng.randrange(size)] ^= 1 << rng.randrange(8)
        (tmp_path / "bad.tar").write_bytes(body)
        assert main(["restore", str(tmp_path / "bad.tar"), "--data", str(tmp_path / "new")]) == 1
        assert not (tmp_path / "new").exists()
        assert not (tmp_path / "new.part").exists()


def test_what_is_cut_off_missing_or_added_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.tar").write_bytes((small / "copy.tar").read_bytes()[:-30_000])
    assert main(["restore", str(tmp_path / "cut.tar"), "--data", str(tmp_path / "new")]) == 1
    shutil.copytree(small / "copy", tmp_path / "less")
    next((tmp_path / "less" / "history").iterdir()).unlink()
    assert main(["restore", str(tmp_path / "less"), "--data", str(tmp_path / "new")]) == 1
    shutil.copytree(small / "copy", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    manifest["files"]["../evil"] = manifest["files"].pop("log.sqlite")
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Malformed, match="evil"):
        read_manifest(tmp_path / "out")
    assert not (tmp_path / "new").exists()


def test_a_killed_backup_leaves_nothing_that_counts(small: Path, tmp_path: Path) -> None:
    to = tmp_path / "copy.tar"
    for i in range(3):
        child = subprocess.Popen(
            [sys.executable, "-m", "cocket", "backup", "--data", str(small / "data"), "--to", str(to)],
            stderr=subprocess.PIPE,
            env=os.environ,
        )
        assert child.stderr is not None
        for _ in range(i + 1):
            child.stderr.readline()
        child.send_signal(signal.SIGKILL)
        child.wait()
        if to.exists():  # it was whole before the signal came
            read_manifest(to)
            to.unlink()
    end = time.monotonic() + 60
    assert main(["backup", "--data", str(small / "data"), "--to", str(to)]) == 0
    assert time.monotonic() < end
    assert main(["restore", str(to), "--data", str(tmp_path / "new")]) == 0
    assert [f for f in verify(tmp_path / "new") if f.level == "damage"] == []
    left = [p.name for p in tmp_path.iterdir() if p.suffix in {".part", ".scratch"}]
    assert left == []
