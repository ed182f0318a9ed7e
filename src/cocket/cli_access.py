"""The commands for who signs in: owner-link, account.

They work on a data folder that no server has open, or on the PostgreSQL of the settings, beside its servers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cocket import cli_stores

if TYPE_CHECKING:
    from cocket.access.accounts import Accounts
    from cocket.core.config import Settings

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it
_BY = "console"
"""Who stands in records for whoever sits at the machine."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add them to the one command."""
    text = "print a link by which somebody becomes the owner, once, within the hour"
    link = commands.add_parser(
        "owner-link",
        help=text,
        description=text[0].upper() + text[1:] + ". A former link is then good no more.",
    )
    cli_stores.options(link)
    link.set_defaults(run=_owner_link)
    text = "list, add, disable, enable and reset the accounts of a data folder, or of a store in PostgreSQL"
    account = commands.add_parser("account", help=text, description=text[0].upper() + text[1:] + ".")
    parts = account.add_subparsers(title="what", metavar="WHAT", required=True)
    listing = parts.add_parser("list", help="every account with its roles and offices")
    cli_stores.options(listing)
    listing.set_defaults(run=_list)
    new = parts.add_parser("add", help="make one, and print the link by which its holder chooses a password")
    new.add_argument("name", metavar="NAME")
    new.add_argument("--role", action="append", default=[], metavar="ROLE", help="more than once for several")
    new.add_argument("--office", action="append", default=[], metavar="OFFICE", help="none: all offices")
    new.add_argument("--holder", metavar="ID", help="of a trader: whose movements (EORI, TIN)")
    new.add_argument("--authority", metavar="ID", help="of a partner authority's people: which one")
    new.add_argument("--full-name", default="", metavar="WORDS")
    cli_stores.options(new)
    new.set_defaults(run=_add)
    for name, run, words in (
        ("disable", _disable, "let it sign in no more; its sessions end, its tokens rest"),
        ("enable", _enable, "let it sign in again"),
        ("reset", _reset, "take password and second factor away, and print a link to choose a new one"),
    ):
        command = parts.add_parser(name, help=words)
        command.add_argument("name", metavar="NAME")
        cli_stores.options(command)
        command.set_defaults(run=run)
        if name == "reset":
            command.add_argument(
                "--keep-second-factor",
                action="store_true",
                help="it is asked for behind the link; only a holder who has lost it needs a new one",
            )


@contextmanager
def _accounts(args: argparse.Namespace) -> Iterator[tuple[Accounts, Settings]]:
    from cocket.access.accounts import Accounts
    from cocket.access.passwords import Passwords
    from cocket.core.clock import WallClock

    with cli_stores.main_stores(args) as (stores, settings):
        yield Accounts(stores.access, WallClock(), Passwords(settings.access)), settings


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the command's output


def _page(settings: Settings, page: str, secret: str) -> str:
    http = settings.http
    scheme = "https" if http.tls_certificate else "http"
    origin = settings.access.origin.rstrip("/") or f"{scheme}://{http.host}:{http.port}"
    return f"{origin}/{page}#{secret}"


def _owner_link(args: argparse.Namespace) -> int:
    with _accounts(args) as (accounts, settings):
        _say(_page(settings, "owner", accounts.owner_link(by=_BY)))
    return 0


def _list(args: argparse.Namespace) -> int:
    with _accounts(args) as (accounts, _):
        rows = accounts.all()
    for row in rows:
        parts = [row["id"], ",".join(row["roles"]) or "-", ",".join(row["offices"]) or "all offices"]
        if row["issuer"]:
            parts.append(f"by {row['issuer']}")
        elif row["password"] is None:
            parts.append("no password yet")
        if row["totp"]:
            parts.append("second factor")
        if row["disabled"]:
            parts.append("disabled")
        _say("\t".join(parts))
    if not rows:
        print("there are no accounts; `cocket owner-link` makes the first", file=sys.stderr)  # noqa: T201
    return 0


def _add(args: argparse.Namespace) -> int:
    with _accounts(args) as (accounts, settings):
        _, secret = accounts.make(
            args.name,
            by=_BY,
            full_name=args.full_name,
            roles=args.role,
            offices=args.office,
            holder=args.holder,
            authority=args.authority,
        )
        _say(_page(settings, "welcome", secret))
    return 0


def _disable(args: argparse.Namespace) -> int:
    with _accounts(args) as (accounts, _):
        accounts.change(args.name, {"disabled": True}, by=_BY)
    return 0


def _enable(args: argparse.Namespace) -> int:
    with _accounts(args) as (accounts, _):
        accounts.change(args.name, {"disabled": False}, by=_BY)
    return 0


def _reset(args: argparse.Namespace) -> int:
    with _accounts(args) as (accounts, settings):
        secret = accounts.reset(args.name, by=_BY, second_factor=not args.keep_second_factor)
        _say(_page(settings, "welcome", secret))
    return 0
