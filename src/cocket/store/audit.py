"""The audit: who read personal data and who changed what, in entries that are chained by their hashes.

An entry's hash is SHA-256 (FIPS 180-4) over the hash before it and the entry's canonical form: the JSON array of its
fields in the order of ``Entry``, ASCII, without spaces, after its number. So an entry that was altered, dropped, put in or moved breaks
the chain there, whoever did it. One who may write to the whole file can chain everything anew: that is found against a
head that was noted elsewhere (``GET /api/v1/audit/head``), and only so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.clock import parse_rfc3339, rfc3339
from cocket.core.errors import CocketError, DataDamaged
from cocket.store.audit_tables import audit, audit_head
from cocket.store.database import Database

NOTHING: Final = bytes(32)
"""What stands before the first entry."""
CUT: Final = "audit-cut"
"""The action of an entry that says up to where older ones were cut off, and the hash of the last of them."""
_PAGE: Final = 5000
_LOCK: Final = "audit"
"""Who appends waits for nobody but who appends: the head is locked by its row."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is recorded. ``subject``: the ids of what it is about, by what they are. ``status``: the answer's, None while begun."""

    at_us: int
    who: str
    kind: str
    roles: tuple[str, ...]
    said_by: str | None
    action: str
    method: str
    route: str
    subject: Mapping[str, str]
    purpose: str | None
    status: int | None
    request_id: str


def entry_hash(previous: bytes, row: Mapping[str, Any]) -> bytes:
    """The hash of a row of ``audit`` behind the hash ``previous``."""
    fields = [row[name] for name in _HASHED]
    return sha256(previous + _compact(fields).encode("ascii")).digest()


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)


_HASHED: Final = (
    "seq", "at_us", "who", "kind", "roles", "said_by", "action", "method", "route", "subject", "purpose", "status", "request_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry. ``seq`` is 0 and the hash all zeros before the first."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What a check of the chain found: how many entries, the last of them, and what is wrong, worst first."""

    entries: int
    head: Head
    wrong: tuple[str, ...]


class AuditStore:
    """The audit in ``db`` (``cocket.sqlite``). Any thread may call, and more than one process may append."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def append(self, entries: Sequence[Entry]) -> Head:
        """Chain them on in this order; they are on the disk, all, when it returns."""
        with self._db.write(_LOCK) as connection:
            return append(connection, entries)

    def head(self) -> Head:
        """The last entry."""
        with self._db.view() as connection:
            row = connection.execute(audit_head.select()).one()
        return Head(row.seq, bytes(row.hash))

    def page(
        self,
        *,
        who: str | None = None,
        subject: str | None = None,
        action: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Newest first, and the number before which the next page begins. ``subject`` is one id, whatever it is of."""
        query = audit.select().order_by(audit.c.seq.desc()).limit(limit + 1)
        if who is not None:
            query = query.where(audit.c.who == who)
        if action is not None:
            query = query.where(audit.c.action == action)
        if subject is not None:
            part = f":{_compact(subject)}"
            query = query.where(sa.func.replace(audit.c.subject, part, "") != audit.c.subject)
        if since_us is not None:
            query = query.where(audit.c.at_us >= since_us)
        if until_us is not None:
            query = query.where(audit.c.at_us < until_us)
        if before is not None:
            query = query.where(audit.c.seq < before)
        with self._db.view() as connection:
            rows = [dict(r) for r in connection.execute(query).mappings()]
        return rows[:limit], rows[limit - 1]["seq"] if len(rows) > limit else None

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every entry as it is kept, by number; in pages, so that a long chain holds no view open."""
        after = -(2**63)
        while True:
            query = audit.select().where(audit.c.seq > after).order_by(audit.c.seq).limit(_PAGE)
            with self._db.view() as connection:
                rows = [dict(r) for r in connection.execute(query).mappings()]
            if not rows:
                return
            yield from rows
            after = rows[-1]["seq"]

    def check(self, noted: bytes | None = None) -> Found:
        """The whole chain against its hashes, its head, and ``noted``: a head that was noted elsewhere."""
        before = self.head()
        with self._db.view() as connection:
            row = connection.execute(audit_head.select()).one()
        found = check(self.rows(), noted, Head(row.cut_seq, bytes(row.cut_hash)))
        wrong = list(found.wrong)
        if found.head.seq < before.seq:
            wrong.append(
                f"the audit ends with entry {found.head.seq}, its head says {before.seq}: the last are missing"
            )
        elif found.head.seq == before.seq and found.head.hash != before.hash:
            wrong.append(f"the hash of the last entry, {before.seq}, is not that of the head")
        elif found.head.seq > self.head().seq:
            wrong.append(f"entry {found.head.seq} stands behind the head")
        return Found(found.entries, found.head, tuple(wrong))

    def cut(self, before_us: int, entry: Entry) -> int:
        """Drop the entries from the beginning that are older, and record with ``entry`` where the chain begins now; how many were dropped.

        The last entry stays in any case. ``entry`` is given the subject ``upto`` and ``hash`` of the last that was dropped.
        """
        with self._db.write(_LOCK) as connection:
            return cut(connection, before_us, entry)


def cut(connection: sa.Connection, before_us: int, entry: Entry) -> int:
    """As ``AuditStore.cut``, within a transaction that writes."""
    head = connection.execute(audit_head.select().with_for_update()).one()
    young = sa.select(sa.func.min(audit.c.seq)).where(
        sa.or_(audit.c.at_us >= before_us, audit.c.seq == head.seq)
    )
    first = connection.execute(young).scalar()
    if first is None:
        return 0
    last = connection.execute(audit.select().where(audit.c.seq == first - 1)).one_or_none()
    if last is None:
        return 0
    dropped = connection.execute(audit.delete().where(audit.c.seq < first)).rowcount
    connection.execute(audit_head.update().values(cut_seq=last.seq, cut_hash=last.hash))
    subject = {**entry.subject, "upto": str(last.seq), "hash": bytes(last.hash).hex()}
    append(connection, [replace(entry, action=CUT, subject=subject)])
    return dropped


def append(connection: sa.Connection, entries: Sequence[Entry]) -> Head:
    """Chain them on within a transaction that writes; two at once wait for each other at the head's row."""
    head = connection.execute(audit_head.select().with_for_update()).one()
    seq, previous = head.seq, bytes(head.hash)
    rows = []
    for entry in entries:
        seq += 1
        row: dict[str, Any] = {
            "seq": seq,
            "at_us": entry.at_us,
            "who": entry.who,
            "kind": entry.kind,
            "roles": _compact(sorted(entry.roles)),
            "said_by": entry.said_by,
            "action": entry.action,
            "method": entry.method,
            "route": entry.route,
            "subject": _compact(dict(entry.subject)),
            "purpose": entry.purpose,
            "status": entry.status,
            "request_id": entry.request_id,
            "previous": previous,
        }
        previous = row["hash"] = entry_hash(previous, row)
        rows.append(row)
    if rows:
        connection.execute(audit.insert(), rows)
        connection.execute(audit_head.update().values(seq=seq, hash=previous))
    return Head(seq, previous)


def check(rows: Iterable[Mapping[str, Any]], noted: bytes | None = None, begins: Head | None = None) -> Found:
    """A chain of rows in their order. It stops at the first broken entry, for behind it nothing can be told.

    ``begins``: what was cut off, where that is known apart from the rows. A chain that does not begin with entry 1 has to hold the
    entry of the cut that says so. ``noted`` must be the hash of one of the entries.
    """
    count, seq, previous = 0, 0, NOTHING
    start: Head | None = None
    cuts: set[tuple[str, str]] = set()
    seen = noted is None or noted == NOTHING
    for row in rows:
        if start is None:
            start = Head(row["seq"] - 1, bytes(row["previous"]))
            seq, previous = start.seq, start.hash
        wrong = _broken(row, seq, previous)
        if wrong is not None:
            return Found(count, Head(seq, previous), (wrong,))
        count, seq, previous = count + 1, row["seq"], bytes(row["hash"])
        seen = seen or previous == noted
        if row["action"] == CUT:
            subject = json.loads(row["subject"])
            cuts.add((subject.get("upto", ""), subject.get("hash", "")))
    wrong_ends = []
    start = start or Head(0, NOTHING)
    if start != Head(0, NOTHING) and (str(start.seq), start.hash.hex()) not in cuts:
        wrong_ends.append(
            f"the audit begins with entry {start.seq + 1}, and no entry says that those before it were cut off: they are missing"
        )
    if begins is not None and count and begins != start:
        wrong_ends.append(f"the audit begins with entry {start.seq + 1}, its head says {begins.seq + 1}")
    if not seen and noted is not None:
        wrong_ends.append(
            f"the head that was noted, {noted.hex()}, is no entry's hash: entries behind or up to it are missing, "
            "or the chain was written anew"
        )
    return Found(count, Head(seq, previous), tuple(wrong_ends))


def _broken(row: Mapping[str, Any], seq: int, previous: bytes) -> str | None:
    number = row["seq"]
    if number != seq + 1:
        return f"behind entry {seq} stands entry {number}: what belongs between is missing or was moved"
    if bytes(row["previous"]) != previous:
        return f"entry {number} is broken: it does not follow on the hash of entry {seq}"
    if entry_hash(previous, row) != bytes(row["hash"]):
        return f"entry {number} is broken: it does not match its hash, so it was altered"
    return None


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the API and the export tell it: times as text, hashes as hexadecimal, all that is hashed."""
    return {
        "seq": row["seq"],
        "at": rfc3339(row["at_us"]),
        "principal": row["who"],
        "kind": row["kind"],
        "roles": json.loads(row["roles"]),
        "said_by": row["said_by"],
        "action": row["action"],
        "method": row["method"],
        "route": row["route"],
        "subject": json.loads(row["subject"]),
        "purpose": row["purpose"],
        "status": row["status"],
        "request_id": row["request_id"],
        "previous": bytes(row["previous"]).hex(),
        "hash": bytes(row["hash"]).hex(),
    }


def read_shown(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Rows from what ``shown`` made of them, one a line; ``DataDamaged`` names the line that is none."""
    for number, line in enumerate(lines, 1):
        try:
            said = json.loads(line)
            yield {
                **{k: said[k] for k in ("seq", "kind", "said_by", "action", "method", "route")},
                **{k: said[k] for k in ("purpose", "status", "request_id")},
                "at_us": parse_rfc3339(said["at"]),
                "who": said["principal"],
                "roles": _compact(said["roles"]),
                "subject": _compact(said["subject"]),
                "previous": bytes.fromhex(said["previous"]),
                "hash": bytes.fromhex(said["hash"]),
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataDamaged(
                f"line {number} is no entry of an audit ({type(error).__name__}: {error})"
            ) from error


def noted_hash(text: str) -> bytes:
    """A head's hash as it was noted: 64 hexadecimal digits."""
    try:
        found = bytes.fromhex(text.strip())
    except ValueError:
        found = b""
    if len(found) != len(NOTHING):
        raise CocketError(f"{text[:80]!r} is no head of an audit: that is 64 hexadecimal digits")
    return found
