"""What a journey's new run does not find any more: marked with the reason, never deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from cocket.core.alerts import AlertChange
from cocket.engine.untimed import UNTIMED

_NAMES = tuple(f.name for f in fields(AlertChange) if f.name != "superseded")


def no_longer(
    stored: Mapping[str, Mapping[str, Any]], found: Iterable[AlertChange], why: Mapping[str, str]
) -> list[AlertChange]:
    """The stored alerts (by id) that are not among ``found``, marked with the reason of their journey (by key).

    Reports whose time cannot be trusted belong to no place in the journey's time: its new run says nothing of them.
    """
    held = {change.id for change in found}
    return [
        AlertChange(**{name: row[name] for name in _NAMES}, superseded=why[row["journey"]])
        for alert_id, row in stored.items()
        if alert_id not in held and row["superseded_us"] is None and row["subject"] != UNTIMED
    ]
