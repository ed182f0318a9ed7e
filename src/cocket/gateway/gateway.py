"""The gateway: all doors for devices, in one event loop on a thread of its own, beside the HTTP door.

``Gateway`` opens and closes it; ``submit_frames`` lets the HTTP door hand frames in. What is here only connects the
parts: connections split bytes, decoders read frames, the intake judges, the collector makes durable, replies go out.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from cocket.core.config import Gateway as GatewaySettings
from cocket.core.doors import Reject
from cocket.core.errors import BadSetting, CocketError, NotFound
from cocket.core.protocol import Protocol, Reading, Row
from cocket.decoders import protocol as shipped_protocol
from cocket.decoders import protocols as shipped_protocols
from cocket.engine.service import Service
from cocket.gateway.collector import Collector
from cocket.gateway.commands import Commands
from cocket.gateway.connection import Connection, Datagrams, recogniser
from cocket.gateway.folder import reads, watch_folder
from cocket.gateway.handing import Handing
from cocket.gateway.intake import Intake, Speaker
from cocket.gateway.listening import Door, parse
from cocket.gateway.mqtt import MqttDoor
from cocket.gateway.registry import Registry
from cocket.sources.model import Mapping

_SWEEP_S: Final = 1.0
_MEND_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 60.0
_CALL_S: Final = 20.0
"""How long a partner that we call may take to answer the telephone."""

log = logging.getLogger(__name__)


class Gateway:
    """The running gateway of a service. ``with Gateway(service, doors) as gateway`` opens and closes it.

    ``doors`` as in ``--listen``. Raises ``BadSetting`` if one cannot be opened; then none is.
    """

    def __init__(self, service: Service, doors: Sequence[str] = ()) -> None:
        self.service = service
        self.settings: GatewaySettings = service.settings.gateway
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        """Mapping files that could not be used, in words."""
        self.addresses: list[str] = []
        """Where it listens, one line a door."""
        self.topics: dict[str, Mapping] = {}
        """MQTT topic filters that mappings name themselves."""
        self._mapped = self._mappings()
        host = self.settings.host or service.settings.http.host
        self._doors = [parse(text, host) for text in (*self.settings.listen, *doors)]
        for door in self._doors:
            if door.kind == "folder":
                reads(self, door.protocol)
                if not Path(door.place).is_dir():
                    raise BadSetting(f"listen folder:{door.place}: there is no such folder")
            elif door.protocol:
                self._need(door.protocol)
        self._loop: asyncio.AbstractEventLoop = _new_loop()
        self._thread = threading.Thread(target=self._run, name="cocket-gateway", daemon=True)
        self._ready: Future[None] = Future()
        self._stop = asyncio.Event()
        self._connections: dict[int, Connection] = {}
        self._by_address: Counter[str] = Counter()
        self._open: set[int] = set()
        self._voices: dict[str, Connection] = {}
        self._held = False
        self._recognise: Callable[[bytes], Protocol | None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.registry = Registry(service.folder.reference, self.settings)
        service.on_reference_changed.append(self.registry.changed)
        self.intake = Intake(self.registry, self.settings, service.clock, lambda: self._open)
        self.commands = Commands(self, service)
        self.handing = Handing(self)
        self._collector = Collector(service, self.settings.gather_s, self._relieved)

    # open and close

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._ready.result()
        except BaseException:
            self._thread.join()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        except BaseException as error:
            if self._ready.done():
                log.exception("the gateway stopped")
            else:
                self._ready.set_exception(error)
        finally:
            self._loop.close()

    async def _main(self) -> None:
        servers: list[asyncio.Server | asyncio.DatagramTransport] = []
        mqtt: list[MqttDoor] = []
        writing = asyncio.ensure_future(self._collector.run())
        try:
            for door in self._doors:
                await self._open_door(door, servers, mqtt)
            self._spawn(self._sweep())
            for one in mqtt:
                self._spawn(self._mend(one))
            self._ready.set_result(None)
            await self._stop.wait()
        finally:
            for server in servers:
                server.close()
            for one in mqtt:
                one.close()
            for task in self._tasks:
                task.cancel()
            for connection in list(self._connections.values()):
                connection.close("stopping")
            await asyncio.sleep(0)
            self._collector.close()
            try:
                await writing
            except CocketError as error:  # what was not written was not acknowledged: devices send it again
                log.warning("the gateway closed with frames unwritten: %s", error)

    async def _open_door(
        self, door: Door, servers: list[asyncio.Server | asyncio.DatagramTransport], mqtt: list[MqttDoor]
    ) -> None:
        p = self.protocol(door.protocol) if door.protocol and door.kind != "folder" else None
        if door.kind in {"tcp", "tls"}:
            tls = self._tls() if door.kind == "tls" else None
            if p is None:
                self.recognise(b"")  # all protocols are loaded before the first device calls
            here = [door]
            try:
                server = await self._loop.create_server(
                    lambda: Connection(self, here[0], p), door.host, door.port, ssl=tls, backlog=4096
                )
            except OSError as error:
                raise _cannot(door, error) from error
            servers.append(server)
            here[0] = replace(door, port=server.sockets[0].getsockname()[1])
            self._says(here[0], here[0].port)
        elif door.kind == "udp":
            assert p is not None
            known = p
            try:
                transport, _ = await self._loop.create_datagram_endpoint(
                    lambda: Datagrams(self, door, known), local_addr=(door.host, door.port)
                )
            except OSError as error:
                raise _cannot(door, error) from error
            servers.append(transport)
            self._says(door, transport.get_extra_info("sockname")[1])
        elif door.kind == "connect":
            assert p is not None
            self._spawn(self._call(door, p))
            self.addresses.append(f"connect {door.host}:{door.port} {p.name}")
        elif door.kind == "folder":
            self._spawn(watch_folder(self, Path(door.place), reads(self, door.protocol)))
            self.addresses.append(f"folder {door.place} {door.protocol}")
        else:
            opened = MqttDoor(self, door, self.service.folder.path)
            await self._loop.run_in_executor(None, opened.open)
            mqtt.append(opened)
            self.addresses.append(f"mqtt {opened.address}")

    def _says(self, door: Door, port: int) -> None:
        host = f"[{door.host}]" if ":" in door.host else door.host
        self.addresses.append(f"{door.kind} {host}:{port} {door.protocol or 'auto'}")

    def _tls(self) -> ssl.SSLContext:
        s = self.settings
        if not (s.tls_certificate and s.tls_key):
            raise BadSetting("a tls: door wants gateway.tls_certificate and gateway.tls_key in the settings")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(s.tls_certificate, s.tls_key)
            if s.tls_clients:
                context.load_verify_locations(s.tls_clients)
                context.verify_mode = ssl.CERT_OPTIONAL
        except (OSError, ssl.SSLError) as error:
            raise BadSetting(f"the certificate of the tls: door cannot be used: {error}") from error
        return context

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a door of the gateway stopped", exc_info=task.exception())
            self.counts["door-stopped"] += 1

    # protocols

    def _mappings(self) -> dict[str, Protocol]:
        if not self.settings.mappings:
            return {}
        from cocket.sources.mapping import load_folder
        from cocket.sources.messages import as_protocol, topic_filter

        found, faults = load_folder(Path(self.settings.mappings))
        self.faults = [fault.detail for fault in faults]
        for fault in self.faults:
            log.error("a mapping is not used: %s", fault)
        live = [m for m in found if m.message is not None]
        self.topics = {t: m for m in live if (t := topic_filter(m)) is not None}
        return {p.name: p for p in map(as_protocol, live)}

    def protocol(self, name: str) -> Protocol:
        """A mapping of the settings' folder, or a protocol that comes with Cocket. ``NotFound`` if there is none."""
        return self._mapped.get(name) or shipped_protocol(name)

    def protocols(self) -> list[Protocol]:
        """All of them."""
        return [*shipped_protocols(), *self._mapped.values()]

    def _need(self, name: str) -> None:
        try:
            self.protocol(name)
        except NotFound as error:
            raise BadSetting(f"a door wants a protocol that there is not: {error.detail}") from error

    def recognise(self, first: bytes) -> Protocol | None:
        """Which protocol a connection speaks, by its first bytes; None while that is open."""
        if self._recognise is None:
            self._recognise = recogniser((*shipped_protocols(), *self._mapped.values()))
        return self._recognise(first)

    # what connections need; on the gateway's thread

    def now_s(self) -> float:
        """Seconds of a clock that only goes forward."""
        return self._loop.time()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call after so many seconds."""
        self._loop.call_later(min(seconds, _LONGEST_PAUSE_S), call)

    @property
    def pressed(self) -> bool:
        """More waits for the log than should: the doors do not read."""
        return self._collector.pressed

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    def connections_by_protocol(self) -> dict[str, int]:
        """How many there are of each protocol; any thread may ask."""
        speakers = [connection.speaker for connection in list(self._connections.values())]
        return dict(Counter("unrecognised" if s is None else s.protocol.name for s in speakers))

    def admit(self, connection: Connection) -> bool:
        """Whether one more connection is taken."""
        address = connection.peer.address
        self.counts["connected"] += 1
        full = (
            len(self._connections) >= self.settings.max_connections
            or self._by_address[address] >= self.settings.max_per_address
        )
        if log.isEnabledFor(logging.INFO):
            log.info("a connection from %s", address, extra={"connection": id(connection)})
        self._connections[id(connection)] = connection
        self._by_address[address] += 1
        return not full

    def gone(self, connection: Connection, why: str) -> None:
        """A connection is over."""
        if self._connections.pop(id(connection), None) is None:
            return
        self.counts[f"closed-{why}"] += 1
        if log.isEnabledFor(logging.INFO):
            names = sorted(connection.names)
            known = {"connection": id(connection), "device": names[0] if names else None}
            log.info("a connection from %s is over: %s", connection.peer.address, why, extra=known)
        address = connection.peer.address
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        speaker = connection.speaker
        if speaker is not None:
            self._open.discard(speaker.number)
        for name in connection.names:
            if self._voices.get(name) is connection:
                del self._voices[name]

    def frame(self, speaker: Speaker, data: bytes, reading: Reading, done: Callable[[], None]) -> None:
        """A frame was read; ``done`` is called when what it said is durable."""
        taken = self.intake.take(speaker, data, reading, self.now_s())
        self._collector.add(taken.rows, taken.rejects, done)
        if reading.results and taken.device_id is not None:
            self.commands.answered(taken.device_id, reading.results)
        if self._collector.pressed and not self._held:
            self._hold()

    def noise(self, speaker: Speaker, data: bytes, rule: str, done: Callable[[], None] | None = None) -> None:
        """Bytes that are no frame."""
        self.keep([], self.intake.noise(speaker, data, rule).rejects, done or _nothing)

    def keep(self, rows: list[Row], rejects: list[Reject], done: Callable[[], None]) -> None:
        """Make these durable."""
        self._collector.add(rows, rejects, done)

    def unrecognised(self, data: bytes, door: str) -> None:
        """A connection whose protocol nobody knows."""
        self.counts["unrecognised"] += 1
        detail = "these bytes begin no frame of any protocol; name the door's protocol, as tcp:5023=gt06"
        reject = Reject(0, "", "unrecognised-protocol", detail, data, f"auto@{door}")
        self._collector.add([], [reject], _nothing)

    def wait_s(self, speaker: Speaker) -> float:
        """Seconds for which a speaker has to wait; 0 as long as it sends no more than one device may."""
        return self.intake.wait_s(speaker, self.now_s())

    def spoke(self, connection: Connection) -> None:
        """A device has said something: commands that wait for it go out."""
        speaker = connection.speaker
        if speaker is None or speaker.named is None:
            return
        self._open.add(speaker.number)
        self._voices[speaker.named] = connection
        connection.names.add(speaker.named)
        self.commands.heard(speaker.named, speaker.protocol, connection.send)

    def voice(self, device_id: str) -> Connection | None:
        """The connection on which a device spoke last, if it is open."""
        return self._voices.get(device_id)

    def _hold(self) -> None:
        self._held = True
        for connection in self._connections.values():
            connection.pause("pressed")

    def _relieved(self) -> None:
        self._held = False
        for connection in self._connections.values():
            connection.resume("pressed")

    # tasks

    async def _sweep(self) -> None:
        """Close what is slow or silent; let commands expire."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = self.now_s()
            for connection in list(self._connections.values()):
                why = connection.overdue(now, self.settings.idle_s, self.settings.frame_s)
                if why:
                    connection.close(why)
            self.commands.sweep()

    async def _mend(self, door: MqttDoor) -> None:
        """Look after the broker that is ours."""
        while True:
            await asyncio.sleep(_MEND_S)
            try:
                await self._loop.run_in_executor(None, door.mend)
            except BadSetting as error:
                log.warning("%s", error)

    async def _call(self, door: Door, p: Protocol) -> None:
        """Keep a connection that we make ourselves, with growing pauses between tries."""
        pause = 1.0
        while True:
            connection = Connection(self, door, p)
            try:
                async with asyncio.timeout(_CALL_S):
                    await self._loop.create_connection(lambda made=connection: made, door.host, door.port)  # type: ignore[misc]
            except OSError as error:
                self.counts["call-failed"] += 1
                log.warning(
                    "%s:%s cannot be reached (%s); trying again", door.host, door.port, error or "no answer"
                )
            else:
                pause = 1.0
                await connection.closed.wait()
            await asyncio.sleep(pause)
            pause = min(60.0, pause * 2)

    # for other threads

    def soon(self, call: Callable[[], None]) -> None:
        """Call on the gateway's thread, from any; nothing happens once it has stopped."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    def call(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run on the gateway's thread; for the HTTP door."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def durable(self, rows: list[Row], rejects: list[Reject]) -> None:
        """Wait until these, and all that was added before, are on the disk."""
        done = self._loop.create_future()
        self._collector.add(rows, rejects, lambda: None if done.done() else done.set_result(None))
        await done

    def stats(self) -> dict[str, Any]:
        """The figures of the gateway."""
        frames: dict[str, dict[str, int]] = {}
        for (name, outcome), n in list(self.intake.frames.items()):
            frames.setdefault(name, {})[outcome] = n
        return {
            "doors": list(self.addresses),
            "connections": len(self._connections),
            "devices_connected": len(self._voices),
            "rows_waiting": self._collector.rows_waiting,
            "failing": self._collector.failing or None,
            "mapping_faults": list(self.faults),
            "events": dict(self.counts),
            "frames": frames,
        }


def _nothing() -> None:
    """Nobody waits for this."""


def _cannot(door: Door, error: OSError) -> BadSetting:
    return BadSetting(
        f"cannot listen on {door.kind} {door.host} port {door.port}: {error.strerror or error}; is something there already?"
    )


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
