"""The customs file: its desks over one data folder, wired together. What the doors talk to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cocket.core.clock import Clock
from cocket.core.config import Customs
from cocket.customs.intake import DocumentDesk
from cocket.customs.transit.desk import TransitDesk
from cocket.customs.transit.effects import Effects
from cocket.customs.transit.guarantees import GuaranteeDesk
from cocket.customs.transit.messages import MessageDesk
from cocket.customs.transit.seals import SealDesk
from cocket.customs.transit.steps import NO_ARMED_SEAL
from cocket.customs.transit.view import MovementView
from cocket.store.file_events import Event
from cocket.store.folder import Stores
from cocket.store.sight import Sight

_READ: Final = 500


@dataclass(frozen=True, slots=True)
class Fed:
    """Events of the feed, and the number to ask behind next."""

    events: list[Event]
    next: int


class CustomsFile:
    """Documents, movements, seals, guarantees; any thread may call any of them."""

    def __init__(self, folder: Stores, clock: Clock, settings: Customs) -> None:
        self.book = folder.book
        self.seals = SealDesk(folder.book, folder.reference, clock)
        self.guarantees = GuaranteeDesk(folder.guarantees, folder.book, clock)
        self.transit = TransitDesk(
            folder.book, folder.reference, self.seals, self.guarantees, clock, settings
        )
        effects = Effects(self.transit, folder.documents, clock)
        self.documents = DocumentDesk(folder.documents, folder.book, effects, clock, settings)
        self.messages = MessageDesk(self.transit, clock)
        self.view = MovementView(self.transit, folder.documents, settings)

    def feed(
        self, after: int, limit: int, *, mrn: str | None, country: str | None, sight: Sight | None = None
    ) -> Fed:
        """Events behind a number; of movements on whose route a country lies, if one is named, and that ``sight`` shows."""
        events: list[Event] = []
        routes: dict[str, Any] = {}
        while len(events) < limit:
            found = self.book.after(after, _READ, mrn, sight)
            for event in found:
                after = event.seq
                if country is not None and country not in self._countries(event.mrn, routes):
                    continue
                events.append(event)
                if len(events) == limit:
                    break
            if len(found) < _READ:
                break
        return Fed(events, after)

    def _countries(self, mrn: str | None, known: dict[str, Any]) -> Any:
        if mrn is None:
            return ()
        if mrn not in known:
            stored = self.transit.reference.get("movement", mrn)
            known[mrn] = () if stored is None else stored.doc.get("countries") or ()
        return known[mrn]

    def kpis(self) -> dict[str, Any]:
        """What an administration asks itself: how many sensitive transits left under an armed seal, and how transits end."""
        totals = self.book.departures()
        covered = totals.armed + totals.waived
        states = self.book.counts("movement")
        return {
            "departures": totals.departures,
            "sensitive_departures": totals.sensitive,
            "armed": totals.armed,
            "waived": totals.waived,
            "without_seal": totals.sensitive - covered,
            "refused_without_seal": self.book.refusals(NO_ARMED_SEAL),
            "coverage": round(totals.armed / totals.sensitive, 4) if totals.sensitive else None,
            "discharged": states.get("discharged", 0),
            "discharged_automatically": totals.automatic,
            "overdue": states.get("overdue", 0),
            "enquiries": sum(states.get(s, 0) for s in ("enquiry", "alternative-proof")),
            "debts": sum(states.get(s, 0) for s in ("debt", "recovery")),
            "mean_discharge_s": totals.mean_discharge_s,
        }
