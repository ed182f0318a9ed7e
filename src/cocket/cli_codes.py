"""The command for codes on papers and stamps: verify-code, which needs no server and no network."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cocket.core.errors import BadSetting, Malformed

if TYPE_CHECKING:
    from cocket.customs.codes.signing import PublicKey

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add it to the one command."""
    text = "check a code of a paper or an excise stamp without a network, by public keys"
    command = commands.add_parser(
        "verify-code",
        help=text,
        description=text[0].upper()
        + text[1:]
        + ". It tells whether a code is genuine and in time; whether it was used or made void is known only to a server.",
        epilog="Exit codes: 0 genuine, 1 not (it says why), 2 bad usage.",
    )
    command.add_argument("text", metavar="TEXT", help="what the QR code says, CKT1:… or CKS1:…; - reads it")
    command.add_argument(
        "--keys",
        type=Path,
        required=True,
        metavar="KEYS.json",
        help="a JWK set, as GET /api/v1/keys gives it",
    )
    command.add_argument("--at", metavar="TIME", help="RFC 3339 time to check for (default: now)")
    command.set_defaults(run=_verify_code)


def _verify_code(args: argparse.Namespace) -> int:
    from cocket.customs.codes.signing import described, verify

    now = _now(args.at)
    keys = _keys(args.keys)
    text = sys.stdin.readline() if args.text == "-" else args.text
    verdict = verify(text, keys, now)
    shown = {
        "genuine": verdict.refusal is None,
        "refusal": verdict.refusal and {"rule": verdict.refusal.rule, "detail": verdict.refusal.detail},
        "kid": verdict.kid,
        "says": verdict.claims and described(verdict.claims),
    }
    print(json.dumps(shown, indent=2, ensure_ascii=False))  # noqa: T201 - the command's output
    return 0 if verdict.refusal is None else 1


def _now(at: str | None) -> int:
    from cocket.core.clock import WallClock, parse_rfc3339

    if at is None:
        return WallClock().now_us()
    try:
        return parse_rfc3339(at)
    except ValueError as error:
        raise BadSetting(f"--at: {error}") from error


def _keys(path: Path) -> dict[str, PublicKey]:
    from cocket.customs.codes.signing import keys_of

    try:
        keys = keys_of(json.loads(path.read_bytes()))
    except OSError as error:
        raise BadSetting(f"--keys {path} cannot be read: {error.strerror}") from error
    except (ValueError, Malformed) as error:
        raise BadSetting(f"--keys {path}: {error}") from error
    if not keys:
        raise BadSetting(f"--keys {path} holds no Ed25519 key")
    return keys
