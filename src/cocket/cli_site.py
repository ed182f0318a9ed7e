"""Subcommands of a site past one machine: ``work``, ``up``, ``repartition``."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to ``cocket``."""
    _add_work(commands)
    _add_up(commands)
    _add_repartition(commands)


def _settings_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        required=True,
        help="settings file, TOML, with store.url and log.url",
    )


def _add_work(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "run a worker of a site: it takes partitions, detects, and hands over when it ends"
    command = commands.add_parser("work", help=text, description=text[0].upper() + text[1:] + ".")
    _settings_option(command)
    command.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=Path("data"),
        help="where history files are written aside (default: ./data)",
    )
    command.add_argument(
        "--port", type=int, help="port of its figures (default: watching.worker_port); 0 takes a free one"
    )
    command.set_defaults(run=_work)


def _add_up(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "start a whole production set on this machine, to try it: PostgreSQL, NATS, workers, web"
    command = commands.add_parser("up", help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("--workers", type=int, default=2, metavar="N", help="workers (default: 2)")
    command.add_argument("--nodes", type=int, choices=(1, 3), default=3, help="NATS servers (default: 3)")
    command.add_argument(
        "--partitions", type=int, default=8, help="partitions of a new site, a power of two (default: 8)"
    )
    command.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=Path("site"),
        help="where everything is kept (default: ./site); made if missing",
    )
    command.add_argument("--port", type=int, default=8460, help="port of the web door, 0 takes a free one")
    command.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="DOOR",
        help="a door for devices, as of `cocket serve`; `mqtt` is the NATS servers' own",
    )
    command.add_argument("--settings", type=Path, metavar="FILE", help="settings to begin with, TOML")
    command.set_defaults(run=_up)


def _add_repartition(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "give a site another number of partitions, while no worker runs"
    command = commands.add_parser("repartition", help=text, description=text[0].upper() + text[1:] + ".")
    _settings_option(command)
    command.add_argument("--partitions", type=int, required=True, help="a power of two from 1 to 1024")
    command.add_argument("--data", type=Path, metavar="DIR", default=Path("data"), help=argparse.SUPPRESS)
    command.set_defaults(run=_repartition)


def _work(args: argparse.Namespace) -> int:
    from cocket.core.config import load, overridden
    from cocket.engine.site.work import work

    return work(overridden(load(args.settings), watching={"worker_port": args.port}), args.data)


def _up(args: argparse.Namespace) -> int:
    from cocket.up import Wanted, up

    return up(
        Wanted(
            args.data, args.workers, args.nodes, args.partitions, args.port, tuple(args.listen), args.settings
        )
    )


def _repartition(args: argparse.Namespace) -> int:
    from cocket.core.config import load
    from cocket.engine.site.repartition import repartition

    return repartition(load(args.settings), args.partitions, args.data)
