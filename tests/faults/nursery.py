"""A process with everything loaded that forks lives: services that take the feed of tests/engine under injected faults.

Run as ``python -m tests.faults.nursery`` with one JSON object a line on its standard input (``Life``); each life tells,
a line each: ``a N`` body N was acknowledged; ``r N WORDS`` it was refused (and is sent again); ``x WORDS`` the service
did not open; ``d`` everything is detected; ``e STATUS`` the life is over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
from tests.engine import feed

from cocket.core.errors import Busy, CocketError, Unavailable
from cocket.engine.service import Service

ROOT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = 40.0


class Life(msgspec.Struct):
    """One life: the bodies (by number, of ``feed.bodies(size=size)``) that it is sent, in order."""

    folder: str
    todo: list[int]
    size: int = 24


def _send(service: Service, n: int, body: bytes) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            feed.send(service, body)
        except (Busy, Unavailable) as error:
            _tell(f"r {n} {error.detail}")
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            _tell(f"a {n}")
            return


def _tell(text: str) -> None:
    os.write(1, text.replace("\n", " ").encode() + b"\n")


def _live(life: Life) -> int:
    bodies = feed.bodies(size=life.size)
    try:
        with Service.open(Path(life.folder), feed.FixedClock(), feed.SETTINGS) as service:
            for n in life.todo:
                _send(service, n, bodies[n])
            if not service.wait_detected(PATIENCE_S):
                _tell(f"l {service.lag} {service.failure}")
                return 3
            _tell("d")
    except CocketError as error:
        _tell(f"x {type(error).__name__}: {error.detail}")
        return 1
    return 0


def main() -> None:
    """Until the input ends."""
    import logging

    from cocket.engine.warm import warm_up

    logging.disable(logging.CRITICAL)
    warm_up()
    _tell("ready")
    for line in sys.stdin:
        life = msgspec.json.decode(line, type=Life)
        child = os.fork()
        if not child:
            status = 9
            try:
                status = _live(life)
            except BaseException as error:  # noqa: BLE001 - told to the test, which fails on it
                _tell(f"x {type(error).__name__}: {error}")
            finally:
                os._exit(status)
        _tell(f"p {child}")
        _, status = os.waitpid(child, 0)
        _tell(f"e {-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)}")


class Told:
    """What a life told."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.refused: list[str] = []
        self.stopped = ""
        self.detected = False
        self.status = 0


class Nursery:
    """The process, from the test's side. ``with Nursery(env) as nursery``."""

    def __init__(self, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=ROOT,
            env={**env, "PYTHONPATH": os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert next(self._lines()) == "ready"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _lines(self) -> Iterator[str]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            yield line.decode().rstrip("\n")

    def live(
        self, folder: Path, todo: Sequence[int], *, size: int = 24, kill_after: int | None = None
    ) -> Told:
        """One life to its end; ``kill_after``: kill -9 once so many bodies were acknowledged (0: as soon as it runs)."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(Life(str(folder), list(todo), size)) + b"\n")
        self._process.stdin.flush()
        told, child = Told(), 0
        for line in self._lines():
            kind, _, rest = line.partition(" ")
            if kind == "p":
                child = int(rest)
            elif kind == "a":
                told.acknowledged.append(int(rest))
            elif kind == "r":
                told.refused.append(rest.partition(" ")[2])
            elif kind in {"x", "l"}:
                told.stopped = rest
            elif kind == "d":
                told.detected = True
            elif kind == "e":
                told.status = int(rest)
                return told
            if kill_after is not None and child and len(told.acknowledged) >= kill_after:
                os.kill(child, signal.SIGKILL)
                kill_after = None
        raise AssertionError("the nursery ended")


if __name__ == "__main__":
    main()
