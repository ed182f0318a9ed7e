"""The commands for copies of the data folder: backup and restore."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cocket.core.config import Settings

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add them to the one command."""
    text = "copy a data folder or a site, also while it works, to a tar file or a folder"
    command = commands.add_parser(
        "backup",
        help=text,
        description=text[0].upper()
        + text[1:]
        + ". The copy is of one moment, names every file with its SHA-256, and takes its name only when it is whole.",
    )
    command.add_argument(
        "--data", type=Path, metavar="DIR", help="the data folder; of a site, that of a door, for its keys"
    )
    command.add_argument(
        "--settings", type=Path, metavar="FILE", help="settings of a site, TOML: the site is copied"
    )
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
    text = "make a data folder or a site of a backup, after comparing every byte with its manifest"
    command = commands.add_parser("restore", help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("backup", type=Path, metavar="FILE.tar|DIR")
    command.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="the data folder; new, or empty. Of a site, that of a door, for its keys",
    )
    command.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="settings of a site, TOML: it is made, in an empty database",
    )
    command.add_argument("--json", action="store_true", help="print the manifest as JSON")
    command.set_defaults(run=_restore)


def _backup(args: argparse.Namespace) -> int:
    import msgspec

    from cocket.core.clock import WallClock
    from cocket.store.backup import backup, note_backup

    site = _site(args)
    if site is not None:
        return _backup_site(args, site)
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

    site = _site(args)
    if site is not None:
        return _restore_site(args, site)
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


def _site(args: argparse.Namespace) -> Settings | None:
    """The settings of the site that is meant; None if a data folder is."""
    from cocket.core.config import load
    from cocket.core.errors import BadSetting

    if args.settings is None:
        if args.data is None:
            raise BadSetting("name a data folder by --data DIR, or a site by --settings FILE")
        return None
    settings = load(args.settings)
    if not settings.log.url or not settings.store.url:
        raise BadSetting(
            f"--settings {args.settings}: a site needs store.url and log.url; for a data folder use --data alone"
        )
    return settings


def _backup_site(args: argparse.Namespace, settings: Settings) -> int:
    import msgspec

    from cocket.core.clock import WallClock
    from cocket.core.errors import BadSetting
    from cocket.engine.site.backup import backup

    if args.with_keys and args.data is None:
        raise BadSetting("--with-keys: name the data folder of a door by --data; its keys are taken")
    keys = args.data / "keys" if args.with_keys else None
    made = backup(settings, args.to, keys=keys, now_us=WallClock().now_us(), say=_say)
    size = sum(kept.bytes for kept in made.files.values())
    text = f"{args.to}: {len(made.files)} files, {size} bytes, {made.observations} observations, {made.partitions} partitions."
    if not made.keys:
        text += " The keys are not in it (--with-keys)."
    if made.left_out:
        text += f" {len(made.left_out)} history files are in object storage and stay there: its versioning has to keep them."
    _print(msgspec.json.encode(made).decode() if args.json else text)
    return 0


def _restore_site(args: argparse.Namespace, settings: Settings) -> int:
    import msgspec

    from cocket.core.clock import WallClock
    from cocket.engine.site.restore import restore

    keys = None if args.data is None else args.data / "keys"
    made = restore(args.backup, settings, keys=keys, say=_say)
    age = max(0, WallClock().now_us() - made.made_us) // 1_000_000
    text = (
        f"{settings.log.site}: {made.observations} observations, {made.partitions} partitions. The backup was made at {made.made_at}, "
        f"{_words(age)} ago; what came in and was done since is not in it."
    )
    if settings.log.partitions != made.partitions:
        text += f" Set log.partitions = {made.partitions} before a worker starts."
    if not made.keys:
        text += " It holds no keys: put the folder keys/ into each door's data folder before it starts, or it makes new ones."
    elif keys is None:
        text += " Its keys were not put anywhere (--data): they are in the backup's folder keys/."
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
