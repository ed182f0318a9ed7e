"""What speaks against an arrival at a gate: plate, passes, movements, alerts, and whether plate and position say the same.

All reasons are given, not the first. Everything is read as the transaction of the decision sees it; positions were looked up just
before it, for they lie in another store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import sqlalchemy as sa

from cocket.core.clock import US, rfc3339
from cocket.core.config import Gates
from cocket.core.errors import Fault
from cocket.core.geo import distance_m
from cocket.core.schema import TIME_AHEAD_US
from cocket.customs.gates import passes as gate_passes
from cocket.customs.gates.joins import Joined
from cocket.customs.gates.obstacles import CLEARABLE, Obstacles
from cocket.customs.gates.passes import Passes
from cocket.store.codes import Row
from cocket.store.gates import GateStore

PORT, BORDER, EXIT = KINDS = ("port", "border", "exit")
IN, OUT = DIRECTIONS = ("in", "out")
OPEN, HOLD, DESK = DECISIONS = ("open", "hold", "desk")
_TO_DESK: Final = frozenset({"open-alert", "plate-and-container-disagree"})
"""Rules that send to the desk on the way in; others hold. On the way out all do."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a device was. Degrees, WGS 84; event time in microseconds."""

    observed_us: int
    lat_deg: float
    lon_deg: float


class Places(Protocol):
    """What is asked of the observations and zones."""

    def positions(self, device_ids: Sequence[str], from_us: int, to_us: int) -> Mapping[str, Position]:
        """The latest valid position of each device in [from, to]; those without one are absent."""
        ...

    def in_office(self, office: str, lat_deg: float, lon_deg: float) -> bool:
        """Whether a position lies in a zone of this office."""
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a gate read. ``at_us`` None: now."""

    direction: str
    plate: str | None = None
    plate_confidence: float | None = None
    container_ids: tuple[str, ...] = ()
    device_id: str | None = None
    at_us: int | None = None


@dataclass(slots=True)
class Verdict:
    """What was joined, which passes were chosen, which movements leave, what speaks against it, and what followed."""

    joined: Joined
    passes: Passes = field(default_factory=Passes)
    leaving: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    near: dict[str, Any] | None = None
    effects: list[dict[str, Any]] = field(default_factory=list)


class Judge:
    """Reads only; any thread may call."""

    def __init__(self, store: GateStore, obstacles: Obstacles, places: Places, settings: Gates) -> None:
        self._store = store
        self._obstacles = obstacles
        self._places = places
        self._settings = settings

    def readable(self, arrival: Arrival) -> bool:
        """Whether the reader is sure enough of the plate."""
        sure = arrival.plate_confidence
        return bool(arrival.plate) and (sure is None or sure >= self._settings.plate_confidence)

    def seen(self, gate: Row, arrival: Arrival, joined: Joined, at: int) -> Mapping[str, Position]:
        """Where the vehicle's devices were, if that is asked at this gate."""
        if not looks(gate, arrival):
            return {}
        devices = list(dict.fromkeys([*joined.devices, *([arrival.device_id] if arrival.device_id else [])]))
        oldest = at - int(self._settings.position_s * US)
        return self._places.positions(devices, oldest, at + TIME_AHEAD_US)

    def judge(
        self,
        connection: sa.Connection,
        gate: Row,
        arrival: Arrival,
        at: int,
        seen: Mapping[str, Position],
        verdict: Verdict,
    ) -> None:
        """Every reason against it, as this transaction sees things."""
        joined, faults = verdict.joined, verdict.faults
        if not joined.plate_key:
            faults.append(Fault("/plate", "unreadable-plate", self._unread(arrival)))
        joined.states = {
            m: state for m in joined.mrns if (state := self._obstacles.state(connection, m)) is not None
        }
        inward = arrival.direction == IN
        known = joined.plate_known or (inward and joined.containers_known)
        if joined.plate_key and not known:
            detail = f"nothing that is declared names plate {arrival.plate}"
            faults.append(Fault("/plate", "plate-unknown", detail))
        if joined.apart:
            theirs = set[str]().union(*joined.by_container.values())
            detail = f"the plate belongs to {_some(joined.by_plate)}, the containers to {_some(theirs)}"
            faults.append(Fault("/container_ids", "plate-and-container-disagree", detail))
        if inward:
            self._inward(connection, gate, at, verdict)
        else:
            self._outward(connection, gate, arrival, at, seen, verdict)

    def _unread(self, arrival: Arrival) -> str:
        least = self._settings.plate_confidence
        if arrival.plate and arrival.plate_confidence is not None and arrival.plate_confidence < least:
            return f"the reader is {arrival.plate_confidence:g} sure of {arrival.plate}, less than {least:g}"
        return "no plate was read"

    def _inward(self, connection: sa.Connection, gate: Row, at: int, verdict: Verdict) -> None:
        joined = verdict.joined
        if gate["kind"] == PORT:
            verdict.passes = gate_passes.find(
                self._store, connection, joined, gate_passes.IN, gate["id"], at, needed=True
            )
            verdict.faults += verdict.passes.faults
        elif (joined.plate_known or joined.containers_known) and not joined.open and not joined.declarations:
            verdict.faults.append(
                Fault("/movements", "no-declaration", "no declaration is open for what stands here")
            )
        for mrn in joined.open:
            verdict.faults += self._obstacles.alerts(connection, mrn)

    def _outward(
        self,
        connection: sa.Connection,
        gate: Row,
        arrival: Arrival,
        at: int,
        seen: Mapping[str, Position],
        verdict: Verdict,
    ) -> None:
        joined, faults = verdict.joined, verdict.faults
        left = {m: e for m in joined.states if (e := self._left(connection, gate, m, at)) is not None}
        verdict.leaving = [m for m in joined.open if m not in left]
        verdict.passes = gate_passes.find(
            self._store, connection, joined, gate_passes.OUT, gate["id"], at, needed=False
        )
        faults += verdict.passes.faults
        if not verdict.leaving and not verdict.passes.chosen:
            faults += self._nothing_leaves(joined, left)
        for mrn in verdict.leaving:
            faults += self._against(connection, gate, mrn, joined.states[mrn])
        if gate["kind"] != PORT and joined.plate_key:
            self._whereabouts(gate, arrival, seen, verdict)

    def _left(self, connection: sa.Connection, gate: Row, mrn: str, at: int) -> Row | None:
        """The exit read after which this gate cannot be another way out."""
        for row in self._store.exits(connection, mrn):
            same_kind = row["kind"] == gate["kind"]
            same_office = row["office"] is not None and row["office"] == gate["office"]
            soon = abs(at - row["at_us"]) < self._settings.again_s * US
            if row["gate"] == gate["id"] or (same_kind and (same_office or soon)):
                return row
        return None

    def _nothing_leaves(self, joined: Joined, left: Mapping[str, Row]) -> list[Fault]:
        if left:
            return [
                Fault(
                    "/movements",
                    "already-left",
                    f"movement {mrn} left by gate {row['gate']} at {rfc3339(row['at_us'])}",
                )
                for mrn, row in left.items()
            ]
        over = [m for m in joined.states if m not in joined.open]
        if over:
            return [
                Fault("/movements", "already-left", f"movement {m} is over: it is {joined.states[m]}")
                for m in over
            ]
        known = joined.plate_known or bool(joined.containers_known)
        detail = "no movement is known of what stands here"
        return [Fault("/movements", "movement-unknown", detail)] if known else []

    def _against(self, connection: sa.Connection, gate: Row, mrn: str, state: str) -> list[Fault]:
        faults = self._obstacles.of(connection, mrn, state)
        if gate["kind"] != PORT and state in CLEARABLE and self._obstacles.cleared(connection, mrn):
            faults = [f for f in faults if f.rule != "movement-not-released"]
        if gate["kind"] == PORT and not faults and state != "released":
            detail = f"movement {mrn} is {state}: it is not released to leave the port"
            faults = [Fault("/movements", "movement-not-released", detail)]
        return [Fault("/movements", f.rule, f.detail) for f in faults]

    def _whereabouts(
        self, gate: Row, arrival: Arrival, seen: Mapping[str, Position], verdict: Verdict
    ) -> None:
        """Whether the position of a device of the vehicle says the same as the plate."""
        asked, known = arrival.device_id, verdict.joined.devices
        if asked is not None and asked not in known:
            detail = f"device {asked} is not of the vehicle with plate {arrival.plate}"
            verdict.faults.append(Fault("/device_id", "plate-and-position-disagree", detail))
            return
        for device in known if asked is None else [asked]:
            position = seen.get(device)
            if position is None:
                continue
            far = self._far_m(gate, position)
            shown = {
                "device_id": device,
                "distance_m": None if far is None else round(far, 1),
                "observed_at": rfc3339(position.observed_us),
            }
            if far is None or far <= (gate["radius_m"] or self._settings.position_m):
                verdict.near = verdict.near or shown
            elif gate["office"] is None or not self._places.in_office(
                gate["office"], position.lat_deg, position.lon_deg
            ):
                detail = f"device {device} of plate {arrival.plate} is {far:.0f} m from gate {gate['id']}"
                verdict.faults.append(Fault("/device_id", "plate-and-position-disagree", detail))
            else:
                verdict.near = verdict.near or shown
        if verdict.near is None and not any(f.path == "/device_id" for f in verdict.faults):
            age = self._settings.position_s
            detail = (
                f"no device of plate {arrival.plate} gave a valid position in the last {age:g} s"
                if known
                else f"no device is known of plate {arrival.plate}"
            )
            verdict.faults.append(Fault("/device_id", "no-position", detail))

    def _far_m(self, gate: Row, position: Position) -> float | None:
        """Metres from the gate; infinite where nobody said where the gate is, so that only its office's zone counts."""
        if gate["lat_deg"] is None:
            return float("inf")
        return float(distance_m(gate["lat_deg"], gate["lon_deg"], position.lat_deg, position.lon_deg))


def looks(gate: Row, arrival: Arrival) -> bool:
    """Whether positions are asked for: on the way out of a border or exit gate."""
    return arrival.direction == OUT and gate["kind"] != PORT


def decision(direction: str, faults: Sequence[Fault]) -> str:
    """Open without a reason against it; else hold for what may still come, or to the desk."""
    if not faults:
        return OPEN
    if direction == OUT or any(f.rule in _TO_DESK for f in faults):
        return DESK
    return HOLD


def _some(mrns: set[str]) -> str:
    return ", ".join(sorted(mrns)[:3])
