"""Listening: the app under uvicorn, until a signal ends it."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Generator, Sequence
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cocket.access.desk import AccessDesk
from cocket.core.clock import Clock, WallClock
from cocket.core.config import Settings
from cocket.core.errors import BadSetting
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.web import binding
from cocket.web.app import create_app
from cocket.web.peer import TlsProtocol
from cocket.web.stream import Streams

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Server(uvicorn.Server):
    """Ends the live streams as soon as it is told to stop, and returns from ``run`` instead of dying by the signal."""

    def __init__(self, config: uvicorn.Config, streams: Streams, address: str) -> None:
        super().__init__(config)
        self._streams = streams
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say where."""
        await super().startup(sockets)
        print(self._address, flush=True)  # noqa: T201 - scripts read the first line

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; streams first, for they would not end by themselves."""
        self._streams.end()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take the signals while it runs; what the caller has to close is closed after ``run`` returns."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {sig: signal.signal(sig, self.handle_exit) for sig in _SIGNALS}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)


def listening(host: str, port: int) -> socket.socket:
    """A bound socket; ``BadSetting`` says why an address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise BadSetting(
            f"cannot listen on {host} port {port}: {error.strerror or error}; another --port may be free (0 takes one)"
        ) from error
    return sock


def server(
    service: Service,
    settings: Settings,
    sock: socket.socket,
    gateway: Gateway,
    *,
    demo: bool = False,
    access_clock: Clock | None = None,
) -> uvicorn.Server:
    """A server over a bound socket; ``run(sockets=[sock])`` serves until ``handle_exit`` or a signal.

    Sessions live in the machine's time (``access_clock``), whatever time the service is in: they are people's.
    """
    access = None
    if settings.access.sign_in:
        access = AccessDesk(service.folder.access, access_clock or WallClock(), settings.access)
    app = create_app(service, settings, gateway, demo=demo, access=access)
    options: dict[str, Any] = {
        "http": TlsProtocol if settings.http.tls_clients else HttpToolsProtocol,
        "proxy_headers": False,  # cocket.web.peer reads them
        "loop": "uvloop" if sys.platform != "win32" else "asyncio",
        "ws": "none",
        "log_config": None,  # what the command line has set up (core.logs); of requests, web.tracking tells
        "access_log": False,
        "server_header": False,
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": 10,
        "backlog": 2048,
        **binding.tls_options(settings),
    }
    host, port = sock.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    scheme = "https" if settings.http.tls_certificate else "http"
    address = f"{scheme}://{name}:{port}"
    lines = [address, *(f"listening {address}" for address in gateway.addresses)]
    if access is not None and not access.accounts.has_owner():
        lines.append(owner_words(settings.access.origin or address, access.accounts.owner_link(by="start")))
    return _Server(uvicorn.Config(app, **options), app.state.streams, "\n".join(lines))


def owner_words(origin: str, secret: str) -> str:
    """What the console says to whoever is to be the owner. The secret stands behind #, which browsers send to nobody."""
    return f"be the owner (once, within the hour): {origin.rstrip('/')}/owner#{secret}"


def run(
    service: Service,
    settings: Settings,
    host: str,
    port: int,
    *,
    doors: Sequence[str] = (),
    demo: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM, where ``binding.check`` lets it. Prints ``http://HOST:PORT`` (or ``https:``) as the first line once it listens, then a line for
    each door for devices, then, where people sign in and there is no owner yet, the link that makes one.
    """
    binding.check(settings, host, demo=demo)
    sock = listening(host, port)
    with Gateway(service, doors) as gateway:
        server(service, settings, sock, gateway, demo=demo).run(sockets=[sock])
