"""The book of changes: every write of reference data leaves who, when, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from cocket.store.tables import changes


class Book:
    """The changes of one transaction, numbered on from the last; ``close`` writes them."""

    def __init__(self, connection: sa.Connection, *, by: str, at_us: int) -> None:
        self._connection = connection
        self._by = by
        self._at_us = at_us
        self._rows: list[dict[str, Any]] = []
        self.version: int = connection.execute(sa.select(sa.func.max(changes.c.version))).scalar() or 0

    def add(
        self, kind: str, doc_id: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> int:
        """One change; returns its number."""
        self.version += 1
        self._rows.append(
            {
                "version": self.version,
                "at_us": self._at_us,
                "by": self._by,
                "kind": kind,
                "id": doc_id,
                "before": before,
                "after": after,
            }
        )
        return self.version

    def close(self) -> int:
        """Write them; returns the number of the last change there is."""
        if self._rows:
            self._connection.execute(changes.insert(), self._rows)
            self._rows = []
        return self.version
