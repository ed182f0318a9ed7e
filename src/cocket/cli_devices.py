"""The commands for devices' protocols: decode, simulate, conform, new-decoder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cocket.core.errors import BadSetting

if TYPE_CHECKING:
    from cocket.sim.swarm import Plan

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add them to the one command."""
    _add_decode(commands)
    _add_simulate(commands)
    _add_conform(commands)
    text = "begin a decoder: its file, its folder of vectors and its page"
    command = commands.add_parser("new-decoder", help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("name", metavar="NAME", help="small letters and digits")
    command.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="a checkout of Cocket (default: here)"
    )
    command.set_defaults(run=_new_decoder)


def _add_decode(commands: Commands[argparse.ArgumentParser]) -> None:
    text = "read frames of a device protocol and print what they say, one JSON object a frame"
    command = commands.add_parser(
        "decode",
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog="Exit codes: 0 every frame was read, 1 some were rejected (each is named), 2 bad usage.",
    )
    command.add_argument("protocol", nargs="?", metavar="PROTOCOL", help="its name; --list names them all")
    command.add_argument(
        "file",
        nargs="?",
        default="-",
        metavar="FILE",
        help="a frame a line, as hexadecimal bytes (default: -, standard input)",
    )
    command.add_argument("--text", action="store_true", help="lines are frames of text, not hexadecimal")
    command.add_argument(
        "--mapping", action="store_true", help="PROTOCOL is a mapping: its file, or the name of a shipped one"
    )
    command.add_argument("--list", action="store_true", help="name the protocols and end")
    command.set_defaults(run=_decode)


def _add_simulate(commands: Commands[argparse.ArgumentParser]) -> None:
    text = "simulate devices: real frames of their protocol, to a server or as lines"
    command = commands.add_parser("simulate", help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("protocol", metavar="PROTOCOL", help="one, or several with commas between")
    command.add_argument("--devices", type=_whole, default=1, metavar="N", help="how many (default: 1)")
    command.add_argument(
        "--to", metavar="HOST:PORT", help="connect there over TCP; without it frames are printed, a line each"
    )
    command.add_argument(
        "--reports",
        type=_whole,
        default=10,
        metavar="N",
        help="reports of each device to print (default: 10)",
    )
    command.add_argument("--text", action="store_true", help="print frames as text, not hexadecimal")
    command.add_argument(
        "--for", type=_positive, default=60.0, dest="for_s", metavar="SECONDS", help="(default: 60)"
    )
    command.add_argument(
        "--interval",
        type=_positive,
        default=10.0,
        metavar="SECONDS",
        help="between two reports (default: 10)",
    )
    command.add_argument(
        "--outages",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="of the devices off the network at any time, 0 to 1",
    )
    command.add_argument(
        "--outage", type=_positive, default=10.0, metavar="SECONDS", help="length of one (default: 10)"
    )
    command.add_argument(
        "--jam", type=_share, default=0.0, metavar="SHARE", help="chance of jamming at a report"
    )
    command.add_argument(
        "--drift", type=_seconds, default=0.0, metavar="SECONDS", help="clocks are off by up to so much"
    )
    command.add_argument(
        "--lock-events",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="chance at a report that the lock is worked",
    )
    command.add_argument(
        "--answer",
        type=_positive,
        default=10.0,
        metavar="SECONDS",
        help="wait so long for an answer (default: 10)",
    )
    command.add_argument(
        "--seed", type=_whole, default=1, metavar="N", help="the same seed, the same journeys"
    )
    command.add_argument("--json", action="store_true", help="end by printing what happened as JSON")
    command.set_defaults(run=_simulate)


def _add_conform(commands: Commands[argparse.ArgumentParser]) -> None:
    text = "check a maker's device against the checklist and write a type-approval report"
    command = commands.add_parser(
        "conform",
        help=text,
        description=text[0].upper()
        + text[1:]
        + ". Point the device at this address; the kit says what to do.",
        epilog="Exit codes: 0 it may be approved, 1 it may not (the report says why), 2 bad usage.",
    )
    command.add_argument("protocol", metavar="PROTOCOL", help="what the device speaks")
    command.add_argument("--port", type=_port, required=True, help="port to listen on; 0 takes a free one")
    command.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")  # noqa: S104 - devices come from outside
    command.add_argument(
        "--for",
        type=_positive,
        default=60.0,
        dest="for_s",
        metavar="SECONDS",
        help="ordinary work (default: 60)",
    )
    command.add_argument(
        "--wait",
        type=_positive,
        default=90.0,
        metavar="SECONDS",
        help="for a repeat, and for kept reports (default: 90)",
    )
    command.add_argument(
        "--outage", type=_positive, default=60.0, metavar="SECONDS", help="without a server (default: 60)"
    )
    command.add_argument(
        "--report",
        type=Path,
        metavar="PATH",
        help="write PATH.json and PATH.html (default: conform-PROTOCOL)",
    )
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    command.set_defaults(run=_conform)


def _decode(args: argparse.Namespace) -> int:
    from cocket.checks import decode

    if args.list:
        return decode.list_protocols()
    if args.protocol is None:
        raise BadSetting(
            "which protocol? `cocket decode --list` names them; then `cocket decode PROTOCOL FILE`"
        )
    return decode.decode_file(args.protocol, args.file, text=args.text, mapping=args.mapping)


def _simulate(args: argparse.Namespace) -> int:
    from cocket.sim import simulate
    from cocket.sim.swarm import Plan
    from cocket.sim.vehicle import Troubles

    plan: Plan = Plan(
        args.interval,
        args.outages,
        args.outage,
        args.answer,
        Troubles(args.jam, args.drift, args.lock_events),
        args.seed,
    )
    if args.to is None:
        return simulate.print_frames(args.protocol, args.devices, args.reports, plan, text=args.text)
    return simulate.simulate(args.protocol, args.devices, args.to, plan, args.for_s, as_json=args.json)


def _conform(args: argparse.Namespace) -> int:
    from cocket.checks.conform import Times, conform

    report = args.report or Path(f"conform-{args.protocol}")
    return conform(
        args.protocol,
        args.host,
        args.port,
        Times(args.for_s, args.wait, args.outage),
        report,
        as_json=args.json,
    )


def _new_decoder(args: argparse.Namespace) -> int:
    from cocket.checks.begin import new_decoder

    for path in new_decoder(args.name, args.root):
        print(path)  # noqa: T201 - the command's output
    return 0


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")


def _whole(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= 1_000_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 1000000")


def _number(text: str, lo: float, hi: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if lo <= value <= hi:
        return value
    raise argparse.ArgumentTypeError(f"{text!r} is no {what}")


def _positive(text: str) -> float:
    return _number(text, 1e-3, 1e9, "number of seconds")


def _seconds(text: str) -> float:
    return _number(text, 0, 1e9, "number of seconds")


def _share(text: str) -> float:
    return _number(text, 0, 1, "share from 0 to 1")
