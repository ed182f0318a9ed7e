"""`make bench`: every figure of speed that Cocket claims, as a ratio against a baseline of the same run.

    python -m bench.run            all sections, up to half an hour
    python -m bench.run --quick    smaller sizes, about three minutes
    python -m bench.run --only http --only latency

The tables go to the screen, everything to bench/results/latest.json; a section that is not run keeps its figures there,
with the machine and the load that they were measured under.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "src"):  # also as a plain file, and without an installed package
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from rich.table import Table  # noqa: E402

from bench import (  # noqa: E402
    customs,
    detectors,
    devices,
    disk,
    doors,
    geo,
    history,
    history_postgresql,
    jetstream,
    memory,
    production,
)
from bench.measure import Section, console, machine  # noqa: E402

SECTIONS: dict[str, Callable[[bool, Path], Section]] = {
    "geo": lambda quick, _: geo.zones_and_corridors(quick=quick),
    "detectors": lambda quick, _: detectors.detectors(quick=quick),
    "log": lambda quick, place: disk.log_append(place, quick=quick),
    "jetstream": lambda quick, place: jetstream.jetstream(place, quick=quick),
    "production": lambda quick, place: production.production(place, quick=quick),
    "http": lambda quick, place: doors.throughput(place, quick=quick),
    "latency": lambda quick, place: doors.latency(place, quick=quick),
    "recovery": lambda quick, place: disk.recovery(place, quick=quick),
    "state": lambda quick, place: memory.active_movements(place, quick=quick),
    "decoding": lambda quick, _: devices.decoding(quick=quick),
    "devices": lambda quick, place: devices.gateway(place, quick=quick),
    "documents": lambda quick, place: customs.documents(place, quick=quick),
    "scans": lambda quick, place: customs.scans(place, quick=quick),
    "gate": lambda quick, place: customs.gate(place, quick=quick),
    "history": lambda quick, place: history.tracks(place, quick=quick),
    "history-postgresql": lambda quick, place: history_postgresql.history_postgresql(place, quick=quick),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes, about three minutes")
    parser.add_argument("--only", action="append", choices=SECTIONS, metavar="NAME", help=", ".join(SECTIONS))
    parser.add_argument(
        "--dir", type=Path, help="where data folders are made (default: the system's temporary folder)"
    )
    args = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="cocket-bench-", dir=args.dir))
    results = ROOT / "bench" / "results" / "latest.json"
    results.parent.mkdir(exist_ok=True)
    known = machine(place)
    console.print(", ".join(f"{k} {v}" for k, v in known.items()), style="dim")
    try:
        for name in args.only or SECTIONS:
            began = perf_counter()
            with console.status(name):
                section = SECTIONS[name](args.quick, place)
            section.took_s = round(perf_counter() - began, 1)
            show(section)
            save(results, {**asdict(section), "quick": args.quick, "machine": known})
    finally:
        shutil.rmtree(place, ignore_errors=True)
    console.print(f"saved in {results.relative_to(ROOT)}")
    return 0


def save(results: Path, section: dict[str, Any]) -> None:
    """Put one section's figures into the results, in place of those it had; the other sections stay."""
    sections: dict[str, Any] = {}
    if results.exists():
        sections = json.loads(results.read_text(encoding="utf-8")).get("sections", {})
    sections[section["name"]] = section
    text = json.dumps({"sections": sections}, indent=1, ensure_ascii=False)
    results.write_text(text + "\n", encoding="utf-8")


def show(section: Section) -> None:
    """One section as a table."""
    table = Table(title=f"{section.name}: {section.asks}", title_justify="left", expand=False)
    for heading, justify in (
        ("figure", "left"), ("value", "right"), ("unit", "left"), ("against", "left"), ("ratio", "right"), ("aim", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for f in section.figures:
        against = f"{f.baseline} ({_number(f.baseline_value)})" if f.baseline_value is not None else ""
        verdict = "" if f.met is None else (" met" if f.met else " NOT MET")
        style = None if f.met is not False else "bold red"
        ratio = "" if f.ratio is None else _number(f.ratio)
        table.add_row(f.name, _number(f.value), f.unit, against, ratio, f.aim + verdict, style=style)
    console.print(table)
    sizes = ", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in section.sizes.items())
    console.print(f"{sizes}; took {section.took_s} s", style="dim")
    for remark in section.remarks:
        console.print(remark, style="dim")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
