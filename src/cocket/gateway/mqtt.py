"""The MQTT door: topics mapped to protocols, each message acknowledged to the broker once it is durable here.

``cocket/{protocol}/{device}`` always works. Other topics are mapped by ``gateway.mqtt_topics``; the usual ones of
ChirpStack, The Things Stack, OwnTracks and Sparkplug stand below. Document: MQTT 3.1.1 (OASIS), QoS 1.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from cocket.core.doors import Reject
from cocket.core.errors import BadSetting, NotFound
from cocket.core.framing import frames_of
from cocket.core.protocol import Protocol, Session
from cocket.gateway.broker import Broker
from cocket.gateway.intake import Speaker
from cocket.gateway.listening import Door
from cocket.gateway.registry import Peer
from cocket.observations.frames import identity, read_frame
from cocket.sources.messages import device_of_topic

if TYPE_CHECKING:
    from cocket.gateway.gateway import Gateway

USUAL: Final = {
    "owntracks/{user}/{device}": "owntracks",
    "application/+/device/{device}/event/+": "chirpstack",
    "v3/+/devices/{device}/up": "thethingsstack",
    "spBv1.0/+/+/{node}": "sparkplug",
    "spBv1.0/+/+/{node}/{device}": "sparkplug",
}
"""Topics as these systems publish, where the settings do not say otherwise. A device's name is what stands at the
places in braces, joined by ``-``."""

_SHARED: Final = re.compile(r"(spBv1\.0/[^/]+)/[^/]+/([^/]+)(/[^/]+)?")
"""Sparkplug: aliases are one edge node's, whatever the device (specification 3.0, 6.4.7)."""

_PLACE: Final = re.compile(r"\{[a-z]+\}")
_OWN: Final = re.compile(r"cocket/([^/]+)/([^/]+)")
_MOST_TOPICS: Final = 50_000
_CONNECT_S: Final = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """Topics of one form: what to subscribe to, how to know them, and what is spoken there."""

    subscription: str
    pattern: re.Pattern[str]
    protocol: str


def route(topic: str, protocol: str) -> Route:
    """``sensors/{device}/up`` → a subscription and a pattern. ``BadSetting`` for what is no topic filter."""
    levels = topic.split("/")
    for i, level in enumerate(levels):
        if ("#" in level and (level != "#" or i != len(levels) - 1)) or ("+" in level and level != "+"):
            raise BadSetting(
                f"gateway.mqtt_topics: {topic!r} is no topic filter (+ and # are whole levels, # the last)"
            )
    pattern = "/".join(
        ".*" if x == "#" else "([^/]+)" if _PLACE.fullmatch(x) else "[^/]+" if x == "+" else re.escape(x)
        for x in levels
    )
    return Route("/".join("+" if _PLACE.fullmatch(x) else x for x in levels), re.compile(pattern), protocol)


class MqttDoor:
    """A subscription at a broker, ours or another's. ``open`` and ``close`` may take a moment; messages come on the
    client's own thread and are handed to the gateway's.
    """

    def __init__(self, gateway: Gateway, door: Door, data: Path) -> None:
        self._gateway = gateway
        self._door = door
        self._broker = Broker(data / "mqtt", door.host, door.port) if door.kind == "mqtt" else None
        topics = {**USUAL, **gateway.settings.mqtt_topics}
        self._routes = [route(topic, protocol) for topic, protocol in topics.items()]
        self._speakers: OrderedDict[str, Speaker] = OrderedDict()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="cocket-gateway", clean_session=False, manual_ack=True
        )
        self._client.on_connect = self._connected
        self._client.on_message = self._arrived
        self._client.on_disconnect = self._lost
        self._client.on_subscribe = self._granted
        self._subscribed = threading.Event()
        self._client.max_inflight_messages_set(4096)
        if gateway.settings.mqtt_user:
            self._client.username_pw_set(gateway.settings.mqtt_user, gateway.settings.mqtt_password or None)
        if door.place == "mqtts":
            self._client.tls_set()

    @property
    def address(self) -> str:
        """Where the broker is."""
        host, port = self._where()
        return f"{host}:{port}"

    def open(self) -> None:
        """Start the broker if it is ours, connect, subscribe. ``BadSetting`` if that cannot be."""
        for r in self._routes:
            try:
                self._gateway.protocol(r.protocol)
            except NotFound as error:
                raise BadSetting(f"gateway.mqtt_topics: {error.detail}") from error
        if self._broker is not None:
            self._prime(self._broker)
            self._broker.start()
        self._join(self._client, *self._where())
        if not self._subscribed.wait(_CONNECT_S):
            self.close()
            raise BadSetting(f"the MQTT broker at {self.address} does not let us subscribe")

    def _prime(self, broker: Broker) -> None:
        """Subscribe where no device can be yet: from its first moment on, what the broker acknowledges is kept for us."""
        private = Broker(broker.folder, "127.0.0.1", 0)
        private.start()
        self._join(self._client, private.host, private.port)
        ready = self._subscribed.wait(_CONNECT_S)
        self._client.disconnect()
        self._client.loop_stop()
        private.stop()
        self._subscribed.clear()
        if not ready:
            raise BadSetting(f"the MQTT broker does not let us subscribe; see {broker.folder / 'nats.log'}")

    def _where(self) -> tuple[str, int]:
        return self._door.host, self._broker.port if self._broker is not None else self._door.port

    def _join(self, client: paho.Client, host: str, port: int) -> None:
        try:
            client.connect(host, port, keepalive=30)
        except OSError as error:
            self.close()
            raise BadSetting(f"the MQTT broker at {host}:{port} cannot be reached: {error}") from error
        client.loop_start()

    def mend(self) -> None:
        """Start the broker again if it is ours and has died; the client finds it by itself."""
        if self._broker is not None and not self._broker.running:
            log.error("the MQTT broker has stopped; starting it again")
            self._gateway.counts["mqtt-broker-restarted"] += 1
            self._broker.start()

    def close(self) -> None:
        """Leave; what was not acknowledged comes again at the next start."""
        self._client.disconnect()
        self._client.loop_stop()
        if self._broker is not None:
            self._broker.stop()

    # on the client's thread

    def _connected(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.error("the MQTT broker at %s refuses us: %s", self.address, reason)
            self._gateway.counts["mqtt-refused"] += 1
            return
        own = [(topic, 1) for topic in self._gateway.topics]
        client.subscribe([("cocket/+/+", 1), *((r.subscription, 1) for r in self._routes), *own])
        self._gateway.counts["mqtt-connected"] += 1

    def _granted(self, _client: Any, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        refused = [str(r) for r in reasons if r.is_failure]
        if refused:
            log.error("the MQTT broker at %s refuses a subscription: %s", self.address, refused[0])
            self._gateway.counts["mqtt-refused"] += 1
        self._gateway.counts["mqtt-subscribed"] += 1
        self._subscribed.set()

    def _lost(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("the MQTT broker at %s is gone (%s); trying again", self.address, reason)
            self._gateway.counts["mqtt-lost"] += 1

    def _arrived(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        ack = partial(client.ack, message.mid, message.qos)
        self._gateway.soon(partial(self._take, message.topic, bytes(message.payload), ack))

    # on the gateway's thread

    def _take(self, topic: str, payload: bytes, ack: Any) -> None:
        shared = _SHARED.fullmatch(topic)
        key = f"{shared[1]}/+/{shared[2]}" if shared else topic
        speaker = self._speakers.get(key)
        if speaker is None:
            found = self._speaker(topic)
            if isinstance(found, Reject):
                self._gateway.counts["mqtt-unmapped"] += 1
                self._gateway.keep([], [Reject(0, "", found.rule, found.detail, payload, found.source)], ack)
                return
            speaker = self._speakers[key] = found
            if len(self._speakers) > _MOST_TOPICS:
                self._speakers.popitem(last=False)
        elif shared:
            device = self._named(topic)[1]
            speaker.session.device_id = None if device is None else identity(device)
        self._speakers.move_to_end(key)
        protocol = speaker.protocol
        if len(payload) > max(protocol.max_frame, 1 << 20):
            self._gateway.noise(speaker, payload, "frame-too-long", ack)
            return
        frames = [payload] if protocol.text else (frames_of(protocol, payload) or [payload])
        for i, frame in enumerate(frames):
            reading = read_frame(protocol, frame, speaker.session)
            self._gateway.frame(speaker, frame, reading, ack if i == len(frames) - 1 else _later)

    def _speaker(self, topic: str) -> Speaker | Reject:
        name, device = self._named(topic)
        try:
            protocol: Protocol = self._gateway.protocol(name)
        except NotFound as error:
            return Reject(0, "", "unmapped-topic", f"topic {topic[:200]!r}: {error.detail}", b"", "mqtt")
        session = Session(None if device is None else identity(device))
        return Speaker(protocol, f"{name}@mqtt"[:64], session, Peer(), exclusive=False)

    def _named(self, topic: str) -> tuple[str, str | None]:
        """The protocol of a topic and, where it stands there, the device."""
        own = _OWN.fullmatch(topic)
        if own:
            return own[1], own[2]
        for r in self._routes:
            match = r.pattern.fullmatch(topic)
            if match is not None:
                return r.protocol, "-".join(match.groups()) or None
        for mapping in self._gateway.topics.values():
            device = device_of_topic(mapping, topic)
            if device is not None:
                return mapping.stem, device
        return "", None


def _later() -> None:
    """The last frame of the message acknowledges it."""
