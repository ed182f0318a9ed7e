"""The scan desk: a code is read somewhere, and either does its one thing or is refused in words. Both are kept.

Once-only is exact: everything that is asked of a code, its use (one row whose key is the code) and what follows from it
are one transaction, and of two gates the second to write sees the first.

The steps of a declaration (manifest, declaration, payment, container-pass, release, exit) come in that order, and all
six are wanted as soon as one of them has a code: a step is accepted when the one before it has a code that is not void
and all such codes are used. Codes without equipment speak for the whole declaration; one for a container waits for
those of its own container and those of the whole. Order is the order of recording, not of ``at``.

Whether the time was right is judged by ``at``, when it was read: a scanner may have been out of coverage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import sqlalchemy as sa

from cocket.core.clock import US, Clock, rfc3339
from cocket.core.errors import Conflict, Fault, NotFound, Refused
from cocket.customs.codes.claims import CHAIN
from cocket.customs.codes.desk import CodeDesk, first_use
from cocket.store.codes import CodeStore, Row

_AHEAD_US: Final = 300 * US
"""Scanners' clocks may be so far ahead of ours."""

MOST_CHARACTERS: Final = 2048
"""Of a scanned text; no code has so many."""


class Acquitting(Protocol):
    """What scans do to movements and guarantees. Methods with a connection are part of the scan's transaction.

    ``acquit`` and ``passed`` may raise ``Refused`` or ``Conflict``: then nothing of what they wrote stays, the code is not
    used, and the scan is kept as refused for these reasons.
    """

    def refusals(self, mrn: str, at_us: int) -> list[Fault]:
        """Why a movement may not be acquitted now; empty if it may. Asked before the transaction: it may take its time."""
        ...

    def acquit(
        self, connection: sa.Connection, mrn: str, scan_id: int, at_us: int, by: str, office: str | None
    ) -> list[dict[str, Any]]:
        """Acquit a movement (scan of a ``transit`` code); gives the effects as documents' answers have them."""
        ...

    def passed(
        self,
        connection: sa.Connection,
        purpose: str,
        mrn: str,
        equipment_id: str | None,
        scan_id: int,
        at_us: int,
        by: str,
        office: str | None,
        gate: str | None,
    ) -> list[dict[str, Any]]:
        """A step of a declaration was accepted, of ``CHAIN``; gives the effects."""
        ...

    def state(self, connection: sa.Connection, mrn: str) -> str | None:
        """The state of a movement as this transaction sees it; None if there is none."""
        ...


class NoFile:
    """Stands in where no customs file is at hand: steps are noted, and nothing is acquitted."""

    def refusals(self, mrn: str, at_us: int) -> list[Fault]:  # noqa: ARG002 - the protocol's
        """One, always."""
        return [Fault("/code", "no-movement", f"there is no customs file here that could acquit {mrn}")]

    def acquit(self, *_: Any) -> list[dict[str, Any]]:
        """Never asked."""
        raise Refused("there is no customs file here that could acquit a movement")

    def passed(self, *_: Any) -> list[dict[str, Any]]:
        """Nothing follows."""
        return []

    def state(self, *_: Any) -> str | None:
        """None is known."""
        return None


@dataclass(frozen=True, slots=True)
class Read:
    """One reading of a code. ``at_us`` None: now. ``place``: latitude and longitude in degrees, if known."""

    text: str
    by: str
    gate: str | None = None
    office: str | None = None
    at_us: int | None = None
    place: tuple[float, float] | None = None


@dataclass(slots=True)
class _Outcome:
    faults: list[Fault]
    effects: list[dict[str, Any]] = field(default_factory=list)


class ScanDesk:
    """Takes scans; any thread may call. ``acquitting`` is what they do beyond the codes."""

    def __init__(
        self, store: CodeStore, desk: CodeDesk, clock: Clock, acquitting: Acquitting | None = None
    ) -> None:
        self.store = store
        self.acquitting: Acquitting = acquitting or NoFile()
        self._desk = desk
        self._clock = clock

    def scan(self, read: Read) -> dict[str, Any]:
        """Take one scan; it is on the disk, with what came of it, when this returns. ``Refused`` only for a time ahead of
        ours, ``Malformed`` never: an odd text is a refused scan.
        """
        now = self._clock.now_us()
        at = now if read.at_us is None else read.at_us
        if at > now + _AHEAD_US:
            detail = f"/at: {rfc3339(at)} is more than 5 minutes ahead of our clock, {rfc3339(now)}"
            raise Refused(detail, [Fault("/at", "ahead", detail)])
        found = self._desk.find(read.text, at)
        before = self._before(found.code, at)
        with self.store.writing() as connection:
            code = None if found.code is None else self.store.code(connection, found.code["id"])
            scan_id = self.store.add_scan(connection, _row(read, code, at, now))
            if code is None:
                outcome = _Outcome([] if found.fault is None else [found.fault])
            else:
                outcome = _Outcome(self._faults(connection, code, read, at) + before)
                if not outcome.faults:
                    self._act(connection, code, scan_id, read, at, outcome)
            self.store.conclude(
                connection,
                scan_id,
                outcome="refused" if outcome.faults else "accepted",
                reasons=[{"rule": f.rule, "detail": f.detail} for f in outcome.faults],
                effects=outcome.effects,
                state=None if code is None else self.acquitting.state(connection, code["mrn"]),
            )
            return shown(self.store.scan(connection, scan_id))

    def accepted(self, purpose: str, mrn: str) -> bool:
        """Whether a code of this purpose was accepted for a movement."""
        with self.store.reading() as connection:
            return any(c["use_id"] is not None for c in self.store.of(connection, mrn, purpose))

    def page(
        self,
        limit: int,
        before: int | None,
        *,
        mrn: str | None = None,
        code_id: int | None = None,
        gate: str | None = None,
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Scans as they are shown, newest first."""
        rows, following = self.store.scans(limit, before, mrn=mrn, code_id=code_id, gate=gate)
        return [shown(row) for row in rows], following

    def _before(self, code: Row | None, at: int) -> list[Fault]:
        """What the customs file has against it, where that is asked: not of a code that is used up anyway."""
        if code is None or code["purpose"] in CHAIN or code["use_id"] is not None:
            return []
        return list(self.acquitting.refusals(code["mrn"], at))

    def _faults(self, connection: sa.Connection, code: Row, read: Read, at: int) -> list[Fault]:
        """Every reason of the register against this scan."""
        if code["use_id"] is not None:
            where = f" at gate {code['used_gate']}" if code["used_gate"] else ""
            detail = f"it was used at {rfc3339(code['used_us'])}{where} by {code['used_by']}"
            return [Fault("/code", "already-used", detail)]
        faults = []
        if code["void_us"] is not None:
            detail = f"it has been void since {rfc3339(code['void_us'])}: {code['void_reason']}"
            faults.append(Fault("/code", "void", detail))
        if at < code["valid_from_us"]:
            faults.append(
                Fault("/code", "not-yet-valid", f"it is valid from {rfc3339(code['valid_from_us'])}")
            )
        if at >= code["valid_to_us"]:
            faults.append(Fault("/code", "expired", f"it was valid until {rfc3339(code['valid_to_us'])}"))
        if code["gate"] is not None and read.gate != code["gate"]:
            said = "no gate was named" if read.gate is None else f"this is gate {read.gate}"
            faults.append(Fault("/gate", "wrong-gate", f"it is for gate {code['gate']}; {said}"))
        return faults + self._order(connection, code)

    def _order(self, connection: sa.Connection, code: Row) -> list[Fault]:
        if code["purpose"] not in CHAIN[1:]:
            return []
        previous = CHAIN[CHAIN.index(code["purpose"]) - 1]
        equipment = code["equipment_id"]
        earlier = [
            c
            for c in self.store.of(connection, code["mrn"], previous)
            if equipment is None or c["equipment_id"] in {None, equipment}
        ]
        waiting = [c for c in earlier if c["use_id"] is None]
        if earlier and not waiting:
            return []
        why = (
            f"code {waiting[0]['id']} for it was not scanned yet" if waiting else "no code was issued for it"
        )
        detail = f"{code['purpose']} comes after {previous}, which is not done: {why}"
        return [Fault("/code", "out-of-order", detail)]

    def _act(
        self, connection: sa.Connection, code: Row, scan_id: int, read: Read, at: int, outcome: _Outcome
    ) -> None:
        """Use the code up and do what follows; if that is refused, neither happened."""
        mrn, by, office = code["mrn"], read.by, read.office
        try:
            with connection.begin_nested():
                self.store.use(connection, code["id"], scan_id)
                if code["purpose"] in CHAIN:
                    outcome.effects = self.acquitting.passed(
                        connection,
                        code["purpose"],
                        mrn,
                        code["equipment_id"],
                        scan_id,
                        at,
                        by,
                        office,
                        read.gate,
                    )
                else:
                    outcome.effects = self.acquitting.acquit(connection, mrn, scan_id, at, by, office)
        except (Refused, Conflict, NotFound) as error:
            outcome.faults = error.faults or [Fault("/code", "refused", error.detail)]


def _row(read: Read, code: Row | None, at: int, now: int) -> dict[str, Any]:
    lat, lon = read.place or (None, None)
    return {
        "text": read.text,
        "code_id": None if code is None else code["id"],
        "purpose": None if code is None else code["purpose"],
        "mrn": None if code is None else code["mrn"],
        "equipment_id": None if code is None else code["equipment_id"],
        "gate": read.gate,
        "office": read.office,
        "by": read.by,
        "at_us": at,
        "recorded_us": now,
        "lat_deg": lat,
        "lon_deg": lon,
        "outcome": "refused",
        "reasons": [],
        "effects": [],
    }


def shown(row: Row) -> dict[str, Any]:
    """A scan as the contract has it; ``first_use`` is that of its code, by this scan or another."""
    return {
        "id": row["id"],
        "outcome": row["outcome"],
        "purpose": row["purpose"],
        "mrn": row["mrn"],
        "equipment_id": row["equipment_id"],
        "code_id": row["code_id"],
        "at": rfc3339(row["at_us"]),
        "recorded_at": rfc3339(row["recorded_us"]),
        "gate": row["gate"],
        "office": row["office"],
        "by": row["by"],
        "lat_deg": row["lat_deg"],
        "lon_deg": row["lon_deg"],
        "reasons": row["reasons"],
        "first_use": first_use(row),
        "effects": row["effects"],
        "state": row["state"],
    }
