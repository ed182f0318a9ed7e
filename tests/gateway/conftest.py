"""A gateway with real sockets over a real data folder."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cocket.core.clock import WallClock, rfc3339
from cocket.core.config import Settings, overridden
from cocket.decoders import protocol
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway


def now_us() -> int:
    """The whole second that it is."""
    return WallClock().now_us() // 1_000_000 * 1_000_000


def seal_frame(device_id: str, sequence: int = 1, **columns: Any) -> bytes:
    """A report of a JT701 seal that wants an answer."""
    sim = protocol("jt701").simulation
    assert sim is not None
    row = {
        "device_id": device_id,
        "observed_us": columns.pop("observed_us", now_us()),
        "lat_deg": 22.5,
        "lon_deg": 114.1,
        "fix_valid": True,
        "locked": True,
        **columns,
    }
    return sim.report(row, sequence)


@dataclass
class World:
    """The gateway, its service, and a device's view of them."""

    service: Service
    gateway: Gateway

    def register(self, device_id: str, **fields: Any) -> None:
        self.service.reference.put("device", device_id, fields, by="test")
        self.service.reference_changed()

    def port(self, kind: str = "tcp", n: int = 0) -> int:
        lines = [a for a in self.gateway.addresses if a.startswith(f"{kind} ")]
        return int(lines[n].split(":")[-1].split()[0])

    @contextmanager
    def connect(self, n: int = 0, kind: str = "tcp") -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port(kind, n)), 10) as s:
            s.settimeout(10)
            yield s

    @property
    def observations(self) -> int:
        return self.service.folder.log.totals().observations

    def rows(self, device_id: str) -> list[dict[str, Any]]:
        batch = self.service.folder.history.rows([(device_id, 0, 2**62)])
        return [batch.row(i) for i in range(batch.n)]

    def quarantined(self, rule: str | None = None) -> list[dict[str, Any]]:
        return self.service.folder.log.quarantined(1000, None, rule)[0]

    def alerts(self, code: str) -> list[dict[str, Any]]:
        assert self.service.wait_detected(30)
        return self.service.folder.alerts.page({"code": [code]}, None, 100)[0]

    def bind(self, device_id: str) -> str:
        mrn = f"26NL{device_id:>014}"[:18]
        now = now_us()
        self.service.reference.put("movement", mrn, {}, by="test")
        self.service.reference.bind(
            {
                "device_id": device_id,
                "equipment_id": "MSKU9070323",
                "mrn": mrn,
                "from": rfc3339(now - 3_600_000_000),
                "to": None,
            },
            by="test",
        )
        self.service.reference_changed()
        return mrn


def until(condition: Callable[[], Any], seconds: float = 15) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


@contextmanager
def opened(path: Path, *doors: str, **gateway: Any) -> Iterator[World]:
    settings = overridden(Settings(), gateway=gateway)
    with Service.open(path, WallClock(), settings) as service, Gateway(service, doors) as running:
        yield World(service, running)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One door for JT701 seals, one that recognises, one for UDP."""
    with opened(tmp_path / "data", "tcp:0=jt701", "tcp:0", "udp:0=jt701") as w:
        yield w
