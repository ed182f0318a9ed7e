"""``make fuzz``: every target led by coverage (atheris, over libFuzzer), with the counts in a table at the end.

    python -m tests.fuzz.guided [--seconds 60] [--corpus DIR] [TARGET ...]

Each target runs in a process of its own. What it found worth keeping stays in the corpus folder, and the next run goes on from there.
Bytes that break a promise are kept there, too, as ``TARGET/crash-…``. Exit 0: none. Exit 1: some. Exit 2: bad usage.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cocket

_LONGEST = 20_000
"""Bytes of an input; a target in which one takes a minute, or 2 GB, has broken a promise as well."""


def _one(name: str, seconds: int, corpus: Path) -> None:
    """Run one target until its time is over; never returns."""
    import atheris

    with atheris.instrument_imports(include=["cocket"], exclude=_compiled()):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    corpus.mkdir(parents=True, exist_ok=True)
    for n, seed in enumerate(target.seeds()):
        (corpus / f"seed-{n:03d}").write_bytes(seed[:_LONGEST])
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST}",
        "-timeout=60",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        f"-artifact_prefix={corpus}/",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.run)
    atheris.Fuzz()


def _compiled() -> list[str]:
    """Modules with functions for Numba, which takes no other bytecode than Python's own."""
    root = Path(cocket.__file__).parent
    files = [
        p.relative_to(root.parent) for p in root.rglob("*.py") if "numba" in p.read_text(encoding="utf-8")
    ]
    return [".".join(p.with_suffix("").parts) for p in files]


def _told(output: str) -> tuple[int, int]:
    """(inputs tried, branches reached) by what libFuzzer said."""
    tried = re.findall(r"stat::number_of_executed_units:\s*(\d+)", output)
    reached = re.findall(r"\bcov: (\d+)", output)
    return int(tried[-1]) if tried else 0, int(reached[-1]) if reached else 0


def main(arguments: list[str]) -> int:
    """All targets, or those that are named, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--corpus", type=Path, default=Path(".fuzz"), help="where inputs are kept (.fuzz)")
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    given: Any = parser.parse_args(arguments)
    if given.in_this_process:
        _one(given.targets[0], given.seconds, given.corpus / given.targets[0])
    from tests.fuzz.targets import TARGETS

    unknown = [name for name in given.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no target is called {unknown[0]}; there are {', '.join(TARGETS)}")
    broken, total = [], 0
    print(f"{'target':28} {'inputs':>12} {'branches':>9}", flush=True)
    for name in given.targets or TARGETS:
        command = [sys.executable, "-m", __spec__.name, "--in-this-process", "--seconds", str(given.seconds)]
        done = subprocess.run(
            [*command, "--corpus", str(given.corpus), name], capture_output=True, text=True, check=False, errors="replace"
        )  # fmt: skip
        tried, reached = _told(done.stdout + done.stderr)
        total += tried
        print(
            f"{name:28} {tried:12,} {reached:9,}" + ("" if done.returncode == 0 else "  BROKEN"), flush=True
        )
        if done.returncode != 0 or not tried:
            broken.append(name)
            print((done.stdout + done.stderr)[-3000:], flush=True)
    print(f"{len(given.targets or TARGETS)} targets, {total:,} inputs, broken: {', '.join(broken) or 'none'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
