"""Where a command finds the stores: a data folder, or what the server's settings name. The one way for all commands that work beside a server.

--data DIR                        everything in the folder
--settings FILE with store.url    the main tables in PostgreSQL; log and history in --data DIR, where they are asked for
... and log.url                   a site: everything in PostgreSQL and its history files, no folder wanted
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cocket.core.errors import BadSetting

if TYPE_CHECKING:
    from cocket.core.config import Settings
    from cocket.store.folder import MainStores, Stores


def options(command: argparse.ArgumentParser) -> None:
    """Add ``--data`` and ``--settings``; which of them is wanted is found out when the stores are opened."""
    command.add_argument("--data", type=Path, metavar="DIR", help="the data folder")
    command.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="settings file of the server, TOML; with store.url in place of a data folder",
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """What ``--settings`` says. ``BadSetting`` where neither it nor ``--data`` names any store."""
    from cocket.core.config import load

    settings = load(args.settings)
    if args.data is None and not settings.store.url:
        raise BadSetting(
            "name the data folder by --data DIR, or by --settings FILE a settings file with store.url"
        )
    return settings


@contextmanager
def main_stores(
    args: argparse.Namespace, *, beside: bool = False, read_only: bool = False
) -> Iterator[tuple[MainStores, Settings]]:
    """The main tables alone: accounts, audit, reference data, the customs file.

    A PostgreSQL database is always used beside its servers. A data folder only if ``beside``; else it is locked, and
    refused while a server has it.
    """
    from cocket.store import tables
    from cocket.store.database import Database
    from cocket.store.folder import DataFolder, MainStores

    settings = settings_of(args)
    if not settings.store.url and not beside:
        folder = DataFolder.open(args.data, create=False)
        try:
            yield folder, settings
        finally:
            folder.close()
        return
    file = None if settings.store.url else args.data / "cocket.sqlite"
    if file is not None and not file.exists():
        raise BadSetting(f"--data {args.data} is no data folder: it holds no cocket.sqlite")
    db = Database(file or settings.store.url, "main", tables.main_metadata, read_only=read_only)
    try:
        yield MainStores(db), settings
    finally:
        db.close()


@contextmanager
def all_stores(args: argparse.Namespace, *, read_only: bool = False) -> Iterator[tuple[Stores, Settings]]:
    """Everything, log and history too. ``read_only`` works beside the server that has a data folder open; a site always does."""
    from cocket.store.folder import DataFolder

    settings = settings_of(args)
    with ExitStack() as opened:
        stores: Stores
        if settings.log.url:
            from cocket.core.clock import WallClock
            from cocket.engine.site.site import SiteTables

            aside = args.data or Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="cocket-")))
            stores = SiteTables(settings, aside, WallClock())
        elif args.data is None:
            raise BadSetting(
                "observations and refused rows lie in the data folder: name it by --data DIR, beside the settings"
            )
        else:
            stores = DataFolder.open(
                args.data, create=False, read_only=read_only, store_url=settings.store.url
            )
        opened.callback(stores.close)
        yield stores, settings
