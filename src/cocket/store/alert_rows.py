"""The rows of alerts: what detection's changes make of them, how they are written, and how many there are of each kind.

A new alert becomes a row in state ``raised``. A known one takes the machine's part anew and keeps what people said.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from cocket.core.alerts import SEVERITIES, AlertChange
from cocket.store import alert_pages
from cocket.store.tables import alerts
from cocket.store.texts import kept

_CHUNK: Final = 500
_RANK: Final = {severity: rank for rank, severity in enumerate(SEVERITIES)}
_KEYS: Final = ("began_key", "raised_key", "peak_key", "last_key")
_MACHINE: Final = (
    "severity",
    "ended_us",
    "raised_event_us",
    "last_us",
    "count",
    "lat_deg",
    "lon_deg",
    "value",
    "peak",
    "threshold",
    "unit",
    "corridor",
    "raised_key",
    "last_key",
    "peak_us",
    "peak_key",
    "says",
)
"""What a later run may say anew. What began it is in the id; ``raised_us`` and ``late`` keep their first values."""

Changed = tuple[dict[str, Any], dict[str, Any] | None]
"""A row and what it was before; None where it is new."""

Group = tuple[str, str, bool, bool]
"""What is counted together: code, state, open, superseded."""


def merge(connection: sa.Connection, changes: Sequence[AlertChange], seq: int, at_us: int) -> list[Changed]:
    """The rows to write, each with what it was: only those that differ from what is stored, the last per id."""
    latest = {change.id: change for change in changes}
    known: dict[str, dict[str, Any]] = {}
    ids = list(latest)
    for i in range(0, len(ids), _CHUNK):
        query = alerts.select().where(alerts.c.id.in_(ids[i : i + _CHUNK]))
        known.update({row["id"]: dict(row) for row in connection.execute(query).mappings()})
    rows: list[Changed] = []
    for change in latest.values():
        old = known.get(change.id)
        row = _row(change, at_us) if old is None else _renewed(old, change, at_us)
        if row != old:
            seq += 1
            rows.append(({**row, "seq": seq}, old))
    return rows


def _value(value: Any) -> Any:
    """As SQL takes and gives it back: no NumPy scalar, null for NaN, and text without NUL: detection must not stand still over one."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str):
        return kept(value)
    return None if isinstance(value, float) and math.isnan(value) else value


def _row(change: AlertChange, at_us: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: _value(getattr(change, name))
        for name in alerts.c.keys()  # noqa: SIM118 - a collection, not a dict
        if hasattr(change, name)
    }
    row.update({name: alert_pages.signed(int(getattr(change, name))) for name in _KEYS})
    row.update(
        rank=_RANK[change.severity],
        superseded_us=None if change.superseded is None else at_us,
        superseded_reason=change.superseded,
        state="raised",
        triage=None,
        cause=None,
        acknowledged_by=None,
        version=1,
    )
    return row


def _renewed(old: dict[str, Any], change: AlertChange, at_us: int) -> dict[str, Any]:
    row = {**old, **{name: _value(getattr(change, name)) for name in _MACHINE}}
    row.update({name: alert_pages.signed(int(getattr(change, name))) for name in _KEYS})
    row["rank"] = _RANK[change.severity]
    row["superseded_reason"] = change.superseded
    if change.superseded is None:
        row["superseded_us"] = None
    elif old["superseded_us"] is None:
        row["superseded_us"] = at_us
    return row


_NEW = alerts.insert()
_RENEW = (
    alerts.update()
    .where(alerts.c.id == sa.bindparam("the_id"))
    .values(
        {
            name: sa.bindparam(f"new_{name}")
            for name in ("seq", "rank", "superseded_us", "superseded_reason", "began_key", *_MACHINE)
        }
    )
)


def upsert(connection: sa.Connection, rows: Sequence[Changed]) -> None:
    """Write the rows: new ones whole, known ones without what people said."""
    new = [row for row, old in rows if old is None]
    renewed = [
        {"the_id": row["id"], **{f"new_{name}": value for name, value in row.items()}}
        for row, old in rows
        if old is not None
    ]
    if new:
        connection.execute(_NEW, new)
    if renewed:
        connection.execute(_RENEW, renewed)


def _group(row: Mapping[str, Any]) -> Group:
    superseded = row["superseded_us"] is not None
    return (
        row["code"],
        row["state"],
        row["ended_us"] is None and not superseded and row["state"] != "closed",
        superseded,
    )


def count(connection: sa.Connection) -> Counter[Group]:
    """How many alerts are stored in each group."""
    ended, superseded = alerts.c.ended_us.is_not(None), alerts.c.superseded_us.is_not(None)
    query = sa.select(alerts.c.code, alerts.c.state, ended, superseded, sa.func.count()).group_by(
        alerts.c.code, alerts.c.state, ended, superseded
    )
    found: Counter[Group] = Counter()
    for code, state, is_ended, is_superseded, n in connection.execute(query):
        is_open = not is_ended and not is_superseded and state != "closed"
        found[code, state, is_open, bool(is_superseded)] += n
    return found


def regroup(groups: Counter[Group], rows: Sequence[Changed]) -> Counter[Group]:
    """The counts after ``rows`` were written; ``groups`` itself stays as it is."""
    new = groups.copy()
    for row, old in rows:
        if old is not None:
            new[_group(old)] -= 1
        new[_group(row)] += 1
    return new
