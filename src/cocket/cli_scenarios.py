"""The command for scenarios of the field: scenario."""

from __future__ import annotations

import argparse
from pathlib import Path

from cocket.core.errors import BadSetting

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add it to the one command."""
    text = "play a system of the field end to end on a server of its own, with its failing twins"
    command = commands.add_parser(
        "scenario",
        help=text,
        description=text[0].upper()
        + text[1:]
        + ". Devices, offices and papers in it are simulated; the machine is real.",
        epilog="Exit codes: 0 everything was as it should be, 1 an expectation failed (it is named, with what was expected and "
        "what came), 2 bad usage.",
    )
    command.add_argument("ids", nargs="*", metavar="ID", help="which; more than one are played on one server")
    command.add_argument("--list", action="store_true", help="name the scenarios and end")
    command.add_argument("--all", action="store_true", help="play them all")
    only = command.add_mutually_exclusive_group()
    only.add_argument("--twin", action="store_true", help="play the failing twins only")
    only.add_argument("--no-twin", action="store_true", help="play the scenario without its twins")
    command.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the data folder here; it has to be empty"
    )
    end = command.add_mutually_exclusive_group()
    end.add_argument("--json", action="store_true", help="print what happened as JSON instead")
    end.add_argument(
        "--show", action="store_true", help="keep the server running, and print which page to look at"
    )
    command.set_defaults(run=_scenario)


def _scenario(args: argparse.Namespace) -> int:
    from cocket.scenarios.catalogue import IDS, scenario
    from cocket.scenarios.running import Run

    if args.list:
        for name in IDS:
            print(f"{name:18}{scenario(name).title}")  # noqa: T201 - the command's output
        return 0
    ids = list(IDS) if args.all else args.ids
    if not ids:
        raise BadSetting("name a scenario, or --all; `cocket scenario --list` names them")
    run = Run(
        [scenario(name) for name in ids],
        scene=not args.twin,
        twins=not args.no_twin,
        keep=args.keep,
        as_json=args.json,
        show=args.show,
        say=_say,
    )
    return 0 if run.all() else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output
