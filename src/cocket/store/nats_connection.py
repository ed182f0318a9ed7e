"""A connection to NATS servers, called from ordinary threads: one event loop on one thread of its own.

A connection that fails or does not answer is thrown away, and the next request makes a new one to another server: nothing
waits in a buffer to be sent when nobody reckons with it any more. Requests are tried again until their time is over,
so each must be safe to repeat.

Document: NATS client protocol; JetStream API as of server 2.15 (ADR-31, direct get in batches).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from cocket.core.config import Log as LogSettings
from cocket.core.errors import BadSetting, Unavailable

T = TypeVar("T")

_CONNECT_S: Final = 2.0
_TRY_S: Final = 3.0
_PING_S: Final = 2
_DEAF_S: Final = 1.0  # this long a server may know of no leader before another server is asked
_PAUSE_S: Final = (0.05, 0.25)
_PORT: Final = 4222

_FAILURES: Final = (nats.errors.Error, OSError, asyncio.TimeoutError, EOFError)


@dataclass(frozen=True, slots=True)
class Address:
    """Where NATS is: ``nats://user:password@host:port,host:port``; ``tls://`` asks for TLS."""

    hosts: tuple[str, ...]
    user: str
    password: str
    tls: bool

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises ``BadSetting``, which does not say the password."""
        scheme, _, rest = url.partition("://")
        who, at, places = rest.rpartition("@")
        user, _, password = who.partition(":")
        hosts = []
        try:
            for place in places.split(","):
                one = urlsplit(f"nats://{place}")
                host = "" if one.path or one.query else one.hostname or ""
                name = f"[{host}]" if ":" in host else host
                hosts.append(name and f"{name}:{one.port or _PORT}")
        except ValueError:
            hosts = []
        if scheme not in {"nats", "tls"} or not all(hosts) or not hosts or (at and not user):
            raise BadSetting(
                "log.url is no address of NATS servers; write it as nats://user:password@host:4222,host:4222"
            )
        return cls(tuple(hosts), unquote(user), unquote(password), scheme == "tls")

    @classmethod
    def of(cls, settings: LogSettings) -> Address:
        """The servers that ``log.url`` names, with the password of ``log.password_file``. Raises ``BadSetting``."""
        address = cls.parse(settings.url)
        if not settings.password_file:
            return address
        try:
            password = Path(settings.password_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadSetting(
                f"log.password_file {settings.password_file} cannot be read: {error.strerror}"
            ) from error
        return replace(address, password=password)

    def __str__(self) -> str:
        return f"{'tls' if self.tls else 'nats'}://{','.join(self.hosts)}"

    __repr__ = __str__


class _Line(Client):
    """A connection that says when it is gone, so that nobody waits for an answer that cannot come."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def has_closed(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)


class ApiError(Exception):
    """JetStream refused: ``code`` is its ``err_code`` (``errors.json`` of the server), else the HTTP-like one."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code
        self.text = text


class NatsConnection:
    """Requests to the servers at ``address``, from any thread. Several logs may share one.

    ``timeout_s`` bounds each call: then it raises ``Unavailable``, and what it asked for may or may not have been done.
    """

    def __init__(self, address: Address | str, *, timeout_s: float = 15.0, name: str = "cocket") -> None:
        self.address = Address.parse(address) if isinstance(address, str) else address
        self.timeout_s = timeout_s
        self._name = name
        self._line: _Line | None = None
        self._failed = ""
        self._dialling = asyncio.Lock()
        self._random = random.Random()  # noqa: S311 - spreads the load, keeps no secret
        self._closing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cocket-nats", daemon=True)
        self._thread.start()

    # for ordinary threads

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the connection's thread and wait for it."""
        return self.future(work).result()

    def future(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin ``work`` on the connection's thread; the future gives its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def api(self, subject: str, body: dict[str, Any]) -> dict[str, Any]:
        """A call of the JetStream API. ``ApiError`` when it is refused."""
        return self.run(self.call(subject, body))

    def close(self) -> None:
        """Let go of the servers. What was acknowledged is safe without this."""
        if self._thread.is_alive():
            self.run(self._hang_up())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    # for coroutines on the connection's thread

    async def persist(self, attempt: Callable[[Client, float], Coroutine[Any, Any, T]], what: str) -> T:
        """Try ``attempt`` (given a connection and its seconds) until it succeeds or ``timeout_s`` is over."""
        end = time.monotonic() + self.timeout_s
        deaf_at = time.monotonic() + _DEAF_S
        while True:
            rest = end - time.monotonic()
            line: _Line | None = None
            try:
                line = await self._connected(rest)
                return await _while_there(line, attempt(line, max(0.1, min(_TRY_S, rest))))
            except _FAILURES as error:
                deaf = isinstance(error, nats.errors.NoRespondersError) and time.monotonic() < deaf_at
                if line is not None and not deaf:
                    self._throw_away(line)
                    deaf_at = time.monotonic() + _DEAF_S
                if time.monotonic() + _PAUSE_S[1] > end:
                    raise Unavailable(
                        f"NATS at {self.address} did not {what} within {self.timeout_s:g} s ({_words(error)})"
                    ) from error
            await self.pause()

    async def pause(self) -> None:
        """A moment, not the same for everybody."""
        await asyncio.sleep(self._random.uniform(*_PAUSE_S))

    def elsewhere(self) -> None:
        """Let the next request go to another server; what is under way on this connection fails, and is tried there."""
        if self._line is not None:
            self._throw_away(self._line)

    async def call(self, subject: str, body: dict[str, Any]) -> dict[str, Any]:
        """A call of the JetStream API, as ``api``."""

        async def attempt(client: Client, seconds: float) -> dict[str, Any]:
            answer = await client.request(f"$JS.API.{subject}", json.dumps(body).encode(), timeout=seconds)
            found: dict[str, Any] = json.loads(answer.data)
            refused = found.get("error")
            if refused is not None and refused["code"] == 503:
                raise nats.errors.NoRespondersError
            if refused is not None:
                raise ApiError(refused.get("err_code", refused["code"]), refused.get("description", ""))
            return found

        return await self.persist(attempt, f"answer {subject}")

    async def gather(self, subject: str, body: dict[str, Any]) -> list[Msg]:
        """A request that is answered by several messages, the last one empty; that one is left out. Repeated as a whole."""

        async def attempt(client: Client, seconds: float) -> list[Msg]:
            inbox = client.new_inbox()
            found: list[Msg] = []
            subscription = await client.subscribe(inbox, pending_msgs_limit=0, pending_bytes_limit=0)
            try:
                await client.publish(subject, json.dumps(body).encode(), reply=inbox)
                while True:
                    message = await subscription.next_msg(seconds)
                    status = (message.headers or {}).get("Status")
                    if status == "503":
                        raise nats.errors.NoRespondersError
                    if status in {"204", "404"}:  # the end of the batch, or nothing there
                        return found
                    if status is not None:
                        raise ApiError(int(status), (message.headers or {}).get("Description", ""))
                    found.append(message)
            finally:
                with contextlib.suppress(nats.errors.Error):
                    await subscription.unsubscribe()

        return await self.persist(attempt, f"answer {subject}")

    async def max_payload(self) -> int:
        """Largest message that the server takes, bytes."""

        async def attempt(client: Client, _: float) -> int:
            return client.max_payload

        return await self.persist(attempt, "take a connection")

    async def _connected(self, seconds: float) -> _Line:
        async with self._dialling:
            if self._line is not None and self._line.is_connected:
                return self._line
            if self._line is not None:
                self._throw_away(self._line)
            hosts = list(self.address.hosts)
            self._random.shuffle(hosts)
            hosts.sort(key=lambda host: host == self._failed)
            end = time.monotonic() + max(seconds, _CONNECT_S)
            failure: Exception = TimeoutError()
            for host in hosts:
                line = _Line(host)
                try:
                    await asyncio.wait_for(self._dial(line, host), _CONNECT_S)
                except _FAILURES as error:
                    failure, self._failed = error, host
                    self._hang(line)
                    if time.monotonic() > end:
                        break
                    continue
                self._line = line
                return line
            raise failure

    async def _dial(self, line: _Line, host: str) -> None:
        # its own ways of connecting again are not used: they send what had waited, and end for good on some errors
        await line.connect(
            [f"nats://{host}"],
            name=self._name,
            user=self.address.user or None,
            password=self.address.password or None,
            tls=ssl.create_default_context() if self.address.tls else None,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=int(_CONNECT_S),
            ping_interval=_PING_S,
            max_outstanding_pings=2,
            pending_size=64 * 1024 * 1024,
            error_cb=_told_by_the_request,
            closed_cb=line.has_closed,
        )

    def _throw_away(self, line: _Line) -> None:
        if self._line is line:
            self._line = None
            self._failed = line.host
        self._hang(line)

    def _hang(self, line: _Line) -> None:
        task = self._loop.create_task(_hang_up(line))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _hang_up(self) -> None:
        if self._line is not None:
            self._hang(self._line)
            self._line = None
        if self._closing:
            await asyncio.wait(tuple(self._closing), timeout=_CONNECT_S)


async def _told_by_the_request(_: Exception) -> None:
    """Every failure shows in the request that meets it."""


async def _hang_up(line: _Line) -> None:
    with contextlib.suppress(*_FAILURES):
        await asyncio.wait_for(line.close(), _CONNECT_S)


async def _while_there(line: _Line, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` gives, unless the connection goes first."""
    task = asyncio.ensure_future(work)
    await asyncio.wait((task, line.gone), return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
    if not task.done() or task.cancelled():  # closing cancels whoever waits for a message
        raise nats.errors.ConnectionClosedError
    return task.result()


def _words(error: BaseException) -> str:
    if isinstance(error, nats.errors.NoRespondersError):
        return "nobody leads it at the moment"
    if isinstance(error, (nats.errors.TimeoutError, asyncio.TimeoutError)):
        return "no answer"
    return str(error) or type(error).__name__
