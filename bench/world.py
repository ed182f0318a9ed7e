"""The made world that is measured in: vehicles that drive to and fro along corridors, each with an e-seal.

Every vehicle reports once a minute, by its own second, from a cruise at 15 m/s with 20 m of noise. One in fifty
swings up to four kilometres off its corridor and back, one in two hundred has its rope cut once, one in a hundred runs
low on battery. A thousand zones of 0.5 to 3 km lie about. Everything follows from vehicle and minute, so any
part of the stream can be made again. Silence is asked after two days only: the made stream is history, and
our clock is the wall's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cocket.core.batch import Array, Batch, Texts
from cocket.core.clock import rfc3339
from cocket.core.journeys import Journey
from cocket.journeys.corridors import CorridorDef, CorridorIndex
from cocket.journeys.zones import ZoneDef, ZoneIndex
from cocket.store.folder import DataFolder, MainStores

US = 1_000_000
MINUTE_US = 60 * US
KINDS = ("approved-stop", "restricted", "dead-zone", "unlock-permitted", "office")
_CHUNK = 10_000


@dataclass(frozen=True)
class World:
    """``movements`` vehicles over ``corridors`` lines (its own for each when they are as many)."""

    movements: int
    corridors: int
    zones: int = 1000
    points: int = 200
    start_us: int = 0
    interval_us: int = MINUTE_US

    @classmethod
    def ending_now(cls, movements: int, corridors: int, minutes: int, **other: Any) -> World:
        """A world whose minute 0 lies so far back that its last minute is just over."""
        now = int(datetime.now(UTC).timestamp()) * US  # noqa: TID251 - the server under test runs on the wall's clock
        interval = other.get("interval_us", MINUTE_US)
        return cls(movements, corridors, start_us=now - (minutes + 2) * interval, **other)

    @cached_property
    def lines(self) -> Array:
        """float64[corridors, points, 2] longitude, latitude; half a kilometre from point to point."""
        rng = np.random.default_rng(20261122)
        heading = rng.uniform(0, 2 * np.pi, (self.corridors, 1)) + np.cumsum(
            rng.normal(0, 0.12, (self.corridors, self.points)), axis=1
        )
        steps = np.stack([np.cos(heading), np.sin(heading)], axis=2) * 0.0047
        start = rng.uniform([100.0, 20.0], [110.0, 30.0], (self.corridors, 1, 2))
        return start + np.cumsum(steps, axis=1)

    @cached_property
    def rings(self) -> list[list[list[float]]]:
        """The zones' closed rings of 40 positions."""
        rng = np.random.default_rng(7)
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        out = []
        for _ in range(self.zones):
            centre, size = rng.uniform([100, 20], [110, 30]), rng.uniform(0.005, 0.03)
            far = size * rng.uniform(0.7, 1.0, 40)
            ring = np.column_stack([centre[0] + far * np.cos(turn), centre[1] + far * np.sin(turn)])
            out.append(np.concatenate([ring, ring[:1]]).round(6).tolist())
        return out

    def device(self, v: int) -> str:
        return f"SEAL-{v:07d}"

    @cached_property
    def devices(self) -> list[str]:
        return [self.device(v) for v in range(self.movements)]

    def mrn(self, v: int) -> str:
        return f"26XX{v:013d}0"

    def corridor(self, v: int) -> int:
        return v % self.corridors

    def journey(self, v: int) -> Journey:
        c = self.corridor(v)
        return Journey(
            self.device(v), f"EQ{v:07d}", self.mrn(v), self.start_us - MINUTE_US, period_us=86_400 * US,
            departed_us=self.start_us, limit_us=self.start_us + 90 * 86_400 * US, corridor=c, corridor_id=f"C{c}",
        )  # fmt: skip

    def corridor_index(self) -> CorridorIndex:
        return CorridorIndex.build([CorridorDef(f"C{c}", [line], 300.0) for c, line in enumerate(self.lines)])

    def zone_index(self) -> ZoneIndex:
        import shapely

        return ZoneIndex.build(
            [
                ZoneDef(f"Z{z}", KINDS[z % len(KINDS)], False, shapely.Polygon(ring))
                for z, ring in enumerate(self.rings)
            ]
        )

    def rows(self, vehicles: Array, minutes: Array) -> Batch:
        """One observation of each vehicle at each minute of its own row (two int64 arrays of one length)."""
        v, k = vehicles, minutes
        n = len(v)
        last = self.points - 1
        pace = min(1.0, self.interval_us / MINUTE_US)  # more often than each minute: less far each time
        along = np.abs((v * 37 % 997 / 997 * last + k * pace * 1.8) % (2 * last) - last)
        at = np.minimum(along.astype(np.int64), last - 1)
        line = self.lines[v % self.corridors, at]
        ahead = self.lines[v % self.corridors, at + 1]
        place = line + (ahead - line) * (along - at)[:, None]
        noise = np.sin(12.9898 * v + 78.233 * k) * 0.0002
        swing = np.where(
            v % 50 == 7, 0.04 * np.maximum(0, np.sin(2 * np.pi * (k * pace / 40 + v % 13 / 13))), 0
        )
        battery = np.where(v % 100 == 3, 16.0, 80.0) - k % 97 * 0.02 - (v % 100 == 3) * (k % 97 > 40)
        course = np.degrees(np.arctan2(*(ahead - line).T)) % 360
        columns: dict[str, Any] = {
            "device_id": Texts(v.astype(np.int32), self.devices),
            "sequence": k.astype(np.int64),
            "observed_us": self.start_us + k * self.interval_us + (v * 7919 % 59_000) * 1000,
            "lat_deg": (place[:, 1] + noise + swing).round(6),
            "lon_deg": (place[:, 0] - noise).round(6),
            "speed_mps": (15.0 + 2 * np.sin(v + k)).round(2),
            "course_deg": course.round(1),
            "fix_valid": np.ones(n, np.int8),
            "fix_source": np.zeros(n, np.int8),
            "locked": np.ones(n, np.int8),
            "rope_inserted": np.ones(n, np.int8),
            "rope_cut": ((v % 200 == 11) & (k == 20)).astype(np.int8),
            "battery_pct": battery.round(1),
            "gsm_signal": (40 + (v + k) % 50).astype(np.int64),
            "temp_c": (20 + 3 * np.sin(0.1 * k + v)).round(1),
        }
        return Batch(n, columns)

    def declare(self, folder: MainStores) -> None:
        """Straight into the store, in the form in which the doors keep it: declaring is not what is measured."""
        ref = folder.reference
        note = {"by": "bench", "at_us": max(self.start_us, 1)}
        zone = {
            f"Z{z}": _feature(f"Z{z}", "Polygon", [ring], {"kind": KINDS[z % len(KINDS)]})
            for z, ring in enumerate(self.rings)
        }
        if zone:
            ref.put_many("zone", list(zone.items()), **note)
        for first in range(0, self.corridors, _CHUNK):
            some = range(first, min(first + _CHUNK, self.corridors))
            docs = [
                (
                    f"C{c}",
                    _feature(f"C{c}", "LineString", self.lines[c].round(6).tolist(), {"half_width_m": 300.0}),
                )
                for c in some
            ]
            ref.put_many("corridor", docs, **note)
        from cocket.store.bindings import NewBinding

        departed, limit = rfc3339(self.start_us), rfc3339(self.start_us + 90 * 86_400 * US)
        for first in range(0, self.movements, _CHUNK):
            some = range(first, min(first + _CHUNK, self.movements))
            ref.put_many(
                "movement",
                [
                    (
                        self.mrn(v),
                        {
                            "corridor": f"C{self.corridor(v)}",
                            "departed_at": departed,
                            "limit_at": limit,
                            "report_interval_s": 86_400,
                        },
                    )
                    for v in some
                ],
                **note,
            )
            refused = [
                answer
                for answer in ref.add_bindings(
                    [
                        NewBinding(
                            self.device(v),
                            f"EQ{v:07d}",
                            self.mrn(v),
                            self.start_us - MINUTE_US,
                            None,
                            "bench",
                        )
                        for v in some
                    ],
                    note["at_us"],
                )
                if not isinstance(answer, int)
            ]
            assert not refused, refused[0]

    def make_folder(self, path: Path) -> None:
        """A data folder in which this world is declared."""
        folder = DataFolder.open(path)
        try:
            self.declare(folder)
        finally:
            folder.close()


def _feature(name: str, kind: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": name,
        "properties": properties,
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def ndjson(batch: Batch) -> bytes:
    """The batch as a client writes it: one line of some 270 bytes per observation."""
    c = batch.columns
    devices = batch.texts("device_id")
    assert devices is not None
    truth = ("false", "true")
    at = np.datetime_as_string(c["observed_us"].astype("datetime64[us]"), unit="us")
    lines = [
        f'{{"device_id":"{d}","sequence":{q},"observed_at":"{t}Z","lat_deg":{y},"lon_deg":{x},"speed_mps":{s},'
        f'"course_deg":{u},"fix_valid":{truth[f]},"fix_source":"gnss","locked":{truth[k]},"rope_inserted":{truth[r]},'
        f'"rope_cut":{truth[z]},"battery_pct":{b},"gsm_signal":{g},"temp_c":{w}}}'
        for d, q, t, y, x, s, u, f, k, r, z, b, g, w in zip(
            devices.to_list(), c["sequence"].tolist(), at.tolist(), c["lat_deg"].tolist(), c["lon_deg"].tolist(),
            c["speed_mps"].tolist(), c["course_deg"].tolist(), c["fix_valid"].tolist(), c["locked"].tolist(),
            c["rope_inserted"].tolist(), c["rope_cut"].tolist(), c["battery_pct"].tolist(),
            c["gsm_signal"].tolist(), c["temp_c"].tolist(), strict=True,
        )
    ]  # fmt: skip
    return ("\n".join(lines) + "\n").encode()


def arrow(batch: Batch) -> bytes:
    """The batch as an Arrow IPC stream, uncompressed, text as dictionaries."""
    devices = batch.texts("device_id")
    assert devices is not None
    used, codes = np.unique(devices.codes, return_inverse=True)
    small = Texts(codes.astype(np.int32), [devices.values[i] for i in used])
    record = Batch(batch.n, {**batch.columns, "device_id": small}).to_arrow()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, record.schema) as writer:
        writer.write_batch(record)
    return sink.getvalue().to_pybytes()
