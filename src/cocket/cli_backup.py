"""The commands for copies of the data folder: backup and restore."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add them to the one command."""
    text = "copy a data folder, also while a server has it open, to a tar file or a folder"
    command = commands.add_parser(
        "backup",
        help=text,
        description=text[0].upper()
        + text[1:]
        + ". The copy is of one moment, names every file with its SHA-256, and takes its name only when it is whole.",
    )
    command.add_argument("--data", type=Path, required=True, metavar="DIR", help="the data folder")
    command.add_argument(
        "--to", type=Path, required=True, metavar="FILE.tar|DIR", help="where to; it must not be there yet"
    )
    command.add_argument(
        "--with-keys",
        action="store_true",
        help="with the keys that sign codes and stamps: who reads the backup can sign",
    )
    command.add_argument("--json", action="store_true", help="print the manifest as JSON")
    command.set_defaults(run=_backup)
    text = "make a data folder of a backup, after comparing every byte with its manifest"
    command = commands.add_parser("restore", help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("backup", type=Path, metavar="FILE.tar|DIR")
    command.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the data folder; new, or empty"
    )
    command.add_argument("--json", action="store_true", help="print the manifest as JSON")
    command.set_defaults(run=_restore)


def _backup(args: argparse.Namespace) -> int:
    import msgspec

    from cocket.core.clock import WallClock
    from cocket.store.backup import backup, note_backup

    made = backup(args.data, args.to, with_keys=args.with_keys, now_us=WallClock().now_us(), say=_say)
    note_backup(args.data)
    size = sum(kept.bytes for kept in made.files.values())
    text = (
        f"{args.to}: {len(made.files)} files, {size} bytes, {made.observations} observations up to log entry "
        f"{made.last_offset}, detected up to {made.detected_offset}."
    )
    if not args.with_keys:
        text += " The keys are not in it (--with-keys)."
    if made.left_out:
        text += f" Left out: {', '.join(made.left_out)}."
    _print(msgspec.json.encode(made).decode() if args.json else text)
    return 0


def _restore(args: argparse.Namespace) -> int:
    import msgspec

    from cocket.core.clock import WallClock
    from cocket.store.restore import restore

    made = restore(args.backup, args.data, say=_say)
    age = max(0, WallClock().now_us() - made.made_us) // 1_000_000
    text = (
        f"{args.data}: {made.observations} observations up to log entry {made.last_offset}. The backup was made at "
        f"{made.made_at}, {_words(age)} ago; what came in and was done since is not in it."
    )
    if not made.keys:
        text += " It holds no keys: put the folder keys/ in its place before the server starts, or it makes new ones."
    _print(msgspec.json.encode(made).decode() if args.json else text)
    return 0


def _words(seconds: int) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
