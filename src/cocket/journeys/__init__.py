"""Where an observation belongs and where it is: the as-of join, zones, corridors."""
