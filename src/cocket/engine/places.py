"""Where things are: positions of devices from the observations, and the zones of offices and of phones.

Positions are read from history with its tail, so that what was acknowledged a moment ago counts; only rows that a journey may
follow do (``ingest.on_journeys``), with a valid fix. Zones are kept as geometries and read anew after one was changed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from cocket.core.geometry import zone_geometry
from cocket.customs.gates.transports import PHONE_KINDS, PhoneZone
from cocket.customs.gates.verdict import Position
from cocket.engine.ingest import on_journeys
from cocket.store.history_contract import HistoryStore
from cocket.store.reference import Reference

_COLUMNS: Final = (
    "lat_deg",
    "lon_deg",
    "fix_valid",
    "time_quality",
    "connected_twice",
    "moved_impossibly",
    "sequence_replayed",
    "identity_changed",
)


class Places:
    """Reads only; any thread may call."""

    def __init__(self, history: HistoryStore, reference: Reference) -> None:
        self._history = history
        self._reference = reference
        self._lock = threading.Lock()
        self._stale = True
        self._phone: list[tuple[int, PhoneZone, Any]] = []
        self._offices: dict[str, list[Any]] = {}

    def forget(self) -> None:
        """Something declared was changed: look at the zones again before they are next asked for."""
        self._stale = True

    def positions(self, device_ids: Sequence[str], from_us: int, to_us: int) -> Mapping[str, Position]:
        """The latest valid position of each device in [from, to]; those without one are absent."""
        if not device_ids:
            return {}
        batch = self._history.rows([(d, from_us, to_us + 1) for d in device_ids], columns=_COLUMNS)
        if not batch.n:
            return {}
        lat, lon, at = (batch.filled(n) for n in ("lat_deg", "lon_deg", "observed_us"))
        good = on_journeys(batch) & ~np.isnan(lat) & ~np.isnan(lon) & (batch.filled("fix_valid") != 0)
        names = batch.texts("device_id")
        found: dict[str, Position] = {}
        for i in np.flatnonzero(good).tolist():  # sorted by device and event time: the last one of each stays
            name = None if names is None else names.row(i)
            if name is not None:
                found[name] = Position(int(at[i]), float(lat[i]), float(lon[i]))
        return found

    def in_office(self, office: str, lat_deg: float, lon_deg: float) -> bool:
        """Whether a position lies in a zone of kind ``office`` that has the office's id, or names it as its ``office``."""
        import shapely

        self._look()
        return any(shapely.intersects_xy(g, lon_deg, lat_deg) for g in self._offices.get(office, ()))

    def phone_zone(self, lat_deg: float, lon_deg: float) -> PhoneZone | None:
        """The zone for phones that a position is in: of several an activation before a confirmation before a tracking zone."""
        import shapely

        self._look()
        inside = [
            (rank, zone.id, zone)
            for rank, zone, g in self._phone
            if shapely.intersects_xy(g, lon_deg, lat_deg)
        ]
        return min(inside, key=lambda z: z[:2])[2] if inside else None

    def _look(self) -> None:
        with self._lock:
            if not self._stale:
                return
            self._stale = False  # before the reading: what is changed meanwhile makes it stale again
            try:
                self._phone, self._offices = self._read()
            except BaseException:
                self._stale = True
                raise

    def _read(self) -> tuple[list[tuple[int, PhoneZone, Any]], dict[str, list[Any]]]:
        phone, offices = [], dict[str, list[Any]]()
        for stored in self._reference.all("zone"):
            properties = stored.doc["properties"]
            kind = properties["kind"]
            if kind in PHONE_KINDS:
                phone.append((PHONE_KINDS.index(kind), PhoneZone(stored.id, kind), _ready(stored.doc)))
            elif kind == "office":
                for office in {stored.id, properties.get("office")} - {None}:
                    offices.setdefault(office, []).append(_ready(stored.doc))
        return phone, offices


def _ready(doc: Mapping[str, Any]) -> Any:
    import shapely

    geometry = zone_geometry(doc["geometry"])
    shapely.prepare(geometry)
    return geometry
