"""The declared world as the detectors need it: journeys, zones, corridors and rules, made from the reference data.

It is rebuilt whole at start and changed in place afterwards, one stored change after the other, in the order of
their versions. Each change tells which journeys it concerns, so that those with a history are run again: an alert
follows from what is declared now, whenever it was declared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from cocket.core.batch import Array, Batch
from cocket.core.clock import US, parse_rfc3339
from cocket.core.detector import Detector
from cocket.core.journeys import NEVER, Journey, JourneyTable
from cocket.core.rules import Rules
from cocket.engine.declared import Declared, binding_of
from cocket.engine.ingest import on_journeys
from cocket.journeys.corridors import CorridorIndex
from cocket.journeys.join import Join
from cocket.journeys.zones import ZoneIndex
from cocket.store.bindings import Binding
from cocket.store.reference import Change

RULES_ID = "rules"
"""The id under which the one rules document is stored."""


class World:
    """Journeys by number, and what surrounds them. Only the detector thread touches it.

    ``table``: the journeys; ``device_of``: dense number per device id, also of devices that are bound to nothing.
    ``mine``: which devices' journeys are this world's, where there are several; None: all.
    """

    def __init__(self, detectors: Sequence[Detector], mine: Callable[[str], bool] | None = None) -> None:
        self.table = JourneyTable()
        self.device_of: dict[str, int] = {}
        self._declared = Declared(detectors)
        self._mine = mine
        self._by_binding: dict[int, int] = {}
        self._by_mrn: dict[str, list[int]] = {}
        self._by_device: dict[str, list[int]] = {}
        self._device_numbers: list[int] = []
        self._join: Join | None = None

    # what is asked

    @property
    def version(self) -> int:
        """Of what is declared."""
        return self._declared.version

    @property
    def zones(self) -> ZoneIndex:
        """All zones."""
        return self._declared.zones

    @property
    def corridors(self) -> CorridorIndex:
        """All corridors."""
        return self._declared.corridors

    @property
    def rules(self) -> Rules:
        """The rules in force; another object when they were changed."""
        return self._declared.rules

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

    def load(self, declared: Declared, bindings: Iterable[Binding], journeys: int | None = None) -> None:
        """Begin from what is declared (it is the world's own from now on) and the bindings by id, of which only the first ``journeys``
        are taken, if that is given. The rest is then taken in by ``apply``, so that the first ones keep the numbers they had.
        """
        self._declared = declared
        mine = self._mine
        own = [b for b in bindings if mine is None or mine(b.device_id)]
        self._add(own[:journeys])

    def apply(self, changes: Sequence[Change]) -> dict[int, str]:
        """Take in stored changes; gives the journeys concerned, each with the reason in words."""
        known = self._declared.version
        self._declared.apply([c for c in changes if c.version > known])
        corridors = {c.id for c in changes if c.kind == "corridor"}
        facts = {
            j: f"corridor {name} was changed"
            for j, name in enumerate(self.table.corridor_id)
            if name in corridors
        }
        for change in changes:
            if change.kind in {"movement", "device"}:
                index = self._by_mrn if change.kind == "movement" else self._by_device
                facts |= dict.fromkeys(index.get(change.id, ()), f"{change.kind} {change.id} was changed")
        for j in facts:
            self._renew(j)
        everywhere = [f"zone {c.id} was changed" for c in changes if c.kind == "zone"]
        everywhere += ["the rules were changed" for c in changes if c.kind == "rules"]
        concerned = dict.fromkeys(range(self.table.n), everywhere[-1]) if everywhere else {}
        return concerned | facts | self._change_bindings([c for c in changes if c.kind == "binding"])

    # how

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
            int(c.id): binding_of(c)
            for c in changes
            if int(c.id) not in self._by_binding and c.after is not None
        }
        first = self.table.n
        self._add(new[number] for number in sorted(new))
        concerned |= dict.fromkeys(range(first, self.table.n), "it was bound after it had been observed")
        self._join = None if concerned else self._join
        return concerned

    def _add(self, rows: Iterable[Binding]) -> None:
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

    def _journey(self, binding: Binding) -> Journey:
        return self._facts(
            Journey(binding.device_id, binding.equipment_id, binding.mrn, binding.from_us, binding.to_us)
        )

    def _facts(self, journey: Journey) -> Journey:
        """What the customs file says of it, taken from its movement, corridor and device."""
        movement = self._declared.movements.get(journey.mrn, {})
        device = self._declared.devices.get(journey.device_id, {})
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
        journey.speed_limit_mps = self._declared.speed_limits.get(corridor) if corridor else None
        journey.temp_min_c = movement.get("temp_min_c")
        journey.temp_max_c = movement.get("temp_max_c")
        journey.goods = movement.get("goods")
        journey.device_class = device.get("class")
        journey.cards = frozenset(card for cards in lists for card in cards) if lists else None
        return journey


def _moment(text: str | None) -> int | None:
    return None if text is None else parse_rfc3339(text)
