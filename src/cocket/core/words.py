"""Numbers as people say them, for alert sentences."""

from __future__ import annotations


def span(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 05 min``, ``2 d 4 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def metres(m: float) -> str:
    """``640 m``, ``2.4 km``, ``31 km``."""
    if m < 1000:
        return f"{m:.0f} m"
    return f"{m / 1000:.1f} km" if m < 9950 else f"{m / 1000:.0f} km"
