"""How bytes arrive from files."""
