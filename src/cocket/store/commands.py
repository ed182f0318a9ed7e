"""Commands to devices: every step of each is on the disk before it is taken, with who and why.

    awaiting-approval ─approve→ queued ─send→ sent ─answer→ done | failed
    any that is not over: cancelled, or expired when its time is up

A command that was sent and never answered stays ``sent`` until it expires: it is not sent twice by itself, for a
lock that opens twice is no small thing.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from cocket.core.errors import Conflict, NotFound
from cocket.store.database import Database
from cocket.store.tables import commands

STATES: Final = ("awaiting-approval", "queued", "sent", "done", "failed", "expired", "cancelled")
OPEN: Final = ("awaiting-approval", "queued", "sent")


class CommandStore:
    """The commands in ``db`` (``cocket.sqlite``); any thread may call."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, row: dict[str, Any]) -> dict[str, Any]:
        """A new command; gives it with its number."""
        with self._db.write() as connection:
            done = connection.execute(commands.insert().values(row))
            number = int((done.inserted_primary_key or (0,))[0])
        return self.get(number)

    def get(self, number: int) -> dict[str, Any]:
        """One command; ``NotFound`` if there is none of that number."""
        with self._db.read() as connection:
            row = connection.execute(commands.select().where(commands.c.id == number)).mappings().first()
        if row is None:
            raise NotFound(f"there is no command {number}")
        return dict(row)

    def by_state(self) -> dict[str, int]:
        """How many commands there are in each state."""
        query = sa.select(commands.c.state, sa.func.count()).group_by(commands.c.state)
        with self._db.read() as connection:
            return {state: int(n) for state, n in connection.execute(query)}

    def page(
        self, device_id: str | None, state: str | None, limit: int, before: int | None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Newest first, and the number behind which the next page begins."""
        query = commands.select().order_by(commands.c.id.desc()).limit(limit + 1)
        for column, value in ((commands.c.device_id, device_id), (commands.c.state, state)):
            if value is not None:
                query = query.where(column == value)
        if before is not None:
            query = query.where(commands.c.id < before)
        with self._db.read() as connection:
            rows = [dict(r) for r in connection.execute(query).mappings()]
        return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None

    def open(self) -> list[dict[str, Any]]:
        """All that are not over, oldest first."""
        query = commands.select().where(commands.c.state.in_(OPEN)).order_by(commands.c.id)
        with self._db.read() as connection:
            return [dict(r) for r in connection.execute(query).mappings()]

    def step(self, number: int, allowed: tuple[str, ...], **values: Any) -> dict[str, Any]:
        """One step; ``Conflict`` names the state if it is none of ``allowed``, ``NotFound`` if there is no such command."""
        with self._db.write() as connection:
            done = connection.execute(
                commands.update()
                .where(commands.c.id == number, commands.c.state.in_(allowed))
                .values(**values)
            )
            changed = done.rowcount > 0
        row = self.get(number)
        if not changed:
            raise Conflict(
                f"command {number} is {row['state']}; this step is possible while it is {' or '.join(allowed)}"
            )
        return row
