"""decode, simulate and new-decoder as commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.decoders.vectors import vectors

from cocket.decoders import names, protocol

ROOT = Path(__file__).resolve().parents[2]


def cocket(
    *args: str, stdin: bytes = b"", cwd: Path | None = None, path: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    return subprocess.run(
        [sys.executable, "-m", "cocket", *args],
        input=stdin,
        capture_output=True,
        check=False,
        cwd=cwd,
        env=env,
    )


def test_every_line_gives_one_object_in_order() -> None:
    good = next(v for v in vectors("jt701") if v.observations)
    text = (
        b"\n".join([good.frame.hex().encode(), b"", b"zz", b"24", good.frame.hex().upper().encode()]) + b"\n"
    )
    done = cocket("decode", "jt701", "-", stdin=text)
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["frame"] for r in rows] == [0, 1, 2, 3, 4]
    assert [r["reject"] and r["reject"]["rule"] for r in rows] == [
        None,
        "empty",
        "not-hex",
        "truncated",
        None,
    ]
    assert rows[0]["observations"] == rows[4]["observations"]
    assert all(set(r) == {"frame", "observations", "reject", "replies"} for r in rows)


def test_text_as_text_and_as_hexadecimal(tmp_path: Path) -> None:
    line = b"(3301210003,U01,040812,185302,T,22.564025,N,113.242329,E,5.21,152,9,32%,00000000000011,10133,5173,22,100,1)"
    (tmp_path / "t").write_bytes(line + b"\r\n")
    (tmp_path / "h").write_bytes(line.hex().encode())
    as_text = cocket("decode", "jt701", str(tmp_path / "t"), "--text")
    assert as_text.returncode == 0
    assert as_text.stdout == cocket("decode", "jt701", str(tmp_path / "h")).stdout
    assert json.loads(as_text.stdout)["observations"][0]["observed_at"] == "2012-08-04T18:53:02Z"


def test_the_list_names_every_protocol() -> None:
    done = cocket("decode", "--list")
    assert done.returncode == 0
    assert [line.split()[0].decode() for line in done.stdout.splitlines()] == list(names())


@pytest.mark.parametrize(
    "args",
    [("decode",), ("decode", "gt0"), ("decode", "jt701", "/nowhere"), ("simulate", "jt701", "--to", "x")],
)
def test_bad_usage(args: tuple[str, ...]) -> None:
    done = cocket(*args)
    assert done.returncode == 2
    assert done.stderr.startswith(b"cocket: ")


@pytest.mark.parametrize("name", [n for n in names() if protocol(n).simulation is not None])
def test_what_is_simulated_is_decoded(name: str) -> None:
    p = protocol(name)
    flags = ("--text",) if p.text else ()
    made = cocket("simulate", name, "--devices", "2", "--reports", "3", *flags)
    assert made.returncode == 0, made.stderr
    read = cocket("decode", name, "-", *flags, stdin=made.stdout)
    rows = [json.loads(line) for line in read.stdout.splitlines()]
    assert read.returncode == 0, [r["reject"] for r in rows if r["reject"]]
    assert sum(len(r["observations"]) for r in rows) == 6


def test_a_new_decoder_touches_one_file_one_folder_and_one_page(tmp_path: Path) -> None:
    """And nothing else: it is found, listed, decodes, simulates, and all laws hold for it."""
    for part in ("src", "tests", "docs", "pyproject.toml"):
        source = ROOT / part
        ignore = shutil.ignore_patterns("__pycache__", "static", "*.nbi", "*.nbc", "images")
        (
            shutil.copytree(source, tmp_path / part, ignore=ignore)
            if source.is_dir()
            else shutil.copy(source, tmp_path)
        )
    before = {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()}
    made = cocket("new-decoder", "acme9", "--root", str(tmp_path))
    assert made.returncode == 0, made.stderr
    after = {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()}
    assert {str(p) for p in after - before} == {
        "src/cocket/decoders/acme9.py",
        "tests/decoders/vectors/acme9/messages.json",
        "docs/devices/acme9.md",
    }
    src = tmp_path / "src"
    assert b"acme9 " in cocket("decode", "--list", path=src).stdout
    frames = cocket("simulate", "acme9", "--text", path=src)
    read = cocket("decode", "acme9", "-", "--text", stdin=frames.stdout, path=src)
    assert read.returncode == 0, read.stdout
    laws = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/decoders", "-k", "acme9"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": f"{src}:{tmp_path}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert laws.returncode == 0, laws.stdout[-3000:]
    lint = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), str(src / "cocket/decoders/acme9.py")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert lint.returncode == 0, lint.stdout
    again = cocket("new-decoder", "acme9", "--root", str(tmp_path))
    assert again.returncode == 1
    assert b"is there already" in again.stderr


@pytest.mark.parametrize(
    ("name", "root", "said"), [("Bad-Name", ".", b"small letters"), ("good", "/tmp", b"no checkout")]
)
def test_a_decoder_that_cannot_be_begun(name: str, root: str, said: bytes) -> None:
    done = cocket("new-decoder", name, "--root", root, cwd=ROOT)
    assert done.returncode == 2
    assert said in done.stderr
