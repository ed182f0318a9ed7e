"""Grants: which parts of which movements a partner authority may see, for what purpose, from when to when, and by whom.

A grant is never changed: it is revoked, and another one made. Any thread may call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Table, Text

from cocket.core.errors import Conflict, NotFound
from cocket.store.database import Database
from cocket.store.tables import documents, main_metadata

WHATS: Final = ("corridor", "office", "country", "movement")
"""What a grant may be of: all movements on a corridor, of an office, through a country; or one movement."""
PARTS: Final = ("movement", "track", "document", "evidence", "alert", "code", "clean-trip")
"""Parts of a movement's file, as the table of rights names its resources."""

grants = Table(
    "grants",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("authority", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("parts", JSON, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
    Column("revoked_by", Text),
    Index("grants_authority", "authority", "id"),
)


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant as it stands; half open in time."""

    id: int
    authority: str
    what: str
    subject: str
    parts: list[str]
    purpose: str
    from_us: int
    to_us: int
    by: str
    at_us: int
    revoked_us: int | None
    revoked_by: str | None


def granted(authority: str, part: str, now_us: int) -> sa.ColumnElement[bool]:
    """Condition on movements in ``documents``: some grant that is good now gives this part of it."""
    doc = documents.c.doc
    names = grants.c.subject
    quoted = sa.literal('"') + names + sa.literal('"')
    return sa.exists().where(
        grants.c.authority == authority,
        grants.c.from_us <= now_us,
        grants.c.to_us > now_us,
        grants.c.revoked_us.is_(None),
        sa.cast(grants.c.parts, Text).contains(f'"{part}"'),
        sa.or_(
            sa.and_(grants.c.what == "movement", documents.c.id == names),
            sa.and_(grants.c.what == "corridor", documents.c.corridor == names),
            sa.and_(
                grants.c.what == "office",
                sa.or_(
                    doc["departure_office"].as_string() == names,
                    doc["destination_office"].as_string() == names,
                ),
            ),
            sa.and_(grants.c.what == "country", doc["countries"].as_string().contains(quoted)),
        ),
    )


class GrantStore:
    """The grants in ``db`` (``cocket.sqlite``)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, row: Mapping[str, Any]) -> Grant:
        """Keep a new grant."""
        with self._db.write() as connection:
            done = connection.execute(grants.insert().values(row))
            number = int((done.inserted_primary_key or (0,))[0])
            return _grant(connection.execute(grants.select().where(grants.c.id == number)).one())

    def page(self, authority: str | None, limit: int, before: int | None) -> tuple[list[Grant], int | None]:
        """Newest first, and the id behind which the next page begins; of one authority if named."""
        query = grants.select().order_by(grants.c.id.desc()).limit(limit + 1)
        if authority is not None:
            query = query.where(grants.c.authority == authority)
        if before is not None:
            query = query.where(grants.c.id < before)
        with self._db.read() as connection:
            found = [_grant(row) for row in connection.execute(query)]
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    def revoke(self, number: int, *, by: str, at_us: int) -> Grant:
        """End a grant now; ``NotFound`` if there is none, ``Conflict`` if it was revoked."""
        with self._db.write() as connection:
            row = connection.execute(grants.select().where(grants.c.id == number)).first()
            if row is None:
                raise NotFound(f"there is no grant {number}")
            if row.revoked_us is not None:
                raise Conflict(f"grant {number} was revoked by {row.revoked_by}")
            change = grants.update().where(grants.c.id == number)
            connection.execute(change.values(revoked_us=at_us, revoked_by=by))
            return _grant(connection.execute(grants.select().where(grants.c.id == number)).one())


def _grant(row: Any) -> Grant:
    return Grant(*row)
