"""The clean-trip report as a value: facts, verdict, and both as JSON. ``trip_pdf`` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from cocket.core.clock import rfc3339
from cocket.customs.trip.rules import AlertFacts, Gap, IncidentFacts, Reason, SealFacts, Trip, Watched


@dataclass(frozen=True, slots=True)
class Report:
    """A trip, what speaks against it, and when that was asked. ``declared`` is the movement's declaration, ``offices`` the
    names of its offices by id; ``least_coverage`` and ``gap_s`` are the limits by which it was judged.
    """

    trip: Trip
    reasons: tuple[Reason, ...]
    generated_us: int
    declared: Mapping[str, Any]
    offices: Mapping[str, str]
    least_coverage: float
    gap_s: float

    @property
    def clean(self) -> bool:
        """Nothing speaks against it."""
        return not self.reasons

    def json(self) -> bytes:
        """As JSON: what the API answers and the evidence pack holds."""
        return msgspec.json.encode(self.shown())

    def sha256(self) -> str:
        """Of that JSON, for the foot of the printed page."""
        return sha256(self.json()).hexdigest()

    def shown(self) -> dict[str, Any]:
        """As answers show it. Sums over the trip: the longest gap and the least coverage of what is judged."""
        trip = self.trip
        judged = [w for w in trip.watched if w.judged]
        return {
            "mrn": trip.mrn,
            "clean": self.clean,
            "reasons": [{"rule": r.rule, "detail": r.detail()} for r in self.reasons],
            "departed_at": _moment(trip.departed_us),
            "arrived_at": _moment(trip.arrived_us),
            "limit_at": _moment(trip.limit_us),
            "distance_m": round(max(w.distance_m for w in trip.watched)) if trip.watched else None,
            "observations": sum(w.observations for w in trip.watched),
            "longest_gap_s": max((round(w.longest.seconds) for w in judged), default=None),
            "coverage": min((_share(w.coverage) for w in judged), default=0.0),
            "equipment": [_watched(w) for w in trip.watched],
            "seals": [_seal(s) for s in trip.seals],
            "alerts": [_alert(a) for a in trip.alerts],
            "incidents": [_incident(i) for i in trip.incidents],
            "verified": None
            if trip.verified is None
            else {"result": trip.verified[0], "at": rfc3339(trip.verified[1])},
            "discrepancies_at": _moment(trip.discrepancies_us),
            "limits": {"coverage": self.least_coverage, "gap_s": self.gap_s},
            "generated_at": rfc3339(self.generated_us),
        }


def _moment(us: int | None) -> str | None:
    return None if us is None else rfc3339(us)


def _share(value: float) -> float:
    """Rounded down, so that what is shown as enough is enough."""
    return int(value * 10_000 + 1e-6) / 10_000


def _gap(gap: Gap) -> dict[str, Any]:
    return {"from": rfc3339(gap.from_us), "to": rfc3339(gap.to_us), "seconds": round(gap.seconds)}


def _watched(one: Watched) -> dict[str, Any]:
    return {
        "equipment_id": one.equipment_id,
        "device_ids": list(one.device_ids),
        "judged": one.judged,
        "observations": one.observations,
        "report_interval_s": one.period_s,
        "coverage": _share(one.coverage),
        "longest_gap": _gap(one.longest),
        "gaps": [_gap(g) for g in one.gaps],
        "distance_m": round(one.distance_m),
    }


def _seal(seal: SealFacts) -> dict[str, Any]:
    return {
        "id": seal.id,
        "device_id": seal.id if seal.electronic else None,
        "kind": "e-seal" if seal.electronic else "mechanical",
        "equipment_id": seal.equipment_id,
        "closed_throughout": seal.closed,
        "opened": None if seal.opened is None else {"what": seal.opened[0], "at": rfc3339(seal.opened[1])},
        "off_at": _moment(seal.off_us),
        "alarm": None if seal.alarm is None else {"why": seal.alarm[0], "at": rfc3339(seal.alarm[1])},
        "verified": seal.verified,
    }


def _alert(alert: AlertFacts) -> dict[str, Any]:
    return {
        "id": alert.id,
        "code": alert.code,
        "severity": alert.severity,
        "state": alert.state,
        "triage": alert.triage,
        "cause": alert.cause,
        "device_id": alert.device_id,
        "equipment_id": alert.equipment_id or None,
        "began_at": rfc3339(alert.began_us),
        "ended_at": _moment(alert.ended_us),
        "settled": alert.settled,
    }


def _incident(incident: IncidentFacts) -> dict[str, Any]:
    return {
        "seq": incident.seq,
        "kind": incident.kind,
        "at": rfc3339(incident.at_us),
        "by": incident.by,
        "office": incident.office,
        "text": incident.text,
        "resolved": incident.resolved,
    }
