"""The commands for people's rights: audit, retention, person-export. They work beside a running server, and without one."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cocket import cli_stores
from cocket.core.errors import BadSetting, CocketError

if TYPE_CHECKING:
    from cocket.core.principal import Principal
    from cocket.store.audit import Found

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add them to the one command."""
    _add_audit(commands)
    _add_retention(commands)
    _add_person(commands)


def _add_audit(commands: Commands[argparse.ArgumentParser]) -> None:
    text = "who read personal data and who changed what: write it out, or check its chain of hashes"
    command = commands.add_parser("audit", help=text, description=text[0].upper() + text[1:] + ".")
    parts = command.add_subparsers(title="what", metavar="WHAT", required=True)
    export = parts.add_parser("export", help="every entry, one a line, as JSON (NDJSON)")
    cli_stores.options(export)
    export.set_defaults(run=_audit_export)
    checks = parts.add_parser(
        "check",
        help="check the chain, offline",
        description="Check the chain of a data folder, of a store in PostgreSQL (--settings), or of a file that "
        "`cocket audit export` wrote.",
        epilog="Exit codes: 0 whole, 1 not (it names the first broken entry), 2 bad usage.",
    )
    checks.add_argument("file", nargs="?", type=Path, metavar="FILE", help="what `cocket audit export` wrote")
    cli_stores.options(checks)
    checks.add_argument(
        "--head",
        metavar="HASH",
        help="a head that was noted elsewhere: the chain must hold it, so that nothing up to it was taken away",
    )
    checks.add_argument("--json", action="store_true", help="print what was found as JSON")
    checks.set_defaults(run=_audit_check)


def _add_retention(commands: Commands[argparse.ArgumentParser]) -> None:
    text = "what is past its term: tell it, drop it, or show the proofs of what was dropped"
    command = commands.add_parser("retention", help=text, description=text[0].upper() + text[1:] + ".")
    cli_stores.options(command)
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--dry-run", action="store_true", help="tell what a run would do, and do nothing")
    what.add_argument(
        "--run",
        dest="now",
        action="store_true",
        help="run now; a server that has the folder open runs it by itself",
    )
    what.add_argument("--proof", action="store_true", help="every run with its digest, against the audit")
    command.set_defaults(run=_retention)


def _retention(args: argparse.Namespace) -> int:
    from cocket.core.clock import WallClock
    from cocket.engine.retention import Retention, shown_run, shown_terms

    with cli_stores.all_stores(args, read_only=not args.now) as (folder, settings):
        retention = Retention(folder, WallClock(), settings, folder.alerts.offset)
        if args.now:
            shown: object = retention.run(_operator())
            wrong = False
        elif args.dry_run:
            would = [
                {**d.shown(), "days": d.kind.days or None, "purpose": d.kind.purpose}
                for d in retention.would()
            ]
            shown, wrong = {"would": would}, False
        else:
            rows, _ = retention.store.page(10**6, None)
            runs = [shown_run(r) for r in rows]
            shown = {"terms": shown_terms(settings), "runs": runs}
            wrong = any(r["proved"] is False for r in runs)
    sys.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
    return 1 if wrong else 0


def _add_person(commands: Commands[argparse.ArgumentParser]) -> None:
    text = "all that is held on a person, as a ZIP: for machines, and to read"
    command = commands.add_parser("person-export", help=text, description=text[0].upper() + text[1:] + ".")
    cli_stores.options(command)
    for kind in ("name", "plate", "phone", "eori", "email", "account"):
        command.add_argument(f"--{kind}", action="append", default=[], metavar="TEXT", help="may repeat")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.zip")
    command.set_defaults(run=_person_export)


def _person_export(args: argparse.Namespace) -> int:
    from cocket.core.clock import WallClock
    from cocket.core.person import KINDS, sought
    from cocket.engine.person_export import collect, packed
    from cocket.store.audit import Entry

    clock, who = WallClock(), _operator()
    whom = sought({kind: getattr(args, kind) for kind in KINDS})
    with cli_stores.all_stores(args, read_only=True) as (folder, _):
        found = collect(folder, whom)
    now = clock.now_us()
    about = Entry(
        now, who.id, who.kind, tuple(who.roles), None, "person:export", "RUN", "person-export", whom.hashed(), None, 200, f"export-{now}"
    )  # fmt: skip
    # beside a running server: the chain's head is read where it is written
    with cli_stores.main_stores(args, beside=True) as (stores, _):
        stores.audit.append([about])
    try:
        args.output.write_bytes(packed(found, whom, now))
    except OSError as error:
        raise BadSetting(f"-o {args.output} cannot be written: {error.strerror}") from error
    counts = {table: len(rows) for table, rows in found.items()}
    sys.stdout.write(json.dumps({"file": str(args.output), "held": counts}, indent=2) + "\n")
    return 0


def _operator() -> Principal:
    """Whoever runs the command on this machine, by the system's account."""
    import getpass

    from cocket.core.principal import Principal

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        name = str(os.getuid())
    return Principal(f"os:{name}", "person", frozenset({"owner"}))


def _audit_export(args: argparse.Namespace) -> int:
    from cocket.store.audit import shown

    with cli_stores.main_stores(args, beside=True, read_only=True) as (stores, _):
        for row in stores.audit.rows():
            sys.stdout.write(json.dumps(shown(row), ensure_ascii=False) + "\n")
    return 0


def _audit_check(args: argparse.Namespace) -> int:
    from cocket.store.audit import noted_hash

    try:
        noted = None if args.head is None else noted_hash(args.head)
    except CocketError as error:
        raise BadSetting(f"--head: {error}") from error
    found = _checked(args, noted)
    if args.json:
        shown = {
            "whole": not found.wrong,
            "entries": found.entries,
            "head": {"seq": found.head.seq, "hash": found.head.hash.hex()},
            "wrong": list(found.wrong),
        }
        text = json.dumps(shown, indent=2)
    else:
        last = (
            f"{found.entries} entries; the last that holds is {found.head.seq}, hash {found.head.hash.hex()}"
        )
        text = "\n".join(
            [*found.wrong, last, "The chain is broken." if found.wrong else "The chain is whole."]
        )
    sys.stdout.write(text + "\n")
    return 1 if found.wrong else 0


def _checked(args: argparse.Namespace, noted: bytes | None) -> Found:
    from cocket.store.audit import check, read_shown

    of_stores = args.data is not None or args.settings is not None
    if of_stores == (args.file is not None):
        raise BadSetting("name either FILE, or the stores by --data DIR or --settings FILE")
    if of_stores:
        with cli_stores.main_stores(args, beside=True, read_only=True) as (stores, _):
            return stores.audit.check(noted)
    try:
        with args.file.open("rb") as lines:
            return check(read_shown(lines), noted)
    except OSError as error:
        raise BadSetting(f"{args.file} cannot be read: {error.strerror}") from error
