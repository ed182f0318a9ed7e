"""A real server process on ports of its own, started, killed and started again; with an injected fault if wanted."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self

import httpx

PATIENCE_S: Final = 90.0
NDJSON: Final = {"content-type": "application/x-ndjson"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait for a condition; fails in words."""
    end = time.monotonic() + patience_s
    while not (value := true()):
        assert time.monotonic() < end, f"in {patience_s} s it did not come to this: {what}"
        time.sleep(0.02)
    return value


class Machine:
    """``cocket serve`` on ``data``; ``doors`` as ``--listen``; ``before`` is run in the child, as limits are."""

    def __init__(
        self,
        data: Path,
        *,
        doors: Sequence[str] = (),
        options: Sequence[str] = (),
        env: dict[str, str] | None = None,
        memory_bytes: int = 0,
    ) -> None:
        self.data = data
        self.port = free_port()
        self._doors = doors
        self._options = options
        self._env = env
        self._memory = memory_bytes
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data.parent / f"{data.name}.stderr"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def client(self, timeout: float = 30.0) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=timeout)

    def start(self, *, wait: bool = True) -> Self:
        """Start it, and wait until it says where it listens."""
        words = [sys.executable, "-m", "cocket", "serve", "--data", str(self.data), "--port", str(self.port)]
        for door in self._doors:
            words += ["--listen", door]
        limit = self._memory

        def confine() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*words, *self._options],
                stdout=subprocess.PIPE,
                stderr=out,
                env=self._env or {**os.environ},
                preexec_fn=confine if limit else None,  # noqa: PLW1509 - one system call
            )
        if wait:
            self.listening()
        return self

    def listening(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        first = self.process.stdout.readline().decode()
        assert first.startswith("http://"), f"it did not start: {self.said()}"

    def said(self) -> str:
        """The last of what it wrote to standard error."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def rss_bytes(self) -> int:
        assert self.process is not None
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        status = self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive:
            self.kill()
