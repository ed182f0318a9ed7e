"""``cocket serve`` as a child process: for the demo and the scenarios, which are then ordinary clients of it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Self

import httpx

from cocket.core.errors import Unavailable

START_S: Final = 300.0
"""The first start compiles kernels."""


class Server:
    """One server. ``arguments`` are those of ``cocket serve``; what it says to standard error is kept in ``log``.

    After ``await_ready``, ``url`` is where its HTTP door is and ``doors`` are the lines in which it named the doors for devices.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self.log = log
        self.command = [sys.executable, "-m", "cocket", "serve", *arguments]
        self.url = ""
        self.doors: list[str] = []
        self._doors_wanted = arguments.count("--listen")

    def __enter__(self) -> Self:
        self._log: IO[bytes] = self.log.open("wb")
        self._process = subprocess.Popen(  # noqa: S603 - the command is ours
            self.command, stdout=subprocess.PIPE, stderr=self._log, text=True, start_new_session=True
        )
        return self

    def await_ready(self) -> None:
        """Until it listens and answers; raises ``Unavailable`` with its last words if it does not."""
        assert self._process.stdout is not None
        late = threading.Timer(START_S, self._process.kill)
        late.start()
        try:
            self.url = self._process.stdout.readline().strip()
            if self.url.startswith("http"):
                self.doors = [self._process.stdout.readline().strip() for _ in range(self._doors_wanted)]
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
