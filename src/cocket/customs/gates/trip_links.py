"""Links for traders: one trip, shown to whoever has its token, until it expires or is revoked. Minimal.

A token is 192 random bits; only its SHA-256 is kept, so that whoever reads the store has no link. Unknown, revoked and expired
tokens are answered alike. A trip shows no number, no name of a person or company, no plate, seal or alert; positions are rounded to
0.01° (about a kilometre) and end with the trip.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from cocket.core.clock import US, Clock, parse_rfc3339, rfc3339
from cocket.core.config import Gates
from cocket.core.errors import Fault, NotFound, Refused
from cocket.customs.gates.verdict import Position
from cocket.customs.machines.movement import FINAL, IN_ENQUIRY
from cocket.customs.transit.view import MovementView
from cocket.store.codes import Row
from cocket.store.gates import GateStore
from cocket.store.reference import Reference

_TOKEN_BYTES: Final = 24
_DAY_US: Final = 86_400 * US
_NO_TRIP: Final = "there is no such trip, or it is not shown any more"
_PLAIN: Final = {
    "guarantee-reserved": "accepted",
    "control-decided": "accepted",
    "discrepancies": "unloaded",
    **dict.fromkeys((*IN_ENQUIRY, "recovered"), "overdue"),
}
"""States that are between customs and the holder, as the public is told."""


class TripDesk:
    """Makes, revokes and shows links; any thread may call. ``last`` gives the latest position of a movement."""

    def __init__(
        self,
        store: GateStore,
        reference: Reference,
        view: MovementView,
        last: Callable[[str], Position | None],
        clock: Clock,
        settings: Gates,
    ) -> None:
        self._store = store
        self._reference = reference
        self._view = view
        self._last = last
        self._clock = clock
        self._longest_us = settings.trip_link_days * _DAY_US

    def make(self, mrn: str, expires_us: int, *, by: str) -> dict[str, Any]:
        """A new link; its token is told this once. ``NotFound`` without the movement, ``Refused`` for an end that is past or too far."""
        self._known(mrn)
        now = self._clock.now_us()
        if not now < expires_us <= now + self._longest_us:
            days = self._longest_us // _DAY_US
            detail = f"/expires_at: a link is good until a moment from now to {days} days ahead; {rfc3339(expires_us)} is not"
            raise Refused(detail, [Fault("/expires_at", "range", detail)])
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        row = {
            "hash": _hash(token),
            "mrn": mrn,
            "created_us": now,
            "created_by": by,
            "expires_us": expires_us,
            "revoked_us": None,
            "revoked_by": None,
        }
        self._store.add_link(row)
        return {**_link_shown(row), "token": token, "path": f"/trip/{token}"}

    def links(self, mrn: str) -> list[dict[str, Any]]:
        """A movement's links, without their tokens."""
        self._known(mrn)
        return [_link_shown(row) for row in self._store.links(mrn)]

    def revoke(self, mrn: str, token: str, *, by: str) -> None:
        """End a link, named by its token or its id. Again changes nothing; ``NotFound`` if the movement has no such link."""
        self._known(mrn)
        for row in self._store.links(mrn):
            if row["hash"] == _hash(token) or _id(row) == token:
                self._store.revoke(row["hash"], by=by, at_us=self._clock.now_us())
                return
        raise NotFound("the movement has no such link")

    def trip(self, token: str) -> dict[str, Any]:
        """What a link shows now; the same ``NotFound`` for a token that is unknown, revoked or expired."""
        row = self._store.link(_hash(token))
        if row is None or row["revoked_us"] is not None or row["expires_us"] <= self._clock.now_us():
            raise NotFound(_NO_TRIP)
        stored = self._reference.get("movement", row["mrn"])
        if stored is None:
            raise NotFound(_NO_TRIP)
        whole = self._view.whole(row["mrn"])
        state = whole["state"]
        on = [s["state"] for s in whole["seals"] if s["state"] in {"assigned", "armed", "alarm"}]
        shows = state not in FINAL and whole["arrived_at"] is None
        position = self._last(row["mrn"]) if shows else None
        return {
            "state": _PLAIN.get(state, state),
            "departed_at": whole["departed_at"],
            "arrived_at": whole["arrived_at"],
            "limit_at": whole["limit_at"],
            "from": self._office(whole["departure_office"]),
            "to": self._office(whole["destination_office"]),
            "last": None
            if position is None
            else {
                "lat_deg": round(position.lat_deg, 2),
                "lon_deg": round(position.lon_deg, 2),
                "observed_at": rfc3339(position.observed_us),
            },
            "sealed": bool(on) and "alarm" not in on,
            "expires_at": rfc3339(row["expires_us"]),
        }

    def _known(self, mrn: str) -> None:
        if self._reference.get("movement", mrn) is None:
            raise NotFound(f"there is no movement {mrn!r}")

    def _office(self, office: str | None) -> str | None:
        """The name of an office: a place that is public."""
        stored = None if office is None else self._reference.get("office", office)
        return None if stored is None else str(stored.doc["name"])


def since_us(doc: dict[str, Any]) -> int:
    """From when on positions belong to the trip: its departure, if that is known."""
    departed = doc.get("departed_at")
    return 0 if departed is None else parse_rfc3339(departed)


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _id(row: Row) -> str:
    """Names a link to officers; it opens nothing."""
    return str(row["hash"].hex()[:16])


def _link_shown(row: Row) -> dict[str, Any]:
    return {
        "id": _id(row),
        "created_at": rfc3339(row["created_us"]),
        "created_by": row["created_by"],
        "expires_at": rfc3339(row["expires_us"]),
        "revoked_at": None if row["revoked_us"] is None else rfc3339(row["revoked_us"]),
    }
