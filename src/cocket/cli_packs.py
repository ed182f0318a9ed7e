"""The command for evidence packs: verify-pack, which needs no server and no network."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cocket.core.errors import BadSetting, Malformed

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add it to the one command."""
    text = "check an evidence pack without a network: every file's hash, and the signature over them all"
    command = commands.add_parser(
        "verify-pack",
        help=text,
        description=text[0].upper()
        + text[1:]
        + ". Without --keys it tells which key signed, and not whose that is: compare it with what the issuer publishes.",
        epilog="Exit codes: 0 whole and signed, 1 not (it says why), 2 bad usage.",
    )
    command.add_argument("file", type=Path, metavar="PACK.zip")
    command.add_argument(
        "--keys",
        type=Path,
        metavar="KEYS.json",
        help="a JWK set, as GET /api/v1/keys gives it: the key must be one of these and not revoked",
    )
    command.set_defaults(run=_verify_pack)


def _verify_pack(args: argparse.Namespace) -> int:
    from cocket.customs.codes.signing import keys_of
    from cocket.customs.trip.evidence_check import as_json, check_pack

    keys = None
    if args.keys is not None:
        try:
            keys = keys_of(json.loads(args.keys.read_bytes()))
        except OSError as error:
            raise BadSetting(f"--keys {args.keys} cannot be read: {error.strerror}") from error
        except (ValueError, Malformed) as error:
            raise BadSetting(f"--keys {args.keys}: {error}") from error
    try:
        found = check_pack(args.file, keys)
    except OSError as error:
        raise BadSetting(f"{args.file} cannot be read: {error.strerror}") from error
    print(json.dumps(as_json(found), indent=2, ensure_ascii=False))  # noqa: T201 - the command's output
    return 1 if found.faults else 0
