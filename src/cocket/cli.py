"""The one command.

Exit codes: 0 good, 1 problems were found (they are printed), 2 bad usage. Heavy imports wait until a subcommand
needs them, so that ``cocket --help`` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cocket import (
    __version__,
    cli_access,
    cli_backup,
    cli_codes,
    cli_devices,
    cli_doctor,
    cli_packs,
    cli_privacy,
    cli_scenarios,
    cli_site,
    cli_status,
)
from cocket.core import allocator
from cocket.core.errors import BadSetting, CocketError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cocket.core.config import Settings

GOOD, PROBLEMS, USAGE = 0, 1, 2
DEFAULT_URL = "http://127.0.0.1:8460"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and give its exit code."""
    args = _parser().parse_args(argv)
    allocator.bound()
    try:
        code: int = args.run(args)
    except BadSetting as error:
        return _say(error, USAGE)
    except CocketError as error:
        return _say(error, PROBLEMS)
    except KeyboardInterrupt:
        return GOOD
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; nothing is left to say
        return GOOD
    return code


def _say(error: CocketError, code: int) -> int:
    print(f"cocket: {error}", file=sys.stderr)
    for fault in error.faults:
        print(f"  {fault.path}: {fault.detail} ({fault.rule})", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cocket",
        description="The open platform for the Internet of Things in customs.",
        epilog="Exit codes: 0 good, 1 found problems, 2 bad usage. `cocket COMMAND --help` tells more.",
    )
    parser.add_argument("--version", action="version", version=f"cocket {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_demo(commands)
    _add_replay(commands)
    _add_backtest(commands)
    _add_rules(commands)
    cli_access.add(commands)
    cli_devices.add(commands)
    cli_backup.add(commands)
    cli_codes.add(commands)
    cli_packs.add(commands)
    cli_privacy.add(commands)
    cli_scenarios.add(commands)
    cli_site.add(commands)
    cli_doctor.add(commands)
    cli_status.add(commands)
    _add_verify(commands)
    return parser


def _add_verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "check every checksum of a data folder, or of a site"
    command = commands.add_parser("verify", help=text, description=text[0].upper() + text[1:] + ".")
    place = command.add_mutually_exclusive_group(required=True)
    place.add_argument("--data", type=Path, metavar="DIR", help="the data folder")
    place.add_argument(
        "--settings", type=Path, metavar="FILE", help="settings of a site, TOML, with store.url and log.url"
    )
    command.add_argument("--json", action="store_true", help="print the findings as JSON")
    command.set_defaults(run=_verify)


def _data_option(command: argparse.ArgumentParser, *, required: bool = False) -> None:
    command.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        required=required,
        default=None if required else Path("data"),
        help="the data folder" + ("" if required else " (default: ./data); made if missing"),
    )


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "run Cocket: HTTP door, pipeline, control room"
    command = commands.add_parser("serve", help=text, description=text[0].upper() + text[1:] + ".")
    _data_option(command)
    command.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=_port, help="port to listen on, 0 takes a free one (default: 8460)")
    command.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="DOOR",
        help="a door for devices, more than once: tcp:5023=gt06, tcp:5000 (recognises the protocol), udp:5027=teltonika, "
        "tls:…, mqtt, mqtt://broker:1883, folder:DIR=PROTOCOL, connect:HOST:PORT=PROTOCOL",
    )
    command.add_argument("--settings", type=Path, metavar="FILE", help="settings file, TOML")
    command.add_argument("--rules", metavar="FILE", help="rules file, TOML, taken over at start and recorded")
    command.add_argument(
        "--clock",
        choices=("wall", "replay"),
        default="wall",
        help="replay: simulated time for demos and training",
    )
    command.add_argument("--origin", metavar="TIME", help="RFC 3339 time at which a replay clock starts")
    command.add_argument(
        "--speed", type=_positive, default=1.0, help="how many times faster a replay clock runs"
    )
    command.add_argument("--demo", action="store_true", help=argparse.SUPPRESS)
    command.set_defaults(run=_serve)


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "show the whole machine at work on real tracks, with simulated seals, declarations and incidents"
    command = commands.add_parser("demo", help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument(
        "--for", type=_positive, dest="for_s", metavar="SECONDS", help="end by itself after so long"
    )
    command.add_argument("--json", action="store_true", help="end by printing the confusion table as JSON")
    command.add_argument(
        "--data", type=Path, metavar="DIR", help="keep the data here (default: a temporary folder)"
    )
    command.add_argument(
        "--port", type=_port, default=8460, help="port to listen on; a free one if it is taken"
    )
    command.set_defaults(run=_demo)


def _add_replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "send a file of observations (CSV, NDJSON, Parquet) to a running Cocket"
    command = commands.add_parser("replay", help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument(
        "--mapping", metavar="M.toml", help="what the columns mean: a file, or the name of a shipped mapping"
    )
    command.add_argument("--speed", type=_positive, help="pace by event time, so many times faster than life")
    command.add_argument(
        "--to", default=DEFAULT_URL, metavar="URL", help=f"where to (default: {DEFAULT_URL})"
    )
    command.add_argument("--json", action="store_true", help="end by printing the tally as JSON")
    command.set_defaults(run=_replay)


def _add_backtest(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "re-run history under other rules and tell what would change"
    command = commands.add_parser("backtest", help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("--rules", type=Path, required=True, metavar="NEW.toml", help="the rules to try")
    command.add_argument(
        "--since", metavar="TIME", help="only journeys that were under way at or after this time"
    )
    _data_option(command)
    command.add_argument("--json", action="store_true", help="print the table as JSON")
    command.set_defaults(run=_backtest)


def _add_rules(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "print every detector's settings with their defaults as a rules file, or check one"
    command = commands.add_parser("rules", help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("--check", type=Path, metavar="FILE", help="check this file instead")
    command.set_defaults(run=_rules)


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0 < value < float("inf"):
        return value
    raise argparse.ArgumentTypeError(f"{text!r} is no positive number")


def _moment(text: str, flag: str) -> int:
    from cocket.core.clock import parse_rfc3339

    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise BadSetting(
            f"{flag} {text!r} is no RFC 3339 time such as 2026-11-22T08:30:00Z ({error})"
        ) from error


def _settings(args: argparse.Namespace) -> Settings:
    from cocket.core.config import load, overridden

    return overridden(
        load(args.settings), http={"host": args.host, "port": args.port}, detect={"rules": args.rules}
    )


def _serve(args: argparse.Namespace) -> int:
    from cocket.core.clock import Clock, ReplayClock, WallClock
    from cocket.core.logs import configure
    from cocket.engine.service import Service
    from cocket.engine.warm import warm_up
    from cocket.web.binding import check
    from cocket.web.server import run

    if (args.clock == "replay") != bool(args.origin):
        raise BadSetting("--clock replay and --origin TIME go together")
    settings = _settings(args)
    check(settings, settings.http.host, demo=args.demo)  # before minutes of work
    configure(settings.watching)
    clock: Clock = WallClock()
    if args.clock == "replay":
        clock = ReplayClock(_moment(args.origin, "--origin"), args.speed, held=args.demo)
    warm_up()
    with Service.open(args.data, clock, settings) as service:
        run(service, settings, settings.http.host, settings.http.port, doors=args.listen, demo=args.demo)
    return GOOD


def _demo(args: argparse.Namespace) -> int:
    from cocket.sim.demo import run_demo

    return run_demo(for_s=args.for_s, as_json=args.json, data=args.data, port=args.port)


def _replay(args: argparse.Namespace) -> int:
    from cocket.sources.replay import replay

    return replay(args.file, mapping=args.mapping, speed=args.speed, to=args.to, as_json=args.json)


def _backtest(args: argparse.Namespace) -> int:
    from cocket.engine.backtest import backtest

    since = None if args.since is None else _moment(args.since, "--since")
    return backtest(args.data, args.rules, since_us=since, as_json=args.json)


def _rules(args: argparse.Namespace) -> int:
    from cocket.core.rules import as_toml, load
    from cocket.pipeline import DETECTORS

    if args.check is None:
        print(as_toml(DETECTORS), end="")
        return GOOD
    load(args.check, DETECTORS)
    print(f"{args.check}: good")
    return GOOD


def _verify(args: argparse.Namespace) -> int:
    from cocket.customs.verify import verify as verify_file
    from cocket.store.doctor import report, verify

    if args.settings is not None:
        from cocket.core.config import load
        from cocket.engine.site.doctor import verify as verify_site

        settings = load(args.settings)
        if not settings.log.url or not settings.store.url:
            raise BadSetting(
                f"--settings {args.settings}: a site needs store.url and log.url; for a data folder use --data"
            )
        return report(verify_site(settings), as_json=args.json)
    return report([*verify(args.data), *verify_file(args.data)], as_json=args.json)
