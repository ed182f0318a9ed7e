"""``cocket demo``: the whole machine at work, and at the end what it found of what was put in.

Starts ``cocket serve`` with a replay clock as a child process and is then an ordinary client: it declares the
world and sends the rows through the public HTTP door, in the order of their sending, while simulated time runs;
then it reads the alerts and compares them with the truth (``client``).
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Self

import httpx

from cocket.core.clock import rfc3339
from cocket.core.errors import BadSetting, Unavailable
from cocket.sim.client import Outcome, Run
from cocket.sim.script import LASTS_S, write
from cocket.sim.seals import DAY_US

LIFE_SPEED: Final = 60.0
"""Without ``--for``: an hour in a minute."""

DECLARE_S: Final = 3.0
SETTLE_SHARE: Final = 0.1
LEAST_SETTLE_S: Final = 3.0
LEAST_STREAM_S: Final = 5.0
START_S: Final = 300.0


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
        with _Server(folder, _free(port), DAY_US, speed, Path(scratch) / "server.log") as server:
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


class _Server:
    """The child process."""

    def __init__(self, data: Path, port: int, origin_us: int, speed: float, log: Path) -> None:
        self.log = log
        self.command = [
            sys.executable,
            *("-m", "cocket", "serve", "--data", str(data), "--port", str(port), "--demo"),
            *("--clock", "replay", "--origin", rfc3339(origin_us), "--speed", repr(speed)),
        ]
        self.url = ""

    def __enter__(self) -> Self:
        self._log: IO[bytes] = self.log.open("wb")
        self._process = subprocess.Popen(  # noqa: S603 - the command is ours
            self.command, stdout=subprocess.PIPE, stderr=self._log, text=True, start_new_session=True
        )
        return self

    def await_ready(self) -> None:
        """Until it listens and answers; raises ``Unavailable`` with its last words if it does not."""
        assert self._process.stdout is not None
        late = threading.Timer(START_S, self._process.kill)  # the first start compiles kernels
        late.start()
        try:
            self.url = self._process.stdout.readline().strip()
        finally:
            late.cancel()
        if not self.url.startswith("http"):
            raise Unavailable(f"the server did not start: {self.words()}")
        threading.Thread(target=self._process.stdout.read, daemon=True).start()  # never let the pipe fill
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/api/v1/health", timeout=5.0).status_code == httpx.codes.OK:
                    return
            time.sleep(0.1)
        raise Unavailable(f"the server at {self.url} does not answer: {self.words()}")

    def words(self) -> str:
        """The end of what the server wrote to its log."""
        self._log.flush()
        return self.log.read_text(errors="replace")[-2000:].strip() or "it said nothing"

    def wait(self) -> None:
        """Until it ends."""
        self._process.wait()

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


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
