"""The MQTT door, with the real broker that comes with Cocket."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import paho.mqtt.client as paho
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.gateway.conftest import World, now_us, opened, seal_frame, until

from cocket.core.errors import BadSetting

SEAL = "8000000001"


def publisher(port: int) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="device")
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def publish(client: paho.Client, topic: str, payload: bytes) -> None:
    client.publish(topic, payload, qos=1).wait_for_publish(10)


def port_of(w: World) -> int:
    return w.port("mqtt")


def test_topics_to_protocols(tmp_path: Path) -> None:
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    (mappings / "hatch.toml").write_text(
        '[message]\nformat = "json"\n[time]\nfrom = "t"\nformat = "epoch-s"\n'
        '[columns.device_id]\nfrom_topic = "hatches/{device}/state"\n[columns.door_open]\nfrom = "open"\n'
    )
    (mappings / "bad.toml").write_text('[message]\nformat = "jsn"\n')
    with opened(
        tmp_path / "d", "mqtt:0", mappings=str(mappings), mqtt_topics={"phones/{device}": "owntracks"}
    ) as w:
        assert len(w.gateway.faults) == 1
        assert "bad.toml" in w.gateway.faults[0]
        for device in (SEAL, "phone", "amina-phone", "H1"):
            w.register(device)
        client = publisher(port_of(w))
        phone = {"_type": "location", "lat": 22.5, "lon": 114.1, "tst": now_us() // 1_000_000, "batt": 80}
        publish(client, f"cocket/jt701/{SEAL}", seal_frame(SEAL, 1))
        publish(client, "owntracks/amina/phone", json.dumps(phone).encode())
        publish(client, "phones/phone", json.dumps({**phone, "tst": phone["tst"] - 5}).encode())
        publish(client, "hatches/H1/state", json.dumps({"t": phone["tst"], "open": True}).encode())
        publish(client, f"cocket/nothing/{SEAL}", b"x")
        publish(client, "owntracks/amina/stranger", json.dumps(phone).encode())
        until(lambda: w.observations == 4 and len(w.quarantined()) == 2)
        assert w.rows(SEAL)[0]["source"] == "jt701@mqtt"
        assert w.rows("H1")[0]["door_open"] is True
        assert len(w.rows("phone")) == len(w.rows("amina-phone")) == 1
        assert {r["rule"] for r in w.quarantined()} == {"unmapped-topic", "unregistered-device"}
        client.disconnect()
        client.loop_stop()


def test_what_came_while_cocket_was_away_comes_after_all(tmp_path: Path) -> None:
    """The broker keeps what it acknowledged to the device; here it is another's, and outlives us."""
    from cocket.gateway.broker import Broker

    broker = Broker(tmp_path / "broker", "127.0.0.1", 0)
    broker.start()
    try:
        door = f"mqtt://127.0.0.1:{broker.port}"
        with opened(tmp_path / "d", door) as w:
            w.register(SEAL)
        client = publisher(broker.port)
        publish(client, f"cocket/jt701/{SEAL}", seal_frame(SEAL, 1))
        client.disconnect()
        client.loop_stop()
        with opened(tmp_path / "d", door) as w:
            until(lambda: w.observations == 1)
    finally:
        broker.stop()


def test_the_broker_is_started_again_when_it_dies(tmp_path: Path) -> None:
    with opened(tmp_path / "d", "mqtt:0") as w:
        w.register(SEAL)
        before = w.gateway.counts["mqtt-connected"]
        running = psutil.process_iter(["cmdline"])  # passes over what ends meanwhile
        pid = next(p.pid for p in running if str(tmp_path) in " ".join(p.info["cmdline"] or ()))
        os.kill(pid, signal.SIGKILL)
        until(lambda: w.gateway.counts["mqtt-connected"] > before, 30)
        client = publisher(port_of(w))
        publish(client, f"cocket/jt701/{SEAL}", seal_frame(SEAL, 1))
        until(lambda: w.observations == 1)
        client.disconnect()
        client.loop_stop()


def test_a_broker_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="cannot be reached"), opened(tmp_path / "d", "mqtt://127.0.0.1:9"):
        pass
