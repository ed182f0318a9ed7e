"""Passes at a gate: which codes let a truck through, why none does, and their one use.

A pass is a code of the register (``container-pass`` on the way in, ``exit`` on the way out). The gate reads plate and container
instead of the paper, and uses the code up in the same transaction as its decision, as a scan that everybody can see: once used at
a gate or by a scanner, it is used. The steps of its declaration that have codes must be done before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from cocket.core.clock import rfc3339
from cocket.core.errors import Fault
from cocket.customs.codes.claims import CHAIN
from cocket.customs.codes.desk import state_of
from cocket.customs.codes.scans import ScanDesk
from cocket.customs.gates.joins import Joined
from cocket.store.codes import Row
from cocket.store.gates import GateStore

IN, OUT = "container-pass", "exit"


@dataclass(slots=True)
class Passes:
    """``seen``: every pass that was joined; ``chosen``: those that let it through; ``faults``: why others do not."""

    seen: list[Row] = field(default_factory=list)
    chosen: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def find(
    store: GateStore,
    connection: sa.Connection,
    joined: Joined,
    purpose: str,
    gate: str,
    at_us: int,
    *,
    needed: bool,
) -> Passes:
    """The passes of what stands at the barrier, as this transaction sees them: one for each container that was read, or, where
    none was, one for each declaration. ``needed``: also where no pass of the declaration was ever issued.
    """
    ids = [i for spellings in joined.containers.values() for i in spellings]
    issued = store.codes_for(connection, (purpose,), joined.mrns, ids)
    found = Passes([c for c in issued if not ids or c["equipment_id"] in {None, *ids}])
    chosen: dict[int, Row] = {}
    for what, mrns, spellings in _units(joined):
        mine = [
            c
            for c in found.seen
            if (c["mrn"] in mrns and (not spellings or c["equipment_id"] is None))
            or c["equipment_id"] in spellings
        ]
        good = [c for c in mine if not _faults(store, connection, c, gate, at_us)]
        named = {c["equipment_id"] for c in good} - {None}
        if len(named) > 1:
            detail = f"no container was read, and {what} has passes for {', '.join(sorted(named))}"
            found.faults.append(Fault("/container_ids", "container-unread", detail))
        elif good:
            best = min(good, key=lambda c: (c["equipment_id"] is None, c["id"]))
            chosen[best["id"]] = best
        elif mine:
            found.faults += _faults(store, connection, mine[-1], gate, at_us)
        elif needed or any(c["mrn"] in mrns for c in issued):
            found.faults.append(Fault("/passes", "no-pass", f"no {purpose} was issued for {what}"))
    found.chosen = list(chosen.values())
    return found


def _units(joined: Joined) -> list[tuple[str, set[str], tuple[str, ...]]]:
    """(words, declarations, spellings of the container) of everything that wants a pass of its own."""
    if joined.containers:
        return [(c, joined.by_container[c], spellings) for c, spellings in joined.containers.items()]
    if joined.by_plate:
        return [(m, {m}, ()) for m in sorted(joined.by_plate)]
    return [(joined.plate_key or "what stands here", set(), ())]


def _faults(store: GateStore, connection: sa.Connection, code: Row, gate: str, at_us: int) -> list[Fault]:
    """Why one pass does not let it through."""
    path, name = "/passes", f"pass {code['id']}"
    if code["use_id"] is not None:
        where = f" at gate {code['used_gate']}" if code["used_gate"] else ""
        detail = f"{name} was used at {rfc3339(code['used_us'])}{where} by {code['used_by']}"
        return [Fault(path, "pass-used", detail)]
    faults = []
    if code["void_us"] is not None:
        faults.append(
            Fault(
                path,
                "pass-void",
                f"{name} has been void since {rfc3339(code['void_us'])}: {code['void_reason']}",
            )
        )
    if at_us < code["valid_from_us"]:
        faults.append(
            Fault(path, "pass-not-yet-valid", f"{name} is valid from {rfc3339(code['valid_from_us'])}")
        )
    if at_us >= code["valid_to_us"]:
        faults.append(Fault(path, "pass-expired", f"{name} was valid until {rfc3339(code['valid_to_us'])}"))
    if code["gate"] not in {None, gate}:
        faults.append(Fault(path, "wrong-gate", f"{name} is for gate {code['gate']}; this is gate {gate}"))
    earlier = store.codes_for(connection, CHAIN[: CHAIN.index(code["purpose"])], [code["mrn"]], ())
    waiting = [
        c
        for c in earlier
        if c["use_id"] is None
        and c["void_us"] is None
        and (code["equipment_id"] is None or c["equipment_id"] in {None, code["equipment_id"]})
    ]
    if waiting:
        step = min(waiting, key=lambda c: CHAIN.index(c["purpose"]))
        detail = f"{code['purpose']} comes after {step['purpose']}, and code {step['id']} for it was not scanned yet"
        faults.append(Fault(path, "out-of-order", detail))
    return faults


def use(
    scans: ScanDesk,
    connection: sa.Connection,
    passes: Sequence[Row],
    *,
    gate: str,
    office: str | None,
    by: str,
    at_us: int,
    now_us: int,
) -> list[dict[str, Any]]:
    """Use passes up, each as an accepted scan with what follows from it; gives the effects. What is refused is raised."""
    effects: list[dict[str, Any]] = []
    for code in passes:
        mrn = code["mrn"]
        scan_id = scans.store.add_scan(
            connection,
            {
                "text": code["text"],
                "code_id": code["id"],
                "purpose": code["purpose"],
                "mrn": mrn,
                "equipment_id": code["equipment_id"],
                "gate": gate,
                "office": office,
                "by": by,
                "at_us": at_us,
                "recorded_us": now_us,
                "lat_deg": None,
                "lon_deg": None,
                "outcome": "accepted",
                "reasons": [],
                "effects": [],
            },
        )
        scans.store.use(connection, code["id"], scan_id)
        done = scans.acquitting.passed(
            connection, code["purpose"], mrn, code["equipment_id"], scan_id, at_us, by, office, gate
        )
        scans.store.conclude(connection, scan_id, effects=done, state=scans.acquitting.state(connection, mrn))
        effects += done
    return effects


def shown(passes: Passes, now_us: int, *, used: bool) -> list[dict[str, Any]]:
    """Passes as an arrival's answer has them; ``used``: those that were chosen were used up just now."""
    chosen = {c["id"] for c in passes.chosen} if used else set()
    return [
        {
            "code_id": c["id"],
            "state": "used" if c["id"] in chosen else state_of(c, now_us),
            "equipment_id": c["equipment_id"],
            "mrn": c["mrn"],
        }
        for c in passes.seen
    ]
