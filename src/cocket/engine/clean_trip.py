"""The clean-trip report, made from the file, the alerts and the observations of a trip's bindings.

Reads what is stored, files and tail alike, and what the caller's own transaction has written: a discharge that is asked
for together with the arrival sees the arrival. Nothing is written. The detectors have to be done with the trip's
observations; outside a transaction it waits for them a moment, inside it says that they are not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from cocket.core.clock import Clock, parse_rfc3339
from cocket.core.config import Customs
from cocket.core.errors import Fault, NotFound
from cocket.customs.machines.movement import MOVEMENT
from cocket.customs.transit.recording import Step, fold
from cocket.customs.transit.seals import E_SEAL
from cocket.customs.trip.report import Report
from cocket.customs.trip.rules import (
    AlertFacts,
    IncidentFacts,
    SealFacts,
    Trip,
    Watched,
    longest_allowed_s,
    reasons,
)
from cocket.engine.ingest import on_journeys
from cocket.engine.line import Lines
from cocket.engine.trip_measures import COLUMNS, Rows, closed_times, distance_m, gaps, reports_as_seal
from cocket.store.bindings import Binding
from cocket.store.file_events import Event
from cocket.store.folder import Stores

_WAIT_S: Final = 1.0
"""How long to wait for the detectors, where nobody holds a lock."""

_POLL_S: Final = 0.005
_ALERTS: Final = 1000


@dataclass(frozen=True, slots=True)
class _File:
    """What the customs file says of a movement, read in one view."""

    declared: Mapping[str, Any]
    offices: dict[str, str]
    steps: list[Step]
    seal_events: list[Event]
    kinds: dict[str, str]
    bindings: list[Binding]
    devices: dict[str, Mapping[str, Any]]


class CleanTrips:
    """Makes the reports; any thread may call."""

    def __init__(
        self,
        folder: Stores,
        clock: Clock,
        settings: Customs,
        lines: Lines,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._settings = settings
        self._lines = lines

    def faults(self, mrn: str, at_us: int) -> list[Fault]:
        """Why a trip is not clean, as the discharge asks: empty if it is."""
        return [reason.fault() for reason in self.report(mrn, at_us).reasons]

    def settle(self, mrn: str) -> None:
        """Before a transaction that will ask: wait a moment until the detectors are done with the trip, if it is one."""
        if self._folder.reference.get("movement", mrn) is not None:
            self.report(mrn)

    def report(self, mrn: str, at_us: int | None = None) -> Report:
        """The report; ``NotFound`` if there is no such movement. ``at_us`` ends a trip that has not arrived (None: now)."""
        end = time.monotonic() + (0.0 if self._folder.book.db.writing else _WAIT_S)
        pause = _POLL_S
        while True:
            untaken = self._lines.untaken
            report = self._made(mrn, at_us)
            if not (untaken or report.trip.undetected) or time.monotonic() >= end:
                return report
            time.sleep(pause)
            pause *= 2

    def _made(self, mrn: str, at_us: int | None) -> Report:
        now = self._clock.now_us()
        with self._folder.book.db.view() as connection:
            file = self._file(connection, mrn)
        # how far detection is comes before its alerts: what it finds between the two then counts as not detected
        devices = [b.device_id for b in file.bindings]
        again = self._lines.runs_again(mrn) or self._lines.unseen(devices)
        detected = self._lines.detected
        alerts = self._alerts(mrn)
        departed, arrived = _departed(file), _arrived(file)
        end = arrived if arrived is not None else min(now, at_us or now)
        rows: list[Rows] = []
        if departed is not None and end >= departed:
            rows = [
                found
                for b in file.bindings
                if (found := self._observed(b, departed, end, detected)) is not None
            ]
        verified = _verified(file.steps)
        seals = self._seals(file, rows, departed, end, verified)
        trip = Trip(
            mrn,
            departed,
            arrived,
            end,
            _us(file.declared.get("limit_at")),
            self._watched(file, rows, seals, departed, end),
            tuple(seals),
            tuple(replace(a, outside=_outside(a, departed, arrived)) for a in alerts),
            _incidents(file.steps),
            None if verified is None else (str(verified.details["result"]), verified.at_us),
            next((s.event.at_us for s in file.steps if s.event.event == "report-discrepancies"), None),
            sum(r.undetected for r in rows) or int(again),
        )
        return Report(
            trip,
            tuple(reasons(trip, self._settings)),
            now,
            file.declared,
            file.offices,
            self._settings.clean_coverage,
            self._settings.clean_gap_s,
        )

    # reading

    def _file(self, connection: sa.Connection, mrn: str) -> _File:
        reference, book = self._folder.reference, self._folder.book
        stored = reference.read(connection, "movement", mrn)
        if stored is None:
            raise NotFound(f"there is no movement {mrn!r}")
        seal_events = book.of_movement(mrn, "seal", connection=connection)
        kinds = {}
        for seal_id in dict.fromkeys(e.subject for e in seal_events):
            subject = book.subject(connection, "seal", seal_id)
            kinds[seal_id] = (
                "mechanical" if subject is None else str(subject.summary.get("kind", "mechanical"))
            )
        bindings = reference.bindings_in(connection, mrn)
        devices: dict[str, Mapping[str, Any]] = {}
        for device_id in dict.fromkeys(b.device_id for b in bindings):
            device = reference.read(connection, "device", device_id)
            devices[device_id] = {} if device is None else device.doc
        offices = {}
        for name in ("departure_office", "destination_office"):
            office_id = stored.doc.get(name)
            office = None if office_id is None else reference.read(connection, "office", office_id)
            if office is not None:
                offices[str(office_id)] = str(office.doc.get("name") or office_id)
        steps = fold(MOVEMENT, book.events(connection, "movement", mrn))
        return _File(stored.doc, offices, steps, seal_events, kinds, bindings, devices)

    def _alerts(self, mrn: str) -> tuple[AlertFacts, ...]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page, cursor = self._folder.alerts.page({"mrn": mrn, "superseded": False}, cursor, _ALERTS)
            found += page
            if cursor is None:
                break
        facts = [
            AlertFacts(
                a["id"],
                a["code"],
                a["severity"],
                a["state"],
                a["triage"],
                a["device_id"],
                a["equipment_id"],
                a["began_us"],
                a["ended_us"],
                a["cause"],
            )
            for a in found
        ]
        return tuple(sorted(facts, key=lambda a: (a.began_us, a.id)))

    def _observed(self, binding: Binding, departed: int, end: int, offset: int) -> Rows | None:
        """What a binding's device reported between departure and arrival, both included; None if it ended before."""
        first, last = max(binding.from_us, departed), end + 1
        if binding.to_us is not None:
            last = min(last, binding.to_us)
        if last <= first:
            return None
        found = self._folder.history.find([(binding.device_id, first, last)], columns=COLUMNS)
        undetected = int((found.offsets > offset).sum())
        return Rows(binding, found.batch.take(on_journeys(found.batch)), undetected)

    # measuring

    def _period_s(self, file: _File, device_ids: Sequence[str]) -> float:
        """The reporting period: the movement's, or the shortest of the devices', or the one of the settings; as for ``silence``."""
        declared = file.declared.get("report_interval_s")
        if declared:
            return float(declared)
        own = [d for i in device_ids if (d := file.devices[i].get("report_interval_s"))]
        return float(min(own)) if own else self._settings.clean_period_s

    def _watched(
        self, file: _File, rows: list[Rows], seals: list[SealFacts], departed: int | None, end: int
    ) -> tuple[Watched, ...]:
        """By equipment. Judged is what an e-seal is on; without any, what was watched best."""
        if departed is None:
            return ()
        found = []
        for equipment in sorted({r.binding.equipment_id for r in rows}):
            of = [r for r in rows if r.binding.equipment_id == equipment]
            device_ids = tuple(dict.fromkeys(r.binding.device_id for r in of))
            times = np.sort(np.concatenate([r.times for r in of]))
            period = self._period_s(file, device_ids)
            longest, bare, covered = gaps(times, departed, end, period)
            found.append(
                Watched(equipment, device_ids, len(times), period, covered, longest, distance_m(of), bare)
            )
        sealed = {s.equipment_id for s in seals if s.electronic}
        if not any(w.equipment_id in sealed for w in found) and found:
            sealed = {max(found, key=lambda w: (w.coverage, w.observations)).equipment_id}
        return tuple(replace(w, judged=w.equipment_id in sealed) for w in found)

    def _seals(
        self, file: _File, rows: list[Rows], departed: int | None, end: int, verified: Event | None
    ) -> list[SealFacts]:
        """The seals that were on between departure and arrival, by id."""
        if departed is None:
            return []
        spans = _spans(file.seal_events)
        for binding in file.bindings:
            reports = [r.batch for r in rows if r.binding.device_id == binding.device_id]
            if file.kinds.get(binding.device_id) == E_SEAL or reports_as_seal(
                file.devices[binding.device_id], reports
            ):
                spans.setdefault(binding.device_id, []).append(
                    (binding.equipment_id, binding.from_us, binding.to_us)
                )
        results = {}
        if verified is not None:
            results = {
                str(s.get("id")): s.get("result")
                for s in verified.details.get("seals") or ()
                if isinstance(s, dict)
            }
        found = []
        for seal_id, all_spans in sorted(spans.items()):
            on = [s for s in all_spans if s[1] <= end and (s[2] is None or s[2] > departed)]
            if not on:
                continue
            electronic = file.kinds.get(seal_id) == E_SEAL or seal_id in file.devices
            closed, opened = None, None
            if electronic:
                of = [r for r in rows if r.binding.device_id == seal_id]
                closed, opened = self._closed(file, of, departed, end)
            off = min((s[2] for s in on if s[2] is not None and s[2] < end), default=None)
            overall = None if verified is None else str(verified.details["result"])
            seal_result = results.get(seal_id, overall)
            if not electronic:
                closed = None if seal_result is None else seal_result == "intact"
            found.append(
                SealFacts(
                    seal_id,
                    electronic,
                    on[-1][0],
                    closed,
                    opened,
                    off,
                    _alarm([e for e in file.seal_events if e.subject == seal_id]),
                    None if seal_result is None else str(seal_result),
                )
            )
        return found

    def _closed(
        self, file: _File, rows: list[Rows], departed: int, end: int
    ) -> tuple[bool | None, tuple[str, int] | None]:
        """Whether a seal was closed all the way, and what it first said otherwise."""
        times, opened = closed_times(rows)
        if opened is not None:
            return False, opened
        if not len(times):
            return None, None
        period = self._period_s(file, [r.binding.device_id for r in rows])
        longest = gaps(times, departed, end, period)[0]
        return (True if longest.seconds <= longest_allowed_s(period, self._settings) else None), None


def _spans(events: list[Event]) -> dict[str, list[tuple[str, int, int | None]]]:
    """When each seal of the seal machine was on which equipment of the movement."""
    found: dict[str, list[tuple[str, int, int | None]]] = {}
    for event in events:
        spans = found.setdefault(event.subject, [])
        if event.event == "assign":
            spans.append((str(event.details.get("equipment_id") or "?"), event.at_us, None))
        elif event.event in {"disarm", "unassign", "lose", "steal"} and spans and spans[-1][2] is None:
            spans[-1] = (spans[-1][0], spans[-1][1], event.at_us)
    return {seal: spans for seal, spans in found.items() if spans}


def _alarm(events: list[Event]) -> tuple[str, int] | None:
    """Why people put a seal in alarm, or lost it, if nobody took that back. What detectors said is said by the alerts."""
    found = None
    for event in events:
        if event.event in {"lose", "steal"} or (event.event == "alarm" and event.by != "detectors"):
            found = (event.reason or event.event, event.at_us)
        elif event.event == "clear":
            found = None
    return found


def _outside(alert: AlertFacts, departed: int | None, arrived: int | None) -> bool:
    if departed is not None and alert.ended_us is not None and alert.ended_us < departed:
        return True
    return arrived is not None and alert.began_us > arrived


def _departed(file: _File) -> int | None:
    told = next((s.event.at_us for s in file.steps if s.event.event == "depart"), None)
    return told if told is not None else _us(file.declared.get("departed_at"))


def _arrived(file: _File) -> int | None:
    told = [s.event.at_us for s in file.steps if s.event.event == "arrive"]
    return told[-1] if told else _us(file.declared.get("arrived_at"))


def _verified(steps: list[Step]) -> Event | None:
    told = [s.event for s in steps if s.event.event == "verify-seals" and s.event.details.get("result")]
    return told[-1] if told else None


def _incidents(steps: list[Step]) -> tuple[IncidentFacts, ...]:
    found: list[IncidentFacts] = []
    for i, step in enumerate(steps):
        event = step.event
        if event.event != "report-incident":
            continue
        left = next((s for s in steps[i + 1 :] if s.from_state == "incident" != s.to_state), None)
        found.append(
            IncidentFacts(
                event.seq,
                str(event.details.get("kind", "other")),
                event.at_us,
                event.by,
                left is not None and left.event.event == "resolve-incident",
                event.office,
                event.reason or event.details.get("text"),
            )
        )
    return tuple(found)


def _us(text: Any) -> int | None:
    return parse_rfc3339(text) if isinstance(text, str) else None
