"""What ``--listen`` and ``gateway.listen`` say: one door each, checked before anything opens.

====================================  ====================================================================
``tcp:5023=gt06``                     TCP, one protocol; ``tcp:0.0.0.0:5023=gt06`` names the address too
``tcp:5000``                          TCP, the protocol is recognised from the first frame
``tls:5024=teltonika``                the same with TLS (``gateway.tls_certificate``)
``udp:5027=teltonika``                UDP, one datagram is one or more frames
``mqtt`` · ``mqtt:1884``              MQTT 3.1.1, by the bundled broker, on port 1883 or the one given
``mqtt://broker:1883``                MQTT, a broker of your own
``folder:/srv/in=aivdm``              files dropped into a folder: a protocol, or a mapping file's name
``connect:10.0.0.7:10110=aivdm``      TCP, we call: NMEA from a receiver, a serial server, an RFID reader
====================================  ====================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias
from urllib.parse import urlsplit

from cocket.core.errors import BadSetting

Kind: TypeAlias = Literal["tcp", "tls", "udp", "mqtt", "broker", "folder", "connect"]

MQTT_PORT: Final = 1883
_FORMS: Final = (
    "tcp:5023=gt06, tcp:5000, tls:5024=gt06, udp:5027=teltonika, mqtt, mqtt://broker:1883, "
    "folder:/srv/in=aivdm, connect:10.0.0.7:10110=aivdm"
)


@dataclass(frozen=True, slots=True)
class Door:
    """One door. ``protocol`` is empty where it is to be recognised; ``place`` is the folder or the broker's address."""

    kind: Kind
    host: str = ""
    port: int = 0
    protocol: str = ""
    place: str = ""

    @property
    def name(self) -> str:
        """As it stands in ``source`` and in figures."""
        if self.kind == "folder":
            return f"folder:{self.place}"[-48:]
        return f"{self.kind}:{self.port}" if self.kind != "connect" else f"{self.host}:{self.port}"[-48:]


def parse(text: str, host: str) -> Door:
    """One door from its text; ``host`` is the address to listen on where it names none. ``BadSetting`` says what is wrong."""
    kind, _, rest = text.partition(":")
    if text == "mqtt" or (kind == "mqtt" and rest.isdigit()):
        return Door("mqtt", host, _port(text, rest) if rest else MQTT_PORT)
    if kind in {"mqtt", "mqtts"} and rest.startswith("//"):
        return _broker(text)
    where, _, protocol = rest.partition("=")
    if kind == "folder":
        if not where or not protocol:
            _wrong(text, "a folder and what its files speak are wanted: folder:/srv/in=aivdm")
        return Door("folder", place=where, protocol=protocol)
    if kind not in {"tcp", "tls", "udp", "connect"}:
        _wrong(text, f"there are {_FORMS}")
    named, _, port = where.rpartition(":")
    if protocol == "auto":
        protocol = ""
    if kind == "connect" and not (named and protocol):
        _wrong(text, "an address and a protocol are wanted: connect:10.0.0.7:10110=aivdm")
    if kind == "udp" and not protocol:
        _wrong(text, "UDP wants a protocol: udp:5027=teltonika")
    return Door(kind, (named or host).strip("[]"), _port(text, port), protocol)  # type: ignore[arg-type]


def _port(text: str, port: str) -> int:
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        _wrong(text, f"{port!r} is no port (0 to 65535)")
    return int(port)


def _broker(text: str) -> Door:
    try:
        url = urlsplit(text)
        port = url.port or (8883 if url.scheme == "mqtts" else MQTT_PORT)
    except ValueError as error:
        _wrong(text, str(error))
    if not url.hostname or url.path.strip("/"):
        _wrong(text, "a broker's address is mqtt://host:port")
    return Door("broker", url.hostname, port, place=url.scheme)


def _wrong(text: str, why: str) -> NoReturn:
    raise BadSetting(f"listen {text!r}: {why}")
