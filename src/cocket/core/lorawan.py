"""What LoRaWAN network servers have in common: places with their source, and what a codec's simulated sensor tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cocket.core.jsontext import number, text
from cocket.core.protocol import Row

CARRIES: Final = frozenset(
    {
        "observed_us",
        "lat_deg",
        "lon_deg",
        "battery_pct",
        "battery_v",
        "temp_c",
        "humidity_pct",
        "light_lux",
        "door_open",
        "casing_open",
        "shock_g",
        "vibration",
    }
)
"""Columns of a simulated sensor."""


def place(location: Any, sources: Mapping[str, str]) -> Row:
    """A server's ``location``: degrees, metres, and the ``fix_source`` that ``sources`` gives for its word, if it does."""
    row: Row = {
        "lat_deg": number(location, "latitude"),
        "lon_deg": number(location, "longitude"),
        "altitude_m": number(location, "altitude"),
    }
    source = text(location, "source")
    if source is not None and source in sources:
        row["fix_source"] = sources[source]
    return row


def codec_values(row: Row) -> dict[str, Any]:
    """What a codec would give for ``row``: by the columns' own names, without the time, which the server tells."""
    return {name: row[name] for name in sorted(CARRIES - {"observed_us"}) if row.get(name) is not None}
