"""What is joined before the barrier: by plate, by containers, by codes, the declarations, bookings, movements and devices.

A plate joins through documents that name it as a means of transport, transports that were declared with it, and bindings of
devices to it; a container through documents, codes and bindings. If a plate has a transport declaration with movements, these are
what it carries; old papers that name the plate do not count beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.ids import equipment_key, plate_key
from cocket.customs.codes.claims import CHAIN
from cocket.customs.machines.movement import FINAL
from cocket.store.gates import GateStore, Named, ids_of

BOOKINGS: Final = frozenset({"coprar", "codeco", "cuscar", "manifest-csv", "manifest-xlsx"})
"""Kinds of documents by which terminals and carriers expect equipment."""
_NEITHER: Final = frozenset({"baplie", "iftsta"})
_CODES: Final = tuple(p for p in CHAIN if p in {"container-pass", "exit"})


@dataclass(slots=True)
class Joined:
    """What stands at the barrier. ``states``: of the movements among ``mrns``; numbers of other declarations are not in it."""

    plate_key: str
    containers: dict[str, tuple[str, ...]]
    states: dict[str, str] = field(default_factory=dict)
    mrns: list[str] = field(default_factory=list)
    by_plate: set[str] = field(default_factory=set)
    by_container: dict[str, set[str]] = field(default_factory=dict)
    plate_known: bool = False
    containers_known: set[str] = field(default_factory=set)
    declarations: list[Named] = field(default_factory=list)
    bookings: list[dict[str, Any]] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)

    @property
    def open(self) -> list[str]:
        """The movements that are not over."""
        return [m for m, state in self.states.items() if state not in FINAL]

    @property
    def apart(self) -> bool:
        """Whether plate and containers each lead to movements or declarations, and to none in common."""
        theirs = set[str]().union(*self.by_container.values()) if self.by_container else set()
        return bool(self.by_plate) and bool(theirs) and not self.by_plate & theirs


def join(
    store: GateStore,
    connection: sa.Connection,
    plate: str | None,
    containers: Sequence[str],
    at_us: int,
    state_of: Callable[[sa.Connection, str], str | None],
    *,
    devices: bool,
) -> Joined:
    """Join what was read at a moment. Reads only. ``state_of`` gives the state of a movement, None for what is none; ``devices``: look
    for the vehicle's devices too.
    """
    found = Joined(
        plate_key("" if plate is None else plate),
        {c: tuple(dict.fromkeys((c, equipment_key(c)))) for c in containers},
    )
    documents: dict[str, Named] = {}
    transports = _plate(store, connection, found, plate, at_us, documents)
    for container, ids in found.containers.items():
        _container(store, connection, found, container, ids, at_us, documents)
    found.mrns = sorted(found.by_plate.union(*found.by_container.values()))
    for document in store.of_mrns(connection, found.mrns):
        documents.setdefault(document.id, document)
    found.states = {m: state for m in found.mrns if (state := state_of(connection, m)) is not None}
    over = {m for m, state in found.states.items() if state in FINAL}
    found.by_plate -= over
    found.by_container = {c: mrns - over for c, mrns in found.by_container.items()}
    documents = {i: d for i, d in documents.items() if d.mrn not in over}
    found.declarations = [d for d in documents.values() if d.kind not in BOOKINGS | _NEITHER]
    found.bookings = _bookings(store, connection, found, transports, documents)
    if devices:
        carrying = [t for t in transports if not t["mrns"] or not over.issuperset(t["mrns"])]
        carrying += store.transports_by(connection, mrns=found.open) if found.open else []
        bound = [b.device_id for b in store.bound(connection, at_us, mrns=found.open)] if found.open else []
        found.devices = list(dict.fromkeys([*ids_of(carrying, "device_id"), *bound]))
    return found


def _plate(
    store: GateStore,
    connection: sa.Connection,
    found: Joined,
    plate: str | None,
    at_us: int,
    documents: dict[str, Named],
) -> list[dict[str, Any]]:
    """By the plate; gives its transports."""
    if not found.plate_key or plate is None:
        return []
    transports = store.transports_by(connection, plate_key=found.plate_key)
    named = store.naming(connection, "means", [found.plate_key])
    bound = store.bound(connection, at_us, equipment=tuple(dict.fromkeys((plate, found.plate_key))))
    declared = [m for t in transports for m in t["mrns"]]
    found.plate_known = bool(transports or named or bound)
    found.by_plate = set(declared) if declared else {d.mrn for d in named if d.mrn} | {b.mrn for b in bound}
    documents |= {d.id: d for d in named if not declared or d.mrn is None or d.mrn in found.by_plate}
    return transports


def _container(
    store: GateStore,
    connection: sa.Connection,
    found: Joined,
    container: str,
    ids: Sequence[str],
    at_us: int,
    documents: dict[str, Named],
) -> None:
    named = store.naming(connection, "equipment", ids)
    bound = store.bound(connection, at_us, equipment=ids)
    codes = store.codes_for(connection, _CODES, (), ids)
    if named or bound or codes:
        found.containers_known.add(container)
    mrns = {d.mrn for d in named if d.mrn} | {b.mrn for b in bound} | set(ids_of(codes, "mrn"))
    found.by_container[container] = mrns
    documents |= {d.id: d for d in named}


def _bookings(
    store: GateStore,
    connection: sa.Connection,
    found: Joined,
    transports: Iterable[dict[str, Any]],
    documents: dict[str, Named],
) -> list[dict[str, Any]]:
    """Documents of terminals and carriers, and booking numbers that declarations and transports name."""
    numbers = dict.fromkeys(
        [
            *ids_of(transports, "booking"),
            *(i for _, i in store.names_in(connection, "booking", [d.id for d in found.declarations])),
        ]
    )
    by_number = [d for d in store.naming(connection, "booking", list(numbers)) if d.kind in BOOKINGS]
    out: dict[str, dict[str, Any]] = {}
    of_document = {d.id: d for d in by_number}
    for document_id, number in store.names_in(connection, "booking", list(of_document)):
        if number in numbers:
            kind = of_document[document_id].kind
            out[document_id] = {"id": document_id, "kind": kind, "reference": number}
    for document in documents.values():
        if document.kind in BOOKINGS and document.id not in out:
            out[document.id] = {"id": document.id, "kind": document.kind, "reference": document.reference}
    seen = {b["reference"] for b in out.values()}
    alone = [{"id": None, "kind": "booking", "reference": n} for n in numbers if n not in seen]
    return [*out.values(), *alone]
