"""Writes the generated pages of docs/: `make docs`. tests/docs checks that they are as this would write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from cocket.core.config import Settings
from cocket.customs.machines.alert import ALERT
from cocket.customs.machines.guarantee import GUARANTEE
from cocket.customs.machines.movement import MOVEMENT
from cocket.customs.machines.seal import SEAL
from cocket.customs.machines.table import STAY, Machine
from cocket.decoders import protocols
from cocket.web.rights.page import rights_page

HERE = Path(__file__).resolve().parent


def settings_page() -> str:
    """docs/settings.md from core/config.py."""
    out = [
        "# Settings",
        "",
        "Written by `make docs` from `src/cocket/core/config.py`; do not edit.",
        "",
        "`cocket serve --settings FILE` reads TOML; a flag wins over the file, the file over the default. A key that is",
        "not listed here is refused. Thresholds of detectors are not settings but rules: `cocket rules` prints them all,",
        "`cocket serve --rules FILE` or `PUT /api/v1/rules` changes them, and the change is recorded.",
    ]
    for section in msgspec.structs.fields(Settings):
        kind: Any = section.type
        out += [
            "",
            f"## [{section.name}]",
            "",
            (kind.__doc__ or "").strip(),
            "",
            "| key | default | meaning |",
            "|---|---|---|",
        ]
        hints = get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            meta = [m for m in _metas(hints[field.name]) if m.description]
            default = '""' if field.default == "" else str(field.default)
            out.append(f"| `{field.name}` | `{default}` | {meta[-1].description} |")
    return "\n".join(out) + "\n"


def _metas(hint: Any) -> list[Any]:
    return [a for a in get_args(hint)[1:] if isinstance(a, msgspec.Meta)]


_FAMILIES = {
    "seal": "E-seals and locks",
    "tracker": "Trackers",
    "ship": "Ships",
    "reader": "Readers",
    "sensor": "Sensors, and what others forward",
}


def devices_page() -> str:
    """docs/devices/README.md from the decoders."""
    out = [
        "# Devices",
        "",
        "Written by `make docs` from `src/cocket/decoders`; do not edit.",
        "",
        "What Cocket understands by itself; how devices reach it is told in [the gateway](../gateway.md). Everything else arrives",
        "through a [mapping](../mappings.md), or through a [Traccar](traccar.md) server. Where captured frames are read otherwise than",
        "by Traccar, [it is said](disagreements.md).",
    ]
    for family, title in _FAMILIES.items():
        out += [
            "",
            f"## {title}",
            "",
            "| protocol | spoken by | doors | commands | document |",
            "|---|---|---|---|---|",
        ]
        for p in protocols():
            if p.family == family:
                commands = ", ".join(sorted(p.commands)) or "–"
                doors = ", ".join(p.doors) + (f" ({p.port})" if p.port else "")
                out.append(f"| [`{p.name}`]({p.name}.md) | {p.title} | {doors} | {commands} | {p.document} |")
    return "\n".join(out) + "\n"


_WORDS = {
    "movement": "A transit from its draft to its discharge, or to the debt.",
    "seal": "A seal from stock to its return, on one open movement at a time.",
    "guarantee": "What is set aside of a guarantee for one movement.",
    "alert": "What people do with an alert. An event is named after the state that it leads to.",
}


def machines_page() -> str:
    """docs/customs/machines.md from the tables in customs/machines."""
    out = [
        "# The four machines",
        "",
        "Written by `make docs` from `src/cocket/customs/machines`; do not edit.",
        "",
        "What is not in these tables is refused with the state, the event and what is allowed. What a transition needs beside the",
        "state, and how late events are placed, is told in [the customs file](README.md).",
    ]
    for machine in (MOVEMENT, SEAL, GUARANTEE, ALERT):
        out += [
            "",
            f"## {machine.name.capitalize()}",
            "",
            _WORDS[machine.name],
            "",
            "```mermaid",
            "stateDiagram-v2",
        ]
        names = {s: s.replace("-", "_") for s in machine.states}
        out += [f'    state "{s}" as {n}' for s, n in names.items() if s != n]
        out.append(f"    [*] --> {names[machine.initial]}")
        lines: dict[tuple[str, str], list[str]] = {}
        for source, event, target in machine.edges():
            if source != target:
                lines.setdefault((names[source], names[target]), []).append(event)
        out += [f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in lines.items()]
        out += [f"    {names[s]} --> [*]" for s in machine.final]
        out += ["```", "", "| event | from | to | what it means |", "|---|---|---|---|"]
        for t in machine.transitions:
            target = "the same" if t.target == STAY else t.target
            out.append(f"| `{t.event}` | {_sources(t.sources, machine)} | {target} | {t.effect} |")
    return "\n".join(out) + "\n"


def _sources(sources: tuple[str, ...], machine: Machine) -> str:
    return "any" if sources == machine.states else ", ".join(sources)


def metrics_page() -> str:
    """docs/metrics.md from what a server exports."""
    import tempfile

    from prometheus_client.metrics import MetricWrapperBase

    from cocket.core.clock import WallClock
    from cocket.engine.figures import Figures
    from cocket.engine.service import Service
    from cocket.engine.site import worker_figures
    from cocket.gateway.gateway import Gateway
    from cocket.web.metrics import families
    from cocket.web.stream import Streams

    out = [
        "# Metrics",
        "",
        "Written by `make docs` from `src/cocket/web/metrics.py` and `src/cocket/engine/figures.py`; do not edit.",
        "",
        "`GET /metrics` gives them in the Prometheus text format. Counters end in `_total`; of a histogram there are `_bucket`, `_sum`",
        "and `_count`. No label holds a device, an equipment or a movement. What they are for is told in [watching](watching.md).",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    shown: set[str] = set()

    def lines(found: list[Any], labels: dict[str, Any]) -> None:
        for family in found:
            name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
            names = labels.get(family.name) or getattr(family, "_labelnames", ()) or ()
            if family.type == "info":
                names = family.samples[0].labels
            new = family.name not in shown or getattr(family, "_labelnames", ())
            if family.name.startswith("cocket_") and new:
                words = ", ".join(f"`{n}`" for n in names) or "–"
                out.append(f"| `{name}` | {family.type} | {words} | {family.documentation} |")
            shown.add(family.name)

    with tempfile.TemporaryDirectory() as folder, Service.open(Path(folder), WallClock()) as service:
        instruments = [i for i in vars(service.figures).values() if isinstance(i, MetricWrapperBase)]
        labels = {i._name: i._labelnames for i in instruments}  # noqa: SLF001 - it has no public name
        lines(families(service, Gateway(service), Streams(service)), labels)
    out += [
        "",
        "Each worker of a site tells these at a port of its own ([watching](watching.md)), beside the counts and times of commits, steps and",
        "re-runs above, which are of all its partitions together:",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    lines(worker_figures.families([], Figures()), {})
    out += [
        "",
        "Beside these are those of the process that Prometheus' own client knows on Linux: `process_resident_memory_bytes`,",
        "`process_cpu_seconds_total`, `process_open_fds`, `process_max_fds`, `process_virtual_memory_bytes`, `process_start_time_seconds`.",
    ]
    return "\n".join(out) + "\n"


PAGES = {
    "metrics.md": metrics_page,
    "settings.md": settings_page,
    "devices/README.md": devices_page,
    "customs/machines.md": machines_page,
    "rights.md": rights_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
