"""`cocket status` and `cocket doctor` as somebody at a terminal sees them."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import Door

from cocket import cli_status
from cocket.cli import main
from cocket.engine.alarms import Alarm
from cocket.store.finding import Finding
from cocket.store.surroundings import surroundings


def said(capsys: Any, *argv: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(argv)
    out, err = capsys.readouterr()
    return code, out, err


def test_one_page_of_eighty_columns_without_colour(watched: Door, capsys: Any) -> None:
    alert = watched.cut()
    code, out, err = said(capsys, "status", "--url", watched.url)
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    for expected in ("coming in", "not yet detected", "open alerts", "GiB free", "tcp 127.0.0.1:", "jt701"):
        assert expected in out
    assert f"seal-cut  {alert['device_id']}  {alert['mrn']}" in out


def test_the_figures_are_those_of_the_server(watched: Door, capsys: Any) -> None:
    watched.cut()
    code, out, _ = said(capsys, "status", "--url", watched.url, "--json")
    found = json.loads(out)
    stats = watched.http.get("/stats").json()
    assert code == 0
    assert (found["observations"], found["movements"]) == (stats["observations"], stats["movements"])
    assert found["lag_observations"] == 0
    assert sum(found["open_alerts"].values()) >= 1
    assert list(found["open_alerts"]) == ["critical", "high", "warn", "info"]
    assert 0 < found["disk_free_bytes"] <= found["disk_size_bytes"]
    assert found["memory_bytes"] > 10 << 20 or os.name == "nt" or not Path("/proc").exists()
    assert found["newest"][0]["code"]


def test_what_is_wrong_stands_on_the_page_and_in_the_doctor(
    watched: Door, capsys: Any, monkeypatch: Any
) -> None:
    alarm = Alarm(
        "disk-low", watched.service.clock.now_us(), "12 MiB \x1b[31m are free " + "x" * 200, "Make room."
    )
    monkeypatch.setattr(type(watched.service.alarms), "current", property(lambda _: (alarm,)))
    code, out, _ = said(capsys, "status", "--url", watched.url)
    assert code == 0
    assert "1 wrong, see below" in out
    assert "disk-low since" in out
    assert "→ Make room." in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = said(capsys, "doctor", "--url", watched.url)
    assert code == 1
    assert "disk-low: 12 MiB" in out
    assert "→ Make room." in out


def test_a_site_shows_who_has_which_partition_and_what_waits(
    watched: Door, monkeypatch: Any, capsys: Any
) -> None:
    owner = {0: "w-1", 1: "w-1", 2: "w-1", 3: "w-2", 4: None, 5: "w-2"}
    lag = {0: 0, 1: 7, 2: 0, 3: 0, 4: -1, 5: 1_200}
    shown = {
        "site": "main",
        "partitions": [
            {
                "partition": p,
                "worker": w,
                "epoch": 3,
                "lag_observations": lag[p],
                "failure": "no worker answers for partition 4" if w is None else None,
            }
            for p, w in owner.items()
        ],
        "workers": [{"id": w, "at": "n1", "version": "1"} for w in ("w-1", "w-2", "w-3")],
    }
    assert cli_status.figures(watched.url)["site"] is None
    monkeypatch.setattr(cli_status, "_site", lambda _url: shown)
    code, out, _ = said(capsys, "status", "--url", watched.url)
    assert code == 0
    at = out.index("site main: 6 partitions, 3 workers")
    assert out[at:].splitlines()[1:9] == [
        "  w-1: 0-2; 7 not yet detected",
        "    partition 1: 7 wait",
        "  w-2: 3, 5; 1,200 not yet detected",
        "    partition 5: 1,200 wait",
        "  w-3: none; 0 not yet detected",
        "  no worker: 4; 0 not yet detected",
        "    partition 4: its worker does not answer",
        "  partition 4: no worker answers for partition 4",
    ]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_no_server(capsys: Any) -> None:
    url = f"127.0.0.1:{free_port()}"
    code, out, err = said(capsys, "status", "--url", url)
    assert (code, out) == (1, "")
    assert f"no Cocket answers at http://{url}" in err
    assert "cocket serve" in err
    code, out, _ = said(capsys, "doctor", "--url", url)
    assert code == 1
    assert "no Cocket answers" in out
    code, _, err = said(capsys, "status", "--url", "http://[:::")
    assert code == 1
    assert err


def test_the_doctor_wants_something_to_look_at(capsys: Any) -> None:
    code, _, err = said(capsys, "doctor")
    assert code == 2
    assert "--data" in err


def test_a_healthy_server_and_its_folder(watched: Door, capsys: Any) -> None:
    folder = str(watched.service.folder.path)
    watched.observe(*({"device_id": "x"} for _ in range(3)))
    _, out, _ = said(capsys, "doctor", "--data", folder, "--url", watched.url, "--json")
    found = json.loads(out)["findings"]
    assert not [f for f in found if f["level"] == "damage"]
    whats = " ".join(f["what"] for f in found)
    assert "a process has it open" in whats
    assert "required by http" in whats
    assert "one fsync takes" in whats


def test_settings_that_cannot_work(tmp_path: Path, capsys: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "s.toml"
        file.write_text(
            f'[http]\nport = {port}\n[gateway]\nlisten = ["tcp:0=jt701", "tpc:5"]\nmappings = "nowhere"\n'
            '[detect]\nrules = "gone.toml"\n[watching]\notlp_endpoint = "collector:4318"\n[ingest]\nqueue_rows = 5\n'
        )
        code, out, _ = said(capsys, "doctor", "--settings", str(file))
    assert code == 1
    for expected in (
        f"port {port}: the HTTP door cannot listen",
        "ss -lntup",
        "'tpc:5'",
        "gateway.mappings nowhere: there is no such file",
        "detect.rules gone.toml",
        "'collector:4318' is no http address",
        "ingest.group_rows 20000 is more than ingest.queue_rows 5",
    ):
        assert expected in out
    file.write_text("[http]\nprot = 1\n")
    code, out, _ = said(capsys, "doctor", "--settings", str(file))
    assert code == 1
    assert "prot" in out
    file.write_text('[http]\nhost = "0.0.0.0"\nport = 0\n')
    code, out, _ = said(capsys, "doctor", "--settings", str(file))
    assert code == 1
    assert "access.sign_in" in out


def what(found: list[Finding]) -> str:
    return "\n".join(f"{f.level} {f.where} {f.what}" for f in found)


def test_what_a_folder_stands_on(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "a.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    (keys / "b.json").write_text('{"kty": "OKP", "x": "public"}')
    for file in keys.iterdir():
        file.chmod(0o644)
    (tmp_path / "log.sqlite").write_bytes(b"")
    stamp = (tmp_path / "log.sqlite").stat().st_mtime + 3600
    os.utime(tmp_path / "log.sqlite", (stamp, stamp))
    tmp_path.chmod(0o777)
    before = sorted(p.name for p in tmp_path.rglob("*"))
    found = what(list(surroundings(tmp_path)))
    assert "a.pem is a private key that others on this machine may read" in found
    assert "b.json" not in found
    assert "in the future: this machine's clock was set back" in found
    assert "everybody on this machine may write to it" in found
    assert "one fsync takes" in found
    assert sorted(p.name for p in tmp_path.rglob("*")) == before
    tmp_path.chmod(stat.S_IRWXU)
    (keys / "a.pem").chmod(0o600)
    os.utime(tmp_path / "log.sqlite")
    healed = what(list(surroundings(tmp_path)))
    for mended in ("private key", "future", "everybody"):
        assert mended not in healed


def test_a_disk_that_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    found = list(surroundings(tmp_path))
    assert "its disk takes no writes: No space left on device" in what(found)
    assert all(f.do for f in found if f.level != "note")
