"""Factors from the units of devices to ours."""

from __future__ import annotations

from typing import Final

KNOT: Final = 1852 / 3600
"""m/s in a knot (ISO 80000-3)."""

KMH: Final = 1 / 3.6
"""m/s in a kilometre an hour."""

MPH: Final = 0.44704
"""m/s in a mile an hour."""
