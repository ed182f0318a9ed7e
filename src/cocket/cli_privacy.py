"""The commands for people's rights: audit. They work beside a running server, and without one."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cocket.core.errors import BadSetting, CocketError

if TYPE_CHECKING:
    from cocket.store.audit import Found
    from cocket.store.database import Database

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add them to the one command."""
    _add_audit(commands)


def _add_audit(commands: Commands[argparse.ArgumentParser]) -> None:
    text = "who read personal data and who changed what: write it out, or check its chain of hashes"
    command = commands.add_parser("audit", help=text, description=text[0].upper() + text[1:] + ".")
    parts = command.add_subparsers(title="what", metavar="WHAT", required=True)
    export = parts.add_parser("export", help="every entry, one a line, as JSON (NDJSON)")
    export.add_argument("--data", type=Path, required=True, metavar="DIR", help="the data folder")
    export.set_defaults(run=_audit_export)
    checks = parts.add_parser(
        "check",
        help="check the chain, offline",
        description="Check the chain of a data folder or of a file that `cocket audit export` wrote.",
        epilog="Exit codes: 0 whole, 1 not (it names the first broken entry), 2 bad usage.",
    )
    source = checks.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", type=Path, metavar="FILE", help="what `cocket audit export` wrote")
    source.add_argument("--data", type=Path, metavar="DIR", help="the data folder")
    checks.add_argument(
        "--head",
        metavar="HASH",
        help="a head that was noted elsewhere: the chain must hold it, so that nothing up to it was taken away",
    )
    checks.add_argument("--json", action="store_true", help="print what was found as JSON")
    checks.set_defaults(run=_audit_check)


def _main_db(folder: Path) -> Database:
    from cocket.store import tables
    from cocket.store.database import Database

    main = folder / "cocket.sqlite"
    if not main.exists():
        raise BadSetting(f"--data {folder} is no data folder: it holds no cocket.sqlite")
    return Database(main, "main", tables.main_metadata, read_only=True)


def _audit_export(args: argparse.Namespace) -> int:
    from cocket.store.audit import AuditStore, shown

    db = _main_db(args.data)
    try:
        for row in AuditStore(db).rows():
            sys.stdout.write(json.dumps(shown(row), ensure_ascii=False) + "\n")
    finally:
        db.close()
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
    from cocket.store.audit import AuditStore, check, read_shown

    if args.data is not None:
        db = _main_db(args.data)
        try:
            return AuditStore(db).check(noted)
        finally:
            db.close()
    try:
        with args.file.open("rb") as lines:
            return check(read_shown(lines), noted)
    except OSError as error:
        raise BadSetting(f"{args.file} cannot be read: {error.strerror}") from error
