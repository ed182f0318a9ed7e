"""The reference desk: zones, corridors, offices, devices, movements and bindings, checked and then kept.

What is refused is refused with every reason at once, each with its place; of many documents sent together the
good ones are kept. One lock makes check and write one step, so nothing can be deleted under a document that is
about to name it. Every change is on the disk, with who made it, when a method returns.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from cocket.core.clock import Clock, parse_rfc3339, rfc3339
from cocket.core.errors import CocketError, Conflict, Fault, NotFound, Refused
from cocket.core.geometry import corridor_geojson, corridor_geometry, zone_geojson, zone_geometry
from cocket.core.ids import UNTRUSTED, equipment_flags, mrn_flags, secret_hash
from cocket.customs.shapes import ID_PATTERN, checked, unknown_fields
from cocket.store.bindings import Binding, NewBinding
from cocket.store.reference import Reference, Stored

_ID: Final = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")
_FEW: Final = 100
_REFERENCES: Final = (
    ("corridor", "corridor"),
    ("departure_office", "office"),
    ("destination_office", "office"),
)
_GIVEN_BY_US: Final = {
    "zone": frozenset[str](),
    "corridor": frozenset[str](),
    "office": frozenset({"changed_at", "changed_by", "flags"}),
    "device": frozenset({"changed_at", "changed_by", "flags", "registered_at"}),
    "movement": frozenset(
        {
            "changed_at",
            "changed_by",
            "flags",
            "bindings",
            "open_alerts",
            "worst",
            "last",
            "equipment",
            "devices",
            "state",
            "since",
            "allowed",
            "sensitive",
            "custody",
            "seals",
            "guarantee",
            "incidents",
            "deadlines",
            "documents",
            "waiver",
        }
    ),
}
"""What our answers add: dropped when an answer is sent back."""


@dataclass(slots=True)
class RowFault:
    """Why one row of many was refused."""

    row: int
    field: str
    rule: str
    detail: str


@dataclass(slots=True)
class Bulk:
    """Answer to many documents: how many were kept, and why each other was not. ``ids`` has one entry per row."""

    accepted: int = 0
    rejects: list[RowFault] = field(default_factory=list)
    ids: list[Any] = field(default_factory=list)


class ReferenceDesk:
    """Checks documents and keeps them in ``store``; any thread may call."""

    def __init__(self, store: Reference, clock: Clock) -> None:
        self.store = store
        self._clock = clock
        self._lock = threading.Lock()

    def put(self, kind: str, doc_id: str, given: Any, *, by: str) -> tuple[dict[str, Any], bool]:
        """Keep one document under its id; the answer is what is kept now, and whether it is new."""
        self._check_id(doc_id)
        with self._lock:
            doc = self._document(kind, doc_id, given, _Known(self.store))
            new = self.store.get(kind, doc_id) is None
            if kind == "device":
                self._register({doc_id: doc})
            self.store.put(kind, doc_id, doc, by=by, at_us=self._clock.now_us())
        return self.get(kind, doc_id), new

    def put_many(self, kind: str, rows: Sequence[Any], *, by: str) -> Bulk:
        """Keep many documents, each with its id inside (``mrn`` for movements); the good ones are kept."""
        name = "mrn" if kind == "movement" else "id"
        docs: dict[str, dict[str, Any]] = {}
        bulk = Bulk()
        with self._lock:
            known = _Known(self.store)
            known.expect(rows)
            for row, given in enumerate(rows):
                doc_id = given.get(name) if isinstance(given, dict) else None
                try:
                    if not isinstance(doc_id, str):
                        _refuse(f"/{name}", "required", f"{name} is missing: each row carries its own")
                    self._check_id(doc_id)
                    if doc_id in docs:
                        _refuse(
                            f"/{name}", "twice", f"{doc_id!r} stands twice in one upload; which one holds?"
                        )
                    docs[doc_id] = self._document(kind, doc_id, given, known)
                    bulk.ids.append(doc_id)
                except CocketError as error:
                    bulk.ids.append(None)
                    bulk.rejects += [RowFault(row, f.path, f.rule, f.detail) for f in error.faults[:1]]
            if kind == "device":
                self._register(docs)
            if docs:
                self.store.put_many(kind, list(docs.items()), by=by, at_us=self._clock.now_us())
        bulk.accepted = len(docs)
        return bulk

    def get(self, kind: str, doc_id: str) -> dict[str, Any]:
        """One document as it is shown; ``NotFound`` if there is none."""
        stored = self.store.get(kind, doc_id)
        if stored is None:
            raise NotFound(f"there is no {kind} {doc_id!r}")
        return shown(kind, stored)

    def delete(self, kind: str, doc_id: str, *, by: str) -> None:
        """Delete one document; ``Conflict`` names who still refers to it, ``NotFound`` if there is none."""
        with self._lock:
            if self.store.get(kind, doc_id) is None:
                raise NotFound(f"there is no {kind} {doc_id!r}")
            users = self.store.referrers(kind, doc_id)
            if users:
                raise Conflict(
                    f"{kind} {doc_id!r} is named by {', '.join(users)}; change or delete these first",
                    [Fault("", "referenced", user) for user in users],
                )
            self.store.delete(kind, doc_id, by=by, at_us=self._clock.now_us())

    def bind(self, given: Any, *, by: str) -> Binding:
        """Make one binding; ``Conflict`` names the one that it overlaps, ``Refused`` an unknown movement."""
        new = _new_binding(given, by)
        with self._lock:
            result = self.store.add_bindings([new], self._clock.now_us())[0]
        if isinstance(result, CocketError):
            raise _pointed(result)
        return self.binding(result)

    def bind_many(self, rows: Sequence[Any], *, by: str) -> Bulk:
        """Make many bindings, in their order; the good ones are made."""
        bulk = Bulk(ids=[None] * len(rows))
        wanted: list[tuple[int, NewBinding]] = []
        for row, given in enumerate(rows):
            try:
                wanted.append((row, _new_binding(given, by)))
            except CocketError as error:
                bulk.rejects += [RowFault(row, f.path, f.rule, f.detail) for f in error.faults[:1]]
        with self._lock:
            results = self.store.add_bindings([w for _, w in wanted], self._clock.now_us())
        for (row, _), result in zip(wanted, results, strict=True):
            if isinstance(result, CocketError):
                bulk.rejects.append(
                    RowFault(row, _pointed(result).faults[0].path, result.faults[0].rule, result.detail)
                )
            else:
                bulk.ids[row] = result
                bulk.accepted += 1
        bulk.rejects.sort(key=lambda r: r.row)
        return bulk

    def unbind(self, binding_id: int, given: Any, *, by: str) -> Binding:
        """Set or clear the end of a binding."""
        end = checked("binding-end", given)
        to_us = None if end["to"] is None else parse_rfc3339(end["to"])
        with self._lock:
            try:
                return self.store.end_binding(
                    binding_id, to_us, by=end.get("by") or by, at_us=self._clock.now_us()
                )
            except CocketError as error:
                raise _pointed(error) from error

    def binding(self, binding_id: int) -> Binding:
        """One binding; ``NotFound`` if there is none."""
        found = self.store.get_binding(binding_id)
        if found is None:
            raise NotFound(f"there is no binding {binding_id}")
        return found

    def put_rules(self, doc: Mapping[str, Any], check: Callable[[Any], None], *, by: str) -> None:
        """Keep the rules document after ``check`` found nothing wrong with it (it raises ``Refused``)."""
        check(doc)
        with self._lock:
            self.store.put("rules", "rules", doc, by=by, at_us=self._clock.now_us())

    def _register(self, devices: dict[str, dict[str, Any]]) -> None:
        """Note since when each device is known: a document sent anew does not change that. Of a secret its hash is kept."""
        if len(devices) > _FEW:
            known = {s.id: s for s in self.store.all("device")}
        else:
            known = {s.id: s for d in devices if (s := self.store.get("device", d)) is not None}
        now = rfc3339(self._clock.now_us())
        for doc_id, doc in devices.items():
            old = known.get(doc_id)
            doc["registered_at"] = now if old is None else _registered_at(old)
            if "secret" in doc:
                doc["secret_sha256"] = secret_hash(doc_id, doc.pop("secret"))

    def _check_id(self, doc_id: str) -> None:
        if len(doc_id) > 64 or not _ID.match(doc_id):
            _refuse(
                "/id",
                "charset",
                f"{doc_id[:80]!r} is no identifier: 1 to 64 ASCII letters and digits, and inside also . _ : ~ + @ -",
            )

    def _document(self, kind: str, doc_id: str, given: Any, known: _Known) -> dict[str, Any]:
        if isinstance(given, dict):
            given = {k: v for k, v in given.items() if k not in _GIVEN_BY_US[kind]}
        doc = checked(kind, given)
        name = "mrn" if kind == "movement" else "id"
        if doc.pop(name, None) not in {None, doc_id}:
            _refuse(
                f"/{name}", "other-id", f"the document's {name} is not {doc_id!r}, under which it was sent"
            )
        if kind in {"zone", "corridor"}:
            return _feature(kind, doc_id, doc)
        faults = _pairs(kind, doc)
        if kind == "movement":
            faults += known.missing(doc)
        if faults:
            raise Refused(faults[0].detail, faults)
        return {k: v for k, v in doc.items() if v is not None and (k, v) != ("consignments", [])}


class _Known:
    """Which references exist, asked once per document or once per upload."""

    def __init__(self, store: Reference) -> None:
        self._store = store
        self._found: dict[str, set[str]] = {}

    def expect(self, rows: Sequence[Any]) -> None:
        """Ask for all that many rows name, at once."""
        named: dict[str, set[str]] = {"corridor": set(), "office": set()}
        for given in rows:
            if isinstance(given, dict):
                for name, kind in _REFERENCES:
                    if isinstance(given.get(name), str):
                        named[kind].add(given[name])
        self._found = {kind: self._store.exists(kind, ids) for kind, ids in named.items()}

    def missing(self, movement: Mapping[str, Any]) -> list[Fault]:
        """A fault for each reference of a movement to something that is not known."""
        faults = []
        for name, kind in _REFERENCES:
            wanted = movement.get(name)
            if wanted is None:
                continue
            found = self._found.get(kind)
            if wanted not in (self._store.exists(kind, [wanted]) if found is None else found):
                faults.append(
                    Fault(f"/{name}", "unknown-reference", f"{kind} {wanted!r} is not known; PUT it first")
                )
        return faults


def _refuse(path: str, rule: str, detail: str) -> NoReturn:
    raise Refused(detail, [Fault(path, rule, detail)])


def _registered_at(device: Stored) -> str:
    """When a device became known; one that a binding brought has no date of its own but its first change."""
    since: str = device.doc.get("registered_at") or rfc3339(device.changed_at_us)
    return since


def _pointed(error: CocketError) -> CocketError:
    """The same error with its places as JSON pointers, which the store does not know."""
    error.faults = [
        f if f.path.startswith("/") or not f.path else Fault(f"/{f.path}", f.rule, f.detail)
        for f in error.faults
    ]
    return error


def _feature(kind: str, doc_id: str, doc: dict[str, Any]) -> dict[str, Any]:
    if kind == "zone":
        geometry = zone_geojson(zone_geometry(doc["geometry"], "/geometry"))
    else:
        geometry = corridor_geojson(corridor_geometry(doc["geometry"], "/geometry"))
    properties = {
        k: v for k, v in doc["properties"].items() if v is not None and k not in {"changed_at", "changed_by"}
    }
    return {**doc, "type": "Feature", "id": doc_id, "properties": properties, "geometry": geometry}


def _pairs(kind: str, doc: Mapping[str, Any]) -> list[Fault]:
    """Faults between two fields of one document."""
    faults = []
    if kind == "office" and (doc.get("lat_deg") is None) != (doc.get("lon_deg") is None):
        faults.append(Fault("/lat_deg", "lat-lon-pair", "a position is lat_deg and lon_deg, or neither"))
    if kind == "movement":
        low, high = doc.get("temp_min_c"), doc.get("temp_max_c")
        if low is not None and high is not None and low > high:
            faults.append(Fault("/temp_min_c", "order", f"temp_min_c {low} is above temp_max_c {high}"))
        departed = doc.get("departed_at")
        for name in ("limit_at", "arrived_at"):
            later = doc.get(name)
            if departed and later and parse_rfc3339(later) < parse_rfc3339(departed):
                faults.append(
                    Fault(f"/{name}", "order", f"{name} {later} lies before departed_at {departed}")
                )
    return faults


def _new_binding(given: Any, by: str) -> NewBinding:
    doc = checked("binding", given)
    if doc["device_id"].startswith(UNTRUSTED):
        _refuse(
            "/device_id",
            "untrusted",
            "a device that is not registered is bound to nothing; register it first",
        )
    to = doc.get("to")
    return NewBinding(
        doc["device_id"],
        doc["equipment_id"],
        doc["mrn"],
        parse_rfc3339(doc["from"]),
        None if to is None else parse_rfc3339(to),
        doc.get("by") or by,
    )


def shown(kind: str, stored: Stored) -> dict[str, Any]:
    """A kept document as answers show it: with its id, who changed it last and when, and its flags."""
    changed = {"changed_at": rfc3339(stored.changed_at_us), "changed_by": stored.changed_by}
    doc = dict(stored.doc)
    if kind in {"zone", "corridor"}:
        return {**doc, "properties": {**doc["properties"], **changed}}
    name = "mrn" if kind == "movement" else "id"
    if kind == "device":
        doc["registered_at"] = _registered_at(stored)
    flags = [f for f in unknown_fields(kind, doc) if f != "unknown-field:registered_at"]
    if kind == "movement":
        flags = mrn_flags(stored.id) + flags
    return {name: stored.id, **_BLANK[kind], **doc, "flags": flags, **changed}


_BLANK: Final[dict[str, dict[str, Any]]] = {
    "office": dict.fromkeys(("name", "country", "lat_deg", "lon_deg")),
    "device": dict.fromkeys(
        (
            "class",
            "maker",
            "model",
            "firmware",
            "owner",
            "state",
            "protocol",
            "networks",
            "certificate_sha256",
            "secret_sha256",
            "report_interval_s",
            "authorised_cards",
        )
    ),
    "movement": {
        **dict.fromkeys(
            (
                "corridor",
                "departure_office",
                "destination_office",
                "departed_at",
                "limit_at",
                "arrived_at",
                "risk",
                "goods",
                "temp_min_c",
                "temp_max_c",
                "report_interval_s",
                "authorised_cards",
                "holder",
                "holder_id",
                "countries",
            )
        ),
        "consignments": [],
    },
}


def binding_shown(binding: Binding) -> dict[str, Any]:
    """A binding as answers show it; a container number with a wrong check digit is flagged."""
    return {
        "id": binding.id,
        "device_id": binding.device_id,
        "equipment_id": binding.equipment_id,
        "mrn": binding.mrn,
        "from": rfc3339(binding.from_us),
        "to": None if binding.to_us is None else rfc3339(binding.to_us),
        "by": binding.by,
        "flags": equipment_flags(binding.equipment_id),
    }
