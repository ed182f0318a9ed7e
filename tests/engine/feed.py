"""A small corridor with incidents, as a feed of bodies; some arrive late, some twice, some out of order."""

from __future__ import annotations

import random
import time
from pathlib import Path

import msgspec

from cocket.core.clock import US, parse_rfc3339, rfc3339
from cocket.core.config import Detect, History, Settings
from cocket.engine.service import Service
from cocket.observations.readers import read_ndjson

START_US = parse_rfc3339("2026-03-02T06:00:00Z")
NOW_US = START_US + 40 * 3600 * US
MINUTE = 60 * US
TRUCKS = 12
REPORTS = 60

SETTINGS = Settings(
    detect=Detect(tick_s=0.05, rerun_s=0.02, checkpoint_rows=150, checkpoint_s=0.2, batch_rows=40),
    history=History(compact_rows=200, compact_s=0.3),
)


class FixedClock:
    """A clock that stands still, so that ticks say the same in every run."""

    kind = "wall"
    speed = 1.0

    def now_us(self) -> int:
        return NOW_US


CORRIDOR = {
    "type": "Feature",
    "geometry": {"type": "LineString", "coordinates": [[36.0, -1.0], [36.0, 0.0]]},
    "properties": {"half_width_m": 500},
}
ZONE = {
    "type": "Feature",
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[35.99, -0.52], [36.01, -0.52], [36.01, -0.50], [35.99, -0.50], [35.99, -0.52]]],
    },
    "properties": {"kind": "restricted"},
}


def movement() -> dict[str, object]:
    """Every movement's declaration."""
    return {
        "corridor": "north",
        "departed_at": rfc3339(START_US),
        "limit_at": rfc3339(START_US + 5 * 3600 * US),
    }


def binding(k: int) -> dict[str, object]:
    """The seal of truck ``k`` on its container."""
    return {
        "device_id": f"SEAL{k:02d}",
        "equipment_id": f"BOX{k:02d}",
        "mrn": f"MRN{k:02d}",
        "from": rfc3339(START_US),
        "to": None if k % 3 else rfc3339(START_US + 4 * 3600 * US),
    }


def declare(service: Service) -> None:
    desk = service.reference
    desk.put("corridor", "north", CORRIDOR, by="test")
    desk.put("zone", "quarry", ZONE, by="test")
    for k in range(TRUCKS):
        desk.put("movement", f"MRN{k:02d}", movement(), by="test")
        desk.bind(binding(k), by="test")
    service.reference_changed()


def rows(seed: int = 1) -> list[dict[str, object]]:
    """Every observation of every truck, in the order in which they were observed."""
    rng = random.Random(seed)
    out: list[dict[str, object]] = []
    for k in range(TRUCKS):
        cut, away, quiet, stop = (rng.randrange(5, REPORTS - 10) for _ in range(4))
        lat = -1.0
        for i in range(REPORTS):
            if k % 4 == 1 and quiet <= i < quiet + 6:
                continue
            if not (k % 4 == 2 and stop <= i < stop + 8):
                lat += 0.012
            out.append(
                {
                    "device_id": f"SEAL{k:02d}",
                    "observed_at": rfc3339(START_US + i * 3 * MINUTE + k * US),
                    "sequence": i,
                    "lat_deg": round(lat, 6),
                    "lon_deg": 36.0 + (0.05 if k % 4 == 3 and away <= i < away + 5 else 0.0),
                    "speed_mps": 0.0 if k % 4 == 2 and stop <= i < stop + 8 else 12.0,
                    "fix_valid": True,
                    "locked": not (k % 6 == 5 and i >= cut),
                    "rope_inserted": True,
                    "rope_cut": k % 5 == 0 and cut <= i < cut + 4,
                    "battery_pct": max(1.0, 60 - i * (k % 3)),
                }
            )
    out.sort(key=lambda r: str(r["observed_at"]))
    return out


def bodies(seed: int = 1, size: int = 24, shuffle: bool = True) -> list[bytes]:
    """The rows as NDJSON bodies: some rows held back and sent much later, some sent twice."""
    rng = random.Random(seed + 100)
    now, late = [], []
    for row in rows(seed):
        (late if shuffle and rng.random() < 0.08 else now).append(row)
    for row in late:
        now.insert(rng.randrange(len(now) // 2, len(now)), row)
    if shuffle:
        now += rng.sample(now, 20)
    encode = msgspec.json.encode
    return [b"\n".join(encode(r) for r in now[i : i + size]) for i in range(0, len(now), size)]


def send(service: Service, body: bytes) -> None:
    service.submit(read_ndjson(body)).result(30)


FIELDS = (
    "id",
    "code",
    "severity",
    "mrn",
    "device_id",
    "began_us",
    "ended_us",
    "count",
    "lat_deg",
    "lon_deg",
    "peak",
    "subject",
)


def settle(service: Service) -> None:
    """Wait until everything is detected, every timer due by now has fired, and the counts are written."""
    detecting = service.lines.detecting
    end = time.monotonic() + 60
    while True:
        assert service.wait_detected(60), service.failure
        due = detecting._detection.state["due_us"][: detecting._world.table.n]
        if due.min() > NOW_US and not service.lag:
            return
        assert time.monotonic() < end, "the timers did not settle"
        time.sleep(0.01)


def final(service: Service) -> list[tuple[object, ...]]:
    """The alerts that hold, once nothing is left to detect."""
    settle(service)
    out: list[tuple[object, ...]] = []
    cursor = None
    while True:
        page, cursor = service.folder.alerts.page({"superseded": False}, cursor, 200, "newest")
        out += [tuple(alert[f] for f in FIELDS) for alert in page]
        if cursor is None:
            return sorted(out, key=str)


def oracle(folder: Path) -> list[tuple[object, ...]]:
    """What comes of the same observations in order, once each, in one undisturbed run."""
    with Service.open(folder, FixedClock(), SETTINGS) as service:
        declare(service)
        for body in bodies(shuffle=False, size=10_000):
            send(service, body)
        return final(service)
