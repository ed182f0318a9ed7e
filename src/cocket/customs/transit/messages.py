"""Messages out: what the file knows of a movement as NCTS messages to other systems. The writing itself is ``formats.ncts_out``.

An arrival notification (CC007C) follows from the event ``arrive``, unloading remarks (CC044C) from ``verify-seals``, ``unload`` and
``report-discrepancies``, a forwarded incident (CC182C) from ``report-incident``. ``Conflict`` where that has not happened yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cocket.core.clock import Clock, rfc3339
from cocket.core.errors import Conflict, Fault, Refused
from cocket.customs.formats import ncts_out
from cocket.customs.formats.ncts_out_model import (
    Arrival,
    Discrepancies,
    ForwardedIncident,
    FoundEquipment,
    FoundSeal,
    GoodsLocation,
    Header,
    Incident,
    IncidentEquipment,
    Transhipment,
    UnloadingRemarks,
)
from cocket.customs.transit.desk import TransitDesk
from cocket.store.file_events import Event

KINDS: Final = ("cc007c", "cc044c", "cc182c")
_CODES: Final = {
    "deviation": "1",
    "seal-broken": "2",
    "reseal": "2",
    "tranship": "3",
    "danger": "4",
    "accident": "5",
}
_ROAD: Final = "30"
"""EU code list CL750: registration number of a road vehicle."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends it, to whom, and what the file may not know: the trader at destination and the office."""

    sender: str
    recipient: str
    trader: str | None = None
    office: str | None = None


class MessageDesk:
    """Writes messages; any thread may call."""

    def __init__(self, desk: TransitDesk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock

    def write(self, mrn: str, kind: str, envelope: Envelope) -> bytes:
        """A message as XML bytes, valid against its schema; ``Conflict`` if what it tells has not happened."""
        stored = self._desk.reference.get("movement", mrn)
        events = self._desk.book.of_movement(mrn, "movement")
        doc = {} if stored is None else stored.doc
        if kind == "cc007c":
            return ncts_out.cc007c(self._arrival(mrn, doc, events, envelope))
        if kind == "cc044c":
            return ncts_out.cc044c(self._unloading(mrn, doc, events, envelope))
        return ncts_out.cc182c(self._incident(mrn, doc, events, envelope))

    def _arrival(
        self, mrn: str, doc: Mapping[str, Any], events: Sequence[Event], envelope: Envelope
    ) -> Arrival:
        arrive = _last(mrn, events, "arrive")
        office = _office(envelope.office or arrive.office or doc.get("destination_office"))
        return Arrival(
            header=self._header(envelope, arrive),
            mrn=mrn,
            arrived_us=arrive.at_us,
            office=office,
            trader_id=_trader(envelope),
            location=GoodsLocation(kind="A", office=office),
        )

    def _unloading(
        self, mrn: str, doc: Mapping[str, Any], events: Sequence[Event], envelope: Envelope
    ) -> UnloadingRemarks:
        unload = _last(mrn, events, "unload")
        verify = next((e for e in reversed(events) if e.event == "verify-seals"), None)
        differs = next((e for e in reversed(events) if e.event == "report-discrepancies"), None)
        result = None if verify is None else verify.details.get("result")
        found = None
        if verify is not None and result != "intact":
            found = self._found(mrn, verify)
        return UnloadingRemarks(
            header=self._header(envelope, differs or unload),
            mrn=mrn,
            office=_office(envelope.office or unload.office or doc.get("destination_office")),
            trader_id=_trader(envelope),
            conform=differs is None and found is None,
            completed=True,
            unloaded_on=rfc3339(unload.at_us)[:10],
            seals_ok=None if result is None else result == "intact",
            remark=(differs.reason if differs is not None else unload.reason) or None,
            discrepancies=found,
        )

    def _found(self, mrn: str, verify: Event) -> Discrepancies | None:
        """The seals that were there, by the equipment that they are on."""
        missing = {s.get("id") for s in verify.details.get("seals") or () if s.get("result") == "missing"}
        fitted: dict[str, list[str]] = {}
        for event in self._desk.book.of_movement(mrn, "seal"):
            if event.event == "assign" and event.subject not in missing:
                fitted.setdefault(str(event.details.get("equipment_id")), []).append(event.subject)
        equipment = [
            FoundEquipment(
                number=i,
                container_id=container,
                seals=[FoundSeal(number=n, id=seal) for n, seal in enumerate(seals, 1)],
            )
            for i, (container, seals) in enumerate(fitted.items(), 1)
        ]
        return Discrepancies(equipment=equipment) if equipment else None

    def _incident(
        self, mrn: str, doc: Mapping[str, Any], events: Sequence[Event], envelope: Envelope
    ) -> ForwardedIncident:
        last = _last(mrn, events, "report-incident")
        incidents: list[Incident] = []
        for i, event in enumerate(events):
            if event.event == "report-incident":
                until = next(
                    (
                        n
                        for n, e in enumerate(events)
                        if n > i and e.event in {"resolve-incident", "report-incident"}
                    ),
                    len(events),
                )
                incidents.append(
                    _told(event, events[i + 1 : until], f"/CC182C/Consignment/Incident[{len(incidents) + 1}]")
                )
        return ForwardedIncident(
            header=self._header(envelope, last),
            mrn=mrn,
            notified_us=last.recorded_us,
            departure_office=_office(doc.get("departure_office")),
            registration_office=_office(envelope.office or last.office or doc.get("departure_office")),
            incidents=incidents,
        )

    def _header(self, envelope: Envelope, event: Event) -> Header:
        return Header(
            sender=envelope.sender,
            recipient=envelope.recipient,
            prepared_us=self._clock.now_us(),
            message_id=f"COCKET-{event.seq:012d}",
        )


def _told(event: Event, after: Sequence[Event], path: str) -> Incident:
    details = event.details
    country = details.get("country") or (event.office or "")[:2]
    if not country:
        raise _lacks(
            f"{path}/Location/country",
            "the incident's country is not known: record it with country or office",
        )
    resealed = [s for e in after if e.event == "reseal" for s in e.details.get("seals", ())]
    equipment: dict[str, list[str]] = {}
    for seal in resealed:
        equipment.setdefault(seal["equipment_id"], []).append(seal["id"])
    moved = next((e for e in after if e.event == "tranship"), None)
    lat, lon = details.get("lat_deg"), details.get("lon_deg")
    if lat is None and not details.get("unlocode"):
        raise _lacks(
            f"{path}/Location",
            "the incident's place is not known: record it with lat_deg and lon_deg, or unlocode",
        )
    return Incident(
        code=str(details.get("code") or _CODES.get(str(details.get("kind")), "6")),
        text=event.reason or str(details.get("text") or details.get("kind") or "incident"),
        country=country,
        lat_deg=lat,
        lon_deg=lon,
        unlocode=None if lat is not None else details.get("unlocode"),
        equipment=[IncidentEquipment(container_id=c, seals=s) for c, s in equipment.items()],
        transhipment=None
        if moved is None
        else Transhipment(
            containerised=bool(moved.details.get("containerised", equipment)),
            kind=str(moved.details.get("means_kind") or _ROAD),
            id=str(moved.details.get("means_id") or ""),
            nationality=str(moved.details.get("nationality") or country),
        ),
    )


def _last(mrn: str, events: Sequence[Event], name: str) -> Event:
    for event in reversed(events):
        if event.event == name:
            return event
    detail = f"movement {mrn} has no event {name!r} that this message could tell of"
    raise Conflict(detail, [Fault("/kind", "not-happened", detail)])


def _office(office: str | None) -> str:
    if office is None:
        raise _lacks("/office", "the office is not known: give it as office")
    return office


def _trader(envelope: Envelope) -> str:
    if envelope.trader is None:
        raise _lacks("/trader", "the trader at destination is not known here: give its EORI or TIN as trader")
    return envelope.trader


def _lacks(path: str, detail: str) -> Refused:
    return Refused(f"{path}: {detail}", [Fault(path, "required", detail)])
