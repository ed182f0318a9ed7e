"""Words between the processes of a site: subjects that are asked, answered, and called out. Core NATS, nothing is kept.

One connection that comes back by itself; what was said while it was away is lost, so whoever relies on a word also looks
by itself. Document: NATS client protocol, requests and queue groups.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from cocket.core.errors import Unavailable
from cocket.store.nats_connection import NatsConnection

T = TypeVar("T")

Answer = Callable[[bytes], Awaitable[bytes]]
_DIAL_S: Final = 20.0
_PENDING_BYTES: Final = 256 * 1024 * 1024

log = logging.getLogger(__name__)


class Link:
    """Talks over the servers of ``connection``, on its thread. Any thread may call, but not that one."""

    def __init__(self, connection: NatsConnection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._under_way: set[asyncio.Task[None]] = set()
        self.client = Client()
        try:
            connection.run(asyncio.wait_for(self._dial(), _DIAL_S))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise Unavailable(f"NATS at {connection.address} does not answer: {error}") from error

    async def _dial(self) -> None:
        address = self._connection.address
        await self.client.connect(
            [f"nats://{host}" for host in address.hosts],
            name=self._name,
            user=address.user or None,
            password=address.password or None,
            tls=ssl.create_default_context() if address.tls else None,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=2,
            ping_interval=2,
            max_outstanding_pings=2,
            pending_size=_PENDING_BYTES,
            error_cb=_said,
        )

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin ``work`` on the connection's thread; the future gives its result."""
        return self._connection.future(work)

    def publish(self, subject: str, body: bytes) -> None:
        """Say something to whoever listens. It may be lost."""
        self.run(self._published(subject, body))

    async def _published(self, subject: str, body: bytes) -> None:
        try:
            await self.client.publish(subject, body)
        except (nats.errors.Error, OSError) as error:
            log.debug("a word on %s was lost: %s", subject, error)

    def subscribe(self, subject: str, hear: Callable[[bytes], None]) -> Callable[[], None]:
        """Hear what is said on a subject; ``hear`` must not wait for anything. Call the answer to end it."""

        async def heard(message: Msg) -> None:
            hear(message.data)

        return self._listening(subject, heard)

    def answer(self, subject: str, answer: Answer) -> Callable[[], None]:
        """Answer what is asked on a subject, many at once. Call what is returned to end it."""

        async def one(message: Msg) -> None:
            try:
                await message.respond(await answer(message.data))
            except Exception:
                log.exception("a question on %s was not answered", subject)

        async def heard(message: Msg) -> None:
            task = asyncio.get_running_loop().create_task(one(message))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

        return self._listening(subject, heard)

    def _listening(self, subject: str, heard: Callable[[Msg], Awaitable[None]]) -> Callable[[], None]:
        async def begin() -> Subscription:
            found = await self.client.subscribe(subject, cb=heard, pending_bytes_limit=_PENDING_BYTES)
            await self.client.flush()
            return found

        subscription = self._connection.run(begin())

        async def end() -> None:
            try:
                await subscription.unsubscribe()
            except nats.errors.Error as error:
                log.debug("%s: %s", subject, error)

        return lambda: self._connection.run(end())

    def close(self) -> None:
        """Hang up."""

        async def hang_up() -> None:
            if self._under_way:
                await asyncio.wait(tuple(self._under_way), timeout=2)
            try:
                await asyncio.wait_for(self.client.close(), 2)
            except (nats.errors.Error, OSError, TimeoutError) as error:
                log.debug("hanging up: %s", error)

        self._connection.run(hang_up())


async def _said(error: Exception) -> None:
    log.debug("NATS: %s", error)
