"""Which trace an alert came of, where traces are on: for finding an alert's way in a trace viewer, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from cocket.store.database import Database
from cocket.store.tables import alert_traces

_KEPT_US: Final = 30 * 86_400 * 1_000_000
"""Trace stores keep traces for days or weeks; a number without its trace is of no use."""


class AlertTraces:
    """The table in ``db`` (``cocket.sqlite``); any thread may call."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def note(self, traces: Mapping[str, str], at_us: int) -> None:
        """Remember the trace (32 hexadecimal digits) of each alert, and forget those noted more than 30 days ago."""
        rows = [{"alert_id": alert, "trace_id": trace, "at_us": at_us} for alert, trace in traces.items()]
        with self._db.write() as connection:
            connection.execute(alert_traces.delete().where(alert_traces.c.at_us < at_us - _KEPT_US))
            connection.execute(alert_traces.delete().where(alert_traces.c.alert_id.in_(list(traces))))
            connection.execute(alert_traces.insert(), rows)

    def of(self, alert_id: str) -> str | None:
        """The trace of an alert, None if it was not traced."""
        with self._db.read() as connection:
            found = connection.execute(
                sa.select(alert_traces.c.trace_id).where(alert_traces.c.alert_id == alert_id)
            ).scalar()
        return None if found is None else str(found)
