"""Past one machine: lines in workers, doors elsewhere, and how they talk."""
