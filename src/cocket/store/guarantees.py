"""The guarantee ledger: heads with their sums. The entries are subjects of the guarantee machine, ``GRN/MRN``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from cocket.store.database import Database
from cocket.store.file_tables import guarantees


@dataclass(frozen=True, slots=True)
class Head:
    """A guarantee: its amount, and what of it is reserved and called. ``reserved + called <= amount``, always."""

    grn: str
    holder: str
    kind: str
    amount: Decimal
    currency: str
    reserved: Decimal
    called: Decimal
    valid_from_us: int | None
    valid_to_us: int | None
    changed_us: int
    changed_by: str

    @property
    def available(self) -> Decimal:
        """What may still be reserved."""
        return self.amount - self.reserved - self.called


class GuaranteeStore:
    """The ledger's heads in ``db`` (``cocket.sqlite``)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, connection: sa.Connection, grn: str) -> Head | None:
        """One head; None if there is none."""
        row = connection.execute(guarantees.select().where(guarantees.c.grn == grn)).mappings().first()
        return None if row is None else _head(row)

    def find(self, grn: str) -> Head | None:
        """One head, outside of a transaction."""
        with self._db.read() as connection:
            return self.get(connection, grn)

    def put(self, connection: sa.Connection, head: Head) -> None:
        """Write a head, new or anew."""
        connection.execute(guarantees.delete().where(guarantees.c.grn == head.grn))
        connection.execute(
            guarantees.insert(),
            {
                "grn": head.grn,
                "holder": head.holder,
                "kind": head.kind,
                "amount": str(head.amount),
                "currency": head.currency,
                "reserved": str(head.reserved),
                "called": str(head.called),
                "valid_from_us": head.valid_from_us,
                "valid_to_us": head.valid_to_us,
                "changed_us": head.changed_us,
                "changed_by": head.changed_by,
            },
        )

    def page(self, q: str | None, limit: int, cursor: str | None) -> tuple[list[Head], str | None]:
        """By GRN. ``q``: part of the GRN or of the holder."""
        query = guarantees.select().order_by(guarantees.c.grn).limit(limit + 1)
        if q is not None:
            query = query.where(
                sa.or_(
                    guarantees.c.grn.icontains(q, autoescape=True),
                    guarantees.c.holder.icontains(q, autoescape=True),
                )
            )
        if cursor is not None:
            query = query.where(guarantees.c.grn > cursor)
        with self._db.read() as connection:
            rows = [_head(row) for row in connection.execute(query).mappings()]
        return rows[:limit], rows[limit - 1].grn if len(rows) > limit else None


def _head(row: Mapping[Any, Any]) -> Head:
    return Head(
        row["grn"],
        row["holder"],
        row["kind"],
        Decimal(row["amount"]),
        row["currency"],
        Decimal(row["reserved"]),
        Decimal(row["called"]),
        row["valid_from_us"],
        row["valid_to_us"],
        row["changed_us"],
        row["changed_by"],
    )
