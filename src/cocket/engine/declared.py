"""What is declared, at one version: devices, movements, zones, corridors, rules; everything of a world but its journeys.

It is read whole once and kept up by the stored changes. Where a process has many lines, each begins from a copy of what
``Declarations`` holds: reading it took most of the time of a fail-over (5 to 11 s for 2,000 movements and 1,000 zones).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from cocket.core.detector import Detector
from cocket.core.geometry import corridor_geometry, zone_geometry
from cocket.core.rules import Rules
from cocket.journeys.corridors import CorridorDef, CorridorIndex
from cocket.journeys.zones import ZoneDef, ZoneIndex
from cocket.store.bindings import Binding
from cocket.store.reference import Change, Reference


class Declared:
    """One thread's; ``apart`` gives another thread its own."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self.version = 0
        self.devices: dict[str, Mapping[str, Any]] = {}
        self.movements: dict[str, Mapping[str, Any]] = {}
        self.zones = ZoneIndex.build([])
        self.corridors = CorridorIndex.build([])
        self.speed_limits: dict[str, float | None] = {}
        self.rules = Rules.defaults(detectors)
        self._zone_defs: dict[str, ZoneDef] = {}
        self._detectors = detectors

    @classmethod
    def read(cls, reference: Reference, detectors: Sequence[Detector]) -> Self:
        """As it is stored now. A change that is stored meanwhile may be in it or not; ``apply`` it."""
        new = cls(detectors)
        new.version = reference.version()
        new.devices = {s.id: s.doc for s in reference.all("device")}
        new.movements = {s.id: s.doc for s in reference.all("movement")}
        new._put_zones((s.id, s.doc) for s in reference.all("zone"))
        new._put_corridors([(s.id, s.doc) for s in reference.all("corridor")], [])
        for stored in reference.all("rules"):
            new.rules = Rules.from_doc(stored.doc, detectors)
        return new

    def apart(self) -> Self:
        """The same for another thread: what is changed in the one leaves the other alone. Costs a reference for each document."""
        new = type(self)(self._detectors)
        new.version, new.rules, new.zones = self.version, self.rules, self.zones
        new.devices, new.movements = dict(self.devices), dict(self.movements)
        new.corridors, new.speed_limits = self.corridors.apart(), dict(self.speed_limits)
        new._zone_defs = dict(self._zone_defs)  # noqa: SLF001 - one of us
        return new

    def apply(self, changes: Sequence[Change]) -> None:
        """Take in stored changes, in their order. One that is in it already changes nothing."""
        zones = [c for c in changes if c.kind == "zone"]
        if zones:
            self._put_zones((c.id, c.after) for c in zones)
        corridors = {c.id: c.after for c in changes if c.kind == "corridor"}
        if corridors:
            self._put_corridors(
                [(name, doc) for name, doc in corridors.items() if doc is not None],
                [name for name, doc in corridors.items() if doc is None],
            )
        for change in changes:
            if change.kind == "rules":
                doc = {} if change.after is None else change.after
                self.rules = Rules.from_doc(doc, self._detectors)
            elif change.kind in {"movement", "device"}:
                facts = self.movements if change.kind == "movement" else self.devices
                if change.after is None:
                    facts.pop(change.id, None)
                else:
                    facts[change.id] = change.after
        if changes:
            self.version = max(self.version, *(c.version for c in changes))

    def _put_zones(self, docs: Iterable[tuple[str, Mapping[str, Any] | None]]) -> None:
        for zone_id, doc in docs:
            if doc is None:
                self._zone_defs.pop(zone_id, None)
                continue
            properties = doc["properties"]
            self._zone_defs[zone_id] = ZoneDef(
                zone_id, properties["kind"], bool(properties.get("hot")), zone_geometry(doc["geometry"])
            )
        self.zones = ZoneIndex.build([self._zone_defs[k] for k in sorted(self._zone_defs)])

    def _put_corridors(self, put: Sequence[tuple[str, Mapping[str, Any]]], drop: Sequence[str]) -> None:
        defs = [
            CorridorDef(name, corridor_geometry(doc["geometry"]), doc["properties"]["half_width_m"])
            for name, doc in put
        ]
        self.corridors = self.corridors.changed(defs, drop)
        self.speed_limits |= {name: doc["properties"].get("speed_limit_mps") for name, doc in put}


class Declarations:
    """What the lines of a process begin from. Any thread may call."""

    def __init__(self, reference: Reference, detectors: Sequence[Detector], *, kept: bool = False) -> None:
        self._reference = reference
        self._detectors = detectors
        self._kept = kept
        self._lock = threading.Lock()
        self._declared: Declared | None = None
        self._bindings: dict[int, Binding] = {}

    def now(self) -> tuple[Declared, Sequence[Binding]]:
        """What is stored now, the caller's own, and all bindings by id. ``kept``: the next call reads only what has changed since."""
        if not self._kept:
            return Declared.read(self._reference, self._detectors), self._reference.bindings()
        with self._lock:
            declared = self._followed()
            return declared.apart(), sorted(self._bindings.values())

    @property
    def version(self) -> int:
        """Up to which change was read; 0 before the first call."""
        declared = self._declared
        return 0 if declared is None else declared.version

    def follow(self) -> None:
        """Read what has changed, so that ``now`` has little to read."""
        with self._lock:
            self._followed()

    def _followed(self) -> Declared:
        declared = self._declared
        if declared is None:
            declared = Declared.read(self._reference, self._detectors)
            self._bindings = {b.id: b for b in self._reference.bindings()}
            self._declared = declared
        while changes := self._reference.changes(declared.version, 1000):
            declared.apply(changes)
            for change in changes:
                if change.kind == "binding" and change.after is not None:
                    self._bindings[int(change.id)] = binding_of(change)
        return declared


def binding_of(change: Change) -> Binding:
    """The binding that a change of one tells of."""
    assert change.after is not None
    told = {**change.after, "id": int(change.id)}
    return Binding._make(told.get(field) for field in Binding._fields)
