"""The command that says in words what is wrong and what to do: of a data folder, of settings and the site they name, of a running server."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cocket.core.errors import BadSetting, CocketError

if TYPE_CHECKING:
    from cocket.core.config import Settings
    from cocket.store.finding import Finding

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add it to the one command."""
    text = (
        "say in words what is wrong with a data folder, a site, settings or a running server, and what to do"
    )
    command = commands.add_parser(
        "doctor",
        help=text,
        description=text[0].upper() + text[1:] + ". Changes nothing.",
        epilog="Exit codes: 0 nothing is wrong (notes may be), 1 something is, 2 bad usage.",
    )
    command.add_argument(
        "--data", type=Path, metavar="DIR", help="a data folder, and the machine that it is on"
    )
    command.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="a settings file, and the ports it names; where it has log.url, the whole site",
    )
    command.add_argument("--url", metavar="URL", help="a running server")
    command.add_argument("--json", action="store_true", help="print the findings as JSON")
    command.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from cocket.store.finding import Finding, report

    if args.data is None and args.settings is None and args.url is None:
        raise BadSetting("name what to look at: --data DIR, --settings FILE or --url URL, or several of them")
    found: list[Finding] = []
    url = ""
    running = args.url is not None or (args.data is not None and _open(args.data))
    if args.settings is not None:
        from cocket.core.config import load

        try:
            settings = load(args.settings)
        except BadSetting as error:
            found.append(
                Finding(
                    "warning", str(args.settings), error.detail, "correct it; docs/settings.md has every key"
                )
            )
        else:
            url = settings.store.url
            found += _settings(args.settings, settings)
            if settings.log.url and settings.store.url:
                from cocket.engine.site.doctor import check as check_site

                found += check_site(settings)
                running = running or _answers(settings)
            found += [] if running else _ports(settings)
    if args.data is not None:
        from cocket.store.doctor import check
        from cocket.store.surroundings import surroundings

        found += check(args.data, url)
        found += surroundings(args.data) if args.data.is_dir() else ()
    if args.url is not None:
        from cocket.checks.server import findings

        found += findings(args.url)
    return report(found, as_json=args.json)


def _open(path: Path) -> bool:
    """Whether a process has the folder open."""
    from filelock import FileLock, Timeout

    if not (path / "cocket.lock").exists():
        return False
    try:
        with FileLock(path / "cocket.lock").acquire(timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _answers(settings: Settings) -> bool:
    """Whether a door of the site runs on this machine."""
    try:
        with socket.create_connection((settings.http.host, settings.http.port), 1):
            return True
    except OSError:
        return False


# settings


def _settings(path: Path, settings: Settings) -> Iterator[Finding]:
    """What reads well and cannot work."""
    from cocket.gateway.listening import parse
    from cocket.store.finding import Finding
    from cocket.web.binding import check, tls_options

    where = str(path)
    for look in (lambda: check(settings, settings.http.host), lambda: tls_options(settings)):
        try:
            look()
        except BadSetting as error:
            yield Finding("warning", where, error.detail)
    for door in settings.gateway.listen:
        try:
            parse(door, settings.gateway.host or settings.http.host)
        except CocketError as error:
            yield Finding("warning", where, f"gateway.listen {door!r}: {error.detail}")
    for name, file in (
        ("detect.rules", settings.detect.rules),
        ("gateway.mappings", settings.gateway.mappings),
        ("gateway.tls_certificate", settings.gateway.tls_certificate),
        ("gateway.tls_key", settings.gateway.tls_key),
        ("gateway.tls_clients", settings.gateway.tls_clients),
    ):
        if file and not Path(file).exists():
            yield Finding("warning", where, f"{name} {file}: there is no such file", "correct the path")
    endpoint = settings.watching.otlp_endpoint
    if endpoint and not endpoint.startswith(("http://", "https://")):
        yield Finding(
            "warning",
            where,
            f"watching.otlp_endpoint {endpoint!r} is no http address",
            "as http://collector:4318/v1/traces",
        )
    if settings.ingest.group_rows > settings.ingest.queue_rows:
        yield Finding(
            "warning",
            where,
            f"ingest.group_rows {settings.ingest.group_rows} is more than ingest.queue_rows {settings.ingest.queue_rows}",
            "the group never fills; let the queue be ten times the group",
        )
    if settings.history.compact_rows > settings.ingest.max_lag_rows:
        yield Finding(
            "note",
            where,
            "history.compact_rows is more than ingest.max_lag_rows: the log grows long before it is moved",
        )


def _ports(settings: Settings) -> Iterator[Finding]:
    from cocket.gateway.listening import parse
    from cocket.store.finding import Finding

    wanted = [("the HTTP door", socket.SOCK_STREAM, settings.http.host, settings.http.port)]
    for text in settings.gateway.listen:
        try:
            door = parse(text, settings.gateway.host or settings.http.host)
        except CocketError:
            continue  # said already
        if door.kind in {"tcp", "tls", "udp"}:
            kind = socket.SOCK_DGRAM if door.kind == "udp" else socket.SOCK_STREAM
            wanted.append((f"the door {text}", kind, door.host, door.port))
    for name, kind, host, port in wanted:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, kind) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host, port))
            except OSError as error:
                yield Finding(
                    "warning",
                    f"port {port}",
                    f"{name} cannot listen on {host}: {error.strerror}",
                    f"see who does (ss -lntup 'sport = :{port}'), end it or take another port",
                )
