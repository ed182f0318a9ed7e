"""The quarantine: every row that broke a rule, with its raw bytes, its source and the rule.

It can be looked at and replayed after a fix; a row becomes ``replayed`` or ``discarded``, and leaves only when its term is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa

from cocket.core.errors import Malformed, NotFound
from cocket.store.database import Database
from cocket.store.tables import quarantine
from cocket.store.texts import kept

SET_ASIDE: Final = "detectors-failed"
"""The rule of rows that are stored and that the detectors fail on: they stand here besides, and count as observations."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refused row: ``row`` counts from 0 in the body it came in, ``raw`` are its bytes as sent.

    ``protocol`` and ``device_id`` are of a device's frame.
    """

    received_us: int
    source: str
    row: int
    field: str
    rule: str
    detail: str
    raw: bytes
    protocol: str | None = None
    device_id: str | None = None

    def values(self) -> dict[str, Any]:
        """As a row of the table, held."""
        return {
            "received_us": self.received_us,
            "source": kept(self.source),
            "row": self.row,
            "field": kept(self.field),
            "rule": self.rule,
            "detail": kept(self.detail),
            "raw": self.raw,
            "protocol": self.protocol,
            "device_id": None if self.device_id is None else kept(self.device_id),
            "state": "held",
        }


class Quarantine:
    """Reading and settling the quarantine in ``db``; any thread may. ``Log.append`` writes it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def quarantined(
        self,
        limit: int,
        cursor: str | None = None,
        rule: str | None = None,
        state: str | None = None,
        device_id: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Newest first, and the cursor of the next page, None at the end. ``Malformed`` on a bad cursor."""
        query = quarantine.select().order_by(quarantine.c.id.desc()).limit(limit + 1)
        if cursor is not None:
            if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
                raise Malformed(f"{cursor!r} is no cursor of this list")
            query = query.where(quarantine.c.id < int(cursor))
        if rule is not None:
            query = query.where(quarantine.c.rule == rule)
        if state is not None:
            query = query.where(quarantine.c.state == state)
        if device_id is not None:
            query = query.where(quarantine.c.device_id == device_id)
        with self._db.read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return rows[:limit], str(rows[limit - 1]["id"]) if len(rows) > limit else None

    def quarantined_row(self, row_id: int) -> dict[str, Any] | None:
        """One row with its raw bytes; None if there is none of that number."""
        with self._db.read() as connection:
            row = connection.execute(quarantine.select().where(quarantine.c.id == row_id)).mappings().first()
        return None if row is None else dict(row)

    def quarantined_before(self, before_us: int) -> int:
        """How many rows were received before a moment."""
        query = sa.select(sa.func.count()).where(quarantine.c.received_us < before_us)
        with self._db.read() as connection:
            return int(connection.execute(query).scalar_one())

    def drop_quarantined(self, before_us: int) -> int:
        """Drop the rows that were received before a moment, their term being over; how many. The sums stay."""
        with self._db.write() as connection:
            return connection.execute(
                quarantine.delete().where(quarantine.c.received_us < before_us)
            ).rowcount

    def set_aside(self, row: Quarantined) -> None:
        """Keep a stored row that the detectors fail on. The sums stay: it is booked as an observation already.

        Once more, while the first is held, changes nothing: a crash before the next checkpoint finds the same row again.
        """
        there = sa.select(quarantine.c.id).where(
            quarantine.c.rule == row.rule, quarantine.c.raw == row.raw, quarantine.c.state == "held"
        )
        with self._db.write() as connection:
            if connection.execute(there).first() is None:
                connection.execute(quarantine.insert(), row.values())

    def tried_again(self) -> None:
        """Every row held because the detectors failed on it counts as replayed; those that fail again come anew."""
        with self._db.write() as connection:
            connection.execute(
                quarantine.update()
                .where(quarantine.c.rule == SET_ASIDE, quarantine.c.state == "held")
                .values(state="replayed")
            )

    def held(self) -> int:
        """How many rows wait: neither replayed nor discarded. Reads the whole table."""
        query = sa.select(sa.func.count()).where(quarantine.c.state == "held")
        with self._db.read() as connection:
            return int(connection.execute(query).scalar_one())

    def settle_quarantined(self, row_id: int, state: Literal["replayed", "discarded"]) -> None:
        """Say what became of a row. ``NotFound`` if there is none of that number."""
        with self._db.write() as connection:
            done = connection.execute(
                quarantine.update().where(quarantine.c.id == row_id).values(state=state)
            )
            if not done.rowcount:
                raise NotFound(f"the quarantine holds no row {row_id}")
