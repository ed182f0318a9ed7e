"""``cocket up``: a whole production set on one machine, for trying it. PostgreSQL, NATS, workers, and one web door.

Everything is a process of its own, as it would be on machines of its own; what dies is started again. It proves
nothing about the loss of a machine, for there is only one. docs/production.md tells how it is done for real.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Final, Self

from cocket.core.config import load
from cocket.core.errors import BadSetting, Unavailable
from cocket.core.slots import are_partitions
from cocket.store.nats_servers import NatsCluster, die_with_parent, free_port
from cocket.store.servers import PostgresServer

_LOOK_S: Final = 0.2
_START_S: Final = 300.0
_STOP_S: Final = 30.0
_PAUSES_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Before a process that died is started again; the last one for every further time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to start."""

    data: Path
    workers: int
    nodes: int
    partitions: int
    port: int
    listen: tuple[str, ...]
    settings: Path | None
    lease_s: float = 3.0


class Child:
    """A ``cocket`` subcommand as a process, with its log."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self.figures = ""
        """Where it tells its figures, if it does."""
        self._command = [sys.executable, "-m", "cocket", *arguments]
        self._process: subprocess.Popen[str] | None = None
        self._said: IO[str] | None = None
        self._deaths = 0
        self._again_at = 0.0

    @property
    def pid(self) -> int | None:
        """Its number; None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it, without waiting for it."""
        with self.log.open("a") as out:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
                start_new_session=True,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call of prctl
            )
        self._said = self._process.stdout

    def ready(self, lines: int = 1) -> list[str]:
        """Its first lines, once it has said them. ``Unavailable`` with its last words if it ends instead."""
        process, said = self._process, self._said
        assert process is not None
        assert said is not None
        late = threading.Timer(_START_S, process.kill)
        late.start()
        try:
            found = [said.readline().strip() for _ in range(lines)]
        finally:
            late.cancel()
        if not found[0]:
            raise Unavailable(f"{self.name} did not start: {self.words()}")
        threading.Thread(target=said.read, daemon=True).start()  # never let the pipe fill
        return found

    def words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-1500:].strip() or "it said nothing"

    def look(self, say: Callable[[str], None]) -> None:
        """Start it again if it died, not too fast."""
        process = self._process
        if process is None or process.poll() is None:
            return
        now = time.monotonic()
        if not self._again_at:
            pause = _PAUSES_S[min(self._deaths, len(_PAUSES_S) - 1)]
            self._deaths += 1
            self._again_at = now + pause
            say(f"{self.name} ended with {process.returncode}; it is started again. Its log: {self.log}")
        if now >= self._again_at:
            self._again_at = 0.0
            self.start()
            threading.Thread(target=self._drained, daemon=True).start()

    def _drained(self) -> None:
        if self._said is not None:
            self._said.read()

    def stop(self) -> None:
        """Let it end in order."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Production:
    """The whole set. As a context it runs."""

    def __init__(self, wanted: Wanted, say: Callable[[str], None]) -> None:
        if not are_partitions(wanted.partitions):
            raise BadSetting(f"--partitions {wanted.partitions}: give a power of two from 1 to 1024")
        if wanted.workers < 1:
            raise BadSetting(f"--workers {wanted.workers}: give at least one")
        self.wanted = wanted
        self._say = say
        self.folder = wanted.data.absolute()
        self.settings = self.folder / "site.toml"
        mqtt = "mqtt" in wanted.listen
        self.postgres = PostgresServer(self.folder / "postgres")
        self.mqtt_port = free_port() if mqtt else None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.nats = NatsCluster(self.folder / "nats", wanted.nodes, mqtt_port=self.mqtt_port)
        self.workers = [self._worker(i + 1) for i in range(wanted.workers)]
        doors = [
            f"mqtt://127.0.0.1:{self.mqtt_port}" if door == "mqtt" else _settled(door)
            for door in wanted.listen
        ]
        self.doors = doors
        self.web = Child(
            "web",
            [
                "serve",
                "--settings",
                str(self.settings),
                "--data",
                str(self.folder / "web"),
                "--port",
                str(wanted.port or free_port()),
                *(part for door in doors for part in ("--listen", door)),
            ],
            self.folder / "web.log",
        )
        self.url = ""

    def __enter__(self) -> Self:
        try:
            self._say("PostgreSQL …")
            self.postgres.start()
            self._say(f"NATS, {len(self.nats.nodes)} servers …")
            self.nats.start()
            self._write_settings()
            self._say(f"{len(self.workers)} workers, and the web door …")
            for child in (*self.workers, self.web):
                child.start()
            for worker in self.workers:
                _greet(worker)
            self.url, *self.addresses = self.web.ready(1 + len(self.doors))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _worker(self, number: int) -> Child:
        name = f"worker-{number}"
        # a port of its own, and the same when it is started again: whoever scrapes it goes on
        places = ["--settings", str(self.settings), "--data", str(self.folder / name)]
        arguments = ["work", *places, "--port", str(free_port())]
        return Child(f"worker {number}", arguments, self.folder / f"{name}.log")

    def add_worker(self) -> Child:
        """One more; it takes its share of the partitions."""
        worker = self._worker(len(self.workers) + 1)
        worker.start()
        _greet(worker)
        self.workers.append(worker)
        return worker

    def look(self) -> None:
        """Start again what died."""
        if self.postgres.pid is None:
            self._say(f"PostgreSQL ended; it is started again. Its log: {self.postgres.log}")
            self.postgres.start()
        for node in self.nats.nodes:
            if not node.running:
                self._say(f"NATS server {node.name} ended; it is started again")
                node.start(wait=False)
        for child in (*self.workers, self.web):
            child.look(self._say)

    def stop(self) -> None:
        """End everything, what depends on others first."""
        self.web.stop()
        for worker in self.workers:
            worker.stop()
        self.nats.stop()
        self.postgres.stop()

    def _write_settings(self) -> None:
        given = ""
        if self.wanted.settings is not None:
            load(self.wanted.settings)
            given = self.wanted.settings.read_text(encoding="utf-8").rstrip() + "\n\n"
            if any(line.strip() in {"[store]", "[log]"} for line in given.splitlines()):
                raise BadSetting(
                    f"{self.wanted.settings} has a section [store] or [log]: `cocket up` writes these itself"
                )
        if self.mqtt_port is not None:
            keys = f"[gateway]\nmqtt_user = {json.dumps(self.nats.user)}\nmqtt_password = {json.dumps(self.nats.password)}\n"
            section = "[gateway]\n"
            given = given.replace(section, keys, 1) if section in given else f"{given}{keys}\n"
        text = (
            f"{given}[store]\nurl = {json.dumps(self.postgres.url())}\n\n"
            f"[log]\nurl = {json.dumps(self.nats.url)}\nreplicas = {self.nats.replicas}\n"
            f"partitions = {self.wanted.partitions}\nlease_s = {self.wanted.lease_s}\n\n"
            f"[history]\nfolder = {json.dumps(str(self.folder / 'history'))}\n"
        )
        self.settings.touch(mode=0o600)
        self.settings.write_text(text, encoding="utf-8")


def up(wanted: Wanted) -> int:
    """Run until SIGINT or SIGTERM. The first line on standard output is the address of the web door."""
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, end)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    with Production(wanted, say) as running:
        lines = [
            running.url,
            *running.addresses,
            f"settings {running.settings}",
            f"postgresql 127.0.0.1:{running.postgres.port} pid {running.postgres.pid}",
            *(f"nats {n.name} 127.0.0.1:{n.port} pid {n.pid}" for n in running.nats.nodes),
            *(f"{w.name} pid {w.pid} {w.figures}".rstrip() for w in running.workers),
            f"web pid {running.web.pid}",
            "Ctrl-C ends it all; the data stay",
        ]
        print("\n".join(lines), flush=True)  # noqa: T201
        while not stop.wait(_LOOK_S):
            running.look()
        say("ending")
    return 0


def _greet(worker: Child) -> None:
    """Wait for a worker; its first line is ``worker NAME``, and where it tells its figures."""
    *_, worker.figures = worker.ready()[0].removeprefix("worker ").partition(" ")


def _settled(door: str) -> str:
    """A door on a free port keeps it when it is started again."""
    head, zero, rest = door.partition(":0")
    return f"{head}:{free_port()}{rest}" if zero and rest[:1] in {"", "="} else door
