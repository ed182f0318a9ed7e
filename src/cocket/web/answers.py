"""Answers as the contract has them: rows of the store in, JSON values out."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from cocket.core.batch import Batch
from cocket.core.clock import rfc3339
from cocket.core.schema import COLUMNS, Kind
from cocket.engine.conduct import CONDUCT
from cocket.engine.untimed import UNTIMED


class Json(Response):
    """A value as JSON, by msgspec; NaN becomes null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode."""
        return msgspec.json.encode(content)


def moment(us: int | None) -> str | None:
    """RFC 3339, or null."""
    return None if us is None else rfc3339(us)


_SHOWN = [
    (c.name, c.name.removesuffix("_us") + "_at" if c.kind is Kind.TIME else c.name, c.kind) for c in COLUMNS
]


def observation(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``Batch.row`` with every column, null where unknown, and times as text."""
    return {
        shown: moment(row.get(name)) if kind is Kind.TIME else row.get(name) for name, shown, kind in _SHOWN
    }


def observations(batch: Batch) -> list[dict[str, Any]]:
    """Every row of a small batch."""
    return [observation(batch.row(i)) for i in range(batch.n)]


_NO_ZONES: Final = frozenset({UNTIMED, CONDUCT})
"""Subjects of alerts that are no zones."""


def alert(row: Mapping[str, Any]) -> dict[str, Any]:
    """An alert as lists and the stream show it."""
    superseded = row["superseded_us"]
    return {
        "id": row["id"],
        "code": row["code"],
        "severity": row["severity"],
        "mrn": row["mrn"] or None,
        "equipment_id": row["equipment_id"] or None,
        "device_id": row["device_id"],
        "subject": row["subject"],
        "began_at": moment(row["began_us"]),
        "ended_at": moment(row["ended_us"]),
        "raised_at": moment(row["raised_us"]),
        "late": bool(row["late"]),
        "superseded": superseded is not None,
        "superseded_at": moment(superseded),
        "superseded_reason": row["superseded_reason"],
        "count": row["count"],
        "state": row["state"],
        "triage": row["triage"],
        "cause": row["cause"],
        "acknowledged_by": row["acknowledged_by"],
        "lat_deg": row["lat_deg"],
        "lon_deg": row["lon_deg"],
        "says": row["says"],
        "facts": {
            "value": row["value"],
            "peak": row["peak"],
            "unit": row["unit"] or None,
            "threshold": row["threshold"],
            "zone": None if row["subject"] in _NO_ZONES else row["subject"],
            "corridor": row["corridor"],
        },
        "version": row["version"],
    }


def quarantined(row: Mapping[str, Any]) -> dict[str, Any]:
    """A quarantined row with its bytes, as text and exactly."""
    raw: bytes = row["raw"]
    return {
        "id": row["id"],
        "received_at": moment(row["received_us"]),
        "source": row["source"],
        "row": row["row"],
        "field": row["field"],
        "rule": row["rule"],
        "detail": row["detail"],
        "raw": raw.decode("utf-8", "replace"),
        "raw_base64": base64.b64encode(raw).decode(),
        "protocol": row["protocol"],
        "device_id": row["device_id"],
        "state": row["state"],
    }


def page(items: list[Any], cursor: str | None) -> Json:
    """One page of a list."""
    return Json({"items": items, "next": cursor})
