"""The declared world as the detectors need it: journeys, zones, corridors and rules, made from the reference data.

It is rebuilt whole at start and changed in place afterwards, one stored change after the other, in the order of
their versions. Each change tells which journeys it concerns, so that those with a history are run again: an alert
follows from what is declared now, whenever it was declared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cocket.core.batch import Array, Batch
from cocket.core.clock import US, parse_rfc3339
from cocket.core.detector import Detector
from cocket.core.geometry import corridor_geometry, zone_geometry
from cocket.core.journeys import NEVER, Journey, JourneyTable
from cocket.core.rules import Rules
from cocket.engine.ingest import on_journeys
from cocket.journeys.corridors import CorridorDef, CorridorIndex
from cocket.journeys.join import Join
from cocket.journeys.zones import ZoneDef, ZoneIndex
from cocket.store.reference import Change, Reference

RULES_ID = "rules"
"""The id under which the one rules document is stored."""


class World:
    """Journeys by number, and what surrounds them. Only the detector thread touches it.

    ``table``: the journeys; ``device_of``: dense number per device id, also of devices that are bound to nothing.
    ``mine``: which devices' journeys are this world's, where there are several; None: all.
    """

    def __init__(self, detectors: Sequence[Detector], mine: Callable[[str], bool] | None = None) -> None:
        self.table = JourneyTable()
        self.zones = ZoneIndex.build([])
        self.corridors = CorridorIndex.build([])
        self.rules = Rules.defaults(detectors)
        self.device_of: dict[str, int] = {}
        self.version = 0
        self._detectors = detectors
        self._mine = mine
        self._devices: dict[str, Mapping[str, Any]] = {}
        self._movements: dict[str, Mapping[str, Any]] = {}
        self._speed_limits: dict[str, float | None] = {}
        self._zone_defs: dict[str, ZoneDef] = {}
        self._by_binding: dict[int, int] = {}
        self._by_mrn: dict[str, list[int]] = {}
        self._by_device: dict[str, list[int]] = {}
        self._device_numbers: list[int] = []
        self._join: Join | None = None

    # what is asked

    def number(self, device_id: str) -> int:
        """The device's dense number; a device not heard of before gets the next."""
        return self.device_of.setdefault(device_id, len(self.device_of))

    def numbers(self, device_ids: Sequence[str]) -> Array:
        """As ``number``, int32 for each."""
        known = list(map(self.device_of.get, device_ids))
        if None in known:
            known = [self.number(d) for d in device_ids]
        return np.array(known, np.int32)

    def journeys(self, device: Array, observed_us: Array) -> Array:
        """int32 journey by row, -1 where the device was bound to nothing at that time."""
        if self._join is None:
            n = self.table.n
            self._join = Join.build(
                np.array(self._device_numbers, np.int32), self.table.from_us[:n], self.table.to_us[:n]
            )
        return self._join.journeys(device, observed_us)

    def join(self, batch: Batch) -> tuple[Array, Array]:
        """(device number, journey) by row; the journey is -1 where the time cannot be trusted."""
        texts = batch.texts("device_id")
        if texts is None:  # only of an empty batch: every observation names its device
            return np.empty(0, np.int32), np.empty(0, np.int32)
        device = self.numbers(texts.values)[texts.codes]
        trusted = on_journeys(batch)
        asked = device if trusted.all() else np.where(trusted, device, np.int32(-1))
        return device, self.journeys(asked, batch.filled("observed_us"))

    def spans(self, js: Array) -> list[tuple[str, int, int]]:
        """(device id, from, to) of the journeys ``js``: where their observations lie in history."""
        table = self.table
        return [(table.device_id[j], int(table.from_us[j]), int(table.to_us[j])) for j in js.tolist()]

    # what is stored

    def load(self, reference: Reference, journeys: int | None = None) -> None:
        """Everything that is stored now; of the bindings only the first ``journeys``, if that is given.

        The rest is then taken in by ``apply``, so that the first ones keep the numbers they had.
        """
        self.version = reference.version()
        self._devices = {s.id: s.doc for s in reference.all("device")}
        self._movements = {s.id: s.doc for s in reference.all("movement")}
        self._put_zones((s.id, s.doc) for s in reference.all("zone"))
        self._put_corridors([(s.id, s.doc) for s in reference.all("corridor")], [])
        for stored in reference.all("rules"):
            self.rules = Rules.from_doc(stored.doc, self._detectors)
        mine = self._mine
        bindings = [b for b in reference.bindings() if mine is None or mine(b.device_id)]
        self._add(bindings[:journeys])

    def apply(self, changes: Sequence[Change]) -> dict[int, str]:
        """Take in stored changes; gives the journeys concerned, each with the reason in words."""
        concerned: dict[int, str] = {}
        zones = [c for c in changes if c.kind == "zone"]
        if zones:
            self._put_zones((c.id, c.after) for c in zones)
            concerned |= dict.fromkeys(range(self.table.n), f"zone {zones[-1].id} was changed")
        corridors = [c for c in changes if c.kind == "corridor"]
        if corridors:
            concerned |= self._change_corridors(corridors)
        for change in changes:
            if change.kind == "rules":
                doc = {} if change.after is None else change.after
                self.rules = Rules.from_doc(doc, self._detectors)
                concerned |= dict.fromkeys(range(self.table.n), "the rules were changed")
            elif change.kind == "movement":
                concerned |= self._change_facts(self._movements, change, self._by_mrn)
            elif change.kind == "device":
                concerned |= self._change_facts(self._devices, change, self._by_device)
        concerned |= self._change_bindings([c for c in changes if c.kind == "binding"])
        if changes:
            self.version = max(self.version, *(c.version for c in changes))
        return concerned

    # how

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
        self._speed_limits |= {name: doc["properties"].get("speed_limit_mps") for name, doc in put}

    def _change_corridors(self, changes: Sequence[Change]) -> dict[int, str]:
        last = {c.id: c.after for c in changes}
        self._put_corridors(
            [(name, doc) for name, doc in last.items() if doc is not None],
            [name for name, doc in last.items() if doc is None],
        )
        concerned = {
            j: f"corridor {name} was changed" for j, name in enumerate(self.table.corridor_id) if name in last
        }
        for j in concerned:
            self._renew(j)
        return concerned

    def _change_facts(
        self, facts: dict[str, Mapping[str, Any]], change: Change, index: Mapping[str, Sequence[int]]
    ) -> dict[int, str]:
        if change.after is None:
            facts.pop(change.id, None)
        else:
            facts[change.id] = change.after
        journeys = index.get(change.id, ())
        for j in journeys:
            self._renew(j)
        return dict.fromkeys(journeys, f"{change.kind} {change.id} was changed")

    def _change_bindings(self, changes: Sequence[Change]) -> dict[int, str]:
        mine = self._mine
        if mine is not None:
            changes = [c for c in changes if c.after is not None and mine(c.after["device_id"])]
        known = [c for c in changes if int(c.id) in self._by_binding and c.after is not None]
        concerned: dict[int, str] = {}
        for change in known:
            assert change.after is not None
            j = self._by_binding[int(change.id)]
            end = change.after["to_us"]
            self.table.to_us[j] = NEVER if end is None else end
            concerned[j] = "its binding was changed"
        new = {
            int(c.id): c.after for c in changes if int(c.id) not in self._by_binding and c.after is not None
        }
        first = self.table.n
        self._add(_Row(number, **doc) for number, doc in sorted(new.items()))
        concerned |= dict.fromkeys(range(first, self.table.n), "it was bound after it had been observed")
        self._join = None if concerned else self._join
        return concerned

    def _add(self, rows: Iterable[Any]) -> None:
        bindings = list(rows)
        self.table.extend([self._journey(b) for b in bindings])
        for j, binding in enumerate(bindings, self.table.n - len(bindings)):
            self._by_binding[binding.id] = j
            self._by_mrn.setdefault(binding.mrn, []).append(j)
            self._by_device.setdefault(binding.device_id, []).append(j)
            self._device_numbers.append(self.number(binding.device_id))
        self._join = None

    def _renew(self, j: int) -> None:
        table = self.table
        end = int(table.to_us[j])
        table.set(
            j,
            self._facts(
                Journey(
                    table.device_id[j],
                    table.equipment_id[j],
                    table.mrn[j],
                    int(table.from_us[j]),
                    None if end == NEVER else end,
                )
            ),
        )

    def _journey(self, binding: Any) -> Journey:
        return self._facts(
            Journey(binding.device_id, binding.equipment_id, binding.mrn, binding.from_us, binding.to_us)
        )

    def _facts(self, journey: Journey) -> Journey:
        """What the customs file says of it, taken from its movement, corridor and device."""
        movement = self._movements.get(journey.mrn, {})
        device = self._devices.get(journey.device_id, {})
        corridor = movement.get("corridor")
        period = movement.get("report_interval_s") or device.get("report_interval_s")
        lists = [
            c for c in (movement.get("authorised_cards"), device.get("authorised_cards")) if c is not None
        ]
        journey.period_us = None if period is None else round(period * US)
        journey.departed_us = _moment(movement.get("departed_at"))
        journey.limit_us = _moment(movement.get("limit_at"))
        journey.arrived_us = _moment(movement.get("arrived_at"))
        journey.corridor = self.corridors.number.get(corridor, -1) if corridor else -1
        journey.corridor_id = corridor
        journey.speed_limit_mps = self._speed_limits.get(corridor) if corridor else None
        journey.temp_min_c = movement.get("temp_min_c")
        journey.temp_max_c = movement.get("temp_max_c")
        journey.goods = movement.get("goods")
        journey.device_class = device.get("class")
        journey.cards = frozenset(card for cards in lists for card in cards) if lists else None
        return journey


class _Row:
    """A binding as a change tells it, with the names of a stored row."""

    def __init__(
        self,
        number: int,
        *,
        device_id: str,
        equipment_id: str,
        mrn: str,
        from_us: int,
        to_us: int | None,
        **_other: Any,
    ) -> None:
        self.id = number
        self.device_id = device_id
        self.equipment_id = equipment_id
        self.mrn = mrn
        self.from_us = from_us
        self.to_us = to_us


def _moment(text: str | None) -> int | None:
    return None if text is None else parse_rfc3339(text)
