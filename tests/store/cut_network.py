"""Ways between the nodes of a cluster that can be cut: a small proxy before each node's cluster port."""

from __future__ import annotations

import contextlib
import re
import socket
import threading

HOST = "127.0.0.1"
_NAME = re.compile(rb'"server_name":"([^"]+)"')


class Ways:
    """Give ``through`` to ``NatsCluster``; then every word between two nodes goes through here."""

    def __init__(self) -> None:
        self._cut: tuple[str, int] | None = None
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket, int, list[str]]] = []
        self._listeners: list[socket.socket] = []

    def through(self, target: int) -> int:
        """The port by which others reach the cluster port ``target``."""
        listener = socket.create_server((HOST, 0))
        self._listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, target), daemon=True).start()
        return int(listener.getsockname()[1])

    def isolate(self, name: str, port: int) -> None:
        """Cut off the node of this name and cluster port from all others; clients still reach it."""
        with self._lock:
            self._cut = (name, port)
            for near, far, target, source in self._pairs:
                if target == port or source == [name]:
                    _end(near, far)

    def mend(self) -> None:
        self._cut = None

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        with self._lock:
            for near, far, _, _ in self._pairs:
                _end(near, far)

    def _accept(self, listener: socket.socket, target: int) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.socket()
            try:
                far.connect((HOST, target))
            except OSError:
                _end(near, far)
                continue
            source: list[str] = []
            with self._lock:
                self._pairs.append((near, far, target, source))
            threading.Thread(target=self._pump, args=(near, far, target, source), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, target, source), daemon=True).start()

    def _pump(self, a: socket.socket, b: socket.socket, target: int, source: list[str]) -> None:
        """``source`` learns the name of the node that came; it says it in its first words, as does the one it came to."""
        with contextlib.suppress(OSError):
            while data := a.recv(65_536):
                if not source and (found := _NAME.search(data)) and self._is_near(a):
                    source.append(found[1].decode())
                if self._cut is not None and (target == self._cut[1] or source == [self._cut[0]]):
                    break
                b.sendall(data)
        _end(a, b)

    def _is_near(self, a: socket.socket) -> bool:
        with self._lock:
            return any(near is a for near, _, _, _ in self._pairs)


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
