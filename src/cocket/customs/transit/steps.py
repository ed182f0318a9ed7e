"""What each event of a movement needs, and what it does to seals, guarantees and the declaration.

Every step is part of the transaction that records its event: it raises ``Conflict`` or ``Refused`` where the event has no ground, and
gives what the event's details say of it beyond what was told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.clock import Clock, parse_rfc3339, rfc3339
from cocket.core.config import Customs
from cocket.core.errors import Conflict, Fault, Refused
from cocket.core.principal import same_person
from cocket.customs.transit.guarantees import GuaranteeDesk
from cocket.customs.transit.seals import E_SEAL, Fitted, SealDesk
from cocket.store.file_events import CLEAN_TRIP, FileBook
from cocket.store.reference import Reference, Stored

NO_ARMED_SEAL: Final = "no-armed-seal"
_RESULTS: Final = ("intact", "broken", "missing")


def _nothing_known(_mrn: str, _at_us: int) -> list[Fault]:
    detail = "no report can be made of this trip"
    return [Fault("/clean-trip", "no-report", detail)]


@dataclass
class Checks:
    """What is asked of the rest of the house. ``self_test``: faults of e-seals before arming; ``clean_trip``: why a trip is not clean."""

    self_test: Callable[[Sequence[str], str, int], list[Fault]] = lambda _seals, _mrn, _at: []
    clean_trip: Callable[[str, int], list[Fault]] = _nothing_known


@dataclass(frozen=True, slots=True)
class Wanted:
    """An event that somebody wants recorded.

    ``implied``: it follows from what another system told, and is not checked again. ``proved``: its ground was looked at just now.
    """

    event: str
    at_us: int
    by: str
    office: str | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    document_id: str | None = None
    implied: bool = False
    proved: bool = False


class Steps:
    """The steps of the movement's machine that do more than to change its state; ``checks`` may be set anew."""

    def __init__(
        self,
        book: FileBook,
        reference: Reference,
        seals: SealDesk,
        guarantees: GuaranteeDesk,
        clock: Clock,
        settings: Customs,
    ) -> None:
        self._book = book
        self._reference = reference
        self._seals = seals
        self._guarantees = guarantees
        self._clock = clock
        self._settings = settings
        self.checks = Checks()
        self._effects: dict[str, Callable[[sa.Connection, str, Stored, Wanted], dict[str, Any]]] = {
            "reserve-guarantee": self._reserve,
            "seal": self._seal,
            "reseal": self._reseal,
            "arm": self._arm,
            "disarm": self._take_off,
            "waive-seal": self._explain,
            "refuse-release": self._free,
            "cancel": self._free,
            "depart": self._depart,
            "report-incident": self._incident,
            "hand-over": self._hand_over,
            "arrive": self._arrive,
            "verify-seals": self._verify,
            "unseal": self._take_off,
            "examine": self._examine,
            "discharge": self._discharge,
            "accept-proof": self._free,
            "establish-debt": self._explain,
            "recover": self._recover,
            "appeal": self._explain,
            "answer": self._explain,
            "note": self._explain,
        }

    def take(self, connection: sa.Connection, mrn: str, stored: Stored, wanted: Wanted) -> dict[str, Any]:
        """Do what an event does; gives what its details say of it."""
        step = self._effects.get(wanted.event)
        return {} if step is None else step(connection, mrn, stored, wanted)

    def _reserve(
        self, connection: sa.Connection, mrn: str, _stored: Stored, wanted: Wanted
    ) -> dict[str, Any]:
        details = wanted.details
        if details.get("waiver"):
            return {}
        if details.get("grn") is None:
            if wanted.implied:
                return {"elsewhere": True}
            raise refused(
                "/grn", "required", "say on which guarantee (grn) and how much, or that it is waived (waiver)"
            )
        step = self._guarantees.reserve(
            connection, str(details["grn"]), mrn, details, by=wanted.by, at_us=wanted.at_us
        )
        return {"reserved": step.event.details["amount"], "reserved_currency": step.event.details["currency"]}

    def _seal(self, connection: sa.Connection, mrn: str, _stored: Stored, wanted: Wanted) -> dict[str, Any]:
        fitted = _fitted(wanted.details.get("seals"))
        self._seals.assign(
            connection, mrn, fitted, by=wanted.by, at_us=wanted.at_us, document_id=wanted.document_id
        )
        return {}

    def _reseal(self, connection: sa.Connection, mrn: str, stored: Stored, wanted: Wanted) -> dict[str, Any]:
        if not wanted.reason and not wanted.implied:
            raise refused("/reason", "required", "a seal is replaced for a reason; say which")
        replaced = wanted.details.get("replaces")
        taken = self._seals.take_off(
            connection,
            mrn,
            by=wanted.by,
            at_us=wanted.at_us,
            only=None if replaced is None else [str(r) for r in replaced],
            reason=wanted.reason,
        )
        self._seal(connection, mrn, stored, wanted)
        return {"taken_off": taken}

    def _arm(self, connection: sa.Connection, mrn: str, _stored: Stored, wanted: Wanted) -> dict[str, Any]:
        e_seals = [s.subject for s in self._seals.on(connection, mrn) if s.summary.get("kind") == E_SEAL]
        if not e_seals and not wanted.implied:
            raise Conflict(
                f"movement {mrn} has no e-seal that could be armed",
                [Fault("/event", "no-e-seal", "only e-seals are armed; a mechanical seal is not")],
            )
        faults = [] if wanted.implied else self.checks.self_test(e_seals, mrn, wanted.at_us)
        if faults:
            said = "; ".join(f.detail for f in faults)
            raise Conflict(f"movement {mrn} is not armed: {said}", faults)
        return {
            "armed": self._seals.arm(connection, mrn, by=wanted.by, at_us=wanted.at_us),
            "self_test": "passed",
        }

    def _take_off(
        self, connection: sa.Connection, mrn: str, _stored: Stored, wanted: Wanted
    ) -> dict[str, Any]:
        return {"taken_off": self._seals.take_off(connection, mrn, by=wanted.by, at_us=wanted.at_us)}

    def _explain(self, _c: sa.Connection, mrn: str, _stored: Stored, wanted: Wanted) -> dict[str, Any]:
        if not (wanted.reason or "").strip() and not wanted.implied and not wanted.details.get("text"):
            raise refused("/reason", "required", f"{wanted.event} wants a reason in words")
        for i, evidence in enumerate(wanted.details.get("evidence") or ()):
            if not self._book.evidence(mrn, str(evidence)):
                raise refused(
                    f"/evidence/{i}",
                    "unknown-reference",
                    f"{str(evidence)[:64]!r} was not given to this movement; POST it first",
                )
        return {}

    def _free(self, connection: sa.Connection, mrn: str, stored: Stored, wanted: Wanted) -> dict[str, Any]:
        self._explain(connection, mrn, stored, wanted)
        taken = self._seals.take_off(connection, mrn, by=wanted.by, at_us=wanted.at_us, reason=wanted.reason)
        step = self._guarantees.release(
            connection, mrn, by=wanted.by, at_us=wanted.at_us, reason=wanted.reason or wanted.event
        )
        return {"taken_off": taken, "guarantee": "nothing reserved" if step is None else "released"}

    def _depart(self, connection: sa.Connection, mrn: str, stored: Stored, wanted: Wanted) -> dict[str, Any]:
        on = self._seals.on(connection, mrn)
        armed = any(s.state == "armed" for s in on)
        waivers = [e.by for e in self._book.events(connection, "movement", mrn) if e.event == "waive-seal"]
        waived = bool(waivers)
        if self._settings.waiver_persons > 1:
            waived = any(not same_person(one, waivers[0]) for one in waivers)
        sensitive = self.sensitive(stored.doc)
        if sensitive and not armed and not waived and not wanted.implied:
            detail = (
                f"movement {mrn} is sensitive (risk {stored.doc.get('risk')!r}, goods {stored.doc.get('goods')!r}) and has no "
                "armed seal: arm one, or record a waiver (waive-seal) with who answers for it"
                + (", of two persons" if self._settings.waiver_persons > 1 else "")
            )
            raise Conflict(detail, [Fault("/event", NO_ARMED_SEAL, detail)])
        self._set(connection, mrn, stored, wanted, departed_at=rfc3339(wanted.at_us))
        return {"coverage": {"sensitive": sensitive, "armed": armed, "waived": waived and not armed}}

    def sensitive(self, doc: Mapping[str, Any]) -> bool:
        """Whether a movement may leave only with an armed seal."""
        return (
            doc.get("risk") in self._settings.sensitive_risks
            or doc.get("goods") in self._settings.sensitive_goods
        )

    def _incident(
        self, connection: sa.Connection, mrn: str, stored: Stored, wanted: Wanted
    ) -> dict[str, Any]:
        self._explain(connection, mrn, stored, wanted)
        kind = wanted.details.get("kind")
        return {"kind": str(kind) if kind else "other"}

    def _hand_over(self, _c: sa.Connection, _mrn: str, _stored: Stored, wanted: Wanted) -> dict[str, Any]:
        if not wanted.implied and not any(wanted.details.get(k) for k in ("to", "authority", "country")):
            raise refused("/to", "required", "say to which office (to), authority or country custody passes")
        return {}

    def _arrive(self, connection: sa.Connection, mrn: str, stored: Stored, wanted: Wanted) -> dict[str, Any]:
        self._set(connection, mrn, stored, wanted, arrived_at=rfc3339(wanted.at_us))
        limit = stored.doc.get("limit_at")
        return {"late": True} if limit is not None and wanted.at_us > parse_rfc3339(limit) else {}

    def _verify(self, connection: sa.Connection, mrn: str, _stored: Stored, wanted: Wanted) -> dict[str, Any]:
        result = wanted.details.get("result")
        if result is None and wanted.implied:
            return {}
        if result not in _RESULTS:
            raise refused("/result", "required", f"say how the seals were found: {', '.join(_RESULTS)}")
        for i, seal in enumerate(wanted.details.get("seals") or ()):
            found = seal.get("result") if isinstance(seal, dict) else None
            if found not in _RESULTS:
                raise refused(f"/seals/{i}/result", "value", f"one of {', '.join(_RESULTS)}")
            if found != "intact":
                event = "alarm" if found == "broken" else "lose"
                self._seals.found(
                    connection,
                    mrn,
                    str(seal.get("id")),
                    event,
                    by=wanted.by,
                    at_us=wanted.at_us,
                    reason=f"found {found} on arrival",
                )
        return {}

    def _examine(self, _c: sa.Connection, _mrn: str, _stored: Stored, wanted: Wanted) -> dict[str, Any]:
        if wanted.details.get("result") not in {"satisfactory", "discrepancies"} and not wanted.implied:
            raise refused("/result", "required", "say what came of it: satisfactory or discrepancies")
        return {}

    def _discharge(
        self, connection: sa.Connection, mrn: str, stored: Stored, wanted: Wanted
    ) -> dict[str, Any]:
        ground: dict[str, Any] = {"ground": "told by another system"}
        if not wanted.implied:
            ground = self._ground(connection, mrn, wanted)
        return {
            **ground,
            **self._free(connection, mrn, stored, replace(wanted, reason=wanted.reason or "discharged")),
        }

    def _ground(self, connection: sa.Connection, mrn: str, wanted: Wanted) -> dict[str, Any]:
        faults = [] if wanted.proved else self.checks.clean_trip(mrn, wanted.at_us)
        if not faults:
            return {"ground": CLEAN_TRIP}
        examined = None
        for event in self._book.events(connection, "movement", mrn):
            if event.event == "arrive":
                examined = None
            elif event.event == "examine":
                examined = event.details.get("result")
        if examined == "satisfactory" and not wanted.details.get("automatic"):
            return {"ground": "examination", "not_clean": [f.rule for f in faults]}
        said = "; ".join(f.detail for f in faults[:5])
        raise Conflict(
            f"movement {mrn} is not discharged: its trip is not clean ({said}); examine it first (event examine)",
            faults,
        )

    def _recover(
        self, connection: sa.Connection, mrn: str, _stored: Stored, wanted: Wanted
    ) -> dict[str, Any]:
        self._seals.take_off(connection, mrn, by=wanted.by, at_us=wanted.at_us, reason=wanted.reason)
        if wanted.details.get("paid"):
            step = self._guarantees.release(connection, mrn, by=wanted.by, at_us=wanted.at_us, reason="paid")
        else:
            amount = wanted.details.get("amount")
            step = self._guarantees.call(
                connection, mrn, amount, by=wanted.by, at_us=wanted.at_us, reason=wanted.reason
            )
        return {"guarantee": "nothing reserved" if step is None else step.to_state}

    def _set(
        self, connection: sa.Connection, mrn: str, stored: Stored, wanted: Wanted, **values: Any
    ) -> None:
        """Write a date into the declaration, where the detectors read it."""
        doc = {**stored.doc, **values}
        departed, limit = doc.get("departed_at"), doc.get("limit_at")
        if (
            departed is not None
            and "departed_at" in values
            and limit is not None
            and parse_rfc3339(limit) < parse_rfc3339(departed)
        ):
            raise Conflict(
                f"movement {mrn} cannot depart at {departed}: its limit date {limit} lies before",
                [Fault("/at", "order", f"limit_at {limit}")],
            )
        if "arrived_at" in values and departed is not None and wanted.at_us < parse_rfc3339(departed):
            raise Conflict(
                f"movement {mrn} cannot arrive at {values['arrived_at']}: it departed at {departed}",
                [Fault("/at", "order", f"departed_at {departed}")],
            )
        self._reference.write(connection, "movement", [(mrn, doc)], by=wanted.by, at_us=self._clock.now_us())


def _fitted(given: Any) -> list[Fitted]:
    if not isinstance(given, list) or not given:
        raise refused("/seals", "required", 'say which: "seals": [{"id": …, "equipment_id": …}]')
    fitted = []
    for i, seal in enumerate(given):
        if not isinstance(seal, dict) or not isinstance(seal.get("id"), str) or not seal["id"].strip():
            raise refused(f"/seals/{i}/id", "required", "a seal has its id")
        equipment = seal.get("equipment_id")
        if not isinstance(equipment, str) or not equipment.strip():
            raise refused(f"/seals/{i}/equipment_id", "required", "say on which equipment the seal is")
        fitted.append(Fitted(seal["id"].strip(), equipment.strip()))
    if len({f.id for f in fitted}) < len(fitted):
        raise refused("/seals", "twice", "a seal stands twice in the list")
    return fitted


def refused(path: str, rule: str, detail: str) -> Refused:
    """A refusal at one place."""
    return Refused(f"{path}: {detail}", [Fault(path, rule, detail)])
