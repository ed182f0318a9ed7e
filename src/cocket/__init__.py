"""Cocket: what devices at the border observe, joined to the customs file that it concerns."""

__version__ = "0.1.0"
