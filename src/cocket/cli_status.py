"""The command that shows a running server on one page of a terminal: once, or again and again."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from cocket.core.alerts import SEVERITIES
from cocket.core.errors import CocketError

if TYPE_CHECKING:
    from rich.console import RenderableType

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it

DEFAULT_URL: Final = "http://127.0.0.1:8460"
_EVERY_S: Final = 2.0
_NEWEST: Final = 5
_DOORS: Final = 8
_PARTITIONS: Final = 4
_COLOURS: Final = {"critical": "bold red", "high": "red", "warn": "yellow", "info": "blue"}
_GIB: Final = 1 << 30


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add it to the one command."""
    text = "show how a running server stands: rates, lag, alerts, doors, disk, and what it says is wrong with itself"
    command = commands.add_parser(
        "status",
        help=text,
        description=text[0].upper()
        + text[1:]
        + ". Where people sign in, an API token is taken from COCKET_TOKEN.",
        epilog="Exit codes: 0 it answered, 1 no server answers there, 2 bad usage.",
    )
    command.add_argument(
        "--url", default=DEFAULT_URL, metavar="URL", help=f"the server (default: {DEFAULT_URL})"
    )
    command.add_argument("--json", action="store_true", help="print the figures as JSON")
    command.add_argument("--watch", action="store_true", help="show it anew every two seconds, until Ctrl-C")
    command.set_defaults(run=_status)


def _status(args: argparse.Namespace) -> int:
    if args.json:
        while True:
            print(json.dumps(figures(args.url), indent=None if args.watch else 2), flush=True)  # noqa: T201 - the output
            if not args.watch:
                return 0
            time.sleep(_EVERY_S)
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 80)
    if not args.watch:
        console.print(page(figures(args.url)))
        return 0
    from rich.live import Live

    with Live(
        page(figures(args.url)), console=console, auto_refresh=False, screen=console.is_terminal
    ) as live:
        while True:
            time.sleep(_EVERY_S)
            try:
                shown = page(figures(args.url))
            except (
                CocketError
            ) as error:  # it may be starting anew: its absence is shown, not the end of watching
                from rich.text import Text

                shown = Text(str(error), style="bold red")
            live.update(shown, refresh=True)


def figures(url: str) -> dict[str, Any]:
    """All that is shown, as JSON values. Raises ``CocketError`` where no server answers."""
    from prometheus_client.parser import text_string_to_metric_families

    from cocket.checks.server import asked

    health = asked(url, "/health")
    if not isinstance(health, dict) or "version" not in health:
        raise CocketError(f"what answers at {url} is no Cocket; name another --url")
    stats, gateway, site = asked(url, "/stats"), asked(url, "/gateway"), _site(url)
    newest = asked(url, f"/alerts?open=true&order=newest&limit={_NEWEST}")["items"]
    samples: dict[str, float] = {}
    severity: dict[str, int] = {}
    connections: dict[str, int] = {}
    for family in text_string_to_metric_families(asked(url, "/metrics")):
        for one in family.samples:
            if one.name == "cocket_open_alerts_by_severity":
                severity[one.labels["severity"]] = int(one.value)
            elif one.name == "cocket_connections":
                connections[one.labels["protocol"]] = int(one.value)
            elif not one.labels:
                samples[one.name] = one.value
    count = samples.get("cocket_receipt_to_alert_seconds_count", 0)
    return {
        "url": url,
        "version": health["version"],
        "status": health["status"],
        "now": health["now"],
        "alarms": health.get("alarms", []),
        "rate_per_s": stats["rate_per_s"],
        "observations": stats["observations"],
        "duplicates": stats["duplicates"],
        "rejected": stats["rejected"],
        "quarantine": int(samples.get("cocket_quarantine_rows", 0)),
        "lag_observations": stats["lag_observations"],
        "lag_s": round(samples.get("cocket_lag_seconds", 0.0), 1),
        "to_alert_s": round(samples["cocket_receipt_to_alert_seconds_sum"] / count, 3) if count else None,
        "movements": stats["movements"],
        "devices": stats["devices"],
        "open_alerts": {s: severity.get(s, 0) for s in reversed(SEVERITIES)},
        "newest": newest,
        "site": site,
        "doors": gateway["doors"],
        "connections": gateway["connections"],
        "connections_by_protocol": connections,
        "frames": gateway["frames"],
        "disk_free_bytes": int(samples.get("cocket_disk_free_bytes", 0)),
        "disk_size_bytes": int(samples.get("cocket_disk_size_bytes", 0)),
        "log_bytes": int(samples.get("cocket_log_bytes", 0)),
        "history_bytes": int(samples.get("cocket_history_bytes", 0)),
        "history_files": int(samples.get("cocket_history_files", 0)),
        "memory_bytes": int(samples.get("process_resident_memory_bytes", 0)),
        "stream_clients": int(samples.get("cocket_stream_clients", 0)),
    }


def _site(url: str) -> dict[str, Any] | None:
    """Who has which partition; None on one machine."""
    from cocket.checks.server import asked
    from cocket.core.errors import NotFound

    try:
        found: dict[str, Any] = asked(url, "/site")
    except NotFound:
        return None
    return found


def page(f: dict[str, Any]) -> RenderableType:
    """The figures as a page that fits 80 columns."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from cocket.core.logs import safe

    good = f["status"] == "ok" and not f["alarms"]
    head = Text.assemble(
        ("Cocket ", "bold"),
        f"{f['version']}  {f['url']}  {f['now'][:19].replace('T', ' ')}Z  ",
        ("all is well", "green") if good else (f"{len(f['alarms']) or 1} wrong, see below", "bold red"),
    )
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")

    def row(name: str, *parts: str | tuple[str, str]) -> None:
        table.add_row(name, Text.assemble(*parts))

    row(
        "coming in",
        f"{f['rate_per_s']:,.1f}/s; {f['observations']:,} stored, {f['duplicates']:,} repeats, {f['rejected']:,} refused",
    )
    late = f["lag_s"] > 5
    wait = f", the oldest for {f['lag_s']:g} s" if f["lag_observations"] and f["lag_s"] else ""
    row("not yet detected", (f"{f['lag_observations']:,}{wait}", "bold yellow" if late else ""))
    if f["to_alert_s"] is not None:
        row("receipt to alert", f"{f['to_alert_s']:g} s in the mean")
    row("quarantine", f"{f['quarantine']:,} rows wait")
    alerts: list[str | tuple[str, str]] = []
    for severity, n in f["open_alerts"].items():
        alerts += [(f"{n} {severity}", _COLOURS[severity] if n else "dim"), "  "]
    row("open alerts", *alerts)
    row("declared", f"{f['movements']:,} movements, {f['devices']:,} devices")
    row(
        "disk",
        f"{f['disk_free_bytes'] / _GIB:,.1f} of {f['disk_size_bytes'] / _GIB:,.1f} GiB free; "
        f"log {_size(f['log_bytes'])}, history {_size(f['history_bytes'])}",
    )
    row("memory", f"{_size(f['memory_bytes'])}; {f['stream_clients']} screens are following")
    parts: list[RenderableType] = [head, table]
    parts += _partitions(f.get("site"))
    parts += [Text(line) for line in _doors(f)]
    if f["newest"]:
        parts.append(Text("newest open alerts", style="bold"))
        for a in f["newest"]:
            when = a["raised_at"][11:19]
            line = Text.assemble(
                f"  {when} ",
                (f"{a['severity']:9}", _COLOURS[a["severity"]]),
                f"{a['code']}  {safe(a['device_id'])}",
            )
            line.append(f"  {safe(a['mrn'])}" if a["mrn"] else "")
            line.truncate(79, overflow="ellipsis")
            parts.append(line)
    for alarm in f["alarms"]:
        parts.append(
            Text(f"{alarm['code']} since {alarm['since'][:19].replace('T', ' ')}Z", style="bold red")
        )
        parts.append(Text(f"  {safe(alarm['detail'])}"))
        parts.append(Text(f"  → {safe(alarm['do'])}"))
    return Group(*parts)


def _partitions(site: dict[str, Any] | None) -> list[RenderableType]:
    """A line for each worker with its partitions and what waits in them, then what is wrong with any."""
    from rich.text import Text

    from cocket.core.logs import safe

    if site is None:
        return []
    lines: list[RenderableType] = [
        Text(f"site {site['site']}: {len(site['partitions'])} partitions, {len(site['workers'])} workers")
    ]
    by: dict[str | None, list[dict[str, Any]]] = {w["id"]: [] for w in site["workers"]}
    for partition in site["partitions"]:
        by.setdefault(partition["worker"], []).append(partition)
    for worker, has in sorted(by.items(), key=lambda one: (one[0] is None, one[0] or "")):
        lag = sum(max(0, p["lag_observations"]) for p in has)
        numbers = _runs([p["partition"] for p in has]) or "none"
        text = f"  {safe(worker) if worker else 'no worker'}: {numbers}; {lag:,} not yet detected"
        lines.append(Text(text, style="" if worker else "bold red"))
        behind = [p for p in has if p["lag_observations"]]
        for p in sorted(behind, key=lambda p: -p["lag_observations"])[:_PARTITIONS]:
            waits = (
                f"{p['lag_observations']:,} wait"
                if p["lag_observations"] > 0
                else "its worker does not answer"
            )
            lines.append(Text(f"    partition {p['partition']}: {waits}"))
    lines += [
        Text(f"  partition {p['partition']}: {safe(p['failure'])}", style="bold red")
        for p in site["partitions"]
        if p["failure"]
    ]
    return lines


def _runs(numbers: list[int]) -> str:
    """0, 1, 2, 5 as 0-2, 5."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in runs)


def _doors(f: dict[str, Any]) -> list[str]:
    if not f["doors"]:
        return ["no doors for devices are open (`cocket serve --listen …`); HTTP is"]
    lines = [f"doors: {f['connections']:,} connections"]
    for door in f["doors"][:_DOORS]:
        protocol = door.split()[-1]
        outcomes = f["frames"].get(protocol, {})
        read = ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(outcomes.items()))
        n = f["connections_by_protocol"].get(protocol, 0)
        lines.append(f"  {door}: {n:,} connected" + (f"; frames {read}" if read else ""))
    if len(f["doors"]) > _DOORS:
        lines.append(f"  and {len(f['doors']) - _DOORS} more")
    return lines


def _size(n: int) -> str:
    return f"{n / _GIB:.1f} GiB" if n >= _GIB else f"{n / (1 << 20):.1f} MiB"
