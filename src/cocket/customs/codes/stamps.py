"""The stamp desk: excise stamps in ranges, what happens to parts of them, and checks by the public.

A stamp's text is signed (``signing``): anyone can tell without a network that it is genuine, and for which product. Online,
a check also tells whether it is active, and suspects a copy when one serial number was seen in two places between which
it cannot have travelled, or too often. One suspicion makes every later check of that stamp suspect, until an
officer who looked at it says ``clear``.

The public's answer says no more than it must: which of four it is, in one sentence, and the product of a stamp
that is genuine and active. Nobody learns which numbers were issued, stolen or void, and an unknown one costs the same
questions and the same row as a known one. Who asks is not kept; where, to 0.01° (a kilometre), for some days.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.clock import US, Clock, rfc3339
from cocket.core.config import Codes
from cocket.core.errors import Conflict, Fault, Refused
from cocket.core.geo import distance_m
from cocket.customs.codes.claims import MOST_TEXT_BYTES, Stamp
from cocket.customs.codes.intervals import (
    ACTIVE,
    ISSUED,
    RESULT,
    Run,
    allowed,
    folded,
    impossible,
)
from cocket.customs.codes.keyring import KeyRing
from cocket.customs.codes.signing import cleaned, out_of_time, verify
from cocket.store.stamps import Row, StampStore

GENUINE, SUSPECT, NOT_ACTIVE, FALSE = VERDICTS = ("genuine", "suspect", "not-active", "false")

SAYS: Final = {
    GENUINE: "The stamp is genuine. See that the product is the one that it was made for.",
    SUSPECT: "The stamp is genuine, but it may have been copied onto other goods. Do not trust it; tell customs.",
    NOT_ACTIVE: "This stamp is not valid. Do not buy the goods; tell customs.",
    FALSE: "This is no genuine stamp. Do not buy the goods; tell customs.",
}

MOST_SERIAL: Final = 2**53 - 1
"""Serial numbers are whole numbers that JSON carries exactly (RFC 8259, 6)."""
MOST_STAMPS: Final = 1_000_000_000
MOST_LABELS: Final = 100_000
"""Labels written at once."""

_DAY_US: Final = 86_400 * US
_HOUR_US: Final = 3_600 * US
_ROUNDED_M: Final = 2_000.0
"""Two positions rounded to 0.01° may lie so much nearer or farther than the true ones."""
_LOOKED_AT: Final = 50
_CHANGING: Final = tuple(event for event in RESULT if event != "clear")


@dataclass(frozen=True, slots=True)
class NewRange:
    """Stamps to be issued. ``first`` None: behind the last ones. ``valid_to_us`` None: they do not run out."""

    product: str
    manufacturer: str
    count: int
    first: int | None = None
    valid_to_us: int | None = None


class StampDesk:
    """Issues stamps and answers for them; any thread may call."""

    def __init__(self, store: StampStore, keys: KeyRing, clock: Clock, settings: Codes) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._settings = settings
        self._swept_us = 0

    # officers

    def issue(self, new: NewRange, *, by: str) -> dict[str, Any]:
        """A new range, all of it ``issued``. ``Conflict`` names the range that it overlaps, ``Refused`` what cannot be."""
        now = self._clock.now_us()
        end = None if new.valid_to_us is None else new.valid_to_us // US * US
        _check(new, end, now)
        with self._store.writing() as connection:
            first = self._store.last_serial(connection) + 1 if new.first is None else new.first
            last = first + new.count - 1
            if last > MOST_SERIAL:
                detail = f"/first: the last serial number would be {last}; {MOST_SERIAL} is the highest"
                raise Refused(detail, [Fault("/first", "too-high", detail)])
            other = self._store.overlapping(connection, first, last)
            if other is not None:
                detail = (
                    f"{first} to {last} overlaps range {other['id']}, which has {other['first']} to {other['last']}; "
                    f"{self._store.last_serial(connection) + 1} is free"
                )
                raise Conflict(detail, [Fault("/first", "overlap", detail)])
            row = {
                "product": new.product,
                "manufacturer": new.manufacturer,
                "first": first,
                "last": last,
                "valid_to_us": end,
                "issued_us": now,
                "issued_by": by,
            }
            range_id = self._store.add_range(connection, row)
            return self._whole(connection, range_id)

    def range(self, range_id: int) -> dict[str, Any]:
        """One range with its states and all that happened to it; ``NotFound`` if there is none."""
        with self._store.reading() as connection:
            return self._whole(connection, range_id)

    def ranges(self, limit: int, before: int | None) -> tuple[list[dict[str, Any]], int | None]:
        """Ranges with their states, newest first."""
        rows, following = self._store.ranges(limit, before)
        with self._store.reading() as connection:
            events = self._store.events(connection, [row["id"] for row in rows])
        return [_shown(row, _runs(row, events[row["id"]])) for row in rows], following

    def happened(
        self, range_id: int, event: str, first: int, last: int, *, reason: str, by: str
    ) -> dict[str, Any]:
        """Something happened to a part of a range, to all of it or to none. ``Conflict`` names the stamps to which it cannot
        happen, with their state and what is allowed.
        """
        with self._store.writing() as connection:
            row = self._store.range(connection, range_id)
            _inside(row, first, last)
            runs = _runs(row, self._store.events(connection, [range_id])[range_id])
            against = impossible(runs, event, first, last)
            if against is not None:
                can = ", ".join(allowed(against.state)) or "nothing"
                detail = (
                    f"stamps {against.first} to {against.last} are {against.state}: {event!r} is impossible, "
                    f"possible is {can}"
                )
                raise Conflict(detail, [Fault("/event", "impossible-transition", detail)])
            self._store.add_event(
                connection,
                {
                    "range_id": range_id,
                    "event": event,
                    "first": first,
                    "last": last,
                    "reason": reason,
                    "by": by,
                    "at_us": self._clock.now_us(),
                },
            )
            return self._whole(connection, range_id)

    def labels(
        self, range_id: int, first: int | None, last: int | None, most: int
    ) -> Iterator[tuple[Stamp, str]]:
        """The stamps of a part of a range (None: from its beginning, to its end) with their texts, to print.

        The same stamp has the same text while the key is the same. ``Refused`` if they are more than ``most``, ``Conflict``
        if some are void, stolen or found: nobody prints those again.
        """
        with self._store.reading() as connection:
            row = self._store.range(connection, range_id)
            runs = _runs(row, self._store.events(connection, [range_id])[range_id])
        begin = row["first"] if first is None else first
        end = row["last"] if last is None else last
        _inside(row, begin, end)
        if end - begin >= most:
            detail = f"{end - begin + 1} labels; at most {most} are written at once: name first and last"
            raise Refused(detail, [Fault("query/last", "too-many", detail)])
        for run in runs:
            if run.state not in {ISSUED, ACTIVE} and run.first <= end and begin <= run.last:
                detail = f"stamps {run.first} to {run.last} are {run.state}; they are not printed again"
                raise Conflict(detail, [Fault("query/first", run.state, detail)])
        stamps = (Stamp(serial, row["product"], row["valid_to_us"]) for serial in range(begin, end + 1))
        return ((stamp, self._keys.sign(stamp)[0]) for stamp in stamps)

    def checks(
        self, limit: int, before: int | None, *, serial: int | None = None, verdict: str | None = None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """What the public checked, newest first, with suspicions; nothing older than the settings let be kept."""
        self._sweep()
        rows, following = self._store.checks(
            limit, before, serial=serial, verdict=verdict, after_us=self._kept_from()
        )
        return [_check_shown(row) for row in rows], following

    # the public

    def check(self, text: str, place: tuple[float, float] | None) -> dict[str, Any]:
        """Whether a stamp is genuine, active, and in one place only. Same questions, same row, whatever it is."""
        self._sweep()
        now = self._clock.now_us()
        claims = verify(cleaned(text), self._keys.public, now).claims
        stamp = claims if isinstance(claims, Stamp) else None
        serial = -1 if stamp is None else stamp.serial
        lat, lon = (None, None) if place is None else (round(place[0], 2), round(place[1], 2))
        with self._store.writing() as connection:
            row = self._store.overlapping(connection, serial, serial)
            range_id = -1 if row is None else row["id"]
            newest = self._store.newest_event(connection, range_id, serial, _CHANGING)
            check_id = self._store.add_check(
                connection,
                {
                    "at_us": now,
                    "serial": None if row is None else serial,
                    "verdict": FALSE,
                    "lat_deg": lat,
                    "lon_deg": lon,
                },
            )
            suspected = self._suspected(connection, range_id, serial, check_id, now, lat, lon)
            verdict = _verdict(stamp, row, newest, now, suspected=suspected)
            self._store.set_verdict(connection, check_id, verdict)
        trusted = stamp is not None and verdict in {GENUINE, SUSPECT}
        return {
            "verdict": verdict,
            "says": SAYS[verdict],
            "product": stamp.product if trusted and stamp is not None else None,
        }

    def _suspected(
        self,
        connection: sa.Connection,
        range_id: int,
        serial: int,
        check_id: int,
        now: int,
        lat: float | None,
        lon: float | None,
    ) -> bool:
        """Whether this stamp was probably copied, and why, kept once for each rule."""
        cleared = self._store.newest_event(connection, range_id, serial, ("clear",))
        since = 0 if cleared is None else cleared["at_us"]
        known = self._store.suspicions(connection, serial, since)
        earlier = self._store.earlier(connection, serial, max(since, self._kept_from()), _LOOKED_AT)
        often = self._store.how_many(connection, serial, max(since, now - _DAY_US))
        found: dict[str, str] = {}
        if often > self._settings.clone_checks:
            found["too-many-checks"] = f"{often} checks within 24 hours"
        if lat is not None and lon is not None:
            for other in earlier:
                said = self._impossible_travel(other, now, lat, lon)
                if said is not None:
                    found["impossible-travel"] = said
                    break
        if range_id < 0:
            return False
        for rule, detail in found.items():
            if rule not in known:
                self._store.suspect(
                    connection,
                    {"serial": serial, "check_id": check_id, "at_us": now, "rule": rule, "detail": detail},
                )
        return bool(known or found)

    def _impossible_travel(self, other: Row, now: int, lat: float, lon: float) -> str | None:
        apart = float(distance_m(lat, lon, other["lat_deg"], other["lon_deg"]))
        apart_s = abs(now - other["at_us"]) / US
        possible = self._settings.clone_speed_kmh / 3.6 * apart_s
        if apart < self._settings.clone_least_km * 1000 or apart + _ROUNDED_M < possible:
            return None
        return f"seen {apart / 1000:.0f} km from where it was {apart_s / 60:.0f} minutes before"

    def _kept_from(self) -> int:
        return self._clock.now_us() - self._settings.check_days * _DAY_US

    def _sweep(self) -> None:
        """Once an hour, forget the checks whose days are over. Until then nobody is shown them."""
        now = self._clock.now_us()
        if now - self._swept_us >= _HOUR_US:
            self._swept_us = now
            with self._store.writing() as connection:
                self._store.forget_checks(connection, self._kept_from())

    def _whole(self, connection: sa.Connection, range_id: int) -> dict[str, Any]:
        row = self._store.range(connection, range_id)
        events = self._store.events(connection, [range_id])[range_id]
        return {**_shown(row, _runs(row, events)), "events": [_event_shown(e) for e in events]}


def _verdict(stamp: Stamp | None, row: Row | None, newest: Row | None, now: int, *, suspected: bool) -> str:
    if stamp is None or row is None:
        return FALSE
    state = ISSUED if newest is None else RESULT[newest["event"]]
    if state != ACTIVE or out_of_time(stamp, now) is not None:
        return NOT_ACTIVE
    return SUSPECT if suspected else GENUINE


def _check(new: NewRange, end: int | None, now: int) -> None:
    if len(new.product.encode()) > MOST_TEXT_BYTES:
        detail = f"/product: more than {MOST_TEXT_BYTES} bytes (UTF-8) do not print on a stamp"
        raise Refused(detail, [Fault("/product", "too-long", detail)])
    if end is not None and end <= now:
        detail = f"/valid_to: stamps that ran out at {rfc3339(end)} are never valid"
        raise Refused(detail, [Fault("/valid_to", "never-valid", detail)])


def _inside(row: Row, first: int, last: int) -> None:
    if not row["first"] <= first <= last <= row["last"]:
        detail = (
            f"{first} to {last} is no part of range {row['id']}, which has {row['first']} to {row['last']}"
        )
        raise Refused(detail, [Fault("/first", "outside", detail)])


def _runs(row: Row, events: list[Row]) -> list[Run]:
    return folded(row["first"], row["last"], ((e["event"], e["first"], e["last"]) for e in events))


def _shown(row: Row, runs: list[Run]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "product": row["product"],
        "manufacturer": row["manufacturer"],
        "first": row["first"],
        "last": row["last"],
        "count": row["last"] - row["first"] + 1,
        "valid_to": None if row["valid_to_us"] is None else rfc3339(row["valid_to_us"]),
        "issued_at": rfc3339(row["issued_us"]),
        "issued_by": row["issued_by"],
        "states": [{"first": r.first, "last": r.last, "state": r.state} for r in runs],
    }


def _event_shown(row: Row) -> dict[str, Any]:
    return {
        "event": row["event"],
        "first": row["first"],
        "last": row["last"],
        "reason": row["reason"],
        "by": row["by"],
        "at": rfc3339(row["at_us"]),
    }


def _check_shown(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "at": rfc3339(row["at_us"]),
        "serial": row["serial"],
        "verdict": row["verdict"],
        "lat_deg": row["lat_deg"],
        "lon_deg": row["lon_deg"],
        "suspicions": [{"rule": s["rule"], "detail": s["detail"]} for s in row["suspicions"]],
    }
