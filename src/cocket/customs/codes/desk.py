"""The code desk: issues codes for papers, makes them void, and finds the one that a scanned text stands for.

There is one live code for each purpose, MRN and equipment: a second one would let the same thing be done twice. Who needs
another (the paper is lost) makes the old one void first; one that ran out unused is made void by its successor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cocket.core.clock import US, Clock, rfc3339
from cocket.core.errors import Conflict, Fault, Refused
from cocket.customs.codes import shortcode
from cocket.customs.codes.claims import MOST_TEXT_BYTES, Code
from cocket.customs.codes.keyring import KeyRing
from cocket.customs.codes.signing import Verdict, cleaned, is_stamp, verify
from cocket.store.codes import CodeStore, Row
from cocket.store.sight import Sight

_DAY_US: Final = 86_400 * US


@dataclass(frozen=True, slots=True)
class Found:
    """What a scanned text stands for: a code of the register, or why it is none (then ``code`` is None)."""

    code: Row | None
    fault: Fault | None


class CodeDesk:
    """Issues codes and keeps them in ``store``; any thread may call."""

    def __init__(self, store: CodeStore, keys: KeyRing, clock: Clock, valid_days: int) -> None:
        self.store = store
        self.keys = keys
        self._clock = clock
        self._valid_us = valid_days * _DAY_US

    def issue(
        self,
        purpose: str,
        mrn: str,
        *,
        by: str,
        equipment_id: str | None = None,
        gate: str | None = None,
        valid_from_us: int | None = None,
        valid_to_us: int | None = None,
    ) -> dict[str, Any]:
        """A new code, signed. Times are cut to whole seconds.

        ``Refused`` if it would never be valid or a word is too long to print, ``Conflict`` if there is a live one already.
        """
        now = self._clock.now_us()
        start = _second(now if valid_from_us is None else valid_from_us)
        end = _second(max(now, start) + self._valid_us if valid_to_us is None else valid_to_us)
        _check(equipment_id, start, end, now)
        number = shortcode.fresh()
        text, kid = self.keys.sign(Code(purpose, mrn, equipment_id, gate, start, end, number))
        row = {
            "number": number,
            "purpose": purpose,
            "mrn": mrn,
            "equipment_id": equipment_id,
            "gate": gate,
            "text": text,
            "kid": kid,
            "issued_us": now,
            "issued_by": by,
            "valid_from_us": start,
            "valid_to_us": end,
        }
        with self.store.writing() as connection:
            others = [o for o in self.store.of(connection, mrn, purpose) if o["equipment_id"] == equipment_id]
            live = [o for o in others if o["use_id"] is not None or o["valid_to_us"] > now]
            if live:
                raise _taken(live[0], now)
            code_id = self.store.add(connection, row)
            for old in others:
                reason = f"it ran out; code {code_id} took its place"
                self.store.void(connection, old["id"], by=by, reason=reason, at_us=now)
        return self.get(code_id)

    def get(self, code_id: int) -> dict[str, Any]:
        """One code as it is shown; ``NotFound`` if there is none."""
        return shown(self.store.get(code_id), self._clock.now_us())

    def page(
        self, mrn: str | None, limit: int, before: int | None, sight: Sight | None = None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Codes as they are shown, newest first."""
        rows, following = self.store.page(mrn, limit, before, sight)
        now = self._clock.now_us()
        return [shown(row, now) for row in rows], following

    def void(self, code_id: int, *, by: str, reason: str) -> dict[str, Any]:
        """Make a code void; ``Conflict`` if it was used, or is void already."""
        with self.store.writing() as connection:
            row = self.store.code(connection, code_id)
            if row is not None:
                _voidable(row)
                self.store.void(connection, code_id, by=by, reason=reason, at_us=self._clock.now_us())
        return self.get(code_id)

    def find(self, text: str, at_us: int) -> Found:
        """The code that a scanned text stands for: a signed text is checked first, a short code is looked up.

        That it ran out or was used is not asked here.
        """
        if is_stamp(text):
            detail = "this is an excise stamp, no code of a paper; it is checked at /stamps/checks"
            return Found(None, Fault("/code", "wrong-kind", detail))
        plain = cleaned(text)
        number = shortcode.read(plain)
        if number is not None:
            return self._known(number, plain, None)
        verdict = verify(plain, self.keys.public, at_us)
        if not isinstance(verdict.claims, Code):
            return Found(None, verdict.refusal)
        return self._known(verdict.claims.number, plain, verdict)

    def _known(self, number: int, plain: str, verdict: Verdict | None) -> Found:
        row = self.store.by_number(number)
        if row is None:
            what = "short code" if verdict is None else "code, though its signature is good,"
            return Found(None, Fault("/code", "unknown-code", f"no such {what} was issued here"))
        if verdict is not None and row["text"] != plain:
            detail = "the register has another text for this code's number"
            return Found(None, Fault("/code", "unknown-code", detail))
        return Found(row, None)


def shown(row: Row, now_us: int) -> dict[str, Any]:
    """A code as the contract has it."""
    return {
        "id": row["id"],
        "purpose": row["purpose"],
        "mrn": row["mrn"],
        "equipment_id": row["equipment_id"],
        "gate": row["gate"],
        "text": row["text"],
        "short": shortcode.shown(shortcode.of(row["number"])),
        "kid": row["kid"],
        "issued_at": rfc3339(row["issued_us"]),
        "issued_by": row["issued_by"],
        "valid_from": rfc3339(row["valid_from_us"]),
        "valid_to": rfc3339(row["valid_to_us"]),
        "state": state_of(row, now_us),
        "first_use": first_use(row),
        "void": None
        if row["void_us"] is None
        else {"at": rfc3339(row["void_us"]), "by": row["void_by"], "reason": row["void_reason"]},
    }


def state_of(row: Row, now_us: int) -> str:
    """valid, used, void or expired; what was used stays so."""
    if row["use_id"] is not None:
        return "used"
    if row["void_us"] is not None:
        return "void"
    return "expired" if now_us >= row["valid_to_us"] else "valid"


def first_use(row: Row) -> dict[str, Any] | None:
    """When, where and by whom a code was used; None while it was not."""
    if row["use_id"] is None:
        return None
    return {
        "scan_id": row["use_id"],
        "at": rfc3339(row["used_us"]),
        "gate": row["used_gate"],
        "by": row["used_by"],
    }


def _second(us: int) -> int:
    return us // US * US


def _check(equipment_id: str | None, start: int, end: int, now: int) -> None:
    if equipment_id is not None and len(equipment_id.encode()) > MOST_TEXT_BYTES:
        detail = f"/equipment_id: more than {MOST_TEXT_BYTES} bytes (UTF-8) do not print in a code of 2.5 cm"
        raise Refused(detail, [Fault("/equipment_id", "too-long", detail)])
    if end <= start or end <= now:
        than = "it begins" if end <= start else "now"
        detail = f"/valid_to: a code that ends at {rfc3339(end)}, before {than}, is never valid"
        raise Refused(detail, [Fault("/valid_to", "never-valid", detail)])


def _taken(row: Row, now: int) -> Conflict:
    about = f"{row['purpose']} of {row['mrn']}" + (f", {row['equipment_id']}" if row["equipment_id"] else "")
    if row["use_id"] is not None:
        detail = (
            f"code {row['id']} for {about} was used at {rfc3339(row['used_us'])}; it is done, and done once"
        )
        return Conflict(detail, [Fault("", "already-used", detail)])
    detail = f"code {row['id']} for {about} is {state_of(row, now)}; make it void first if its paper is lost"
    return Conflict(detail, [Fault("", "already-issued", detail)])


def _voidable(row: Row) -> None:
    if row["use_id"] is not None:
        raise Conflict(f"code {row['id']} was used at {rfc3339(row['used_us'])}; what is done stays done")
    if row["void_us"] is not None:
        raise Conflict(
            f"code {row['id']} has been void since {rfc3339(row['void_us'])}: {row['void_reason']}"
        )
