"""One device's TCP connection, or one UDP door: bytes in, frames to the gateway, replies out when they are durable."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

from cocket.access.certificates import names
from cocket.core.framing import Stream, frames_of
from cocket.core.protocol import Protocol, Session
from cocket.gateway.intake import Speaker
from cocket.gateway.listening import Door
from cocket.gateway.registry import Peer
from cocket.observations.frames import read_frame

if TYPE_CHECKING:
    from cocket.gateway.gateway import Gateway

_MOST_OUTSTANDING: Final = 512
"""Frames of one connection that may wait for the log before it is no longer read."""
_MOST_UNSENT: Final = 1 << 16
"""Bytes of replies that a device may leave unread before its connection is closed."""
_RECOGNISE_BYTES: Final = 2048
_MOST_PEERS: Final = 50_000


class Connection(asyncio.Protocol):
    """A TCP connection, accepted or made by us; ``protocol`` None is recognised from the first frame."""

    def __init__(self, gateway: Gateway, door: Door, protocol: Protocol | None) -> None:
        self._gateway = gateway
        self._door = door
        self._protocol = protocol
        self._first = b""
        self._transport: asyncio.Transport | None = None
        self._outstanding = 0
        self._paused: set[str] = set()
        self.stream: Stream | None = None
        self.speaker: Speaker | None = None
        self.peer = Peer()
        self.heard_s = self.began_s = 0.0
        self.closed_for: str = ""
        self.names: set[str] = set()
        self.closed = asyncio.Event()

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or turn away."""
        self._transport = cast("asyncio.Transport", transport)
        self.heard_s = self.began_s = self._gateway.now_s()
        address = transport.get_extra_info("peername")
        tls = transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        self.peer = Peer(
            str(address[0]) if address else "",
            sha256(shown).hexdigest() if shown else "",
            tuple(names(shown)[1:]) if shown else (),
        )
        if not self._gateway.admit(self):
            self.close("too-many")
            return
        if self._protocol is not None:
            self._speak(self._protocol)
            if self._door.kind == "connect" and self._protocol.opening:
                self.send(self._protocol.opening)
        if self._gateway.pressed:
            self.pause("pressed")

    def data_received(self, data: bytes) -> None:
        """Any piece of the stream."""
        if self._over():
            return
        self.heard_s = self._gateway.now_s()
        if self.stream is None:
            self._first += data
            found = self._gateway.recognise(self._first)
            if found is None:
                if len(self._first) > _RECOGNISE_BYTES:
                    self._unrecognised()
                return
            self._speak(found)
            data, self._first = self._first, b""
        assert self.stream is not None
        assert self.speaker is not None
        had = bool(self.stream.rest)
        for piece in self.stream.feed(data):
            had = False
            if piece.noise:
                self._gateway.noise(self.speaker, piece.data, piece.noise)
            else:
                self._frame(piece.data)
            if self._over():
                return
        if not self.stream.rest:
            self.began_s = float("inf")
        elif not had:
            self.began_s = self.heard_s
        if self.speaker.bad_in_a_row >= self._gateway.settings.max_bad_frames:
            self.close("unreadable")

    def connection_lost(self, exc: Exception | None) -> None:
        """What was not completed is kept in quarantine."""
        if self.speaker is not None and self.stream is not None:
            for piece in self.stream.end():
                self._gateway.noise(self.speaker, piece.data, piece.noise)
        elif self._first and not self.closed_for:
            self._unrecognised()
        self._gateway.gone(self, self.closed_for or ("reset" if exc else "device"))
        self.closed.set()

    # inside

    def _over(self) -> bool:
        return self.closed_for != ""

    def _speak(self, protocol: Protocol) -> None:
        self.stream = Stream(protocol)
        self.speaker = Speaker(protocol, f"{protocol.name}@{self._door.name}", Session(), self.peer)

    def _frame(self, data: bytes) -> None:
        assert self.speaker is not None
        reading = read_frame(self.speaker.protocol, data, self.speaker.session)
        self._outstanding += 1
        self._gateway.frame(self.speaker, data, reading, partial(self._durable, reading.replies))
        if self._outstanding > _MOST_OUTSTANDING:
            self.pause("outstanding")
        wait = self._gateway.wait_s(self.speaker)
        if wait:
            self._gateway.counts["flooding"] += "flood" not in self._paused
            self.pause("flood")
            self._gateway.later(wait, partial(self.resume, "flood"))
        self._gateway.spoke(self)

    def _durable(self, replies: list[bytes]) -> None:
        self._outstanding -= 1
        for reply in replies:
            self.send(reply)
        if self._outstanding <= _MOST_OUTSTANDING // 2:
            self.resume("outstanding")

    def _unrecognised(self) -> None:
        self._gateway.unrecognised(self._first, self._door.name)
        self._first = b""
        self.close("unrecognised")

    # what the gateway calls

    def send(self, data: bytes) -> None:
        """Write, unless the device has stopped to read what we write."""
        if self._transport is None or self._transport.is_closing() or self.closed_for:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _MOST_UNSENT:
            self.close("reads-nothing")

    def pause(self, why: str) -> None:
        """Read no more until every reason to pause is gone; the device's own network then holds it back."""
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        self._paused.add(why)

    def resume(self, why: str) -> None:
        """One reason is gone."""
        if why in self._paused:
            self._paused.discard(why)
            if not self._paused and self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def close(self, why: str) -> None:
        """End the connection; ``why`` is counted."""
        if not self.closed_for:
            self.closed_for = why
            if self._transport is not None:
                self._transport.close()

    def overdue(self, now_s: float, idle_s: float, frame_s: float) -> str:
        """Why it should be closed, if it should."""
        if self._paused:
            return ""
        if now_s - self.began_s > frame_s:
            return "slow"
        return "silent" if now_s - self.heard_s > idle_s else ""


class Datagrams(asyncio.DatagramProtocol):
    """A UDP door. A peer's session is kept by its address; the least recent are forgotten."""

    def __init__(self, gateway: Gateway, door: Door, protocol: Protocol) -> None:
        self._gateway = gateway
        self._door = door
        self._protocol = protocol
        self._peers: OrderedDict[Any, Speaker] = OrderedDict()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The door is open."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """One datagram: a frame, or several."""
        gateway = self._gateway
        if gateway.pressed:
            gateway.counts["datagram-dropped"] += 1  # not acknowledged: the device sends it again
            return
        speaker = self._peers.get(addr)
        if speaker is None:
            speaker = self._peers[addr] = Speaker(
                self._protocol,
                f"{self._protocol.name}@{self._door.name}",
                Session(),
                Peer(str(addr[0])),
            )
            if len(self._peers) > _MOST_PEERS:
                self._peers.popitem(last=False)
        self._peers.move_to_end(addr)
        if gateway.wait_s(speaker):
            gateway.counts["datagram-dropped"] += 1
            return
        if len(data) > self._protocol.max_frame:
            gateway.noise(speaker, data, "frame-too-long")
            return
        for frame in frames_of(self._protocol, data) or [data]:
            reading = read_frame(self._protocol, frame, speaker.session)
            gateway.frame(speaker, frame, reading, partial(self._durable, reading.replies, addr))

    def _durable(self, replies: list[bytes], addr: Any) -> None:
        if self._transport is not None and not self._transport.is_closing():
            for reply in replies:
                self._transport.sendto(reply, addr)


def recogniser(protocols: tuple[Protocol, ...]) -> Callable[[bytes], Protocol | None]:
    """Which protocol a connection speaks, by its first frame: the bytes must begin as the protocol says, hold a whole
    frame, and the frame must be readable.
    """
    known = [p for p in protocols if p.starts is not None and "tcp" in p.doors]

    def recognise(first: bytes) -> Protocol | None:
        for p in known:
            if p.starts is None or not p.starts.match(first):
                continue
            pieces = Stream(p).feed(first)
            if pieces and not pieces[0].noise and read_frame(p, pieces[0].data, Session()).fault is None:
                return p
        return None

    return recognise
