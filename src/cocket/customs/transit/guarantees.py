"""The guarantee ledger: what is guaranteed, what of it is reserved, released and called. Never more than there is.

Every entry is the guarantee machine for one movement. Amounts are exact; a reservation in another currency needs its rate and
is rounded up. All sums change in the transaction of the event that changes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.clock import Clock, parse_rfc3339, rfc3339
from cocket.core.errors import Conflict, Fault, NotFound, Refused
from cocket.customs.transit.money import amount_of, converted, currency_of, rate_of
from cocket.customs.transit.recording import Step, record
from cocket.store.file_events import Event, FileBook, Subject
from cocket.store.guarantees import GuaranteeStore, Head

_SEPARATOR: Final = "/"


class GuaranteeDesk:
    """The ledger; any thread may call."""

    def __init__(self, store: GuaranteeStore, book: FileBook, clock: Clock) -> None:
        self._store = store
        self._book = book
        self._clock = clock

    def put(self, grn: str, doc: Mapping[str, Any], *, by: str) -> tuple[dict[str, Any], bool]:
        """A guarantee, new or changed; ``Conflict`` if less would be left than is reserved and called."""
        currency = currency_of(doc.get("currency"), "/currency")
        amount = amount_of(doc.get("amount"), currency, "/amount")
        valid_from, valid_to = (_moment(doc.get(name)) for name in ("valid_from", "valid_to"))
        if valid_from is not None and valid_to is not None and valid_to <= valid_from:
            detail = "valid_to is not after valid_from"
            raise Refused(detail, [Fault("/valid_to", "order", detail)])
        now = self._clock.now_us()
        with self._book.db.write() as connection:
            old = self._store.get(connection, grn)
            if old is not None and old.currency != currency and old.reserved + old.called:
                raise Conflict(
                    f"guarantee {grn} has entries in {old.currency}; its currency cannot become {currency}",
                    [Fault("/currency", "in-use", f"entries are in {old.currency}")],
                )
            used = Decimal(0) if old is None else old.reserved + old.called
            if amount < used:
                raise Conflict(
                    f"guarantee {grn} cannot become {amount} {currency}: {used} of it is reserved or called",
                    [Fault("/amount", "guarantee-exceeded", f"at least {used}")],
                )
            self._store.put(
                connection,
                Head(
                    grn,
                    str(doc.get("holder") or ""),
                    str(doc.get("type") or ""),
                    amount,
                    currency,
                    amount - amount if old is None else old.reserved,
                    amount - amount if old is None else old.called,
                    valid_from,
                    valid_to,
                    now,
                    by,
                ),
            )
        return self.shown(grn), old is None

    def shown(self, grn: str) -> dict[str, Any]:
        """A guarantee with its entries; ``NotFound`` if there is none."""
        head = self._store.find(grn)
        if head is None:
            raise NotFound(f"there is no guarantee {grn!r}")
        entries = self._book.subjects("guarantee", q=f"{grn}{_SEPARATOR}")
        return {**head_shown(head), "entries": [_entry(s) for s in entries if _of(s.subject)[0] == grn]}

    def page(self, q: str | None, limit: int, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Guarantees by GRN, without entries."""
        heads, following = self._store.page(q, limit, cursor)
        return [head_shown(h) for h in heads], following

    def of_movement(self, mrn: str) -> dict[str, Any] | None:
        """The movement's latest entry."""
        entries = self._book.subjects("guarantee", mrn=mrn)
        if not entries:
            return None
        entry = max(entries, key=lambda s: s.last_us)
        return {"grn": _of(entry.subject)[0], **_entry(entry)}

    def act(self, grn: str, doc: Mapping[str, Any], *, by: str) -> dict[str, Any]:
        """One event from a person: ``reserve``, ``release`` or ``call`` for a movement."""
        now = self._clock.now_us()
        mrn, event = str(doc["mrn"]), doc["event"]
        with self._book.db.write() as connection:
            if event == "reserve":
                self.reserve(connection, grn, mrn, doc, by=by, at_us=now)
            elif event == "release":
                self.release(connection, mrn, grn=grn, by=by, at_us=now, reason=doc.get("reason"))
            else:
                self.call(
                    connection, mrn, doc.get("amount"), grn=grn, by=by, at_us=now, reason=doc.get("reason")
                )
            found = self._book.subject(connection, "guarantee", f"{grn}{_SEPARATOR}{mrn}")
        assert found is not None
        return {"grn": grn, **_entry(found)}

    # parts of a caller's transaction

    def reserve(
        self,
        connection: sa.Connection,
        grn: str,
        mrn: str,
        doc: Mapping[str, Any],
        *,
        by: str,
        at_us: int,
    ) -> Step:
        """Set a movement's amount aside. ``Conflict`` names what is available; nothing is ever over-reserved."""
        head = self._store.get(connection, grn)
        if head is None:
            detail = f"guarantee {grn!r} is not known; PUT it first"
            raise Refused(detail, [Fault("/grn", "unknown-reference", detail)])
        currency = currency_of(doc.get("currency") or head.currency, "/currency")
        amount = amount_of(doc.get("amount"), currency, "/amount")
        rate = None
        needed = amount
        if currency != head.currency:
            if doc.get("rate") is None:
                detail = f"the guarantee is in {head.currency}, the amount in {currency}: say at which rate"
                raise Refused(detail, [Fault("/rate", "required", detail)])
            rate = rate_of(doc["rate"], "/rate")
            needed = converted(amount, rate, head.currency)
        if (head.valid_from_us is not None and at_us < head.valid_from_us) or (
            head.valid_to_us is not None and at_us >= head.valid_to_us
        ):
            raise Conflict(
                f"guarantee {grn} is not valid at {rfc3339(at_us)}",
                [Fault("/grn", "guarantee-not-valid", f"at {rfc3339(at_us)}")],
            )
        if needed > head.available:
            raise Conflict(
                f"guarantee {grn} has {head.available} {head.currency} available, {needed} is needed",
                [Fault("/amount", "guarantee-exceeded", f"available {head.available} {head.currency}")],
            )
        details = {"amount": str(needed), "currency": head.currency}
        if rate is not None:
            details |= {"asked": str(amount), "asked_currency": currency, "rate": str(rate)}
        step = self._event(
            connection, grn, mrn, "reserve", details, by=by, at_us=at_us, reason=doc.get("reason")
        )
        self._store.put(connection, replace(head, reserved=head.reserved + needed))
        return step

    def release(
        self,
        connection: sa.Connection,
        mrn: str,
        *,
        by: str,
        at_us: int,
        grn: str | None = None,
        reason: str | None = None,
    ) -> Step | None:
        """Free what is reserved for a movement. None if nothing is and no guarantee is named."""
        entry = self._reserved(connection, mrn, grn)
        if entry is None:
            return None
        name = _of(entry.subject)[0]
        step = self._event(connection, name, mrn, "release", {}, by=by, at_us=at_us, reason=reason)
        head = self._store.get(connection, name)
        assert head is not None
        self._store.put(connection, replace(head, reserved=head.reserved - Decimal(entry.summary["amount"])))
        return step

    def call(
        self,
        connection: sa.Connection,
        mrn: str,
        amount: Any = None,
        *,
        by: str,
        at_us: int,
        grn: str | None = None,
        reason: str | None = None,
    ) -> Step | None:
        """Call what is reserved for a movement, or a part of it; the rest is free again."""
        entry = self._reserved(connection, mrn, grn)
        if entry is None:
            return None
        name = _of(entry.subject)[0]
        head = self._store.get(connection, name)
        assert head is not None
        reserved = Decimal(entry.summary["amount"])
        called = reserved if amount is None else amount_of(amount, head.currency, "/amount")
        if called > reserved:
            raise Conflict(
                f"{reserved} {head.currency} is reserved for {mrn}, {called} cannot be called",
                [Fault("/amount", "guarantee-exceeded", f"reserved {reserved}")],
            )
        details = {"amount": str(called), "currency": head.currency}
        step = self._event(connection, name, mrn, "call", details, by=by, at_us=at_us, reason=reason)
        self._store.put(
            connection, replace(head, reserved=head.reserved - reserved, called=head.called + called)
        )
        return step

    def _reserved(self, connection: sa.Connection, mrn: str, grn: str | None) -> Subject | None:
        if grn is not None:
            entry = self._book.subject(connection, "guarantee", f"{grn}{_SEPARATOR}{mrn}")
            if entry is None:
                raise NotFound(f"nothing of guarantee {grn!r} is reserved for movement {mrn!r}")
            return entry
        entries = [s for s in self._book.subjects_in(connection, "guarantee", mrn) if s.state == "reserved"]
        return entries[0] if entries else None

    def _event(
        self,
        connection: sa.Connection,
        grn: str,
        mrn: str,
        event: str,
        details: dict[str, Any],
        *,
        by: str,
        at_us: int,
        reason: str | None,
    ) -> Step:
        subject = f"{grn}{_SEPARATOR}{mrn}"
        known = self._book.subject(connection, "guarantee", subject)
        at_us = at_us if known is None else max(at_us, known.last_us)
        return record(
            self._book,
            connection,
            Event(
                "guarantee",
                subject,
                event,
                at_us,
                self._clock.now_us(),
                by,
                mrn=mrn,
                reason=reason,
                details=details,
            ),
            summary=details,
            mrn=mrn,
        )


def head_shown(head: Head) -> dict[str, Any]:
    """A guarantee as answers show it."""
    return {
        "grn": head.grn,
        "holder": head.holder,
        "type": head.kind,
        "amount": str(head.amount),
        "currency": head.currency,
        "reserved": str(head.reserved),
        "called": str(head.called),
        "available": str(head.available),
        "valid_from": None if head.valid_from_us is None else rfc3339(head.valid_from_us),
        "valid_to": None if head.valid_to_us is None else rfc3339(head.valid_to_us),
        "changed_at": rfc3339(head.changed_us),
        "changed_by": head.changed_by,
    }


def _entry(entry: Subject) -> dict[str, Any]:
    return {
        "mrn": entry.mrn,
        "state": entry.state,
        "amount": entry.summary.get("amount"),
        "currency": entry.summary.get("currency"),
        "asked": entry.summary.get("asked"),
        "asked_currency": entry.summary.get("asked_currency"),
        "rate": entry.summary.get("rate"),
        "since": rfc3339(entry.since_us),
    }


def _of(subject: str) -> tuple[str, str]:
    grn, _, mrn = subject.partition(_SEPARATOR)
    return grn, mrn


def _moment(value: Any) -> int | None:
    return None if value is None else parse_rfc3339(value)
