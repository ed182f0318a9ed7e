"""Was the trip clean? The rules, on plain facts: pure, one function a rule.

A clean trip is the only ground for an automatic discharge, so a rule that cannot tell says no: what is not known is not
clean. Facts come from ``engine.clean_trip``; times are UTC microseconds, durations seconds, lengths metres. A trip
runs from its departure to its arrival, or until now while it has not arrived.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cocket.core.clock import US, rfc3339
from cocket.core.config import Customs
from cocket.core.errors import Fault
from cocket.customs.trip.words import said

SEAL_CODES: Final = (
    "seal-cut",
    "seal-opened",
    "casing-opened",
    "unlock-outside-zone",
    "unauthorised-card",
    "wrong-password",
)
"""Alerts that say that somebody was at the seal."""

HARMLESS: Final = ("false", "technical", "explained")
"""What people may have found a closed alert to be for it to count no more."""

GRAVE: Final = ("high", "critical")
COVERED_PERIODS: Final = 2
"""Reporting periods that may pass between two reports for the time between to count as covered, as for ``silence``."""

_MOST: Final = 20
"""Reasons under one rule; the rest is counted in one more."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without reports that is longer than two reporting periods."""

    from_us: int
    to_us: int

    @property
    def seconds(self) -> float:
        """How long."""
        return (self.to_us - self.from_us) / US


@dataclass(frozen=True, slots=True)
class Watched:
    """One equipment on the trip, and how its devices reported. ``judged``: the trip is clean only if this was watched well.

    ``coverage`` is the share of the trip's time that lies between reports at most two periods apart; ``longest`` the
    longest time without a report, whether or not it counts as covered.
    """

    equipment_id: str
    device_ids: tuple[str, ...]
    observations: int
    period_s: float
    coverage: float
    longest: Gap
    distance_m: float
    gaps: tuple[Gap, ...] = ()
    judged: bool = True


@dataclass(frozen=True, slots=True)
class SealFacts:
    """One seal on the trip. ``closed``: every report of it says so, and none is missing for long; None: unknown.

    ``opened``: what it first said otherwise, and when. ``off_us``: when it came off, if that was on the way. ``alarm``: why
    people put it in alarm or lost it, if they did and did not take it back. ``verified``: as found at the destination.
    """

    id: str
    electronic: bool
    equipment_id: str | None = None
    closed: bool | None = None
    opened: tuple[str, int] | None = None
    off_us: int | None = None
    alarm: tuple[str, int] | None = None
    verified: str | None = None


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """One alert of the movement. ``outside``: it ended before the departure or began after the arrival; only
    alerts of the seal count then.
    """

    id: str
    code: str
    severity: str
    state: str
    triage: str | None
    device_id: str
    equipment_id: str
    began_us: int
    ended_us: int | None
    cause: str | None = None
    superseded: bool = False
    outside: bool = False

    @property
    def settled(self) -> bool:
        """Whether it holds nothing against the trip any more."""
        if self.superseded:
            return True
        if self.code in SEAL_CODES:
            return self.state == "closed" and self.triage in HARMLESS
        if self.outside or self.severity not in GRAVE:
            return True
        return self.state == "closed" and self.triage != "genuine"


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """One incident on the way. ``resolved``: somebody said so, before the arrival."""

    seq: int
    kind: str
    at_us: int
    by: str
    resolved: bool
    office: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Trip:
    """All that is known of a trip. ``verified``: how the seals were found at the destination, and when; ``undetected``:
    observations of it that the detectors have not worked through yet.
    """

    mrn: str
    departed_us: int | None
    arrived_us: int | None
    end_us: int
    limit_us: int | None = None
    watched: tuple[Watched, ...] = ()
    seals: tuple[SealFacts, ...] = ()
    alerts: tuple[AlertFacts, ...] = ()
    incidents: tuple[IncidentFacts, ...] = ()
    verified: tuple[str, int] | None = None
    discrepancies_us: int | None = None
    undetected: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a trip is not clean: the rule, which of its sentences, and what stands in it."""

    rule: str
    sentence: str
    facts: dict[str, Any] = field(default_factory=dict)

    def detail(self, lang: str = "en") -> str:
        """In words."""
        return said(lang, self.sentence, self.facts)

    def fault(self) -> Fault:
        """As a refusal names it."""
        return Fault("/clean-trip", self.rule, self.detail())


def reasons(trip: Trip, settings: Customs) -> list[Reason]:
    """Why a trip is not clean, rule by rule; empty if it is."""
    found: list[Reason] = []
    for rule in (_times, _reports, _sealed, _alerted, _happened):
        found += rule(trip, settings)
    return _bounded(found)


def longest_allowed_s(period_s: float, settings: Customs) -> float:
    """The longest time without a report that is forgiven."""
    return max(settings.clean_gap_s, COVERED_PERIODS * period_s)


def _times(trip: Trip, _settings: Customs) -> Iterator[Reason]:
    if trip.departed_us is None:
        yield Reason("no-departure", "no-departure")
    if trip.arrived_us is None:
        yield Reason("no-arrival", "no-arrival")
    elif trip.limit_us is not None and trip.arrived_us > trip.limit_us:
        late = {"arrived": rfc3339(trip.arrived_us), "limit": rfc3339(trip.limit_us)}
        yield Reason("late", "late", late | {"by": (trip.arrived_us - trip.limit_us) / US})


def _reports(trip: Trip, settings: Customs) -> Iterator[Reason]:
    if trip.undetected:
        yield Reason("undetected", "undetected", {"n": trip.undetected})
    if trip.departed_us is None:
        return
    judged = [w for w in trip.watched if w.judged]
    if not judged:
        yield Reason("no-observations", "no-observations")
    for one in judged:
        facts = {"equipment": one.equipment_id, "devices": ", ".join(one.device_ids)}
        if not one.observations:
            yield Reason("no-observations", "none-of-equipment", facts)
            continue
        allowed = longest_allowed_s(one.period_s, settings)
        if one.longest.seconds > allowed:
            gap = {
                "gap": one.longest.seconds,
                "from": rfc3339(one.longest.from_us),
                "to": rfc3339(one.longest.to_us),
                "allowed": allowed,
            }
            yield Reason("gap", "gap", facts | gap)
        if one.coverage < settings.clean_coverage:
            share = {"coverage": one.coverage, "least": settings.clean_coverage}
            yield Reason("low-coverage", "low-coverage", facts | share)


def _sealed(trip: Trip, _settings: Customs) -> Iterator[Reason]:
    if not trip.seals:
        yield Reason("no-seal", "no-seal")
    for seal in trip.seals:
        facts: dict[str, Any] = {"seal": seal.id, "equipment": seal.equipment_id or "?"}
        if seal.opened is not None:
            what, at = seal.opened
            yield Reason("seal-opened", "seal-opened", facts | {"what": what, "at": rfc3339(at)})
        elif seal.closed is False:
            yield Reason("seal-opened", "seal-not-closed", facts)
        if seal.off_us is not None:
            yield Reason("seal-opened", "seal-off", facts | {"at": rfc3339(seal.off_us)})
        if seal.electronic and seal.closed is None and seal.opened is None:
            yield Reason("seal-unknown", "seal-unknown", facts)
        elif not seal.electronic and seal.verified is None:
            yield Reason("seal-unknown", "seal-not-looked-at", facts)
        if seal.alarm is not None:
            what, at = seal.alarm
            yield Reason("seals-not-intact", "seal-alarm", facts | {"why": what, "at": rfc3339(at)})
        if seal.verified not in {None, "intact"}:
            yield Reason("seals-not-intact", "seal-found", facts | {"result": seal.verified})
    named = any(s.verified not in {None, "intact"} for s in trip.seals)
    if trip.verified is not None and trip.verified[0] != "intact" and not named:
        result, at = trip.verified
        yield Reason("seals-not-intact", "seals-found", {"result": result, "at": rfc3339(at)})


def _alerted(trip: Trip, _settings: Customs) -> Iterator[Reason]:
    for alert in trip.alerts:
        if alert.settled:
            continue
        facts = {
            "code": alert.code,
            "severity": alert.severity,
            "device": alert.device_id,
            "at": rfc3339(alert.began_us),
            "state": alert.state,
            "triage": alert.triage,
            "id": alert.id,
        }
        if alert.code in SEAL_CODES:
            sentence = "seal-alert-genuine" if alert.state == "closed" else "seal-alert"
            yield Reason("seal-alert", sentence, facts)
        elif alert.state == "closed":
            yield Reason("genuine-alert", "genuine-alert", facts)
        else:
            yield Reason("open-alert", "open-alert", facts)


def _happened(trip: Trip, _settings: Customs) -> Iterator[Reason]:
    for incident in trip.incidents:
        if not incident.resolved:
            facts = {"kind": incident.kind, "at": rfc3339(incident.at_us), "by": incident.by}
            yield Reason("open-incident", "open-incident", facts)
    if trip.discrepancies_us is not None:
        yield Reason("discrepancies", "discrepancies", {"at": rfc3339(trip.discrepancies_us)})


def _bounded(found: Sequence[Reason]) -> list[Reason]:
    """At most so many reasons under one rule, and one that counts the rest."""
    kept: list[Reason] = []
    for rule in dict.fromkeys(r.rule for r in found):
        of_rule = [r for r in found if r.rule == rule]
        kept += of_rule[:_MOST]
        if len(of_rule) > _MOST:
            kept.append(Reason(rule, "more", {"n": len(of_rule) - _MOST}))
    return kept
