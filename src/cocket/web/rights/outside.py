"""What of an answer people outside the administration see: not who of its officers did something, nor what is thought of a risk."""

from __future__ import annotations

from typing import Any, Final

from cocket.web.rights.asker import Asker

_INNER: Final = frozenset({"risk", "authorised_cards", "triage", "cause", "threshold", "value", "peak"})
"""Fields that tell what the administration thinks, or when it becomes attentive."""
_EMPTY: Final = frozenset({"history", "evidence"})
OFFICER: Final = "customs"
"""In place of an officer's name."""


def public(value: Any, who: str) -> Any:
    """A value of an answer without all that; names of the asker's own stay."""
    if isinstance(value, list):
        return [public(v, who) for v in value if not _remark(v)]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for name, inner in value.items():
        if (name == "by" or name.endswith("_by")) and isinstance(inner, str):
            out[name] = inner if inner == who else OFFICER
        elif name in _INNER:
            out[name] = None
        elif name in _EMPTY and isinstance(inner, list) and "code" in value:  # of an alert
            out[name] = []
        else:
            out[name] = public(inner, who)
    return out


def _remark(value: Any) -> bool:
    """Whether this is an officers' remark on a movement, or their decision how to control it."""
    return (
        isinstance(value, dict) and value.get("event") in {"note", "decide-control"} and "to_state" in value
    )


def kept_to_parts(value: Any, asker: Asker) -> Any:
    """Movements in an answer without the parts that were not granted: where they are, their documents, their alerts."""
    rows = value["items"] if isinstance(value, dict) and isinstance(value.get("items"), list) else [value]
    movements = [r for r in rows if isinstance(r, dict) and "mrn" in r and "open_alerts" in r]
    if not movements:
        return value
    mrns = [m["mrn"] for m in movements]
    tracks, documents, alerts = (asker.seen(mrns, part) for part in ("track", "document", "alert"))
    for movement in movements:
        mrn = movement["mrn"]
        if mrn not in tracks:
            movement["last"] = [] if isinstance(movement["last"], list) else None
        if mrn not in documents and "documents" in movement:
            movement["documents"] = []
        if mrn not in alerts:
            movement["open_alerts"], movement["worst"] = 0, None
    return value
