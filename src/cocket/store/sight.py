"""What somebody may see who sees only a part: conditions on movements, in SQL, so that lists keep their pages.

Each list adds one condition to its query, and its cursors stay what they are. Nothing is remembered: who becomes the holder of a
movement, is granted it or is sent to it sees it with the next request, and no longer with the one after that ended.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from cocket.store.database import Database
from cocket.store.gate_tables import unit_dispatches
from cocket.store.grants import granted
from cocket.store.tables import alerts, documents

_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Sight:
    """The movements that somebody may see: those of a ``holder``, those that a response ``unit`` was sent to, and those that
    an ``authority`` was granted ``part`` of at ``now_us``. All None shows nothing.
    """

    holder: str | None = None
    unit: str | None = None
    authority: str | None = None
    part: str = ""
    now_us: int = 0

    def of(self, part: str) -> Sight:
        """The same for another part of the file."""
        return replace(self, part=part)

    def movements(self) -> sa.Select[Any]:
        """Their MRNs, as a subquery."""
        terms: list[sa.ColumnElement[bool]] = []
        if self.holder is not None:
            terms.append(documents.c.holder == self.holder)
        if self.unit is not None:
            sent = sa.select(unit_dispatches.c.mrn).where(
                sa.func.lower(unit_dispatches.c.unit_id) == self.unit.lower()
            )
            terms.append(documents.c.id.in_(sent))
        if self.authority is not None:
            terms.append(granted(self.authority, self.part, self.now_us))
        return sa.select(documents.c.id).where(documents.c.kind == "movement", sa.or_(sa.false(), *terms))

    def alerts(self) -> sa.ColumnElement[bool]:
        """Condition on alerts: of a unit only those that it was sent for."""
        terms: list[sa.ColumnElement[bool]] = [alerts.c.mrn.in_(replace(self, unit=None).movements())]
        if self.unit is not None:
            named = sa.cast(unit_dispatches.c.alerts, sa.Text)
            terms.append(
                sa.exists().where(
                    sa.func.lower(unit_dispatches.c.unit_id) == self.unit.lower(),
                    unit_dispatches.c.mrn == alerts.c.mrn,
                    named.contains(sa.literal('"') + alerts.c.id + sa.literal('"')),
                )
            )
        return sa.or_(*terms)


class SightStore:
    """Asks what a sight shows, in ``db`` (``cocket.sqlite``). Any thread."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def seen(self, sight: Sight, mrns: Collection[str]) -> set[str]:
        """Which of these movements it shows."""
        wanted = list(dict.fromkeys(mrns))
        found: set[str] = set()
        with self._db.read() as connection:
            for i in range(0, len(wanted), _CHUNK):
                query = sight.movements().where(documents.c.id.in_(wanted[i : i + _CHUNK]))
                found.update(connection.execute(query).scalars())
        return found

    def all(self, sight: Sight) -> set[str]:
        """Every movement that it shows."""
        with self._db.read() as connection:
            return set(connection.execute(sight.movements()).scalars())

    def alert(self, sight: Sight, alert_id: str) -> bool:
        """Whether it shows this alert."""
        query = sa.select(alerts.c.id).where(alerts.c.id == alert_id, sight.alerts())
        with self._db.read() as connection:
            return connection.execute(query).first() is not None
