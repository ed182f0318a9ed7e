"""Reading alerts page by page: filters, orders, cursors, and a row as plain values."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from cocket.core.alerts import SEVERITIES
from cocket.core.errors import Malformed
from cocket.store.tables import alerts

OPEN = sa.and_(alerts.c.ended_us.is_(None), alerts.c.superseded_us.is_(None), alerts.c.state != "closed")
"""Wants somebody: it still holds, and nobody closed it."""

_ORDERS: dict[str, tuple[str, ...]] = {"newest": ("raised_us", "id"), "urgent": ("rank", "raised_us", "id")}
_TYPES: dict[str, type] = {"raised_us": int, "rank": int, "id": str}


def signed(key: int) -> int:
    """A 64-bit key as SQL keeps it."""
    return key - (1 << 64) if key >= 1 << 63 else key


def plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row as plain values, keys unsigned, without the columns that only the tables need."""
    out = dict(row)
    out.pop("rank")
    for name in ("began_key", "raised_key", "peak_key", "last_key"):
        out[name] &= 0xFFFFFFFFFFFFFFFF
    return out


def query(filters: Mapping[str, Any], cursor: str | None, order: str) -> sa.Select[Any]:
    """The alerts that match, in order, behind ``cursor``. ``Malformed`` for an order or cursor that is none."""
    if order not in _ORDERS:
        raise Malformed(f"{order!r} is no order of alerts; there are {', '.join(_ORDERS)}")
    columns = [alerts.c[name] for name in _ORDERS[order]]
    found = alerts.select().order_by(*(c.desc() for c in columns))
    if cursor is not None:
        found = found.where(sa.tuple_(*columns) < sa.tuple_(*_position(cursor, order)))
    for name in ("code", "severity", "state"):
        if filters.get(name):
            found = found.where(alerts.c[name].in_(list(filters[name])))
    for name in ("mrn", "device_id", "equipment_id"):
        if filters.get(name) is not None:
            found = found.where(alerts.c[name] == filters[name])
    if filters.get("since_us") is not None:
        found = found.where(alerts.c.raised_us >= filters["since_us"])
    if filters.get("until_us") is not None:
        found = found.where(alerts.c.raised_us < filters["until_us"])
    if filters.get("open") is not None:
        found = found.where(OPEN if filters["open"] else sa.not_(OPEN))
    if filters.get("sight") is not None:
        found = found.where(filters["sight"].alerts())
    if filters.get("superseded") is not None:
        is_null = alerts.c.superseded_us.is_(None)
        found = found.where(sa.not_(is_null) if filters["superseded"] else is_null)
    return found


def cursor_of(alert: Mapping[str, Any], order: str) -> str:
    """Where ``alert`` stands, for the next page."""
    row = {**alert, "rank": SEVERITIES.index(alert["severity"])}
    values = [order, *(row[name] for name in _ORDERS[order])]
    return urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def _position(cursor: str, order: str) -> list[Any]:
    try:
        values = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, msgspec.DecodeError) as error:
        raise Malformed(f"{cursor!r} is no cursor of this list") from error
    types = [_TYPES[name] for name in _ORDERS[order]]
    if (
        not isinstance(values, list)
        or len(values) != len(types) + 1
        or values[0] != order
        or any(type(v) is not t for v, t in zip(values[1:], types, strict=True))
        or any(isinstance(v, int) and abs(v) >= 1 << 63 for v in values)
    ):
        raise Malformed(f"{cursor!r} is no cursor of this list in order {order!r}")
    return values[1:]
