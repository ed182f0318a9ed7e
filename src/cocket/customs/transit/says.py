"""What a customs document says of a movement: which event or state, when, at which office, which seals. Pure: nothing is done here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cocket.core.clock import parse_rfc3339
from cocket.customs.transit.steps import Wanted
from cocket.store.customs_documents import Kept

_INCIDENTS: Final = {
    "1": "deviation",
    "2": "seal-broken",
    "3": "tranship",
    "4": "danger",
    "5": "accident",
    "6": "other",
}
"""EU code list CL019, incident codes."""

REACHES: Final = {
    "cc015c": "lodged",
    "cc028c": "accepted",
    "cc060c": "control-decided",
    "cc029c": "released",
    "cc007c": "arrived",
    "cc043c": "arrived",
    "cc045c": "discharged",
}
"""Messages after which a movement has come so far, whatever was told before."""
RECORDS: Final = {
    "cc009c": "cancel",
    "cc051c": "refuse-release",
    "cc140c": "open-enquiry",
    "cc141c": "offer-proof",
    "cc035c": "start-recovery",
    "cc182c": "report-incident",
}
"""Messages that are one event."""
REMARKS: Final = frozenset(
    {"cc013c", "cc014c", "cc004c", "cc025c", "cc055c", "cc056c", "cc057c", "cc170c", "cc019c", "cc048c"}
)
"""Messages that change nothing of the state: kept beside the movement as remarks."""
MAKES: Final = frozenset({"cc028c", "cc029c"})
"""Messages that give a movement its MRN."""
DECLARES: Final = frozenset({"cc015c", "cc013c"})
"""The declarant's own: what they say completes the movement's declaration."""
ARRIVALS: Final = frozenset({"cc007c", "cc043c", "cc045c"})
"""Arrival-side messages: before the release they are out of order."""


def target_of(kind: str, value: Mapping[str, Any]) -> str | None:
    """The state that a movement has reached after this document; None where it is one event, or a remark."""
    if kind.startswith("cc"):
        return REACHES.get(kind)
    return "accepted" if value.get("mrn") else "lodged"


_STEP: Final = {
    "lodged": "lodge",
    "accepted": "accept",
    "control-decided": "decide-control",
    "released": "release",
    "arrived": "arrive",
    "discharged": "discharge",
}


def wanted_of(kept: Kept, value: Mapping[str, Any], now_us: int) -> Wanted | None:
    """The event that a document tells, at the time that it gives, never later than now; None if it tells none."""
    kind = kept.kind
    target = target_of(kind, value)
    if target is not None:
        event = _STEP[target]
    elif kind in RECORDS:
        event = RECORDS[kind]
    elif kind in REMARKS:
        event = "note"
    elif kind == "cc044c":
        event = "unload"
    else:
        return None
    details: dict[str, Any] = {"message": kind}
    if kind == "cc182c":
        details |= _incident_details(value)
    at_us = min(_moment(value, kind) or now_us, now_us)
    reason = value.get("reason") or _remark(value)
    return Wanted(event, at_us, kept.by, _office(value, kind), reason, details, kept.id, implied=True)


def consignment_of(value: Mapping[str, Any]) -> dict[str, Any]:
    """A consignment as a movement's declaration keeps it, within its limits."""
    items = value.get("items", ())
    out = {
        "ucr": value.get("ucr") or value.get("reference"),
        "hs": next((i["hs"] for i in items if i.get("hs")), None),
        "description": next((i["description"] for i in items if i.get("description")), None),
        "gross_mass_kg": value.get("gross_mass_kg"),
    }
    limits = {"ucr": 64, "hs": 32, "description": 2000}
    return {
        k: v[: limits[k]] if isinstance(v, str) else v
        for k, v in out.items()
        if v is not None and (not isinstance(v, float) or v <= 1e9)
    }


def seal_places(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(seal, its pointer in the canonical model) of every seal that consignments and incidents name."""
    for part in ("consignments", "incidents"):
        for i, one in enumerate(value.get(part, ())):
            for j, equipment in enumerate(one.get("equipment", ())):
                for k, seal in enumerate(equipment.get("seals", ())):
                    yield seal["id"], f"/{part}/{i}/equipment/{j}/seals/{k}/id"


def seals_of(value: Mapping[str, Any]) -> list[dict[str, str]]:
    """The seals of all consignments, each once, with what they are on."""
    found = {
        seal["id"]: equipment.get("id") or "goods"
        for consignment in value.get("consignments", ())
        for equipment in consignment.get("equipment", ())
        for seal in equipment.get("seals", ())
    }
    return [{"id": seal, "equipment_id": on} for seal, on in found.items()]


def _moment(value: Mapping[str, Any], kind: str) -> int | None:
    names = {
        "cc028c": ("accepted_at",),
        "cc029c": ("released_at",),
        "cc007c": ("arrived_at",),
        "cc045c": ("written_off_at",),
        "cc182c": (),
    }.get(kind, ("lodged_at", "accepted_at"))
    message = value.get("message") or {}
    candidates = [value.get(n) for n in names] + [message.get("prepared_at"), value.get("issued_at")]
    if kind == "cc182c":
        candidates = [i.get("at") for i in value.get("incidents", ())] + candidates
    for text in candidates:
        if isinstance(text, str):
            return parse_rfc3339(text if "T" in text else f"{text}T00:00:00Z")
    return None


def _office(value: Mapping[str, Any], kind: str) -> str | None:
    wanted = (
        ("destination-actual", "destination")
        if kind in ARRIVALS or kind == "cc044c"
        else ("incident", "departure")
    )
    for role in wanted:
        for office in value.get("offices", ()):
            if office.get("role") == role and office.get("id"):
                return str(office["id"])
    return None


def _remark(value: Mapping[str, Any]) -> str | None:
    for incident in value.get("incidents", ()):
        if incident.get("text"):
            return str(incident["text"])
    remark = (value.get("unloading") or {}).get("remark")
    return None if remark is None else str(remark)


def _incident_details(value: Mapping[str, Any]) -> dict[str, Any]:
    incidents: list[dict[str, Any]] = value.get("incidents") or [{}]
    incident = incidents[0]
    place = incident.get("place") or {}
    found = {
        "kind": _INCIDENTS.get(str(incident.get("code")), "other"),
        "code": incident.get("code"),
        "place": place.get("name") or place.get("unlocode"),
        "country": place.get("country"),
        "lat_deg": place.get("lat_deg"),
        "lon_deg": place.get("lon_deg"),
    }
    return {k: v for k, v in found.items() if v is not None}
