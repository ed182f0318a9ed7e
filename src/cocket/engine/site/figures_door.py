"""Where a worker tells its figures: ``GET /metrics`` for Prometheus, ``GET /health`` as JSON. It answers nothing else.

A small server of its own, for a worker has no web application. Without sign-in: the figures name nobody, and where it listens
beyond this machine what fails is not told in words.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Self

from prometheus_client import CONTENT_TYPE_LATEST

from cocket.core.errors import BadSetting, CocketError
from cocket.engine.site import worker_figures

if TYPE_CHECKING:
    from cocket.engine.site.worker import Worker

_PATIENCE_S: Final = 10.0

log = logging.getLogger(__name__)


class FiguresDoor:
    """Listens on ``host`` and ``port`` (0: a free one) while its block runs. ``BadSetting`` where it cannot."""

    def __init__(self, worker: Worker, host: str, port: int) -> None:
        near = _near(host)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version = "Cocket"
            sys_version = ""
            timeout = _PATIENCE_S

            def do_GET(self) -> None:
                try:
                    if self.path == "/metrics":
                        self._answer(200, CONTENT_TYPE_LATEST, worker_figures.text(worker))
                    elif self.path == "/health":
                        shown = worker_figures.health(worker, in_words=near)
                        self._answer(200, "application/json", json.dumps(shown).encode())
                    else:
                        self._answer(404, "text/plain", b"a worker answers /metrics and /health\n")
                except CocketError as error:  # what has to be asked of others is away
                    self._answer(503, "text/plain", f"{error}\n".encode() if near else b"not now\n")
                except OSError as error:
                    log.debug("whoever asked for figures went away: %s", error)
                    self.close_connection = True

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                for name, value in (
                    ("Content-Type", kind),
                    ("Content-Length", str(len(body))),
                    ("Cache-Control", "no-store"),
                    ("X-Content-Type-Options", "nosniff"),
                ):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                log.debug(format, *args)

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

        try:
            self._server = Server((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise BadSetting(
                f"watching.worker_host {host}, worker_port {port}: cannot listen there ({getattr(error, 'strerror', None) or error}); "
                "several workers of one machine need a port each: `cocket work --port`, or 0 for a free one"
            ) from error
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="cocket-figures", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _near(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
