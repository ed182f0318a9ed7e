"""A real `cocket serve` as a child process, and a client that costs as little as possible beside it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from urllib.parse import urlsplit

SRC = Path(__file__).resolve().parent.parent / "src"
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
QUIET = "[history]\ncompact_rows = 1_000_000_000\ncompact_s = 1e9\n"


@dataclass
class Server:
    """A running server; ``ready_s`` from the start of the process to the first 200 of /health."""

    process: subprocess.Popen[str]
    host: str
    port: int
    ready_s: float

    def get(self, path: str) -> bytes:
        """The body of a GET under /api/v1; anything but 200 raises."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request("GET", "/api/v1" + path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"GET {path}: {answer.status} {body[:500]!r}")
            return body
        finally:
            connection.close()

    def stats(self) -> dict[str, Any]:
        out: dict[str, Any] = json.loads(self.get("/stats"))
        return out

    def wait_detected(self, timeout_s: float = 600) -> None:
        """Until nothing stored waits for the detectors."""
        end = perf_counter() + timeout_s
        while (lag := self.stats()["lag_observations"]) > 0:
            if perf_counter() > end:
                raise RuntimeError(f"{lag} observations still wait after {timeout_s} s")
            sleep(0.02)

    def wait_booked(self) -> None:
        """Until the sums of /stats hold all that was acknowledged; in one process they always do."""

    def status(self, key: str) -> int:
        """A line of /proc/PID/status in bytes, such as VmRSS or VmHWM."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(next(x for x in text.splitlines() if x.startswith(key)).split()[1]) * 1024

    def cpu_s(self) -> float:
        """Processor seconds that it has used, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(data: Path, settings: str = "", *, timeout_s: float = 900) -> Iterator[Server]:
    """`cocket serve` on a data folder, on a port of the system's choice; ended at the end."""
    command = [sys.executable, "-m", "cocket", "serve", "--data", str(data), "--port", "0"]
    if settings:
        file = data.with_suffix(".toml")
        file.write_text(settings, encoding="utf-8")
        command += ["--settings", str(file)]
    path = os.pathsep.join(p for p in (str(SRC), os.environ.get("PYTHONPATH", "")) if p)
    began = perf_counter()
    log = data.with_suffix(".log").open("w", encoding="utf-8")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    try:
        assert process.stdout is not None
        url = urlsplit(process.stdout.readline().strip())
        if not url.port or not url.hostname:
            words = data.with_suffix(".log").read_text(encoding="utf-8")[-2000:]
            raise RuntimeError(f"the server did not start: {words}")
        server = Server(process, url.hostname, url.port, 0.0)
        while True:
            with contextlib.suppress(OSError, RuntimeError, http.client.HTTPException):
                server.get("/health")
                break
            if process.poll() is not None or perf_counter() - began > timeout_s:
                raise RuntimeError("the server did not get ready")
            sleep(0.02)
        server.ready_s = perf_counter() - began
        yield server
    finally:
        process.terminate()
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


@dataclass
class Sent:
    """What became of the bodies: rows by result, how often the server asked to wait, and the time of each answer."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    waits: int = 0
    answers_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Client:
    """One kept-alive connection."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=120)

    def post(self, body: bytes, media_type: str, sent: Sent) -> None:
        """Send until taken; 429 is honoured."""
        while True:
            began = perf_counter()
            self._connection.request("POST", "/api/v1/observations", body, {"Content-Type": media_type})
            answer = self._connection.getresponse()
            text = answer.read()
            if answer.status == 429:
                sent.waits += 1
                sleep(float(answer.headers.get("Retry-After", "1")))
                continue
            if answer.status != 200:
                raise RuntimeError(f"POST: {answer.status} {text[:500]!r}")
            receipt = json.loads(text)
            sent.answers_s.append(perf_counter() - began)
            sent.accepted += receipt["accepted"]
            sent.duplicates += receipt["duplicates"]
            sent.rejected += receipt["rejected"]
            return

    def close(self) -> None:
        self._connection.close()


def send(server: Server, lanes: Sequence[Sequence[bytes]], media_type: str) -> Sent:
    """Each lane's bodies in order over a connection of its own, all lanes at once."""
    sent = [Sent() for _ in lanes]

    def work(lane: Sequence[bytes], mine: Sent) -> None:
        client = Client(server)
        try:
            for body in lane:
                client.post(body, media_type, mine)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            mine.errors.append(repr(error))
        finally:
            client.close()

    threads = [threading.Thread(target=work, args=pair) for pair in zip(lanes, sent, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Sent()
    for one in sent:
        total.accepted += one.accepted
        total.duplicates += one.duplicates
        total.rejected += one.rejected
        total.waits += one.waits
        total.answers_s += one.answers_s
        total.errors += one.errors
    if total.errors:
        raise RuntimeError("; ".join(total.errors))
    return total
