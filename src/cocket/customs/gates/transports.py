"""The transport desk: a vehicle and a phone that carry goods declarations, and what the phone may say.

A phone's position outside the zones for phones is answered and forgotten: it reaches no table, no log and no message. Inside one
it is an observation of the phone. In an activation zone the linked declarations bind: the movement of each gets a remark at the
moment of entry, once, and the cab is shown green or red. In a confirmation zone the passage is confirmed the same way. Red tells
the driver to come to the desk and nothing else; the reasons are the officer's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.clock import Clock, rfc3339
from cocket.core.errors import Fault, Refused
from cocket.core.ids import plate_key
from cocket.core.schema import TIME_AHEAD_US
from cocket.customs.gates.obstacles import Obstacles
from cocket.customs.machines.movement import FINAL
from cocket.customs.transit.desk import TransitDesk
from cocket.customs.transit.steps import Wanted
from cocket.store.codes import Row
from cocket.store.gates import GateStore

ACTIVATION, CONFIRMATION, TRACKING = PHONE_KINDS = ("activation", "confirmation", "tracking")
"""Kinds of zones in which a phone's position is kept; where they overlap, the first one counts."""
GREEN, RED = "green", "red"
_BINDS_NOT: Final = (*FINAL, "draft", "lodged")
"""States in which there is no declaration that could bind."""

_SAYS: Final[dict[str | tuple[str | None, str] | None, str]] = {
    None: "You are outside the zones. This position is not kept.",
    TRACKING: "You are on your way. Drive on to the customs post.",
    (ACTIVATION, GREEN): "Green. Your declarations are active. Drive on.",
    (ACTIVATION, RED): "Red. Go to the desk.",
    (CONFIRMATION, GREEN): "Green. Your passage is confirmed. Drive on.",
    (CONFIRMATION, RED): "Red. Go back to the desk.",
}


@dataclass(frozen=True, slots=True)
class PhoneZone:
    """A zone in which phones are listened to."""

    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A position of a phone. Degrees, WGS 84; ``at_us`` None: now."""

    lat_deg: float
    lon_deg: float
    at_us: int | None = None


@dataclass
class Outside:
    """What is asked of the rest of the house: ``zone`` finds the zone of a position, ``keep`` stores one as an observation."""

    zone: Callable[[float, float], PhoneZone | None]
    keep: Callable[[str, int, float, float], None]


class TransportDesk:
    """Transports; any thread may call."""

    def __init__(
        self, store: GateStore, transit: TransitDesk, obstacles: Obstacles, outside: Outside, clock: Clock
    ) -> None:
        self.store = store
        self._transit = transit
        self._obstacles = obstacles
        self._outside = outside
        self._clock = clock

    def put(self, transport_id: str, doc: Mapping[str, Any], *, by: str) -> tuple[dict[str, Any], bool]:
        """Keep a transport; the answer and whether it is new. Movements that are not known are flagged: they may follow."""
        plate = doc.get("plate")
        row = {
            "id": transport_id,
            "plate": plate,
            "plate_key": plate_key(plate) or None if plate else None,
            "device_id": doc.get("device_id"),
            "booking": doc.get("booking"),
            "mrns": list(dict.fromkeys(doc.get("mrns") or ())),
        }
        with self.store.writing() as connection:
            new = self.store.put(connection, "transport", row, by=by, at_us=self._clock.now_us())
        return self.shown(transport_id), new

    def shown(self, transport_id: str) -> dict[str, Any]:
        """A transport with what it activated and confirmed; ``NotFound`` if there is none."""
        row = self.store.get("transport", transport_id)
        with self.store.reading() as connection:
            passages = self.store.passages(connection, transport_id)
            unknown = [m for m in row["mrns"] if self._obstacles.state(connection, m) is None]
        return {
            **{k: row[k] for k in ("id", "plate", "device_id", "mrns", "booking")},
            "flags": [f"movement-unknown:{m}" for m in unknown],
            "passages": [
                {
                    "mrn": p["mrn"],
                    "stage": p["stage"],
                    "zone": p["zone"],
                    "at": rfc3339(p["at_us"]),
                    "signal": p["signal"],
                    "reasons": p["reasons"],
                }
                for p in passages
            ],
            "changed_at": rfc3339(row["changed_us"]),
            "changed_by": row["changed_by"],
        }

    def position(self, transport_id: str, fix: Fix, *, by: str) -> dict[str, Any]:
        """What a position means. An observation that is kept is on the disk when this returns.

        ``Refused`` only for a time ahead of ours; an unknown transport is told to come to the desk like one that carries nothing.
        """
        now = self._clock.now_us()
        at = now if fix.at_us is None else fix.at_us
        if at > now + TIME_AHEAD_US:
            raise Refused(
                "/at: this moment has not come yet", [Fault("/at", "in-the-future", "it has not come yet")]
            )
        zone = self._outside.zone(fix.lat_deg, fix.lon_deg)
        if zone is None:
            return _answer(None, None, [], stored=False)
        with self.store.reading() as connection:
            transport = self.store.one(connection, "transport", transport_id)
        device = None if transport is None else transport["device_id"]
        if device is not None:
            self._outside.keep(device, at, fix.lat_deg, fix.lon_deg)
        if zone.kind == TRACKING:
            return _answer(zone, None, [], stored=device is not None)
        signal, activated = RED, list[str]()
        if transport is not None and transport["mrns"]:
            signal, activated = self._pass(transport_id, zone, at, by)
        return _answer(zone, signal, activated, stored=device is not None)

    def _pass(self, transport_id: str, zone: PhoneZone, at: int, by: str) -> tuple[str, list[str]]:
        """(signal, what is active) of a linked transport in an activation or confirmation zone."""
        with self.store.writing() as connection:
            transport = self.store.one(connection, "transport", transport_id)
            assert transport is not None
            done = {(p["mrn"], p["stage"]) for p in self.store.passages(connection, transport_id)}
            against: dict[str, list[Fault]] = {}
            for mrn in transport["mrns"]:
                state = self._obstacles.state(connection, mrn)
                against[mrn] = self._obstacles.of(connection, mrn, state)
                if zone.kind == CONFIRMATION and (mrn, ACTIVATION) not in done:
                    detail = f"movement {mrn} was not activated before"
                    against[mrn].append(Fault("/mrns", "not-activated", detail))
                elif (mrn, zone.kind) in done or state is None or state in _BINDS_NOT:
                    continue
                elif zone.kind == ACTIVATION or not against[mrn]:
                    self._record(connection, transport, mrn, zone, at, by, against[mrn])
                    done.add((mrn, zone.kind))
        clear = bool(against) and not any(against.values())
        return GREEN if clear else RED, [m for m in transport["mrns"] if (m, ACTIVATION) in done]

    def _record(
        self,
        connection: sa.Connection,
        transport: Row,
        mrn: str,
        zone: PhoneZone,
        at: int,
        by: str,
        against: Sequence[Fault],
    ) -> None:
        signal = RED if against else GREEN
        words = "activated: the declaration binds" if zone.kind == ACTIVATION else "passage confirmed"
        details = {
            zone.kind: {
                "transport": transport["id"],
                "zone": zone.id,
                "plate": transport["plate"],
                "device_id": transport["device_id"],
                "signal": signal,
            }
        }
        wanted = Wanted("note", at, by, reason=f"{words}; entered {zone.id}", details=details)
        step = self._transit.record(connection, mrn, wanted)
        self.store.add_passage(
            connection,
            {
                "transport_id": transport["id"],
                "mrn": mrn,
                "stage": zone.kind,
                "zone": zone.id,
                "at_us": at,
                "signal": signal,
                "reasons": [{"rule": f.rule, "detail": f.detail} for f in against],
                "event_seq": step.event.seq,
            },
        )


def _answer(
    zone: PhoneZone | None, signal: str | None, activated: list[str], *, stored: bool
) -> dict[str, Any]:
    kind = None if zone is None else zone.kind
    return {
        "zone": None if zone is None else zone.id,
        "zone_kind": kind,
        "signal": signal,
        "says": _SAYS[kind] if signal is None else _SAYS[kind, signal],
        "stored": stored,
        "activated": activated,
    }
