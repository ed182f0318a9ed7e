"""What a section gives back, and the words for the machine it ran on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console

console = Console(width=150)


@dataclass
class Figure:
    """One measured figure: ``ratio`` to ``baseline`` (both of this run), and the ``aim`` it is held against.

    ``met`` is None where there is no aim.
    """

    name: str
    value: float
    unit: str
    baseline: str = ""
    baseline_value: float | None = None
    ratio: float | None = None
    aim: str = ""
    met: bool | None = None


@dataclass
class Section:
    """One section: what it asks, its sizes, its figures, and remarks that a reader needs to judge them."""

    name: str
    asks: str
    sizes: dict[str, Any] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    took_s: float = 0.0

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        than: tuple[str, float] | None = None,
        at_least: float | None = None,
        at_most: float | None = None,
        value_at_most: float | None = None,
    ) -> Figure:
        """Record a figure; ``than`` is (baseline's name, its value) and the ratio is value / baseline.

        ``at_least`` and ``at_most`` bind the ratio, ``value_at_most`` the value itself.
        """
        ratio = None if than is None else value / than[1]
        aim, met = "", None
        if at_least is not None and ratio is not None:
            aim, met = f"ratio ≥ {at_least:g}", ratio >= at_least
        elif at_most is not None and ratio is not None:
            aim, met = f"ratio ≤ {at_most:g}", ratio <= at_most
        elif value_at_most is not None:
            aim, met = f"≤ {value_at_most:g} {unit}", value <= value_at_most
        figure = Figure(
            name,
            value,
            unit,
            "" if than is None else than[0],
            None if than is None else than[1],
            ratio,
            aim,
            met,
        )
        self.figures.append(figure)
        return figure


@dataclass
class Watch:
    """Seconds that passed."""

    s: float = 0.0


@contextmanager
def timed() -> Iterator[Watch]:
    watch = Watch()
    began = perf_counter()
    yield watch
    watch.s = perf_counter() - began


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 1).__int__() - 1))]


def machine(folder: Path) -> dict[str, Any]:
    """Where this ran: processor, cores, memory, file system, versions."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        )
        if Path("/proc/cpuinfo").exists()
        else (),
        platform.processor(),
    )
    names = ("numpy", "numba", "pyarrow", "msgspec", "sqlalchemy", "duckdb", "fastapi", "uvicorn", "shapely")
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": [round(x, 2) for x in os.getloadavg()],
        "file_system": kind,
        "system": platform.platform(),
        "python": platform.python_version(),
        "cocket": importlib.import_module("cocket").__version__,
        **{name: importlib.metadata.version(name) for name in names},
    }
