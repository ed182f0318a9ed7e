"""Units that a file or a message may use, and how they become the schema's."""

from __future__ import annotations

from typing import Final

from cocket.core.units import KMH, KNOT, MPH

UNITS: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "m/s": {"m/s": (1, 0), "km/h": (KMH, 0), "kn": (KNOT, 0), "mph": (MPH, 0), "cm/s": (0.01, 0)},
    "°": {
        "°": (1, 0),
        "deg": (1, 0),
        "1e-5 deg": (1e-5, 0),
        "1e-6 deg": (1e-6, 0),
        "1e-7 deg": (1e-7, 0),
        "rad": (57.29577951308232, 0),
    },
    "m": {
        "m": (1, 0),
        "km": (1000, 0),
        "cm": (0.01, 0),
        "ft": (0.3048, 0),
        "mi": (1609.344, 0),
        "nmi": (1852, 0),
    },
    "°C": {"°C": (1, 0), "C": (1, 0), "K": (1, -273.15), "F": (5 / 9, -160 / 9)},
    "%": {"%": (1, 0), "1": (100, 0), "ppm": (1e-4, 0)},
    "V": {"V": (1, 0), "mV": (0.001, 0)},
    "g": {"g": (1, 0), "mg": (0.001, 0), "m/s2": (1 / 9.80665, 0)},
    "lx": {"lx": (1, 0), "klx": (1000, 0), "fc": (1 / 0.09290304, 0)},
    "dBm": {"dBm": (1, 0), "dBW": (1, 30)},
    "µSv/h": {
        "µSv/h": (1, 0),
        "uSv/h": (1, 0),
        "nSv/h": (0.001, 0),
        "mSv/h": (1000, 0),
        "Sv/h": (1e6, 0),
        "µrem/h": (0.01, 0),
        "mrem/h": (10, 0),
    },
    "1/s": {"1/s": (1, 0), "cps": (1, 0), "1/min": (1 / 60, 0), "cpm": (1 / 60, 0)},
}
"""Unit of the schema -> unit that a file may use -> (factor, offset): ours = theirs * factor + offset."""
