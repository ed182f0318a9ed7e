"""``cocket demo``: the whole machine at work, and at the end what it found of what was put in.

Starts ``cocket serve`` with a replay clock as a child process and is then an ordinary client: it declares the
world and sends the rows through the public HTTP door, in the order of their sending, while simulated time runs;
then it reads the alerts and compares them with the truth (``client``).
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from cocket.core.clock import rfc3339
from cocket.core.errors import BadSetting
from cocket.sim.client import Outcome, Run
from cocket.sim.script import LASTS_S, write
from cocket.sim.seals import DAY_US
from cocket.sim.server import Server

LIFE_SPEED: Final = 60.0
"""Without ``--for``: an hour in a minute."""

DECLARE_S: Final = 3.0
SETTLE_SHARE: Final = 0.1
LEAST_SETTLE_S: Final = 3.0
LEAST_STREAM_S: Final = 5.0


def run_demo(*, for_s: float | None, as_json: bool, data: Path | None, port: int) -> int:
    """Run it; with ``for_s`` it ends by itself after so many seconds, counted from when the server is ready.

    Exit code 0 if the run was complete (every row answered, every alert scored), 1 if not, 2 for bad usage.
    """
    if data is not None and data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise BadSetting(
            f"--data {data}: the demo wants an empty folder, for its world is of another day; name a new one"
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the child ends with us
    say = _Speaker(as_json)
    stream_s = None
    if for_s is not None:
        settle = max(LEAST_SETTLE_S, SETTLE_SHARE * for_s)
        stream_s = max(LEAST_STREAM_S, for_s - DECLARE_S - settle)
    speed = LIFE_SPEED if stream_s is None else LASTS_S / stream_s
    with tempfile.TemporaryDirectory(prefix="cocket-demo-") as scratch:
        folder = data or Path(scratch) / "data"
        arguments = [
            *("--data", str(folder), "--port", str(_free(port)), "--demo"),
            *("--clock", "replay", "--origin", rfc3339(DAY_US), "--speed", repr(speed)),
        ]
        with Server(arguments, Path(scratch) / "server.log") as server:
            say("starting the server and writing the script …")
            script = write()
            server.await_ready()
            say(
                f"Cocket is at {server.url}  ({len(script.seals)} vehicles, {speed:.0f} times faster than life)",
                loud=True,
            )
            with httpx.Client(base_url=f"{server.url}/api/v1", timeout=60.0) as client:
                result = Run(script, client, speed, server.words).to_the_end()
            _report(result, as_json)
            if not result.complete:
                say(f"The run is not complete; the server's last words: {server.words()}", loud=True)
            if for_s is None:
                say(f"The tracks have ended; {server.url} stays up until Ctrl-C.", loud=True)
                with suppress(KeyboardInterrupt):
                    server.wait()
    return 0 if result.complete else 1


class _Speaker:
    """To people on standard output; with ``--json`` that is kept for the table and they read standard error."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def __call__(self, text: str, *, loud: bool = False) -> None:
        if loud or not self.as_json:
            print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)


def _free(port: int) -> int:
    """The port, or 0 (any) if somebody else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def _report(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcome.as_dict()), flush=True)  # noqa: T201
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="What was put in, and what was found", caption=_CAPTION)
    table.add_column("alert", no_wrap=True, min_width=21)
    for name in ("injected", "found", "missed", "false", "real", "real missed"):
        table.add_column(name, justify="right")
    for code, line in outcome.result.as_dict().items():
        table.add_row(code, *(str(v) for v in line.values()))
    console = Console()
    console.print(table)
    f = outcome.facts
    console.print(
        f"{f['sent']:,} rows sent = {f['observations']:,} observations + {f['duplicates']:,} duplicates "
        f"({f['duplicates_sent']:,} sent twice on purpose) + {f['rejected']:,} rejected; "
        f"{f['superseded']:,} alerts withdrew themselves when late data came"
    )


_CAPTION: Final = (
    "injected, found, missed: scripted events. false: alerts that neither the script nor the tracks explain. "
    "real: alerts that the real positions explain (jumps, dead zones on the way), and how many such events none tells of."
)
